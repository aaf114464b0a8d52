//! Statistics of legs and workers for metrics and call reports, and thread heartbeats.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One leg, from its first to its last packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    pub packets_received: u64,
    pub packets_lost: u64,
    pub packets_late: u64,
    pub packets_duplicate: u64,
    pub packets_reordered: u64,
    /// Not RTP, another source, another codec.
    pub packets_ignored: u64,
    /// SRTP packets that failed authentication, were replayed or not encrypted.
    pub packets_unauthentic: u64,
    pub packets_sent: u64,
    pub jitter_ms: f32,
    pub round_trip_ms: Option<f32>,
    /// What the peer reported about our stream.
    pub remote_loss: f32,
    /// Mean opinion scores, estimated: what we heard, and what the peer did where it reports.
    pub mos: Option<f32>,
    pub mos_remote: Option<f32>,
    pub concealed_ms: u64,
    /// Underruns in the middle of a segment.
    pub underruns: u64,
    pub playout_overflow_ms: u64,
    pub events_dropped: u64,
    /// Echo path, and total duration of echo.
    pub echo: Option<crate::detect::echo::EchoPath>,
    pub echo_ms: u64,
    pub recording_blocks_dropped: u64,
}

/// Upper bounds of the lateness histogram in microseconds; the last bucket is open.
pub const LATENESS_BOUNDS_US: [u64; 8] = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 50_000];

/// Shared by a worker and whoever reads the metrics.
#[derive(Debug, Default)]
pub struct WorkerStats {
    lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    pub legs: AtomicU64,
    pub commands_refused: AtomicU64,
    pub recording_blocks_dropped: AtomicU64,
}

/// Heartbeat of one thread, updated in every cycle.
#[derive(Debug)]
pub struct Heartbeat {
    name: String,
    /// What the turns are counted from.
    origin: Instant,
    /// Microseconds from the origin to the last turn.
    last_cycle_us: AtomicU64,
}

impl Heartbeat {
    /// `now` counts as the first turn: a thread that never starts its work is found as well.
    pub fn new(name: &str, now: Instant) -> Self {
        Self { name: name.to_owned(), origin: now, last_cycle_us: AtomicU64::new(0) }
    }

    /// Of the thread.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Records a heartbeat.
    pub fn beat(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.origin).as_micros();
        self.last_cycle_us.store(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What is known of the thread; `now` is the reader's.
    pub fn liveness(&self, now: Instant) -> Liveness {
        let last_turn = Duration::from_micros(self.last_cycle_us.load(Ordering::Relaxed));
        let since_turn = now.saturating_duration_since(self.origin).saturating_sub(last_turn);
        Liveness { thread: self.name.clone(), since_cycle: since_turn }
    }
}

/// When a media thread last did a turn of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// `media-0`, …, `media-web`, `recorder`, `recorder-web`.
    pub thread: String,
    /// Time since its last turn: some milliseconds in a worker with legs, up to [`crate::limits::IDLE_CYCLE_MAX`] in an
    /// idle one.
    pub since_cycle: Duration,
}

impl Liveness {
    /// The last cycle is so long ago that the thread hangs or the machine is overloaded.
    pub fn is_stuck(&self) -> bool {
        self.since_cycle > crate::limits::STUCK_AFTER
    }
}

impl WorkerStats {
    pub fn record_lateness(&self, lateness: Duration) {
        let us = lateness.as_micros() as u64;
        let bucket = LATENESS_BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(LATENESS_BOUNDS_US.len());
        self.lateness[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub fn lateness(&self) -> [u64; LATENESS_BOUNDS_US.len() + 1] {
        std::array::from_fn(|bucket| self.lateness[bucket].load(Ordering::Relaxed))
    }
}
