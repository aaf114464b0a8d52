//! Comfort noise (RFC 3389) that replaces a paused stream. Only the level is used, not the spectrum.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_SAMPLES, Frame};

#[derive(Clone, Debug)]
pub(super) struct ComfortNoise {
    amplitude: i32,
    rng: u32,
}

impl ComfortNoise {
    /// The first octet is the level, in dB below the loudest (section 3.1).
    pub(super) fn from_payload(payload: &[u8]) -> Self {
        let level_db = payload.first().map_or(70, |octet| octet & 0x7f).clamp(20, 127);
        // Evenly spread noise has the level of its amplitude less 4.8 dB.
        let amplitude = 32_767.0 * 10f32.powf((4.8 - f32::from(level_db)) / 20.0);
        Self { amplitude: amplitude as i32, rng: 0x9E37_79B9 }
    }

    pub(super) fn fill(&mut self, frame: &mut Frame) {
        for sample in frame.iter_mut().take(FRAME_SAMPLES) {
            self.rng ^= self.rng << 13;
            self.rng ^= self.rng >> 17;
            self.rng ^= self.rng << 5;
            let spread = (self.rng >> 16) as i32 - 32_768;
            *sample = (spread * self.amplitude / 32_768) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comfort_noise_has_the_requested_level() {
        for level_db in [40u8, 60] {
            let mut frame = [0; FRAME_SAMPLES];
            let mut noise = ComfortNoise::from_payload(&[level_db]);
            let mut power = 0.0;
            for _ in 0..50 {
                noise.fill(&mut frame);
                power += frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / FRAME_SAMPLES as f64 / 50.0;
            }
            let measured = 20.0 * (32_767.0 / power.sqrt()).log10();
            assert!((measured - f64::from(level_db)).abs() < 1.5, "{measured} for {level_db}");
        }
    }
}
