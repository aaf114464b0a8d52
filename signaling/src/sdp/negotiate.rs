//! Offer/answer for one audio stream with telephone-event (RFC 3264, RFC 4733), plain or with SRTP keys (RFC 4568).

use super::crypto::SdesKey;
use super::description::{DtlsSetup, MediaDescription, MediaDirection, MediaFormat};
use super::offered_formats::OfferedFormats;
use super::parse::{self, SdpError};
use super::print;
use std::net::SocketAddr;

pub use super::codec::{SdpCodec, TELEPHONE_EVENT_OFFERED, TELEPHONE_EVENT_OPUS_OFFERED};
pub use super::media_session::{
    DtlsNegotiated, IceLiteCredentials, KeyExchange, LocalMedia, MediaLayout, NegotiatedSdp, SdesKeys, SrtpMode,
};

/// Packet time we send and ask for (RFC 3551 section 4.5); accepted by every carrier.
pub const PTIME_MS: u16 = 20;
/// Range of packet times we send.
const PTIMES_MS: std::ops::RangeInclusive<u16> = 10..=60;

/// Why an offer or an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferAnswerError {
    /// Answered 400.
    Malformed(SdpError),
    /// No audio line, or none with a codec of ours: answered 488.
    NotAcceptable(&'static str),
    /// The answer to our offer refuses the audio stream, or takes it away, with port 0 (RFC 3264 sections 6 and 8.2).
    StreamOff,
}

impl OfferAnswerError {
    /// The answer has none of the keys that we offered.
    pub const NO_KEY: Self = Self::NotAcceptable("no SRTP key");
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
    let mut negotiated = select_codec(media, local, keys)?;
    negotiated.layout = layout(media_index, &session.media);
    negotiated.dtls = dtls;
    // Of two sides that only answer checks none finds a path: without ICE each sends to the other's description.
    negotiated.ice = local.ice.filter(|_| media.ice.is_some() && !session.is_ice_lite);
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
    let is_ours = |line: &&MediaDescription| line.kind == "audio" && line.port != 0 && is_rtp(line);
    let media = session.media.iter().find(is_ours).ok_or(match is_audio_off(&session.media) {
        true => OfferAnswerError::StreamOff,
        false => OfferAnswerError::NotAcceptable("no RTP/AVP audio stream"),
    })?;
    let offered = local.crypto();
    // The answer's tag says which of our keys it is about (RFC 4568 section 5.1.3).
    let keys = media.crypto.iter().find_map(|line| {
        let ours = offered.iter().find(|ours| ours.tag == line.tag && ours.suite == line.suite)?;
        Some(SdesKeys { suite: line.suite, tag: line.tag, ours: ours.key, theirs: line.key })
    });
    let dtls = if local.offers_dtls() { negotiate_dtls(media, local) } else { None };
    // A session with keys does not lose them to an answer, and keys that were not offered are no keys.
    let must_be_secure = local.srtp == SrtpMode::Mandatory || is_secure(media) || local.has_standing_security();
    let has_other_keys = media.has_crypto && !offered.is_empty();
    if keys.is_none() && dtls.is_none() && (must_be_secure || has_other_keys) {
        return Err(OfferAnswerError::NO_KEY);
    }
    let mut negotiated = select_codec(media, local, keys)?;
    negotiated.layout = local.standing.as_ref().map(|standing| standing.layout.clone()).unwrap_or_default();
    negotiated.dtls = dtls;
    negotiated.ice = local.offered_ice().filter(|_| media.ice.is_some());
    negotiated.direction = media.direction.reversed();
    // We are sent what we offered.
    let offered = OfferedFormats::of(local);
    negotiated.payload_type_in = offered.payload_type(negotiated.codec).unwrap_or(negotiated.payload_type);
    let event = offered.telephone_event(negotiated.codec);
    negotiated.telephone_event_in = event.map(|(payload_type, _)| payload_type);
    negotiated.telephone_event_clock_hz = event.map_or(negotiated.telephone_event_clock_hz, |(_, clock_hz)| clock_hz);
    Ok(negotiated)
}

/// Our direction by the answer to an offer that described the session as it stands: inactive where the audio is off.
pub fn answered_direction(answer: &[u8]) -> Result<MediaDirection, OfferAnswerError> {
    let session = parse::session_description(answer).map_err(OfferAnswerError::Malformed)?;
    let audio = session.media.iter().find(|line| line.kind == "audio" && line.port != 0);
    Ok(audio.map_or(MediaDirection::Inactive, |line| line.direction.reversed()))
}

/// The answer to an offer inside a dialog that takes the audio stream away (RFC 3264 section 8.2), and offers nothing in
/// its place; `None` for every other offer.
pub fn answer_off(offer: &[u8], local: &LocalMedia) -> Option<Vec<u8>> {
    let session = parse::session_description(offer).ok()?;
    let is_off = is_audio_off(&session.media) && session.media.iter().all(|line| line.port == 0);
    is_off.then(|| print::refusal(local, &session.media))
}

