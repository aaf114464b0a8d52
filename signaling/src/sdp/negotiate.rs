//! Offer/answer for one audio stream with telephone-event (RFC 3264, RFC 4733), plain or with SRTP keys (RFC 4568).

use super::crypto::{KEY_BYTES_MAX, Key, Line, Suite};
use super::parse::{self, Fault};
use super::{Direction, Fingerprint, Format, Media, Setup, print};
use std::net::{IpAddr, SocketAddr};

/// Dynamic payload types of our offers; the peer may choose others for what it is sent.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;
pub const TELEPHONE_EVENT_OPUS_OFFERED: u8 = 110;
const OPUS_OFFERED: u8 = 111;
/// Packet time we send and ask for (RFC 3551 section 4.5); accepted by every carrier.
pub const PTIME_MS: u16 = 20;
/// Range of packet times we send.
const PTIMES_MS: std::ops::RangeInclusive<u16> = 10..=60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Pcmu,
    Pcma,
    G722,
    Opus,
}

impl Codec {
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
    }

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

    fn of(format: &Format) -> Option<Self> {
        Self::parse(&format.encoding).filter(|codec| codec.clock_hz() == format.clock_hz)
    }
}

/// SRTP policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Srtp {
    #[default]
    Off,
    /// Offered beside the plain stream (RFC 8643), taken where offered.
    Preferred,
    Mandatory,
}

/// Key exchange in our offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keying {
    /// In the description (RFC 4568).
    #[default]
    Sdes,
    /// By a handshake on the stream (RFC 5763, RFC 5764).
    Dtls,
}

/// Our side of the stream.
#[derive(Clone, Debug)]
pub struct LocalMedia {
    pub addr: IpAddr,
    pub port: u16,
    /// In order of preference.
    pub codecs: Vec<Codec>,
    /// What we ask for, and send when the peer does not ask.
    pub ptime_ms: u16,
    pub srtp: Srtp,
    pub keying: Keying,
    /// Fingerprint of our DTLS certificate; `None` disables DTLS-SRTP.
    pub fingerprint: Option<Fingerprint>,
    /// Answers to offers with ICE carry it.
    pub ice: Option<IceLite>,
    /// Random bytes, for each suite we offer: what we send is encrypted with a part of them.
    pub keys: [[u8; KEY_BYTES_MAX]; 2],
    pub session_id: u64,
    /// Rises with every description of ours (RFC 8866 section 5.2).
    pub session_version: u64,
    /// Security of the established session. A later offer must repeat it (RFC 3264 section 8), whatever a first offer
    /// would contain. `None` before the first agreement.
    pub standing: Option<Standing>,
}

/// How a session is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Profile of the media line, `RTP/SAVP`.
    pub protocol: String,
    /// Keys are in the description.
    pub has_keys: bool,
    /// Keys are agreed on by this handshake, whose roles stay (RFC 8842 section 5.3).
    pub dtls: Option<Dtls>,
}

/// Suites of our offers, with the random bytes of each.
const OFFERED: [Suite; 2] = [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm];

impl LocalMedia {
    /// The keys we offer.
    pub fn crypto(&self) -> Vec<Line> {
        let wanted = match &self.standing {
            Some(standing) => standing.has_keys,
            None => self.srtp != Srtp::Off && !self.offers_dtls(),
        };
        if !wanted {
            return Vec::new();
        }
        let lines = OFFERED.iter().zip(&self.keys).zip(1..);
        lines.map(|((suite, random), tag)| Line { tag, suite: *suite, key: Key::of(*suite, random) }).collect()
    }

    /// Our offers ask for a handshake.
    pub fn offers_dtls(&self) -> bool {
        if let Some(standing) = &self.standing {
            return standing.dtls.is_some() && self.fingerprint.is_some();
        }
        self.srtp != Srtp::Off && self.keying == Keying::Dtls && self.fingerprint.is_some()
    }
}

