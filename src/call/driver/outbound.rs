//! Outbound calls of tasks: dials and, when answered, starts the conversation.

use super::containment::Lifeline;
use super::converse::{Conversation, converse};
use super::figures::{not_answered, reason_facts};
use super::hooks::Hooks;
use super::line::Line;
use super::ringing::decline;
use super::trunks::{self, Errand, custom_headers};
use super::{Hearing, Media, Permit, Record, Shared, handover};
use crate::call::machine::Brief;
use crate::call::negotiate::{Negotiation, Refusal};
use crate::call::registry::{Command, Seat};
use crate::call::voicemail::Detection;
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::Trunk;
use crate::providers::SttEvent;
use crate::providers::listen::{Input, Session as SttSession};
use crate::store::{OrgScope, now};
use crate::supervision;
use crate::webhooks::event;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Law;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::Wire;
use trunkline_media::leg::{LegEvent, Stream};
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event, Invite};
use trunkline_signaling::sip::failure::Cause;
use trunkline_signaling::sip::message::Uri;

/// Redirections of one call that are followed.
const REDIRECTS_MAX: usize = 3;

/// How long the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

/// A claimed task with everything its call needs.
#[derive(Debug)]
pub struct OutboundOrder {
    pub scope: OrgScope,
    pub call: CallId,
    pub task: Task,
    pub agent: Agent,
    pub trunk: Trunk,
    /// The number shown to the callee.
    pub from_number: Option<String>,
}

/// Starts the call. When this returns the call's row exists; the rest runs in the background.
pub async fn outbound(context: Shared, order: OutboundOrder, permit: Permit) {
    let seat = context.registry.enter(order.scope, order.call, Some(order.task.id), permit);
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
    let hooks = Hooks::new(call.agent, &agent);
    let left_out = context.leave_out_schemas(order.scope, &mut agent).await;
    let brief = Brief { agent, task: Some(order.task.fields.clone()), is_web: false };
    let lifeline = Lifeline::default();
    let mut record = Record::new(&context, order.scope, call, hooks, &seat, &lifeline).await;
    record.note("schemas", left_out);
    record.task_started(&order.task).await;
    // The row should exist when `execute` answers with the call id, but an unavailable database must not block the
    // answer.
    context.journal.flush(ROW_DEADLINE).await;
    metrics::counter!("trunkline_calls_started_total", "direction" => "outbound").increment(1);
    let span = tracing::info_span!("call", call = %order.call, organization = %order.scope.organization(), direction = "outbound");
    let run = async move { lifeline.hold(&context.clone(), dial(context, order, brief, record, seat)).await };
    supervision::spawn("call", run.instrument(span));
}

async fn dial(context: Shared, order: OutboundOrder, brief: Brief, mut record: Record, mut seat: Seat) {
    let Ok(ports) = context.ports.take() else {
        tracing::error!("no RTP port is free");
        return record.ended(EndReason::Overload).await;
    };
    let negotiation = context.negotiation(ports.port(), &order.trunk);
    let mut way = Way { negotiation, ports: Some(ports), media: None, stt: None, detection: None, delayed: false };
    let mut redirects = 0;
    let mut to = Destination::parse(&order.task.fields.to_number);
    loop {
        let Some(invite) = to.take().and_then(|to| invite(&context, &order, &to, way.negotiation.offer())) else {
            return way.failed(&mut record, EndReason::TrunkError).await;
        };
        way.delayed = invite.sdp.is_none();
        let (sip_call, mut events) = match context.sip.invite(invite).await {
            Ok(call) => call,
            Err(_) => return way.failed(&mut record, EndReason::Overload).await,
        };
        let unanswered = match way.ring(&context, &brief, &record, &mut seat, &mut events).await {
            Ok(Answer { sdp, sip_call_id }) => {
                record.call.sip_call_id = Some(sip_call_id);
                return way.talk(context, brief, record, seat, sip_call, events, &sdp).await;
            }
            Err(unanswered) => unanswered,
        };
        context.sip.hang_up(sip_call).await;
        record.signalled(unanswered.facts);
        if redirects < REDIRECTS_MAX && order.trunk.fields.follow_redirects {
            redirects += 1;
            to = unanswered
                .contacts
                .iter()
                .filter_map(|contact| Uri::parse(contact).ok())
                .find_map(|uri| handover::destination(&order.trunk.fields, &uri));
        }
        if to.is_none() {
            return way.failed(&mut record, unanswered.reason).await;
        }
        // Keys offered to a previous target are not reused.
        way.negotiation = way.negotiation.fork();
    }
}

