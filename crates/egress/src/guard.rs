//! The rule itself: which addresses and URLs may be connected to.

use super::address::AddressKind;
use super::error::EgressError;
use super::resolver::EgressResolver;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// How far connections may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EgressReach {
    /// Every address, in the clear as well: development and tests.
    pub everything: bool,
    /// Private networks.
    pub private: bool,
    /// This machine.
    pub loopback: bool,
}

/// Where this server listens itself. Requests that others name do not get there: they would arrive from inside.
#[derive(Clone, Debug, Default)]
pub struct OwnListeners {
    /// Addresses of this machine, as far as they are known.
    pub addresses: Vec<IpAddr>,
    /// Ports of all listeners of this server.
    pub ports: Vec<u16>,
}

impl OwnListeners {
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    pub(super) fn has_address(&self, addr: IpAddr) -> bool {
        self.addresses.contains(&addr.to_canonical())
    }
}

/// Decides where connections may go; clones share one rule.
#[derive(Clone, Debug)]
pub struct EgressGuard(Arc<EgressRule>);

#[derive(Debug)]
struct EgressRule {
    reach: EgressReach,
    /// Networks the operator allows beside.
    networks: Vec<IpNet>,
    own: OwnListeners,
    resolver: EgressResolver,
}

impl EgressGuard {
    /// `networks` are allowed whatever `reach` says; `dns_server` resolves names instead of the system.
    pub fn new(reach: EgressReach, networks: &[IpNet], own: OwnListeners, dns_server: Option<SocketAddr>) -> Self {
        Self(Arc::new(EgressRule {
            reach,
            networks: networks.to_vec(),
            own,
            resolver: EgressResolver::new(dns_server),
        }))
    }

    /// Allows every address: for tests, and for tools whose user chooses the peer.
    pub fn unrestricted() -> Self {
        let reach = EgressReach { everything: true, ..EgressReach::default() };
        Self::new(reach, &[], OwnListeners::default(), None)
    }

    /// Every address may be connected to.
    pub(super) fn is_open(&self) -> bool {
        self.0.reach.everything
    }

    pub(super) fn resolver(&self) -> &EgressResolver {
        &self.0.resolver
    }

    pub(super) fn own(&self) -> &OwnListeners {
        &self.0.own
    }

    pub(super) fn has_networks(&self) -> bool {
        !self.0.networks.is_empty()
    }

    /// The operator's list names the address.
    pub fn is_listed(&self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        self.0.networks.iter().any(|network| network.contains(&addr))
    }

    /// An address without its port may be connected to.
    pub fn permits_address(&self, addr: IpAddr) -> bool {
        let reach = self.0.reach;
        let by_kind = match AddressKind::of(addr) {
            AddressKind::Public => true,
            AddressKind::Private => reach.private,
            AddressKind::Loopback => reach.loopback,
            AddressKind::Special => false,
        };
        reach.everything || by_kind || self.is_listed(addr)
    }

    /// An address may be connected to.
    pub fn permits(&self, addr: SocketAddr) -> Result<(), EgressError> {
        if self.0.reach.everything {
            return Ok(());
        }
        if self.0.own.has_port(addr.port()) && self.0.own.has_address(addr.ip()) {
            return Err(EgressError::OwnListener);
        }
        if self.permits_address(addr.ip()) { Ok(()) } else { Err(EgressError::NotPublic) }
    }

    /// Judges a URL as far as it can be without resolving its name: the scheme, and an address that it spells out in
    /// whichever way.
    pub fn check(&self, text: &str) -> Result<Url, EgressError> {
        let url = Url::parse(text).map_err(|_| EgressError::NotAUrl)?;
        self.check_url(&url)?;
        Ok(url)
    }

    /// The same of a URL that is parsed.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressError> {
        if self.0.reach.everything {
            return if matches!(url.scheme(), "http" | "https") { Ok(()) } else { Err(EgressError::NotHttp) };
        }
        let addr = match url.host() {
            Some(Host::Ipv4(addr)) => Some(IpAddr::V4(addr)),
            Some(Host::Ipv6(addr)) => Some(IpAddr::V6(addr)),
            Some(Host::Domain(name)) if !is_host_name(name) => return Err(EgressError::NotAUrl),
            Some(Host::Domain(_)) => None,
            None => return Err(EgressError::NotHttps),
        };
        // Without TLS only into networks that the operator has listed. Where a name leads is seen when it is resolved.
        let may_be_plain = addr.map_or(self.has_networks(), |addr| self.is_listed(addr));
        if url.scheme() != "https" && !(url.scheme() == "http" && may_be_plain) {
            return Err(EgressError::NotHttps);
        }
        match (addr, url.port_or_known_default()) {
            (Some(addr), Some(port)) => self.permits(SocketAddr::new(addr, port)),
            (Some(_), None) => Err(EgressError::NotHttps),
            (None, _) if !self.has_networks() && is_local_name(url.host_str().unwrap_or_default()) => {
                Err(EgressError::NotPublic)
            }
            (None, _) => Ok(()),
        }
    }

    /// Judges the address of a provider, below which paths are put together: nothing in it may end the path.
    pub fn check_base(&self, text: &str) -> Result<Url, EgressError> {
        let url = self.check(text)?;
        let extra = url.query().is_some() || url.fragment().is_some();
        if extra || !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::NotABase);
        }
        Ok(url)
    }

    /// Judges a SIP host as far as it can be without resolving its name.
    pub fn check_host(&self, host: &str, port: u16) -> Result<(), EgressError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(addr) => self.permits(SocketAddr::new(addr, port)),
            Err(_) if self.0.reach == EgressReach::default() && !self.has_networks() && is_local_name(host) => {
                Err(EgressError::NotPublic)
            }
            Err(_) => Ok(()),
        }
    }
}

/// Whether a name may stand in DNS and in a URL of HTTP: the URL parser lets braces and quotes pass, which no request takes.
fn is_host_name(name: &str) -> bool {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_');
    (1..=253).contains(&name.trim_end_matches('.').len()) && name.chars().all(is_allowed)
}

/// Names that never lead into the public internet (RFC 6761, RFC 6762, and `.internal`).
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || [".localhost", ".local", ".internal"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