/// There is an audio line, and no audio.
fn is_audio_off(media: &[MediaDescription]) -> bool {
    let audio = || media.iter().filter(|line| line.kind == "audio");
    audio().next().is_some() && audio().all(|line| line.port == 0)
}

/// An offer of a browser, or of one that does as browsers do: ICE, a handshake and bundled lines. Everybody else who
/// offers ICE and a handshake is answered as a telephone.
pub fn is_webrtc(offer: &[u8]) -> bool {
    let is_browsers = |line: &MediaDescription| {
        let is_bundled = line.rtcp_mux && line.mid.is_some() && line.protocol == "UDP/TLS/RTP/SAVPF";
        line.ice.is_some() && line.fingerprint.is_some() && is_bundled
    };
    let audio = |line: &&MediaDescription| line.kind == "audio" && line.port != 0;
    parse::session_description(offer)
        .is_ok_and(|session| session.has_bundle && session.media.iter().find(audio).is_some_and(is_browsers))
}

/// A description has keys, or asks for a handshake.
pub fn offers_security(description: &[u8]) -> bool {
    let is_offered = |line: &MediaDescription| is_secure(line) || !line.crypto.is_empty() || line.fingerprint.is_some();
    parse::session_description(description).is_ok_and(|session| session.media.iter().any(is_offered))
}

/// The writer of the description answers connectivity checks and sends none.
pub fn is_ice_lite(description: &[u8]) -> bool {
    parse::session_description(description).is_ok_and(|session| session.is_ice_lite)
}

/// The lines of the session as we answer them.
fn layout(index: usize, offered: &[MediaDescription]) -> MediaLayout {
    let others = offered.iter().enumerate().filter(|(other, _)| *other != index);
    MediaLayout {
        index,
        mid: offered.get(index).and_then(|line| line.mid.clone()),
        refused: others.map(|(_, line)| print::refused_line(line)).collect(),
    }
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
    let standing = local.standing.as_ref().and_then(|standing| standing.dtls).filter(|dtls| dtls.theirs == theirs);
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
    media: &MediaDescription, local: &LocalMedia, keys: Option<SdesKeys>,
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
        let fits =
            |format: &&MediaFormat| format.encoding == name && format.clock_hz == clock_hz && format.channels == 1;
        media.formats.iter().find(fits).map(|format| format.payload_type)
    };
    // Digits belong to the clock of the audio (RFC 4733 section 2.6); some offer them at 8 kHz alone.
    let event = |clock_hz| named("TELEPHONE-EVENT", clock_hz).map(|payload_type| (payload_type, clock_hz));
    let event = event(codec.clock_hz()).or_else(|| event(8_000));
    let telephone_event = event.map(|(payload_type, _)| payload_type);
    let addr = media.addr.ok_or(OfferAnswerError::Malformed(SdpError("no usable c= line")))?;
    let remote = SocketAddr::new(addr, media.port);
    let (rtcp_port, rtcp_addr) = match media.rtcp {
        _ if media.rtcp_mux => (media.port, None),
        Some(rtcp) => rtcp,
        // Port 65535 has no next port: use the same port.
        None => (media.port.saturating_add(1), None),
    };
    Ok(NegotiatedSdp {
        codec,
        payload_type,
        payload_type_in: payload_type,
        telephone_event,
        telephone_event_in: telephone_event,
        telephone_event_clock_hz: event.map_or(codec.clock_hz(), |(_, clock_hz)| clock_hz),
        comfort_noise: named("CN", 8_000).filter(|_| codec != SdpCodec::Opus),
        ptime_ms: codec.fixed_ptime_ms().unwrap_or_else(|| packet_time_ms(media, local)),
        direction: MediaDirection::SendRecv,
        remote,
        remote_rtcp: SocketAddr::new(rtcp_addr.unwrap_or(addr), rtcp_port),
        rtcp_mux: media.rtcp_mux,
        keys,
        dtls: None,
        tls_id: media.tls_id.clone(),
        ice: None,
        remote_ice: media.ice,
        layout: MediaLayout::default(),
        protocol: media.protocol.clone(),
    })
}

/// What the peer asks for, else what we like best; never longer than it takes, in steps of 10 ms.
fn packet_time_ms(media: &MediaDescription, local: &LocalMedia) -> u16 {
    let asked = media.ptime_ms.filter(|ms| ms % 10 == 0 && PTIMES_MS.contains(ms)).unwrap_or(local.ptime_ms);
    let longest = media.max_ptime_ms.map_or(asked, |ms| ms.saturating_sub(ms % 10));
    asked.min(longest).max(*PTIMES_MS.start())
}

/// Not with candidates that are still to come: those stand behind 0.0.0.0 and port 9 (RFC 8840 section 4.1.1).
fn is_hold_addr(media: &MediaDescription) -> bool {
    let awaits_candidates = media.ice.is_some() && media.port == 9;
    media.addr.is_some_and(|addr| addr.is_unspecified()) && !awaits_candidates
}

#[cfg(test)]
mod tests;
