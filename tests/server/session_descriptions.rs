//! Descriptions that are not a plain first offer, with bare sockets: several parts, names, streams that are switched off,
//! ICE and DTLS of peers that are no browsers, keys that are refused.

use super::sip_peer::{MediaPort, SipPeer};
use super::support::{NUMBER, Server, until};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;

/// Nothing here takes as long as this on a machine that works at all.
const PATIENCE: Duration = Duration::from_secs(10);
const SDP: &str = "Content-Type: application/sdp\r\n";

/// A caller made of sockets, whose bodies are its own.
struct Caller {
    sip: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
    to: String,
    cseq: u32,
}

impl Caller {
    async fn new(server: &Server) -> Self {
        let (sip, rtp) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let server = SocketAddr::from(([127, 0, 0, 1], server.sip_port()));
        Self { sip, rtp, server, to: format!("<sip:{NUMBER}@{server}>"), cseq: 0 }
    }

    /// A description of its port at this host, with more lines.
    fn sdp(&self, host: &str, more: &str) -> String {
        let port = self.rtp.local_addr().unwrap().port();
        let head = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n");
        format!("{head}m=audio {port} RTP/AVP 0\r\n{more}")
    }

    async fn send(&self, method: &str, kind: &str, body: &str) {
        let (us, cseq) = (self.sip.local_addr().unwrap(), self.cseq);
        let kind = if body.is_empty() { "" } else { kind };
        let text = format!(
            "{method} sip:{NUMBER}@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{method}{cseq}{1}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+15550142@127.0.0.1>;tag=raw\r\nTo: {2}\r\nCall-ID: {1}@descriptions\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:raw@{us}>\r\n{kind}Content-Length: {3}\r\n\r\n{body}",
            self.server,
            us.port(),
            self.to,
            body.len()
        );
        self.sip.send_to(text.as_bytes(), self.server).await.unwrap();
    }

    /// Sends a request; gives its final response, which is acknowledged.
    async fn request(&mut self, method: &str, kind: &str, body: &str) -> String {
        let response = self.ask(method, kind, body).await;
        if method == "INVITE" {
            let to = std::mem::replace(&mut self.to, line(&response, "To: ").unwrap().to_owned());
            self.send("ACK", "", "").await;
            if !response.starts_with("SIP/2.0 200") && !to.contains("tag=") {
                self.to = to;
            }
        }
        response
    }

    /// Sends a request; gives its final response.
    async fn ask(&mut self, method: &str, kind: &str, body: &str) -> String {
        self.cseq += 1;
        self.send(method, kind, body).await;
        let mut buffer = [0; 8_000];
        loop {
            let len = tokio::time::timeout(PATIENCE, self.sip.recv(&mut buffer)).await.unwrap().unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
            if is_final && text.contains(&format!("CSeq: {} {method}\r\n", self.cseq)) {
                return text;
            }
        }
    }

