//! Audio of the other party in a bridged call, buffered for this leg's caller.

use crate::frame::{FRAME_SAMPLES, Frame};
use std::collections::VecDeque;

/// Samples buffered before playout starts: two frames absorb the other leg's jitter.
const READY_SAMPLES: usize = 2 * FRAME_SAMPLES;
/// Maximum samples buffered; the oldest are dropped so that the conversation does not lag.
const HELD_SAMPLES_MAX: usize = 10 * FRAME_SAMPLES;

/// Relay buffer of one leg: starts with 40 ms of audio, holds at most 200 ms.
#[derive(Debug, Default)]
pub struct RelayBuffer {
    samples: VecDeque<i16>,
    flowing: bool,
    /// Oldest samples dropped because more than 200 ms waited.
    pub dropped_samples: u64,
}

impl RelayBuffer {
    /// Appends a frame of the other party. Over 200 ms the oldest samples are dropped.
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
        if !self.flowing || self.samples.len() < FRAME_SAMPLES {
            self.flowing = false;
            return false;
        }
        for (sample, other) in frame.iter_mut().zip(self.samples.drain(..FRAME_SAMPLES)) {
            *sample = sample.saturating_add(other);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridge_buffers_two_frames_and_drops_old_ones() {
        let mut relay = RelayBuffer::default();
        let mut out = [0; FRAME_SAMPLES];
        relay.push(&[1; FRAME_SAMPLES]);
        assert!(!relay.mix(&mut out));
        relay.push(&[2; FRAME_SAMPLES]);
        relay.push(&[3; FRAME_SAMPLES]);
        assert!(relay.mix(&mut out) && out == [1; FRAME_SAMPLES]);
        for _ in 0..20 {
            relay.push(&[4; FRAME_SAMPLES]);
        }
        assert_eq!(relay.dropped_samples, 12 * FRAME_SAMPLES as u64);
        for _ in 0..10 {
            assert!(relay.mix(&mut [0; FRAME_SAMPLES]));
        }
        assert!(!relay.mix(&mut out), "dry");
    }
}
