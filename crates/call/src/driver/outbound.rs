//! Outbound calls of tasks: dials and, when answered, starts the conversation. STT connects while the phone rings, and
//! early media is listened to: announcements and voicemail may speak before the answer.

use super::call_leg::CallLeg;
use super::conversation::{Conversation, EstablishedCall, run_conversation};
use super::early_media::EarlyDigits;
use super::last_written_call::CallPanicGuard;
use super::outgoing_call::{AnsweredDialog, EarlyLeg, OutgoingCallDriver, OutgoingLeg};
use super::stt_feed::SttFeed;
use super::trunk_calls::{self, InviteParams, custom_headers};
use super::{AdmissionPermit, CallMedia, CallRecord, DEFAULT_FORMAT, SharedServices, SpeechBackend};
use crate::amd::AmdDetector;
use crate::call_webhooks::CallWebhooks;
use crate::domain::agent::Agent;
use crate::domain::agent_texts::fixed_texts;
use crate::domain::call::{Call, Direction};
use crate::domain::call_facts::day_at;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::Trunk;
use crate::machine::CallSpec;
use crate::outgoing_call::{OfferMode, OutgoingCallError, OutgoingCallParams, OutgoingCallUpdate, RedirectPolicy};
use crate::personalize::{self, personalize};
use crate::providers::SttEvent;
use crate::registry::{CallCommand, CallSlot};
use crate::sip_causes::reason_facts;
use crate::store::{OrgScope, now};
use crate::supervision;
use crate::webhooks::event;
use serde_json::{Map, json};
use std::time::{Duration, Instant};
use tracing::Instrument as _;
use trunkline_media::audio::AudioFormat;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::{LegHandle, TransportSetup};
use trunkline_media::leg::{LegEvent, StreamConfig};
use trunkline_signaling::sip::user_agent::InviteRequest;

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
    let mut task = order.task.fields.clone();
    let fixed_texts = fixed_texts(&agent).into();
    let variables = personalize::metric(&personalize(&mut agent, Some(&mut task), &call, now()));
    let today = day_at(agent.time_zone.as_deref(), now());
    let known = personalize::known_values(&agent, Some(&task), &call, now());
    let spec = CallSpec {
        agent_id: call.agent,
        agent,
        task: Some(task),
        fixed_texts,
        known,
        spoken: None,
        is_web: false,
        today,
    };
    let panic_guard = CallPanicGuard::default();
    let mut record = CallRecord::new(&context, order.scope, call, hooks, &slot, &panic_guard).await;
    record.set_metric("schemas", left_out);
    record.set_metric("templates", variables);
    record.task_started(&order.task).await;
    // The row should exist when `execute` answers with the call id, but an unavailable database must not block the
    // answer.
    context.journal.flush(ROW_DEADLINE).await;
    let span = tracing::info_span!("call", call = %order.call, organization = %order.scope.organization(), direction = "outbound");
    let run = async move {
        panic_guard.run_contained(&context.clone(), Box::pin(run(context, order, spec, record, slot))).await
    };
    supervision::spawn("call", run.instrument(span));
}

async fn run(context: SharedServices, order: OutboundCallParams, spec: CallSpec, record: CallRecord, slot: CallSlot) {
    // Boxed, so that what only the set-up needs is freed before the conversation.
    if let Some(established) = Box::pin(dial(context, order, spec, record, slot)).await {
        Box::pin(run_conversation(established)).await;
    }
}

/// Sets a call up; None if it ended before its conversation.
async fn dial(
    context: SharedServices, order: OutboundCallParams, spec: CallSpec, mut record: CallRecord, mut slot: CallSlot,
) -> Option<EstablishedCall> {
    let Ok(ports) = context.media.ports.take() else {
        tracing::error!("no free RTP port");
        record.record_ended(EndReason::Overload).await;
        return None;
    };
    let Some(destination) = Destination::parse(&order.task.fields.to_number) else {
        record.record_ended(EndReason::TrunkError).await;
        return None;
    };
    let params = OutgoingCallParams {
        destination,
        negotiation: context.media.negotiation(ports.port(), &order.trunk),
        offer_mode: OfferMode::of_trunk(&order.trunk.fields),
        redirects: RedirectPolicy::of_trunk(&order.trunk.fields),
        ring_timeout: context.trunks.ring_timeout,
    };
    let mut ringing = RingingCall { context: &context, spec: &spec, leg: EarlyLeg::Waiting(ports), stt: None };
    let build_invite = |to: &Destination, offer| invite(&context, &order, to, offer);
    let mut call = OutgoingCallDriver::start(context.sip.clone(), params, build_invite, |leg| {
        context.sip_logs.add_leg(order.call, leg)
    })
    .await;
    match ringing.wait_for_answer(&mut call, &mut record, &mut slot).await {
        Ok(dialog) => {
            drop(call);
            record.call.sip_call_id = Some(dialog.sip_call_id.clone());
            record.forget_refused_attempts();
            let answered = ringing.answered(&record, dialog.stream);
            establish(context, spec, record, slot, dialog, answered).await
        }
        Err(error) => {
            ringing.failed(&mut record, &error).await;
            None
        }
    }
}

