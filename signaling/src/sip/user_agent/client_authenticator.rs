//! Client side of digest authentication: which challenges are answered. A trunk's credentials are only used for the
//! hosts in its settings. A challenge from any other host (of a SIP URI, a Refer-To or a redirection) is treated as a
//! final response. In a dialog, challenges are answered only while its requests go to one of those hosts, because a
//! callee could name its own Contact to attack the password.

use super::next_hop::NextHop;
use super::request_route::{AddressOrigin, RequestRoute, RouteAddress};
use crate::limits;
use crate::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};
use crate::sip::message::{HeaderName, Headers, Request, Uri};
use crate::sip::transport::TransportAddress;
use std::net::{IpAddr, SocketAddr};

/// Credentials, and the hosts that they were given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCredentials {
    /// User name and password for these hosts.
    pub credentials: DigestCredentials,
    /// Hosts whose challenges are answered, compared by host and port. Next hops and the Request-URI must be among
    /// them.
    pub hosts: Vec<NextHop>,
}

impl HostCredentials {
    /// For the host of a URI alone.
    pub fn of(uri: &Uri, credentials: DigestCredentials) -> Self {
        Self { credentials, hosts: vec![NextHop::of(uri)] }
    }

    /// True if the credentials cover this Request-URI and all next hops. A proxy forwards challenges of the host in the
    /// URI, so both must be among the hosts.
    pub(super) fn cover(&self, request_uri: &Uri, hops: &[NextHop]) -> bool {
        self.covers_host(&NextHop::of(request_uri)) && hops.iter().all(|next_hop| self.covers_host(next_hop))
    }

    fn covers_host(&self, next_hop: &NextHop) -> bool {
        self.hosts.iter().any(|host| is_same_host(host, next_hop))
    }
}

/// Digest client state of a call, a registration: its credentials and the challenges they have answered.
#[derive(Debug)]
pub(crate) struct ClientAuthenticator {
    credentials: HostCredentials,
    /// Whether the call's INVITE went to a host that the credentials are for.
    begun: DialogBeginning,
    /// What the names of the hosts were resolved to.
    resolved: Vec<SocketAddr>,
    /// Realms that have challenged us, the last one first.
    realms: Vec<Authorization>,
}

/// Where the dialog of a call began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DialogBeginning {
    /// At one of the credentials' hosts, so its requests may be authenticated.
    AtOwnHost,
    /// Elsewhere, or nowhere yet.
    Elsewhere,
}

impl ClientAuthenticator {
    pub(crate) fn new(credentials: HostCredentials) -> Self {
        Self { credentials, begun: DialogBeginning::Elsewhere, resolved: Vec::new(), realms: Vec::new() }
    }

    /// An address of a host that the credentials are for.
    pub(super) fn add_address(&mut self, addr: SocketAddr) {
        if !self.resolved.contains(&addr) && self.resolved.len() < limits::AUTH_ADDRESSES_MAX {
            self.resolved.push(addr);
        }
    }

    /// The INVITE goes to this address, by a route that `may_authenticate` or may not.
    pub(super) fn begin_dialog(&mut self, addr: SocketAddr, may_authenticate: bool) {
        if may_authenticate {
            self.begun = DialogBeginning::AtOwnHost;
            self.add_address(addr);
        } else {
            self.begun = DialogBeginning::Elsewhere;
        }
    }

    /// A request of the dialog that goes this way may be authenticated.
    pub(super) fn covers_route(&self, route: &RequestRoute) -> bool {
        if self.begun == DialogBeginning::Elsewhere {
            return false;
        }
        let is_resolved = |address: &TransportAddress| self.resolved.contains(&address.addr);
        // Where the peer was met is judged when it is tried.
        let is_named = |one: &&RouteAddress| one.origin == AddressOrigin::Named;
        let is_known = |next_hop: &NextHop| {
            self.credentials.covers_host(next_hop)
                || next_hop.as_address(route.transport).is_some_and(|one| is_resolved(&one))
        };
        route.addrs.iter().filter(is_named).all(|one| is_resolved(&one.address)) && route.hops.iter().all(is_known)
    }

    /// A request of the dialog that goes to this address, where the peer was met, may be authenticated.
    pub(super) fn covers_address(&self, addr: SocketAddr) -> bool {
        self.begun == DialogBeginning::AtOwnHost && self.resolved.contains(&addr)
    }

    /// Takes the challenge of a realm, in place of an earlier one of the same.
    pub(super) fn add_challenge(&mut self, challenge: DigestChallenge, challenger: Challenger, cnonce: String) {
        self.realms.retain(|one| !one.is_for(challenger, &challenge.realm));
        self.realms.truncate(limits::AUTH_REALMS_MAX.saturating_sub(1));
        self.realms.insert(0, Authorization { session: DigestClientSession::new(challenge, cnonce), challenger });
    }

