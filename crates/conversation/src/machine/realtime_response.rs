//! Responses of a realtime model in a call that it speaks in, and the pipeline that takes over when it fails.

use super::output::CallOutput;
use super::realtime::{OrderedText, Owed, Realtime, ResponseEnd};
use super::talk::{FAILURES_MAX, Speaker, Talk};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::{Duration, Instant};
use trunkline_domain::chat::{CONTINUE_PROMPT, ChatMessage};
use trunkline_domain::provider::PipelineStage;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::end_of_turn::CallerTurn;
use trunkline_providers::realtime::RealtimeInput;
use trunkline_providers::{Failover, ProviderError, TokenUsage};

/// Messages of the conversation that a new session is told: some 40 turns, which it takes in at once.
const CONVERSATION_MAX: usize = 80;

/// Which responses of a realtime model the mode of the call lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WantedResponses {
    /// Any.
    All,
    /// Those that we ordered: the caller is not to be answered.
    Ordered,
}

impl Talk {
    /// Sends user input that is not speech: DTMF.
    pub(super) fn send_to_realtime(&mut self, turn: &CallerTurn) {
        self.line.cancel_playback();
        self.note_turn(turn);
        let text = self.told_words(&turn.text);
        Realtime::send(&mut self.line, RealtimeInput::UserMessage(text));
    }

    pub(super) fn send_tool_result_to_realtime(&mut self, id: &str, result: &str) {
        if let Speaker::Realtime(_) = self.speaker {
            let own = self.tools.ids.take_own(id);
            Realtime::send_tool_result(&mut self.line, &own, result);
        }
    }

