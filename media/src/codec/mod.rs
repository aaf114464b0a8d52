//! Codecs and sample rates.

pub mod g711;
pub mod g722;
pub mod opus;
pub mod resample;

pub use g711::Companding;

/// Codec of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// PCMU or PCMA at 8 kHz, one octet a sample.
    G711(Companding),
    /// Wideband codec, of which we use the lower band. Its RTP clock runs at 8 kHz (RFC 3551 section 4.5.2).
    G722,
    /// Mono at 8 kHz in our pipeline; its RTP clock runs at 48 kHz (RFC 7587).
    Opus,
}

impl Codec {
    /// The companding in which received audio is handed on.
    pub fn companding(self) -> Companding {
        match self {
            Self::G711(companding) => companding,
            Self::G722 | Self::Opus => Companding::MuLaw,
        }
    }

    /// True if the codec sends nothing during silence (DTX).
    pub fn uses_dtx(self) -> bool {
        self == Self::Opus
    }

    /// Ticks of the RTP clock for one sample.
    pub fn clock_scale(self) -> u32 {
        match self {
            Self::G711(_) | Self::G722 => 1,
            Self::Opus => opus::CLOCK_SCALE,
        }
    }
}
