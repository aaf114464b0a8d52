//! Goals that `--check` holds a run to, so that a script sees by the exit status when one is missed.

use super::overlaps::score::OverlapScore;
use super::score::Part;
use super::summary::{Beside, Summary};
use std::time::Duration;

/// Within this time of overlap the agent yields to an interruption.
const YIELD_WITHIN: Duration = Duration::from_millis(500);
/// Of the sounds that the agent yields to, the share that are interruptions.
const PRECISION_MIN: f64 = 0.9;
/// Of the interruptions, the share that the agent yields to.
const RECALL_MIN: f64 = 0.97;

/// Languages and kinds of pauses of which more are cut than silence alone cuts at the same mean latency. One pause more is
/// chance.
pub fn worse_than_silence(summary: &Summary) -> Vec<String> {
    let is_judged = |part: &Part| matches!(part, Part::All | Part::Language(_) | Part::Kind(_));
    let is_worse = |beside: &Beside| {
        let holds = f64::from(beside.policy.holds);
        (beside.policy.cut - beside.silence_cut) * holds > 1.0 + f64::EPSILON * holds
    };
    let missed = summary.parts.iter().filter(|part| is_judged(&part.part) && is_worse(&part.configured));
    missed
        .map(|part| {
            let Beside { policy, silence_cut, .. } = &part.configured;
            let (cut, silence) = (policy.cut * 100.0, silence_cut * 100.0);
            format!("{}: {cut:.1} % of the pauses cut, and {silence:.1} % by silence alone", part.part.name())
        })
        .collect()
}

/// What is missed of precision and recall of interruptions, on all rows.
pub fn missed_at_overlaps(scores: &[OverlapScore]) -> Vec<String> {
    let rates = scores.first().and_then(|all| all.rates.iter().find(|at| at.after == Some(YIELD_WITHIN)));
    let Some(yielded) = rates.map(|at| at.yielded) else { return vec!["there are no overlaps".to_owned()] };
    let goals = [("precision", yielded.precision, PRECISION_MIN), ("recall", yielded.recall, RECALL_MIN)];
    let missed = goals.into_iter().filter(|(_, share, goal)| share.is_none_or(|share| share < *goal));
    missed
        .map(|(name, share, goal)| {
            let share = share.map_or("unknown".to_owned(), |share| format!("{share:.3}"));
            format!("{name} of interruptions within {} ms: {share}, and {goal} is the goal", YIELD_WITHIN.as_millis())
        })
        .collect()
}

/// Nothing, or all that was missed as an error.
///
/// # Errors
///
/// A line for each goal that was missed.
pub fn require(missed: &[String]) -> Result<(), String> {
    match missed.is_empty() {
        true => Ok(()),
        false => Err(format!("goals missed:\n{}", missed.join("\n"))),
    }
}
