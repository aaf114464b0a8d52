//! What an answered call does about REFER and Replaces of its peer, and how it calls a second party.
//!
//! Pure: the driver negotiates, sends and reports.

use crate::domain::attestation::Attestation;
use crate::domain::call::{Call, Direction};
use crate::domain::phone_number::Destination;
use crate::domain::transfer::TransferTarget;
use crate::domain::trunk::TrunkFields;

/// What a REFER meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferSituation {
    /// It came over the dialog that carries the call, and nobody is being called yet.
    Possible,
    /// A third party is being called already.
    Calling,
    /// It came over another dialog than the one that carries the call.
    OtherDialog,
    /// The dialog is WebRTC: a new dialog could not take over ICE and keys.
    WebRtc,
}

impl ReferSituation {
    /// Tells the situation from the facts of the dialog.
    pub fn of(is_calling: bool, is_this_dialog: bool, is_webrtc: bool) -> Self {
        match (is_calling, is_this_dialog, is_webrtc) {
            (true, ..) => Self::Calling,
            (_, false, _) => Self::OtherDialog,
            (.., true) => Self::WebRtc,
            _ => Self::Possible,
        }
    }
}

/// Our number in a call over a trunk, as a party that its peer refers us to sees it.
pub fn our_number(call: &Call) -> &str {
    match call.direction {
        Direction::Inbound => &call.to_number,
        Direction::Outbound | Direction::Web | Direction::Chat => &call.from_number,
    }
}

/// The caller id of a consultation call; empty for the user part of the trunk, or none.
pub fn consultation_from(call: &Call) -> &str {
    match call.direction {
        Direction::Inbound => &call.to_number,
        Direction::Outbound => &call.from_number,
        // A browser has no number.
        Direction::Web | Direction::Chat => "",
    }
}

/// Why a dialog may not replace the call's dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacesError {
    /// The call's dialog is WebRTC: a new one could not take over ICE and keys.
    WebRtc,
    /// The trunk requires an attestation, or is unknown. Verifying an Identity header may take seconds, which the
    /// conversation does not have.
    NeedsAttestation,
    /// The new dialog has dialled a number of another organization.
    OtherOrganization,
}

impl ReplacesError {
    /// Status of the response to the new INVITE.
    pub fn sip_status(self) -> u16 {
        match self {
            Self::WebRtc => 488,
            Self::NeedsAttestation => 403,
            Self::OtherOrganization => 481,
        }
    }
}

/// Whether a call's dialog may be replaced at all. `required` is what the call's trunk requires of its callers; the
/// outer `None` stands for an unknown trunk.
pub fn may_be_replaced(is_webrtc: bool, required: Option<Option<Attestation>>) -> Result<(), ReplacesError> {
    match (is_webrtc, required) {
        (true, _) => Err(ReplacesError::WebRtc),
        (false, Some(None)) => Ok(()),
        (false, None | Some(Some(_))) => Err(ReplacesError::NeedsAttestation),
    }
}

/// The URI of a REFER. A bare number is dialled at the trunk's host; it becomes a `tel:` URI without one.
pub fn refer_uri(target: &TransferTarget, trunk: Option<&TrunkFields>) -> String {
    match (target.uri(), target.destination()) {
        (None, Some(Destination::Number(number))) => {
            let host = trunk.and_then(|trunk| Some((trunk, trunk.host.as_deref()?)));
            host.map_or(format!("tel:{number}"), |(trunk, host)| {
                let port = trunk.port.map_or(String::new(), |port| format!(":{port}"));
                format!("sip:{}@{host}{port}", trunk.dial(&number))
            })
        }
        (uri, _) => uri.unwrap_or(target.as_str()).to_owned(),
    }
}

/// Whether the URI of a REFER depends on the trunk's settings.
pub fn refer_needs_trunk(target: &TransferTarget) -> bool {
    target.uri().is_none() && matches!(target.destination(), Some(Destination::Number(_)))
}

#[cfg(test)]
mod tests;
