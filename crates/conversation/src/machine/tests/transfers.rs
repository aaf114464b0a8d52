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
    /// The caller asks for a person, and the model transfers the call.
    fn transfer(mode: &str) -> Self {
        Self::transfer_with(transferring(mode))
    }

    fn transfer_with(agent: AgentFields) -> Self {
        let mut harness = Self::new(agent);
        harness.play_everything();
        harness.caller_says("A human, please.");
        let response_id = harness.machine.response_id();
        let arguments = r#"{"destination":"desk","briefing":"Jan asks about his bill."}"#;
        let call = ToolCall {
            id: "t1".into(),
            name: "transfer_call".into(),
            arguments: arguments.into(),
            ..ToolCall::default()
        };
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call]));
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
        harness.drain();
        assert_eq!(harness.play_everything(), "One moment, I will put you through.");
        harness
    }

    fn referral(&mut self, event: ReferProgress) {
        self.machine.handle_refer_progress(self.now, event);
        self.drain();
    }

    fn consultation(&mut self, event: ConsultationEvent) {
        self.machine.handle_consultation(self.now, event);
        self.drain();
    }
}

fn is_consult(output: &CallOutput) -> bool {
    matches!(output, CallOutput::StartConsultation { .. })
}

#[test]
fn the_trunk_connects_both_and_the_call_is_over_when_it_says_so() {
    let mut harness = CallHarness::transfer("auto");
    assert!(
        harness.output_seen(
            |output| matches!(output, CallOutput::Refer { target } if target.as_str() == "tel:+31201234567")
        )
    );
    harness.referral(ReferProgress::Accepted);
    harness.referral(ReferProgress::Progress { status: 180, last: false });
    harness.pass_ms(5_000);
    assert!(harness.hang_up_reasons().is_empty(), "ringing is no outcome");
    harness.referral(ReferProgress::Progress { status: 200, last: true });
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn a_trunk_without_refer_is_replaced_by_a_call_of_ours() {
    let mut harness = CallHarness::transfer("auto");
    harness.referral(ReferProgress::Refused { status: 405 });
    assert!(
        harness.output_seen(is_consult) && harness.output_seen(|output| *output == CallOutput::Hold { music: true })
    );
    harness.consultation(ConsultationEvent::Ringing);
    harness.consultation(ConsultationEvent::Answered);
    assert!(harness.output_seen(|output| *output == CallOutput::BridgeCalls));
    assert!(
        harness.transcript().last().unwrap().ends_with("transfer_call: connected with desk"),
        "{:?}",
        harness.transcript()
    );
    harness.pass_ms(2_000_000);
    assert!(harness.hang_up_reasons().is_empty(), "an agent's longest time is not that of two people");
    harness.consultation(ConsultationEvent::Failed(EndReason::CustomerHungUp));
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn a_trunk_that_must_refer_and_refuses_leaves_the_caller_with_the_agent() {
    let mut harness = CallHarness::transfer("refer");
    harness.referral(ReferProgress::Refused { status: 403 });
    assert!(!harness.output_seen(is_consult));
    assert!(
        harness.last_question().last().unwrap().contains("the trunk refused it (403)"),
        "{:?}",
        harness.last_question()
    );
    harness.model_says("Sorry, that did not work.");
    assert_eq!(harness.play_everything(), "Sorry, that did not work.");
}

#[test]
fn busy_no_answer_and_refusal_return_to_the_agent_with_the_reason() {
    for (why, words) in [
        (EndReason::Busy, "they are busy"),
        (EndReason::Rejected, "they declined"),
        (EndReason::InvalidNumber, "the number does not exist"),
        (EndReason::TrunkError, "the call could not be made"),
    ] {
        let mut harness = CallHarness::transfer("bridge");
        assert!(harness.output_seen(is_consult));
        harness.consultation(ConsultationEvent::Failed(why));
        assert!(harness.output_seen(|output| *output == CallOutput::EndConsultation));
        assert!(harness.last_question().last().unwrap().contains(words), "{:?}", harness.last_question());
    }
    let mut harness = CallHarness::transfer("bridge");
    harness.consultation(ConsultationEvent::Ringing);
    harness.pass_ms(19_900);
    assert!(!harness.output_seen(|output| *output == CallOutput::EndConsultation));
    harness.pass_ms(200);
    assert!(harness.output_seen(|output| *output == CallOutput::EndConsultation), "the ring timeout is kept");
    assert!(harness.last_question().last().unwrap().contains("nobody answered"));
}

#[test]
fn the_other_party_is_told_first_and_then_connected() {
    let mut harness = CallHarness::transfer("attended");
    harness.consultation(ConsultationEvent::Answered);
    assert!(
        harness
            .output_seen(|output| *output == CallOutput::BriefConsultation { text: "Jan asks about his bill.".into() })
    );
    assert!(!harness.output_seen(|output| *output == CallOutput::BridgeCalls));
    harness.consultation(ConsultationEvent::Briefed);
    assert!(harness.output_seen(|output| *output == CallOutput::BridgeCalls));
}

#[test]
fn caller_hangs_up_while_the_other_party_rings() {
    let mut harness = CallHarness::transfer("bridge");
    harness.consultation(ConsultationEvent::Ringing);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp], "the transfer target was not reached");
}

