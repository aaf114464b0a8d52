//! A call we make for a task: ring, and when somebody answers, the conversation.

use super::converse::{Conversation, converse};
use super::hooks::Hooks;
use super::{Hearing, Record, Shared};
use crate::call::machine::Brief;
use crate::call::negotiate::Negotiation;
use crate::call::registry::{Command, Seat};
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::{Transport as TrunkTransport, Trunk};
use crate::providers::listen::Session as SttSession;
use crate::store::{OrgScope, now};
use crate::webhooks::event;
use serde_json::Map;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use trunkline_media::codec::Law;
use trunkline_media::io::ports::PortPair;
use trunkline_signaling::sip::digest::Credentials;
use trunkline_signaling::sip::endpoint::{CallId as SipCall, Event, Invite, Transport};
use trunkline_signaling::sip::failure::Cause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};

/// How long the first row of a call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

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
    let brief = Brief { agent, task: Some(order.task.fields.clone()) };
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
    let mut negotiation =
        Negotiation::new(context.media_addr, ports.port(), &order.trunk.fields.codecs, rand::random::<u32>().into());
    let Some(invite) = invite(&context, &order, negotiation.offer()) else {
        return record.ended(EndReason::TrunkError).await;
    };
    let (sip_call, mut events) = match context.sip.invite(invite).await {
        Ok(call) => call,
        Err(_) => return record.ended(EndReason::Overload).await,
    };
    let mut stt = None;
    match ring(&context, &brief, &mut seat, &mut events, &mut stt).await {
        Ok(Answer { sdp, sip_call_id }) => {
            record.call.sip_call_id = Some(sip_call_id);
            talk(context, brief, record, seat, sip_call, events, negotiation, ports, &sdp, stt).await;
        }
        Err(reason) => {
            context.sip.hang_up(sip_call).await;
            tracing::info!(reason = reason.name(), "call was not answered");
            record.ended(reason).await;
        }
    }
}

fn invite(context: &Shared, order: &OutboundOrder, sdp: Vec<u8>) -> Option<Invite> {
    let trunk = &order.trunk.fields;
    let host = trunk.host.as_deref()?;
    let request_uri = match Destination::parse(&order.task.fields.to_number)? {
        Destination::Number(number) => Uri::sip(Some(&trunk.dial(&number)), host, trunk.port),
        Destination::SipUri(uri) => Uri::parse(&uri).ok()?,
    };
    let local = context.sip.local_udp();
    let from_domain = trunk.from_domain.clone().unwrap_or_else(|| context.media_addr.to_string());
    let from_user = trunk.from_user.as_deref().or(order.from_number.as_deref()).or(trunk.username.as_deref());
    let from_port = trunk.from_domain.is_none().then(|| local.port());
    let from = NameAddr {
        display: None,
        uri: Uri::sip(from_user.or(Some("anonymous")), &from_domain, from_port),
        params: String::new(),
    };
    let credentials = trunk.username.clone().zip(trunk.password.clone());
    let is_sip_uri = matches!(Destination::parse(&order.task.fields.to_number), Some(Destination::SipUri(_)));
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

/// Waits for the answer. The recogniser connects with the first ringing.
async fn ring(
    context: &Shared, brief: &Brief, seat: &mut Seat, events: &mut mpsc::Receiver<Event>, stt: &mut Option<SttSession>,
) -> Result<Answer, EndReason> {
    let give_up = tokio::time::Instant::now() + context.limits.ring_timeout;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Progress { .. }) => {
                    if stt.is_none() {
                        context.open_connections(brief);
                        // An engine begins to talk once it is connected: not before somebody listens.
                        *stt = (!context.prepare_engine(brief)).then(|| context.start_stt(brief, Law::Mu));
                    }
                }
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
            },
            () = tokio::time::sleep_until(give_up) => return Err(EndReason::NoAnswer),
        }
    }
}

fn not_answered(cause: &Cause) -> EndReason {
    match cause {
        Cause::Refused { status, .. } => EndReason::from_sip_status(*status),
        Cause::Local => EndReason::Canceled,
        _ => EndReason::TrunkError,
    }
}

async fn talk(
    context: Shared, brief: Brief, mut record: Record, seat: Seat, sip_call: SipCall,
    sip_events: mpsc::Receiver<Event>, mut negotiation: Negotiation, ports: PortPair, answer: &[u8],
    stt: Option<SttSession>,
) {
    let media = match negotiation.accept(answer) {
        Ok(stream) => context.start_leg(&brief, &record, stream, ports),
        Err(refusal) => {
            tracing::warn!(why = refusal.why, "answer cannot be used");
            None
        }
    };
    let Some(media) = media else {
        context.sip.hang_up(sip_call).await;
        return record.ended(EndReason::TrunkError).await;
    };
    // The encoding is part of the recogniser's connection: made for mu-law while it rang.
    let hearing = match stt {
        Some(stt) if media.law == Law::Mu => Hearing::Stt(stt),
        _ => context.start_hearing(&brief, media.law),
    };
    tracing::info!("call answered");
    converse(Conversation { context, brief, record, seat, sip_call, sip_events, negotiation, media }, hearing).await;
}
