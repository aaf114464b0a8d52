//! Timer values of RFC 3261 section 17 and RFC 6026, and the names used in traces.

use std::time::Duration;

/// Round-trip estimate.
pub const T1: Duration = Duration::from_millis(500);
/// Longest retransmission interval of non-INVITE requests and INVITE responses.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// Timers B, F, H, J, L and M: 64 times T1.
pub const TIMEOUT: Duration = Duration::from_secs(32);
/// How long the owner of a call may take to answer a request inside its dialog. The peer waits 32 seconds (timer F), so
/// it gets an answer in time.
pub const OWNER_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for an inbound call. Ringing (30 seconds at the most), the announcement (60) and the request to the
/// customer's server take less.
pub const OWNER_TIMEOUT_INVITE: Duration = Duration::from_secs(300);

/// Why a transaction woke up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// INVITE request retransmission.
    A,
    /// INVITE without any response.
    B,
    /// Absorbs response retransmissions after a final non-2xx.
    D,
    /// Non-INVITE request retransmission.
    E,
    /// Non-INVITE request without a final response.
    F,
    /// INVITE response retransmission.
    G,
    /// Final INVITE response without ACK.
    H,
    /// Absorbs ACK retransmissions.
    I,
    /// Absorbs non-INVITE request retransmissions.
    J,
    /// Absorbs non-INVITE response retransmissions.
    K,
    /// Accepted INVITE, server side (RFC 6026).
    L,
    /// Accepted INVITE, client side (RFC 6026).
    M,
    /// The owner did not answer a request: we send 504.
    OwnerTimeout,
    /// Of a session or a registration: refresh, PRACK, another attempt.
    Session,
}

/// A retransmission that doubles up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetransmitTimer {
    /// When the message is sent again.
    pub at: std::time::Instant,
    interval: Duration,
    max: Duration,
}

impl RetransmitTimer {
    /// Schedules the first retransmission 500 ms (T1) from now; `max` bounds the interval.
    pub fn start(now: std::time::Instant, max: Duration) -> Self {
        Self { at: now + T1, interval: T1, max }
    }

    /// Doubles the interval up to its bound and schedules the next retransmission.
    pub fn advance(&mut self, now: std::time::Instant) {
        self.interval = self.interval.saturating_mul(2).min(self.max);
        self.at = now + self.interval;
    }
}
