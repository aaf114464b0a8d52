//! Inbound calls: chooses who answers, negotiates media, then starts the conversation.

use super::call_leg::CallLeg;
use super::call_webhooks::CallWebhooks;
use super::conversation::{Conversation, run_conversation};
use super::early_media::{play_early_media, reject_early_request};
use super::last_written_call::CallPanicGuard;
use super::{AdmissionError, AdmissionPermit, CallRecord, CallServices, DEFAULT_FORMAT, SharedServices, trunk_calls};
use crate::call::assistant::{self, AssistantDecision, ResolvedAssistant};
use crate::call::machine::CallSpec;
use crate::call::negotiate::{Negotiation, NegotiationError, WebRtcAnswer};
use crate::call::registry::{CallCommand, CallSlot};
use crate::call::trunk_selection::{self, SelectedTrunk as ChosenTrunk};
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::trunk::Trunk;
use crate::store::{InboundRoute, StoreError, now};
use crate::webhooks::event;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::TransportSetup;
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::message::HeaderName;
use trunkline_signaling::sip::user_agent::{IncomingInvite, SipEvent};

/// If the database does not answer in time, the call is refused.
const ROUTE_DEADLINE: Duration = Duration::from_secs(2);
/// The same deadline for a Replaces, while a conversation waits.
const REPLACED_DEADLINE: Duration = Duration::from_millis(500);
/// Document B: the customer's server has five seconds to answer.
const ASSISTANT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the peer has to acknowledge our 200 before the endpoint gives up (64 T1, plus a second).
const CONFIRM_DEADLINE: Duration = Duration::from_secs(33);

/// Handles a call that passed the rate limiter of the user agent.
pub async fn inbound(context: SharedServices, call: IncomingCall) {
    let panic_guard = CallPanicGuard::default();
    panic_guard.clone().run_contained(&context, receive(context.clone(), call, panic_guard)).await;
}

async fn receive(context: SharedServices, call: IncomingCall, panic_guard: CallPanicGuard) {
    let started = Instant::now();
    let IncomingCall { incoming, events } = call;
    let (route, trunk) = match tokio::time::timeout(ROUTE_DEADLINE, route(&context, &incoming)).await {
        Ok(Ok(RoutingResult::Accepted(route, trunk))) => (*route, trunk),
        Ok(Ok(RoutingResult::NoActiveAgent)) => return context.sip.reject(incoming.call, 404, None).await,
        Ok(Ok(RoutingResult::UnknownNumber)) => return context.sip.reject_unknown_number(incoming.call).await,
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot route the call");
            return context.sip.reject(incoming.call, 503, Some(10)).await;
        }
        Err(_) => return context.sip.reject(incoming.call, 503, Some(10)).await,
    };
    let permit = match admit(&context, &route, &trunk).await {
        Ok(permit) => permit,
        Err((status, retry_after_s)) => return context.sip.reject(incoming.call, status, retry_after_s).await,
    };
    let id = CallId::new();
    let span =
        tracing::info_span!("call", call = %id, organization = %route.scope.organization(), direction = "inbound");
    answer(RingingCall { context, route, trunk, id, incoming, events, started, identity: None, panic_guard }, permit)
        .instrument(span)
        .await;
}

/// Admits the call, or returns the SIP status. Refused calls leave no record, so that they cost nothing.
async fn admit(
    context: &CallServices, route: &InboundRoute, trunk: &Trunk,
) -> Result<AdmissionPermit, (u16, Option<u32>)> {
    match tokio::time::timeout(ROUTE_DEADLINE, context.admission.admit(route.scope, Some(trunk))).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(AdmissionError::Denied(denied))) => {
            tracing::debug!(organization = %route.scope.organization(), limit = denied.limit(), "call refused");
            Err((denied.sip_status(), denied.retry_after_s(now())))
        }
        Ok(Err(AdmissionError::Store(error))) => {
            tracing::error!(%error, "cannot read limits");
            Err((503, Some(10)))
        }
        Err(_) => Err((503, Some(10))),
    }
}

/// The result of routing a call.
enum RoutingResult {
    Accepted(Box<InboundRoute>, Arc<Trunk>),
    /// The number has no agent that is switched on.
    NoActiveAgent,
    /// None of the possible trunks has this number.
    UnknownNumber,
}

