//! The session description of every message, whatever stands around it in the body, and who may offer when: a peer that
//! is written by hand against the user agent, in virtual time.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{CALLEE, CALLER, config, trunk};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{CallId, InviteRequest, SipEvent, Transport, UserAgent};

const SDP: &str = "v=0\r\ns=theirs\r\n";
const PLAIN: &str = "Content-Type: application/sdp\r\n";

/// `Content-Type` with its further headers, and the body: SIP-T with a description and an ISUP part.
fn sip_t(handling: &str) -> (String, String) {
    let body = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b1\r\nContent-Type: application/isup;version=itu-t92+\r\n\
         Content-Disposition: signal;\r\n handling={handling}\r\n\r\n\x01\x11\r\n--b1--\r\n"
    );
    ("Content-Type: multipart/mixed;boundary=\"b1\"\r\n".to_owned(), body)
}

fn optional(media_type: &str) -> String {
    format!("Content-Type: {media_type}\r\nContent-Disposition: render;handling=optional\r\n")
}

fn line(text: &str, name: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("").to_owned()
}

/// A caller by hand, and the user agent that it calls.
struct CalledAgent {
    now: Instant,
    agent: UserAgent,
    call: CallId,
    to: String,
    branch: u32,
}

impl CalledAgent {
    fn new() -> Self {
        let now = Instant::now();
        let agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
        Self { now, agent, call: CallId(0), to: "<sip:1@127.0.0.2>".into(), branch: 0 }
    }

    fn sent(&mut self) -> Vec<String> {
        let sent = std::iter::from_fn(|| self.agent.poll_transmit());
        sent.map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned()).collect()
    }

    /// Sends a request; gives what comes back.
    fn request(&mut self, method: &str, cseq: u32, headers: &str, body: &str) -> Vec<String> {
        self.branch += 1;
        let text = format!(
            "{method} sip:1@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:2@127.0.0.1>;tag=theirs\r\nTo: {}\r\nCall-ID: hand\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:2@127.0.0.1>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.branch,
            self.to,
            body.len()
        );
        let source: SocketAddr = CALLER.parse().unwrap();
        self.agent.handle_datagram(self.now, source, text.as_bytes());
        self.sent()
    }

    fn event(&mut self) -> Option<SipEvent> {
        self.agent.poll_event()
    }

    /// An INVITE that is taken: the description that the owner sees.
    fn invite(&mut self, headers: &str, body: &str) -> Option<Vec<u8>> {
        self.request("INVITE", 1, headers, body);
        let Some(SipEvent::Incoming(incoming)) = self.event() else { panic!("no call") };
        self.call = incoming.call;
        incoming.sdp
    }

    fn answer(&mut self) {
        self.agent.answer(self.now, self.call, b"v=0\r\ns=ours\r\n".to_vec()).unwrap();
        self.to = line(&self.sent().pop().unwrap(), "To");
    }

    fn acknowledge(&mut self, headers: &str, body: &str) -> Option<Vec<u8>> {
        self.request("ACK", 1, headers, body);
        let Some(SipEvent::Acknowledged { sdp, .. }) = self.event() else { panic!("not acknowledged") };
        sdp
    }

    fn talking() -> Self {
        let mut called = Self::new();
        called.invite(PLAIN, SDP);
        called.answer();
        called.acknowledge("", "");
        called
    }

    fn reoffer(&mut self) -> Option<Vec<u8>> {
        let Some(SipEvent::ReofferReceived { sdp, .. }) = self.event() else { panic!("no offer") };
        sdp
    }
}

