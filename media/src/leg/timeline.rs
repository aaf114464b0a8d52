//! Keeps what is heard of a peer in step with our clock, so that recording and STT last as long as the call.
//!
//! Jitter moves frames to and fro; drift, lost time at a change of the source and packets that were played although
//! their time had passed add up. Only what stays over a while is corrected: by a frame more or less, where it is quiet.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_SAMPLES, SAMPLE_RATE_HZ, samples_to_duration};
use std::time::{Duration, Instant};

/// How long frames must be early or late.
const WINDOW: Duration = Duration::from_secs(2);
/// By how much in samples, 100 ms, and what is left of it after the correction.
const TOLERANCE_SAMPLES: i64 = 800;
const RESIDUE_SAMPLES: i64 = 400;
/// From half a second on, the correction does not wait for a quiet frame.
const URGENT_SAMPLES: i64 = 4_000;
/// Below this level nobody hears a frame more or less.
const QUIET_DBFS: f32 = -50.0;

/// The time of what was heard, compared with the clock.
#[derive(Debug, Default)]
pub(super) enum ReceivedTimeline {
    /// Nothing was heard yet.
    #[default]
    Awaited,
    Running(Box<RunningTimeline>),
}

/// The timeline from the first frame on. A lead is what was heard beyond the time that has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningTimeline {
    origin: Instant,
    frames: u64,
    window_end: Instant,
    /// Least and greatest lead in the window.
    leads: (i64, i64),
    /// Frames to be inserted; those to be dropped are negative.
    correction: i64,
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameCorrection {
    Keep,
    Drop,
    /// A frame of silence goes first.
    InsertSilence,
}

impl ReceivedTimeline {
    /// Samples that a gap may have: the time that has passed and was not heard, and some tolerance.
    pub(super) fn room(&self, now: Instant) -> usize {
        match self {
            Self::Awaited => TOLERANCE_SAMPLES as usize,
            Self::Running(timeline) => (TOLERANCE_SAMPLES - timeline.lead(now)).max(0) as usize,
        }
    }

    /// Counts a frame of this level.
    pub(super) fn count(&mut self, now: Instant, level_dbfs: impl FnOnce() -> f32) -> FrameCorrection {
        match self {
            Self::Awaited => {
                let (window_end, leads) = (now + WINDOW, (i64::MAX, i64::MIN));
                let begun = RunningTimeline { origin: now, frames: 1, window_end, leads, correction: 0 };
                *self = Self::Running(Box::new(begun));
                FrameCorrection::Keep
            }
            Self::Running(timeline) => timeline.count(now, level_dbfs),
        }
    }
}

impl RunningTimeline {
    fn lead(&self, now: Instant) -> i64 {
        let heard = samples_to_duration(self.frames * FRAME_SAMPLES as u64);
        let passed = now.saturating_duration_since(self.origin);
        let samples = |time: Duration| time.as_micros() as i64 * i64::from(SAMPLE_RATE_HZ) / 1_000_000;
        samples(heard) - samples(passed)
    }

    fn count(&mut self, now: Instant, level_dbfs: impl FnOnce() -> f32) -> FrameCorrection {
        // Before the frame that comes: it ends when it is heard.
        let lead = self.lead(now);
        if now >= self.window_end {
            self.close_window(now);
        }
        self.leads = (self.leads.0.min(lead), self.leads.1.max(lead));
        let is_due = self.correction != 0 && (lead.abs() >= URGENT_SAMPLES || level_dbfs() < QUIET_DBFS);
        if !is_due {
            self.frames += 1;
            return FrameCorrection::Keep;
        }
        if self.correction < 0 {
            self.correction += 1;
            return FrameCorrection::Drop;
        }
        self.correction -= 1;
        self.frames += 2;
        FrameCorrection::InsertSilence
    }

    fn close_window(&mut self, now: Instant) {
        let (least, greatest) = self.leads;
        let frames = |samples: i64| samples / FRAME_SAMPLES as i64;
        self.correction = match () {
            () if least > greatest => 0,
            () if least > TOLERANCE_SAMPLES => -frames(least - RESIDUE_SAMPLES),
            () if greatest < -TOLERANCE_SAMPLES => frames(-RESIDUE_SAMPLES - greatest),
            () => 0,
        };
        self.window_end = now + WINDOW;
        self.leads = (i64::MAX, i64::MIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
    fn origin() -> Instant {
        Instant::now()
    }

    /// What is heard in ten minutes of frames that come every `every_us`, `burst` at once.
    fn heard_ms(every_us: u32, burst: u32, level: fn(u32) -> f32) -> i64 {
        let (start, mut timeline, mut heard) = (origin(), ReceivedTimeline::default(), 0);
        let count = 600_000_000 / every_us;
        for n in 0..count {
            let now = start + Duration::from_micros(u64::from(n / burst * burst) * u64::from(every_us));
            heard += match timeline.count(now, || level(n)) {
                FrameCorrection::Keep => 1,
                FrameCorrection::Drop => 0,
                FrameCorrection::InsertSilence => 2,
            };
        }
        heard * 20
    }

    #[test]
    fn drift_is_corrected_where_it_is_quiet() {
        for every_us in [19_000, 19_900, 19_980, 20_000, 20_020, 20_100, 21_000] {
            for burst in [1, 10] {
                // A second of speech, a second of silence.
                let heard = heard_ms(every_us, burst, |n| if n / 50 % 2 == 0 { -20.0 } else { -70.0 });
                assert!((heard - 600_000).abs() <= 400, "{heard} ms with frames every {every_us} us, {burst} at once");
            }
        }
        assert_eq!(heard_ms(20_000, 1, |_| -70.0), 600_000);
        // Without any silence half a second may be missing.
        let heard = heard_ms(20_100, 1, |_| -20.0);
        assert!((heard - 600_000).abs() <= 600, "{heard} ms");
    }

    #[test]
    fn jitter_is_left_alone() {
        let (start, mut timeline) = (origin(), ReceivedTimeline::default());
        for n in 0..30_000u32 {
            let late = (n * 7_919 % 11) * 15; // up to 150 ms
            let now = start + n * 20 * MS + late * MS;
            assert_eq!(timeline.count(now, || -90.0), FrameCorrection::Keep);
        }
    }

    #[test]
    fn gap_has_the_room_of_the_time_that_passed() {
        let (start, mut timeline) = (origin(), ReceivedTimeline::default());
        timeline.count(start, || 0.0);
        assert_eq!(timeline.room(start + 20 * MS), 800);
        assert_eq!(timeline.room(start + 1_020 * MS), 8_800);
        for _ in 0..50 {
            timeline.count(start + 1_000 * MS, || 0.0);
        }
        assert_eq!(timeline.room(start), 0);
    }
}
