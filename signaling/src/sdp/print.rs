//! Writing a session description: ours has one stream and no optional lines.

use super::codec::SdpCodec;
use super::crypto::CryptoLine;
use super::description::{CertificateFingerprint, DtlsSetup, MediaDescription, MediaDirection};
use super::media_session::{IceLiteCredentials, LocalMedia, NegotiatedSdp, SrtpMode};
use super::offered_formats::OfferedFormats;
use std::fmt::Write as _;

/// An offer of every configured codec and telephone-event; inside a dialog that of the session as it stands.
pub fn offer(local: &LocalMedia, direction: MediaDirection) -> Vec<u8> {
    let mut text = head(local);
    let ice = local.offered_ice();
    if ice.is_some() {
        text.push_str("a=ice-lite\r\n");
    }
    let layout = local.standing.as_ref().map(|standing| standing.layout.clone()).unwrap_or_default();
    let (before, after) = layout.refused.split_at_checked(layout.index).unwrap_or((&layout.refused, &[]));
    before.iter().for_each(|line| text.push_str(line));
    offered_stream(&mut text, local, layout.mid.as_deref(), ice, direction);
    after.iter().for_each(|line| text.push_str(line));
    text.into_bytes()
}

fn offered_stream(
    text: &mut String, local: &LocalMedia, mid: Option<&str>, ice: Option<IceLiteCredentials>,
    direction: MediaDirection,
) {
    let offered = OfferedFormats::of(local);
    let audio = offered.audio.iter().map(|(number, codec)| PrintedFormat::audio(*number, *codec));
    let events = offered.telephone_events.iter().map(|(number, hz)| PrintedFormat::telephone_event(*number, *hz));
    let noise = offered.comfort_noise.map(PrintedFormat::comfort_noise);
    let formats: Vec<_> = audio.chain(events).chain(noise).collect();
    let profile = match (&local.standing, local.srtp, local.offers_dtls()) {
        (Some(standing), ..) => standing.protocol.as_str(),
        (None, SrtpMode::Mandatory, true) => "UDP/TLS/RTP/SAVP",
        (None, SrtpMode::Mandatory, false) => "RTP/SAVP",
        (None, SrtpMode::Preferred | SrtpMode::Off, _) => "RTP/AVP",
    };
    media(text, local.port, profile, &formats);
    write_mid(text, mid);
    let fingerprint = local.fingerprint.filter(|_| local.offers_dtls());
    if let Some(fingerprint) = fingerprint {
        let shows_id = local.standing.as_ref().is_some_and(|standing| standing.tls_id.is_some());
        // Whoever answers may take either role, and keeps the one it has (RFC 8842 section 5.2).
        write_dtls(text, &fingerprint, DtlsSetup::ActPass, shows_id.then(|| local.tls_id()));
    }
    let is_one_port = fingerprint.is_some() || local.standing.as_ref().is_some_and(|standing| standing.rtcp_mux);
    if let Some(ice) = &ice {
        write_ice(text, ice, local, is_one_port);
    }
    if is_one_port {
        text.push_str("a=rtcp-mux\r\n");
    }
    for line in local.crypto() {
        line.print(text);
    }
    tail(text, local.ptime_ms, direction);
}

/// Our last description, which may be an answer, as the offer of a refresh: whoever answers it may take either role of the
/// handshake, and keeps the one it has (RFC 8842 section 5.2).
pub fn as_offer(description: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(description);
    let lines =
        text.split_inclusive('\n').map(|line| if line.starts_with("a=setup:") { "a=setup:actpass\r\n" } else { line });
    lines.collect::<String>().into_bytes()
}

