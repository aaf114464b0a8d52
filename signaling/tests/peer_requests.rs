//! What a peer asks in a call that we made: INFO with keys, and NOTIFY about a transfer. In virtual time: one user agent
//! and a scripted peer.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "digest_client/carrier.rs"]
mod carrier;
mod common;

use carrier::*;
use common::{config, trunk};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, HostCredentials, InviteRequest, NextHop, ReferStatus, SipEvent, TransmitTarget,
    Transport, TransportAddress, UserAgent,
};

/// A call that the carrier has answered.
struct Call {
    bench: UserAgentTest,
    id: CallId,
    invite: SentRequest,
    cseq: u32,
}

impl Call {
    fn new() -> Self {
        Self::dialled(|_| {})
    }

    fn dialled(change: impl FnOnce(&mut InviteRequest)) -> Self {
        let mut bench = UserAgentTest::new();
        let id = bench.dial("sip:1@192.0.2.7", change);
        let invite = bench.invite();
        bench.answer(&invite, "200 OK", "Contact: <sip:peer@192.0.2.7>\r\n");
        bench.sent();
        bench.events.clear();
        Self { bench, id, invite, cseq: 0 }
    }

    /// The peer sends a request in the dialog: `rest` are headers and body. Our answer.
    fn ask(&mut self, method: &str, rest: &str) -> SentRequest {
        let (us, them) = (self.invite.header("from").unwrap().to_owned(), self.invite.header("to").unwrap().to_owned());
        self.ask_as(method, &format!("From: {them};tag=peer\r\nTo: {us}\r\n"), rest)
    }

    fn ask_as(&mut self, method: &str, parties: &str, rest: &str) -> SentRequest {
        let mut sent = self.tell(method, parties, rest);
        assert_eq!(sent.len(), 1, "{method} {rest}");
        sent.remove(0)
    }

    /// What we send at once.
    fn tell(&mut self, method: &str, parties: &str, rest: &str) -> Vec<SentRequest> {
        self.cseq += 1;
        let (headers, body) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
        let separator = if headers.is_empty() { "" } else { "\r\n" };
        let text = format!(
            "{method} sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKr{0}\r\n\
             Max-Forwards: 70\r\n{parties}Call-ID: {1}\r\nCSeq: {0} {method}\r\n{headers}{separator}\
             Content-Length: {2}\r\n\r\n{body}",
            self.cseq,
            self.invite.header("call-id").unwrap(),
            body.len(),
        );
        self.bench.user_agent.handle_datagram(self.bench.now, CARRIER.parse().unwrap(), text.as_bytes());
        self.bench.sent()
    }

    fn digits(&mut self) -> String {
        let digit = |event: SipEvent| match event {
            SipEvent::DigitReceived { digit, .. } => Some(digit),
            _ => None,
        };
        self.bench.events.drain(..).filter_map(digit).collect()
    }

    /// A NOTIFY: the status of our answer, and what it says of the transfer.
    fn notify(&mut self, event: &str, state: &str, rest: &str) -> (String, Vec<ReferStatus>) {
        let state = if state.is_empty() { String::new() } else { format!("Subscription-State: {state}\r\n") };
        let answer = self.ask("NOTIFY", &format!("Event: {event}\r\n{state}{rest}"));
        (status(&answer).to_owned(), self.referral())
    }

    fn referral(&mut self) -> Vec<ReferStatus> {
        let report = |event: SipEvent| match event {
            SipEvent::ReferProgress { referral, .. } => Some(referral),
            _ => None,
        };
        self.bench.events.drain(..).filter_map(report).collect()
    }

    /// Our REFER, and the CSeq number that its reports may name.
    fn refer(&mut self) -> (SentRequest, u32) {
        self.bench.user_agent.send_refer(self.bench.now, self.id, "tel:+31201234567").unwrap();
        let refer = self.bench.only("REFER");
        let number = refer.header("cseq").unwrap().split(' ').next().unwrap().parse().unwrap();
        (refer, number)
    }
}

fn status(answer: &SentRequest) -> &str {
    answer.text.split(' ').nth(1).unwrap()
}

fn progress(status: u16, last: bool) -> ReferStatus {
    ReferStatus::Notified { status, last }
}

const SIPFRAG: &str = "Content-Type: message/sipfrag;version=2.0\r\n\r\n";

