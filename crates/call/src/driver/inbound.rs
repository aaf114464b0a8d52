//! Inbound calls: chooses who answers, negotiates media, then starts the conversation.

use super::call_leg::CallLeg;
use super::call_webhooks::CustomerQuestion;
use super::conversation::{Conversation, EstablishedCall, run_conversation};
use super::early_media::{EarlyDialog, EarlyDigits, play_early_media, wait_for_ack, wait_for_cancel};
use super::last_written_call::CallPanicGuard;
use super::{AdmissionError, AdmissionPermit, CallMedia, CallRecord, CallServices, DEFAULT_FORMAT, SharedServices};
use crate::assistant::{self, AssistantDecision, JudgedAnswer, ResolvedAssistant};
use crate::call_webhooks::CallWebhooks;
use crate::domain::agent_texts::fixed_texts;
use crate::domain::call::Call;
use crate::domain::call_facts::day_at;
use crate::domain::collected::CollectedValues;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::trunk::Trunk;
use crate::early_description::EarlyDescription;
use crate::inbound_answer::{
    AttestationError, InboundCallFacts, NotAnsweredError, call_with_saved_agent, check_identity,
    check_missing_identity, configure, read_answer, who_answers,
};
use crate::inbound_route::{self, InboundFacts, Rejection, RoutingStep};
use crate::invite;
use crate::machine::CallSpec;
use crate::negotiate::{Negotiation, NegotiationError, WebRtcAnswer};
use crate::personalize::{self, personalize};
use crate::registry::{CallCommand, CallSlot};
use crate::sip_causes::reason_facts;
use crate::store::{InboundRoute, StoreError, now};
use crate::trunk_selection;
use crate::webhooks::event;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::{LegHandle, TransportSetup};
use trunkline_media::leg::StreamConfig;
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::HeaderName;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, IncomingInvite, SipEvent};

/// If the database does not answer in time, the call is refused.
const ROUTE_DEADLINE: Duration = Duration::from_secs(2);
/// The same deadline for a Replaces, while a conversation waits.
const REPLACED_DEADLINE: Duration = Duration::from_millis(500);
/// Document B: the customer's server has five seconds to answer.
const ASSISTANT_DEADLINE: Duration = Duration::from_secs(5);

/// Handles a call that passed the rate limiter of the user agent.
pub async fn inbound(context: SharedServices, call: IncomingCall) {
    let panic_guard = CallPanicGuard::default();
    panic_guard.clone().run_contained(&context, Box::pin(receive(context.clone(), call, panic_guard))).await;
}

async fn receive(context: SharedServices, call: IncomingCall, panic_guard: CallPanicGuard) {
    let started = Instant::now();
    let IncomingCall { incoming, events } = call;
    let routed = match tokio::time::timeout(ROUTE_DEADLINE, route(&context, &incoming)).await {
        Ok(Ok(routed)) => routed,
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot route the call");
            Err(Rejection::UNAVAILABLE)
        }
        Err(_) => Err(Rejection::UNAVAILABLE),
    };
    let (route, trunk) = match routed {
        Ok(routed) => routed,
        Err(rejection) => return reject(&context.sip, incoming.call, rejection).await,
    };
    let permit = match admit(&context, &route, &trunk).await {
        Ok(permit) => permit,
        Err(rejection) => return reject(&context.sip, incoming.call, rejection).await,
    };
    let id = CallId::new();
    let span =
        tracing::info_span!("call", call = %id, organization = %route.scope.organization(), direction = "inbound");
    let ringing = RingingCall { context, route, trunk, id, incoming, events, started, identity: None, panic_guard };
    // Boxed, so that what only the set-up needs is freed before the conversation.
    if let Some(established) = Box::pin(answer(ringing, permit)).instrument(span.clone()).await {
        Box::pin(run_conversation(established)).instrument(span).await;
    }
}

async fn reject(sip: &SipHandle, call: SipCall, rejection: Rejection) {
    match rejection {
        Rejection::UnknownNumber => sip.reject_unknown_number(call).await,
        Rejection::Status(status, retry_after_s) => sip.reject(call, status, retry_after_s).await,
    }
}

