//! Calls from browsers: created through the API, waiting for the page's offer, then handled like any other call.

use super::call_leg::CallLeg;
use super::call_webhooks::CallWebhooks;
use super::conversation::{Conversation, run_conversation};
use super::panic_recovery::CallPanicGuard;
use super::{AdmissionError, CallMedia, CallRecord, CallServices, ConcurrencyPermit, SharedServices, provider_plan};
use crate::call::admission::LimitExceededError;
use crate::call::machine::CallSpec;
use crate::call::registry::{CallCommand, CallSlot};
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::task::TaskFields;
use crate::store::{OrgScope, StoreError, now};
use crate::supervision;
use crate::webhooks::event;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::io::worker::TransportSetup;
use trunkline_media::leg::LegEvent;
use trunkline_media::transport::webrtc::{AnsweredOffer, IceCredentials, WebRtcPeer};

/// How long writing the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);
/// How long an answer to an offer, or to a restart, may take: it is made in a millisecond.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Codecs in order of preference.
const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw), Codec::G711(Companding::ALaw)];

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

/// Parameters of a web call.
#[derive(Clone, Debug, Default)]
pub struct WebCallParams {
    /// Who calls, as the call shows it.
    pub caller: Option<String>,
    /// Metadata of the call; `None` keeps the agent's.
    pub metadata: Option<Map<String, Value>>,
    /// What the agent should know.
    pub context_data: Option<Map<String, Value>>,
    /// What the agent says first; `None` keeps the agent's first message.
    pub first_message: Option<String>,
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
    sdp: String,
    slot: AddressPermit,
    reply: oneshot::Sender<Result<WebAnswer, WebCallError>>,
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
    theirs: IceCredentials,
    reply: oneshot::Sender<IceCredentials>,
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
struct AddressPermit {
    address: IpAddr,
    calls: WebCalls,
}

impl WebCalls {
    fn lock(&self) -> MutexGuard<'_, WebCallCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, address: IpAddr, max: usize) -> Option<AddressPermit> {
        let mut counted = self.lock();
        let count = counted.addresses.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(AddressPermit { address, calls: self.clone() })
    }

