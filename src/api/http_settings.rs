//! How requests come in: their size, the proxies before us, and our own address.

use super::forwarded::is_encrypted;
use super::live_socket::LiveSocketLimits;
use axum::http::{HeaderMap, header};
use std::net::IpAddr;
use std::sync::Arc;
use trunkline_connections::NetworkList;

/// What handlers need of the HTTP settings.
#[derive(Clone, Debug)]
pub(super) struct HttpSettings {
    pub body_bytes_max: usize,
    pub public_url: String,
    pub proxies: Arc<NetworkList>,
    pub behind_proxy: bool,
    /// Ping interval and send timeout of live sockets.
    pub live: LiveSocketLimits,
}

impl HttpSettings {
    /// Whether what this peer says about the client is believed: it is a named proxy, or everybody is one.
    pub(super) fn believes(&self, peer: IpAddr) -> bool {
        self.proxies.contain(peer) || self.behind_proxy && self.proxies.is_empty()
    }

    /// Base of generated links: the configured public URL, or the host that the client used, with the scheme that the
    /// client used.
    pub(super) fn base_url(&self, headers: &HeaderMap) -> String {
        if self.public_url.is_empty() {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            let scheme = if is_encrypted(headers) { "https" } else { "http" };
            return format!("{scheme}://{host}");
        }
        self.public_url.trim_end_matches('/').to_owned()
    }

    /// An origin that is this server's own.
    pub(super) fn is_own_origin(&self, origin: &str, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
        authority == host || !self.public_url.is_empty() && origin == self.public_url.trim_end_matches('/')
    }
}
