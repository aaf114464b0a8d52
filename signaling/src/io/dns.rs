//! Next hops by name (RFC 3263): NAPTR gives the transports, SRV the hosts and their order, A and AAAA the addresses.

use crate::limits;
use crate::sip::user_agent::{NextHop, Transmit, Transport, TransportAddress};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_supervision::contain;

/// How long an answer is used; shorter than most TTLs, so that a moved provider is found soon.
const CACHE_LIFETIME: Duration = Duration::from_secs(60);
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);
/// Names whose answers are kept.
const NAMES_MAX: usize = 1_024;

/// What the lookup is for.
#[derive(Debug)]
pub(super) enum LookupPurpose {
    Query(u64),
    Message(Transmit),
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub next_hop: NextHop,
    /// When neither the hop nor DNS name one.
    pub transport: Transport,
    pub purpose: LookupPurpose,
}

#[derive(Debug)]
pub(super) struct LookupResult {
    pub asked: Lookup,
    pub result: Result<Vec<TransportAddress>, String>,
}

type DnsCacheKey = (String, Option<u16>, Option<Transport>);

/// Cache of recent DNS answers.
#[derive(Debug)]
pub(super) struct DnsCache {
    resolver: Option<TokioResolver>,
    known: HashMap<DnsCacheKey, (Vec<TransportAddress>, Instant)>,
}

fn key(next_hop: &NextHop) -> DnsCacheKey {
    (next_hop.host.to_ascii_lowercase(), next_hop.port, next_hop.transport)
}

fn resolver_for(server: SocketAddr) -> Option<TokioResolver> {
    let mut known = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut known.connections {
        connection.port = server.port();
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![known]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().ok()
}

impl DnsCache {
    /// `server` is asked instead of those of the system.
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        // Without a readable resolv.conf the system resolver is used for addresses, without SRV.
        let resolver = match server {
            None => TokioResolver::builder_tokio().and_then(|builder| builder.build()).ok(),
            Some(server) => resolver_for(server),
        };
        Self { resolver, known: HashMap::new() }
    }

    pub(super) fn resolver(&self) -> Option<TokioResolver> {
        self.resolver.clone()
    }

    pub(super) fn host_resolver(&self) -> HostResolver {
        HostResolver(Arc::new(self.resolver()))
    }

    pub(super) fn get(&self, now: Instant, next_hop: &NextHop) -> Option<Vec<TransportAddress>> {
        self.known.get(&key(next_hop)).filter(|(_, until)| *until > now).map(|(addresses, _)| addresses.clone())
    }

    pub(super) fn insert(&mut self, now: Instant, next_hop: &NextHop, addresses: &[TransportAddress]) {
        self.known.retain(|_, (_, until)| *until > now);
        if self.known.len() < NAMES_MAX {
            self.known.entry(key(next_hop)).or_insert_with(|| (addresses.to_vec(), now + CACHE_LIFETIME));
        }
    }
}

/// Looks up the addresses of hosts, as for next hops.
#[derive(Clone)]
pub(super) struct HostResolver(Arc<Option<TokioResolver>>);

impl std::fmt::Debug for HostResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostResolver").finish_non_exhaustive()
    }
}

impl HostResolver {
    /// The first address of a host.
    pub(super) async fn resolve(&self, host: &str) -> Option<IpAddr> {
        let found = addresses(self.0.as_ref().as_ref(), host, 0, Transport::Udp).await.ok()?;
        found.first().map(|first| first.addr.ip())
    }
}

pub(super) async fn resolve(asked: Lookup, resolver: Option<TokioResolver>, resolved: mpsc::Sender<LookupResult>) {
    let looking = look_up(&asked.next_hop, asked.transport, resolver.as_ref());
    // The result is always sent, even if the resolver panics.
    let looking = async { contain("sip_names", looking).await.unwrap_or_else(|error| Err(error.to_string())) };
    let result = match tokio::time::timeout(LOOKUP_DEADLINE, looking).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(format!("resolve {}: no address", asked.next_hop.host)),
        Ok(result) => result,
        Err(_) => Err(format!("resolve {}: deadline passed", asked.next_hop.host)),
    };
    let _ = resolved.send(LookupResult { asked, result }).await;
}

