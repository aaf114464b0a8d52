//! The chat history for the LLM: only words that were spoken and heard.

use super::built_in_tools::BuiltInTool;
use trunkline_domain::agent_handover::HandoverHistory;
use trunkline_domain::chat::{ChatMessage, ToolCall};

/// Messages kept in addition to the system prompt; the oldest go first. A turn is about 30 tokens, so this is
/// far beyond any call and still a bound.
const MESSAGES_MAX: usize = 400;

/// What the LLM reads in place of a tool result that is not there yet.
pub const RESULT_PENDING: &str = "still being worked on; the result will follow by itself, do not call this again";

/// Told to the LLM after an interrupted response.
const INTERRUPTION_NOTE: &str =
    "The caller interrupted you here: what you were going to say after these words was not heard.";

/// System messages and up to 400 messages of the conversation.
#[derive(Clone, Debug, Default)]
pub struct History {
    system: Vec<ChatMessage>,
    /// Which language to answer in, once the conversation has left the agent's own one.
    language: Option<String>,
    messages: Vec<ChatMessage>,
}

impl History {
    /// Returns a history without conversation; `system` always comes first.
    pub fn new(system: Vec<ChatMessage>) -> Self {
        Self { system, language: None, messages: Vec::new() }
    }

    /// The history that the next agent of a call begins with: its own `system` messages, what it may know of this one,
    /// and a note about the handover. Tool calls become notes, because the next agent has other tools: a model that
    /// reads of calls makes the same ones.
    pub fn passed_on(&self, how: HandoverHistory, system: Vec<ChatMessage>, note: String) -> Self {
        let mut next = Self::new(system);
        if how == HandoverHistory::Full {
            for message in &self.messages {
                next.messages.extend(self.as_words(message));
            }
        }
        next.push_note(note);
        next
    }

    /// A message without what only the agent can use that called a tool; `None` if nothing is left.
    fn as_words(&self, message: &ChatMessage) -> Option<ChatMessage> {
        match message {
            ChatMessage::Assistant { content, .. } if content.is_empty() => None,
            ChatMessage::Assistant { content, .. } => {
                Some(ChatMessage::Assistant { content: content.clone(), tool_calls: Vec::new() })
            }
            ChatMessage::Tool { call_id, content } if content != RESULT_PENDING => {
                // What became of handovers says nothing to those who come after them.
                let name = self.tool_name(call_id).filter(|name| *name != BuiltInTool::TransferAgent.name())?;
                Some(ChatMessage::System(format!("The tool {name} answered: {content}")))
            }
            ChatMessage::Tool { .. } => None,
            ChatMessage::User(_) | ChatMessage::System(_) => Some(message.clone()),
        }
    }

    fn tool_name(&self, id: &str) -> Option<&str> {
        let calls = self.messages.iter().filter_map(|message| match message {
            ChatMessage::Assistant { tool_calls, .. } => Some(tool_calls),
            _ => None,
        });
        calls.flatten().find(|call| call.id == id).map(|call| call.name.as_str())
    }

    /// Replaces the messages that always come first; false if they are the same.
    pub fn set_system(&mut self, system: Vec<ChatMessage>) -> bool {
        let is_new = self.system != system;
        self.system = system;
        is_new
    }

    /// Adds the words of a finished turn of the caller.
    pub fn push_user(&mut self, text: &str) {
        self.push(ChatMessage::User(text.to_owned()));
    }

    /// The final words of the caller's last turn differ from those that were used.
    pub fn replace_user(&mut self, was: &str, is: &str) {
        let last = self.messages.iter_mut().rev().find(|message| matches!(message, ChatMessage::User(_)));
        if let Some(ChatMessage::User(text)) =
            last.filter(|last| matches!(last, ChatMessage::User(text) if text == was))
        {
            is.clone_into(text);
        }
    }

    /// What the agent said; of an interrupted reply the heard part.
    pub fn push_assistant(&mut self, content: &str, tool_calls: Vec<ToolCall>) {
        // Blanks and marks alone are nothing that was said; servers refuse messages without a text.
        let content = if content.chars().any(char::is_alphanumeric) { content } else { "" };
        if !content.is_empty() || !tool_calls.is_empty() {
            self.push(ChatMessage::Assistant { content: content.to_owned(), tool_calls });
        }
    }

    /// Adds the result of a tool call; `call_id` is the id that the LLM gave the call.
    pub fn push_tool_result(&mut self, call_id: &str, content: &str) {
        self.push(ChatMessage::Tool { call_id: call_id.to_owned(), content: content.to_owned() });
    }

    /// Fills in a late tool result; false when its call was dropped from the history already.
    pub fn replace_tool(&mut self, id: &str, result: &str) -> bool {
        for message in self.messages.iter_mut().rev() {
            if let ChatMessage::Tool { call_id, content } = message
                && call_id == id
            {
                result.clone_into(content);
                return true;
            }
        }
        false
    }

