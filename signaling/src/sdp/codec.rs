//! The audio codecs that we negotiate, in one table: a codec is added with one entry, and everything that session
//! descriptions say about it comes from there.

use super::description::MediaFormat;

/// Everything that a session description says about a codec.
#[derive(Debug)]
struct CodecEntry {
    name: &'static str,
    rtpmap: &'static str,
    clock_hz: u32,
    channels: u8,
    payload_type: u8,
    /// Packet time, if the codec allows one alone.
    fixed_ptime_ms: Option<u16>,
    /// Parameters (`a=fmtp`) that we write.
    fmtp: Option<&'static str>,
}

/// As in a=rtpmap: one channel is not written (RFC 8866 section 6.6).
macro_rules! rtpmap {
    ($name:tt, $clock_hz:tt, 1) => {
        concat!($name, "/", $clock_hz)
    };
    ($name:tt, $clock_hz:tt, $channels:tt) => {
        concat!($name, "/", $clock_hz, "/", $channels)
    };
}

/// Defines the codecs, their list and their entries from one table.
macro_rules! codecs {
    ($($(#[$doc:meta])+ $codec:ident {
        rtpmap: $name:tt / $clock_hz:tt / $channels:tt,
        payload_type: $payload_type:literal,
        fixed_ptime_ms: $ptime:expr,
        fmtp: $fmtp:expr,
    })+) => {
        /// Audio codec that we can negotiate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SdpCodec {
            $($(#[$doc])+ $codec,)+
        }

        impl SdpCodec {
            /// Every codec that can be configured; the order of preference is that of the configuration.
            pub const ALL: [Self; [$(stringify!($codec)),+].len()] = [$(Self::$codec),+];

            const fn entry(self) -> &'static CodecEntry {
                match self {
                    $(Self::$codec => &CodecEntry {
                        name: $name,
                        rtpmap: rtpmap!($name, $clock_hz, $channels),
                        clock_hz: $clock_hz,
                        channels: $channels,
                        payload_type: $payload_type,
                        fixed_ptime_ms: $ptime,
                        fmtp: $fmtp,
                    },)+
                }
            }
        }
    };
}

codecs! {
    /// G.711 mu-law at 8 kHz, static payload type 0.
    Pcmu {
        rtpmap: "PCMU" / 8000 / 1,
        payload_type: 0,
        fixed_ptime_ms: None,
        fmtp: None,
    }
    /// G.711 A-law at 8 kHz, static payload type 8.
    Pcma {
        rtpmap: "PCMA" / 8000 / 1,
        payload_type: 8,
        fixed_ptime_ms: None,
        fmtp: None,
    }
    /// G.722, static payload type 9. It samples at 16 kHz, but its RTP clock is 8 kHz for historical reasons (RFC 3551
    /// section 4.5.2).
    G722 {
        rtpmap: "G722" / 8000 / 1,
        payload_type: 9,
        fixed_ptime_ms: None,
        fmtp: None,
    }
    /// Opus with an RTP clock of 48 kHz, dynamic payload type; 20 ms packets only. Always written with two channels,
    /// whatever is sent (RFC 7587 section 7); we send mono with in-band FEC and DTX (section 6.1).
    Opus {
        rtpmap: "opus" / 48000 / 2,
        payload_type: 111,
        fixed_ptime_ms: Some(20),
        fmtp: Some("useinbandfec=1;usedtx=1"),
    }
}

/// Payload type of `telephone-event/8000` in our offers; the peer may choose others for what it is sent.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;
/// Payload type of `telephone-event/48000`, which we offer beside Opus.
pub const TELEPHONE_EVENT_OPUS_OFFERED: u8 = 110;

/// The clocks of our codecs, each with the telephone-event that is offered beside it: digits have the clock of their
/// audio (RFC 4733 section 2.6).
pub(super) const TELEPHONE_EVENTS: [(u8, u32); 2] =
    [(TELEPHONE_EVENT_OFFERED, 8_000), (TELEPHONE_EVENT_OPUS_OFFERED, 48_000)];

