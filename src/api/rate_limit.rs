//! Requests a minute for each key or address, over a sliding window in steps of a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

const WINDOW_S: u64 = 60;
/// Keys remembered at once, 264 bytes each. When full, keys idle for a window are forgotten, otherwise any key, so that
/// floods of addresses do not fill the memory.
const KEYS_MAX: usize = 50_000;

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

/// Shared by all requests of this process.
#[derive(Clone, Debug)]
pub(super) struct RequestRateLimiter<K> {
    limit: u32,
    windows: Arc<Mutex<RequestWindows<K>>>,
}

#[derive(Debug)]
struct RequestWindows<K> {
    of: HashMap<K, RequestWindow>,
    /// When idle keys were last removed: at most once a second, because all are scanned.
    cleared: u64,
}

impl<K: Copy + Eq + Hash> RequestWindows<K> {
    fn make_room(&mut self, second: u64) {
        if self.cleared != second {
            self.cleared = second;
            self.of.retain(|_, window| window.newest + WINDOW_S > second);
        }
        if self.of.len() >= KEYS_MAX
            && let Some(any) = self.of.keys().next().copied()
        {
            self.of.remove(&any);
        }
    }
}

impl<K: Copy + Eq + Hash> RequestRateLimiter<K> {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, windows: Arc::new(Mutex::new(RequestWindows { of: HashMap::new(), cleared: 0 })) }
    }

    /// Counts a request of a key at a Unix time in seconds.
    pub(super) fn take(&self, key: K, second: u64) -> RateLimitStatus {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.of.len() >= KEYS_MAX && !windows.of.contains_key(&key) {
            windows.make_room(second);
        }
        windows.of.entry(key).or_insert_with(|| RequestWindow::new(second)).take(second, self.limit)
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
            limit.take(n, 50_000);
        }
        assert_eq!(limit.windows.lock().unwrap().of.len(), KEYS_MAX);
        limit.take(usize::MAX, 50_000 + WINDOW_S);
        assert_eq!(limit.windows.lock().unwrap().of.len(), 1, "quiet ones go first");
    }

    #[test]
    fn keys_do_not_share() {
        let limit = RequestRateLimiter::new(1);
        let (one, other) = (ApiKeyId::new(), ApiKeyId::new());
        assert_eq!(limit.take(one, 50_000).retry_after_s, 0);
        assert_ne!(limit.take(one, 50_000).retry_after_s, 0);
        assert_eq!(limit.take(other, 50_000).retry_after_s, 0);
    }
}
