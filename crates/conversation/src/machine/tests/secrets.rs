//! Digits of a secret entry that are said again: nobody reads them, in whichever place and form they come.

use super::*;
use serde_json::{Value, json};

fn agent_with(settings: Value) -> AgentFields {
    let tool = json!({"function": {"name": "find"}});
    let all = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "llm_config": {"provider": "openai", "model": "m", "tools": [tool]},
        "built_in_tools": {"collect_digits": settings, "collect_value": {}}});
    serde_json::from_value(all).unwrap()
}

/// A caller who is asked for a PIN.
fn asked_for_pin(settings: Value) -> CallHarness {
    let mut harness = CallHarness::new(agent_with(settings));
    harness.play_everything();
    harness.caller_says("I have a question");
    let arguments = json!({"name": "pin", "min_digits": 4, "max_digits": 4, "secret": true});
    harness.calls_tool("collect_digits", arguments, None);
    harness
}

impl CallHarness {
    fn presses(&mut self, keys: &str) {
        for key in keys.chars() {
            self.machine.handle_digit(self.now, key);
            self.drain();
        }
    }

    fn entered() -> Self {
        let mut harness = asked_for_pin(json!({}));
        harness.presses("4711");
        harness.model_says("Thank you.");
        harness.play_everything();
        harness
    }

