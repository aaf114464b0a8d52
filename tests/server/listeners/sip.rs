//! SIP over TCP, TLS and WebSocket.

use super::{NEVER, all_end, brisk, counted, first_line, from, stranger, trickle, until_closed};
use crate::support::{Server, TlsFiles, loopback, tls_files};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use trunkline::config::Config;
use trunkline_connections::Closed;

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
