//! What the user agent is told: its settings, and the calls and registrations it has to make.

use super::client_authenticator::HostCredentials;
use super::destination_policy::DestinationPolicy;
use super::inbound_trunks::{InboundTrunk, TrunkKey};
use super::next_hop::NextHop;
use crate::sip::digest::DigestCredentials;
use crate::sip::message::{Headers, NameAddr, Uri};
use crate::sip::transport::Transport;
use std::net::IpAddr;
use std::sync::Arc;

/// Methods this user agent answers, as its `Allow` header.
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY";
/// Extensions it knows (RFC 3262, RFC 4028, RFC 3891), as its `Supported` header.
pub const SUPPORTED: &str = "100rel, timer, replaces";

/// Settings of the user agent.
#[derive(Clone, Debug)]
pub struct UserAgentConfig {
    /// Address in Via, Contact and SDP: the one the peers can reach.
    pub advertised: IpAddr,
    /// The same for peers of the other family, where there is one.
    pub advertised_other: Option<IpAddr>,
    /// UDP port in Via and Contact; the driver sets it to the bound port.
    pub udp_port: u16,
    /// TCP port in Via and Contact; the driver sets it to the bound port.
    pub tcp_port: u16,
    /// Port of TLS, where it is listened for.
    pub tls_port: Option<u16>,
    /// Port of WebSockets, in the clear or over TLS.
    pub ws_port: Option<u16>,
    /// Value of User-Agent in our requests and of Server in our responses.
    pub user_agent: String,
    /// Realm of the challenges that we send.
    pub realm: String,
    /// Calls held at once; the next INVITE is answered 503.
    pub calls_max: usize,
    /// Value of Retry-After in that 503.
    pub retry_after_s: u32,
    /// How long a session lives without a refresh (RFC 4028); 0 asks for no session timer.
    pub session_expires_s: u32,
    /// Where requests may go.
    pub destinations: DestinationPolicy,
    /// The inbound rules to begin with.
    pub trunks: Vec<InboundTrunk>,
}

/// An outbound call.
#[derive(Clone, Debug)]
pub struct InviteRequest {
    /// Request-URI: the number or address to call.
    pub request_uri: Uri,
    /// Caller for the From header, without a tag; the user agent adds it.
    pub from: NameAddr,
    /// Called party for the To header, without a tag.
    pub to: NameAddr,
    /// Where it goes, in the order to be tried; empty for the host of the Request-URI.
    pub hops: Vec<NextHop>,
    /// Of hops that name none.
    pub transport: Transport,
    /// Only for challenges of the hosts that they name.
    pub credentials: Option<HostCredentials>,
    /// Our offer; `None` lets the peer make one (RFC 3261 section 13.2.1), answered with [`UserAgent::acknowledge`](super::UserAgent::acknowledge).
    pub sdp: Option<Vec<u8>>,
    /// Further headers, `X-…` and the like.
    pub headers: Headers,
    /// The trunk it goes over: only callers of that trunk may replace the call (Replaces). `None` disables replacement.
    pub trunk: Option<TrunkKey>,
    /// The peer may transfer the call (REFER); otherwise 603.
    pub accept_refer: bool,
    /// What the INVITE says beyond RFC 3261.
    pub extensions: InviteExtensions,
}

/// What a callee need not understand about an INVITE: Supported, P-Early-Media, and the session timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InviteExtensions {
    /// They are named; a callee that refuses them gets a second INVITE without.
    #[default]
    Offered,
    /// This is the second INVITE already.
    Omitted,
}

/// Configuration of one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// Key of the registration, unique in the list: the trunk it belongs to.
    pub id: Arc<str>,
    /// Address of record: `sip:account@provider`.
    pub aor: Uri,
    /// Request-URI: the provider's domain.
    pub registrar: Uri,
    /// Outbound proxies, if not the registrar's domain.
    pub hops: Vec<NextHop>,
    /// Transport to the registrar if the next hop names none; also that of the Contact.
    pub transport: Transport,
    /// User part of the Contact. It identifies the trunk of incoming calls, so it must not be guessable.
    pub contact_user: String,
    /// Account for the registrar's challenges; `None` makes a challenge a failure.
    pub credentials: Option<DigestCredentials>,
    /// Lifetime to ask for, in seconds; the registrar may grant another one.
    pub expires_s: u32,
}

impl RegistrationConfig {
    /// Every host of it is the trunk's.
    pub(super) fn bound_credentials(&self) -> Option<HostCredentials> {
        Some(HostCredentials { credentials: self.credentials.clone()?, hosts: self.hops.clone() })
    }
}
