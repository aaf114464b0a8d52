//! What is left to do for a call when handling it has failed for a defect of ours.

use super::{CallId, Endpoint, Session};
use crate::sip::failure::Cause;
use std::time::Instant;

impl Endpoint {
    pub fn knows(&self, call: CallId) -> bool {
        self.sessions.contains_key(&call)
    }

    /// The calls of a Call-ID: one, or several where a call of ours came round.
    pub fn calls_of(&self, call_id: &str) -> Vec<CallId> {
        let of = |(call, session): (&CallId, &Session)| (session.call_id == call_id).then_some(*call);
        self.sessions.iter().filter_map(of).collect()
    }

    /// A session is gone, as after a panic in the middle of its work.
    #[cfg(test)]
    pub(crate) fn forget_call(&mut self, call: CallId) {
        self.sessions.remove(&call);
    }

    /// Transactions and timers are gone, as after a panic that came while they were in somebody's hands.
    #[cfg(test)]
    pub(crate) fn forget_transactions(&mut self) {
        self.servers.clear();
        self.timers.clear();
    }

    /// Ends a call for a defect of ours: its owner is told so, its peer as far as the call's state lets us.
    pub fn give_up(&mut self, now: Instant, call: CallId) {
        self.end(now, call, Cause::Defect);
        if self.reject(now, call, 500, None).is_err() {
            let _ = self.hang_up(now, call); // it may be over already
        }
    }
}
