//! Timers: when the user agent wants to be woken, and the effect of ended transactions on calls.

use super::agent::{UserAgent, increment};
use super::client_transactions::{ClientEntry, ClientTimeout};
use super::event::CallId;
use super::server_transactions::ServerTimeout;
use super::session::SessionMode;
use super::timer_queue::{Deadline, TimerOwner};
use crate::sip::end_cause::EndCause;
use crate::sip::message::{Method, print};
use crate::sip::transaction::TimeoutAction;
use crate::sip::transaction::timers::Timer;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// When [`UserAgent::handle_timeout`] wants to be called, if at all.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        // Stale heads are dropped here so that the driver is not woken for nothing.
        while let Some((at, owner)) = self.timers.head() {
            if self.deadline(owner).is_some_and(|(due, _)| due <= at) {
                return Some(at);
            }
            if let Some(owner) = self.timers.pop() {
                self.arm_owner(owner);
            }
        }
        None
    }

    fn deadline(&self, owner: &TimerOwner) -> Option<Deadline> {
        let of_session = |at| (at, Timer::Session);
        match owner {
            TimerOwner::Server(key) => self.servers.next_timeout(key),
            TimerOwner::Client(key) => self.clients.next_timeout(key),
            TimerOwner::Session(call) => {
                self.sessions.get(*call).and_then(|session| session.next_timeout()).map(of_session)
            }
            TimerOwner::Registration(id) => self.registrations.next_timeout(id).map(of_session),
        }
    }

    /// Rebuilds the timer queue: one entry per object with a deadline.
    pub(super) fn rebuild_timers(&mut self) {
        let servers = self.servers.keys().cloned().map(TimerOwner::Server);
        let clients = self.clients.keys().cloned().map(TimerOwner::Client);
        let sessions = self.sessions.iter().map(|(call, _)| TimerOwner::Session(call));
        let registrations = self.registrations.keys().cloned().map(TimerOwner::Registration);
        let owners: Vec<TimerOwner> = servers.chain(clients).chain(sessions).chain(registrations).collect();
        let deadlines: Vec<_> = owners
            .into_iter()
            .map(|owner| {
                let deadline = self.deadline(&owner);
                (owner, deadline)
            })
            .collect();
        self.timers.rebuild(deadlines.into_iter());
    }

    fn arm_owner(&mut self, owner: TimerOwner) {
        let deadline = self.deadline(&owner);
        self.timers.arm(owner, deadline);
    }

    pub(super) fn arm_server(&mut self, key: &Arc<str>) {
        self.arm_owner(TimerOwner::Server(key.clone()));
    }

    pub(super) fn arm_client(&mut self, key: &Arc<str>) {
        self.arm_owner(TimerOwner::Client(key.clone()));
    }

    pub(super) fn arm_session(&mut self, call: CallId) {
        self.arm_owner(TimerOwner::Session(call));
    }

    pub(super) fn arm_registration(&mut self, id: &Arc<str>) {
        self.arm_owner(TimerOwner::Registration(id.clone()));
    }

    /// Sets the timeout of a server transaction whose owner has to answer.
    pub(super) fn arm_owner_timeout(&mut self, key: &Arc<str>) {
        if self.servers.is_open(key) {
            self.arm_server(key);
        }
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(owner) = self.timers.pop_due(now) {
            if self.deadline(&owner).is_none_or(|(at, _)| at > now) {
                self.arm_owner(owner);
                continue;
            }
            match &owner {
                TimerOwner::Server(key) => self.handle_server_timeout(now, key),
                TimerOwner::Client(key) => self.handle_client_timeout(now, key),
                TimerOwner::Session(call) => self.handle_session_timeout(now, *call),
                TimerOwner::Registration(id) => self.handle_registration_timeout(now, id),
            }
            self.arm_owner(owner);
        }
        self.shrink_tables();
    }

    /// Shrinks tables after a peak.
    fn shrink_tables(&mut self) {
        self.servers.shrink();
        self.clients.shrink();
        self.sessions.shrink();
        let held = [self.servers.len(), self.clients.len(), self.sessions.len(), self.registrations.len()];
        if self.timers.has_many_stale(held.into_iter().fold(0, usize::saturating_add)) {
            self.rebuild_timers();
        }
        self.timers.shrink();
    }

    fn handle_server_timeout(&mut self, now: Instant, key: &Arc<str>) {
        let Some(ServerTimeout { action, reply_to, call, is_terminated }) = self.servers.handle_timeout(now, key)
        else {
            return;
        };
        match action {
            TimeoutAction::Retransmit(bytes) => {
                increment(&mut self.counters.retransmitted);
                self.send(reply_to, bytes);
            }
            TimeoutAction::OwnerTimedOut => self.answer_for_owner(now, call, key),
            TimeoutAction::TimedOut | TimeoutAction::Nothing => {}
        }
        if is_terminated {
            self.servers.remove(key);
            // A call that still waits for the ACK of this transaction will not get it.
            if let Some(call) = call {
                self.handle_missing_ack(now, call, key);
            }
        }
    }

    /// The owner did not answer a request: sends 504 and ends a ringing call.
    fn answer_for_owner(&mut self, now: Instant, call: Option<CallId>, key: &Arc<str>) {
        self.reply(now, key, 504, |_| {});
        let Some((call, session)) = call.and_then(|call| Some((call, self.sessions.get_mut(call)?))) else { return };
        session.forget_remote_request(key);
        if matches!(session.mode(), SessionMode::Ringing(ringing) if ringing.tx == *key) {
            self.end_call(now, call, EndCause::InternalError);
        }
    }

    fn handle_client_timeout(&mut self, now: Instant, key: &Arc<str>) {
        let Some(ClientTimeout { action, to, call, is_terminated }) = self.clients.handle_timeout(now, key) else {
            return;
        };
        let is_timed_out = action == TimeoutAction::TimedOut;
        if let TimeoutAction::Retransmit(bytes) = action {
            increment(&mut self.counters.retransmitted);
            self.send_in_transaction(key, bytes, Some(key));
        }
        if is_timed_out {
            self.mark_silent(now, call, to);
            // A NAT may have forgotten the connection, which looks open from here.
            let is_register = self.clients.get(key).is_some_and(|tx| tx.request.method == Method::Register);
            if is_register && to.address.transport.is_reliable() {
                self.dead_connections.push_back(to.address);
            }
            if self.fail_over(now, key, EndCause::NoResponse) {
                return self.clients.linger(now, key);
            }
        }
        if is_terminated && let Some(tx) = self.clients.remove(key) {
            if is_timed_out && !tx.is_abandoned() {
                self.handle_client_failure(now, tx, EndCause::NoResponse);
            } else if let (Method::Invite, Some(call)) = (&tx.request.method, tx.call) {
                self.handle_invite_terminated(now, call);
            }
        }
    }

    /// The INVITE transaction is gone: removes a session that was only kept for a late 200.
    fn handle_invite_terminated(&mut self, now: Instant, call: CallId) {
        if self.sessions.get(call).is_some_and(|session| session.is_canceling()) {
            self.remove_session(now, call);
        }
    }

    /// A message of this client transaction could not be sent.
    pub fn handle_unreachable(&mut self, now: Instant, transaction: &Arc<str>, why: &str) {
        let Some((call, to)) = self.clients.get(transaction).map(|tx| (tx.call, tx.to)) else { return };
        self.mark_silent(now, call, to);
        let cause = EndCause::Unreachable(why.to_owned());
        if self.fail_over(now, transaction, cause.clone()) {
            self.clients.remove(transaction);
        } else if let Some(tx) = self.clients.remove(transaction).filter(|tx| !tx.is_abandoned()) {
            self.handle_client_failure(now, tx, cause);
        }
    }

    /// The connection that this request went over was closed before any response, maybe because it had been idle for too
    /// long: the same bytes go out once more, over a new one. Whoever has them already takes them for a repetition.
    pub(super) fn handle_connection_failure(&mut self, now: Instant, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key).filter(|tx| !tx.is_abandoned()) else { return };
        if tx.claim_reconnection() {
            let bytes = print::request(&tx.request).into();
            return self.send_in_transaction(key, bytes, Some(key));
        }
        let cause = EndCause::Unreachable("the connection was closed".to_owned());
        if self.fail_over(now, key, cause.clone()) {
            self.clients.linger(now, key);
            self.arm_client(key);
        } else if let Some(tx) = self.clients.remove(key) {
            self.handle_client_failure(now, tx, cause);
        }
    }

    /// Nothing more can be tried for a transaction.
    fn handle_client_failure(&mut self, now: Instant, tx: ClientEntry, cause: EndCause) {
        self.handle_request_failure(now, tx.request.method, tx.call, cause);
    }
}
