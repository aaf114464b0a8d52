//! Why an outgoing call was not answered, and what the call's record, a referrer and a person are told about it.

use crate::domain::end_reason::EndReason;
use crate::negotiate::NegotiationError;
use crate::sip_causes::{end_reason_of_unanswered, reason_facts};
use serde_json::{Map, Value};
use thiserror::Error;
use trunkline_signaling::sip::end_cause::EndCause;

/// Why an outgoing call was not answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OutgoingCallError {
    /// The trunk only receives, or may not call this destination.
    #[error("the trunk may not call this destination")]
    NotAllowed,
    /// The SIP user agent takes no further call.
    #[error("too many calls")]
    Overloaded,
    /// The callee or the network ended the call.
    #[error("not answered: {0:?}")]
    Ended(EndCause),
    /// Nobody answered in the ring timeout.
    #[error("no answer in time")]
    NoAnswer,
    /// We gave the call up before it was answered, for this reason.
    #[error("given up: {}", .0.name())]
    GivenUp(EndReason),
    /// The 200 has no description, and no reliable response before it had one.
    #[error("answered without a description")]
    NoDescription,
    /// The description of the 200 cannot be used.
    #[error("{}", .0.reason)]
    UnusableDescription(NegotiationError),
    /// The user agent has ended.
    #[error("not answered")]
    SignalingLost,
}

impl OutgoingCallError {
    /// The end reason of the call's record.
    pub fn end_reason(&self) -> EndReason {
        match self {
            Self::Ended(cause) => end_reason_of_unanswered(cause),
            Self::Overloaded => EndReason::Overload,
            Self::NoAnswer => EndReason::NoAnswer,
            Self::GivenUp(reason) => *reason,
            Self::NotAllowed | Self::NoDescription | Self::UnusableDescription(_) | Self::SignalingLost => {
                EndReason::TrunkError
            }
        }
    }

    /// The status that a referrer reads in its NOTIFY (RFC 3515 section 2.4.5).
    pub fn refer_status(&self) -> u16 {
        match self {
            Self::Ended(EndCause::Rejected { status, .. }) => *status,
            Self::NotAllowed => 403,
            Self::Overloaded | Self::Ended(_) | Self::SignalingLost => 503,
            Self::NoAnswer | Self::GivenUp(_) | Self::NoDescription | Self::UnusableDescription(_) => 480,
        }
    }

    /// What the signalling said about it, for the call's `signalling` field.
    pub fn facts(&self) -> Map<String, Value> {
        match self {
            Self::Ended(cause) => reason_facts(cause),
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_reason_and_its_status_for_a_referrer() {
        let unusable = NegotiationError { sip_status: 488, reason: "no common codec" };
        let busy = EndCause::Rejected { status: 486, reason: "Busy".into(), retry_after_s: None, reason_header: None };
        let moved = EndCause::Redirected { status: 302, contacts: vec![] };
        for (error, reason, status) in [
            (OutgoingCallError::NotAllowed, EndReason::TrunkError, 403),
            (OutgoingCallError::Overloaded, EndReason::Overload, 503),
            (OutgoingCallError::Ended(busy), EndReason::Busy, 486),
            (OutgoingCallError::Ended(moved), EndReason::TrunkError, 503),
            (OutgoingCallError::Ended(EndCause::InternalError), EndReason::ServerCrash, 503),
            (OutgoingCallError::Ended(EndCause::NoResponse), EndReason::TrunkError, 503),
            (OutgoingCallError::NoAnswer, EndReason::NoAnswer, 480),
            (OutgoingCallError::GivenUp(EndReason::Canceled), EndReason::Canceled, 480),
            (OutgoingCallError::NoDescription, EndReason::TrunkError, 480),
            (OutgoingCallError::UnusableDescription(unusable), EndReason::TrunkError, 480),
            (OutgoingCallError::SignalingLost, EndReason::TrunkError, 503),
        ] {
            assert_eq!((error.end_reason(), error.refer_status()), (reason, status), "{error}");
        }
    }

    #[test]
    fn only_what_the_network_said_becomes_facts() {
        let moved = OutgoingCallError::Ended(EndCause::Redirected { status: 302, contacts: vec![] });
        assert_eq!(moved.facts().get("sip_status"), Some(&302.into()));
        assert!(OutgoingCallError::NoAnswer.facts().is_empty());
    }
}
