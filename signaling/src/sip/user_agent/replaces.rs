//! INVITE with Replaces (RFC 3891). The dialog identifiers do not authenticate the caller (section 8), so it must
//! belong to the trunk of the replaced call.

use super::agent::UserAgent;
use super::event::CallId;
use super::inbound_trunks::{TrunkCandidates, TrunkKey};
use super::session::{LastRequest, SessionMode};
use crate::sip::message::scan::{param, split_before};
use crate::sip::message::{HeaderName, Request};

/// Why a call cannot be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplacesError {
    Rejected(u16),
    /// The call is another trunk's, and credentials may show that the caller is that trunk's too.
    NotAuthenticated,
}

/// The call to be replaced and its trunk, which becomes that of the new one.
pub(super) type ReplacedCall = (CallId, TrunkKey);

impl UserAgent {
    /// The call an INVITE wants to replace; the reason when it cannot.
    pub(super) fn find_replaced_call(
        &self, request: &Request, candidates: &TrunkCandidates,
    ) -> Result<Option<ReplacedCall>, ReplacesError> {
        let name = HeaderName::Replaces;
        let Some(value) = request.headers.get(&name) else { return Ok(None) };
        let refused = |status| Err(ReplacesError::Rejected(status));
        if request.headers.count(&name) > 1 {
            return refused(400);
        }
        let (call_id, params) = split_before(value, ';');
        let param = |name| param(params, name);
        let (Some(to_tag), Some(from_tag)) = (param("to-tag"), param("from-tag")) else { return refused(400) };
        let call = self.sessions.find_dialog(call_id.trim(), to_tag);
        let Some((call, session)) = call.and_then(|call| Some((call, self.sessions.get(call)?))) else {
            return refused(481);
        };
        // Nothing is revealed about calls of other trunks, not even that they have ended.
        let Some(trunk) = session.trunk().cloned().filter(|trunk| candidates.contains(trunk)) else {
            let may_prove = !candidates.is_proven() && self.admission.trunks().have_credentials();
            return if may_prove { Err(ReplacesError::NotAuthenticated) } else { refused(481) };
        };
        let remote_tag = match session.mode() {
            SessionMode::AnswerDue(due) => &due.established.dialog.remote_tag,
            SessionMode::Confirmed(confirmed) => &confirmed.established.dialog.remote_tag,
            // Section 3: a dialog that has ended is declined, one that never was is not known.
            SessionMode::Terminating(over) if matches!(over.last, LastRequest::Bye { .. }) => return refused(603),
            _ => return refused(481),
        };
        if remote_tag != from_tag {
            return refused(481);
        }
        // Only a ringing call was meant (section 3).
        if param("early-only").is_some() { refused(486) } else { Ok(Some((call, trunk))) }
    }
}
