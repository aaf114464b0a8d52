//! What the agent did by a time of overlap, as counts, precision and recall.
//!
//! A positive is an interruption at which the agent *yields*: it is silent for the caller from a time on, and does not go on
//! with what it was saying. A hold that becomes a stop yields when the hold begins; a hold that ends in resuming does not
//! yield, because every word is said later. Answers are no part of precision and recall.

use super::playing::{OverlapOutcome, StopCause};
use super::row::{OverlapLabel, OverlapRow};
use std::time::Duration;

/// Times of overlap at which it is looked at.
pub const LOOKED_AT: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(500)];

/// What the agent does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// It is heard.
    Speaking,
    /// It is silent, and may go on.
    Held,
    /// It is silent, and does not go on.
    Stopped,
    /// It has said everything.
    Finished,
}

/// A row and what became of it, in times from the onset of the overlap.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The row.
    pub row: &'a OverlapRow,
    /// What the agent did.
    pub outcome: &'a OverlapOutcome,
}

impl Judged<'_> {
    /// What the agent does so long after the onset.
    pub fn state(&self, after: Duration) -> AgentState {
        let at = self.row.onset + after;
        if self.outcome.stopped.is_some_and(|(stopped, _)| stopped <= at) {
            return AgentState::Stopped;
        }
        if self.outcome.finished.is_some_and(|finished| finished <= at) {
            return AgentState::Finished;
        }
        let is_held = |from: Duration, until: Option<Duration>| from <= at && until.is_none_or(|until| until > at);
        match self.outcome.holds.iter().any(|hold| is_held(hold.from, hold.until)) {
            true => AgentState::Held,
            false => AgentState::Speaking,
        }
    }

    /// From when on the agent is silent for good, from the onset on; `None` if it goes on.
    pub fn yielded(&self) -> Option<Duration> {
        let (stopped, _) = self.outcome.stopped?;
        let held = self.outcome.holds.iter().find(|hold| hold.until == Some(stopped));
        let at = held.map_or(stopped, |hold| hold.from);
        Some(at.saturating_sub(self.row.onset))
    }

    /// When it was decided to stop, from the onset on.
    pub fn stopped(&self) -> Option<(Duration, StopCause)> {
        self.outcome.stopped.map(|(at, cause)| (at.saturating_sub(self.row.onset), cause))
    }

    /// Whether the agent was silenced before the sound began.
    pub fn is_early(&self) -> bool {
        self.outcome.holds.iter().any(|hold| hold.from < self.row.onset)
    }

    /// When the first hold at or after the onset began.
    fn held(&self) -> Option<Duration> {
        let first = self.outcome.holds.iter().find(|hold| hold.from >= self.row.onset)?;
        Some(first.from - self.row.onset)
    }

    /// How long the agent was silent before it went on.
    fn pauses(&self) -> Duration {
        let stopped = self.outcome.stopped.map(|(at, _)| at);
        let resumed = self.outcome.holds.iter().filter(|hold| hold.until != stopped);
        resumed.filter_map(|hold| Some(hold.until? - hold.from)).sum()
    }
}

/// Rows of a label at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// The agent is heard.
    pub speaking: usize,
    /// It is held.
    pub held: usize,
    /// It was stopped.
    pub stopped: usize,
    /// It has said everything.
    pub finished: usize,
}

/// A low and a high percentile in milliseconds; `None` without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Half of the values are not above it.
    pub p50_ms: Option<u64>,
    /// 95 % of the values are not above it.
    pub p95_ms: Option<u64>,
}

impl Spread {
    fn of(mut values: Vec<Duration>) -> Self {
        values.sort();
        let at = |share: f64| {
            let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
            values.get(index).map(|value| value.as_millis() as u64)
        };
        Self { p50_ms: at(0.5), p95_ms: at(0.95) }
    }
}

/// All rows of a label, or of a kind of noise.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    /// What it is.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// At each of [`LOOKED_AT`].
    pub states: Vec<StateCounts>,
    /// Rows in which the agent yields within each of [`LOOKED_AT`].
    pub yielded_by: Vec<usize>,
    /// Rows in which it yields at all.
    pub yielded: usize,
    /// Rows in which it was stopped by voice, words, a turn.
    pub causes: [usize; 3],
    /// Rows in which it was held before the sound began.
    pub early: usize,
    /// Rows whose words were answered as a turn.
    pub answered: usize,
    /// From the onset to the hold.
    pub hold: Spread,
    /// From the onset to the decision to stop.
    pub stop: Spread,
    /// How long the agent paused, where it went on.
    pub pause: Spread,
}

/// Precision and recall of interruptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of what counts as positive, the share that was an interruption; `None` if nothing was.
    pub precision: Option<f64>,
    /// Of the interruptions, the share that counts as positive; `None` without one.
    pub recall: Option<f64>,
}

