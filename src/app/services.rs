//! The services of the process, each built from its settings.

use super::egress_guards::EgressGuards;
use super::error::AppError;
use super::{database, media, providers, sip};
use crate::call::driver::{
    AdmissionConfig, AdmissionService, AnalysisService, CallRecovery, CallServices, LiveCalls, MediaService, Node,
    NodeConfig, ProviderAccounts, RecordingFolder, SchemaWorkers, SharedServices, SipLogs, TrunkConfig, TrunkService,
    WebCallService, WrapUpService,
};
use crate::call::public_links::{LinksConfig, PublicLinks};
use crate::config::Config;
use crate::store::Store;
use crate::store::journal::Journal;
use crate::supervision::Supervisor;
use crate::telemetry::spans::TraceExporter;
use crate::webhooks::sender::WebhookSender;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trunkline_signaling::io::SipHandle;

/// The services of the process, by area.
#[derive(Clone, Debug)]
pub struct Services {
    /// The database.
    pub store: Store,
    /// Writes the rows of calls in the background.
    pub journal: Journal,
    /// Runs the background tasks and starts them again after a panic.
    pub supervisor: Supervisor,
    /// The SIP user agent.
    pub sip: SipHandle,
    /// Carries the audio of calls.
    pub media: MediaService,
    /// The trunks in use.
    pub trunks: TrunkService,
    /// The live calls of the installation.
    pub live_calls: LiveCalls,
    /// Decides who may make a call.
    pub admission: AdmissionService,
    /// What is done after a call.
    pub wrap_up: WrapUpService,
    /// Ends calls that nobody holds any more.
    pub recovery: CallRecovery,
    /// Everything that a call needs.
    pub calls: SharedServices,
}

/// What services are built on: it starts first.
pub(super) struct Foundation {
    pub store: Store,
    pub sip: SipHandle,
    pub advertised: IpAddr,
    pub guards: EgressGuards,
    /// Where the API listens, with the real port.
    pub api_addr: SocketAddr,
}

impl Services {
    /// Builds every service; nothing is served yet.
    pub(super) async fn build(config: &Config, foundation: Foundation) -> Result<Self, AppError> {
        let Foundation { store, sip, advertised, guards, api_addr } = foundation;
        let (supervisor, quotas) = (Supervisor::default(), &config.quotas);
        let media = MediaService::build(media::config(config, advertised))?;
        let clients = providers::build(config, &guards.providers)?;
        let identities = sip::identities(config, guards.stir)?;
        let node = Node::build(node_config(config));
        let journal = Journal::start(store.clone(), &node.name, &supervisor);
        let sip_logs = SipLogs::new(sip.clone(), journal.clone());
        let live_calls = LiveCalls::build(&store, &supervisor, quotas, sip_logs.clone());
        let trunks = TrunkService::build(trunk_config(config, advertised, guards.sip), &sip, &store);
        let admission = AdmissionService::build(admission_config(config, &node), &store);
        let accounts = ProviderAccounts::build(clients, database::master_key(config), &store, quotas);
        let recordings = RecordingFolder::build(PathBuf::from(&config.recordings.folder), &store);
        let schemas = SchemaWorkers::new(Some(store.clone()));
        let webhooks = WebhookSender::new(&guards.webhooks)
            .map_err(|error| AppError::Other(format!("webhook client: {error}")))?;
        let wrap_up = WrapUpService {
            store: store.clone(),
            analysis: AnalysisService::build(config.prices.clone(), &accounts, &schemas, quotas),
            links: PublicLinks::build(links_config(config, api_addr), &store).await?,
            sends_mail: !config.smtp.host.is_empty(),
        };
        let calls = Arc::new(CallServices {
            sip: sip.clone(),
            identities,
            media: media.clone(),
            trunks: trunks.clone(),
            providers: accounts.registry.clone(),
            accounts,
            admission: admission.clone(),
            web_calls: WebCallService::build(media::web_call_limits(config), quotas),
            recordings: recordings.clone(),
            webhooks,
            schemas,
            store: store.clone(),
            journal: journal.clone(),
            sip_logs: sip_logs.clone(),
            registry: live_calls.registry.clone(),
            supervisor: supervisor.clone(),
            spans: TraceExporter::start(&config.telemetry.otlp_endpoint).map_err(AppError::Other)?,
            node: node.name.clone(),
        });
        let (registry, own_store) = (live_calls.registry.clone(), store.clone());
        let recovery =
            CallRecovery { store: own_store, journal: journal.clone(), sip_logs, registry, recordings, node };
        Ok(Self { store, journal, supervisor, sip, media, trunks, live_calls, admission, wrap_up, recovery, calls })
    }
}

fn node_config(config: &Config) -> NodeConfig {
    NodeConfig { name: config.node.name.clone(), heartbeat_interval: Duration::from_millis(config.node.beat_ms) }
}

fn trunk_config(config: &Config, advertised: IpAddr, destinations: crate::egress::EgressGuard) -> TrunkConfig {
    TrunkConfig {
        addr: advertised,
        wide_networks: config.sip.wide_networks(),
        registers: config.sip.register,
        ring_timeout: Duration::from_millis(config.calls.ring_timeout_ms),
        destinations,
        quotas: config.quotas,
    }
}

fn admission_config(config: &Config, node: &Node) -> AdmissionConfig {
    AdmissionConfig {
        calls_max: config.calls.calls_max,
        telephony_per_minute: config.prices.telephony_per_minute,
        node: node.name.clone(),
    }
}

fn links_config(config: &Config, api_addr: SocketAddr) -> LinksConfig {
    let base_url = match config.api.public_url.trim_end_matches('/') {
        "" => format!("http://{api_addr}"),
        url => url.to_owned(),
    };
    LinksConfig { base_url, token_secret: config.api.token_secret.clone() }
}
