//! The sound in the body of an HTTP answer. Servers that speak a vendor's protocol send what they can: a WAV file, MP3, or
//! an error as text, each with status 200. Played as raw samples that is noise at full level, so it is recognized.

use crate::{AudioFormat, ProviderError};
use bytes::{Buf as _, Bytes, BytesMut};

/// What tells every kind: the beginning of RIFF and of texts.
const HEAD_BYTES: usize = 16;
/// A WAV file's header is at most this long; those in the field have 44 to 200 bytes.
const WAV_HEAD_BYTES_MAX: usize = 4_096;
const WAVE_PCM: u16 = 1;
const WAVE_MULAW: u16 = 7;
/// The format stands in the first two bytes of the sub-format.
const WAVE_EXTENSIBLE: u16 = 0xfffe;

/// Takes a body apart, piece by piece.
#[derive(Debug)]
pub(crate) enum AudioBody {
    /// Too little has come to say what it is.
    Head(BytesMut),
    /// The body of a WAV file begins, after chunks that may be longer than what has come.
    WavHead(BytesMut),
    /// Samples; in a WAV file so many bytes of them.
    Samples { left: u64 },
}

impl AudioBody {
    pub(crate) fn new() -> Self {
        Self::Head(BytesMut::new())
    }

    /// The samples in the next piece of the body; empty if there are none yet.
    pub(crate) fn push(
        &mut self, piece: Bytes, asked: AudioFormat, content_type: &str,
    ) -> Result<Bytes, ProviderError> {
        match self {
            Self::Head(head) => {
                head.extend_from_slice(&piece);
                if head.len() < HEAD_BYTES {
                    return Ok(Bytes::new());
                }
                let head = std::mem::take(head);
                self.begin(head, asked, content_type)
            }
            Self::WavHead(head) => {
                head.extend_from_slice(&piece);
                let head = std::mem::take(head);
                self.read_wav(head, asked)
            }
            Self::Samples { left } => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
                Ok(piece.slice(..length))
            }
        }
    }

    /// What is left when the body has ended: a sound so short that it was never told from a head.
    pub(crate) fn finish(self, asked: AudioFormat, content_type: &str) -> Result<Bytes, ProviderError> {
        match self {
            Self::Head(head) if head.is_empty() => Ok(Bytes::new()),
            Self::Head(head) => {
                container(&head, asked, content_type).map_or(Ok(head.freeze()), |kind| Err(wrong(kind)))
            }
            Self::WavHead(_) => Err(wrong("a WAV file without samples")),
            Self::Samples { .. } => Ok(Bytes::new()),
        }
    }

    fn begin(&mut self, head: BytesMut, asked: AudioFormat, content_type: &str) -> Result<Bytes, ProviderError> {
        if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
            return self.read_wav(head, asked);
        }
        if let Some(kind) = container(&head, asked, content_type) {
            return Err(wrong(kind));
        }
        *self = Self::Samples { left: u64::MAX };
        Ok(head.freeze())
    }

    fn read_wav(&mut self, head: BytesMut, asked: AudioFormat) -> Result<Bytes, ProviderError> {
        let mut rest = head.get(12..).unwrap_or_default();
        let mut format = None;
        while let Some((name, length)) = chunk_head(&mut rest) {
            match &name {
                b"data" => {
                    check_format(format, asked)?;
                    // A server that streams does not know the length and writes 0 or the largest number.
                    let streams = matches!(length, 0 | 0x7fff_f000..);
                    *self = Self::Samples { left: if streams { u64::MAX } else { u64::from(length) } };
                    let samples = Bytes::copy_from_slice(rest);
                    return self.push(samples, asked, "");
                }
                b"fmt " => format = rest.get(..usize::try_from(length).unwrap_or(usize::MAX)).and_then(WavFormat::read),
                _ => {}
            }
            // Chunks begin at even places.
            let padded = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(usize::from(length % 2 == 1));
            match rest.get(padded..) {
                Some(next) => rest = next,
                None => break,
            }
        }
        if head.len() > WAV_HEAD_BYTES_MAX {
            return Err(wrong("a WAV file whose samples do not begin"));
        }
        *self = Self::WavHead(head);
        Ok(Bytes::new())
    }
}

/// Name and length of the chunk at the beginning of `rest`, which then begins with its content.
fn chunk_head(rest: &mut &[u8]) -> Option<([u8; 4], u32)> {
    let name: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let length: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
    *rest = rest.get(8..)?;
    Some((name, u32::from_le_bytes(length)))
}

/// What a WAV file says of its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WavFormat {
    encoding: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

impl WavFormat {
    fn read(mut chunk: &[u8]) -> Option<Self> {
        if chunk.len() < 16 {
            return None;
        }
        let (encoding, channels, rate_hz) = (chunk.get_u16_le(), chunk.get_u16_le(), chunk.get_u32_le());
        let _bytes_per_second_and_frame = (chunk.get_u32_le(), chunk.get_u16_le());
        let bits = chunk.get_u16_le();
        let sub_format = chunk.get(8..10).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
        let encoding = if encoding == WAVE_EXTENSIBLE { sub_format? } else { encoding };
        Some(Self { encoding, channels, rate_hz, bits })
    }
}

fn check_format(format: Option<WavFormat>, asked: AudioFormat) -> Result<(), ProviderError> {
    let wanted = match asked {
        AudioFormat::Pcm16 { rate_hz } => WavFormat { encoding: WAVE_PCM, channels: 1, rate_hz, bits: 16 },
        AudioFormat::Mulaw => WavFormat { encoding: WAVE_MULAW, channels: 1, rate_hz: 8_000, bits: 8 },
    };
    match format {
        Some(format) if format == wanted => Ok(()),
        Some(WavFormat { encoding, channels, rate_hz, bits }) => Err(wrong(&format!(
            "a WAV file (encoding {encoding}, {channels} channels, {rate_hz} Hz, {bits} bits) instead of {wanted:?}"
        ))),
        None => Err(wrong("a WAV file that does not say its format")),
    }
}

/// What the body is, if it is no raw samples.
fn container(head: &[u8], asked: AudioFormat, content_type: &str) -> Option<&'static str> {
    let magic = |bytes: &[u8]| head.starts_with(bytes);
    // Layer III; quiet mu-law begins in the same way.
    let sync = matches!(head, [0xff, second, third, ..] if second & 0xe6 == 0xe2 && third & 0xf0 != 0xf0);
    let is_text = head.iter().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~'));
    let begins = head.trim_ascii_start().first();
    if magic(b"ID3") || sync && asked != AudioFormat::Mulaw && content_type.starts_with("audio/mp") {
        Some("MP3 instead of raw samples")
    } else if magic(b"OggS") {
        Some("Ogg instead of raw samples")
    } else if magic(b"fLaC") {
        Some("FLAC instead of raw samples")
    } else if magic(b"\x1aE\xdf\xa3") {
        Some("WebM instead of raw samples")
    } else if head.get(4..8) == Some(b"ftyp") {
        Some("MP4 instead of raw samples")
    } else if is_text && matches!(begins, Some(b'{' | b'<')) {
        Some("text instead of sound")
    } else {
        None
    }
}

fn wrong(what: &str) -> ProviderError {
    ProviderError::InvalidResponse(what.to_owned())
}

#[cfg(test)]
mod tests;
