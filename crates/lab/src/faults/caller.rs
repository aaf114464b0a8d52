//! A caller of plain text: it damages its own messages as a kind of call wants it.

use super::message::{Message, sdp, with_body};
use super::target::FaultTarget;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// Longer than the server takes for anything but a timeout of SIP.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than 64 * T1, after which an answer without ACK is given up.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(45);

/// G.711 and telephone events in the clear.
pub(super) const PCMU: &str = "RTP/AVP 0 101";
pub(super) const EVENTS: &[&str] = &["rtpmap:101 telephone-event/8000", "fmtp:101 0-15", "ptime:20"];

/// One call of a caller over UDP.
pub(super) struct FaultCaller {
    pub sip: UdpSocket,
    pub rtp: UdpSocket,
    pub server: SocketAddr,
    number: String,
    from: String,
    pub call_id: String,
    pub cseq: u32,
    pub to_tag: String,
    /// Contact of our requests.
    pub contact: String,
    /// Where our requests in the dialog go.
    pub target: String,
    /// Where the server's RTP arrives.
    pub media: SocketAddr,
    /// Follows `SIP/2.0` in start lines.
    pub start_end: &'static str,
    /// Whether Via has a branch.
    pub has_branch: bool,
    pub sequence: u16,
}

impl FaultCaller {
    pub(super) async fn new(target: &Arc<FaultTarget>, number: &str) -> Result<Self, String> {
        Self::from_address(target, number, "127.0.0.1").await
    }

    /// A caller at another address of this machine.
    pub(super) async fn from_address(target: &Arc<FaultTarget>, number: &str, host: &str) -> Result<Self, String> {
        let bind = async |host: &str| UdpSocket::bind((host, 0)).await.map_err(|error| error.to_string());
        let (sip, rtp) = (bind(host).await?, bind(host).await?);
        let us = sip.local_addr().map_err(|error| error.to_string())?;
        let serial = target.unique();
        Ok(Self {
            sip,
            rtp,
            server: target.server.sip,
            number: number.to_owned(),
            from: format!("+1555{serial:07}"),
            call_id: format!("{serial}-{:016x}@faults", rand::random::<u64>()),
            cseq: 0,
            to_tag: String::new(),
            contact: format!("sip:x@{us}"),
            target: format!("sip:{number}@{}", target.server.sip),
            media: target.server.sip,
            start_end: "",
            has_branch: true,
            sequence: 0,
        })
    }

    pub(super) fn rtp_port(&self) -> u16 {
        self.rtp.local_addr().map_or(9, |addr| addr.port())
    }

    /// The usual offer.
    pub(super) fn offer(&self) -> String {
        sdp("127.0.0.1", self.rtp_port(), PCMU, EVENTS)
    }

    /// A branch for the request with the current CSeq.
    pub(super) fn branch(&self, suffix: &str) -> String {
        format!("z9hG4bK{}{}{suffix}", self.call_id.replace(['@', '-'], ""), self.cseq)
    }

    /// A request, sent with the current CSeq.
    pub(super) async fn send(&self, method: &str, branch: &str, lines: &[&str], body: &str) -> Result<(), String> {
        let us = self.sip.local_addr().map_err(|error| error.to_string())?;
        let branch = if self.has_branch { format!(";branch={branch};rport") } else { String::new() };
        let tag = if self.to_tag.is_empty() { String::new() } else { format!(";tag={}", self.to_tag) };
        let number = &self.number;
        let head = format!(
            "{method} {} SIP/2.0{}\r\nVia: SIP/2.0/UDP {us}{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@127.0.0.1>;tag=f\r\nTo: <sip:{number}@{}>{tag}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n\
             Contact: <{}>\r\n",
            self.target, self.start_end, self.from, self.server, self.call_id, self.cseq, self.contact
        );
        let text = with_body(head, lines, body);
        self.sip.send_to(text.as_bytes(), self.server).await.map(drop).map_err(|error| error.to_string())
    }

