//! Extending the 16-bit sequence numbers and 32-bit timestamps of the wire beyond their wraps.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

/// Follows a wrapping counter of `BITS` bits; each value is placed nearest to the last one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extender<const BITS: u32> {
    last: Option<i64>,
}

impl<const BITS: u32> Extender<BITS> {
    const SPAN: i64 = 1 << BITS;

    /// Unwraps a received value: returns the count nearest to the highest so far. The first is returned as it is.
    pub fn extend(&mut self, value: u32) -> i64 {
        let value = i64::from(value);
        let extended = match self.last {
            None => value,
            Some(last) => {
                let distance = (value - last).rem_euclid(Self::SPAN);
                if distance < Self::SPAN / 2 { last + distance } else { last + distance - Self::SPAN }
            }
        };
        self.last = Some(self.last.map_or(extended, |last| last.max(extended)));
        extended
    }

    /// Starts over: the next value is returned as it is.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_forwards_and_tolerates_reordering() {
        let mut sequence = Extender::<16>::default();
        let seen: Vec<i64> = [65_534, 65_535, 1, 0, 2, 65_533].map(|v| sequence.extend(v)).into();
        assert_eq!(seen, [65_534, 65_535, 65_537, 65_536, 65_538, 65_533]);
        let mut timestamp = Extender::<32>::default();
        assert_eq!(timestamp.extend(u32::MAX - 10), i64::from(u32::MAX) - 10);
        assert_eq!(timestamp.extend(149), i64::from(u32::MAX) + 150);
    }
}
