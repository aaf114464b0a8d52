//! Secret entries of a call: what the model reads of what was said, and what is shown of words that are being said.

use super::call_machine::CallMachine;
use super::line::Line;
use super::mode::Mode;
use super::talk::Talk;
use crate::dialogue::secret_words::{hidden, hidden_interim};
use trunkline_domain::chat::ChatMessage;

impl Talk {
    /// Whether the model may read secret digits.
    pub(super) fn reveals_secrets(&self) -> bool {
        let tools = self.line.facts.spec.agent.built_in_tools.as_ref();
        tools.and_then(|tools| tools.collect_digits.as_ref()).is_some_and(|settings| settings.reveal_secrets)
    }

    /// Words of the caller as the model reads them.
    pub(super) fn told_words(&self, text: &str) -> String {
        match self.reveals_secrets() {
            true => text.to_owned(),
            false => hidden(text, self.line.facts.spec.stt_language(), &self.line.collected),
        }
    }

    /// A message of the conversation as the model reads it. What was said before an entry is judged by it as well, and so is
    /// what an agent knew who had the call before.
    pub(super) fn told(&self, message: &ChatMessage) -> ChatMessage {
        let collected = &self.line.collected;
        if self.reveals_secrets() || !collected.has_secrets() {
            return message.clone();
        }
        match message {
            ChatMessage::System(text) => ChatMessage::System(collected.masked(text)),
            ChatMessage::User(text) => ChatMessage::User(self.told_words(text)),
            ChatMessage::Assistant { content, tool_calls } => ChatMessage::Assistant {
                content: hidden(content, self.line.facts.spec.language(), collected),
                tool_calls: tool_calls.clone(),
            },
            ChatMessage::Tool { call_id, content } => {
                ChatMessage::Tool { call_id: call_id.clone(), content: collected.masked(content) }
            }
        }
    }
}

impl CallMachine {
    /// Whether what the caller says now may be digits that nobody else may read.
    pub fn is_collecting_secret(&self) -> bool {
        let collecting = matches!(&self.mode, Mode::Conversing(conversing) if conversing.collecting.is_secret());
        let began = |line: &Line| line.caller.end_of_turn.started().is_some_and(|began| line.was_secret_at(began));
        collecting || self.mode.line().is_some_and(began)
    }

    /// What may be shown of words that are being said: nothing while they may be a secret entry, or began in one.
    pub fn shown_interim(&self, text: &str) -> Option<String> {
        let line = self.mode.line()?;
        let shown = || hidden_interim(text, line.facts.spec.stt_language(), &line.collected);
        (!self.is_collecting_secret()).then(shown)
    }
}
