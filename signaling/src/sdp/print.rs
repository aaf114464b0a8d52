//! Writing a session description: ours has one stream and no optional lines.

use super::negotiate::{LocalMedia, Negotiated};
use super::{Direction, Media};
use std::fmt::Write as _;

/// An offer of every configured codec and telephone-event.
pub fn offer(local: &LocalMedia, direction: Direction) -> Vec<u8> {
    let mut text = head(local);
    let formats: Vec<u8> = local.codecs.iter().map(|codec| codec.payload_type()).collect();
    media(&mut text, local.port, &formats, Some(super::negotiate::TELEPHONE_EVENT_OFFERED));
    for codec in &local.codecs {
        let _ = write!(text, "a=rtpmap:{} {}/8000\r\n", codec.payload_type(), codec.name());
    }
    tail(&mut text, Some(super::negotiate::TELEPHONE_EVENT_OFFERED), super::negotiate::PTIME_MS, direction);
    text.into_bytes()
}

/// An answer that accepts one audio line and refuses the others with port zero (RFC 3264 section 6).
pub fn answer(local: &LocalMedia, negotiated: &Negotiated, offered: &[Media]) -> Vec<u8> {
    let mut text = head(local);
    for (index, line) in offered.iter().enumerate() {
        if index != negotiated.media_index {
            let formats = if line.formats_raw.is_empty() { "0" } else { &line.formats_raw };
            let _ = write!(text, "m={} 0 {} {formats}\r\n", line.kind, line.protocol);
            continue;
        }
        media(&mut text, local.port, &[negotiated.payload_type], negotiated.telephone_event);
        let _ = write!(text, "a=rtpmap:{} {}/8000\r\n", negotiated.payload_type, negotiated.codec.name());
        tail(&mut text, negotiated.telephone_event, super::negotiate::PTIME_MS, negotiated.direction);
    }
    text.into_bytes()
}

fn head(local: &LocalMedia) -> String {
    let family = if local.addr.is_ipv4() { "IP4" } else { "IP6" };
    let addr = local.addr;
    format!(
        "v=0\r\no=trunkline {} {} IN {family} {addr}\r\ns=-\r\nc=IN {family} {addr}\r\nt=0 0\r\n",
        local.session_id, local.session_version
    )
}

fn media(text: &mut String, port: u16, formats: &[u8], telephone_event: Option<u8>) {
    let _ = write!(text, "m=audio {port} RTP/AVP");
    for format in formats.iter().chain(&telephone_event) {
        let _ = write!(text, " {format}");
    }
    text.push_str("\r\n");
}

fn tail(text: &mut String, telephone_event: Option<u8>, ptime_ms: u16, direction: Direction) {
    if let Some(pt) = telephone_event {
        let _ = write!(text, "a=rtpmap:{pt} telephone-event/8000\r\na=fmtp:{pt} 0-16\r\n");
    }
    let _ = write!(text, "a=ptime:{ptime_ms}\r\na={}\r\n", direction.name());
}
