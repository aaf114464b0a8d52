//! Calls on a realtime model, which does STT, LLM and TTS by itself. This code still decides which part was heard, when
//! to hang up and which tools run.

use super::transcript::TurnNumber;
use super::{CallMachine, CallOutput, CallPhase, CallTimer};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::{Duration, Instant};
use trunkline_domain::chat::CONTINUE_PROMPT;
use trunkline_domain::transcript::{Turn, TurnRole};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::end_of_turn;
use trunkline_providers::realtime::{RealtimeEvent, RealtimeInput};
use trunkline_providers::{Failover, ProviderError};

/// A realtime model that does not respond for this long is considered failed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(6);
/// The shorter timeout in the middle of a response.
const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the caller's transcript, and the turns after it, wait: providers send it within a second or two, or never.
const CALLER_TRANSCRIPT_TIMEOUT: Duration = Duration::from_secs(4);
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

#[derive(Debug)]
pub(super) struct RealtimeState {
    capabilities: RealtimeCapabilities,
    /// The response id of the incoming response.
    response_id: Option<u32>,
    /// Items of the response by segment, and whether any audio came for them.
    items: Vec<(u32, bool)>,
    /// What happens after the next response.
    after: Option<AfterResponse>,
    pending_turn: Option<PendingUserTurn>,
    speech_started: Option<Instant>,
    /// End of the caller's speech and of the turn, for the figures of the next answer.
    turn: Option<(Instant, Instant)>,
}

impl RealtimeState {
    pub(super) fn can_say(&self) -> bool {
        self.capabilities.can_say
    }

    pub(super) fn new(capabilities: RealtimeCapabilities) -> Self {
        Self {
            capabilities,
            response_id: None,
            items: Vec::new(),
            after: None,
            pending_turn: None,
            speech_started: None,
            turn: None,
        }
    }
}

impl CallMachine {
    /// Handles an event of the realtime model; ignored once STT, LLM and TTS have taken over.
    pub fn handle_realtime_event(&mut self, now: Instant, event: RealtimeEvent) {
        if self.realtime.is_none() {
            return;
        }
        match event {
            RealtimeEvent::Ready
            | RealtimeEvent::Conversation(_)
            | RealtimeEvent::Audio { .. }
            | RealtimeEvent::ItemDone { .. } => {}
            RealtimeEvent::SpeechStarted => {
                if let Some(state) = &mut self.realtime {
                    state.speech_started = Some(now);
                }
                self.handle_realtime_interrupted();
            }
            RealtimeEvent::Interrupted => self.handle_realtime_interrupted(),
            RealtimeEvent::SpeechStopped => self.handle_caller_turn_ended(now),
            RealtimeEvent::UserInterim(text) => self.handle_caller_words(&text),
            RealtimeEvent::UserFinal(text) => self.handle_caller_transcript(now, &text),
            RealtimeEvent::ResponseStarted => self.handle_response_started(now),
            RealtimeEvent::Text { item, text } => self.add_realtime_text(item, &text, false),
            RealtimeEvent::FinalText { item, text } => self.add_realtime_text(item, &text, true),
            // Tools run after the text before them was heard.
            RealtimeEvent::ToolCalls(calls) => match self.response.as_mut().filter(|response| !response.is_scripted) {
                Some(response) => response.tool_calls.extend(calls),
                None => {
                    self.history.push_assistant("", calls.clone());
                    self.run_tools(now, &calls, false);
                }
            },
            RealtimeEvent::ResponseDone(mut usage) => {
                if let Some(state) = &self.realtime {
                    usage.model.clone_from(&state.capabilities.name);
                }
                let response_id = self.realtime.as_ref().and_then(|state| state.response_id).unwrap_or_default();
                self.metrics.record_token_usage(response_id, &usage);
                self.handle_response_done(now);
            }
            RealtimeEvent::Failed(failure) => self.handle_realtime_failed(now, &failure),
        }
    }

