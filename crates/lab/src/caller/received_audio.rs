//! What a scripted caller hears of the agent: when it speaks, how loud, with which gaps.

use super::report::CallReport;
use super::script::SOUND_DBFS;
use std::time::{Duration, Instant};
use trunkline_media::audio::AudioFrame;
use trunkline_media::frame::level_dbfs;

/// The agent is done speaking after this much silence.
const SILENCE: Duration = Duration::from_millis(700);
/// A marked packet this shortly before a sound is its beginning.
const TALK_SPURT_LEAD: Duration = Duration::from_millis(150);

/// What is heard of the agent.
pub(super) struct ReceivedAudio {
    /// The last frame; kept for its room.
    samples: Vec<i16>,
    /// When the call was answered.
    pub(super) started: Instant,
    last_frame: Option<Instant>,
    last_was_sound: bool,
    /// First and last sound of the present speech.
    pub(super) speech: Option<(Instant, Instant)>,
    first_sound: Option<Instant>,
    /// The last packet that was marked as the first of a talk spurt.
    pub(super) spurt: Option<Instant>,
    gaps_ms: Vec<f32>,
    sound_frames: u64,
    energy_db_sum: f64,
}

impl ReceivedAudio {
    pub(super) fn new() -> Self {
        Self {
            samples: Vec::new(),
            started: Instant::now(),
            last_frame: None,
            last_was_sound: false,
            speech: None,
            first_sound: None,
            spurt: None,
            gaps_ms: Vec::new(),
            sound_frames: 0,
            energy_db_sum: 0.0,
        }
    }

    pub(super) fn hear(&mut self, at: Instant, frame: &AudioFrame) {
        if at < self.started {
            return; // early media
        }
        self.samples.clear();
        self.samples.extend(frame.samples());
        let dbfs = level_dbfs(&self.samples);
        let sound = dbfs > SOUND_DBFS;
        if sound {
            self.first_sound.get_or_insert(at);
            self.speech = Some(match self.speech {
                Some((first, last)) if at - last < SILENCE => (first, at),
                // Speech begins with its first packet, which may still be a breath; agents that mark
                // none are taken at their first sound.
                _ => (self.spurt.filter(|spurt| at - *spurt < TALK_SPURT_LEAD).unwrap_or(at), at),
            });
            self.sound_frames += 1;
            self.energy_db_sum += f64::from(dbfs);
            if let (true, Some(last)) = (self.last_was_sound, self.last_frame) {
                self.gaps_ms.push((at - last).as_secs_f32() * 1_000.0);
            }
        }
        self.last_frame = Some(at);
        self.last_was_sound = sound;
    }

    /// Since when the agent has been speaking without a longer pause, if it is.
    pub(super) fn speaking_since(&self, now: Instant) -> Option<Instant> {
        self.speech.filter(|(_, last)| now.saturating_duration_since(*last) < SILENCE).map(|(first, _)| first)
    }

    pub(super) fn report(self, report: &mut CallReport) {
        report.first_sound_ms = self.first_sound.map(|at| (at - self.started).as_secs_f64() * 1_000.0);
        report.heard_seconds = self.sound_frames as f64 / 50.0;
        report.level_dbfs = (self.energy_db_sum / self.sound_frames.max(1) as f64) as f32;
        report.gaps_ms = self.gaps_ms;
    }
}
