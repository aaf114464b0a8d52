//! Rules of the standards that no other test asserts, each as a peer sees it. In virtual time: one user agent and a
//! scripted peer.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "../digest_client/carrier.rs"]
mod carrier;
#[path = "../common/mod.rs"]
mod common;

mod answers;
mod early_media;
mod requests;

use carrier::*;
use common::{config, trunk};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, HostCredentials, InviteRequest, NextHop, ProbeResult, SipEvent, TransmitTarget,
    Transport, TransportAddress, UserAgent,
};

fn status(answer: &SentRequest) -> &str {
    answer.text.split(' ').nth(1).unwrap()
}

/// Every value of a header, in order.
fn values(message: &SentRequest, name: &str) -> Vec<String> {
    let lines = message.text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    lines.filter(|(there, _)| there.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// A call that the carrier makes to us.
struct InboundCall {
    bench: UserAgentTest,
    id: CallId,
    /// Our To value, with the tag once there is one.
    to: String,
    cseq: u32,
}

impl InboundCall {
    fn new() -> Self {
        let bench = UserAgentTest::with_trunk("192.0.2.7");
        Self { bench, id: CallId(0), to: "<sip:+3120@127.0.0.1>".to_owned(), cseq: 0 }
    }

    fn hear(&mut self, text: &str) -> Vec<SentRequest> {
        self.bench.user_agent.handle_datagram(self.bench.now, CARRIER.parse().unwrap(), text.as_bytes());
        self.bench.sent()
    }

    fn text(&mut self, method: &str, rest: &str) -> String {
        if method != "ACK" {
            self.cseq += 1;
        }
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
        let separator = if headers.is_empty() { "" } else { "\r\n" };
        format!(
            "{method} sip:agent@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{method}{0}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:them@192.0.2.7>;tag=theirs\r\nTo: {1}\r\nCall-ID: c1\r\n\
             CSeq: {0} {method}\r\n{headers}{separator}Content-Length: {2}\r\n\r\n{body}",
            self.cseq,
            self.to,
            body.len()
        )
    }

    fn ask(&mut self, method: &str, rest: &str) -> Vec<SentRequest> {
        let text = self.text(method, rest);
        self.hear(&text)
    }

    /// An INVITE that its owner takes; what was sent.
    fn ring(&mut self, rest: &str) {
        self.ask("INVITE", rest);
        let incoming = self.bench.events.drain(..).find_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming),
            _ => None,
        });
        let incoming = incoming.unwrap();
        self.id = incoming.call;
        let (trunk, _) = incoming.candidates.iter().next().unwrap();
        self.bench.user_agent.assign_trunk(incoming.call, trunk).unwrap();
    }

    /// Our 200.
    fn answer(&mut self) -> SentRequest {
        self.bench.user_agent.answer(self.bench.now, self.id, b"v=0\r\ns=ours\r\n".to_vec()).unwrap();
        let ok = self.bench.sent().pop().unwrap();
        self.to = ok.header("to").unwrap().to_owned();
        ok
    }

    fn talking() -> Self {
        Self::talking_with("Contact: <sip:them@192.0.2.7>")
    }

    fn talking_with(headers: &str) -> Self {
        let mut call = Self::new();
        call.ring(&format!("{headers}\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"));
        call.answer();
        call.ask("ACK", "");
        assert!(call.is_acknowledged());
        call
    }

    fn is_acknowledged(&mut self) -> bool {
        self.bench.events.drain(..).any(|event| matches!(event, SipEvent::Acknowledged { .. }))
    }
}