    /// The segment that audio of an item belongs to; `None` for audio that must not be played.
    pub(super) fn handle_realtime_audio(&mut self, now: Instant, item: u32) -> Option<SegmentId> {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return None };
        let segment = realtime.handle_audio(&mut self.line, now, item)?;
        self.llm_failures = 0;
        Some(segment)
    }

    /// The caller's words, as the realtime model has understood them.
    pub(super) fn handle_caller_transcript(&mut self, now: Instant, text: &str) {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return };
        let is_answered = realtime.has_answered_pending_turn();
        realtime.record_transcript(&mut self.line, now, text);
        if !text.is_empty() {
            if realtime.incoming.is_none() && !is_answered {
                realtime.expect_response(now);
            }
            self.history.push_user(text);
            self.tools.start_over();
        }
    }

    /// The caller's transcript timed out.
    pub(super) fn handle_caller_transcript_timeout(&mut self) {
        if let Speaker::Realtime(realtime) = &mut self.speaker {
            realtime.drop_late_transcript(&mut self.line);
        }
    }

    /// The realtime model begins a response. One that is not wanted is stopped at once.
    pub(super) fn handle_response_started(&mut self, now: Instant, wanted: WantedResponses) {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return };
        let current = self.line.playout.response.as_ref();
        let ending = current.is_some_and(|response| match response.after {
            AfterResponse::HangUp(_) => response.is_scripted || response.after.is_final(),
            AfterResponse::AwaitCaller | AfterResponse::Transfer | AfterResponse::HandOver => false,
        });
        if ending || wanted == WantedResponses::Ordered && realtime.ordered.is_none() {
            return Realtime::send(&mut self.line, RealtimeInput::Interrupted { item: None });
        }
        if let Some(response) = self.line.playout.response.take() {
            // Barge-in at its end, or a second response: the older one is over.
            let response_id = response.response_id;
            self.line.output(CallOutput::CancelSpeech { response_id });
            if response.begun.is_some() {
                let said = response.said();
                if !response.is_filler {
                    self.history.push_assistant(&said, Vec::new());
                }
                self.line.record_response(&response, self.line.ms(now), true, said);
            }
        }
        let response_id = self.line.playout.next_id();
        let mut response = AgentResponse::from_model(response_id, self.line.facts.spec.style());
        if let Some(ordered) = realtime.ordered.take() {
            (response.after, response.said_by) = (ordered.then, ordered.said_by);
        }
        realtime.begin_response(now, response_id);
        let turn_ended = realtime.turn_ended.take();
        let is_final = response.after.is_final();
        self.line.playout.response = Some(response);
        if is_final {
            self.line.make_uninterruptible();
        }
        if let Some(ended) = turn_ended {
            let ended_ms = self.line.ms(ended);
            self.line.metrics().record_turn(response_id, ended_ms, None, ended_ms);
        }
        self.timers.silence = None;
    }

    /// A response of the realtime model is complete. True when it may be over by that.
    #[must_use]
    pub(super) fn handle_response_done(&mut self, now: Instant, usage: TokenUsage) -> bool {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return false };
        if realtime.is_mute(&mut self.line) {
            let failure = ProviderError::InvalidResponse("empty answer".to_owned());
            return self.handle_response_failed(now, &failure, usage);
        }
        realtime.handle_response_done(&mut self.line, usage) == ResponseEnd::Complete
    }

    /// The realtime model could not answer. What was heard of the answer stands. True when the response may be over by
    /// that.
    #[must_use]
    pub(super) fn handle_response_failed(&mut self, now: Instant, failure: &ProviderError, usage: TokenUsage) -> bool {
        let Speaker::Realtime(realtime) = &mut self.speaker else { return false };
        let has_audio = realtime.has_incoming_audio();
        self.line.metrics().record_provider_error("engine", failure.kind());
        match realtime.handle_response_done(&mut self.line, usage) {
            ResponseEnd::Unknown => return false,
            ResponseEnd::Complete if has_audio => return true,
            ResponseEnd::Complete => self.line.playout.response = None,
        }
        self.llm_failures += 1;
        if self.llm_failures >= FAILURES_MAX {
            self.handle_realtime_failed(now, failure);
        } else {
            self.ask_to_repeat(now);
        }
        false
    }

    /// The session has ended early, and another one is being opened: it learns what was said so far. What has come of an
    /// answer is heard to its end. True when the response may be over by that.
    #[must_use]
    pub(super) fn handle_session_lost(&mut self, now: Instant, failure: &ProviderError) -> bool {
        let mut conversation = self.history.conversation(CONVERSATION_MAX, |message| self.told(message));
        let Speaker::Realtime(realtime) = &mut self.speaker else { return false };
        tracing::info!(error = %failure, "realtime session ended early; connecting again");
        self.line.metrics().record_provider_error("engine", failure.kind());
        let has_audio = realtime.has_incoming_audio();
        let response_id = realtime.incoming.as_ref().map(|incoming| incoming.response_id);
        realtime.lose_session(now, self.history.ends_unanswered());
        let current = response_id.and_then(|response_id| self.line.playout.current(response_id));
        let is_played = match current {
            Some(response) if has_audio => {
                let _ = response.finish();
                let said = response.whole_text();
                conversation.push(ChatMessage::Assistant { content: said, tool_calls: Vec::new() });
                true
            }
            Some(_) => {
                self.line.playout.response = None;
                false
            }
            None => false,
        };
        Realtime::send(&mut self.line, RealtimeInput::Resume(conversation));
        is_played
    }

    /// Asks a new session for what the one before it owes, unless something is being said. True if it was asked.
    pub(super) fn ask_for_owed(&mut self, now: Instant) -> bool {
        if self.line.playout.response.is_some() {
            return false;
        }
        let Speaker::Realtime(realtime) = &mut self.speaker else { return false };
        match realtime.take_owed() {
            Owed::Nothing => return false,
            Owed::Words(OrderedText { text, then, said_by }) => realtime.say(&mut self.line, now, &text, then, said_by),
            Owed::Answer => realtime.request_response(&mut self.line, now, None),
            Owed::Rest => realtime.request_response(&mut self.line, now, Some(CONTINUE_PROMPT)),
        }
        true
    }

    /// The realtime model failed: the fallback takes over, or the call ends with an apology.
    pub(super) fn handle_realtime_failed(&mut self, now: Instant, failure: &ProviderError) {
        let Some(mut realtime) = self.speaker.leave_realtime() else { return };
        realtime.leave(&mut self.line, failure);
        if !self.line.playout.has_begun() {
            self.line.playout.response = None;
        } else if let Some(response) = &mut self.line.playout.response {
            let _ = response.finish();
        }
        let Some(to) = realtime.capabilities.fallback else { return self.end_with_apology(now) };
        let after = realtime.turn_ended.map_or(Duration::ZERO, |ended| now.saturating_duration_since(ended));
        let from = realtime.capabilities.name;
        let switch = Failover { stage: PipelineStage::Realtime, from, to, reason: failure.kind(), after };
        self.line.record_failover(now, &switch);
        if self.line.playout.response.is_some() {
            // First send the report of the heard part, then the LLM continues.
            if let Speaker::Pipeline(pipeline) = &mut self.speaker {
                pipeline.owes_continuation = true;
            }
            self.line.cancel_playback();
        } else if self.history.is_empty() {
            self.greet(now);
        } else if self.history.ends_with_user() {
            self.request_response(now, None);
        } else {
            self.ask_to_repeat(now);
        }
    }
}
