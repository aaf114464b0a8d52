//! Token buckets: so many at once, so many a second.

use hashlink::LruCache;
use std::collections::hash_map::RandomState;
use std::hash::Hash;
use std::time::Instant;

/// How much of something is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenRate {
    /// Tokens that come back each second.
    pub per_s: f32,
    /// At once, after a pause.
    pub burst: f32,
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    level: f32,
    at: Instant,
}

impl TokenBucket {
    /// Creates a bucket that holds the whole burst of `rate`.
    pub fn full(now: Instant, rate: TokenRate) -> Self {
        Self { level: rate.burst, at: now }
    }

    /// Takes one; false when there is none.
    pub fn take_token(&mut self, now: Instant, rate: TokenRate) -> bool {
        let enough = self.has_token(now, rate);
        if enough {
            self.level -= 1.0;
        }
        enough
    }

    /// Whether there is one to take.
    pub fn has_token(&mut self, now: Instant, rate: TokenRate) -> bool {
        let passed_s = now.saturating_duration_since(self.at).as_secs_f32();
        self.level = (self.level + passed_s * rate.per_s).min(rate.burst);
        self.at = self.at.max(now);
        self.level >= 1.0
    }
}

/// A bucket for each key. At the bound the key that was not asked for the longest time is forgotten, at a constant
/// price.
#[derive(Debug)]
pub struct KeyedTokenBuckets<K>(LruCache<K, TokenBucket, RandomState>);

impl<K: Copy + Eq + Hash> KeyedTokenBuckets<K> {
    /// For at most `keys_max` keys.
    pub fn new(keys_max: usize) -> Self {
        // Keys are chosen by strangers: hashed by the standard library, whose hash they cannot foresee.
        Self(LruCache::with_hasher(keys_max, RandomState::new()))
    }

    /// Takes one of a key; false when there is none.
    pub fn take_token(&mut self, now: Instant, key: K, rate: TokenRate) -> bool {
        if let Some(bucket) = self.0.get_mut(&key) {
            return bucket.take_token(now, rate);
        }
        let mut bucket = TokenBucket::full(now, rate);
        let taken = bucket.take_token(now, rate);
        self.0.insert(key, bucket);
        taken
    }

    /// Whether a key has one to take. A key that nothing was taken of has.
    pub fn has_token(&mut self, now: Instant, key: K, rate: TokenRate) -> bool {
        self.0.get_mut(&key).is_none_or(|bucket| bucket.has_token(now, rate))
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if no key is remembered: nothing was taken yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = TokenRate { per_s: 2.0, burst: 5.0 };
        let mut now = Instant::now();
        let mut bucket = TokenBucket::full(now, rate);
        assert_eq!((0..100).filter(|_| bucket.take_token(now, rate)).count(), 5);
        let mut taken = 0;
        for _ in 0..1_000 {
            now += Duration::from_millis(10);
            taken += u32::from(bucket.take_token(now, rate));
        }
        assert!((19..=20).contains(&taken), "two a second for ten seconds: {taken}");
        assert!(!bucket.take_token(now - Duration::from_secs(60), rate), "time that runs back gives nothing");
        now += Duration::from_secs(3_600);
        assert_eq!((0..100).filter(|_| bucket.take_token(now, rate)).count(), 5);
    }

    #[test]
    fn many_keys_do_not_fill_the_memory() {
        let rate = TokenRate { per_s: 1.0, burst: 2.0 };
        let now = Instant::now();
        let mut buckets = KeyedTokenBuckets::new(100);
        assert!(
            buckets.take_token(now, 0, rate) && buckets.take_token(now, 0, rate) && !buckets.has_token(now, 0, rate)
        );
        for key in 1..10_000 {
            assert!(buckets.take_token(now, key, rate));
            assert!(!buckets.take_token(now, 0, rate), "who is asked for is not forgotten");
        }
        assert_eq!(buckets.len(), 100);
    }
}
