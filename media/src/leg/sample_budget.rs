//! Limits how much audio a peer can make us process. Bursts after a network pause and timestamp jumps are normal, but a
//! peer that sends hours of audio in a second, or claims that hours have passed, would take CPU time from other calls.

use crate::frame::SAMPLE_RATE_HZ;
use std::time::{Duration, Instant};

/// Largest burst: the worst network stall, five times the jump after which a timeline restarts.
const BURST_SAMPLES: u64 = 10 * SAMPLE_RATE_HZ as u64;

/// Token bucket of samples that fills 25 % faster than real time, so that clock drift of a peer never exhausts it.
#[derive(Debug)]
pub(super) struct SampleBudget {
    credit: u64,
    filled: Option<Instant>,
}

impl Default for SampleBudget {
    fn default() -> Self {
        Self { credit: BURST_SAMPLES, filled: None }
    }
}

impl SampleBudget {
    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.filled.get_or_insert(now)).min(Duration::from_secs(60));
        let samples = since.as_millis() as u64 * u64::from(SAMPLE_RATE_HZ) / 1_000 * 5 / 4;
        if samples > 0 {
            self.filled = Some(now);
            self.credit = self.credit.saturating_add(samples).min(BURST_SAMPLES);
        }
    }

    /// Takes all of `samples` or nothing.
    pub(super) fn take_all(&mut self, now: Instant, samples: usize) -> bool {
        self.fill(now);
        let left = self.credit.checked_sub(samples as u64);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// Takes as much of `samples` as there is.
    pub(super) fn take_up_to(&mut self, now: Instant, samples: usize) -> usize {
        self.fill(now);
        let taken = self.credit.min(samples as u64);
        self.credit = self.credit.saturating_sub(taken);
        taken as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let mut now = Instant::now();
        let mut pace = SampleBudget::default();
        assert_eq!((0..1_000).filter(|_| pace.take_all(now, 160)).count(), 500, "ten seconds at once");
        let mut taken = 0;
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            taken += usize::from(pace.take_all(now, 160)) + usize::from(pace.take_all(now, 160));
        }
        assert!((590..=630).contains(&taken), "{taken} packets of 20 ms in ten seconds");
        assert!(pace.take_up_to(now, 100_000) < 320);
        now += Duration::from_secs(3_600);
        assert_eq!(pace.take_up_to(now, usize::MAX), BURST_SAMPLES as usize);
    }
}
