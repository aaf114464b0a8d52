//! The proxy that requests of a trunk go through.

use super::modes::TrunkTransport;

/// Bytes of the text that names a proxy.
pub const OUTBOUND_PROXY_BYTES_MAX: usize = 255;

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
        (is_host && text.len() <= OUTBOUND_PROXY_BYTES_MAX).then(|| Self { host: host.to_owned(), port, transport })
    }
}
