//! Opens, binds, builds, serves, drains. Wiring only: every decision is somewhere else.
#![expect(clippy::disallowed_methods, reason = "the root starts the tasks of the process")]

use crate::api::{Api, router::router};
use crate::call::driver::{Context, Limits, Remote, Trunks, WebCalls, WebLimits, inbound, watch_trunks, wrap_up};
use crate::call::links::Links;
use crate::call::registry::Registry;
use crate::config::{Config, IceServer};
use crate::domain::end_reason::EndReason;
use crate::domain::provider::Account;
use crate::outbox::driver::{self as outbox, Outbox};
use crate::outbox::mail::{Mailer, SmtpSettings};
use crate::providers::{Deadlines, Endpoint, Programs, Providers, Settings, Timeouts};
use crate::scheduler::driver as scheduler;
use crate::stir::{self, Verifier};
use crate::store::journal::Journal;
use crate::store::live_tokens::TokenSecret;
use crate::store::secrets::MasterKey;
use crate::store::{Store, StoreError};
use crate::telemetry::spans::Spans;
use crate::webhooks::sender::Sender;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use trunkline_media::io::arrival::Arrival;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::worker::{WebPort, Workers};
use trunkline_media::transport::webrtc::Reach;
use trunkline_signaling::io::driver::{self as sip, IncomingCall, Listen, Started};
use trunkline_signaling::io::public_address;
use trunkline_signaling::io::tls::{Certificates, Files};
use trunkline_signaling::sip::endpoint::Config as SipConfig;

/// Inbound calls that wait for a task of their own; more are answered 503.
const WAITING_CALLS_MAX: usize = 1_024;
/// A client must send its request line and headers in this time.
const HEADER_DEADLINE: Duration = Duration::from_secs(15);
/// API connections held at once.
const CONNECTIONS_MAX: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Other(String),
}

/// How long the last entries of ended calls may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);

/// How long a delivery or a report that is under way may take.
const WORKERS_DEADLINE: Duration = Duration::from_secs(15);

/// How often metrics are tidied up.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// A running server.
#[derive(Debug)]
pub struct App {
    pub context: Arc<Context>,
    pub api_addr: SocketAddr,
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

