//! Positions of turns: no hole, no turn twice, whoever listens and since when.

use super::*;
use crate::call::live_update::LiveUpdate;
use crate::call::registry::LiveFeed;
use std::collections::BTreeMap;

/// Positions in the order they were told first.
fn positions(line: &CallHarness) -> Vec<u32> {
    let mut known: Vec<u32> = vec![];
    for output in &line.seen {
        if let CallOutput::Turn { position, .. } = output
            && !known.contains(position)
        {
            known.push(*position);
        }
    }
    known
}

fn heard_to_its_end(line: &mut CallHarness, piece: SegmentId, samples: u64) {
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: piece, sent_samples: samples, complete: true }, line.now);
    line.drain();
}

#[test]
fn a_turn_without_words_leaves_no_hole() {
    let mut line = CallHarness::on_realtime(None);
    let greeting = line.realtime_says(0, "Good morning.", 8_000);
    heard_to_its_end(&mut line, greeting, 8_000);
    line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    // Noise: a turn for the provider, an answer, and no words.
    line.realtime_event(RealtimeEvent::SpeechStarted);
    line.realtime_event(RealtimeEvent::SpeechStopped);
    let answer = line.realtime_says(1, "Pardon?", 8_000);
    assert_eq!(line.transcript(), ["assistant: Good morning."], "what follows waits for the words");
    line.realtime_event(RealtimeEvent::UserFinal(String::new()));
    heard_to_its_end(&mut line, answer, 8_000);
    line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    line.realtime_event(RealtimeEvent::SpeechStarted);
    line.realtime_event(RealtimeEvent::SpeechStopped);
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(line.transcript(), ["assistant: Good morning.", "assistant: Pardon?", "user: where is my order"]);
    assert_eq!(positions(&line), [0, 1, 2]);
}

#[test]
fn words_keep_their_place_before_the_answer_that_began_earlier() {
    let mut line = CallHarness::on_realtime(None);
    line.realtime_event(RealtimeEvent::SpeechStarted);
    line.realtime_event(RealtimeEvent::SpeechStopped);
    line.realtime_says(0, "On its way.", 8_000);
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(line.transcript(), ["user: where is my order", "assistant: On its way."]);
    assert_eq!(positions(&line), [0, 1]);
}

#[test]
fn words_that_never_come_hold_nothing_up_for_long() {
    let mut line = CallHarness::on_realtime(None);
    line.realtime_event(RealtimeEvent::SpeechStarted);
    line.realtime_event(RealtimeEvent::SpeechStopped);
    let answer = line.realtime_says(0, "On its way.", 8_000);
    heard_to_its_end(&mut line, answer, 8_000);
    line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert_eq!(positions(&line), [0; 0]);
    line.pass_ms(4_000);
    assert_eq!(line.transcript(), ["assistant: On its way."]);
    // They do come, much later: behind what was told without them.
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    assert_eq!(line.transcript(), ["assistant: On its way.", "user: where is my order"]);
    assert_eq!(positions(&line), [0, 1]);
}

#[test]
fn an_end_with_words_outstanding_tells_what_was_said_since() {
    for stand_in in [None, Some("openai/m")] {
        let mut line = CallHarness::on_realtime(stand_in);
        line.realtime_event(RealtimeEvent::SpeechStarted);
        line.realtime_event(RealtimeEvent::SpeechStopped);
        line.realtime_says(0, "On its way.", 8_000);
        if stand_in.is_some() {
            // Nobody is there any more who could send them.
            line.realtime_event(RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
            assert_eq!(positions(&line), [0]);
        }
        line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
        line.drain();
        line.pass_ms(2_000);
        assert_eq!(line.hang_up_reasons(), [EndReason::CustomerHungUp]);
        assert_eq!((line.transcript().len(), positions(&line)), (1, vec![0]));
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
    let mut dice = SeededRng(seed);
    let mut line = CallHarness::on_realtime(seed.is_multiple_of(3).then_some("openai/m"));
    let (mut item, mut sounding) = (0, None);
    for _ in 0..40 {
        match dice.roll(12) {
            0 => line.realtime_event(RealtimeEvent::SpeechStarted),
            1 | 2 => line.realtime_event(RealtimeEvent::SpeechStopped),
            3 => line.realtime_event(RealtimeEvent::UserFinal(String::new())),
            4 => line.realtime_event(RealtimeEvent::UserFinal(format!("words {item}"))),
            5 => line.realtime_event(RealtimeEvent::UserInterim("wor".into())),
            6 | 7 => {
                item += 1;
                line.realtime_event(RealtimeEvent::ResponseStarted);
                line.realtime_event(RealtimeEvent::Text { item, text: format!("Answer {item}.") });
                if let Some(piece) = line.machine.handle_realtime_audio(line.now, item) {
                    line.machine.handle_tts_done(piece, 8_000);
                    line.machine.handle_segment_started(piece, line.now);
                    line.drain();
                    sounding = Some(piece);
                }
            }
            8 => {
                if let Some(piece) = sounding.take() {
                    heard_to_its_end(&mut line, piece, 8_000);
                }
            }
            9 => line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default())),
            10 => {
                line.machine.handle_digit(line.now, '5');
                line.drain();
            }
            _ => line.pass_ms(dice.roll(3_000) as u32),
        }
    }
    line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
    line.drain();
    line.pass_ms(3_000);
    line
}

#[test]
fn whoever_comes_late_has_what_those_have_who_were_there_from_the_start() {
    for seed in 0..400 {
        let line = random_call(seed);
        let told: Vec<(u32, Turn)> = line
            .seen
            .iter()
            .filter_map(|output| match output {
                CallOutput::Turn { position, turn } => Some((*position, turn.clone())),
                _ => None,
            })
            .collect();
        let known = positions(&line);
        assert!(known.iter().copied().eq(0..known.len() as u32), "seed {seed}: {known:?}");
        let early: BTreeMap<u32, Turn> = told.iter().cloned().collect();
        for joined in 0..=told.len() {
            let live = LiveFeed::default();
            let tell = |(position, turn): &(u32, Turn)| {
                live.send(LiveUpdate::Turn { position: *position, turn: turn.clone() });
                live.send(LiveUpdate::Interim { text: "wor".into() });
            };
            told.iter().take(joined).for_each(tell);
            let (mut late, mut updates) = live.listen();
            told.iter().skip(joined).for_each(tell);
            while let Ok(update) = updates.try_recv() {
                if let LiveUpdate::Turn { position, turn } = update {
                    late.insert(position, turn);
                }
            }
            assert_eq!(late, early, "seed {seed}, from {joined} on");
        }
    }
}