fn invite(context: &Shared, order: &OutboundOrder, to: &Destination, sdp: Vec<u8>) -> Option<Invite> {
    let headers = custom_headers(&order.task.fields.sip_headers);
    let errand = Errand { from_number: order.from_number.as_deref(), destination: to, sdp, headers };
    trunks::invite(context, &order.trunk, errand)
}

/// Why the call was not answered.
struct Unanswered {
    reason: EndReason,
    /// What the signalling said about it.
    facts: Map<String, Value>,
    /// Where a redirection points to.
    contacts: Vec<String>,
}

impl From<EndReason> for Unanswered {
    fn from(reason: EndReason) -> Self {
        Self { reason, facts: Map::new(), contacts: Vec::new() }
    }
}

impl From<Cause> for Unanswered {
    fn from(cause: Cause) -> Self {
        let (reason, facts) = (not_answered(&cause), reason_facts(&cause));
        let contacts = match cause {
            Cause::Redirected { contacts, .. } => contacts,
            _ => Vec::new(),
        };
        Self { reason, facts, contacts }
    }
}

struct Answer {
    sdp: Vec<u8>,
    sip_call_id: String,
}

/// A dial attempt with its early media: announcements and voicemail may speak before the answer.
struct Way {
    negotiation: Negotiation,
    /// Until the leg takes them.
    ports: Option<PortPair>,
    media: Option<Media>,
    stt: Option<SttSession>,
    detection: Option<Detection>,
    /// Delayed offer: the offer comes with the answer.
    delayed: bool,
}

impl Way {
    /// Records the end of an unanswered call.
    async fn failed(self, record: &mut Record, reason: EndReason) {
        if let Some(who) = self.detection.as_ref().and_then(Detection::verdict) {
            record.call.metrics = Some(json!({"early_media": {"heard": who.name()}}));
        }
        if let Some(media) = self.media {
            media.leg.remove(None);
        }
        tracing::info!(reason = reason.name(), "call was not answered");
        record.ended(reason).await;
    }

