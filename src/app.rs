//! Opens, binds, builds, serves and drains. Wiring only.

mod background_jobs;
mod egress_guards;
mod http;

use crate::api::live_socket::LiveSocketLimits;
use crate::api::{ApiState, http_listener, metrics};
use crate::call::driver::{
    AdmissionControl, CallLimits, CallServices, Cluster, ConcurrencyLimiters, LastHeartbeat, RecordingQuota,
    SchemaWorkers, TrunkProbes, TrunkStates, WebCallLimits, WebCalls, inbound, watch_trunks,
};
use crate::call::public_links::PublicLinks;
use crate::call::registry::CallRegistry;
use crate::config::{self, Config, IceServerConfig, SipConnections, WebrtcConnections};
use crate::domain::end_reason::EndReason;
use crate::domain::provider::ProviderAccount;
use crate::egress::EgressGuard;
use crate::outbox::driver::Outbox;
use crate::outbox::mail::{Mailer, SmtpSettings};
use crate::providers::{
    Deadlines, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines,
};
use crate::scheduler::driver as scheduler;
use crate::stir::{self, IdentityVerifier};
use crate::store::journal::Journal;
pub use crate::store::secrets::MasterKey;
use crate::store::secrets::UnreadableSecret;
use crate::store::signed_tokens::TokenSigner;
use crate::store::{Store, StoreError};
use crate::supervision::{self, PartFailedError, Supervisor};
use crate::telemetry::spans::TraceExporter;
use crate::webhooks::sender::WebhookSender;
use background_jobs::start_jobs;
use egress_guards::EgressGuards;
use http::{bind, servings};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use trunkline_connections::ConnectionCounters;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::receive_timestamp::ReceiveTimestamping;
use trunkline_media::io::worker::{IceTcpLimits as WebStreamLimits, MediaWorkers, WebRtcPortConfig};
use trunkline_media::leg::Latching;
use trunkline_media::transport::webrtc::HostCandidates;
use trunkline_signaling::io::driver::{self as sip, IncomingCall, ListenConfig, SipService};
use trunkline_signaling::io::tls::{CertificateFiles, TlsCertificates};
use trunkline_signaling::io::{SipConnectionLimits, public_address};
use trunkline_signaling::sip::user_agent::{RegistrationEvent, UserAgentConfig as SipConfig};

/// Inbound calls that wait for their task; more are answered 503.
const WAITING_CALLS_MAX: usize = 1_024;

/// Why the server cannot start, or cannot open its database.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A socket, file or thread that the system refuses.
    #[error("{what}: {source}")]
    Io {
        /// Setting and value, path or part that failed, such as `sip.listen 0.0.0.0:5060`
        what: String,
        /// Error of the operating system
        source: std::io::Error,
    },
    /// The database cannot be opened, migrated, read or written.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// Without their keys, calls of these organizations would run on the server's keys.
    #[error("{}", unreadable_text(.0))]
    UnreadableSecrets(Vec<UnreadableSecret>),
    /// Any other failure at startup; the text names the setting or the client that failed.
    #[error("{0}")]
    Other(String),
}

/// Describes which keys are unreadable and what can be done; never their text.
fn unreadable_text(secrets: &[UnreadableSecret]) -> String {
    let mut text = format!(
        "secrets.master_key does not open {} stored provider key(s); set the key they were stored with, seal them anew \
         with `trunkline secrets reseal`, or delete them with `trunkline secrets delete-unreadable`",
        secrets.len()
    );
    for secret in secrets.iter().take(UNREADABLE_SHOWN_MAX) {
        text.push_str(&format!("\n  {secret}"));
    }
    if secrets.len() > UNREADABLE_SHOWN_MAX {
        text.push_str(&format!("\n  and {} more", secrets.len() - UNREADABLE_SHOWN_MAX));
    }
    text
}

/// Keys that a message names: the rest is in `trunkline secrets list-unreadable`.
const UNREADABLE_SHOWN_MAX: usize = 50;

/// The master key of the settings.
pub fn master_key(config: &Config) -> Option<MasterKey> {
    let text = &config.secrets.master_key;
    (!text.is_empty()).then(|| MasterKey::new(text.expose()))
}

