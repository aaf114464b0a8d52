//! Rates, operating points and weights with known answers.

use super::with_holds;
use serde_json::json;
use std::time::Duration;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_turn_bench::data::Turn;
use trunkline_turn_bench::measuring::RowResult;
use trunkline_turn_bench::policy::{Setting, Sweep, default_sweep, settings};
use trunkline_turn_bench::score::{
    CurvePoint, Part, RowOutcome, best_within_cuts, best_within_latency, frontier, score,
};
use trunkline_turn_bench::summary::{Results, summarize};
use trunkline_turn_bench::weights::PauseWeights;
use trunkline_turn_bench::{curve, report, timers};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn silence_alone_cuts_the_holds_that_are_longer() {
    // Of 0.2 to 5 s count eight; 150 ms and 5.2 s do not.
    let rows = [with_holds("a", &[150, 200, 250, 400, 600]), with_holds("b", &[900, 1_500, 2_500, 5_000, 5_200])];
    for (delay, longer) in [(100, 8), (200, 7), (300, 6), (600, 4), (1_000, 3), (4_990, 1), (5_000, 0)] {
        let outcomes: Vec<RowOutcome> = rows.iter().map(|row| timers::silence_alone(row, ms(delay))).collect();
        let score = score(rows.iter().zip(&outcomes), &Part::All, &PauseWeights::default());
        assert_eq!(score.holds, 8);
        assert_eq!((score.cut, score.mean_ms), (f64::from(longer) / 8.0, (delay.min(3_500)) as f64), "{delay} ms");
        assert_eq!(score.heard, score.cut, "a timer takes nothing back");
    }
}

#[test]
fn a_decision_belongs_to_the_pause_that_began_before_it() {
    // Holds at 0.5 to 1.0 and 1.5 to 2.1 s, the end at 2.6 s.
    let row = with_holds("a", &[500, 600]);
    let of = |decisions: &[(u64, Option<u64>)]| {
        let decisions: Vec<_> = decisions.iter().map(|(at, heard)| (ms(*at), heard.map(ms))).collect();
        RowOutcome::of_decisions(&row, &decisions, ms(500))
    };
    let cuts = |outcome: &RowOutcome| outcome.cuts.iter().map(Option::is_some).collect::<Vec<_>>();
    let late = of(&[(3_000, Some(3_500))]);
    assert_eq!((cuts(&late), late.latency, late.outside), (vec![false, false], Some(ms(400)), 0));
    let taken_back = of(&[(900, None), (3_000, Some(3_500))]);
    assert_eq!(taken_back.cuts, [Some((ms(900), None)), None]);
    let just_after = of(&[(1_050, Some(1_550)), (3_000, Some(3_500))]);
    assert_eq!(just_after.cuts, [Some((ms(1_050), Some(ms(1_550)))), None], "the next word was not noticed yet");
    let early = of(&[(300, None), (3_000, Some(3_500))]);
    assert_eq!((cuts(&early), early.outside), (vec![false, false], 1));
    // Decided in the last pause, and nothing took it back: it is answered at once.
    let lucky = of(&[(2_300, Some(2_800))]);
    assert_eq!((lucky.cuts[1], lucky.latency), (Some((ms(2_300), None)), Some(ms(0))));
    assert_eq!(of(&[(900, Some(1_400))]).latency, None, "nobody answers the end");
}

#[test]
fn operating_points_are_chosen_as_the_public_benchmark_does() {
    let points: Vec<CurvePoint> = [(250.0, 0.5), (300.0, 0.3), (290.0, 0.3), (620.0, 0.1), (900.0, 0.05), (950.0, 0.2)]
        .into_iter()
        .enumerate()
        .map(|(setting, (mean_ms, cut))| CurvePoint { setting, mean_ms, cut })
        .collect();
    let setting = |point: Option<CurvePoint>| point.map(|point| point.setting);
    assert_eq!(setting(best_within_latency(&points, 300.0)), Some(2), "of two equal ones the faster");
    assert_eq!(setting(best_within_latency(&points, 600.0)), Some(2));
    assert_eq!(setting(best_within_latency(&points, 200.0)), None);
    assert_eq!(setting(best_within_cuts(&points, 0.05)), Some(4));
    assert_eq!(setting(best_within_cuts(&points, 0.10)), Some(3));
    assert_eq!(setting(best_within_cuts(&points, 0.01)), None);
    let best: Vec<usize> = frontier(&points).iter().map(|point| point.setting).collect();
    assert_eq!(best, [0, 2, 3, 4]);
}

