//! Weights that give the holds of a set the lengths of another one's.

use super::row::{HOLD_MAX, HOLD_MIN};
use std::time::Duration;

/// Shares of the English holds of eot-bench that last longer, as its silence-only baseline shows them: 55.6 % are cut
/// after 300 ms, 21.7 % after 600 ms, a tenth after 1 s, a twentieth after 1.6 s.
const PUBLIC: &[(u64, f64)] = &[(200, 1.0), (300, 0.556), (600, 0.217), (1_000, 0.10), (1_600, 0.05), (5_001, 0.0)];

/// How much a hold counts, by its length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PauseWeights {
    /// From this length on, and the weight; ascending. Empty: all count the same.
    bins: Vec<(Duration, f64)>,
}

impl PauseWeights {
    /// Weights that give these holds the lengths of the public benchmark's. A bin of which there is no hold at all is
    /// left out, and the others keep their proportions.
    pub fn public(lengths: impl Iterator<Item = Duration>) -> Self {
        let lengths: Vec<Duration> = lengths.filter(|length| (HOLD_MIN..=HOLD_MAX).contains(length)).collect();
        let bin = |pair: &[(u64, f64)]| {
            let &[(from, longer), (until, rest)] = pair else { return (Duration::ZERO, 0.0) };
            let (from, until) = (Duration::from_millis(from), Duration::from_millis(until));
            let here = lengths.iter().filter(|length| (from..until).contains(*length)).count();
            (from, if here == 0 { 0.0 } else { (longer - rest) * lengths.len() as f64 / here as f64 })
        };
        Self { bins: PUBLIC.windows(2).map(bin).collect() }
    }

    /// The weight of a hold of this length.
    pub fn of(&self, length: Duration) -> f64 {
        if self.bins.is_empty() {
            return 1.0;
        }
        self.bins.iter().rfind(|(from, _)| *from <= length).map_or(0.0, |(_, weight)| *weight)
    }
}
