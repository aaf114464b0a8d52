//! Opens, binds, builds, serves and drains. Wiring only.

mod api;
mod background_jobs;
mod checks;
mod database;
mod egress_guards;
mod error;
mod http;
mod mail;
mod media;
mod providers;
mod services;
mod sip;

use crate::api::http_listener;
use crate::call::driver::{SharedServices, inbound, watch_trunks};
use crate::config::Config;
use crate::domain::end_reason::EndReason;
use crate::outbox::driver::Outbox;
use crate::scheduler::driver as scheduler;
use crate::supervision::{self, PartFailedError};
pub use api::AppExtras;
use background_jobs::start_jobs;
pub use checks::{ProbeAgent, provider_clients, webhook_sender};
pub use database::{MasterKey, check_stored_secrets, master_key, open_store};
use egress_guards::EgressGuards;
pub use error::AppError;
use http::{bind, servings};
use metrics_exporter_prometheus::PrometheusHandle;
use services::Foundation;
pub use services::Services;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use trunkline_connections::ConnectionCounters;
use trunkline_signaling::io::driver::{IncomingCall, SipService};
use trunkline_signaling::io::tls::TlsCertificates;
use trunkline_signaling::sip::user_agent::RegistrationEvent;

/// How long the last entries of ended calls may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

/// How long a delivery or a report that is under way may take.
const WORKERS_DEADLINE: Duration = Duration::from_secs(15);

/// How long the SIP endpoint may take for a command while the process ends.
const SIP_DEADLINE: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub struct App {
    /// The services of the process, by area.
    pub services: Services,
    /// Address the API is bound to, with the real port where `api.listen` has port 0.
    pub api_addr: SocketAddr,
    /// Address of the separate metrics listener, if there is one.
    pub metrics_addr: Option<SocketAddr>,
    /// Counters of the API's connections.
    pub api_connections: Arc<ConnectionCounters>,
    certificates: TlsCertificates,
    drain_timeout: Duration,
    stop: watch::Sender<bool>,
    /// Sent when the last call is over.
    stop_workers: watch::Sender<bool>,
    /// Deliveries, reports, the schedule.
    workers: Vec<JoinHandle<()>>,
}

impl App {
    /// Starts everything; returns when calls and requests are taken.
    pub async fn start(config: &Config, prometheus: PrometheusHandle) -> Result<Self, AppError> {
        Self::start_with(config, prometheus, AppExtras::default()).await
    }

    /// Starts with what the program adds.
    pub async fn start_with(
        config: &Config, prometheus: PrometheusHandle, extras: AppExtras,
    ) -> Result<Self, AppError> {
        // One file descriptor for each socket of each call.
        let _ = rlimit::increase_nofile_limit(1 << 20);
        let store = database::build(config).await?;
        let advertised = sip::advertised(config).await?;
        let guards = EgressGuards::new(config, advertised);
        let (sip, certificates) = sip::build(config, advertised, &guards.sip).await?;
        let SipService { handle: sip, incoming, registrations } = sip;
        let (listener, api_addr) = bind("api.listen", config.api.listen).await?;
        let metrics_listener = match config.metrics.listen {
            Some(listen) => Some(bind("metrics.listen", listen).await?),
            None => None,
        };
        let metrics_addr = metrics_listener.as_ref().map(|(_, addr)| *addr);
        let services = Services::build(config, Foundation { store, sip, advertised, guards, api_addr }).await?;
        scheduler::register_node(&services.recovery).await?;
        services.admission.refresh_other_nodes().await?;
        services.trunks.reload().await?;
        let (stop, stopped) = watch::channel(false);
        let (stop_workers, drained) = watch::channel(false);
        let (store, sender) = (services.store.clone(), services.calls.webhooks.clone());
        let outbox = Outbox { store, sender, mailer: mail::mailer(config)? };
        let workers = start_jobs(&services, outbox, prometheus.clone(), &stopped, &drained);
        let api = api::build(config, &services, prometheus, extras);
        let api_connections = api.connections();
        let serving = servings(config, api, listener, metrics_listener.map(|(listener, _)| listener));
        start_listening(&services, serving, drained, incoming, registrations);
        let sip_addr = services.sip.local_udp();
        tracing::info!(api = %api_addr, sip = %sip_addr, advertised = %advertised, "trunkline is ready");
        Ok(Self {
            services,
            api_addr,
            metrics_addr,
            api_connections,
            certificates,
            drain_timeout: Duration::from_millis(config.calls.drain_timeout_ms),
            stop,
            stop_workers,
            workers,
        })
    }