#[test]
fn every_form_of_a_key_in_info_is_heard() {
    let multipart = "multipart/mixed;boundary=x\r\n\r\n--x\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=9\r\n\
                     Duration=100\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n";
    for (body, wanted) in [
        ("application/dtmf-relay\r\n\r\nSignal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay\r\n\r\nSignal=a\r\nDuration=160\r\n", "A"),
        ("application/dtmf\r\n\r\n#", "#"),
        ("application/telephone-event\r\n\r\nd=5", "5"),
        ("audio/telephone-event\r\n\r\nd=11\r\n", "#"),
        ("application/vnd.nortelnetworks.digits\r\n\r\np=Digit-Collection\r\ny=Digits\r\ns=success\r\nd=57\r\n", "57"),
        ("application/vnd.nortelnetworks.digits\r\n\r\nd=12#", "12#"),
        (multipart, "9"),
    ] {
        let mut call = Call::new();
        let answer = call.ask("INFO", &format!("Content-Type: {body}"));
        assert_eq!((status(&answer), call.digits().as_str()), ("200", wanted), "{body}");
    }
}

#[test]
fn info_that_is_not_used_is_not_answered_200() {
    for (rest, wanted) in [
        ("Content-Type: application/media_control+xml\r\n\r\n<media_control/>", "415"),
        ("Content-Type: text/plain\r\n\r\n5", "415"),
        ("Subject: no type\r\n\r\n5", "415"),
        ("Content-Type: application/dtmf-relay\r\nContent-Encoding: gzip\r\n\r\nSignal=5", "415"),
        ("Content-Type: application/dtmf-relay\r\n\r\nSignal=flash", "400"),
        ("Info-Package: conference\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5", "469"),
        ("Info-Package: nothing", "469"),
        ("", "200"),
        ("Content-Type: application/dtmf-relay", "200"),
        ("Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n\r\n5", "200"),
    ] {
        let mut call = Call::new();
        let answer = call.ask("INFO", rest);
        assert_eq!((status(&answer), call.digits().as_str()), (wanted, ""), "{rest}");
        assert_eq!(answer.header("accept").is_some_and(|all| all.contains("application/dtmf-relay")), wanted == "415");
        assert_eq!(answer.text.contains("Recv-Info:"), wanted == "469", "{}", answer.text);
        assert!(call.bench.ends().is_empty());
    }
    // Of another dialog, or of none.
    for parties in
        ["From: <sip:a@b>;tag=x\r\nTo: <sip:us@127.0.0.1>;tag=y\r\n", "From: <sip:a@b>;tag=x\r\nTo: <sip:us@h>\r\n"]
    {
        let mut call = Call::new();
        let answer = call.ask_as("INFO", parties, "Content-Type: application/dtmf-relay\r\n\r\nSignal=5");
        assert_eq!((status(&answer), call.digits().as_str()), ("481", ""));
    }
}

#[test]
fn reports_on_a_transfer_are_read_in_every_form() {
    for (state, rest, wanted) in [
        ("active;expires=60", format!("{SIPFRAG}SIP/2.0 100 Trying\r\n"), vec![progress(100, false)]),
        ("active", format!("{SIPFRAG}\r\n\r\nSIP/2.0 180 Ringing"), vec![progress(180, false)]),
        ("terminated;reason=noresource", format!("{SIPFRAG}SIP/2.0 200 OK\r\n"), vec![progress(200, true)]),
        ("Terminated", format!("{SIPFRAG}SIP/2.0 486\r\nTo: <sip:x@y>\r\n"), vec![progress(486, true)]),
        // The only report of a small implementation.
        ("terminated;reason=timeout", format!("{SIPFRAG}SIP/2.0 100 Trying\r\n"), vec![progress(100, true)]),
        ("active", "Content-Type: text/plain\r\n\r\nSIP/2.0 200 OK\r\n".to_owned(), vec![progress(200, true)]),
        ("", format!("{SIPFRAG}SIP/2.0 603 Declined\r\n"), vec![progress(603, true)]),
        ("active", String::new(), vec![]),
        ("active", format!("{SIPFRAG}what?"), vec![]),
        // The end without an outcome is no success.
        ("terminated;reason=noresource", String::new(), vec![ReferStatus::Ended]),
        ("terminated;reason=timeout", format!("{SIPFRAG}SIP/2.0 x"), vec![ReferStatus::Ended]),
    ] {
        let mut call = Call::new();
        let (refer, number) = call.refer();
        call.bench.answer(&refer, "202 Accepted", "");
        call.bench.sent();
        assert_eq!(call.referral(), [ReferStatus::Accepted]);
        let event = format!("refer;id={number}");
        assert_eq!(call.notify(&event, state, &rest), ("200".to_owned(), wanted.clone()), "{state} {rest}");
        // What is over is over; what is not, goes on.
        let is_over = !matches!(wanted[..], [] | [ReferStatus::Notified { last: false, .. }]);
        let again = call.notify("refer", "active", &format!("{SIPFRAG}SIP/2.0 183 Progress\r\n"));
        assert_eq!(again.0, if is_over { "481" } else { "200" }, "{state} {rest}");
        assert!(call.bench.ends().is_empty());
    }
}

