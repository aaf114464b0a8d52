//! Offers of browsers on their way to calls, and what browsers may do: counts of addresses, tokens and ICE sessions.

use super::concurrency::{ConcurrencyLimit, ConcurrencyLimiter};
use crate::call::admission::LimitExceededError;
use crate::domain::ids::CallId;
use crate::domain::quota::Quotas;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use trunkline_media::transport::webrtc::IceCredentials;

/// Calls that wait for their browsers in all: each holds one of the server's calls.
const WAITING_MAX: usize = 1_000;

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

/// Calls from browsers.
#[derive(Clone, Debug)]
pub struct WebCallService {
    /// Counts of web calls per address and per token, and their ICE sessions.
    pub counts: WebCalls,
    /// Limits of calls from browsers.
    pub limits: WebCallLimits,
    /// Calls that wait for their browsers.
    pub waiting: ConcurrencyLimiter,
}

impl WebCallService {
    /// Returns a service without a call; `web_calls_waiting` of the quotas limits one organization's waiting calls.
    pub fn build(limits: WebCallLimits, quotas: &Quotas) -> Self {
        let of_one = quotas.web_calls_waiting as usize;
        let waiting = ConcurrencyLimit { limit: "web_calls_waiting", of_one, in_all: WAITING_MAX };
        Self { counts: WebCalls::default(), limits, waiting: ConcurrencyLimiter::new(waiting) }
    }
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

/// A browser's offer on its way to its call.
#[derive(Debug)]
pub struct WebOffer {
    pub(super) sdp: String,
    pub(super) slot: AddressPermit,
    pub(super) reply: oneshot::Sender<Result<WebAnswer, WebCallError>>,
}

/// The answer to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAnswer {
    /// Id of the call that took the offer.
    pub call: CallId,
    /// The SDP answer.
    pub sdp: String,
    /// Names the ICE session.
    pub ice_session: String,
}

/// A browser restarts ICE.
#[derive(Debug)]
pub struct IceRestart {
    pub(super) theirs: IceCredentials,
    pub(super) reply: oneshot::Sender<IceCredentials>,
}

/// Counters over all web calls of this process.
#[derive(Clone, Debug, Default)]
pub struct WebCalls(Arc<Mutex<WebCallCounts>>);

#[derive(Debug, Default)]
struct WebCallCounts {
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

/// One call of an address; released with the call.
#[derive(Debug)]
pub(super) struct AddressPermit {
    address: IpAddr,
    calls: WebCalls,
}

impl WebCalls {
    fn lock(&self) -> MutexGuard<'_, WebCallCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call of an address; `None` when it has `max`.
    pub(super) fn take(&self, address: IpAddr, max: usize) -> Option<AddressPermit> {
        let mut counted = self.lock();
        let count = counted.addresses.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(AddressPermit { address, calls: self.clone() })
    }

    /// The index of this call among the token's calls, from zero; `None` when the maximum is reached.
    pub(super) fn use_token(&self, token: CallId, max: usize, valid: Duration) -> Option<usize> {
        let mut counted = self.lock();
        let WebCallCounts { tokens, ice_sessions, .. } = &mut *counted;
        let now = Instant::now();
        // Too old to start a call, and all its calls have ended.
        tokens.retain(|_, used| {
            now.duration_since(used.since) < valid * 2 || used.calls.iter().any(|call| ice_sessions.contains_key(call))
        });
        let used = tokens.entry(token).or_insert(TokenUse { since: now, count: 0, calls: Vec::new() });
        let this = used.count;
        (this < max).then(|| {
            used.count += 1;
            this
        })
    }

    /// An offer that made no call does not count.
    pub(super) fn release_token_use(&self, token: CallId) {
        if let Some(used) = self.lock().tokens.get_mut(&token) {
            used.count = used.count.saturating_sub(1);
        }
    }

    /// A call answered its offer.
    pub(super) fn record_call_started(&self, token: CallId, answer: &WebAnswer) {
        let mut counted = self.lock();
        counted.ice_sessions.insert(answer.call, answer.ice_session.clone());
        if let Some(used) = counted.tokens.get_mut(&token) {
            used.calls.push(answer.call);
        }
    }

    /// ICE was restarted: PATCH names this session from now on.
    pub(super) fn record_ice_session(&self, call: CallId, ice_session: String) {
        self.lock().ice_sessions.insert(call, ice_session);
    }

    /// The call is over: no more PATCH.
    pub fn forget(&self, call: CallId) {
        self.lock().ice_sessions.remove(&call);
    }

    /// Whether a call is the token's, or was begun with it.
    pub fn owns(&self, token: CallId, call: CallId) -> bool {
        token == call || self.lock().tokens.get(&token).is_some_and(|used| used.calls.contains(&call))
    }

    /// The ICE session of a call, while it goes on.
    pub fn ice_session(&self, call: CallId) -> Option<String> {
        self.lock().ice_sessions.get(&call).cloned()
    }
}

/// Decrements; removes the entry at zero.
fn count_down<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        count_down(&mut self.calls.lock().addresses, &self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_tokens_have_their_limits() {
        let calls = WebCalls::default();
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = calls.take(here, 2).unwrap();
        let _second = calls.take(here, 2).unwrap();
        assert!(calls.take(here, 2).is_none() && calls.take(there, 2).is_some());
        drop(first);
        assert!(calls.take(here, 2).is_some());
        let token = CallId::new();
        let valid = Duration::from_secs(60);
        assert_eq!(calls.use_token(token, 2, valid), Some(0));
        calls.release_token_use(token);
        assert_eq!([0, 1, 2].map(|_| calls.use_token(token, 2, valid)), [Some(0), Some(1), None]);
        assert_eq!(calls.use_token(CallId::new(), 2, valid), Some(0));
        let (call, stranger) = (CallId::new(), CallId::new());
        calls.record_call_started(token, &WebAnswer { call, sdp: String::new(), ice_session: "abcd".into() });
        assert!(calls.owns(token, token) && calls.owns(token, call) && !calls.owns(token, stranger));
        assert_eq!(calls.ice_session(call).as_deref(), Some("abcd"));
        calls.forget(call);
        assert_eq!(calls.ice_session(call), None);
    }
}
