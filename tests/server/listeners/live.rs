//! Live transcripts and events.

use super::{brisk, first_line, stranger, trickle};
use crate::support::{LoggedInUser, Server, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A WebSocket by hand, so that it can misbehave.
async fn live(server: &Server, path: &str) -> TcpStream {
    let mut stream = stranger(server.app.api_addr).await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Authorization: Bearer {}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.app.api_addr, server.key
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_that_do_not_answer_or_say_too_much_are_dropped() {
    let server = Server::start_with(brisk).await;
    let said = trickle("a silent listener", live(&server, "/ws/events").await, b"", None).await;
    assert!(said.contains("No answer to a ping"), "{said}");
    let said = trickle("half a frame", live(&server, "/ws/events").await, b"\x81\xfe\x0f\x00abcd", Some(b'x')).await;
    assert!(said.contains("No answer to a ping"), "{said}");
    let pings = b"\x81\x82abcd\x1a\x1f".repeat(200);
    let said = trickle("a talker", live(&server, "/ws/events").await, &pings, None).await;
    assert!(said.contains("Too many messages"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_has_no_more_connections_than_its_share() {
    let server = Server::start_with(|config| config.api.connections.connections_per_organization = 3).await;
    let mut kept = vec![];
    let mut refused = 0;
    for _ in 0..6 {
        let mut stream = stranger(server.app.api_addr).await;
        let request = format!("GET /api/v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", server.key);
        stream.write_all(request.as_bytes()).await.unwrap();
        let line = first_line(&mut stream).await;
        refused += u32::from(line.contains(" 429 "));
        kept.push(stream);
    }
    assert!(refused >= 3, "{refused} of six were refused");
    drop(kept);
    let owner = LoggedInUser::owner(&server).await;
    until("places to be given back", async || (owner.send("GET", "/auth/me", None).await.0 == 200).then_some(())).await;
}
