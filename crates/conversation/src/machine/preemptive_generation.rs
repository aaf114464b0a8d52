//! Preemptive generation: the LLM starts on a likely end of turn. Nothing is spoken until the turn has ended; if the
//! caller continues, the answer is discarded and counted.

use super::output::CallOutput;
use super::pipeline::PreemptiveGeneration;
use super::talk::{Speaker, Talk};
use std::time::Instant;
use trunkline_domain::chat::{ChatMessage, ToolChoice};
use trunkline_media::turn::end_of_turn::CallerTurn;
use trunkline_providers::LlmEvent;

/// Whether two texts have the same words, ignoring punctuation.
fn is_same_text(one: &str, other: &str) -> bool {
    let plain =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    plain(one) == plain(other)
}

impl Talk {
    /// The turn is likely over.
    pub(super) fn start_preemptive_generation(&mut self, now: Instant) {
        let Speaker::Pipeline(pipeline) = &self.speaker else { return };
        let text = self.line.caller.end_of_turn.words();
        let free = self.line.playout.response.is_none()
            && self.line.caller.waiting_turn.is_none()
            && !self.tools.has_unread
            && !self.tools.is_waiting();
        let began = self.line.caller.end_of_turn.started();
        if began.is_some_and(|began| self.line.was_secret_at(began)) {
            // They may be digits of a secret entry.
            return;
        }
        let agent = &self.line.facts.spec.agent;
        if !free || text.is_empty() || !(agent.turn().eager || agent.answers_by_rules()) {
            return;
        }
        if pipeline.preemptive.as_ref().is_some_and(|ahead| is_same_text(&ahead.text, &text)) {
            return;
        }
        self.discard_preemptive_generation();
        tracing::trace!(at_ms = self.line.ms(now), "thinks ahead");
        let response_id = self.line.playout.next_id();
        let mut messages = self.history.messages(|message| self.told(message));
        if self.interruption.is_untold {
            messages.push(self.history.interruption_note());
        }
        messages.push(self.told(&ChatMessage::User(text.clone())));
        let ahead = PreemptiveGeneration {
            text,
            response: self.model_response(response_id),
            segments: Vec::new(),
            first_token_ms: None,
            first_segment_ms: None,
            done: false,
        };
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.preemptive = Some(ahead);
        }
        let tools = self.available_tools();
        self.line.output(CallOutput::RequestLlm { response_id, messages, tools, tool_choice: ToolChoice::Auto });
    }

    pub(super) fn discard_preemptive_generation(&mut self) {
        if let Speaker::Pipeline(pipeline) = &mut self.speaker
            && pipeline.preemptive.take().is_some()
        {
            self.line.metrics().preemptive_discarded += 1;
            self.line.output(CallOutput::CancelLlm);
        }
    }

    /// True when the event belonged to a preemptive generation.
    pub(super) fn handle_preemptive_llm_event(&mut self, now: Instant, response_id: u32, event: &LlmEvent) -> bool {
        let at_ms = self.line.ms(now);
        let ahead = self.speaker.pipeline_mut().and_then(|pipeline| pipeline.preemptive.as_mut());
        let Some(ahead) = ahead.filter(|ahead| ahead.response.response_id == response_id) else { return false };
        let had_segment = !ahead.segments.is_empty();
        match event {
            LlmEvent::Text(text) => {
                ahead.first_token_ms.get_or_insert(at_ms);
                ahead.segments.extend(ahead.response.text(text));
                if !ahead.segments.is_empty() {
                    ahead.first_segment_ms.get_or_insert(at_ms);
                }
            }
            LlmEvent::Retracted => {
                ahead.segments.clear();
                ahead.response = ahead.response.begun_anew(response_id);
                return true;
            }
            LlmEvent::Stalled(stall) => ahead.segments.extend(ahead.response.end_sentence(*stall)),
            LlmEvent::ToolCallBegan => ahead.segments.extend(ahead.response.flush()),
            LlmEvent::Cut => {
                ahead.response.cut();
                self.line.metrics().record_provider_error("llm", "cut");
            }
            LlmEvent::ToolCalls(calls) => {
                ahead.response.tool_calls.clone_from(calls);
                self.tools.ids.make_unique(&mut ahead.response.tool_calls, response_id);
            }
            LlmEvent::Done(usage) => {
                ahead.segments.extend(ahead.response.finish());
                ahead.done = true;
                self.line.metrics().record_token_usage(response_id, usage);
            }
            LlmEvent::FailedOver(_) => {}
            // The turn will be answered normally when it ends.
            LlmEvent::Failed(_) => {
                self.discard_preemptive_generation();
                return true;
            }
        }
        if !had_segment {
            self.prepare_first_segment();
        }
        true
    }

    /// A voice that costs nothing makes the sound of the answer's beginning.
    fn prepare_first_segment(&mut self) {
        let ahead = self.speaker.pipeline_mut().and_then(|pipeline| pipeline.preemptive.as_ref());
        if let Some((_, text)) = ahead.and_then(|ahead| ahead.segments.first()) {
            let text = text.clone();
            self.line.output(CallOutput::PrepareSpeech { text });
        }
    }

    /// The preemptive answer to this turn, if there is one and nothing was asked since.
    pub(super) fn take_preemptive_generation(&mut self, turn: &CallerTurn) -> Option<PreemptiveGeneration> {
        let current = self.line.playout.last_id;
        self.speaker
            .pipeline_mut()?
            .preemptive
            .take_if(|ahead| ahead.response.response_id == current && is_same_text(&ahead.text, &turn.text))
    }

    /// The turn has ended: continues with the preemptive answer. True when the response may be over by that.
    #[must_use]
    pub(super) fn adopt_preemptive_generation(
        &mut self, now: Instant, turn: &CallerTurn, ahead: PreemptiveGeneration,
    ) -> bool {
        let response_id = ahead.response.response_id;
        let (ended_ms, decided_ms) = (self.line.ms(turn.ended), self.line.ms(now));
        let final_ms = turn.final_at.map(|at| self.line.ms(at));
        let decision = self.line.decision_record(turn);
        let metrics = self.line.metrics();
        metrics.preemptive_used += 1;
        metrics.record_turn(response_id, ended_ms, final_ms, decided_ms);
        metrics.record_decision(response_id, decision);
        if let Some(at_ms) = ahead.first_token_ms {
            metrics.record_first_token(response_id, at_ms.max(decided_ms));
        }
        if let Some(at_ms) = ahead.first_segment_ms {
            metrics.record_first_segment(response_id, at_ms.max(decided_ms));
        }
        self.line.playout.response = Some(ahead.response);
        self.arm_filler(now);
        self.line.speak(ahead.segments);
        ahead.done && self.handle_llm_done(now)
    }
}
