//! Networks that customers name as places where their calls come from, and how wide those may be.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// Addresses that the IPv4 networks of one list may hold together: a /16, more than any carrier's gateways have. Who
/// lists more is not naming its callers.
const IPV4_ADDRESSES_MAX: u128 = 1 << 16;
/// The same for IPv6: a /32, what a provider gets from its registry.
const IPV6_ADDRESSES_MAX: u128 = 1 << 96;

/// Reads `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/48`. Bits behind the prefix are cut off, and IPv4 inside of IPv6
/// (`::ffff:203.0.113.7`) is IPv4, as the sources of packets are.
pub fn parse(text: &str) -> Option<IpNet> {
    let net = match text.split_once('/') {
        // A sign or a leading zero is no number of bits.
        Some((_, bits)) if !bits.bytes().all(|b| b.is_ascii_digit()) || bits.len() > 1 && bits.starts_with('0') => {
            return None;
        }
        Some((addr, bits)) => IpNet::new(addr.parse().ok()?, bits.parse().ok()?).ok()?,
        None => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    let mapped = match net.addr() {
        IpAddr::V6(addr) if net.prefix_len() >= 96 => addr.to_ipv4_mapped(),
        _ => None,
    };
    let net = match mapped {
        Some(addr) => IpNet::V4(Ipv4Net::new(addr, net.prefix_len() - 96).ok()?),
        None => net,
    };
    Some(net.trunc())
}

/// The networks that may stand in one list together, and the first that may not: its addresses are too many, and none
/// of the networks the operator has consented to holds it. The order decides who is taken.
pub fn within_width(networks: impl IntoIterator<Item = IpNet>, consented: &[IpNet]) -> (Vec<IpNet>, Option<IpNet>) {
    let (mut taken, mut too_wide) = (Vec::new(), None);
    let (mut v4, mut v6) = (0_u128, 0_u128);
    for net in networks {
        if taken.contains(&net) {
            continue;
        }
        let is_consented = consented.iter().any(|wide| wide.contains(&net));
        let (sum, max) = match net {
            IpNet::V4(_) => (&mut v4, IPV4_ADDRESSES_MAX),
            IpNet::V6(_) => (&mut v6, IPV6_ADDRESSES_MAX),
        };
        let bits = u32::from(net.max_prefix_len() - net.prefix_len());
        // All of IPv6 is one more than a u128 holds.
        let addresses = 1_u128.checked_shl(bits).unwrap_or(u128::MAX);
        let more = sum.saturating_add(addresses);
        if is_consented {
            taken.push(net);
        } else if more <= max {
            *sum = more;
            taken.push(net);
        } else {
            too_wide = too_wide.or(Some(net));
        }
    }
    (taken, too_wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn networks_are_read_in_one_form() {
        for (text, wanted) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:db8::7/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
            ("::ffff:0:0/95", "::fffe:0:0/95"),
        ] {
            assert_eq!(parse(text).map(|net| net.to_string()).as_deref(), Some(wanted), "{text}");
        }
        for bad in [
            "",
            "/",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/-1",
            "10.0.0/8",
            "010.0.0.1",
            "::/129",
            "carrier.example",
            "10.0.0.1 ",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "[::1]",
            "fe80::1%eth0",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn wide_networks_need_consent_in_every_form() {
        for wide in [
            &["0.0.0.0/0"][..],
            &["::/0"],
            &["::ffff:0:0/96"],
            &["::ffff:0.0.0.0/97"],
            &["128.0.0.0/1"],
            &["10.0.0.0/8"],
            &["127.0.0.0/8"],
            &["10.0.0.0/15"],
            &["2001:db8::/31"],
            &["2000::/3"],
            &["2002::/16"],
            // Halves of what is too wide.
            &["10.0.0.0/16", "10.1.0.0/16"],
            &["10.0.0.0/16", "10.1.0.1"],
            &["10.0.0.0/17", "10.0.128.0/17", "192.0.2.1"],
            &["2001:db8::/32", "2001:db9::/128"],
        ] {
            let nets = all(wide);
            assert_eq!(within_width(nets.clone(), &[]).1, nets.last().copied(), "{wide:?}");
            assert_eq!(within_width(nets.clone(), &all(&["0.0.0.0/0", "::/0"])), (nets, None), "{wide:?}");
        }
        for narrow in [
            &["203.0.113.0/24"][..],
            &["10.0.0.0/16"],
            &["10.0.0.0/16", "10.0.0.0/16"],
            &["127.0.0.1", "192.168.0.0/17"],
            &["2001:db8::/32", "10.0.0.0/16"],
        ] {
            assert_eq!(within_width(all(narrow), &[]).1, None, "{narrow:?}");
        }
        // Consent holds for what it names.
        let consented = all(&["10.0.0.0/8"]);
        assert_eq!(within_width(all(&["10.0.0.0/8", "10.1.0.0/16"]), &consented).1, None);
        assert_eq!(within_width(all(&["10.0.0.0/7"]), &consented).1, parse("10.0.0.0/7"));
        // The rest of a list goes on.
        let (taken, refused) = within_width(all(&["192.0.2.1", "0.0.0.0/0", "192.0.2.2"]), &[]);
        assert_eq!((taken, refused), (all(&["192.0.2.1", "192.0.2.2"]), parse("0.0.0.0/0")));
    }
}
