//! Slow and silent clients at every listener, over real sockets: they are closed, and do not lock out other clients.

use super::support::{LoggedInUser, Server, TlsFiles, loopback, tls_files};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
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
            tokio::time::sleep(Duration::from_millis(40)).await;
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
        tokio::time::sleep(Duration::from_millis(50)).await;
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

const SIP: &[(&str, &[u8], u8)] = &[
    ("silence", b"", b'O'),
    ("half a request line", b"OPTIONS sip:x", b'x'),
    ("half the headers", b"OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n", b'X'),
    (
        "half a body",
        b"OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 1000\r\n\r\nv=0",
        b' ',
    ),
    ("keep-alives", b"\r\n\r\n\r\n", b'\n'),
    ("nonsense", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b'G'),
    ("headers without an end", b"X: y\r\nX: y\r\n", b'X'),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_over_tcp_closes_connections_with_unfinished_messages() {
    let server = Server::start_with(brisk).await;
    let to = server.app.services.sip.local_tcp();
    all_end(to, SIP).await;
    // A stranger that has said something and says nothing more.
    let mut idle = stranger(to).await;
    idle.write_all(options("127.0.0.9", "TCP").as_bytes()).await.unwrap();
    assert!(until_closed("an idle stranger", &mut idle).await.starts_with("SIP/2.0 200"));
    let report = server.app.services.sip.connection_reports().tcp.clone();
    for why in [Closed::FirstMessageTimeout, Closed::IdleTimeout] {
        assert!(counted(&report, why) > 0, "{} is not counted", why.name());
    }
    assert_eq!(report.open(), 0);
}

fn options(host: &str, transport: &str) -> String {
    let branch: u64 = rand::random();
    format!(
        "OPTIONS sip:x@{host} SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:5999;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{host}>;tag=1\r\nTo: <sip:x@{host}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn first_line(mut stream: impl AsyncRead + Unpin) -> String {
    let mut buffer = [0; 2_000];
    let count = tokio::time::timeout(NEVER, stream.read(&mut buffer)).await.expect("no answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..count]).lines().next().unwrap_or("").to_owned()
}

fn connector(files: &TlsFiles) -> tokio_rustls::TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into()
}

async fn tls(files: &TlsFiles, stream: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
    connector(files).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

fn with_tls(config: &mut Config, files: &TlsFiles) {
    config.sip.tls.certificate = files.certificate.display().to_string();
    config.sip.tls.private_key = files.private_key.display().to_string();
    config.sip.tls.listen = Some(loopback(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_over_tls_ends_half_handshakes_and_half_messages() {
    let files = tls_files();
    let server = Server::start_with(|config| {
        brisk(config);
        with_tls(config, &files);
    })
    .await;
    let to = server.app.services.sip.local().tls.unwrap();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    all_end(
        to,
        &[("silence", b"", 0x16), ("half a hello", hello, 0), ("no TLS", b"OPTIONS sip:x@h SIP/2.0\r\n", b'x')],
    )
    .await;
    let running = SIP.iter().flat_map(|(what, first, byte)| [(*what, *first, None), (*what, *first, Some(*byte))]);
    let running = running.map(async |(what, first, byte)| {
        let stream = tls(&files, stranger(to).await).await;
        trickle(&format!("{what} over TLS, then {byte:?}"), stream, first, byte).await;
    });
    futures_util::future::join_all(running).await;
    let report = &server.app.services.sip.connection_reports().tls;
    for why in [Closed::HandshakeTimeout, Closed::HandshakeFailed, Closed::FirstMessageTimeout] {
        assert!(counted(report, why) > 0, "{} is not counted", why.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_over_websocket_ends_half_upgrades_and_half_frames() {
    let server = Server::start_with(|config| {
        brisk(config);
        config.sip.websocket.listen = Some(loopback(0));
    })
    .await;
    let to = server.app.services.sip.local().ws.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let early = [upgrade.as_bytes(), b"\x89\x80abcd"].concat();
    all_end(
        to,
        &[
            ("silence", b"", b'G'),
            ("half a request line", b"GET / HT", b'x'),
            ("half an upgrade", &upgrade.as_bytes()[..90], b'x'),
            ("no frame", upgrade.as_bytes(), 0x81),
            ("a frame before the answer", &early, 0x89),
        ],
    )
    .await;
    let frames: [(&str, &[u8], u8); 5] = [
        ("half a frame", b"\x81\xfe\x01\x00abcdOPT", b'x'),
        ("pings", b"\x89\x80abcd", 0x89),
        ("empty fragments", b"\x01\x80abcd\x00\x80abcd", 0),
        ("a frame of nonsense", b"\x81\x83abcd\x00\x00\x00", 0x81),
        ("a frame of 2^63 bytes", b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabcd", b'x'),
    ];
    let running = frames.iter().flat_map(|(what, first, byte)| [(what, first, None), (what, first, Some(*byte))]);
    let running = running.map(async |(what, first, byte)| {
        let mut stream = stranger(to).await;
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        let (mut head, mut one) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            assert_eq!(stream.read(&mut one).await.unwrap(), 1, "{what}: no answer to the upgrade");
            head.push(one[0]);
        }
        trickle(&format!("{what}, then {byte:?}"), stream, first, byte).await;
    });
    futures_util::future::join_all(running).await;
    let report = &server.app.services.sip.connection_reports().websocket;
    for why in [Closed::HandshakeTimeout, Closed::FirstMessageTimeout, Closed::Malformed] {
        assert!(counted(report, why) > 0, "{} is not counted", why.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_at_the_sip_ports_keep_no_trunk_out() {
    let files = tls_files();
    let server = Server::start_with(|config| {
        with_tls(config, &files);
        let sip = &mut config.sip.connections;
        (sip.connections_max, sip.trunk_connections_reserved, sip.connections_per_address) = (64, 16, 32);
    })
    .await;
    let local = server.app.services.sip.local();
    let mut silent = vec![];
    for n in 0..150 {
        silent.push(from(&format!("127.0.0.{}:0", 9 + n % 20), local.tcp).await);
        silent.push(from(&format!("127.0.0.{}:0", 9 + n % 20), local.tls.unwrap()).await);
    }
    // A trunk lists 127.0.0.1.
    for _ in 0..10 {
        let mut stream = from("127.0.0.1:0", local.tcp).await;
        stream.write_all(options("127.0.0.1", "TCP").as_bytes()).await.unwrap();
        assert_eq!(first_line(&mut stream).await, "SIP/2.0 200 OK");
        let mut secure = tls(&files, from("127.0.0.1:0", local.tls.unwrap()).await).await;
        secure.write_all(options("127.0.0.1", "TLS").as_bytes()).await.unwrap();
        assert_eq!(first_line(&mut secure).await, "SIP/2.0 200 OK");
    }
    // So does a stranger that has something to say.
    let mut stream = from("127.0.0.200:0", local.tcp).await;
    stream.write_all(options("127.0.0.200", "TCP").as_bytes()).await.unwrap();
    assert_eq!(first_line(&mut stream).await, "SIP/2.0 200 OK");
    let streams = server.app.services.sip.connection_reports();
    assert!(counted(&streams.tcp, Closed::Evicted) + counted(&streams.tls, Closed::Evicted) > 100);
    assert!(streams.tcp.open() + streams.tls.open() <= 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sip_peer_that_does_not_read_is_given_up() {
    let server = Server::start_with(brisk).await;
    let mut stream = from("127.0.0.1:0", server.app.services.sip.local_tcp()).await;
    let writing = async { while stream.write_all(options("127.0.0.1", "TCP").as_bytes()).await.is_ok() {} };
    tokio::time::timeout(NEVER, writing).await.expect("a peer that does not read is kept");
    assert!(counted(&server.app.services.sip.connection_reports().tcp, Closed::WriteTimeout) >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_no_readable_length_is_refused_and_takes_no_memory() {
    let server = Server::start_with(brisk).await;
    for (value, wanted) in
        [("18446744073709551615", "513"), ("-1", "400"), ("+5", "400"), ("5\r\nContent-Length: 6", "400")]
    {
        let mut stream = stranger(server.app.services.sip.local_tcp()).await;
        let text = options("127.0.0.9", "TCP").replace("Content-Length: 0", &format!("Content-Length: {value}"));
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut sent = 0;
        let more = async {
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {
                sent += 65_536;
            }
        };
        tokio::time::timeout(NEVER, more).await.expect("the connection is kept");
        assert!(sent < 8 << 20, "{value}: {sent} bytes taken");
        let mut stream = stranger(server.app.services.sip.local_tcp()).await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let said = until_closed(value, &mut stream).await;
        assert!(said.starts_with(&format!("SIP/2.0 {wanted} ")), "{value}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_connections_say_whom_they_are_for_or_end() {
    let server = Server::start_with(brisk).await;
    let to = server.app.services.media.workers.host_candidates().unwrap().tcp[0];
    // A connectivity check for an unknown call: 20 bytes of header, USERNAME "nobody:x".
    let check = b"\x00\x20\x00\x01\x00\x0c\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x06\x00\x08nobody:x";
    all_end(
        to,
        &[
            ("silence", b"", 0),
            ("half a length", b"\x00", 0),
            ("half a packet", b"\x00\x64\x00\x01", 0),
            ("signs of life", b"\x00\x00\x00\x00\x00\x00\x00\x00", 0),
            ("tiny packets", b"\x00\x01x\x00\x01x", b'x'),
            ("a packet that is too large", b"\xff\xff\x00\x01", 0),
            ("check of an unknown call", check, 0),
            ("sound before a check", b"\x00\x0c\x80\x00aaaaaaaaaa", 0),
            ("HTTP", b"GET / HTTP/1.1\r\n\r\n", b'G'),
        ],
    )
    .await;
    let report = server.app.services.media.workers.webrtc_tcp_report();
    for why in [Closed::FirstMessageTimeout, Closed::Malformed] {
        assert!(counted(report, why) > 0, "{} is not counted", why.name());
    }
    assert_eq!(report.open(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_at_the_browsers_port_make_room() {
    let server = Server::start_with(|config| {
        let web = &mut config.webrtc.connections;
        (web.connections_max, web.connections_per_address) = (16, 4);
    })
    .await;
    let to = server.app.services.media.workers.host_candidates().unwrap().tcp[0];
    let mut silent = vec![];
    for n in 0..100 {
        silent.push(from(&format!("127.0.0.{}:0", 9 + n % 10), to).await);
    }
    super::support::until("eviction", async || {
        let report = server.app.services.media.workers.webrtc_tcp_report();
        (counted(report, Closed::Evicted) >= 84 && report.open() <= 16).then_some(())
    })
    .await;
}

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
    super::support::until("places to be given back", async || {
        (owner.send("GET", "/auth/me", None).await.0 == 200).then_some(())
    })
    .await;
}
