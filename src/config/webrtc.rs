//! Calls from browsers.

use super::connections::WebrtcConnections;
use super::error::ConfigError;
use crate::domain::secret::Secret;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};

/// Settings of calls from browsers, from `[webrtc]`.
#[derive(Clone, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
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

/// What the types alone cannot say about `[webrtc]`.
pub(super) fn check(web: &WebrtcConfig, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: String, message: String| faults.push(ConfigError { path, message });
    for (name, value, low, high) in [
        ("token_valid_s", web.token_valid_s, 10, 86_400),
        ("calls_per_token", web.calls_per_token as u64, 1, 10_000),
        ("calls_per_address", web.calls_per_address as u64, 1, 10_000),
        ("connect_timeout_ms", web.connect_timeout_ms, 1_000, 120_000),
    ] {
        if !(low..=high).contains(&value) {
            fault(format!("webrtc.{name}"), format!("{value} is not between {low} and {high}"));
        }
    }
    for (index, server) in web.ice_servers.iter().enumerate() {
        let path = format!("webrtc.ice_servers[{index}].url");
        let scheme = server.url.split(':').next().unwrap_or_default();
        if !matches!(scheme, "stun" | "stuns" | "turn" | "turns") || server.url.contains(['>', '"', ' ', '\n', '\r']) {
            fault(path, "must be a stun:, stuns:, turn: or turns: URL (RFC 7064, RFC 7065)".to_owned());
        } else if scheme.starts_with("turn") && (server.username.is_none() || server.credential.is_none()) {
            fault(path, "a TURN server needs username and credential".to_owned());
        }
    }
    for (index, origin) in web.allowed_origins.iter().enumerate() {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
        if origin != "*" && !is_origin {
            let message = "must be an origin such as https://www.example.com, or *".to_owned();
            fault(format!("webrtc.allowed_origins[{index}]"), message);
        }
    }
}
