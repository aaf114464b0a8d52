//! Offer/answer for one audio stream with telephone-event (RFC 3264, RFC 4733), plain or with SRTP keys (RFC 4568).

use super::crypto::{CryptoLine, CryptoSuite, KEY_BYTES_MAX, SdesKey};
use super::parse::{self, SdpError};
use super::{CertificateFingerprint, DtlsSetup, MediaDescription, MediaDirection, MediaFormat, print};
use std::net::{IpAddr, SocketAddr};

/// Dynamic payload types of our offers; the peer may choose others for what it is sent.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;
/// Payload type of `telephone-event/48000`, which we offer beside Opus.
pub const TELEPHONE_EVENT_OPUS_OFFERED: u8 = 110;
const OPUS_OFFERED: u8 = 111;
/// Packet time we send and ask for (RFC 3551 section 4.5); accepted by every carrier.
pub const PTIME_MS: u16 = 20;
/// Range of packet times we send.
const PTIMES_MS: std::ops::RangeInclusive<u16> = 10..=60;

/// Audio codec that we can negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpCodec {
    /// G.711 mu-law at 8 kHz, static payload type 0.
    Pcmu,
    /// G.711 A-law at 8 kHz, static payload type 8.
    Pcma,
    /// G.722, static payload type 9. Its RTP clock is 8 kHz, its sampling rate 16 kHz.
    G722,
    /// Opus with an RTP clock of 48 kHz, dynamic payload type; 20 ms packets only (RFC 7587).
    Opus,
}

impl SdpCodec {
    /// Every codec that can be configured; the order of preference is that of the configuration.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// Parses an encoding name in any letter case, such as `PCMU`; `None` for a codec that we lack.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
    }

    /// Returns the encoding name as written in `a=rtpmap`: `PCMU`, `PCMA`, `G722` or `opus`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// As in a=rtpmap. G.722 samples at 16 kHz, but its RTP clock is 8 kHz for historical reasons (RFC 3551 section
    /// 4.5.2).
    pub fn rtpmap(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    /// Returns the RTP clock in Hz: 48,000 for Opus, 8,000 for the others.
    pub fn clock_hz(self) -> u32 {
        if self == Self::Opus { 48_000 } else { 8_000 }
    }

    /// Of our offers: static where there is one (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => OPUS_OFFERED,
        }
    }

    fn of(format: &MediaFormat) -> Option<Self> {
        Self::parse(&format.encoding).filter(|codec| codec.clock_hz() == format.clock_hz)
    }
}

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
    /// Security of the established session. A later offer must repeat it (RFC 3264 section 8), whatever a first offer
    /// would contain. `None` before the first agreement.
    pub security: Option<SessionSecurity>,
}

/// How a session is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSecurity {
    /// Profile of the media line, `RTP/SAVP`.
    pub protocol: String,
    /// Keys are in the description.
    pub has_keys: bool,
    /// Keys are agreed on by this handshake, whose roles stay (RFC 8842 section 5.3).
    pub dtls: Option<DtlsNegotiated>,
}

/// Suites of our offers, with the random bytes of each.
const OFFERED_SUITES: [CryptoSuite; 2] = [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AeadAes256Gcm];

impl LocalMedia {
    /// The keys we offer.
    pub fn crypto(&self) -> Vec<CryptoLine> {
        let wanted = match &self.security {
            Some(standing) => standing.has_keys,
            None => self.srtp != SrtpMode::Off && !self.offers_dtls(),
        };
        if !wanted {
            return Vec::new();
        }
        let lines = OFFERED_SUITES.iter().zip(&self.keys).zip(1..);
        lines
            .map(|((suite, random), tag)| CryptoLine { tag, suite: *suite, key: SdesKey::from_random(*suite, random) })
            .collect()
    }

    /// Our offers ask for a handshake.
    pub fn offers_dtls(&self) -> bool {
        if let Some(standing) = &self.security {
            return standing.dtls.is_some() && self.fingerprint.is_some();
        }
        self.srtp != SrtpMode::Off && self.keying == KeyExchange::Dtls && self.fingerprint.is_some()
    }
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
    /// Our ICE credentials; `None` unless the peer's offer has ICE. Always `None` for offers of ours.
    pub ice: Option<IceLiteCredentials>,
    /// Index of the negotiated `m=` line in the peer's description, from 0.
    pub media_index: usize,
    /// Profile of the media line.
    pub protocol: String,
}

