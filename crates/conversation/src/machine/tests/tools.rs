//! Tools that the model calls, and results that come early, late, or while somebody speaks.

use super::*;

#[test]
fn a_result_that_comes_during_the_filler_is_read_when_it_was_heard() {
    let mut harness = CallHarness::new(with_tool(Some("One moment.")));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    assert!(harness.seen.iter().any(|output| matches!(output, CallOutput::CallTool { is_async: false, .. })));
    let before = harness.llm_requests();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before, "the filler is still being said");
    assert_eq!(harness.play_everything(), "One moment.");
    assert_eq!(harness.llm_requests(), before + 1);
    assert_eq!(harness.last_question()[1..], ["user: Where is it?", "assistant: One moment. +1", "tool: here"]);
}

#[test]
fn a_result_that_comes_while_the_caller_speaks_waits_for_the_turn() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    let before = harness.llm_requests();
    harness.machine.handle_speech_started(harness.now);
    harness.result("here");
    assert_eq!(harness.llm_requests(), before);
    // It was only a cough: the result goes to the LLM after all.
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), before + 1);
}

#[test]
fn a_result_that_comes_after_another_question_is_news() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.caller_says("And are you open?");
    assert!(
        harness.last_question().iter().any(|m| m.starts_with("tool: still being worked on")),
        "{:?}",
        harness.last_question()
    );
    harness.model_says("We are.");
    let before = harness.llm_requests();
    harness.play_everything();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before + 1);
    let asked = harness.last_question();
    assert!(asked.contains(&"tool: here".to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "system: The tool find answered: here");
}

#[test]
fn the_goodbye_is_played_out_before_the_line_is_cut() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("bye");
    let response_id = harness.machine.response_id();
    let end = ToolCall { id: "1".into(), name: "end_call".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Have a nice day!".into()));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![end]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.pass_ms(300);
    assert_eq!(harness.hang_up_reasons(), []);
    assert_eq!(harness.play_everything(), "Have a nice day!");
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp]);
}

#[test]
fn llm_sends_dtmf_and_continues() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("press one for sales");
    let response_id = harness.machine.response_id();
    let call = ToolCall {
        id: "1".into(),
        name: "send_dtmf".into(),
        arguments: "{\"digits\":\"1\"}".into(),
        ..ToolCall::default()
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    assert_eq!(harness.llm_requests(), 2);
    assert!(matches!(harness.last_messages().last(), Some(ChatMessage::Tool { .. })));
}

#[test]
fn results_of_calls_with_the_same_id_go_to_their_own_calls() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.caller_says("And the other one?");
    harness.wants_tool();
    let asked: Vec<String> = harness
        .seen
        .iter()
        .filter_map(|output| match output {
            CallOutput::CallTool { call, .. } => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((asked.len(), asked[0].as_str()), (2, "1"));
    assert_ne!(asked[0], asked[1]);
    harness.machine.handle_tool_result(harness.now, &asked[1], "there");
    harness.machine.handle_tool_result(harness.now, &asked[0], "here");
    harness.drain();
    let results: Vec<String> =
        harness.last_question().into_iter().filter(|message| message.starts_with("tool: ")).collect();
    assert_eq!(results, ["tool: here", "tool: there"]);
}
