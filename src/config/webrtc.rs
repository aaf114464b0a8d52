//! Calls from browsers.

use super::connections::WebrtcConnections;
use crate::domain::secret::Secret;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Settings of calls from browsers, from `[webrtc]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebrtcConfig {
    /// Opens the port for browsers. Default true.
    pub enabled: bool,
    /// UDP for all browsers, and the same port of TCP.
    pub listen: SocketAddr,
    /// Listens on TCP too, for browsers on networks that block UDP. Default true.
    pub tcp: bool,
    /// Empty: the address that carriers reach us by.
    pub advertised_addresses: Vec<IpAddr>,
    /// STUN and TURN servers that we send to browsers; empty: none.
    pub ice_servers: Vec<IceServerConfig>,
    /// Origins of pages that may call, beside our own; `*` for any.
    pub allowed_origins: Vec<String>,
    /// Seconds that a web call waits for its browser, 10 to 86,400. Default 300.
    pub token_valid_s: u64,
    /// Calls that one token can begin, 1 to 10,000. Default 1.
    pub calls_per_token: usize,
    /// Simultaneous calls of one IPv4 address or IPv6 /64, 1 to 10,000. Default 10.
    pub calls_per_address: usize,
    /// Milliseconds for ICE and DTLS to complete, 1,000 to 120,000. Default 15,000.
    pub connect_timeout_ms: u64,
    /// Caps and timeouts of the browsers' TCP connections.
    pub connections: WebrtcConnections,
}

/// A STUN or TURN server that browsers may use.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServerConfig {
    /// `stun:stun.example.com:3478`, `turn:turn.example.com?transport=tcp`
    pub url: String,
    /// User name at the server; required for `turn:` and `turns:`.
    #[serde(default)]
    pub username: Option<String>,
    /// Browsers get to see it: one that is good for a while, not a password.
    #[serde(default)]
    pub credential: Option<Secret>,
}

impl Default for WebrtcConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([0, 0, 0, 0], 8_189)),
            tcp: true,
            advertised_addresses: Vec::new(),
            ice_servers: Vec::new(),
            allowed_origins: Vec::new(),
            token_valid_s: 300,
            calls_per_token: 1,
            calls_per_address: 10,
            connect_timeout_ms: 15_000,
            connections: WebrtcConnections::default(),
        }
    }
}