    /// Everything that leaves the machine.
    fn leaves(&self) -> String {
        self.seen.iter().map(|output| format!("{output:?}")).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn later_turns_are_hidden_from_model_and_transcript_alike() {
    for (said, shown) in [
        ("4711 is it", "••• is it"),
        ("it was 47 11", "it was •••"),
        ("four seven one one, did you get that", "••• did you get that"),
        ("forty-seven eleven", "•••"),
    ] {
        let mut harness = CallHarness::entered();
        harness.caller_says(said);
        harness.pass_ms(2_500);
        assert_eq!(harness.last_messages().last(), Some(&user(shown)), "{said}");
        assert_eq!(harness.transcript().last().unwrap(), &format!("user: {shown}"));
        for digits in ["4711", "47 11", "seven one", "eleven"] {
            assert!(!harness.leaves().contains(digits), "{said}: {}", harness.leaves());
        }
    }
}

#[test]
fn keys_that_repeat_a_secret_are_hidden_too() {
    let mut harness = CallHarness::entered();
    harness.pass_ms(2_000);
    harness.presses("4711");
    harness.pass_ms(3_000);
    assert_eq!(harness.last_messages().last(), Some(&user("[DTMF •••]")));
    assert!(!harness.leaves().contains("4711"));
}

#[test]
fn another_writing_of_a_turn_is_hidden_as_the_first_one() {
    let mut harness = CallHarness::entered();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(800);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("four seven one one".into()));
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(2_500);
    let event = SttEvent::Final { text: "4711.".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_stt(harness.now, event);
    harness.drain();
    harness.pass_ms(2_500);
    for digits in ["4711", "seven"] {
        assert!(!harness.leaves().contains(digits), "{}", harness.leaves());
    }
}

#[test]
fn interim_words_are_hidden_during_an_entry_and_masked_after_it() {
    let mut harness = asked_for_pin(json!({}));
    assert_eq!(harness.machine.shown_interim("four seven"), None);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(300);
    harness.presses("4711");
    assert_eq!(harness.machine.shown_interim("and my name is"), None, "these words began during the entry");
    let event = SttEvent::Final { text: "that's it".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.machine.handle_stt(harness.now, event);
    harness.drain();
    harness.pass_ms(2_000);
    assert_eq!(harness.machine.shown_interim("hello there").as_deref(), Some("hello there"), "at once after that");
    for words in ["it was 4711", "it was four seven", "it was four seven one one"] {
        assert_eq!(harness.machine.shown_interim(words).as_deref(), Some("it was •••"), "{words}");
    }
}

#[test]
fn digits_of_an_entry_that_came_to_nothing_are_secret_as_well() {
    // Said in place of keys, and said again.
    let mut said = asked_for_pin(json!({}));
    said.caller_says("four seven one one");
    said.pass_ms(2_000);
    said.model_says("Please use the keypad.");
    said.play_everything();
    said.caller_says("I said 4711 to you");
    said.pass_ms(2_500);
    assert_eq!(said.last_messages().last(), Some(&user("I said ••• to you")));
    // Keys before the caller gave up.
    let mut keyed = asked_for_pin(json!({"inter_digit_timeout_ms": 1000}));
    keyed.presses("471");
    keyed.pass_ms(5_000);
    keyed.model_says("That was too short.");
    keyed.play_everything();
    keyed.caller_says("it begins with 471");
    keyed.pass_ms(2_500);
    assert_eq!(keyed.last_messages().last(), Some(&user("it begins with •••")));
}

#[test]
fn words_that_are_pending_when_the_caller_hangs_up_during_an_entry_are_hidden() {
    let mut harness = asked_for_pin(json!({}));
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(500);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("four seven one one".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(3_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert!(harness.transcript().contains(&"user: •••".to_owned()), "{:?}", harness.transcript());
    assert!(!harness.leaves().contains("seven"), "{}", harness.leaves());
}

#[test]
fn what_was_said_before_the_entry_is_hidden_from_the_model_from_then_on() {
    let mut harness = CallHarness::new(agent_with(json!({})));
    harness.play_everything();
    harness.caller_says("my pin is 4711");
    harness.pass_ms(2_500);
    let arguments = json!({"min_digits": 4, "max_digits": 4, "secret": true});
    harness.calls_tool("collect_digits", arguments, None);
    harness.presses("4711");
    assert!(harness.last_messages().contains(&user("my pin is •••")), "{:?}", harness.last_messages());
}

#[test]
fn an_agent_that_may_read_secrets_reads_them_and_the_transcript_does_not() {
    let mut harness = asked_for_pin(json!({"reveal_secrets": true}));
    harness.presses("4711");
    harness.model_says("Thank you.");
    harness.play_everything();
    harness.caller_says("it is 4711 as I said");
    harness.pass_ms(2_500);
    assert_eq!(harness.last_messages().last(), Some(&user("it is 4711 as I said")));
    assert_eq!(harness.transcript().last().unwrap(), "user: it is ••• as I said");
    assert_eq!(harness.machine.shown_interim("4711").as_deref(), Some("•••"));
}

#[test]
fn a_value_that_repeats_a_secret_is_hidden_from_the_model() {
    let mut harness = CallHarness::entered();
    harness.caller_says("one more thing");
    harness.pass_ms(2_500);
    harness.calls_tool("collect_value", json!({"type": "code", "heard": "4711"}), None);
    harness.caller_says("yes");
    harness.pass_ms(1_000);
    assert!(!harness.last_question().join("\n").contains("4711"), "{:?}", harness.last_question());
}

#[test]
fn a_realtime_call_writes_down_no_secret_that_is_said_again() {
    let capabilities =
        RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(agent_with(json!({})), Some(capabilities));
    let arguments = json!({"min_digits": 4, "max_digits": 4, "secret": true}).to_string();
    let call = ToolCall { id: "c".into(), name: "collect_digits".into(), arguments, ..ToolCall::default() };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.presses("4711");
    harness.pass_ms(2_000);
    harness.realtime_event(RealtimeEvent::UserFinal("was it four seven one one".into()));
    harness.presses("4711#");
    harness.pass_ms(3_000);
    assert!(harness.transcript().contains(&"user: was it •••".to_owned()), "{:?}", harness.transcript());
    harness.realtime_event(RealtimeEvent::Reconnecting(ProviderError::Timeout("ping")));
    for digits in ["4711", "seven"] {
        assert!(!harness.leaves().contains(digits), "{digits}: {}", harness.leaves());
    }
}