/// The same check for a database that may not exist yet: nothing is created or changed.
pub async fn check_stored_secrets(config: &Config) -> Result<(), AppError> {
    let looking = async {
        let store = Store::open_existing(config.database.url.expose()).await.ok()?;
        let unreadable = store.unreadable_secrets(master_key(config).as_ref()).await;
        store.close().await;
        unreadable.ok() // of an older schema: `serve` brings it up to date and looks again
    };
    match tokio::time::timeout(CHECK_DEADLINE, looking).await.ok().flatten() {
        Some(unreadable) if !unreadable.is_empty() => Err(AppError::UnreadableSecrets(unreadable)),
        _ => Ok(()),
    }
}

/// How long the check of the settings waits for a database.
const CHECK_DEADLINE: Duration = Duration::from_secs(5);

/// Every stored key can be opened, and this process's master key is the installation's.
async fn check_secrets(store: &Store, master: Option<&MasterKey>) -> Result<(), AppError> {
    let unreadable = store.unreadable_secrets(master).await?;
    if !unreadable.is_empty() {
        return Err(AppError::UnreadableSecrets(unreadable));
    }
    match master {
        Some(master) => Ok(store.adopt_master_key(master).await?),
        None => Ok(()),
    }
}

/// How long the last entries of ended calls may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

/// How long a delivery or a report that is under way may take.
const WORKERS_DEADLINE: Duration = Duration::from_secs(15);

