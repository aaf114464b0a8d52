//! How long a worker that crashed is left alone.

use std::time::Duration;

/// The wait after the first crash; doubled with each further one.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// A worker that ran this long crashed for another reason than the one before.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// Crashes in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The wait before the next start, of a worker that ran for so long.
    pub(super) fn next(&mut self, was_ready_for: Duration) -> Duration {
        if was_ready_for >= STABLE_AFTER {
            self.crashes = 0;
        }
        let wait = WAIT_MIN.saturating_mul(1 << self.crashes.min(16)).min(WAIT_MAX);
        self.crashes = self.crashes.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_begins_anew_after_a_stable_run() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..11).map(|_| backoff.next(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.next(STABLE_AFTER), WAIT_MIN);
        for _ in 0..100 {
            backoff.next(Duration::ZERO);
        }
        assert_eq!(backoff.next(Duration::ZERO), WAIT_MAX);
    }
}
