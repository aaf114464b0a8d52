//! Limits of inbound and outbound connections, and what is counted about them.

use std::sync::Arc;
use std::time::Duration;
use trunkline_connections::{ConnectionCaps, ConnectionCounters};

/// Timeouts and limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct SipConnectionLimits {
    /// Of all listeners together, with the connections that we open.
    pub caps: ConnectionCaps,
    /// TLS and WebSocket handshakes.
    pub handshake: Duration,
    /// From the connection to the end of the first SIP message, of peers who are on no trunk's list.
    pub first_message: Duration,
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// Without a byte, of peers on a list, those who proved credentials, and those we connected to.
    pub idle: Duration,
    /// Without a SIP message, of everybody else.
    pub stranger_idle: Duration,
    /// For one message to be written.
    pub write: Duration,
}

impl Default for SipConnectionLimits {
    fn default() -> Self {
        Self {
            caps: ConnectionCaps {
                total: 2_048,
                reserved: 512,
                per_source: 64,
                per_listed_source: 512,
                per_tenant: 512,
            },
            handshake: Duration::from_secs(5),
            first_message: Duration::from_secs(10),
            message: Duration::from_secs(10),
            // Longer than any keep-alive in use (RFC 5626: 120 s).
            idle: Duration::from_secs(1_800),
            stranger_idle: Duration::from_secs(120),
            write: Duration::from_secs(5),
        }
    }
}

/// What the listeners count.
#[derive(Clone, Debug, Default)]
pub struct SipConnectionReports {
    /// Inbound connections of the plain TCP listener.
    pub tcp: Arc<ConnectionCounters>,
    /// Inbound connections of the TLS listener.
    pub tls: Arc<ConnectionCounters>,
    /// Inbound connections of the WebSocket listener, WS and WSS.
    pub websocket: Arc<ConnectionCounters>,
    /// Connections that we opened.
    pub outbound: Arc<ConnectionCounters>,
}

impl SipConnectionReports {
    /// Each with its name as a metric's label.
    pub fn all(&self) -> [(&'static str, &ConnectionCounters); 4] {
        [
            ("sip_tcp", &self.tcp),
            ("sip_tls", &self.tls),
            ("sip_websocket", &self.websocket),
            ("sip_outbound", &self.outbound),
        ]
    }
}
