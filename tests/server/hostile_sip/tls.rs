//! TLS that is none, that stops half way, or that is ended in the middle of a message; certificates that are none.

use super::*;
use crate::support::{TlsFiles, loopback, tls_files};
use std::sync::Arc;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    WantsVersions,
};

/// No message, but it makes the sender flush its queue: close_notify.
const FLUSH: &[Vec<u8>] = &[vec![]];

pub(super) fn with_tls(config: &mut Config, files: &TlsFiles) {
    config.sip.tls.certificate = files.certificate.display().to_string();
    config.sip.tls.private_key = files.private_key.display().to_string();
}

fn builder() -> ConfigBuilder<ClientConfig, WantsVersions> {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
}

fn roots(files: &TlsFiles) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    roots
}

pub(super) fn client(files: &TlsFiles, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let config = builder().with_protocol_versions(&[version]).unwrap();
    Arc::new(config.with_root_certificates(roots(files)).with_no_client_auth())
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// The handshake, where it succeeds.
pub(super) async fn secured(stream: TcpStream, client: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = tokio_rustls::TlsConnector::from(client.clone());
    timeout(NEVER, connector.connect(name(), stream)).await.expect("no end of a handshake")
}

/// An honest client at the same port.
async fn assert_good_peer(peer: &mut HostilePeer, own: Ipv4Addr, to: SocketAddr, client: &Arc<ClientConfig>) {
    let (call_id, options) = peer.options("TLS");
    let mut stream = secured(from(own, to).await, client).await.unwrap();
    let status = exchange("a good peer", &mut stream, &[options], &call_id).await;
    assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"));
}

fn hello(client: &Arc<ClientConfig>) -> Vec<u8> {
    let mut bytes = vec![];
    ClientConnection::new(client.clone(), name()).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

fn record(kind: u8, version: [u8; 2], length: u16, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &version, &length.to_be_bytes(), body].concat()
}

/// Records of every kind, version and length that is at a limit or beyond; none of them is encrypted.
fn records() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    for kind in [0, 19, 20, 21, 22, 23, 24, 0x80, 0xff] {
        for version in [[0, 0], [3, 0], [3, 3], [3, 4], [0xff, 0xff]] {
            for length in [0, 1, 2, 64, 0x4000, 0x4001, 0x4800, 0x4801, 0xffff] {
                let body = [0x16; 64];
                let body = &body[..64.min(usize::from(length))];
                let what = format!("a record of kind {kind}, version {version:x?}, length {length:x}");
                all.push((what, record(kind, version, length, body)));
            }
        }
    }
    all
}

/// Alerts of every level there is and is not.
fn alerts() -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    for level in [0, 1, 2, 3, 255] {
        for description in [0, 10, 20, 22, 40, 42, 46, 50, 70, 80, 90, 100, 112, 116, 120, 255] {
            let what = format!("alert {level} {description}");
            all.push((what, record(21, [3, 3], 2, &[level, description])));
        }
    }
    all.push(("an empty alert".into(), record(21, [3, 3], 0, b"")));
    all.push(("half an alert".into(), record(21, [3, 3], 1, b"\x02")));
    all.push(("a hundred alerts".into(), record(21, [3, 3], 2, b"\x01\x5a").repeat(100)));
    all.push(("two alerts in one record".into(), record(21, [3, 3], 4, b"\x01\x5a\x01\x00")));
    all
}