fn status(sent: &[String]) -> u16 {
    let last = sent.last().map_or("", |text| text.as_str());
    last.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// A refusal of a body says which bodies are taken.
fn assert_refused(sent: &[String]) {
    assert_eq!(status(sent), 415, "{sent:?}");
    assert!(line(sent.last().unwrap(), "Accept").contains("application/sdp"), "{sent:?}");
}

#[test]
fn an_invite_is_taken_with_its_description_and_without_what_may_be_skipped() {
    let (kind, body) = sip_t("optional");
    assert_eq!(CalledAgent::new().invite(&kind, &body).as_deref(), Some(SDP.as_bytes()));
    let location = optional("application/pidf+xml");
    assert_eq!(CalledAgent::new().invite(&location, "<presence/>"), None, "an INVITE without an offer");
    let (kind, body) = sip_t("required");
    for (kind, body) in [
        (kind.as_str(), body.as_str()),
        ("Content-Type: application/pidf+xml\r\n", "<presence/>"),
        ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", SDP),
    ] {
        let mut called = CalledAgent::new();
        assert_refused(&called.request("INVITE", 1, kind, body));
        assert!(called.event().is_none());
    }
}

#[test]
fn an_offer_that_was_skipped_is_ours_to_make() {
    let mut called = CalledAgent::new();
    called.invite(&optional("application/pidf+xml"), "<presence/>");
    // A 183 must not bring an offer that only the 200 can make.
    called.agent.send_provisional(called.now, called.call, 183, Some(b"v=0\r\n".to_vec())).unwrap();
    assert!(called.sent().iter().all(|text| text.ends_with("Content-Length: 0\r\n\r\n")));
    called.answer();
    // Our offer is open until the ACK: the peer's crosses it (RFC 3311 section 5.2).
    assert_eq!(status(&called.request("UPDATE", 2, PLAIN, SDP)), 491);
    let (kind, body) = sip_t("optional");
    assert_eq!(called.acknowledge(&kind, &body).as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn requests_in_a_call_are_read_the_same_way() {
    for method in ["INVITE", "UPDATE"] {
        let mut called = CalledAgent::talking();
        let (kind, body) = sip_t("optional");
        called.request(method, 2, &kind, &body);
        assert_eq!(called.reoffer().as_deref(), Some(SDP.as_bytes()), "{method}");
        called.agent.answer_reoffer(called.now, called.call, Some(b"v=0\r\ns=again\r\n".to_vec())).unwrap();
        assert_eq!(status(&called.sent()), 200, "{method}");
        if method == "INVITE" {
            called.request("ACK", 2, "", "");
        }
        assert_refused(&called.request(method, 3, "Content-Type: application/rs-metadata+xml\r\n", "<r/>"));
        let (kind, body) = sip_t("required");
        assert_refused(&called.request(method, 4, &kind, &body));
        assert!(called.event().is_none(), "{method}: nothing of them reaches the owner");
    }
    let mut called = CalledAgent::talking();
    let refreshed = called.request("UPDATE", 2, &optional("application/rs-metadata+xml"), "<r/>");
    assert_eq!(status(&refreshed), 200, "an UPDATE without an offer");
    called.request("INVITE", 3, &optional("application/rs-metadata+xml"), "<r/>");
    assert_eq!(called.reoffer(), None, "a re-INVITE that wants our offer");
    called.agent.answer_reoffer(called.now, called.call, Some(b"v=0\r\ns=offer\r\n".to_vec())).unwrap();
    called.sent();
    assert_eq!(status(&called.request("UPDATE", 4, PLAIN, SDP)), 491, "it crosses our offer");
    let (kind, body) = sip_t("optional");
    called.request("ACK", 3, &kind, &body);
    let Some(SipEvent::Acknowledged { sdp, .. }) = called.event() else { panic!("not acknowledged") };
    assert_eq!(sdp.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn a_prack_is_read_the_same_way() {
    for (body_is_optional, wanted) in [(true, 200), (false, 415)] {
        let mut called = CalledAgent::new();
        called.invite(&format!("Supported: 100rel\r\n{PLAIN}"), SDP);
        called.agent.send_provisional(called.now, called.call, 183, Some(b"v=0\r\n".to_vec())).unwrap();
        let early = called.sent().pop().unwrap();
        called.to = line(&early, "To");
        let rack = format!("RAck: {} 1 INVITE\r\n", line(&early, "RSeq"));
        let kind = if body_is_optional { optional("text/plain") } else { "Content-Type: text/plain\r\n".to_owned() };
        let sent = called.request("PRACK", 2, &format!("{rack}{kind}"), "hello");
        assert_eq!(status(&sent), wanted);
        // The response is acknowledged either way.
        called.now += Duration::from_secs(2);
        called.agent.handle_timeout(called.now);
        assert!(called.sent().is_empty(), "nothing is sent again");
    }
    let mut called = CalledAgent::new();
    called.invite(&format!("Supported: 100rel\r\n{PLAIN}"), SDP);
    called.agent.send_provisional(called.now, called.call, 183, Some(b"v=0\r\n".to_vec())).unwrap();
    let early = called.sent().pop().unwrap();
    called.to = line(&early, "To");
    let (kind, body) = sip_t("optional");
    let rack = format!("RAck: {} 1 INVITE\r\n", line(&early, "RSeq"));
    called.request("PRACK", 2, &format!("{rack}{kind}"), &body);
    assert_eq!(called.reoffer().as_deref(), Some(SDP.as_bytes()), "an offer in the PRACK");
}

/// A call of ours to a peer that is written by hand.
struct CallingAgent {
    now: Instant,
    agent: UserAgent,
    call: CallId,
    invite: String,
}

impl CallingAgent {
    fn start(sdp: Option<&str>) -> Self {
        let now = Instant::now();
        let mut agent = UserAgent::new(now, config(CALLER, vec![]), [1; 32]);
        let uri = Uri::sip(Some("1"), "192.0.2.9", None);
        let name = |uri| NameAddr { display: None, uri, params: String::new() };
        let invite = InviteRequest {
            request_uri: uri.clone(),
            from: name(Uri::sip(Some("us"), "127.0.0.1", None)),
            to: name(uri),
            hops: vec![],
            transport: Transport::Udp,
            credentials: None,
            sdp: sdp.map(|sdp| sdp.as_bytes().to_vec()),
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        };
        let call = agent.send_invite(now, invite).unwrap();
        let mut calling = Self { now, agent, call, invite: String::new() };
        calling.invite = calling.sent().pop().unwrap();
        calling
    }

    fn sent(&mut self) -> Vec<String> {
        let sent = std::iter::from_fn(|| self.agent.poll_transmit());
        sent.map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned()).collect()
    }

    /// A response to a request of ours; gives what is sent then.
    fn respond(&mut self, request: &str, status: u16, headers: &str, body: &str) -> Vec<String> {
        let header = |name| format!("{name}: {}\r\n", line(request, name));
        let copied: String = ["Via", "From", "Call-ID", "CSeq"].map(header).concat();
        let to = line(request, "To");
        let tag = if to.contains("tag=") { "" } else { ";tag=a" };
        let text = format!(
            "SIP/2.0 {status} Some\r\n{copied}To: {to}{tag}\r\nContact: <sip:a@192.0.2.9>\r\n{headers}Content-Length: {}\
             \r\n\r\n{body}",
            body.len()
        );
        self.agent.handle_datagram(self.now, "192.0.2.9:5060".parse().unwrap(), text.as_bytes());
        self.sent()
    }

    fn respond_to_invite(&mut self, status: u16, headers: &str, body: &str) -> Vec<String> {
        let invite = self.invite.clone();
        self.respond(&invite, status, headers, body)
    }

    fn answered(&mut self) -> Option<Vec<u8>> {
        while let Some(event) = self.agent.poll_event() {
            if let SipEvent::Answered { sdp, .. } = event {
                return sdp;
            }
        }
        panic!("not answered")
    }

    fn is_over(&mut self) -> bool {
        std::iter::from_fn(|| self.agent.poll_event()).any(|event| matches!(event, SipEvent::Ended { .. }))
    }
}

#[test]
fn responses_are_read_the_same_way_and_never_refused() {
    for handling in ["optional", "required"] {
        let (kind, body) = sip_t(handling);
        let mut calling = CallingAgent::start(Some("v=0\r\n"));
        calling.respond_to_invite(183, &kind, &body);
        let Some(SipEvent::ProvisionalResponse { sdp, .. }) = calling.agent.poll_event() else { panic!("no 183") };
        assert_eq!(sdp.as_deref(), Some(SDP.as_bytes()));
        calling.respond_to_invite(200, &kind, &body);
        assert_eq!(calling.answered().as_deref(), Some(SDP.as_bytes()));
        // And the answer to our re-INVITE.
        calling.agent.send_reoffer(calling.now, calling.call, b"v=0\r\ns=more\r\n".to_vec()).unwrap();
        let reinvite = calling.sent().pop().unwrap();
        calling.respond(&reinvite, 200, &kind, &body);
        let Some(SipEvent::ReofferAccepted { sdp, .. }) = calling.agent.poll_event() else { panic!("not accepted") };
        assert_eq!(sdp.as_deref(), Some(SDP.as_bytes()));
    }
    // A body that says nothing about the session is no answer: the one that came early is (RFC 3262 section 5).
    let mut calling = CallingAgent::start(Some("v=0\r\n"));
    calling.respond_to_invite(183, &format!("Require: 100rel\r\nRSeq: 1\r\n{PLAIN}"), SDP);
    calling.respond_to_invite(200, "Content-Type: application/isup\r\n", "\x01");
    assert_eq!(calling.answered().as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn an_answer_that_came_before_the_200_stands() {
    // Unreliably: RFC 3261 wants it in the 200, some leave it out.
    let mut calling = CallingAgent::start(Some("v=0\r\n"));
    calling.respond_to_invite(183, PLAIN, SDP);
    let sent = calling.respond_to_invite(200, "", "");
    assert!(sent.iter().any(|text| text.starts_with("ACK ")) && !sent.iter().any(|text| text.starts_with("BYE ")));
    assert_eq!(calling.answered().as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn an_invite_goes_out_once_more_without_extensions() {
    for refusal in [415, 420, 488] {
        let mut calling = CallingAgent::start(Some("v=0\r\nm=audio 4000 RTP/AVP 0\r\n"));
        assert!(line(&calling.invite, "Supported").contains("100rel"));
        let sent = calling.respond_to_invite(refusal, "Unsupported: 100rel\r\n", "");
        assert!(sent[0].starts_with("ACK "), "{sent:?}");
        let again = sent.last().unwrap().clone();
        assert!(again.starts_with("INVITE "), "{refusal}: {sent:?}");
        for name in ["Supported", "Require", "Session-Expires", "Min-SE"] {
            assert_eq!(line(&again, name), "", "{refusal}: {name}");
        }
        assert_eq!(line(&again, "CSeq"), "2 INVITE");
        assert!(again.contains("m=audio 4000 RTP/AVP 0"));
        assert!(!calling.is_over(), "{refusal}");
        let sent = calling.respond(&again, refusal, "", "");
        assert!(sent.iter().all(|text| text.starts_with("ACK ")), "once: {sent:?}");
        assert!(calling.is_over());
    }
    // Keys are the likelier reason for a 488: the owner decides.
    let offer = "v=0\r\nm=audio 4000 RTP/SAVP 0\r\n";
    let mut calling = CallingAgent::start(Some(offer));
    let sent = calling.respond_to_invite(488, "", "");
    assert!(sent.len() == 1 && calling.is_over(), "{sent:?}");
}