    /// The segment that audio of an item belongs to; `None` for audio that must not be played.
    pub fn handle_realtime_audio(&mut self, now: Instant, item: u32) -> Option<SegmentId> {
        let response_id = self.realtime.as_ref()?.response_id?;
        let index = self.segment_of_item(item)?;
        if let Some(state) = &mut self.realtime {
            state.items[index as usize].1 = true;
        }
        let at_ms = self.ms(now);
        self.metrics.record_first_token(response_id, at_ms);
        self.metrics.record_first_audio(response_id, at_ms);
        self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_STALL_TIMEOUT);
        self.llm_failures = 0;
        Some(SegmentId { response_id, index })
    }

    /// The answer that is coming in, as long as it is wanted.
    fn realtime_response(&mut self) -> Option<&mut AgentResponse> {
        let response_id = self.realtime.as_ref()?.response_id?;
        self.response.as_mut().filter(|response| response.response_id == response_id)
    }

    /// Returns the segment of an item; opens a new one if it has none.
    fn segment_of_item(&mut self, item: u32) -> Option<u32> {
        let known = self.realtime.as_ref()?.items.iter().position(|(known, _)| *known == item);
        if let Some(index) = known {
            return Some(index as u32);
        }
        let index = self.realtime_response()?.open_segment();
        self.realtime.as_mut()?.items.push((item, false));
        Some(index)
    }

    fn add_realtime_text(&mut self, item: u32, text: &str, whole: bool) {
        if let Some(index) = self.segment_of_item(item)
            && let Some(response) = self.realtime_response()
        {
            response.set_segment_text(index, text, whole);
        }
    }

    fn handle_response_started(&mut self, now: Instant) {
        let ending = self
            .response
            .as_ref()
            .is_some_and(|response| response.is_scripted && matches!(response.after, AfterResponse::HangUp(_)));
        let announced = self.realtime.as_ref().is_some_and(|state| state.after.is_some());
        // Responses to an announcement are dropped; our message is the next response.
        let announcement = self.voicemail.is_some() && self.realtime.as_ref().is_none_or(|state| state.after.is_none());
        if !self.is_talking() || ending || announcement || self.is_transferring() && !announced {
            return self.output(CallOutput::Realtime(RealtimeInput::Interrupted { item: None }));
        }
        if let Some(response) = self.response.take() {
            // Barge-in at its end, or a second response: the older one is over.
            let response_id = response.response_id;
            self.output(CallOutput::CancelSpeech { response_id });
            let (said, at_ms) = (response.said(), self.ms(now));
            if response.transcript_turn.is_some() {
                self.history.push_assistant(&said, Vec::new());
                self.response = Some(response);
                self.record_response(at_ms, true, Some(said));
                self.response = None;
            }
        }
        self.response_id += 1;
        let response_id = self.response_id;
        let mut response = AgentResponse::from_model(response_id, self.spec.style());
        let Some(state) = &mut self.realtime else { return };
        state.response_id = Some(response_id);
        state.items.clear();
        response.after = state.after.take().unwrap_or(AfterResponse::AwaitCaller);
        let turn = state.turn.take();
        self.response = Some(response);
        if let Some((speech_ended, decided)) = turn {
            let (speech_ended, decided) = (self.ms(speech_ended), self.ms(decided));
            self.metrics.record_turn(response_id, speech_ended, None, decided);
        }
        self.timers.clear(CallTimer::Silence);
        self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_TIMEOUT);
    }

    fn handle_response_done(&mut self, now: Instant) {
        self.timers.clear(CallTimer::RealtimeStall);
        let Some(state) = &mut self.realtime else { return };
        let Some(response_id) = state.response_id.take() else { return };
        let items = std::mem::take(&mut state.items);
        let Some(response) = self.response.as_mut().filter(|response| response.response_id == response_id) else {
            return;
        };
        for (index, _) in items.iter().enumerate().filter(|(_, (_, sounded))| !sounded) {
            response.record_tts_failed(index as u32);
        }
        let _ = response.finish();
        let said_something = items.iter().any(|(_, sounded)| *sounded);
        if said_something || !response.tool_calls.is_empty() {
            return self.advance(now);
        }
        self.response = None;
        self.metrics.record_provider_error("engine", "garbage");
        self.llm_failures += 1;
        if self.llm_failures >= super::FAILURES_MAX {
            return self.handle_realtime_failed(now, &ProviderError::InvalidResponse("empty answer".to_owned()));
        }
        let text = self.phrases.repeat;
        self.say(now, text, AfterResponse::AwaitCaller);
    }

    /// The realtime model detected the caller's speech: stop playing its response.
    fn handle_realtime_interrupted(&mut self) {
        self.timers.clear(CallTimer::Silence);
        if !self.spec.agent.turn().barge_in {
            return;
        }
        if let Some(response) = &self.response {
            let response_id = response.response_id;
            self.output(CallOutput::CancelSpeech { response_id });
        }
    }

    fn handle_caller_turn_ended(&mut self, now: Instant) {
        let Some(state) = &mut self.realtime else { return };
        state.turn = Some((now, now));
        if state.pending_turn.is_none() {
            let started = state.speech_started.take().unwrap_or(now);
            state.pending_turn = Some(PendingUserTurn { turn: Some(self.transcript.open()), started, ended: now });
            self.timers.set(CallTimer::CallerTranscript, now + CALLER_TRANSCRIPT_TIMEOUT);
        }
    }

    /// The caller's transcript timed out: later turns are published without it.
    pub(super) fn handle_caller_transcript_timeout(&mut self) {
        let late = self.realtime.as_mut().and_then(|state| state.pending_turn.as_mut()?.turn.take());
        if let Some(number) = late {
            self.transcript.drop(number);
            self.emit_turns();
        }
    }

    fn handle_caller_transcript(&mut self, now: Instant, text: &str) {
        self.handle_caller_words(text);
        let spoken = self.realtime.as_mut().and_then(|state| state.pending_turn.take());
        self.timers.clear(CallTimer::CallerTranscript);
        if !text.is_empty() {
            let spoken = spoken.unwrap_or(PendingUserTurn { turn: None, started: now, ended: now });
            let number = spoken.turn.unwrap_or_else(|| self.transcript.open());
            let turn = Turn {
                role: TurnRole::User,
                content: text.to_owned(),
                started_at_ms: self.ms(spoken.started),
                ended_at_ms: self.ms(spoken.ended),
                interrupted: false,
                confidence: None,
            };
            self.record(number, turn);
            self.history.push_user(text);
            self.tool_rounds = 0;
            if self.is_talking() && self.realtime.as_ref().is_some_and(|state| state.response_id.is_none()) {
                self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_TIMEOUT);
            }
        } else if let Some(number) = spoken.and_then(|spoken| spoken.turn) {
            self.transcript.drop(number);
            self.emit_turns();
        }
        if let CallPhase::Ending { reason, .. } = self.phase
            && self.response.is_none()
        {
            self.finish(now, reason);
        }
    }

    /// Lets the LLM continue a response that the realtime model left unfinished.
    pub(super) fn continue_response_with_llm(&mut self, now: Instant) -> bool {
        let cut_off = std::mem::take(&mut self.realtime_broke_off);
        if cut_off {
            self.request_llm_response(now, Some(CONTINUE_PROMPT));
        }
        cut_off
    }

    /// Sends user input that is not speech: DTMF.
    pub(super) fn send_to_realtime(&mut self, turn: &end_of_turn::CallerTurn) {
        if let Some(response) = &self.response {
            let response_id = response.response_id;
            self.output(CallOutput::CancelSpeech { response_id });
        }
        self.record_user(turn);
        self.history.push_user(&turn.text);
        self.output(CallOutput::Realtime(RealtimeInput::UserMessage(turn.text.clone())));
    }

    /// True when a realtime model says the first words.
    pub(super) fn start_realtime_greeting(&mut self, now: Instant) -> bool {
        let greets = self.realtime.as_ref().is_some_and(|state| state.capabilities.greets);
        if greets {
            self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_TIMEOUT);
        }
        greets
    }

    /// Says a scripted text with the realtime voice, if it can.
    pub(super) fn say_with_realtime(&mut self, now: Instant, text: &str, then: AfterResponse) -> bool {
        let Some(state) = self.realtime.as_mut().filter(|state| state.capabilities.can_say) else { return false };
        state.after = Some(then);
        self.timers.clear(CallTimer::Silence);
        self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_TIMEOUT);
        if matches!(then, AfterResponse::HangUp(_)) {
            self.timers.set(CallTimer::Goodbye, now + super::GOODBYE_MAX);
        }
        self.output(CallOutput::Realtime(RealtimeInput::Say(text.to_owned())));
        true
    }

    pub(super) fn request_realtime_response(&mut self, now: Instant, hint: Option<&str>) -> bool {
        if self.realtime.is_none() {
            return false;
        }
        self.tools.mark_read();
        self.timers.set(CallTimer::RealtimeStall, now + RESPONSE_TIMEOUT);
        self.output(CallOutput::Realtime(RealtimeInput::RequestResponse(hint.map(str::to_owned))));
        true
    }

    pub(super) fn send_tool_result_to_realtime(&mut self, id: &str, result: &str) {
        if self.realtime.is_some() {
            self.output(CallOutput::Realtime(RealtimeInput::ToolResult {
                id: id.to_owned(),
                result: result.to_owned(),
            }));
        }
    }

    /// A response was cut: tells the realtime model how much of which item was heard.
    pub(super) fn truncate_realtime_response(&mut self, response: &AgentResponse, sent: &[(u32, u64)]) {
        let Some(state) = &mut self.realtime else { return };
        if response.is_scripted {
            return;
        }
        let cut = response.unfinished().and_then(|index| {
            let (item, _) = *state.items.get(index as usize)?;
            let samples = sent.iter().find(|(of, _)| *of == index).map_or(0, |(_, samples)| *samples);
            Some((item, samples / SAMPLES_PER_MS))
        });
        if state.response_id == Some(response.response_id) {
            state.response_id = None;
        }
        self.timers.clear(CallTimer::RealtimeStall);
        self.output(CallOutput::Realtime(RealtimeInput::Interrupted { item: cut }));
    }

    /// The realtime model failed: the fallback takes over, or the call ends with an apology.
    pub(super) fn handle_realtime_failed(&mut self, now: Instant, failure: &ProviderError) {
        self.handle_caller_transcript_timeout();
        let Some(state) = self.realtime.take() else { return };
        tracing::warn!(error = %failure, "realtime model failed");
        self.metrics.record_provider_error("engine", failure.kind());
        self.timers.clear(CallTimer::RealtimeStall);
        self.output(CallOutput::LeaveRealtime);
        if !self.is_talking() {
            return;
        }
        let sounding = self.response.as_mut().is_some_and(|response| {
            let _ = response.finish();
            response.transcript_turn.is_some()
        });
        if !sounding {
            self.response = None;
        }
        let Some(to) = state.capabilities.fallback else { return self.end_with_apology(now) };
        let after = state.turn.map_or(Duration::ZERO, |(_, decided)| now.saturating_duration_since(decided));
        let from = state.capabilities.name;
        let switch = Failover {
            stage: trunkline_domain::provider::PipelineStage::Realtime,
            from,
            to,
            reason: failure.kind(),
            after,
        };
        self.record_failover(now, &switch);
        if let Some(response) = self.response.as_ref().filter(|_| sounding) {
            // First send the report of the heard part, then the LLM continues.
            let response_id = response.response_id;
            self.realtime_broke_off = true;
            return self.output(CallOutput::CancelSpeech { response_id });
        }
        if self.history.is_empty() {
            self.greet(now);
        } else if self.history.ends_with_user() {
            self.request_llm_response(now, None);
        } else {
            let text = self.phrases.repeat;
            self.say(now, text, AfterResponse::AwaitCaller);
        }
    }
}
