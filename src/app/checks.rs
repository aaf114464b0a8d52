//! What checks outside of a running server use of it: its providers' clients, and a SIP user agent that only asks.

use super::egress_guards::EgressGuards;
use super::error::AppError;
use super::{providers, sip};
use crate::call::invite::{LocalHost, probe};
use crate::config::Config;
use crate::domain::trunk::Trunk;
use crate::providers::ProviderRegistry;
use std::net::IpAddr;
use trunkline_signaling::io::driver::SipService;
use trunkline_signaling::sip::user_agent::ProbeResult;

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

    /// The status with which a trunk's first target answers OPTIONS; none if it does not.
    pub async fn options(&self, trunk: &Trunk) -> Result<Option<u16>, String> {
        let targets = trunk.fields.all_targets();
        let target = targets.first().ok_or("it has no host")?;
        let sip = &self.service.handle;
        let local = LocalHost { addr: self.advertised, port: sip.local_udp().port() };
        let probe = probe(trunk, &targets, local, target).map_err(|error| error.to_string())?;
        match sip.send_options(probe).await {
            Ok(ProbeResult::Answered(status)) => Ok(Some(status)),
            Ok(ProbeResult::Silent) => Ok(None),
            Ok(ProbeResult::Unreachable(why)) => Err(why),
            Err(_) => Err("the request could not be sent".to_owned()),
        }
    }
}
