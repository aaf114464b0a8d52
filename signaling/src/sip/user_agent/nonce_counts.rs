//! Used nonces with their counts, so that a captured Authorization header cannot be replayed (RFC 7616 section 5.12).
//! The table is bounded; dropped nonces count as stale.

use crate::limits;
use std::collections::{HashMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct NonceCounts {
    used: HashMap<Box<str>, NonceCount>,
    order: VecDeque<Box<str>>,
    /// Nonces made before this second and not in the list may have been forgotten.
    forgotten_s: u64,
}

#[derive(Debug, Default)]
struct NonceCount {
    highest: u32,
    /// Counts below the highest that were seen, as far as the bits reach; bit 0 is the highest itself.
    seen: u64,
}

impl NonceCounts {
    /// True when this count of the nonce was never used. `made_s` is the second the nonce was made. Without a count
    /// (no qop) a nonce works once.
    pub(super) fn record_use(&mut self, nonce: &str, made_s: u64, count: Option<u32>) -> bool {
        let count = count.unwrap_or(u32::MAX);
        match self.used.get_mut(nonce) {
            Some(used) => used.take(count),
            None if made_s < self.forgotten_s => false,
            None => {
                if self.order.len() >= limits::NONCES_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    let made = oldest.split('.').next().and_then(|s| u64::from_str_radix(s, 16).ok()).unwrap_or(0);
                    self.forgotten_s = self.forgotten_s.max(made.saturating_add(1));
                    self.used.remove(&oldest);
                }
                self.order.push_back(nonce.into());
                self.used.insert(nonce.into(), NonceCount { highest: count, seen: 1 });
                true
            }
        }
    }

    /// Drops expired nonces.
    pub(super) fn forget_before(&mut self, second: u64) {
        let made = |nonce: &str| nonce.split('.').next().and_then(|s| u64::from_str_radix(s, 16).ok()).unwrap_or(0);
        while let Some(oldest) = self.order.pop_front_if(|nonce| made(nonce) < second) {
            self.used.remove(&oldest);
        }
    }
}

impl NonceCount {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count.abs_diff(self.highest);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        // Older than the window: treated as used.
        let behind = self.highest.abs_diff(count);
        let Some(bit) = 1_u64.checked_shl(behind).filter(|bit| self.seen & bit == 0) else { return false };
        self.seen |= bit;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_works_once_in_any_order() {
        let mut nonces = NonceCounts::default();
        let mut take = |count| nonces.record_use("64.x", 100, Some(count));
        assert!([1, 3, 2, 70, 69, 40].into_iter().all(&mut take));
        assert!(![1, 3, 2, 70, 69, 40, 6].into_iter().any(&mut take));
        assert!(nonces.record_use("65.y", 101, None));
        assert!(!nonces.record_use("65.y", 101, None), "without a count it works once");
    }

    #[test]
    fn dropped_nonces_are_stale_and_table_is_bounded() {
        let mut nonces = NonceCounts::default();
        for second in 0..limits::NONCES_MAX as u64 + 10 {
            assert!(nonces.record_use(&format!("{second:x}.k"), second, Some(1)));
        }
        assert_eq!(nonces.used.len(), limits::NONCES_MAX);
        assert!(!nonces.record_use("0.k", 0, Some(2)), "forgotten");
        nonces.forget_before(1_000_000);
        assert_eq!(nonces.used.len(), 0);
    }
}