async fn route(context: &SharedServices, incoming: &IncomingInvite) -> Result<RoutingResult, StoreError> {
    let candidates = context.trunks.states.candidates(&incoming.candidates);
    let (called, source) = (trunk_calls::called_party(incoming), incoming.source.ip());
    let mut readings = trunk_selection::readings(candidates.iter().cloned(), &called, source);
    let mut owners = context.store.number_owners(readings.iter().map(|reading| reading.number.clone())).await?;
    if owners.is_empty() {
        readings = trunk_selection::readings_of_to(candidates, &called, source);
        owners = context.store.number_owners(readings.iter().map(|reading| reading.number.clone())).await?;
    }
    let Some(chosen) = trunk_selection::choose(&readings, &owners) else { return Ok(RoutingResult::UnknownNumber) };
    if chosen.is_contestable {
        let rivals = context.trunks.states.credential_trunks();
        let owners = context.store.number_owners(rivals.numbers(&called)).await?;
        if rivals.contest(&chosen, &called, &owners) {
            return Ok(RoutingResult::UnknownNumber);
        }
    }
    let ChosenTrunk { trunk, owner, .. } = chosen;
    Ok(match context.store.route(&owner, trunk.id).await? {
        Some(route) => {
            context.sip.assign_trunk(incoming.call, trunk.id.to_string().into()).await;
            RoutingResult::Accepted(Box::new(route), trunk)
        }
        None => RoutingResult::NoActiveAgent,
    })
}

/// Whether a Replaces call has dialled a number of another organization than `own`: carriers shared by several
/// organizations could otherwise move calls between them. True when this cannot be checked in time.
pub(super) async fn calls_other_organization(
    context: &SharedServices, incoming: &IncomingInvite, own: OrganizationId,
) -> bool {
    let candidates = context.trunks.states.candidates(&incoming.candidates);
    let readings = trunk_selection::readings(candidates, &trunk_calls::called_party(incoming), incoming.source.ip());
    let owners = context.store.number_owners(readings.iter().map(|reading| reading.number.clone()));
    match tokio::time::timeout(REPLACED_DEADLINE, owners).await {
        Ok(Ok(owners)) => !owners.is_empty() && owners.values().all(|owner| owner.organization != own),
        _ => true,
    }
}

/// An inbound call with a known number, not answered yet.
struct RingingCall {
    context: SharedServices,
    route: InboundRoute,
    trunk: Arc<Trunk>,
    id: CallId,
    incoming: IncomingInvite,
    events: mpsc::Receiver<SipEvent>,
    started: Instant,
    panic_guard: CallPanicGuard,
    /// Facts of its Identity header.
    identity: Option<Map<String, Value>>,
}

/// The call setup after it was decided who answers.
struct InboundSetup {
    spec: CallSpec,
    record: CallRecord,
    slot: CallSlot,
}

