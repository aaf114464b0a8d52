//! SIP over what is not plain UDP: WebSockets by Node's `ws`, IPv6, certificates that are replaced and demanded.

use super::support::{NUMBER, Server, tls_files, until};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use serde_json::json;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, Softphone};
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// Opens a WebSocket, sends OPTIONS and prints the first line of the answer, or how it was refused.
const WS: &str = r#"
const { WebSocket } = require("/usr/share/nodejs/ws");
const [url, protocol, origin] = process.argv.slice(1);
const socket = new WebSocket(url, protocol ? [protocol] : [], { origin, rejectUnauthorized: false });
const text = ["OPTIONS sip:agent@127.0.0.1 SIP/2.0", "Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKnode",
  "Max-Forwards: 70", "From: <sip:node@127.0.0.1>;tag=n", "To: <sip:agent@127.0.0.1>", "Call-ID: node", "CSeq: 1 OPTIONS",
  "Content-Length: 0", "", ""].join("\r\n");
socket.on("open", () => socket.send(text));
socket.on("message", (data) => { console.log(String(data).split("\r\n")[0]); socket.close(); setTimeout(() => process.exit(0), 100); });
socket.on("unexpected-response", (_, response) => { console.log("refused " + response.statusCode); process.exit(0); });
socket.on("error", (error) => { console.log("error " + error.message); process.exit(0); });
setTimeout(() => process.exit(1), 8000);
"#;

async fn node(url: String, protocol: &'static str, origin: &'static str) -> String {
    let run = move || {
        let output = Command::new("node").args(["-e", WS, "--", &url, protocol, origin]).stderr(Stdio::null()).output();
        String::from_utf8_lossy(&output.expect("node is not installed").stdout).trim().to_owned()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_carry_sip_for_those_who_ask_for_it() {
    for secure in [false, true] {
        let files = tls_files();
        let server = Server::start_with(|config| {
            config.sip.websocket.listen = Some(([127, 0, 0, 1], 0).into());
            config.sip.websocket.secure = secure;
            config.sip.websocket.allowed_origins = vec!["https://phone.example".into()];
            config.sip.tls.certificate = files.certificate.display().to_string();
            config.sip.tls.private_key = files.private_key.display().to_string();
        })
        .await;
        let scheme = if secure { "wss" } else { "ws" };
        let url = format!("{scheme}://{}/", server.app.services.sip.local().ws.unwrap());
        assert_eq!(node(url.clone(), "sip", "https://phone.example").await, "SIP/2.0 200 OK");
        assert_eq!(node(url.clone(), "", "https://phone.example").await, "refused 400");
        assert_eq!(node(url, "sip", "https://other.example").await, "refused 403");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_ipv6() {
    let loopback = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
    let server = Server::start_with(|config| config.sip.listen = loopback).await;
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"allowed_addresses": ["::1"]}))).await;
    let (phone, _incoming) = Softphone::open(loopback, (40_000, 49_999)).await.unwrap();
    let local = phone.sip.local_udp();
    for transport in [Transport::Udp, Transport::Tcp] {
        let dial = DialParams {
            to: Uri::sip(Some(NUMBER), "::1", Some(server.sip_port())),
            from: Uri::sip(Some("+15550100"), "::1", Some(local.port())),
            transport,
            credentials: None,
            codecs: vec!["PCMU".into()],
        };
        let report = phone.dial(&dial, &CallScript::parse("listen; hangup").unwrap(), None).await;
        assert_eq!(report.failure, None);
        let call = server.last_call().await;
        assert_eq!(call["end_reason"], json!("customer_hung_up"));
        assert!(call["metrics"]["media"]["packets_received"].as_u64().unwrap() > 20, "{call}");
    }
}

