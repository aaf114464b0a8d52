//! Outbound calls of tasks: dials and, when answered, starts the conversation.

use super::call_leg::CallLeg;
use super::call_webhooks::CallWebhooks;
use super::conversation::{Conversation, run_conversation};
use super::early_media::reject_early_request;
use super::last_written_call::CallPanicGuard;
use super::sip_causes::{end_reason_of_unanswered, reason_facts};
use super::trunk_calls::{self, InviteParams, custom_headers};
use super::{AdmissionPermit, CallMedia, CallRecord, SharedServices, SpeechBackend, inbound_refer};
use crate::call::amd::AmdDetector;
use crate::call::machine::CallSpec;
use crate::call::negotiate::{Negotiation, NegotiationError};
use crate::call::registry::{CallCommand, CallSlot};
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::Trunk;
use crate::providers::SttEvent;
use crate::providers::stt::{SttInput, SttSession};
use crate::store::{OrgScope, now};
use crate::supervision;
use crate::webhooks::event;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Companding;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::TransportSetup;
use trunkline_media::leg::{LegEvent, StreamConfig};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, InviteRequest, SipEvent};

/// Redirections of one call that are followed.
const REDIRECTS_MAX: usize = 3;

/// How long the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

/// A claimed task with everything its call needs.
#[derive(Debug)]
pub struct OutboundCallParams {
    /// Scope of the organization that owns the task.
    pub scope: OrgScope,
    /// Id of the call for which the task was claimed.
    pub call: CallId,
    /// The task, which names the number to be called.
    pub task: Task,
    /// The agent that talks, as it was when the task was claimed.
    pub agent: Agent,
    /// The trunk that the call goes over.
    pub trunk: Trunk,
    /// The number shown to the callee.
    pub from_number: Option<String>,
}

/// Starts the call. When this returns the call's row exists; the rest runs in the background.
pub async fn outbound(context: SharedServices, order: OutboundCallParams, permit: AdmissionPermit) {
    let slot = context.registry.register(order.scope, order.call, Some(order.task.id), permit);
    let mut agent = order.agent.fields.clone();
    // Events echo what the task says about itself.
    agent.metadata = order.task.fields.metadata.clone().or(agent.metadata);
    let mut call = Call::begun(order.call, order.scope.organization(), Direction::Outbound, now());
    call.agent = Some(order.agent.id);
    call.task = Some(order.task.id);
    call.trunk = Some(order.trunk.id);
    call.from_number = order.from_number.clone().unwrap_or_else(|| "anonymous".to_owned());
    call.to_number.clone_from(&order.task.fields.to_number);
    call.metadata = agent.metadata.clone().map(serde_json::Value::Object);
    call.assistant = Some(event::assistant(call.agent, &agent, &Map::new()));
    let hooks = CallWebhooks::new(call.agent, &agent);
    let left_out = context.schemas.remove_oversized(order.scope, &mut agent).await;
    let spec = CallSpec { agent, task: Some(order.task.fields.clone()), is_web: false };
    let panic_guard = CallPanicGuard::default();
    let mut record = CallRecord::new(&context, order.scope, call, hooks, &slot, &panic_guard).await;
    record.set_metric("schemas", left_out);
    record.task_started(&order.task).await;
    // The row should exist when `execute` answers with the call id, but an unavailable database must not block the
    // answer.
    context.journal.flush(ROW_DEADLINE).await;
    metrics::counter!("trunkline_calls_started_total", "direction" => "outbound").increment(1);
    let span = tracing::info_span!("call", call = %order.call, organization = %order.scope.organization(), direction = "outbound");
    let run =
        async move { panic_guard.run_contained(&context.clone(), dial(context, order, spec, record, slot)).await };
    supervision::spawn("call", run.instrument(span));
}

async fn dial(
    context: SharedServices, order: OutboundCallParams, spec: CallSpec, mut record: CallRecord, mut slot: CallSlot,
) {
    let Ok(ports) = context.media.ports.take() else {
        tracing::error!("no free RTP port");
        return record.record_ended(EndReason::Overload).await;
    };
    let negotiation = context.media.negotiation(ports.port(), &order.trunk);
    let mut way = DialAttempt {
        negotiation,
        ports: Some(ports),
        media: None,
        stt: None,
        detection: None,
        is_delayed_offer: false,
    };
    let mut redirects = 0;
    let mut to = Destination::parse(&order.task.fields.to_number);
    loop {
        let Some(invite) = to.take().and_then(|to| invite(&context, &order, &to, way.negotiation.offer())) else {
            return way.failed(&mut record, EndReason::TrunkError).await;
        };
        way.is_delayed_offer = invite.sdp.is_none();
        let (sip_call, mut events) = match context.sip.send_invite(invite).await {
            Ok(call) => call,
            Err(_) => return way.failed(&mut record, EndReason::Overload).await,
        };
        let unanswered = match way.wait_for_answer(&context, &spec, &record, &mut slot, &mut events).await {
            Ok(SipAnswer { sdp, sip_call_id }) => {
                record.call.sip_call_id = Some(sip_call_id);
                return way.start_conversation(context, spec, record, slot, sip_call, events, &sdp).await;
            }
            Err(unanswered) => unanswered,
        };
        context.sip.hang_up(sip_call).await;
        record.add_signalling_facts(unanswered.facts);
        if redirects < REDIRECTS_MAX && order.trunk.fields.follow_redirects {
            redirects += 1;
            to = unanswered
                .contacts
                .iter()
                .filter_map(|contact| Uri::parse(contact).ok())
                .find_map(|uri| inbound_refer::destination(&order.trunk.fields, &uri));
        }
        if to.is_none() {
            return way.failed(&mut record, unanswered.reason).await;
        }
        // Keys offered to a previous target are not reused.
        way.negotiation = way.negotiation.fork();
    }
}

