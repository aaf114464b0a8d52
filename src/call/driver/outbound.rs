//! A call we make for a task: ring, and when somebody answers, the conversation.

use super::converse::{Conversation, converse};
use super::hooks::Hooks;
use super::line::{Line, SipLine};
use super::{Context, Hearing, Media, Record, Shared};
use crate::call::machine::Brief;
use crate::call::negotiate::Negotiation;
use crate::call::registry::{Command, Seat};
use crate::call::voicemail::Detection;
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::{Transport as TrunkTransport, Trunk};
use crate::providers::SttEvent;
use crate::providers::listen::{Input, Session as SttSession};
use crate::store::{OrgScope, now};
use crate::webhooks::event;
use bytes::Bytes;
use serde_json::{Map, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Law;
use trunkline_media::io::ports::PortPair;
use trunkline_media::io::worker::Wire;
use trunkline_media::leg::LegEvent;
use trunkline_signaling::sip::digest::Credentials;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event, Invite, Transport};
use trunkline_signaling::sip::failure::Cause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};

/// How long the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

/// A trunk that has not answered by then is taken for dead.
const PROBE_DEADLINE: Duration = Duration::from_secs(4);

/// A task that was claimed, with everything its call needs.
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

/// Makes the call. The row of the call exists when this returns; the rest runs on its own.
pub async fn outbound(context: Shared, order: OutboundOrder) {
    let seat = context.registry.enter(order.scope, order.call, Some(order.task.id));
    let mut agent = order.agent.fields.clone();
    // What the task says about itself is what its events echo.
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
    let brief = Brief { agent, task: Some(order.task.fields.clone()), is_web: false };
    let record = Record::new(&context, order.scope, call, hooks, &seat).await;
    record.task_started(&order.task).await;
    // The answer to `execute` names the call: it should be found by then, but a database that is away does
    // not keep the answer.
    context.journal.flush(ROW_DEADLINE).await;
    metrics::counter!("trunkline_calls_started_total", "direction" => "outbound").increment(1);
    let span = tracing::info_span!("call", call = %order.call, organization = %order.scope.organization(), direction = "outbound");
    tokio::spawn(dial(context, order, brief, record, seat).instrument(span));
}

async fn dial(context: Shared, order: OutboundOrder, brief: Brief, mut record: Record, mut seat: Seat) {
    let Ok(ports) = context.ports.take() else {
        tracing::error!("no RTP port is free");
        return record.ended(EndReason::Overload).await;
    };
    let negotiation =
        Negotiation::new(context.media_addr, ports.port(), &order.trunk.fields.codecs, rand::random::<u32>().into());
    let mut way = Way { negotiation, ports: Some(ports), media: None, stt: None, detection: None };
    let Some(invite) = invite(&context, &order, way.negotiation.offer()) else {
        return record.ended(EndReason::TrunkError).await;
    };
    let (sip_call, mut events) = match context.sip.invite(invite).await {
        Ok(call) => call,
        Err(_) => return record.ended(EndReason::Overload).await,
    };
    match way.ring(&context, &brief, &record, &mut seat, &mut events).await {
        Ok(Answer { sdp, sip_call_id }) => {
            record.call.sip_call_id = Some(sip_call_id);
            way.talk(context, brief, record, seat, sip_call, events, &sdp).await;
        }
        Err(reason) => {
            context.sip.hang_up(sip_call).await;
            if let Some(who) = way.detection.as_ref().and_then(Detection::verdict) {
                record.call.metrics = Some(json!({"early_media": {"heard": who.name()}}));
            }
            if let Some(media) = way.media {
                media.leg.remove(None);
            }
            tracing::info!(reason = reason.name(), "call was not answered");
            record.ended(reason).await;
        }
    }
}

fn invite(context: &Shared, order: &OutboundOrder, sdp: Vec<u8>) -> Option<Invite> {
    let destination = Destination::parse(&order.task.fields.to_number)?;
    invite_to(context, &order.trunk, order.from_number.as_deref(), &destination, sdp)
}

/// Whether somebody is there at the trunk's other end: the status of the answer to OPTIONS (any is a sign of life)
/// and how long it took. `Err` when the trunk only receives.
pub async fn probe_trunk(context: &Context, trunk: &Trunk) -> Result<(Option<u16>, Duration), ()> {
    let host = trunk.fields.host.as_deref().ok_or(())?;
    let uri = Uri::sip(None, host, trunk.fields.port);
    let destination = Destination::SipUri(uri.to_string());
    let invite = invite_to(context, trunk, None, &destination, Vec::new()).ok_or(())?;
    let started = Instant::now();
    let answer = tokio::time::timeout(PROBE_DEADLINE, context.sip.options(invite)).await;
    Ok((answer.ok().flatten(), started.elapsed()))
}