fn invite(
    context: &SharedServices, order: &OutboundCallParams, to: &Destination, offer: Option<Vec<u8>>,
) -> Option<InviteRequest> {
    let (headers, sdp) = (custom_headers(&order.task.fields.sip_headers), offer.unwrap_or_default());
    let params = InviteParams { from_number: order.from_number.as_deref(), destination: to, sdp, headers };
    trunk_calls::invite(&context.trunks, &order.trunk, params)
}

/// The leg of an outbound call.
struct OutboundMedia {
    media: CallMedia,
    /// Who speaks, as far as early media told; `None` if the leg began with the answer.
    detection: Option<AmdDetector>,
}

impl OutgoingLeg for OutboundMedia {
    fn handle(&self) -> &LegHandle {
        &self.media.leg
    }
}

/// STT that was opened before the answer.
struct EarlyStt {
    feed: SttFeed,
    /// The audio that the session expects.
    format: AudioFormat,
}

/// An outbound call that is not answered yet.
struct RingingCall<'a> {
    context: &'a SharedServices,
    spec: &'a CallSpec,
    leg: EarlyLeg<OutboundMedia>,
    stt: Option<EarlyStt>,
}

/// The media of an answered call, and STT if it fits them.
struct AnsweredMedia {
    outbound: OutboundMedia,
    stt: Option<SttFeed>,
}