/// The keys of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    pub suite: Suite,
    /// Of the `a=crypto` line that was chosen.
    pub tag: u32,
    pub ours: Key,
    pub theirs: Key,
}

/// A handshake on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// Of the certificate the peer has to show.
    pub theirs: Fingerprint,
    pub ours: Fingerprint,
    /// We begin.
    pub active: bool,
}

/// Our ICE-lite ufrag and password, in ICE characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceLite {
    pub ufrag: [u8; 8],
    pub password: [u8; 32],
}

/// Negotiated media, from our point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    pub codec: Codec,
    /// Payload type of the audio we send.
    pub payload_type: u8,
    /// Payload type of the audio we are sent: ours where we made the offer (RFC 3264 section 5.1).
    pub payload_type_in: u8,
    pub telephone_event: Option<u8>,
    pub telephone_event_in: Option<u8>,
    /// Payload type of comfort noise, where the peer may send it (RFC 3389).
    pub comfort_noise: Option<u8>,
    /// Packet time of what we send.
    pub ptime_ms: u16,
    /// Our direction.
    pub direction: Direction,
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    pub rtcp_mux: bool,
    pub keys: Option<Keys>,
    pub dtls: Option<Dtls>,
    pub ice: Option<IceLite>,
    pub media_index: usize,
    /// Profile of the media line.
    pub protocol: String,
}

