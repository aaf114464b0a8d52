//! What is read from the results: operating points as eot-bench chooses them, the policy beside silence alone.

use super::data::{Turn, main_language};
use super::measuring::RowResult;
use super::policy::Setting;
use super::row::{PauseKind, Seam};
use super::score::{CurvePoint, Part, RowOutcome, Score, best_within_cuts, best_within_latency, frontier, score};
use super::timers;
use super::weights::PauseWeights;
use std::collections::BTreeSet;
use std::time::Duration;

/// Mean latencies for which the share of cut holds is told.
pub const LATENCY_BUDGETS_MS: [f64; 2] = [300.0, 600.0];
/// Shares of cut holds for which the mean latency is told.
pub const CUT_BUDGETS: [f64; 2] = [0.05, 0.10];

/// The operating points of one curve.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatingPoints {
    /// For each of [`LATENCY_BUDGETS_MS`], the fewest holds cut.
    pub within_latency: Vec<Option<CurvePoint>>,
    /// For each of [`CUT_BUDGETS`], the least mean latency.
    pub within_cuts: Vec<Option<CurvePoint>>,
}

impl OperatingPoints {
    fn of(points: &[CurvePoint]) -> Self {
        Self {
            within_latency: LATENCY_BUDGETS_MS.map(|budget| best_within_latency(points, budget)).to_vec(),
            within_cuts: CUT_BUDGETS.map(|budget| best_within_cuts(points, budget)).to_vec(),
        }
    }
}

/// A setting on one part, and silence alone with the same mean latency on the same holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// The setting.
    pub setting: usize,
    /// Its rates.
    pub policy: Score,
    /// Share of holds that silence alone cuts with that mean latency.
    pub silence_cut: f64,
}

impl Beside {
    /// What the setting cuts by what silence alone cuts; `None` where silence alone cuts nothing.
    pub fn ratio(&self) -> Option<f64> {
        (self.silence_cut > 0.0).then(|| self.policy.cut / self.silence_cut)
    }
}

/// A part of the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PartSummary {
    /// Which one.
    pub part: Part,
    /// The agent's own settings.
    pub configured: Beside,
    /// The settings that are best on all rows within each of [`LATENCY_BUDGETS_MS`].
    pub chosen: Vec<Option<Beside>>,
    /// The policy, swept; each point chosen on this part.
    pub policy: OperatingPoints,
    /// A timer on the labelled silences.
    pub silence: OperatingPoints,
    /// A timer on the silences that our voice detection finds.
    pub detected: OperatingPoints,
}

/// The curves of all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// All settings.
    pub settings: Vec<CurvePoint>,
    /// Those that no other one beats.
    pub policy: Vec<CurvePoint>,
    /// A timer on the labelled silences.
    pub silence: Vec<CurvePoint>,
    /// A timer on the silences that our voice detection finds.
    pub detected: Vec<CurvePoint>,
}

/// All that a report tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Names of the settings.
    pub settings: Vec<String>,
    /// All rows first, then their parts.
    pub parts: Vec<PartSummary>,
    /// Of all rows.
    pub curves: Curves,
}

/// All that was played, of which parts are judged.
#[derive(Clone, Copy, Debug)]
pub struct Results<'a> {
    /// The rows.
    pub turns: &'a [Turn],
    /// What became of each of them.
    pub results: &'a [RowResult],
    /// The settings they were played with, the agent's own first.
    pub settings: &'a [Setting],
    /// How much each pause counts.
    pub weights: &'a PauseWeights,
}

