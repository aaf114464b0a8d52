//! The agent puts the caller on hold, and comes back.

use super::*;
use serde_json::json;

fn holding(more: serde_json::Value) -> CallHarness {
    let mut all = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"hold_call": {"max_seconds": 60}},
        "silence_config": {"prompt_after_ms": 5_000, "max_prompts": 1, "fillers": ["Hm."], "filler_after_ms": 500}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut harness = CallHarness::new(serde_json::from_value(all).unwrap());
    harness.play_everything();
    harness.caller_says("Where is my parcel?");
    harness
}

fn held(harness: &CallHarness) -> bool {
    harness.output_seen(|output| *output == CallOutput::Hold { music: true })
}

fn resumed(harness: &CallHarness) -> bool {
    harness.output_seen(|output| *output == CallOutput::EndHold)
}

/// On hold for half a minute at most.
fn on_hold() -> CallHarness {
    let mut harness = holding(json!({}));
    harness.calls_tool("hold_call", json!({"seconds": 30}), Some("I put you on hold."));
    assert!(!held(&harness), "the caller hears it first");
    harness.play_everything();
    assert!(held(&harness) && !resumed(&harness));
    harness
}

#[test]
fn the_agent_comes_back_when_the_time_is_over() {
    let mut harness = on_hold();
    harness.pass_ms(29_000);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (1, ""), "no filler, no reminder");
    harness.pass_ms(1_500);
    assert!(resumed(&harness));
    assert_eq!(harness.llm_requests(), 2, "the agent has the word");
    let last = harness.last_question().pop().unwrap();
    assert!(last.contains("\"seconds\":30") && last.contains("the time is over"), "{last}");
}

#[test]
fn words_on_hold_are_kept_and_not_answered() {
    let mut harness = on_hold();
    harness.caller_says("Hello? Anybody?");
    harness.machine.handle_digit(harness.now, '1');
    harness.drain();
    harness.pass_ms(10_000);
    assert_eq!(harness.llm_requests(), 1);
    assert!(harness.transcript().contains(&"user: Hello? Anybody?".to_owned()));
    harness.pass_ms(20_000);
    assert!(harness.last_question().iter().any(|one| one.contains("Hello? Anybody?")));
}

#[test]
fn the_agent_comes_back_with_the_results_of_its_tools() {
    let tool = json!({"function": {"name": "find"}});
    let mut harness = holding(json!({"llm_config": {"provider": "openai", "model": "m", "tools": [tool]}}));
    let response_id = harness.machine.response_id();
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{}".into(),
        ..ToolCall::default()
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("I put you on hold.".into()));
    let calls = LlmEvent::ToolCalls(vec![call("h", "hold_call"), call("f", "find")]);
    harness.machine.handle_llm_event(harness.now, response_id, calls);
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.play_everything();
    assert!(held(&harness));
    harness.pass_ms(8_000);
    assert!(!resumed(&harness));
    harness.machine.handle_tool_result(harness.now, "f", "found");
    harness.drain();
    assert!(resumed(&harness));
    assert_eq!(harness.llm_requests(), 2, "one answer to both results");
    assert!(harness.last_question().iter().any(|one| one == "tool: found"), "{:?}", harness.last_question());
}

#[test]
fn nobody_is_put_on_hold_without_a_word() {
    let mut harness = holding(json!({}));
    harness.calls_tool("hold_call", json!({}), None);
    harness.play_everything();
    assert!(!held(&harness));
    assert!(harness.last_question().last().unwrap().contains("say so in the same answer"));
}

#[test]
fn a_caller_who_hangs_up_on_hold_has_ended_the_call() {
    let mut harness = on_hold();
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(2_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
}

#[test]
fn a_call_that_is_over_time_on_hold_ends_with_words() {
    let mut harness =
        holding(json!({"max_duration_seconds": 60, "built_in_tools": {"hold_call": {"max_seconds": 600}}}));
    harness.calls_tool("hold_call", json!({}), Some("I put you on hold."));
    harness.play_everything();
    harness.pass_ms(60_000);
    assert!(resumed(&harness));
    assert!(!harness.play_everything().is_empty());
    harness.pass_ms(2_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::MaxDuration]);
}

#[test]
fn a_refused_hold_leaves_nobody_in_silence() {
    let tool = json!({"function": {"name": "find"}, "filler": "Let me see."});
    let mut harness = holding(json!({"llm_config": {"provider": "openai", "model": "m", "tools": [tool]}}));
    let response_id = harness.machine.response_id();
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{}".into(),
        ..ToolCall::default()
    };
    let calls = LlmEvent::ToolCalls(vec![call("f", "find"), call("h", "hold_call")]);
    harness.machine.handle_llm_event(harness.now, response_id, calls);
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    assert!(!held(&harness));
    assert_eq!(harness.play_everything(), "Let me see.");
    harness.machine.handle_tool_result(harness.now, "f", "found");
    harness.drain();
    assert_eq!(harness.llm_requests(), 2, "one answer to both results");
}

/// A round of tool calls, with words before them.
fn round(harness: &mut CallHarness, words: &str, calls: &[(&str, &str, serde_json::Value)]) {
    let response_id = harness.machine.response_id();
    let call = |(id, name, arguments): &(&str, &str, serde_json::Value)| ToolCall {
        id: (*id).into(),
        name: (*name).into(),
        arguments: arguments.to_string(),
        ..ToolCall::default()
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text(words.into()));
    let calls = LlmEvent::ToolCalls(calls.iter().map(call).collect());
    harness.machine.handle_llm_event(harness.now, response_id, calls);
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
}

#[test]
fn a_hold_has_music_only_where_the_agent_has_it() {
    let mut harness = holding(json!({"built_in_tools": {"hold_call": {"max_seconds": 60, "music": false}}}));
    harness.calls_tool("hold_call", json!({"seconds": 30}), Some("I put you on hold."));
    harness.play_everything();
    assert!(harness.output_seen(|output| *output == CallOutput::Hold { music: false }));
    assert!(!held(&harness));
}

#[test]
fn nobody_waits_for_results_that_are_there_already() {
    let mut harness = holding(json!({}));
    round(&mut harness, "I put you on hold.", &[("h", "hold_call", json!({})), ("f", "nowhere", json!({}))]);
    harness.play_everything();
    assert!(!held(&harness), "the other tool has failed at once");
    assert_eq!(harness.llm_requests(), 2);
    assert!(harness.last_question().iter().any(|one| one.contains("not needed")), "{:?}", harness.last_question());
}

#[test]
fn the_agent_stays_away_until_the_last_result_and_nothing_is_said_meanwhile() {
    let tools = json!([{"function": {"name": "find"}, "filler": "Let me see."}, {"function": {"name": "count"}}]);
    let mut harness = holding(json!({"llm_config": {"provider": "openai", "model": "m", "tools": tools}}));
    let calls = [("h", "hold_call", json!({})), ("f", "find", json!({})), ("c", "count", json!({}))];
    round(&mut harness, "I put you on hold.", &calls);
    harness.play_everything();
    assert!(held(&harness));
    harness.pass_ms(6_000);
    harness.machine.handle_tool_result(harness.now, "f", "found");
    harness.drain();
    harness.pass_ms(6_000);
    assert!(!resumed(&harness), "one of two results");
    assert_eq!(harness.play_everything(), "", "no filler, no reminder");
    harness.machine.handle_tool_result(harness.now, "c", "three");
    harness.drain();
    assert!(resumed(&harness));
    assert_eq!(harness.llm_requests(), 2, "one answer to both results");
}
