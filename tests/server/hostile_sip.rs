//! Hostile SIP on real sockets, over UDP and TCP: the server goes on with whoever is honest, and nothing panics (which
//! every test's server asserts at its end).

use crate::support::{NUMBER, Server, until};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

#[path = "../../signaling/tests/common/hostile.rs"]
mod hostile;

use hostile::{Draft, HEADERS, chunks, spoiled};

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

struct Peer {
    udp: UdpSocket,
    server: SocketAddr,
    sent: u32,
}

impl Peer {
    async fn new(server: &Server) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { udp, server: ([127, 0, 0, 1], server.sip_port()).into(), sent: 0 }
    }

    fn request(&mut self, method: &str, transport: &str, call_id: &str, to_tag: &str, cseq: u32) -> Draft {
        self.sent += 1;
        let (local, sent) = (self.udp.local_addr().unwrap(), self.sent);
        let body = if matches!(method, "INVITE" | "UPDATE") { SDP } else { "" };
        let headers = [
            ("Via", format!("SIP/2.0/{transport} {local};branch=z9hG4bK{}x{sent};rport", local.port())),
            ("Max-Forwards", "70".into()),
            ("From", "<sip:+15550199@127.0.0.1>;tag=peer".into()),
            ("To", format!("<sip:{NUMBER}@127.0.0.1>{to_tag}")),
            ("Call-ID", call_id.into()),
            ("CSeq", format!("{cseq} {method}")),
            ("Contact", format!("<sip:peer@{local}>")),
            ("Content-Type", "application/sdp".into()),
        ];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Draft::new(&format!("{method} sip:{NUMBER}@127.0.0.1 SIP/2.0"), &headers, body.as_bytes())
    }

    async fn send(&self, bytes: &[u8]) {
        let _ = self.udp.send_to(&bytes[..bytes.len().min(65_000)], self.server).await;
    }

    /// The first message that holds all of these words.
    async fn hear(&self, words: &[&str]) -> String {
        let mut buffer = vec![0; 65_536];
        let heard = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let len = self.udp.recv(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
                if words.iter().all(|word| text.contains(word)) {
                    return text;
                }
            }
        });
        heard.await.unwrap_or_else(|_| panic!("nothing with {words:?}"))
    }

    /// Somebody honest asks, and is answered.
    async fn assert_served(&mut self) {
        let call_id = format!("honest{}", self.sent);
        let options = self.request("OPTIONS", "UDP", &call_id, "", 1);
        self.send(&options.bytes()).await;
        self.hear(&["SIP/2.0 200 ", &call_id]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_wrong_over_udp() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    for (at, (name, _)) in HEADERS.iter().enumerate() {
        for way in (at % 11..450).step_by(11) {
            let method = ["OPTIONS", "INVITE", "BYE", "REGISTER", "ACK"][way % 5];
            let good = peer.request(method, "UDP", &format!("u{at}.{way}"), "", 1);
            peer.send(&spoiled(&good, at, way).1.bytes()).await;
        }
        peer.assert_served().await;
        assert!(!name.is_empty());
    }
    for datagram in [
        &b"OPTIONS sip:a@b SIP/2.0\r\nVia: ,SIP/2.0/UDP h;branch=z9hG4bK1;x=\xc3\xa9\r\n\r\n"[..],
        b"INVITE sip:a@b SIP/2.0\r\nv: ,SIP/2.0/UDP h;branch=z9hG4bK1;x=\xe9\r\n\r\n",
        b"\0\0\0\0",
        b"\xff",
    ] {
        peer.send(datagram).await;
        peer.assert_served().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_wrong_over_tcp_in_every_framing() {
    let server = Server::start().await;
    let mut peer = Peer::new(&server).await;
    for at in 0..HEADERS.len() {
        for way in (at % 61..450).step_by(61) {
            let good = peer.request("OPTIONS", "TCP", &format!("t{at}.{way}"), "", 1);
            let bad = spoiled(&good, at, way).1.bytes();
            let Ok(mut stream) = TcpStream::connect(peer.server).await else { continue };
            for chunk in chunks(&bad[..bad.len().min(2_000)], way % 3 + 2) {
                if stream.write_all(&chunk).await.is_err() {
                    break; // closed for what was in it
                }
            }
            let _ = stream.shutdown().await;
            let mut answer = vec![];
            let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut answer)).await;
        }
        peer.assert_served().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_while_an_agent_rings_is_answered() {
    let server = Server::start().await;
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"ringing": {"ring_ms": 3_000}}))).await;
    let mut peer = Peer::new(&server).await;
    let invite = peer.request("INVITE", "UDP", "early", "", 1);
    peer.send(&invite.bytes()).await;
    let ringing = peer.hear(&["SIP/2.0 183 ", "early"]).await;
    let to = ringing.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
    let tag = format!(";tag={}", to.rsplit_once(";tag=").unwrap().1);
    let update = peer.request("UPDATE", "UDP", "early", &tag, 2);
    peer.send(&update.bytes()).await;
    let answer = peer.hear(&["CSeq: 2 UPDATE"]).await;
    assert!(answer.starts_with("SIP/2.0 500 ") && answer.contains("\r\nRetry-After: "), "{answer}");
    // Acknowledged with the branch of the INVITE, as some do: the call is up, and over with its BYE.
    peer.hear(&["SIP/2.0 200 ", "CSeq: 1 INVITE"]).await;
    let via = vec![invite.good("Via", "")];
    let ack = peer.request("ACK", "UDP", "early", &tag, 1).with("Via", &via);
    peer.send(&ack.bytes()).await;
    until("the call is up", || async {
        let calls = server.get("/calls").await;
        (calls["calls"][0]["status"] == "in_progress").then_some(())
    })
    .await;
    let bye = peer.request("BYE", "UDP", "early", &tag, 3);
    peer.send(&bye.bytes()).await;
    peer.hear(&["SIP/2.0 200 ", "CSeq: 3 BYE"]).await;
    until("nothing is held", || async {
        let snapshot = server.app.context.sip.snapshot().await?;
        (snapshot.sessions == 0).then_some(())
    })
    .await;
}
