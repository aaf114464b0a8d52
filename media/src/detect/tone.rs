//! Steady single tones: a voicemail beep, a fax machine's answer (ITU-T T.30: 2100 Hz), intercept tones.
//!
//! A sinusoid obeys `x[n] = 2 cos(w) x[n-1] - x[n-2]`; the best `w` of a frame is a quotient of two sums, and
//! the share of the energy at `w` says whether it was one.

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ, level_dbfs};
use std::f32::consts::PI;

/// Minimum level of a tone.
const LEVEL_MIN_DBFS: f32 = -42.0;
/// Share of a frame's energy that lies at its frequency.
const PURITY_MIN: f32 = 0.88;
/// Beeps and answer tones lie between.
const RANGE_HZ: std::ops::Range<f32> = 350.0..2_600.0;
/// How far a steady tone may move from frame to frame.
const DRIFT_HZ: f32 = 12.0;
/// Minimum duration of a tone in frames: 120 ms. Sung vowels are steady for less time.
const FRAMES_MIN: u32 = 6;
/// Frames after which an ongoing tone is reported.
const LONG_FRAMES: u32 = 50;

/// A tone that is over, or has lasted a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// Frequency in Hz, 350 to 2,600, accurate to a few Hz.
    pub frequency_hz: u32,
    /// Duration in ms, a multiple of 20 and at least 120; for a lasting tone the 1,000 ms so far.
    pub duration_ms: u32,
    /// The tone is still ongoing.
    pub lasting: bool,
}

/// Detector of single tones in one stream. Takes frames of 20 ms at 8 kHz without gaps.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToneDetector {
    current: Option<(f32, u32)>,
}

impl ToneDetector {
    /// Analyses the next frame. Returns a tone that ended before it, or one that has lasted a second with it.
    pub fn handle_frame(&mut self, frame: &Frame) -> Option<Tone> {
        let found = frequency(frame);
        match (self.current, found) {
            (Some((hz, frames)), Some(now)) if (now - hz).abs() <= DRIFT_HZ => {
                let frames = frames + 1;
                self.current = Some((hz + (now - hz) * 0.2, frames));
                (frames == LONG_FRAMES).then(|| tone(hz, frames, true))
            }
            (before, found) => {
                self.current = found.map(|hz| (hz, 1));
                before.filter(|(_, frames)| *frames >= FRAMES_MIN).map(|(hz, frames)| tone(hz, frames, false))
            }
        }
    }
}

fn tone(hz: f32, frames: u32, lasting: bool) -> Tone {
    Tone { frequency_hz: hz.round() as u32, duration_ms: frames * 20, lasting }
}

/// The frequency of a frame that is one sinusoid.
fn frequency(frame: &Frame) -> Option<f32> {
    if level_dbfs(frame) < LEVEL_MIN_DBFS {
        return None;
    }
    let x = |n: usize| f32::from(frame[n]) / 32_768.0;
    let (mut up, mut down, mut energy) = (0.0, 0.0, 0.0);
    for n in 1..FRAME_SAMPLES - 1 {
        up += x(n) * (x(n - 1) + x(n + 1));
        down += x(n) * x(n);
    }
    for n in 0..FRAME_SAMPLES {
        energy += x(n) * x(n);
    }
    let w = (up / (2.0 * down.max(1e-9))).clamp(-1.0, 1.0).acos();
    let hz = w * SAMPLE_RATE_HZ as f32 / (2.0 * PI);
    if !RANGE_HZ.contains(&hz) {
        return None;
    }
    let (mut re, mut im) = (0.0, 0.0);
    for n in 0..FRAME_SAMPLES {
        let (sin, cos) = (w * n as f32).sin_cos();
        re += x(n) * cos;
        im += x(n) * sin;
    }
    let purity = 2.0 * (re * re + im * im) / (FRAME_SAMPLES as f32 * energy.max(1e-9));
    (purity >= PURITY_MIN).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signal: impl Fn(usize) -> f32, samples: usize) -> Vec<Tone> {
        let mut receiver = ToneDetector::default();
        let padded: Vec<i16> =
            (0..samples + 1_600).map(|n| if n < samples { (signal(n) * 32_767.0) as i16 } else { 0 }).collect();
        padded.as_chunks::<FRAME_SAMPLES>().0.iter().filter_map(|frame| receiver.handle_frame(frame)).collect()
    }

    fn sine(hz: f32) -> impl Fn(usize) -> f32 {
        move |n| (2.0 * PI * hz * n as f32 / 8_000.0).sin() * 0.3
    }

    #[test]
    fn voicemail_beeps_are_measured() {
        for hz in [425.0, 620.0, 852.0, 1_000.0, 1_400.0, 2_100.0] {
            let tones = check(sine(hz), 8 * 400);
            assert_eq!(tones.len(), 1, "{hz}");
            assert!(
                tones[0].frequency_hz.abs_diff(hz as u32) <= 3 && tones[0].duration_ms.abs_diff(400) <= 20,
                "{tones:?}"
            );
        }
        assert!(check(sine(2_100.0), 8 * 1_500)[0].lasting, "a fax answers for three seconds");
    }

    #[test]
    fn dual_tones_noise_and_short_tones_are_ignored() {
        let both = |n: usize| sine(440.0)(n) + sine(480.0)(n);
        assert_eq!(check(both, 16_000), [], "ringing tone");
        assert_eq!(check(|n| sine(697.0)(n) + sine(1_209.0)(n), 4_000), [], "a key");
        assert_eq!(check(sine(1_000.0), 640), [], "80 ms");
        assert_eq!(check(|n| ((n * 7_919 % 1_000) as f32 / 500.0 - 1.0) * 0.3, 16_000), []);
    }

    #[test]
    fn a_whistle_that_glides_is_no_beep() {
        // From 800 Hz upwards by 500 Hz a second: 10 Hz a frame.
        let glide = |n: usize| {
            let t = n as f32 / 8_000.0;
            (2.0 * PI * (800.0 * t + 250.0 * t * t)).sin() * 0.3
        };
        assert_eq!(check(glide, 8 * 700), []);
    }
}
