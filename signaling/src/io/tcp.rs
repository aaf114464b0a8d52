//! TCP connections: framing on the way in, one bounded queue on the way out. Knows no SIP beyond framing.

use crate::limits;
use crate::sip::message::parse::{self, Framed, Parsed};
use crate::sip::transaction::Wire;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A peer that started a message must finish it in this time.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(10);
/// A connection without a byte for this long is closed: longer than any keep-alive in use (RFC 5626: 120 s).
const IDLE: Duration = Duration::from_secs(1_800);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Something to write, and the transaction to tell when it cannot be written.
pub(super) type Outbound = (Wire, Option<Arc<str>>);

#[derive(Debug)]
pub(super) enum TcpEvent {
    Opened { peer: SocketAddr, queue: mpsc::Sender<Outbound> },
    Received { peer: SocketAddr, parsed: Parsed },
    Closed { peer: SocketAddr },
    Unreachable { transaction: Arc<str>, why: String },
}

pub(super) async fn accept_loop(listener: TcpListener, events: mpsc::Sender<TcpEvent>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors: wait for some to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (queue, outbound) = mpsc::channel(limits::TCP_QUEUE_MAX);
        if events.send(TcpEvent::Opened { peer, queue }).await.is_err() {
            return;
        }
        tokio::spawn(run(stream, peer, outbound, events.clone()));
    }
}

/// Connects and then serves the connection; what waits in the queue is written first.
pub(super) async fn connect(peer: SocketAddr, mut outbound: mpsc::Receiver<Outbound>, events: mpsc::Sender<TcpEvent>) {
    match timeout(CONNECT_DEADLINE, TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => run(stream, peer, outbound, events).await,
        failed => {
            let why = match failed {
                Ok(Err(error)) => format!("connect: {error}"),
                _ => "connect: deadline passed".to_owned(),
            };
            outbound.close();
            while let Some((_, transaction)) = outbound.recv().await {
                if let Some(transaction) = transaction {
                    let _ = events.send(TcpEvent::Unreachable { transaction, why: why.clone() }).await;
                }
            }
            let _ = events.send(TcpEvent::Closed { peer }).await;
        }
    }
}

async fn run(
    stream: TcpStream, peer: SocketAddr, mut outbound: mpsc::Receiver<Outbound>, events: mpsc::Sender<TcpEvent>,
) {
    let _ = stream.set_nodelay(true);
    let (mut read, mut write) = stream.into_split();
    let mut buffer: Vec<u8> = Vec::with_capacity(2_048);
    loop {
        let wait = if buffer.is_empty() { IDLE } else { MESSAGE_DEADLINE };
        tokio::select! {
            received = timeout(wait, read.read_buf(&mut buffer)) => {
                let open = matches!(received, Ok(Ok(count)) if count > 0);
                if !open || !take_messages(&mut buffer, peer, &events).await {
                    break;
                }
            }
            next = outbound.recv() => {
                let Some((wire, _)) = next else { break };
                if !matches!(timeout(WRITE_DEADLINE, write.write_all(&wire)).await, Ok(Ok(()))) {
                    break;
                }
            }
        }
    }
    // Answers that are still queued, such as the 400 to what broke the framing.
    while let Ok((wire, _)) = outbound.try_recv() {
        if !matches!(timeout(WRITE_DEADLINE, write.write_all(&wire)).await, Ok(Ok(()))) {
            break;
        }
    }
    let _ = events.send(TcpEvent::Closed { peer }).await;
}

/// Hands complete messages on; false when the stream cannot be read any further.
async fn take_messages(buffer: &mut Vec<u8>, peer: SocketAddr, events: &mpsc::Sender<TcpEvent>) -> bool {
    loop {
        match parse::stream(buffer) {
            _ if buffer.is_empty() => return true,
            Framed::Partial => return true,
            Framed::Complete { consumed, parsed } => {
                buffer.drain(..consumed);
                if events.send(TcpEvent::Received { peer, parsed }).await.is_err() {
                    return false;
                }
            }
            Framed::Broken { parsed } => {
                let _ = events.send(TcpEvent::Received { peer, parsed }).await;
                // The answer is made by the driver; give it the chance to reach our queue.
                tokio::task::yield_now().await;
                return false;
            }
        }
    }
}
