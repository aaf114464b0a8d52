//! Calls over trunks: asks for the INVITE with what this process knows of the trunk.

use super::trunk_service::TrunkService;
use crate::domain::trunk::Trunk;
use crate::invite::{self, InviteError};
use trunkline_signaling::sip::user_agent::InviteRequest;

pub(super) use crate::invite::{InviteParams, custom_headers, with_referrer};

/// An INVITE over a trunk; none when the trunk only receives or may not call there.
pub(super) fn invite(trunks: &TrunkService, trunk: &Trunk, params: InviteParams<'_>) -> Option<InviteRequest> {
    match invite::invite(trunk, &trunks.states.in_order(trunk), trunks.local_host(), params) {
        Ok(invite) => Some(invite),
        Err(error) => {
            if matches!(error, InviteError::NumberDenied | InviteError::UriDenied) {
                tracing::warn!(trunk = %trunk.id, "{error}");
            }
            None
        }
    }
}
