//! A leg at its place in a worker: with what carries it, who listens, and when it wants attention.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::carrier::Carrier;
use super::recorder::Recorder;
use super::worker::Sink;
use crate::leg::{Leg, LegEvent};
use crate::limits;
use std::time::Instant;

/// What contains the panic of a leg's turn, as metrics name it.
pub(super) const PART_LEG: &str = "media_leg";

/// A leg with what carries it and who listens.
pub(super) struct Seat {
    pub(super) leg: Box<Leg>,
    pub(super) number: u64,
    pub(super) carrier: Carrier,
    pub(super) sink: Sink,
    pub(super) recording: bool,
    /// The leg's time stands still until its path is open, so that nothing is said to nobody; given up at this instant.
    pub(super) stalled: Option<Instant>,
}

impl Seat {
    /// A path that has opened lets the leg's time go on; one that does not is given up.
    pub(super) fn settle(&mut self, now: Instant, turn_at: Instant) {
        let Some(give_up) = self.stalled else { return };
        if self.carrier.is_open() {
            self.stalled = None;
            self.leg.restart_clock(turn_at);
            self.leg.restart_silence(now);
        } else if now >= give_up {
            self.leg.handle_disconnected();
            self.stalled = Some(now + limits::PATH_DEADLINE);
        }
    }

    /// When it wants attention next.
    pub(super) fn due(&self, turn_at: Instant) -> Instant {
        let own = self.carrier.due();
        match self.stalled {
            // What it waits for has come: its time goes on in the next turn.
            Some(_) if self.carrier.is_open() => turn_at,
            Some(give_up) => own.map_or(give_up, |own| own.min(give_up)),
            None => own.map_or(self.leg.due(turn_at), |own| own.min(self.leg.due(turn_at))),
        }
    }

    /// Hands the leg's events on; recording blocks go to the recorder and never to the call.
    pub(super) fn deliver(&mut self, recorder: &Recorder) {
        while let Some(event) = self.leg.poll_event() {
            match event {
                LegEvent::Recorded { block } if self.recording => recorder.block(self.number, block),
                event => {
                    (self.sink)(event);
                }
            }
        }
    }
}
