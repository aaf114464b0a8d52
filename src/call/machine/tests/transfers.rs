//! Callers who are put through, and those who come back to the agent.

use super::*;

fn transferring(mode: &str) -> AgentFields {
    let config = serde_json::json!({
        "mode": mode, "ring_timeout_ms": 20_000,
        "destinations": [{"name": "desk", "target": "tel:+31201234567"}],
    });
    AgentFields { transfer_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

impl CallHarness {
    /// The caller wants to speak to somebody, and the model puts them through.
    fn transfer(mode: &str) -> Self {
        let mut line = Self::new(transferring(mode));
        line.play_everything();
        line.caller_says("A human, please.");
        let generation = line.machine.response_id;
        let arguments = r#"{"destination":"desk","briefing":"Jan asks about his bill."}"#;
        let call =
            ToolCall { id: "t1".into(), name: "transfer_call".into(), arguments: arguments.into(), misfit: None };
        line.machine.handle_llm_event(line.now, generation, LlmEvent::ToolCalls(vec![call]));
        line.machine.handle_llm_event(line.now, generation, LlmEvent::Done(TokenUsage::default()));
        line.drain();
        assert_eq!(line.play_everything(), "One moment, I will put you through.");
        line
    }

    fn referral(&mut self, news: ReferProgress) {
        self.machine.handle_refer_progress(self.now, news);
        self.drain();
    }

    fn consult(&mut self, news: ConsultationEvent) {
        self.machine.handle_consultation(self.now, news);
        self.drain();
    }

    fn output_seen(&self, wanted: impl Fn(&CallOutput) -> bool) -> bool {
        self.seen.iter().any(wanted)
    }
}

fn is_consult(output: &CallOutput) -> bool {
    matches!(output, CallOutput::StartConsultation { .. })
}

#[test]
fn the_trunk_connects_both_and_the_call_is_over_when_it_says_so() {
    let mut line = CallHarness::transfer("auto");
    assert!(
        line.output_seen(
            |output| matches!(output, CallOutput::Refer { target } if target.as_str() == "tel:+31201234567")
        )
    );
    line.referral(ReferProgress::Accepted);
    line.referral(ReferProgress::Progress { status: 180, last: false });
    line.pass_ms(5_000);
    assert!(line.hang_up_reasons().is_empty(), "ringing is no outcome");
    line.referral(ReferProgress::Progress { status: 200, last: true });
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn a_trunk_without_refer_is_replaced_by_a_call_of_ours() {
    let mut line = CallHarness::transfer("auto");
    line.referral(ReferProgress::Refused { status: 405 });
    assert!(line.output_seen(is_consult) && line.output_seen(|output| *output == CallOutput::Hold { music: true }));
    line.consult(ConsultationEvent::Ringing);
    line.consult(ConsultationEvent::Answered);
    assert!(line.output_seen(|output| *output == CallOutput::BridgeCalls));
    assert!(
        line.transcript().last().unwrap().ends_with("transfer_call: connected with desk"),
        "{:?}",
        line.transcript()
    );
    line.pass_ms(2_000_000);
    assert!(line.hang_up_reasons().is_empty(), "an agent's longest time is not that of two people");
    line.consult(ConsultationEvent::Failed(EndReason::CustomerHungUp));
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn a_trunk_that_must_refer_and_refuses_leaves_the_caller_with_the_agent() {
    let mut line = CallHarness::transfer("refer");
    line.referral(ReferProgress::Refused { status: 403 });
    assert!(!line.output_seen(is_consult));
    assert!(line.last_question().last().unwrap().contains("the trunk refused it (403)"), "{:?}", line.last_question());
    line.model_says("Sorry, that did not work.");
    assert_eq!(line.play_everything(), "Sorry, that did not work.");
}

#[test]
fn busy_no_answer_and_refusal_return_to_the_agent_with_the_reason() {
    for (why, words) in [
        (EndReason::Busy, "they are busy"),
        (EndReason::Rejected, "they declined"),
        (EndReason::InvalidNumber, "the number does not exist"),
        (EndReason::TrunkError, "the call could not be made"),
    ] {
        let mut line = CallHarness::transfer("bridge");
        assert!(line.output_seen(is_consult));
        line.consult(ConsultationEvent::Failed(why));
        assert!(line.output_seen(|output| *output == CallOutput::EndConsultation));
        assert!(line.last_question().last().unwrap().contains(words), "{:?}", line.last_question());
    }
    let mut line = CallHarness::transfer("bridge");
    line.consult(ConsultationEvent::Ringing);
    line.pass_ms(19_900);
    assert!(!line.output_seen(|output| *output == CallOutput::EndConsultation));
    line.pass_ms(200);
    assert!(line.output_seen(|output| *output == CallOutput::EndConsultation), "the ring timeout is kept");
    assert!(line.last_question().last().unwrap().contains("nobody answered"));
}

#[test]
fn the_other_party_is_told_first_and_then_connected() {
    let mut line = CallHarness::transfer("attended");
    line.consult(ConsultationEvent::Answered);
    assert!(
        line.output_seen(|output| *output == CallOutput::BriefConsultation { text: "Jan asks about his bill.".into() })
    );
    assert!(!line.output_seen(|output| *output == CallOutput::BridgeCalls));
    line.consult(ConsultationEvent::Briefed);
    assert!(line.output_seen(|output| *output == CallOutput::BridgeCalls));
}

#[test]
fn caller_hangs_up_while_the_other_party_rings() {
    let mut line = CallHarness::transfer("bridge");
    line.consult(ConsultationEvent::Ringing);
    line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
    line.drain();
    line.pass_ms(1_000);
    assert_eq!(line.hang_up_reasons(), [EndReason::CustomerHungUp], "nobody was reached");
}

#[test]
fn the_trunk_hangs_up_on_us_once_it_has_taken_over() {
    let mut line = CallHarness::transfer("refer");
    line.referral(ReferProgress::Accepted);
    line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
    line.drain();
    line.pass_ms(1_000);
    assert_eq!(line.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn what_the_caller_says_on_hold_is_kept_and_not_answered() {
    let mut line = CallHarness::transfer("bridge");
    let asked = line.llm_requests();
    line.caller_says("Hello? Anybody?");
    line.pass_ms(9_000);
    assert_eq!(line.llm_requests(), asked);
    assert!(line.transcript().contains(&"user: Hello? Anybody?".to_owned()));
    assert!(line.waiting.is_empty(), "and nobody asks whether they are there");
}

#[test]
fn a_key_puts_the_caller_through() {
    let rules =
        serde_json::json!({"rules": [{"digits": "1", "action": "transfer", "target": "sip:desk@pbx.example.com"}]});
    let mut line =
        CallHarness::new(AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..agent() });
    line.machine.handle_digit(line.now, '1');
    line.drain();
    assert_eq!(line.play_everything(), "One moment, I will put you through.", "in place of the greeting");
    assert!(line.output_seen(
        |output| matches!(output, CallOutput::Refer { target } if target.as_str() == "sip:desk@pbx.example.com")
    ));
    line.referral(ReferProgress::Accepted);
    line.referral(ReferProgress::Progress { status: 486, last: true });
    assert!(line.last_question().last().unwrap().contains("sip:desk@pbx.example.com failed: they are busy"));
}

#[test]
fn a_key_calls_a_tool() {
    let rules = serde_json::json!({"rules": [{"digits": "3", "action": "tool", "tool": "find"}]});
    let mut line =
        CallHarness::new(AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..with_tool(None) });
    line.play_everything();
    line.machine.handle_digit(line.now, '3');
    line.drain();
    let call = line.seen.iter().find_map(|output| match output {
        CallOutput::CallTool { call, .. } => Some(call.clone()),
        _ => None,
    });
    let id = call.unwrap().id;
    line.machine.handle_tool_result(line.now, &id, "in the warehouse");
    line.drain();
    assert_eq!(line.last_question()[1..], ["user: [DTMF 3]", "assistant:  +1", "tool: in the warehouse"]);
}
