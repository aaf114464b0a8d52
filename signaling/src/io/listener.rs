//! Listeners: admission at accept, then TLS and WebSocket handshakes with deadlines.

use super::connection::{self, ConnectionEvent, ConnectionOpener, ConnectionPeer};
use super::connection_limits::{SipConnectionLimits, SipConnectionReports};
use crate::limits;
use crate::sip::user_agent::{InboundTrunks, Transport, TransportAddress};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use trunkline_connections::{
    Closed, ConnectionGuard, ConnectionPool, Eviction, KeyedTokenBuckets, PeerClass, SourceAddress, TokenRate,
};
use trunkline_supervision::{contain, spawn};

/// TLS handshakes per unknown source. Browsers behind one address reconnect together. A handshake takes up to 1 ms of
/// CPU.
const HANDSHAKES_PER_SOURCE: TokenRate = TokenRate { per_s: 10.0, burst: 50.0 };
/// TLS handshakes of all unknown sources: at most 20 % of a core.
const HANDSHAKES_ALL: TokenRate = TokenRate { per_s: 200.0, burst: 400.0 };

/// Pause after an error that would repeat at once.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The trunks' rules, as the user agent has them at the moment.
#[derive(Clone, Default)]
pub(super) struct TrunkAllowLists(Arc<RwLock<Arc<InboundTrunks>>>);

impl TrunkAllowLists {
    pub(super) fn set(&self, rules: Arc<InboundTrunks>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(super) fn standing(&self, ip: IpAddr) -> PeerClass {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if rules.is_preferred_source(ip) { PeerClass::Listed } else { PeerClass::Stranger }
    }
}

/// Protocol of a listener.
#[derive(Clone)]
pub(super) enum ListenerKind {
    Tcp,
    Tls(TlsAcceptor),
    Ws { acceptor: Option<TlsAcceptor>, origins: Arc<[String]> },
}

impl ListenerKind {
    fn transport(&self) -> Transport {
        match self {
            Self::Tcp => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Ws { acceptor: None, .. } => Transport::Ws,
            Self::Ws { acceptor: Some(_), .. } => Transport::Wss,
        }
    }

    fn has_tls(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Ws { acceptor: Some(_), .. })
    }
}

/// What all listeners share.
#[derive(Clone)]
pub(super) struct ListenerContext {
    pub connections: Arc<ConnectionPool>,
    pub reports: SipConnectionReports,
    pub lists: TrunkAllowLists,
    pub limits: SipConnectionLimits,
    pub events: mpsc::Sender<ConnectionEvent>,
}

/// Accepts until the user agent is gone.
pub(super) async fn listen(listener: TcpListener, kind: ListenerKind, admission: ListenerContext) {
    restart_on_panic(|| accept_loop(&listener, &kind, &admission)).await;
}

