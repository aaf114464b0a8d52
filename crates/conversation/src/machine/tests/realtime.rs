//! Calls on a realtime model: what was heard, which tools run, and what follows when it fails.

use super::*;

#[test]
fn interrupted_realtime_model_learns_what_was_heard() {
    let mut harness = CallHarness::on_realtime(None);
    assert_eq!(harness.sent_to_realtime(), [RealtimeInput::Say("Good morning.".into())]);
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true }, harness.now);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.pass_ms(900);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    // The answer begins before the caller's words are written.
    let answer = harness.realtime_says(1, "Your order was shipped yesterday and arrives on Monday.", 32_000);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    harness.pass_ms(2_000);
    harness.machine.handle_speech_started(harness.now);
    let heard = [SegmentPlayed { segment: answer, sent_samples: 16_000, complete: false }];
    harness.machine.handle_flushed(harness.now, true, answer.response_id, &heard);
    harness.drain();
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::Interrupted { item: Some((1, 2_000)) }));
    assert_eq!(harness.machine.handle_realtime_audio(harness.now, 1), None, "what comes late is not heard");
    assert_eq!(
        harness.transcript(),
        ["assistant: Good morning.", "user: where is my order", "assistant: Your order was shipped yesterday /"]
    );
}

#[test]
fn llm_continues_the_answer_of_a_failed_realtime_model() {
    let mut harness = CallHarness::on_realtime(Some("openai/m"));
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let answer = harness.realtime_says(0, "Your order was shipped", 12_000);
    harness.pass_ms(1_000);
    harness
        .machine
        .handle_realtime_event(harness.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    let heard = [SegmentPlayed { segment: answer, sent_samples: 12_000, complete: true }];
    harness.machine.handle_flushed(harness.now, false, answer.response_id, &heard);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
    assert_eq!(harness.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    harness.model_says("yesterday.");
    assert_eq!(harness.play_everything(), "yesterday.");
    assert_eq!(harness.machine.metrics().to_json()["failovers"][0]["to"], "openai/m");
    // From now on the call is one like any other.
    harness.caller_says("thanks");
    assert_eq!(harness.llm_requests(), 2);
}

#[test]
fn last_audio_of_a_failed_realtime_model_is_heard() {
    let mut harness = CallHarness::on_realtime(Some("openai/m"));
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let segment = harness.realtime_says(0, "Your order was shipped", 12_000);
    harness.pass_ms(1_500);
    harness
        .machine
        .handle_realtime_event(harness.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 12_000, complete: true }, harness.now);
    harness.drain();
    assert_eq!(harness.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    assert_eq!(harness.llm_requests(), 1, "the report of the silence asks no second time");
    harness.model_says("yesterday.");
    assert_eq!(harness.play_everything(), "yesterday.");
}

#[test]
fn silent_realtime_model_without_fallback_ends_the_call_with_an_apology() {
    let mut harness = CallHarness::on_realtime(None);
    harness.pass_ms(3_000);
    assert!(!harness.play_everything().is_empty(), "somebody is there");
    harness.pass_ms(3_000);
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
    assert!(harness.play_everything().starts_with("Sorry, I can't help you right now."));
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn realtime_model_calls_a_tool_after_its_words_were_heard() {
    let mut harness = CallHarness::on_realtime(None);
    let segment = harness.realtime_says(0, "One moment.", 8_000);
    let call = ToolCall {
        id: "c".into(),
        name: "send_dtmf".into(),
        arguments: "{\"digits\":\"1\"}".into(),
        ..ToolCall::default()
    };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert!(!harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 8_000, complete: true }, harness.now);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    let told = harness.sent_to_realtime();
    assert_eq!(
        told[1..],
        [
            RealtimeInput::ToolResult { id: "c".into(), result: "pressed 1".into() },
            RealtimeInput::RequestResponse(None)
        ]
    );
}

#[test]
fn realtime_model_gets_dtmf_as_a_message() {
    let mut harness = CallHarness::on_realtime(None);
    harness.machine.handle_digit(harness.now, '4');
    harness.pass_ms(2_100);
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::UserMessage("[DTMF 4]".into())));
}

