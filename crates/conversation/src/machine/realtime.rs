//! A realtime model as the speaker of a call: it does STT, LLM and TTS by itself. The call still decides which part was
//! heard, when to hang up and which tools run.

use super::line::Line;
use super::output::CallOutput;
use super::transcript::TurnNumber;
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::{Duration, Instant};
use trunkline_domain::transcript::{Turn, TurnAuthor, TurnRole};
use trunkline_media::playout::queue::SegmentId;
use trunkline_providers::realtime::RealtimeInput;
use trunkline_providers::{ProviderError, TokenUsage};

/// A realtime model that does not respond for this long is considered failed.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(6);
/// When something else is said, with another voice if it has to be, while the model is silent.
const FILLER_AFTER: Duration = Duration::from_millis(2_500);
/// The shorter timeout in the middle of a response.
const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the caller's transcript, and the turns after it, wait: providers send it within a second or two, or never.
const CALLER_TRANSCRIPT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long another session may take after one has ended, if a fallback is there to take over.
const RECONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Samples in a millisecond.
const SAMPLES_PER_MS: u64 = 8;

/// What a realtime model can do, and who stands in for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealtimeCapabilities {
    /// `provider/model`.
    pub name: String,
    /// It can be made to say a given text.
    pub can_say: bool,
    /// It says the first message without being told.
    pub greets: bool,
    /// `provider/model` of the text model that takes over when it fails.
    pub fallback: Option<String>,
}

/// The caller's turn whose transcript is outstanding.
#[derive(Clone, Copy, Debug)]
struct PendingUserTurn {
    /// Its place in the transcript, until the words are not waited for any more.
    turn: Option<TurnNumber>,
    started: Instant,
    ended: Instant,
}

/// A part of the model's response, which becomes a segment of ours.
#[derive(Clone, Copy, Debug)]
struct RealtimeItem {
    number: u32,
    /// Its segment of our response, which may have fillers as well.
    segment: u32,
    has_audio: bool,
}

/// The response that the model is sending.
#[derive(Debug)]
pub(super) struct IncomingResponse {
    pub(super) response_id: u32,
    /// Its items so far, in the order of their segments.
    items: Vec<RealtimeItem>,
}

/// How a response of the model has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseEnd {
    /// It has audio, calls tools, or says nothing.
    Complete,
    /// It was cut before, or is not the current one.
    Unknown,
}

/// What the caller still waits for from a session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owed {
    /// Nothing, or what the next session does by itself once it hears the caller.
    Nothing,
    /// A scripted text that was not begun.
    Words(OrderedText),
    /// The answer to what was said last.
    Answer,
    /// The rest of an answer that was being said.
    Rest,
}

/// The connection with the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A session hears the caller. `Owed` is asked for as soon as nothing else is being said.
    Up(Owed),
    /// One has ended, another one is being opened.
    Lost(Owed),
}

/// A text that the model was told to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderedText {
    pub(super) text: String,
    pub(super) then: AfterResponse,
    /// Whose words it is, where they are not the agent's own.
    pub(super) said_by: Option<TurnAuthor>,
}

/// A session with a realtime model.
#[derive(Debug)]
pub struct Realtime {
    pub(super) capabilities: RealtimeCapabilities,
    pub(super) link: Link,
    pub(super) incoming: Option<IncomingResponse>,
    /// What the next response says and what happens after it, if we have ordered it.
    pub(super) ordered: Option<OrderedText>,
    pending_turn: Option<PendingUserTurn>,
    pub(super) speech_started: Option<Instant>,
    /// When the caller's turn ended, for the figures of the next answer.
    pub(super) turn_ended: Option<Instant>,
    /// When a model that was asked counts as failed.
    pub(super) stall_at: Option<Instant>,
    /// Until when a model that was asked is waited for once something else was said in the meantime.
    pub(super) give_up_at: Option<Instant>,
    /// When the caller's transcript is not waited for any more.
    pub(super) transcript_at: Option<Instant>,
    has_spoken: bool,
}

impl Realtime {
    pub(super) fn new(capabilities: RealtimeCapabilities) -> Self {
        Self {
            capabilities,
            link: Link::Up(Owed::Nothing),
            incoming: None,
            ordered: None,
            pending_turn: None,
            speech_started: None,
            turn_ended: None,
            stall_at: None,
            give_up_at: None,
            transcript_at: None,
            has_spoken: false,
        }
    }

    /// A response begins to come in.
    pub(super) fn begin_response(&mut self, now: Instant, response_id: u32) {
        self.incoming = Some(IncomingResponse { response_id, items: Vec::new() });
        self.expect_response(now);
    }

    pub(super) fn send(line: &mut Line, input: RealtimeInput) {
        line.output(CallOutput::Realtime(input));
    }

