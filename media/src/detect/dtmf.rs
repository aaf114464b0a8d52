//! In-band DTMF detection (ITU-T Q.23, Q.24) by Goertzel's algorithm on half-overlapping windows of 20 ms. Speech
//! contains both tones of a key now and then, but never only those two tones for 50 ms.

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use std::f32::consts::PI;

const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const DTMF_KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Windows are half a frame apart.
const HOP: usize = FRAME_SAMPLES / 2;
/// Consecutive windows with the same key that count as a key press: 40 ms and half a window.
const HITS: u32 = 4;
/// Consecutive windows without the key that end the key press.
const MISSES: u32 = 3;
/// Mean square of the weakest accepted signal: -36 dBFS in total.
const ENERGY_MIN: f32 = 2.5e-4;
/// Q.24 allows a frequency error of 1.5 percent. These offsets are tried once the nominal tones hold enough of the
/// energy.
const OFF_NOMINAL: [f32; 2] = [0.988, 1.012];
const PURITY_NOMINAL_MIN: f32 = 0.4;
/// Share of the energy that the two tones must make up.
const PURITY_MIN: f32 = 0.82;
/// The second strongest tone of each group must be weaker by this factor.
const RIVAL_MIN: f32 = 6.0;
/// Q.24: normal twist up to 8 dB, reverse twist up to 4 dB, plus a margin for line loss.
const NORMAL_TWIST_MAX: f32 = 10.0;
const REVERSE_TWIST_MAX: f32 = 6.3;

/// In-band DTMF detector of one stream. Takes frames of 20 ms at 8 kHz without gaps.
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    /// 2 cos(w) of the eight tones.
    coefficients: [f32; 8],
    last_half: [f32; HOP],
    candidate: Option<char>,
    hits: u32,
    misses: u32,
    pressed: Option<char>,
}

impl Default for DtmfDetector {
    fn default() -> Self {
        let hz = |index: usize| if index < 4 { ROWS_HZ[index] } else { COLUMNS_HZ[index - 4] };
        Self {
            coefficients: std::array::from_fn(|index| coefficient(hz(index))),
            last_half: [0.0; HOP],
            candidate: None,
            hits: 0,
            misses: 0,
            pressed: None,
        }
    }
}

impl DtmfDetector {
    /// True while a key is or may be pressed, so the audio is not speech.
    pub fn is_key_down(&self) -> bool {
        self.candidate.is_some() || self.pressed.is_some()
    }

    /// The key that was released in this frame. It is reported on release, so that a telephone event for the same key
    /// always comes first.
    pub fn handle_frame(&mut self, frame: &Frame) -> Option<char> {
        let mut window = [0.0; FRAME_SAMPLES];
        let mut released = None;
        for half in 0..2 {
            window[..HOP].copy_from_slice(&self.last_half);
            for (at, sample) in frame[half * HOP..(half + 1) * HOP].iter().enumerate() {
                window[HOP + at] = f32::from(*sample) / 32_768.0;
            }
            self.last_half.copy_from_slice(&window[HOP..]);
            let key = self.key(&window);
            released = self.step(key).or(released);
        }
        released
    }

    fn step(&mut self, key: Option<char>) -> Option<char> {
        if let Some(pressed) = self.pressed {
            self.misses = if key == Some(pressed) { 0 } else { self.misses + 1 };
            if self.misses < MISSES {
                return None;
            }
            (self.pressed, self.candidate, self.hits) = (None, key, u32::from(key.is_some()));
            return Some(pressed);
        }
        match key {
            Some(_) if key == self.candidate => self.hits += 1,
            _ => (self.candidate, self.hits) = (key, u32::from(key.is_some())),
        }
        if self.hits >= HITS {
            (self.pressed, self.misses) = (self.candidate, 0);
        }
        None
    }

    fn key(&self, window: &[f32; FRAME_SAMPLES]) -> Option<char> {
        let energy: f32 = window.iter().map(|x| x * x).sum::<f32>() / FRAME_SAMPLES as f32;
        if energy < ENERGY_MIN {
            return None;
        }
        let power: [f32; 8] = std::array::from_fn(|index| goertzel(window, self.coefficients[index]));
        let row = dominant_tone(&power[..4])?;
        let column = dominant_tone(&power[4..])?;
        if power[row] + power[4 + column] < energy * PURITY_NOMINAL_MIN {
            return None;
        }
        let best = |nominal: f32, hz: f32| {
            let off = OFF_NOMINAL.map(|factor| goertzel(window, coefficient(hz * factor)));
            off.into_iter().fold(nominal, f32::max)
        };
        let (low, high) = (best(power[row], ROWS_HZ[row]), best(power[4 + column], COLUMNS_HZ[column]));
        if low + high < energy * PURITY_MIN || high * NORMAL_TWIST_MAX < low || low * REVERSE_TWIST_MAX < high {
            return None;
        }
        Some(DTMF_KEYS[row][column])
    }
}

