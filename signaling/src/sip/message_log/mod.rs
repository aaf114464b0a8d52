//! The SIP messages of each call, as they went over the wire, for a carrier's support. Everything is bounded. What is
//! held is as received; whoever reads it gets it without secrets. So a call pays for the masking only when somebody
//! reads its messages, and not between its INVITE and the answer.
//!
//! A leg is one call at the user agent. It is found by Call-ID and one tag: by ours if we sent the INVITE, by the peer's
//! if the peer did. So both legs of a call that comes back to us, with one Call-ID, stay apart.

pub mod masking;

use super::message::HeaderName;
use super::message::headers::tag_of;
use super::message::parse::{read_headers, split_head, split_line, trim_leading_newlines};
use super::message::peek::HeaderPeek;
use super::transport::Transport;
use super::user_agent::CallId;
use crate::limits;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the messages of a leg are held after its last transaction: whoever stores them reads them in this time.
const KEPT_AFTER_END: Duration = Duration::from_secs(10);
/// Of the messages of a leg, those at its beginning that are never displaced by later ones.
const FIRST_KEPT: usize = limits::MESSAGE_LOG_MESSAGES_MAX * 3 / 5;
/// Latest messages that a repetition is compared with.
const REPETITIONS_OF: usize = 8;
/// What a message costs beside its bytes.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageDirection {
    /// The peer sent it.
    Received,
    /// We handed it to its transport.
    Sent,
}

/// A message on the wire.
#[derive(Clone, Copy, Debug)]
pub struct WireMessage<'a> {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Which way it goes.
    pub direction: MessageDirection,
    /// Transport that carries it.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The message, or at least its first [`limits::MESSAGE_LOG_READ_BYTES_MAX`] bytes.
    pub bytes: &'a [u8],
    /// Length of the whole message.
    pub length: usize,
}

/// The beginning of a received message, kept until it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageExcerpt {
    /// At most [`limits::MESSAGE_LOG_READ_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
    /// Length of the whole message.
    pub length: usize,
}

impl MessageExcerpt {
    /// Copies the beginning of a message.
    pub fn of(message: &[u8]) -> Self {
        let bytes = message.get(..limits::MESSAGE_LOG_READ_BYTES_MAX).unwrap_or(message).to_vec();
        Self { bytes, length: message.len() }
    }
}

/// Bytes with secrets in them: they are shown to nobody.
#[derive(Clone, PartialEq, Eq)]
struct UnmaskedBytes(Arc<[u8]>);

impl fmt::Debug for UnmaskedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// A message as it may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedText {
    /// The message without secrets, its unprintable bytes escaped; at most [`limits::MESSAGE_LOG_BYTES_MAX`] bytes.
    pub text: String,
    /// The text is only the beginning.
    pub is_cut: bool,
}

/// A message that was recorded. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedMessage {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Which way it went.
    pub direction: MessageDirection,
    /// Transport that carried it.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Value of CSeq; empty if it cannot be read.
    pub cseq: Arc<str>,
    /// The message, or its beginning.
    excerpt: UnmaskedBytes,
    /// Length on the wire, in bytes.
    pub length: usize,
    /// How often the same message went the same way again.
    pub repetitions: u32,
    /// When it last did; `at_ms` without repetitions.
    pub last_at_ms: u64,
}

impl LoggedMessage {
    fn record(wire: &WireMessage<'_>, cseq: &str) -> Self {
        let excerpt = wire.bytes.get(..limits::MESSAGE_LOG_BYTES_MAX).unwrap_or(wire.bytes);
        Self {
            at_ms: wire.at_ms,
            direction: wire.direction,
            transport: wire.transport,
            local: wire.local,
            remote: wire.remote,
            cseq: cseq.chars().filter(|c| !c.is_control()).take(64).collect::<String>().into(),
            excerpt: UnmaskedBytes(excerpt.into()),
            length: wire.length,
            repetitions: 0,
            last_at_ms: wire.at_ms,
        }
    }

