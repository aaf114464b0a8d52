//! What a leg sends to its caller: queued speech, the bridged party, ambience.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::events::{LegEvent, LegEventQueue};
use crate::audio::AudioFrame;
use crate::audio::convert::UnsupportedRateError;
use crate::frame::Frame;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::queue::{PlayoutQueue, SegmentChange, SegmentId, SegmentPlayed};
use crate::playout::relay::RelayBuffer;
use std::time::Instant;

/// Whether TTS keeps up with playout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    Flowing,
    /// A segment has begun and has not ended, but no sample waits.
    Dry,
}

/// Everything that is mixed into the frames sent.
pub(super) struct Playout {
    queue: PlayoutQueue,
    ambience: Option<AmbienceMixer>,
    /// Sound of the bridged party; made with its first frame.
    relay: Option<Box<RelayBuffer>>,
    /// The response that cannot be interrupted, if there is one.
    uninterruptible: Option<u32>,
    supply: Supply,
    /// Times that the supply ran dry.
    underruns: u64,
}

/// What is in a frame that was mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MixedFrame {
    pub speech: bool,
    pub relayed: bool,
}

impl Playout {
    pub(super) fn new(ambience: Option<AmbienceMixer>) -> Self {
        let (queue, relay) = (PlayoutQueue::default(), None);
        Self { queue, ambience, relay, uninterruptible: None, supply: Supply::Flowing, underruns: 0 }
    }

    pub(super) fn push(&mut self, segment: SegmentId, samples: Vec<i16>, ended: bool) {
        self.queue.push(segment, samples, ended);
    }

    pub(super) fn set_ambience(&mut self, ambience: Option<AmbienceMixer>) {
        self.ambience = ambience;
    }

    pub(super) fn push_relayed(&mut self, frame: &AudioFrame) -> Result<(), UnsupportedRateError> {
        self.relay.get_or_insert_default().push(frame)
    }

    /// Speech can leave now.
    pub(super) fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    /// A response that is not yet heard would begin with the next frame.
    pub(super) fn begins_response(&self) -> bool {
        self.is_ready() && self.queue.current().is_some_and(|(_, heard)| !heard)
    }

    /// Speech plays or waits, and the caller may interrupt it.
    pub(super) fn is_interruptible(&self) -> bool {
        let current = self.queue.current().map(|(response_id, _)| response_id);
        self.queue.is_active() && (current.is_none() || current != self.uninterruptible)
    }

    /// Protects a response. True if it is the current one.
    pub(super) fn set_uninterruptible(&mut self, response_id: u32) -> bool {
        self.uninterruptible = Some(response_id);
        self.queue.current().is_some_and(|(current, _)| current == response_id)
    }

    pub(super) fn pause(&mut self, now: Instant, events: &mut LegEventQueue) {
        if let Some((response_id, _)) = self.queue.current().filter(|_| !self.queue.is_paused()) {
            self.queue.pause();
            events.push(LegEvent::PlayoutPaused { response_id, at: now });
        }
    }

    pub(super) fn resume(&mut self) {
        self.queue.resume();
    }

    /// Discards a response and older ones. Returns how much of each segment was heard.
    pub(super) fn flush_response(&mut self, response_id: u32) -> Vec<SegmentPlayed> {
        let mut all = Vec::new();
        self.queue.flush_response(response_id, |heard| all.push(heard));
        all
    }

    /// The caller's voice interrupts: discards everything.
    pub(super) fn interrupt(&mut self, now: Instant, events: &mut LegEventQueue) {
        let mut heard = Vec::new();
        self.queue.flush(|segment| heard.push(segment));
        let response_id = heard.iter().map(|heard| heard.segment.response_id).max().unwrap_or(0);
        events.push(LegEvent::PlayoutFlushed { barge_in: true, response_id, heard, at: now });
    }

    /// Mixes the next frame.
    pub(super) fn mix(&mut self, now: Instant, frame: &mut Frame, events: &mut LegEventQueue) -> MixedFrame {
        let speech = self.queue.next_frame(frame, |change| {
            events.push(match change {
                SegmentChange::Started(segment) => LegEvent::SegmentStarted { segment, at: now },
                SegmentChange::Finished(heard) => LegEvent::SegmentFinished { heard, at: now },
            });
        });
        let is_dry = !speech && self.queue.is_active() && !self.queue.is_paused();
        self.underruns += u64::from(is_dry && self.supply == Supply::Flowing);
        self.supply = if is_dry { Supply::Dry } else { Supply::Flowing };
        if let Some(ambience) = &mut self.ambience {
            ambience.mix(frame, speech);
        }
        let relayed = self.relay.as_mut().is_some_and(|relay| relay.mix(frame));
        MixedFrame { speech, relayed }
    }

    /// A frame in which nothing is mixed: speech waits, the bridged party does not.
    pub(super) fn skip_relayed(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.skip();
        }
    }

    pub(super) fn underruns(&self) -> u64 {
        self.underruns
    }

    /// Speech dropped because the queue was full.
    pub(super) fn overflow_ms(&self) -> u64 {
        self.queue.overflow_samples / 8
    }
}