    /// Says a scripted text with the realtime voice.
    pub(super) fn say(
        &mut self, line: &mut Line, now: Instant, text: &str, then: AfterResponse, said_by: Option<TurnAuthor>,
    ) {
        self.ordered = Some(OrderedText { text: text.to_owned(), then, said_by });
        self.expect_response(now);
        Self::send(line, RealtimeInput::Say(text.to_owned()));
    }

    pub(super) fn request_response(&mut self, line: &mut Line, now: Instant, hint: Option<&str>) {
        self.expect_response(now);
        Self::send(line, RealtimeInput::RequestResponse(hint.map(str::to_owned)));
    }

    /// The model owes a response from now on.
    pub(super) fn expect_response(&mut self, now: Instant) {
        self.stall_at = Some(now + FILLER_AFTER);
        self.give_up_at = Some(now + RESPONSE_TIMEOUT);
    }

    /// A response is owed or comes in.
    pub(super) fn owes_response(&self) -> bool {
        self.stall_at.is_some() || self.incoming.is_some() || self.ordered.is_some()
    }

    /// Nothing is waited for: the caller is on hold.
    pub(super) fn rest(&mut self) {
        (self.stall_at, self.give_up_at, self.ordered) = (None, None, None);
    }

    pub(super) fn send_tool_result(line: &mut Line, id: &str, result: &str) {
        Self::send(line, RealtimeInput::ToolResult { id: id.to_owned(), result: result.to_owned() });
    }

    /// The model detected the caller's speech: stop playing its response.
    pub(super) fn handle_interrupted(line: &mut Line) {
        if line.facts.spec.agent.turn().barge_in && !line.is_saying_last_words() {
            line.cancel_playback();
        }
    }

    pub(super) fn handle_caller_turn_ended(&mut self, line: &mut Line, now: Instant) {
        self.turn_ended = Some(now);
        if self.pending_turn.is_none() {
            let started = self.speech_started.take().unwrap_or(now);
            self.pending_turn = Some(PendingUserTurn { turn: Some(line.transcript.open()), started, ended: now });
            self.transcript_at = Some(now + CALLER_TRANSCRIPT_TIMEOUT);
        }
    }

    /// The answer to the turn whose transcript is outstanding has begun already.
    pub(super) fn has_answered_pending_turn(&self) -> bool {
        self.pending_turn.is_some() && self.turn_ended.is_none()
    }

    /// The caller's transcript timed out: later turns are published without it.
    pub(super) fn drop_late_transcript(&mut self, line: &mut Line) {
        let late = self.pending_turn.as_mut().and_then(|pending| pending.turn.take());
        if let Some(number) = late {
            line.transcript.drop(number);
            line.emit_turns();
        }
    }

    /// Writes down what the caller has said; without words, the turn is dropped from the transcript.
    pub(super) fn record_transcript(&mut self, line: &mut Line, now: Instant, text: &str) {
        let spoken = self.pending_turn.take();
        self.transcript_at = None;
        if !text.is_empty() {
            let spoken = spoken.unwrap_or(PendingUserTurn { turn: None, started: now, ended: now });
            let number = spoken.turn.unwrap_or_else(|| line.transcript.open());
            let turn = Turn {
                role: TurnRole::User,
                content: text.to_owned(),
                started_at_ms: line.ms(spoken.started),
                ended_at_ms: line.ms(spoken.ended),
                interrupted: false,
                confidence: None,
                agent_id: None,
                said_by: None,
            };
            line.record(number, turn);
        } else if let Some(number) = spoken.and_then(|spoken| spoken.turn) {
            line.transcript.drop(number);
            line.emit_turns();
        }
    }

    /// The segment of an item of the response that is coming in; a new one if it has none.
    fn segment_of_item(&mut self, line: &mut Line, number: u32) -> Option<(SegmentId, &mut RealtimeItem)> {
        let IncomingResponse { response_id, items } = self.incoming.as_mut()?;
        let response_id = *response_id;
        let known = items.iter().position(|known| known.number == number);
        let index = match known {
            Some(index) => index,
            None => {
                let segment = line.playout.current(response_id)?.open_segment();
                items.push(RealtimeItem { number, segment, has_audio: false });
                items.len() - 1
            }
        };
        let item = items.get_mut(index)?;
        Some((SegmentId { response_id, index: item.segment }, item))
    }

    /// Appends to the text of an item, or replaces it.
    pub(super) fn add_text(&mut self, line: &mut Line, item: u32, text: &str, whole: bool) {
        if let Some((segment, _)) = self.segment_of_item(line, item)
            && let Some(response) = line.playout.current(segment.response_id)
        {
            response.set_segment_text(segment.index, text, whole);
        }
    }

    /// The segment that audio of an item belongs to; `None` for audio that must not be played.
    pub(super) fn handle_audio(&mut self, line: &mut Line, now: Instant, item: u32) -> Option<SegmentId> {
        let (segment, item) = self.segment_of_item(line, item)?;
        item.has_audio = true;
        self.has_spoken = true;
        let at_ms = line.ms(now);
        line.metrics().record_first_token(segment.response_id, at_ms);
        line.metrics().record_first_audio(segment.response_id, at_ms);
        self.stall_at = Some(now + RESPONSE_STALL_TIMEOUT);
        self.give_up_at = None;
        Some(segment)
    }