async fn answer(mut ringing: RingingCall, permit: AdmissionPermit) {
    let (context, sip_call) = (ringing.context.clone(), ringing.incoming.call);
    let scope = ringing.route.scope;
    let Ok(ports) = context.media.ports.take() else {
        tracing::error!("no free RTP port");
        return context.sip.reject(sip_call, 503, Some(5)).await;
    };
    let described = match answer_offer(&context, &ringing, ports) {
        Ok(described) => described,
        Err(refusal) => {
            tracing::info!(reason = refusal.reason, status = refusal.sip_status, "offer refused");
            return context.sip.reject(sip_call, refusal.sip_status, None).await;
        }
    };
    let LocalDescription { mut negotiation, stream, sdp, wire } = described;
    match verify_identity(&context, &ringing).await {
        Ok(facts) => ringing.identity = facts,
        Err(status) => return context.sip.reject(sip_call, status, None).await,
    }
    let Some(InboundSetup { spec, mut record, mut slot }) = choose_agent(&mut ringing, permit).await else { return };
    let context = CallServices::of_organization(&context, scope).await;
    context.open_connections(&spec);
    let mut wire = Some(wire);
    let wanted = spec.agent.ringing.clone().zip(stream);
    let early = match wanted.and_then(|wanted| Some((wanted, wire.take()?))) {
        Some(((before, stream), wire)) => {
            context.sip.send_provisional(sip_call, 183, Some(sdp.clone())).await;
            let media = context.start_leg(&spec, &record, stream, wire, true);
            match play_early_media(&context, &before, &spec, media, &mut ringing.events, &mut slot).await {
                Ok(media) => Some(media),
                Err(reason) => {
                    context.sip.reject(sip_call, 480, None).await; // no effect if the caller has hung up
                    return record.record_ended(reason).await;
                }
            }
        }
        None => None,
    };
    let speech = context.start_speech_backend(&spec, stream.map_or(DEFAULT_FORMAT, |stream| stream.audio_format()));
    context.sip.answer(sip_call, sdp).await;
    metrics::histogram!("trunkline_setup_seconds").record(ringing.started.elapsed().as_secs_f64());
    metrics::counter!("trunkline_calls_started_total", "direction" => "inbound").increment(1);
    let confirmed = match wait_for_ack(&ringing.context.sip, &mut ringing.events).await {
        Ok(sdp) => sdp,
        Err(reason) => {
            context.sip.hang_up(sip_call).await;
            return record.record_ended(reason).await;
        }
    };
    let stream = match (stream, confirmed) {
        (Some(stream), _) => Some(stream),
        (None, Some(answer)) => negotiation.accept(&answer).ok(),
        (None, None) => None,
    };
    let media = match (early, stream, wire) {
        (Some(media), ..) => media.leg.start_call(media.recording.is_some()).is_ok().then_some(media),
        (None, Some(stream), Some(wire)) => context.start_leg(&spec, &record, stream, wire, false),
        _ => None,
    };
    let Some(media) = media else {
        context.sip.hang_up(sip_call).await;
        return record.record_ended(EndReason::TrunkError).await;
    };
    tracing::info!("call answered");
    let sip_events = ringing.events;
    let line = CallLeg::sip(sip_call, sip_events, negotiation);
    run_conversation(Conversation { context, spec, record, slot, leg: line, media }, speech, None).await;
}

/// The negotiated media and what will carry it.
struct LocalDescription {
    negotiation: Negotiation,
    /// None until the caller's answer arrives.
    stream: Option<StreamConfig>,
    sdp: Vec<u8>,
    wire: TransportSetup,
}

fn answer_offer(
    context: &CallServices, ringing: &RingingCall, ports: PortPair,
) -> Result<LocalDescription, NegotiationError> {
    let media = ringing.trunk.fields.media();
    let addr = context.media.addr_for(ringing.incoming.source.ip());
    let fingerprint = context.media.workers.fingerprint();
    let mut negotiation = Negotiation::new(addr, ports.port(), &media, fingerprint, ringing.incoming.call.0);
    negotiation.set_signalling(ringing.incoming.source.ip());
    let Some(offer) = &ringing.incoming.sdp else {
        // Delayed offer: our offer goes out with the 200, the answer comes with the ACK.
        let sdp = negotiation.offer();
        return Ok(LocalDescription { negotiation, stream: None, sdp, wire: TransportSetup::Rtp(ports) });
    };
    if let Some(answered) = negotiation.answer_webrtc(Instant::now(), offer, context.media.workers.host_candidates()) {
        let WebRtcAnswer { peer, stream, sdp } = answered?;
        return Ok(LocalDescription {
            negotiation,
            stream: Some(stream),
            sdp,
            wire: TransportSetup::WebRtcInSipDialog(peer),
        });
    }
    let (stream, sdp) = negotiation.answer(offer)?;
    Ok(LocalDescription { negotiation, stream: Some(stream), sdp, wire: TransportSetup::Rtp(ports) })
}

/// Facts of the caller's Identity header, or the status the call is refused with if the trunk requires an attestation.
async fn verify_identity(context: &CallServices, ringing: &RingingCall) -> Result<Option<Map<String, Value>>, u16> {
    let RingingCall { trunk, incoming, .. } = ringing;
    let required = trunk.fields.require_attestation;
    let Some(header) = incoming.headers.get(&HeaderName::Identity) else {
        return if required.is_some() { Err(428) } else { Ok(None) };
    };
    // Fetching the certificate may be slow: that must not count as an overload signal.
    context.sip.mark_attended(incoming.call).await;
    let from = trunk_calls::calling_party(trunk, incoming);
    let found = context.identities.identify(header, &from, ringing.route.number.number.as_str(), now()).await;
    if let Some(required) = required {
        match found.verified {
            Some(Ok(())) if found.attestation >= Some(required) => {}
            Some(Ok(())) => return Err(403),
            Some(Err(problem)) => {
                tracing::info!(reason = problem.reason, "Identity header not verified");
                return Err(problem.sip_status);
            }
            None => {
                tracing::error!("the trunk requires verified Identity headers, but sip.stir.roots is not set");
                return Err(503);
            }
        }
    }
    Ok(Some(found.facts()))
}

