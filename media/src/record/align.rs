//! Aligns both sides of a call on one timeline. The agent's frames, one every 20 ms, are the clock; the caller's frames
//! arrive in bursts.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_SAMPLES, Frame};
use crate::limits;

/// Delay of the agent channel in frames, so that the caller's frames can arrive: 60 ms.
const HELD_BACK: usize = 3;

/// Joins caller and agent of one leg into interleaved stereo blocks of half a second at 8 kHz.
#[derive(Debug)]
pub struct RecordingAligner {
    caller: Vec<i16>,
    /// Samples of the caller since the agent's last frame: a long packet, or several after a stall.
    burst: usize,
    agent: Vec<Frame>,
    /// Interleaved pairs of the block being filled.
    block: Vec<i16>,
}

impl Default for RecordingAligner {
    fn default() -> Self {
        Self {
            caller: Vec::with_capacity(limits::RECORD_SKEW_SAMPLES_MAX + 2 * FRAME_SAMPLES),
            burst: 0,
            agent: Vec::with_capacity(HELD_BACK + 1),
            block: Vec::with_capacity(limits::RECORD_BLOCK_PAIRS * 2),
        }
    }
}

impl RecordingAligner {
    /// Appends the caller's next frame. When 120 ms wait beside the longest packet, the oldest frame is dropped first.
    pub fn push_caller(&mut self, frame: &Frame) {
        self.burst = (self.burst + FRAME_SAMPLES).min(limits::PACKET_SAMPLES_MAX);
        if self.caller.len() + FRAME_SAMPLES > limits::RECORD_SKEW_SAMPLES_MAX + self.burst - FRAME_SAMPLES {
            // The caller's clock runs faster than ours: drop one frame.
            self.caller.drain(..FRAME_SAMPLES);
        }
        self.caller.extend_from_slice(frame);
    }

    /// The agent's next frame. Returns a full block, which the caller replaces by an empty one.
    pub fn push_agent(&mut self, frame: &Frame, next_block: impl FnOnce() -> Vec<i16>) -> Option<Vec<i16>> {
        self.agent.push(*frame);
        self.burst = 0;
        if self.agent.len() <= HELD_BACK {
            return None;
        }
        let agent = self.agent.remove(0);
        self.interleave(&agent);
        (self.block.len() >= limits::RECORD_BLOCK_PAIRS * 2).then(|| std::mem::replace(&mut self.block, next_block()))
    }

    fn interleave(&mut self, agent: &Frame) {
        let have = self.caller.len().min(FRAME_SAMPLES);
        // The missing caller's samples are silence.
        let caller = self.caller.drain(..have).chain(std::iter::repeat(0));
        self.block.extend(caller.zip(agent).flat_map(|(left, right)| [left, *right]));
    }

    /// What is left at the end of the call.
    pub fn finish(&mut self) -> Vec<i16> {
        for agent in std::mem::take(&mut self.agent) {
            self.interleave(&agent);
        }
        while !self.caller.is_empty() {
            self.interleave(&[0; FRAME_SAMPLES]);
        }
        std::mem::take(&mut self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caller_bursts_stay_aligned_with_agent() {
        let mut aligner = RecordingAligner::default();
        let mut out = Vec::new();
        for n in 0..500i16 {
            // The caller's frames come two at a time, every second tick.
            if n % 2 == 1 {
                aligner.push_caller(&[n - 1; FRAME_SAMPLES]);
                aligner.push_caller(&[n; FRAME_SAMPLES]);
            }
            out.extend(aligner.push_agent(&[n; FRAME_SAMPLES], || Vec::with_capacity(8_000)).unwrap_or_default());
        }
        out.extend(aligner.finish());
        assert_eq!(out.len(), 500 * FRAME_SAMPLES * 2);
        assert!(out.chunks(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn long_packets_of_the_caller_are_kept_whole() {
        for frames in [1usize, 3, 5, 6, 8, 10] {
            let mut aligner = RecordingAligner::default();
            let mut out = Vec::new();
            for n in 0..600i16 {
                if (n as usize + 1).is_multiple_of(frames) {
                    (0..frames as i16).for_each(|back| aligner.push_caller(&[n + back + 1; FRAME_SAMPLES]));
                }
                out.extend(aligner.push_agent(&[n; FRAME_SAMPLES], || Vec::with_capacity(8_000)).unwrap_or_default());
            }
            out.extend(aligner.finish());
            let heard: Vec<i16> = out.chunks(2 * FRAME_SAMPLES).map(|frame| frame[0]).filter(|n| *n > 0).collect();
            assert!(heard.windows(2).all(|pair| pair[1] == pair[0] + 1), "{frames} frames a packet: {heard:?}");
            assert!(heard.len() >= 590 - frames, "{} of 600 frames with {frames} a packet", heard.len());
        }
    }

    #[test]
    fn backlog_of_the_caller_is_bounded() {
        let mut aligner = RecordingAligner::default();
        for _ in 0..1_000 {
            (0..50).for_each(|_| aligner.push_caller(&[1; FRAME_SAMPLES]));
            aligner.push_agent(&[1; FRAME_SAMPLES], || Vec::with_capacity(8_000));
            assert!(aligner.caller.len() <= limits::RECORD_SKEW_SAMPLES_MAX + limits::PACKET_SAMPLES_MAX);
        }
    }

    #[test]
    fn a_silent_caller_leaves_silence() {
        let mut aligner = RecordingAligner::default();
        for n in 0..10 {
            assert!(aligner.push_agent(&[n; FRAME_SAMPLES], Vec::new).is_none());
        }
        let out = aligner.finish();
        assert_eq!(out.len(), 10 * FRAME_SAMPLES * 2);
        assert!(out.chunks(2).all(|pair| pair[0] == 0));
    }
}
