//! Negotiated parameters of a leg's stream.

use crate::audio::AudioFormat;
use crate::codec::{Codec, Companding};
use crate::frame::SAMPLE_RATE_HZ;
use crate::limits;
use crate::transport::dtls::DtlsParams;
use crate::transport::ice::IceLiteAgent;
use crate::transport::srtp::SrtpKeys;
use std::net::{IpAddr, SocketAddr};

/// Static payload type of comfort noise (RFC 3389 section 4).
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

/// Who sends media (RFC 8866 section 6.7), seen from our side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamDirection {
    /// Both sides send.
    #[default]
    SendReceive,
    /// Only we send. The peer has announced that it sends nothing: its silence is not a network loss.
    SendOnly,
    /// Only the peer sends: it holds us, or asked not to hear us.
    ReceiveOnly,
    /// Nobody sends: the call is on hold.
    Inactive,
}

impl StreamDirection {
    /// The direction in which we send, and in which the peer's packets are expected.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendReceive,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// We send.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// The peer's packets are expected.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

/// How the packets of both directions are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaSecurity {
    /// Plain RTP.
    #[default]
    Plain,
    /// SRTP with the keys of the session descriptions (SDES, RFC 4568).
    Sdes(SrtpKeys),
    /// SRTP with keys of a DTLS handshake on the stream; nothing is sent or accepted before.
    Dtls(DtlsParams),
}

/// Where our RTCP reports go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpRoute {
    /// Where RTP goes (RFC 5761).
    Muxed,
    /// To an address of their own.
    Separate(SocketAddr),
}

/// Negotiated parameters of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Codec of both directions. A peer that sends the other G.711 variant changes it.
    pub codec: Codec,
    /// Payload type of the audio we send.
    pub payload_type: u8,
    /// Payload type of the audio we are sent; mostly the same.
    pub payload_type_in: u8,
    /// Payload type of the DTMF events we send (RFC 4733); `None` sends DTMF as in-band tones.
    pub telephone_event: Option<u8>,
    /// Clock of the DTMF events we send, in which their durations are: that of the codec, unless the peer takes events
    /// at 8 kHz alone.
    pub telephone_event_clock_hz: u32,
    /// Payload type of the DTMF events we are sent; `None` if the peer did not offer them.
    pub telephone_event_in: Option<u8>,
    /// Payload type of comfort noise (RFC 3389). The sender may use DTX.
    pub comfort_noise: Option<u8>,
    /// Sound in a packet of ours: 10 to 60.
    pub ptime_ms: u16,
    /// Where the description says that the peer's media is.
    pub remote: SocketAddr,
    /// Where our RTCP reports go.
    pub rtcp: RtcpRoute,
    /// Where the peer's signalling comes from, when that is known: behind a NAT its media comes from there too.
    pub signalling: Option<IpAddr>,
    /// Encryption of both directions.
    pub security: MediaSecurity,
    /// ICE: the peer sends connectivity checks and nominates a path. `None` for a peer without ICE.
    pub ice: Option<IceLiteAgent>,
    /// Who sends.
    pub direction: StreamDirection,
}

/// What the payload type of a received packet means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadKind {
    /// Audio of the negotiated codec.
    Audio,
    /// The other G.711 variant. Its static types mean the same in every stream, whatever the description says.
    OtherCompanding(Companding),
    /// A DTMF event.
    TelephoneEvent,
    ComfortNoise,
    Unknown,
}

impl PayloadKind {
    pub(super) fn is_audio(self) -> bool {
        matches!(self, Self::Audio | Self::OtherCompanding(_))
    }
}

impl StreamConfig {
    /// PCMU both ways with telephone events as 101, RTP and RTCP at one address.
    pub fn pcmu(remote: SocketAddr) -> Self {
        Self {
            codec: Codec::G711(Companding::MuLaw),
            payload_type: 0,
            payload_type_in: 0,
            telephone_event: Some(101),
            telephone_event_clock_hz: SAMPLE_RATE_HZ,
            telephone_event_in: Some(101),
            comfort_noise: None,
            ptime_ms: 20,
            remote,
            rtcp: RtcpRoute::Separate(remote),
            signalling: None,
            security: MediaSecurity::Plain,
            ice: None,
            direction: StreamDirection::SendReceive,
        }
    }

    /// The format in which a leg that begins with this stream hands received audio on.
    pub fn audio_format(&self) -> AudioFormat {
        AudioFormat::G711(self.codec.companding())
    }

    /// True with SRTP, whichever key exchange is used.
    pub fn is_encrypted(&self) -> bool {
        self.security != MediaSecurity::Plain
    }

    /// True if a new SSRC is needed: the keys changed, or the same key is now used towards another peer, as with a
    /// forked offer.
    pub(super) fn needs_new_ssrc(&self, before: &Self) -> bool {
        let moved = self.remote != before.remote && !self.remote.ip().is_unspecified();
        self.is_encrypted() && (self.security != before.security || moved && self.ice.is_none())
    }

    /// Clamps the packet duration to what the leg's buffers can hold.
    pub(super) fn normalized(self) -> Self {
        let ptime_ms = self.ptime_ms.clamp(10, limits::PACKET_OUT_SAMPLES_MAX as u16 / 8);
        Self { ptime_ms, ..self }
    }

    pub(super) fn payload_kind(&self, payload_type: u8) -> PayloadKind {
        let is = |one: Option<u8>| one == Some(payload_type);
        match payload_type {
            _ if is(self.telephone_event_in) || is(self.telephone_event) => PayloadKind::TelephoneEvent,
            _ if payload_type == self.payload_type || payload_type == self.payload_type_in => PayloadKind::Audio,
            0 if matches!(self.codec, Codec::G711(_)) => PayloadKind::OtherCompanding(Companding::MuLaw),
            8 if matches!(self.codec, Codec::G711(_)) => PayloadKind::OtherCompanding(Companding::ALaw),
            COMFORT_NOISE_PAYLOAD_TYPE => PayloadKind::ComfortNoise,
            _ if is(self.comfort_noise) => PayloadKind::ComfortNoise,
            _ => PayloadKind::Unknown,
        }
    }

    /// Follows a peer that sends the other G.711 variant: the payload type decides (RFC 3551 section 6).
    pub(super) fn switch_companding(&mut self, companding: Companding, payload_type: u8) {
        self.codec = Codec::G711(companding);
        (self.payload_type, self.payload_type_in) = (payload_type, payload_type);
    }
}
