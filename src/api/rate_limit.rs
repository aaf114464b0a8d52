//! Requests a minute: of each key over a sliding window, which is what the API promises them, and of everything else
//! by a generic cell rate algorithm, which lets a client go on sooner.

use crate::store::now;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

const WINDOW_S: u64 = 60;
/// Keys remembered at once. When full, the one that was not seen for the longest time is forgotten, so that floods of
/// addresses do not fill the memory.
const KEYS_MAX: u64 = 50_000;

/// A limiter's state for each key, while it is in use.
fn states<K, V>() -> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let idle = Duration::from_secs(WINDOW_S + 1);
    Cache::builder().max_capacity(KEYS_MAX).eviction_policy(EvictionPolicy::lru()).time_to_idle(idle).build()
}

/// State of a key's rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimitStatus {
    pub limit: u32,
    pub remaining: u32,
    /// Unix time in seconds at which the oldest counted request falls out of the window.
    pub reset: u64,
    /// Seconds until another request is allowed; zero while one is.
    pub retry_after_s: u64,
}

/// Request extension in which authentication leaves the rate limit status for the response headers.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimitSlot(pub Arc<OnceLock<RateLimitStatus>>);

/// Unix time in seconds.
pub(super) fn unix_s() -> u64 {
    now().0.unsigned_abs() / 1_000
}

/// The requests of one key, counted by second.
#[derive(Clone, Debug)]
struct RequestWindow {
    counts: [u32; WINDOW_S as usize],
    /// The second of the newest count.
    newest: u64,
    total: u32,
}

impl RequestWindow {
    fn new(second: u64) -> Self {
        Self { counts: [0; WINDOW_S as usize], newest: second, total: 0 }
    }

    fn advance(&mut self, second: u64) {
        // If the clock steps back, requests count into the newest second.
        for passed in self.newest + 1..=second.min(self.newest + WINDOW_S) {
            let slot = &mut self.counts[(passed % WINDOW_S) as usize];
            self.total -= *slot;
            *slot = 0;
        }
        self.newest = self.newest.max(second);
    }

    /// Counts a request if the limit allows it.
    fn take(&mut self, second: u64, limit: u32) -> RateLimitStatus {
        self.advance(second);
        let allowed = self.total < limit;
        if allowed {
            self.counts[(self.newest % WINDOW_S) as usize] += 1;
            self.total += 1;
        }
        let oldest = ((self.newest + 1).saturating_sub(WINDOW_S)..=self.newest)
            .find(|second| self.counts[(*second % WINDOW_S) as usize] > 0)
            .unwrap_or(self.newest);
        let reset = oldest + WINDOW_S;
        let retry_after_s = if allowed { 0 } else { reset.saturating_sub(self.newest).max(1) };
        RateLimitStatus { limit, remaining: limit - self.total.min(limit), reset, retry_after_s }
    }
}

/// Requests in any sixty seconds for each key. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct SlidingWindowLimiter<K: Hash + Eq + Send + Sync + 'static> {
    limit: u32,
    windows: Cache<K, Arc<Mutex<RequestWindow>>>,
}

impl<K: Hash + Eq + Send + Sync + 'static> SlidingWindowLimiter<K> {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, windows: states() }
    }

    /// Counts a request of a key at a Unix time in seconds.
    pub(super) fn take(&self, key: K, second: u64) -> RateLimitStatus {
        let window = self.windows.get_with(key, || Arc::new(Mutex::new(RequestWindow::new(second))));
        window.lock().unwrap_or_else(PoisonError::into_inner).take(second, self.limit)
    }
}

/// So many requests a minute for each key: all of them at once after a pause, then one after the other at an even
/// rate. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct RequestRateLimiter<K: Hash + Eq + Send + Sync + 'static> {
    limit: NonZeroU32,
    limiters: Cache<K, Arc<DefaultDirectRateLimiter>>,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Send + Sync + 'static> RequestRateLimiter<K> {
    /// Limits are at least one; the settings refuse zero.
    pub(super) fn new(per_minute: u32) -> Self {
        let limit = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self { limit, limiters: states(), clock: DefaultClock::default() }
    }

    /// Requests a minute.
    pub(super) fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// Counts a request of a key, or returns the seconds until another one is allowed, one at least.
    pub(super) fn take(&self, key: K) -> Result<(), u64> {
        let limiter = self.limiters.get_with(key, || Arc::new(RateLimiter::direct(Quota::per_minute(self.limit))));
        limiter.check().map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ApiKeyId;

    #[test]
    fn the_window_slides() {
        let mut window = RequestWindow::new(1_000);
        for n in 0..3 {
            let quota = window.take(1_000, 5);
            assert_eq!((quota.remaining, quota.reset, quota.retry_after_s), (4 - n, 1_060, 0));
        }
        assert_eq!(window.take(1_030, 5).remaining, 1);
        assert_eq!(window.take(1_030, 5).remaining, 0);
        let refused = window.take(1_040, 5);
        assert_eq!((refused.remaining, refused.retry_after_s), (0, 20));
        // A refused request does not count, and the three of the first second fall out together.
        let quota = window.take(1_060, 5);
        assert_eq!((quota.remaining, quota.reset), (2, 1_090));
        assert_eq!(window.take(9_000, 5).remaining, 4);
    }

    #[test]
    fn a_clock_that_steps_back_allows_nothing_more() {
        let mut window = RequestWindow::new(1_000);
        for _ in 0..5 {
            window.take(1_000, 5);
        }
        assert_eq!(window.take(900, 5).retry_after_s, 60);
    }

    #[test]
    fn addresses_that_flood_us_do_not_fill_the_memory() {
        let limit = RequestRateLimiter::new(1);
        for n in 0..2 * KEYS_MAX {
            assert_eq!(limit.take(n), Ok(()), "one that was never seen is not refused");
        }
        limit.limiters.run_pending_tasks();
        assert_eq!(limit.limiters.entry_count(), KEYS_MAX);
        assert!(limit.take(2 * KEYS_MAX - 1).is_err(), "the newest are remembered");
        assert_eq!(limit.take(0), Ok(()), "the oldest are forgotten");
    }

    #[test]
    fn after_its_minute_a_key_goes_on_at_an_even_rate() {
        let limit = RequestRateLimiter::new(6);
        assert_eq!((0..6).filter(|_| limit.take("a").is_ok()).count(), 6);
        let wait = limit.take("a");
        assert!(matches!(wait, Err(1..=10)), "six a minute are one in ten seconds: {wait:?}");
        assert_eq!(limit.take("b"), Ok(()));
    }

    #[test]
    fn keys_do_not_share() {
        let limit = SlidingWindowLimiter::new(1);
        let (one, other) = (ApiKeyId::new(), ApiKeyId::new());
        assert_eq!(limit.take(one, 50_000).retry_after_s, 0);
        assert_ne!(limit.take(one, 50_000).retry_after_s, 0);
        assert_eq!(limit.take(other, 50_000).retry_after_s, 0);
    }
}
