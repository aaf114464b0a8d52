//! Next hops by name or address, and the lookups of their names (RFC 3263).

use crate::sip::message::{Scheme, Uri};
use crate::sip::transport::{Transport, TransportAddress};
use std::net::{IpAddr, SocketAddr};

/// A next hop by name or address. Without a port its name is looked up by SRV, without a transport by NAPTR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Host name or IP address; IPv6 without brackets where it comes from a URI.
    pub host: String,
    /// Port; `None` for SRV lookup of a name, or the default port of the transport.
    pub port: Option<u16>,
    /// Transport; `None` for NAPTR lookup of a name, or the transport of the request.
    pub transport: Option<Transport>,
}

impl NextHop {
    /// Reads the next hop from a URI: `maddr` or host, port, and transport (`transport` parameter, TLS for `sips:`).
    pub fn of(uri: &Uri) -> Self {
        // A SIPS URI means TLS, whatever its transport is named (RFC 3261 section 26.2.2).
        let transport = match (uri.param("transport").and_then(Transport::parse), uri.scheme) {
            (Some(Transport::Ws | Transport::Wss), Scheme::Sips) => Some(Transport::Wss),
            (_, Scheme::Sips) => Some(Transport::Tls),
            (named, _) => named,
        };
        let host = uri.param("maddr").filter(|host| !host.is_empty()).unwrap_or(&uri.host);
        Self { host: host.to_owned(), port: uri.port, transport }
    }

    /// Its address, where it is one and no name. `transport` where it names none.
    pub(super) fn as_address(&self, transport: Transport) -> Option<TransportAddress> {
        let transport = self.transport.unwrap_or(transport);
        let ip = self.host.parse::<IpAddr>().ok()?;
        Some(TransportAddress { transport, addr: SocketAddr::new(ip, self.port.unwrap_or(transport.default_port())) })
    }
}

/// A hop to be looked up: all its addresses, the preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuery {
    /// Number of the lookup; its result names it.
    pub id: u64,
    /// Next hop to look up, by name.
    pub next_hop: NextHop,
    /// When neither hop nor DNS name one.
    pub transport: Transport,
}
