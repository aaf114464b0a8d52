//! The egress guards of the process: where connections may go when a customer or a peer names the address.

use crate::config::{self, Config};
use crate::egress::address::AddressKind;
use crate::egress::{EgressGuard, EgressReach, OwnListeners};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use trunkline_signaling::sip::user_agent::DestinationPolicy;

/// By who is asked for the connection.
pub(super) struct EgressGuards {
    pub webhooks: EgressGuard,
    pub providers: EgressGuard,
    pub stir: EgressGuard,
    pub sip: EgressGuard,
}

impl EgressGuards {
    pub(super) fn new(config: &Config, advertised: IpAddr) -> Self {
        let reach = sip_reach(config.sip.allow_private, advertised);
        let guard = |reach: EgressReach| {
            let own = own_listeners(config, advertised, !reach.loopback);
            EgressGuard::new(reach, &config.egress.networks(), own, config.egress.dns_server)
        };
        let http = |everything| guard(EgressReach { everything, ..EgressReach::default() });
        Self {
            webhooks: http(config.webhooks.allow_private),
            providers: http(config.providers.allow_private),
            stir: http(config.sip.stir.allow_private),
            sip: guard(reach),
        }
    }
}

/// A server with a private advertised address may reach private networks; one with a loopback address (tests) may reach
/// this machine.
fn sip_reach(allow_private: Option<bool>, advertised: IpAddr) -> EgressReach {
    let kind = AddressKind::of(advertised);
    let loopback = allow_private.unwrap_or(kind == AddressKind::Loopback);
    let private = allow_private.unwrap_or(matches!(kind, AddressKind::Private | AddressKind::Loopback));
    EgressReach { everything: false, private, loopback }
}

/// Our own addresses and ports. SIP ports are left out where SIP may call this machine: its loop detection handles
/// them.
fn own_listeners(config: &Config, advertised: IpAddr, with_sip: bool) -> OwnListeners {
    let sip = &config.sip;
    let of_sip = [Some(sip.listen), sip.tls.listen, sip.websocket.listen].into_iter().flatten();
    let mut listeners = vec![config.api.listen, config.webrtc.listen];
    listeners.extend(config.metrics.listen);
    listeners.extend(of_sip.filter(|_| with_sip));
    let mut addresses = vec![advertised, Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.extend(sip.advertised_address_other);
    addresses.extend(config.web_addresses());
    addresses.extend(config::primary_address());
    addresses.extend(listeners.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()));
    OwnListeners { addresses, ports: listeners.iter().map(SocketAddr::port).collect() }
}

/// What SIP asks before it sends anything anywhere.
pub(super) fn sip_destinations(guard: &EgressGuard) -> DestinationPolicy {
    let guard = guard.clone();
    DestinationPolicy::new(move |addr| guard.permits(addr).map_err(|why| format!("{addr} {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(advertised: &str, change: impl FnOnce(&mut Config)) -> EgressGuard {
        let mut config = Config::default();
        config.api.listen = SocketAddr::from(([0, 0, 0, 0], 3_008));
        change(&mut config);
        EgressGuards::new(&config, advertised.parse().unwrap()).sip
    }

    fn reached(guard: &EgressGuard) -> Vec<&'static str> {
        let all =
            ["8.8.8.8:5060", "10.1.2.3:5060", "192.168.1.10:5060", "127.0.0.1:5070", "127.0.0.1:3008", "[::1]:5070"];
        let never = ["169.254.169.254:80", "0.0.0.0:5060", "224.0.1.75:5060", "[fe80::1]:5060", "255.255.255.255:5060"];
        all.into_iter().chain(never).filter(|addr| guard.permits(addr.parse().unwrap()).is_ok()).collect()
    }

    #[test]
    fn sip_goes_as_far_as_the_network_it_is_reached_in() {
        let public = ["8.8.8.8:5060"].as_slice();
        let private = ["8.8.8.8:5060", "10.1.2.3:5060", "192.168.1.10:5060"].as_slice();
        let machine = ["8.8.8.8:5060", "10.1.2.3:5060", "192.168.1.10:5060", "127.0.0.1:5070", "[::1]:5070"].as_slice();
        assert_eq!(reached(&sip("9.9.9.9", |_| {})), public);
        assert_eq!(reached(&sip("192.168.1.5", |_| {})), private);
        assert_eq!(reached(&sip("127.0.0.1", |_| {})), machine);
        assert_eq!(reached(&sip("127.0.0.1", |config| config.sip.allow_private = Some(false))), public);
        assert_eq!(reached(&sip("9.9.9.9", |config| config.sip.allow_private = Some(true))), machine);
        let listed = sip("9.9.9.9", |config| config.egress.allow_networks = vec!["192.168.1.10".to_owned()]);
        assert_eq!(reached(&listed), ["8.8.8.8:5060", "192.168.1.10:5060"]);
    }

    #[test]
    fn own_listeners_are_refused() {
        let mut config = Config::default();
        config.api.listen = SocketAddr::from(([0, 0, 0, 0], 3_008));
        config.metrics.listen = Some(SocketAddr::from(([127, 0, 0, 1], 9_464)));
        config.egress.allow_networks = vec!["127.0.0.0/8".to_owned()];
        let guards = EgressGuards::new(&config, "9.9.9.9".parse().unwrap());
        for guard in [&guards.webhooks, &guards.providers, &guards.stir, &guards.sip] {
            for own in [
                "127.0.0.1:3008",
                "127.0.0.1:9464",
                "9.9.9.9:3008",
                "9.9.9.9:5060",
                "9.9.9.9:8189",
                "[::ffff:9.9.9.9]:3008",
            ] {
                assert!(guard.permits(own.parse().unwrap()).is_err(), "{own}");
            }
            for other in ["127.0.0.1:3009", "9.9.9.9:443", "8.8.8.8:3008"] {
                assert_eq!(guard.permits(other.parse().unwrap()), Ok(()), "{other}");
            }
        }
    }
}
