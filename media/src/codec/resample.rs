//! Sample rate conversion of streams by `rubato`: 20 ms blocks, four sub-blocks, Hann window. That is
//! 2.5 ms of delay with the whole narrowband speech band kept; the default window cuts it.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

/// A mono stream from one rate to another. Input of any length; output in blocks of 20 ms.
pub struct Resampler {
    inner: Fft<f32>,
    input: Vec<f32>,
    output: Vec<f32>,
    block_in: usize,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("block_in", &self.block_in).finish_non_exhaustive()
    }
}

impl Resampler {
    /// `None` for rates that are not multiples of 50 Hz or equal zero.
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        if from_hz == 0 || to_hz == 0 || !from_hz.is_multiple_of(50) || !to_hz.is_multiple_of(50) {
            return None;
        }
        let block_in = (from_hz / 50) as usize;
        let (from, to) = (from_hz as usize, to_hz as usize);
        let inner = Fft::new_custom(from, to, block_in, 4, 1, WindowFunction::Hann, FixedSync::Input).ok()?;
        let output = vec![0.0; inner.output_frames_max()];
        Some(Self { inner, input: Vec::with_capacity(block_in * 2), output, block_in })
    }

    /// Converts all complete blocks. Does not allocate once `out` has grown.
    pub fn push(&mut self, samples: impl Iterator<Item = f32>, mut out: impl FnMut(&[f32])) {
        for sample in samples {
            self.input.push(sample);
            if self.input.len() == self.block_in {
                self.convert(&mut out);
            }
        }
    }

    /// Pads the rest to a block and returns it.
    pub fn finish(&mut self, mut out: impl FnMut(&[f32])) {
        if !self.input.is_empty() {
            self.input.resize(self.block_in, 0.0);
            self.convert(&mut out);
        }
    }

    fn convert(&mut self, out: &mut impl FnMut(&[f32])) {
        let frames_out = self.output.len();
        let result = InterleavedSlice::new(&self.input, 1, self.block_in).ok().and_then(|input| {
            let mut output = InterleavedSlice::new_mut(&mut self.output, 1, frames_out).ok()?;
            self.inner.process_into_buffer(&input, &mut output, None).ok()
        });
        if let Some((_, written)) = result {
            out(&self.output[..written]);
        }
        self.input.clear();
    }
}

/// A resampler for 16-bit samples; equal rates pass through.
#[derive(Debug)]
pub enum PcmResampler {
    /// Both rates are equal: samples are copied without delay.
    Passthrough,
    /// The rates differ: blocks of 20 ms, 2.5 ms of delay.
    Convert(Box<Resampler>),
}

impl PcmResampler {
    /// Creates a resampler. `None` if the rates differ and one is zero or not a multiple of 50 Hz.
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        if from_hz == to_hz {
            return Some(Self::Passthrough);
        }
        Resampler::new(from_hz, to_hz).map(|resampler| Self::Convert(Box::new(resampler)))
    }

    /// Appends all complete 20 ms blocks to `out`; the rest waits for the next call. Equal rates append at once.
    pub fn push(&mut self, samples: impl Iterator<Item = i16>, out: &mut impl Extend<i16>) {
        match self {
            Self::Passthrough => out.extend(samples),
            Self::Convert(resampler) => {
                resampler.push(samples.map(|s| f32::from(s) / 32_768.0), |block| {
                    out.extend(block.iter().map(|s| to_pcm(*s)))
                });
            }
        }
    }

    /// Pads what waits with silence to a 20 ms block and appends it to `out`; nothing if none waits.
    pub fn finish(&mut self, out: &mut impl Extend<i16>) {
        if let Self::Convert(resampler) = self {
            resampler.finish(|block| out.extend(block.iter().map(|s| to_pcm(*s))));
        }
    }
}

fn to_pcm(sample: f32) -> i16 {
    (sample * 32_768.0).clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain in dB of a tone through a conversion.
    fn gain_db(from_hz: u32, to_hz: u32, tone_hz: f32) -> f32 {
        let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
        let step = tone_hz * std::f32::consts::TAU / from_hz as f32;
        let mut out = Vec::new();
        resampler.push((0..from_hz).map(|n| (n as f32 * step).sin()), |block| out.extend_from_slice(block));
        let settled = &out[out.len() / 4..out.len() * 3 / 4];
        let rms = (settled.iter().map(|s| s * s).sum::<f32>() / settled.len() as f32).sqrt();
        20.0 * (rms * std::f32::consts::SQRT_2).max(1e-9).log10()
    }

    #[test]
    fn the_narrowband_passes_and_aliases_do_not() {
        for (from, to) in [(8_000, 16_000), (16_000, 8_000), (24_000, 8_000), (22_050, 8_000), (48_000, 8_000)] {
            for tone in [300.0, 1_013.0, 3_007.0, 3_400.0] {
                let gain = gain_db(from, to, tone);
                assert!(gain.abs() < 0.6, "{from} to {to} at {tone} Hz: {gain} dB");
            }
        }
        for from in [16_000, 24_000, 22_050] {
            let leak = gain_db(from, 8_000, 4_700.0);
            assert!(leak < -50.0, "{from}: {leak} dB above the band");
        }
    }

    #[test]
    fn length_is_kept_over_odd_blocks() {
        let mut resampler = PcmResampler::new(24_000, 8_000).unwrap();
        let mut out = Vec::new();
        for chunk in [1usize, 479, 1_000, 7, 22_513] {
            resampler.push((0..chunk).map(|_| 100), &mut out);
        }
        resampler.finish(&mut out);
        assert_eq!(out.len(), 8_000);
        assert!(PcmResampler::new(11_025, 8_000).is_none());
    }
}
