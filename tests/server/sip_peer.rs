//! The other end of a call that is made: a SIP user agent of plain text that does what a test tells it, message by message.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

const PATIENCE: Duration = Duration::from_secs(20);

/// A message as it came.
#[derive(Clone, Debug)]
pub struct SipText(pub String);

impl SipText {
    pub fn header(&self, name: &str) -> &str {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn start(&self) -> &str {
        self.0.lines().next().unwrap_or("")
    }

    fn is_request(&self, method: &str) -> bool {
        self.start().starts_with(&format!("{method} "))
    }

    pub fn uri(&self) -> &str {
        self.start().split(' ').nth(1).unwrap()
    }
}

/// A media port of the other end.
pub struct MediaPort(UdpSocket);

impl MediaPort {
    pub async fn open() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    /// A description with this port.
    pub fn sdp(&self) -> String {
        description(self.0.local_addr().unwrap().port(), "8", "PCMA")
    }

    /// Waits until audio arrives, beside what came before.
    pub async fn hears(&self, what: &str) {
        let mut packet = [0; 2_000];
        while self.0.try_recv_from(&mut packet).is_ok() {}
        let deadline = Instant::now() + PATIENCE;
        let mut heard = 0;
        while heard < 5 {
            let came = timeout_at(deadline, self.0.recv_from(&mut packet)).await;
            let (len, _) = came.unwrap_or_else(|_| panic!("no audio: {what}")).unwrap();
            heard += usize::from(len > 12 && packet[0] >> 6 == 2);
        }
    }
}

/// A description of A-law at a port that another program listens on.
pub fn sdp_at(port: u16) -> String {
    description(port, "8", "PCMA")
}

/// What a callee cannot be agreed with.
pub fn unusable_sdp() -> String {
    description(9, "97", "iLBC")
}

fn description(port: u16, payload_type: &str, codec: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload_type}\r\n\
         a=rtpmap:{payload_type} {codec}/8000\r\na=sendrecv\r\n"
    )
}

/// The callee. Its forks are the tags that it answers with.
pub struct SipPeer {
    socket: UdpSocket,
    caller: Option<SocketAddr>,
    /// Came, and was not asked for yet.
    waiting: VecDeque<SipText>,
    /// Transactions that were seen: the rest are retransmissions.
    seen: HashSet<String>,
    cseq: u32,
}

impl SipPeer {
    pub async fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self { socket, caller: None, waiting: VecDeque::new(), seen: HashSet::new(), cseq: 0 }
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn contact(&self) -> String {
        format!("<sip:peer@127.0.0.1:{}>", self.port())
    }

