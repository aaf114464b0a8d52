//! Background audio under the agent's voice or instead of it: room, office, hold music. Generated once and shared by
//! all legs; each leg has its own position in the loop.

use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use std::f32::consts::TAU;
use std::sync::{Arc, OnceLock};

/// Fade step per frame: a full fade takes 40 ms.
const STEP: f32 = 0.5;
/// Gain under speech (ducking): -8 dB.
const DUCKED: f32 = 0.4;

/// A looped background sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbienceKind {
    /// Quiet room noise, so that the line does not seem dead.
    Room,
    /// A room with people typing in it.
    Office,
    /// Hold music.
    HoldMusic,
}

/// A scene at a level.
#[derive(Clone, Debug)]
pub struct AmbienceMixer {
    samples: Arc<[i16]>,
    at: usize,
    gain: f32,
    present: f32,
}

impl AmbienceMixer {
    /// `level_db` relative to how the scene was made: a room at -50 dBFS, an office at -42, music at -26.
    pub fn new(scene: AmbienceKind, level_db: f32) -> Self {
        static SCENES: [OnceLock<Arc<[i16]>>; 3] = [const { OnceLock::new() }; 3];
        let samples = SCENES[scene as usize].get_or_init(|| match scene {
            AmbienceKind::Room => room_ambience(12).into(),
            AmbienceKind::Office => office_ambience().into(),
            AmbienceKind::HoldMusic => hold_music().into(),
        });
        Self { samples: samples.clone(), at: 0, gain: 10f32.powf(level_db / 20.0), present: 0.0 }
    }

    /// Puts the next 20 ms under a frame; `voice` when it holds speech.
    pub fn mix(&mut self, frame: &mut Frame, voice: bool) {
        let wanted = if voice { self.gain * DUCKED } else { self.gain };
        let next = self.present + (wanted - self.present) * STEP;
        for (index, sample) in frame.iter_mut().enumerate() {
            let gain = self.present + (next - self.present) * index as f32 / FRAME_SAMPLES as f32;
            *sample = sample.saturating_add((f32::from(self.samples[self.at]) * gain) as i16);
            self.at = (self.at + 1) % self.samples.len();
        }
        self.present = next;
    }
}

/// Noise from a seed, between -1 and 1.
struct NoiseGenerator(u64);

