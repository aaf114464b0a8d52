//! A short list of addresses and networks.

use ipnet::IpNet;
use std::net::IpAddr;

/// Addresses (`203.0.113.7`) and networks (`203.0.113.0/24`) that an operator names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkList(Vec<IpNet>);

impl NetworkList {
    /// The first text that is neither an address nor a network is the error.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let one = |text: &'a str| {
            let alone = text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()));
            alone.or_else(|| text.parse().ok()).ok_or(text)
        };
        texts.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether one of them contains the address.
    pub fn contain(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }

    /// Returns true if the list names nothing, so that no address is contained.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_both_taken() {
        let networks = NetworkList::parse(["203.0.113.7", "10.1.2.3/8", "2001:db8::/32", "::ffff:192.0.2.1"]).unwrap();
        let contains = |text: &str| networks.contain(text.parse().unwrap());
        assert!(
            ["203.0.113.7", "::ffff:203.0.113.7", "10.9.9.9", "2001:db8:1::1", "192.0.2.1"].into_iter().all(contains)
        );
        assert!(!["203.0.113.8", "11.0.0.1", "2001:db9::1", "::1"].into_iter().any(contains));
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert_eq!(NetworkList::parse(["::1", wrong]), Err(wrong));
        }
        assert!(NetworkList::default().is_empty());
    }
}
