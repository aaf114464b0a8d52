//! Maps how a SIP dialog ended (status, Q.850 cause, Reason) and how far a REFER is to the words of a call's record.

use crate::domain::end_reason::EndReason;
use crate::machine::ReferProgress;
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
        user_agent::ReferStatus::Ended => ReferProgress::Ended,
    }
}

/// The end reason of an answered call. Networks that clear a call put the cause into Reason.
pub fn end_reason_of_cause(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::RemoteBye { reason_header: why } | EndCause::RemoteCancel { reason_header: why } => match why {
            Some(Reason { q850: Some(27 | 34 | 38 | 41 | 42 | 44 | 47 | 58 | 65 | 88), .. }) => EndReason::TrunkError,
            Some(Reason { q850: None | Some(31), sip: Some(488 | 606), .. }) => EndReason::TrunkError,
            Some(Reason { q850: None | Some(31 | 102), sip: Some(408 | 481 | 500..=599), .. }) => {
                EndReason::NetworkLost
            }
            _ => EndReason::CustomerHungUp,
        },
        EndCause::NotAcknowledged | EndCause::NoResponse | EndCause::DialogLost | EndCause::SessionExpired => {
            EndReason::NetworkLost
        }
        EndCause::Unreachable(_)
        | EndCause::Rejected { .. }
        | EndCause::Redirected { .. }
        | EndCause::UnusableMedia => EndReason::TrunkError,
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

/// The end reason of an inbound call whose peer did not acknowledge our answer before the dialog ended.
pub fn end_reason_before_ack(cause: &EndCause) -> EndReason {
    match cause {
        EndCause::RemoteCancel { .. } => EndReason::Canceled,
        EndCause::RemoteBye { .. } => EndReason::CustomerHungUp,
        EndCause::InternalError => EndReason::ServerCrash,
        EndCause::UnusableMedia => EndReason::TrunkError,
        _ => EndReason::NetworkLost,
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
        EndCause::UnusableMedia => {
            facts.insert("problem".to_owned(), json!("the media that the peer described cannot be used"));
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

/// Takes out what was said of attempts before the one that was answered, which is what the call is.
pub fn forget_refusal(facts: &mut Map<String, Value>) {
    for name in ["sip_status", "sip_reason", "problem", "reason_sip_cause", "q850_cause", "reason_text"] {
        facts.remove(name);
    }
}

#[cfg(test)]
mod tests;