#[test]
fn weights_give_silence_alone_the_public_figures() {
    let lengths = [250, 260, 270, 280, 350, 450, 700, 1_200, 2_000, 4_000];
    let row = with_holds("a", &lengths);
    let weights = PauseWeights::public(lengths.iter().map(|length| ms(*length)));
    for (delay, wanted) in [(300, 0.556), (600, 0.217), (1_000, 0.10), (1_600, 0.05)] {
        let outcome = timers::silence_alone(&row, ms(delay));
        let score = score([(&row, &outcome)].into_iter(), &Part::All, &weights);
        assert!((score.cut - wanted).abs() < 1e-9, "{delay} ms: {}", score.cut);
    }
}

#[test]
fn a_sweep_scales_waiting_times_and_sets_fields() {
    let own = TurnConfig { silence_ms: 1_000, ..TurnConfig::default() };
    let sweep: Vec<Sweep> = ["scale=0.5,2", "min_silence_ms=150"].map(|text| text.parse().unwrap()).to_vec();
    let swept = settings(&own, &sweep).unwrap();
    let shown: Vec<_> = swept
        .iter()
        .map(|Setting { name, turn }| (name.as_str(), turn.silence_ms, turn.min_silence_ms, turn.endpointing_ms))
        .collect();
    assert_eq!(
        shown,
        [
            ("as configured", 1_000, 100, 300),
            ("scale 0.5, min_silence_ms 150", 500, 150, 300),
            ("scale 2, min_silence_ms 150", 2_000, 150, 300),
        ]
    );
    assert_eq!(settings(&own, &default_sweep()).unwrap().len(), 1 + 7 * 6 * 2);
    for (bad, why) in [
        ("patience_ms=3", "unknown field `patience_ms`"),
        ("silence_ms=soon", "invalid type"),
        ("silence_ms=99999", "silence_ms"),
        ("scale=fast", "is no factor"),
    ] {
        let refused = settings(&own, &[bad.parse().unwrap()]).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert!("silence_ms".parse::<Sweep>().is_err());
}

#[test]
fn a_summary_tells_the_policy_beside_silence_alone() {
    let rows = [with_holds("a", &[250, 400]), with_holds("b", &[700, 1_200])];
    let turns: Vec<Turn> = rows.into_iter().map(|row| Turn { row, samples: Vec::new() }).collect();
    // A policy that cuts the longest hold only, and is 300 ms late.
    let results: Vec<RowResult> = turns
        .iter()
        .map(|turn| {
            let silence = timers::silence_alone(&turn.row, ms(1_000));
            let outcome = RowOutcome { latency: Some(ms(300)), ..silence };
            let detected = timers::delays().map(|delay| timers::silence_alone(&turn.row, delay)).collect();
            RowResult { outcomes: vec![outcome], decisions: Vec::new(), detected }
        })
        .collect();
    let own = settings(&TurnConfig::default(), &[]).unwrap();
    let weights = PauseWeights::default();
    let summary = summarize(&Results { turns: &turns, results: &results, settings: &own, weights: &weights });
    let all = &summary.parts[0];
    assert_eq!((all.configured.policy.cut, all.configured.silence_cut), (0.25, 0.75));
    assert_eq!(all.policy.within_latency[0].unwrap().cut, 0.25);
    assert_eq!(all.silence.within_latency.iter().map(|point| point.unwrap().cut).collect::<Vec<_>>(), [0.75, 0.5]);
    assert_eq!(all.silence.within_cuts[1].unwrap().mean_ms, 1_200.0);
    let table = report::table(&summary);
    insta::assert_snapshot!(table);
    let json = report::json(&summary);
    assert_eq!(json["parts"][0]["operating_points"]["silence_alone"]["within_300_ms"]["cut"], json!(0.75));
    let svg = curve::svg(&summary);
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme:dark") && svg.contains("class=\"own\""));
}
