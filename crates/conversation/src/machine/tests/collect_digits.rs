//! Entries of digits that the model asks for: keys, words, time, secrets, and what cancels them.

use super::*;
use serde_json::{Value, json};

fn collecting(more: Value) -> AgentFields {
    let mut all = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"collect_digits": {}}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// A caller who was asked for an entry.
fn asked(agent: AgentFields, arguments: Value) -> CallHarness {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("I have a question");
    harness.calls_tool("collect_digits", arguments, None);
    harness
}

impl CallHarness {
    fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.machine.handle_digit(self.now, key);
            self.drain();
        }
    }

    /// The result of the tool as the model read it last.
    fn told(&self) -> Value {
        let told = self.last_question().into_iter().rev().find_map(|m| m.strip_prefix("tool: ").map(str::to_owned));
        serde_json::from_str(&told.unwrap()).unwrap()
    }

    /// Everything that leaves the machine, but for what only a tool's server gets.
    fn everything(&self) -> String {
        let outputs = self.seen.iter().map(|output| format!("{output:?}"));
        outputs.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn keys_complete_an_entry_and_the_model_reads_them() {
    let mut harness = asked(collecting(json!({})), json!({"min_digits": 4, "max_digits": 4, "prompt": "Your number?"}));
    assert_eq!(harness.play_everything(), "Your number?");
    assert_eq!(harness.llm_requests(), 1, "the model waits for the entry");
    harness.keys("12");
    harness.pass_ms(2_900);
    harness.keys("34");
    assert_eq!(harness.llm_requests(), 2);
    let wanted = json!({"status": "completed", "count": 4, "digits": "1234", "reference": "{{collected.digits}}"});
    assert_eq!(harness.told(), wanted);
    harness.keys("#");
    harness.pass_ms(3_000);
    assert_eq!(harness.llm_requests(), 2, "a terminator after the last digit belongs to the entry");
    harness.model_says("Thank you.");
    harness.play_everything();
    harness.keys("7");
    harness.pass_ms(2_100);
    assert_eq!(harness.last_messages().last(), Some(&user("[DTMF 7]")), "later keys go where they always go");
}

#[test]
fn an_entry_ends_by_terminator_time_or_not_at_all() {
    let arguments = || json!({"min_digits": 3, "max_digits": 8, "timeout_ms": 4_000, "inter_digit_timeout_ms": 1_500});
    for (keys, wait, wanted) in [
        ("123#", 0, json!({"status": "completed", "count": 3, "digits": "123", "reference": "{{collected.digits}}"})),
        (
            "123",
            1_500,
            json!({"status": "completed", "count": 3, "digits": "123", "reference": "{{collected.digits}}"}),
        ),
        ("12", 1_500, json!({"status": "too_short", "count": 2, "digits": "12"})),
        ("#", 0, json!({"status": "too_short", "count": 0})),
        ("", 4_000, json!({"status": "timeout", "count": 0})),
    ] {
        let mut harness = asked(collecting(json!({})), arguments());
        harness.keys(keys);
        if wait > 0 {
            harness.pass_ms(wait - 100);
            assert_eq!(harness.llm_requests(), 1, "{keys}");
            harness.pass_ms(200);
        }
        assert_eq!((harness.llm_requests(), harness.told()), (2, wanted), "{keys}");
    }
}

#[test]
fn the_time_runs_when_the_agent_has_spoken_and_nobody_is_reminded() {
    let silence =
        json!({"silence_config": {"prompt_after_ms": 2_000, "fillers": ["One moment."], "filler_after_ms": 500}});
    let mut harness = asked(collecting(silence), json!({"prompt": "Your number, please.", "timeout_ms": 5_000}));
    harness.pass_ms(6_000);
    assert_eq!(harness.llm_requests(), 1, "the prompt is still to be heard");
    assert_eq!(harness.play_everything(), "Your number, please.");
    harness.pass_ms(4_900);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (1, ""), "no reminder, no filler");
    harness.pass_ms(200);
    assert_eq!(harness.told()["status"], "timeout");
}

