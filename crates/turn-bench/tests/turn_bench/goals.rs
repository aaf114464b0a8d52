//! What a run that must reach its goals refuses.

use super::with_holds;
use std::time::Duration;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_turn_bench::data::Turn;
use trunkline_turn_bench::goals::{missed_at_overlaps, require, worse_than_silence};
use trunkline_turn_bench::measuring::RowResult;
use trunkline_turn_bench::overlaps::score::{OverlapScore, Rates, RatesAt};
use trunkline_turn_bench::policy::settings;
use trunkline_turn_bench::score::RowOutcome;
use trunkline_turn_bench::summary::{Results, summarize};
use trunkline_turn_bench::timers;
use trunkline_turn_bench::weights::PauseWeights;

/// A policy that cuts all pauses longer than this and answers each end so late.
fn missed(cuts_after_ms: u64, late_ms: u64) -> Vec<String> {
    let turns = [Turn { row: with_holds("a", &[250, 400, 700, 1_200]), samples: Vec::new() }];
    let ms = Duration::from_millis;
    let silence = timers::silence_alone(&turns[0].row, ms(cuts_after_ms));
    let outcome = RowOutcome { latency: Some(ms(late_ms)), ..silence };
    let results = [RowResult { outcomes: vec![outcome], ..RowResult::default() }];
    let own = settings(&TurnConfig::default(), &[]).unwrap();
    let weights = PauseWeights::default();
    worse_than_silence(&summarize(&Results { turns: &turns, results: &results, settings: &own, weights: &weights }))
}

#[test]
fn what_is_worse_than_a_timer_is_named() {
    assert_eq!(missed(1_000, 500), [""; 0], "better");
    assert_eq!(missed(350, 500), [""; 0], "one pause more is chance");
    assert_eq!(missed(200, 500), ["all: 100.0 % of the pauses cut, and 50.0 % by silence alone"]);
}

fn overlaps(precision: Option<f64>, recall: Option<f64>) -> Vec<String> {
    let other = Rates { precision: Some(0.0), recall: Some(0.0) };
    let at = |after, yielded| RatesAt { after, yielded, stopped: other, silent: other };
    let ms = |ms| Some(Duration::from_millis(ms));
    let rates = vec![at(ms(200), other), at(ms(500), Rates { precision, recall }), at(None, other)];
    missed_at_overlaps(&[OverlapScore { name: "all".to_owned(), labels: Vec::new(), rates }])
}

#[test]
fn interruptions_have_their_precision_and_recall() {
    assert_eq!(overlaps(Some(0.9), Some(0.97)), [""; 0]);
    assert_eq!(
        overlaps(Some(0.899), Some(0.969)),
        [
            "precision of interruptions within 500 ms: 0.899, and 0.9 is the goal",
            "recall of interruptions within 500 ms: 0.969, and 0.97 is the goal",
        ]
    );
    assert_eq!(overlaps(None, Some(1.0)), ["precision of interruptions within 500 ms: unknown, and 0.9 is the goal"]);
    assert!(!missed_at_overlaps(&[]).is_empty(), "a run without rows proves nothing");
    assert!(require(&[]).is_ok());
    assert_eq!(require(&["one".to_owned(), "two".to_owned()]), Err("goals missed:\none\ntwo".to_owned()));
}
