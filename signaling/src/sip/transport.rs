//! SIP transports, and messages on their way out (RFC 3261 section 18).

use super::message::Via;
use super::transaction::MessageBytes;
use std::net::{IpAddr, SocketAddr};
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

/// Which connection may carry a message over TCP, TLS or WebSocket. UDP has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChoice {
    /// One that is open, or a new one.
    Any,
    /// Only one that is open: the answer to a keep-alive, a response without a transaction, or a request in a dialog
    /// over the connection that the peer came on.
    OpenOnly,
    /// The one that the request came on; if that is gone, one to this address (RFC 3261 section 18.2.2).
    OpenElse(SocketAddr),
}

/// Where the responses to a request go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResponsePath {
    pub(crate) transport: Transport,
    /// Source of the request; over UDP, the port that its Via asks for.
    pub(crate) addr: SocketAddr,
    pub(crate) connection: ConnectionChoice,
    /// Name of the sender in its Via, for the certificate of a new connection.
    pub(crate) server_name: Option<Arc<str>>,
}

impl ResponsePath {
    /// Over the connection of the request and no other one. Whoever sends requests and disconnects would otherwise make
    /// us open connections.
    pub(crate) fn open_only((transport, addr): (Transport, SocketAddr)) -> Self {
        Self { transport, addr, connection: ConnectionChoice::OpenOnly, server_name: None }
    }

    /// The same, or over a new connection to the received address and the port in sent-by (RFC 3261 section 18.2.2). For
    /// requests that began a transaction: their sender may call here, or has a dialog.
    pub(crate) fn of_transaction((transport, addr): (Transport, SocketAddr), via: Option<Via>) -> Self {
        let only = Self::open_only((transport, addr));
        match (via, transport) {
            (Some(via), Transport::Tcp | Transport::Tls) => {
                let port = via.port.unwrap_or(transport.default_port());
                let is_name = via.host.parse::<IpAddr>().is_err() && transport == Transport::Tls;
                Self {
                    connection: ConnectionChoice::OpenElse(SocketAddr::new(addr.ip(), port)),
                    server_name: is_name.then(|| via.host.as_str().into()),
                    ..only
                }
            }
            _ => only,
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Transport to send with.
    pub transport: Transport,
    /// Address or name of the receiver.
    pub target: TransmitTarget,
    /// Which connection may carry it.
    pub connection: ConnectionChoice,
    /// The whole message as on the wire.
    pub bytes: MessageBytes,
    /// Client transaction to be told through [`UserAgent::handle_unreachable`](super::user_agent::UserAgent::handle_unreachable) when this cannot be sent.
    pub transaction: Option<Arc<str>>,
    /// The name that the address was found under, for the certificate. Without one, any connection to that address is
    /// used.
    pub server_name: Option<Arc<str>>,
}