#[test]
fn the_trunk_hangs_up_on_us_once_it_has_taken_over() {
    let mut harness = CallHarness::transfer("refer");
    harness.referral(ReferProgress::Accepted);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn what_the_caller_says_on_hold_is_kept_and_not_answered() {
    let mut harness = CallHarness::transfer("bridge");
    let asked = harness.llm_requests();
    harness.caller_says("Hello? Anybody?");
    harness.pass_ms(9_000);
    assert_eq!(harness.llm_requests(), asked);
    assert!(harness.transcript().contains(&"user: Hello? Anybody?".to_owned()));
    assert!(harness.waiting.is_empty(), "and no prompt asks whether the caller is there");
}

#[test]
fn dtmf_digit_transfers_the_caller() {
    let rules =
        serde_json::json!({"rules": [{"digits": "1", "action": "transfer", "target": "sip:desk@pbx.example.com"}]});
    let mut harness =
        CallHarness::new(AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..agent() });
    harness.machine.handle_digit(harness.now, '1');
    harness.drain();
    assert_eq!(harness.play_everything(), "One moment, I will put you through.", "in place of the greeting");
    assert!(harness.output_seen(
        |output| matches!(output, CallOutput::Refer { target } if target.as_str() == "sip:desk@pbx.example.com")
    ));
    harness.referral(ReferProgress::Accepted);
    harness.referral(ReferProgress::Progress { status: 486, last: true });
    assert!(harness.last_question().last().unwrap().contains("sip:desk@pbx.example.com failed: they are busy"));
}

#[test]
fn dtmf_digit_calls_a_tool() {
    let rules = serde_json::json!({"rules": [{"digits": "3", "action": "tool", "tool": "find"}]});
    let mut harness =
        CallHarness::new(AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..with_tool(None) });
    harness.play_everything();
    harness.machine.handle_digit(harness.now, '3');
    harness.drain();
    let call = harness.seen.iter().find_map(|output| match output {
        CallOutput::CallTool { call, .. } => Some(call.clone()),
        _ => None,
    });
    let id = call.unwrap().id;
    harness.machine.handle_tool_result(harness.now, &id, "in the warehouse");
    harness.drain();
    assert_eq!(harness.last_question()[1..], ["user: [DTMF 3]", "assistant:  +1", "tool: in the warehouse"]);
}

#[test]
fn a_tool_result_is_not_spoken_into_the_bridge() {
    let mut harness =
        CallHarness::new(AgentFields { transfer_config: transferring("bridge").transfer_config, ..with_tool(None) });
    harness.play_everything();
    harness.caller_says("Look it up, and then a human, please.");
    let response_id = harness.machine.response_id();
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        ..ToolCall::default()
    };
    let calls = vec![call("1", "find", "{}"), call("t1", "transfer_call", r#"{"destination":"desk"}"#)];
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(calls));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.result("here");
    harness.play_everything();
    harness.consultation(ConsultationEvent::Answered);
    assert!(harness.output_seen(|output| *output == CallOutput::BridgeCalls));
    let asked = harness.llm_requests();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(1_000);
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(5_000);
    assert_eq!((harness.llm_requests(), harness.waiting.len()), (asked, 0));
}

