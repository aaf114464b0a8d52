//! What a trunk may choose between.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How SIP messages travel to a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TrunkTransport)]
pub enum TrunkTransport {
    /// One datagram for each message; over TCP if a message is too large (RFC 3261 section 18.1.1).
    #[default]
    Udp,
    /// A connection that is kept and used again.
    Tcp,
    /// TCP with TLS; the certificate of the host is checked (RFC 5922).
    Tls,
}

/// The header of outbound calls that carries our number beside From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityHeader {
    /// No header beside From; with `hide_number` it is `P-Asserted-Identity`.
    #[default]
    None,
    /// `P-Asserted-Identity` (RFC 3325): the usual one for carriers.
    PAssertedIdentity,
    /// `P-Preferred-Identity` (RFC 3325): the carrier asserts the number itself.
    PPreferredIdentity,
    /// `Remote-Party-ID`, the older header that some systems still want.
    RemotePartyId,
}

/// Whether sound is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Srtp)]
pub enum SrtpPolicy {
    /// Never offered, and not taken.
    #[default]
    Off,
    /// Taken where it is offered; offered beside the plain stream (RFC 8643).
    Preferred,
    /// Nothing else.
    Mandatory,
}

/// Which digest algorithms callers are asked for (RFC 8760).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboundDigest {
    /// SHA-256 and MD5; MD5 comes first for software that is known to read the first challenge only.
    #[default]
    Auto,
    /// MD5 alone (RFC 2617): old phones.
    Md5,
    /// SHA-256 alone (RFC 7616).
    Sha256,
    /// Both, MD5 first.
    Md5Sha256,
    /// Both, SHA-256 first.
    Sha256Md5,
}

/// How keys are agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SrtpKeying {
    /// In the session description (RFC 4568): carriers.
    #[default]
    Sdes,
    /// By a DTLS handshake on the stream (RFC 5763): WebRTC's way, and that of some softphones and gateways.
    Dtls,
}
