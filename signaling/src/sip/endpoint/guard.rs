//! Who may call in: trunks by address or by credentials, decided before a request gets any state.

use super::Endpoint;
use crate::sip::digest::{self, Check, Credentials};
use crate::sip::message::{HeaderName, Request};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The inbound side of a trunk.
#[derive(Clone, Debug)]
pub struct TrunkRule {
    pub id: Arc<str>,
    pub allow: Vec<IpNet>,
    pub credentials: Option<Credentials>,
    /// Whoever calls over it may hand the call on (REFER).
    pub accept_refer: bool,
}

/// An address or network, `203.0.113.7` or `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    addr: IpAddr,
    prefix_len: u8,
}

impl IpNet {
    pub fn parse(text: &str) -> Option<Self> {
        let (addr, prefix_len) = match text.split_once('/') {
            Some((addr, len)) => (addr.parse().ok()?, Some(len.parse::<u8>().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let longest = if IpAddr::is_ipv4(&addr) { 32 } else { 128 };
        let prefix_len = prefix_len.unwrap_or(longest);
        (prefix_len <= longest).then_some(Self { addr, prefix_len })
    }

    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.addr, other.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_len)).unwrap_or(0);
                u32::from(net) & mask == u32::from(other) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_len)).unwrap_or(0);
                u128::from(net) & mask == u128::from(other) & mask
            }
            _ => false,
        }
    }
}

pub(super) enum Admission {
    /// The trunks the caller may be on.
    Trunks(Vec<Arc<str>>),
    Forbidden,
    /// Values of the `WWW-Authenticate` headers, the strongest first.
    Challenge([String; 2]),
}

impl Endpoint {
    /// Who the caller is: by address, by a registration of ours it was delivered to, or by digest.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr, request: &Request) -> Admission {
        let mut trunks: Vec<_> = self
            .config
            .trunks
            .iter()
            .filter(|trunk| trunk.allow.iter().any(|net| net.contains(source)))
            .map(|trunk| trunk.id.clone())
            .collect();
        if let Some(id) = self.registered_for(source, request)
            && !trunks.contains(&id)
        {
            trunks.push(id);
        }
        if !trunks.is_empty() {
            return Admission::Trunks(trunks);
        }
        if self.config.trunks.iter().all(|trunk| trunk.credentials.is_none()) {
            return Admission::Forbidden;
        }
        let second = now.saturating_duration_since(self.started).as_secs();
        let mut stale = false;
        for value in request.headers.all(&HeaderName::Authorization) {
            match self.authenticate(second, value, request) {
                (valid, _) if !valid.is_empty() => return Admission::Trunks(valid),
                (_, old) => stale |= old,
            }
        }
        let unique = self.tokens.token();
        let nonce = digest::nonce(second, &unique, |input| self.tokens.keyed(input));
        let stale = if stale { ", stale=true" } else { "" };
        Admission::Challenge(["SHA-256", "MD5"].map(|algorithm| {
            let realm = &self.config.realm;
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}")
        }))
    }

    /// The trunks whose credentials an Authorization header proves, and whether it only was too old or used before.
    fn authenticate(&mut self, second: u64, value: &str, request: &Request) -> (Vec<Arc<str>>, bool) {
        let Some(user) = digest::claimed_username(value) else { return (Vec::new(), false) };
        let (mut valid, mut stale, mut proof) = (Vec::new(), false, None);
        for trunk in &self.config.trunks {
            let Some(credentials) = trunk.credentials.as_ref().filter(|c| c.username == user) else { continue };
            let keyed = |input: &[u8]| self.tokens.keyed(input);
            match digest::verify(value, credentials, &self.config.realm, request.method.as_str(), second, keyed) {
                Check::Valid(used) => {
                    valid.push(trunk.id.clone());
                    proof = Some(used);
                }
                Check::Stale => stale = true,
                Check::Invalid => {}
            }
        }
        self.nonces.forget_before(second.saturating_sub(digest::NONCE_LIFETIME.as_secs()));
        if let Some(digest::Use { nonce, made_s, count }) = proof
            && !self.nonces.is_fresh(&nonce, made_s, count)
        {
            return (Vec::new(), true);
        }
        (valid, stale)
    }

    pub(super) fn may_refer(&self, trunks: &[Arc<str>]) -> bool {
        self.config.trunks.iter().any(|trunk| trunk.accept_refer && trunks.contains(&trunk.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let check = |net: &str, addr: &str| IpNet::parse(net).unwrap().contains(addr.parse().unwrap());
        assert!(check("203.0.113.0/24", "203.0.113.99"));
        assert!(!check("203.0.113.0/24", "203.0.114.1"));
        assert!(check("203.0.113.7", "203.0.113.7"));
        assert!(check("0.0.0.0/0", "8.8.8.8"));
        assert!(check("2001:db8::/32", "2001:db8:1::1"));
        assert!(check("127.0.0.1", "::ffff:127.0.0.1"));
        assert_eq!(IpNet::parse("10.0.0.0/33"), None);
        assert_eq!(IpNet::parse("carrier.example"), None);
    }
}