#[test]
fn the_agent_stops_at_the_first_key() {
    let mut harness =
        asked(collecting(json!({})), json!({"prompt": "Your number? It is on the card.", "max_digits": 2}));
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.drain();
    harness.keys("1");
    assert!(harness.seen.contains(&CallOutput::CancelSpeech { response_id: segment.response_id }));
    assert_eq!(harness.play_everything(), "");
    harness.keys("2");
    assert_eq!(harness.told()["digits"], "12");
}

#[test]
fn keys_before_the_words_are_over_belong_to_the_entry() {
    let mut harness = CallHarness::new(collecting(json!({})));
    harness.play_everything();
    harness.caller_says("I have a question");
    let arguments = json!({"max_digits": 4, "secret": true});
    harness.calls_tool("collect_digits", arguments, Some("Please enter your code now. Take your time."));
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.drain();
    harness.keys("4711");
    assert_eq!(harness.play_everything(), "");
    assert_eq!(harness.told(), json!({"status": "completed", "count": 4, "reference": "{{collected.digits}}"}));
    assert!(!harness.everything().contains("4711"), "{}", harness.everything());
}

#[test]
fn an_entry_owns_the_keys_of_the_rules() {
    let rules = json!({"dtmf_rules": {"rules": [{"digits": "0", "action": "end_call"}]}});
    let mut harness = asked(collecting(rules), json!({"max_digits": 2}));
    harness.keys("00");
    assert_eq!(harness.told()["digits"], "00");
    harness.model_says("Thank you.");
    harness.play_everything();
    harness.pass_ms(1_500);
    harness.keys("0");
    harness.play_everything();
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp], "the rules are back");
}

#[test]
fn digits_may_be_said() {
    let mut harness = asked(collecting(json!({})), json!({"min_digits": 4, "max_digits": 4}));
    harness.caller_says("one two");
    assert_eq!(harness.llm_requests(), 1);
    harness.caller_says("double three");
    harness.pass_ms(2_000);
    assert_eq!((harness.llm_requests(), harness.told()["digits"].clone()), (2, json!("1233")));
    assert!(harness.transcript().contains(&"user: double three".to_owned()));
}

#[test]
fn other_words_cancel_the_entry() {
    let mut harness = asked(collecting(json!({})), json!({}));
    harness.keys("12");
    harness.caller_says("I have lost my card");
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), 2);
    let wanted = json!({"status": "cancelled", "count": 2, "digits": "12", "reason": "the caller spoke instead"});
    assert_eq!(harness.told(), wanted);
    assert!(harness.last_question().contains(&"user: I have lost my card".to_owned()));
}

fn everything_secret(keys_at_once: bool) -> CallHarness {
    let mut agent = collecting(json!({}));
    let tool = json!({"function": {"name": "find"}});
    let config = json!({"provider": "openai", "model": "m", "tools": [tool]});
    agent.llm_config = Some(serde_json::from_value(config).unwrap());
    let mut harness = asked(agent, json!({"name": "pin", "min_digits": 4, "max_digits": 4, "secret": true}));
    harness.keys(if keys_at_once { "4711" } else { "47" });
    harness
}