    /// A response was cut: tells the model how much of which item was heard.
    pub(super) fn truncate(&mut self, line: &mut Line, response: &AgentResponse, sent: &[(u32, u64)]) {
        if response.is_scripted {
            return;
        }
        let cut = response.unfinished().and_then(|index| {
            let item = self.incoming.as_ref()?.items.iter().find(|item| item.segment == index)?;
            let samples = sent.iter().find(|(of, _)| *of == index).map_or(0, |(_, samples)| *samples);
            Some((item.number, samples / SAMPLES_PER_MS))
        });
        self.incoming.take_if(|incoming| incoming.response_id == response.response_id);
        self.stall_at = None;
        Self::send(line, RealtimeInput::Interrupted { item: cut });
    }

    /// The response is complete: segments without audio were not heard.
    pub(super) fn handle_response_done(&mut self, line: &mut Line, mut usage: TokenUsage) -> ResponseEnd {
        usage.model.clone_from(&self.capabilities.name);
        let incoming = self.incoming.take();
        let response_id = incoming.as_ref().map_or(0, |incoming| incoming.response_id);
        line.metrics().record_token_usage(response_id, &usage);
        self.stall_at = None;
        let Some(IncomingResponse { items, .. }) = incoming else { return ResponseEnd::Unknown };
        let Some(response) = line.playout.current(response_id) else { return ResponseEnd::Unknown };
        for item in items.iter().filter(|item| !item.has_audio) {
            response.record_tts_failed(item.segment);
        }
        let _ = response.finish();
        ResponseEnd::Complete
    }

    /// Whether the response that is complete has nothing in it, and the model has not spoken in this call. Saying nothing is
    /// an answer, but not all that a model may ever say.
    pub(super) fn is_mute(&self, line: &mut Line) -> bool {
        let response = self.incoming.as_ref().and_then(|incoming| line.playout.current(incoming.response_id));
        !self.has_spoken && response.is_some_and(|response| response.tool_calls.is_empty())
    }

    /// Whether audio of the response that is coming in has arrived.
    pub(super) fn has_incoming_audio(&self) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.items.iter().any(|item| item.has_audio))
    }

    /// The session has ended early: what it owes is asked of the next one. The caller's words that were not written down yet
    /// are heard again by that one.
    pub(super) fn lose_session(&mut self, now: Instant, is_unanswered: bool) {
        let was_owed = match &mut self.link {
            Link::Up(owed) | Link::Lost(owed) => std::mem::replace(owed, Owed::Nothing),
        };
        let owed = match (self.ordered.take(), self.incoming.take()) {
            (Some(ordered), _) => Owed::Words(ordered),
            (None, Some(incoming)) if incoming.items.iter().any(|item| item.has_audio) => match self.speech_started {
                // The caller has interrupted it.
                Some(_) => Owed::Nothing,
                None => Owed::Rest,
            },
            (None, _) if was_owed != Owed::Nothing => was_owed,
            (None, _) if is_unanswered && self.pending_turn.is_none() && self.speech_started.is_none() => Owed::Answer,
            (None, _) => Owed::Nothing,
        };
        self.link = Link::Lost(owed);
        self.expect_response(now);
        if self.capabilities.fallback.is_some() {
            (self.stall_at, self.give_up_at) = (Some(now + RECONNECT_TIMEOUT), None);
        }
    }

    /// Another session hears the caller. False if none was lost.
    pub(super) fn regain_session(&mut self) -> bool {
        let Link::Lost(owed) = &mut self.link else { return false };
        self.link = Link::Up(std::mem::replace(owed, Owed::Nothing));
        self.stall_at = None;
        true
    }

    /// Takes what is owed, if there is a session to ask for it.
    pub(super) fn take_owed(&mut self) -> Owed {
        match &mut self.link {
            Link::Up(owed) => std::mem::replace(owed, Owed::Nothing),
            Link::Lost(_) => Owed::Nothing,
        }
    }

    /// The caller speaks: nobody waits for the rest of what was said before.
    pub(super) fn forget_rest(&mut self) {
        match &mut self.link {
            Link::Up(owed) | Link::Lost(owed) if *owed == Owed::Rest => *owed = Owed::Nothing,
            Link::Up(_) | Link::Lost(_) => {}
        }
    }

    /// The model failed: turns that have waited for its transcript are published.
    pub(super) fn leave(&mut self, line: &mut Line, failure: &ProviderError) {
        self.drop_late_transcript(line);
        tracing::warn!(error = %failure, "realtime model failed");
        line.metrics().record_provider_error("engine", failure.kind());
        line.output(CallOutput::LeaveRealtime);
    }
}
