//! Decides when the next frame is sent. Silence is sent on the leg's 20 ms grid. A talk spurt starts at once and runs
//! less than a frame ahead of the grid until it ends, so that timestamps do not drift.

use crate::frame::FRAME_DURATION;
use std::time::Instant;

/// When a talk spurt leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpurtStart {
    /// In the next turn after it is ready.
    Immediate,
    /// With the next frame of the 20 ms grid.
    OnGrid,
}

/// Send times of one leg: a 20 ms grid in silence, 20 ms from frame to frame in a talk spurt.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    origin: Instant,
    frames: u32,
    spurt_start: SpurtStart,
    /// The last frame was speech, and left at that instant.
    spurt: Option<Instant>,
}

impl Pacer {
    /// Creates a pacer whose first frame is due at `origin`.
    pub fn new(origin: Instant, spurt_start: SpurtStart) -> Self {
        Self { origin, frames: 0, spurt_start, spurt: None }
    }

    fn next_slot_time(&self) -> Instant {
        self.origin + FRAME_DURATION * self.frames
    }

    /// When the next frame is due.
    pub fn due(&self) -> Instant {
        match self.spurt {
            Some(last) => last + FRAME_DURATION,
            None => self.next_slot_time(),
        }
    }

    /// Speech has become ready between two frames: the earliest instant it may leave.
    pub fn due_for_speech(&self, now: Instant) -> Instant {
        match self.spurt {
            Some(last) => last + FRAME_DURATION,
            None if self.spurt_start == SpurtStart::OnGrid => self.next_slot_time(),
            None => now.max(self.next_slot_time() - FRAME_DURATION).min(self.next_slot_time()),
        }
    }

    /// A frame leaves now, nominally at `due`. Returns true when it starts a talk spurt.
    pub fn record_sent(&mut self, due: Instant, speech: bool) -> bool {
        let starts = speech && self.spurt.is_none();
        self.spurt = speech.then_some(due);
        self.frames += 1;
        starts
    }

    /// Restarts the timeline after a long stall.
    pub fn restart(&mut self, now: Instant) {
        *self = Self::new(now, self.spurt_start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn talk_spurt_starts_at_once_and_grid_is_kept() {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let origin = Instant::now();
        let mut pacer = Pacer::new(origin, SpurtStart::Immediate);
        let mut sent = 0u32;
        let mut now = origin;
        for spurt in 0..500u64 {
            for _ in 0..3 {
                now = pacer.due();
                pacer.record_sent(now, false);
                sent += 1;
            }
            now += Duration::from_millis(spurt % 19);
            let due = pacer.due_for_speech(now);
            assert!(due <= now + FRAME_DURATION);
            let mut at = due;
            for frame in 0..5 {
                assert_eq!(pacer.record_sent(at, true), frame == 0);
                sent += 1;
                at = pacer.due();
                assert_eq!(at.duration_since(due), FRAME_DURATION * (frame + 1));
            }
            now = at;
            pacer.record_sent(now, false);
            sent += 1;
            let grid = origin + FRAME_DURATION * sent;
            assert!(pacer.due() == grid && grid.saturating_duration_since(now) <= FRAME_DURATION * 2);
        }
    }
}
