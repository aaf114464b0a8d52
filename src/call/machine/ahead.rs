//! Preemptive generation: the LLM starts on a likely end of turn. Nothing is spoken until the turn has ended; if the
//! caller continues, the answer is discarded and counted.

use super::{Machine, Output};
use crate::dialogue::reply::Reply;
use crate::domain::chat::ChatMessage;
use crate::providers::LlmEvent;
use std::time::Instant;
use trunkline_media::turn::endpoint;

pub(super) struct Ahead {
    /// The caller's words it answers.
    text: String,
    reply: Reply,
    pieces: Vec<(u32, String)>,
    first_token_ms: Option<u64>,
    first_piece_ms: Option<u64>,
    done: bool,
}

/// Whether two texts have the same words, ignoring punctuation.
fn same(one: &str, other: &str) -> bool {
    let plain =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    plain(one) == plain(other)
}

impl Machine {
    /// The turn is likely over.
    pub(super) fn think_ahead(&mut self, now: Instant) {
        let text = self.endpoint.words();
        let free = self.is_talking()
            && self.engine.is_none()
            && self.reply.is_none()
            && self.waiting_turn.is_none()
            && !self.tools.has_news()
            && !self.tools.is_waiting();
        if !free || text.is_empty() || !self.brief.agent.turn().eager {
            return;
        }
        if let Some(ahead) = &self.ahead {
            if same(&ahead.text, &text) {
                return;
            }
            self.discard_ahead();
        }
        tracing::trace!(at_ms = self.ms(now), "thinks ahead");
        self.generation += 1;
        let generation = self.generation;
        let mut messages = self.history.messages();
        if self.was_cut {
            messages.push(self.history.interruption());
        }
        messages.push(ChatMessage::User(text.clone()));
        self.ahead = Some(Ahead {
            text,
            reply: Reply::from_model(generation, self.brief.style()),
            pieces: Vec::new(),
            first_token_ms: None,
            first_piece_ms: None,
            done: false,
        });
        self.output(Output::AskModel { generation, messages, tools: self.offers() });
    }

    pub(super) fn discard_ahead(&mut self) {
        if self.ahead.take().is_some() {
            self.metrics.eager_discarded += 1;
            self.output(Output::CancelModel);
        }
    }

    /// True when the event belonged to a preemptive generation.
    pub(super) fn ahead_hears(&mut self, now: Instant, generation: u32, event: &LlmEvent) -> bool {
        let at_ms = self.ms(now);
        let Some(ahead) = self.ahead.as_mut().filter(|ahead| ahead.reply.generation == generation) else {
            return false;
        };
        match event {
            LlmEvent::Text(text) => {
                ahead.first_token_ms.get_or_insert(at_ms);
                ahead.pieces.extend(ahead.reply.text(text));
                if !ahead.pieces.is_empty() {
                    ahead.first_piece_ms.get_or_insert(at_ms);
                }
            }
            LlmEvent::Tools(calls) => ahead.reply.tool_calls.clone_from(calls),
            LlmEvent::Done(usage) => {
                ahead.pieces.extend(ahead.reply.finish());
                ahead.done = true;
                self.metrics.used(generation, usage);
            }
            LlmEvent::Switched(_) => {}
            // The turn will be answered normally when it ends.
            LlmEvent::Failed(_) => self.discard_ahead(),
        }
        true
    }

    /// The turn has ended: continues with the preemptive answer, if there is one. True when there was.
    pub(super) fn take_ahead(&mut self, now: Instant, turn: &endpoint::Turn) -> bool {
        let current = self.generation;
        let fits = |ahead: &mut Ahead| ahead.reply.generation == current && same(&ahead.text, &turn.text);
        let Some(ahead) = self.ahead.take_if(fits) else { return false };
        self.metrics.eager_used += 1;
        let (ended_ms, decided_ms) = (self.ms(turn.ended), self.ms(now));
        self.metrics.turn(current, ended_ms, turn.final_at.map(|at| self.ms(at)), decided_ms);
        if let Some(at_ms) = ahead.first_token_ms {
            self.metrics.first_token(current, at_ms.max(decided_ms));
        }
        if let Some(at_ms) = ahead.first_piece_ms {
            self.metrics.first_piece(current, at_ms.max(decided_ms));
        }
        self.reply = Some(ahead.reply);
        self.arm_filler(now);
        self.speak(ahead.pieces);
        if ahead.done {
            self.model_finished(now);
        }
        true
    }
}