/// A description with another direction of its streams.
pub fn with_direction(description: &[u8], direction: MediaDirection) -> Vec<u8> {
    let text = String::from_utf8_lossy(description);
    let is_direction =
        |line: &str| matches!(line.trim_end(), "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
    let wanted = format!("a={}\r\n", direction.name());
    let lines = text.split_inclusive('\n').map(|line| if is_direction(line) { wanted.as_str() } else { line });
    lines.collect::<String>().into_bytes()
}

/// A description with this version of the session in its origin line (RFC 8866 section 5.2).
pub fn with_version(description: &[u8], version: u64) -> Vec<u8> {
    let text = String::from_utf8_lossy(description);
    let lines = text.split_inclusive('\n').map(|line| {
        let mut parts: Vec<&str> = line.splitn(4, ' ').collect();
        match (parts.get_mut(2), line.starts_with("o=")) {
            (Some(there), true) => {
                let number = version.to_string();
                *there = &number;
                parts.join(" ")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<String>().into_bytes()
}

/// An answer that accepts one audio line and refuses the others with port zero (RFC 3264 section 6).
pub fn answer(local: &LocalMedia, negotiated: &NegotiatedSdp, offered: &[MediaDescription]) -> Vec<u8> {
    let mut text = head(local);
    if negotiated.ice.is_some() {
        text.push_str("a=ice-lite\r\n");
    }
    for (index, line) in offered.iter().enumerate() {
        if index == negotiated.layout.index {
            answered_stream(&mut text, local, negotiated, line);
        } else {
            text.push_str(&refused_line(line));
        }
    }
    text.into_bytes()
}

fn answered_stream(text: &mut String, local: &LocalMedia, negotiated: &NegotiatedSdp, line: &MediaDescription) {
    let mut formats = vec![PrintedFormat::audio(negotiated.payload_type, negotiated.codec)];
    let event = negotiated.telephone_event;
    formats.extend(event.map(|event| PrintedFormat::telephone_event(event, negotiated.telephone_event_clock_hz)));
    formats.extend(negotiated.comfort_noise.map(PrintedFormat::comfort_noise));
    media(text, local.port, &line.protocol, &formats);
    write_mid(text, line.mid.as_deref());
    if let Some(keys) = negotiated.keys {
        CryptoLine { tag: keys.tag, suite: keys.suite, key: keys.ours }.print(text);
    }
    if let Some(dtls) = negotiated.dtls {
        let setup = if dtls.active { DtlsSetup::Active } else { DtlsSetup::Passive };
        write_dtls(text, &dtls.ours, setup, line.tls_id.as_ref().map(|_| local.tls_id()));
    }
    if let Some(ice) = &negotiated.ice {
        write_ice(text, ice, local, negotiated.rtcp_mux);
    }
    if negotiated.rtcp_mux {
        text.push_str("a=rtcp-mux\r\n");
    }
    // This is the packet time we want to receive; we send the packet time the peer asked for.
    let ptime_ms = negotiated.codec.fixed_ptime_ms().unwrap_or(local.ptime_ms);
    tail(text, ptime_ms, negotiated.direction);
}

/// An answer that refuses every line.
pub fn refusal(local: &LocalMedia, offered: &[MediaDescription]) -> Vec<u8> {
    let mut text = head(local);
    offered.iter().for_each(|line| text.push_str(&refused_line(line)));
    text.into_bytes()
}

/// A line that is refused, or off.
pub(super) fn refused_line(line: &MediaDescription) -> String {
    let formats = if line.formats_raw.is_empty() { "0" } else { &line.formats_raw };
    let mut text = format!("m={} 0 {} {formats}\r\n", line.kind, line.protocol);
    write_mid(&mut text, line.mid.as_deref());
    text
}

fn write_mid(text: &mut String, mid: Option<&str>) {
    if let Some(mid) = mid {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
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

    fn comfort_noise(payload_type: u8) -> Self {
        Self { payload_type, rtpmap: "CN/8000".to_owned(), fmtp: None }
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

fn write_dtls(text: &mut String, fingerprint: &CertificateFingerprint, setup: DtlsSetup, tls_id: Option<String>) {
    let digits: Vec<String> = fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
    let _ = write!(text, "a=fingerprint:sha-256 {}\r\na=setup:{}\r\n", digits.join(":"), setup.name());
    if let Some(tls_id) = tls_id {
        let _ = write!(text, "a=tls-id:{tls_id}\r\n");
    }
}

fn tail(text: &mut String, ptime_ms: u16, direction: MediaDirection) {
    let _ = write!(text, "a=ptime:{ptime_ms}\r\na={}\r\n", direction.name());
}
