//! Reading a session description. Lines that are not known are skipped; only errors that affect the audio stream are
//! reported.

use super::codec::SdpCodec;
use super::crypto;
use super::description::{
    CertificateFingerprint, DtlsSetup, IceGeneration, MediaDescription, MediaDirection, MediaFormat, SessionDescription,
};
use crate::limits;
use crate::sip::message::scan::{digits, is_token};
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;

/// What is wrong with a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdpError(pub &'static str);

impl std::fmt::Display for SdpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for SdpError {}

/// Parses a session description. Fails without `v=`, with a bad `m=` line, or over the limits of 1,024 lines, 16 media
/// lines and 256 attributes each.
pub fn session_description(bytes: &[u8]) -> Result<SessionDescription, SdpError> {
    let text = String::from_utf8_lossy(bytes);
    let mut addr = None;
    let mut common = SessionAttributes::new();
    let mut media: Vec<MediaDescription> = Vec::new();
    // Of each media line, those of the session filled in.
    let mut ice: Vec<IceLines> = Vec::new();
    let (mut saw_version, mut attributes) = (false, 0_usize);
    for (at, line) in text.lines().enumerate() {
        if at >= limits::SDP_LINES_MAX {
            return Err(SdpError("too many lines"));
        }
        let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
        match kind {
            "v" => saw_version = true,
            "c" => {
                let parsed = connection(value);
                match media.last_mut() {
                    Some(last) => last.addr = parsed,
                    None => addr = parsed,
                }
            }
            "m" if media.len() < limits::SDP_MEDIA_MAX => {
                attributes = 0;
                media.push(media_line(value, addr, &common)?);
                ice.push(common.ice.clone());
            }
            "m" => return Err(SdpError("too many media lines")),
            "a" => {
                attributes = attributes.saturating_add(1);
                if attributes > limits::SDP_ATTRIBUTES_MAX {
                    return Err(SdpError("too many attributes of one m= line"));
                }
                match media.last_mut() {
                    Some(_) if ice.last_mut().is_some_and(|ice| ice.attribute(value)) => {}
                    Some(last) => attribute(last, value),
                    None => common.attribute(value),
                }
            }
            _ => {}
        }
    }
    if !saw_version {
        return Err(SdpError("no v= line"));
    }
    for (line, ice) in media.iter_mut().zip(ice) {
        line.ice = ice.generation();
    }
    Ok(SessionDescription { media, has_bundle: common.has_bundle, is_ice_lite: common.is_ice_lite })
}

/// The ICE credentials of a line, while it is read.
#[derive(Clone, Default)]
struct IceLines {
    ufrag: Option<String>,
    password: Option<SecretString>,
}

impl IceLines {
    /// Whether the attribute is one of them.
    fn attribute(&mut self, value: &str) -> bool {
        if let Some(ufrag) = value.strip_prefix("ice-ufrag:") {
            self.ufrag = Some(ufrag.trim().to_owned());
        } else if let Some(password) = value.strip_prefix("ice-pwd:") {
            self.password = Some(password.trim().into());
        } else {
            return false;
        }
        true
    }

    fn generation(&self) -> Option<IceGeneration> {
        Some(IceGeneration::of(
            self.ufrag.as_deref()?,
            self.password.as_ref().map_or("", |password| password.expose_secret()),
        ))
    }
}

/// Session-level attributes, the default for every stream.
struct SessionAttributes {
    direction: MediaDirection,
    fingerprint: Option<CertificateFingerprint>,
    setup: Option<DtlsSetup>,
    tls_id: Option<String>,
    ice: IceLines,
    has_bundle: bool,
    is_ice_lite: bool,
}

impl SessionAttributes {
    fn new() -> Self {
        Self {
            direction: MediaDirection::SendRecv,
            fingerprint: None,
            setup: None,
            tls_id: None,
            ice: IceLines::default(),
            has_bundle: false,
            is_ice_lite: false,
        }
    }

    fn attribute(&mut self, value: &str) {
        if self.ice.attribute(value) {
            return;
        }
        if let Some(direction) = direction_of(value) {
            self.direction = direction;
        } else if let Some(value) = value.strip_prefix("fingerprint:") {
            self.fingerprint = fingerprint(value).or(self.fingerprint);
        } else if let Some(value) = value.strip_prefix("setup:") {
            self.setup = DtlsSetup::parse(value);
        } else if let Some(value) = value.strip_prefix("tls-id:") {
            self.tls_id = tls_id(value);
        } else if value.trim() == "ice-lite" {
            self.is_ice_lite = true;
        } else if value.starts_with("group:BUNDLE") {
            self.has_bundle = true;
        }
    }
}

/// A token of RFC 8842 section 5.1; longer ones than it allows are not kept.
fn tls_id(value: &str) -> Option<String> {
    let value = value.trim();
    ((20..=255).contains(&value.len()) && value.bytes().all(is_token)).then(|| value.to_owned())
}