/// The rates with each meaning of a positive.
#[derive(Clone, Debug, PartialEq)]
pub struct RatesAt {
    /// `None`: in the end.
    pub after: Option<Duration>,
    /// Silent by then and for good.
    pub yielded: Rates,
    /// The decision to stop by then.
    pub stopped: Rates,
    /// Silent at that time, also if it goes on later.
    pub silent: Rates,
}

/// What is reported of rows of one language, or all.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlapScore {
    /// `all`, or the language.
    pub name: String,
    /// Labels that have rows, then the kinds of noise.
    pub labels: Vec<LabelScore>,
    /// At each of [`LOOKED_AT`], and in the end.
    pub rates: Vec<RatesAt>,
}

/// Judges the rows of one part.
pub fn score(name: &str, rows: &[Judged<'_>]) -> OverlapScore {
    let mut labels: Vec<LabelScore> = OverlapLabel::ALL
        .into_iter()
        .filter_map(|label| label_score(label.name(), rows, |row| row.label == label))
        .collect();
    let mut details: Vec<&String> = rows.iter().filter_map(|judged| judged.row.detail.as_ref()).collect();
    details.sort();
    details.dedup();
    labels.extend(
        details
            .into_iter()
            .filter_map(|detail| label_score(&format!("  {detail}"), rows, |row| row.detail.as_ref() == Some(detail))),
    );
    let times = LOOKED_AT.into_iter().map(Some).chain([None]);
    OverlapScore { name: name.to_owned(), labels, rates: times.map(|after| rates_at(after, rows)).collect() }
}

fn label_score(name: &str, rows: &[Judged<'_>], is_of: impl Fn(&OverlapRow) -> bool) -> Option<LabelScore> {
    let rows: Vec<&Judged<'_>> = rows.iter().filter(|judged| is_of(judged.row)).collect();
    let count = |is: &dyn Fn(&Judged<'_>) -> bool| rows.iter().filter(|judged| is(judged)).count();
    let states = LOOKED_AT.map(|after| {
        let of = |state: AgentState| count(&|judged| judged.state(after) == state);
        StateCounts {
            speaking: of(AgentState::Speaking),
            held: of(AgentState::Held),
            stopped: of(AgentState::Stopped),
            finished: of(AgentState::Finished),
        }
    });
    let of_cause = |cause: StopCause| count(&|judged| judged.stopped().is_some_and(|(_, one)| one == cause));
    let pauses = rows.iter().map(|judged| judged.pauses()).filter(|pause| !pause.is_zero());
    (!rows.is_empty()).then(|| LabelScore {
        name: name.to_owned(),
        rows: rows.len(),
        states: states.to_vec(),
        yielded_by: LOOKED_AT.map(|after| count(&|judged| judged.yielded().is_some_and(|at| at <= after))).to_vec(),
        yielded: count(&|judged| judged.yielded().is_some()),
        causes: [StopCause::Voice, StopCause::Words, StopCause::Turn].map(of_cause),
        early: count(&|judged| judged.is_early()),
        answered: count(&|judged| judged.outcome.answered.is_some()),
        hold: Spread::of(rows.iter().filter_map(|judged| judged.held()).collect()),
        stop: Spread::of(rows.iter().filter_map(|judged| Some(judged.stopped()?.0)).collect()),
        pause: Spread::of(pauses.collect()),
    })
}

fn rates_at(after: Option<Duration>, rows: &[Judged<'_>]) -> RatesAt {
    let within = |at: Duration| after.is_none_or(|after| at <= after);
    let is_silent = |judged: &Judged<'_>| match after {
        Some(after) => matches!(judged.state(after), AgentState::Held | AgentState::Stopped),
        None => judged.outcome.stopped.is_some() || !judged.outcome.holds.is_empty(),
    };
    RatesAt {
        after,
        yielded: rates(rows, |judged| judged.yielded().is_some_and(within)),
        stopped: rates(rows, |judged| judged.stopped().is_some_and(|(at, _)| within(at))),
        silent: rates(rows, is_silent),
    }
}

fn rates(rows: &[Judged<'_>], is_positive: impl Fn(&Judged<'_>) -> bool) -> Rates {
    let count = |is: &dyn Fn(&Judged<'_>) -> bool| rows.iter().filter(|judged| is(judged)).count() as f64;
    let is_interruption = |judged: &Judged<'_>| judged.row.label == OverlapLabel::Interruption;
    let hits = count(&|judged| is_interruption(judged) && is_positive(judged));
    let wrong = count(&|judged| judged.row.label.is_negative() && is_positive(judged));
    let all = count(&is_interruption);
    Rates { precision: (hits + wrong > 0.0).then(|| hits / (hits + wrong)), recall: (all > 0.0).then(|| hits / all) }
}
