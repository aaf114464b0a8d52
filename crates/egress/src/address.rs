//! What kind of address an IP address is (IANA special-purpose registries, RFC 6890 and successors).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kinds of addresses, as far as it matters who may be reached there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Routed in the public internet.
    Public,
    /// Private networks: RFC 1918, carrier-grade NAT (RFC 6598), unique local IPv6 (RFC 4193).
    Private,
    /// This machine.
    Loopback,
    /// Addresses that belong to no host: unspecified, link-local (cloud metadata services are there), multicast,
    /// broadcast, documentation, benchmarking, reserved, and tunnels into any of them.
    Special,
}

/// Azure's host agent: metadata and credentials of the machine, at an address that looks public.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

impl AddressKind {
    /// The kind of an address. An IPv4 address inside of an IPv6 one is what counts there.
    pub fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => of_v4(addr),
            IpAddr::V6(addr) => of_v6(addr),
        }
    }
}

fn of_v4(addr: Ipv4Addr) -> AddressKind {
    let [a, b, c, _] = addr.octets();
    match (a, b, c) {
        (127, ..) => AddressKind::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => AddressKind::Private,
        // This network, link-local, protocol assignments, 6to4 relays, benchmarking, documentation, multicast, reserved.
        (0, ..)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113)
        | (224.., ..) => AddressKind::Special,
        _ if addr == AZURE_HOST => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

fn of_v6(addr: Ipv6Addr) -> AddressKind {
    if let Some(v4) = addr.to_ipv4_mapped() {
        return of_v4(v4);
    }
    if addr.is_loopback() {
        return AddressKind::Loopback;
    }
    let s = addr.segments();
    match s {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address they carry.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => public_or_special(high, low),
        [0x2002, high, low, ..] => public_or_special(high, low),
        // ISATAP (RFC 5214) as well, under any prefix.
        [.., 0 | 0x200, 0x5efe, high, low] if s[0] & 0xe000 == 0x2000 => public_or_special(high, low),
        // Teredo, ORCHID, benchmarking, AMT, protocol assignments, documentation.
        [0x2001, 0..0x200 | 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => AddressKind::Special,
        // Unique local.
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        // What is routed lies in 2000::/3. Local NAT64 (64:ff9b:1::/48), link-local, site-local, multicast, IPv4-compatible
        // and IPv4-translated addresses and all that is not assigned lie outside.
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

/// A tunnel is as public as what it leads to; into a private network there is none.
fn public_or_special(high: u16, low: u16) -> AddressKind {
    match of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))) {
        AddressKind::Public => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: AddressKind, all: &[&str]) {
        for text in all {
            assert_eq!(AddressKind::of(text.parse().unwrap()), kind, "{text}");
        }
    }

    #[test]
    fn public_addresses() {
        check(
            AddressKind::Public,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "168.63.129.15",
                "168.63.129.17",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "191.255.255.255",
                "192.0.1.0",
                "192.0.3.0",
                "192.88.98.255",
                "192.88.100.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "198.51.99.255",
                "198.51.101.0",
                "203.0.112.255",
                "203.0.114.0",
                "223.255.255.255",
                "2000::1",
                "2001:200::1",
                "2001:db7::1",
                "2001:db9::1",
                "2606:4700::1111",
                "2a00:1450::1",
                "3fff:1000::1",
                "3ffe::1",
                "64:ff9b::808:808",
                "2002:808:808::1",
                "::ffff:8.8.8.8",
                "2001:4860:0:0:0:5efe:808:808",
                "2001:4860:0:0:200:5efe:808:808",
            ],
        );
    }

    #[test]
    fn private_networks() {
        check(
            AddressKind::Private,
            &[
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "100.64.0.0",
                "100.127.255.255",
                "100.100.100.200",
                "fc00::1",
                "fd00::1",
                "fdff:ffff::1",
                "fd00:ec2::254",
                "::ffff:10.0.0.1",
                "::ffff:100.64.0.1",
                "::ffff:192.168.1.1",
            ],
        );
    }

    #[test]
    fn this_machine() {
        check(
            AddressKind::Loopback,
            &["127.0.0.0", "127.0.0.1", "127.255.255.255", "127.1.2.3", "::1", "::ffff:127.0.0.1"],
        );
    }

    const SPECIAL_IPV4: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "192.0.0.0",
        "192.0.0.8",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.5",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
    ];

    const SPECIAL_IPV6: &[&str] = &[
        "::",
        "::2",
        "::7f00:1",
        "::8.8.8.8",
        "::10.0.0.1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:808:808",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "ff0e::1",
        "100::1",
        "100:0:0:1::1",
        "5f00::1",
        "1000::1",
        "4000::1",
        "8000::1",
        "e000::1",
        "64:ff9b:1::1",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:ffff::808:808",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::c0a8:101",
        "64:ff9b:0:0:0:1:808:808",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:c0a8:101::1",
        "2002:a9fe:a9fe::1",
        "2002::1",
        "2001::1",
        "2001:0:4136:e378::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "2001:4860:0:0:0:5efe:7f00:1",
        "2001:4860:0:0:200:5efe:a00:1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::ffff:224.0.0.1",
        "::ffff:255.255.255.255",
    ];

    #[test]
    fn special_use_addresses_are_refused() {
        check(AddressKind::Special, SPECIAL_IPV4);
        check(AddressKind::Special, SPECIAL_IPV6);
    }
}
