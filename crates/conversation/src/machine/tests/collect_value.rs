//! Values that are read back and confirmed before the model gets them.

use super::*;
use serde_json::{Value, json};

fn asked(arguments: Value) -> CallHarness {
    let agent = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"collect_value": {"country": "NL", "max_attempts": 2, "timeout_ms": 5_000}}});
    let mut harness = CallHarness::new(serde_json::from_value(agent).unwrap());
    harness.play_everything();
    harness.caller_says("I have a question");
    harness.calls_tool("collect_value", arguments, None);
    harness
}

impl CallHarness {
    /// The caller says something, and nothing more.
    fn answers(&mut self, text: &str) {
        self.caller_says(text);
        self.pass_ms(2_000);
    }
}

fn result(harness: &CallHarness) -> Value {
    let told = harness.last_question().into_iter().rev().find_map(|m| m.strip_prefix("tool: ").map(str::to_owned));
    serde_json::from_str(&told.unwrap()).unwrap()
}

#[test]
fn a_value_is_asked_for_read_back_and_confirmed() {
    let mut harness = asked(json!({"type": "code", "prompt": "Which code?"}));
    assert_eq!(harness.play_everything(), "Which code?");
    harness.answers("b as in bravo seven");
    assert!(harness.play_everything().starts_with("I have Bravo, 7."));
    assert_eq!(harness.llm_requests(), 1, "the model waits for the value");
    harness.answers("yes, correct");
    assert_eq!(harness.llm_requests(), 2);
    assert_eq!(result(&harness), json!({"status": "confirmed", "value": "B7", "heard": "b as in bravo seven"}));
    assert!(harness.transcript().contains(&"user: b as in bravo seven".to_owned()));
}

#[test]
fn a_code_that_pauses_behind_its_first_sign_is_heard_to_its_end() {
    let mut harness = asked(json!({"type": "code", "prompt": "Which code?"}));
    harness.play_everything();
    harness.caller_says("Zed.");
    harness.pass_ms(1_000);
    assert_eq!(harness.play_everything(), "", "the caller goes on");
    harness.answers("nine ex");
    assert_eq!(harness.play_everything(), "I have Zulu, 9, X-ray. Is that right?");
    let mut harness = asked(json!({"type": "code", "prompt": "Which code?"}));
    harness.play_everything();
    harness.answers("Zed.");
    harness.pass_ms(2_800);
    assert_eq!(harness.play_everything(), "Sorry, I did not get that. Could you say it again?");
}

#[test]
fn a_value_that_was_said_already_is_read_back_at_once() {
    let mut harness = asked(json!({"type": "phone", "heard": "oh two oh one two three four five six seven"}));
    let said = harness.play_everything();
    assert!(said.starts_with("I have") && said.ends_with("Is that right?"), "{said}");
    harness.answers("yes");
    assert_eq!(result(&harness)["value"], "+31201234567");
}

#[test]
fn silence_and_refusals_are_bounded() {
    let mut harness = asked(json!({"type": "code", "prompt": "Which code?"}));
    harness.play_everything();
    harness.pass_ms(5_100);
    assert_eq!(harness.play_everything(), "Sorry, I did not get that. Could you say it again?");
    harness.pass_ms(5_100);
    assert_eq!((harness.llm_requests(), result(&harness)["status"].clone()), (2, json!("gave_up")));
    let mut harness = asked(json!({"type": "code", "prompt": "Which code?"}));
    for _ in 0..2 {
        harness.play_everything();
        harness.answers("b seven");
        harness.play_everything();
        harness.answers("no");
    }
    assert_eq!(result(&harness)["status"], "rejected");
}

#[test]
fn a_hang_up_ends_the_question() {
    let mut harness = asked(json!({"type": "email", "prompt": "Which address?"}));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert!(harness.transcript().pop().unwrap().contains("gave_up"));
}

#[test]
fn keys_count_as_said() {
    let mut harness = asked(json!({"type": "phone", "prompt": "Which number?"}));
    harness.play_everything();
    for key in "0201234567#".chars() {
        harness.machine.handle_digit(harness.now, key);
        harness.drain();
    }
    harness.play_everything();
    harness.machine.handle_digit(harness.now, '1');
    harness.pass_ms(2_100);
    assert_eq!(result(&harness)["value"], "+31201234567");
}
