//! What an address is good for.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Converts an IPv4-mapped IPv6 address to IPv4.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Packets can be sent there: not unspecified, multicast or broadcast.
pub(super) fn is_sendable(addr: SocketAddr) -> bool {
    let ip = addr.ip();
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A private or link-local address (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291).
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || a == 100 && (64..128).contains(&b)
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}