impl NegotiatedSdp {
    /// How the session is secured from now on.
    pub fn session_security(&self) -> SessionSecurity {
        SessionSecurity { protocol: self.protocol.clone(), has_keys: self.keys.is_some(), dtls: self.dtls }
    }
}

/// Why an offer or an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferAnswerError {
    /// Answered 400.
    Malformed(SdpError),
    /// No audio line, or none with a codec of ours: answered 488.
    NotAcceptable(&'static str),
}

/// Answers an offer: the negotiated stream and the description to send back.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(NegotiatedSdp, Vec<u8>), OfferAnswerError> {
    let session = parse::session_description(offer).map_err(OfferAnswerError::Malformed)?;
    let (media_index, media) = select_audio_line(&session.media, local)?;
    let dtls = is_dtls(media).then(|| negotiate_dtls(media, local)).flatten();
    let [first, _] = &local.keys;
    let crypto = media.crypto.first().filter(|_| local.srtp != SrtpMode::Off && dtls.is_none());
    let keys = crypto.map(|line| SdesKeys {
        suite: line.suite,
        tag: line.tag,
        ours: SdesKey::from_random(line.suite, first),
        theirs: line.key,
    });
    let mut negotiated = select_codec(media_index, media, local, keys)?;
    negotiated.dtls = dtls;
    negotiated.ice = local.ice.filter(|_| media.has_ice);
    negotiated.direction = media.direction.reversed();
    if is_hold_addr(media) {
        // RFC 2543 hold: c=0.0.0.0 means "send me nothing".
        negotiated.direction = match negotiated.direction {
            MediaDirection::SendRecv | MediaDirection::RecvOnly => MediaDirection::RecvOnly,
            _ => MediaDirection::Inactive,
        };
    }
    let text = print::answer(local, &negotiated, &session.media);
    Ok((negotiated, text))
}

