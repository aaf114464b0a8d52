//! Hostile SIP on real sockets, over every transport: the server still serves honest clients, and nothing panics (which
//! every test's server asserts at its end).

use crate::support::{NUMBER, Server, until};
use futures_util::StreamExt as _;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline_connections::{Closed, ConnectionCounters};

#[path = "../../signaling/tests/common/message_mutator.rs"]
mod message_mutator;
mod tls;
mod websocket;

use message_mutator::{HEADERS, MessageDraft, chunks, spoiled};

/// What is not there after this does not come: the machine has other things to do than this test.
const NEVER: Duration = Duration::from_secs(20);
/// Until a listener closes a connection that does not continue.
const PATIENCE_MS: u64 = 3_000;
/// Of answers this much is looked at: more than an answer to OPTIONS has.
const TAIL_BYTES: usize = 16_384;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

struct HostilePeer {
    udp: UdpSocket,
    server: SocketAddr,
    sent: u32,
}

impl HostilePeer {
    async fn new(server: &Server) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { udp, server: ([127, 0, 0, 1], server.sip_port()).into(), sent: 0 }
    }

    fn request(&mut self, method: &str, transport: &str, call_id: &str, to_tag: &str, cseq: u32) -> MessageDraft {
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
        MessageDraft::new(&format!("{method} sip:{NUMBER}@127.0.0.1 SIP/2.0"), &headers, body.as_bytes())
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

    /// An honest client sends a request, and gets an answer.
    async fn assert_served(&mut self) {
        let call_id = format!("honest{}", self.sent);
        let options = self.request("OPTIONS", "UDP", &call_id, "", 1);
        self.send(&options.bytes()).await;
        self.hear(&["SIP/2.0 200 ", &call_id]).await;
    }

    /// OPTIONS for a connection: the Call-ID identifies its answer.
    fn options(&mut self, transport: &str) -> (String, Vec<u8>) {
        let call_id = format!("good{}.{transport}", self.sent);
        let bytes = self.request("OPTIONS", transport, &call_id, "", 1).bytes();
        (call_id, bytes)
    }

    /// Ready, serving SIP, and without a panic.
    async fn assert_unharmed(&mut self, server: &Server) {
        self.assert_served().await;
        let get = async |path: &str| {
            let url = format!("http://{}{path}", server.app.api_addr);
            let answer = server.http.get(url).timeout(NEVER).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let (status, body) = get("/health/ready").await;
        assert_eq!(status, 200, "{body}");
        let (status, metrics) = get("/metrics").await;
        assert!(status == 200 && metrics.contains("trunkline_connections{"), "{status}: {metrics}");
        let is_panic = |line: &&str| line.starts_with("trunkline_panics_total") && !line.ends_with(" 0");
        let panics: Vec<&str> = metrics.lines().filter(is_panic).collect();
        assert!(panics.is_empty(), "{panics:?}");
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Listeners with short timeouts.
fn impatient(config: &mut Config) {
    let sip = &mut config.sip.connections;
    (sip.handshake_timeout_ms, sip.first_message_timeout_ms) = (PATIENCE_MS, PATIENCE_MS);
    (sip.message_timeout_ms, sip.stranger_idle_timeout_s) = (PATIENCE_MS, PATIENCE_MS / 1_000);
}

/// On the trunk's list.
const LISTED: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// An address that is on no list, each time another one: what strangers may do is counted by address and network.
fn stranger() -> Ipv4Addr {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let [.., network] = (made / 100).to_be_bytes();
    let [.., host] = (made % 100 + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, network, host)
}

async fn from(own: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((own, 0).into()).unwrap();
    let stream = timeout(NEVER, socket.connect(to)).await.expect("no listener accepts").unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// So many of them at once.
async fn all<T, F: Future<Output = ()>>(at_once: usize, of: impl IntoIterator<Item = T>, run: impl FnMut(T) -> F) {
    futures_util::stream::iter(of).for_each_concurrent(at_once, run).await;
}

/// The first line of the answer with this Call-ID.
fn status_of(heard: &[u8], call_id: &str) -> Option<String> {
    let text = String::from_utf8_lossy(heard);
    let (before, _) = text.split_once(&format!("Call-ID: {call_id}\r\n"))?;
    let start = before.rfind("SIP/2.0 ")?;
    before[start..].lines().next().map(str::to_owned)
}

/// Writes all of this and reads meanwhile: the first line of the answer with this Call-ID, or none when the other end
/// closed. Fails when neither comes.
async fn exchange(what: &str, stream: &mut (impl Io + ?Sized), pieces: &[Vec<u8>], call_id: &str) -> Option<String> {
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        for piece in pieces {
            if write.write_all(piece).await.is_err() || write.flush().await.is_err() {
                break; // the server closed it because of the content: the reader sees that
            }
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let (mut heard, mut buffer) = (vec![], vec![0; 8_192]);
        while let Ok(len @ 1..) = read.read(&mut buffer).await {
            heard.extend_from_slice(&buffer[..len]);
            if let Some(status) = status_of(&heard, call_id) {
                return Some(status);
            }
            heard.drain(..heard.len().saturating_sub(TAIL_BYTES));
        }
        None
    };
    let either = async {
        tokio::select! {
            status = reading => status,
            () = writing => unreachable!("it waits for the reader"),
        }
    };
    timeout(NEVER, either).await.unwrap_or_else(|_| panic!("{what}: neither answered nor closed"))
}

/// The other end closes, whatever else it says before.
async fn assert_ends(what: &str, stream: &mut (impl Io + ?Sized), pieces: &[Vec<u8>]) {
    let answered = exchange(what, stream, pieces, "nobody's").await;
    assert_eq!(answered, None, "{what}");
}

/// No connection is left behind, and none was turned away unseen.
async fn assert_all_gone(report: &ConnectionCounters) {
    until("that every connection is gone", || async { (report.open() == 0).then_some(()) }).await;
    for why in [Closed::RefusedRate, Closed::RefusedAddress, Closed::RefusedTotal] {
        assert_eq!(report.closed_for(why), 0, "{}", why.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_header_wrong_over_udp() {
    let server = Server::start().await;
    let mut peer = HostilePeer::new(&server).await;
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
    let mut peer = HostilePeer::new(&server).await;
    for at in 0..HEADERS.len() {
        for way in (at % 61..450).step_by(61) {
            let good = peer.request("OPTIONS", "TCP", &format!("t{at}.{way}"), "", 1);
            let bad = spoiled(&good, at, way).1.bytes();
            let Ok(mut stream) = TcpStream::connect(peer.server).await else { continue };
            for chunk in chunks(&bad[..bad.len().min(2_000)], way % 3 + 2) {
                if stream.write_all(&chunk).await.is_err() {
                    break; // the server closed it because of the content
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
    let mut peer = HostilePeer::new(&server).await;
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
        let snapshot = server.app.services.sip.snapshot().await?;
        (snapshot.sessions == 0).then_some(())
    })
    .await;
}
