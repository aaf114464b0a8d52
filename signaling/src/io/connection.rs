//! Connections (TCP, TLS, WebSocket): framing of received bytes, one bounded send queue, and a deadline for every wait.
//! Knows no SIP beyond framing.

use super::connection_keep_alive::{ConnectionKeepAlive, KeepAliveAction, PongDemand};
use super::connection_limits::SipConnectionLimits;
use crate::limits;
use crate::sip::message::framing::{Framed, Framer};
use crate::sip::message::parse::{self, ParsedMessage};
use crate::sip::message_log::MessageExcerpt;
use crate::sip::transaction::MessageBytes;
use crate::sip::user_agent::TransportAddress;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use trunkline_connections::{Closed, ConnectionGuard, Eviction, TokenBucket, TokenRate};

const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// Time between two segments after which their line ends are two keep-alives: a client sends one every half minute, and
/// gives a ping up after ten seconds (RFC 5626 section 4.4.1).
const LINE_END_PAUSE: Duration = Duration::from_secs(5);
/// Read buffer size. With the largest message it bounds the memory per connection.
const READ_BYTES: usize = 4_096;

/// Message rate of a connection from an unknown peer, equal to the rate limit per source (`sip/rate_limit`). Further
/// messages are not read yet, so they wait at the sender.
const STRANGER_MESSAGES: TokenRate = TokenRate { per_s: 100.0, burst: 400.0 };
/// Until the next one may be read.
const STRANGER_PAUSE: Duration = Duration::from_millis(10);

/// Something to write, and the transaction to tell when it cannot be written.
pub(super) type OutboundMessage = (MessageBytes, Option<Arc<str>>);

#[derive(Debug)]
pub(super) enum ConnectionEvent {
    Opened {
        peer: TransportAddress,
        queue: mpsc::Sender<OutboundMessage>,
        place: Arc<ConnectionGuard>,
    },
    /// One that we opened: its certificate is right.
    Verified {
        peer: TransportAddress,
        place: Arc<ConnectionGuard>,
    },
    Received {
        peer: TransportAddress,
        parsed: ParsedMessage,
        /// As it came, for the message log.
        excerpt: MessageExcerpt,
    },
    Closed {
        peer: TransportAddress,
        opener: ConnectionOpener,
    },
    Unreachable {
        transaction: Arc<str>,
        why: String,
    },
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionOpener {
    We,
    Peer,
}

/// The other end of a connection.
pub(super) struct ConnectionPeer {
    pub address: TransportAddress,
    pub place: Arc<ConnectionGuard>,
    pub limits: SipConnectionLimits,
    /// We connected to it.
    pub is_ours: bool,
}

/// Deadlines of a connection and the reason it is closed.
struct ConnectionDeadlines {
    limits: SipConnectionLimits,
    place: Arc<ConnectionGuard>,
    opened: Instant,
    /// A SIP message was read.
    served: bool,
    /// Time of the last byte; for unknown peers, of the last message.
    last_received: Instant,
    /// Of the first byte of a message that is not complete yet.
    message_started: Option<Instant>,
    /// Unreadable messages since the last readable one.
    unparseable: usize,
    /// Rate limit of an unknown peer.
    pace: TokenBucket,
}

impl ConnectionDeadlines {
    fn new(peer: &ConnectionPeer, now: Instant) -> Self {
        let (limits, place) = (peer.limits, peer.place.clone());
        let pace = TokenBucket::full(now.into(), STRANGER_MESSAGES);
        Self {
            limits,
            place,
            opened: now,
            served: peer.is_ours,
            last_received: now,
            message_started: None,
            unparseable: 0,
            pace,
        }
    }

    fn deadline(&self) -> (Instant, Closed) {
        let is_known = self.place.is_known();
        let quiet = if is_known { self.limits.idle } else { self.limits.stranger_idle };
        let idle = Some((self.last_received + quiet, Closed::IdleTimeout));
        let needs_first = !self.served && !is_known;
        let first = needs_first.then_some((self.opened + self.limits.first_message, Closed::FirstMessageTimeout));
        let message = self.message_started.map(|begun| (begun + self.limits.message, Closed::MessageTimeout));
        let all = [first, message, idle].into_iter().flatten();
        all.min_by_key(|(until, _)| *until).unwrap_or((self.opened, Closed::IdleTimeout))
    }

