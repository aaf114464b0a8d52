//! What is told of each speaker, and of settings that were chosen on the others.

use super::with_holds;
use std::time::Duration;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_turn_bench::data::Turn;
use trunkline_turn_bench::measuring::RowResult;
use trunkline_turn_bench::policy::{Sweep, settings};
use trunkline_turn_bench::score::RowOutcome;
use trunkline_turn_bench::speakers::{RatioSpread, speaker_scores, table};
use trunkline_turn_bench::summary::Results;
use trunkline_turn_bench::timers;
use trunkline_turn_bench::weights::PauseWeights;

/// A turn of a speaker with twenty pauses of these lengths in turn.
fn turn_of(speaker: &str, lengths_ms: [u64; 2]) -> Turn {
    let mut row = with_holds(speaker, &lengths_ms.repeat(10));
    row.speaker = Some(speaker.to_owned());
    Turn { row, samples: Vec::new() }
}

/// What a policy does that cuts pauses longer than this, and is so late.
fn outcome(turn: &Turn, cuts_after_ms: u64, late_ms: u64) -> RowOutcome {
    let silence = timers::silence_alone(&turn.row, Duration::from_millis(cuts_after_ms));
    RowOutcome { latency: Some(Duration::from_millis(late_ms)), ..silence }
}

#[test]
fn each_speaker_is_judged_with_what_is_best_for_the_others() {
    let turns = [turn_of("ann", [250, 900]), turn_of("bob", [250, 400])];
    let sweep: Sweep = "silence_ms=600,700".parse().unwrap();
    let swept = settings(&TurnConfig::default(), &[sweep]).unwrap();
    // The second setting is good for Ann alone, the third for Bob alone.
    let results: Vec<RowResult> = turns
        .iter()
        .map(|turn| {
            let is_ann = turn.row.speaker.as_deref() == Some("ann");
            let (second, third) = if is_ann { (1_000, 100) } else { (100, 1_000) };
            let outcomes = [outcome(turn, 300, 300), outcome(turn, second, 290), outcome(turn, third, 290)];
            RowResult { outcomes: outcomes.to_vec(), ..RowResult::default() }
        })
        .collect();
    let weights = PauseWeights::default();
    let results = Results { turns: &turns, results: &results, settings: &swept, weights: &weights };
    let scores = speaker_scores(&results, &turns);
    let [ann, bob] = &scores[..] else { panic!("{scores:?}") };
    assert_eq!((ann.speaker.as_str(), ann.configured.policy.cut, ann.configured.silence_cut), ("ann", 0.5, 0.5));
    let left_out = |score: &trunkline_turn_bench::speakers::SpeakerScore| {
        score.left_out[0].as_ref().map(|beside| (beside.setting, beside.policy.cut))
    };
    assert_eq!((left_out(ann), left_out(bob)), (Some((2, 1.0)), Some((1, 1.0))), "overfitting is seen");
    let spread = RatioSpread::of(scores.iter().map(|score| &score.configured)).unwrap();
    assert_eq!((spread.speakers, spread.pooled, spread.range, spread.deviation), (2, 1.0, (1.0, 1.0), 0.0));
    let text = table(&scores);
    assert!(text.contains("bob") && text.contains("Chosen on all other speakers, within 300 ms"), "{text}");
    assert_eq!(RatioSpread::of(std::iter::empty()), None);
}