/// What comes instead of a handshake, and how handshakes go wrong.
fn beginnings(hello: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("nothing".into(), vec![]),
        ("zeros".into(), vec![0; 5_000]),
        ("ones".into(), vec![0xff; 5_000]),
        ("HTTP".into(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("SIP".into(), b"OPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\n\r\n".to_vec()),
        ("SSL 2".into(), b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10\x01\0\x80\x02\0\x80\x03\0\x80".to_vec()),
        ("two hellos".into(), hello.repeat(2)),
        ("a hello, then change_cipher_spec".into(), [hello, &record(20, [3, 3], 1, b"\x01").repeat(50)].concat()),
        ("a hello, then data".into(), [hello, &record(23, [3, 3], 64, &[7; 64])].concat()),
        ("a handshake without an end".into(), {
            let part = record(22, [3, 1], 0x4000, &[1; 0x4000]);
            [&record(22, [3, 1], 4, b"\x01\xff\xff\xff")[..], &part.repeat(64)].concat()
        }),
        ("empty records".into(), record(22, [3, 1], 0, b"").repeat(1_000)),
        // Good, and there is no answer to what the server says to it.
        ("a hello in records of a byte".into(), hello[5..].iter().flat_map(|b| record(22, [3, 1], 1, &[*b])).collect()),
    ];
    for at in (1..hello.len()).step_by(step) {
        all.push((format!("a hello cut at {at}"), hello[..at].to_vec()));
        let mut flipped = hello.to_vec();
        flipped[at] ^= 0xff;
        all.push((format!("a hello with another byte at {at}"), flipped));
    }
    for (what, bytes) in records().into_iter().step_by(4) {
        all.push((format!("a hello, then {what}"), [hello, &bytes].concat()));
        all.push((what, bytes));
    }
    for (what, bytes) in alerts() {
        all.push((format!("a hello, then {what}"), [hello, &bytes].concat()));
        all.push((what, bytes));
    }
    all
}

struct TlsSetup {
    server: Server,
    peer: HostilePeer,
    to: SocketAddr,
    files: TlsFiles,
}

impl TlsSetup {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let files = tls_files();
        let server = Server::start_with(|config| {
            impatient(config);
            with_tls(config, &files);
            config.sip.tls.listen = Some(loopback(0));
            change(config);
        })
        .await;
        let (peer, to) = (HostilePeer::new(&server).await, server.app.services.sip.local().tls.unwrap());
        Self { server, peer, to, files }
    }

    async fn assert_unharmed(&mut self) {
        self.peer.assert_unharmed(&self.server).await;
        let client = client(&self.files, &TLS13);
        assert_good_peer(&mut self.peer, LISTED, self.to, &client).await;
        assert_good_peer(&mut self.peer, stranger(), self.to, &client).await;
        assert_all_gone(&self.server.app.services.sip.connection_reports().tls).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_are_none_end() {
    let mut site = TlsSetup::start(|_| {}).await;
    let to = site.to;
    for version in [&TLS12, &TLS13] {
        let hello = hello(&client(&site.files, version));
        let beginnings = beginnings(&hello, hello.len() / 40);
        // Then silence: everybody has the same time, the trunk's callers too.
        all(200, &beginnings, async |(what, bytes)| {
            assert_ends(what, &mut from(LISTED, to).await, std::slice::from_ref(bytes)).await;
        })
        .await;
        site.assert_unharmed().await;
        // Closed behind it, and reset.
        all(100, &beginnings, async |(what, bytes)| {
            let mut closed = from(LISTED, to).await;
            let _ = closed.write_all(bytes).await;
            let _ = closed.shutdown().await;
            let mut reset = from(LISTED, to).await;
            let _ = reset.write_all(bytes).await;
            reset.set_zero_linger().unwrap();
            drop(reset);
            assert_ends(what, &mut closed, &[]).await;
        })
        .await;
        site.assert_unharmed().await;
    }
    let report = &site.server.app.services.sip.connection_reports().tls;
    for why in [Closed::HandshakeFailed, Closed::HandshakeTimeout] {
        assert!(report.closed_for(why) > 0, "{} is not counted", why.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_unencrypted_is_taken_after_the_handshake() {
    let mut site = TlsSetup::start(|_| {}).await;
    let (to, (call_id, options)) = (site.to, site.peer.options("TLS"));
    for version in [&TLS12, &TLS13] {
        let client = client(&site.files, version);
        let again = vec![("a hello in clear".to_owned(), hello(&client)); 3];
        // Steps that leave no kind, version or length out.
        let faults = records().into_iter().step_by(7).chain(alerts().into_iter().step_by(2)).chain(again);
        all(64, faults.enumerate(), async |(nth, (what, bytes))| {
            let mut stream = secured(from(stranger(), to).await, &client).await.unwrap();
            match nth % 3 {
                0 => {}
                1 => stream.write_all(&options[..options.len() / 2]).await.unwrap(),
                _ => {
                    let answer = exchange(&what, &mut stream, std::slice::from_ref(&options), &call_id).await;
                    assert_eq!(answer.as_deref(), Some("SIP/2.0 200 OK"));
                }
            }
            let _ = stream.flush().await;
            let (mut stream, _) = stream.into_inner();
            assert_ends(&what, &mut stream, &[bytes]).await;
        })
        .await;
        site.assert_unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_tls_that_stop_half_way_end() {
    let mut site = TlsSetup::start(|_| {}).await;
    let (to, whole) = (site.to, site.peer.options("TLS").1);
    for version in [&TLS12, &TLS13] {
        let client = client(&site.files, version);
        let begin = async |own, part: &[u8]| {
            let mut stream = secured(from(own, to).await, &client).await.unwrap();
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let cuts: Vec<usize> = (0..whole.len() - 1).step_by(17).collect();
        all(32, &cuts, async |at| {
            let part = &whole[..*at];
            let what = format!("{at} bytes, then silence");
            let own = if *at == 0 { stranger() } else { LISTED };
            assert_ends(&what, &mut begin(own, part).await, &[]).await;
            let what = format!("{at} bytes, then close_notify");
            let mut stream = begin(LISTED, part).await;
            stream.get_mut().1.send_close_notify();
            assert_ends(&what, &mut stream, FLUSH).await;
            let what = format!("{at} bytes, then the end without close_notify");
            let (mut stream, _) = begin(LISTED, part).await.into_inner();
            stream.shutdown().await.unwrap();
            assert_ends(&what, &mut stream, &[]).await;
            let (stream, _) = begin(LISTED, part).await.into_inner();
            stream.set_zero_linger().unwrap();
        })
        .await;
        site.assert_unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_tls_may_be_split_anywhere() {
    let mut site = TlsSetup::start(|_| {}).await;
    for version in [&TLS12, &TLS13] {
        let client = client(&site.files, version);
        let mut stream = secured(from(LISTED, site.to).await, &client).await.unwrap();
        let (_, usual) = site.peer.options("TLS");
        for at in 1..usual.len() {
            // In two records.
            let (call_id, options) = site.peer.options("TLS");
            let (first, second) = options.split_at(at);
            let status = exchange("records", &mut stream, &[first.to_vec(), second.to_vec()], &call_id).await;
            assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "records split at {at}");
            // One record in two segments.
            let (call_id, options) = site.peer.options("TLS");
            let (tcp, session) = stream.get_mut();
            if at % 20 == 0 && *version == TLS13 {
                session.refresh_traffic_keys().unwrap();
            }
            std::io::Write::write_all(&mut session.writer(), &options).unwrap();
            let mut bytes = vec![];
            while session.wants_write() {
                session.write_tls(&mut bytes).unwrap();
            }
            for part in [&bytes[..at], &bytes[at..]] {
                tcp.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            let status = exchange("segments", &mut stream, &[], &call_id).await;
            assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "a record split at {at}");
        }
        let (call_id, options) = site.peer.options("TLS");
        let status = exchange("records of a byte", &mut stream, &chunks(&options, 1), &call_id).await;
        assert_eq!(status.as_deref(), Some("SIP/2.0 200 OK"), "a byte a record");
        drop(stream);
        site.assert_unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_wrong_over_tls_in_every_framing() {
    let mut site = TlsSetup::start(|_| {}).await;
    let client = client(&site.files, &TLS13);
    let (to, report) = (site.to, site.server.app.services.sip.connection_reports().tls.clone());
    for at in 0..HEADERS.len() {
        let mut messages = vec![];
        for way in (at % 61..450).step_by(61) {
            let method = ["OPTIONS", "INVITE", "BYE", "REGISTER", "ACK"][way % 5];
            let good = site.peer.request(method, "TLS", &format!("s{at}.{way}"), "", 1);
            let (what, bad) = spoiled(&good, at, way);
            messages.push((what, bad.bytes(), way));
        }
        all(8, messages, async |(what, bad, way)| {
            let own = if way % 2 == 0 { LISTED } else { stranger() };
            let mut stream = secured(from(own, to).await, &client).await.unwrap();
            for chunk in chunks(&bad[..bad.len().min(2_000)], way % 5) {
                if stream.write_all(&chunk).await.is_err() {
                    break; // the server closed it because of the content
                }
            }
            stream.get_mut().1.send_close_notify();
            assert_ends(&what, &mut stream, FLUSH).await;
        })
        .await;
        site.peer.assert_served().await;
        assert_good_peer(&mut site.peer, LISTED, to, &client).await;
    }
    let starts = message_mutator::start_lines("OPTIONS");
    let good = site.peer.request("OPTIONS", "TLS", "start", "", 1);
    all(8, starts, async |start| {
        let bad = MessageDraft { start, ..good.clone() }.bytes();
        let mut stream = secured(from(LISTED, to).await, &client).await.unwrap();
        let _ = stream.write_all(&bad).await;
        stream.get_mut().1.send_close_notify();
        assert_ends("a start line", &mut stream, FLUSH).await;
    })
    .await;
    site.assert_unharmed().await;
    assert!(report.closed_for(Closed::Malformed) > 0);
}

/// Shows this as a certificate, whatever it is.
#[derive(Debug)]
struct FixedClientCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for FixedClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Chains that are none.
fn no_certificates(good: &[u8]) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut all: Vec<(String, Vec<Vec<u8>>)> = vec![
        ("an empty certificate".into(), vec![vec![]]),
        ("zeros".into(), vec![vec![0; 1_000]]),
        ("text".into(), vec![b"-----BEGIN CERTIFICATE-----".to_vec()]),
        ("nested sequences".into(), vec![b"\x30\x80".repeat(5_000)]),
        ("an enormous length".into(), vec![b"\x30\x84\xff\xff\xff\xff\x30".to_vec()]),
        ("a large one".into(), vec![vec![0x30; 60_000]]),
        ("a long chain of nothing".into(), vec![vec![]; 200]),
        ("a chain that begins with nothing".into(), vec![vec![], good.to_vec()]),
        ("more behind the certificate".into(), vec![[good, b"\0"].concat()]),
    ];
    for at in (1..good.len()).step_by(good.len() / 24) {
        let mut flipped = good.to_vec();
        flipped[at] ^= 0xff;
        all.push((format!("a certificate cut at {at}"), vec![good[..at].to_vec()]));
        all.push((format!("a certificate with another byte at {at}"), vec![flipped]));
    }
    all
}

/// A carrier's certificate from a root.
struct TestCertificateAuthority {
    root: String,
    certificate: Vec<u8>,
    key: PrivateKeyDer<'static>,
}

impl TestCertificateAuthority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let carrier = rcgen::CertificateParams::new(vec!["carrier.example".to_owned()]).unwrap();
        let carrier = carrier.signed_by(&key, &root).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        Self { root: root.pem(), certificate: carrier.der().to_vec(), key }
    }

    fn client(
        &self, site: &TlsSetup, version: &'static SupportedProtocolVersion, chain: &[Vec<u8>], key: &PrivateKeyDer<'_>,
    ) -> Arc<ClientConfig> {
        let chain = chain.iter().map(|one| CertificateDer::from(one.clone())).collect();
        let shown = FixedClientCertificate(Arc::new(CertifiedKey::new(chain, any_supported_type(key).unwrap())));
        let config = builder().with_protocol_versions(&[version]).unwrap().with_root_certificates(roots(&site.files));
        Arc::new(config.with_client_cert_resolver(Arc::new(shown)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_is_none_is_refused() {
    let (authority, stranger) = (TestCertificateAuthority::new(), TestCertificateAuthority::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, &authority.root).unwrap();
    for is_required in [true, false] {
        let mut site = TlsSetup::start(|config| {
            config.sip.tls.client_roots = path.display().to_string();
            config.sip.tls.client_certificate_required = is_required;
        })
        .await;
        let to = site.to;
        let (call_id, options) = site.peer.options("TLS");
        for version in [&TLS12, &TLS13] {
            let mut bad: Vec<_> = no_certificates(&authority.certificate)
                .into_iter()
                .map(|(what, chain)| (what, authority.client(&site, version, &chain, &authority.key)))
                .collect();
            let (good, other) = (vec![authority.certificate.clone()], vec![stranger.certificate.clone()]);
            bad.push(("another's key".into(), authority.client(&site, version, &good, &stranger.key)));
            bad.push(("another root's".into(), authority.client(&site, version, &other, &stranger.key)));
            all(16, bad, async |(what, client)| {
                // With TLS 1.3 the client's part is over before the server has looked.
                if let Ok(mut stream) = secured(from(LISTED, to).await, &client).await {
                    let status = exchange(&what, &mut stream, std::slice::from_ref(&options), &call_id).await;
                    assert_eq!(status, None, "{what}");
                }
            })
            .await;
            site.peer.assert_unharmed(&site.server).await;
            let client = authority.client(&site, version, &good, &authority.key);
            assert_good_peer(&mut site.peer, LISTED, to, &client).await;
            assert_all_gone(&site.server.app.services.sip.connection_reports().tls).await;
        }
        let report = &site.server.app.services.sip.connection_reports().tls;
        assert!(report.closed_for(Closed::HandshakeFailed) > 100, "{}", report.closed_for(Closed::HandshakeFailed));
    }
}