    /// Bytes came, and possibly messages; `rest`: the beginning of another one.
    fn record_read(&mut self, now: Instant, messages: usize, rest: bool) {
        if messages > 0 {
            // Moves an unknown peer to the end of the eviction order.
            if !self.served || !self.place.is_known() {
                self.place.mark_idle();
            }
            self.served = true;
            self.message_started = None;
        }
        if messages > 0 || self.place.is_known() {
            self.last_received = now;
        }
        self.message_started = if rest { self.message_started.or(Some(now)) } else { None };
    }

    /// Waits until another message may be read.
    async fn wait_for_rate_limit(&mut self) {
        while !self.place.is_known() && !self.pace.take_token(Instant::now().into(), STRANGER_MESSAGES) {
            tokio::time::sleep(STRANGER_PAUSE).await;
        }
    }

    /// Counts unparseable messages; false if there were too many.
    fn count_unparseable(&mut self, parsed: &ParsedMessage) -> bool {
        match parsed {
            ParsedMessage::Unparseable(_) => self.unparseable += 1,
            ParsedMessage::Message(_) | ParsedMessage::Invalid { .. } => self.unparseable = 0,
            ParsedMessage::KeepAlive { .. } => {}
        }
        self.unparseable <= limits::STREAM_UNPARSEABLE_MAX || self.place.is_known()
    }
}

/// Serves an outbound connection until it ends or is evicted.
pub(super) async fn until_evicted(
    place: Arc<ConnectionGuard>, eviction: Eviction, events: mpsc::Sender<ConnectionEvent>, address: TransportAddress,
    serving: impl Future<Output = ()>,
) {
    tokio::select! {
        () = serving => return,
        () = eviction.wait() => place.count(Closed::Evicted),
    }
    // Its queue is gone with it.
    let _ = events.send(ConnectionEvent::Closed { peer: address, opener: ConnectionOpener::We }).await;
}

/// Connects and then serves the connection; what waits in the queue is written first. `secure`: over TLS, to a host of
/// that name.
pub(super) async fn connect(
    peer: ConnectionPeer, secure: Option<(TlsConnector, String)>, outbound: mpsc::Receiver<OutboundMessage>,
    events: mpsc::Sender<ConnectionEvent>,
) {
    let address = peer.address;
    let opening = async {
        let stream = TcpStream::connect(address.addr).await.map_err(|error| format!("connect: {error}"))?;
        let _ = stream.set_nodelay(true);
        let Some((connector, name)) = secure else { return Ok((Some(stream), None)) };
        let name = ServerName::try_from(name).map_err(|error| format!("TLS: {error}"))?;
        let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        Ok((None, Some(stream)))
    };
    let why = match timeout(CONNECT_DEADLINE, opening).await {
        Ok(Ok((Some(stream), _))) => {
            run(stream, peer, outbound, &events).await;
            None
        }
        Ok(Ok((_, Some(stream)))) => {
            let _ = events.send(ConnectionEvent::Verified { peer: address, place: peer.place.clone() }).await;
            run(stream, peer, outbound, &events).await;
            None
        }
        Ok(Ok((None, None))) => None,
        Ok(Err(why)) => Some((why, outbound)),
        Err(_) => Some(("connect: deadline passed".to_owned(), outbound)),
    };
    if let Some((why, mut outbound)) = why {
        outbound.close();
        while let Some((_, transaction)) = outbound.recv().await {
            if let Some(transaction) = transaction {
                let _ = events.send(ConnectionEvent::Unreachable { transaction, why: why.clone() }).await;
            }
        }
    }
    let _ = events.send(ConnectionEvent::Closed { peer: address, opener: ConnectionOpener::We }).await;
}

/// Serves a connection until it ends. Its queue is gone afterwards.
pub(super) async fn run<S: AsyncRead + AsyncWrite>(
    stream: S, peer: ConnectionPeer, mut outbound: mpsc::Receiver<OutboundMessage>,
    events: &mpsc::Sender<ConnectionEvent>,
) {
    let (mut read, mut write) = tokio::io::split(stream);
    let (mut framer, mut buffer) = (Framer::default(), vec![0; READ_BYTES]);
    let mut patience = ConnectionDeadlines::new(&peer, Instant::now());
    let mut keep_alive = ConnectionKeepAlive::new(Instant::now().into(), PongDemand::OnceSeen);
    let mut last_read = Instant::now();
    let why = loop {
        let (until, too_late) = patience.deadline();
        tokio::select! {
            received = timeout_at(until, read.read(&mut buffer)) => match received {
                Err(_) => break Some(too_late),
                Ok(Err(_) | Ok(0)) => break None,
                Ok(Ok(count)) => {
                    let now = Instant::now();
                    if now.duration_since(last_read) > LINE_END_PAUSE {
                        framer.record_pause();
                    }
                    last_read = now;
                    framer.push(buffer.get(..count).unwrap_or_default());
                    let state = (&mut patience, &mut keep_alive);
                    let Some(messages) = take_messages(&mut framer, state, peer.address, events).await else {
                        break Some(Closed::Malformed);
                    };
                    patience.record_read(Instant::now(), messages, !framer.is_empty());
                }
            },
            next = outbound.recv() => {
                let Some((wire, _)) = next else { break Some(Closed::WriteTimeout) };
                if !write_all(&mut write, &wire, peer.limits.write).await {
                    break Some(Closed::WriteTimeout);
                }
            }
            () = tokio::time::sleep_until(keep_alive.next_timeout().into()), if peer.is_ours => {
                match keep_alive.handle_timeout(Instant::now().into()) {
                    KeepAliveAction::Ping if !write_all(&mut write, b"\r\n\r\n", peer.limits.write).await => {
                        break Some(Closed::WriteTimeout);
                    }
                    KeepAliveAction::Ping | KeepAliveAction::Wait => {}
                    KeepAliveAction::Close => break Some(Closed::IdleTimeout),
                }
            }
        }
    };
    if let Some(why) = why {
        peer.place.count(why);
    }
    // Send queued answers, such as the 400 for the message that broke the framing.
    while let Ok((wire, _)) = outbound.try_recv() {
        if !write_all(&mut write, &wire, peer.limits.write).await {
            break;
        }
    }
    let _ = timeout(peer.limits.write, write.shutdown()).await;
}

async fn write_all(write: &mut (impl AsyncWrite + Unpin), bytes: &[u8], deadline: Duration) -> bool {
    let written = async {
        write.write_all(bytes).await?;
        write.flush().await
    };
    matches!(timeout(deadline, written).await, Ok(Ok(())))
}

/// Hands complete messages on and counts them; none when the stream cannot be read any further.
async fn take_messages(
    framer: &mut Framer, (patience, keep_alive): (&mut ConnectionDeadlines, &mut ConnectionKeepAlive),
    peer: TransportAddress, events: &mpsc::Sender<ConnectionEvent>,
) -> Option<usize> {
    let mut messages = 0;
    while let Some(framed) = framer.next() {
        patience.wait_for_rate_limit().await;
        let (parsed, is_broken) = match framed {
            Framed::Complete(parsed) => (parsed, false),
            Framed::Unreadable(parsed) => (parsed, true),
        };
        messages += usize::from(matches!(parsed, ParsedMessage::Message(_) | ParsedMessage::Invalid { .. }));
        match &parsed {
            ParsedMessage::KeepAlive { .. } => keep_alive.record_line_end(Instant::now().into()),
            _ => keep_alive.record_received(Instant::now().into()),
        }
        let goes_on = patience.count_unparseable(&parsed) && !is_broken;
        let excerpt = framer.take_excerpt();
        events.send(ConnectionEvent::Received { peer, parsed, excerpt }).await.ok()?;
        if !goes_on {
            // Let the driver put its answer into our queue.
            tokio::task::yield_now().await;
            return None;
        }
    }
    Some(messages)
}

fn ping() -> Frame {
    Frame::Ping(Default::default())
}

async fn send_frame(sink: &mut (impl Sink<Frame> + Unpin), frame: Frame, deadline: Duration) -> bool {
    matches!(timeout(deadline, sink.send(frame)).await, Ok(Ok(())))
}

/// The message of a frame; `None` for a ping, which the library answers, and a pong.
fn parse_frame(frame: &Frame) -> Option<ParsedMessage> {
    match frame {
        Frame::Text(text) => Some(parse::datagram(text.as_bytes())),
        Frame::Binary(bytes) => Some(parse::datagram(bytes)),
        _ => None,
    }
}

fn excerpt_of_frame(frame: &Frame) -> MessageExcerpt {
    match frame {
        Frame::Text(text) => MessageExcerpt::of(text.as_bytes()),
        Frame::Binary(bytes) => MessageExcerpt::of(bytes),
        _ => MessageExcerpt::default(),
    }
}

/// One SIP message a frame (RFC 7118 section 5). Only complete messages extend the deadline of unknown peers, not
/// partial frames or pings.
pub(super) async fn run_websocket<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>, peer: ConnectionPeer, mut outbound: mpsc::Receiver<OutboundMessage>,
    events: &mpsc::Sender<ConnectionEvent>,
) {
    let (mut sink, mut stream) = socket.split();
    let mut patience = ConnectionDeadlines::new(&peer, Instant::now());
    let mut keep_alive = ConnectionKeepAlive::new(Instant::now().into(), PongDemand::Always);
    let why = loop {
        let (until, too_late) = patience.deadline();
        tokio::select! {
            received = timeout_at(until, stream.next()) => {
                keep_alive.record_received(Instant::now().into());
                let frame = match received {
                    Err(_) => break Some(too_late),
                    Ok(None | Some(Ok(Frame::Close(_)))) => break None,
                    Ok(Some(Err(_))) => break Some(Closed::Malformed),
                    Ok(Some(Ok(frame))) => frame,
                };
                let Some(parsed) = parse_frame(&frame) else {
                    patience.record_read(Instant::now(), 0, false);
                    continue;
                };
                patience.wait_for_rate_limit().await;
                let messages = usize::from(matches!(parsed, ParsedMessage::Message(_) | ParsedMessage::Invalid { .. }));
                let goes_on = patience.count_unparseable(&parsed);
                patience.record_read(Instant::now(), messages, false);
                let excerpt = excerpt_of_frame(&frame);
                if events.send(ConnectionEvent::Received { peer: peer.address, parsed, excerpt }).await.is_err() {
                    break None;
                }
                if !goes_on {
                    break Some(Closed::Malformed);
                }
            }
            next = outbound.recv() => {
                let Some((wire, _)) = next else { break Some(Closed::WriteTimeout) };
                let frame = match std::str::from_utf8(&wire) {
                    Ok(text) => Frame::text(text),
                    Err(_) => Frame::binary(wire.to_vec()),
                };
                if !send_frame(&mut sink, frame, peer.limits.write).await {
                    break Some(Closed::WriteTimeout);
                }
            }
            () = tokio::time::sleep_until(keep_alive.next_timeout().into()) => {
                match keep_alive.handle_timeout(Instant::now().into()) {
                    KeepAliveAction::Ping if !send_frame(&mut sink, ping(), peer.limits.write).await => {
                        break Some(Closed::WriteTimeout);
                    }
                    KeepAliveAction::Ping | KeepAliveAction::Wait => {}
                    KeepAliveAction::Close => break Some(Closed::IdleTimeout),
                }
            }
        }
    };
    if let Some(why) = why {
        peer.place.count(why);
    }
    let _ = timeout(peer.limits.write, sink.close()).await;
}

#[cfg(test)]
mod tests;
