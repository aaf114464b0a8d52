//! Connections (TCP, TLS, WebSocket): framing on the way in, one bounded queue on the way out. Knows no SIP beyond
//! framing.

use crate::limits;
use crate::sip::endpoint::{Address, Transport};
use crate::sip::message::parse::{self, Framed, Parsed};
use crate::sip::transaction::Wire;
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// A peer that started a message must finish it in this time.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);
/// A connection without a byte for this long is closed: longer than any keep-alive in use (RFC 5626: 120 s).
const IDLE: Duration = Duration::from_secs(1_800);
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// TLS and WebSocket handshakes of those who connect to us.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// What we opened is kept open through NATs (RFC 5626 section 4.4.1 and RFC 6223 suggest up to 120 s).
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Something to write, and the transaction to tell when it cannot be written.
pub(super) type Outbound = (Wire, Option<Arc<str>>);

#[derive(Debug)]
pub(super) enum StreamEvent {
    Opened { peer: Address, queue: mpsc::Sender<Outbound> },
    Received { peer: Address, parsed: Parsed },
    Closed { peer: Address },
    Unreachable { transaction: Arc<str>, why: String },
}

/// What stands between a listener and SIP.
#[derive(Clone)]
pub(super) enum Door {
    Tcp,
    Tls(TlsAcceptor),
    Ws { acceptor: Option<TlsAcceptor>, origins: Arc<[String]> },
}

impl Door {
    fn transport(&self) -> Transport {
        match self {
            Self::Tcp => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Ws { acceptor: None, .. } => Transport::Ws,
            Self::Ws { acceptor: Some(_), .. } => Transport::Wss,
        }
    }
}