#[test]
fn secret_digits_reach_the_server_of_a_tool_and_nobody_else() {
    let mut harness = everything_secret(true);
    assert_eq!(harness.told(), json!({"status": "completed", "count": 4, "reference": "{{collected.pin}}"}));
    // More keys than were asked for are part of it.
    harness.keys("99#");
    harness.pass_ms(1_500);
    harness.calls_tool("find", json!({"pin": "{{collected.pin}}"}), None);
    let called = harness.seen.iter().rev().find_map(|output| match output {
        CallOutput::CallTool { call, collected, .. } => Some((call.clone(), collected.clone())),
        _ => None,
    });
    let (call, collected) = called.unwrap();
    assert_eq!(collected.fill_json(&call.arguments), r#"{"pin":"4711"}"#);
    harness.machine.handle_tool_result(harness.now, &call.id, "PIN 4711 is wrong");
    harness.drain();
    assert!(harness.last_question().iter().any(|message| message == "tool: PIN ••• is wrong"));
    harness.model_says("Was it 4 7 1 1?");
    harness.play_everything();
    harness.caller_says("4711, yes");
    assert!(harness.transcript().contains(&"assistant: Was it •••?".to_owned()), "{:?}", harness.transcript());
    assert!(!harness.transcript().join("\n").contains("4711"), "{:?}", harness.transcript());
}

#[test]
fn secret_digits_that_are_said_do_not_count_and_are_not_written_down() {
    let mut harness = everything_secret(false);
    assert!(harness.machine.is_collecting_secret());
    harness.caller_says("four seven one one");
    harness.pass_ms(2_000);
    assert_eq!(harness.told()["status"], "cancelled");
    assert!(harness.told()["reason"].as_str().unwrap().contains("keypad"));
    assert_eq!(
        harness.last_question().last().unwrap(),
        &format!("system: The tool collect_digits answered: {}", harness.told())
    );
    for words in ["four seven", "\"47\"", "4711"] {
        assert!(!harness.everything().contains(words), "{words}: {}", harness.everything());
    }
    assert!(harness.transcript().contains(&"user: •••".to_owned()), "{:?}", harness.transcript());
}

#[test]
fn the_agents_settings_decide_about_secrets() {
    let settings = json!({"built_in_tools": {"collect_digits": {"always_secret": true}}});
    let mut harness = asked(collecting(settings), json!({"max_digits": 4}));
    harness.keys("4711");
    assert!(harness.told().get("digits").is_none());
    let settings = json!({"built_in_tools": {"collect_digits": {"reveal_secrets": true}}});
    let mut harness = asked(collecting(settings), json!({"max_digits": 4, "secret": true}));
    harness.keys("4711");
    assert_eq!(harness.told()["digits"], "4711");
    assert!(!harness.transcript().join("\n").contains("4711"), "{:?}", harness.transcript());
}

#[test]
fn whatever_ends_the_conversation_cancels_the_entry() {
    let mut harness = everything_secret(false);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    let last = harness.transcript().pop().unwrap();
    assert!(last.contains("\"cancelled\"") && last.contains("\"count\":2"), "{last}");
    harness.keys("11");
    assert!(!harness.everything().contains("47"), "{}", harness.everything());
}

#[test]
fn one_entry_at_a_time_and_none_beside_a_transfer() {
    let mut agent = collecting(json!({}));
    let transfers = json!({"mode": "refer", "destinations": [{"name": "desk", "target": "+31201234567"}]});
    agent.transfer_config = Some(serde_json::from_value(transfers).unwrap());
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("I have a question");
    let call = |id: &str, name: &str, arguments: Value| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.to_string(),
        ..ToolCall::default()
    };
    let response_id = harness.machine.response_id();
    let calls = vec![
        call("1", "collect_digits", json!({"prompt": "Your code?"})),
        call("2", "collect_digits", json!({})),
        call("3", "transfer_call", json!({"destination": "desk"})),
    ];
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(calls));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    let transcript = harness.transcript().join("\n");
    assert!(transcript.contains("one thing at a time") && transcript.contains("cancelled"), "{transcript}");
    assert_eq!(harness.play_everything(), "One moment, I will put you through.");
}

#[test]
fn a_realtime_model_gets_the_entry_as_a_result() {
    let capabilities =
        RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(collecting(json!({})), Some(capabilities));
    let arguments = json!({"max_digits": 4, "secret": true}).to_string();
    let call = ToolCall { id: "c".into(), name: "collect_digits".into(), arguments, ..ToolCall::default() };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::UserFinal("four seven one one".into()));
    assert!(harness.transcript().contains(&"user: •••".to_owned()), "{:?}", harness.transcript());
    harness.keys("4711");
    let result = json!({"status": "completed", "count": 4, "reference": "{{collected.digits}}"}).to_string();
    let told = harness.sent_to_realtime();
    let [.., sent, asked] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(*sent, RealtimeInput::ToolResult { id: "c".into(), result });
    assert!(matches!(asked, RealtimeInput::RequestResponse(_)), "{told:?}");
}
