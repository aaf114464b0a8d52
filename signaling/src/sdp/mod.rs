//! Session descriptions (RFC 8866) and their offer/answer exchange (RFC 3264) for one audio stream.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod crypto;
pub mod negotiate;
pub mod parse;
pub mod print;

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaDirection {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl MediaDirection {
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

    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }
}

/// SHA-256 of a certificate.
pub type CertificateFingerprint = [u8; 32];

/// Who begins the DTLS handshake (RFC 5763 section 5, RFC 4145 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsSetup {
    Active,
    Passive,
    ActPass,
}

impl DtlsSetup {
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass].into_iter().find(|setup| setup.name() == text.trim())
    }
}

/// One format of a media line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFormat {
    pub payload_type: u8,
    /// Encoding name in upper case, `PCMU`; static types have theirs without a rtpmap.
    pub encoding: String,
    pub clock_hz: u32,
    pub fmtp: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video`, …
    pub kind: String,
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    pub formats: Vec<MediaFormat>,
    /// Formats as written, echoed when the line is refused.
    pub formats_raw: String,
    /// Address of this line, else of the session.
    pub addr: Option<IpAddr>,
    pub direction: MediaDirection,
    pub ptime_ms: Option<u16>,
    pub rtcp: Option<(u16, Option<IpAddr>)>,
    /// RTP and RTCP on one port (RFC 5761).
    pub rtcp_mux: bool,
    /// Readable `a=crypto` lines, in order.
    pub crypto: Vec<crypto::CryptoLine>,
    /// SHA-256 of the peer's DTLS certificate (RFC 8122).
    pub fingerprint: Option<CertificateFingerprint>,
    pub setup: Option<DtlsSetup>,
    /// ICE is offered.
    pub has_ice: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    pub media: Vec<MediaDescription>,
}
