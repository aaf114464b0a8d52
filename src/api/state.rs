//! What handlers share: the services that they name, by area, and the API's own state.

use super::agent_view::AgentJsonCache;
use super::health_checks::{HealthService, HealthSources};
use super::http_settings::HttpSettings;
use super::metrics_service::{MetricsService, MetricsSources};
use super::passwords::PasswordService;
use super::request_limits::RequestLimits;
use super::settings::{ApiSettings, DemoSettings, IceServerSettings};
use crate::call::driver::{
    AddressChecks, AdmissionService, AnalysisService, CallStarter, LiveCalls, ProviderAccounts, RecordingFolder,
    SchemaWorkers, TrunkService, WebCalls,
};
use crate::call::public_links::PublicLinks;
use crate::store::Store;
use crate::store::journal::Journal;
use std::ops::Deref;
use std::sync::Arc;
use trunkline_connections::ConnectionCounters;

/// The services that the API needs.
#[derive(Debug)]
pub struct ApiServices {
    /// The database.
    pub store: Store,
    /// What calls have yet to write.
    pub journal: Journal,
    /// The live calls of the installation.
    pub live_calls: LiveCalls,
    /// Starts calls.
    pub calls: CallStarter,
    /// Counts of web calls per address and per token, and their ICE sessions.
    pub web_calls: WebCalls,
    /// The trunks in use.
    pub trunks: TrunkService,
    /// The providers' accounts.
    pub accounts: ProviderAccounts,
    /// Analyses calls and prices them.
    pub analysis: AnalysisService,
    /// Decides who may make a call.
    pub admission: AdmissionService,
    /// Where recordings are.
    pub recordings: RecordingFolder,
    /// Says where customers' addresses may lead.
    pub addresses: AddressChecks,
    /// Compile customers' JSON Schemas.
    pub schemas: SchemaWorkers,
    /// Public links to calls and recordings.
    pub links: PublicLinks,
    /// What the health checks look at.
    pub health: HealthSources,
    /// Where the metrics come from.
    pub metrics: MetricsSources,
}

/// What handlers share. Each route holds a clone, so a clone is a pointer.
#[derive(Clone, Debug)]
pub struct ApiState(Arc<ApiParts>);

/// The services and settings of the API.
#[derive(Debug)]
pub struct ApiParts {
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) live_calls: LiveCalls,
    pub(super) calls: CallStarter,
    pub(super) trunks: TrunkService,
    pub(super) accounts: ProviderAccounts,
    pub(super) analysis: AnalysisService,
    pub(super) admission: AdmissionService,
    pub(super) recordings: RecordingFolder,
    pub(super) addresses: AddressChecks,
    pub(super) schemas: SchemaWorkers,
    pub(super) links: PublicLinks,
    pub(super) health: HealthService,
    pub(super) metrics: MetricsService,
    pub(super) http: HttpSettings,
    pub(super) limits: RequestLimits,
    pub(super) web: Arc<WebPages>,
    pub(super) demo: Option<Arc<DemoSettings>>,
    pub(super) passwords: PasswordService,
    pub(super) written: AgentJsonCache,
}

/// Calls from pages of browsers.
#[derive(Debug)]
pub(super) struct WebPages {
    pub allowed_origins: Vec<String>,
    pub ice_servers: Vec<IceServerSettings>,
    pub token_valid_s: u64,
    pub counts: WebCalls,
}

impl Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl ApiState {
    /// Builds the state that all handlers share, with empty caches and new rate limiters.
    pub fn build(settings: ApiSettings, services: ApiServices) -> Self {
        let limits =
            RequestLimits::new(settings.rate_limit_per_minute, settings.public_rate_limit_per_minute, &services.store);
        Self(Arc::new(ApiParts {
            limits,
            http: HttpSettings {
                body_bytes_max: settings.body_bytes_max,
                public_url: settings.public_url,
                proxies: settings.proxies,
                behind_proxy: settings.behind_proxy,
                live: settings.live,
            },
            web: Arc::new(WebPages {
                allowed_origins: settings.allowed_origins,
                ice_servers: settings.ice_servers,
                token_valid_s: settings.token_valid_s,
                counts: services.web_calls,
            }),
            demo: settings.demo.map(Arc::new),
            health: HealthService::new(services.health, settings.doctor),
            metrics: MetricsService::new(settings.metrics, services.metrics),
            passwords: PasswordService::default(),
            written: AgentJsonCache::default(),
            store: services.store,
            journal: services.journal,
            live_calls: services.live_calls,
            calls: services.calls,
            trunks: services.trunks,
            accounts: services.accounts,
            analysis: services.analysis,
            admission: services.admission,
            recordings: services.recordings,
            addresses: services.addresses,
            schemas: services.schemas,
            links: services.links,
        }))
    }

    /// What the listener counts.
    pub fn connections(&self) -> Arc<ConnectionCounters> {
        self.metrics.connections.clone()
    }

    /// What the listener of the metrics counts.
    pub fn metrics_connections(&self) -> Arc<ConnectionCounters> {
        self.metrics.auth.connections()
    }
}