fn invite(
    context: &SharedServices, order: &OutboundCallParams, to: &Destination, sdp: Vec<u8>,
) -> Option<InviteRequest> {
    let headers = custom_headers(&order.task.fields.sip_headers);
    let params = InviteParams { from_number: order.from_number.as_deref(), destination: to, sdp, headers };
    trunk_calls::invite(&context.trunks, &order.trunk, params)
}

/// Why the call was not answered.
struct OutboundNotAnsweredError {
    reason: EndReason,
    /// What the signalling said about it.
    facts: Map<String, Value>,
    /// Where a redirection points to.
    contacts: Vec<String>,
}

impl From<EndReason> for OutboundNotAnsweredError {
    fn from(reason: EndReason) -> Self {
        Self { reason, facts: Map::new(), contacts: Vec::new() }
    }
}

impl From<EndCause> for OutboundNotAnsweredError {
    fn from(cause: EndCause) -> Self {
        let (reason, facts) = (end_reason_of_unanswered(&cause), reason_facts(&cause));
        let contacts = match cause {
            EndCause::Redirected { contacts, .. } => contacts,
            _ => Vec::new(),
        };
        Self { reason, facts, contacts }
    }
}

struct SipAnswer {
    sdp: Vec<u8>,
    sip_call_id: String,
}

/// A dial attempt with its early media: announcements and voicemail may speak before the answer.
struct DialAttempt {
    negotiation: Negotiation,
    /// Until the leg takes them.
    ports: Option<PortPair>,
    media: Option<CallMedia>,
    stt: Option<SttSession>,
    detection: Option<AmdDetector>,
    /// Delayed offer: the offer comes with the answer.
    is_delayed_offer: bool,
}

impl DialAttempt {
    /// Records the end of an unanswered call.
    async fn failed(self, record: &mut CallRecord, reason: EndReason) {
        if let Some(who) = self.detection.as_ref().and_then(AmdDetector::result) {
            record.call.metrics = Some(json!({"early_media": {"heard": who.name()}}));
        }
        if let Some(media) = self.media {
            media.leg.remove(None);
        }
        tracing::info!(reason = reason.name(), "call was not answered");
        record.record_ended(reason).await;
    }

