//! From a model's samples to 16 bits: level, borders, and what is no sound.

use crate::error::VoiceError;

/// Piper's voices speak at -24 dBFS, espeak-ng at -20.5: a sentence that the other one takes over is as loud.
const GAIN: f32 = 1.5;
/// Above it, peaks are bent and not cut.
const KNEE: f32 = 0.85;
/// A part begins and ends with a ramp: a step between two parts clicks.
const RAMP_MS: usize = 4;
/// Silence before the first sound that is kept; more is only delay.
const LEAD_MS: usize = 10;
/// What counts as sound: -54 dBFS.
const SOUND: f32 = 0.002;

/// Bends what would be beyond full scale.
fn limited(sample: f32) -> f32 {
    let size = sample.abs();
    if size <= KNEE {
        return sample;
    }
    let room = 1.0 - KNEE;
    (KNEE + room * ((size - KNEE) / room).tanh()).copysign(sample)
}

/// Samples of a text on their way to the listener. What it holds back is at most the silence at the start, and the ramp
/// at the end.
#[derive(Debug)]
pub(crate) struct PcmStream {
    rate_hz: u32,
    /// Samples that were not handed on yet.
    held: Vec<f32>,
    /// Samples of the ramp at the start that were handed on.
    ramped: usize,
    /// Samples that were left out at the start, as soon as there is sound.
    cut: Option<usize>,
}

impl PcmStream {
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, held: Vec::new(), ramped: 0, cut: None }
    }

    fn samples_in(&self, ms: usize) -> usize {
        self.rate_hz as usize * ms / 1_000
    }

    /// Samples that were left out at the start.
    pub(crate) fn cut(&self) -> usize {
        self.cut.unwrap_or_default()
    }

    /// Takes further samples and returns what may be sent of them. Refuses values that are no samples: a model for
    /// something else, or one that was damaged.
    pub(crate) fn push(&mut self, model: &[f32]) -> Result<Vec<i16>, VoiceError> {
        if model.is_empty() || !model.iter().all(|sample| sample.is_finite()) {
            return Err(VoiceError::Synthesis("it returned no sound".to_owned()));
        }
        let before = self.held.len();
        self.held.extend_from_slice(model);
        if self.cut.is_none() {
            let Some(first) = model.iter().position(|sample| sample.abs() * GAIN > SOUND) else {
                return Ok(Vec::new());
            };
            let cut = (before + first).saturating_sub(self.samples_in(LEAD_MS));
            self.held.drain(..cut);
            self.cut = Some(cut);
        }
        let ready = self.held.len().saturating_sub(self.samples_in(RAMP_MS));
        Ok(self.take(ready))
    }

    /// The end of it.
    pub(crate) fn finish(&mut self) -> Vec<i16> {
        let ramp = self.samples_in(RAMP_MS).min(self.held.len()).max(1);
        let from = self.held.len() - ramp.min(self.held.len());
        let end = self.held.get_mut(from..).unwrap_or_default().iter_mut().rev();
        end.enumerate().for_each(|(at, sample)| *sample *= (at as f32 / ramp as f32).min(1.0));
        self.take(self.held.len())
    }

    fn take(&mut self, count: usize) -> Vec<i16> {
        let ramp = self.samples_in(RAMP_MS).max(1);
        let from = self.ramped;
        self.ramped = self.ramped.saturating_add(count).min(ramp);
        let ramped = |(at, sample): (usize, f32)| {
            (limited(sample * GAIN) * ((from + at) as f32 / ramp as f32).min(1.0) * 32_767.0) as i16
        };
        self.held.drain(..count).enumerate().map(ramped).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loud_peaks_are_bent_and_keep_their_sign() {
        assert_eq!(limited(0.5), 0.5);
        assert!(limited(1.4) < 1.0 && limited(1.4) > 0.95);
        assert!(limited(-3.0) >= -1.0 && limited(-3.0) < -0.95);
        assert!(limited(0.86) > limited(0.85));
    }

    #[test]
    fn leading_silence_goes_and_borders_are_ramps() {
        let mut model = vec![0.0; 22_050];
        model.extend((0..4_410).map(|n| (n as f32 * 0.1).sin() * 0.5));
        let (samples, cut) = made(&model, model.len());
        assert!((cut as i32 - (22_050 - 220)).abs() < 5, "{cut}");
        assert_eq!(samples.len(), model.len() - cut);
        assert_eq!((samples.first(), samples.last()), (Some(&0), Some(&0)));
        let steps = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        assert!(steps.max().unwrap() < 3_000);
    }

    /// All samples, given in pieces of this length, and what was cut.
    fn made(model: &[f32], piece: usize) -> (Vec<i16>, usize) {
        let mut pcm = PcmStream::new(22_050);
        let mut samples: Vec<i16> = model.chunks(piece).flat_map(|piece| pcm.push(piece).unwrap()).collect();
        samples.extend(pcm.finish());
        (samples, pcm.cut())
    }

    #[test]
    fn pieces_make_the_same_as_the_whole() {
        let mut model = vec![0.0; 3_000];
        model.extend((0..4_410).map(|n| (n as f32 * 0.1).sin() * 0.8));
        let whole = made(&model, model.len());
        for piece in [1, 7, 100, 256, 2_999, 3_000, 3_001, 7_000] {
            assert_eq!(made(&model, piece), whole, "pieces of {piece}");
        }
        let silence = vec![0.0; 5_000];
        assert_eq!(made(&silence, 700), (vec![0; 5_000], 0), "a text without a sound keeps its length");
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for wrong in [vec![], vec![0.1, f32::NAN], vec![f32::INFINITY]] {
            assert!(PcmStream::new(22_050).push(&wrong).is_err());
        }
        assert!(PcmStream::new(22_050).push(&[0.0]).is_ok());
    }
}
