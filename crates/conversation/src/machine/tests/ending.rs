//! How calls end, and what is still heard and written down.

use super::*;

#[test]
fn last_words_before_a_hang_up_are_kept() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(500);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("my number".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::FinalizeStt) && harness.hang_up_reasons().is_empty());
    harness.pass_ms(200);
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: false };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(harness.transcript().last().unwrap(), "user: my number is seven");
}

#[test]
fn last_words_that_never_come_do_not_hold_the_call() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_stt(harness.now, SttEvent::Interim("and another".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(800);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(harness.transcript().last().unwrap(), "user: and another");
}

#[test]
fn the_api_ends_a_call_in_mid_sentence() {
    let mut harness = CallHarness::new(agent());
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.machine.handle_command(harness.now, EndReason::EndedByApi);
    harness.drain();
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::EndedByApi]);
}

/// Whatever comes in whatever order: one end, nothing after it, and never later than the limit allows.
#[test]
fn any_sequence_of_events_ends_exactly_once() {
    for seed in 1..400u64 {
        let mut rng = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut roll = |below: u64| {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            rng % below
        };
        let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(60), ..agent() });
        for _ in 0..300 {
            let now = harness.now;
            let segment = SegmentId {
                response_id: (harness.machine.response_id() as u64).saturating_sub(roll(2)) as u32,
                index: roll(3) as u32,
            };
            let heard = SegmentPlayed { segment, sent_samples: roll(9_000), complete: roll(2) == 0 };
            let response_id = segment.response_id;
            match roll(16) {
                0 => harness.machine.handle_speech_started(now),
                1 => harness.machine.handle_speech_ended(now, now - 200 * MS),
                2 => harness.machine.handle_stt(now, SttEvent::Interim("some".into())),
                3 => harness.machine.handle_stt(
                    now,
                    SttEvent::Final { text: "words".into(), confidence: None, speech_final: roll(2) == 0 },
                ),
                4 => harness.machine.handle_stt(now, SttEvent::UtteranceEnd),
                5 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Text("Some words. And ".into())),
                6 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Done(TokenUsage::default())),
                7 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Failed(ProviderError::NotConfigured)),
                8 => harness.machine.handle_segment_started(segment, now),
                9 => harness.machine.handle_segment_finished(heard, now),
                10 => harness.machine.handle_flushed(now, roll(2) == 0, response_id, &[heard]),
                11 => harness.machine.handle_tts_failed(now, segment, &ProviderError::NotConfigured),
                12 => harness.machine.handle_digit(now, '5'),
                13 if roll(30) == 0 => harness.machine.handle_peer_hung_up(now, EndReason::CustomerHungUp),
                14 if roll(30) == 0 => harness.machine.handle_command(now, EndReason::Canceled),
                15 if roll(30) == 0 => harness.machine.handle_stt(now, SttEvent::Failed(ProviderError::NotConfigured)),
                _ => {}
            }
            harness.drain();
            harness.pass_ms(roll(400) as u32);
        }
        harness.pass_ms(100_000);
        assert_eq!(
            harness.hang_up_reasons().len(),
            1,
            "seed {seed}: {:?}",
            harness.seen.iter().rev().take(5).collect::<Vec<_>>()
        );
        assert!(matches!(harness.seen.last(), Some(CallOutput::HangUp { .. })), "seed {seed}");
        assert!(harness.machine.poll_timeout().is_none());
        assert!(harness.now.duration_since(harness.start) < Duration::from_secs(300));
    }
}

#[test]
fn last_words_over_the_agent_are_waited_for_too() {
    let mut harness = CallHarness::new(agent());
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_tts_done(segment, 16_000);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.drain();
    harness.pass_ms(500);
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("my number".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    assert_eq!(harness.hang_up_reasons(), [], "the final transcript is still to come");
    harness.pass_ms(200);
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: false };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(harness.transcript().last().unwrap(), "user: my number is seven");
}

/// Until the last words are being heard, and from there on the caller talks over them.
fn talked_over(harness: &mut CallHarness) {
    let (segment, text) = harness.waiting.remove(0);
    harness.machine.handle_tts_done(segment, 16_000);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.sounding = vec![SegmentPlayed { segment, sent_samples: 2_000, complete: false }];
    harness.machine.handle_paused(harness.now, segment.response_id);
    harness.drain();
    harness.machine.handle_stt(harness.now, SttEvent::Interim("wait a moment I have".into()));
    harness.drain();
    harness.caller_says("wait a moment I have a question");
    harness.machine.handle_digit(harness.now, '5');
    harness.machine.handle_stt(harness.now, SttEvent::Failed(ProviderError::NotConfigured));
    harness.pass_ms(1_000);
    harness.drain();
    let interrupted = |output: &CallOutput| {
        matches!(output, CallOutput::Interrupt { .. }) || is_cancelled(output, segment.response_id)
    };
    assert!(!harness.seen.iter().any(interrupted), "{text} was cut");
    assert_eq!(harness.hang_up_reasons(), []);
    harness.sounding.clear();
    let whole = SegmentPlayed { segment, sent_samples: 16_000, complete: true };
    harness.machine.handle_segment_finished(whole, harness.now);
    harness.drain();
    harness.play_everything();
    harness.pass_ms(1_000);
}

fn is_cancelled(output: &CallOutput, wanted: u32) -> bool {
    matches!(output, CallOutput::CancelSpeech { response_id } if *response_id >= wanted)
}

#[test]
fn a_caller_who_talks_over_the_last_words_hears_them_to_their_end() {
    let rules = serde_json::json!({"rules": [{"digits": "5", "action": "say", "text": "Five."}]});
    let with_keys = Some(serde_json::from_value(rules).unwrap());
    let mut harness = CallHarness::new(AgentFields { dtmf_rules: with_keys, ..agent() });
    harness.play_everything();
    for _ in 0..2 {
        harness.caller_says("hello");
        harness.model_fails();
        if harness.llm_requests() == 1 {
            harness.play_everything();
        }
    }
    talked_over(&mut harness);
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
    assert_eq!(harness.transcript().last().unwrap(), "user: wait a moment I have a question");

    let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(5), ..agent() });
    harness.play_everything();
    harness.pass_ms(5_000);
    talked_over(&mut harness);
    assert_eq!(harness.hang_up_reasons(), [EndReason::MaxDuration]);
}

#[test]
fn a_realtime_model_that_says_the_last_words_is_not_interrupted() {
    let realtime = RealtimeCapabilities { name: "x/m".into(), can_say: true, greets: false, fallback: None };
    let mut harness = CallHarness::with(AgentFields { max_duration_seconds: Some(5), ..agent() }, Some(realtime));
    let greeting = harness.realtime_says(1, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    let whole = |segment| SegmentPlayed { segment, sent_samples: 8_000, complete: true };
    harness.machine.handle_segment_finished(whole(greeting), harness.now);
    harness.pass_ms(5_000);
    let segment = harness.realtime_says(2, "The time is up.", 8_000);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(RealtimeEvent::Interrupted);
    assert!(!harness.seen.iter().any(|output| is_cancelled(output, segment.response_id)));
    harness.realtime_event(RealtimeEvent::ResponseStarted);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert_eq!(harness.hang_up_reasons(), []);
    harness.machine.handle_segment_finished(whole(segment), harness.now);
    harness.drain();
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::MaxDuration]);
}