/// Records the end of a call that no agent answers.
async fn record_unanswered(ringing: &RingingCall, call: Call, slot: &CallSlot, reason: EndReason) {
    let (context, hooks) = (&ringing.context, CallWebhooks::default());
    let mut record = CallRecord::new(context, ringing.route.scope, call, hooks, slot, &ringing.panic_guard).await;
    record.record_ended(reason).await;
}

/// Chooses the agent: the number's, or the one that the customer's server names. `None` without an agent; the caller
/// was refused.
async fn choose_agent(ringing: &mut RingingCall, permit: AdmissionPermit) -> Option<InboundSetup> {
    let RingingCall { context, route, id, incoming, .. } = &*ringing;
    let mut call = Call::begun(*id, route.scope.organization(), Direction::Inbound, now());
    call.from_number = trunk_calls::calling_party(&ringing.trunk, incoming);
    call.to_number = route.number.number.to_string();
    let mut facts = trunk_calls::header_facts(&incoming.headers);
    facts.extend(ringing.identity.clone().map(|identity| ("identity".to_owned(), Value::Object(identity))));
    call.signalling = (!facts.is_empty()).then_some(Value::Object(facts));
    call.sip_call_id = Some(incoming.sip_call_id.clone());
    call.trunk = Some(route.trunk);
    let mut slot = context.registry.register(route.scope, *id, None, permit);
    let saved = route.agent.clone();
    let hooks = match &saved {
        Some(agent) => CallWebhooks::new(Some(agent.id), &agent.fields),
        None => CallWebhooks::of_number(&route.number),
    };
    let mut resolved = saved.as_ref().map(ResolvedAssistant::saved);
    if let Some(target) = hooks.target(event::ASSISTANT_REQUEST) {
        match request_assistant(ringing, &mut slot, &call, &hooks, target).await {
            Ok(decided) => resolved = decided.or(resolved),
            Err(InboundNotAnsweredError { reason, sip_status, note }) => {
                call.agent = saved.as_ref().map(|agent| agent.id);
                call.metrics = note.map(|note| json!({"assistant_request": {"rejected": note}}));
                if let Some(status) = sip_status {
                    ringing.context.sip.reject(ringing.incoming.call, status, None).await;
                }
                record_unanswered(ringing, call, &slot, reason).await;
                return None;
            }
        }
    }
    let Some(mut resolved) = resolved else {
        tracing::warn!("call refused: the number has no agent and its webhook named none");
        ringing.context.sip.reject(ringing.incoming.call, 480, None).await;
        record_unanswered(ringing, call, &slot, EndReason::Rejected).await;
        return None;
    };
    if !resolved.faults.is_empty() {
        tracing::warn!(faults = resolved.faults.len(), "parts of the assistant configuration were ignored");
        call.metrics = Some(json!({"assistant_request": {"faults": resolved.faults}}));
    }
    if resolved.fields.webhook_url.is_none() {
        resolved.fields.webhook_url.clone_from(&hooks.url);
    }
    call.agent = resolved.agent;
    call.metadata = resolved.fields.metadata.clone().map(Value::Object);
    call.assistant = Some(event::assistant(resolved.agent, &resolved.fields, &resolved.added));
    let hooks = hooks.for_call(resolved.agent, &resolved.fields);
    let left_out = ringing.context.schemas.remove_oversized(ringing.route.scope, &mut resolved.fields).await;
    let mut record =
        CallRecord::new(&ringing.context, ringing.route.scope, call, hooks, &slot, &ringing.panic_guard).await;
    record.set_metric("schemas", left_out);
    Some(InboundSetup { spec: CallSpec { agent: resolved.fields, task: None, is_web: false }, record, slot })
}

/// The call was refused, or the caller hung up, before the answer.
struct InboundNotAnsweredError {
    reason: EndReason,
    /// SIP status for the caller; none when the caller has hung up.
    sip_status: Option<u16>,
    note: Option<String>,
}

