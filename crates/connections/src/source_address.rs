//! What counts as one peer. A host with an IPv6 address has all 2^64 of its network, so the network is counted.

use std::net::IpAddr;

/// An IPv4 address, or an IPv6 network of 64 bits. IPv4 inside of IPv6 (`::ffff:…`) is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceAddress(u64);

/// The neighbourhood of a source: an IPv4 network of 24 bits, or an IPv6 network of 48 bits, which is what a site is
/// given (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceNetwork(u64);

/// IPv6 networks of 64 bits that begin like this hold no hosts (RFC 4291 section 2.5.5): the place of IPv4 addresses.
const IPV4: u64 = 0xFFFF_FFFF << 32;

impl SourceAddress {
    /// Maps an address to its source; IPv4 inside of IPv6 becomes IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(IPV4 | u64::from(u32::from(ip))),
            IpAddr::V6(ip) => Self((u128::from(ip) >> 64) as u64),
        }
    }

    /// The /24 (IPv4) or /48 (IPv6) network that contains the source.
    pub fn network(self) -> SourceNetwork {
        SourceNetwork(if self.0 & IPV4 == IPV4 { self.0 & !0xFF } else { self.0 & !0xFFFF })
    }

    /// Bytes that identify the source, for signatures.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl From<IpAddr> for SourceAddress {
    fn from(ip: IpAddr) -> Self {
        Self::of(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceAddress {
        SourceAddress::of(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_one_host_are_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }

    #[test]
    fn addresses_of_one_site_are_one_network() {
        assert_eq!(source("2001:db8:1:2::1").network(), source("2001:db8:1:ffff::1").network());
        assert_ne!(source("2001:db8:1:2::1").network(), source("2001:db8:2:2::1").network());
        assert_eq!(source("192.0.2.1").network(), source("192.0.2.255").network());
        assert_ne!(source("192.0.2.1").network(), source("192.0.3.1").network());
    }
}
