//! The detector: 8 kHz frames in, voiced or not out, with onset and end of speech.

use super::level_contrast::LevelContrast;
use super::level_normalizer::LevelNormalizer;
use crate::codec::resample::Resampler;
use crate::frame::Frame;
use std::time::{Duration, Instant};

/// The detector works on 256 samples at 16 kHz.
const MODEL_RATE_HZ: u32 = 16_000;
const MODEL_SAMPLES: usize = 256;
const MODEL_FRAME: Duration = Duration::from_millis(16);
/// Below this a frame is silence whatever the model says.
const SILENCE_DBFS: f32 = -55.0;

/// Share of the score of voice from which on a frame after silence may be the beginning of a word: a "t" or an "h" is no voice yet.
const POSSIBLE_SHARE: f32 = 0.6;

/// How long voice must last, and be gone, before it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VadConfig {
    /// Speech that starts must last this long before it counts.
    pub onset_ms: u32,
    /// Speech that stops counts as ended after this long.
    pub hangover_ms: u32,
}

impl Default for VadConfig {
    fn default() -> Self {
        // Three of four model frames. The model itself goes on for up to 100 ms after the last sound, or the level ends
        // speech before its last soft sounds: a pause inside a word stays below this hangover in both cases.
        Self { onset_ms: 48, hangover_ms: 150 }
    }
}

/// Change of speech activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechChange {
    /// Speech began at that instant.
    Started(Instant),
    /// Speech ended; the instant is that of its last voiced sound.
    Ended(Instant),
}

/// Voice activity detector of one stream, with the earshot model.
pub struct VoiceActivityDetector {
    config: VadConfig,
    model: Box<earshot::Detector>,
    resampler: Option<Resampler>,
    pending: Vec<f32>,
    normaliser: LevelNormalizer,
    contrast: LevelContrast,
    /// Noise floor of the model score: rises slowly, falls quickly.
    floor: f32,
    /// Voiced flags of the last frames, newest in bit 0.
    voiced_history: u32,
    speaking: bool,
    last_voiced: Option<Instant>,
    /// The last frame of the model may be within the beginning of speech.
    is_possible: bool,
    /// Such a beginning began in the last frame.
    may_begin: bool,
    /// Voiced time of the present speech.
    voiced: Duration,
}

impl std::fmt::Debug for VoiceActivityDetector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VoiceActivityDetector")
            .field("speaking", &self.speaking)
            .field("floor", &self.floor)
            .finish_non_exhaustive()
    }
}

impl VoiceActivityDetector {
    /// Creates a detector that has heard nothing: not speaking.
    pub fn new(config: VadConfig) -> Self {
        Self {
            config,
            model: earshot::Detector::default_boxed(),
            resampler: Resampler::new(crate::frame::SAMPLE_RATE_HZ, MODEL_RATE_HZ),
            pending: Vec::with_capacity(2 * MODEL_SAMPLES),
            normaliser: LevelNormalizer::default(),
            contrast: LevelContrast::default(),
            floor: 0.1,
            voiced_history: 0,
            speaking: false,
            last_voiced: None,
            is_possible: false,
            may_begin: false,
            voiced: Duration::ZERO,
        }
    }

    /// Returns true from the onset of speech until its hangover has passed.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Speech may have begun in the last frame, which is known [`VadConfig::onset_ms`] later.
    pub fn may_begin(&self) -> bool {
        self.may_begin
    }

    /// Voiced sound, not counting pauses, since speech last started.
    pub fn voiced(&self) -> Duration {
        self.voiced
    }

    /// Judges one frame that ended at `now`.
    pub fn handle_frame(&mut self, now: Instant, frame: &Frame) -> Option<SpeechChange> {
        let gain = self.normaliser.gain() / 32_768.0;
        let pending = &mut self.pending;
        if let Some(resampler) = &mut self.resampler {
            resampler.push(frame.iter().map(|s| f32::from(*s) * gain), |block| pending.extend_from_slice(block));
        }
        let frame_dbfs = crate::frame::level_dbfs(frame);
        let mut change = None;
        self.may_begin = false;
        while self.pending.len() >= MODEL_SAMPLES {
            let score = self.model.predict_f32(&self.pending[..MODEL_SAMPLES]);
            self.pending.drain(..MODEL_SAMPLES);
            change = self.update(now, score, frame_dbfs).or(change);
        }
        change
    }

