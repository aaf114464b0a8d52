//! Panic containment: a panic costs the message it came with and the call of that message. Also the self-check by which
//! the process tells that SIP works.
//!
//! Received messages may panic any number of times; ending the service would be what an attacker wants. If internal
//! work (timers, sending) panics repeatedly, the state is broken and the task ends.

use super::driver::Driver;
use crate::sip::endpoint::{Address, CallId, Transport};
use crate::sip::message::parse::{self, Parsed};
use crate::sip::message::{HeaderName, Headers, Message};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use trunkline_supervision::contain_sync;

/// Interval of the sweep for calls and connections whose owner task is gone.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Consecutive panics of internal work after which the state is considered broken.
const OWN_PANICS_MAX: u32 = 8;
/// Minimum interval of repairs. A repair scans all state, so a flood of panicking messages must not trigger one each.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum pending self-checks; they are normally sent one at a time.
const CHECKS_MAX: usize = 16;
/// Source address of self-checks: unspecified. A reliable transport needs no transaction for retransmissions.
pub(super) const CHECK_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
pub(super) const CHECK_TRANSPORT: Transport = Transport::Tcp;

const CHECK_CALL_ID: &str = "check-";

/// Pending self-checks and consecutive panics.
#[derive(Debug, Default)]
pub(super) struct Checks {
    asked: VecDeque<oneshot::Sender<u16>>,
    count: u64,
    /// In a row, of each kind of own work.
    own_panics: [u32; 3],
    /// Commands of owners that were read.
    pub(super) commands: u64,
    /// Calls whose owner is gone, and how many commands are read before they are ended.
    ownerless: HashMap<CallId, u64>,
    /// Something panicked since the last sweep: calls may be lost.
    suspect: bool,
    recovered: Option<Instant>,
    /// Something panicked and was not put right yet.
    broken: bool,
}

/// Internal work of the user agent.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnWork {
    Timer = 0,
    Output = 1,
    Sweep = 2,
}

