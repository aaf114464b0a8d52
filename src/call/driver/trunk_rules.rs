//! A trunk as the SIP user agent needs it: hops, credentials, the rule for inbound calls, the registration.

use crate::domain::secret::Secret;
use crate::domain::trunk::{OutboundProxy, Trunk, TrunkFields, TrunkTarget, TrunkTransport};
use ipnet::IpNet;
use secrecy::ExposeSecret as _;
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::message::uri::escape_user;
use trunkline_signaling::sip::user_agent::{HostCredentials, InboundTrunk, NextHop, RegistrationConfig, Transport};

/// Default registration lifetime.
const REGISTER_EXPIRES_S: u32 = 300;

/// How a target is called in lists.
pub(super) fn label(target: &TrunkTarget) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    }
}

/// The transport as SIP names it.
pub(super) fn sip_transport(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

pub(super) fn target_address(target: &TrunkTarget) -> NextHop {
    // UDP is the default: a name without a port may prefer another transport (NAPTR).
    let chosen = target.transport.filter(|transport| *transport != TrunkTransport::Udp || target.port.is_some());
    NextHop { host: target.host.clone(), port: target.port, transport: chosen.map(sip_transport) }
}

pub(super) fn proxy_hop(fields: &TrunkFields) -> Option<(NextHop, String)> {
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
pub(super) fn bound_credentials(fields: &TrunkFields) -> Option<HostCredentials> {
    let credentials = credentials(fields.username.clone(), fields.password.clone())?;
    let registrar = fields.registrar.as_ref().map(|host| NextHop { host: host.clone(), port: None, transport: None });
    let proxy = proxy_hop(fields).map(|(next_hop, _)| next_hop);
    let hosts = fields.all_targets().iter().map(target_address).chain(proxy).chain(registrar).collect();
    Some(HostCredentials { credentials, hosts })
}

pub(super) fn rule(trunk: &Trunk, wide_networks: &[IpNet]) -> InboundTrunk {
    let fields = &trunk.fields;
    let (allow, too_wide) = fields.networks(wide_networks);
    if let Some(network) = too_wide {
        // Stored before consent was required, or when it was still given.
        tracing::warn!(trunk = %trunk.id, %network, "network ignored: too wide for sip.wide_networks_allowed");
    }
    InboundTrunk {
        id: trunk.id.to_string().into(),
        allow,
        credentials: credentials(fields.inbound_username.clone(), fields.inbound_password.clone()),
        accept_refer: fields.accept_refer,
    }
}

pub(super) fn registration(trunk: &Trunk) -> Option<RegistrationConfig> {
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