/// The first payload type without a fixed meaning (RFC 3551 section 6).
pub(super) const DYNAMIC_PAYLOAD_TYPE_MIN: u8 = 96;

const _: () = assert!(are_consistent(&SdpCodec::ALL), "a payload type is taken, or a clock has no telephone-event");

/// Two formats of one offer must not share a payload type, and each clock needs its telephone-event.
const fn are_consistent(codecs: &[SdpCodec]) -> bool {
    let [one, others @ ..] = codecs else { return true };
    let [(event_at_8k, clock_8k), (event_at_48k, clock_48k)] = TELEPHONE_EVENTS;
    let CodecEntry { payload_type, clock_hz, .. } = one.entry();
    let has_event = *clock_hz == clock_8k || *clock_hz == clock_48k;
    let is_free = *payload_type != event_at_8k && *payload_type != event_at_48k && *payload_type < 128;
    has_event && is_free && !is_taken(*payload_type, others) && are_consistent(others)
}

const fn is_taken(payload_type: u8, codecs: &[SdpCodec]) -> bool {
    match codecs {
        [] => false,
        [one, others @ ..] => one.entry().payload_type == payload_type || is_taken(payload_type, others),
    }
}

impl SdpCodec {
    /// Parses an encoding name in any letter case, such as `PCMU`; `None` for a codec that we lack.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
    }

    /// Returns the encoding name as written in `a=rtpmap`: `PCMU`, `PCMA`, `G722` or `opus`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// As in a=rtpmap.
    pub fn rtpmap(self) -> &'static str {
        self.entry().rtpmap
    }

    /// Returns the RTP clock in Hz: 48,000 for Opus, 8,000 for the others.
    pub fn clock_hz(self) -> u32 {
        self.entry().clock_hz
    }

    /// Of our offers: static where there is one (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        self.entry().payload_type
    }

    /// The packet time in milliseconds, if the codec allows one alone.
    pub(super) fn fixed_ptime_ms(self) -> Option<u16> {
        self.entry().fixed_ptime_ms
    }

    /// Parameters (`a=fmtp`) that we write.
    pub(super) fn fmtp(self) -> Option<&'static str> {
        self.entry().fmtp
    }

    /// The codec of a format: name, clock and channels are all the same.
    pub(super) fn of(format: &MediaFormat) -> Option<Self> {
        let codec = Self::parse(&format.encoding)?;
        (codec.entry().clock_hz == format.clock_hz && codec.entry().channels == format.channels).then_some(codec)
    }

    /// The codec that a static payload type means without a rtpmap.
    pub(super) fn of_static(payload_type: u8) -> Option<Self> {
        let is_static = payload_type < DYNAMIC_PAYLOAD_TYPE_MIN;
        Self::ALL.into_iter().find(|codec| is_static && codec.payload_type() == payload_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_is_not_written() {
        let all: Vec<&str> = SdpCodec::ALL.into_iter().map(SdpCodec::rtpmap).collect();
        assert_eq!(all, ["PCMU/8000", "PCMA/8000", "G722/8000", "opus/48000/2"]);
    }

    #[test]
    fn a_format_matches_by_name_clock_and_channels() {
        let format = |encoding: &str, clock_hz, channels| MediaFormat {
            payload_type: 96,
            encoding: encoding.into(),
            clock_hz,
            channels,
            fmtp: None,
        };
        assert_eq!(SdpCodec::of(&format("PCMU", 8_000, 1)), Some(SdpCodec::Pcmu));
        assert_eq!(SdpCodec::of(&format("OPUS", 48_000, 2)), Some(SdpCodec::Opus));
        for other in
            [format("PCMU", 8_000, 2), format("PCMU", 16_000, 1), format("OPUS", 48_000, 1), format("L16", 8_000, 1)]
        {
            assert_eq!(SdpCodec::of(&other), None, "{other:?}");
        }
    }

    #[test]
    fn only_static_payload_types_have_a_meaning_of_their_own() {
        assert_eq!(SdpCodec::of_static(9), Some(SdpCodec::G722));
        assert_eq!((SdpCodec::of_static(111), SdpCodec::of_static(3)), (None, None));
    }
}
