//! The check's offers, and what an answer says.

use super::observation::AnswerDescription;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use trunkline_signaling::sdp::crypto::{CryptoLine, CryptoSuite, KEY_BYTES_MAX, SdesKey};
use trunkline_signaling::sdp::{MediaDescription, MediaDirection, parse};

/// Payload types, clock, rtpmap and parameters of what is offered.
const FORMATS: [(&str, u8, &str, &str); 4] = [
    ("PCMU", 0, "PCMU/8000", ""),
    ("PCMA", 8, "PCMA/8000", ""),
    ("G722", 9, "G722/8000", ""),
    ("OPUS", 111, "opus/48000/2", "useinbandfec=1"),
];
/// Payload type of telephone-event that is offered.
pub(super) const EVENT_OFFERED: u8 = 101;
const COMFORT_NOISE: u8 = 13;

/// Whether and how the offer asks for SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfferedSecurity {
    None,
    /// Keys in a plain profile (RFC 8643).
    Optional(CryptoLine),
    /// RTP/SAVP.
    Required(CryptoLine),
}

impl OfferedSecurity {
    pub(super) fn key(&self) -> Option<&CryptoLine> {
        match self {
            Self::None => None,
            Self::Optional(line) | Self::Required(line) => Some(line),
        }
    }
}

/// A new key of the mandatory suite.
pub(super) fn new_key() -> CryptoLine {
    let suite = CryptoSuite::AesCm128HmacSha1_80;
    let mut random = [0; KEY_BYTES_MAX];
    random.iter_mut().for_each(|byte| *byte = rand::random());
    CryptoLine { tag: 1, suite, key: SdesKey::from_random(suite, &random) }
}

/// What we describe.
#[derive(Clone, Debug)]
pub(super) struct LocalDescription {
    pub addr: IpAddr,
    pub port: u16,
    pub codecs: Vec<String>,
    pub security: OfferedSecurity,
    pub ptime_ms: u16,
    pub session_id: u32,
}

impl LocalDescription {
    /// The offer with this direction; `version` rises with each change.
    pub(super) fn print(&self, direction: MediaDirection, version: u32) -> Vec<u8> {
        let family = if self.addr.is_ipv4() { "IP4" } else { "IP6" };
        let (addr, id) = (self.addr, self.session_id);
        let mut text = format!(
            "v=0\r\no=trunkline {id} {version} IN {family} {addr}\r\ns=-\r\nc=IN {family} {addr}\r\nt=0 0\r\nm=audio {}",
            self.port
        );
        let secure = matches!(self.security, OfferedSecurity::Required(_));
        text.push_str(if secure { " RTP/SAVP" } else { " RTP/AVP" });
        let chosen = || FORMATS.iter().filter(|(name, ..)| self.codecs.iter().any(|c| c.eq_ignore_ascii_case(name)));
        let has_8k = chosen().any(|(name, ..)| *name != "OPUS");
        let events: Vec<(u8, u32)> = [(has_8k, EVENT_OFFERED, 8_000), (chosen().any(|f| f.0 == "OPUS"), 110, 48_000)]
            .into_iter()
            .filter_map(|(wanted, payload_type, clock_hz)| wanted.then_some((payload_type, clock_hz)))
            .collect();
        let in_order =
            self.codecs.iter().filter_map(|c| FORMATS.iter().find(|(name, ..)| c.eq_ignore_ascii_case(name)));
        let formats: Vec<_> = in_order.collect();
        let numbers = formats.iter().map(|format| format.1).chain(events.iter().map(|event| event.0));
        numbers.for_each(|number| text.push_str(&format!(" {number}")));
        text.push_str(if has_8k { " 13\r\n" } else { "\r\n" });
        for (_, payload_type, rtpmap, fmtp) in formats {
            let _ = write!(text, "a=rtpmap:{payload_type} {rtpmap}\r\n");
            if !fmtp.is_empty() {
                let _ = write!(text, "a=fmtp:{payload_type} {fmtp}\r\n");
            }
        }
        for (payload_type, clock_hz) in events {
            let _ =
                write!(text, "a=rtpmap:{payload_type} telephone-event/{clock_hz}\r\na=fmtp:{payload_type} 0-16\r\n");
        }
        if has_8k {
            let _ = write!(text, "a=rtpmap:{COMFORT_NOISE} CN/8000\r\n");
        }
        if let Some(line) = self.security.key() {
            line.print(&mut text);
        }
        let _ = write!(text, "a=ptime:{}\r\na={}\r\n", self.ptime_ms, direction.name());
        text.into_bytes()
    }
}