/// Admits the call. Refused calls leave no record, so that they cost nothing.
async fn admit(context: &CallServices, route: &InboundRoute, trunk: &Trunk) -> Result<AdmissionPermit, Rejection> {
    match tokio::time::timeout(ROUTE_DEADLINE, context.admission.admit(route.scope, Some(trunk))).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(AdmissionError::Denied(denied))) => {
            tracing::debug!(organization = %route.scope.organization(), limit = denied.limit(), "call refused");
            Err(Rejection::of_limit(denied, now()))
        }
        Ok(Err(AdmissionError::Store(error))) => {
            tracing::error!(%error, "cannot read limits");
            Err(Rejection::UNAVAILABLE)
        }
        Err(_) => Err(Rejection::UNAVAILABLE),
    }
}

/// Who answers, and over which trunk: carries the questions of `inbound_route` to the store.
async fn route(
    context: &SharedServices, incoming: &IncomingInvite,
) -> Result<Result<(InboundRoute, Arc<Trunk>), Rejection>, StoreError> {
    let mut step = inbound_route::start(InboundFacts {
        candidates: context.trunks.states.candidates(&incoming.candidates),
        called: invite::called_party(incoming),
        source: incoming.source.ip(),
        rivals: context.trunks.states.credential_trunks(),
    });
    let chosen = loop {
        match step {
            RoutingStep::FindOwners(numbers, question) => {
                step = question.answer(&context.store.number_owners(numbers).await?);
            }
            RoutingStep::FindOnlyNumber(trunk, question) => {
                let only = context.store.only_number(&trunk).await?;
                step = question.answer(&only.into_iter().map(|one| (one.fields.number.clone(), one)).collect());
            }
            RoutingStep::Selected(chosen) => break chosen,
            RoutingStep::UnknownNumber => return Ok(Err(Rejection::UnknownNumber)),
        }
    };
    let Some(route) = context.store.route(&chosen.owner, chosen.trunk.id).await? else {
        return Ok(Err(Rejection::NO_ACTIVE_AGENT));
    };
    context.sip.assign_trunk(incoming.call, chosen.trunk.id.to_string().into()).await;
    Ok(Ok((route, chosen.trunk)))
}