#[test]
fn the_second_of_two_transfers_in_one_response_is_refused() {
    let mut harness = CallHarness::new(transferring("bridge"));
    harness.play_everything();
    harness.caller_says("A human, please.");
    let response_id = harness.machine.response_id();
    let call = |id: &str| ToolCall {
        id: id.into(),
        name: "transfer_call".into(),
        arguments: r#"{"destination":"desk"}"#.into(),
        ..ToolCall::default()
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call("t1"), call("t2")]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.play_everything();
    let refused = |line: &&String| line.contains("one destination only");
    assert_eq!(harness.transcript().iter().filter(refused).count(), 1, "{:?}", harness.transcript());
    assert_eq!(harness.seen.iter().filter(|output| is_consult(output)).count(), 1);
}

#[test]
fn a_transfer_without_an_outcome_brings_the_caller_back() {
    // The reports end without one: soon. The only report was that it tries: when it would have rung out.
    let tries = ReferProgress::Progress { status: 100, last: true };
    for (event, before_ms, after_ms) in [(ReferProgress::Ended, 1_500, 1_000), (tries, 22_000, 4_000)] {
        let mut harness = CallHarness::transfer("refer");
        harness.referral(ReferProgress::Accepted);
        harness.referral(event);
        let asked = harness.llm_requests();
        harness.pass_ms(before_ms);
        assert_eq!(harness.llm_requests(), asked, "{event:?}");
        harness.pass_ms(after_ms);
        assert!(harness.hang_up_reasons().is_empty());
        assert!(harness.last_question().last().unwrap().contains("the trunk did not say how it went"), "{event:?}");
    }
}

#[test]
fn a_caller_who_leaves_when_the_reports_have_ended_was_transferred() {
    let mut harness = CallHarness::transfer("refer");
    harness.referral(ReferProgress::Ended);
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Transferred]);
}

#[test]
fn a_trunk_that_never_says_how_it_went_brings_the_caller_back_and_may_still_succeed() {
    let mut harness = CallHarness::transfer("refer");
    harness.referral(ReferProgress::Accepted);
    harness.referral(ReferProgress::Progress { status: 180, last: false });
    harness.pass_ms(26_000);
    assert!(harness.last_question().last().unwrap().contains("nobody answered"));
    harness.referral(ReferProgress::Progress { status: 486, last: true });
    harness.pass_ms(100);
    assert!(harness.hang_up_reasons().is_empty(), "what fails late changes nothing");
    harness.referral(ReferProgress::Progress { status: 200, last: true });
    harness.pass_ms(500);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Transferred], "they are connected");
}

#[test]
fn keys_of_a_bridged_caller_are_for_the_other_party() {
    let rules = serde_json::json!({"rules": [{"digits": "9", "action": "end_call"}]});
    let agent = AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..transferring("bridge") };
    let mut harness = CallHarness::transfer_with(agent);
    let relayed = |harness: &CallHarness, digit| harness.output_seen(|output| *output == CallOutput::RelayDigit(digit));
    let press = |harness: &mut CallHarness, digit| {
        harness.machine.handle_digit(harness.now, digit);
        harness.drain();
    };
    harness.consultation(ConsultationEvent::Ringing);
    press(&mut harness, '1');
    assert!(!relayed(&harness, '1'), "nobody is there yet");
    harness.consultation(ConsultationEvent::Answered);
    for digit in ['9', '#'] {
        press(&mut harness, digit);
        assert!(relayed(&harness, digit), "{digit}");
    }
    harness.pass_ms(5_000);
    assert!(harness.hang_up_reasons().is_empty(), "rules of the agent are over");
    assert!(!harness.transcript().iter().any(|turn| turn.contains("DTMF")), "{:?}", harness.transcript());
}
