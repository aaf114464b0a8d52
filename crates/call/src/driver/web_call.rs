//! Calls from browsers: created through the API, waiting for the page's offer, then handled like any other call.

use super::call_leg::CallLeg;
use super::conversation::{Conversation, EstablishedCall, run_conversation};
use super::last_written_call::CallPanicGuard;
use super::web_commands::handle_command;
use super::web_offers::{IceRestart, WebAnswer, WebCallError, WebOffer};
use super::{
    AdmissionError, AdmissionPermit, CallMedia, CallRecord, CallServices, ConcurrencyPermit, SharedServices,
    provider_candidates,
};
use crate::agent_switch::chat_fields;
use crate::call_webhooks::CallWebhooks;
use crate::domain::agent::Agent;
use crate::domain::agent_texts::fixed_texts;
use crate::domain::call::{Call, Direction};
use crate::domain::call_facts::day_at;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::task::TaskFields;
use crate::machine::CallSpec;
use crate::personalize::{self, personalize};
use crate::registry::{CallCommand, CallSlot};
use crate::store::{OrgScope, StoreError, now};
use crate::supervision;
use crate::web_quota::{self, AfterOffer, CallOfOffer, after_offer, check_web_call, end_reason_before_answer};
use crate::webhooks::event;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::Instrument as _;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::io::worker::TransportSetup;
use trunkline_media::transport::webrtc::{AnsweredOffer, IceCredentials, WebRtcPeer};

/// How long writing the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);
/// How long an answer to an offer, or to a restart, may take: it is made in a millisecond.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Codecs in order of preference.
const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw), Codec::G711(Companding::ALaw)];

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
    let has_room = context.registry.count() < context.admission.calls_max && !context.supervisor.is_stopping();
    check_web_call(context.media.workers.host_candidates().is_some(), agent.fields.is_active, has_room)?;
    let lineage = context.store.lineage(scope).await.map_err(unreadable)?;
    let waiting = context.web_calls.waiting.take(&lineage).map_err(|_| WebCallError::TooManyWaiting)?;
    let permit = admitted(context, scope).await?;
    let context = CallServices::of_organization(context, scope).await;
    if let Some(missing) = provider_candidates::missing_provider(&context.providers, &agent.fields) {
        return Err(WebCallError::ProviderMissing(missing));
    }
    let begun = begin(context, scope, agent, order, Direction::Web, permit).await;
    let (id, span) = (begun.record.call.id, begun.span());
    let BegunCall { context, spec, record, slot, panic_guard } = begun;
    let run = async move {
        panic_guard.run_contained(&context.clone(), Box::pin(wait(context, spec, record, slot, waiting))).await
    };
    supervision::spawn("call", run.instrument(span));
    Ok(id)
}

/// Takes a place among the organization's calls.
pub(super) async fn admitted(context: &SharedServices, scope: OrgScope) -> Result<AdmissionPermit, WebCallError> {
    context.admission.admit(scope, None).await.map_err(|error| match error {
        AdmissionError::Denied(denied) => WebCallError::Denied(denied),
        AdmissionError::Store(error) => unreadable(error),
    })
}

/// A call or chat whose row is written.
pub(super) struct BegunCall {
    pub context: SharedServices,
    pub spec: CallSpec,
    pub record: CallRecord,
    pub slot: CallSlot,
    pub panic_guard: CallPanicGuard,
}

impl BegunCall {
    /// Names the call in log lines.
    pub(super) fn span(&self) -> tracing::Span {
        let call = &self.record.call;
        let direction = call.direction.name();
        tracing::info_span!("call", call = %call.id, organization = %call.organization, direction)
    }
}

