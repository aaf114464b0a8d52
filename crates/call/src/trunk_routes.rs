//! Where a trunk's requests go and who may use it: next hops, their order, credentials, registrations, rules of callers.
//!
//! Pure: which targets are down and what is drawn are arguments.

use crate::domain::FieldError;
use crate::domain::secret::Secret;
use crate::domain::trunk::{InboundDigest, OutboundProxy, Trunk, TrunkFields, TrunkTarget, TrunkTransport};
use ipnet::IpNet;
use secrecy::ExposeSecret as _;
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::message::uri::escape_user;
use trunkline_signaling::sip::user_agent::{
    ChallengeAlgorithms, HostCredentials, InboundTrunk, NextHop, RegistrationConfig, Transport,
};

/// Default registration lifetime.
const REGISTER_EXPIRES_S: u32 = 300;

/// Refuses networks of callers that are too wide without the operator's consent (`wide_networks`).
pub fn check_networks(fields: &TrunkFields, wide_networks: &[IpNet]) -> Result<(), FieldError> {
    let Some(wide) = fields.networks(wide_networks).1 else { return Ok(()) };
    let message = format!(
        "{wide} makes them too wide: together a /16 of IPv4 and a /32 of IPv6 at most, unless the operator allows \
         wider ones (sip.wide_networks_allowed)"
    );
    Err(FieldError::new("allowed_addresses", message))
}

/// How a target is called in lists: `host`, or `host:port`.
pub fn label(target: &TrunkTarget) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    }
}

/// Targets in order of attempt: those that are not down first, by priority, then drawn by weight (RFC 2782). `draw`
/// returns a number below its argument.
pub fn order_targets(
    targets: Vec<TrunkTarget>, is_down: impl Fn(&TrunkTarget) -> bool, mut draw: impl FnMut(u32) -> u32,
) -> Vec<TrunkTarget> {
    let mut left: Vec<(bool, TrunkTarget)> = targets.into_iter().map(|target| (is_down(&target), target)).collect();
    left.sort_by_key(|(down, target)| (*down, target.priority)); // stable: as written among equals
    let mut ordered = Vec::with_capacity(left.len());
    while let Some((down, priority)) = left.first().map(|(down, target)| (*down, target.priority)) {
        let equals = left.iter().take_while(|(d, target)| (*d, target.priority) == (down, priority)).count();
        let total: u32 = left[..equals].iter().map(|(_, target)| u32::from(target.weight) + 1).sum();
        let mut drawn = draw(total);
        let mut at = 0;
        while drawn > u32::from(left[at].1.weight) {
            drawn -= u32::from(left[at].1.weight) + 1;
            at += 1;
        }
        ordered.push(left.remove(at).1);
    }
    ordered
}

/// The transport of a trunk, as the user agent names it.
pub fn sip_transport(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

/// The next hop of requests to a target.
pub fn target_address(target: &TrunkTarget) -> NextHop {
    // UDP is the default: a name without a port may prefer another transport (NAPTR).
    let chosen = target.transport.filter(|transport| *transport != TrunkTransport::Udp || target.port.is_some());
    NextHop { host: target.host.clone(), port: target.port, transport: chosen.map(sip_transport) }
}

/// The outbound proxy, with the Route header that names it.
pub fn proxy_hop(fields: &TrunkFields) -> Option<(NextHop, String)> {
    let proxy = OutboundProxy::parse(fields.outbound_proxy.as_deref()?)?;
    let transport = sip_transport(proxy.transport.unwrap_or(fields.transport));
    let mut uri = Uri::sip(None, &proxy.host, proxy.port);
    uri.params = match transport {
        Transport::Udp => ";lr".to_owned(),
        other => format!(";transport={};lr", other.name().to_ascii_lowercase()),
    };
    Some((NextHop { host: proxy.host, port: proxy.port, transport: Some(transport) }, format!("<{uri}>")))
}

fn credentials(username: Option<String>, password: Option<Secret>) -> Option<DigestCredentials> {
    username.zip(password).map(|(username, password)| DigestCredentials { username, password: password.into() })
}

/// The credentials of our calls, only for the hosts in the trunk's settings.
pub fn bound_credentials(fields: &TrunkFields) -> Option<HostCredentials> {
    let credentials = credentials(fields.username.clone(), fields.password.clone())?;
    let registrar = fields.registrar.as_ref().map(|host| NextHop { host: host.clone(), port: None, transport: None });
    let proxy = proxy_hop(fields).map(|(next_hop, _)| next_hop);
    let hosts = fields.all_targets().iter().map(target_address).chain(proxy).chain(registrar).collect();
    Some(HostCredentials { credentials, hosts })
}

fn challenge_algorithms(digest: InboundDigest) -> ChallengeAlgorithms {
    match digest {
        InboundDigest::Auto => ChallengeAlgorithms::Automatic,
        InboundDigest::Md5 => ChallengeAlgorithms::Md5,
        InboundDigest::Sha256 => ChallengeAlgorithms::Sha256,
        InboundDigest::Md5Sha256 => ChallengeAlgorithms::Md5First,
        InboundDigest::Sha256Md5 => ChallengeAlgorithms::Sha256First,
    }
}

/// Whom the user agent admits over a trunk, and the first network that is ignored because the operator does not allow
/// one so wide.
pub fn inbound_rule(trunk: &Trunk, wide_networks: &[IpNet]) -> (InboundTrunk, Option<IpNet>) {
    let fields = &trunk.fields;
    let (allow, too_wide) = fields.networks(wide_networks);
    let rule = InboundTrunk {
        id: trunk.id.to_string().into(),
        allow,
        credentials: credentials(fields.inbound_username.clone(), fields.inbound_password.clone()),
        algorithms: challenge_algorithms(fields.inbound_digest),
        accept_refer: fields.accept_refer,
    };
    (rule, too_wide)
}

/// What is registered for a trunk. `None` where it does not register, or lacks credentials or a registrar.
pub fn registration(trunk: &Trunk) -> Option<RegistrationConfig> {
    let fields = &trunk.fields;
    let credentials = credentials(fields.username.clone(), fields.password.clone()).filter(|_| fields.register)?;
    let domain = fields.registrar.as_deref().or(fields.host.as_deref())?;
    let port = fields.port.filter(|_| fields.registrar.is_none());
    let hops = match proxy_hop(fields) {
        Some((next_hop, _)) => vec![next_hop],
        None => fields.all_targets().iter().map(target_address).collect(),
    };
    Some(RegistrationConfig {
        id: trunk.id.to_string().into(),
        aor: Uri::sip(Some(&escape_user(&credentials.username)), domain, None),
        registrar: Uri::sip(None, domain, port),
        hops,
        transport: sip_transport(fields.transport),
        contact_user: contact_user(trunk, &credentials),
        credentials: Some(credentials),
        expires_s: fields.register_expires_s.unwrap_or(REGISTER_EXPIRES_S),
    })
}

/// Stable across restarts, so that a registration is renewed rather than duplicated; known to the registrar only.
fn contact_user(trunk: &Trunk, credentials: &DigestCredentials) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("contact\n{}\n{}", trunk.id, credentials.password.expose_secret()));
    digest.iter().take(10).fold("t".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests;
