//! What was cut and how late ends were: outcomes of rows, and rates over them as eot-bench computes them.

use super::data::main_language;
use super::row::{HOLD_MAX, HOLD_MIN, PauseKind, Seam, SilenceSpan, SpanLabel, TurnRow};
use super::weights::PauseWeights;
use std::cmp::Ordering;
use std::time::Duration;

/// What a turn counts that was never answered: the longest time-out of eot-bench's grid.
pub const LATENCY_MAX: Duration = Duration::from_millis(3_500);

/// When the agent decided, and when it was audible if nothing took that back.
pub type DecidedAt = (Duration, Option<Duration>);

/// What became of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOutcome {
    /// For each hold of the row: the first decision in it.
    pub cuts: Vec<Option<DecidedAt>>,
    /// Decisions that belong to no hold.
    pub outside: u32,
    /// From the end of the turn to the decision whose answer is heard; `None` if there was none.
    pub latency: Option<Duration>,
}

/// The holds of a row, in order.
pub fn holds(row: &TurnRow) -> impl Iterator<Item = &SilenceSpan> {
    row.spans.iter().filter(|span| span.label == SpanLabel::Hold)
}

/// Whether a hold counts.
pub fn counts(hold: &SilenceSpan) -> bool {
    (HOLD_MIN..=HOLD_MAX).contains(&hold.length())
}

impl RowOutcome {
    /// Of the decisions of a turn that was played. A decision cuts the hold that began last before it: also just after
    /// that hold, when the caller's next word is not noticed yet. `response`: from a decision to its sound.
    pub fn of_decisions(row: &TurnRow, decisions: &[DecidedAt], response: Duration) -> Self {
        let starts: Vec<Duration> = holds(row).map(|span| span.start).collect();
        let end = row.end();
        let mut outcome = Self { cuts: vec![None; starts.len()], ..Self::default() };
        for (at, heard) in decisions.iter().filter(|(at, _)| *at < end) {
            // An answer that was begun in a pause and is heard after the end has cut nobody aloud.
            let heard = heard.filter(|heard| *heard < end);
            match starts.iter().rposition(|start| start <= at).and_then(|index| outcome.cuts.get_mut(index)) {
                Some(cut) => *cut = Some(cut.map_or((*at, heard), |first| (first.0, first.1.or(heard)))),
                None => outcome.outside += 1,
            }
        }
        let answered = decisions.iter().find(|(_, heard)| heard.is_some_and(|heard| heard >= end));
        // One that is still held back is an answer too, as nothing took it back.
        let answered = answered.or(decisions.last().filter(|(at, _)| *at >= end));
        outcome.latency = answered.map(|(at, heard)| match *at >= end {
            true => *at - end,
            false => heard.unwrap_or(*at).saturating_sub(end + response),
        });
        outcome
    }
}

/// Rates over rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Holds that counted.
    pub holds: u32,
    /// Turns.
    pub turns: u32,
    /// Share of the holds that were cut, weighted.
    pub cut: f64,
    /// Share of the holds in which the caller heard the agent begin, weighted.
    pub heard: f64,
    /// Share of the turns with a hold that was cut.
    pub turns_cut: f64,
    /// Decisions outside of holds, per turn.
    pub outside: f64,
    /// Mean latency of ends in milliseconds; turns that were never answered count [`LATENCY_MAX`].
    pub mean_ms: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// Of nine in ten turns.
    pub p90_ms: f64,
    /// Turns that were never answered.
    pub unanswered: u32,
}

/// Which holds and ends are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    All,
    /// Those of a language, without its region.
    Language(String),
    /// Those of a kind.
    Kind(PauseKind),
    /// Holds inside of recordings or between them, and the ends of the turns that have such a hold.
    Seam(Seam),
    /// Those of a source.
    Source(String),
    /// Those with this noise.
    Noise(String),
    /// Those of a speaker.
    Speaker(String),
    /// Those of all speakers but one.
    OtherSpeakers(String),
}

impl Part {
    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Language(code) => code.clone(),
            Self::Kind(kind) => kind.name().to_owned(),
            Self::Seam(Seam::Inside) => "pauses inside of recordings".to_owned(),
            Self::Seam(Seam::Joined) => "pauses between recordings".to_owned(),
            Self::Source(name) => format!("source {name}"),
            Self::Noise(name) => format!("noise {name}"),
            Self::Speaker(name) => format!("speaker {name}"),
            Self::OtherSpeakers(name) => format!("all speakers but {name}"),
        }
    }

    fn has_row(&self, row: &TurnRow) -> bool {
        match self {
            Self::All | Self::Kind(_) => true,
            Self::Language(code) => main_language(&row.language) == code,
            Self::Seam(seam) => row.spans.iter().any(|span| span.seam == Some(*seam)),
            Self::Source(name) => row.source.as_ref() == Some(name),
            Self::Noise(name) => row.noise.as_ref() == Some(name),
            Self::Speaker(name) => row.speaker.as_ref() == Some(name),
            Self::OtherSpeakers(name) => row.speaker.as_ref() != Some(name),
        }
    }

    fn has_span(&self, row: &TurnRow, span: &SilenceSpan) -> bool {
        self.has_row(row)
            && match self {
                Self::Kind(kind) => span.kind == Some(*kind),
                Self::Seam(seam) => span.label == SpanLabel::Eot || span.seam == Some(*seam),
                _ => true,
            }
    }
}

