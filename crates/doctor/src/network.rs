//! The address that carriers use for us, and whether names can be resolved.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline::domain::provider::ProviderAccount;
use trunkline_signaling::io::public_address;
use url::{Host, Url};

const ADDRESS: &str = "address";
const DNS: &str = "dns";
const DEADLINE: Duration = Duration::from_secs(4);

/// Address and names.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let (public, mut names) = tokio::join!(by_stun(config), names(config));
    let mut findings = vec![address(config.advertised(), config.sip.advertised_address.is_some(), public.as_ref())];
    findings.append(&mut names);
    findings
}

/// What a STUN server sees of us; nothing is asked that is not configured.
async fn by_stun(config: &Config) -> Option<Result<IpAddr, String>> {
    let server = config.sip.stun_server.as_str();
    if server.is_empty() {
        return None;
    }
    let asked = timeout(DEADLINE, public_address(server, rand::random())).await;
    Some(match asked {
        Ok(answer) => answer.map_err(|error| format!("{server}: {error}")),
        Err(_) => Err(format!("{server} did not answer")),
    })
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn address(advertised: IpAddr, is_set: bool, public: Option<&Result<IpAddr, String>>) -> Finding {
    let set = "set sip.advertised_address to the address that carriers reach";
    match public {
        Some(Err(why)) if !is_set => {
            return Finding::error(
                ADDRESS,
                format!("the public address is not known: {why}"),
                format!("mend sip.stun_server, or {set}"),
            );
        }
        Some(Ok(seen)) if is_set && *seen != advertised => {
            let found = format!("carriers are told {advertised}, but packets come from {seen}");
            return Finding::warning(ADDRESS, found, format!("{set}, unless it is forwarded to this machine"));
        }
        Some(Ok(seen)) if !is_set => {
            return Finding::ok(ADDRESS, format!("{seen} is advertised, as the STUN server sees it"));
        }
        _ => {}
    }
    if advertised.is_loopback() || advertised.is_unspecified() {
        let found = format!("{advertised} is advertised: only programs on this machine can call");
        return Finding::warning(ADDRESS, found, set);
    }
    if is_private(advertised) {
        let found =
            format!("{advertised} is advertised, a private address: carriers on the Internet cannot send audio there");
        return Finding::warning(
            ADDRESS,
            found,
            format!("{set}, or set sip.stun_server; for phones in this network it is right"),
        );
    }
    if is_own(advertised) {
        return Finding::ok(ADDRESS, format!("{advertised} is advertised, an address of this machine"));
    }
    Finding::ok(
        ADDRESS,
        format!("{advertised} is advertised; the router has to forward the ports of SIP and audio to this machine"),
    )
}

/// Hosts of the providers that have a key.
async fn names(config: &Config) -> Vec<Finding> {
    let with_keys = ProviderAccount::ALL.iter().map(|account| config.providers.account(*account));
    let urls = with_keys
        .filter(|provider| provider.api_key.is_some())
        .filter_map(|provider| Url::parse(&provider.base_url).ok());
    let mut hosts: Vec<String> = urls
        .filter_map(|url| match url.host() {
            Some(Host::Domain(name)) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    futures_util::future::join_all(hosts.into_iter().map(resolved)).await
}

async fn resolved(host: String) -> Finding {
    let advice = "look at /etc/resolv.conf, and at what a firewall does with port 53";
    match timeout(DEADLINE, tokio::net::lookup_host((host.as_str(), 443))).await {
        Ok(Ok(mut found)) => match found.next() {
            Some(_) => Finding::ok(DNS, format!("{host} is resolved")),
            None => Finding::error(DNS, format!("{host} has no address"), advice),
        },
        Ok(Err(error)) => Finding::error(DNS, format!("{host} cannot be resolved: {error}"), advice),
        Err(_) => Finding::error(DNS, format!("{host} was not resolved in {} s", DEADLINE.as_secs()), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline::domain::finding::Level;

    #[test]
    fn addresses_that_carriers_cannot_reach_are_told() {
        let of = |ip: &str, is_set: bool| address(ip.parse().unwrap(), is_set, None);
        assert!(of("192.168.1.7", false).found.contains("private"));
        assert!(of("100.64.0.1", true).found.contains("private"), "carrier-grade NAT");
        assert_eq!(of("127.0.0.1", true).level, Level::Warning);
        assert!(of("198.51.100.7", true).found.contains("forward the ports"));
        let seen = |ip: &str| Some(Ok(ip.parse().unwrap()));
        let differs = address("198.51.100.7".parse().unwrap(), true, seen("198.51.100.8").as_ref());
        assert!(differs.found.contains("198.51.100.8") && differs.level == Level::Warning);
        let unknown = address("10.0.0.1".parse().unwrap(), false, Some(&Err("no answer".to_owned())));
        assert_eq!(unknown.level, Level::Error);
        assert_eq!(address("10.0.0.1".parse().unwrap(), false, seen("198.51.100.8").as_ref()).level, Level::Ok);
    }
}