/// What a description of the peer says, with the key it sends under.
pub(super) fn read(bytes: &[u8]) -> Result<(AnswerDescription, Option<CryptoLine>), String> {
    let description = parse::session_description(bytes).map_err(|error| error.to_string())?;
    let line = description.media.iter().find(|line| line.kind == "audio").ok_or("it has no audio line")?;
    if line.port == 0 {
        return Err("it refuses the audio line (port 0)".to_owned());
    }
    let is = |name: &'static str| line.formats.iter().filter(move |format| format.encoding.eq_ignore_ascii_case(name));
    let audio = || {
        let others = ["telephone-event", "CN"];
        line.formats.iter().filter(move |f| !others.iter().any(|other| f.encoding.eq_ignore_ascii_case(other)))
    };
    let key = line.crypto.first().copied();
    let answer = AnswerDescription {
        codecs: audio().map(|format| format.encoding.to_ascii_uppercase()).collect(),
        ptime_ms: line.ptime_ms,
        maxptime_ms: number_of(bytes, "a=maxptime:"),
        telephone_events: is("telephone-event").map(|format| (format.payload_type, format.clock_hz)).collect(),
        comfort_noise: is("CN").next().map(|format| format.payload_type),
        is_secure: key.is_some() || line.protocol.contains("SAVP"),
        addr: line.addr.map(|addr| SocketAddr::new(addr, line.port)),
        direction: line.direction.name(),
        audio: audio().next().map(|format| (format.payload_type, format.clock_hz)),
    };
    Ok((answer, key))
}

fn number_of(bytes: &[u8], attribute: &str) -> Option<u16> {
    String::from_utf8_lossy(bytes).lines().find_map(|line| line.strip_prefix(attribute)?.trim().parse().ok())
}

/// Our answer to a new offer in the call: the stream as it stands, with the direction that the offer leaves us.
pub(super) fn answer_again(local: &LocalDescription, codec: &str, offered: &[u8], version: u32) -> Vec<u8> {
    let direction = parse::session_description(offered).ok().and_then(|description| {
        description.media.iter().find(|line| line.kind == "audio").map(|line: &MediaDescription| line.direction)
    });
    let mut answer = local.clone();
    answer.codecs = vec![codec.to_owned()];
    answer.print(direction.map_or(MediaDirection::SendRecv, MediaDirection::reversed), version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(codecs: &[&str], security: OfferedSecurity) -> LocalDescription {
        LocalDescription {
            addr: [192, 0, 2, 1].into(),
            port: 4_000,
            codecs: codecs.iter().map(|codec| (*codec).to_owned()).collect(),
            security,
            ptime_ms: 20,
            session_id: 7,
        }
    }

    #[test]
    fn what_is_offered_is_read_back() {
        let offer = local(&["PCMA", "OPUS"], OfferedSecurity::Optional(new_key())).print(MediaDirection::SendRecv, 1);
        let (read, key) = read(&offer).unwrap();
        assert_eq!(read.codecs, ["PCMA", "OPUS"]);
        assert_eq!((read.telephone_events, read.comfort_noise), (vec![(101, 8_000), (110, 48_000)], Some(13)));
        assert_eq!(
            (read.audio, read.addr, read.direction),
            (Some((8, 8_000)), Some(([192, 0, 2, 1], 4_000).into()), "sendrecv")
        );
        assert!(read.is_secure && key.is_some());
    }

    #[test]
    fn maxptime_and_a_refused_line_are_seen() {
        let text = "v=0\r\nc=IN IP4 192.0.2.2\r\nm=audio 9 RTP/AVP 8\r\na=ptime:30\r\na=maxptime:60\r\n";
        let (answer, _) = read(text.as_bytes()).unwrap();
        assert_eq!((answer.ptime_ms, answer.maxptime_ms), (Some(30), Some(60)));
        assert!(read(text.replace("audio 9", "audio 0").as_bytes()).unwrap_err().contains("port 0"));
        assert!(read(b"v=0\r\n").unwrap_err().contains("no audio"));
    }

    #[test]
    fn a_hold_of_the_peer_is_answered_with_the_other_direction() {
        let hold = local(&["PCMU"], OfferedSecurity::None).print(MediaDirection::SendOnly, 2);
        let answer = answer_again(&local(&["PCMU", "PCMA"], OfferedSecurity::None), "PCMU", &hold, 3);
        let (answer, _) = read(&answer).unwrap();
        assert_eq!((answer.direction, answer.codecs), ("recvonly", vec!["PCMU".to_owned()]));
    }
}
