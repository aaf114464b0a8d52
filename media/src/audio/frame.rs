//! One piece of audio with its sample rate: linear PCM, or G.711 octets as received.

use crate::codec::Companding;
use crate::limits::AUDIO_FRAME_BYTES_MAX;
use std::time::Duration;

/// Sample rate of G.711.
const G711_RATE_HZ: u32 = 8_000;
/// PCM samples that a frame can hold.
const PCM_SAMPLES_MAX: usize = AUDIO_FRAME_BYTES_MAX / 2;

/// How audio is written, with its sample rate. Always mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// One octet a sample, always at 8 kHz.
    G711(Companding),
    /// Signed 16-bit samples, little-endian where they are octets.
    Pcm {
        /// Samples in a second.
        rate_hz: u32,
    },
}

impl AudioFormat {
    /// Samples in a second.
    pub fn rate_hz(self) -> u32 {
        match self {
            Self::G711(_) => G711_RATE_HZ,
            Self::Pcm { rate_hz } => rate_hz,
        }
    }
}

/// A piece of mono audio of any length up to [`AUDIO_FRAME_BYTES_MAX`] octets. It is stored in place: making, copying
/// and dropping a frame does not allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFrame(Payload);

/// What is behind `len` is zero, so that equal frames are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payload {
    G711 { companding: Companding, len: u16, octets: [u8; AUDIO_FRAME_BYTES_MAX] },
    Pcm { rate_hz: u32, len: u16, samples: [i16; PCM_SAMPLES_MAX] },
}

/// The audio is longer than a frame can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLongError;

fn stored<T: Copy + Default, const N: usize>(given: &[T]) -> Result<(u16, [T; N]), FrameTooLongError> {
    let mut place = [T::default(); N];
    place.get_mut(..given.len()).ok_or(FrameTooLongError)?.copy_from_slice(given);
    Ok((given.len() as u16, place))
}

impl AudioFrame {
    /// G.711 octets as they are, one octet a sample at 8 kHz. Fails over [`AUDIO_FRAME_BYTES_MAX`] octets.
    pub fn g711(companding: Companding, octets: &[u8]) -> Result<Self, FrameTooLongError> {
        stored(octets).map(|(len, octets)| Self(Payload::G711 { companding, len, octets }))
    }

    /// Linear samples at a rate in Hz. Fails over [`AUDIO_FRAME_BYTES_MAX`] octets, two a sample.
    pub fn pcm(rate_hz: u32, samples: &[i16]) -> Result<Self, FrameTooLongError> {
        stored(samples).map(|(len, samples)| Self(Payload::Pcm { rate_hz, len, samples }))
    }

    /// How the frame is written.
    pub fn format(&self) -> AudioFormat {
        match self.0 {
            Payload::G711 { companding, .. } => AudioFormat::G711(companding),
            Payload::Pcm { rate_hz, .. } => AudioFormat::Pcm { rate_hz },
        }
    }

    /// Samples in a second.
    pub fn rate_hz(&self) -> u32 {
        self.format().rate_hz()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match self.0 {
            Payload::G711 { len, .. } | Payload::Pcm { len, .. } => usize::from(len),
        }
    }

    /// A frame without a sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How long the frame lasts. Zero for a rate of zero.
    pub fn duration(&self) -> Duration {
        let us = (self.len() as u64 * 1_000_000).checked_div(u64::from(self.rate_hz()));
        Duration::from_micros(us.unwrap_or(0))
    }

    /// The octets of G.711 with their variant, untouched; `None` for PCM.
    pub fn as_g711(&self) -> Option<(Companding, &[u8])> {
        match &self.0 {
            Payload::G711 { companding, len, octets } => {
                Some((*companding, octets.get(..usize::from(*len)).unwrap_or(octets)))
            }
            Payload::Pcm { .. } => None,
        }
    }

    /// The samples as linear PCM at the rate of the frame; G.711 is decoded.
    pub fn samples(&self) -> impl Iterator<Item = i16> + '_ {
        let at = move |index: usize| match &self.0 {
            Payload::G711 { companding, octets, .. } => octets.get(index).map(|octet| companding.decode(*octet)),
            Payload::Pcm { samples, .. } => samples.get(index).copied(),
        };
        (0..self.len()).filter_map(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_keeps_what_it_was_given() {
        let octets: Vec<u8> = (0..=159).collect();
        let frame = AudioFrame::g711(Companding::ALaw, &octets).unwrap();
        assert_eq!(frame.as_g711(), Some((Companding::ALaw, octets.as_slice())));
        assert_eq!((frame.len(), frame.rate_hz(), frame.duration()), (160, 8_000, Duration::from_millis(20)));
        let samples: Vec<i16> = (0..80).map(|n| n * 400 - 16_000).collect();
        let frame = AudioFrame::pcm(16_000, &samples).unwrap();
        assert_eq!(frame.samples().collect::<Vec<i16>>(), samples);
        assert_eq!((frame.as_g711(), frame.duration()), (None, Duration::from_millis(5)));
        let none = AudioFrame::pcm(0, &[]).unwrap();
        assert!(none.is_empty() && none.duration().is_zero());
    }

    #[test]
    fn longer_audio_is_refused() {
        assert_eq!(AudioFrame::g711(Companding::MuLaw, &[0; AUDIO_FRAME_BYTES_MAX + 1]), Err(FrameTooLongError));
        assert_eq!(AudioFrame::pcm(8_000, &[0; PCM_SAMPLES_MAX + 1]), Err(FrameTooLongError));
    }
}