/// How long the SIP endpoint may take for a command while the process ends.
const SIP_DEADLINE: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub struct App {
    /// Services that calls and API handlers share.
    pub context: Arc<CallServices>,
    /// Address the API is bound to, with the real port where `api.listen` has port 0.
    pub api_addr: SocketAddr,
    /// Address of the separate metrics listener, if there is one.
    pub metrics_addr: Option<SocketAddr>,
    /// Counters of the API's connections.
    pub api_connections: Arc<ConnectionCounters>,
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
        Self::start_with(config, prometheus, None).await
    }

    /// Starts with the demo's settings.
    pub async fn start_with(
        config: &Config, prometheus: PrometheusHandle, demo: Option<crate::api::DemoSettings>,
    ) -> Result<Self, AppError> {
        // One file descriptor for each socket of each call.
        let _ = rlimit::increase_nofile_limit(1 << 20);
        let store = open_store(config.database.url.expose())
            .await?
            .with_quotas(config.quotas)
            .with_dead_after(config.node.dead_after_ms);
        let master_key = master_key(config);
        check_secrets(&store, master_key.as_ref()).await?;
        let advertised = advertised(config).await?;
        let fault = |source| AppError::Io { what: format!("sip.listen {}", config.sip.listen), source };
        let listen = sip_listen(config).map_err(fault)?;
        let guards = EgressGuards::new(config, advertised);
        let sip_config = sip_config(config, advertised, &guards.sip);
        let started = sip::start(listen, sip_config, rand::random(), WAITING_CALLS_MAX).await;
        let SipService { handle: sip, incoming, registrations } = started.map_err(fault)?;
        let (listener, api_addr) = bind("api.listen", config.api.listen).await?;
        let metrics_listener = match config.metrics.listen {
            Some(listen) => Some(bind("metrics.listen", listen).await?),
            None => None,
        };
        let metrics_addr = metrics_listener.as_ref().map(|(_, addr)| *addr);
        let (registry, supervisor) = (CallRegistry::default(), Supervisor::default());
        let node = match config.node.name.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            name => name.to_owned(),
        };
        let context = Arc::new(CallServices {
            sip,
            workers: start_workers(config)?,
            ports: PortPool::new(config.media_bind(), config.media.port_first, config.media.port_last),
            providers: providers(config, &guards.providers)?,
            stir: stir(config, guards.stir)?,
            journal: Journal::start(store.clone(), &node, &supervisor),
            cluster: Cluster::start(&store, &registry, &supervisor),
            registry,
            admission: AdmissionControl::new(config.calls.calls_max),
            web_calls: WebCalls::default(),
            trunks: TrunkStates::new(&config.sip.wide_networks()),
            probes: TrunkProbes::new(&config.quotas),
            concurrency: ConcurrencyLimiters::new(&config.quotas),
            registers: config.sip.register,
            media_addr: advertised,
            media_addr_other: config.sip.advertised_address_other,
            recordings: PathBuf::from(&config.recordings.folder),
            recording_space: RecordingQuota::default(),
            limits: limits(config),
            sip_guard: guards.sip,
            webhooks: WebhookSender::new(&guards.webhooks)
                .map_err(|error| AppError::Other(format!("webhook client: {error}")))?,
            prices: config.prices.clone(),
            links: links(config, &store, api_addr).await?,
            node,
            heartbeat_interval: Duration::from_millis(config.node.beat_ms),
            heartbeat: LastHeartbeat::default(),
            master_key,
            spans: TraceExporter::start(&config.telemetry.otlp_endpoint).map_err(AppError::Other)?,
            sends_mail: !config.smtp.host.is_empty(),
            supervisor: supervisor.clone(),
            schemas: SchemaWorkers::new(Some(store.clone())),
            store,
        });
        scheduler::register_node(&context).await?;
        context.refresh_other_nodes().await?;
        context.reload_trunks().await?;
        let (stop, stopped) = watch::channel(false);
        let (stop_workers, drained) = watch::channel(false);
        let outbox = Outbox { store: context.store.clone(), sender: context.webhooks.clone(), mailer: mailer(config)? };
        let workers = start_jobs(&context, outbox, prometheus.clone(), &stopped, &drained);
        let api = ApiState::new(context.clone(), prometheus, api_settings(config, demo));
        let api_connections = api.connections();
        let serving = servings(config, api, listener, metrics_listener.map(|(listener, _)| listener));
        start_listening(&context, serving, drained, incoming, registrations);
        let sip_addr = context.sip.local_udp();
        tracing::info!(api = %api_addr, sip = %sip_addr, advertised = %advertised, "trunkline is ready");
        Ok(Self {
            context,
            api_addr,
            metrics_addr,
            api_connections,
            drain_timeout: Duration::from_millis(config.calls.drain_timeout_ms),
            stop,
            stop_workers,
            workers,
        })
    }

    /// Returns when a part of the process was given up: it has to end.
    pub async fn failed(&self) -> PartFailedError {
        self.context.supervisor.wait_for_failure().await
    }

    /// Ends in order: no new calls, calls may finish until the deadline, then they are ended.
    pub async fn drain(self) {
        self.context.supervisor.stop();
        self.stop.send_replace(true);
        // Carriers take their calls to the next server (503 with Retry-After). Do not wait for a SIP user agent that no
        // longer answers.
        let _ = tokio::time::timeout(SIP_DEADLINE, self.context.sip.set_calls_max(0)).await;
        // Deregister with providers that deliver calls to a registration.
        let _ = tokio::time::timeout(SIP_DEADLINE, self.context.sip.set_registrations(Vec::new())).await;
        let registry = &self.context.registry;
        if registry.count() > 0 {
            tracing::info!(calls = registry.count(), "waiting for calls to end");
        }
        // Do not wait for calls whose media or signalling has failed.
        let (patience, reason) = match self.context.supervisor.given_up() {
            Some(_) => (Duration::ZERO, EndReason::ServerCrash),
            None => (self.drain_timeout, EndReason::ServerShutdown),
        };
        if tokio::time::timeout(patience, registry.drained()).await.is_err() {
            registry.end_all(reason);
            let _ = tokio::time::timeout(Duration::from_secs(5), registry.drained()).await;
        }
        // An unavailable database must not keep the process alive.
        if !self.context.journal.flush(FLUSH_DEADLINE).await {
            tracing::error!("the database did not accept the last journal entries");
        }
        // Work in progress is finished; work not yet started is in the database.
        self.stop_workers.send_replace(true);
        for worker in self.workers {
            let _ = tokio::time::timeout(WORKERS_DEADLINE, worker).await;
        }
        let _ = self.context.store.deregister_node(&self.context.node).await;
        self.context.store.close().await;
    }
}

/// Accepts requests, calls and registration events. The channels survive a panic of their consumer.
fn start_listening(
    context: &Arc<CallServices>, servings: Vec<(&'static str, http_listener::HttpListener)>,
    stopped: watch::Receiver<bool>, incoming: mpsc::Receiver<IncomingCall>,
    registrations: mpsc::Receiver<(Arc<str>, RegistrationEvent)>,
) {
    let supervisor = &context.supervisor;
    for (part, serving) in servings {
        supervisor.supervise(part, (serving, stopped.clone()), |(serving, stopped)| {
            Box::pin(http_listener::serve(serving, stopped.clone()))
        });
    }
    supervisor.supervise("incoming_calls", (context.clone(), incoming), |(context, incoming)| {
        Box::pin(take_calls(context, incoming))
    });
    supervisor.supervise("registrations", (context.clone(), registrations), |(context, registrations)| {
        Box::pin(watch_trunks(context.clone(), registrations))
    });
}

/// Opens the database, creates a SQLite file's folder, and applies migrations. Fails if one of these does.
pub async fn open_store(url: &str) -> Result<Store, AppError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.trim_start_matches("//");
        if let Some(folder) = std::path::Path::new(path.split('?').next().unwrap_or(path)).parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| AppError::Io { what: folder.display().to_string(), source })?;
        }
    }
    let store = Store::open(url).await?;
    store.migrate().await?;
    Ok(store)
}

