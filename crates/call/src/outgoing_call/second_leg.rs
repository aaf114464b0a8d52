//! Whether a call may have a second leg, and where to: decisions before its INVITE.

use crate::admission::LimitExceededError;
use crate::domain::end_reason::EndReason;
use crate::domain::phone_number::Destination;
use crate::domain::transfer::TransferTarget;
use crate::domain::trunk::TrunkFields;

/// Why a second leg is refused.
#[derive(Clone, Copy, Debug)]
pub enum SecondLegError {
    /// The call has no trunk, or the trunk cannot be read.
    NoTrunk,
    /// A limit is reached.
    Denied(LimitExceededError),
}

impl SecondLegError {
    /// Why the transfer failed.
    pub fn end_reason(self) -> EndReason {
        match self {
            Self::NoTrunk | Self::Denied(LimitExceededError::DailyLimit) => EndReason::TrunkError,
            Self::Denied(_) => EndReason::Overload,
        }
    }

    /// The status that a referrer reads in its NOTIFY.
    pub fn refer_status(self) -> u16 {
        match self {
            Self::NoTrunk => 500,
            Self::Denied(denied) => denied.sip_status(),
        }
    }
}

/// The destination of a transfer over a trunk, or why it is none.
pub fn transfer_destination(target: &TransferTarget, trunk: &TrunkFields) -> Result<Destination, EndReason> {
    let destination = target.destination().ok_or(EndReason::InvalidNumber)?;
    match destination {
        // A URI names its own host: the trunk must allow SIP URIs, as for tasks.
        Destination::SipUri(_) if !trunk.allow_sip_uri => Err(EndReason::TrunkError),
        destination => Ok(destination),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_second_leg_has_its_reason_and_its_status() {
        let full = SecondLegError::Denied(LimitExceededError::Concurrent { trunk: None });
        let daily = SecondLegError::Denied(LimitExceededError::DailyLimit);
        for (error, reason, status) in [
            (SecondLegError::NoTrunk, EndReason::TrunkError, 500),
            (full, EndReason::Overload, 486),
            (daily, EndReason::TrunkError, 480),
        ] {
            assert_eq!((error.end_reason(), error.refer_status()), (reason, status), "{error:?}");
        }
    }

    #[test]
    fn a_transfer_to_a_uri_needs_a_trunk_that_allows_uris() {
        let trunk = |allow: bool| {
            serde_json::from_value::<TrunkFields>(serde_json::json!({"name": "T", "allow_sip_uri": allow})).unwrap()
        };
        let to = |target: &str, allow| {
            transfer_destination(&TransferTarget::parse(target).unwrap(), &trunk(allow))
                .map(|to| to.as_str().to_owned())
        };
        assert_eq!(to("tel:+15550123", false), Ok("+15550123".to_owned()));
        assert_eq!(to("sip:desk@pbx.example", true), Ok("sip:desk@pbx.example".to_owned()));
        assert_eq!(to("sip:desk@pbx.example", false), Err(EndReason::TrunkError));
    }
}