    /// The same with what a demo shows.
    pub async fn start_with(
        config: &Config, prometheus: PrometheusHandle, demo: Option<crate::api::Demo>,
    ) -> Result<Self, AppError> {
        // One file descriptor for each socket of each call.
        let _ = rlimit::increase_nofile_limit(1 << 20);
        let store = open_store(&config.database.url).await?;
        let advertised = advertised(config).await?;
        let fault = |source| AppError::Io { what: format!("sip.listen {}", config.sip.listen), source };
        let listen = sip_listen(config).map_err(fault)?;
        let started = sip::start(listen, sip_config(config, advertised), rand::random(), WAITING_CALLS_MAX).await;
        let Started { handle: sip, incoming, registrations } = started.map_err(fault)?;
        let listener = TcpListener::bind(config.api.listen)
            .await
            .map_err(|source| AppError::Io { what: format!("api.listen {}", config.api.listen), source })?;
        let api_addr = listener.local_addr().map_err(|source| AppError::Io { what: "api.listen".into(), source })?;
        let registry = Registry::default();
        let context = Arc::new(Context {
            sip,
            workers: start_workers(config)?,
            ports: PortPool::new(config.media_bind(), config.media.port_first, config.media.port_last),
            providers: providers(config)?,
            stir: stir(config)?,
            journal: Journal::start(store.clone()),
            remote: Remote::start(&store, &registry),
            registry,
            web_calls: WebCalls::default(),
            trunks: Trunks::default(),
            registers: config.sip.register,
            media_addr: advertised,
            media_addr_other: config.sip.advertised_address_other,
            recordings: PathBuf::from(&config.recordings.folder),
            limits: limits(config),
            webhooks: Sender::new(config.webhooks.allow_private)
                .map_err(|error| AppError::Other(format!("webhook client: {error}")))?,
            prices: config.prices.clone(),
            links: links(config, &store, api_addr).await?,
            node: if config.node.name.is_empty() { uuid::Uuid::new_v4().to_string() } else { config.node.name.clone() },
            master_key: (!config.secrets.master_key.is_empty()).then(|| MasterKey::new(&config.secrets.master_key)),
            spans: Spans::start(&config.telemetry.otlp_endpoint).map_err(AppError::Other)?,
            sends_mail: !config.smtp.host.is_empty(),
            store,
        });
        scheduler::sweep(&context, true).await?;
        context.reload_trunks().await?;
        let (stop, stopped) = watch::channel(false);
        let (stop_workers, drained) = watch::channel(false);
        tokio::spawn(keep_metrics(prometheus.clone(), stopped.clone()));
        let outbox = Outbox { store: context.store.clone(), sender: context.webhooks.clone(), mailer: mailer(config)? };
        let workers = vec![
            tokio::spawn(outbox::run(outbox, drained.clone())),
            tokio::spawn(wrap_up(context.clone(), drained.clone())),
            tokio::spawn(scheduler::run(context.clone(), stopped.clone())),
            tokio::spawn(follow_trunks(context.clone(), stopped.clone())),
            tokio::spawn(scheduler::keep_house(context.clone(), drained)),
        ];
        let api = Api::new(context.clone(), prometheus, api_settings(config, demo));
        tokio::spawn(serve(listener, router(api), stopped));
        tokio::spawn(take_calls(context.clone(), incoming));
        tokio::spawn(watch_trunks(context.clone(), registrations));
        let sip_addr = context.sip.local_udp();
        tracing::info!(api = %api_addr, sip = %sip_addr, advertised = %advertised, "trunkline is ready");
        Ok(Self {
            context,
            api_addr,
            drain_timeout: Duration::from_millis(config.calls.drain_timeout_ms),
            stop,
            stop_workers,
            workers,
        })
    }

    /// Ends in order: no new requests and calls, calls may finish until the deadline, then they are ended.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        // Carriers take their calls to the next server (503 with Retry-After).
        self.context.sip.set_calls_max(0).await;
        // Providers that deliver to a registration are told as well.
        self.context.sip.set_registrations(Vec::new()).await;
        let registry = &self.context.registry;
        if registry.count() > 0 {
            tracing::info!(calls = registry.count(), "waiting for calls to end");
        }
        if tokio::time::timeout(self.drain_timeout, registry.drained()).await.is_err() {
            registry.end_all(EndReason::ServerShutdown);
            let _ = tokio::time::timeout(Duration::from_secs(5), registry.drained()).await;
        }
        // A database that is away does not keep the process alive.
        if !self.context.journal.flush(FLUSH_DEADLINE).await {
            tracing::error!("the database does not take the last entries");
        }
        // What they are doing is finished; what they have not begun is in the database.
        self.stop_workers.send_replace(true);
        for worker in self.workers {
            let _ = tokio::time::timeout(WORKERS_DEADLINE, worker).await;
        }
        let _ = self.context.store.leave(&self.context.node).await;
        self.context.store.close().await;
    }
}

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

/// What carriers reach us by: as it is set, as a STUN server sees it, or the address of the default route.
async fn advertised(config: &Config) -> Result<IpAddr, AppError> {
    let server = config.sip.stun_server.as_str();
    if server.is_empty() || config.sip.advertised_address.is_some() {
        return Ok(config.advertised());
    }
    let fault = |source| AppError::Io { what: "sip.stun_server".to_owned(), source };
    public_address(server, rand::random()).await.map_err(fault)
}

