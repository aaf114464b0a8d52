//! Statistics of legs and workers for metrics and call reports, and thread heartbeats.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One leg, from its first to its last packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LegStats {
    /// Accepted RTP packets of the peer, including DTMF events and comfort noise.
    pub packets_received: u64,
    /// Packets that had not come when their wait was over. One that comes after it counts as late too.
    pub packets_lost: u64,
    /// Packets that came too late to be played.
    pub packets_late: u64,
    /// Copies of a packet that still waited in the jitter buffer.
    pub packets_duplicate: u64,
    /// Packets that came ahead of a missing one and opened a gap, whether or not it was filled later.
    pub packets_reordered: u64,
    /// Not RTP, another source, another codec.
    pub packets_ignored: u64,
    /// SRTP packets that failed authentication, were replayed or not encrypted.
    pub packets_unauthentic: u64,
    /// RTP packets sent, including DTMF events; without RTCP.
    pub packets_sent: u64,
    /// Smoothed interarrival jitter in ms (RFC 3550 section 6.4.1).
    pub jitter_ms: f32,
    /// Last round trip in ms from the peer's RTCP reports; `None` if none allowed to compute it.
    pub round_trip_ms: Option<f32>,
    /// What the peer reported about our stream.
    pub remote_loss: f32,
    /// Mean opinion scores, estimated: what we heard, and what the peer did where it reports.
    pub mos: Option<f32>,
    /// MOS of our audio at the peer, from its VoIP metrics or its reported loss; `None` if it never reported.
    pub mos_remote: Option<f32>,
    /// Lost audio in ms that was concealed. Announced pauses do not count.
    pub concealed_ms: u64,
    /// Underruns in the middle of a segment.
    pub underruns: u64,
    /// Speech in ms that was dropped because 60 s were queued already.
    pub playout_overflow_ms: u64,
    /// Events dropped because 256 waited for the worker.
    pub events_dropped: u64,
    /// Echo path, and total duration of echo.
    pub echo: Option<crate::detect::echo::EchoPath>,
    /// Audible received audio in ms that was classified as echo of our voice.
    pub echo_ms: u64,
    /// Always zero for a leg: dropped blocks are counted for all recordings together.
    pub recording_blocks_dropped: u64,
}

/// Upper bounds of the lateness histogram in microseconds; the last bucket is open.
pub const LATENESS_BOUNDS_US: [u64; 8] = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 50_000];

/// Shared by a worker and the readers of the metrics.
#[derive(Debug, Default)]
pub struct WorkerStats {
    lateness: [AtomicU64; LATENESS_BOUNDS_US.len() + 1],
    /// Legs that run on all workers now.
    pub legs: AtomicU64,
    /// Commands refused since the start because a worker's queue was full.
    pub commands_refused: AtomicU64,
    /// Recording blocks dropped since the start: the recorder's queue or a WAV file was full.
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
    pub fn record_heartbeat(&self, now: Instant) {
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
    /// Counts one leg's turn in the histogram by how long after its due time it ran.
    pub fn record_lateness(&self, lateness: Duration) {
        let us = lateness.as_micros() as u64;
        let bucket = LATENESS_BOUNDS_US.iter().position(|bound| us <= *bound).unwrap_or(LATENESS_BOUNDS_US.len());
        self.lateness[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts of turns since the start, not cumulative: one per upper bound, then one for all later turns.
    pub fn lateness(&self) -> [u64; LATENESS_BOUNDS_US.len() + 1] {
        std::array::from_fn(|bucket| self.lateness[bucket].load(Ordering::Relaxed))
    }
}
