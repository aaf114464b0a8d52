//! SIP transports, and messages on their way out (RFC 3261 section 18).

use super::transaction::MessageBytes;
use std::net::SocketAddr;
use std::sync::Arc;

/// SIP transport (RFC 3261 section 18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP, port 5060 by default. Requests above 1,300 bytes go over TCP.
    Udp,
    /// TCP, port 5060 by default.
    Tcp,
    /// TLS over TCP, port 5061 by default.
    Tls,
    /// WebSocket (RFC 7118); inbound connections only.
    Ws,
    /// WebSocket over TLS (RFC 7118); inbound connections only.
    Wss,
}

impl Transport {
    /// Every transport, for parsing its name.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// As in a Via header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// From a Via header or a `transport` parameter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(text))
    }

    /// Returns whether the transport delivers by itself, so that transactions need no retransmission.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// Returns the default port: 5060 for UDP and TCP, 5061 for TLS, 80 for WS, 443 for WSS.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5_060,
            Self::Tls => 5_061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// URI parameter for this transport.
    pub(crate) fn uri_param(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }
}

/// Transport and IP address of a next hop after its lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportAddress {
    /// Transport to send with.
    pub transport: Transport,
    /// IP address and port to send to.
    pub addr: SocketAddr,
}

/// Where a message goes: an address, or (the ACK of a 2xx) a name the driver resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransmitTarget {
    /// IP address and port to send to.
    Addr(SocketAddr),
    /// Host name that needs a next-hop lookup (RFC 3263).
    Name {
        /// Host name or IP address.
        host: String,
        /// Port; `None` for SRV lookup, or the default port of the transport.
        port: Option<u16>,
    },
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Transport to send with.
    pub transport: Transport,
    /// Address or name of the receiver.
    pub target: TransmitTarget,
    /// The whole message as on the wire.
    pub bytes: MessageBytes,
    /// Client transaction to be told through [`UserAgent::handle_unreachable`](super::user_agent::UserAgent::handle_unreachable) when this cannot be sent.
    pub transaction: Option<Arc<str>>,
    /// The name that the address was found under, for the certificate. Without one, any connection to that address is
    /// used.
    pub server_name: Option<Arc<str>>,
}

impl Transmit {
    /// A response, or the answer to a keep-alive: for the connection that the question came on, and no other one.
    pub fn is_reply(&self) -> bool {
        self.bytes.starts_with(b"SIP/2.0 ") || self.bytes.starts_with(b"\r\n")
    }
}
