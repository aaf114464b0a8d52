//! Why connections were refused or closed, counted for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// Why a connection was not taken, or was ended by us.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Closed { $(#[doc = $doc] $variant,)* }

        impl Closed {
            /// All reasons in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As a label of a metric.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    RefusedAddress "refused_address" "Its address has as many connections as it may, and none of them can make room.",
    RefusedTenant "refused_tenant" "Its trunk or organization has as many as it may.",
    RefusedRate "refused_rate" "Its address, or all strangers together, begin too many handshakes a second.",
    RefusedTotal "refused_total" "The listener is full, and no connection can make room.",
    Evicted "evicted" "It made room for another one.",
    HandshakeTimeout "handshake_timeout" "TLS handshake or upgrade took too long.",
    HandshakeFailed "handshake_failed" "TLS handshake or upgrade failed.",
    FirstMessageTimeout "first_message_timeout" "No complete message came in time.",
    MessageTimeout "message_timeout" "A message began and did not end in time.",
    IdleTimeout "idle_timeout" "Nothing was said for too long.",
    WriteTimeout "write_timeout" "The peer does not take what it is sent.",
    Malformed "malformed" "The stream cannot be read any further.",
}

/// Counters of one listener.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    accepted: AtomicU64,
    open: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
}

impl ConnectionCounters {
    /// Counts an accepted connection, which is open from now on.
    pub fn record_opened(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// An open connection has ended, closed by either side.
    pub fn record_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts why a connection was refused or closed. Does not change the number of open ones.
    pub fn record_close_reason(&self, why: Closed) {
        if let Some(counter) = self.closed.get(why as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Connections accepted since the start, closed ones included.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Open at the moment.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Refused and closed connections since the start, one count for each reason, zeros included.
    pub fn closed(&self) -> impl Iterator<Item = (Closed, u64)> {
        Closed::ALL.iter().zip(&self.closed).map(|(why, count)| (*why, count.load(Ordering::Relaxed)))
    }

    /// Connections refused or closed for one reason since the start.
    pub fn closed_for(&self, why: Closed) -> u64 {
        self.closed.get(why as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