/// Whether a Replaces call has dialled a number of another organization than `own`. True when this cannot be checked
/// in time.
pub(super) async fn calls_other_organization(
    context: &SharedServices, incoming: &IncomingInvite, own: OrganizationId,
) -> bool {
    let candidates = context.trunks.states.candidates(&incoming.candidates);
    let readings = trunk_selection::readings(candidates, &invite::called_party(incoming), incoming.source.ip());
    let owners = context.store.number_owners(readings.iter().map(|reading| reading.number.clone()));
    let owners = tokio::time::timeout(REPLACED_DEADLINE, owners).await.ok().and_then(Result::ok);
    inbound_route::calls_other_organization(owners.as_ref(), own)
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

/// Sets a call up; None if it ended before its conversation.
async fn answer(mut ringing: RingingCall, permit: AdmissionPermit) -> Option<EstablishedCall> {
    let (context, sip_call) = (ringing.context.clone(), ringing.incoming.call);
    let Ok(ports) = context.media.ports.take() else {
        tracing::error!("no free RTP port");
        reject(&context.sip, sip_call, Rejection::NO_PORT).await;
        return None;
    };
    if let Some(offer) = ringing.incoming.sdp.take() {
        let source = ringing.incoming.source.ip();
        ringing.incoming.sdp = Some(context.sip.resolve_description(offer, Some(source)).await);
    }
    let described = match answer_offer(&context, &ringing, ports) {
        Ok(described) => described,
        Err(refusal) => {
            tracing::info!(reason = refusal.reason, status = refusal.sip_status, "offer refused");
            context.sip.reject(sip_call, refusal.sip_status, None).await;
            return None;
        }
    };
    match verify_identity(&context, &ringing).await {
        Ok(facts) => ringing.identity = facts,
        Err(refused) => {
            context.sip.reject(sip_call, refused.sip_status(), None).await;
            return None;
        }
    }
    let setup = choose_agent(&mut ringing, permit).await?;
    connect(ringing, setup, described).await
}

/// What carries the media of a call that is being answered.
enum AnswerMedia {
    /// Nothing has started.
    Waiting(TransportSetup),
    /// The leg has played ringing and announcements.
    Ringing(CallMedia),
}

impl AnswerMedia {
    fn leg(&self) -> Option<&LegHandle> {
        match self {
            Self::Waiting(_) => None,
            Self::Ringing(media) => Some(&media.leg),
        }
    }

    /// The media of the answered call; `None` if there is no leg for them.
    fn answered(
        self, context: &CallServices, spec: &CallSpec, record: &CallRecord, stream: StreamConfig,
    ) -> Option<CallMedia> {
        match self {
            Self::Ringing(media) => media.leg.start_call(media.recording.is_some()).is_ok().then_some(media),
            Self::Waiting(wire) => context.start_leg(spec, record, stream, wire, false),
        }
    }
}

/// Answers with the agent that was chosen.
async fn connect(
    mut ringing: RingingCall, setup: InboundSetup, described: LocalDescription,
) -> Option<EstablishedCall> {
    let InboundSetup { spec, mut record, mut slot } = setup;
    let LocalDescription { mut description, wire } = described;
    let sip_call = ringing.incoming.call;
    let context = CallServices::of_organization(&ringing.context, ringing.route.scope).await;
    context.open_connections(&spec);
    let mut digits = EarlyDigits::default();
    // Without the caller's offer there is no path for ringing.
    let prepared = match spec.agent.ringing.clone().zip(description.stream) {
        Some((before, stream)) => {
            context.sip.send_provisional(sip_call, 183, Some(description.sdp.clone())).await;
            let media = context.start_leg(&spec, &record, stream, wire, true);
            let (events, digits, description) = (&mut ringing.events, &mut digits, &mut description);
            let early = EarlyDialog { events, digits, description };
            match play_early_media(&context, &before, &spec, media, early, &mut slot).await {
                Ok(media) => AnswerMedia::Ringing(media),
                Err(reason) => {
                    context.sip.reject(sip_call, 480, None).await; // no effect if the caller has hung up
                    record.record_ended(reason).await;
                    return None;
                }
            }
        }
        None => AnswerMedia::Waiting(wire),
    };
    let format = description.stream.map_or(DEFAULT_FORMAT, |stream| stream.audio_format());
    let speech = context.start_speech_backend(&spec, format);
    context.sip.answer(sip_call, description.sdp.clone()).await;
    metrics::histogram!("trunkline_setup_seconds").record(ringing.started.elapsed().as_secs_f64());
    let media = (&mut description, prepared.leg());
    let confirmed = match wait_for_ack(&context.sip, &mut ringing.events, &mut digits, media).await {
        Ok(Some(answer)) => {
            let source = ringing.incoming.source.ip();
            Some(context.sip.resolve_description(answer, Some(source)).await)
        }
        Ok(None) => None,
        Err(reason) => {
            context.sip.hang_up(sip_call).await;
            record.record_ended(reason).await;
            return None;
        }
    };
    // Delayed offer: the caller's answer came with the ACK.
    let EarlyDescription { mut negotiation, stream, .. } = description;
    let Some(stream) = stream.or_else(|| negotiation.accept(&confirmed?).ok()) else {
        return end_without_media(&context, sip_call, record).await;
    };
    let Some(media) = prepared.answered(&context, &spec, &record, stream) else {
        context.sip.hang_up(sip_call).await;
        record.record_ended(EndReason::TrunkError).await;
        return None;
    };
    tracing::info!("call answered");
    let leg = CallLeg::sip(sip_call, ringing.events, negotiation, digits);
    let conversation = Conversation { context, spec, record, slot, leg, media };
    Some(EstablishedCall { conversation, speech, early: None })
}

/// The ACK had no answer to our offer, or one that cannot be used.
async fn end_without_media(context: &CallServices, call: SipCall, mut record: CallRecord) -> Option<EstablishedCall> {
    context.sip.hang_up_without_media(call).await;
    record.add_signalling_facts(reason_facts(&EndCause::UnusableMedia));
    record.record_ended(EndReason::TrunkError).await;
    None
}

/// The negotiated media and what will carry it.
struct LocalDescription {
    description: EarlyDescription,
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
        let description = EarlyDescription { negotiation, stream: None, sdp };
        return Ok(LocalDescription { description, wire: TransportSetup::Rtp(ports) });
    };
    if let Some(answered) = negotiation.answer_webrtc(Instant::now(), offer, context.media.workers.host_candidates()) {
        let WebRtcAnswer { peer, stream, sdp } = answered;
        let description = EarlyDescription { negotiation, stream: Some(stream), sdp };
        return Ok(LocalDescription { description, wire: TransportSetup::WebRtcInSipDialog(peer) });
    }
    let (stream, sdp) = negotiation.answer(offer)?;
    let description = EarlyDescription { negotiation, stream: Some(stream), sdp };
    Ok(LocalDescription { description, wire: TransportSetup::Rtp(ports) })
}

