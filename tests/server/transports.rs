//! SIP over what is not plain UDP: WebSockets by Node's `ws`, IPv6, certificates that are replaced and demanded.

use super::support::{NUMBER, Server, tls_files};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use serde_json::json;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use trunkline::caller::script::Script;
use trunkline::caller::softphone::{Dial, Softphone};
use trunkline_signaling::sip::endpoint::Transport;
use trunkline_signaling::sip::message::Uri;

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
        let url = format!("{scheme}://{}/", server.app.context.sip.local().ws.unwrap());
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
        let dial = Dial {
            to: Uri::sip(Some(NUMBER), "::1", Some(server.sip_port())),
            from: Uri::sip(Some("+15550100"), "::1", Some(local.port())),
            transport,
            credentials: None,
            codecs: vec!["PCMU".into()],
        };
        let report = phone.dial(&dial, &Script::parse("listen; hangup").unwrap(), None).await;
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
        phone.answer(call, &Script::parse("pause 200; hangup").unwrap(), None).await;
        assert_eq!(server.last_call().await["status"], json!("completed"));
    }
    assert!(waits[0] > Duration::from_secs(3), "the first server is asked first: {waits:?}");
    assert!(waits[1] < Duration::from_secs(2), "and not again so soon: {waits:?}");
}
