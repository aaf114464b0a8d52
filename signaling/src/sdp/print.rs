//! Writing a session description: ours has one stream and no optional lines.

use super::codec::{SdpCodec, TELEPHONE_EVENTS};
use super::crypto::CryptoLine;
use super::description::{CertificateFingerprint, DtlsSetup, MediaDescription, MediaDirection};
use super::media_session::{IceLiteCredentials, LocalMedia, NegotiatedSdp, SrtpMode};
use std::fmt::Write as _;

/// An offer of every configured codec and telephone-event.
pub fn offer(local: &LocalMedia, direction: MediaDirection) -> Vec<u8> {
    let mut text = head(local);
    let mut formats: Vec<_> =
        local.codecs.iter().map(|codec| PrintedFormat::audio(codec.payload_type(), *codec)).collect();
    for (payload_type, clock_hz) in TELEPHONE_EVENTS {
        if local.codecs.iter().any(|codec| codec.clock_hz() == clock_hz) {
            formats.push(PrintedFormat::telephone_event(payload_type, clock_hz));
        }
    }
    let profile = match (&local.security, local.srtp, local.offers_dtls()) {
        (Some(standing), ..) => standing.protocol.as_str(),
        (None, SrtpMode::Mandatory, true) => "UDP/TLS/RTP/SAVP",
        (None, SrtpMode::Mandatory, false) => "RTP/SAVP",
        (None, SrtpMode::Preferred | SrtpMode::Off, _) => "RTP/AVP",
    };
    media(&mut text, local.port, profile, &formats);
    if let Some(fingerprint) = local.fingerprint.filter(|_| local.offers_dtls()) {
        write_dtls(&mut text, &fingerprint, DtlsSetup::ActPass);
        text.push_str("a=rtcp-mux\r\n");
    }
    for line in local.crypto() {
        line.print(&mut text);
    }
    tail(&mut text, local.ptime_ms, direction);
    text.into_bytes()
}

/// An answer that accepts one audio line and refuses the others with port zero (RFC 3264 section 6).
pub fn answer(local: &LocalMedia, negotiated: &NegotiatedSdp, offered: &[MediaDescription]) -> Vec<u8> {
    let mut text = head(local);
    if negotiated.ice.is_some() {
        text.push_str("a=ice-lite\r\n");
    }
    for (index, line) in offered.iter().enumerate() {
        if index != negotiated.media_index {
            let formats = if line.formats_raw.is_empty() { "0" } else { &line.formats_raw };
            let _ = write!(text, "m={} 0 {} {formats}\r\n", line.kind, line.protocol);
            continue;
        }
        let mut formats = vec![PrintedFormat::audio(negotiated.payload_type, negotiated.codec)];
        if let Some(event) = negotiated.telephone_event {
            let clock_hz =
                line.formats.iter().find(|format| format.payload_type == event).map_or(8_000, |f| f.clock_hz);
            formats.push(PrintedFormat::telephone_event(event, clock_hz));
        }
        if let Some(noise) = negotiated.comfort_noise {
            formats.push(PrintedFormat { payload_type: noise, rtpmap: "CN/8000".to_owned(), fmtp: None });
        }
        media(&mut text, local.port, &line.protocol, &formats);
        if let Some(keys) = negotiated.keys {
            CryptoLine { tag: keys.tag, suite: keys.suite, key: keys.ours }.print(&mut text);
        }
        if let Some(dtls) = negotiated.dtls {
            write_dtls(&mut text, &dtls.ours, if dtls.active { DtlsSetup::Active } else { DtlsSetup::Passive });
        }
        if let Some(ice) = &negotiated.ice {
            write_ice(&mut text, ice, local, negotiated.rtcp_mux);
        }
        if negotiated.rtcp_mux {
            text.push_str("a=rtcp-mux\r\n");
        }
        // This is the packet time we want to receive; we send the packet time the peer asked for.
        let ptime_ms = negotiated.codec.fixed_ptime_ms().unwrap_or(local.ptime_ms);
        tail(&mut text, ptime_ms, negotiated.direction);
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

/// A format of our media line.
struct PrintedFormat {
    payload_type: u8,
    rtpmap: String,
    fmtp: Option<&'static str>,
}

impl PrintedFormat {
    fn audio(payload_type: u8, codec: SdpCodec) -> Self {
        Self { payload_type, rtpmap: codec.rtpmap().to_owned(), fmtp: codec.fmtp() }
    }

    /// The sixteen DTMF keys and flash (RFC 4733 section 2.4.1).
    fn telephone_event(payload_type: u8, clock_hz: u32) -> Self {
        Self { payload_type, rtpmap: format!("telephone-event/{clock_hz}"), fmtp: Some("0-16") }
    }
}

fn media(text: &mut String, port: u16, profile: &str, formats: &[PrintedFormat]) {
    let _ = write!(text, "m=audio {port} {profile}");
    for format in formats {
        let _ = write!(text, " {}", format.payload_type);
    }
    text.push_str("\r\n");
    for PrintedFormat { payload_type, rtpmap, fmtp } in formats {
        let _ = write!(text, "a=rtpmap:{payload_type} {rtpmap}\r\n");
        if let Some(fmtp) = fmtp {
            let _ = write!(text, "a=fmtp:{payload_type} {fmtp}\r\n");
        }
    }
}

/// ICE attributes and host candidates (RFC 8839 section 5); priorities of hosts by RFC 8445 section 5.1.2.1.
fn write_ice(text: &mut String, ice: &IceLiteCredentials, local: &LocalMedia, is_one_port: bool) {
    let (ufrag, password) = (String::from_utf8_lossy(&ice.ufrag), String::from_utf8_lossy(&ice.password));
    let _ = write!(text, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
    let components = [(1, 2_130_706_431, local.port), (2, 2_130_706_430, local.port.saturating_add(1))];
    for (component, priority, port) in components.into_iter().take(if is_one_port { 1 } else { 2 }) {
        let _ = write!(text, "a=candidate:1 {component} UDP {priority} {} {port} typ host\r\n", local.addr);
    }
}

fn write_dtls(text: &mut String, fingerprint: &CertificateFingerprint, setup: DtlsSetup) {
    let digits: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let _ = write!(text, "a=fingerprint:sha-256 {}\r\na=setup:{}\r\n", digits.join(":"), setup.name());
}

fn tail(text: &mut String, ptime_ms: u16, direction: MediaDirection) {
    let _ = write!(text, "a=ptime:{ptime_ms}\r\na={}\r\n", direction.name());
}
