//! All sessions, found by call or by dialog, and how many of them count as calls.

use super::session_mode::{DialogIds, SessionMode, SipSession};
use crate::limits;
use crate::sip::user_agent::event::CallId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Table capacity that is never released.
const CAPACITY_KEPT: usize = 256;
/// How long a new call may stay unattended before further calls are rejected. A caller retransmits after 500 ms (RFC
/// 3261 timer A).
const UNATTENDED_WAIT_MAX: Duration = Duration::from_millis(300);

/// The sessions. Modes change through it alone, so that the counts are exact.
#[derive(Debug, Default)]
pub(crate) struct SessionTable {
    sessions: HashMap<CallId, SipSession>,
    /// Call-ID and local tag to call.
    dialogs: HashMap<String, CallId>,
    /// Calls whose owner has not been told of their end: what `calls_max` counts.
    open: usize,
    /// Sessions of probes.
    probes: usize,
    /// Calls that ended and whose last transaction may go on, the oldest first; some are gone already.
    lingering: VecDeque<CallId>,
    /// Unattended incoming calls, oldest first.
    unattended: VecDeque<(Instant, CallId)>,
    last_call: u64,
}

impl SessionTable {
    /// The id of a new call; counts up from 1.
    pub(crate) fn new_call(&mut self) -> CallId {
        self.last_call = self.last_call.wrapping_add(1); // 2^64 calls later
        CallId(self.last_call)
    }

    /// Adds a call of ours, a registration or a probe.
    pub(crate) fn insert(&mut self, call: CallId, session: SipSession) {
        self.open = self.open.saturating_add(usize::from(session.mode.is_open_call()));
        self.probes = self.probes.saturating_add(usize::from(session.is_options_probe()));
        if session.mode.is_open_call() {
            self.dialogs.insert(dialog_key(&session.ids.call_id, &session.ids.local_tag), call);
        }
        self.sessions.insert(call, session);
    }

    /// Adds a call of the peer, which its owner has to attend to.
    pub(crate) fn insert_incoming(&mut self, now: Instant, call: CallId, session: SipSession) {
        self.insert(call, session);
        self.unattended.push_back((now, call));
    }

    pub(crate) fn get(&self, call: CallId) -> Option<&SipSession> {
        self.sessions.get(&call)
    }

    pub(crate) fn get_mut(&mut self, call: CallId) -> Option<&mut SipSession> {
        self.sessions.get_mut(&call)
    }

    pub(crate) fn contains(&self, call: CallId) -> bool {
        self.sessions.contains_key(&call)
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CallId, &SipSession)> {
        self.sessions.iter().map(|(call, session)| (*call, session))
    }

    /// The call of a dialog: Call-ID and our tag.
    pub(crate) fn find_dialog(&self, call_id: &str, local_tag: &str) -> Option<CallId> {
        self.dialogs.get(&dialog_key(call_id, local_tag)).copied()
    }

    /// Calls that have not ended for their owner.
    pub(crate) fn open_calls(&self) -> usize {
        self.open
    }

    pub(crate) fn probes(&self) -> usize {
        self.probes
    }

    /// Moves a session to its next mode; `change` also gives what the caller needs of the old one.
    pub(crate) fn transition<T>(
        &mut self, call: CallId, change: impl FnOnce(SessionMode) -> (SessionMode, T),
    ) -> Option<T> {
        self.transition_with_ids(call, |mode, _| change(mode))
    }

    /// The same, for a change that needs the session's names.
    pub(crate) fn transition_with_ids<T>(
        &mut self, call: CallId, change: impl FnOnce(SessionMode, &DialogIds) -> (SessionMode, T),
    ) -> Option<T> {
        let SipSession { ids, mode, server_names } = self.sessions.remove(&call)?;
        let was_open = mode.is_open_call();
        let (mode, rest) = change(mode, &ids);
        match (was_open, mode.is_open_call()) {
            (true, false) => self.open = self.open.saturating_sub(1),
            (false, true) => self.open = self.open.saturating_add(1),
            (true, true) | (false, false) => {}
        }
        self.sessions.insert(call, SipSession { ids, mode, server_names });
        Some(rest)
    }

    pub(crate) fn remove(&mut self, call: CallId) -> Option<SipSession> {
        let session = self.sessions.remove(&call)?;
        self.open = self.open.saturating_sub(usize::from(session.mode.is_open_call()));
        self.probes = self.probes.saturating_sub(usize::from(session.is_options_probe()));
        self.dialogs.remove(&dialog_key(&session.ids.call_id, &session.ids.local_tag));
        Some(session)
    }

    /// A call has ended for its owner, and its session lives on. A peer that does not answer BYE keeps each ended call
    /// for 32 seconds: if there are too many, this gives the oldest, which have to be removed with their transactions.
    pub(crate) fn record_lingering(&mut self, call: CallId) -> HashSet<CallId> {
        self.lingering.push_back(call);
        if self.lingering.len() <= limits::LINGERING_CALLS_MAX {
            return HashSet::new();
        }
        let sessions = &self.sessions;
        self.lingering.retain(|call| sessions.contains_key(call));
        if self.lingering.len() <= limits::LINGERING_CALLS_MAX / 4 * 3 {
            return HashSet::new();
        }
        let over = self.lingering.len().saturating_sub(limits::LINGERING_CALLS_MAX / 2);
        self.lingering.drain(..over).collect()
    }

