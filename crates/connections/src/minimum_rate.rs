//! The minimum rate of a transfer: so many bytes in each window of waiting. Only time spent waiting for a peer counts,
//! so a peer that has nothing to send, or is sent nothing, is never too slow.

use std::time::{Duration, Instant};

/// Watches one direction of a connection, or one body.
#[derive(Clone, Copy, Debug)]
pub struct MinimumRate {
    window: Duration,
    bytes_min: u64,
    /// Start of the current wait for the peer.
    since: Option<Instant>,
    /// Waited for in this window, before `since`.
    waited: Duration,
    /// Moved in this window.
    bytes: u64,
}

impl MinimumRate {
    /// At least `bytes_per_s` on average over every `window` of waiting, and something in every window.
    pub fn new(window: Duration, bytes_per_s: u64) -> Self {
        let bytes_min = (window.as_millis() as u64).saturating_mul(bytes_per_s) / 1_000;
        Self { window, bytes_min: bytes_min.max(1), since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// The peer is waited for; returns until when at the longest.
    pub fn start_waiting(&mut self, now: Instant) -> Instant {
        let since = *self.since.get_or_insert(now);
        since + self.window.saturating_sub(self.waited)
    }

    /// Bytes have moved; the wait is over.
    pub fn record_bytes(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited >= self.window && self.bytes >= self.bytes_min {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }

    /// Whether the peer is too slow. Ask when the time of [`MinimumRate::start_waiting`] has come; a window that was kept is followed
    /// by the next one.
    pub fn is_too_slow(&mut self, now: Instant) -> bool {
        let Some(since) = self.since else { return false };
        if self.waited + now.saturating_duration_since(since) < self.window {
            return false;
        }
        if self.bytes < self.bytes_min {
            return true;
        }
        (self.since, self.waited, self.bytes) = (Some(now), Duration::ZERO, 0);
        false
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    /// Seconds until a peer that moves `bytes` every `every_ms` is too slow.
    fn ends_after(bytes: usize, every_ms: u64, idle_ms: u64) -> Option<u64> {
        let start = Instant::now();
        let (mut now, mut pace) = (start, MinimumRate::new(WINDOW, 100));
        while now < start + Duration::from_secs(600) {
            let until = pace.start_waiting(now);
            let moves = now + Duration::from_millis(every_ms);
            if until <= moves {
                now = until;
                if pace.is_too_slow(now) {
                    return Some((now - start).as_secs());
                }
                continue;
            }
            now = moves;
            pace.record_bytes(now, bytes);
            now += Duration::from_millis(idle_ms);
        }
        None
    }

    #[test]
    fn a_trickle_ends_and_a_slow_line_does_not() {
        assert_eq!(ends_after(0, 3_600_000, 0), Some(10), "silence");
        assert_eq!(ends_after(1, 1_000, 0), Some(10), "a byte a second");
        assert_eq!(ends_after(1, 9_999, 0), Some(10), "a byte just in time");
        assert_eq!(ends_after(99, 1_000, 0), Some(10));
        assert_eq!(ends_after(150, 1_000, 0), None);
        assert_eq!(ends_after(1_500, 9_000, 0), None, "in lumps");
        assert_eq!(ends_after(50_000, 11_000, 0), Some(10), "a lump does not buy minutes of silence");
    }

    #[test]
    fn idle_time_does_not_count_as_slow() {
        assert_eq!(ends_after(1, 1, 5_000), None, "small answers with long pauses between them");
        let mut pace = MinimumRate::new(WINDOW, 100);
        let now = Instant::now();
        pace.record_bytes(now, 5);
        assert!(!pace.is_too_slow(now + Duration::from_secs(3_600)));
    }
}
