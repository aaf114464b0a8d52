//! An INVITE that takes the place of a call there is (RFC 3891).

use super::{CallId, Endpoint, SessionState, dialog_key};
use crate::sip::message::{HeaderName, Request, uri};

impl Endpoint {
    /// The call an INVITE wants to replace; the status of its refusal when it cannot.
    pub(super) fn replaced_call(&self, request: &Request) -> Result<Option<CallId>, u16> {
        let name = HeaderName::Replaces;
        let Some(value) = request.headers.get(&name) else { return Ok(None) };
        if request.headers.count(&name) > 1 {
            return Err(400);
        }
        let (call_id, params) = value.find(';').map_or((value, ""), |at| value.split_at(at));
        let (Some(to_tag), Some(from_tag)) = (uri::param(params, "to-tag"), uri::param(params, "from-tag")) else {
            return Err(400);
        };
        let call = self.dialogs.get(&dialog_key(call_id.trim(), to_tag)).copied();
        match call.and_then(|call| Some((call, &self.sessions.get(&call)?.state))) {
            Some((call, SessionState::Established { dialog, .. })) if dialog.remote_tag == from_tag => {
                // Only a ringing call was meant (section 3).
                if uri::param(params, "early-only").is_some() { Err(486) } else { Ok(Some(call)) }
            }
            // Section 3: a dialog that has ended is declined, one that never was is not known.
            Some((_, SessionState::Closing)) => Err(603),
            _ => Err(481),
        }
    }
}
