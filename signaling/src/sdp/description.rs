//! A session description as values (RFC 8866), as far as it concerns media.

use super::crypto::CryptoLine;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

/// Direction of a media stream, as seen by the writer of the description (RFC 8866 section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaDirection {
    /// Sends and receives; the default when a description names no direction.
    SendRecv,
    /// Sends and does not receive, as towards a peer on hold.
    SendOnly,
    /// Receives and does not send.
    RecvOnly,
    /// Neither sends nor receives. RTCP goes on.
    Inactive,
}

impl MediaDirection {
    /// Returns the attribute name, such as `sendrecv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The direction from the remote point of view (RFC 3264 section 6.1).
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    /// Returns whether the writer of the description sends media.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
}

/// SHA-256 of a certificate.
pub type CertificateFingerprint = [u8; 32];

/// Who begins the DTLS handshake (RFC 5763 section 5, RFC 4145 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsSetup {
    /// Begins the handshake as DTLS client.
    Active,
    /// Waits for the handshake as DTLS server.
    Passive,
    /// Takes either role; offers only, the answer decides.
    ActPass,
}

impl DtlsSetup {
    /// Returns the value of `a=setup`, such as `actpass`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }

    /// Parses the value of `a=setup`; `None` for other values, `holdconn` included.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass].into_iter().find(|setup| setup.name() == text.trim())
    }
}

/// Tells one pair of ICE credentials from another without keeping them: another pair is a restart (RFC 8445 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceGeneration(u64);

impl IceGeneration {
    /// Of a peer's user name fragment and password.
    pub(super) fn of(ufrag: &str, password: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (ufrag, password).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// One format of a media line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFormat {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name in upper case, `PCMU`; static types have theirs without a rtpmap.
    pub encoding: String,
    /// RTP clock in Hz, 8,000 or 48,000 for our codecs; 0 for a dynamic payload type without a rtpmap.
    pub clock_hz: u32,
    /// Audio channels: 1 where the rtpmap names none (RFC 8866 section 6.6); 0 where it cannot be read.
    pub channels: u8,
    /// Parameters of the format as written in `a=fmtp`; `None` without that attribute.
    pub fmtp: Option<String>,
}

/// One `m=` line with its attributes, defaults of the session part filled in (RFC 8866 section 5.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video`, …
    pub kind: String,
    /// RTP port; 0 means that the stream is refused or off.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// Formats with a numeric payload type, in order of preference; at most 64.
    pub formats: Vec<MediaFormat>,
    /// Formats as written, echoed when the line is refused.
    pub formats_raw: String,
    /// Address of this line, else of the session.
    pub addr: Option<IpAddr>,
    /// Direction as seen by the writer; that of the session part, else `sendrecv`, if the line names none.
    pub direction: MediaDirection,
    /// Packet time the writer wants to receive, 1 to 200 ms; `None` if absent or out of range.
    pub ptime_ms: Option<u16>,
    /// Longest packet that the writer takes (RFC 8866 section 6.5); `None` if absent or no number above 0.
    pub max_ptime_ms: Option<u16>,
    /// Port of RTCP and its address, `None` for the address of the line (RFC 3605). Without `a=rtcp` the port is the
    /// next one.
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Readable `a=crypto` lines, in order.
    pub crypto: Vec<CryptoLine>,
    /// There are `a=crypto` lines, readable or not.
    pub has_crypto: bool,
    /// SHA-256 of the peer's DTLS certificate (RFC 8122).
    pub fingerprint: Option<CertificateFingerprint>,
    /// DTLS role of the writer; `None` without `a=setup`.
    pub setup: Option<DtlsSetup>,
    /// Identity of the DTLS association (RFC 8842 section 5.1); `None` from peers that predate it.
    pub tls_id: Option<String>,
    /// The ICE credentials; `None` without ICE.
    pub ice: Option<IceGeneration>,
    /// Name of the line (RFC 5888); `None` without one.
    pub mid: Option<String>,
}

/// A parsed session description, as far as it concerns media (RFC 8866).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// The `m=` lines in order, at most 16. An answer must have the same number of lines.
    pub media: Vec<MediaDescription>,
    /// Lines are bundled on one transport (RFC 8843).
    pub has_bundle: bool,
    /// The peer answers connectivity checks and sends none (RFC 8445 section 2.5).
    pub is_ice_lite: bool,
}
