//! How long a worker that crashed is left alone.

use std::time::Duration;

/// The wait after the first crash; doubled with each further one.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Of a worker that never came as far as its models: something is wrong with it that does not pass.
const WAIT_OF_START_MAX: Duration = Duration::from_secs(30);
/// Of a worker that has worked: calls are deaf meanwhile, so it is no longer than a start takes.
const WAIT_OF_WORK_MAX: Duration = Duration::from_secs(1);
/// A worker that ran this long crashed for another reason than the one before.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Crashes in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The wait before the next start, of a worker that worked for so long; `None` if it did not come to it.
    pub(super) fn next(&mut self, worked_for: Option<Duration>) -> Duration {
        if worked_for.is_some_and(|worked| worked >= STABLE_AFTER) {
            self.crashes = 0;
        }
        let max = if worked_for.is_some() { WAIT_OF_WORK_MAX } else { WAIT_OF_START_MAX };
        let wait = WAIT_MIN.saturating_mul(1 << self.crashes.min(16)).min(max);
        self.crashes = self.crashes.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(worked_for: Option<Duration>) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..11).map(|_| backoff.next(worked_for).as_millis()).collect()
    }

    #[test]
    fn the_wait_doubles_and_begins_anew_after_a_stable_run() {
        assert_eq!(waits(None), [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            backoff.next(None);
        }
        assert_eq!(backoff.next(None), WAIT_OF_START_MAX);
        assert_eq!(backoff.next(Some(STABLE_AFTER)), WAIT_MIN);
    }

    #[test]
    fn a_worker_that_is_killed_again_and_again_never_leaves_calls_deaf_for_long() {
        assert_eq!(waits(Some(Duration::from_secs(2)))[..5], [100, 200, 400, 800, 1_000]);
        assert_eq!(waits(Some(Duration::from_secs(2)))[10], 1_000);
        assert_eq!(waits(Some(STABLE_AFTER)), [100; 11]);
    }
}
