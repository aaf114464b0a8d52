//! Where speech is quietest: between two words, not within one.

use crate::limits::STT_RATE_HZ;
use std::ops::Range;

/// Energy is looked at in steps of 10 ms, over 60 ms: a stop within a word is shorter.
const STEP: usize = STT_RATE_HZ as usize / 100;
const STEPS: usize = 6;
/// A pause has less than this share of the energy of the whole: 15 dB.
const PAUSE_SHARE: f32 = 0.03;

/// A place to cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quiet {
    /// The sample to cut before.
    pub(super) at: usize,
    /// It is a pause; otherwise only the least bad place.
    pub(super) is_pause: bool,
}

fn energy(samples: &[i16]) -> f32 {
    samples.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum::<f32>() / samples.len().max(1) as f32
}

/// The quietest place in a part of the samples; `None` if the part is too short. Of equally quiet ones the last.
pub(super) fn quietest(samples: &[i16], range: Range<usize>) -> Option<Quiet> {
    let mean = energy(samples);
    let part = samples.get(range.clone())?;
    let steps: Vec<f32> = part.chunks_exact(STEP).map(energy).collect();
    let windows = steps.windows(STEPS).map(|window| window.iter().sum::<f32>() / STEPS as f32);
    let (place, least) = windows.enumerate().min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    // The middle of a long pause: half of it belongs to each side.
    let long = steps.windows(STEPS).skip(place).take_while(|window| {
        let level = window.iter().sum::<f32>() / STEPS as f32;
        level <= least * 2.0 + mean * 0.001
    });
    let middle = place + (long.count() + STEPS) / 2;
    Some(Quiet { at: range.start + middle * STEP, is_pause: least < mean * PAUSE_SHARE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_in_the_middle_of_a_pause() {
        let mut speech = vec![1_000_i16; 80 * STEP];
        assert!(!quietest(&speech, 10 * STEP..70 * STEP).unwrap().is_pause, "no pause at all");
        speech[40 * STEP..50 * STEP].fill(10);
        let quiet = quietest(&speech, 10 * STEP..70 * STEP).unwrap();
        assert!(quiet.is_pause && (44 * STEP..=46 * STEP).contains(&quiet.at), "{quiet:?}");
        // A stop of 30 ms within a word is no pause.
        let mut word = vec![1_000_i16; 80 * STEP];
        word[40 * STEP..43 * STEP].fill(0);
        assert!(!quietest(&word, 10 * STEP..70 * STEP).unwrap().is_pause);
        assert_eq!(quietest(&word, 10 * STEP..12 * STEP), None);
        assert_eq!(quietest(&word, 10 * STEP..90 * STEP), None);
    }
}
