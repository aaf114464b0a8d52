//! The formats of our offers and their payload types: those of the table in a first offer, those of the session inside a
//! dialog, where a number keeps its meaning (RFC 3264 section 8.3.2).

use super::codec::{DYNAMIC_PAYLOAD_TYPE_MIN, SdpCodec, TELEPHONE_EVENTS};
use super::media_session::LocalMedia;

/// What we offer to receive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OfferedFormats {
    /// In order of preference.
    pub(super) audio: Vec<(u8, SdpCodec)>,
    /// With their clocks in Hz.
    pub(super) telephone_events: Vec<(u8, u32)>,
    /// Where the session has it already.
    pub(super) comfort_noise: Option<u8>,
}

impl OfferedFormats {
    pub(super) fn of(local: &LocalMedia) -> Self {
        let mut formats = Self::default();
        if let Some(standing) = &local.standing {
            formats.audio.push((standing.payload_type_in, standing.codec));
            let event = standing.telephone_event_in.map(|number| (number, standing.telephone_event_clock_hz));
            formats.telephone_events.extend(event);
            formats.comfort_noise = standing.comfort_noise;
        }
        for codec in &local.codecs {
            if formats.audio.iter().all(|(_, other)| other != codec) {
                let number = formats.free_number(codec.payload_type());
                formats.audio.extend(number.map(|number| (number, *codec)));
            }
        }
        for (number, clock_hz) in TELEPHONE_EVENTS {
            let is_wanted = formats.audio.iter().any(|(_, codec)| codec.clock_hz() == clock_hz)
                && formats.telephone_events.iter().all(|(_, other)| *other != clock_hz);
            if is_wanted {
                let number = formats.free_number(number);
                formats.telephone_events.extend(number.map(|number| (number, clock_hz)));
            }
        }
        formats
    }

    /// The number under which we are sent this codec.
    pub(super) fn payload_type(&self, codec: SdpCodec) -> Option<u8> {
        self.audio.iter().find(|(_, other)| *other == codec).map(|(number, _)| *number)
    }

    /// The number under which we are sent the digits beside this codec.
    pub(super) fn telephone_event(&self, codec: SdpCodec) -> Option<(u8, u32)> {
        let of_clock = |wanted| self.telephone_events.iter().find(|(_, clock_hz)| *clock_hz == wanted).copied();
        of_clock(codec.clock_hz()).or_else(|| of_clock(8_000))
    }

    /// The wanted number, or another one of no fixed meaning if it is taken.
    fn free_number(&self, wanted: u8) -> Option<u8> {
        let is_taken = |number: &u8| {
            self.audio.iter().any(|(other, _)| other == number)
                || self.telephone_events.iter().any(|(other, _)| other == number)
                || self.comfort_noise == Some(*number)
        };
        let others = (DYNAMIC_PAYLOAD_TYPE_MIN..128).filter(|number| *number != wanted);
        std::iter::once(wanted).chain(others).find(|number| !is_taken(number))
    }
}
