//! The policy for each speaker: how much its figure depends on who speaks, and on whom the setting was chosen.

use super::data::Turn;
use super::report::{percent, row};
use super::score::{Part, best_within_latency};
use super::summary::{Beside, LATENCY_BUDGETS_MS, Results};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Pauses of a speaker from which on a ratio is more than chance.
const HOLDS_MIN: u32 = 20;

/// What one speaker's turns say.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerScore {
    /// Who speaks.
    pub speaker: String,
    /// The agent's own settings.
    pub configured: Beside,
    /// The settings that are best within each of [`LATENCY_BUDGETS_MS`] on all other speakers; `None` if none is as fast.
    pub left_out: Vec<Option<Beside>>,
}

/// Ratios of several speakers to silence alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioSpread {
    /// Speakers with enough pauses.
    pub speakers: usize,
    /// All their cuts by all that silence alone cuts.
    pub pooled: f64,
    /// The mean of the ratios.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The best and the worst.
    pub range: (f64, f64),
}

impl RatioSpread {
    /// `None` if no speaker has enough pauses.
    pub fn of<'a>(besides: impl Iterator<Item = &'a Beside>) -> Option<Self> {
        let known: Vec<&Beside> =
            besides.filter(|beside| beside.policy.holds >= HOLDS_MIN && beside.silence_cut > 0.0).collect();
        let ratios: Vec<f64> = known.iter().filter_map(|beside| beside.ratio()).collect();
        let count = ratios.len() as f64;
        let sum = |share: fn(&Beside) -> f64| -> f64 {
            known.iter().map(|beside| share(beside) * f64::from(beside.policy.holds)).sum()
        };
        let mean = ratios.iter().sum::<f64>() / count;
        let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
        let least = ratios.iter().copied().reduce(f64::min)?;
        let most = ratios.iter().copied().reduce(f64::max)?;
        Some(Self {
            speakers: ratios.len(),
            pooled: sum(|beside| beside.policy.cut) / sum(|beside| beside.silence_cut),
            mean,
            deviation: if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { 0.0 },
            range: (least, most),
        })
    }
}

/// Every speaker of the rows, by name.
pub fn speaker_scores(results: &Results<'_>, turns: &[Turn]) -> Vec<SpeakerScore> {
    let names: BTreeSet<&String> = turns.iter().filter_map(|turn| turn.row.speaker.as_ref()).collect();
    let score = |name: &&String| {
        let part = Part::Speaker((*name).clone());
        let others = results.policy_points(&Part::OtherSpeakers((*name).clone()));
        let left_out = LATENCY_BUDGETS_MS
            .map(|budget| best_within_latency(&others, budget).map(|point| results.beside(&part, point.setting)));
        SpeakerScore { speaker: (*name).clone(), configured: results.beside(&part, 0), left_out: left_out.to_vec() }
    };
    names.iter().map(score).collect()
}

/// What is told of each column: the agent's own settings, then those that were chosen on the others.
fn columns(scores: &[SpeakerScore]) -> Vec<(String, Vec<Option<&Beside>>)> {
    let own = scores.iter().map(|score| Some(&score.configured)).collect();
    let chosen = LATENCY_BUDGETS_MS.iter().enumerate().map(|(index, budget)| {
        let besides = scores.iter().map(|score| score.left_out.get(index).and_then(Option::as_ref)).collect();
        (format!("Chosen on all other speakers, within {budget:.0} ms"), besides)
    });
    std::iter::once(("As configured, by speaker".to_owned(), own)).chain(chosen).collect()
}

/// Lines for a terminal.
pub fn table(scores: &[SpeakerScore]) -> String {
    let mut lines = Vec::new();
    for (title, besides) in columns(scores) {
        lines.push(title);
        lines.push(row("speaker", &["pauses", "cut", "silence alone", "ratio", "mean", "p50"]));
        let known = scores.iter().zip(&besides).filter_map(|(score, beside)| Some((score, (*beside)?)));
        lines.extend(known.map(|(score, beside)| speaker_line(&score.speaker, beside)));
        let spread = RatioSpread::of(besides.iter().flatten().copied());
        lines.push(spread.map_or(format!("no speaker has {HOLDS_MIN} pauses"), |spread| {
            let RatioSpread { speakers, pooled, mean, deviation, range: (least, most) } = spread;
            format!(
                "ratio of {speakers} speakers with {HOLDS_MIN} pauses: pooled {pooled:.2}, mean {mean:.2}, \
                 deviation {deviation:.2}, from {least:.2} to {most:.2}"
            )
        }));
        lines.push(String::new());
    }
    lines.join("\n")
}

fn speaker_line(name: &str, beside: &Beside) -> String {
    let cells = [
        beside.policy.holds.to_string(),
        percent(beside.policy.cut),
        percent(beside.silence_cut),
        beside.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
        format!("{:.0} ms", beside.policy.mean_ms),
        format!("{:.0} ms", beside.policy.p50_ms),
    ];
    row(name, &cells.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Everything for other programs.
pub fn json(scores: &[SpeakerScore], settings: &[String]) -> Value {
    let beside_json = |beside: &Beside| {
        json!({
            "setting": settings.get(beside.setting), "pauses": beside.policy.holds, "cut": beside.policy.cut,
            "silence_alone_cut": beside.silence_cut, "mean_ms": beside.policy.mean_ms,
        })
    };
    let score_json = |score: &SpeakerScore| {
        let left_out: Vec<Value> = score.left_out.iter().map(|one| json!(one.as_ref().map(beside_json))).collect();
        json!({
            "speaker": score.speaker, "as_configured": beside_json(&score.configured),
            "chosen_on_the_others": left_out,
        })
    };
    scores.iter().map(score_json).collect()
}
