//! Audio of the other party in a bridged call, buffered for this leg's caller.

use crate::audio::AudioFrame;
use crate::audio::convert::{FrameDecoder, UnsupportedRateError};
use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use std::collections::VecDeque;

/// Samples buffered before playout starts: two frames absorb the other leg's jitter.
const READY_SAMPLES: usize = 2 * FRAME_SAMPLES;
/// Maximum samples buffered; the oldest are dropped so that the conversation does not lag.
const HELD_SAMPLES_MAX: usize = 10 * FRAME_SAMPLES;

/// Relay buffer of one leg at 8 kHz: starts with 40 ms of audio, holds at most 200 ms.
#[derive(Debug)]
pub struct RelayBuffer {
    decoder: FrameDecoder,
    samples: VecDeque<i16>,
    flow: RelayFlow,
    /// Oldest samples dropped because more than 200 ms waited.
    pub dropped_samples: u64,
}

/// Whether enough has come to play without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RelayFlow {
    Buffering,
    Playing,
}

impl Default for RelayBuffer {
    fn default() -> Self {
        let decoder = FrameDecoder::new(SAMPLE_RATE_HZ);
        Self { decoder, samples: VecDeque::new(), flow: RelayFlow::Buffering, dropped_samples: 0 }
    }
}

impl RelayBuffer {
    /// Appends a frame of the other party, in any format. Over 200 ms the oldest samples are dropped. Fails for a rate
    /// that can't be converted.
    pub fn push(&mut self, frame: &AudioFrame) -> Result<(), UnsupportedRateError> {
        self.decoder.push(frame, &mut self.samples)?;
        let excess = self.samples.len().saturating_sub(HELD_SAMPLES_MAX);
        if excess > 0 {
            self.samples.drain(..excess);
            self.dropped_samples += excess as u64;
        }
        if self.samples.len() >= READY_SAMPLES {
            self.flow = RelayFlow::Playing;
        }
        Ok(())
    }

    /// Time passes by a frame in which something else is sent: what the other party said meanwhile does not come late.
    pub fn skip(&mut self) {
        self.mix(&mut [0; FRAME_SAMPLES]);
    }

    /// Adds the next frame; false when nothing came.
    pub fn mix(&mut self, frame: &mut Frame) -> bool {
        if self.flow == RelayFlow::Buffering || self.samples.len() < FRAME_SAMPLES {
            self.flow = RelayFlow::Buffering;
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
    use crate::codec::Companding;

    fn frame(octet: u8) -> AudioFrame {
        AudioFrame::g711(Companding::MuLaw, &[octet; FRAME_SAMPLES]).unwrap()
    }

    #[test]
    fn bridge_buffers_two_frames_and_drops_old_ones() {
        let mut relay = RelayBuffer::default();
        let mut out = [0; FRAME_SAMPLES];
        relay.push(&frame(0xFE)).unwrap();
        assert!(!relay.mix(&mut out));
        relay.push(&frame(0xFD)).unwrap();
        relay.push(&frame(0xFC)).unwrap();
        // The first step of mu-law is 8.
        assert!(relay.mix(&mut out) && out == [8; FRAME_SAMPLES]);
        for _ in 0..20 {
            relay.push(&frame(0xFB)).unwrap();
        }
        assert_eq!(relay.dropped_samples, 12 * FRAME_SAMPLES as u64);
        for _ in 0..10 {
            assert!(relay.mix(&mut [0; FRAME_SAMPLES]));
        }
        assert!(!relay.mix(&mut out), "dry");
    }
}