/// Configures the agent for the call and writes the call's first row. `context` is the organization's.
pub(super) async fn begin(
    context: SharedServices, scope: OrgScope, agent: Agent, order: WebCallParams, direction: Direction,
    permit: AdmissionPermit,
) -> BegunCall {
    let id = CallId::new();
    let slot = context.registry.register(scope, id, None, permit);
    let mut fields = agent.fields.clone();
    fields.metadata = order.metadata.or(fields.metadata);
    if direction == Direction::Chat {
        chat_fields(&mut fields);
    }
    let mut call = Call::begun(id, scope.organization(), direction, now());
    call.agent = Some(agent.id);
    call.from_number = order.caller.unwrap_or_else(|| direction.name().to_owned());
    call.to_number.clone_from(&fields.name);
    call.metadata = fields.metadata.clone().map(Value::Object);
    call.assistant = Some(event::assistant(call.agent, &fields, &Map::new()));
    let hooks = CallWebhooks::new(call.agent, &fields);
    let mut said =
        TaskFields { starting_message: order.first_message, context_data: order.context_data, ..TaskFields::default() };
    let left_out = context.schemas.remove_oversized(scope, &mut fields).await;
    let fixed_texts = fixed_texts(&fields).into();
    let variables = personalize::metric(&personalize(&mut fields, Some(&mut said), &call, now()));
    let today = day_at(fields.time_zone.as_deref(), now());
    let known = personalize::known_values(&fields, Some(&said), &call, now());
    let spec = CallSpec {
        agent_id: call.agent,
        agent: fields,
        task: Some(said),
        fixed_texts,
        known,
        spoken: None,
        is_web: true,
        today,
    };
    let panic_guard = CallPanicGuard::default();
    let mut record = CallRecord::new(&context, scope, call, hooks, &slot, &panic_guard).await;
    record.set_metric("schemas", left_out);
    record.set_metric("templates", variables);
    context.journal.flush(ROW_DEADLINE).await;
    BegunCall { context, spec, record, slot, panic_guard }
}

/// Passes a browser's offer to the call of its token, or to another call with the same agent if the token allows more.
pub async fn connect_web(
    context: &SharedServices, scope: OrgScope, token: CallId, agent: Agent, sdp: String, address: IpAddr,
) -> Result<WebAnswer, WebCallError> {
    let limits = context.web_calls.limits;
    let calls = &context.web_calls.counts;
    let slot = calls.take(address, limits.calls_per_address)?;
    let turn = calls.lock().use_token(token, limits.calls_per_token, limits.token_valid, Instant::now())?;
    let call = match turn {
        CallOfOffer::OfToken => token,
        CallOfOffer::Another => place_web(context, scope, agent, WebCallParams::default()).await?,
    };
    let (reply, answer) = oneshot::channel();
    let offer = CallCommand::Connect(Box::new(WebOffer { sdp, slot, reply }));
    let answer = match context.registry.command(scope, call, offer) {
        true => tokio::time::timeout(ANSWER_DEADLINE, answer).await.ok().and_then(Result::ok),
        false => None,
    };
    let answer = answer.unwrap_or(Err(WebCallError::CallEnded));
    match (after_offer(&answer), &answer) {
        (AfterOffer::Record, Ok(WebAnswer { call, ice_session, .. })) => {
            calls.lock().record_call_started(token, *call, ice_session.clone());
        }
        (AfterOffer::ReleaseToken, _) => calls.lock().release_token_use(token),
        _ => {}
    }
    answer
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
    context.web_calls.counts.lock().record_ice_restart(call, ours.ufrag.clone());
    Some((ours.ufrag, ours.password))
}

/// Waits until the browser is connected.
async fn wait(
    context: SharedServices, spec: CallSpec, mut record: CallRecord, mut slot: CallSlot, waiting: ConcurrencyPermit,
) {
    let until = tokio::time::Instant::now() + context.web_calls.limits.token_valid;
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
    let (id, calls) = (record.call.id, context.web_calls.counts.clone());
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
            let conversation = Conversation { context, spec, record, slot, leg: CallLeg::Web, media };
            Box::pin(run_conversation(EstablishedCall { conversation, speech, early: None })).await;
        }
        Err(reason) => {
            media.leg.remove(None);
            record.record_ended(reason).await;
        }
    }
    calls.forget(id);
    drop(address_permit); // frees the address
}

fn answer(
    context: &SharedServices, spec: &CallSpec, record: &CallRecord, sdp: &str,
) -> Result<(CallMedia, WebAnswer), WebCallError> {
    let reach = context.media.workers.host_candidates().ok_or(WebCallError::Disabled)?;
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
    let until = tokio::time::Instant::now() + context.web_calls.limits.connect;
    loop {
        tokio::select! {
            event = media.events.recv() => {
                if let Some(done) = web_quota::connected(event.as_ref()) {
                    return done;
                }
            }
            command = slot.commands.recv() => match command {
                Some(CallCommand::End(reason)) => return Err(end_reason_before_answer(reason)),
                Some(command) => handle_command(media, command),
                None => return Err(EndReason::ServerShutdown),
            },
            () = tokio::time::sleep_until(until) => return Err(EndReason::NetworkLost),
        }
    }
}
