//! What STT services send beside the words: marks alone, nothing, and final words when the turn was answered already.

use super::turns::interim;
use super::*;

fn final_words(text: &str, speech_final: bool) -> SttEvent {
    SttEvent::Final { text: text.into(), confidence: Some(0.9), speech_final }
}

#[test]
fn marks_alone_are_no_turn() {
    for text in [".", " ", "…", "?", "。", "—", "...", "\u{200b}", "🙂"] {
        let events = [
            vec![interim(text)],
            vec![final_words(text, false)],
            vec![final_words(text, true)],
            vec![interim(text), final_words(text, true), SttEvent::UtteranceEnd],
            vec![SttEvent::EndOfTurn { text: text.into(), confidence: None }],
        ];
        for events in events {
            let mut harness = CallHarness::greeted();
            let before = harness.transcript();
            harness.machine.handle_speech_started(harness.now);
            harness.pass_ms(300);
            let now = harness.now;
            harness.machine.handle_speech_ended(now + 200 * MS, now);
            harness.pass_ms(300);
            events.into_iter().for_each(|event| harness.stt_event(event));
            harness.pass_ms(4_000);
            assert_eq!((harness.llm_requests(), harness.transcript()), (0, before), "{text:?}");
        }
    }
}

#[test]
fn final_words_that_come_when_the_turn_was_answered_are_the_same_turn() {
    for late in ["Where is my order?", "Where is my order please?", "where is my order", ".", ""] {
        for after_answer in [false, true] {
            let mut harness = CallHarness::greeted();
            harness.machine.handle_speech_started(harness.now);
            harness.pass_ms(900);
            harness.stt_event(interim("Where is my order"));
            let now = harness.now;
            harness.machine.handle_speech_ended(now + 200 * MS, now);
            harness.pass_ms(4_000);
            assert_eq!(harness.llm_requests(), 1, "{late:?}");
            harness.model_says("It is on its way.");
            if after_answer {
                assert!(harness.play_everything().ends_with("It is on its way."));
            }
            harness.stt_event(final_words(late, true));
            harness.pass_ms(2_000);
            if !after_answer {
                assert!(harness.play_everything().ends_with("It is on its way."), "{late:?}");
            }
            harness.pass_ms(1_000);
            assert_eq!(harness.llm_requests(), 1, "{late:?}");
            let users = harness.transcript().iter().filter(|turn| turn.starts_with("user:")).count();
            assert_eq!(users, 1, "{late:?}: {:?}", harness.transcript());
        }
    }
}

#[test]
fn no_request_has_a_message_without_words() {
    for said in [" ", ".", "…", "\n\n", "<break time=\"1s\"/>", "**"] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("Tell me something");
        harness.model_says(said);
        harness.play_everything();
        harness.pass_ms(1_000);
        harness.caller_says("Go on.");
        let empty = |message: &ChatMessage| match message {
            ChatMessage::Assistant { content, tool_calls } => content.trim().is_empty() && tool_calls.is_empty(),
            ChatMessage::User(text) | ChatMessage::System(text) => text.trim().is_empty(),
            ChatMessage::Tool { .. } => false,
        };
        assert!(!harness.last_messages().iter().any(empty), "{said:?}: {:?}", harness.last_messages());
    }
}
