//! What the observations mean: a verdict for each check, what was seen, and what to do. Pure.

mod finding;
mod media;
mod reachability;
mod session;
mod setup;

use super::observation::{CallPurpose, Completion, TrunkObservations};
use finding::Findings;
pub use finding::{Finding, Verdict};

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

#[cfg(test)]
mod tests;