    /// A request of the server comes.
    async fn is_asked(&self, method: &str) -> bool {
        let mut buffer = [0; 8_000];
        let asked = async {
            loop {
                let len = self.sip.recv(&mut buffer).await.unwrap();
                if buffer[..len].starts_with(format!("{method} ").as_bytes()) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.is_ok()
    }

    /// Packets that arrive in a while.
    async fn heard(&self, during: Duration) -> usize {
        let (mut count, mut buffer) = (0, [0; 2_000]);
        let _ = tokio::time::timeout(during, async {
            while self.rtp.recv(&mut buffer).await.is_ok() {
                count += usize::from(buffer[0] >> 6 == 2 && buffer[1] & 0x7F == 0);
            }
        })
        .await;
        count
    }

    async fn hears(&self, what: &str) {
        assert!(self.heard(Duration::from_secs(3)).await > 10, "{what}");
    }
}

fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(start))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_among_other_parts_is_answered_and_required_parts_are_refused() {
    let server = Server::start().await;
    let mut caller = Caller::new(&server).await;
    let parts = |handling: &str, sdp: &str| {
        format!(
            "--b1\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b1\r\nContent-Type: application/isup\r\n\
             Content-Disposition: signal;handling={handling}\r\n\r\n\x01\x11\r\n--b1--\r\n"
        )
    };
    let kind = "Content-Type: multipart/mixed;boundary=b1\r\n";
    let sdp = caller.sdp("127.0.0.1", "");
    let refused = caller.request("INVITE", kind, &parts("required", &sdp)).await;
    assert!(refused.starts_with("SIP/2.0 415 ") && line(&refused, "Accept: ").is_some(), "{refused}");
    let answer = caller.request("INVITE", kind, &parts("optional", &sdp)).await;
    assert!(answer.starts_with("SIP/2.0 200 ") && line(&answer, "m=audio ").is_some(), "{answer}");
    caller.hears("the call has sound").await;
    let refused = caller.request("UPDATE", "Content-Type: application/rs-metadata+xml\r\n", "<r/>").await;
    assert!(refused.starts_with("SIP/2.0 415 ") && line(&refused, "Accept: ").is_some(), "{refused}");
    let answer = caller.request("UPDATE", kind, &parts("optional", &sdp)).await;
    assert!(answer.starts_with("SIP/2.0 200 ") && line(&answer, "m=audio ").is_some(), "{answer}");
    caller.request("BYE", "", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_the_place_of_an_address_is_looked_up() {
    let server = Server::start().await;
    // One that has an address, and one that has none: its media come from where its signalling does.
    for host in ["localhost", "nowhere.invalid"] {
        let mut caller = Caller::new(&server).await;
        let sdp = caller.sdp(host, "");
        let answer = caller.request("INVITE", SDP, &sdp).await;
        assert!(answer.starts_with("SIP/2.0 200 "), "{host}: {answer}");
        caller.hears(host).await;
        caller.request("BYE", "", "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_is_switched_off_with_port_zero_comes_back() {
    let server = Server::start_with(|config| config.media.network_timeout_ms = 2_000).await;
    let mut caller = Caller::new(&server).await;
    let on = caller.sdp("127.0.0.1", "");
    let off = on.replace(&format!("m=audio {}", caller.rtp.local_addr().unwrap().port()), "m=audio 0");
    caller.request("INVITE", SDP, &on).await;
    for method in ["INVITE", "UPDATE"] {
        let answer = caller.request(method, SDP, &off).await;
        assert!(answer.starts_with("SIP/2.0 200 ") && answer.contains("m=audio 0 RTP/AVP 0\r\n"), "{answer}");
        caller.heard(Duration::from_millis(200)).await;
        // Longer than the network may be silent.
        assert_eq!(caller.heard(Duration::from_millis(3_000)).await, 0, "{method}: off");
        let answer = caller.request(method, SDP, &on).await;
        assert!(answer.starts_with("SIP/2.0 200 ") && !answer.contains("m=audio 0 "), "{answer}");
    }
    let call = server.live_call().await;
    assert!(!call.is_empty(), "it is still up");
    caller.request("BYE", "", "").await;
    let call = until("the last row", || async {
        let call = server.last_call().await;
        (call["status"] == "completed").then_some(call)
    })
    .await;
    assert_eq!(call["end_reason"], json!("customer_hung_up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ice_and_dtls_of_peers_that_are_no_browsers_are_answered() {
    let server = Server::start().await;
    let (status, answer) =
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"srtp": "preferred"}))).await;
    assert_eq!(status, 200, "{answer}");
    let security = format!("a=setup:actpass\r\na=fingerprint:sha-256 {}\r\n", ["0C"; 32].join(":"));
    let ice = |ufrag: &str| format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}efghijklmnopqrstuvwxyz\r\n");
    for (profile, more) in [
        ("UDP/TLS/RTP/SAVPF", "a=rtcp-mux\r\na=mid:0\r\n"),
        ("UDP/TLS/RTP/SAVPF", ""),
        ("UDP/TLS/RTP/SAVP", "a=rtcp-mux\r\n"),
    ] {
        let mut caller = Caller::new(&server).await;
        let sdp = caller.sdp("127.0.0.1", &format!("{security}{}{more}", ice("abcd"))).replace("RTP/AVP", profile);
        let first = caller.request("INVITE", SDP, &sdp).await;
        assert!(first.starts_with("SIP/2.0 200 "), "{profile} {more}: {first}");
        for wanted in
            [&format!(" {profile} 0"), "a=ice-lite", "a=setup:passive", "a=fingerprint:sha-256 ", "a=candidate:"]
        {
            assert!(first.contains(wanted), "{wanted} in {first}");
        }
        // The same credentials are no restart, others are.
        let again = caller.request("INVITE", SDP, &sdp).await;
        let restarted = caller.request("INVITE", SDP, &sdp.replace("abcd", "wxyz")).await;
        assert_eq!(line(&again, "a=ice-ufrag:"), line(&first, "a=ice-ufrag:"));
        for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
            assert!(line(&restarted, name).is_some() && line(&restarted, name) != line(&first, name), "{restarted}");
        }
        // What we offer when we are asked to is the session that stands.
        let offer = caller.request("INVITE", "", "").await;
        for wanted in [&format!(" {profile} 0"), "a=ice-lite", "a=setup:actpass", "a=fingerprint:sha-256 "] {
            assert!(offer.contains(wanted), "{wanted} in {offer}");
        }
        assert_eq!(line(&offer, "a=ice-ufrag:"), line(&restarted, "a=ice-ufrag:"));
        assert!(!offer.contains("a=crypto"), "{offer}");
        caller.request("BYE", "", "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_callee_refuses_are_left_out_of_a_second_invite() {
    for refusal in ["488 Not Acceptable Here", "606 Not Acceptable", "200 OK"] {
        let (server, mut peer) = (Server::start().await, SipPeer::open().await);
        let trunk = json!({"host": "127.0.0.1", "port": peer.port(), "srtp": "preferred"});
        let (status, answer) = server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(trunk)).await;
        assert_eq!(status, 200, "{answer}");
        let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/tasks/{task}/execute"), json!({})).await;
        let first = peer.request("INVITE").await;
        assert!(first.body().contains("a=crypto:"), "{}", first.0);
        let person = MediaPort::open().await;
        if refusal.starts_with("200") {
            let off =
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 8\r\n";
            peer.answer(&first, "a", off).await;
            let bye = peer.request_to("a", "BYE").await;
            peer.respond(&bye, "200 OK", "a", &[], "").await;
        } else {
            peer.respond(&first, refusal, "a", &[], "").await;
        }
        let second = peer.request("INVITE").await;
        assert!(!second.body().contains("a=crypto:") && second.body().contains("RTP/AVP"), "{}", second.0);
        assert_ne!(second.header("Call-ID"), first.header("Call-ID"), "another call");
        peer.answer(&second, "b", &person.sdp()).await;
        person.hears("the plain call").await;
        peer.hang_up(&second, "b").await;
        assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
    }
}

/// Of a browser, and of a telephone with a suite that our first offers do not have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_is_offered_to_browsers_and_weak_suites() {
    let server = Server::start().await;
    let (status, answer) =
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"srtp": "preferred"}))).await;
    assert_eq!(status, 200, "{answer}");
    let mut browser = Caller::new(&server).await;
    let more = format!(
        "a=setup:actpass\r\na=fingerprint:sha-256 {}\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwxyz\r\n\
         a=rtcp-mux\r\na=mid:0\r\na=rtpmap:126 telephone-event/8000\r\n",
        ["0C"; 32].join(":")
    );
    let sdp = browser.sdp("127.0.0.1", &more).replace("RTP/AVP 0", "UDP/TLS/RTP/SAVPF 0 126");
    let sdp = sdp.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0\r\n");
    let first = browser.request("INVITE", SDP, &sdp).await;
    assert!(first.starts_with("SIP/2.0 200 ") && first.contains("a=group:BUNDLE"), "{first}");
    for _ in 0..2 {
        let offer = browser.ask("INVITE", "", "").await;
        assert!(offer.starts_with("SIP/2.0 200 ") && offer.contains("a=setup:actpass"), "{offer}");
        for same in ["m=audio ", "a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=mid:"] {
            assert!(line(&first, same).is_some() && line(&offer, same) == line(&first, same), "{same} in {offer}");
        }
        browser.send("ACK", SDP, &sdp.replace("actpass", "active")).await;
    }
    let again = browser.request("INVITE", SDP, &sdp).await;
    assert!(again.starts_with("SIP/2.0 200 "), "and its own offers are taken: {again}");
    browser.request("BYE", "", "").await;

    let key = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    for (suite, is_kept) in [("AES_CM_128_HMAC_SHA1_32", true), ("AES_256_CM_HMAC_SHA1_80", false)] {
        let mut caller = Caller::new(&server).await;
        let with = |suite: &str| format!("a=crypto:1 {suite} {key}\r\n");
        let sdp = caller.sdp("127.0.0.1", &with("AES_CM_128_HMAC_SHA1_32")).replace("RTP/AVP", "RTP/SAVP");
        let first = caller.request("INVITE", SDP, &sdp).await;
        assert!(line(&first, "a=crypto:1 AES_CM_128_HMAC_SHA1_32 ").is_some(), "{first}");
        let offer = caller.ask("INVITE", "", "").await;
        assert!(line(&offer, "a=crypto:1 AES_CM_128_HMAC_SHA1_32 ").is_some(), "{offer}");
        caller.send("ACK", SDP, &sdp.replace("AES_CM_128_HMAC_SHA1_32", suite)).await;
        if is_kept {
            caller.hears("the call goes on").await;
            caller.request("BYE", "", "").await;
        } else {
            assert!(caller.is_asked("BYE").await, "these keys were not offered");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_refuses_everything_gets_two_invites() {
    let (server, mut peer) = (Server::start().await, SipPeer::open().await);
    let trunk = json!({"host": "127.0.0.1", "port": peer.port(), "srtp": "preferred"});
    let (status, answer) = server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(trunk)).await;
    assert_eq!(status, 200, "{answer}");
    let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let first = peer.request("INVITE").await;
    assert!(first.body().contains("a=crypto:") && first.0.contains("\r\nSupported: "), "{}", first.0);
    peer.respond(&first, "488 Not Acceptable Here", "a", &[], "").await;
    let second = peer.request("INVITE").await;
    assert!(!second.body().contains("a=crypto:") && !second.0.contains("\r\nSupported: "), "{}", second.0);
    peer.respond(&second, "488 Not Acceptable Here", "b", &[], "").await;
    until("the end of the call", || async { (server.last_call().await["status"] == "failed").then_some(()) }).await;
}
