//! The audio frame used throughout the media path: 20 ms of mono PCM at 8 kHz.

use std::time::Duration;

/// Narrowband sampling rate (G.711).
pub const SAMPLE_RATE_HZ: u32 = 8_000;
/// Samples of one frame.
pub const FRAME_SAMPLES: usize = 160;
/// Duration of one frame.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);

/// Signed 16-bit samples.
pub type Frame = [i16; FRAME_SAMPLES];

/// Samples as a duration at 8 kHz.
pub fn samples_to_duration(samples: u64) -> Duration {
    Duration::from_micros(samples * 125)
}

/// Root mean square level in dB relative to full scale; -96 for digital silence.
pub fn level_dbfs(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return -96.0;
    }
    let energy: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    let rms = (energy / samples.len() as f64).sqrt() / 32_768.0;
    (20.0 * rms.max(1.6e-5).log10()) as f32
}