/// A panic ends one connection, not the listener.
async fn restart_on_panic<F: Future<Output = ()>>(mut work: impl FnMut() -> F) {
    while contain("sip_listener", work()).await.is_err() {
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn accept_loop(listener: &TcpListener, kind: &ListenerKind, admission: &ListenerContext) {
    let report = match kind {
        ListenerKind::Tcp => &admission.reports.tcp,
        ListenerKind::Tls(_) => &admission.reports.tls,
        ListenerKind::Ws { .. } => &admission.reports.websocket,
    }
    .clone();
    let mut handshakes = HandshakeLimiter::new(Instant::now().into());
    while !admission.events.is_closed() {
        let Ok((stream, addr)) = listener.accept().await else {
            // Out of file descriptors: wait instead of spinning.
            tokio::time::sleep(RETRY_PAUSE).await;
            continue;
        };
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let standing = admission.lists.standing(addr.ip());
        if kind.has_tls() && standing == PeerClass::Stranger && !handshakes.take(addr.ip()) {
            report.record_close_reason(Closed::RefusedRate);
            continue;
        }
        let Ok((place, eviction)) = admission.connections.open(addr.ip(), standing, &report) else { continue };
        let address = TransportAddress { transport: kind.transport(), addr };
        spawn("sip_connection", serve(stream, address, kind.clone(), place, eviction, admission.clone()));
    }
}

/// Handshakes of strangers.
struct HandshakeLimiter {
    sources: KeyedTokenBuckets<SourceAddress>,
    all: KeyedTokenBuckets<()>,
}

impl HandshakeLimiter {
    fn new(_: std::time::Instant) -> Self {
        Self { sources: KeyedTokenBuckets::new(limits::SOURCES_MAX), all: KeyedTokenBuckets::new(1) }
    }

    fn take(&mut self, ip: IpAddr) -> bool {
        let now = Instant::now().into();
        self.sources.take_token(now, SourceAddress::of(ip), HANDSHAKES_PER_SOURCE)
            && self.all.take_token(now, (), HANDSHAKES_ALL)
    }
}

async fn serve(
    stream: TcpStream, address: TransportAddress, kind: ListenerKind, place: ConnectionGuard, eviction: Eviction,
    admission: ListenerContext,
) {
    let place = Arc::new(place);
    let serving = async {
        let deadline = Instant::now() + admission.limits.handshake;
        let opened = match timeout_at(deadline, open(stream, &kind)).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return place.count(Closed::HandshakeFailed),
            Err(_) => return place.count(Closed::HandshakeTimeout),
        };
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        let event = ConnectionEvent::Opened { peer: address, queue, place: place.clone() };
        if admission.events.send(event).await.is_err() {
            return;
        }
        let peer = ConnectionPeer { address, place: place.clone(), limits: admission.limits, is_ours: false };
        match opened {
            AcceptedConnection::Plain(stream) => connection::run(stream, peer, outbound, &admission.events).await,
            AcceptedConnection::Tls(stream) => connection::run(*stream, peer, outbound, &admission.events).await,
            AcceptedConnection::Ws(socket) => {
                connection::run_websocket(*socket, peer, outbound, &admission.events).await
            }
            AcceptedConnection::Wss(socket) => {
                connection::run_websocket(*socket, peer, outbound, &admission.events).await
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = eviction.wait() => place.count(Closed::Evicted),
    }
    drop(place);
    // The driver recognizes a closed connection by its closed queue.
    let _ = admission.events.send(ConnectionEvent::Closed { peer: address, opener: ConnectionOpener::Peer }).await;
}

enum AcceptedConnection {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Ws(Box<WebSocketStream<TcpStream>>),
    Wss(Box<WebSocketStream<tokio_rustls::server::TlsStream<TcpStream>>>),
}

async fn open(stream: TcpStream, kind: &ListenerKind) -> Option<AcceptedConnection> {
    let _ = stream.set_nodelay(true);
    Some(match kind {
        ListenerKind::Tcp => AcceptedConnection::Plain(stream),
        ListenerKind::Tls(acceptor) => AcceptedConnection::Tls(Box::new(acceptor.accept(stream).await.ok()?)),
        ListenerKind::Ws { acceptor: None, origins } => {
            AcceptedConnection::Ws(Box::new(upgrade(stream, origins).await.ok()?))
        }
        ListenerKind::Ws { acceptor: Some(acceptor), origins } => {
            AcceptedConnection::Wss(Box::new(upgrade(acceptor.accept(stream).await.ok()?, origins).await.ok()?))
        }
    })
}

/// A WebSocket of the sub-protocol `sip` (RFC 7118 section 4), from an origin that may.
#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S, origins: &[String],
) -> Result<WebSocketStream<S>, tungstenite::Error> {
    let refuse = |status, why: &str| {
        let mut response = ErrorResponse::new(Some(why.to_owned()));
        *response.status_mut() = status;
        response
    };
    let check = |request: &Request, mut response: Response| {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let speaks_sip = header("sec-websocket-protocol")
            .is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("sip")));
        if !speaks_sip {
            return Err(refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Protocol: sip is needed"));
        }
        let allowed = origins.is_empty() || header("origin").is_some_and(|origin| origins.iter().any(|o| o == origin));
        if !allowed {
            return Err(refuse(StatusCode::FORBIDDEN, "This origin may not connect"));
        }
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sip"));
        Ok(response)
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits::MESSAGE_BYTES_MAX))
        .max_frame_size(Some(limits::MESSAGE_BYTES_MAX))
        // Do not queue further pongs if the peer does not read.
        .write_buffer_size(0)
        .max_write_buffer_size(2 * limits::MESSAGE_BYTES_MAX);
    accept_hdr_async_with_config(stream, check, Some(config)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::SipConnectionLimits;

    /// A proxy of an unlisted provider may open many connections at once; only handshakes cost more than a packet.
    #[tokio::test]
    async fn strangers_without_tls_are_not_held_to_the_rate_of_handshakes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, limits) = (listener.local_addr().unwrap(), SipConnectionLimits::default());
        let (events, mut opened) = mpsc::channel(1_000);
        let context = ListenerContext {
            connections: ConnectionPool::new(limits.caps),
            reports: SipConnectionReports::default(),
            lists: TrunkAllowLists::default(),
            limits,
            events,
        };
        let refused = context.reports.tcp.clone();
        spawn("test", listen(listener, ListenerKind::Tcp, context));
        let (mut peers, mut queues) = (Vec::new(), Vec::new());
        while peers.len() < limits.caps.per_source {
            peers.push(TcpStream::connect(addr).await.unwrap());
            let event = timeout_at(Instant::now() + Duration::from_secs(20), opened.recv()).await;
            assert!(matches!(event, Ok(Some(ConnectionEvent::Opened { .. }))), "{}: {event:?}", peers.len());
            queues.push(event); // without its queue a connection is closed
        }
        assert_eq!((peers.len(), refused.closed_for(Closed::RefusedRate)), (64, 0));
    }

    #[tokio::test]
    async fn a_listener_outlives_a_panic() {
        let mut rounds = 0;
        restart_on_panic(|| {
            rounds += 1;
            let is_last = rounds == 3;
            async move { assert!(is_last, "on purpose") }
        })
        .await;
        assert_eq!(rounds, 3);
    }
}