/// The address that carriers use for us: configured, found by STUN, or that of the default route.
async fn advertised(config: &Config) -> Result<IpAddr, AppError> {
    let server = config.sip.stun_server.as_str();
    if server.is_empty() || config.sip.advertised_address.is_some() {
        return Ok(config.advertised());
    }
    let fault = |source| AppError::Io { what: "sip.stun_server".to_owned(), source };
    public_address(server, rand::random()).await.map_err(fault)
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

fn web_stream_limits(connections: &WebrtcConnections) -> WebStreamLimits {
    WebStreamLimits {
        caps: connections.caps(),
        first_packet: Duration::from_millis(connections.first_packet_timeout_ms),
        packet: Duration::from_millis(connections.packet_timeout_ms),
        idle: Duration::from_millis(connections.idle_timeout_ms),
        write: Duration::from_millis(connections.write_timeout_ms),
    }
}

fn limits(config: &Config) -> CallLimits {
    CallLimits {
        ring_timeout: Duration::from_millis(config.calls.ring_timeout_ms),
        network_timeout: Duration::from_millis(config.media.network_timeout_ms),
        latching: match config.media.latching {
            config::LatchingMode::Off => Latching::Off,
            config::LatchingMode::SameAddress => Latching::SameAddress,
            config::LatchingMode::SignallingAddress => Latching::SignallingAddress,
            config::LatchingMode::Any => Latching::Any,
        },
        calls_max: config.calls.calls_max,
        web: WebCallLimits {
            token_valid: Duration::from_secs(config.webrtc.token_valid_s),
            connect: Duration::from_millis(config.webrtc.connect_timeout_ms),
            calls_per_token: config.webrtc.calls_per_token,
            calls_per_address: config.webrtc.calls_per_address,
        },
    }
}

fn stir(config: &Config, guard: EgressGuard) -> Result<IdentityVerifier, AppError> {
    let stir = &config.sip.stir;
    let fault = |why: String| AppError::Other(format!("sip.stir.roots {}: {why}", stir.roots));
    let roots = match stir.roots.as_str() {
        "" => None,
        path => Some(std::fs::read(path).map_err(|error| fault(error.to_string()))?),
    };
    let settings = stir::StirSettings { roots, max_age_s: stir.max_age_s as i64, guard };
    IdentityVerifier::new(&settings).map_err(fault)
}

/// Binds UDP and TCP to the same port; for port 0 tries another when TCP's is taken.
fn bind_web(
    listen: SocketAddr, with_tcp: bool,
) -> std::io::Result<(std::net::UdpSocket, Option<std::net::TcpListener>)> {
    let mut attempts = if listen.port() == 0 { 20 } else { 1 };
    loop {
        attempts -= 1;
        let udp = std::net::UdpSocket::bind(listen)?;
        if !with_tcp {
            return Ok((udp, None));
        }
        match std::net::TcpListener::bind((listen.ip(), udp.local_addr()?.port())) {
            Ok(tcp) => return Ok((udp, Some(tcp))),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

/// The WebRTC port and the addresses that we send to browsers.
fn web_port(config: &Config) -> std::io::Result<WebRtcPortConfig> {
    let web = &config.webrtc;
    let (udp, tcp) = bind_web(web.listen, web.tcp)?;
    let port = udp.local_addr()?.port();
    // A thousand browsers send 50 packets a second each; the default buffer holds less than one turn of them.
    let socket = socket2::SockRef::from(&udp);
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    let at: Vec<SocketAddr> = config.web_addresses().into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let host_candidates = HostCandidates { tcp: if tcp.is_some() { at.clone() } else { Vec::new() }, udp: at };
    Ok(WebRtcPortConfig {
        udp,
        tcp,
        host_candidates,
        limits: web_stream_limits(&web.connections),
        report: Arc::default(),
    })
}

/// Base URL and signing key of links: the same after a restart and on every node.
async fn links(config: &Config, store: &Store, api_addr: SocketAddr) -> Result<PublicLinks, AppError> {
    let base_url = match config.api.public_url.trim_end_matches('/') {
        "" => format!("http://{api_addr}"),
        url => url.to_owned(),
    };
    let made: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = match config.api.token_secret.expose() {
        "" => store.get_or_create_setting("token_secret", &made).await?,
        secret => secret.to_owned(),
    };
    Ok(PublicLinks { base_url, secret: TokenSigner::new(&secret) })
}

fn mailer(config: &Config) -> Result<Option<Mailer>, AppError> {
    let smtp = &config.smtp;
    if smtp.host.is_empty() {
        return Ok(None);
    }
    let settings = SmtpSettings {
        host: smtp.host.clone(),
        port: smtp.port,
        username: smtp.username.clone(),
        password: smtp.password.clone(),
        from: smtp.from.clone(),
        tls: smtp.tls,
    };
    Mailer::new(&settings).map(Some).map_err(|error| AppError::Other(format!("smtp: {error}")))
}

fn workers(config: &Config) -> usize {
    match config.media.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        count => count,
    }
}

fn providers(config: &Config, guard: &EgressGuard) -> Result<ProviderRegistry, AppError> {
    let p = &config.providers;
    let deadlines = |one: crate::config::StageTimeoutsConfig| Deadlines {
        connect: Duration::from_millis(one.connect_ms),
        first_byte: Duration::from_millis(one.first_byte_ms),
        between_bytes: Duration::from_millis(one.between_bytes_ms),
    };
    let endpoint = |account: &ProviderAccount| {
        let own = p.account(*account);
        ProviderAccess {
            account: *account,
            base_url: own.base_url.clone(),
            api_key: own.api_key.clone(),
            api_version: own.api_version.clone(),
            concurrency_max: own.concurrency_max,
            is_customer_server: false,
            blocked: None,
        }
    };
    let timeouts = StageDeadlines {
        stt: deadlines(p.timeouts.stt),
        llm: deadlines(p.timeouts.llm),
        tts: deadlines(p.timeouts.tts),
        realtime: deadlines(p.timeouts.realtime),
    };
    let programs = LocalTtsPrograms { espeak: p.local.program.clone(), flite: p.local.flite_program.clone() };
    let endpoints = ProviderAccount::ALL.iter().map(endpoint).collect();
    ProviderRegistry::new(ProviderSettings { timeouts, endpoints, programs, guard: guard.clone() })
        .map_err(|error| AppError::Other(format!("HTTP client: {error}")))
}

async fn take_calls(context: &Arc<CallServices>, incoming: &mut mpsc::Receiver<IncomingCall>) {
    while let Some(call) = incoming.recv().await {
        supervision::spawn("call", inbound(context.clone(), call));
    }
}

fn start_workers(config: &Config) -> Result<MediaWorkers, AppError> {
    let mut workers = MediaWorkers::start(workers(config), ReceiveTimestamping::PerCycle)
        .map_err(|source| AppError::Io { what: "media workers".into(), source })?;
    if config.webrtc.enabled {
        let what = || format!("webrtc.listen {}", config.webrtc.listen);
        let port = web_port(config).map_err(|source| AppError::Io { what: what(), source })?;
        workers.start_webrtc(port).map_err(|source| AppError::Io { what: what(), source })?;
    }
    Ok(workers)
}

fn api_settings(config: &Config, demo: Option<crate::api::DemoSettings>) -> crate::api::ApiSettings {
    crate::api::ApiSettings {
        body_bytes_max: config.api.body_bytes_max,
        public_url: config.api.public_url.clone(),
        rate_limit_per_minute: config.api.rate_limit_per_minute,
        public_rate_limit_per_minute: config.api.public_rate_limit_per_minute,
        proxies: Arc::new(config.api.connections.proxies()),
        behind_proxy: config.api.behind_proxy,
        metrics: metrics::MetricsAuth::new(&config.metrics.token, config.metrics.listen.is_some()),
        allowed_origins: config.webrtc.allowed_origins.clone(),
        ice_servers: ice_servers(config),
        token_valid_s: config.webrtc.token_valid_s,
        live: LiveSocketLimits {
            probe_interval: Duration::from_millis(config.api.connections.live_probe_interval_ms),
            send: Duration::from_millis(config.api.connections.live_send_timeout_ms),
        },
        demo,
    }
}

fn ice_servers(config: &Config) -> Vec<crate::api::IceServerSettings> {
    let servers = config.webrtc.ice_servers.iter().cloned();
    servers
        .map(|IceServerConfig { url, username, credential }| crate::api::IceServerSettings {
            url,
            username,
            credential,
        })
        .collect()
}

#[cfg(test)]
mod tests;
