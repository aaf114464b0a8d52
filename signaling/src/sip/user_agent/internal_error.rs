//! Ends a call after an internal error.

use super::{CallId, SipSession, UserAgent};
use crate::sip::end_cause::EndCause;
use std::time::Instant;

impl UserAgent {
    /// Returns whether a session with this id exists; an ended call keeps one until its last transaction is over.
    pub fn has_call(&self, call: CallId) -> bool {
        self.sessions.contains_key(&call)
    }

    /// The calls with a Call-ID: several if a call of ours looped back to us.
    pub fn calls_with_call_id(&self, call_id: &str) -> Vec<CallId> {
        let of = |(call, session): (&CallId, &SipSession)| (session.call_id == call_id).then_some(*call);
        self.sessions.iter().filter_map(of).collect()
    }

    /// A session is gone, as after a panic in the middle of its work.
    #[cfg(test)]
    pub(crate) fn forget_call(&mut self, call: CallId) {
        self.sessions.remove(&call);
    }

    /// Transactions and timers are gone, as after a panic in code that had taken them.
    #[cfg(test)]
    pub(crate) fn forget_transactions(&mut self) {
        self.servers.clear();
        self.timers.clear();
    }

    /// Ends a call after an internal error: reports it to the owner and, if the state permits, rejects or ends it
    /// towards the peer.
    pub fn end_failed_call(&mut self, now: Instant, call: CallId) {
        self.record_end(now, call, EndCause::InternalError);
        if self.reject(now, call, 500, None).is_err() {
            let _ = self.hang_up(now, call); // it may be over already
        }
    }
}
