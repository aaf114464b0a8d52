//! Both sides of a leg in one sound, for somebody who listens in.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::audio::AudioFrame;
use crate::codec::Companding;
use crate::frame::{FRAME_SAMPLES, Frame};
use std::collections::VecDeque;

/// Samples of the caller that wait for the agent's clock: 200 ms. The oldest are dropped, so that the sound does not lag.
const HELD_SAMPLES_MAX: usize = 10 * FRAME_SAMPLES;

/// Whether somebody listens in, and what of the caller's waits to be mixed.
#[derive(Debug, Default)]
pub(super) enum ListenIn {
    /// Nobody listens.
    #[default]
    Off,
    On(VecDeque<i16>),
}

impl ListenIn {
    /// Room is taken here, so that no frame allocates.
    pub(super) fn set(&mut self, on: bool) {
        match (on, &self) {
            (true, Self::Off) => *self = Self::On(VecDeque::with_capacity(HELD_SAMPLES_MAX + FRAME_SAMPLES)),
            (false, _) => *self = Self::Off,
            (true, Self::On(_)) => {}
        }
    }

    pub(super) fn push_caller(&mut self, frame: &Frame) {
        let Self::On(waiting) = self else { return };
        waiting.extend(frame);
        let excess = waiting.len().saturating_sub(HELD_SAMPLES_MAX);
        waiting.drain(..excess);
    }

    /// The agent's next frame, which is the clock: both sides in one frame; `None` while nobody listens.
    pub(super) fn push_agent(&mut self, frame: &Frame) -> Option<AudioFrame> {
        let Self::On(waiting) = self else { return None };
        let mut mixed = *frame;
        let ready = if waiting.len() < FRAME_SAMPLES { 0 } else { FRAME_SAMPLES };
        for (sample, caller) in mixed.iter_mut().zip(waiting.drain(..ready)) {
            *sample = sample.saturating_add(caller);
        }
        let mut octets = [0; FRAME_SAMPLES];
        Companding::MuLaw.encode_into(&mixed, &mut octets);
        AudioFrame::g711(Companding::MuLaw, &octets).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(frame: Option<AudioFrame>) -> Vec<i16> {
        frame.map(|frame| frame.samples().collect()).unwrap_or_default()
    }

    #[test]
    fn both_sides_are_heard_and_nobody_else_is_served() {
        let mut listen_in = ListenIn::default();
        listen_in.push_caller(&[8; FRAME_SAMPLES]);
        assert!(listen_in.push_agent(&[8; FRAME_SAMPLES]).is_none(), "nobody listens");
        listen_in.set(true);
        assert_eq!(samples(listen_in.push_agent(&[16; FRAME_SAMPLES])), [16; FRAME_SAMPLES], "the agent alone");
        listen_in.push_caller(&[16; FRAME_SAMPLES]);
        listen_in.set(true);
        assert_eq!(samples(listen_in.push_agent(&[16; FRAME_SAMPLES])), [32; FRAME_SAMPLES], "both");
        assert_eq!(samples(listen_in.push_agent(&[0; FRAME_SAMPLES])), [0; FRAME_SAMPLES], "the caller is silent");
        listen_in.push_caller(&[i16::MAX; FRAME_SAMPLES]);
        let loud = samples(listen_in.push_agent(&[i16::MAX; FRAME_SAMPLES]));
        assert!(loud.iter().all(|sample| *sample > 30_000), "loud sides do not wrap around");
        for _ in 0..100 {
            listen_in.push_caller(&[8; FRAME_SAMPLES]);
        }
        let late = (0..100).take_while(|_| samples(listen_in.push_agent(&[0; FRAME_SAMPLES])) == [8; FRAME_SAMPLES]);
        assert_eq!(late.count(), 10, "the sound does not lag by more than 200 ms");
        listen_in.set(false);
        assert!(listen_in.push_agent(&[0; FRAME_SAMPLES]).is_none());
    }
}