    /// Puts the answers to all challenges into a request, which must go to a host of the credentials.
    pub(super) fn authorize(&mut self, request: &mut Request) {
        for one in &mut self.realms {
            let (method, uri) = (request.method.as_str(), request.uri.to_string());
            let value = one.session.authorize(&self.credentials.credentials, method, &uri);
            request.headers.push(one.challenger.answer_header(), value);
        }
    }

    /// Drops answered challenges after a rejection.
    pub(super) fn clear(&mut self) {
        self.realms.clear();
    }
}

/// Host and port are the same.
fn is_same_host(one: &NextHop, other: &NextHop) -> bool {
    let bare = |host: &str| {
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        host.trim_end_matches('.').to_ascii_lowercase()
    };
    let (host, its) = (bare(&one.host), bare(&other.host));
    let same_host = match (host.parse::<IpAddr>(), its.parse::<IpAddr>()) {
        (Ok(host), Ok(its)) => host.to_canonical() == its.to_canonical(),
        _ => host == its,
    };
    let port = |next_hop: &NextHop| {
        next_hop.port.unwrap_or(next_hop.transport.map_or(5_060, |transport| transport.default_port()))
    };
    same_host && (one.port == other.port || port(one) == port(other))
}

/// Who asks for credentials. Realms of the same name are two if they are a proxy's and a server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Challenger {
    /// A proxy on the way.
    Proxy,
    /// The registrar or the callee.
    Server,
}

impl Challenger {
    pub(super) fn challenge_header(self) -> HeaderName {
        match self {
            Self::Proxy => HeaderName::ProxyAuthenticate,
            Self::Server => HeaderName::WwwAuthenticate,
        }
    }

    fn answer_header(self) -> HeaderName {
        match self {
            Self::Proxy => HeaderName::ProxyAuthorization,
            Self::Server => HeaderName::Authorization,
        }
    }
}

/// What answers the challenges of one realm.
#[derive(Debug)]
struct Authorization {
    session: DigestClientSession,
    challenger: Challenger,
}

impl Authorization {
    fn is_for(&self, challenger: Challenger, realm: &str) -> bool {
        self.challenger == challenger && self.session.challenge().realm == realm
    }
}

/// Removes credentials from a request to another host.
pub(super) fn remove_authorization(request: &mut Request) {
    request.headers.remove(&HeaderName::Authorization);
    request.headers.remove(&HeaderName::ProxyAuthorization);
}

/// The credentials of a request, for another one that repeats them.
pub(super) fn copy_authorization(from: &Headers, to: &mut Headers) {
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for value in from.all(&name) {
            to.push(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transport::Transport;

    fn next_hop(host: &str, port: Option<u16>, transport: Option<Transport>) -> NextHop {
        NextHop { host: host.to_owned(), port, transport }
    }

    #[test]
    fn credentials_are_for_hosts_and_ports() {
        let credentials = DigestCredentials { username: "u".into(), password: "p".into() };
        let hosts = vec![
            next_hop("Sip.Carrier.example", None, None),
            next_hop("192.0.2.7", Some(5_070), Some(Transport::Udp)),
            next_hop("2001:db8::7", None, Some(Transport::Udp)),
            next_hop("tls.example", None, Some(Transport::Tls)),
        ];
        let bound = HostCredentials { credentials, hosts };
        for (uri, wanted) in [
            ("sip:1@sip.carrier.example", true),
            ("sip:1@SIP.carrier.example.", true),
            ("sip:1@sip.carrier.example:5060", true),
            ("sip:1@sip.carrier.example;transport=tcp", true),
            ("sip:1@192.0.2.7:5070", true),
            ("sip:1@[2001:db8::7]", true),
            ("sip:1@[2001:db8:0:0::7]:5060", true),
            ("sip:1@tls.example", true),
            ("sip:1@tls.example:5061", true),
            ("sip:1@sip.carrier.example:5070", false),
            ("sip:1@carrier.example", false),
            ("sip:1@sip.carrier.example.evil.example", false),
            ("sip:sip.carrier.example@evil.example", false),
            ("sip:1@sip.carrier.example;maddr=192.0.2.66", false),
            ("sip:1@192.0.2.7", false),
            ("sip:1@192.0.2.7:5060", false),
            ("sip:1@192.0.2.70:5070", false),
            ("sip:1@[2001:db8::8]", false),
        ] {
            assert_eq!(bound.cover(&Uri::parse(uri).unwrap(), &[]), wanted, "{uri}");
        }
        let (carrier, evil) = (Uri::parse("sip:1@192.0.2.7:5070").unwrap(), Uri::parse("sip:1@evil.example").unwrap());
        let proxy = bound.hosts[0].clone();
        assert!(bound.cover(&carrier, std::slice::from_ref(&proxy)));
        assert!(!bound.cover(&carrier, &[proxy.clone(), next_hop("evil.example", None, None)]));
        assert!(!bound.cover(&evil, &[proxy]), "a proxy forwards challenges of the other host");
    }
}
