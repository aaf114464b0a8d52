//! How many connections each listener holds, and how long they may take for what they do.

use serde::Deserialize;
use std::time::Duration;
use trunkline_connections::{ConnectionCaps, NetworkList};

/// Connections of the REST API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConnections {
    /// Open connections of the API in all, 8 to 1,000,000. Default 4096.
    pub connections_max: usize,
    /// Of `connections_max`, kept free for proxies.
    pub proxy_connections_reserved: usize,
    /// Connections of one IPv4 address or IPv6 /64, proxies excepted. Default 512.
    pub connections_per_address: usize,
    /// Connections of one organization's keys and sessions, with live transcripts. Default 1024.
    pub connections_per_organization: usize,
    /// Addresses and networks of proxies. They are not counted by address, and X-Forwarded-For is believed from them.
    pub trusted_proxies: Vec<String>,
    /// From the first byte of a request to the end of its headers; a new connection owes its first one.
    pub header_timeout_ms: u64,
    /// Between two requests. Longer than load balancers keep an idle connection (60 s is common), so that they close
    /// first and no request of theirs meets a closed connection.
    pub idle_timeout_ms: u64,
    /// A body or an answer must move by a thousand bytes a second on average over this time.
    pub transfer_timeout_ms: u64,
    /// Between two pings to a listener of a live transcript; one that is not answered ends its socket.
    pub live_probe_interval_ms: u64,
    /// For a listener to take one message.
    pub live_send_timeout_ms: u64,
}

impl Default for ApiConnections {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            proxy_connections_reserved: 1_024,
            connections_per_address: 512,
            connections_per_organization: 1_024,
            trusted_proxies: Vec::new(),
            header_timeout_ms: 15_000,
            idle_timeout_ms: 75_000,
            transfer_timeout_ms: 10_000,
            live_probe_interval_ms: 30_000,
            live_send_timeout_ms: 5_000,
        }
    }
}

impl ApiConnections {
    /// Returns the caps for the API's connection table. An organization is its tenant.
    pub fn caps(&self) -> ConnectionCaps {
        ConnectionCaps {
            total: self.connections_max,
            reserved: self.proxy_connections_reserved,
            per_source: self.connections_per_address,
            per_listed_source: self.connections_per_address,
            per_tenant: self.connections_per_organization,
        }
    }

    /// Returns `header_timeout_ms` as a duration.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// Returns `idle_timeout_ms` as a duration.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// Returns `transfer_timeout_ms` as a duration.
    pub fn transfer_timeout(&self) -> Duration {
        Duration::from_millis(self.transfer_timeout_ms)
    }

    /// Checked when the settings were read.
    pub fn proxies(&self) -> NetworkList {
        NetworkList::parse(self.trusted_proxies.iter().map(String::as_str)).unwrap_or_default()
    }
}

/// SIP over TCP, TLS and WebSocket.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConnections {
    /// Of all listeners together, with those that we open.
    pub connections_max: usize,
    /// Of `connections_max`, kept free for addresses on trunks' lists.
    pub trunk_connections_reserved: usize,
    /// Connections of one IPv4 address or IPv6 /64 that is on no trunk's list. Default 64.
    pub connections_per_address: usize,
    /// Of one address on a trunk's list.
    pub connections_per_trunk_address: usize,
    /// Of callers of one trunk.
    pub connections_per_trunk: usize,
    /// TLS and WebSocket handshakes.
    pub handshake_timeout_ms: u64,
    /// Until the end of the first message, of addresses on no list.
    pub first_message_timeout_ms: u64,
    /// From the first byte of a message to its last.
    pub message_timeout_ms: u64,
    /// Of trunks' callers.
    pub idle_timeout_s: u64,
    /// Of everybody else.
    pub stranger_idle_timeout_s: u64,
    /// For one message to be written.
    pub write_timeout_ms: u64,
}

impl Default for SipConnections {
    fn default() -> Self {
        Self {
            connections_max: 2_048,
            trunk_connections_reserved: 512,
            connections_per_address: 64,
            connections_per_trunk_address: 512,
            connections_per_trunk: 512,
            handshake_timeout_ms: 5_000,
            first_message_timeout_ms: 10_000,
            message_timeout_ms: 10_000,
            idle_timeout_s: 1_800,
            stranger_idle_timeout_s: 120,
            write_timeout_ms: 5_000,
        }
    }
}

impl SipConnections {
    /// Returns the caps for the SIP connection table. A trunk is its tenant.
    pub fn caps(&self) -> ConnectionCaps {
        ConnectionCaps {
            total: self.connections_max,
            reserved: self.trunk_connections_reserved,
            per_source: self.connections_per_address,
            per_listed_source: self.connections_per_trunk_address,
            per_tenant: self.connections_per_trunk,
        }
    }
}

/// Calls from browsers over TCP.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebrtcConnections {
    /// TCP connections of browsers in all, 8 to 1,000,000. Default 1024.
    pub connections_max: usize,
    /// Of one address: many browsers may come from a company's, or a TURN server's.
    pub connections_per_address: usize,
    /// Connections of one call, 1 to 64: a browser opens one per network interface. Default 8.
    pub connections_per_call: usize,
    /// Until a connection has named its call.
    pub first_packet_timeout_ms: u64,
    /// From the first byte of a packet to its last.
    pub packet_timeout_ms: u64,
    /// Without a packet.
    pub idle_timeout_ms: u64,
    /// In which a slow reader has to take something.
    pub write_timeout_ms: u64,
}

impl Default for WebrtcConnections {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connections_per_address: 128,
            connections_per_call: 8,
            first_packet_timeout_ms: 10_000,
            packet_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            write_timeout_ms: 5_000,
        }
    }
}

impl WebrtcConnections {
    /// Returns the caps for the browsers' connection table. A call is its tenant; nothing is reserved.
    pub fn caps(&self) -> ConnectionCaps {
        ConnectionCaps {
            total: self.connections_max,
            reserved: 0,
            per_source: self.connections_per_address,
            per_listed_source: self.connections_per_address,
            per_tenant: self.connections_per_call,
        }
    }
}