    /// True if calls arrive faster than their owners attend to them.
    pub(crate) fn must_shed_load(&mut self, now: Instant) -> bool {
        let sessions = &self.sessions;
        let is_unattended = |call: &CallId| sessions.get(call).is_some_and(SipSession::is_unattended);
        while self.unattended.front().is_some_and(|(_, call)| !is_unattended(call)) {
            self.unattended.pop_front();
        }
        let is_overdue = |unattended: &VecDeque<(Instant, CallId)>| {
            let oldest = unattended.front().filter(|_| unattended.len() > limits::UNATTENDED_MIN);
            oldest.is_some_and(|(since, _)| now.saturating_duration_since(*since) > UNATTENDED_WAIT_MAX)
        };
        if !is_overdue(&self.unattended) {
            return false;
        }
        // Remove attended calls behind one slow owner from the queue.
        self.unattended.retain(|(_, call)| is_unattended(call));
        is_overdue(&self.unattended)
    }

    /// Computes everything that follows from the sessions anew, after a panic in the middle of a change.
    pub(crate) fn repair(&mut self) {
        let sessions = &self.sessions;
        self.dialogs.retain(|key, call| {
            sessions.get(call).is_some_and(|s| *key == dialog_key(&s.ids.call_id, &s.ids.local_tag))
        });
        self.open = sessions.values().filter(|session| session.mode.is_open_call()).count();
        self.probes = sessions.values().filter(|session| session.is_options_probe()).count();
    }

    /// Returns memory after a peak.
    pub(crate) fn shrink(&mut self) {
        if self.sessions.capacity() > CAPACITY_KEPT && self.sessions.len().saturating_mul(8) < self.sessions.capacity()
        {
            self.sessions.shrink_to(CAPACITY_KEPT);
            self.dialogs.shrink_to(CAPACITY_KEPT);
        }
    }
}

/// For the tests of the repair: parts of the state are lost or wrong.
#[cfg(test)]
impl SessionTable {
    pub(crate) fn forget_session(&mut self, call: CallId) {
        self.sessions.remove(&call);
    }

    pub(crate) fn dialogs(&mut self) -> &mut HashMap<String, CallId> {
        &mut self.dialogs
    }
}

fn dialog_key(call_id: &str, local_tag: &str) -> String {
    format!("{call_id}\n{local_tag}")
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::super::established::CallRights;
    use super::super::inviting::Inviting;
    use super::super::pending_request::PendingRequest;
    use super::super::terminating::{LastRequest, Terminating};
    use super::*;

    fn session(tag: u64) -> SipSession {
        let ids = DialogIds { call_id: "c".into(), local_tag: tag.to_string(), contact_user: None };
        let inviting = Inviting::new(None, CallRights { trunk: None, accept_refer: false }, Vec::new());
        SipSession::new(ids, SessionMode::Inviting(Box::new(inviting)))
    }

    fn over(now: Instant) -> SessionMode {
        let last = LastRequest::Unregister { authenticator: None };
        SessionMode::Terminating(Box::new(Terminating::new(now, last)))
    }

    #[test]
    fn calls_count_until_their_owner_knows_of_the_end() {
        let now = Instant::now();
        let mut table = SessionTable::default();
        let (one, two, probe) = (table.new_call(), table.new_call(), table.new_call());
        table.insert(one, session(1));
        table.insert(two, session(2));
        let mode = SessionMode::Probing { request: PendingRequest::Resolving, authenticator: None, drop_at: now };
        let ids = DialogIds { call_id: "p".into(), local_tag: "p".into(), contact_user: None };
        table.insert(probe, SipSession::new(ids, mode));
        assert_eq!((table.open_calls(), table.probes(), table.len()), (2, 1, 3));
        assert_eq!((table.find_dialog("c", "2"), table.find_dialog("p", "p")), (Some(two), None));
        table.transition(one, |_| (over(now), ()));
        assert_eq!((table.open_calls(), table.len()), (1, 3));
        table.forget_session(two);
        table.dialogs().insert("stray".into(), one);
        table.repair();
        assert_eq!((table.open_calls(), table.find_dialog("c", "2"), table.dialogs().len()), (0, None, 1));
        table.remove(one);
        table.remove(probe);
        assert_eq!((table.probes(), table.len(), table.dialogs().len()), (0, 0, 0));
    }

    #[test]
    fn only_the_oldest_ended_calls_are_dropped_and_only_when_there_are_too_many() {
        let now = Instant::now();
        let mut table = SessionTable::default();
        let max = limits::LINGERING_CALLS_MAX as u64;
        let end_calls = |table: &mut SessionTable, tags: std::ops::Range<u64>| {
            for n in tags {
                let call = table.new_call();
                table.insert(call, session(n));
                table.transition(call, |_| (over(now), ()));
                assert!(table.record_lingering(call).is_empty(), "{n}");
            }
        };
        end_calls(&mut table, 0..max);
        // The sessions of a third of them end as they should: there is room for as many more.
        for n in 1..=max / 3 {
            assert!(table.remove(CallId(3 * n)).is_some());
        }
        end_calls(&mut table, max..max + max / 3);
        let call = table.new_call();
        table.insert(call, session(0));
        let gone = table.record_lingering(call);
        assert_eq!(gone.len(), limits::LINGERING_CALLS_MAX / 2 + 1);
        assert!(gone.contains(&CallId(1)) && !gone.contains(&call));
    }
}
