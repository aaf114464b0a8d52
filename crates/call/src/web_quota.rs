//! How many calls browsers may begin: per address, per token; the ICE sessions of those that go on. And how a call ends
//! that no browser has connected to yet.
//!
//! Pure: the driver holds the counts, and says what time it is.

use super::admission::LimitExceededError;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use trunkline_media::leg::LegEvent;

/// What browsers may do.
#[derive(Clone, Copy, Debug)]
pub struct WebCallLimits {
    /// How long a call waits for its browser, and the token is good.
    pub token_valid: Duration,
    /// From the answer to the first packet: ICE and DTLS.
    pub connect: Duration,
    /// Calls that one token may start (`webrtc.calls_per_token`, default 1).
    pub calls_per_token: usize,
    /// Calls that one IP address may hold at once (`webrtc.calls_per_address`, default 10).
    pub calls_per_address: usize,
}

/// Why a call from a browser is not created or not connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebCallError {
    /// WebRTC is switched off in the settings.
    #[error("Calls from browsers are switched off on this server")]
    Disabled,
    /// The agent has `is_active` set to false.
    #[error("The agent is not active")]
    AgentInactive,
    /// The agent uses a provider that has no API key; holds the name of the provider.
    #[error("Provider {0} is not configured: no API key")]
    ProviderMissing(&'static str),
    /// The server has reached its call limit or is shutting down.
    #[error("This server has reached its call limit")]
    Overloaded,
    /// The organization has as many calls waiting for their browsers as it may have.
    #[error("The organization has reached its limit of waiting web calls")]
    TooManyWaiting,
    /// A limit of the organization or the server is reached.
    #[error("The organization has reached its call limit")]
    Denied(LimitExceededError),
    /// The database cannot be read, so the limits are unknown.
    #[error("The organization's limits cannot be read")]
    StoreUnavailable,
    /// The token has started as many calls as it may.
    #[error("The token has started its maximum number of calls")]
    TokenUsed,
    /// The IP address of the browser holds as many calls as it may.
    #[error("This address has reached its call limit")]
    AddressFull,
    /// The call has ended, is held by another node, or has not answered the offer within 5 s.
    #[error("The call is over, or runs on another server")]
    CallEnded,
    /// A defect of ours.
    #[error("The call could not be set up")]
    Internal,
    /// The offer cannot be used; holds the reason, in words for the client.
    #[error("{0}")]
    Offer(String),
}

/// Whether a call from a browser may be created, as far as nothing has to be counted.
pub fn check_web_call(is_enabled: bool, agent_is_active: bool, has_room: bool) -> Result<(), WebCallError> {
    match (is_enabled, agent_is_active, has_room) {
        (false, ..) => Err(WebCallError::Disabled),
        (_, false, _) => Err(WebCallError::AgentInactive),
        (.., false) => Err(WebCallError::Overloaded),
        _ => Ok(()),
    }
}

/// The call that takes an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOfOffer {
    /// The call that the token was made for.
    OfToken,
    /// Another one with the same agent: the token allows more than one.
    Another,
}

/// Counters over all web calls of a process.
#[derive(Debug, Default)]
pub struct WebCallCounts {
    /// Calls of an address.
    addresses: HashMap<IpAddr, usize>,
    /// Uses of a token, by the call it was made for.
    tokens: HashMap<CallId, TokenUse>,
    /// The ICE session of each call that has one.
    ice_sessions: HashMap<CallId, String>,
}

#[derive(Debug)]
struct TokenUse {
    since: Instant,
    count: usize,
    calls: Vec<CallId>,
}

impl WebCallCounts {
    /// Counts another call of an address, up to `max`.
    pub fn take_address(&mut self, address: IpAddr, max: usize) -> Result<(), WebCallError> {
        let count = self.addresses.entry(address).or_default();
        if *count >= max {
            return Err(WebCallError::AddressFull);
        }
        *count += 1;
        Ok(())
    }

    /// A call of an address is over.
    pub fn release_address(&mut self, address: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Counts another offer with a token, up to `max` in all.
    pub fn use_token(
        &mut self, token: CallId, max: usize, valid: Duration, now: Instant,
    ) -> Result<CallOfOffer, WebCallError> {
        let Self { tokens, ice_sessions, .. } = self;
        // Too old to start a call, and all its calls have ended.
        tokens.retain(|_, used| {
            now.duration_since(used.since) < valid * 2 || used.calls.iter().any(|call| ice_sessions.contains_key(call))
        });
        let used = tokens.entry(token).or_insert(TokenUse { since: now, count: 0, calls: Vec::new() });
        if used.count >= max {
            return Err(WebCallError::TokenUsed);
        }
        used.count += 1;
        Ok(if used.count == 1 { CallOfOffer::OfToken } else { CallOfOffer::Another })
    }

    /// An offer that made no call does not count.
    pub fn release_token_use(&mut self, token: CallId) {
        if let Some(used) = self.tokens.get_mut(&token) {
            used.count = used.count.saturating_sub(1);
        }
    }

    /// A call took a token's offer.
    pub fn record_call_started(&mut self, token: CallId, call: CallId, ice_session: String) {
        self.ice_sessions.insert(call, ice_session);
        if let Some(used) = self.tokens.get_mut(&token) {
            used.calls.push(call);
        }
    }

    /// The call has another ICE session.
    pub fn record_ice_restart(&mut self, call: CallId, ice_session: String) {
        self.ice_sessions.insert(call, ice_session);
    }

    /// The call is over: no more PATCH.
    pub fn forget(&mut self, call: CallId) {
        self.ice_sessions.remove(&call);
    }

    /// Whether a call is the token's, or was begun with it.
    pub fn owns(&self, token: CallId, call: CallId) -> bool {
        token == call || self.tokens.get(&token).is_some_and(|used| used.calls.contains(&call))
    }

    /// The ICE session of a call, while it goes on.
    pub fn ice_session(&self, call: CallId) -> Option<String> {
        self.ice_sessions.get(&call).cloned()
    }
}

/// What becomes of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterOffer {
    /// The call took it: the token's use is recorded.
    Record,
    /// It cannot be used: the browser may try again with the same token.
    ReleaseToken,
    /// It failed otherwise, and the token's use stays counted.
    KeepToken,
}

/// Tells what an answer to an offer means for its token.
pub fn after_offer<T>(answer: &Result<T, WebCallError>) -> AfterOffer {
    match answer {
        Ok(_) => AfterOffer::Record,
        Err(WebCallError::Offer(_)) => AfterOffer::ReleaseToken,
        Err(_) => AfterOffer::KeepToken,
    }
}

/// A call that ends before it was answered counts as unanswered.
pub fn end_reason_before_answer(reason: EndReason) -> EndReason {
    match reason {
        EndReason::EndedByApi | EndReason::CustomerHungUp => EndReason::Canceled,
        other => other,
    }
}

/// What an event of the leg says about the path to a browser; `None` is a leg that is gone.
pub fn connected(event: Option<&LegEvent>) -> Option<Result<(), EndReason>> {
    match event {
        Some(LegEvent::Connected { .. }) => Some(Ok(())),
        Some(LegEvent::PeerClosed) => Some(Err(EndReason::Canceled)),
        Some(LegEvent::NetworkLost | LegEvent::InternalError) | None => Some(Err(EndReason::NetworkLost)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
