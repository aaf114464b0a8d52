//! Chats: messages are turns, and the agent's words are read as soon as they are written.

use super::*;
use trunkline_domain::call_control::ControlError;

impl CallHarness {
    fn person_writes(&mut self, text: &str) -> Result<(), ControlError> {
        let result = self.machine.handle_message(self.now, text);
        self.drain();
        result
    }

    /// The agent's words are on the page at once.
    fn read_everything(&mut self) -> String {
        let mut read = vec![];
        while !self.waiting.is_empty() {
            let (segment, text) = self.waiting.remove(0);
            self.machine.handle_tts_done(segment, 1);
            self.machine.handle_segment_started(segment, self.now);
            self.machine.handle_segment_finished(SegmentPlayed { segment, sent_samples: 1, complete: true }, self.now);
            self.drain();
            read.push(text);
        }
        read.join(" ")
    }
}

fn chat() -> CallHarness {
    let mut chat = CallHarness::new(AgentFields { autonomous_silence_handling: Some(false), ..agent() });
    chat.read_everything();
    chat
}

#[test]
fn a_message_is_answered_at_once() {
    let mut chat = chat();
    chat.person_writes(" where is my order ").unwrap();
    assert_eq!(chat.llm_requests(), 1, "no silence is waited for");
    chat.model_says("It is on its way.");
    assert_eq!(chat.read_everything(), "It is on its way.");
    assert_eq!(
        chat.transcript(),
        ["assistant: Good morning.", "user: where is my order", "assistant: It is on its way."]
    );
    chat.pass_ms(600_000);
    assert_eq!(chat.llm_requests(), 1, "nobody is asked whether they are still there");
}

#[test]
fn a_message_before_the_answer_is_done_is_answered_next() {
    let mut chat = chat();
    chat.person_writes("where is my order").unwrap();
    let response_id = chat.machine.response_id();
    chat.machine.handle_llm_event(chat.now, response_id, LlmEvent::Text("It is on its way. It comes ".into()));
    chat.drain();
    chat.read_everything();
    chat.person_writes("and the invoice?").unwrap();
    assert_eq!(chat.llm_requests(), 2);
    chat.model_says("By mail.");
    chat.read_everything();
    assert_eq!(
        chat.last_messages()[1..],
        [user("where is my order"), assistant("It is on its way."), user("and the invoice?")]
    );
    // A message before any word of the answer, too.
    chat.person_writes("when?").unwrap();
    chat.person_writes("and how?").unwrap();
    chat.model_says("Today.");
    assert_eq!(chat.read_everything(), "Today.");
}

#[test]
fn yes_is_an_answer() {
    let mut chat = chat();
    for words in ["yes", "ok", "no.", "👍", "?"] {
        let before = chat.llm_requests();
        chat.person_writes(words).unwrap();
        assert_eq!(chat.llm_requests(), before + 1, "{words}");
        chat.model_says("Good. Anything else?");
        chat.read_everything();
    }
}

#[test]
fn nobody_writes_to_a_chat_that_is_over() {
    let mut chat = chat();
    chat.machine.handle_command(chat.now, EndReason::CustomerHungUp);
    chat.drain();
    assert_eq!(chat.person_writes("hello?"), Err(ControlError::Over));
    assert_eq!(chat.hang_up_reasons(), [EndReason::CustomerHungUp]);
}