impl Negotiated {
    /// How the session is secured from now on.
    pub fn standing(&self) -> Standing {
        Standing { protocol: self.protocol.clone(), has_keys: self.keys.is_some(), dtls: self.dtls }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Answered 400.
    Malformed(Fault),
    /// No audio line, or none with a codec of ours: answered 488.
    NotAcceptable(&'static str),
}

/// Answers an offer: the negotiated stream and the description to send back.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(Negotiated, Vec<u8>), Refused> {
    let session = parse::session(offer).map_err(Refused::Malformed)?;
    let (media_index, media) = offered_line(&session.media, local)?;
    let dtls = is_dtls(media).then(|| handshake(media, local)).flatten();
    let [first, _] = &local.keys;
    let crypto = media.crypto.first().filter(|_| local.srtp != Srtp::Off && dtls.is_none());
    let keys = crypto.map(|line| Keys {
        suite: line.suite,
        tag: line.tag,
        ours: Key::of(line.suite, first),
        theirs: line.key,
    });
    let mut negotiated = choose(media_index, media, local, keys)?;
    negotiated.dtls = dtls;
    negotiated.ice = local.ice.filter(|_| media.has_ice);
    negotiated.direction = media.direction.reversed();
    if is_hold_addr(media) {
        // RFC 2543 hold: c=0.0.0.0 means "send me nothing".
        negotiated.direction = match negotiated.direction {
            Direction::SendRecv | Direction::RecvOnly => Direction::RecvOnly,
            _ => Direction::Inactive,
        };
    }
    let text = print::answer(local, &negotiated, &session.media);
    Ok((negotiated, text))
}

/// Reads the answer to an offer of ours.
pub fn accept_answer(answer: &[u8], local: &LocalMedia) -> Result<Negotiated, Refused> {
    let session = parse::session(answer).map_err(Refused::Malformed)?;
    let is_ours = |line: &&(usize, &Media)| line.1.kind == "audio" && line.1.port != 0 && is_rtp(line.1);
    let lines: Vec<_> = session.media.iter().enumerate().collect();
    let (media_index, media) = *lines.iter().find(is_ours).ok_or(Refused::NotAcceptable("no RTP/AVP audio stream"))?;
    let offered = local.crypto();
    // The answer's tag says which of our keys it is about (RFC 4568 section 5.1.3).
    let keys = media.crypto.iter().find_map(|line| {
        let ours = offered.iter().find(|ours| ours.tag == line.tag && ours.suite == line.suite)?;
        Some(Keys { suite: line.suite, tag: line.tag, ours: ours.key, theirs: line.key })
    });
    let dtls = if local.offers_dtls() { handshake(media, local) } else { None };
    if keys.is_none() && dtls.is_none() && (local.srtp == Srtp::Mandatory || is_secure(media)) {
        return Err(Refused::NotAcceptable("no SRTP key"));
    }
    let mut negotiated = choose(media_index, media, local, keys)?;
    negotiated.dtls = dtls;
    negotiated.direction = media.direction.reversed();
    // We are sent what we offered.
    negotiated.payload_type_in = negotiated.codec.payload_type();
    negotiated.telephone_event_in = Some(match negotiated.codec {
        Codec::Opus => TELEPHONE_EVENT_OPUS_OFFERED,
        _ => TELEPHONE_EVENT_OFFERED,
    });
    Ok(negotiated)
}

/// An offer that only a WebRTC peer can answer: ICE and a handshake for its audio.
pub fn is_webrtc(offer: &[u8]) -> bool {
    let needs_peer = |line: &Media| line.has_ice && line.fingerprint.is_some() && is_dtls_profile(line);
    let audio = |line: &&Media| line.kind == "audio" && line.port != 0;
    parse::session(offer).is_ok_and(|session| session.media.iter().find(audio).is_some_and(needs_peer))
}

/// AVPF profiles are accepted, but no feedback is sent.
fn is_rtp(media: &Media) -> bool {
    matches!(media.protocol.as_str(), "RTP/AVP" | "RTP/AVPF") || is_secure(media)
}

fn is_secure(media: &Media) -> bool {
    matches!(media.protocol.as_str(), "RTP/SAVP" | "RTP/SAVPF") || is_dtls_profile(media)
}

fn is_dtls_profile(media: &Media) -> bool {
    matches!(media.protocol.as_str(), "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF")
}

/// True if keys come from DTLS: by the profile, or because there are no SDES keys.
fn is_dtls(media: &Media) -> bool {
    is_dtls_profile(media) || media.crypto.is_empty()
}

/// Negotiates DTLS-SRTP. To `actpass` we answer `passive`, because the active peer opens its own NAT. After an earlier
/// handshake `actpass` keeps the roles.
fn handshake(media: &Media, local: &LocalMedia) -> Option<Dtls> {
    let (theirs, ours) = (media.fingerprint?, local.fingerprint.filter(|_| local.srtp != Srtp::Off)?);
    let standing = local.standing.as_ref().and_then(|standing| standing.dtls).filter(|dtls| dtls.theirs == theirs);
    let active = match media.setup {
        Some(Setup::Passive) => true,
        Some(Setup::Active) => false,
        Some(Setup::ActPass) | None => standing.is_some_and(|dtls| dtls.active),
    };
    Some(Dtls { theirs, ours, active })
}

/// The audio line to be answered: the first that can be, an encrypted one before a plain one.
fn offered_line<'a>(media: &'a [Media], local: &LocalMedia) -> Result<(usize, &'a Media), Refused> {
    let audio = || media.iter().enumerate().filter(|(_, line)| line.kind == "audio" && line.port != 0 && is_rtp(line));
    let encrypted = |line: &Media| {
        let by_crypto = !line.crypto.is_empty() && !is_dtls_profile(line) && local.srtp != Srtp::Off;
        by_crypto || is_dtls(line) && handshake(line, local).is_some()
    };
    let plain = |line: &Media| !is_secure(line) && local.srtp != Srtp::Mandatory;
    if audio().next().is_none() {
        return Err(Refused::NotAcceptable("no RTP/AVP audio stream"));
    }
    audio()
        .find(|(_, line)| encrypted(line))
        .or_else(|| audio().find(|(_, line)| plain(line)))
        .ok_or(Refused::NotAcceptable(if local.srtp == Srtp::Mandatory { "SRTP is required" } else { "SRTP is off" }))
}