/// Asks the customer's server while the caller hears ringing and may hang up. `None` means the saved agent.
async fn request_assistant(
    ringing: &mut RingingCall, slot: &mut CallSlot, call: &Call, hooks: &CallWebhooks, target: String,
) -> Result<Option<ResolvedAssistant>, InboundNotAnsweredError> {
    let context = ringing.context.clone();
    context.sip.send_provisional(ringing.incoming.call, 180, None).await;
    let saved = ringing.route.agent.clone();
    let mut asked = call.clone();
    asked.agent = saved.as_ref().map(|agent| agent.id);
    asked.assistant = saved.as_ref().map(|agent| event::assistant(Some(agent.id), &agent.fields, &Map::new()));
    let body = |id| event::assistant_request(id, &asked, now());
    let question = context.ask_customer(hooks, &asked, event::ASSISTANT_REQUEST, target, body, ASSISTANT_DEADLINE);
    let gone = |reason| InboundNotAnsweredError { reason, sip_status: None, note: None };
    let answer = tokio::select! {
        answer = question => answer,
        () = wait_for_cancel(&context.sip, &mut ringing.events) => return Err(gone(EndReason::Canceled)),
        Some(CallCommand::End(reason)) = slot.commands.recv() => {
            return Err(InboundNotAnsweredError { reason, sip_status: Some(480), note: None });
        }
    };
    let decision = match &answer {
        Ok(body) => assistant::decide(body),
        Err(failure) => AssistantDecision::Saved(Some(failure.to_string())),
    };
    // Validate the agent part on a blocking thread: it may take milliseconds.
    let scope = ringing.route.scope;
    let guarded = context.address_checks();
    let checked = async |check: Box<dyn FnOnce() -> ResolvedAssistant + Send>| match context
        .schemas
        .of_call(scope, check)
        .await
    {
        Ok(resolved) => Some(resolved),
        Err(busy) => {
            tracing::warn!(error = %busy, "assistant-request failed, the saved agent answers");
            None
        }
    };
    match decision {
        AssistantDecision::Saved(fault) => {
            if let Some(why) = fault {
                tracing::warn!(reason = why, "assistant-request failed, the saved agent answers");
            }
            Ok(None)
        }
        AssistantDecision::Transient(fields) => {
            let judge = move || assistant::transient(fields, saved.as_ref(), &|named| guarded.check(named));
            Ok(checked(Box::new(judge)).await)
        }
        AssistantDecision::Hybrid { agent, changes } => match context.store.agent(scope, agent).await {
            Ok(Some(agent)) => {
                let judge = move || assistant::hybrid(&agent, changes, &|named| guarded.check(named));
                Ok(checked(Box::new(judge)).await)
            }
            _ => {
                tracing::warn!("assistant_id is unknown in this organization; the saved agent answers");
                Ok(None)
            }
        },
        AssistantDecision::Reject { reason, sip_status } => Err(InboundNotAnsweredError {
            reason: EndReason::Rejected,
            sip_status: Some(sip_status),
            note: Some(reason),
        }),
    }
}

/// Returns when the caller cancels.
async fn wait_for_cancel(sip: &SipHandle, events: &mut mpsc::Receiver<SipEvent>) {
    loop {
        match events.recv().await {
            Some(SipEvent::Ended { .. }) | None => return,
            Some(event) => reject_early_request(sip, event).await,
        }
    }
}

/// Waits for the ACK; its body when there is one.
async fn wait_for_ack(sip: &SipHandle, events: &mut mpsc::Receiver<SipEvent>) -> Result<Option<Vec<u8>>, EndReason> {
    let until = tokio::time::Instant::now() + CONFIRM_DEADLINE;
    loop {
        match tokio::time::timeout_at(until, events.recv()).await {
            Ok(Some(SipEvent::Acknowledged { sdp, .. })) => return Ok(sdp),
            Ok(Some(SipEvent::Ended { cause, .. })) => {
                use trunkline_signaling::sip::end_cause::EndCause;
                return Err(match cause {
                    EndCause::RemoteCancel { .. } => EndReason::Canceled,
                    EndCause::RemoteBye { .. } => EndReason::CustomerHungUp,
                    EndCause::InternalError => EndReason::ServerCrash,
                    _ => EndReason::NetworkLost,
                });
            }
            Ok(Some(event)) => reject_early_request(sip, event).await,
            Ok(None) | Err(_) => return Err(EndReason::NetworkLost),
        }
    }
}