    /// Waits for the answer. STT connects on the first ringing.
    async fn ring(
        &mut self, context: &Shared, brief: &Brief, record: &Record, seat: &mut Seat,
        events: &mut mpsc::Receiver<Event>,
    ) -> Result<Answer, Unanswered> {
        let give_up = tokio::time::Instant::now() + context.limits.ring_timeout;
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
                    Some(Event::Progress { sdp, peer, .. }) => {
                        self.negotiation.set_signalling(peer.ip());
                        self.progress(context, brief, record, sdp);
                    }
                    Some(Event::Answered { sdp: Some(sdp), sip_call_id, peer, .. }) => {
                        self.negotiation.set_signalling(peer.ip());
                        return Ok(Answer { sdp, sip_call_id });
                    }
                    Some(Event::Answered { sdp: None, .. }) => return Err(EndReason::TrunkError.into()),
                    Some(Event::Ended { cause, .. }) => return Err(cause.into()),
                    Some(Event::Reoffer { call, sdp: Some(sdp) }) => self.early_offer(context, call, &sdp).await,
                    Some(event) => decline(&context.sip, event).await,
                    None => return Err(EndReason::TrunkError.into()),
                },
                command = seat.commands.recv() => match command {
                    // Nobody answered yet: ending means CANCEL.
                    Some(Command::End(EndReason::EndedByApi)) | None => return Err(EndReason::Canceled.into()),
                    Some(Command::End(reason)) => return Err(reason.into()),
                    Some(_) => {}
                },
                event = heard => self.heard(event),
                event = words => self.understood(event),
                () = tokio::time::sleep_until(give_up) => return Err(EndReason::NoAnswer.into()),
            }
        }
    }

    /// Ringing, or early media (183, or 180 with SDP).
    fn progress(&mut self, context: &Shared, brief: &Brief, record: &Record, sdp: Option<Vec<u8>>) {
        let stream = sdp.filter(|_| !self.delayed).and_then(|sdp| self.negotiation.accept(&sdp).ok());
        if let (Some(stream), Some(media)) = (stream, &self.media) {
            let _ = media.leg.renegotiate(stream);
        } else if let Some(stream) = stream
            && let Some(ports) = self.ports.take()
        {
            self.media = context.start_leg(brief, record, stream, Wire::Plain(ports), true);
            self.detection = Some(Detection::new(Instant::now()));
        }
        if self.stt.is_none() {
            context.open_connections(brief);
            // The audio encoding is part of the STT connection. A realtime model starts talking once connected, so not
            // before the answer.
            let law = stream.map_or(Law::Mu, |stream| stream.codec.law());
            self.stt = (!context.prepare_engine(brief)).then(|| context.start_stt(brief, law));
        }
    }

    /// The peer changes the media before it answers (UPDATE), for example when announcements move to another server.
    async fn early_offer(&mut self, context: &Shared, call: SipCall, offer: &[u8]) {
        let answer = self.negotiation.answer(offer).ok().map(|(stream, text)| {
            if let Some(media) = &self.media {
                let _ = media.leg.renegotiate(stream);
            }
            text
        });
        context.sip.answer_reoffer(call, answer).await;
    }

    /// The stream of the answer; of a delayed offer once ours has gone out.
    async fn agreed(&mut self, context: &Shared, call: SipCall, sdp: &[u8]) -> Result<Stream, Refusal> {
        if !self.delayed {
            return self.negotiation.accept(sdp);
        }
        let answer = self.negotiation.answer(sdp);
        let text = answer.as_ref().ok().map(|(_, text)| text.clone());
        context.sip.acknowledge(call, text).await;
        answer.map(|(stream, _)| stream)
    }

    fn heard(&mut self, event: Option<LegEvent>) {
        let (now, Some(detection)) = (Instant::now(), &mut self.detection) else { return };
        let tell = |input| {
            if let Some(stt) = &self.stt {
                let _ = stt.input.try_send(input); // do not wait for early media
            }
        };
        match event {
            Some(LegEvent::Audio { codes, .. }) => tell(Input::Audio(Bytes::copy_from_slice(&codes))),
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

    fn understood(&mut self, event: Option<SttEvent>) {
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

    async fn talk(
        mut self, context: Shared, brief: Brief, mut record: Record, seat: Seat, sip_call: SipCall,
        sip_events: mpsc::Receiver<Event>, answer: &[u8],
    ) {
        let early_law = self.media.as_ref().map(|media| media.law);
        let agreed = self.agreed(&context, sip_call, answer).await;
        let media = match (agreed, self.media, self.ports) {
            (Ok(stream), Some(media), _) => {
                let told = media.leg.renegotiate(stream).and_then(|()| media.leg.answered(media.recording.is_some()));
                told.is_ok().then_some(media)
            }
            (Ok(stream), None, Some(ports)) => context.start_leg(&brief, &record, stream, Wire::Plain(ports), false),
            (Ok(_), None, None) => None,
            (Err(refusal), media, _) => {
                tracing::warn!(why = refusal.why, "answer cannot be used");
                if let Some(media) = media {
                    media.leg.remove(None);
                }
                None
            }
        };
        let Some(media) = media else {
            context.sip.hang_up(sip_call).await;
            return record.ended(EndReason::TrunkError).await;
        };
        let hearing = match self.stt {
            Some(stt) if media.law == early_law.unwrap_or(Law::Mu) => Hearing::Stt(stt),
            _ => context.start_hearing(&brief, media.law),
        };
        tracing::info!("call answered");
        let negotiation = self.negotiation;
        let line = Line::sip(sip_call, sip_events, negotiation);
        let conversation = Conversation { context, brief, record, seat, line, media };
        converse(conversation, hearing, self.detection).await;
    }
}