    /// The message without secrets.
    pub fn masked(&self) -> MaskedText {
        let mut text = masking::mask(&self.excerpt.0);
        let mut end = text.len().min(limits::MESSAGE_LOG_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let is_cut = self.length > self.excerpt.0.len() || end < text.len();
        text.truncate(end);
        MaskedText { text, is_cut }
    }

    fn is_repeated_by(&self, other: &Self) -> bool {
        (self.direction, self.transport, self.remote, self.length)
            == (other.direction, other.transport, other.remote, other.length)
            && (&self.cseq, &self.excerpt) == (&other.cseq, &other.excerpt)
    }

    fn cost(&self) -> usize {
        self.excerpt.0.len().saturating_add(MESSAGE_OVERHEAD_BYTES)
    }
}

/// The messages of a leg so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegMessages {
    /// Value of the Call-ID header.
    pub sip_call_id: Arc<str>,
    /// In the order in which they were handled.
    pub messages: Vec<LoggedMessage>,
    /// Messages for which there was no room.
    pub left_out: u64,
    /// More may come: the leg or one of its transactions goes on.
    pub is_open: bool,
}

/// How the messages of a leg are told from others with its Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegTag<'a> {
    /// We sent the INVITE: the tag in its From header.
    Local(&'a str),
    /// The peer sent the INVITE: the tag in its From header.
    Remote(&'a str),
}

/// What tells the leg of a message.
struct Envelope {
    is_request: bool,
    call_id: String,
    from_tag: String,
    to_tag: String,
    cseq: String,
}

impl Envelope {
    /// `None` without a Call-ID. Reads the headers as the user agent does.
    fn read(message: &[u8]) -> Option<Self> {
        let message = trim_leading_newlines(message);
        let (start, rest) = split_line(split_head(message).map_or(message, |(head, _)| head));
        let (headers, _) = read_headers(rest);
        let get = |name| headers.get(&name).unwrap_or("");
        let tag = |name| tag_of(get(name)).unwrap_or("").to_owned();
        Some(Self {
            is_request: !start.starts_with(b"SIP/"),
            call_id: headers.get(&HeaderName::CallId).filter(|id| !id.is_empty())?.to_owned(),
            from_tag: tag(HeaderName::From),
            to_tag: tag(HeaderName::To),
            cseq: get(HeaderName::CSeq).to_owned(),
        })
    }

    fn belongs_to_invite(&self) -> bool {
        matches!(self.cseq.split_ascii_whitespace().nth(1), Some("INVITE" | "ACK"))
    }
}

#[derive(Debug)]
struct Leg {
    key: String,
    sip_call_id: Arc<str>,
    messages: VecDeque<LoggedMessage>,
    left_out: u64,
    bytes: usize,
    /// When its last transaction was seen to be over.
    ended: Option<Instant>,
}

/// The messages of all legs.
#[derive(Debug, Default)]
pub struct MessageLog {
    legs: HashMap<CallId, Leg>,
    keys: HashMap<String, CallId>,
    /// Messages of INVITEs that are no call yet: some are challenged or still to be told to their owner.
    recent: VecDeque<(String, LoggedMessage)>,
    /// Cost of the messages of all legs.
    bytes: usize,
}

impl MessageLog {
    /// Begins the log of a leg, with what has already been exchanged for its INVITE.
    pub fn open(&mut self, call: CallId, sip_call_id: &str, tag: LegTag<'_>) {
        if self.legs.len() >= limits::MESSAGE_LOG_LEGS_MAX {
            return;
        }
        let key = leg_key(sip_call_id, tag);
        let leg = Leg {
            key: key.clone(),
            sip_call_id: sip_call_id.into(),
            messages: VecDeque::new(),
            left_out: 0,
            bytes: 0,
            ended: None,
        };
        self.remove(call);
        self.legs.insert(call, leg);
        self.keys.insert(key.clone(), call);
        let (own, others) = std::mem::take(&mut self.recent).into_iter().partition(|(of, _)| *of == key);
        self.recent = others;
        let own: VecDeque<(String, LoggedMessage)> = own;
        own.into_iter().for_each(|(_, message)| self.add(call, message));
    }

    /// Records a message if it belongs to a leg, or to an INVITE that may become one.
    pub fn record(&mut self, wire: WireMessage<'_>) {
        // A registration is no call, and there are many: they are not read twice.
        if HeaderPeek::of_datagram(wire.bytes).is_none_or(|peek| peek.cseq_method() == "REGISTER") {
            return;
        }
        let Some(envelope) = Envelope::read(wire.bytes) else { return };
        let is_ours = (wire.direction == MessageDirection::Sent) == envelope.is_request;
        let (local, remote) = match is_ours {
            true => (&envelope.from_tag, &envelope.to_tag),
            false => (&envelope.to_tag, &envelope.from_tag),
        };
        let remote = leg_key(&envelope.call_id, LegTag::Remote(remote));
        let known = self.keys.get(&leg_key(&envelope.call_id, LegTag::Local(local))).or_else(|| self.keys.get(&remote));
        match known.copied() {
            Some(call) => self.add(call, LoggedMessage::record(&wire, &envelope.cseq)),
            None if !is_ours && envelope.belongs_to_invite() => {
                if self.recent.len() >= limits::MESSAGE_LOG_RECENT_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back((remote, LoggedMessage::record(&wire, &envelope.cseq)));
            }
            None => {}
        }
    }

    /// The messages of a leg; `None` if it is not known, or no longer.
    pub fn messages(&self, call: CallId) -> Option<LegMessages> {
        let leg = self.legs.get(&call)?;
        Some(LegMessages {
            sip_call_id: leg.sip_call_id.clone(),
            messages: leg.messages.iter().cloned().collect(),
            left_out: leg.left_out,
            is_open: leg.ended.is_none(),
        })
    }

    /// Forgets legs that have been over for a while. `has_call` says whether the user agent still has the call.
    pub fn sweep(&mut self, now: Instant, has_call: impl Fn(CallId) -> bool) {
        for (call, leg) in self.legs.iter_mut().filter(|(_, leg)| leg.ended.is_none()) {
            leg.ended = (!has_call(*call)).then_some(now);
        }
        let is_due = |leg: &Leg| leg.ended.is_some_and(|at| now.saturating_duration_since(at) >= KEPT_AFTER_END);
        let due: Vec<CallId> = self.legs.iter().filter(|(_, leg)| is_due(leg)).map(|(call, _)| *call).collect();
        due.into_iter().for_each(|call| self.remove(call));
    }

    fn remove(&mut self, call: CallId) {
        let Some(leg) = self.legs.remove(&call) else { return };
        self.bytes = self.bytes.saturating_sub(leg.bytes);
        if self.keys.get(&leg.key) == Some(&call) {
            self.keys.remove(&leg.key);
        }
    }

    fn add(&mut self, call: CallId, message: LoggedMessage) {
        let Some(leg) = self.legs.get_mut(&call) else { return };
        let repeated = leg.messages.iter_mut().rev().take(REPETITIONS_OF).find(|one| one.is_repeated_by(&message));
        if let Some(one) = repeated {
            one.repetitions = one.repetitions.saturating_add(1);
            one.last_at_ms = message.at_ms;
            return;
        }
        if leg.messages.len() >= limits::MESSAGE_LOG_MESSAGES_MAX
            && let Some(displaced) = leg.messages.remove(FIRST_KEPT)
        {
            leg.left_out = leg.left_out.saturating_add(1);
            leg.bytes = leg.bytes.saturating_sub(displaced.cost());
            self.bytes = self.bytes.saturating_sub(displaced.cost());
        }
        // The second half of the room is for legs with few messages, so that no call takes that of others.
        let is_half_full = self.bytes > limits::MESSAGE_LOG_ALL_BYTES_MAX / 2;
        let leg_max =
            if is_half_full { limits::MESSAGE_LOG_LEG_BYTES_MAX / 16 } else { limits::MESSAGE_LOG_LEG_BYTES_MAX };
        let (own, all) = (leg.bytes.saturating_add(message.cost()), self.bytes.saturating_add(message.cost()));
        if own > leg_max || all > limits::MESSAGE_LOG_ALL_BYTES_MAX {
            leg.left_out = leg.left_out.saturating_add(1);
            return;
        }
        (leg.bytes, self.bytes) = (own, all);
        leg.messages.push_back(message);
    }
}

fn leg_key(call_id: &str, tag: LegTag<'_>) -> String {
    match tag {
        LegTag::Local(tag) => format!("{call_id}\nlocal\n{tag}"),
        LegTag::Remote(tag) => format!("{call_id}\nremote\n{tag}"),
    }
}

#[cfg(test)]
mod tests;
