//! SIP listeners, our user agent, TLS, WebSocket, Identity headers.

use super::connections::SipConnections;
use crate::domain::allowed_networks;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Settings of the SIP listeners and of our user agent, from `[sip]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    /// Address of the UDP and TCP listeners. Default `0.0.0.0:5060`.
    pub listen: SocketAddr,
    /// Our address as carriers see it, behind NAT. `None`: found by STUN, or that of the default route.
    pub advertised_address: Option<IpAddr>,
    /// `host:port` of a STUN server that tells our public address, where none is set.
    pub stun_server: String,
    /// The same for peers of the other family: an IPv6 address beside an IPv4 one, or the reverse.
    pub advertised_address_other: Option<IpAddr>,
    /// Realm of our digest challenges (RFC 7616). Default `trunkline`.
    pub realm: String,
    /// Value of the Server and User-Agent headers. Default `trunkline/` and the version.
    pub user_agent: String,
    /// Carriers' names are looked up here instead of at the system's servers.
    pub dns_server: Option<SocketAddr>,
    /// RFC 4028; 0: no session timer is asked for.
    pub session_expires_s: u32,
    /// Trunks register. Of several processes on one database one should.
    pub register: bool,
    /// Trunks and SIP URIs may lead to private networks and to this machine. Unset: to private networks where
    /// `advertised_address` is in one itself, to this machine where it is a loopback address.
    pub allow_private: Option<bool>,
    /// Networks that trunks may list although they are wide: a list of addresses holds a /16 of IPv4 and a /32 of IPv6
    /// at most, beside what is inside of these.
    pub wide_networks_allowed: Vec<String>,
    /// SIP over TLS.
    pub tls: SipTlsConfig,
    /// SIP over WebSocket.
    pub websocket: SipWebSocketConfig,
    /// Verification of Identity headers (STIR/SHAKEN).
    pub stir: StirConfig,
    /// Caps and timeouts of TCP, TLS and WebSocket connections together.
    pub connections: SipConnections,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 5_060)),
            advertised_address: None,
            stun_server: String::new(),
            advertised_address_other: None,
            realm: "trunkline".to_owned(),
            user_agent: concat!("trunkline/", env!("CARGO_PKG_VERSION")).to_owned(),
            dns_server: None,
            session_expires_s: 1_800,
            register: true,
            allow_private: None,
            wide_networks_allowed: Vec::new(),
            tls: SipTlsConfig::default(),
            websocket: SipWebSocketConfig::default(),
            stir: StirConfig::default(),
            connections: SipConnections::default(),
        }
    }
}

impl SipConfig {
    /// The same as networks, without what is none.
    pub fn wide_networks(&self) -> Vec<ipnet::IpNet> {
        self.wide_networks_allowed.iter().filter_map(|text| allowed_networks::parse(text)).collect()
    }
}

/// Identity headers (RFC 8224).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StirConfig {
    /// PEM file of the roots; empty: headers are shown and not checked.
    pub roots: String,
    /// Older ones are not believed.
    pub max_age_s: u64,
    /// Certificates may be on private addresses and without TLS.
    pub allow_private: bool,
}

impl Default for StirConfig {
    fn default() -> Self {
        Self { roots: String::new(), max_age_s: 60, allow_private: false }
    }
}

/// SIP over TLS, from `[sip.tls]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipTlsConfig {
    /// Address of the TLS listener, such as `0.0.0.0:5061`. `None`: no TLS listener.
    pub listen: Option<SocketAddr>,
    /// PEM files; ours is read again when it changes.
    pub certificate: String,
    /// Path of the PEM file with the key of `certificate`; read again when it changes.
    pub private_key: String,
    /// Roots of clients' certificates; empty: none is asked for.
    pub client_roots: String,
    /// Rejects clients without a certificate; only effective with `client_roots`. Default false.
    pub client_certificate_required: bool,
    /// Roots of servers' certificates beside the public ones.
    pub roots: String,
}

/// SIP over WebSocket (RFC 7118), from `[sip.websocket]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipWebSocketConfig {
    /// Address of the WebSocket listener. `None`: no WebSocket listener.
    pub listen: Option<SocketAddr>,
    /// Over TLS, with the certificate of `[sip.tls]`.
    pub secure: bool,
    /// Pages that may connect; empty: all.
    pub allowed_origins: Vec<String>,
}
