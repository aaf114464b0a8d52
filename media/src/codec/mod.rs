//! Codecs and sample rates.

pub mod g711;
pub mod g722;
pub mod opus;
pub mod resample;

pub use g711::Law;

/// Codec of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    G711(Law),
    G722,
    Opus,
}

impl Codec {
    /// The companding in which received audio is handed on.
    pub fn law(self) -> Law {
        match self {
            Self::G711(law) => law,
            Self::G722 | Self::Opus => Law::Mu,
        }
    }

    /// True if the codec sends nothing during silence (DTX).
    pub fn pauses(self) -> bool {
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