#[test]
fn a_filler_in_a_response_does_not_displace_its_audio() {
    let silence = serde_json::json!({"fillers": ["One moment."], "filler_after_ms": 1_000});
    let agent = AgentFields { silence_config: Some(serde_json::from_value(silence).unwrap()), ..with_tool(None) };
    let capabilities =
        RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(agent, Some(capabilities));
    let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::ResponseStarted);
    harness.pass_ms(1_100);
    assert_eq!(harness.play_everything(), "One moment.");
    let segment = harness.machine.handle_realtime_audio(harness.now, 0).unwrap();
    assert_eq!(segment.index, 1, "the filler was the first segment");
}

fn ended() -> RealtimeEvent {
    RealtimeEvent::Reconnecting(ProviderError::SessionEnded("maximum duration".into()))
}

fn resumed(harness: &CallHarness) -> Vec<ChatMessage> {
    let last = harness.sent_to_realtime().into_iter().rev().find_map(|input| match input {
        RealtimeInput::Resume(conversation) => Some(conversation),
        _ => None,
    });
    last.unwrap()
}

/// The greeting was heard, and the caller has asked something.
fn asked_on_realtime(fallback: Option<&'static str>) -> CallHarness {
    let mut harness = CallHarness::on_realtime(fallback);
    let segment = harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 8_000, complete: true }, harness.now);
    harness.drain();
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.pass_ms(900);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    harness
}

#[test]
fn the_next_session_answers_what_the_last_one_heard() {
    let mut harness = asked_on_realtime(None);
    harness.realtime_event(ended());
    assert_eq!(resumed(&harness), [assistant("Good morning."), user("where is my order")]);
    harness.pass_ms(800);
    harness.realtime_event(RealtimeEvent::Ready);
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::RequestResponse(None)));
    harness.realtime_says(0, "It is on its way.", 8_000);
    assert!(!harness.seen.contains(&CallOutput::LeaveRealtime));
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    harness.pass_ms(7_000);
    assert_eq!(harness.hang_up_reasons(), [], "{:?}", harness.transcript());
}

#[test]
fn an_answer_that_its_session_left_half_said_is_finished_by_the_next() {
    let mut harness = asked_on_realtime(None);
    let segment = harness.realtime_says(1, "Your order was", 8_000);
    harness.realtime_event(ended());
    assert_eq!(resumed(&harness).last(), Some(&assistant("Your order was")));
    harness.realtime_event(RealtimeEvent::Ready);
    let before = harness.sent_to_realtime().len();
    assert!(matches!(harness.sent_to_realtime().last(), Some(RealtimeInput::Resume(_))), "it is still being heard");
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 8_000, complete: true }, harness.now);
    harness.drain();
    let asked = harness.sent_to_realtime()[before..].to_vec();
    assert!(matches!(asked[..], [RealtimeInput::RequestResponse(Some(_))]), "{asked:?}");
}

#[test]
fn a_caller_who_speaks_while_a_session_ends_is_heard_by_the_next() {
    let mut harness = asked_on_realtime(None);
    harness.realtime_says(1, "Your order was", 8_000);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(ended());
    harness.realtime_event(RealtimeEvent::Ready);
    let asked = |input: &RealtimeInput| matches!(input, RealtimeInput::RequestResponse(_));
    assert!(!harness.sent_to_realtime().iter().any(asked), "the model answers what it hears");
}

#[test]
fn a_greeting_that_was_not_begun_is_said_by_the_next_session() {
    let mut harness = CallHarness::on_realtime(None);
    harness.realtime_event(ended());
    assert_eq!(resumed(&harness), []);
    harness.realtime_event(RealtimeEvent::Ready);
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::Say("Good morning.".into())));
}

#[test]
fn a_session_that_does_not_come_back_is_waited_for_as_long_as_somebody_can_bear() {
    for (fallback, patience_ms) in [(Some("openai/m"), 2_500), (None, 6_000)] {
        let mut harness = asked_on_realtime(fallback);
        harness.realtime_event(ended());
        harness.pass_ms(patience_ms - 100);
        assert!(!harness.seen.contains(&CallOutput::LeaveRealtime), "{fallback:?}");
        harness.pass_ms(200);
        assert!(harness.seen.contains(&CallOutput::LeaveRealtime), "{fallback:?}");
    }
}
