//! Which RTP is the caller's, with bare sockets: strangers, moves, descriptions that name a third party's address.

use super::support::{NUMBER, Server, until};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use trunkline_media::rtp::packet::RtpPacket;

/// Nothing here takes as long as this on a machine that works at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller made of sockets.
struct RtpCaller {
    sip: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
    call_id: String,
    to_tag: String,
    cseq: u32,
    /// Where the server's RTP is.
    media: SocketAddr,
    sequence: u16,
}

fn description(host: &str, port: u16) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n")
}

async fn socket(ip: &str) -> UdpSocket {
    UdpSocket::bind((ip, 0)).await.unwrap()
}

/// 20 ms of sound.
fn sound(sequence: u16, ssrc: u32) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc, payload: &[0x30; 160] };
    let mut buffer = vec![0; 172];
    packet.write(&mut buffer).unwrap();
    buffer
}

/// Packets go out in this time; the first tick comes after it.
fn pace(interval: Duration) -> tokio::time::Interval {
    tokio::time::interval_at(tokio::time::Instant::now() + interval, interval)
}

/// What comes at a socket in a while.
async fn received(socket: &UdpSocket, during: Duration) -> usize {
    let mut count = 0;
    let mut buffer = [0; 2_000];
    let _ = tokio::time::timeout(during, async {
        while socket.recv(&mut buffer).await.is_ok() {
            count += 1;
        }
    })
    .await;
    count
}

impl RtpCaller {
    /// Calls with a description of the caller's choice; its port is that of the RTP socket.
    async fn call(server: &Server, host: &str) -> Self {
        let (sip, rtp) = (socket("127.0.0.1").await, socket("127.0.0.1").await);
        let server = SocketAddr::from(([127, 0, 0, 1], server.sip_port()));
        let call_id = format!("{}@raw", sip.local_addr().unwrap().port());
        let media = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut caller = Self { sip, rtp, server, call_id, to_tag: String::new(), cseq: 0, media, sequence: 0 };
        caller.invite(host).await;
        caller
    }

    fn port(&self) -> u16 {
        self.rtp.local_addr().unwrap().port()
    }

