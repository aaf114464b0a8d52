//! Tools that are called together with `end_call`.

use super::*;

/// The calls of one answer, in this order, behind these words.
fn calls_all(harness: &mut CallHarness, words: Option<&str>, names: &[&str]) {
    let response_id = harness.machine.response_id();
    if let Some(words) = words {
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text(words.into()));
    }
    let call = |(at, name): (usize, &&str)| ToolCall {
        id: at.to_string(),
        name: (*name).into(),
        arguments: "{}".into(),
        ..ToolCall::default()
    };
    let calls = names.iter().enumerate().map(call).collect();
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(calls));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
}

#[test]
fn what_an_agent_wants_done_before_it_hangs_up_is_done() {
    for words in [None, Some("I will note that. Bye!")] {
        for names in [["find", "end_call"], ["end_call", "find"]] {
            let mut harness = CallHarness::new(with_tool(None));
            harness.play_everything();
            harness.caller_says("Note it down, bye");
            calls_all(&mut harness, words, &names);
            assert_eq!(harness.play_everything(), words.unwrap_or_default());
            assert_eq!(harness.called_ids().len(), 1, "{names:?}");
            assert_eq!(harness.hang_up_reasons(), [], "the server of the tool works");
            harness.pass_ms(1_200);
            harness.result("noted");
            assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp]);
            assert_eq!(harness.llm_requests(), 1, "nobody is asked what to say");
            let said = harness.transcript();
            assert!(said.iter().any(|line| line == "tool: find: noted"), "{said:?}");
        }
    }
}

#[test]
fn a_tool_that_does_not_answer_holds_no_call_that_has_ended() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Note it down, bye");
    calls_all(&mut harness, None, &["find", "end_call"]);
    harness.pass_ms(4_900);
    assert_eq!(harness.hang_up_reasons(), []);
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp]);
    harness.result("noted");
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp], "once");
}