    /// Returns when a part of the process was given up: it has to end.
    pub async fn failed(&self) -> PartFailedError {
        self.services.supervisor.wait_for_failure().await
    }

    /// Reads the certificate of SIP over TLS again, for connections from now on. What cannot be used is logged, and the
    /// old one stays.
    pub fn reload_certificates(&self) {
        match self.certificates.reload() {
            Ok(true) => tracing::info!("TLS certificate reloaded"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "TLS certificate not reloaded"),
        }
    }

    /// Ends in order: no new calls, calls may finish until the deadline, then they are ended.
    pub async fn drain(self) {
        self.services.supervisor.stop();
        self.stop.send_replace(true);
        // Carriers take their calls to the next server (503 with Retry-After). Do not wait for a SIP user agent that no
        // longer answers.
        let _ = tokio::time::timeout(SIP_DEADLINE, self.services.sip.set_calls_max(0)).await;
        // Deregister with providers that deliver calls to a registration.
        let _ = tokio::time::timeout(SIP_DEADLINE, self.services.sip.set_registrations(Vec::new())).await;
        let registry = &self.services.live_calls.registry;
        if registry.count() > 0 {
            tracing::info!(calls = registry.count(), "waiting for calls to end");
        }
        // Do not wait for calls whose media or signalling has failed.
        let (patience, reason) = match self.services.supervisor.given_up() {
            Some(_) => (Duration::ZERO, EndReason::ServerCrash),
            None => (self.drain_timeout, EndReason::ServerShutdown),
        };
        if tokio::time::timeout(patience, registry.drained()).await.is_err() {
            registry.end_all(reason);
            let _ = tokio::time::timeout(Duration::from_secs(5), registry.drained()).await;
        }
        let _ = tokio::time::timeout(SIP_DEADLINE, self.services.live_calls.sip_logs.store_ended()).await;
        // An unavailable database must not keep the process alive.
        if !self.services.journal.flush(FLUSH_DEADLINE).await {
            tracing::error!("the database did not accept the last journal entries");
        }
        // Work in progress is finished; work not yet started is in the database.
        self.stop_workers.send_replace(true);
        for worker in self.workers {
            let _ = tokio::time::timeout(WORKERS_DEADLINE, worker).await;
        }
        let _ = self.services.store.deregister_node(&self.services.recovery.node.name).await;
        self.services.store.close().await;
    }
}

/// Accepts requests, calls and registration events. The channels survive a panic of their consumer.
fn start_listening(
    services: &Services, servings: Vec<(&'static str, http_listener::HttpListener)>, stopped: watch::Receiver<bool>,
    incoming: mpsc::Receiver<IncomingCall>, registrations: mpsc::Receiver<(Arc<str>, RegistrationEvent)>,
) {
    let supervisor = &services.supervisor;
    for (part, serving) in servings {
        supervisor.supervise(part, (serving, stopped.clone()), |(serving, stopped)| {
            Box::pin(http_listener::serve(serving, stopped.clone()))
        });
    }
    supervisor.supervise("incoming_calls", (services.calls.clone(), incoming), |(calls, incoming)| {
        Box::pin(take_calls(calls, incoming))
    });
    supervisor.supervise("registrations", (services.trunks.clone(), registrations), |(trunks, registrations)| {
        Box::pin(watch_trunks(trunks.clone(), registrations))
    });
}

async fn take_calls(calls: &SharedServices, incoming: &mut mpsc::Receiver<IncomingCall>) {
    while let Some(call) = incoming.recv().await {
        supervision::spawn("call", inbound(calls.clone(), call));
    }
}

#[cfg(test)]
mod tests;