/// Reads the answer to an offer of ours.
pub fn accept_answer(answer: &[u8], local: &LocalMedia) -> Result<NegotiatedSdp, OfferAnswerError> {
    let session = parse::session_description(answer).map_err(OfferAnswerError::Malformed)?;
    let is_ours = |line: &&(usize, &MediaDescription)| line.1.kind == "audio" && line.1.port != 0 && is_rtp(line.1);
    let lines: Vec<_> = session.media.iter().enumerate().collect();
    let (media_index, media) =
        *lines.iter().find(is_ours).ok_or(OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"))?;
    let offered = local.crypto();
    // The answer's tag says which of our keys it is about (RFC 4568 section 5.1.3).
    let keys = media.crypto.iter().find_map(|line| {
        let ours = offered.iter().find(|ours| ours.tag == line.tag && ours.suite == line.suite)?;
        Some(SdesKeys { suite: line.suite, tag: line.tag, ours: ours.key, theirs: line.key })
    });
    let dtls = if local.offers_dtls() { negotiate_dtls(media, local) } else { None };
    if keys.is_none() && dtls.is_none() && (local.srtp == SrtpMode::Mandatory || is_secure(media)) {
        return Err(OfferAnswerError::NotAcceptable("no SRTP key"));
    }
    let mut negotiated = select_codec(media_index, media, local, keys)?;
    negotiated.dtls = dtls;
    negotiated.direction = media.direction.reversed();
    // We are sent what we offered.
    negotiated.payload_type_in = negotiated.codec.payload_type();
    negotiated.telephone_event_in = Some(match negotiated.codec {
        SdpCodec::Opus => TELEPHONE_EVENT_OPUS_OFFERED,
        _ => TELEPHONE_EVENT_OFFERED,
    });
    Ok(negotiated)
}

/// An offer that only a WebRTC peer can answer: ICE and a handshake for its audio.
pub fn is_webrtc(offer: &[u8]) -> bool {
    let needs_peer = |line: &MediaDescription| line.has_ice && line.fingerprint.is_some() && is_dtls_profile(line);
    let audio = |line: &&MediaDescription| line.kind == "audio" && line.port != 0;
    parse::session_description(offer).is_ok_and(|session| session.media.iter().find(audio).is_some_and(needs_peer))
}

/// AVPF profiles are accepted, but no feedback is sent.
fn is_rtp(media: &MediaDescription) -> bool {
    matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF") || is_secure(media)
}

fn is_secure(media: &MediaDescription) -> bool {
    matches!(media.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF") || is_dtls_profile(media)
}

fn is_dtls_profile(media: &MediaDescription) -> bool {
    matches!(media.protocol.as_str(), "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
}

/// True if keys come from DTLS: by the profile, or because there are no SDES keys.
fn is_dtls(media: &MediaDescription) -> bool {
    is_dtls_profile(media) || media.crypto.is_empty()
}

/// Negotiates DTLS-SRTP. To `actpass` we answer `passive`, because the active peer opens its own NAT. After an earlier
/// handshake `actpass` keeps the roles.
fn negotiate_dtls(media: &MediaDescription, local: &LocalMedia) -> Option<DtlsNegotiated> {
    let (theirs, ours) = (media.fingerprint?, local.fingerprint.filter(|_| local.srtp != SrtpMode::Off)?);
    let standing = local.security.as_ref().and_then(|standing| standing.dtls).filter(|dtls| dtls.theirs == theirs);
    let active = match media.setup {
        Some(DtlsSetup::Passive) => true,
        Some(DtlsSetup::Active) => false,
        Some(DtlsSetup::ActPass) | None => standing.is_some_and(|dtls| dtls.active),
    };
    Some(DtlsNegotiated { theirs, ours, active })
}

/// The audio line to be answered: the first that can be, an encrypted one before a plain one.
fn select_audio_line<'a>(
    media: &'a [MediaDescription], local: &LocalMedia,
) -> Result<(usize, &'a MediaDescription), OfferAnswerError> {
    let audio = || media.iter().enumerate().filter(|(_, line)| line.kind == "audio" && line.port != 0 && is_rtp(line));
    let encrypted = |line: &MediaDescription| {
        let by_crypto = !line.crypto.is_empty() && !is_dtls_profile(line) && local.srtp != SrtpMode::Off;
        by_crypto || is_dtls(line) && negotiate_dtls(line, local).is_some()
    };
    let plain = |line: &MediaDescription| !is_secure(line) && local.srtp != SrtpMode::Mandatory;
    if audio().next().is_none() {
        return Err(OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"));
    }
    audio().find(|(_, line)| encrypted(line)).or_else(|| audio().find(|(_, line)| plain(line))).ok_or(
        OfferAnswerError::NotAcceptable(if local.srtp == SrtpMode::Mandatory {
            "SRTP is required"
        } else {
            "SRTP is off"
        }),
    )
}

/// The first format of the peer's list that we have: its order counts (RFC 3264 section 6.1).
fn select_codec(
    media_index: usize, media: &MediaDescription, local: &LocalMedia, keys: Option<SdesKeys>,
) -> Result<NegotiatedSdp, OfferAnswerError> {
    let (codec, payload_type) = media
        .formats
        .iter()
        .find_map(|format| {
            let codec = SdpCodec::of(format)?;
            local.codecs.contains(&codec).then_some((codec, format.payload_type))
        })
        .ok_or(OfferAnswerError::NotAcceptable("no common codec"))?;
    let named = |name: &str, clock_hz: u32| {
        let fits = |format: &&MediaFormat| format.encoding == name && format.clock_hz == clock_hz;
        media.formats.iter().find(fits).map(|format| format.payload_type)
    };
    // Digits belong to the clock of the audio (RFC 4733 section 2.6); some offer them at 8 kHz alone.
    let telephone_event = named("TELEPHONE-EVENT", codec.clock_hz()).or_else(|| named("TELEPHONE-EVENT", 8_000));
    let addr = media.addr.ok_or(OfferAnswerError::Malformed(SdpError("no usable c= line")))?;
    let remote = SocketAddr::new(addr, media.port);
    let (rtcp_port, rtcp_addr) = match media.rtcp {
        _ if media.rtcp_mux => (media.port, None),
        Some(rtcp) => rtcp,
        // Port 65535 has no next port: use the same port.
        None => (media.port.saturating_add(1), None),
    };
    let ptime_ms = media.ptime_ms.filter(|ms| ms % 10 == 0 && PTIMES_MS.contains(ms)).unwrap_or(local.ptime_ms);
    Ok(NegotiatedSdp {
        codec,
        payload_type,
        payload_type_in: payload_type,
        telephone_event,
        telephone_event_in: telephone_event,
        comfort_noise: named("CN", 8_000).filter(|_| codec != SdpCodec::Opus),
        // Opus is coded in frames of 20 ms.
        ptime_ms: if codec == SdpCodec::Opus { PTIME_MS } else { ptime_ms },
        direction: MediaDirection::SendRecv,
        remote,
        remote_rtcp: SocketAddr::new(rtcp_addr.unwrap_or(addr), rtcp_port),
        rtcp_mux: media.rtcp_mux,
        keys,
        dtls: None,
        ice: None,
        media_index,
        protocol: media.protocol.clone(),
    })
}

fn is_hold_addr(media: &MediaDescription) -> bool {
    media.addr.is_some_and(|addr| addr.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalMedia {
        LocalMedia {
            addr: "192.0.2.1".parse().unwrap(),
            port: 30_000,
            codecs: vec![SdpCodec::Pcmu, SdpCodec::Pcma],
            ptime_ms: PTIME_MS,
            srtp: SrtpMode::Off,
            keying: KeyExchange::Sdes,
            fingerprint: Some([0xAB; 32]),
            ice: Some(IceLiteCredentials { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" }),
            keys: [[1; KEY_BYTES_MAX], [2; KEY_BYTES_MAX]],
            session_id: 1,
            session_version: 1,
            security: None,
        }
    }

    fn offer(lines: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{lines}").into_bytes()
    }

    fn answered(lines: &str) -> (NegotiatedSdp, String) {
        let (negotiated, text) = answer(&offer(lines), &local()).unwrap();
        (negotiated, String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_first_common_codec_of_the_offer_wins() {
        let (n, text) =
            answered("m=audio 4000 RTP/AVP 18 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:30\r\n");
        assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (SdpCodec::Pcma, 8, Some(96), 30));
        assert!(text.contains("m=audio 30000 RTP/AVP 8 96\r\n"), "{text}");
        assert!(!text.contains("PCMU"), "an answer lists what is sent: {text}");
        assert_eq!(n.remote_rtcp.port(), 4001);
    }

    #[test]
    fn dynamic_payload_types_for_g711_are_understood() {
        let (n, _) =
            answered("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\na=rtcp:5001 IN IP4 198.51.100.10\r\n");
        assert_eq!((n.codec, n.payload_type), (SdpCodec::Pcmu, 97));
        assert_eq!(n.remote_rtcp.to_string(), "198.51.100.10:5001");
    }

    #[test]
    fn hold_and_resume_directions() {
        for (theirs, ours) in [
            ("a=sendonly", MediaDirection::RecvOnly),
            ("a=inactive", MediaDirection::Inactive),
            ("a=recvonly", MediaDirection::SendOnly),
            ("a=sendrecv", MediaDirection::SendRecv),
            ("c=IN IP4 0.0.0.0", MediaDirection::RecvOnly),
        ] {
            let (n, text) = answered(&format!("m=audio 4000 RTP/AVP 0\r\n{theirs}\r\n"));
            assert_eq!(n.direction, ours, "{theirs}");
            assert!(text.contains(&format!("a={}", ours.name())), "{text}");
        }
    }

    #[test]
    fn unacceptable_offers_are_rejected() {
        let refused = |lines: &str| answer(&offer(lines), &local()).unwrap_err();
        assert_eq!(refused("m=audio 4000 RTP/AVP 18\r\n"), OfferAnswerError::NotAcceptable("no common codec"));
        assert_eq!(refused("m=video 4000 RTP/AVP 96\r\n"), OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"));
        assert_eq!(refused("m=audio 4000 RTP/SAVP 0\r\n"), OfferAnswerError::NotAcceptable("SRTP is off"));
        assert_eq!(refused("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"), OfferAnswerError::NotAcceptable("SRTP is off"));
        assert_eq!(
            refused("m=audio x RTP/AVP 0\r\n"),
            OfferAnswerError::Malformed(SdpError("m= line with a bad port"))
        );
        assert_eq!(answer(b"hello", &local()).unwrap_err(), OfferAnswerError::Malformed(SdpError("no v= line")));
    }

    #[test]
    fn video_beside_audio_is_refused_line_by_line() {
        let (n, text) =
            answered("m=video 5000 RTP/AVP 96 97\r\nm=audio 4000 RTP/AVP 0\r\nb=AS:64\r\na=unknown:stuff\r\n");
        assert_eq!(n.media_index, 1);
        assert!(text.contains("m=video 0 RTP/AVP 96 97\r\nm=audio 30000 RTP/AVP 0\r\n"), "{text}");
    }

    #[test]
    fn our_offer_is_read_back() {
        let text = print::offer(&local(), MediaDirection::SendRecv);
        let n = accept_answer(&text, &local()).unwrap();
        assert_eq!((n.codec, n.telephone_event, n.direction), (SdpCodec::Pcmu, Some(101), MediaDirection::SendRecv));
    }

    #[test]
    fn wide_band_codecs_and_their_own_payload_types() {
        let all = LocalMedia { codecs: SdpCodec::ALL.to_vec(), ..local() };
        let lines = "m=audio 4000 RTP/AVP 96 9 0 97 98\r\na=rtpmap:96 opus/48000/2\r\n\
                     a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\na=ptime:60\r\n";
        let (n, text) = answer(&offer(lines), &all).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (SdpCodec::Opus, 96, Some(98), 20));
        assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n") && text.contains("a=rtpmap:98 telephone-event/48000"));
        let n = answered("m=audio 4000 RTP/AVP 9 0 13\r\na=ptime:40\r\n").0;
        assert_eq!((n.codec, n.comfort_noise, n.ptime_ms), (SdpCodec::Pcmu, Some(13), 40), "G.722 was not configured");
        let (n, _) = answer(&offer("m=audio 4000 RTP/AVP 9 0\r\n"), &all).unwrap();
        assert_eq!((n.codec, n.payload_type), (SdpCodec::G722, 9));
        // Our offer answered with other numbers: each side is sent its own.
        let text = "m=audio 4000 RTP/AVP 96 100\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:100 telephone-event/48000\r\n";
        let n = accept_answer(&offer(text), &all).unwrap();
        assert_eq!((n.payload_type, n.payload_type_in), (96, 111));
        assert_eq!((n.telephone_event, n.telephone_event_in), (Some(100), Some(110)));
    }

    #[test]
    fn ice_offer_gets_ice_lite_answer() {
        let lines = "m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efghijklmnopqrstuvwxyz\r\n\
                     a=candidate:1 1 UDP 2130706431 198.51.100.9 4000 typ host\r\n";
        let (n, text) = answered(lines);
        assert_eq!(n.ice, local().ice);
        for wanted in [
            "a=ice-lite\r\n",
            "a=ice-ufrag:01234567\r\na=ice-pwd:0123456789abcdef0123456789abcdef\r\n",
            "a=candidate:1 1 UDP 2130706431 192.0.2.1 30000 typ host\r\na=candidate:1 2 UDP 2130706430 192.0.2.1 30001 typ host\r\n",
        ] {
            assert!(text.contains(wanted), "{text}");
        }
        let (_, text) = answered(&format!("{lines}a=rtcp-mux\r\n"));
        assert!(!text.contains("candidate:1 2"), "one port, one candidate: {text}");
        let (n, text) = answered("m=audio 4000 RTP/AVP 0\r\n");
        assert!(n.ice.is_none() && !text.contains("ice"));
    }

    #[test]
    fn dtls_roles_are_negotiated() {
        let with = |srtp, keying| LocalMedia { srtp, keying, ..local() };
        let shown = ["AB"; 32].join(":");
        let theirs = ["0C"; 32].join(":");
        for (setup, active) in [("actpass", false), ("active", false), ("passive", true)] {
            let lines = format!(
                "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 {theirs}\r\na=setup:{setup}\r\na=rtcp-mux\r\n"
            );
            let (n, text) = answer(&offer(&lines), &with(SrtpMode::Preferred, KeyExchange::Sdes)).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(n.dtls, Some(DtlsNegotiated { theirs: [0x0C; 32], ours: [0xAB; 32], active }), "{setup}");
            assert!(n.rtcp_mux && n.keys.is_none());
            let ours = if active { "active" } else { "passive" };
            assert!(text.contains("m=audio 30000 UDP/TLS/RTP/SAVP 0\r\n"), "{text}");
            assert!(text.contains(&format!("a=fingerprint:sha-256 {shown}\r\na=setup:{ours}\r\n")), "{text}");
        }
        // Without a readable certificate there is nothing to prove.
        let lines = "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-1 AB:CD\r\na=setup:actpass\r\n";
        assert!(answer(&offer(lines), &with(SrtpMode::Mandatory, KeyExchange::Dtls)).is_err());
        // Ours, and its answer, one with the certificate in the session part.
        let ours = with(SrtpMode::Mandatory, KeyExchange::Dtls);
        let text = String::from_utf8(print::offer(&ours, MediaDirection::SendRecv)).unwrap();
        assert!(text.contains("UDP/TLS/RTP/SAVP") && text.contains("a=setup:actpass") && !text.contains("crypto"));
        let head = format!("a=fingerprint:SHA-256 {theirs}\r\na=setup:active\r\nm=audio 4000 UDP/TLS/RTP/SAVP 0\r\n");
        let n = accept_answer(&offer(&head), &ours).unwrap();
        assert_eq!(n.dtls.map(|dtls| (dtls.theirs, dtls.active)), Some(([0x0C; 32], false)));
        assert!(accept_answer(&offer("m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n"), &ours).is_err());
    }

    const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn srtp_policy_decides_on_keys() {
        let with = |srtp| LocalMedia { srtp, ..local() };
        let secure = format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n");
        let beside = secure.replace("SAVP", "AVP");
        let plain = "m=audio 4000 RTP/AVP 0\r\n";
        for (srtp, lines, wanted) in [
            (SrtpMode::Off, secure.as_str(), Err("SRTP is off")),
            (SrtpMode::Off, &beside, Ok(None)),
            (SrtpMode::Preferred, &secure, Ok(Some("RTP/SAVP"))),
            (SrtpMode::Preferred, &beside, Ok(Some("RTP/AVP"))),
            (SrtpMode::Preferred, plain, Ok(None)),
            (SrtpMode::Mandatory, &secure, Ok(Some("RTP/SAVP"))),
            (SrtpMode::Mandatory, plain, Err("SRTP is required")),
        ] {
            match (answer(&offer(lines), &with(srtp)), wanted) {
                (Err(OfferAnswerError::NotAcceptable(why)), Err(wanted)) => assert_eq!(why, wanted),
                (Ok((n, text)), Ok(wanted)) => {
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(
                        n.keys.map(|keys| (keys.tag, keys.suite)),
                        wanted.map(|_| (4, CryptoSuite::AesCm128HmacSha1_32))
                    );
                    assert_eq!(text.contains("a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:"), wanted.is_some(), "{text}");
                    assert!(wanted.is_none_or(|proto| text.contains(&format!(" {proto} 0"))), "{text}");
                }
                other => panic!("{srtp:?} {lines}: {other:?}"),
            }
        }
    }

    #[test]
    fn keys_of_our_offer_are_matched_by_tag() {
        let both = |srtp| {
            let ours = LocalMedia { srtp, ..local() };
            let theirs =
                LocalMedia { srtp: SrtpMode::Preferred, keys: [[7; KEY_BYTES_MAX], [8; KEY_BYTES_MAX]], ..local() };
            let text = print::offer(&ours, MediaDirection::SendRecv);
            let (seen, answer) = answer(&text, &theirs).unwrap();
            (seen, accept_answer(&answer, &ours).unwrap(), String::from_utf8(text).unwrap())
        };
        for (srtp, profile) in [(SrtpMode::Preferred, "RTP/AVP"), (SrtpMode::Mandatory, "RTP/SAVP")] {
            let (seen, agreed, text) = both(srtp);
            assert!(text.contains(&format!("m=audio 30000 {profile} 0 8 101\r\n")), "{text}");
            let (seen, agreed) = (seen.keys.unwrap(), agreed.keys.unwrap());
            assert_eq!((seen.ours, seen.theirs), (agreed.theirs, agreed.ours));
        }
        let ours = LocalMedia { srtp: SrtpMode::Mandatory, ..local() };
        let plain = accept_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), &ours);
        assert_eq!(plain, Err(OfferAnswerError::NotAcceptable("no SRTP key")));
    }
}