/// A name server for one carrier: NAPTR says UDP, SRV names a host that is dead and one that is not.
async fn name_server(dead: u16, alive: u16) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    let name = |text: &str| Name::from_ascii(text).unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((len, peer)) = socket.recv_from(&mut buffer).await {
            let Ok(asked) = Message::from_vec(&buffer[..len]) else { continue };
            let query = asked.queries[0].clone();
            let srv = |priority, port, host: &str| RData::SRV(SRV::new(priority, 10, port, name(host)));
            let answers = match (query.name().to_ascii().as_str(), query.query_type()) {
                ("carrier.test.", RecordType::NAPTR) => {
                    let service = b"SIP+D2U".to_vec().into_boxed_slice();
                    let flags = b"s".to_vec().into_boxed_slice();
                    vec![RData::NAPTR(NAPTR::new(10, 10, flags, service, [].into(), name("_sip._udp.carrier.test.")))]
                }
                ("_sip._udp.carrier.test.", RecordType::SRV) => {
                    vec![srv(20, alive, "two.carrier.test."), srv(10, dead, "one.carrier.test.")]
                }
                (_, RecordType::A) => vec![RData::A(std::net::Ipv4Addr::LOCALHOST.into())],
                _ => vec![],
            };
            let mut message = Message::response(asked.metadata.id, asked.metadata.op_code);
            message.add_query(query.clone());
            for data in answers {
                message.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
            let _ = socket.send_to(&message.to_vec().unwrap(), peer).await;
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_is_found_by_name_and_its_second_server_takes_over() {
    let dead = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let (phone, mut incoming) = Softphone::open(([127, 0, 0, 1], 0).into(), (40_000, 49_999)).await.unwrap();
    let alive = phone.sip.local_udp().port();
    let dns = name_server(dead.local_addr().unwrap().port(), alive).await;
    let server = Server::start_with(|config| config.sip.dns_server = Some(dns)).await;
    let body = json!({"host": "carrier.test", "port": null});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    let mut waits = vec![];
    for _ in 0..2 {
        let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        let started = Instant::now();
        server.post(&format!("/tasks/{task}/execute"), json!({})).await;
        let call = tokio::time::timeout(Duration::from_secs(15), incoming.recv()).await.unwrap().unwrap();
        waits.push(started.elapsed());
        assert_eq!(call.incoming.transport, Transport::Udp, "NAPTR decides");
        phone.answer(call, &CallScript::parse("pause 200; hangup").unwrap(), None).await;
        assert_eq!(server.last_call().await["status"], json!("completed"));
    }
    assert!(waits[0] > Duration::from_secs(3), "the first server is asked first: {waits:?}");
    assert!(waits[1] < Duration::from_secs(2), "and not again so soon: {waits:?}");
}

/// Shows who is at the other end, and what an OPTIONS is answered with; or how the handshake failed.
const TLS: &str = r#"
const { connect } = require("node:tls");
const { readFileSync } = require("node:fs");
const [port, certificate, key] = process.argv.slice(1);
const own = certificate ? { cert: readFileSync(certificate), key: readFileSync(key) } : {};
const socket = connect({ host: "127.0.0.1", port: Number(port), rejectUnauthorized: false, ...own }, () => {
  socket.write(["OPTIONS sip:agent@127.0.0.1 SIP/2.0", "Via: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKtls", "Max-Forwards: 70",
    "From: <sip:node@127.0.0.1>;tag=n", "To: <sip:agent@127.0.0.1>", "Call-ID: node", "CSeq: 1 OPTIONS", "Content-Length: 0", "", ""].join("\r\n"));
});
socket.on("data", (data) => { console.log(socket.getPeerCertificate().fingerprint256, String(data).split("\r\n")[0]); socket.destroy(); process.exit(0); });
socket.on("error", (error) => { console.log("refused", error.code); process.exit(0); });
socket.on("close", () => { console.log("refused"); process.exit(0); });
setTimeout(() => process.exit(1), 8000);
"#;

async fn tls(port: u16, own: Option<(String, String)>) -> String {
    let run = move || {
        let mut command = Command::new("node");
        command.args(["-e", TLS, "--", &port.to_string()]);
        command.args(own.into_iter().flat_map(|(certificate, key)| [certificate, key]));
        let output = command.stderr(Stdio::null()).output();
        String::from_utf8_lossy(&output.expect("node is not installed").stdout).trim().to_owned()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A server with these files, and its port of SIP over TLS.
async fn with_tls(files: &super::support::TlsFiles) -> (Server, u16) {
    let server = Server::start_with(|config| {
        config.sip.tls.listen = Some(([127, 0, 0, 1], 0).into());
        config.sip.tls.certificate = files.certificate.display().to_string();
        config.sip.tls.private_key = files.private_key.display().to_string();
    })
    .await;
    let port = server.app.services.sip.local().tls.unwrap().port();
    (server, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_while_the_server_runs() {
    let (files, renewed) = (tls_files(), tls_files());
    let (_server, port) = with_tls(&files).await;
    let before = tls(port, None).await;
    assert!(before.ends_with("SIP/2.0 200 OK"), "{before}");
    std::fs::copy(&renewed.private_key, &files.private_key).unwrap();
    std::fs::copy(&renewed.certificate, &files.certificate).unwrap();
    until("the new certificate", async || {
        let after = tls(port, None).await;
        assert!(after.ends_with("SIP/2.0 200 OK"), "{after}");
        (after != before).then_some(())
    })
    .await;
}

/// Sooner than the files are looked at (ten seconds).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_the_new_certificate_at_once_and_keeps_the_old_one_if_it_is_broken() {
    let (files, renewed) = (tls_files(), tls_files());
    let (server, port) = with_tls(&files).await;
    let before = tls(port, None).await;
    std::fs::write(&files.certificate, "half a file").unwrap();
    server.app.reload_certificates();
    assert_eq!(tls(port, None).await, before);
    std::fs::copy(&renewed.private_key, &files.private_key).unwrap();
    std::fs::copy(&renewed.certificate, &files.certificate).unwrap();
    server.app.reload_certificates();
    let after = tls(port, None).await;
    assert!(after != before && after.ends_with("SIP/2.0 200 OK"), "{after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_may_have_to_show_who_they_are() {
    let (files, stranger) = (tls_files(), tls_files());
    let folder = tempfile::tempdir().unwrap();
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = rcgen::CertifiedIssuer::self_signed(params, authority).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let carrier = rcgen::CertificateParams::new(vec!["carrier.example".to_owned()]).unwrap();
    let carrier = carrier.signed_by(&key, &root).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let roots = write("roots.pem", root.pem());
    let own = (write("carrier.pem", carrier.pem()), write("carrier.key", key.serialize_pem()));
    let server = Server::start_with(|config| {
        config.sip.tls.listen = Some(([127, 0, 0, 1], 0).into());
        config.sip.tls.certificate = files.certificate.display().to_string();
        config.sip.tls.private_key = files.private_key.display().to_string();
        config.sip.tls.client_roots = roots;
        config.sip.tls.client_certificate_required = true;
    })
    .await;
    let port = server.app.services.sip.local().tls.unwrap().port();
    assert!(tls(port, Some(own)).await.ends_with("SIP/2.0 200 OK"));
    assert!(tls(port, None).await.starts_with("refused"));
    let other = (stranger.certificate.display().to_string(), stranger.private_key.display().to_string());
    assert!(tls(port, Some(other)).await.starts_with("refused"));
}

/// Ends coturn with the test.
struct Stun(std::process::Child);

impl Drop for Stun {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stun_server_tells_the_public_address() {
    let port = super::support::free_port();
    let folder = tempfile::tempdir().unwrap();
    let all = [
        "-n",
        "-S",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--listening-ip=127.0.0.1",
        "--log-file=stdout",
        "--pidfile=pid",
    ];
    let child = Command::new("turnserver")
        .args(all)
        .arg(format!("--listening-port={port}"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("turnserver is not installed (make test installs coturn)");
    let _stun = Stun(child);
    super::sipp::listens(port).await;
    let address = format!("127.0.0.1:{port}");
    let found = trunkline_signaling::io::public_address(&address, rand::random()).await.unwrap();
    assert_eq!(found, IpAddr::from([127, 0, 0, 1]));
    let server = Server::start_with(|config| {
        config.sip.advertised_address = None;
        config.sip.stun_server = address;
    })
    .await;
    assert_eq!(server.app.services.media.addr, found);
    let silent = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    assert!(trunkline_signaling::io::public_address(&nobody, rand::random()).await.is_err());
}

/// A carrier behind TLS that refuses every call with 486; the first handshake waits for `go`. Counts handshakes that
/// came to their end, good and bad.
async fn tls_carrier(
    files: (String, String), go: std::sync::Arc<tokio::sync::Notify>,
) -> (u16, std::sync::Arc<std::sync::Mutex<(usize, usize)>>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = vec![CertificateDer::from_pem_slice(files.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(files.1.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let counts = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let counted = counts.clone();
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted, go) = (acceptor.clone(), counted.clone(), go.clone());
            let waits = std::mem::take(&mut first);
            tokio::spawn(async move {
                if waits {
                    go.notified().await;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    counted.lock().unwrap().1 += 1;
                    return;
                };
                let mut buffer = vec![0; 65_535];
                // The client's verdict on the certificate comes after the server's last word.
                let mut spoke = false;
                while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                    if !std::mem::replace(&mut spoke, true) {
                        counted.lock().unwrap().0 += 1;
                    }
                    let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                    if text.starts_with("ACK ") || !text.contains("CSeq: ") {
                        continue;
                    }
                    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"]
                        .iter()
                        .filter_map(|name| text.lines().find(|line| line.starts_with(&format!("{name}: "))))
                        .map(|line| format!("{line}\r\n"))
                        .collect();
                    let copied = copied.replace("\r\nCall-ID", ";tag=e\r\nCall-ID");
                    let reply = format!("SIP/2.0 486 Busy Here\r\n{copied}Content-Length: 0\r\n\r\n");
                    stream.write_all(reply.as_bytes()).await.unwrap();
                }
                if !spoke {
                    counted.lock().unwrap().1 += 1;
                }
            });
        }
    });
    (port, counts)
}

/// Another trunk may use a different name for the carrier's address. The carrier's certificate is not for that name, so
/// only that trunk's calls fail, no matter which trunk connects first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_name_for_a_carriers_address_affects_only_its_trunk() {
    const FOREIGN: &str = "+15550171";
    const MINE: &str = "+15550172";
    let made = rcgen::generate_simple_self_signed(["carrier.test".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, made.cert.pem()).unwrap();
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let (port, counts) = tls_carrier((made.cert.pem(), made.signing_key.serialize_pem()), go.clone()).await;
    let dns = name_server(9, 9).await;
    let server = Server::start_with(|config| {
        config.sip.dns_server = Some(dns);
        config.sip.tls.roots = roots.display().to_string();
    })
    .await;
    let trunk = |name: &str, host: &str| json!({"name": name, "host": host, "port": port, "transport": "tls"});
    for (name, host, number) in [("Foreign", "foreign.test", FOREIGN), ("Mine", "carrier.test", MINE)] {
        let trunk = server.post("/trunks", trunk(name, host)).await["trunk"]["id"].clone();
        server.post("/phone-numbers", json!({"name": name, "number": number, "trunk_id": trunk})).await;
    }
    let dial = async |number: &str| {
        let task = json!({"agent_id": server.agent, "to_number": "+15550199", "from_number": number});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned()
    };
    let ended = async |call: String| {
        until("the end of a call", || async {
            let call = server.get(&format!("/calls/{call}")).await["call"].clone();
            (!call["ended_at"].is_null()).then_some(call)
        })
        .await
    };
    // Theirs comes first and is still at its handshake; mine does not wait for it.
    let theirs = dial(FOREIGN).await;
    let call = ended(dial(MINE).await).await;
    assert_eq!(call["end_reason"], json!("busy"), "{call}");
    go.notify_one();
    let call = ended(theirs).await;
    assert_eq!(call["end_reason"], json!("trunk_error"), "{call}");
    assert!(call["signalling"]["problem"].as_str().unwrap().contains("certificate"), "{call}");
    // Once more, with my connection open: it is not theirs, and stays mine.
    let call = ended(dial(FOREIGN).await).await;
    assert_eq!(call["end_reason"], json!("trunk_error"), "{call}");
    let call = ended(dial(MINE).await).await;
    assert_eq!(call["end_reason"], json!("busy"), "{call}");
    assert_eq!(*counts.lock().unwrap(), (1, 2), "one connection for all of mine");
}
