//! Normalizes speech to the level at which the detector works best.

/// Level of speech at the detector's input. Its scores rise with the level of noise, and at -30 dBFS
/// noise stays low while speech is still found.
const TARGET_DBFS: f32 = -30.0;
/// Assumed before any speech was heard: a normal level on a phone call.
const FIRST_GUESS_DBFS: f32 = -20.0;
/// Quiet callers are raised by at most this much, or line noise would be raised with them.
const GAIN_DB_MAX: f32 = 12.0;

#[derive(Clone, Debug)]
pub(super) struct LevelNormalizer {
    speech_dbfs: f32,
    gain: f32,
}

impl Default for LevelNormalizer {
    fn default() -> Self {
        let mut this = Self { speech_dbfs: FIRST_GUESS_DBFS, gain: 1.0 };
        this.update_gain();
        this
    }
}

impl LevelNormalizer {
    pub(super) fn gain(&self) -> f32 {
        self.gain
    }

    /// Updates the speech level from a speech frame: quickly for louder, slowly for quieter speech.
    pub(super) fn update(&mut self, frame_dbfs: f32) {
        let rate = if frame_dbfs > self.speech_dbfs { 0.2 } else { 0.01 };
        self.speech_dbfs += (frame_dbfs - self.speech_dbfs) * rate;
        self.update_gain();
    }

    fn update_gain(&mut self) {
        let gain_db = (TARGET_DBFS - self.speech_dbfs).min(GAIN_DB_MAX);
        self.gain = 10f32.powf(gain_db / 20.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_brought_to_the_same_level() {
        for (speech_dbfs, gain_db) in [(-38.0, 8.0), (-30.0, 0.0), (-10.0, -20.0), (-60.0, GAIN_DB_MAX)] {
            let mut normalizer = LevelNormalizer::default();
            (0..1_000).for_each(|_| normalizer.update(speech_dbfs));
            let gain = 20.0 * normalizer.gain().log10();
            assert!((gain - gain_db).abs() < 0.1, "{gain} dB for speech at {speech_dbfs} dBFS");
        }
    }
}
