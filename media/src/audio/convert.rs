//! Conversion between the formats of legs and providers. Nothing else turns one representation of audio into another.
//!
//! Each converter belongs to one stream, because sample rate conversion remembers what came before. Equal formats pass
//! through untouched and without delay; other rates take 2.5 ms, in blocks of 20 ms.

use super::{AudioFormat, AudioFrame};
use crate::codec::Companding;
use crate::codec::resample::PcmResampler;

/// There is no conversion between these rates: both must be multiples of 50 Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRateError {
    /// Rate of the source in Hz.
    pub from_hz: u32,
    /// Rate wanted in Hz.
    pub to_hz: u32,
}

fn resampler(from_hz: u32, to_hz: u32) -> Result<PcmResampler, UnsupportedRateError> {
    PcmResampler::new(from_hz, to_hz).ok_or(UnsupportedRateError { from_hz, to_hz })
}

/// Turns the frames of a leg into PCM of one rate.
#[derive(Debug)]
pub struct FrameDecoder {
    to_hz: u32,
    state: FrameDecoderState,
}

#[derive(Debug)]
enum FrameDecoderState {
    /// Every frame so far had the wanted rate.
    SameRate,
    Resampling {
        from_hz: u32,
        resampler: PcmResampler,
    },
}

impl FrameDecoder {
    /// A decoder to this rate in Hz.
    pub fn new(to_hz: u32) -> Self {
        Self { to_hz, state: FrameDecoderState::SameRate }
    }

    /// Appends the frame. A frame of another rate than those before starts a new conversion; one whose rate can't be
    /// converted is refused and nothing is appended.
    pub fn push(&mut self, frame: &AudioFrame, out: &mut impl Extend<i16>) -> Result<(), UnsupportedRateError> {
        let rate_hz = frame.rate_hz();
        match &mut self.state {
            _ if rate_hz == self.to_hz => {
                self.state = FrameDecoderState::SameRate;
                out.extend(frame.samples());
            }
            FrameDecoderState::Resampling { from_hz, resampler } if *from_hz == rate_hz => {
                resampler.push(frame.samples(), out);
            }
            FrameDecoderState::SameRate | FrameDecoderState::Resampling { .. } => {
                let mut resampler = resampler(rate_hz, self.to_hz)?;
                resampler.push(frame.samples(), out);
                self.state = FrameDecoderState::Resampling { from_hz: rate_hz, resampler };
            }
        }
        Ok(())
    }
}

/// Turns the frames of a leg into the octets that a provider takes.
#[derive(Debug)]
pub struct FrameEncoder {
    to: AudioFormat,
    decoder: FrameDecoder,
    samples: Vec<i16>,
    octets: Vec<u8>,
}

impl FrameEncoder {
    /// An encoder to the format that the provider takes.
    pub fn new(to: AudioFormat) -> Self {
        Self { to, decoder: FrameDecoder::new(to.rate_hz()), samples: Vec::new(), octets: Vec::new() }
    }

    /// The format of the octets.
    pub fn format(&self) -> AudioFormat {
        self.to
    }

    /// The frame in the provider's format. G.711 of the same variant passes through as it is. Between different rates
    /// the octets come in blocks of 20 ms; none come from a frame whose rate can't be converted.
    pub fn encode<'a>(&'a mut self, frame: &'a AudioFrame) -> &'a [u8] {
        if let (AudioFormat::G711(wanted), Some((companding, octets))) = (self.to, frame.as_g711())
            && wanted == companding
        {
            return octets;
        }
        self.samples.clear();
        self.octets.clear();
        if self.decoder.push(frame, &mut self.samples).is_ok() {
            let samples = self.samples.iter();
            match self.to {
                AudioFormat::G711(companding) => self.octets.extend(samples.map(|sample| companding.encode(*sample))),
                AudioFormat::Pcm { .. } => self.octets.extend(samples.flat_map(|sample| sample.to_le_bytes())),
            }
        }
        &self.octets
    }
}

/// Turns the octets of a provider, in chunks of any length, into PCM of one rate.
#[derive(Debug)]
pub struct StreamDecoder(StreamDecoderState);

#[derive(Debug)]
enum StreamDecoderState {
    G711 { companding: Companding, resampler: PcmResampler },
    Pcm { odd: OddOctet, resampler: PcmResampler },
}

/// Half a sample left over from the previous chunk.
#[derive(Debug, Default)]
struct OddOctet(Option<u8>);

impl OddOctet {
    /// The next whole sample, little-endian.
    fn next_sample(&mut self, octets: &mut impl Iterator<Item = u8>) -> Option<i16> {
        let low = match self.0.take() {
            Some(low) => low,
            None => octets.next()?,
        };
        let Some(high) = octets.next() else {
            self.0 = Some(low);
            return None;
        };
        Some(i16::from_le_bytes([low, high]))
    }
}

impl StreamDecoder {
    /// A decoder from a provider's format to a rate in Hz.
    pub fn new(from: AudioFormat, to_hz: u32) -> Result<Self, UnsupportedRateError> {
        let resampler = resampler(from.rate_hz(), to_hz)?;
        Ok(Self(match from {
            AudioFormat::G711(companding) => StreamDecoderState::G711 { companding, resampler },
            AudioFormat::Pcm { .. } => StreamDecoderState::Pcm { odd: OddOctet::default(), resampler },
        }))
    }

    /// Appends what can be decoded; half a sample waits for the next chunk.
    pub fn push(&mut self, octets: &[u8], out: &mut impl Extend<i16>) {
        match &mut self.0 {
            StreamDecoderState::G711 { companding, resampler } => {
                resampler.push(octets.iter().map(|octet| companding.decode(*octet)), out);
            }
            StreamDecoderState::Pcm { odd, resampler } => {
                let mut octets = octets.iter().copied();
                resampler.push(std::iter::from_fn(|| odd.next_sample(&mut octets)), out);
            }
        }
    }

    /// The stream has ended: appends what waits for a whole block, padded with silence.
    pub fn finish(&mut self, out: &mut impl Extend<i16>) {
        match &mut self.0 {
            StreamDecoderState::G711 { resampler, .. } | StreamDecoderState::Pcm { resampler, .. } => {
                resampler.finish(out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
