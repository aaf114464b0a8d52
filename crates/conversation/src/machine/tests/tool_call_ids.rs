//! Models that number the calls of each answer from the start: a result belongs to the call that it answers.

use super::handover::{billing, reception};
use super::*;
use serde_json::json;

fn numbered(name: &str) -> Vec<ToolCall> {
    vec![ToolCall { id: "call_0".into(), name: name.into(), arguments: "{}".into(), ..ToolCall::default() }]
}

fn with_find(start: &str) -> AgentFields {
    let tool = json!({"function": {"name": "find"}, "start": start});
    let config = json!({"provider": "openai", "model": "m", "tools": [tool]});
    AgentFields { llm_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

impl CallHarness {
    fn answers_with(&mut self, words: &str, calls: Vec<ToolCall>) {
        let response_id = self.machine.response_id();
        if !words.is_empty() {
            self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(words.into()));
        }
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::ToolCalls(calls));
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    /// Ids of the calls and of the results that the model reads, each in their order.
    fn read_ids(&self) -> (Vec<String>, Vec<String>) {
        let (mut calls, mut results) = (Vec::new(), Vec::new());
        for message in self.last_messages() {
            match message {
                ChatMessage::Assistant { tool_calls, .. } => calls.extend(tool_calls.into_iter().map(|call| call.id)),
                ChatMessage::Tool { call_id, .. } => results.push(call_id),
                ChatMessage::User(_) | ChatMessage::System(_) => {}
            }
        }
        (calls, results)
    }
}

#[test]
fn a_late_result_of_the_agent_before_is_not_taken_for_one_of_the_next() {
    let mut harness = CallHarness::briefed(reception(json!({})), None);
    harness.play_everything();
    harness.caller_says("I have a question about my invoice");
    let mut calls = numbered("find");
    let arguments = json!({"agent": "billing"}).to_string();
    calls.push(ToolCall { id: "call_1".into(), name: "transfer_agent".into(), arguments, ..ToolCall::default() });
    harness.answers_with("", calls);
    let look_up = json!({"function": {"name": "look_up"}, "url": "https://crm.example/look_up"});
    let llm = json!({"provider": "openai", "model": "m", "tools": [look_up]});
    harness.machine.handle_agent_prepared(harness.now, Ok(billing(json!({"llm_config": llm}))));
    harness.drain();
    harness.answers_with("", numbered("look_up"));
    let ids = harness.called_ids();
    assert_eq!((ids.len(), ids[0].as_str()), (2, "call_0"));
    assert_ne!(ids[0], ids[1]);
    harness.machine.handle_tool_result(harness.now, &ids[0], "of the reception");
    harness.machine.handle_tool_result(harness.now, &ids[1], "of billing");
    harness.drain();
    let asked = harness.last_question();
    assert!(asked.contains(&"system: The tool find answered: of the reception".to_owned()), "{asked:?}");
    assert!(asked.contains(&"tool: of billing".to_owned()), "{asked:?}");
    let (calls, results) = harness.read_ids();
    assert_eq!((calls.len(), &calls), (1, &results), "what the vendor reads belongs together");
}

#[test]
fn a_tool_that_starts_at_once_runs_once_for_each_call_of_it() {
    let mut harness = CallHarness::new(with_find("at_once"));
    harness.play_everything();
    for round in 1..=3 {
        harness.caller_says("where is it");
        harness.answers_with("I will look.", numbered("find"));
        assert_eq!(harness.called_ids().len(), round, "while it is announced");
        harness.play_everything();
        assert_eq!(harness.called_ids().len(), round, "and not again after that");
        harness.result(&format!("found {round}"));
        assert_eq!(harness.last_question().last().unwrap(), &format!("tool: found {round}"));
        harness.model_says("Here it is.");
        harness.play_everything();
    }
    let ids: std::collections::BTreeSet<_> = harness.called_ids().into_iter().collect();
    assert_eq!(ids.len(), 3);
    let (calls, results) = harness.read_ids();
    assert_eq!((calls.len(), &calls), (3, &results));
}

#[test]
fn two_calls_of_one_answer_with_the_same_id_are_two() {
    let mut harness = CallHarness::new(with_find("after_announcement"));
    harness.play_everything();
    harness.caller_says("where are they");
    harness.answers_with("", [numbered("find"), numbered("find")].concat());
    let ids = harness.called_ids();
    assert_ne!(ids[0], ids[1]);
    harness.machine.handle_tool_result(harness.now, &ids[1], "second");
    harness.machine.handle_tool_result(harness.now, &ids[0], "first");
    harness.drain();
    let asked = harness.last_question();
    assert_eq!(asked[asked.len() - 2..], ["tool: first", "tool: second"]);
}

#[test]
fn a_realtime_model_reads_the_ids_that_it_gave() {
    let capabilities =
        RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(with_find("after_announcement"), Some(capabilities));
    for round in ["first", "second"] {
        harness.realtime_event(RealtimeEvent::ToolCalls(numbered("find")));
        harness.result(round);
    }
    let sent = harness.sent_to_realtime();
    for result in ["first", "second"] {
        let wanted = RealtimeInput::ToolResult { id: "call_0".into(), result: result.into() };
        assert!(sent.contains(&wanted), "{sent:?}");
    }
    let ids = harness.called_ids();
    assert_ne!(ids[0], ids[1], "their server can tell them apart");
}

#[test]
fn a_destination_that_is_not_there_is_refused_with_those_that_are() {
    let transfers = json!({"mode": "refer", "destinations": [
        {"name": "desk", "target": "+31201234567"}, {"name": "billing", "target": "+31201234568"}]});
    let agent = AgentFields { transfer_config: Some(serde_json::from_value(transfers).unwrap()), ..agent() };
    for arguments in
        [json!({"destination": "sales"}), json!({}), json!({"destination": "Desk"}), json!({"destination": 1})]
    {
        let mut harness = CallHarness::new(agent.clone());
        harness.play_everything();
        harness.caller_says("sales please");
        harness.calls_tool("transfer_call", arguments.clone(), None);
        assert!(!harness.output_seen(|output| matches!(output, CallOutput::Refer { .. })), "{arguments}");
        let told = harness.last_question().pop().unwrap();
        assert!(told.starts_with("tool: error:") && told.contains("\"desk\", \"billing\""), "{arguments}: {told}");
    }
}
