//! Panic containment: a panic costs the message it came with and the call of that message. Also the self-check by which
//! the process tells that SIP works.
//!
//! Received messages may panic any number of times; ending the service would be what an attacker wants. If internal
//! work (timers, sending) panics repeatedly, the state is broken and the task ends.

use super::driver::SipDriver;
use super::self_checks::InternalWork;
use crate::sip::message::parse::{self, ParsedMessage};
use crate::sip::message::{HeaderName, Headers, SipMessage};
use crate::sip::transport::TransportAddress;
use crate::sip::user_agent::CallId;
use std::time::{Duration, Instant};
use trunkline_supervision::contain_sync;

/// Minimum interval of repairs. A repair scans all state, so a flood of panicking messages must not trigger one each.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(100);

impl SipDriver {
    pub(super) fn run_internal(&mut self, kind: InternalWork, work: impl FnOnce(&mut Self)) {
        let panicked = contain_sync("sip", || work(&mut *self)).is_err();
        if panicked {
            self.recover();
        }
        if let Some(in_a_row) = self.self_checks.own_panics.get_mut(kind as usize) {
            *in_a_row = if panicked { *in_a_row + 1 } else { 0 };
        }
    }

    /// Runs work for a call; a panic ends that call.
    pub(super) fn run_contained(&mut self, call: Option<CallId>, work: impl FnOnce(&mut Self)) {
        if contain_sync("sip_message", || work(&mut *self)).is_err() {
            self.recover();
            if let Some(call) = call {
                self.end_failed_call(Instant::now(), call);
            }
        }
    }

    /// A datagram. The call that a message is for ends when the message cannot be handled.
    pub(super) fn handle_datagram_contained(&mut self, now: Instant, bytes: &[u8], work: impl FnOnce(&mut Self)) {
        if contain_sync("sip_message", || work(&mut *self)).is_ok() {
            return;
        }
        self.recover();
        let parsed = contain_sync("sip_message", || parse::datagram(bytes));
        if let Some(call_id) = parsed.ok().as_ref().and_then(call_id) {
            self.end_failed_calls(now, &call_id);
        }
    }

    /// The same for a message that was framed and read by its connection.
    pub(super) fn handle_stream_contained(&mut self, now: Instant, peer: TransportAddress, parsed: ParsedMessage) {
        let call_id = call_id(&parsed);
        let handled = contain_sync("sip_message", || {
            self.user_agent.handle_stream(now, peer.transport, peer.addr, parsed);
            let trunk = self.user_agent.poll_admitted_trunk();
            if let Some(trunk) = trunk {
                for stream in self.streams.all(&peer) {
                    stream.place.assign_tenant(trunk);
                }
            }
        });
        if handled.is_err() {
            self.recover();
            if let Some(call_id) = call_id {
                self.end_failed_calls(now, &call_id);
            }
        }
    }

    /// Repairs the interrupted state at once, or in the next sweep.
    fn recover(&mut self) {
        let now = Instant::now();
        self.self_checks.sweep_needed = true;
        self.self_checks.broken = self.self_checks.recovered.is_some_and(|at| now < at + RECOVERY_INTERVAL);
        if !self.self_checks.broken {
            self.self_checks.recovered = Some(now);
            let recovered = contain_sync("sip", || self.user_agent.repair_after_panic(now));
            self.self_checks.broken = recovered.is_err(); // the sweep repeats it and counts a repeated panic
        }
    }

    fn end_failed_calls(&mut self, now: Instant, call_id: &str) {
        let calls = contain_sync("sip", || self.user_agent.calls_with_call_id(call_id)).unwrap_or_default();
        calls.into_iter().for_each(|call| self.end_failed_call(now, call));
    }

    /// Ends a call after a panic, as far as its state permits.
    fn end_failed_call(&mut self, now: Instant, call: CallId) {
        tracing::error!(call = call.0, "call ended after an internal error");
        if contain_sync("sip", || self.user_agent.end_failed_call(now, call)).is_err() {
            // If that fails too, the owner sees its queue closed.
            self.calls.remove(&call);
        }
    }

    /// Calls whose owner is gone are hung up, so that a panicked task does not leave a caller connected. Connections
    /// whose task is gone are forgotten.
    ///
    /// An owner may have rejected its call and ended before the command was read, so the `waiting` commands are
    /// executed first.
    pub(super) fn sweep(&mut self, waiting: u64) {
        let now = Instant::now();
        let (calls, commands) = (&self.calls, self.self_checks.commands);
        self.self_checks.ownerless.retain(|call, _| calls.contains_key(call));
        for (call, _) in calls.iter().filter(|(_, owner)| owner.is_closed()) {
            self.self_checks.ownerless.entry(*call).or_insert(commands + waiting);
        }
        let due = |(call, after): (&CallId, &u64)| (*after <= commands).then_some(*call);
        let gone: Vec<CallId> = self.self_checks.ownerless.iter().filter_map(due).collect();
        for call in gone {
            self.calls.remove(&call);
            self.self_checks.ownerless.remove(&call);
            if self.user_agent.reject(now, call, 500, None).is_err() {
                let _ = self.user_agent.hang_up(now, call); // it may be over already
            }
        }
        self.streams.sweep();
        let user_agent = &self.user_agent;
        self.messages.sweep(|call| user_agent.has_call(call));
        if self.self_checks.broken {
            self.user_agent.repair_after_panic(now);
            self.self_checks.broken = false;
            return; // deliver the ends of these calls first
        }
        if std::mem::take(&mut self.self_checks.sweep_needed) {
            // A panic may have lost a session; its owner sees its queue closed.
            let user_agent = &self.user_agent;
            self.calls.retain(|call, _| user_agent.has_call(*call));
        }
    }
}

fn call_id(parsed: &ParsedMessage) -> Option<String> {
    let of = |headers: &Headers| headers.get(&HeaderName::CallId).map(str::to_owned);
    match parsed {
        ParsedMessage::Message(SipMessage::Request(request)) => of(&request.headers),
        ParsedMessage::Message(SipMessage::Response(response)) => of(&response.headers),
        ParsedMessage::Invalid { headers, .. } => of(headers),
        ParsedMessage::KeepAlive { .. } | ParsedMessage::Unparseable(_) => None,
    }
}
