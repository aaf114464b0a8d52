//! Where a trunk's requests go: its hosts, and the proxy before them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// More hosts than that are a load balancer's.
pub const TARGETS_MAX: usize = 16;

/// One of several hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrunkTarget)]
pub struct TrunkTarget {
    /// Host name or IP address, without a port.
    pub host: String,
    /// Port of this host. None: by DNS (RFC 3263), or else 5060, and 5061 for TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// That of the trunk without one.
    #[serde(default)]
    pub transport: Option<TrunkTransport>,
    /// Hosts with the lowest number are tried first; 0 by default.
    #[serde(default)]
    pub priority: u16,
    /// Share of the calls among hosts of equal priority; 100 by default.
    #[serde(default = "default_weight")]
    pub weight: u16,
}

/// How SIP messages travel to a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TrunkTransport)]
pub enum TrunkTransport {
    /// One datagram for each message; over TCP if a message is too large (RFC 3261 section 18.1.1).
    #[default]
    Udp,
    /// A connection that is kept and used again.
    Tcp,
    /// TCP with TLS; the certificate of the host is checked (RFC 5922).
    Tls,
}

pub(super) fn default_weight() -> u16 {
    100
}

/// Where every request of a trunk goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundProxy {
    /// Host name, or IP address without brackets.
    pub host: String,
    /// Port. `None`: by DNS (RFC 3263), or else the transport's default.
    pub port: Option<u16>,
    /// Transport of the proxy. `None`: that of the trunk.
    pub transport: Option<TrunkTransport>,
}

impl OutboundProxy {
    /// `host`, `host:port`, `[v6]:port`, each with `;transport=…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, transport) = match text.split_once(";transport=") {
            Some((address, "udp")) => (address, Some(TrunkTransport::Udp)),
            Some((address, "tcp")) => (address, Some(TrunkTransport::Tcp)),
            Some((address, "tls")) => (address, Some(TrunkTransport::Tls)),
            Some(_) => return None,
            None => (text, None),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, rest.strip_prefix(':').map(str::parse).transpose().ok()?)
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port.parse().ok()?)),
                None => (address, None),
            },
        };
        let name = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
        let is_host = host.parse::<std::net::IpAddr>().is_ok() || !host.is_empty() && host.bytes().all(name);
        (is_host && text.len() <= 255).then(|| Self { host: host.to_owned(), port, transport })
    }
}