/// The first format of the peer's list that we have: its order counts (RFC 3264 section 6.1).
fn choose(media_index: usize, media: &Media, local: &LocalMedia, keys: Option<Keys>) -> Result<Negotiated, Refused> {
    let (codec, payload_type) = media
        .formats
        .iter()
        .find_map(|format| {
            let codec = Codec::of(format)?;
            local.codecs.contains(&codec).then_some((codec, format.payload_type))
        })
        .ok_or(Refused::NotAcceptable("no common codec"))?;
    let named = |name: &str, clock_hz: u32| {
        let fits = |format: &&Format| format.encoding == name && format.clock_hz == clock_hz;
        media.formats.iter().find(fits).map(|format| format.payload_type)
    };
    // Digits belong to the clock of the audio (RFC 4733 section 2.6); some offer them at 8 kHz alone.
    let telephone_event = named("TELEPHONE-EVENT", codec.clock_hz()).or_else(|| named("TELEPHONE-EVENT", 8_000));
    let addr = media.addr.ok_or(Refused::Malformed(Fault("no usable c= line")))?;
    let remote = SocketAddr::new(addr, media.port);
    let (rtcp_port, rtcp_addr) = match media.rtcp {
        _ if media.rtcp_mux => (media.port, None),
        Some(rtcp) => rtcp,
        // Port 65535 has no next port: use the same port.
        None => (media.port.saturating_add(1), None),
    };
    let ptime_ms = media.ptime_ms.filter(|ms| ms % 10 == 0 && PTIMES_MS.contains(ms)).unwrap_or(local.ptime_ms);
    Ok(Negotiated {
        codec,
        payload_type,
        payload_type_in: payload_type,
        telephone_event,
        telephone_event_in: telephone_event,
        comfort_noise: named("CN", 8_000).filter(|_| codec != Codec::Opus),
        // Opus is coded in frames of 20 ms.
        ptime_ms: if codec == Codec::Opus { PTIME_MS } else { ptime_ms },
        direction: Direction::SendRecv,
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

fn is_hold_addr(media: &Media) -> bool {
    media.addr.is_some_and(|addr| addr.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> LocalMedia {
        LocalMedia {
            addr: "192.0.2.1".parse().unwrap(),
            port: 30_000,
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            ptime_ms: PTIME_MS,
            srtp: Srtp::Off,
            keying: Keying::Sdes,
            fingerprint: Some([0xAB; 32]),
            ice: Some(IceLite { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" }),
            keys: [[1; KEY_BYTES_MAX], [2; KEY_BYTES_MAX]],
            session_id: 1,
            session_version: 1,
            standing: None,
        }
    }

    fn offer(lines: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n{lines}").into_bytes()
    }

    fn answered(lines: &str) -> (Negotiated, String) {
        let (negotiated, text) = answer(&offer(lines), &local()).unwrap();
        (negotiated, String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_first_common_codec_of_the_offer_wins() {
        let (n, text) =
            answered("m=audio 4000 RTP/AVP 18 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:30\r\n");
        assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (Codec::Pcma, 8, Some(96), 30));
        assert!(text.contains("m=audio 30000 RTP/AVP 8 96\r\n"), "{text}");
        assert!(!text.contains("PCMU"), "an answer lists what is sent: {text}");
        assert_eq!(n.remote_rtcp.port(), 4001);
    }

    #[test]
    fn dynamic_payload_types_for_g711_are_understood() {
        let (n, _) =
            answered("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcmu/8000\r\na=rtcp:5001 IN IP4 198.51.100.10\r\n");
        assert_eq!((n.codec, n.payload_type), (Codec::Pcmu, 97));
        assert_eq!(n.remote_rtcp.to_string(), "198.51.100.10:5001");
    }

    #[test]
    fn hold_and_resume_directions() {
        for (theirs, ours) in [
            ("a=sendonly", Direction::RecvOnly),
            ("a=inactive", Direction::Inactive),
            ("a=recvonly", Direction::SendOnly),
            ("a=sendrecv", Direction::SendRecv),
            ("c=IN IP4 0.0.0.0", Direction::RecvOnly),
        ] {
            let (n, text) = answered(&format!("m=audio 4000 RTP/AVP 0\r\n{theirs}\r\n"));
            assert_eq!(n.direction, ours, "{theirs}");
            assert!(text.contains(&format!("a={}", ours.name())), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let refused = |lines: &str| answer(&offer(lines), &local()).unwrap_err();
        assert_eq!(refused("m=audio 4000 RTP/AVP 18\r\n"), Refused::NotAcceptable("no common codec"));
        assert_eq!(refused("m=video 4000 RTP/AVP 96\r\n"), Refused::NotAcceptable("no RTP/AVP audio stream"));
        assert_eq!(refused("m=audio 4000 RTP/SAVP 0\r\n"), Refused::NotAcceptable("SRTP is off"));
        assert_eq!(refused("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"), Refused::NotAcceptable("SRTP is off"));
        assert_eq!(refused("m=audio x RTP/AVP 0\r\n"), Refused::Malformed(Fault("m= line with a bad port")));
        assert_eq!(answer(b"hello", &local()).unwrap_err(), Refused::Malformed(Fault("no v= line")));
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
        let text = print::offer(&local(), Direction::SendRecv);
        let n = accept_answer(&text, &local()).unwrap();
        assert_eq!((n.codec, n.telephone_event, n.direction), (Codec::Pcmu, Some(101), Direction::SendRecv));
    }

    #[test]
    fn wide_band_codecs_and_their_own_payload_types() {
        let all = LocalMedia { codecs: Codec::ALL.to_vec(), ..local() };
        let lines = "m=audio 4000 RTP/AVP 96 9 0 97 98\r\na=rtpmap:96 opus/48000/2\r\n\
                     a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\na=ptime:60\r\n";
        let (n, text) = answer(&offer(lines), &all).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!((n.codec, n.payload_type, n.telephone_event, n.ptime_ms), (Codec::Opus, 96, Some(98), 20));
        assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n") && text.contains("a=rtpmap:98 telephone-event/48000"));
        let n = answered("m=audio 4000 RTP/AVP 9 0 13\r\na=ptime:40\r\n").0;
        assert_eq!((n.codec, n.comfort_noise, n.ptime_ms), (Codec::Pcmu, Some(13), 40), "G.722 was not configured");
        let (n, _) = answer(&offer("m=audio 4000 RTP/AVP 9 0\r\n"), &all).unwrap();
        assert_eq!((n.codec, n.payload_type), (Codec::G722, 9));
        // Our offer answered with other numbers: each side is sent its own.
        let text = "m=audio 4000 RTP/AVP 96 100\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:100 telephone-event/48000\r\n";
        let n = accept_answer(&offer(text), &all).unwrap();
        assert_eq!((n.payload_type, n.payload_type_in), (96, 111));
        assert_eq!((n.telephone_event, n.telephone_event_in), (Some(100), Some(110)));
    }

    #[test]
    fn who_looks_for_a_path_is_told_where_ours_is() {
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
    fn a_handshake_is_agreed_on() {
        let with = |srtp, keying| LocalMedia { srtp, keying, ..local() };
        let shown = ["AB"; 32].join(":");
        let theirs = ["0C"; 32].join(":");
        for (setup, active) in [("actpass", false), ("active", false), ("passive", true)] {
            let lines = format!(
                "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-256 {theirs}\r\na=setup:{setup}\r\na=rtcp-mux\r\n"
            );
            let (n, text) = answer(&offer(&lines), &with(Srtp::Preferred, Keying::Sdes)).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(n.dtls, Some(Dtls { theirs: [0x0C; 32], ours: [0xAB; 32], active }), "{setup}");
            assert!(n.rtcp_mux && n.keys.is_none());
            let ours = if active { "active" } else { "passive" };
            assert!(text.contains("m=audio 30000 UDP/TLS/RTP/SAVP 0\r\n"), "{text}");
            assert!(text.contains(&format!("a=fingerprint:sha-256 {shown}\r\na=setup:{ours}\r\n")), "{text}");
        }
        // Without a readable certificate there is nothing to prove.
        let lines = "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:sha-1 AB:CD\r\na=setup:actpass\r\n";
        assert!(answer(&offer(lines), &with(Srtp::Mandatory, Keying::Dtls)).is_err());
        // Ours, and its answer, one with the certificate in the session part.
        let ours = with(Srtp::Mandatory, Keying::Dtls);
        let text = String::from_utf8(print::offer(&ours, Direction::SendRecv)).unwrap();
        assert!(text.contains("UDP/TLS/RTP/SAVP") && text.contains("a=setup:actpass") && !text.contains("crypto"));
        let head = format!("a=fingerprint:SHA-256 {theirs}\r\na=setup:active\r\nm=audio 4000 UDP/TLS/RTP/SAVP 0\r\n");
        let n = accept_answer(&offer(&head), &ours).unwrap();
        assert_eq!(n.dtls.map(|dtls| (dtls.theirs, dtls.active)), Some(([0x0C; 32], false)));
        assert!(accept_answer(&offer("m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n"), &ours).is_err());
    }

    const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn keys_are_taken_by_policy() {
        let with = |srtp| LocalMedia { srtp, ..local() };
        let secure = format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n");
        let beside = secure.replace("SAVP", "AVP");
        let plain = "m=audio 4000 RTP/AVP 0\r\n";
        for (srtp, lines, wanted) in [
            (Srtp::Off, secure.as_str(), Err("SRTP is off")),
            (Srtp::Off, &beside, Ok(None)),
            (Srtp::Preferred, &secure, Ok(Some("RTP/SAVP"))),
            (Srtp::Preferred, &beside, Ok(Some("RTP/AVP"))),
            (Srtp::Preferred, plain, Ok(None)),
            (Srtp::Mandatory, &secure, Ok(Some("RTP/SAVP"))),
            (Srtp::Mandatory, plain, Err("SRTP is required")),
        ] {
            match (answer(&offer(lines), &with(srtp)), wanted) {
                (Err(Refused::NotAcceptable(why)), Err(wanted)) => assert_eq!(why, wanted),
                (Ok((n, text)), Ok(wanted)) => {
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(
                        n.keys.map(|keys| (keys.tag, keys.suite)),
                        wanted.map(|_| (4, Suite::AesCm128HmacSha1_32))
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
                LocalMedia { srtp: Srtp::Preferred, keys: [[7; KEY_BYTES_MAX], [8; KEY_BYTES_MAX]], ..local() };
            let text = print::offer(&ours, Direction::SendRecv);
            let (seen, answer) = answer(&text, &theirs).unwrap();
            (seen, accept_answer(&answer, &ours).unwrap(), String::from_utf8(text).unwrap())
        };
        for (srtp, profile) in [(Srtp::Preferred, "RTP/AVP"), (Srtp::Mandatory, "RTP/SAVP")] {
            let (seen, agreed, text) = both(srtp);
            assert!(text.contains(&format!("m=audio 30000 {profile} 0 8 101\r\n")), "{text}");
            let (seen, agreed) = (seen.keys.unwrap(), agreed.keys.unwrap());
            assert_eq!((seen.ours, seen.theirs), (agreed.theirs, agreed.ours));
        }
        let ours = LocalMedia { srtp: Srtp::Mandatory, ..local() };
        let plain = accept_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), &ours);
        assert_eq!(plain, Err(Refused::NotAcceptable("no SRTP key")));
    }
}
