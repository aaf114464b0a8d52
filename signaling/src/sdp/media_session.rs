//! Our side of the stream, and what offer and answer agreed on: codec, addresses, keys.

use super::codec::SdpCodec;
use super::crypto::{CryptoLine, CryptoSuite, KEY_BYTES_MAX, SdesKey};
use super::description::{CertificateFingerprint, IceGeneration, MediaDirection};
use std::net::{IpAddr, SocketAddr};

/// SRTP policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtpMode {
    /// Plain RTP only: an offer with encrypted streams alone is refused with 488.
    #[default]
    Off,
    /// Offered beside the plain stream (RFC 8643), taken where offered.
    Preferred,
    /// SRTP only: a plain offer is refused with 488, a plain answer ends the negotiation.
    Mandatory,
}

/// Key exchange in our offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// In the description (RFC 4568).
    #[default]
    Sdes,
    /// By a handshake on the stream (RFC 5763, RFC 5764).
    Dtls,
}

/// Our side of the stream.
#[derive(Clone, Debug)]
pub struct LocalMedia {
    /// Address of the `c=` line, where the peer sends its media.
    pub addr: IpAddr,
    /// RTP port of the `m=` line. RTCP uses the next port, or this one with rtcp-mux.
    pub port: u16,
    /// In order of preference.
    pub codecs: Vec<SdpCodec>,
    /// What we ask for, and send when the peer does not ask.
    pub ptime_ms: u16,
    /// Whether we offer and accept SRTP.
    pub srtp: SrtpMode,
    /// How our own offers exchange keys. Answers follow the offer.
    pub keying: KeyExchange,
    /// Fingerprint of our DTLS certificate; `None` disables DTLS-SRTP.
    pub fingerprint: Option<CertificateFingerprint>,
    /// Answers to offers with ICE carry it.
    pub ice: Option<IceLiteCredentials>,
    /// Random bytes, for each suite we offer: what we send is encrypted with a part of them.
    pub keys: [[u8; KEY_BYTES_MAX]; 2],
    /// Session id of the `o=` line; constant during the call (RFC 8866 section 5.2).
    pub session_id: u64,
    /// Rises with every description of ours (RFC 8866 section 5.2).
    pub session_version: u64,
    /// Number of the DTLS association, shown as `a=tls-id` to peers that show theirs (RFC 8842).
    pub association: u64,
    /// The session that stands. A later offer describes it (RFC 3264 section 8), whatever a first offer would contain.
    /// `None` before the first agreement.
    pub standing: Option<Box<NegotiatedSdp>>,
}

/// Suites of our offers, with the random bytes of each.
const OFFERED_SUITES: [CryptoSuite; 2] = [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AeadAes256Gcm];

impl LocalMedia {
    /// The keys we offer.
    pub fn crypto(&self) -> Vec<CryptoLine> {
        let wanted = match &self.standing {
            Some(standing) => standing.keys.is_some(),
            None => self.srtp != SrtpMode::Off && !self.offers_dtls(),
        };
        if !wanted {
            return Vec::new();
        }
        // Inside a dialog the suite that stands comes first, under its tag (RFC 4568 section 7.1.4).
        let standing = self.standing.as_ref().and_then(|standing| standing.keys).map(|keys| (keys.suite, keys.tag));
        let is_other = |suite: &CryptoSuite| standing.is_none_or(|(stands, _)| stands != *suite);
        let free_tags = (1..).filter(|tag| standing.is_none_or(|(_, taken)| taken != *tag));
        let others = OFFERED_SUITES.into_iter().filter(is_other).zip(free_tags);
        let lines = standing.into_iter().chain(others).zip(&self.keys);
        lines
            .map(|((suite, tag), random)| CryptoLine { tag, suite, key: SdesKey::from_random(suite, random) })
            .collect()
    }

    /// Our offers ask for a handshake.
    pub fn offers_dtls(&self) -> bool {
        if let Some(standing) = &self.standing {
            return standing.dtls.is_some() && self.fingerprint.is_some();
        }
        self.srtp != SrtpMode::Off && self.keying == KeyExchange::Dtls && self.fingerprint.is_some()
    }

