//! Barge-in detection per frame. Playout is paused at the first sound, which may still be a cough, and stopped by
//! continued speech. Words are evaluated elsewhere; they can stop or resume the paused playout.

use std::time::Duration;

/// Voiced duration that pauses playout.
const PAUSE_AFTER: Duration = Duration::from_millis(48);
/// Pause after which the voiced duration restarts at zero.
const GAP_MAX: Duration = Duration::from_millis(300);

/// When the caller's voice interrupts the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BargeInConfig {
    /// False: no voice pauses or stops playout. Default true.
    pub enabled: bool,
    /// Voiced sound of the caller that is an interruption without a word being recognised; "mhm" and a cough are
    /// shorter.
    pub min_speech: Duration,
}

impl Default for BargeInConfig {
    fn default() -> Self {
        Self { enabled: true, min_speech: Duration::from_millis(500) }
    }
}

/// What happens to playout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BargeInDecision {
    /// Playout pauses from the next frame; no audio is lost.
    Pause,
    /// The caller interrupts: playout stops.
    Stop,
}

/// Barge-in detector of one leg, asked once a frame.
#[derive(Clone, Copy, Debug)]
pub struct BargeInDetector {
    config: BargeInConfig,
    /// Voiced sound of the caller over the agent.
    over: Duration,
    gap: Duration,
    paused: bool,
}

impl BargeInDetector {
    /// Creates a detector that has heard nothing and is not paused.
    pub fn new(config: BargeInConfig) -> Self {
        Self { config, over: Duration::ZERO, gap: Duration::ZERO, paused: false }
    }

    /// One frame: `voiced` is the caller's voiced sound in it, as far as it is loud enough and not our echo;
    /// `playing` whether the agent has something to say and may be interrupted.
    pub fn handle_frame(&mut self, voiced: Duration, speaking: bool, playing: bool) -> Option<BargeInDecision> {
        if !self.config.enabled || !playing {
            self.resume();
            return None;
        }
        self.gap = if voiced.is_zero() { self.gap + crate::frame::FRAME_DURATION } else { Duration::ZERO };
        if !speaking || self.gap >= GAP_MAX {
            self.over = Duration::ZERO;
        }
        self.over += voiced;
        if self.over >= self.config.min_speech {
            self.resume();
            return Some(BargeInDecision::Stop);
        }
        let holds = !self.paused && self.over >= PAUSE_AFTER;
        self.paused |= holds;
        holds.then_some(BargeInDecision::Pause)
    }

    /// Pauses before playout starts; false if barge-in is disabled or already paused.
    pub fn pause(&mut self) -> bool {
        let holds = self.config.enabled && !self.paused;
        self.paused |= holds;
        holds
    }

    /// Returns true from a pause until playout resumes, stops or has nothing left to say.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The agent goes on, or has nothing to say any more.
    pub fn resume(&mut self) {
        *self = Self::new(self.config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of voiced milliseconds; the frame of each verdict.
    fn check(config: BargeInConfig, voiced_ms: &[u64], playing: bool) -> (Option<usize>, Option<usize>) {
        let mut barge_in = BargeInDetector::new(config);
        let (mut paused, mut stopped) = (None, None);
        for (frame, ms) in voiced_ms.iter().enumerate() {
            match barge_in.handle_frame(Duration::from_millis(*ms), *ms > 0, playing) {
                Some(BargeInDecision::Pause) => paused = paused.or(Some(frame)),
                Some(BargeInDecision::Stop) => stopped = stopped.or(Some(frame)),
                None => {}
            }
        }
        (paused, stopped)
    }

    #[test]
    fn first_sound_pauses_and_continued_speech_stops() {
        let config = BargeInConfig::default();
        assert_eq!(check(config, &[48; 1], true), (Some(0), None));
        assert_eq!(check(config, &[16, 16, 0, 16, 16], true), (None, None), "clicks");
        assert_eq!(check(config, &[20; 30], true), (Some(2), Some(24)));
        assert_eq!(check(config, &[20; 30], false), (None, None), "nothing to interrupt");
        assert_eq!(check(BargeInConfig { enabled: false, ..config }, &[20; 90], true), (None, None));
    }

    #[test]
    fn second_cough_pauses_again_after_resume() {
        let mut barge_in = BargeInDetector::new(BargeInConfig::default());
        let cough = Duration::from_millis(60);
        assert_eq!(barge_in.handle_frame(cough, true, true), Some(BargeInDecision::Pause));
        assert_eq!(barge_in.handle_frame(Duration::ZERO, false, true), None);
        assert_eq!(barge_in.handle_frame(cough, true, true), None, "paused already");
        barge_in.resume();
        assert_eq!(barge_in.handle_frame(cough, true, true), Some(BargeInDecision::Pause));
    }
}
