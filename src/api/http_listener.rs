//! The HTTP listener of the API: connection limits and deadlines. HTTP/1.1 only; use a proxy for HTTP/2.
#![expect(clippy::disallowed_methods, reason = "a listener starts a task for each connection")]

use super::body::{MinimumRateBody, ResponseBody};
use super::request_deadline::{RequestDeadline, RequestProgress};
use crate::store::OrgScope;
use crate::supervision;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::error::Error as _;
use std::future::Future;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use trunkline_connections::{
    Closed, ConnectionCounters, ConnectionGuard, ConnectionPool, ConnectionRefusedError, Eviction, MinimumRateStream,
    NetworkList, PeerClass,
};

/// Minimum transfer rate of bodies in both directions, in bytes per second.
const BYTES_PER_S_MIN: u64 = 1_000;

/// Request line and headers, and what is kept of a body or an answer: cookies and tokens of all sorts fit.
const HEAD_BYTES_MAX: usize = 64 * 1_024;

/// The client of a connection.
#[derive(Clone, Copy, Debug)]
pub struct RemoteAddr(pub SocketAddr);

/// Limits of the API's connections.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Request line and headers, from their first byte on; of the first request, from the connection on.
    pub headers: Duration,
    /// Between an answer and the first byte of the next request.
    pub idle: Duration,
    /// Of a body that is sent, and of an answer that is read: in each such time at least a thousand bytes a second.
    pub transfer: Duration,
    /// Many clients come from there: not counted by address.
    pub proxies: Arc<NetworkList>,
    /// Everybody comes from a proxy.
    pub behind_proxy: bool,
}

impl HttpLimits {
    fn standing(&self, remote: SocketAddr) -> PeerClass {
        let is_proxy = self.proxies.contain(remote.ip()) || (self.behind_proxy && self.proxies.is_empty());
        if is_proxy { PeerClass::Exempt } else { PeerClass::Stranger }
    }
}

/// The connection slot of the connection that a request came by.
#[derive(Clone, Debug)]
pub(super) struct ConnectionPlace(Arc<ConnectionGuard>);

impl ConnectionPlace {
    /// Assigns the connection to an organization; false when that has too many. Connections of a proxy belong to no
    /// organization.
    pub(super) fn belongs_to(&self, scope: OrgScope) -> bool {
        let tenant = BuildHasherDefault::<DefaultHasher>::default().hash_one(scope);
        self.0.standing() == PeerClass::Exempt || self.0.assign_tenant(tenant)
    }
}

/// The port and what is served on it.
#[derive(Debug)]
pub struct HttpListener {
    /// Bound TCP socket that accepts the connections.
    pub listener: TcpListener,
    /// Routes served on this port: the whole API, or `/metrics` alone.
    pub router: Router,
    /// Deadlines of each connection, and the proxies that are not counted by address.
    pub limits: HttpLimits,
    /// Caps on open connections. At a cap the oldest idle one is closed; if none is idle, a new one gets 503.
    pub connections: Arc<ConnectionPool>,
    /// Counts accepted, open and closed connections for the metrics.
    pub report: Arc<ConnectionCounters>,
}

/// Serves until the server stops.
pub async fn serve(serving: &HttpListener, mut stopped: watch::Receiver<bool>) {
    let HttpListener { listener, router, limits, connections, report } = serving;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, remote)) = accepted else {
            // Out of file descriptors: wait for some to be closed instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        match connections.open(remote.ip(), limits.standing(remote), report) {
            Ok((place, eviction)) => {
                let (router, limits, place) = (router.clone(), limits.clone(), Arc::new(place));
                supervision::spawn("api_connection", connection(stream, remote, router, limits, place, eviction));
            }
            Err(error) => reject(&stream, error),
        }
    }
}

/// Sends a 503 that says why, if it fits into the empty send buffer.
fn reject(stream: &TcpStream, error: ConnectionRefusedError) {
    let why = match error {
        ConnectionRefusedError::Source => "Too many connections from this address",
        ConnectionRefusedError::Total => "Too many connections",
    };
    let body = serde_json::json!({"error": why, "details": {"code": "too_many_connections"}}).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

async fn connection(
    stream: TcpStream, remote: SocketAddr, router: Router, limits: HttpLimits, place: Arc<ConnectionGuard>,
    eviction: Eviction,
) {
    let _ = stream.set_nodelay(true);
    let (answered, progress) = (Arc::new(AtomicBool::new(false)), Arc::new(RequestProgress::default()));
    let service = ConnectionService {
        remote,
        router: TowerToHyperService::new(router),
        place: place.clone(),
        answered: answered.clone(),
        progress: progress.clone(),
        transfer: limits.transfer,
    };
    let stream = MinimumRateStream::new(stream, limits.transfer, BYTES_PER_S_MIN);
    let stream = RequestDeadline::new(stream, limits.headers, progress.clone());
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle.max(limits.headers)).max_buf_size(HEAD_BYTES_MAX);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let result = tokio::select! {
        result = serving => result,
        () = eviction.wait() => return place.count(Closed::Evicted),
    };
    // A client that disconnects in the middle is not an error.
    let Err(error) = result else { return };
    let write = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let was_answered = answered.load(Ordering::Relaxed);
    if progress.is_late() {
        place.count(if was_answered { Closed::MessageTimeout } else { Closed::FirstMessageTimeout });
    } else if write.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
        place.count(Closed::WriteTimeout);
    } else if error.is_timeout() {
        place.count(Closed::IdleTimeout);
    } else if error.is_parse() {
        place.count(Closed::Malformed);
    }
}

/// The router for one connection: it tells handlers the remote address and tells the connection slot whether a request
/// is in progress.
struct ConnectionService {
    remote: SocketAddr,
    router: TowerToHyperService<Router>,
    place: Arc<ConnectionGuard>,
    answered: Arc<AtomicBool>,
    progress: Arc<RequestProgress>,
    transfer: Duration,
}

impl hyper::service::Service<hyper::Request<Incoming>> for ConnectionService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        self.progress.begin_answer();
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(RemoteAddr(self.remote));
        parts.extensions.insert(ConnectionPlace(self.place.clone()));
        if body.is_end_stream() {
            self.place.mark_busy();
        }
        let body = MinimumRateBody::new(body, self.transfer, BYTES_PER_S_MIN, self.place.clone());
        let answer = self.router.call(hyper::Request::from_parts(parts, body));
        let (place, answered, progress) = (self.place.clone(), self.answered.clone(), self.progress.clone());
        Box::pin(async move {
            // Pipelined requests yield to requests of other connections.
            tokio::task::yield_now().await;
            let response = answer.await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // From here the handler keeps the deadline; the connection slot stays busy until it returns.
                place.mark_busy();
                return Ok(response);
            }
            let done = move || {
                answered.store(true, Ordering::Relaxed);
                progress.end_answer();
                place.mark_idle();
            };
            Ok(response.map(|body| Body::new(ResponseBody::new(body, done))))
        })
    }
}
