//! The self-check by which the process tells that SIP works, and the count of internal panics after which it does not.

use crate::sip::message::SipMessage;
use crate::sip::message::parse::{self, ParsedMessage};
use crate::sip::transport::Transport;
use crate::sip::user_agent::CallId;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Interval of the sweep for calls and connections whose owner task is gone.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Consecutive panics of internal work after which the state is considered broken.
const INTERNAL_PANICS_MAX: u32 = 8;
/// Maximum pending self-checks; they are normally sent one at a time.
const CHECKS_MAX: usize = 16;
/// Source address of self-checks: unspecified. A reliable transport needs no transaction for retransmissions.
pub(super) const CHECK_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
pub(super) const CHECK_TRANSPORT: Transport = Transport::Tcp;

const CHECK_CALL_ID: &str = "check-";

/// Pending self-checks and consecutive panics.
#[derive(Debug, Default)]
pub(super) struct SelfChecks {
    pending: VecDeque<oneshot::Sender<u16>>,
    count: u64,
    /// In a row, of each kind of own work.
    pub(super) own_panics: [u32; 3],
    /// Commands of owners that were read.
    pub(super) commands: u64,
    /// Calls whose owner is gone, and how many commands are read before they are ended.
    pub(super) ownerless: HashMap<CallId, u64>,
    /// Something panicked since the last sweep: calls may be lost.
    pub(super) sweep_needed: bool,
    pub(super) recovered: Option<Instant>,
    /// Something panicked and was not put right yet.
    pub(super) broken: bool,
}

/// Internal work of the user agent.
#[derive(Clone, Copy, Debug)]
pub(super) enum InternalWork {
    Timer = 0,
    Output = 1,
    Sweep = 2,
}

impl SelfChecks {
    /// The OPTIONS to be handled.
    pub(super) fn start_check(&mut self, reply: oneshot::Sender<u16>) -> String {
        if self.pending.len() >= CHECKS_MAX {
            self.pending.pop_front(); // its caller has given up long ago
        }
        self.pending.push_back(reply);
        self.count += 1;
        let count = self.count;
        format!(
            "OPTIONS sip:check@0.0.0.0 SIP/2.0\r\nVia: SIP/2.0/TCP 0.0.0.0;branch=z9hG4bK-check-{count}\r\n\
             Max-Forwards: 1\r\nFrom: <sip:check@0.0.0.0>;tag={count}\r\nTo: <sip:check@0.0.0.0>\r\n\
             Call-ID: {CHECK_CALL_ID}{count}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }

    pub(super) fn handle_check_answer(&mut self, bytes: &[u8]) {
        let ParsedMessage::Message(SipMessage::Response(response)) = parse::datagram(bytes) else { return };
        // Other messages to the check address are not the answer.
        if response.headers.call_id().starts_with(CHECK_CALL_ID)
            && let Some(reply) = self.pending.pop_front()
        {
            let _ = reply.send(response.status); // the caller may have given up
        }
    }

    pub(super) fn must_stop(&self) -> bool {
        self.own_panics.iter().any(|in_a_row| *in_a_row >= INTERNAL_PANICS_MAX)
    }
}
