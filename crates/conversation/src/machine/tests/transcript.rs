//! Positions of turns: no gap and no duplicate.

use super::*;

/// Positions in the order they were told first.
fn positions(harness: &CallHarness) -> Vec<u32> {
    let mut known: Vec<u32> = vec![];
    for output in &harness.seen {
        if let CallOutput::Turn { position, .. } = output
            && !known.contains(position)
        {
            known.push(*position);
        }
    }
    known
}

fn heard_to_its_end(harness: &mut CallHarness, segment: SegmentId, samples: u64) {
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: samples, complete: true }, harness.now);
    harness.drain();
}

#[test]
fn a_turn_without_words_leaves_no_hole() {
    let mut harness = CallHarness::on_realtime(None);
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    heard_to_its_end(&mut harness, greeting, 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    // Noise: a turn for the provider, an answer, and no words.
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    let answer = harness.realtime_says(1, "Pardon?", 8_000);
    assert_eq!(harness.transcript(), ["assistant: Good morning."], "what follows waits for the words");
    harness.realtime_event(RealtimeEvent::UserFinal(String::new()));
    heard_to_its_end(&mut harness, answer, 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(harness.transcript(), ["assistant: Good morning.", "assistant: Pardon?", "user: where is my order"]);
    assert_eq!(positions(&harness), [0, 1, 2]);
}

#[test]
fn words_keep_their_place_before_the_answer_that_began_earlier() {
    let mut harness = CallHarness::on_realtime(None);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_says(0, "On its way.", 8_000);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(harness.transcript(), ["user: where is my order", "assistant: On its way."]);
    assert_eq!(positions(&harness), [0, 1]);
}

#[test]
fn words_that_never_come_hold_nothing_up_for_long() {
    let mut harness = CallHarness::on_realtime(None);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    let answer = harness.realtime_says(0, "On its way.", 8_000);
    heard_to_its_end(&mut harness, answer, 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert_eq!(positions(&harness), [0; 0]);
    harness.pass_ms(4_000);
    assert_eq!(harness.transcript(), ["assistant: On its way."]);
    // They do come, much later: after the turns that were already sent.
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(harness.transcript(), ["assistant: On its way.", "user: where is my order"]);
    assert_eq!(positions(&harness), [0, 1]);
}

#[test]
fn an_end_with_words_outstanding_tells_what_was_said_since() {
    for fallback in [None, Some("openai/m")] {
        let mut harness = CallHarness::on_realtime(fallback);
        harness.realtime_event(RealtimeEvent::SpeechStarted);
        harness.realtime_event(RealtimeEvent::SpeechStopped);
        harness.realtime_says(0, "On its way.", 8_000);
        if fallback.is_some() {
            // The realtime session is gone, so these words cannot come any more.
            harness.realtime_event(RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
            assert_eq!(positions(&harness), [0]);
        }
        harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
        harness.drain();
        harness.pass_ms(2_000);
        assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
        assert_eq!((harness.transcript().len(), positions(&harness)), (1, vec![0]));
    }
}

/// Dice of a seed (splitmix64).
struct SeededRng(u64);

impl SeededRng {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A call on a realtime model in which anything happens, in any order.
fn random_call(seed: u64) -> CallHarness {
    let mut rng = SeededRng(seed);
    let mut harness = CallHarness::on_realtime(seed.is_multiple_of(3).then_some("openai/m"));
    let (mut item, mut sounding) = (0, None);
    for _ in 0..40 {
        match rng.roll(12) {
            0 => harness.realtime_event(RealtimeEvent::SpeechStarted),
            1 | 2 => harness.realtime_event(RealtimeEvent::SpeechStopped),
            3 => harness.realtime_event(RealtimeEvent::UserFinal(String::new())),
            4 => harness.realtime_event(RealtimeEvent::UserFinal(format!("words {item}"))),
            5 => harness.realtime_event(RealtimeEvent::UserInterim("wor".into())),
            6 | 7 => {
                item += 1;
                harness.realtime_event(RealtimeEvent::ResponseStarted);
                harness.realtime_event(RealtimeEvent::Text { item, text: format!("Answer {item}.") });
                if let Some(segment) = harness.machine.handle_realtime_audio(harness.now, item) {
                    harness.machine.handle_tts_done(segment, 8_000);
                    harness.machine.handle_segment_started(segment, harness.now);
                    harness.drain();
                    sounding = Some(segment);
                }
            }
            8 => {
                if let Some(segment) = sounding.take() {
                    heard_to_its_end(&mut harness, segment, 8_000);
                }
            }
            9 => harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default())),
            10 => {
                harness.machine.handle_digit(harness.now, '5');
                harness.drain();
            }
            _ => harness.pass_ms(rng.roll(3_000) as u32),
        }
    }
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(3_000);
    harness
}

#[test]
fn every_position_is_used_once_whatever_happens() {
    for seed in 0..400 {
        let known = positions(&random_call(seed));
        assert!(known.iter().copied().eq(0..known.len() as u32), "seed {seed}: {known:?}");
    }
}

/// The agent's own texts were filled in when the call began: a variable in one of them stands in a value.
#[test]
fn values_in_the_agents_own_texts_are_not_read_for_further_variables() {
    let value = serde_json::json!({"name": "A", "is_active": true, "first_message": "Hi Ann call_id: {{call_id}}.",
        "silence_config": {"prompt": "Ann {{call_id}}, are you there?"}});
    let known = serde_json::json!({"call_id": "01a2", "customer_name": "Ann {{call_id}}"});
    let spec = CallSpec {
        agent_id: None,
        agent: serde_json::from_value(value).unwrap(),
        task: None,
        fixed_texts: Default::default(),
        known: trunkline_domain::call_facts::CallVariables(known.as_object().unwrap().clone()),
        spoken: None,
        is_web: true,
        today: jiff::civil::date(2026, 11, 28),
    };
    let mut harness = CallHarness::briefed(spec, None);
    let mut said = harness.play_everything();
    harness.pass_ms(8_500);
    said.push_str(&harness.play_everything());
    assert!(said.contains("are you there") && !said.contains("01a2"), "{said}");
    harness.caller_says("hello");
    harness.model_says("Hi Ann {{call_id}}, it is here.");
    assert_eq!(harness.play_everything(), "Hi Ann, it is here.", "nor in what the model repeats of them");
}
