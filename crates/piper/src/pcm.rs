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

/// Samples as they are sent, and how many were left out at the start.
#[derive(Debug)]
pub(crate) struct Pcm {
    pub samples: Vec<i16>,
    pub cut: usize,
}

/// Bends what would be beyond full scale.
fn limited(sample: f32) -> f32 {
    let size = sample.abs();
    if size <= KNEE {
        return sample;
    }
    let room = 1.0 - KNEE;
    (KNEE + room * ((size - KNEE) / room).tanh()).copysign(sample)
}

/// Refuses values that are no samples: a model for something else, or one that was damaged.
pub(crate) fn pcm(model: &[f32], rate_hz: u32) -> Result<Pcm, VoiceError> {
    if model.is_empty() || !model.iter().all(|sample| sample.is_finite()) {
        return Err(VoiceError::Synthesis("it returned no sound".to_owned()));
    }
    let samples_in = |ms: usize| rate_hz as usize * ms / 1_000;
    let first = model.iter().position(|sample| sample.abs() * GAIN > SOUND).unwrap_or(0);
    let cut = first.saturating_sub(samples_in(LEAD_MS));
    let kept = model.get(cut..).unwrap_or_default();
    let ramp = samples_in(RAMP_MS).min(kept.len() / 2).max(1);
    let fade = |at: usize| (at.min(kept.len() - 1 - at) as f32 / ramp as f32).min(1.0);
    let sample = |(at, sample): (usize, &f32)| (limited(sample * GAIN) * fade(at) * 32_767.0) as i16;
    Ok(Pcm { samples: kept.iter().enumerate().map(sample).collect(), cut })
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
        let made = pcm(&model, 22_050).unwrap();
        assert!((made.cut as i32 - (22_050 - 220)).abs() < 5, "{}", made.cut);
        assert_eq!(made.samples.len(), model.len() - made.cut);
        assert_eq!((made.samples.first(), made.samples.last()), (Some(&0), Some(&0)));
        let steps = made.samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        assert!(steps.max().unwrap() < 3_000);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for wrong in [vec![], vec![0.1, f32::NAN], vec![f32::INFINITY]] {
            assert!(pcm(&wrong, 22_050).is_err());
        }
        assert!(pcm(&[0.0], 22_050).is_ok());
    }
}
