//! One finding, the list of them, and the words that several checks use.

use crate::trunk_check::observation::{CallObservation, Exchange, ExchangeOutcome, Reply};
use serde::Serialize;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but is worth knowing.
    Note,
    /// Calls suffer from it.
    Problem,
    /// Could not be, or was not, tried.
    NotTried,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, such as `codecs` or `hold`.
    pub check: &'static str,
    /// How serious it is.
    pub verdict: Verdict,
    /// What was seen, in words.
    pub seen: String,
    /// What to do, or to ask the carrier; `None` if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Collects the findings of one check after another.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>) {
        self.0.push(Finding { check, verdict, seen: seen.into(), advice: None });
    }

    pub(super) fn advise(
        &mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>, advice: impl Into<String>,
    ) {
        self.0.push(Finding { check, verdict, seen: seen.into(), advice: Some(advice.into()) });
    }
}

pub(super) fn reply(exchange: &Exchange) -> Option<&Reply> {
    match &exchange.outcome {
        ExchangeOutcome::Answered(reply) => Some(reply),
        ExchangeOutcome::NoAnswer | ExchangeOutcome::NotTried => None,
    }
}

pub(super) fn status_of(call: &CallObservation) -> Option<u16> {
    reply(&call.invite).map(|reply| reply.status)
}

/// `486 Busy Here`.
pub(super) fn status_words(reply: &Reply) -> String {
    let explanation = reply.explanation.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    format!("{} {}{explanation}", reply.status, reply.reason)
}

/// `a, b and c`.
pub(super) fn and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

pub(super) fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}