    /// The session that stands is encrypted.
    pub(super) fn has_standing_security(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.keys.is_some() || standing.dtls.is_some())
    }

    /// Our offers have ICE: inside a dialog that uses it. First offers never have it.
    pub fn offered_ice(&self) -> Option<IceLiteCredentials> {
        self.ice.filter(|_| self.standing.as_ref().is_some_and(|standing| standing.ice.is_some()))
    }

    /// Name of the DTLS association.
    pub(super) fn tls_id(&self) -> String {
        format!("trunkline-{:016x}", self.association)
    }
}

/// Where our stream stands among the lines of the session, which keep their order (RFC 3264 section 8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaLayout {
    /// Index of the negotiated `m=` line, from 0.
    pub index: usize,
    /// Its name (RFC 5888), if the peer gave it one.
    pub mid: Option<String>,
    /// The other lines in their order, each refused with port 0.
    pub refused: Vec<String>,
}

/// The keys of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesKeys {
    /// Crypto suite of both directions.
    pub suite: CryptoSuite,
    /// Of the `a=crypto` line that was chosen.
    pub tag: u32,
    /// Key and salt of the packets we send.
    pub ours: SdesKey,
    /// Key and salt of the packets we receive.
    pub theirs: SdesKey,
}

/// A handshake on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsNegotiated {
    /// Of the certificate the peer has to show.
    pub theirs: CertificateFingerprint,
    /// SHA-256 of the certificate that we show.
    pub ours: CertificateFingerprint,
    /// We begin.
    pub active: bool,
}

/// Our ICE-lite ufrag and password, in ICE characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IceLiteCredentials {
    /// User name fragment, eight ICE characters (RFC 8839 section 5.4).
    pub ufrag: [u8; 8],
    /// Password that authenticates the peer's connectivity checks, 32 ICE characters.
    pub password: [u8; 32],
}

/// Without the password, which is an array because it is copied into every offer and answer.
impl std::fmt::Debug for IceLiteCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceLiteCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Negotiated media, from our point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedSdp {
    /// Codec of both directions.
    pub codec: SdpCodec,
    /// Payload type of the audio we send.
    pub payload_type: u8,
    /// Payload type of the audio we are sent: ours where we made the offer (RFC 3264 section 5.1).
    pub payload_type_in: u8,
    /// Payload type of the DTMF events we send (RFC 4733); `None` if the peer takes none.
    pub telephone_event: Option<u8>,
    /// Clock of the DTMF events we send: that of the audio, unless the peer takes events at 8 kHz alone.
    pub telephone_event_clock_hz: u32,
    /// Payload type of the DTMF events we receive: 101, or 110 with Opus, if we made the offer, else the peer's.
    pub telephone_event_in: Option<u8>,
    /// Payload type of comfort noise, where the peer may send it (RFC 3389).
    pub comfort_noise: Option<u8>,
    /// Packet time of what we send.
    pub ptime_ms: u16,
    /// Our direction.
    pub direction: MediaDirection,
    /// Address and port the peer asks us to send RTP to; packets may come from another one behind NAT.
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// RTP and RTCP share one port (RFC 5761).
    pub rtcp_mux: bool,
    /// SRTP keys from the descriptions; `None` without SDES.
    pub keys: Option<SdesKeys>,
    /// Certificates and role of the DTLS handshake; `None` without DTLS-SRTP.
    pub dtls: Option<DtlsNegotiated>,
    /// The peer's name of the DTLS association; `None` if it gives none.
    pub tls_id: Option<String>,
    /// Our ICE credentials; `None` unless both sides use ICE.
    pub ice: Option<IceLiteCredentials>,
    /// The peer's ICE credentials; other ones are a restart.
    pub remote_ice: Option<IceGeneration>,
    /// The lines of the session.
    pub layout: MediaLayout,
    /// Profile of the media line.
    pub protocol: String,
}