/// Facts of the caller's Identity header, if what it says is enough for the trunk.
async fn verify_identity(
    context: &CallServices, ringing: &RingingCall,
) -> Result<Option<Map<String, Value>>, AttestationError> {
    let RingingCall { trunk, incoming, .. } = ringing;
    let required = trunk.fields.require_attestation;
    let Some(header) = incoming.headers.get(&HeaderName::Identity) else {
        return check_missing_identity(required).map(|()| None);
    };
    // Fetching the certificate may be slow: that must not count as an overload signal.
    context.sip.mark_attended(incoming.call).await;
    let from = invite::calling_party(&trunk.fields, incoming);
    let found = context.identities.identify(header, &from, ringing.route.number.number.as_str(), now()).await;
    let checked = check_identity(required, found.attestation, found.verified);
    match checked {
        Err(AttestationError::NotVerified(problem)) => {
            tracing::info!(reason = problem.reason, "Identity header not verified");
        }
        Err(AttestationError::NotChecked) => {
            tracing::error!("the trunk requires verified Identity headers, but sip.stir.roots is not set");
        }
        Ok(()) | Err(AttestationError::Missing | AttestationError::TooWeak) => {}
    }
    checked.map(|()| Some(found.facts()))
}

/// Tells the caller and records the end of a call that no agent answers.
async fn refuse(ringing: &RingingCall, mut call: Call, slot: &CallSlot, error: NotAnsweredError) {
    let context = &ringing.context;
    error.note_in(&mut call, ringing.route.agent.as_ref());
    if let Some(status) = error.sip_status() {
        context.sip.reject(ringing.incoming.call, status, None).await;
    }
    let hooks = CallWebhooks::default();
    let mut record = CallRecord::new(context, ringing.route.scope, call, hooks, slot, &ringing.panic_guard).await;
    context.sip_logs.add_leg(ringing.id, ringing.incoming.call);
    record.record_ended(error.end_reason()).await;
}

fn first_row(ringing: &RingingCall) -> Call {
    let RingingCall { route, trunk, id, incoming, identity, .. } = ringing;
    let facts = InboundCallFacts {
        id: *id,
        organization: route.scope.organization(),
        trunk: route.trunk,
        from_number: invite::calling_party(&trunk.fields, incoming),
        to_number: route.number.number.to_string(),
        sip_call_id: incoming.sip_call_id.clone(),
        headers: invite::header_facts(&incoming.headers),
        identity: identity.clone(),
    };
    facts.into_call(now())
}

/// Chooses the agent: the number's, or the one that the customer's server names. `None` without an agent; the caller
/// was refused.
async fn choose_agent(ringing: &mut RingingCall, permit: AdmissionPermit) -> Option<InboundSetup> {
    let mut call = first_row(ringing);
    let RingingCall { context, route, id, .. } = &*ringing;
    let mut slot = context.registry.register(route.scope, *id, None, permit);
    let hooks = match &route.agent {
        Some(agent) => CallWebhooks::new(Some(agent.id), &agent.fields),
        None => CallWebhooks::of_number(&route.number),
    };
    let named = match hooks.target(event::ASSISTANT_REQUEST) {
        Some(target) => request_assistant(ringing, &mut slot, &call, &hooks, target).await,
        None => Ok((None, Vec::new())),
    };
    let saved = ringing.route.agent.as_ref();
    let mut resolved = match named.and_then(|(named, faults)| who_answers(named, saved, faults)) {
        Ok(resolved) => resolved,
        Err(error) => {
            if matches!(error, NotAnsweredError::NoAgent(_)) {
                tracing::warn!("call refused: the number has no agent and its webhook named none");
            }
            refuse(ringing, call, &slot, error).await;
            return None;
        }
    };
    if !resolved.faults.is_empty() {
        tracing::warn!(faults = resolved.faults.len(), "parts of the assistant configuration were ignored");
    }
    configure(&mut call, &mut resolved, hooks.url.as_ref());
    let hooks = hooks.for_call(resolved.agent, &resolved.fields);
    let left_out = ringing.context.schemas.remove_oversized(ringing.route.scope, &mut resolved.fields).await;
    let variables = personalize::metric(&personalize(&mut resolved.fields, None, &call, now()));
    let known = personalize::known_values(&resolved.fields, None, &call, now());
    let mut record =
        CallRecord::new(&ringing.context, ringing.route.scope, call, hooks, &slot, &ringing.panic_guard).await;
    ringing.context.sip_logs.add_leg(ringing.id, ringing.incoming.call);
    record.set_metric("schemas", left_out);
    record.set_metric("templates", variables);
    let today = day_at(resolved.fields.time_zone.as_deref(), now());
    let agent_id = resolved.agent;
    // Of the stored agent: what the customer's server names may be for this caller alone.
    let stored = ringing.route.agent.as_ref().filter(|stored| Some(stored.id) == agent_id);
    let fixed_texts = stored.map(|stored| fixed_texts(&stored.fields)).unwrap_or_default().into();
    let spec = CallSpec {
        agent_id,
        agent: resolved.fields,
        task: None,
        fixed_texts,
        known,
        spoken: None,
        is_web: false,
        today,
    };
    Some(InboundSetup { spec, record, slot })
}