pub(super) async fn look_up(
    next_hop: &NextHop, transport: Transport, resolver: Option<&TokioResolver>,
) -> Result<Vec<TransportAddress>, String> {
    // A port means that the name is a host (section 4.2).
    if let (Some(resolver), None) = (resolver, next_hop.port) {
        let transports = match next_hop.transport {
            Some(transport) => vec![transport],
            None => naptr(resolver, &next_hop.host).await.unwrap_or_else(|| vec![transport]),
        };
        let mut found = Vec::new();
        for transport in transports {
            for (host, port) in srv(resolver, &next_hop.host, transport).await {
                found.extend(addresses(Some(resolver), &host, port, transport).await.unwrap_or_default());
                if found.len() >= limits::ADDRESSES_MAX {
                    return Ok(found);
                }
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let transport = next_hop.transport.unwrap_or(transport);
    addresses(resolver, &next_hop.host, next_hop.port.unwrap_or(transport.default_port()), transport).await
}

async fn addresses(
    resolver: Option<&TokioResolver>, host: &str, port: u16, transport: Transport,
) -> Result<Vec<TransportAddress>, String> {
    let fault = |error: &dyn std::fmt::Display| format!("resolve {host}: {error}");
    let mut found: Vec<SocketAddr> = match resolver {
        // This includes the hosts file.
        Some(resolver) => {
            let found = resolver.lookup_ip(host).await.map_err(|error| match error.is_no_records_found() {
                true => fault(&"DNS has no address for it"),
                false => fault(&error),
            })?;
            found.iter().map(|ip| SocketAddr::new(ip, port)).collect()
        }
        None => tokio::net::lookup_host((host, port)).await.map_err(|error| fault(&error))?.collect(),
    };
    found.sort_by_key(|addr| matches!(addr.ip(), IpAddr::V6(_))); // IPv4 first: more trunks can be reached by it
    found.dedup();
    Ok(found.into_iter().map(|addr| TransportAddress { transport, addr }).collect())
}

/// Transports that a domain offers, in its order (section 4.1).
pub(super) async fn naptr(resolver: &TokioResolver, host: &str) -> Option<Vec<Transport>> {
    let answer = resolver.lookup(format!("{}.", host.trim_end_matches('.')), RecordType::NAPTR).await.ok()?;
    let mut offered: Vec<(u16, u16, Transport)> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::NAPTR(naptr) => {
                let transport = match naptr.services.to_ascii_uppercase().as_slice() {
                    b"SIP+D2U" => Transport::Udp,
                    b"SIP+D2T" => Transport::Tcp,
                    b"SIPS+D2T" => Transport::Tls,
                    _ => return None,
                };
                Some((naptr.order, naptr.preference, transport))
            }
            _ => None,
        })
        .collect();
    offered.sort_by_key(|(order, preference, _)| (*order, *preference));
    (!offered.is_empty()).then(|| offered.into_iter().map(|(_, _, transport)| transport).collect())
}

/// Hosts of a domain by priority; weights decide between equals (RFC 2782).
pub(super) async fn srv(resolver: &TokioResolver, host: &str, transport: Transport) -> Vec<(String, u16)> {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws | Transport::Wss => return Vec::new(),
    };
    let name = format!("{service}.{}.", host.trim_end_matches('.'));
    let Ok(answer) = resolver.lookup(name, RecordType::SRV).await else { return Vec::new() };
    let found: Vec<SrvRecord> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(SrvRecord {
                priority: srv.priority,
                weight: srv.weight,
                host: srv.target.to_utf8().trim_end_matches('.').to_owned(),
                port: srv.port,
            }),
            _ => None,
        })
        .filter(|record| !record.host.is_empty()) // "." says that there is no such service
        .collect();
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), host);
    order_by_weight(found, random)
}

#[derive(Clone, Debug)]
struct SrvRecord {
    priority: u16,
    weight: u16,
    host: String,
    port: u16,
}

