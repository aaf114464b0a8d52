//! The other end of a call that the server makes.

use super::message::{Message, response, sdp, with_body};
use super::target::FaultTarget;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// One callee and its call.
pub(super) struct Callee {
    target: Arc<FaultTarget>,
    inbox: mpsc::Receiver<(Message, SocketAddr)>,
    keys: Vec<String>,
    server: SocketAddr,
    pub rtp: UdpSocket,
    /// The newest INVITE outside of a dialog.
    pub invite: Message,
    /// Of the server, for its API.
    pub call: String,
    cseq: u32,
}

impl Drop for Callee {
    fn drop(&mut self) {
        self.target.callees.forget(&self.keys);
    }
}

impl Callee {
    /// Has the agent call over the trunk of `from`; the INVITE has arrived and rings.
    pub(super) async fn called(target: &Arc<FaultTarget>, from: &str) -> Result<Self, String> {
        let number = format!("+1556{:07}", target.unique());
        let inbox = target.callees.await_call(number.clone());
        let rtp = UdpSocket::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
        let mut callee = Self {
            target: target.clone(),
            inbox,
            keys: vec![number.clone()],
            server: target.server.sip,
            rtp,
            invite: Message(String::new()),
            call: String::new(),
            cseq: 0,
        };
        callee.call = target.dial_out(from, &number).await?;
        callee.next_invite().await?;
        Ok(callee)
    }

    /// The next INVITE: the first one, or another attempt.
    pub(super) async fn next_invite(&mut self) -> Result<(), String> {
        self.invite = self.next("INVITE").await?;
        let call_id = self.invite.header("Call-ID").to_owned();
        self.target.callees.follow(&self.keys[0], &call_id);
        self.keys.push(call_id);
        Ok(())
    }

    /// The next message that is wanted; a method, or the CSeq of a request of ours.
    pub(super) async fn next(&mut self, wanted: &str) -> Result<Message, String> {
        loop {
            let came = timeout(PATIENCE, self.inbox.recv()).await.map_err(|_| format!("no {wanted}"))?;
            let (message, from) = came.ok_or("closed")?;
            self.server = from;
            let is_repeated = wanted == "INVITE" && message.header("Via") == self.invite.header("Via");
            if message.is(wanted) && !is_repeated {
                return Ok(message);
            }
        }
    }

    pub(super) async fn send(&self, text: &str) {
        self.target.callees.send_text(text, self.server).await;
    }

    fn contact(&self) -> String {
        format!("Contact: <sip:callee@127.0.0.1:{}>", self.target.callees.port())
    }

    /// A response to the INVITE from the fork with this tag.
    pub(super) async fn respond(&self, status: &str, tag: &str, lines: &[&str], body: &str) {
        let contact = self.contact();
        let mut all = vec![contact.as_str()];
        all.extend(lines);
        self.send(&response(&self.invite, status, tag, &all, body)).await;
    }

    /// A response to a request in the dialog.
    pub(super) async fn respond_to(&self, request: &Message, status: &str) {
        self.send(&response(request, status, "", &[], "")).await;
    }

    /// The usual answer.
    pub(super) fn answer(&self) -> String {
        let port = self.rtp.local_addr().map_or(9, |addr| addr.port());
        sdp("127.0.0.1", port, "RTP/AVP 0 101", &["rtpmap:101 telephone-event/8000"])
    }

    /// 200 with a body, and the ACK.
    pub(super) async fn accept(&mut self, tag: &str, body: &str) -> Result<Message, String> {
        self.respond("200 OK", tag, &[], body).await;
        self.next("ACK").await
    }

    /// A request in the dialog of this tag and its final response.
    pub(super) async fn request(&mut self, method: &str, tag: &str, body: &str) -> Result<Message, String> {
        self.cseq += 1;
        let port = self.target.callees.port();
        let branch = format!("z9hG4bK{}{}{method}", self.keys[0].trim_start_matches('+'), self.cseq);
        let head = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch={branch}\r\nMax-Forwards: 70\r\n\
             From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\n",
            self.invite.contact(),
            self.invite.header("To"),
            self.invite.header("From"),
            self.invite.header("Call-ID"),
            self.cseq,
        );
        let contact = self.contact();
        self.send(&with_body(head, &[contact.as_str()], body)).await;
        if method == "ACK" {
            return Ok(Message(String::new()));
        }
        let wanted = format!("{} {method}", self.cseq);
        self.next(&wanted).await
    }

    /// Hangs up as the fork of this tag.
    pub(super) async fn bye(&mut self, tag: &str) -> Result<(), String> {
        let answer = self.request("BYE", tag, "").await?;
        if answer.status() == 200 { Ok(()) } else { Err(format!("BYE answered {}", answer.status())) }
    }

    /// Waits for the server's BYE and answers it.
    pub(super) async fn hears_bye(&mut self) -> Result<(), String> {
        let bye = self.next("BYE").await?;
        self.respond_to(&bye, "200 OK").await;
        Ok(())
    }
}