    fn update(&mut self, now: Instant, score: f32, frame_dbfs: f32) -> Option<SpeechChange> {
        let rate = if score < self.floor { 0.1 } else { 0.002 };
        self.floor += (score - self.floor) * rate;
        let threshold = (self.floor + 0.35).clamp(0.5, 0.8);
        let resembles_voice = score >= threshold && frame_dbfs > SILENCE_DBFS;
        self.contrast.handle_frame(frame_dbfs, resembles_voice);
        let voiced = resembles_voice && !self.contrast.is_noise(self.speaking);
        let is_possible = !self.speaking
            && score >= threshold * POSSIBLE_SHARE
            && frame_dbfs > SILENCE_DBFS
            && !self.contrast.is_noise(false);
        self.may_begin |= is_possible && !self.is_possible;
        self.is_possible = is_possible;
        if voiced && score > 0.8 {
            self.normaliser.update(frame_dbfs);
        }
        self.voiced_history = self.voiced_history << 1 | u32::from(voiced);
        if voiced {
            self.last_voiced = Some(now);
            self.voiced += MODEL_FRAME;
        }
        let needed = (self.config.onset_ms / 16).clamp(1, 16);
        let window = (1u32 << (needed + 1)) - 1;
        if !self.speaking && voiced && (self.voiced_history & window).count_ones() >= needed {
            self.speaking = true;
            self.voiced = MODEL_FRAME * needed;
            return Some(SpeechChange::Started(now.checked_sub(MODEL_FRAME * needed).unwrap_or(now)));
        }
        let last = self.last_voiced?;
        let quiet = now.saturating_duration_since(last);
        if self.speaking && quiet >= Duration::from_millis(u64::from(self.config.hangover_ms)) {
            self.speaking = false;
            self.voiced = Duration::ZERO;
            return Some(SpeechChange::Ended(last));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the model said of one frame after the other, all at the level of speech. Returns whether each of them was
    /// within speech.
    fn speaking(scores: impl IntoIterator<Item = f32>) -> Vec<bool> {
        let mut detector = VoiceActivityDetector::new(VadConfig::default());
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let mut now = Instant::now();
        let step = |score: f32| {
            now += MODEL_FRAME;
            detector.update(now, score, -20.0);
            detector.is_speaking()
        };
        scores.into_iter().map(step).collect()
    }

    #[test]
    fn three_voiced_frames_of_four_begin_speech() {
        assert_eq!(speaking([0.9, 0.1, 0.9, 0.9]), [false, false, false, true]);
        assert_eq!(speaking([0.9, 0.1, 0.1, 0.9, 0.9]), [false; 5]);
    }

    #[test]
    fn a_word_that_begins_is_suspected_before_it_is_known() {
        let mut detector = VoiceActivityDetector::new(VadConfig::default());
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let mut now = Instant::now();
        let mut step = |score: f32, dbfs: f32| {
            now += MODEL_FRAME;
            let change = detector.update(now, score, dbfs);
            (std::mem::take(&mut detector.may_begin), change.is_some())
        };
        assert!((0..50).all(|_| step(0.1, -65.0) == (false, false)), "a silent line");
        assert_eq!(step(0.45, -30.0), (true, false), "a consonant");
        assert_eq!(step(0.9, -25.0), (false, false), "once");
        assert_eq!(step(0.9, -22.0), (false, false));
        assert_eq!(step(0.9, -22.0), (false, true), "known");
        assert_eq!(step(0.9, -22.0), (false, false), "and no longer suspected");
        assert_eq!(step(0.2, -22.0), (false, false));
    }

    #[test]
    fn steady_sound_that_resembles_speech_becomes_background() {
        let minute = speaking([0.55; 3_750]);
        assert!(minute[10] && !minute[3_749], "a fan in the room");
    }
}