    /// The next message for which this is true; the server's requests are answered 200, and REFER 603.
    pub(super) async fn wait(
        &self, patience: Duration, what: &str, wanted: impl Fn(&Message) -> bool,
    ) -> Result<Message, String> {
        let deadline = Instant::now() + patience;
        let mut packet = [0; 8_000];
        loop {
            let came = timeout_at(deadline, self.sip.recv(&mut packet)).await.map_err(|_| format!("no {what}"))?;
            let len = came.map_err(|error| error.to_string())?;
            let message = Message(String::from_utf8_lossy(&packet[..len]).into_owned());
            let is_wanted = wanted(&message);
            match message.method() {
                "" | "ACK" => {}
                // The kind of call that a transfer is refused in.
                "REFER" => self.respond(&message, "603 Decline").await?,
                _ => self.respond(&message, "200 OK").await?,
            }
            if is_wanted {
                return Ok(message);
            }
        }
    }

    pub(super) async fn respond(&self, request: &Message, status: &str) -> Result<(), String> {
        let text = super::message::response(request, status, "", &[], "");
        self.sip.send_to(text.as_bytes(), self.server).await.map(drop).map_err(|error| error.to_string())
    }

    /// The final response to the current request.
    pub(super) async fn final_response(&mut self, method: &str) -> Result<Message, String> {
        let cseq = format!("{} {method}", self.cseq);
        let response = self.wait(PATIENCE, &format!("response to {cseq}"), |message| message.is(&cseq)).await?;
        if method == "INVITE" && response.status() < 300 {
            self.to_tag = response.to_tag();
            let contact = response.contact();
            if !contact.is_empty() {
                self.target = contact;
            }
            if response.audio_port() > 0 {
                self.media.set_port(response.audio_port());
            }
        }
        Ok(response)
    }

    /// The next request of ours and its final response.
    pub(super) async fn request(&mut self, method: &str, lines: &[&str], body: &str) -> Result<Message, String> {
        self.cseq += 1;
        let branch = self.branch("");
        self.send(method, &branch, lines, body).await?;
        self.final_response(method).await
    }

    /// INVITE or re-INVITE that must be answered with 200; not acknowledged.
    pub(super) async fn invite(&mut self, lines: &[&str], body: &str) -> Result<Message, String> {
        let answer = self.request("INVITE", lines, body).await?;
        if answer.status() == 200 { Ok(answer) } else { Err(format!("answered {}", answer.status())) }
    }

    pub(super) async fn ack(&self, body: &str) -> Result<(), String> {
        let branch = self.branch("a");
        self.send("ACK", &branch, &[], body).await
    }

    /// The ACK of a final response above 299, in the transaction of its INVITE.
    pub(super) async fn ack_refusal(&mut self, refusal: &Message) -> Result<(), String> {
        self.to_tag = refusal.to_tag();
        let branch = self.branch("");
        let sent = self.send("ACK", &branch, &[], "").await;
        self.to_tag.clear();
        sent
    }

    /// The usual call: answered and acknowledged.
    pub(super) async fn call(&mut self) -> Result<(), String> {
        let offer = self.offer();
        self.invite(&[], &offer).await?;
        self.ack("").await
    }

    /// Hangs up.
    pub(super) async fn bye(&mut self) -> Result<(), String> {
        let answer = self.request("BYE", &[], "").await?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("BYE answered {}", answer.status())) }
    }

    /// Waits for the server to hang up.
    pub(super) async fn hears_bye(&self, patience: Duration) -> Result<(), String> {
        self.wait(patience, "BYE", |message| message.method() == "BYE").await.map(drop)
    }

    /// A key by INFO, which the agent's rules act on.
    pub(super) async fn press(&mut self, key: &str) -> Result<(), String> {
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let answer = self.request("INFO", &["Content-Type: application/dtmf-relay"], &body).await?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("INFO answered {}", answer.status())) }
    }

    /// One RTP packet with the next sequence number.
    pub(super) async fn rtp_packet(&mut self, from: &UdpSocket, head: RtpHead, payload: &[u8]) {
        let mut packet = vec![0x80, head.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(head.timestamp.to_be_bytes());
        packet.extend(head.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        let _ = from.send_to(&packet, self.media).await;
    }
}

/// What a packet says of itself.
#[derive(Clone, Copy)]
pub(super) struct RtpHead {
    /// With the marker in the highest bit.
    pub payload_type: u8,
    pub timestamp: u32,
    pub ssrc: u32,
}