    async fn request(&self, method: &str, branch: &str, body: &str) {
        let (us, cseq, call_id) = (self.sip.local_addr().unwrap(), self.cseq, &self.call_id);
        let to = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{NUMBER}@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:+15550142@127.0.0.1>;tag=raw\r\nTo: <sip:{NUMBER}@{0}>{to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:raw@{us}>\r\n{kind}Content-Length: {1}\r\n\r\n{body}",
            self.server,
            body.len()
        );
        self.sip.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    /// INVITE or re-INVITE, answered and acknowledged.
    async fn invite(&mut self, host: &str) {
        self.cseq += 1;
        let body = description(host, self.port());
        self.request("INVITE", &format!("{}i{}", self.port(), self.cseq), &body).await;
        let mut buffer = [0; 4_000];
        let answer = loop {
            let len = tokio::time::timeout(PATIENCE, self.sip.recv(&mut buffer)).await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let ours = text.contains(&format!("CSeq: {} INVITE", self.cseq));
            assert!(!ours || text.starts_with("SIP/2.0 1") || text.starts_with("SIP/2.0 200"), "{text}");
            if ours && text.starts_with("SIP/2.0 200") {
                break text;
            }
        };
        let line = |start: &str| answer.lines().find_map(|line| line.strip_prefix(start)).unwrap();
        self.to_tag = line("To: ").split("tag=").nth(1).unwrap().to_owned();
        self.media.set_port(line("m=audio ").split(' ').next().unwrap().parse().unwrap());
        self.request("ACK", &format!("{}a{}", self.port(), self.cseq), "").await;
    }

    /// Sound from a socket, in real time, until something has come of it.
    async fn speak(&mut self, from: &UdpSocket, ssrc: u32, packets: u16) {
        let mut pace = pace(Duration::from_millis(20));
        for _ in 0..packets {
            from.send_to(&sound(self.sequence, ssrc), self.media).await.unwrap();
            self.sequence = self.sequence.wrapping_add(1);
            pace.tick().await;
        }
    }

    /// Speaks from there until it is heard there; false when that does not happen.
    async fn comes_to(&mut self, at: &UdpSocket, ssrc: u32) -> bool {
        for _ in 0..100 {
            self.speak(at, ssrc, 5).await;
            received(at, Duration::from_millis(1)).await;
            if received(at, Duration::from_millis(200)).await >= 5 {
                return true;
            }
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_before_the_callers_first_packet_hear_nothing_and_the_caller_everything() {
    let server = Server::start().await;
    let mut caller = RtpCaller::call(&server, "127.0.0.1").await;
    let strangers = [socket("127.0.0.8").await, socket("127.0.0.9").await];
    let mut pace = pace(Duration::from_millis(5));
    for n in 0..30 {
        for stranger in &strangers {
            stranger.send_to(&sound(n, 1), caller.media).await.unwrap();
            stranger.send_to(&[0x80, 201, 0, 1, 0, 0, 0, 1], caller.media).await.unwrap();
        }
        pace.tick().await;
    }
    let rtp = std::mem::replace(&mut caller.rtp, socket("127.0.0.1").await);
    assert!(received(&rtp, Duration::from_millis(500)).await > 5, "ours goes where the description says");
    assert!(caller.comes_to(&rtp, 2).await);
    for stranger in &strangers {
        assert_eq!(received(stranger, Duration::from_millis(50)).await, 0);
    }
    caller.cseq += 1;
    caller.request("BYE", "bye", "").await;
    let call = until("the last row", || async {
        let call = server.last_call().await;
        (call["status"] == "completed").then_some(call)
    })
    .await;
    let media = &call["metrics"]["media"];
    assert!(media["packets_received"].as_u64().unwrap() <= u64::from(caller.sequence), "{media}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_move_within_its_address_and_win_its_stream_back() {
    let server = Server::start().await;
    let mut caller = RtpCaller::call(&server, "127.0.0.1").await;
    let rtp = std::mem::replace(&mut caller.rtp, socket("127.0.0.1").await);
    // Another source at the same address is accepted while the described port is silent, and no longer.
    let neighbour = socket("127.0.0.1").await;
    assert!(caller.comes_to(&neighbour, 1).await);
    assert!(caller.comes_to(&rtp, 2).await);
    caller.speak(&neighbour, 1, 10).await;
    assert!(received(&rtp, Duration::from_millis(300)).await > 5);
    received(&neighbour, Duration::from_millis(1)).await;
    caller.speak(&rtp, 2, 5).await;
    assert_eq!(received(&neighbour, Duration::from_millis(200)).await, 0);
    // The same stream goes on from another port after a silence; from another address it does not.
    assert_eq!(received(&neighbour, Duration::from_millis(1_500)).await, 0);
    let (elsewhere, moved) = (socket("127.0.0.8").await, socket("127.0.0.1").await);
    caller.speak(&elsewhere, 2, 10).await;
    assert_eq!(received(&elsewhere, Duration::from_millis(100)).await, 0);
    assert!(caller.comes_to(&moved, 2).await);
    // A re-INVITE lets it come from yet another port with another stream.
    caller.rtp = rtp;
    caller.invite("127.0.0.1").await;
    let again = socket("127.0.0.1").await;
    assert_eq!(received(&again, Duration::from_millis(300)).await, 0, "it has not spoken yet");
    assert!(caller.comes_to(&again, 3).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_with_a_private_address_is_heard_where_its_signalling_comes_from() {
    let server = Server::start().await;
    let mut caller = RtpCaller::call(&server, "10.255.255.1").await;
    let (rtp, stranger) = (socket("127.0.0.1").await, socket("127.0.0.8").await);
    caller.speak(&stranger, 1, 10).await;
    assert!(caller.comes_to(&rtp, 2).await);
    assert_eq!(received(&stranger, Duration::from_millis(50)).await, 0);
    drop(server);
    // In the strictest mode, only the described address is accepted.
    let rtp = socket("127.0.0.1").await;
    let server = Server::start_with(|config| config.media.latching = trunkline::config::LatchingMode::Off).await;
    let mut caller = RtpCaller::call(&server, "10.255.255.1").await;
    caller.speak(&rtp, 1, 20).await;
    assert_eq!(received(&rtp, Duration::from_millis(200)).await, 0);
    drop(server);
    // In the widest mode, every source is accepted, until a better one comes.
    let server = Server::start_with(|config| config.media.latching = trunkline::config::LatchingMode::Any).await;
    let mut caller = RtpCaller::call(&server, "127.0.0.1").await;
    let described = std::mem::replace(&mut caller.rtp, socket("127.0.0.1").await);
    assert!(caller.comes_to(&stranger, 1).await);
    assert!(caller.comes_to(&described, 2).await);
    received(&stranger, Duration::from_millis(1)).await;
    assert_eq!(received(&stranger, Duration::from_millis(200)).await, 0);
}
