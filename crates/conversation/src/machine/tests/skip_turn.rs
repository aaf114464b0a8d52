//! The model leaves the next word to the caller.

use super::*;
use serde_json::json;

fn skipping(more: serde_json::Value) -> AgentFields {
    let mut all = json!({"name": "A", "is_active": true, "first_message": "Good morning.",
        "built_in_tools": {"skip_turn": {}}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn greeted(more: serde_json::Value) -> CallHarness {
    let mut harness = CallHarness::new(skipping(more));
    harness.play_everything();
    harness
}

#[test]
fn nothing_is_said_and_the_next_turn_is_answered() {
    let mut harness = greeted(json!({"silence_config": {"fillers": ["One moment."], "filler_after_ms": 500}}));
    harness.caller_says("give me a second");
    harness.calls_tool("skip_turn", json!({}), None);
    assert_eq!(harness.llm_requests(), 1, "the model is not asked again");
    harness.pass_ms(5_000);
    assert_eq!(harness.play_everything(), "", "no filler, no answer");
    harness.caller_says("Where is it?");
    assert_eq!(harness.llm_requests(), 2);
    let wanted = [
        "user: give me a second",
        "assistant:  +1",
        "tool: you say nothing; the caller has the next word",
        "user: Where is it?",
    ];
    assert_eq!(harness.last_question()[1..], wanted);
}

#[test]
fn reminders_go_on_as_configured() {
    let mut harness = greeted(json!({"silence_config": {"prompt_after_ms": 5_000, "max_prompts": 1}}));
    harness.caller_says("give me a second");
    harness.calls_tool("skip_turn", json!({}), None);
    harness.pass_ms(4_900);
    assert!(harness.waiting.is_empty());
    harness.pass_ms(200);
    assert_eq!(harness.play_everything(), "Are you still there?");
    harness.pass_ms(5_100);
    assert!(harness.play_everything().contains("Goodbye"));
    assert_eq!(harness.hang_up_reasons(), [EndReason::Silence]);
}

#[test]
fn words_before_the_call_are_said() {
    let mut harness = greeted(json!({}));
    harness.caller_says("give me a second");
    harness.calls_tool("skip_turn", json!({}), Some("Sure."));
    assert_eq!(harness.play_everything(), "Sure.");
    harness.pass_ms(5_000);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (1, ""));
}

#[test]
fn a_turn_that_has_waited_may_be_skipped() {
    let uninterruptible = json!({"turn_config": {"first_message_interruptible": false}});
    let mut harness = CallHarness::new(skipping(uninterruptible));
    harness.caller_says("give me a second");
    harness.play_everything();
    harness.calls_tool("skip_turn", json!({}), None);
    assert_eq!(harness.llm_requests(), 1);
    harness.caller_says("Where is it?");
    assert_eq!(harness.llm_requests(), 2);
}

#[test]
fn with_another_tool_its_result_is_waited_for_without_a_filler() {
    let mut agent = skipping(json!({"silence_config": {"fillers": ["One moment."], "filler_after_ms": 500}}));
    agent.llm_config = with_tool(Some("Let me see.")).llm_config;
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("where is my order, give me a second");
    let response_id = harness.machine.response_id();
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{}".into(),
        ..ToolCall::default()
    };
    let calls = LlmEvent::ToolCalls(vec![call("1", "find"), call("2", "skip_turn")]);
    harness.machine.handle_llm_event(harness.now, response_id, calls);
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.pass_ms(3_000);
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (1, ""));
    harness.result("here");
    assert_eq!(harness.llm_requests(), 2, "a result is read");
}

#[test]
fn it_is_offered_only_if_the_agent_has_chosen_it() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("give me a second");
    harness.calls_tool("skip_turn", json!({}), None);
    assert_eq!(harness.llm_requests(), 2);
    assert_eq!(harness.last_question().last().unwrap(), "tool: error: there is no tool named skip_turn");
}

#[test]
fn a_realtime_model_that_skips_is_not_asked_again_and_not_missed() {
    let capabilities =
        RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(skipping(json!({})), Some(capabilities));
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let heard = SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true };
    harness.machine.handle_segment_finished(heard, harness.now);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::ResponseStarted);
    let call = ToolCall { id: "c".into(), name: "skip_turn".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    // The words come after the answer to them.
    harness.realtime_event(RealtimeEvent::UserFinal("give me a second".into()));
    let result = "you say nothing; the caller has the next word".to_owned();
    assert_eq!(harness.sent_to_realtime()[1..], [RealtimeInput::ToolResult { id: "c".into(), result }]);
    harness.pass_ms(7_500);
    assert!(!harness.seen.contains(&CallOutput::LeaveRealtime), "a model that says nothing has not failed");
    harness.pass_ms(1_000);
    let reminded = RealtimeInput::Say("Are you still there?".into());
    assert_eq!(harness.sent_to_realtime().last(), Some(&reminded));
}
