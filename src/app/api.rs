//! The API.

use super::services::Services;
use crate::api::live_socket::LiveSocketLimits;
use crate::api::{
    ApiServices, ApiSettings, ApiState, DemoSettings, DoctorSettings, HealthSources, IceServerSettings,
    MachineExaminer, MetricsAuth, MetricsSources,
};
use crate::call::driver::CallStarter;
use crate::config::{Config, IceServerConfig};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::time::Duration;

/// What a program adds to the server.
#[derive(Debug, Default)]
pub struct AppExtras {
    /// What the console shows in the demo.
    pub demo: Option<DemoSettings>,
    /// Looks at the machine for the operator.
    pub machine: Option<MachineExaminer>,
}

/// The state of the API: the services that its handlers name.
pub(super) fn build(config: &Config, services: &Services, prometheus: PrometheusHandle, extras: AppExtras) -> ApiState {
    let health = HealthSources {
        store: services.store.clone(),
        sip: services.sip.clone(),
        workers: services.media.workers.clone(),
        journal: services.journal.clone(),
        node: services.recovery.node.clone(),
        supervisor: services.supervisor.clone(),
        sends_mail: services.wrap_up.sends_mail,
    };
    let metrics = MetricsSources {
        prometheus,
        registry: services.live_calls.registry.clone(),
        workers: services.media.workers.clone(),
        sip: services.sip.clone(),
        ports: services.media.ports.clone(),
    };
    let calls = &services.calls;
    ApiState::build(
        api_settings(config, extras),
        ApiServices {
            store: services.store.clone(),
            journal: services.journal.clone(),
            live_calls: services.live_calls.clone(),
            calls: CallStarter::new(calls.clone()),
            web_calls: calls.web_calls.counts.clone(),
            trunks: services.trunks.clone(),
            accounts: calls.accounts.clone(),
            analysis: services.wrap_up.analysis.clone(),
            admission: services.admission.clone(),
            recordings: calls.recordings.clone(),
            addresses: calls.address_checks(),
            schemas: calls.schemas.clone(),
            links: services.wrap_up.links.clone(),
            health,
            metrics,
        },
    )
}

/// Settings of the API.
pub(super) fn api_settings(config: &Config, AppExtras { demo, machine }: AppExtras) -> ApiSettings {
    ApiSettings {
        body_bytes_max: config.api.body_bytes_max,
        public_url: config.api.public_url.clone(),
        rate_limit_per_minute: config.api.rate_limit_per_minute,
        public_rate_limit_per_minute: config.api.public_rate_limit_per_minute,
        proxies: Arc::new(config.api.connections.proxies()),
        behind_proxy: config.api.behind_proxy,
        metrics: MetricsAuth::new(&config.metrics.token, config.metrics.listen.is_some()),
        allowed_origins: config.webrtc.allowed_origins.clone(),
        ice_servers: ice_servers(config),
        token_valid_s: config.webrtc.token_valid_s,
        live: LiveSocketLimits {
            probe_interval: Duration::from_millis(config.api.connections.live_probe_interval_ms),
            send: Duration::from_millis(config.api.connections.live_send_timeout_ms),
        },
        demo,
        doctor: DoctorSettings { operator: config.api.operator_organization, machine },
    }
}

fn ice_servers(config: &Config) -> Vec<IceServerSettings> {
    let servers = config.webrtc.ice_servers.iter().cloned();
    servers
        .map(|IceServerConfig { url, username, credential }| IceServerSettings { url, username, credential })
        .collect()
}