pub(super) async fn accept_loop(listener: TcpListener, door: Door, events: mpsc::Sender<StreamEvent>) {
    // Handshakes cost more than connections: only so many at once.
    let handshakes = Arc::new(tokio::sync::Semaphore::new(limits::HANDSHAKES_MAX));
    while !events.is_closed() {
        let Ok((stream, addr)) = listener.accept().await else {
            // Out of file descriptors: wait for some to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let peer = Address { transport: door.transport(), addr };
        let Ok(permit) = handshakes.clone().try_acquire_owned() else { continue };
        let (door, events) = (door.clone(), events.clone());
        tokio::spawn(async move {
            let opened = timeout(HANDSHAKE_DEADLINE, open(stream, &door)).await;
            drop(permit);
            let Ok(Some(opened)) = opened else { return };
            let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
            if events.send(StreamEvent::Opened { peer, queue }).await.is_err() {
                return;
            }
            match opened {
                Opened::Plain(stream) => run(stream, peer, outbound, events, false).await,
                Opened::Tls(stream) => run(*stream, peer, outbound, events, false).await,
                Opened::Ws(socket) => run_ws(*socket, peer, outbound, events).await,
                Opened::Wss(socket) => run_ws(*socket, peer, outbound, events).await,
            }
        });
    }
}

enum Opened {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    Ws(Box<WebSocketStream<TcpStream>>),
    Wss(Box<WebSocketStream<tokio_rustls::server::TlsStream<TcpStream>>>),
}

async fn open(stream: TcpStream, door: &Door) -> Option<Opened> {
    let _ = stream.set_nodelay(true);
    Some(match door {
        Door::Tcp => Opened::Plain(stream),
        Door::Tls(acceptor) => Opened::Tls(Box::new(acceptor.accept(stream).await.ok()?)),
        Door::Ws { acceptor: None, origins } => Opened::Ws(Box::new(upgrade(stream, origins).await.ok()?)),
        Door::Ws { acceptor: Some(acceptor), origins } => {
            Opened::Wss(Box::new(upgrade(acceptor.accept(stream).await.ok()?, origins).await.ok()?))
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
        .max_frame_size(Some(limits::MESSAGE_BYTES_MAX));
    accept_hdr_async_with_config(stream, check, Some(config)).await
}

/// Connects and then serves the connection; what waits in the queue is written first. `secure`: over TLS, to a host of
/// that name.
pub(super) async fn connect(
    peer: Address, secure: Option<(TlsConnector, String)>, mut outbound: mpsc::Receiver<Outbound>,
    events: mpsc::Sender<StreamEvent>,
) {
    let opening = async {
        let stream = TcpStream::connect(peer.addr).await.map_err(|error| format!("connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let Some((connector, name)) = secure else { return Ok((Some(stream), None)) };
        let name = ServerName::try_from(name).map_err(|error| format!("TLS: {error}"))?;
        let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        Ok((None, Some(stream)))
    };
    let why = match timeout(CONNECT_DEADLINE, opening).await {
        Ok(Ok((Some(stream), _))) => return run(stream, peer, outbound, events, true).await,
        Ok(Ok((_, Some(stream)))) => return run(stream, peer, outbound, events, true).await,
        Ok(Ok((None, None))) => return,
        Ok(Err(why)) => why,
        Err(_) => "connect: deadline passed".to_owned(),
    };
    outbound.close();
    while let Some((_, transaction)) = outbound.recv().await {
        if let Some(transaction) = transaction {
            let _ = events.send(StreamEvent::Unreachable { transaction, why: why.clone() }).await;
        }
    }
    let _ = events.send(StreamEvent::Closed { peer }).await;
}

async fn run<S: AsyncRead + AsyncWrite>(
    stream: S, peer: Address, mut outbound: mpsc::Receiver<Outbound>, events: mpsc::Sender<StreamEvent>, ours: bool,
) {
    let (mut read, mut write) = tokio::io::split(stream);
    let mut buffer: Vec<u8> = Vec::with_capacity(2_048);
    // Of a message that has begun, however slowly it comes.
    let mut begun: Option<Instant> = None;
    let mut keep_alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    loop {
        let until = begun.map_or_else(|| Instant::now() + IDLE, |begun| begun + MESSAGE_DEADLINE);
        tokio::select! {
            received = timeout_at(until, read.read_buf(&mut buffer)) => {
                let open = matches!(received, Ok(Ok(count)) if count > 0);
                if !open || !take_messages(&mut buffer, peer, &events).await {
                    break;
                }
                begun = if buffer.is_empty() { None } else { begun.or_else(|| Some(Instant::now())) };
            }
            next = outbound.recv() => {
                let Some((wire, _)) = next else { break };
                if !write_all(&mut write, &wire).await {
                    break;
                }
            }
            _ = keep_alive.tick(), if ours => {
                if !write_all(&mut write, b"\r\n\r\n").await {
                    break;
                }
            }
        }
    }
    // Answers that are still queued, such as the 400 to what broke the framing.
    while let Ok((wire, _)) = outbound.try_recv() {
        if !write_all(&mut write, &wire).await {
            break;
        }
    }
    let _ = timeout(WRITE_DEADLINE, write.shutdown()).await;
    drop(outbound); // the driver tells a closed connection by its queue
    let _ = events.send(StreamEvent::Closed { peer }).await;
}

async fn write_all(write: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    let written = async {
        write.write_all(bytes).await?;
        write.flush().await
    };
    matches!(timeout(WRITE_DEADLINE, written).await, Ok(Ok(())))
}

/// Hands complete messages on; false when the stream cannot be read any further.
async fn take_messages(buffer: &mut Vec<u8>, peer: Address, events: &mpsc::Sender<StreamEvent>) -> bool {
    loop {
        match parse::stream(buffer) {
            _ if buffer.is_empty() => return true,
            Framed::Partial => return true,
            Framed::Complete { consumed, parsed } => {
                buffer.drain(..consumed);
                if events.send(StreamEvent::Received { peer, parsed }).await.is_err() {
                    return false;
                }
            }
            Framed::Broken { parsed } => {
                let _ = events.send(StreamEvent::Received { peer, parsed }).await;
                // The answer is made by the driver; give it the chance to reach our queue.
                tokio::task::yield_now().await;
                return false;
            }
        }
    }
}

/// One SIP message a frame (RFC 7118 section 5).
async fn run_ws<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>, peer: Address, mut outbound: mpsc::Receiver<Outbound>,
    events: mpsc::Sender<StreamEvent>,
) {
    let (mut sink, mut stream) = socket.split();
    loop {
        tokio::select! {
            received = timeout(IDLE, stream.next()) => {
                let Ok(Some(Ok(frame))) = received else { break };
                let parsed = match &frame {
                    Frame::Text(text) => parse::datagram(text.as_bytes()),
                    Frame::Binary(bytes) => parse::datagram(bytes),
                    Frame::Close(_) => break,
                    _ => continue, // pings are answered by the library
                };
                if events.send(StreamEvent::Received { peer, parsed }).await.is_err() {
                    break;
                }
            }
            next = outbound.recv() => {
                let Some((wire, _)) = next else { break };
                let frame = match std::str::from_utf8(&wire) {
                    Ok(text) => Frame::text(text),
                    Err(_) => Frame::binary(wire.to_vec()),
                };
                if !matches!(timeout(WRITE_DEADLINE, sink.send(frame)).await, Ok(Ok(()))) {
                    break;
                }
            }
        }
    }
    let _ = timeout(WRITE_DEADLINE, sink.close()).await;
    drop(outbound);
    let _ = events.send(StreamEvent::Closed { peer }).await;
}