impl NoiseGenerator {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

fn at_level(samples: &[f32], dbfs: f32) -> Vec<i16> {
    let rms = (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt().max(1e-9);
    let gain = 32_768.0 * 10f32.powf(dbfs / 20.0) / rms;
    samples.iter().map(|s| (s * gain).clamp(-32_768.0, 32_767.0) as i16).collect()
}

/// Low background noise that loops without a seam.
fn room_noise(seconds: usize) -> Vec<f32> {
    let (mut noise, length, seam) = (NoiseGenerator(7), seconds * SAMPLE_RATE_HZ as usize, 4_000);
    let mut state = 0.0;
    let long: Vec<f32> = (0..length + seam)
        .map(|_| {
            state += (noise.next() - state) * 0.08;
            state
        })
        .collect();
    (0..length)
        .map(|n| {
            let fade = (n as f32 / seam as f32).min(1.0);
            if n < seam { long[n] * fade.sqrt() + long[length + n] * (1.0 - fade).sqrt() } else { long[n] }
        })
        .collect()
}

fn room_ambience(seconds: usize) -> Vec<i16> {
    at_level(&room_noise(seconds), -50.0)
}

fn office_ambience() -> Vec<i16> {
    let mut samples = room_noise(20);
    let level = (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt();
    let mut noise = NoiseGenerator(11);
    let mut at = 4_000;
    // Bursts of typing: eight keys a second, then a pause.
    while at + 4_000 < samples.len() {
        for _ in 0..6 + (noise.next().abs() * 14.0) as usize {
            let loud = level * (3.0 + 4.0 * noise.next().abs());
            for n in 0..120.min(samples.len() - at) {
                samples[at + n] += noise.next() * loud * (-(n as f32) / 25.0).exp();
            }
            at += 700 + (noise.next().abs() * 900.0) as usize;
            if at + 4_000 >= samples.len() {
                break;
            }
        }
        at += 8_000 + (noise.next().abs() * 20_000.0) as usize;
    }
    at_level(&samples, -42.0)
}

/// Four soft chords, broken upwards; sixteen seconds.
fn hold_music() -> Vec<i16> {
    const CHORDS_HZ: [[f32; 4]; 4] = [
        [261.63, 329.63, 392.0, 523.25],
        [220.0, 261.63, 329.63, 440.0],
        [174.61, 261.63, 349.23, 440.0],
        [196.0, 246.94, 293.66, 392.0],
    ];
    let note = 4_000;
    let mut samples = vec![0.0; 32 * note];
    for index in 0..32 {
        let chord = CHORDS_HZ[index / 8];
        let hz = chord[[0, 1, 2, 3, 2, 1, 2, 1][index % 8]];
        for n in 0..note * 3 {
            let t = n as f32 / SAMPLE_RATE_HZ as f32;
            let swell = (n as f32 / 240.0).min(1.0) * (-t * 2.2).exp();
            let tone = (TAU * hz * t).sin() + 0.35 * (TAU * 2.0 * hz * t).sin() + 0.1 * (TAU * 3.0 * hz * t).sin();
            let place = (index * note + n) % samples.len();
            samples[place] += tone * swell;
        }
    }
    at_level(&samples, -26.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::level_dbfs;

    fn play(scene: AmbienceKind, frames: usize, voice: bool) -> Vec<i16> {
        let mut ambience = AmbienceMixer::new(scene, 0.0);
        let mut all = vec![];
        for _ in 0..frames {
            let mut frame = [0; FRAME_SAMPLES];
            ambience.mix(&mut frame, voice);
            all.extend(frame);
        }
        all
    }

    #[test]
    fn ambience_has_its_level_and_ducks_under_speech() {
        for (scene, dbfs) in
            [(AmbienceKind::Room, -50.0), (AmbienceKind::Office, -42.0), (AmbienceKind::HoldMusic, -26.0)]
        {
            let alone = level_dbfs(&play(scene, 1_500, false));
            let under = level_dbfs(&play(scene, 1_500, true));
            assert!((alone - dbfs).abs() < 1.5, "{scene:?} {alone}");
            assert!((alone - under - 8.0).abs() < 1.0, "{scene:?} {alone} {under}");
        }
    }

    #[test]
    fn ambience_loops_without_click() {
        for scene in [AmbienceKind::Room, AmbienceKind::HoldMusic] {
            let samples = play(scene, 1_700, false);
            let step = |from: usize, to: usize| {
                samples[from..to].windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
            };
            let seam = if scene == AmbienceKind::Room { 12 * 8_000 } else { 16 * 8_000 };
            assert!(step(seam - 20, seam + 20) <= step(8_000, seam - 100), "{scene:?}");
        }
    }

    #[test]
    fn noise_of_a_room_has_no_direct_current() {
        for scene in [AmbienceKind::Room, AmbienceKind::Office] {
            let samples = play(scene, 1_000, false);
            let mean = samples.iter().map(|s| f32::from(*s)).sum::<f32>() / samples.len() as f32;
            let rms = (samples.iter().map(|s| f32::from(*s).powi(2)).sum::<f32>() / samples.len() as f32).sqrt();
            assert!(mean.abs() < rms / 4.0, "{scene:?}: {mean} of {rms}");
        }
    }

    #[test]
    fn typing_goes_on_in_the_office() {
        // Keys are bright, the room is dull.
        let steps = |samples: &[i16]| samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max();
        let samples = play(AmbienceKind::Office, 1_000, false);
        let loudest = steps(&samples).unwrap();
        for (part, samples) in samples.chunks_exact(5 * 8_000).enumerate() {
            assert!(steps(samples).unwrap() * 2 > loudest, "nobody types in part {part} of the loop");
        }
    }

    #[test]
    fn hold_music_plays_its_notes() {
        let samples = play(AmbienceKind::HoldMusic, 100, false);
        let strength = |samples: &[i16], hz: f32| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in samples.iter().enumerate() {
                let (sin, cos) = (TAU * hz * n as f32 / SAMPLE_RATE_HZ as f32).sin_cos();
                (re, im) = (re + f32::from(*sample) * cos, im + f32::from(*sample) * sin);
            }
            re.hypot(im)
        };
        for (samples, hz) in samples.chunks_exact(4_000).zip([261.63, 329.63, 392.0]) {
            let (note, octave) = (strength(samples, hz), strength(samples, 2.0 * hz));
            assert!(note > 1.5 * octave, "{hz} Hz: {note}, its octave {octave}");
        }
    }
}
