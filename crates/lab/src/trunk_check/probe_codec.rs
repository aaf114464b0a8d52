//! The codecs of the check's own media.

use trunkline_media::codec::g711::Companding;
use trunkline_media::codec::g722::G722;
use trunkline_media::codec::opus::Opus;

/// Decoder and encoder of a stream.
pub(super) enum ProbeCodec {
    G711(Companding),
    G722(Box<G722>),
    Opus(Box<Opus>),
}

impl ProbeCodec {
    /// `PCMU`, `PCMA`, `G722`, `OPUS`; `None` for another.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "PCMU" => Self::G711(Companding::MuLaw),
            "PCMA" => Self::G711(Companding::ALaw),
            "G722" => Self::G722(Box::default()),
            "OPUS" => Self::Opus(Box::new(Opus::new()?)),
            _ => return None,
        })
    }

    /// Replaces the samples by those of a packet.
    pub(super) fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        samples.clear();
        match self {
            Self::G711(companding) => samples.extend(payload.iter().map(|code| companding.decode(*code))),
            Self::G722(codec) => {
                samples.resize(payload.len(), 0);
                codec.decode_into(payload, samples);
            }
            Self::Opus(codec) => codec.decode(payload, &mut |piece| samples.extend(piece)),
        }
    }

    /// The payload of a packet; `None` if nothing has to be sent.
    pub(super) fn encode(&mut self, samples: &[i16]) -> Option<Vec<u8>> {
        match self {
            Self::G711(companding) => Some(samples.iter().map(|sample| companding.encode(*sample)).collect()),
            Self::G722(codec) => {
                let mut octets = vec![0; samples.len()];
                codec.encode_into(samples, &mut octets);
                Some(octets)
            }
            Self::Opus(codec) => {
                let mut room = [0; 400];
                codec.encode(samples.first_chunk()?, &mut room).map(<[u8]>::to_vec)
            }
        }
    }
}
