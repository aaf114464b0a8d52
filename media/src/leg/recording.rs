//! The recording of a leg: both sides in blocks of half a second.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_DURATION, FRAME_SAMPLES, Frame};
use crate::limits;
use crate::record::align::RecordingAligner;
use std::time::Instant;

/// Silence that is recorded where the leg's clock stood still: a minute at most.
const MISSING_FRAMES_MAX: u32 = 3_000;
/// Empty blocks kept for the next half second.
const SPARE_BLOCKS_MAX: usize = 2;

#[derive(Debug)]
pub(super) enum Recording {
    Off,
    On(Box<ActiveRecording>),
}

#[derive(Debug)]
pub(super) struct ActiveRecording {
    since: Instant,
    aligner: RecordingAligner,
    spare_blocks: Vec<Vec<i16>>,
}

impl Recording {
    pub(super) fn new(now: Instant, record: bool) -> Self {
        let active = || ActiveRecording { since: now, aligner: RecordingAligner::default(), spare_blocks: Vec::new() };
        if record { Self::On(Box::new(active())) } else { Self::Off }
    }

    /// Frames that were not recorded, although they were `due`.
    pub(super) fn missing_frames(&self, now: Instant, due: Instant) -> u32 {
        let Self::On(active) = self else { return 0 };
        let missing = now.saturating_duration_since(due.max(active.since)).as_micros() / FRAME_DURATION.as_micros();
        u32::try_from(missing).unwrap_or(u32::MAX).min(MISSING_FRAMES_MAX)
    }

    /// Takes back an empty block.
    pub(super) fn recycle(&mut self, mut block: Vec<i16>) {
        if let Self::On(active) = self
            && active.spare_blocks.len() < SPARE_BLOCKS_MAX
        {
            block.clear();
            active.spare_blocks.push(block);
        }
    }

    pub(super) fn push_caller(&mut self, frame: &Frame) {
        if let Self::On(active) = self {
            active.aligner.push_caller(frame);
        }
    }

    /// The agent's next frame, which is the clock. Returns a full block.
    pub(super) fn push_agent(&mut self, frame: &Frame) -> Option<Vec<i16>> {
        let Self::On(active) = self else { return None };
        let ActiveRecording { aligner, spare_blocks, .. } = active.as_mut();
        let next = || {
            let capacity = limits::RECORD_BLOCK_PAIRS * 2 + FRAME_SAMPLES * 2;
            spare_blocks.pop().unwrap_or_else(|| Vec::with_capacity(capacity))
        };
        aligner.push_agent(frame, next)
    }

    /// Ends the recording. Returns the last block; `None` if nothing was recorded.
    pub(super) fn finish(&mut self) -> Option<Vec<i16>> {
        match std::mem::replace(self, Self::Off) {
            Self::On(mut active) => Some(active.aligner.finish()),
            Self::Off => None,
        }
    }
}