impl RingingCall<'_> {
    /// Records the end of an unanswered call.
    async fn failed(self, record: &mut CallRecord, error: &OutgoingCallError) {
        let detection = self.leg.started().and_then(|outbound| outbound.detection.as_ref());
        if let Some(who) = detection.and_then(AmdDetector::result) {
            record.call.metrics = Some(json!({"early_media": {"heard": who.name()}}));
        }
        record.add_signalling_facts(error.facts());
        tracing::info!(reason = error.end_reason().name(), %error, "call was not answered");
        record.record_ended(error.end_reason()).await;
    }

    async fn wait_for_answer(
        &mut self, call: &mut OutgoingCallDriver<'_>, record: &mut CallRecord, slot: &mut CallSlot,
    ) -> Result<AnsweredDialog, OutgoingCallError> {
        loop {
            while let Some(update) = call.poll_update() {
                self.handle_update(record, update);
            }
            if let Some(result) = call.take_result() {
                return result;
            }
            let heard = async {
                match &mut self.leg {
                    EarlyLeg::Started(outbound) => outbound.media.events.recv().await,
                    EarlyLeg::Waiting(_) | EarlyLeg::Lost => std::future::pending().await,
                }
            };
            let words = async {
                match &mut self.stt {
                    Some(stt) => stt.feed.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = call.recv() => call.handle(event).await,
                command = slot.commands.recv() => match command {
                    // Nobody answered yet: ending means CANCEL.
                    Some(CallCommand::End(EndReason::EndedByApi)) | None => call.give_up(EndReason::Canceled).await,
                    Some(CallCommand::End(reason)) => call.give_up(reason).await,
                    Some(_) => {}
                },
                event = heard => self.handle_leg_event(call, event),
                event = words => self.handle_stt_event(event),
            }
        }
    }

    fn handle_update(&mut self, record: &mut CallRecord, update: OutgoingCallUpdate) {
        match update {
            OutgoingCallUpdate::EarlyMedia(stream) => {
                let (context, spec) = (self.context, self.spec);
                self.leg.apply(stream, |stream, ports| {
                    let media = context.start_leg(spec, record, stream, TransportSetup::Rtp(ports), true)?;
                    Some(OutboundMedia { media, detection: Some(AmdDetector::early_media(Instant::now())) })
                });
                // STT that was opened while it only rang expects the other format.
                let format = self.audio_format();
                if self.stt.as_ref().is_some_and(|stt| stt.format != format) {
                    self.stt = Some(self.start_stt());
                }
            }
            OutgoingCallUpdate::Ringing { .. } => {
                if self.stt.is_none() {
                    self.context.open_connections(self.spec);
                    // A realtime model starts talking once connected, so not before the answer.
                    self.stt = (!self.context.warm_up_realtime(self.spec)).then(|| self.start_stt());
                }
            }
            OutgoingCallUpdate::Redirected(cause) => record.add_signalling_facts(reason_facts(&cause)),
        }
    }

    /// The audio encoding of early media, which is part of the STT connection.
    fn audio_format(&self) -> AudioFormat {
        self.leg.started().map_or(DEFAULT_FORMAT, |outbound| outbound.media.audio_format)
    }

    fn start_stt(&self) -> EarlyStt {
        let format = self.audio_format();
        EarlyStt { feed: self.context.start_stt(self.spec, format), format }
    }

    fn handle_leg_event(&mut self, call: &mut OutgoingCallDriver<'_>, event: Option<LegEvent>) {
        let EarlyLeg::Started(OutboundMedia { detection: Some(detection), .. }) = &mut self.leg else { return };
        match event {
            Some(LegEvent::Audio { frame, .. }) => {
                if let Some(stt) = &mut self.stt {
                    stt.feed.send_audio(&frame); // do not wait for early media
                }
            }
            Some(LegEvent::SpeechStarted { at }) => detection.handle_speech_started(at),
            Some(LegEvent::SpeechEnded { last_sound }) => detection.handle_speech_ended(last_sound),
            Some(LegEvent::Tone { tone, .. }) => {
                detection.handle_tone(Instant::now(), &tone);
            }
            Some(LegEvent::DtmfReceived { digit }) => call.handle_early_digit(digit),
            Some(_) => {}
            None => self.leg = EarlyLeg::Lost, // it failed with its worker
        }
    }

    fn handle_stt_event(&mut self, event: Option<SttEvent>) {
        let (text, is_final) = match event {
            Some(SttEvent::Interim(text)) => (text, false),
            Some(SttEvent::Final { text, .. } | SttEvent::EndOfTurn { text, .. }) => (text, true),
            Some(SttEvent::Failed(_)) | None => {
                self.stt = None;
                return;
            }
            Some(_) => return,
        };
        if let EarlyLeg::Started(OutboundMedia { detection: Some(detection), .. }) = &mut self.leg {
            detection.handle_words(Instant::now(), &text, is_final);
        }
    }

    /// The media of the answered call; `None` if there is no leg for them.
    fn answered(self, record: &CallRecord, stream: StreamConfig) -> Option<AnsweredMedia> {
        let start = |stream: StreamConfig, ports: PortPair| {
            let media = self.context.start_leg(self.spec, record, stream, TransportSetup::Rtp(ports), false)?;
            Some(OutboundMedia { media, detection: None })
        };
        let outbound = self.leg.answered(stream, |outbound| outbound.media.recording.is_some(), start)?;
        let stt = self.stt.filter(|stt| stt.format == outbound.media.audio_format).map(|stt| stt.feed);
        Some(AnsweredMedia { outbound, stt })
    }
}

async fn establish(
    context: SharedServices, spec: CallSpec, mut record: CallRecord, slot: CallSlot, dialog: AnsweredDialog,
    answered: Option<AnsweredMedia>,
) -> Option<EstablishedCall> {
    let Some(AnsweredMedia { outbound: OutboundMedia { media, detection }, stt }) = answered else {
        context.sip.hang_up(dialog.call).await;
        record.record_ended(EndReason::TrunkError).await;
        return None;
    };
    let speech = match stt {
        Some(stt) => SpeechBackend::Stt(stt),
        None => context.start_speech_backend(&spec, media.audio_format),
    };
    tracing::info!("call answered");
    let digits = EarlyDigits::of_call(&dialog.early_digits);
    let leg = CallLeg::sip(dialog.call, dialog.events, dialog.negotiation, digits);
    let conversation = Conversation { context, spec, record, slot, leg, media };
    Some(EstablishedCall { conversation, speech, early: detection })
}