impl Checks {
    /// The OPTIONS to be handled.
    pub(super) fn begin(&mut self, reply: oneshot::Sender<u16>) -> String {
        if self.asked.len() >= CHECKS_MAX {
            self.asked.pop_front(); // its caller has given up long ago
        }
        self.asked.push_back(reply);
        self.count += 1;
        let count = self.count;
        format!(
            "OPTIONS sip:check@0.0.0.0 SIP/2.0\r\nVia: SIP/2.0/TCP 0.0.0.0;branch=z9hG4bK-check-{count}\r\n\
             Max-Forwards: 1\r\nFrom: <sip:check@0.0.0.0>;tag={count}\r\nTo: <sip:check@0.0.0.0>\r\n\
             Call-ID: {CHECK_CALL_ID}{count}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }

    pub(super) fn answered(&mut self, bytes: &[u8]) {
        let Parsed::Message(Message::Response(response)) = parse::datagram(bytes) else { return };
        // Other messages to the check address are not the answer.
        if response.headers.call_id().starts_with(CHECK_CALL_ID)
            && let Some(reply) = self.asked.pop_front()
        {
            let _ = reply.send(response.status); // the caller may have given up
        }
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.own_panics.iter().any(|in_a_row| *in_a_row >= OWN_PANICS_MAX)
    }
}

impl Driver {
    pub(super) fn own_work(&mut self, kind: OwnWork, work: impl FnOnce(&mut Self)) {
        let panicked = contain_sync("sip", || work(&mut *self)).is_err();
        if panicked {
            self.recover();
        }
        if let Some(in_a_row) = self.checks.own_panics.get_mut(kind as usize) {
            *in_a_row = if panicked { *in_a_row + 1 } else { 0 };
        }
    }

    /// Runs work for a call; a panic ends that call.
    pub(super) fn contained(&mut self, call: Option<CallId>, work: impl FnOnce(&mut Self)) {
        if contain_sync("sip_message", || work(&mut *self)).is_err() {
            self.recover();
            if let Some(call) = call {
                self.give_up(Instant::now(), call);
            }
        }
    }

    /// A datagram. The call that a message is for ends when the message cannot be handled.
    pub(super) fn heard(&mut self, now: Instant, bytes: &[u8], work: impl FnOnce(&mut Self)) {
        if contain_sync("sip_message", || work(&mut *self)).is_ok() {
            return;
        }
        self.recover();
        let parsed = contain_sync("sip_message", || parse::datagram(bytes));
        if let Some(call_id) = parsed.ok().as_ref().and_then(call_id) {
            self.give_up_all(now, &call_id);
        }
    }

    /// The same for a message that was framed and read by its connection.
    pub(super) fn heard_on_stream(&mut self, now: Instant, peer: Address, parsed: Parsed) {
        let call_id = call_id(&parsed);
        let handled = contain_sync("sip_message", || {
            self.endpoint.handle_stream(now, peer.transport, peer.addr, parsed);
            let vouched = self.endpoint.poll_vouched();
            if let Some(trunk) = vouched {
                for stream in self.streams.all(&peer) {
                    stream.place.vouch(trunk);
                }
            }
        });
        if handled.is_err() {
            self.recover();
            if let Some(call_id) = call_id {
                self.give_up_all(now, &call_id);
            }
        }
    }

    /// Repairs the interrupted state at once, or in the next sweep.
    fn recover(&mut self) {
        let now = Instant::now();
        self.checks.suspect = true;
        self.checks.broken = self.checks.recovered.is_some_and(|at| now < at + RECOVERY_INTERVAL);
        if !self.checks.broken {
            self.checks.recovered = Some(now);
            let recovered = contain_sync("sip", || self.endpoint.recover(now));
            self.checks.broken = recovered.is_err(); // the sweep repeats it and counts a repeated panic
        }
    }

    fn give_up_all(&mut self, now: Instant, call_id: &str) {
        let calls = contain_sync("sip", || self.endpoint.calls_of(call_id)).unwrap_or_default();
        calls.into_iter().for_each(|call| self.give_up(now, call));
    }

    /// Ends a call after a panic, as far as its state permits.
    fn give_up(&mut self, now: Instant, call: CallId) {
        tracing::error!(call = call.0, "call ended after an internal error");
        if contain_sync("sip", || self.endpoint.give_up(now, call)).is_err() {
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
        let (calls, commands) = (&self.calls, self.checks.commands);
        self.checks.ownerless.retain(|call, _| calls.contains_key(call));
        for (call, _) in calls.iter().filter(|(_, owner)| owner.is_closed()) {
            self.checks.ownerless.entry(*call).or_insert(commands + waiting);
        }
        let due = |(call, after): (&CallId, &u64)| (*after <= commands).then_some(*call);
        let gone: Vec<CallId> = self.checks.ownerless.iter().filter_map(due).collect();
        for call in gone {
            self.calls.remove(&call);
            self.checks.ownerless.remove(&call);
            if self.endpoint.reject(now, call, 500, None).is_err() {
                let _ = self.endpoint.hang_up(now, call); // it may be over already
            }
        }
        self.streams.sweep();
        if self.checks.broken {
            self.endpoint.recover(now);
            self.checks.broken = false;
            return; // deliver the ends of these calls first
        }
        if std::mem::take(&mut self.checks.suspect) {
            // A panic may have lost a session; its owner sees its queue closed.
            let endpoint = &self.endpoint;
            self.calls.retain(|call, _| endpoint.knows(*call));
        }
    }
}

fn call_id(parsed: &Parsed) -> Option<String> {
    let of = |headers: &Headers| headers.get(&HeaderName::CallId).map(str::to_owned);
    match parsed {
        Parsed::Message(Message::Request(request)) => of(&request.headers),
        Parsed::Message(Message::Response(response)) => of(&response.headers),
        Parsed::Refused { headers, .. } => of(headers),
        Parsed::KeepAlive { .. } | Parsed::Garbage(_) => None,
    }
}
