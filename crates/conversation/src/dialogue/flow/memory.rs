//! What a flow keeps of a long conversation. Its history loses its oldest messages; where the flow stood before the first
//! message that is left is kept here.

use super::faq::FaqFound;
use super::prepared::{FlowAnswer, FlowDialogue};
use super::replay::Standing;
use trunkline_domain::chat::{ChatMessage, ToolOffer};

/// So many messages must follow each other alike to be the same conversation.
const COMMON_MIN: usize = 8;
/// A history that is full loses at least so many at once: fewer are no loss, but a conversation that repeats itself.
const DROPPED_MIN: usize = 16;
/// The last messages may still change: words that were not final, a remainder that is said later.
const CHANGING: usize = 4;

/// What was asked of a flow last, and where it stood before that.
#[derive(Debug, Default)]
pub struct FlowMemory {
    /// Words and results of the last request; the history bounds them.
    messages: Vec<ChatMessage>,
    before: Standing,
}

/// Words and results alone: notes are no part of a flow.
fn is_said(message: &ChatMessage) -> bool {
    !matches!(message, ChatMessage::System(_))
}

impl FlowMemory {
    /// The messages that have left the conversation since the last request. Empty as a rule.
    pub fn dropped(&self, messages: &[ChatMessage]) -> Vec<ChatMessage> {
        let said: Vec<&ChatMessage> = messages.iter().filter(|message| is_said(message)).collect();
        let is_begin = |from: usize| {
            let rest = self.messages.get(from..).unwrap_or_default();
            let common = rest.len().saturating_sub(CHANGING).min(said.len());
            common >= COMMON_MIN && rest.iter().zip(&said).take(common).all(|(one, other)| one == *other)
        };
        let mut places = std::iter::once(0).chain(DROPPED_MIN..self.messages.len());
        let from = places.find(|from| is_begin(*from)).unwrap_or_default();
        self.messages.get(..from).unwrap_or_default().to_vec()
    }

    /// The answer to a conversation. `found` has the passages for the turns of `dropped` too.
    pub fn answer(
        &mut self, dialogue: &FlowDialogue, (messages, dropped): (&[ChatMessage], &[ChatMessage]), tools: &[ToolOffer],
        found: &FaqFound,
    ) -> FlowAnswer {
        let said: Vec<ChatMessage> = messages.iter().filter(|message| is_said(message)).cloned().collect();
        if !dropped.is_empty() {
            self.before = dialogue.stand_after(&self.before, dropped, tools, found);
        } else if said.first() != self.messages.first() {
            // Another conversation: of another agent of the call.
            self.before = Standing::default();
        }
        self.messages = said;
        dialogue.answer_after(&self.before, messages, tools, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(of: std::ops::Range<u32>) -> Vec<ChatMessage> {
        let turn = |n: u32| {
            let words = ChatMessage::User(format!("question {n}"));
            [words, ChatMessage::Assistant { content: format!("answer {n}"), tool_calls: Vec::new() }]
        };
        of.flat_map(turn).collect()
    }

    fn remembering(messages: &[ChatMessage]) -> FlowMemory {
        let messages = messages.iter().filter(|message| is_said(message)).cloned().collect();
        FlowMemory { messages, before: Standing::default() }
    }

    #[test]
    fn what_left_a_conversation_is_found_whatever_changed_at_its_end() {
        let memory = remembering(&conversation(0..200));
        assert_eq!(memory.dropped(&conversation(0..201)), []);
        let mut later = conversation(30..201);
        assert_eq!(memory.dropped(&later), conversation(0..30));
        // Notes are no part of it, and the last words were other ones.
        later.insert(0, ChatMessage::System("prompt".into()));
        later.insert(9, ChatMessage::System("note".into()));
        let changed = later.len() - 3;
        later[changed] = ChatMessage::User("what I said in the end".into());
        assert_eq!(memory.dropped(&later), conversation(0..30));
    }

    #[test]
    fn another_conversation_has_lost_nothing() {
        let memory = remembering(&conversation(0..200));
        assert_eq!(memory.dropped(&conversation(500..600)), []);
        assert_eq!(memory.dropped(&conversation(2..200)), [], "too few");
        assert_eq!(memory.dropped(&[]), []);
        assert_eq!(remembering(&conversation(0..3)).dropped(&conversation(1..4)), [], "too short to tell");
        assert_eq!(FlowMemory::default().dropped(&conversation(0..3)), []);
    }
}
