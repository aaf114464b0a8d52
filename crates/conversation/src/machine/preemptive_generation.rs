//! Preemptive generation: the LLM starts on a likely end of turn. Nothing is spoken until the turn has ended; if the
//! caller continues, the answer is discarded and counted.

use super::{CallMachine, CallOutput};
use crate::dialogue::response::AgentResponse;
use std::time::Instant;
use trunkline_domain::chat::ChatMessage;
use trunkline_media::turn::end_of_turn;
use trunkline_providers::LlmEvent;

pub(super) struct PreemptiveGeneration {
    /// The caller's words it answers.
    text: String,
    response: AgentResponse,
    segments: Vec<(u32, String)>,
    first_token_ms: Option<u64>,
    first_segment_ms: Option<u64>,
    done: bool,
}

/// Whether two texts have the same words, ignoring punctuation.
fn is_same_text(one: &str, other: &str) -> bool {
    let plain =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    plain(one) == plain(other)
}

impl CallMachine {
    /// The turn is likely over.
    pub(super) fn start_preemptive_generation(&mut self, now: Instant) {
        let text = self.end_of_turn.words();
        let free = self.is_talking()
            && self.realtime.is_none()
            && self.response.is_none()
            && self.waiting_turn.is_none()
            && !self.tools.has_unread_results()
            && !self.tools.is_waiting();
        if !free || text.is_empty() || !self.spec.agent.turn().eager {
            return;
        }
        if let Some(ahead) = &self.preemptive {
            if is_same_text(&ahead.text, &text) {
                return;
            }
            self.discard_preemptive_generation();
        }
        tracing::trace!(at_ms = self.ms(now), "thinks ahead");
        self.response_id += 1;
        let response_id = self.response_id;
        let mut messages = self.history.messages();
        if self.was_interrupted {
            messages.push(self.history.interruption_note());
        }
        messages.push(ChatMessage::User(text.clone()));
        self.preemptive = Some(PreemptiveGeneration {
            text,
            response: AgentResponse::from_model(response_id, self.spec.style()),
            segments: Vec::new(),
            first_token_ms: None,
            first_segment_ms: None,
            done: false,
        });
        self.output(CallOutput::RequestLlm { response_id, messages, tools: self.available_tools() });
    }

    pub(super) fn discard_preemptive_generation(&mut self) {
        if self.preemptive.take().is_some() {
            self.metrics.preemptive_discarded += 1;
            self.output(CallOutput::CancelLlm);
        }
    }

    /// True when the event belonged to a preemptive generation.
    pub(super) fn handle_preemptive_llm_event(&mut self, now: Instant, response_id: u32, event: &LlmEvent) -> bool {
        let at_ms = self.ms(now);
        let Some(ahead) = self.preemptive.as_mut().filter(|ahead| ahead.response.response_id == response_id) else {
            return false;
        };
        match event {
            LlmEvent::Text(text) => {
                ahead.first_token_ms.get_or_insert(at_ms);
                ahead.segments.extend(ahead.response.text(text));
                if !ahead.segments.is_empty() {
                    ahead.first_segment_ms.get_or_insert(at_ms);
                }
            }
            LlmEvent::ToolCalls(calls) => ahead.response.tool_calls.clone_from(calls),
            LlmEvent::Done(usage) => {
                ahead.segments.extend(ahead.response.finish());
                ahead.done = true;
                self.metrics.record_token_usage(response_id, usage);
            }
            LlmEvent::FailedOver(_) => {}
            // The turn will be answered normally when it ends.
            LlmEvent::Failed(_) => self.discard_preemptive_generation(),
        }
        true
    }

    /// The turn has ended: continues with the preemptive answer, if there is one. True when there was.
    pub(super) fn adopt_preemptive_generation(&mut self, now: Instant, turn: &end_of_turn::CallerTurn) -> bool {
        let current = self.response_id;
        let fits = |ahead: &mut PreemptiveGeneration| {
            ahead.response.response_id == current && is_same_text(&ahead.text, &turn.text)
        };
        let Some(ahead) = self.preemptive.take_if(fits) else { return false };
        self.metrics.preemptive_used += 1;
        let (ended_ms, decided_ms) = (self.ms(turn.ended), self.ms(now));
        self.metrics.record_turn(current, ended_ms, turn.final_at.map(|at| self.ms(at)), decided_ms);
        if let Some(at_ms) = ahead.first_token_ms {
            self.metrics.record_first_token(current, at_ms.max(decided_ms));
        }
        if let Some(at_ms) = ahead.first_segment_ms {
            self.metrics.record_first_segment(current, at_ms.max(decided_ms));
        }
        self.response = Some(ahead.response);
        self.arm_filler(now);
        self.speak(ahead.segments);
        if ahead.done {
            self.handle_llm_done(now);
        }
        true
    }
}