/// `sha-256 AB:CD:…`; RFC 8122 has everybody know this one.
fn fingerprint(value: &str) -> Option<CertificateFingerprint> {
    let (hash, digits) = value.trim().split_once(' ')?;
    if !hash.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut bytes = CertificateFingerprint::default();
    let mut parts = digits.trim().split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

fn connection(value: &str) -> Option<IpAddr> {
    let mut parts = value.split_ascii_whitespace();
    let (net, kind, addr) = (parts.next()?, parts.next()?, parts.next()?);
    if net != "IN" || !matches!(kind, "IP4" | "IP6") {
        return None;
    }
    // Some write an address like a name, with the dot of the root.
    addr.split('/').next()?.trim_end_matches('.').parse().ok()
}

fn media_line(value: &str, addr: Option<IpAddr>, common: &SessionAttributes) -> Result<MediaDescription, SdpError> {
    // The line is echoed in the answer if it is rejected.
    if !value.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t')) {
        return Err(SdpError("m= line with invalid characters"));
    }
    let mut parts = value.split_ascii_whitespace();
    let kind = parts.next().ok_or(SdpError("empty m= line"))?;
    let port = parts.next().and_then(|port| port.split('/').next()).ok_or(SdpError("m= line without a port"))?;
    let port = digits(port).ok_or(SdpError("m= line with a bad port"))?;
    let protocol = parts.next().ok_or(SdpError("m= line without a protocol"))?;
    let rest: Vec<&str> = parts.take(limits::SDP_FORMATS_MAX).collect();
    let formats = rest.iter().filter_map(|format| digits(format).filter(|pt| *pt < 128)).map(static_format).collect();
    Ok(MediaDescription {
        kind: kind.to_owned(),
        port,
        protocol: protocol.to_owned(),
        formats,
        formats_raw: rest.join(" "),
        addr,
        direction: common.direction,
        ptime_ms: None,
        max_ptime_ms: None,
        rtcp: None,
        rtcp_mux: false,
        crypto: Vec::new(),
        has_crypto: false,
        fingerprint: common.fingerprint,
        setup: common.setup,
        tls_id: common.tls_id.clone(),
        ice: None,
        mid: None,
    })
}

/// Payload types with a fixed meaning (RFC 3551 section 6) that can occur without a rtpmap.
fn static_format(payload_type: u8) -> MediaFormat {
    let (encoding, clock_hz) = match (SdpCodec::of_static(payload_type), payload_type) {
        (Some(codec), _) => (codec.name(), codec.clock_hz()),
        (None, 3) => ("GSM", 8_000),
        (None, 4) => ("G723", 8_000),
        (None, 13) => ("CN", 8_000),
        (None, 18) => ("G729", 8_000),
        (None, _) => ("", 0),
    };
    MediaFormat { payload_type, encoding: encoding.to_owned(), clock_hz, channels: 1, fmtp: None }
}

fn attribute(media: &mut MediaDescription, value: &str) {
    if let Some(direction) = direction_of(value) {
        media.direction = direction;
    } else if let Some(value) = value.strip_prefix("rtpmap:") {
        rtpmap(media, value);
    } else if let Some(value) = value.strip_prefix("fmtp:") {
        let Some((pt, parameters)) = value.trim().split_once(' ') else { return };
        if let Some(format) = format_mut(media, pt) {
            format.fmtp = Some(parameters.trim().to_owned());
        }
    } else if let Some(value) = value.strip_prefix("ptime:") {
        media.ptime_ms = value.trim().split('.').next().and_then(digits).filter(|ms| (1..=200).contains(ms));
    } else if let Some(value) = value.strip_prefix("maxptime:") {
        media.max_ptime_ms = value.trim().split('.').next().and_then(digits).filter(|ms| *ms > 0);
    } else if value.trim() == "rtcp-mux" {
        media.rtcp_mux = true;
    } else if let Some(value) = value.strip_prefix("crypto:") {
        media.has_crypto = true;
        media.crypto.extend(crypto::CryptoLine::parse(value).filter(|_| media.crypto.len() < limits::SDP_CRYPTO_MAX));
    } else if let Some(value) = value.strip_prefix("fingerprint:") {
        media.fingerprint = fingerprint(value).or(media.fingerprint);
    } else if let Some(value) = value.strip_prefix("setup:") {
        media.setup = DtlsSetup::parse(value);
    } else if let Some(value) = value.strip_prefix("tls-id:") {
        media.tls_id = tls_id(value);
    } else if let Some(value) = value.strip_prefix("mid:") {
        media.mid = Some(value.trim()).filter(|mid| is_mid(mid)).map(str::to_owned);
    } else if let Some(value) = value.strip_prefix("rtcp:") {
        let (port, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        media.rtcp = digits(port).filter(|port| *port != 0).map(|port| (port, connection(rest)));
    }
}

/// A token that is short enough to be echoed (RFC 5888 section 4).
fn is_mid(mid: &str) -> bool {
    (1..=32).contains(&mid.len()) && mid.bytes().all(is_token)
}

fn rtpmap(media: &mut MediaDescription, value: &str) {
    let Some((pt, encoding)) = value.trim().split_once(' ') else { return };
    let mut parts = encoding.trim().split('/');
    let (Some(name), Some(clock_hz)) = (parts.next(), parts.next().and_then(digits)) else { return };
    let channels = parts.next().map_or(1, |channels| digits(channels).unwrap_or(0));
    if let Some(format) = format_mut(media, pt) {
        format.channels = channels;
        format.encoding = name.to_ascii_uppercase();
        format.clock_hz = clock_hz;
    }
}

fn format_mut<'a>(media: &'a mut MediaDescription, payload_type: &str) -> Option<&'a mut MediaFormat> {
    let payload_type: u8 = digits(payload_type)?;
    media.formats.iter_mut().find(|format| format.payload_type == payload_type)
}

fn direction_of(value: &str) -> Option<MediaDirection> {
    Some(match value.trim() {
        "sendrecv" => MediaDirection::SendRecv,
        "sendonly" => MediaDirection::SendOnly,
        "recvonly" => MediaDirection::RecvOnly,
        "inactive" => MediaDirection::Inactive,
        _ => return None,
    })
}
