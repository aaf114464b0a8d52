//! Offer/answer for one G.711 audio stream with telephone-event (RFC 3264, RFC 4733).

use super::parse::{self, Fault};
use super::{Direction, Media, print};
use std::net::{IpAddr, SocketAddr};

/// Dynamic payload type of telephone-event in our offers; 101 by custom, the peer may choose another.
pub const TELEPHONE_EVENT_OFFERED: u8 = 101;
/// Packet time we send and ask for (RFC 3551 section 4.5); every carrier takes it, whatever it prefers.
pub const PTIME_MS: u16 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Pcmu,
    Pcma,
}

impl Codec {
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pcmu, Self::Pcma].into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Static payload type (RFC 3551 section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }
}

/// Our side of the stream.
#[derive(Clone, Debug)]
pub struct LocalMedia {
    pub addr: IpAddr,
    pub port: u16,
    /// In the order we like them.
    pub codecs: Vec<Codec>,
    pub session_id: u64,
    /// Rises with every description of ours (RFC 8866 section 5.2).
    pub session_version: u64,
}

/// What both sides agreed on, from our point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    pub codec: Codec,
    /// Payload type of the audio we send; what we receive may carry it or the static one.
    pub payload_type: u8,
    pub telephone_event: Option<u8>,
    /// Packet time the peer would like; what it sends is taken at any length.
    pub ptime_ms: u16,
    /// Our direction.
    pub direction: Direction,
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    pub media_index: usize,
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
    let (media_index, media) = audio_line(&session.media)?;
    let mut negotiated = choose(media_index, media, local)?;
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
    let (media_index, media) = audio_line(&session.media)?;
    let mut negotiated = choose(media_index, media, local)?;
    negotiated.direction = media.direction.reversed();
    Ok(negotiated)
}

fn audio_line(media: &[Media]) -> Result<(usize, &Media), Refused> {
    media
        .iter()
        .enumerate()
        .find(|(_, line)| line.kind == "audio" && line.port != 0 && line.protocol == "RTP/AVP")
        .ok_or(Refused::NotAcceptable("no RTP/AVP audio stream"))
}

/// The first format of the peer's list that we have: its order counts (RFC 3264 section 6.1).
fn choose(media_index: usize, media: &Media, local: &LocalMedia) -> Result<Negotiated, Refused> {
    let (codec, payload_type) = media
        .formats
        .iter()
        .filter(|format| format.clock_hz == 8_000)
        .find_map(|format| {
            let codec = Codec::parse(&format.encoding)?;
            local.codecs.contains(&codec).then_some((codec, format.payload_type))
        })
        .ok_or(Refused::NotAcceptable("no common codec"))?;
    let telephone_event = media
        .formats
        .iter()
        .find(|format| format.encoding == "TELEPHONE-EVENT" && format.clock_hz == 8_000)
        .map(|format| format.payload_type);
    let addr = media.addr.ok_or(Refused::Malformed(Fault("no usable c= line")))?;
    let remote = SocketAddr::new(addr, media.port);
    let (rtcp_port, rtcp_addr) = media.rtcp.unwrap_or((media.port.wrapping_add(1), None));
    Ok(Negotiated {
        codec,
        payload_type,
        telephone_event,
        ptime_ms: media.ptime_ms.filter(|ms| ms % 10 == 0 && (10..=60).contains(ms)).unwrap_or(PTIME_MS),
        direction: Direction::SendRecv,
        remote,
        remote_rtcp: SocketAddr::new(rtcp_addr.unwrap_or(addr), rtcp_port),
        media_index,
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
            session_id: 1,
            session_version: 1,
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
        assert_eq!(refused("m=audio 4000 RTP/SAVP 0\r\n"), Refused::NotAcceptable("no RTP/AVP audio stream"));
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
}