/// Computes the rates of a part.
pub fn score<'a>(
    rows: impl Iterator<Item = (&'a TurnRow, &'a RowOutcome)>, part: &Part, weights: &PauseWeights,
) -> Score {
    let mut sums = Sums::default();
    for (row, outcome) in rows {
        sums.add(row, outcome, part, weights);
    }
    sums.score()
}

#[derive(Default)]
struct Sums {
    weight: f64,
    cut: f64,
    heard: f64,
    holds: u32,
    turns: u32,
    turns_cut: u32,
    outside: u32,
    unanswered: u32,
    latencies: Vec<f64>,
}

impl Sums {
    fn add(&mut self, row: &TurnRow, outcome: &RowOutcome, part: &Part, weights: &PauseWeights) {
        let mut is_cut = false;
        for (hold, cut) in holds(row).zip(&outcome.cuts) {
            if !part.has_span(row, hold) || !counts(hold) {
                continue;
            }
            let weight = weights.of(hold.length());
            self.holds += 1;
            self.weight += weight;
            if let Some((_, heard)) = cut {
                is_cut = true;
                self.cut += weight;
                self.heard += if heard.is_some() { weight } else { 0.0 };
            }
        }
        if !row.spans.last().is_some_and(|end| part.has_span(row, end)) {
            return;
        }
        self.turns += 1;
        self.turns_cut += u32::from(is_cut);
        self.outside += outcome.outside;
        self.unanswered += u32::from(outcome.latency.is_none());
        self.latencies.push(outcome.latency.unwrap_or(LATENCY_MAX).min(LATENCY_MAX).as_secs_f64() * 1_000.0);
    }

    fn score(mut self) -> Score {
        self.latencies.sort_by(f64::total_cmp);
        let share = |sum: f64, of: f64| if of > 0.0 { sum / of } else { 0.0 };
        let turns = f64::from(self.turns);
        Score {
            holds: self.holds,
            turns: self.turns,
            cut: share(self.cut, self.weight),
            heard: share(self.heard, self.weight),
            turns_cut: share(f64::from(self.turns_cut), turns),
            outside: share(f64::from(self.outside), turns),
            mean_ms: share(self.latencies.iter().sum(), turns),
            p50_ms: quantile(&self.latencies, 0.5),
            p90_ms: quantile(&self.latencies, 0.9),
            unanswered: self.unanswered,
        }
    }
}

/// Of sorted values, the one at this share; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

/// One point of a curve: mean latency in milliseconds and share of holds cut, with what it was reached by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Index of the setting.
    pub setting: usize,
    /// Mean latency.
    pub mean_ms: f64,
    /// Share of holds cut.
    pub cut: f64,
}

/// Differences that are none.
const EPSILON: f64 = 1e-9;

fn by_latency(one: &CurvePoint, other: &CurvePoint) -> Ordering {
    one.mean_ms.total_cmp(&other.mean_ms).then(one.cut.total_cmp(&other.cut))
}

/// The fewest holds cut within a mean latency, as eot-bench chooses it; `None` if no setting is as fast.
pub fn best_within_latency(points: &[CurvePoint], budget_ms: f64) -> Option<CurvePoint> {
    let feasible = points.iter().copied().filter(|point| point.mean_ms <= budget_ms + EPSILON);
    feasible.min_by(|one, other| one.cut.total_cmp(&other.cut).then(one.mean_ms.total_cmp(&other.mean_ms)))
}

/// The least mean latency with a share of holds cut; `None` if every setting cuts more.
pub fn best_within_cuts(points: &[CurvePoint], budget: f64) -> Option<CurvePoint> {
    let feasible = points.iter().copied().filter(|point| point.cut <= budget + EPSILON);
    feasible.min_by(by_latency)
}

/// The points that no other one beats in both, by latency.
pub fn frontier(points: &[CurvePoint]) -> Vec<CurvePoint> {
    let mut sorted = points.to_vec();
    sorted.sort_by(by_latency);
    let mut best = f64::INFINITY;
    sorted.retain(|point| {
        let is_better = point.cut < best - EPSILON;
        best = best.min(point.cut);
        is_better
    });
    sorted
}
