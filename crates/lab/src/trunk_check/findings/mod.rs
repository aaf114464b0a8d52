//! What the observations mean: a verdict for each check, what was seen, and what to do. Pure.

mod media;
mod reachability;
mod session;
mod setup;

use super::observation::{
    CallObservation, CallPurpose, Completion, Exchange, ExchangeOutcome, Reply, TrunkObservations,
};
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
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>) {
        self.0.push(Finding { check, verdict, seen: seen.into(), advice: None });
    }

    fn advise(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Finding { check, verdict, seen: seen.into(), advice: Some(advice.into()) });
    }
}

/// Judges everything that was seen, in the order of a call.
pub(super) fn judge(seen: &TrunkObservations) -> Vec<Finding> {
    let mut findings = Findings::default();
    reachability::judge(seen, &mut findings);
    // The call that shows everything: the repeated one, if SRTP was refused.
    let thorough = seen.calls.iter().rfind(|call| !matches!(call.purpose, CallPurpose::OneCodec(_)));
    match thorough {
        None => findings.add("call", Verdict::NotTried, "No call was made."),
        Some(call) => {
            setup::judge(seen, call, &mut findings);
            if call.answer.is_some() {
                session::judge(seen, call, &mut findings);
                media::judge(seen, call, &mut findings);
            }
        }
    }
    judge_completion(seen, &mut findings);
    findings.0
}

fn judge_completion(seen: &TrunkObservations, findings: &mut Findings) {
    match &seen.completion {
        Completion::Complete => {}
        Completion::Interrupted => findings.add(
            "check",
            Verdict::NotTried,
            "The check was ended by Ctrl-C. What is missing above was not tried.",
        ),
        Completion::TimeUp => findings.advise(
            "check",
            Verdict::NotTried,
            "The check ran out of time. What is missing above was not tried.",
            "Try a number that answers at once.",
        ),
        Completion::ConnectionLost(why) => findings.advise(
            "check",
            Verdict::Problem,
            format!("The connection for SIP was lost: {why}."),
            "Requests in a call need a connection that stays open. Ask the carrier how long connections may be idle.",
        ),
    }
}

fn reply(exchange: &Exchange) -> Option<&Reply> {
    match &exchange.outcome {
        ExchangeOutcome::Answered(reply) => Some(reply),
        ExchangeOutcome::NoAnswer | ExchangeOutcome::NotTried => None,
    }
}

fn status_of(call: &CallObservation) -> Option<u16> {
    reply(&call.invite).map(|reply| reply.status)
}

/// `486 Busy Here`.
fn status_words(reply: &Reply) -> String {
    let explanation = reply.explanation.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    format!("{} {}{explanation}", reply.status, reply.reason)
}

/// `a, b and c`.
fn and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

#[cfg(test)]
mod tests;