impl Results<'_> {
    fn score(&self, part: &Part, outcome: impl Fn(&RowResult) -> Option<&RowOutcome>) -> Score {
        let rows = self.turns.iter().zip(self.results);
        score(rows.filter_map(|(turn, result)| Some((&turn.row, outcome(result)?))), part, self.weights)
    }

    fn policy(&self, part: &Part, setting: usize) -> Score {
        self.score(part, |result| result.outcomes.get(setting))
    }

    fn silence(&self, part: &Part, delay: Duration) -> Score {
        let outcomes: Vec<RowOutcome> = self.turns.iter().map(|turn| timers::silence_alone(&turn.row, delay)).collect();
        score(self.turns.iter().map(|turn| &turn.row).zip(&outcomes), part, self.weights)
    }

    /// A setting on a part, beside silence alone.
    pub fn beside(&self, part: &Part, setting: usize) -> Beside {
        let policy = self.policy(part, setting);
        let delay = Duration::from_secs_f64(policy.mean_ms.max(0.0) / 1_000.0);
        let silence_cut = self.silence(part, delay).cut;
        Beside { setting, policy, silence_cut }
    }

    /// All settings on a part.
    pub fn policy_points(&self, part: &Part) -> Vec<CurvePoint> {
        let point = |setting| {
            let score = self.policy(part, setting);
            CurvePoint { setting, mean_ms: score.mean_ms, cut: score.cut }
        };
        (0..self.settings.len()).map(point).collect()
    }

    fn silence_points(&self, part: &Part) -> Vec<CurvePoint> {
        let point = |(setting, delay)| {
            let score = self.silence(part, delay);
            CurvePoint { setting, mean_ms: score.mean_ms, cut: score.cut }
        };
        timers::delays().enumerate().map(point).collect()
    }

    fn detected_points(&self, part: &Part) -> Vec<CurvePoint> {
        let point = |setting| {
            let score = self.score(part, |result| result.detected.get(setting));
            CurvePoint { setting, mean_ms: score.mean_ms, cut: score.cut }
        };
        (0..timers::delays().count()).map(point).collect()
    }

    fn part(&self, part: Part, chosen: &[Option<usize>]) -> PartSummary {
        PartSummary {
            configured: self.beside(&part, 0),
            chosen: chosen.iter().map(|setting| setting.map(|setting| self.beside(&part, setting))).collect(),
            policy: OperatingPoints::of(&self.policy_points(&part)),
            silence: OperatingPoints::of(&self.silence_points(&part)),
            detected: OperatingPoints::of(&self.detected_points(&part)),
            part,
        }
    }

    fn parts(&self) -> Vec<Part> {
        let rows = || self.turns.iter().map(|turn| &turn.row);
        let spans = || rows().flat_map(|row| &row.spans);
        let names =
            |name: fn(&Turn) -> Option<String>| -> BTreeSet<String> { self.turns.iter().filter_map(name).collect() };
        let mut parts = vec![Part::All];
        let languages = names(|turn| Some(main_language(&turn.row.language).to_owned()));
        if languages.len() > 1 {
            parts.extend(languages.into_iter().map(Part::Language));
        }
        let kinds = PauseKind::ALL.into_iter().filter(|kind| spans().any(|span| span.kind == Some(*kind)));
        parts.extend(kinds.map(Part::Kind));
        let seams = [Seam::Inside, Seam::Joined].into_iter();
        parts.extend(seams.filter(|seam| spans().any(|span| span.seam == Some(*seam))).map(Part::Seam));
        let sources = names(|turn| turn.row.source.clone());
        if sources.len() > 1 {
            parts.extend(sources.into_iter().map(Part::Source));
        }
        let noises = names(|turn| turn.row.noise.clone());
        if noises.len() > 1 {
            parts.extend(noises.into_iter().map(Part::Noise));
        }
        parts
    }
}

/// Reads everything from the results.
pub fn summarize(results: &Results<'_>) -> Summary {
    let points = results.policy_points(&Part::All);
    let chosen = LATENCY_BUDGETS_MS.map(|budget| best_within_latency(&points, budget).map(|point| point.setting));
    let curves = Curves {
        policy: frontier(&points),
        silence: results.silence_points(&Part::All),
        detected: results.detected_points(&Part::All),
        settings: points,
    };
    Summary {
        settings: results.settings.iter().map(|setting| setting.name.clone()).collect(),
        parts: results.parts().into_iter().map(|part| results.part(part, &chosen)).collect(),
        curves,
    }
}
