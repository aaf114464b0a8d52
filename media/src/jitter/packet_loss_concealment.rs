//! Packet loss concealment: the last pitch periods are repeated and faded out over 60 ms
//! (the idea of ITU-T G.711 appendix I, without its overlap with the next good frame).

use crate::frame::FRAME_SAMPLES;

/// Speech kept to look for a pitch period: 40 ms.
const HISTORY: usize = 320;
/// Pitch range in samples: 66 to 200 Hz.
const LAG_MIN: usize = 40;
const LAG_MAX: usize = 120;
/// After this much loss the output is silence.
const FADE_SAMPLES: usize = 480;

/// Fills lost samples of one stream (8 kHz) from the last 40 ms received; silent after 60 ms of loss.
#[derive(Clone, Debug)]
pub struct PacketLossConcealer {
    history: [i16; HISTORY],
    lag: usize,
    /// Samples synthesized since the last received one.
    invented: usize,
}

impl Default for PacketLossConcealer {
    fn default() -> Self {
        Self { history: [0; HISTORY], lag: LAG_MAX, invented: 0 }
    }
}

impl PacketLossConcealer {
    /// Stores received samples.
    pub fn handle_received(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(samples.len().., 0);
        self.history[HISTORY - samples.len()..].copy_from_slice(samples);
        self.invented = 0;
    }

    /// Synthesizes the next samples.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.invented == 0 {
            self.lag = self.pitch();
        }
        for sample in out {
            let source = self.history[HISTORY - self.lag + self.invented % self.lag];
            let left = FADE_SAMPLES.saturating_sub(self.invented);
            *sample = (i32::from(source) * left as i32 / FADE_SAMPLES as i32) as i16;
            self.invented += 1;
        }
    }

    /// The lag at which the last frame looks most like what came before it.
    fn pitch(&self) -> usize {
        let recent = &self.history[HISTORY - FRAME_SAMPLES..];
        let mut best = (LAG_MAX, 0.0f32);
        for lag in LAG_MIN..=LAG_MAX {
            let earlier = &self.history[HISTORY - FRAME_SAMPLES - lag..HISTORY - lag];
            let (mut product, mut energy) = (0i64, 1i64);
            for (a, b) in recent.iter().zip(earlier) {
                product += i64::from(*a) * i64::from(*b);
                energy += i64::from(*b) * i64::from(*b);
            }
            let score = product.max(0) as f32 / (energy as f32).sqrt();
            if score > best.1 {
                best = (lag, score);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::level_dbfs;

    #[test]
    fn concealed_tone_continues_in_phase_and_fades() {
        let tone = |n: usize| ((n as f32 * std::f32::consts::TAU / 80.0).sin() * 8_000.0) as i16;
        let mut concealer = PacketLossConcealer::default();
        let good: Vec<i16> = (0..480).map(tone).collect();
        concealer.handle_received(&good);
        let mut out = [0; 480];
        concealer.conceal(&mut out);
        let error: Vec<i16> = (0..80).map(|n| out[n] - tone(480 + n)).collect();
        assert!(level_dbfs(&error) < level_dbfs(&good) - 15.0, "{} dB", level_dbfs(&error));
        assert!(level_dbfs(&out[400..]) < level_dbfs(&out[..80]) - 12.0);
        concealer.conceal(&mut out);
        assert_eq!(out, [0; 480]);
    }
}