    /// Text said while tools were running belongs to the message with the tool calls.
    pub fn append_filler(&mut self, words: &str) {
        let last = self.messages.iter_mut().rev().find(|message| matches!(message, ChatMessage::Assistant { .. }));
        if let Some(ChatMessage::Assistant { content, .. }) = last {
            if !content.is_empty() {
                content.push(' ');
            }
            content.push_str(words);
        }
    }

    /// Whether the last message is a tool result.
    pub fn ends_with_tool(&self) -> bool {
        matches!(self.messages.last(), Some(ChatMessage::Tool { .. }))
    }

    /// Neither side has spoken.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The agent has said something.
    pub fn has_agent_words(&self) -> bool {
        let says =
            |message: &ChatMessage| matches!(message, ChatMessage::Assistant { content, .. } if !content.is_empty());
        self.messages.iter().any(says)
    }

    /// The caller spoke last and was not answered.
    pub fn ends_with_user(&self) -> bool {
        self.last_user().is_some()
    }

    /// The caller's words, if they are the last.
    pub fn last_user(&self) -> Option<&str> {
        match self.messages.last() {
            Some(ChatMessage::User(words)) => Some(words),
            _ => None,
        }
    }

    /// The caller, or a tool that ran for the caller, has the last word.
    pub fn ends_unanswered(&self) -> bool {
        self.ends_with_user() || self.ends_with_tool()
    }

    /// A note for the LLM that neither side has spoken.
    pub fn push_note(&mut self, text: String) {
        self.push(ChatMessage::System(text));
    }

    /// The conversation goes on in another language: replaces what was said about it before.
    pub fn set_language(&mut self, note: String) {
        self.language = Some(note);
    }

    /// Notes that the caller interrupted the last message.
    pub fn push_interruption_note(&mut self) {
        self.push(self.interruption_note());
    }

    /// What is to be known of it.
    pub fn interruption_note(&self) -> ChatMessage {
        ChatMessage::System(INTERRUPTION_NOTE.to_owned())
    }

    /// Returns all messages for an LLM request, the oldest first. `told` says what the model reads of a message of the
    /// conversation; the prompt is read as it is.
    pub fn messages(&self, told: impl Fn(&ChatMessage) -> ChatMessage) -> Vec<ChatMessage> {
        // Parts of the prompt lead; examples of the agent follow them.
        let prompt = self.system.iter().take_while(|message| matches!(message, ChatMessage::System(_))).count();
        let (prompt, examples) = self.system.split_at(prompt);
        let language = self.language.iter().map(|language| ChatMessage::System(language.clone()));
        let before = prompt.iter().cloned().chain(language);
        before.chain(examples.iter().cloned()).chain(self.messages.iter().map(told)).collect()
    }

    /// Returns the newest messages of the conversation without the prompt, for a model that takes over within the call; `told`
    /// as for [`Self::messages`].
    pub fn conversation(&self, messages_max: usize, told: impl Fn(&ChatMessage) -> ChatMessage) -> Vec<ChatMessage> {
        let start = self.messages.len().saturating_sub(messages_max);
        // A tool result without its call means nothing.
        let newest = self.messages.iter().skip(start).skip_while(|message| matches!(message, ChatMessage::Tool { .. }));
        newest.map(told).collect()
    }

    fn push(&mut self, message: ChatMessage) {
        self.messages.push(message);
        if self.messages.len() > MESSAGES_MAX {
            // A tool result must not be kept without its call.
            let start = self.messages.iter().skip(50).position(|m| matches!(m, ChatMessage::User(_))).unwrap_or(0) + 50;
            self.messages.drain(..start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(messages: usize) -> History {
        let mut history = History::new(vec![ChatMessage::System("S".to_owned())]);
        for number in 0..messages {
            match number % 3 {
                0 => history.push_user(&number.to_string()),
                1 => history.push_tool_result(&number.to_string(), "result"),
                _ => history.push_assistant(&number.to_string(), Vec::new()),
            }
        }
        history
    }

    #[test]
    fn a_full_history_loses_its_beginning_up_to_a_turn_of_the_caller() {
        let full = filled(MESSAGES_MAX);
        assert_eq!(full.messages(Clone::clone).len(), 1 + MESSAGES_MAX, "as many as are kept");
        let shortened = filled(MESSAGES_MAX + 1).messages(Clone::clone);
        assert_eq!(shortened[..2], [ChatMessage::System("S".to_owned()), ChatMessage::User("51".to_owned())]);
        assert_eq!(shortened.len(), 1 + MESSAGES_MAX + 1 - 51);
    }

    #[test]
    fn what_has_no_words_is_no_message_of_the_agent() {
        let mut history = History::new(Vec::new());
        for content in ["", " ", "\n", ".", " … ", "\u{200b}"] {
            history.push_assistant(content, Vec::new());
        }
        assert!(history.is_empty());
        let call = ToolCall { id: "1".into(), name: "find".into(), ..ToolCall::default() };
        history.push_assistant(" . ", vec![call.clone()]);
        let alone = ChatMessage::Assistant { content: String::new(), tool_calls: vec![call] };
        assert_eq!((history.messages(Clone::clone), history.has_agent_words()), (vec![alone], false));
    }
}