/// Whom the customer's server names, `None` for the saved agent, and what of its answer was ignored.
type NamedAssistant = (Option<ResolvedAssistant>, Vec<String>);

/// Asks the customer's server while the caller hears ringing and may hang up.
async fn request_assistant(
    ringing: &mut RingingCall, slot: &mut CallSlot, call: &Call, hooks: &CallWebhooks, target: String,
) -> Result<NamedAssistant, NotAnsweredError> {
    let context = ringing.context.clone();
    context.sip.send_provisional(ringing.incoming.call, 180, None).await;
    let asked = call_with_saved_agent(call, ringing.route.agent.as_ref());
    let body = |id| event::assistant_request(id, &asked, now());
    let (name, collected) = (event::ASSISTANT_REQUEST, CollectedValues::default());
    let question = CustomerQuestion { name, target, collected, deadline: ASSISTANT_DEADLINE };
    let question = context.ask_customer(hooks, &asked, question, body);
    let answer = tokio::select! {
        answer = question => answer,
        () = wait_for_cancel(&context.sip, &mut ringing.events) => return Err(NotAnsweredError::CallerGone),
        reason = wait_for_end(slot) => return Err(NotAnsweredError::Ended(reason)),
    };
    let answer = answer.map_err(|failure| failure.to_string());
    resolve(&ringing.route, &context, read_answer(answer.as_deref().map_err(Clone::clone))).await
}

/// Waits until somebody ends the call; it takes no other command before it is answered.
async fn wait_for_end(slot: &mut CallSlot) -> EndReason {
    loop {
        match slot.commands.recv().await {
            Some(CallCommand::End(reason)) => return reason,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// The configuration that an answer asks for. Parts are judged on a blocking thread: that may take milliseconds.
async fn resolve(
    route: &InboundRoute, context: &SharedServices, answer: JudgedAnswer,
) -> Result<NamedAssistant, NotAnsweredError> {
    let guarded = context.address_checks();
    let JudgedAnswer { decision, mut faults } = answer;
    let judge: Box<dyn FnOnce() -> ResolvedAssistant + Send> = match decision {
        AssistantDecision::Saved => return Ok((None, faults)),
        AssistantDecision::Transient(fields) => {
            let saved = route.agent.clone();
            Box::new(move || assistant::transient(fields, saved.as_ref(), &|named| guarded.check(named)))
        }
        AssistantDecision::Hybrid { agent, changes } => match context.store.agent(route.scope, agent).await {
            Ok(Some(agent)) => Box::new(move || assistant::hybrid(&agent, changes, &|named| guarded.check(named))),
            found => {
                let why = if found.is_ok() { "there is no such agent" } else { "it could not be read" };
                faults.push(format!("assistant_id: {why}, the saved agent answers"));
                return Ok((None, faults));
            }
        },
        AssistantDecision::Reject { reason, sip_status } => {
            return Err(NotAnsweredError::RejectedByCustomer { reason, sip_status, faults });
        }
    };
    match context.schemas.of_call(route.scope, judge).await {
        Ok(resolved) => Ok((Some(resolved), faults)),
        Err(busy) => {
            faults.push(format!("the answer could not be judged ({busy}), the saved agent answers"));
            Ok((None, faults))
        }
    }
}