/// The dominant tone of a group; `None` if another one is close.
fn dominant_tone(power: &[f32]) -> Option<usize> {
    let best = (0..power.len()).max_by(|a, b| power[*a].total_cmp(&power[*b]))?;
    let alone = power.iter().enumerate().all(|(index, other)| index == best || power[best] >= other * RIVAL_MIN);
    alone.then_some(best)
}

fn coefficient(hz: f32) -> f32 {
    2.0 * (2.0 * PI * hz / SAMPLE_RATE_HZ as f32).cos()
}

/// Mean square of the part of a window at one frequency.
fn goertzel(window: &[f32; FRAME_SAMPLES], coefficient: f32) -> f32 {
    let (mut one, mut two) = (0.0, 0.0);
    for x in window {
        (one, two) = (x + coefficient * one - two, one);
    }
    2.0 * (one * one + two * two - coefficient * one * two) / (FRAME_SAMPLES * FRAME_SAMPLES) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a key for `ms` milliseconds with these tone levels, then a pause; returns the detected keys.
    fn press(
        receiver: &mut DtmfDetector, key: char, ms: usize, row_level: f32, column_level: f32, shift: f32,
    ) -> String {
        let (row, column) = (0..16).map(|n| (n / 4, n % 4)).find(|(r, c)| DTMF_KEYS[*r][*c] == key).unwrap();
        let tone = |hz: f32, n: usize| (2.0 * PI * hz * shift * n as f32 / 8_000.0).sin();
        let samples: Vec<i16> = (0..ms * 8 + 480)
            .map(|n| {
                let on = if n >= ms * 8 { 0.0 } else { 32_767.0 };
                (on * (row_level * tone(ROWS_HZ[row], n) + column_level * tone(COLUMNS_HZ[column], n))) as i16
            })
            .collect();
        let mut padded = samples;
        padded.resize(padded.len().next_multiple_of(FRAME_SAMPLES), 0);
        padded.as_chunks::<FRAME_SAMPLES>().0.iter().filter_map(|frame| receiver.handle_frame(frame)).collect()
    }

    #[test]
    fn every_dtmf_key_is_detected_once() {
        let mut receiver = DtmfDetector::default();
        for key in DTMF_KEYS.iter().flatten() {
            for (ms, row, column) in
                [(70, 0.3, 0.3), (100, 0.05, 0.05), (70, 0.3, 0.14), (70, 0.2, 0.3), (2_000, 0.3, 0.3)]
            {
                assert_eq!(
                    press(&mut receiver, *key, ms, row, column, 1.0),
                    key.to_string(),
                    "{key} {ms} {row} {column}"
                );
            }
        }
    }

    #[test]
    fn frequency_tolerance_follows_q24() {
        let mut receiver = DtmfDetector::default();
        for key in ['1', '5', '9', 'D'] {
            assert_eq!(press(&mut receiver, key, 100, 0.2, 0.2, 1.015), key.to_string());
            assert_eq!(press(&mut receiver, key, 100, 0.2, 0.2, 0.985), key.to_string());
            assert_eq!(press(&mut receiver, key, 100, 0.2, 0.2, 1.06), "");
        }
        assert_eq!(press(&mut receiver, '5', 25, 0.3, 0.3, 1.0), "", "shorter than any real key press");
    }

    #[test]
    fn tones_of_a_key_within_another_sound_are_no_key() {
        let mut receiver = DtmfDetector::default();
        let tone = |hz: f32, n: usize| (2.0 * PI * hz * n as f32 / 8_000.0).sin() * 6_000.0;
        let chord = |n: usize| (tone(770.0, n) + tone(1_336.0, n) + tone(2_000.0, n)) as i16;
        let samples: Vec<i16> = (0..4_000).map(chord).chain([0; 800]).collect();
        let frames = samples.as_chunks::<FRAME_SAMPLES>().0;
        assert_eq!(frames.iter().find_map(|frame| receiver.handle_frame(frame)), None);
    }
}