fn sip_config(config: &Config, advertised: IpAddr) -> SipConfig {
    SipConfig {
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

fn sip_listen(config: &Config) -> std::io::Result<Listen> {
    let path = |text: &str| (!text.is_empty()).then(|| std::path::PathBuf::from(text));
    let tls = &config.sip.tls;
    let certificates = Certificates::load(&Files {
        certificate: path(&tls.certificate),
        private_key: path(&tls.private_key),
        client_roots: path(&tls.client_roots),
        client_certificate_required: tls.client_certificate_required,
        roots: path(&tls.roots),
    })?;
    let ws = &config.sip.websocket;
    Ok(Listen {
        sip: config.sip.listen,
        tls: tls.listen,
        ws: ws.listen,
        ws_is_secure: ws.secure,
        ws_origins: ws.allowed_origins.clone(),
        certificates,
        dns_server: config.sip.dns_server,
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        ring_timeout: Duration::from_millis(config.calls.ring_timeout_ms),
        network_timeout: Duration::from_millis(config.media.network_timeout_ms),
        calls_max: config.calls.calls_max,
        web: WebLimits {
            token_valid: Duration::from_secs(config.webrtc.token_valid_s),
            connect: Duration::from_millis(config.webrtc.connect_timeout_ms),
            calls_per_token: config.webrtc.calls_per_token,
            calls_per_address: config.webrtc.calls_per_address,
        },
    }
}

fn stir(config: &Config) -> Result<Verifier, AppError> {
    let stir = &config.sip.stir;
    let fault = |why: String| AppError::Other(format!("sip.stir.roots {}: {why}", stir.roots));
    let roots = match stir.roots.as_str() {
        "" => None,
        path => Some(std::fs::read(path).map_err(|error| fault(error.to_string()))?),
    };
    let settings = stir::Settings { roots, max_age_s: stir.max_age_s as i64, allow_private: stir.allow_private };
    Verifier::new(&settings).map_err(fault)
}

/// The same port of UDP and TCP; when any will do, another one where TCP's is taken.
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

/// The browsers' port, and what they are told of it.
fn web_port(config: &Config) -> std::io::Result<WebPort> {
    let web = &config.webrtc;
    let (udp, tcp) = bind_web(web.listen, web.tcp)?;
    let port = udp.local_addr()?.port();
    // A thousand browsers send 50 packets a second each; the default holds less than a turn of them.
    let socket = socket2::SockRef::from(&udp);
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    let at: Vec<SocketAddr> = config.web_addresses().into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let reach = Reach { tcp: if tcp.is_some() { at.clone() } else { Vec::new() }, udp: at };
    Ok(WebPort { udp, tcp, reach })
}

/// Trunks that another process changed hold here too.
async fn follow_trunks(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = context.remote.trunks_changed() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = context.reload_trunks().await {
            tracing::error!(%error, "trunks cannot be read again");
        }
    }
}

/// What links start with, and what signs them: the same after a restart, and on every node.
async fn links(config: &Config, store: &Store, api_addr: SocketAddr) -> Result<Links, AppError> {
    let base_url = match config.api.public_url.trim_end_matches('/') {
        "" => format!("http://{api_addr}"),
        url => url.to_owned(),
    };
    let made: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = match config.api.token_secret.as_str() {
        "" => store.setting("token_secret", &made).await?,
        secret => secret.to_owned(),
    };
    Ok(Links { base_url, secret: TokenSecret::new(&secret) })
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

/// Folds recorded values into their buckets; without it they pile up until somebody asks for them.
async fn keep_metrics(prometheus: PrometheusHandle, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(METRICS_UPKEEP, stopped.changed()).await.is_err() {
        metrics::gauge!("trunkline_tasks").set(tokio::runtime::Handle::current().metrics().num_alive_tasks() as f64);
        prometheus.run_upkeep();
    }
}

fn workers(config: &Config) -> usize {
    match config.media.workers {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
        count => count,
    }
}

fn providers(config: &Config) -> Result<Providers, AppError> {
    let p = &config.providers;
    let deadlines = |one: crate::config::StageTimeouts| Deadlines {
        connect: Duration::from_millis(one.connect_ms),
        first_byte: Duration::from_millis(one.first_byte_ms),
        between_bytes: Duration::from_millis(one.between_bytes_ms),
    };
    let endpoint = |account: &Account| {
        let own = p.account(*account);
        Endpoint {
            account: *account,
            base_url: own.base_url.clone(),
            api_key: own.api_key.clone(),
            api_version: own.api_version.clone(),
            concurrency_max: own.concurrency_max,
            is_customers: false,
        }
    };
    let timeouts = Timeouts {
        stt: deadlines(p.timeouts.stt),
        llm: deadlines(p.timeouts.llm),
        tts: deadlines(p.timeouts.tts),
        engine: deadlines(p.timeouts.engine),
    };
    let programs = Programs { espeak: p.local.program.clone(), flite: p.local.flite_program.clone() };
    let endpoints = Account::ALL.iter().map(endpoint).collect();
    Providers::new(Settings { timeouts, endpoints, programs, allow_private: p.allow_private })
        .map_err(|error| AppError::Other(format!("HTTP client: {error}")))
}

async fn take_calls(context: Arc<Context>, mut incoming: mpsc::Receiver<IncomingCall>) {
    while let Some(call) = incoming.recv().await {
        tokio::spawn(inbound(context.clone(), call));
    }
}

/// The router, for one connection: requests know whom they come from.
#[derive(Clone)]
struct Connection {
    remote: SocketAddr,
    router: TowerToHyperService<axum::Router>,
}

impl hyper::service::Service<hyper::Request<hyper::body::Incoming>> for Connection {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future =
        <TowerToHyperService<axum::Router> as hyper::service::Service<hyper::Request<hyper::body::Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<hyper::body::Incoming>) -> Self::Future {
        request.extensions_mut().insert(crate::api::Remote(self.remote));
        self.router.call(request)
    }
}

fn start_workers(config: &Config) -> Result<Workers, AppError> {
    let mut workers = Workers::start(workers(config), Arrival::Turn)
        .map_err(|source| AppError::Io { what: "media workers".into(), source })?;
    if config.webrtc.enabled {
        let what = || format!("webrtc.listen {}", config.webrtc.listen);
        let port = web_port(config).map_err(|source| AppError::Io { what: what(), source })?;
        workers.start_web(port).map_err(|source| AppError::Io { what: what(), source })?;
    }
    Ok(workers)
}

fn api_settings(config: &Config, demo: Option<crate::api::Demo>) -> crate::api::Settings {
    crate::api::Settings {
        body_bytes_max: config.api.body_bytes_max,
        public_url: config.api.public_url.clone(),
        rate_limit_per_minute: config.api.rate_limit_per_minute,
        public_rate_limit_per_minute: config.api.public_rate_limit_per_minute,
        behind_proxy: config.api.behind_proxy,
        allowed_origins: config.webrtc.allowed_origins.clone(),
        ice_servers: ice_servers(config),
        token_valid_s: config.webrtc.token_valid_s,
        demo,
    }
}

fn ice_servers(config: &Config) -> Vec<crate::api::IceServer> {
    let servers = config.webrtc.ice_servers.iter().cloned();
    servers.map(|IceServer { url, username, credential }| crate::api::IceServer { url, username, credential }).collect()
}

async fn serve(listener: TcpListener, router: axum::Router, mut stopped: watch::Receiver<bool>) {
    let permits = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => Some(accepted),
            _ = stopped.changed() => None,
        };
        let (stream, remote) = match accepted {
            Some(Ok(accepted)) => accepted,
            // Out of file descriptors: wait for some to come back instead of spinning.
            Some(Err(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            None => return,
        };
        let service = Connection { remote, router: TowerToHyperService::new(router.clone()) };
        tokio::spawn(async move {
            let _permit = permit;
            let _ = stream.set_nodelay(true);
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
            // A client that goes away in the middle is nobody's error.
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}
