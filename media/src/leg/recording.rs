//! The recording of a leg: both sides in blocks of half a second.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_SAMPLES, Frame};
use crate::limits;
use crate::record::align::RecordingAligner;

/// Empty blocks kept for the next half second.
const SPARE_BLOCKS_MAX: usize = 2;

#[derive(Debug)]
pub(super) enum Recording {
    Off,
    On { aligner: Box<RecordingAligner>, spare_blocks: Vec<Vec<i16>> },
}

impl Recording {
    pub(super) fn new(record: bool) -> Self {
        if record { Self::On { aligner: Box::default(), spare_blocks: Vec::new() } } else { Self::Off }
    }

    /// Takes back an empty block.
    pub(super) fn recycle(&mut self, mut block: Vec<i16>) {
        if let Self::On { spare_blocks, .. } = self
            && spare_blocks.len() < SPARE_BLOCKS_MAX
        {
            block.clear();
            spare_blocks.push(block);
        }
    }

    pub(super) fn push_caller(&mut self, frame: &Frame) {
        if let Self::On { aligner, .. } = self {
            aligner.push_caller(frame);
        }
    }

    /// The agent's next frame, which is the clock. Returns a full block.
    pub(super) fn push_agent(&mut self, frame: &Frame) -> Option<Vec<i16>> {
        let Self::On { aligner, spare_blocks } = self else { return None };
        let next = || {
            let capacity = limits::RECORD_BLOCK_PAIRS * 2 + FRAME_SAMPLES * 2;
            spare_blocks.pop().unwrap_or_else(|| Vec::with_capacity(capacity))
        };
        aligner.push_agent(frame, next)
    }

    /// Ends the recording. Returns the last block; `None` if nothing was recorded.
    pub(super) fn finish(&mut self) -> Option<Vec<i16>> {
        match std::mem::replace(self, Self::Off) {
            Self::On { mut aligner, .. } => Some(aligner.finish()),
            Self::Off => None,
        }
    }
}
