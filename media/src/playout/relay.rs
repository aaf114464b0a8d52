//! Audio of the other party in a bridged call, buffered for this leg's caller.

use crate::frame::{Frame, SAMPLES};
use std::collections::VecDeque;

/// Samples buffered before playout starts: two frames absorb the other leg's jitter.
const READY_SAMPLES: usize = 2 * SAMPLES;
/// Maximum samples buffered; the oldest are dropped so that the conversation does not lag.
const HELD_SAMPLES_MAX: usize = 10 * SAMPLES;

#[derive(Debug, Default)]
pub struct Relay {
    samples: VecDeque<i16>,
    flowing: bool,
    pub dropped_samples: u64,
}

impl Relay {
    pub fn push(&mut self, frame: &Frame) {
        self.samples.extend(frame);
        let excess = self.samples.len().saturating_sub(HELD_SAMPLES_MAX);
        if excess > 0 {
            self.samples.drain(..excess);
            self.dropped_samples += excess as u64;
        }
        self.flowing |= self.samples.len() >= READY_SAMPLES;
    }

    /// Adds the next frame; false when nothing came.
    pub fn mix(&mut self, frame: &mut Frame) -> bool {
        if !self.flowing || self.samples.len() < SAMPLES {
            self.flowing = false;
            return false;
        }
        for (sample, other) in frame.iter_mut().zip(self.samples.drain(..SAMPLES)) {
            *sample = sample.saturating_add(other);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_through_after_two_and_old_ones_are_dropped() {
        let mut relay = Relay::default();
        let mut out = [0; SAMPLES];
        relay.push(&[1; SAMPLES]);
        assert!(!relay.mix(&mut out));
        relay.push(&[2; SAMPLES]);
        relay.push(&[3; SAMPLES]);
        assert!(relay.mix(&mut out) && out == [1; SAMPLES]);
        for _ in 0..20 {
            relay.push(&[4; SAMPLES]);
        }
        assert_eq!(relay.dropped_samples, 12 * SAMPLES as u64);
        for _ in 0..10 {
            assert!(relay.mix(&mut [0; SAMPLES]));
        }
        assert!(!relay.mix(&mut out), "dry");
    }
}
