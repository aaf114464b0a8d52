//! Maps how a SIP dialog ended (status, Q.850 cause, Reason) and how far a REFER is to the words of a call's record.

use crate::call::machine::ReferProgress;
use crate::domain::end_reason::EndReason;
use serde_json::{Map, Value, json};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent;

/// The progress of a REFER of ours, for the call machine.
pub fn refer_progress(referral: user_agent::ReferStatus) -> ReferProgress {
    match referral {
        user_agent::ReferStatus::Accepted => ReferProgress::Accepted,
        user_agent::ReferStatus::Rejected { status } => ReferProgress::Refused { status },
        user_agent::ReferStatus::Notified { status, last } => ReferProgress::Progress { status, last },
    }
}

/// The end reason of an answered call. Networks that clear a call put the cause into Reason.
pub fn end_reason_of_cause(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::RemoteBye { reason_header: why } | EndCause::RemoteCancel { reason_header: why } => match why {
            Some(Reason { q850: Some(27 | 34 | 38 | 41 | 42 | 44 | 47 | 58), .. }) => EndReason::TrunkError,
            Some(Reason { q850: None | Some(31 | 102), sip: Some(408 | 481 | 500..=599), .. }) => {
                EndReason::NetworkLost
            }
            _ => EndReason::CustomerHungUp,
        },
        EndCause::NotAcknowledged | EndCause::NoResponse | EndCause::DialogLost | EndCause::SessionExpired => {
            EndReason::NetworkLost
        }
        EndCause::Unreachable(_) | EndCause::Rejected { .. } | EndCause::Redirected { .. } => EndReason::TrunkError,
        EndCause::LocalHangUp => EndReason::AgentHungUp,
        EndCause::InternalError => EndReason::ServerCrash,
    }
}

/// The end reason of an unanswered outbound call: the network's cause (RFC 3326) if given, else the status.
pub fn end_reason_of_unanswered(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::Rejected { status, reason_header: why, .. } => why
            .as_ref()
            .and_then(|why| why.q850)
            .and_then(EndReason::from_q850)
            .unwrap_or_else(|| EndReason::from_sip_status(*status)),
        EndCause::LocalHangUp => EndReason::Canceled,
        EndCause::InternalError => EndReason::ServerCrash,
        _ => EndReason::TrunkError,
    }
}

/// Status, cause and text of an end, for the call's `signalling` field.
pub fn reason_facts(cause: &EndCause) -> Map<String, Value> {
    let mut facts = Map::new();
    let why = match cause {
        EndCause::RemoteBye { reason_header: why } | EndCause::RemoteCancel { reason_header: why } => why.as_ref(),
        EndCause::Rejected { status, reason, reason_header: why, .. } => {
            facts.insert("sip_status".to_owned(), json!(status));
            facts.insert("sip_reason".to_owned(), json!(reason));
            why.as_ref()
        }
        EndCause::Redirected { status, .. } => {
            facts.insert("sip_status".to_owned(), json!(status));
            None
        }
        EndCause::Unreachable(why) => {
            facts.insert("problem".to_owned(), json!(why));
            None
        }
        EndCause::NoResponse => {
            facts.insert("problem".to_owned(), json!("no answer from the trunk"));
            None
        }
        EndCause::SessionExpired => {
            facts.insert("problem".to_owned(), json!("the session was not refreshed in time"));
            None
        }
        EndCause::LocalHangUp | EndCause::NotAcknowledged | EndCause::DialogLost | EndCause::InternalError => None,
    };
    if let Some(why) = why {
        let named =
            [("reason_sip_cause", json!(why.sip)), ("q850_cause", json!(why.q850)), ("reason_text", json!(why.text))];
        facts.extend(named.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, value)| (name.to_owned(), value)));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_named_by_the_networks_cause() {
        let why = |sip, q850| Some(Reason { sip, q850, text: None });
        for (status, q850, wanted) in [
            (480, Some(17), EndReason::Busy),
            (480, Some(1), EndReason::InvalidNumber),
            (503, Some(21), EndReason::Rejected),
            (503, Some(34), EndReason::TrunkError),
            (480, None, EndReason::NoAnswer),
            (486, Some(16), EndReason::Busy),
        ] {
            let why = q850.and_then(|q850| why(None, Some(q850)));
            let cause = EndCause::Rejected { status, reason: String::new(), retry_after_s: None, reason_header: why };
            assert_eq!(end_reason_of_unanswered(&cause), wanted, "{status} {q850:?}");
        }
        for (sip, q850, wanted) in [
            (None, Some(16), EndReason::CustomerHungUp),
            (None, Some(38), EndReason::TrunkError),
            (Some(408), None, EndReason::NetworkLost),
            (Some(200), None, EndReason::CustomerHungUp),
        ] {
            assert_eq!(
                end_reason_of_cause(&EndCause::RemoteBye { reason_header: why(sip, q850) }),
                wanted,
                "{sip:?} {q850:?}"
            );
        }
        assert_eq!(end_reason_of_cause(&EndCause::RemoteBye { reason_header: None }), EndReason::CustomerHungUp);
    }
}