    /// Waits for the answer. STT connects on the first ringing.
    async fn wait_for_answer(
        &mut self, context: &SharedServices, spec: &CallSpec, record: &CallRecord, slot: &mut CallSlot,
        events: &mut mpsc::Receiver<SipEvent>,
    ) -> Result<SipAnswer, OutboundNotAnsweredError> {
        let give_up = tokio::time::Instant::now() + context.trunks.ring_timeout;
        loop {
            let heard = async {
                match &mut self.media {
                    Some(media) => media.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            let words = async {
                match &mut self.stt {
                    Some(stt) => stt.stream.events.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some(SipEvent::ProvisionalResponse { sdp, peer, .. }) => {
                        self.negotiation.set_signalling(peer.ip());
                        self.progress(context, spec, record, sdp);
                    }
                    Some(SipEvent::Answered { sdp: Some(sdp), sip_call_id, peer, .. }) => {
                        self.negotiation.set_signalling(peer.ip());
                        return Ok(SipAnswer { sdp, sip_call_id });
                    }
                    Some(SipEvent::Answered { sdp: None, .. }) => return Err(EndReason::TrunkError.into()),
                    Some(SipEvent::Ended { cause, .. }) => return Err(cause.into()),
                    Some(SipEvent::ReofferReceived { call, sdp: Some(sdp) }) => self.early_offer(context, call, &sdp).await,
                    Some(event) => reject_early_request(&context.sip, event).await,
                    None => return Err(EndReason::TrunkError.into()),
                },
                command = slot.commands.recv() => match command {
                    // Nobody answered yet: ending means CANCEL.
                    Some(CallCommand::End(EndReason::EndedByApi)) | None => return Err(EndReason::Canceled.into()),
                    Some(CallCommand::End(reason)) => return Err(reason.into()),
                    Some(_) => {}
                },
                event = heard => self.handle_leg_event(event),
                event = words => self.handle_stt_event(event),
                () = tokio::time::sleep_until(give_up) => return Err(EndReason::NoAnswer.into()),
            }
        }
    }

    /// Ringing, or early media (183, or 180 with SDP).
    fn progress(&mut self, context: &SharedServices, spec: &CallSpec, record: &CallRecord, sdp: Option<Vec<u8>>) {
        let stream = sdp.filter(|_| !self.is_delayed_offer).and_then(|sdp| self.negotiation.accept(&sdp).ok());
        if let (Some(stream), Some(media)) = (stream, &self.media) {
            let _ = media.leg.renegotiate(stream);
        } else if let Some(stream) = stream
            && let Some(ports) = self.ports.take()
        {
            self.media = context.start_leg(spec, record, stream, TransportSetup::Rtp(ports), true);
            self.detection = Some(AmdDetector::new(Instant::now()));
        }
        if self.stt.is_none() {
            context.open_connections(spec);
            // The audio encoding is part of the STT connection. A realtime model starts talking once connected, so not
            // before the answer.
            let companding = stream.map_or(Companding::MuLaw, |stream| stream.codec.companding());
            self.stt = (!context.warm_up_realtime(spec)).then(|| context.start_stt(spec, companding));
        }
    }

    /// The peer changes the media before it answers (UPDATE), for example when announcements move to another server.
    async fn early_offer(&mut self, context: &SharedServices, call: SipCall, offer: &[u8]) {
        let answer = self.negotiation.answer(offer).ok().map(|(stream, text)| {
            if let Some(media) = &self.media {
                let _ = media.leg.renegotiate(stream);
            }
            text
        });
        context.sip.answer_reoffer(call, answer).await;
    }

    /// The stream of the answer; of a delayed offer once ours has gone out.
    async fn agreed(
        &mut self, context: &SharedServices, call: SipCall, sdp: &[u8],
    ) -> Result<StreamConfig, NegotiationError> {
        if !self.is_delayed_offer {
            return self.negotiation.accept(sdp);
        }
        let answer = self.negotiation.answer(sdp);
        let text = answer.as_ref().ok().map(|(_, text)| text.clone());
        context.sip.acknowledge(call, text).await;
        answer.map(|(stream, _)| stream)
    }

    fn handle_leg_event(&mut self, event: Option<LegEvent>) {
        let (now, Some(detection)) = (Instant::now(), &mut self.detection) else { return };
        let tell = |input| {
            if let Some(stt) = &self.stt {
                let _ = stt.input.try_send(input); // do not wait for early media
            }
        };
        match event {
            Some(LegEvent::Audio { codes, .. }) => tell(SttInput::Audio(Bytes::copy_from_slice(&codes))),
            Some(LegEvent::SpeechStarted { at }) => detection.handle_speech_started(at),
            Some(LegEvent::SpeechEnded { last_sound }) => detection.handle_speech_ended(last_sound),
            Some(LegEvent::Tone { tone, .. }) => {
                detection.handle_tone(now, &tone);
            }
            Some(_) => {}
            // The leg failed with its worker: an answer would have no media.
            None => self.media = None,
        }
    }

    fn handle_stt_event(&mut self, event: Option<SttEvent>) {
        let now = Instant::now();
        match (event, &mut self.detection) {
            (Some(SttEvent::Interim(text)), Some(detection)) => {
                detection.handle_words(now, &text, false);
            }
            (Some(SttEvent::Final { text, .. } | SttEvent::EndOfTurn { text, .. }), Some(detection)) => {
                detection.handle_words(now, &text, true);
            }
            (Some(SttEvent::Failed(_)) | None, _) => self.stt = None,
            _ => {}
        }
    }

    async fn start_conversation(
        mut self, context: SharedServices, spec: CallSpec, mut record: CallRecord, slot: CallSlot, sip_call: SipCall,
        sip_events: mpsc::Receiver<SipEvent>, answer: &[u8],
    ) {
        let early_law = self.media.as_ref().map(|media| media.companding);
        let agreed = self.agreed(&context, sip_call, answer).await;
        let media = match (agreed, self.media, self.ports) {
            (Ok(stream), Some(media), _) => {
                let told = media.leg.renegotiate(stream).and_then(|()| media.leg.start_call(media.recording.is_some()));
                told.is_ok().then_some(media)
            }
            (Ok(stream), None, Some(ports)) => {
                context.start_leg(&spec, &record, stream, TransportSetup::Rtp(ports), false)
            }
            (Ok(_), None, None) => None,
            (Err(refusal), media, _) => {
                tracing::warn!(reason = refusal.reason, "SDP answer cannot be used");
                if let Some(media) = media {
                    media.leg.remove(None);
                }
                None
            }
        };
        let Some(media) = media else {
            context.sip.hang_up(sip_call).await;
            return record.record_ended(EndReason::TrunkError).await;
        };
        let speech = match self.stt {
            Some(stt) if media.companding == early_law.unwrap_or(Companding::MuLaw) => SpeechBackend::Stt(stt),
            _ => context.start_speech_backend(&spec, media.companding),
        };
        tracing::info!("call answered");
        let negotiation = self.negotiation;
        let line = CallLeg::sip(sip_call, sip_events, negotiation);
        let conversation = Conversation { context, spec, record, slot, leg: line, media };
        run_conversation(conversation, speech, self.detection).await;
    }
}