#[test]
fn reports_are_of_the_refer_that_they_name() {
    let frag = format!("{SIPFRAG}SIP/2.0 200 OK\r\n");
    let mut call = Call::new();
    assert_eq!(call.notify("refer", "terminated", &frag), ("481".to_owned(), vec![]), "nothing was asked for");
    let (refer, number) = call.refer();
    assert_eq!(call.notify("dialog", "active", &frag).0, "489");
    for other in ["1", "4711", "x", ""] {
        let event = format!("refer;id={other}");
        assert_eq!(call.notify(&event, "terminated", &frag), ("481".to_owned(), vec![]), "{other}");
    }
    // Before the 202.
    let ringing = format!("{SIPFRAG}SIP/2.0 180 Ringing\r\n");
    let event = format!("Refer ; id={number}");
    assert_eq!(call.notify(&event, "active", &ringing), ("200".to_owned(), vec![progress(180, false)]));
    call.bench.answer(&refer, "200 OK", "");
    call.bench.sent();
    assert_eq!(call.referral(), [ReferStatus::Accepted], "200 instead of 202");
    assert_eq!(call.notify("refer", "terminated", &frag), ("200".to_owned(), vec![progress(200, true)]));
}

#[test]
fn a_challenged_refer_is_reported_by_its_last_number() {
    let mut call = Call::new();
    let (refer, first) = call.refer();
    call.bench.challenge(&refer, 407, "carrier", "");
    let refer = call.bench.only("REFER");
    call.bench.answer(&refer, "202 Accepted", "");
    call.bench.sent();
    call.referral();
    let event = format!("refer;id={}", first + 1);
    let frag = format!("{SIPFRAG}SIP/2.0 486 Busy Here\r\n");
    assert_eq!(call.notify(&event, "terminated", &frag), ("200".to_owned(), vec![progress(486, true)]));
}

#[test]
fn a_refused_refer_has_no_reports() {
    for refusal in ["603 Decline", "405 Method Not Allowed", "501 Not Implemented", "302 Moved"] {
        let mut call = Call::new();
        let (refer, _) = call.refer();
        call.bench.answer(&refer, refusal, "");
        call.bench.sent();
        let status = refusal.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(call.referral(), [ReferStatus::Rejected { status }]);
        assert_eq!(call.notify("refer", "active", "").0, "481", "{refusal}");
        assert!(call.bench.ends().is_empty());
    }
}

/// RFC 7433, RFC 3892: what the destination of a transfer is to be told.
#[test]
fn a_refer_says_who_transfers_and_what_it_was_given() {
    let mut call = Call::new();
    let mut further = Headers::default();
    for (name, value) in [("User-to-User", "00aa;encoding=hex"), ("X-Queue", "vip")] {
        further.push(trunkline_signaling::sip::message::HeaderName::parse(name), value);
    }
    call.bench.user_agent.send_refer_with(call.bench.now, call.id, "tel:+31201234567", &further).unwrap();
    let refer = call.bench.only("REFER");
    assert_eq!(refer.header("refer-to"), Some("<tel:+31201234567>"));
    assert!(refer.header("referred-by").unwrap().starts_with("<sip:us@"));
    assert_eq!((refer.header("user-to-user"), refer.header("x-queue")), (Some("00aa;encoding=hex"), Some("vip")));
}

/// RFC 3515 section 2.1: the URI may name the method, and only calls are made for a peer.
#[test]
fn a_transfer_by_another_method_than_invite_is_declined() {
    for (uri, target) in [
        ("sip:x@192.0.2.8;method=BYE", None),
        ("sip:x@192.0.2.8;transport=tcp;Method=SUBSCRIBE", None),
        ("sip:x@192.0.2.8;method=%42YE", None),
        ("sip:x@192.0.2.8;method=", None),
        ("sip:x@192.0.2.8;method=INVITE;transport=tcp", Some("sip:x@192.0.2.8;transport=tcp")),
        ("sip:x@192.0.2.8;method=invite", Some("sip:x@192.0.2.8")),
        ("sip:x@192.0.2.8;methods=BYE", Some("sip:x@192.0.2.8;methods=BYE")),
    ] {
        let mut call = Call::dialled(|invite| invite.accept_refer = true);
        let (us, them) = (call.invite.header("from").unwrap().to_owned(), call.invite.header("to").unwrap().to_owned());
        let parties = format!("From: {them};tag=peer\r\nTo: {us}\r\n");
        let sent = call.tell("REFER", &parties, &format!("Contact: <sip:peer@192.0.2.7>\r\nRefer-To: <{uri}>"));
        let referred = call.bench.events.drain(..).find_map(|event| match event {
            SipEvent::ReferReceived { referred, .. } => Some(referred.target.to_string()),
            _ => None,
        });
        assert_eq!(referred.as_deref(), target, "{uri}");
        let refused: Vec<&str> = sent.iter().map(status).collect();
        assert_eq!(refused, if target.is_some() { vec![] } else { vec!["603"] }, "{uri}");
    }
}
