//! Where requests may go: a customer's URL must not reach into our own network. Asked for every address
//! a name resolves to, and again at every redirect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Addresses of the public internet (IANA special-purpose registries, RFC 6890 and successors).
pub fn is_public(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => is_public_v4(addr),
        IpAddr::V6(addr) => is_public_v6(addr),
    }
}

fn is_public_v4(addr: Ipv4Addr) -> bool {
    let [a, b, c, _] = addr.octets();
    !(addr.is_loopback()
        || addr.is_private()
        || addr.is_link_local()
        || addr.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(addr: Ipv6Addr) -> bool {
    let s = addr.segments();
    let last_v4 = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    if let Some(v4) = addr.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match s {
        // NAT64 and 6to4 carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(last_v4()),
        [0x2002, high, low, ..] => is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        // Teredo, ORCHID, documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, ..] => false,
        // Everything else that is routed lies in 2000::/3.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Why a URL may not be called, if it may not. Names are judged when they are resolved.
pub fn refuse(url: &Url, allow_private: bool) -> Option<&'static str> {
    if allow_private {
        return (!matches!(url.scheme(), "http" | "https")).then_some("must be an HTTP or HTTPS URL");
    }
    if url.scheme() != "https" {
        return Some("must be an HTTPS URL");
    }
    let public = match url.host() {
        Some(Host::Ipv4(addr)) => is_public_v4(addr),
        Some(Host::Ipv6(addr)) => is_public_v6(addr),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name != "localhost"
                && !name.ends_with(".localhost")
                && !name.ends_with(".local")
                && !name.ends_with(".internal")
        }
        None => false,
    };
    (!public).then_some("must not lead to a private, loopback or link-local address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet() {
        for public in ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.5",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "::7f00:1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn urls_are_judged_before_they_are_resolved() {
        let refused = |text: &str| refuse(&Url::parse(text).unwrap(), false).is_some();
        for bad in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://localhost/",
            "https://a.localhost./",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest",
            "ftp://example.com/",
        ] {
            assert!(refused(bad), "{bad}");
        }
        assert!(!refused("https://example.com/hook?x=1"));
        assert_eq!(refuse(&Url::parse("http://127.0.0.1:9/").unwrap(), true), None);
        assert!(refuse(&Url::parse("file:///etc/passwd").unwrap(), true).is_some());
    }
}