/// Sorted by priority; among equals drawn by weight, with `random` as the only random input.
fn order_by_weight(mut records: Vec<SrvRecord>, mut random: u64) -> Vec<(String, u16)> {
    records.sort_by_key(|record| record.priority);
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority).count();
        let total: u64 = records[..equals].iter().map(|record| u64::from(record.weight) + 1).sum();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut drawn = (random >> 33) % total;
        let mut at = 0;
        while drawn > u64::from(records[at].weight) {
            drawn -= u64::from(records[at].weight) + 1;
            at += 1;
        }
        let record = records.remove(at);
        ordered.push((record.host, record.port));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{Name, Record};
    use std::net::Ipv4Addr;

    fn hop(host: &str, port: Option<u16>) -> NextHop {
        NextHop { host: host.to_owned(), port, transport: None }
    }

    #[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
    #[test]
    fn an_answer_is_used_for_a_minute_and_for_its_own_name_and_port() {
        let now = Instant::now();
        let mut cache = DnsCache::new(None);
        let found = [TransportAddress { transport: Transport::Udp, addr: ([192, 0, 2, 1], 5_060).into() }];
        cache.insert(now, &hop("Carrier.example", None), &found);
        let just_before = now + Duration::from_millis(59_900);
        assert_eq!(cache.get(just_before, &hop("carrier.EXAMPLE", None)).as_deref(), Some(&found[..]));
        for other in [hop("carrier.example", Some(5_060)), hop("other.example", None)] {
            assert_eq!(cache.get(now, &other), None, "{other:?}");
        }
        assert_eq!(cache.get(now + Duration::from_secs(60), &hop("carrier.example", None)), None);
    }

    /// A name server for `carrier.test`: two hosts for calls by UDP, and nothing else.
    async fn name_server() -> SocketAddr {
        let socket = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = socket.local_addr().unwrap();
        let srv =
            |priority, port, host: &str| RData::SRV(SRV::new(priority, 10, port, Name::from_ascii(host).unwrap()));
        trunkline_supervision::spawn("test", async move {
            let mut buffer = [0; 1_500];
            while let Ok((len, peer)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..len]).unwrap();
                let query = asked.queries[0].clone();
                let answers = match (query.name().to_ascii().as_str(), query.query_type()) {
                    ("_sip._udp.carrier.test.", RecordType::SRV) => {
                        vec![srv(20, 5_080, "two.carrier.test."), srv(10, 5_070, "one.carrier.test.")]
                    }
                    ("one.carrier.test.", RecordType::A) => vec![RData::A(Ipv4Addr::new(192, 0, 2, 1).into())],
                    ("two.carrier.test.", RecordType::A) => vec![RData::A(Ipv4Addr::new(192, 0, 2, 2).into())],
                    _ => vec![],
                };
                let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
                message.add_query(query.clone());
                for data in answers {
                    message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                }
                let _ = socket.send_to(&message.to_vec().unwrap(), peer).await;
            }
        });
        addr
    }

    /// RFC 3263 section 4.2.
    #[tokio::test]
    async fn the_hosts_of_a_domain_are_tried_in_the_order_of_their_srv_records() {
        let resolver = DnsCache::new(Some(name_server().await)).resolver();
        let found = look_up(&hop("carrier.test", None), Transport::Udp, resolver.as_ref()).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|found| found.addr.to_string()).collect();
        assert_eq!(found, ["192.0.2.1:5070", "192.0.2.2:5080"]);
    }

    #[test]
    fn priority_first_and_weight_by_chance() {
        let record = |priority, weight, host: &str| SrvRecord { priority, weight, host: host.to_owned(), port: 5_060 };
        let all = vec![record(20, 0, "spare"), record(10, 90, "large"), record(10, 10, "small")];
        let firsts: Vec<String> = (0..1_000).map(|random| order_by_weight(all.clone(), random)[0].0.clone()).collect();
        let large = firsts.iter().filter(|host| *host == "large").count();
        assert!((850..950).contains(&large), "{large} of 1000");
        assert!(firsts.iter().all(|host| host != "spare"));
        assert_eq!(order_by_weight(all, 7)[2].0, "spare");
    }
}
