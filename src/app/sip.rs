//! The SIP user agent.

use super::egress_guards;
use super::error::AppError;
use crate::config::{Config, SipConnections};
use crate::egress::EgressGuard;
use crate::stir::{IdentityVerifier, StirSettings};
use std::net::IpAddr;
use std::time::Duration;
use trunkline_signaling::io::driver::{self as sip, ListenConfig, SipService};
use trunkline_signaling::io::tls::{CertificateFiles, TlsCertificates};
use trunkline_signaling::io::{SipConnectionLimits, public_address};
use trunkline_signaling::sip::user_agent::UserAgentConfig as SipConfig;

/// Inbound calls that wait for their task; more are answered 503.
const WAITING_CALLS_MAX: usize = 1_024;

/// Binds the sockets and starts the user agent.
pub(super) async fn build(
    config: &Config, advertised: IpAddr, guard: &EgressGuard,
) -> Result<(SipService, TlsCertificates), AppError> {
    let fault = |source| AppError::Io { what: format!("sip.listen {}", config.sip.listen), source };
    let listen = sip_listen(config).map_err(fault)?;
    let certificates = listen.certificates.clone();
    let started = sip::start(listen, sip_config(config, advertised, guard), rand::random(), WAITING_CALLS_MAX).await;
    Ok((started.map_err(fault)?, certificates))
}

/// The address that carriers use for us: configured, found by STUN, or that of the default route.
pub(super) async fn advertised(config: &Config) -> Result<IpAddr, AppError> {
    let server = config.sip.stun_server.as_str();
    if server.is_empty() || config.sip.advertised_address.is_some() {
        return Ok(config.advertised());
    }
    public_address(server, rand::random()).await.map_err(AppError::io("sip.stun_server"))
}

fn sip_config(config: &Config, advertised: IpAddr, guard: &EgressGuard) -> SipConfig {
    SipConfig {
        destinations: egress_guards::sip_destinations(guard),
        advertised,
        advertised_other: config.sip.advertised_address_other,
        udp_port: config.sip.listen.port(),
        tcp_port: config.sip.listen.port(),
        tls_port: None,
        ws_port: None,
        user_agent: config.sip.user_agent.clone(),
        realm: config.sip.realm.clone(),
        calls_max: config.calls.calls_max,
        retry_after_s: config.calls.overload_retry_after_s,
        session_expires_s: config.sip.session_expires_s,
        trunks: Vec::new(),
    }
}

fn sip_listen(config: &Config) -> std::io::Result<ListenConfig> {
    let path = |text: &str| (!text.is_empty()).then(|| std::path::PathBuf::from(text));
    let tls = &config.sip.tls;
    let certificates = TlsCertificates::load(&CertificateFiles {
        certificate: path(&tls.certificate),
        private_key: path(&tls.private_key),
        client_roots: path(&tls.client_roots),
        client_certificate_required: tls.client_certificate_required,
        roots: path(&tls.roots),
    })?;
    let ws = &config.sip.websocket;
    Ok(ListenConfig {
        sip: config.sip.listen,
        tls: tls.listen,
        ws: ws.listen,
        ws_is_secure: ws.secure,
        ws_origins: ws.allowed_origins.clone(),
        certificates,
        dns_server: config.sip.dns_server,
        streams: stream_limits(&config.sip.connections),
    })
}

fn stream_limits(connections: &SipConnections) -> SipConnectionLimits {
    SipConnectionLimits {
        caps: connections.caps(),
        handshake: Duration::from_millis(connections.handshake_timeout_ms),
        first_message: Duration::from_millis(connections.first_message_timeout_ms),
        message: Duration::from_millis(connections.message_timeout_ms),
        idle: Duration::from_secs(connections.idle_timeout_s),
        stranger_idle: Duration::from_secs(connections.stranger_idle_timeout_s),
        write: Duration::from_millis(connections.write_timeout_ms),
    }
}

/// What verifies Identity headers.
pub(super) fn identities(config: &Config, guard: EgressGuard) -> Result<IdentityVerifier, AppError> {
    let stir = &config.sip.stir;
    let fault = |why: String| AppError::Other(format!("sip.stir.roots {}: {why}", stir.roots));
    let roots = match stir.roots.as_str() {
        "" => None,
        path => Some(std::fs::read(path).map_err(|error| fault(error.to_string()))?),
    };
    let settings = StirSettings { roots, max_age_s: stir.max_age_s as i64, guard };
    IdentityVerifier::new(&settings).map_err(fault)
}
