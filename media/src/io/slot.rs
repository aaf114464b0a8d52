//! A leg in its worker slot, with its transport, event sink and next deadline.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::leg_transport::LegTransport;
use super::recorder::Recorder;
use super::worker::LegEventSink;
use crate::leg::{Leg, LegEvent};
use crate::limits;
use std::time::Instant;

/// What contains the panic of a leg's turn, as metrics name it.
pub(super) const PART_LEG: &str = "media_leg";

/// A leg with what carries it and who listens.
pub(super) struct LegSlot {
    pub(super) leg: Box<Leg>,
    pub(super) number: u64,
    pub(super) transport: LegTransport,
    pub(super) sink: LegEventSink,
    pub(super) recording: bool,
    /// Deadline for the media path. Until the path is open the leg does not run, so that no audio is lost.
    pub(super) path_deadline: Option<Instant>,
}

impl LegSlot {
    /// Starts the leg once its path is open; reports a lost network when the deadline passes.
    pub(super) fn check_path_deadline(&mut self, now: Instant, cycle_at: Instant) {
        let Some(give_up) = self.path_deadline else { return };
        if self.transport.is_open() {
            self.path_deadline = None;
            self.leg.restart_pacing(cycle_at);
            self.leg.restart_network_timeout(now);
        } else if now >= give_up {
            self.leg.handle_disconnected();
            self.path_deadline = Some(now + limits::PATH_DEADLINE);
        }
    }

    /// Next deadline.
    pub(super) fn due(&self, cycle_at: Instant) -> Instant {
        let own = self.transport.due();
        match self.path_deadline {
            // The path is open: the leg starts in the next cycle.
            Some(_) if self.transport.is_open() => cycle_at,
            Some(give_up) => own.map_or(give_up, |own| own.min(give_up)),
            None => own.map_or(self.leg.due(cycle_at), |own| own.min(self.leg.due(cycle_at))),
        }
    }

    /// Delivers the leg's events. Recording blocks go to the recorder, not to the call.
    pub(super) fn deliver(&mut self, recorder: &Recorder) {
        while let Some(event) = self.leg.poll_event() {
            match event {
                LegEvent::RecordingBlock { block } if self.recording => recorder.block(self.number, block),
                event => {
                    (self.sink)(event);
                }
            }
        }
    }
}