    /// The next message for which this holds; others wait.
    async fn next(&mut self, what: &str, wanted: impl Fn(&SipText) -> bool) -> SipText {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.waiting.iter().position(&wanted) {
                return self.waiting.remove(at).unwrap();
            }
            let mut packet = [0; 8_000];
            let came = timeout_at(deadline, self.socket.recv_from(&mut packet)).await;
            let (len, from) = came.unwrap_or_else(|_| panic!("no {what}; there is {:?}", self.waiting)).unwrap();
            self.caller = Some(from);
            let message = SipText(String::from_utf8_lossy(&packet[..len]).into_owned());
            let key = format!("{} {} {}", message.start(), message.header("Via"), message.header("CSeq"));
            if self.seen.insert(key) {
                self.waiting.push_back(message);
            }
        }
    }

    /// The next request of this method.
    pub async fn request(&mut self, method: &str) -> SipText {
        self.next(method, |message| message.is_request(method)).await
    }

    /// The next request of this method to this fork.
    pub async fn request_to(&mut self, fork: &str, method: &str) -> SipText {
        let tag = format!("tag={fork}");
        let what = format!("{method} to {fork}");
        self.next(&what, |message| message.is_request(method) && message.header("To").ends_with(&tag)).await
    }

    async fn send(&self, text: String) {
        self.socket.send_to(text.as_bytes(), self.caller.unwrap()).await.unwrap();
    }

    /// Answers a request as a fork.
    pub async fn respond(&self, request: &SipText, status: &str, fork: &str, more: &[&str], sdp: &str) {
        let to = request.header("To");
        let to = if to.contains("tag=") || fork.is_empty() { to.to_owned() } else { format!("{to};tag={fork}") };
        let mut head = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
            request.header("Via"),
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
        );
        if !more.iter().any(|line| line.starts_with("Contact: ")) {
            head += &format!("Contact: {}\r\n", self.contact());
        }
        for line in more {
            head += &format!("{line}\r\n");
        }
        self.send(with_body(head, sdp)).await;
    }

    /// A reliable provisional response, until its PRACK.
    pub async fn respond_reliably(&mut self, invite: &SipText, status: &str, fork: &str, rseq: u32, sdp: &str) {
        let reliable = ["Require: 100rel".to_owned(), format!("RSeq: {rseq}")];
        let lines: Vec<&str> = reliable.iter().map(String::as_str).collect();
        self.respond(invite, status, fork, &lines, sdp).await;
        let prack = self.request_to(fork, "PRACK").await;
        assert_eq!(prack.header("RAck"), format!("{rseq} {}", invite.header("CSeq")));
        self.respond(&prack, "200 OK", fork, &[], "").await;
    }

    /// Answers the INVITE, and waits for the ACK.
    pub async fn answer(&mut self, invite: &SipText, fork: &str, sdp: &str) -> SipText {
        self.respond(invite, "200 OK", fork, &[], sdp).await;
        self.request_to(fork, "ACK").await
    }

    /// A request of a fork inside its dialog.
    async fn send_request(&mut self, invite: &SipText, method: &str, fork: &str, sdp: &str) -> String {
        self.cseq += 1;
        self.send_in_transaction(invite, method, fork, sdp, &format!("{}r{}", self.port(), self.cseq)).await;
        format!("{} {method}", self.cseq)
    }

    async fn send_in_transaction(&self, invite: &SipText, method: &str, fork: &str, sdp: &str, branch: &str) {
        let target = invite.header("Contact").trim_start_matches('<').split('>').next().unwrap();
        let head = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             From: {};tag={fork}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContact: {}\r\n",
            self.port(),
            invite.header("To"),
            invite.header("From"),
            invite.header("Call-ID"),
            self.cseq,
            self.contact(),
        );
        self.send(with_body(head, sdp)).await;
    }

    /// The final response to a request of ours.
    async fn response(&mut self, cseq: &str) -> SipText {
        self.next(cseq, |message| {
            message.start().starts_with("SIP/2.0 ")
                && !message.start().starts_with("SIP/2.0 1")
                && message.header("CSeq") == cseq
        })
        .await
    }

    /// An offer by UPDATE: the response.
    pub async fn update(&mut self, invite: &SipText, fork: &str, sdp: &str) -> SipText {
        let cseq = self.send_request(invite, "UPDATE", fork, sdp).await;
        self.response(&cseq).await
    }

    /// A re-INVITE: the response, which `ack` goes with.
    pub async fn reinvite(&mut self, invite: &SipText, fork: &str, sdp: &str, ack: &str) -> SipText {
        let cseq = self.send_request(invite, "INVITE", fork, sdp).await;
        let response = self.response(&cseq).await;
        self.send_in_transaction(invite, "ACK", fork, ack, &format!("{}a{}", self.port(), self.cseq)).await;
        response
    }

    /// A key by INFO: the response.
    pub async fn press(&mut self, invite: &SipText, fork: &str, key: &str) -> SipText {
        let cseq = self.send_request(invite, "INFO", fork, &format!("Signal={key}\r\nDuration=160\r\n")).await;
        self.response(&cseq).await
    }

    /// Ends the call from this end.
    pub async fn hang_up(&mut self, invite: &SipText, fork: &str) {
        let cseq = self.send_request(invite, "BYE", fork, "").await;
        let response = self.response(&cseq).await;
        assert!(response.0.starts_with("SIP/2.0 200"), "{}", response.0);
    }
}

fn with_body(head: String, sdp: &str) -> String {
    let kind = match sdp {
        "" => "",
        keys if keys.starts_with("Signal=") => "Content-Type: application/dtmf-relay\r\n",
        _ => "Content-Type: application/sdp\r\n",
    };
    format!("{head}{kind}Content-Length: {}\r\n\r\n{sdp}", sdp.len())
}