    /// The index of this call among the token's calls, from zero; `None` when the maximum is reached.
    fn use_token(&self, token: CallId, max: usize, valid: Duration) -> Option<usize> {
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
    fn release_token_use(&self, token: CallId) {
        if let Some(used) = self.lock().tokens.get_mut(&token) {
            used.count = used.count.saturating_sub(1);
        }
    }

    fn record_call_started(&self, token: CallId, answer: &WebAnswer) {
        let mut counted = self.lock();
        counted.ice_sessions.insert(answer.call, answer.ice_session.clone());
        if let Some(used) = counted.tokens.get_mut(&token) {
            used.calls.push(answer.call);
        }
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

fn unreadable(error: StoreError) -> WebCallError {
    tracing::error!(%error, "cannot read limits");
    WebCallError::StoreUnavailable
}

/// Creates a call that waits for its browser; its row exists on return. Continues even if the requester disconnects.
pub async fn place_web(
    context: &SharedServices, scope: OrgScope, agent: Agent, order: WebCallParams,
) -> Result<CallId, WebCallError> {
    let own = context.clone();
    let placed = supervision::spawn("call_setup", async move { set_up(&own, scope, agent, order).await }).await;
    placed.ok().and_then(Result::ok).unwrap_or(Err(WebCallError::Internal))
}

async fn set_up(
    context: &SharedServices, scope: OrgScope, agent: Agent, order: WebCallParams,
) -> Result<CallId, WebCallError> {
    if context.workers.host_candidates().is_none() {
        return Err(WebCallError::Disabled);
    }
    if !agent.fields.is_active {
        return Err(WebCallError::AgentInactive);
    }
    if context.registry.count() >= context.limits.calls_max || context.supervisor.is_stopping() {
        return Err(WebCallError::Overloaded);
    }
    let lineage = context.store.lineage(scope).await.map_err(unreadable)?;
    let waiting = context.concurrency.web_waiting.take(&lineage).map_err(|_| WebCallError::TooManyWaiting)?;
    let permit = context.admit(scope, None).await.map_err(|error| match error {
        AdmissionError::Denied(denied) => WebCallError::Denied(denied),
        AdmissionError::Store(error) => unreadable(error),
    })?;
    let context = CallServices::of_organization(context, scope).await;
    if let Some(missing) = provider_plan::missing_provider(&context.providers, &agent.fields) {
        return Err(WebCallError::ProviderMissing(missing));
    }
    let id = CallId::new();
    let slot = context.registry.register(scope, id, None, permit);
    let mut fields = agent.fields.clone();
    fields.metadata = order.metadata.or(fields.metadata);
    let mut call = Call::begun(id, scope.organization(), Direction::Web, now());
    call.agent = Some(agent.id);
    call.from_number = order.caller.unwrap_or_else(|| "web".to_owned());
    call.to_number.clone_from(&fields.name);
    call.metadata = fields.metadata.clone().map(Value::Object);
    call.assistant = Some(event::assistant(call.agent, &fields, &Map::new()));
    let hooks = CallWebhooks::new(call.agent, &fields);
    let said =
        TaskFields { starting_message: order.first_message, context_data: order.context_data, ..TaskFields::default() };
    let left_out = context.remove_oversized_schemas(scope, &mut fields).await;
    let spec = CallSpec { agent: fields, task: Some(said), is_web: true };
    let panic_guard = CallPanicGuard::default();
    let mut record = CallRecord::new(&context, scope, call, hooks, &slot, &panic_guard).await;
    record.set_metric("schemas", left_out);
    context.journal.flush(ROW_DEADLINE).await;
    metrics::counter!("trunkline_calls_started_total", "direction" => "web").increment(1);
    let span = tracing::info_span!("call", call = %id, organization = %scope.organization(), direction = "web");
    let run =
        async move { panic_guard.run_contained(&context.clone(), wait(context, spec, record, slot, waiting)).await };
    supervision::spawn("call", run.instrument(span));
    Ok(id)
}

/// Passes a browser's offer to the call of its token, or to another call with the same agent if the token allows more.
pub async fn connect_web(
    context: &SharedServices, scope: OrgScope, token: CallId, agent: Agent, sdp: String, address: IpAddr,
) -> Result<WebAnswer, WebCallError> {
    let limits = context.limits.web;
    let calls = &context.web_calls;
    let slot = calls.take(address, limits.calls_per_address).ok_or(WebCallError::AddressFull)?;
    let turn = calls.use_token(token, limits.calls_per_token, limits.token_valid).ok_or(WebCallError::TokenUsed)?;
    let call = match turn {
        0 => token,
        _ => place_web(context, scope, agent, WebCallParams::default()).await?,
    };
    let (reply, answer) = oneshot::channel();
    let offer = CallCommand::Connect(Box::new(WebOffer { sdp, slot, reply }));
    let answer = match context.registry.command(scope, call, offer) {
        true => tokio::time::timeout(ANSWER_DEADLINE, answer).await.ok().and_then(Result::ok),
        false => None,
    };
    match answer {
        Some(Err(WebCallError::Offer(why))) => {
            calls.release_token_use(token);
            Err(WebCallError::Offer(why))
        }
        Some(Ok(answer)) => {
            calls.record_call_started(token, &answer);
            Ok(answer)
        }
        Some(Err(fault)) => Err(fault),
        None => Err(WebCallError::CallEnded),
    }
}

/// Candidates that a browser found later. False when there is no such call here.
pub fn add_web_candidates(context: &SharedServices, scope: OrgScope, call: CallId, lines: Vec<String>) -> bool {
    context.registry.command(scope, call, CallCommand::Candidates(lines))
}

/// ICE restart: our new user fragment and password.
pub async fn restart_web(
    context: &SharedServices, scope: OrgScope, call: CallId, ufrag: String, password: SecretString,
) -> Option<(String, SecretString)> {
    let (reply, ours) = oneshot::channel();
    let restart = IceRestart { theirs: IceCredentials { ufrag, password }, reply };
    if !context.registry.command(scope, call, CallCommand::RestartIce(Box::new(restart))) {
        return None;
    }
    let ours = tokio::time::timeout(ANSWER_DEADLINE, ours).await.ok()?.ok()?;
    context.web_calls.lock().ice_sessions.insert(call, ours.ufrag.clone());
    Some((ours.ufrag, ours.password))
}

/// Waits until the browser is connected.
async fn wait(
    context: SharedServices, spec: CallSpec, mut record: CallRecord, mut slot: CallSlot, waiting: ConcurrencyPermit,
) {
    let until = tokio::time::Instant::now() + context.limits.web.token_valid;
    let (started, address_permit, mut media) = loop {
        let offer = match tokio::time::timeout_at(until, slot.commands.recv()).await {
            Err(_) => return record.record_ended(EndReason::NoAnswer).await,
            Ok(None) => return record.record_ended(EndReason::ServerShutdown).await,
            Ok(Some(CallCommand::End(reason))) => return record.record_ended(end_reason_before_answer(reason)).await,
            Ok(Some(CallCommand::Connect(offer))) => offer,
            Ok(Some(_)) => continue,
        };
        let (started, WebOffer { sdp, slot: address_permit, reply }) = (Instant::now(), *offer);
        match answer(&context, &spec, &record, &sdp) {
            Ok((media, answer)) => {
                let _ = reply.send(Ok(answer));
                break (started, address_permit, media);
            }
            Err(fault) => {
                tracing::info!(error = %fault, "offer refused");
                let _ = reply.send(Err(fault));
            }
        }
    };
    drop(waiting);
    let (id, calls) = (record.call.id, context.web_calls.clone());
    context.open_connections(&spec);
    let speech = context.start_speech_backend(&spec, media.audio_format);
    let ready = match connected(&context, &mut media, &mut slot).await {
        Ok(()) => media.leg.start_call(media.recording.is_some()).map_err(|_| EndReason::Overload),
        Err(reason) => Err(reason),
    };
    match ready {
        Ok(()) => {
            metrics::histogram!("trunkline_web_setup_seconds").record(started.elapsed().as_secs_f64());
            tracing::info!("browser connected");
            run_conversation(Conversation { context, spec, record, slot, leg: CallLeg::Web, media }, speech, None)
                .await;
        }
        Err(reason) => {
            media.leg.remove(None);
            record.record_ended(reason).await;
        }
    }
    calls.forget(id);
    drop(address_permit); // frees the address
}

/// A call that ends before it was answered counts as unanswered.
fn end_reason_before_answer(reason: EndReason) -> EndReason {
    match reason {
        EndReason::EndedByApi | EndReason::CustomerHungUp => EndReason::Canceled,
        other => other,
    }
}

fn answer(
    context: &SharedServices, spec: &CallSpec, record: &CallRecord, sdp: &str,
) -> Result<(CallMedia, WebAnswer), WebCallError> {
    let reach = context.workers.host_candidates().ok_or(WebCallError::Disabled)?;
    let refused = |refused: trunkline_media::transport::webrtc::WebRtcError| WebCallError::Offer(refused.0);
    let AnsweredOffer { mut peer, sdp, stream } =
        WebRtcPeer::answer(Instant::now(), sdp, reach, CODECS).map_err(refused)?;
    let ice_session = peer.ufrag();
    let wire = TransportSetup::WebRtcSharedPort(Box::new(peer));
    let media = context.start_leg(spec, record, stream, wire, true).ok_or(WebCallError::Overloaded)?;
    Ok((media, WebAnswer { call: record.call.id, sdp, ice_session }))
}

/// Waits until the path to the browser is open.
async fn connected(context: &SharedServices, media: &mut CallMedia, slot: &mut CallSlot) -> Result<(), EndReason> {
    let until = tokio::time::Instant::now() + context.limits.web.connect;
    loop {
        tokio::select! {
            event = media.events.recv() => match event {
                Some(LegEvent::Connected { .. }) => return Ok(()),
                Some(LegEvent::PeerClosed) => return Err(EndReason::Canceled),
                Some(LegEvent::NetworkLost | LegEvent::InternalError) | None => return Err(EndReason::NetworkLost),
                Some(_) => {}
            },
            command = slot.commands.recv() => match command {
                Some(CallCommand::End(reason)) => return Err(end_reason_before_answer(reason)),
                Some(command) => handle_command(media, command),
                None => return Err(EndReason::ServerShutdown),
            },
            () = tokio::time::sleep_until(until) => return Err(EndReason::NetworkLost),
        }
    }
}

/// Handles a command of a connected browser.
pub(super) fn handle_command(media: &CallMedia, command: CallCommand) {
    match command {
        CallCommand::Candidates(lines) => {
            let _ = media.leg.add_candidates(lines);
        }
        CallCommand::RestartIce(restart) => {
            let IceRestart { theirs, reply } = *restart;
            // A closed leg answers nothing.
            let _ = media.leg.restart_ice(theirs, Box::new(move |ours| drop(reply.send(ours))));
        }
        CallCommand::Connect(offer) => drop(offer.reply.send(Err(WebCallError::TokenUsed))),
        CallCommand::End(_) => {}
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
