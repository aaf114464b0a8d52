//! What DNS says about a next hop, step by step, for people who look for a fault.

use super::dns::{DnsCache, look_up, naptr, srv};
use crate::sip::user_agent::{NextHop, Transport, TransportAddress};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// For each step.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);

/// The steps of a lookup (RFC 3263).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReport {
    /// Transports of the NAPTR records in their order; empty without any.
    pub transports: Vec<Transport>,
    /// Hosts of the SRV records in their order, with the transport they are for; empty without any.
    pub hosts: Vec<(Transport, String, u16)>,
    /// Addresses in the order in which calls try them, or why there is none.
    pub addresses: Result<Vec<TransportAddress>, String>,
}

/// Looks a next hop up as calls do, and keeps what each step found. `server` is asked instead of the system's servers.
pub async fn report_name(next_hop: &NextHop, transport: Transport, server: Option<SocketAddr>) -> NameReport {
    let resolver = DnsCache::new(server).resolver();
    let mut report = NameReport { transports: Vec::new(), hosts: Vec::new(), addresses: Err("no address".to_owned()) };
    let mut exact = next_hop.clone();
    if next_hop.host.parse::<IpAddr>().is_ok() {
        exact.port = Some(next_hop.port.unwrap_or(next_hop.transport.unwrap_or(transport).default_port()));
    } else if let (Some(resolver), None) = (&resolver, next_hop.port) {
        let steps = async {
            if next_hop.transport.is_none() {
                report.transports = naptr(resolver, &next_hop.host).await.unwrap_or_default();
            }
            let chosen = next_hop.transport.unwrap_or(transport);
            let transports = if report.transports.is_empty() { vec![chosen] } else { report.transports.clone() };
            for transport in transports {
                let found = srv(resolver, &next_hop.host, transport).await;
                report.hosts.extend(found.into_iter().map(|(host, port)| (transport, host, port)));
            }
        };
        let _ = tokio::time::timeout(LOOKUP_DEADLINE, steps).await;
    }
    report.addresses = match tokio::time::timeout(LOOKUP_DEADLINE, look_up(&exact, transport, resolver.as_ref())).await
    {
        Ok(Ok(found)) if found.is_empty() => Err(format!("{} has no address", next_hop.host)),
        Ok(result) => result,
        Err(_) => Err(format!("the name servers did not answer for {} in {LOOKUP_DEADLINE:?}", next_hop.host)),
    };
    report
}
