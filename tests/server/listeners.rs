//! Slow and silent clients at every listener, over real sockets: they are closed, and do not lock out other clients.

mod api;
mod browsers;
mod live;
mod sip;

use super::support::{Server, peer_takes};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use trunkline::config::Config;
use trunkline_connections::{Closed, ConnectionCounters};

/// Every deadline of a listener in these tests.
const DEADLINE_MS: u64 = 600;
/// A client that is still there after this is not closed: the machine has other things to do than this test.
const NEVER: Duration = Duration::from_secs(15);

fn brisk(config: &mut Config) {
    let api = &mut config.api.connections;
    (api.header_timeout_ms, api.transfer_timeout_ms, api.idle_timeout_ms) = (DEADLINE_MS, DEADLINE_MS, DEADLINE_MS);
    (api.live_probe_interval_ms, api.live_send_timeout_ms) = (DEADLINE_MS, DEADLINE_MS);
    let sip = &mut config.sip.connections;
    (sip.handshake_timeout_ms, sip.first_message_timeout_ms) = (DEADLINE_MS, DEADLINE_MS);
    (sip.message_timeout_ms, sip.write_timeout_ms, sip.stranger_idle_timeout_s) = (DEADLINE_MS, DEADLINE_MS, 1);
    let web = &mut config.webrtc.connections;
    (web.first_packet_timeout_ms, web.packet_timeout_ms) = (DEADLINE_MS, DEADLINE_MS);
}

/// Connects from an address that is on no trunk's list.
async fn stranger(to: SocketAddr) -> TcpStream {
    from("127.0.0.9:0", to).await
}

async fn from(own: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(own.parse().unwrap()).unwrap();
    // What is not read fills up soon.
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(to).await.unwrap()
}

/// Reads until the other end closes; what it said. Panics when it never does.
async fn until_closed(what: &str, stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    let reading = async {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            said.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(NEVER, reading).await.unwrap_or_else(|_| panic!("{what} is not closed"));
    String::from_utf8_lossy(&said).into_owned()
}

/// Says something, and after that a byte now and then, until the other end closes; what it said.
async fn trickle(what: &str, stream: impl AsyncRead + AsyncWrite, first: &[u8], byte: Option<u8>) -> String {
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(first).await.unwrap();
    write.flush().await.unwrap();
    let writing = async {
        let Some(byte) = byte else { return std::future::pending().await };
        loop {
            peer_takes(Duration::from_millis(40)).await;
            if write.write_all(&[byte]).await.is_err() || write.flush().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        said = until_closed(what, &mut read) => said,
        () = writing => unreachable!("writing never ends"),
    }
}

/// Every beginning is silent afterwards, or goes on byte by byte; all at once, and all end.
async fn all_end(to: SocketAddr, beginnings: &[(&str, &[u8], u8)]) {
    let clients =
        beginnings.iter().flat_map(|(what, first, byte)| [(*what, *first, None), (*what, *first, Some(*byte))]);
    let running = clients.map(async |(what, first, byte)| {
        trickle(&format!("{what}, then {byte:?}"), stranger(to).await, first, byte).await;
    });
    futures_util::future::join_all(running).await;
}

async fn healthy(server: &Server) -> Duration {
    let started = Instant::now();
    let url = format!("http://{}/health", server.app.api_addr);
    // A new connection: one that is kept alive proves nothing.
    let answer = reqwest::Client::new().get(url).timeout(NEVER).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    started.elapsed()
}

fn counted(report: &ConnectionCounters, why: Closed) -> u64 {
    report.closed_for(why)
}

async fn first_line(mut stream: impl AsyncRead + Unpin) -> String {
    let mut buffer = [0; 2_000];
    let count = tokio::time::timeout(NEVER, stream.read(&mut buffer)).await.expect("no answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).lines().next().unwrap_or("").to_owned()
}