/// An INVITE over a trunk; none when the trunk only receives.
pub(super) fn invite_to(
    context: &Context, trunk: &Trunk, from_number: Option<&str>, destination: &Destination, sdp: Vec<u8>,
) -> Option<Invite> {
    let trunk = &trunk.fields;
    let host = trunk.host.as_deref()?;
    let request_uri = match destination {
        Destination::Number(number) => Uri::sip(Some(&trunk.dial(number)), host, trunk.port),
        Destination::SipUri(uri) => Uri::parse(uri).ok()?,
    };
    let local = context.sip.local_udp();
    let from_domain = trunk.from_domain.clone().unwrap_or_else(|| context.media_addr.to_string());
    let from_user = trunk.from_user.as_deref().or(from_number).or(trunk.username.as_deref());
    let from_port = trunk.from_domain.is_none().then(|| local.port());
    let from = NameAddr {
        display: None,
        uri: Uri::sip(from_user.or(Some("anonymous")), &from_domain, from_port),
        params: String::new(),
    };
    let credentials = trunk.username.clone().zip(trunk.password.clone());
    let is_sip_uri = matches!(destination, Destination::SipUri(_));
    Some(Invite {
        to: NameAddr { display: None, uri: request_uri.clone(), params: String::new() },
        request_uri,
        from,
        // A URI names its own host; numbers go to the trunk.
        proxy: (!is_sip_uri).then(|| (host.to_owned(), trunk.port)),
        transport: match trunk.transport {
            TrunkTransport::Udp => Transport::Udp,
            TrunkTransport::Tcp => Transport::Tcp,
        },
        credentials: credentials.map(|(username, password)| Credentials { username, password }),
        sdp,
        headers: Headers::default(),
    })
}

struct Answer {
    sdp: Vec<u8>,
    sip_call_id: String,
}

/// The way to an answer, with what can be heard on it: announcements and mailboxes speak before they answer.
struct Way {
    negotiation: Negotiation,
    /// Until the leg has them.
    ports: Option<PortPair>,
    media: Option<Media>,
    stt: Option<SttSession>,
    detection: Option<Detection>,
}

impl Way {
    /// Waits for the answer. The recogniser connects with the first ringing.
    async fn ring(
        &mut self, context: &Shared, brief: &Brief, record: &Record, seat: &mut Seat,
        events: &mut mpsc::Receiver<Event>,
    ) -> Result<Answer, EndReason> {
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
                    Some(Event::Progress { sdp, .. }) => self.progress(context, brief, record, sdp),
                    Some(Event::Answered { sdp: Some(sdp), sip_call_id, .. }) => return Ok(Answer { sdp, sip_call_id }),
                    Some(Event::Answered { sdp: None, .. }) => return Err(EndReason::TrunkError),
                    Some(Event::Ended { cause, .. }) => return Err(not_answered(&cause)),
                    Some(_) => {}
                    None => return Err(EndReason::TrunkError),
                },
                command = seat.commands.recv() => match command {
                    // Nobody answered yet: an end is a cancel.
                    Some(Command::End(EndReason::EndedByApi)) | None => return Err(EndReason::Canceled),
                    Some(Command::End(reason)) => return Err(reason),
                    Some(_) => {}
                },
                event = heard => self.heard(event),
                event = words => self.understood(event),
                () = tokio::time::sleep_until(give_up) => return Err(EndReason::NoAnswer),
            }
        }
    }

    /// It rings, or something is to be heard already (183, or 180 with a description).
    fn progress(&mut self, context: &Shared, brief: &Brief, record: &Record, sdp: Option<Vec<u8>>) {
        let stream = sdp.and_then(|sdp| self.negotiation.accept(&sdp).ok());
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
            // The encoding is part of the recogniser's connection. An engine begins to talk once it is
            // connected: not before somebody listens.
            let law = stream.map_or(Law::Mu, |stream| stream.codec.law());
            self.stt = (!context.prepare_engine(brief)).then(|| context.start_stt(brief, law));
        }
    }

    fn heard(&mut self, event: Option<LegEvent>) {
        let (now, Some(detection)) = (Instant::now(), &mut self.detection) else { return };
        let tell = |input| {
            if let Some(stt) = &self.stt {
                let _ = stt.input.try_send(input); // early media is worth no waiting
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
            // The leg is gone with its worker: an answer finds no media.
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
        let media = match (self.negotiation.accept(answer), self.media, self.ports) {
            (Ok(stream), Some(mut media), _) => {
                media.law = stream.codec.law();
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
        let line = Line::Sip(Box::new(SipLine { call: sip_call, events: sip_events, negotiation, alive: true }));
        let conversation = Conversation { context, brief, record, seat, line, media };
        converse(conversation, hearing, self.detection).await;
    }
}

fn not_answered(cause: &Cause) -> EndReason {
    match cause {
        Cause::Refused { status, .. } => EndReason::from_sip_status(*status),
        Cause::Local => EndReason::Canceled,
        _ => EndReason::TrunkError,
    }
}
