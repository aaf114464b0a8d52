//! What checks outside of a running server use of it: its clients of providers and webhooks, and a SIP user agent that only asks.

use super::egress_guards::EgressGuards;
use super::error::AppError;
use super::{providers, sip};
use crate::call::invite::{LocalHost, probe};
use crate::config::Config;
use crate::domain::trunk::Trunk;
use crate::providers::ProviderRegistry;
use crate::webhooks::sender::WebhookSender;
use std::net::IpAddr;
use trunkline_signaling::io::driver::SipService;
use trunkline_signaling::sip::user_agent::ProbeResult;

/// What asks receivers of webhooks, and reaches what the server's webhooks reach.
pub fn webhook_sender(config: &Config) -> Result<WebhookSender, AppError> {
    let guard = EgressGuards::new(config, config.advertised()).webhooks;
    WebhookSender::new(&guard).map_err(|error| AppError::Other(format!("webhook client: {error}")))
}

/// Clients with the server's own keys, which reach what the server's reach.
pub fn provider_clients(config: &Config) -> Result<ProviderRegistry, AppError> {
    providers::build(config, &EgressGuards::new(config, config.advertised()).providers)
}

/// A SIP user agent that sends OPTIONS and takes no calls.
#[derive(Debug)]
pub struct ProbeAgent {
    service: SipService,
    advertised: IpAddr,
}

impl ProbeAgent {
    /// Starts one at `sip.listen`, because some carriers answer that port alone; beside a running server at any port.
    pub async fn start(config: &Config, beside_server: bool) -> Result<Self, AppError> {
        let mut own = config.clone();
        (own.sip.tls.listen, own.sip.websocket.listen) = (None, None);
        if beside_server {
            own.sip.listen.set_port(0);
        }
        let advertised = sip::advertised(config).await?;
        let guards = EgressGuards::new(config, advertised);
        let (service, _) = sip::build(&own, advertised, &guards.sip).await?;
        // Calls that come in by mistake go to another server.
        service.handle.set_calls_max(0).await;
        Ok(Self { service, advertised })
    }

    /// What a trunk's first target answers to OPTIONS.
    pub async fn options(&self, trunk: &Trunk) -> ProbeResult {
        let targets = trunk.fields.all_targets();
        let Some(target) = targets.first() else { return ProbeResult::Unreachable("it has no host".to_owned()) };
        let sip = &self.service.handle;
        let local = LocalHost { addr: self.advertised, port: sip.local_udp().port() };
        match probe(trunk, &targets, local, target) {
            Ok(probe) => sip
                .send_options(probe)
                .await
                .unwrap_or_else(|_| ProbeResult::Unreachable("the request could not be sent".to_owned())),
            Err(error) => ProbeResult::Unreachable(error.to_string()),
        }
    }
}
