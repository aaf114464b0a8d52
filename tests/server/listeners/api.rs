//! The API: requests, bodies, answers that are not read, proxies.

use super::{DEADLINE_MS, NEVER, all_end, brisk, counted, from, healthy, stranger, trickle, until_closed};
use crate::support::{Server, peer_takes};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trunkline_connections::Closed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_closes_connections_with_unfinished_requests() {
    let server = Server::start_with(brisk).await;
    let head = "POST /api/v1/agents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let with_key = format!("{head}Authorization: Bearer {}\r\n", server.key);
    let (length, chunked) =
        (format!("{with_key}Content-Length: 1000\r\n\r\n{{"), format!("{with_key}Transfer-Encoding: chunked\r\n\r\n"));
    let half_chunk = format!("{chunked}ff\r\n{{");
    all_end(
        server.app.api_addr,
        &[
            ("silence", b"", b'G'),
            ("half a request line", b"GET /hea", b'x'),
            ("a line", b"GET /health HTTP/1.1\r\n", b'X'),
            ("half the headers", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Y: ", b'z'),
            ("half a body", length.as_bytes(), b' '),
            ("no chunk", chunked.as_bytes(), b'0'),
            ("half a chunk", half_chunk.as_bytes(), b' '),
            ("a body without a key", format!("{head}Content-Length: 1000\r\n\r\n{{").as_bytes(), b' '),
            ("an idle connection", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b'G'),
            ("half an upgrade", b"GET /ws/calls/x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n", b'X'),
            ("half a preface", b"PRI * HTTP/2.0\r\n\r\nSM", b'\r'),
            ("a preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b'\0'),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00", b'\0'),
        ],
    )
    .await;
    let report = &server.app.api_connections;
    for why in [Closed::FirstMessageTimeout, Closed::MessageTimeout, Closed::IdleTimeout, Closed::Malformed] {
        assert!(counted(report, why) > 0, "{} is not counted", why.name());
    }
    healthy(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_be_idle_for_longer_than_a_request_may_take() {
    let server = Server::start_with(|config| {
        brisk(config);
        config.api.connections.idle_timeout_ms = 600_000;
    })
    .await;
    let mut stream = stranger(server.app.api_addr).await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    for round in 0..2 {
        stream.write_all(request).await.unwrap();
        let (mut said, mut buffer) = (Vec::new(), [0; 1_024]);
        while !said.ends_with(b"}") {
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed in round {round}");
            said.extend_from_slice(&buffer[..count]);
        }
        // Nothing is waited for here but the time itself.
        let quiet = tokio::time::timeout(Duration::from_millis(DEADLINE_MS * 3), stream.read(&mut buffer)).await;
        assert!(quiet.is_err(), "an idle connection: {quiet:?}");
    }
    trickle("half a request after two whole ones", stream, b"GET /hea", Some(b'x')).await;
    assert_eq!(counted(&server.app.api_connections, Closed::MessageTimeout), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_sent_too_slowly_is_refused_with_its_reason() {
    let server = Server::start_with(brisk).await;
    let request = format!(
        "POST /api/v1/agents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100000\r\n\r\n{{",
        server.key
    );
    let stream = stranger(server.app.api_addr).await;
    let said = trickle("a trickle", stream, request.as_bytes(), Some(b' ')).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("body_too_slow"), "{said}");
    // Slow is not too slow: 1,000 bytes a second.
    let body = json!({"name": "x".repeat(40)}).to_string();
    let padding = " ".repeat(3_000);
    let request = format!(
        "POST /api/v1/agents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        server.key,
        body.len() + padding.len()
    );
    let mut stream = stranger(server.app.api_addr).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    for part in (padding + &body).as_bytes().chunks(200) {
        peer_takes(Duration::from_millis(50)).await;
        stream.write_all(part).await.unwrap();
    }
    let said = until_closed("a slow client", &mut stream).await;
    assert!(said.starts_with("HTTP/1.1 201 "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_ends_a_client_that_does_not_read() {
    let server = Server::start_with(brisk).await;
    let mut stream = stranger(server.app.api_addr).await;
    let request = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    // Until nothing more is taken, and then until the other end gives up.
    let writing = async { while stream.write_all(request).await.is_ok() {} };
    tokio::time::timeout(NEVER, writing).await.expect("a client that does not read is kept");
    assert_eq!(counted(&server.app.api_connections, Closed::WriteTimeout), 1);
    healthy(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_api_connections_do_not_lock_others_out() {
    let mut server = Server::start_with(|config| {
        let api = &mut config.api.connections;
        (api.connections_max, api.connections_per_address, api.proxy_connections_reserved) = (64, 16, 8);
    })
    .await;
    server.http = reqwest::Client::new();
    // From the address that the health check comes from, and from others.
    let mut silent = vec![];
    for n in 0..200 {
        let own = format!("127.0.0.{}:0", 1 + n % 8);
        silent.push(from(&own, server.app.api_addr).await);
        if n % 50 == 49 {
            assert!(healthy(&server).await < Duration::from_secs(5));
        }
    }
    let report = &server.app.api_connections;
    assert!(counted(report, Closed::Evicted) >= 144, "{}", counted(report, Closed::Evicted));
    assert!(report.open() <= 64);
    // Half a body is no complete request either.
    for _ in 0..40 {
        let mut stream = stranger(server.app.api_addr).await;
        let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let mut other = stranger(server.app.api_addr).await;
    other.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let said = until_closed("a request", &mut other).await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_is_not_counted_by_its_address() {
    let server = Server::start_with(|config| {
        config.api.connections.connections_per_address = 4;
        config.api.connections.trusted_proxies = vec!["127.0.0.64/26".into()];
    })
    .await;
    let ask = b"GET /ws/events HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut kept = vec![];
    for _ in 0..32 {
        let mut stream = from("127.0.0.77:0", server.app.api_addr).await;
        stream.write_all(ask).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 401");
        kept.push(stream);
    }
    assert_eq!(counted(&server.app.api_connections, Closed::Evicted), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxys_word_is_taken_from_trusted_addresses_alone() {
    let server = Server::start_with(|config| {
        config.api.public_rate_limit_per_minute = 2;
        config.api.connections.trusted_proxies = vec!["127.0.0.77".into()];
    })
    .await;
    let login = async |own: &str, client: &str| {
        let mut stream = from(own, server.app.api_addr).await;
        // Each time another account: wrong guesses at one are counted by themselves.
        let body = json!({"email": format!("{client}@example.com"), "password": "wrong"}).to_string();
        let request = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Forwarded-For: {client}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        until_closed("an answer", &mut stream).await[9..12].to_owned()
    };
    for n in 0..4 {
        assert_eq!(login("127.0.0.77:0", &format!("192.0.2.{n}")).await, "401", "each client of the proxy");
    }
    let statuses = [
        login("127.0.0.9:0", "192.0.2.50").await,
        login("127.0.0.9:0", "192.0.2.51").await,
        login("127.0.0.9:0", "192.0.2.52").await,
    ];
    assert_eq!(statuses, ["401", "401", "429"], "a stranger that says it is a proxy");
}
