//! A proxy rings several phones: each To tag has an early dialog of its own, and the final answer of a tag completes
//! that one.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{CALLER, config};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{CallId, InviteRequest, SipEvent, Transport, UserAgent};

const PROXY: &str = "192.0.2.9:5060";

/// A call of ours, and what its proxy hears.
struct ForkedCall {
    now: Instant,
    caller: UserAgent,
    call: CallId,
    invite: String,
}

impl ForkedCall {
    fn start() -> Self {
        Self::start_with(Some(b"ours".to_vec()))
    }

    fn start_with(sdp: Option<Vec<u8>>) -> Self {
        let now = Instant::now();
        let mut caller = UserAgent::new(now, config(CALLER, vec![]), [1; 32]);
        let uri = Uri::sip(Some("many"), "192.0.2.9", None);
        let name = |uri| NameAddr { display: None, uri, params: String::new() };
        let invite = InviteRequest {
            request_uri: uri.clone(),
            from: name(Uri::sip(Some("us"), "127.0.0.1", None)),
            to: name(uri),
            hops: vec![],
            transport: Transport::Udp,
            credentials: None,
            sdp,
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        };
        let call = caller.send_invite(now, invite).unwrap();
        let mut forked = Self { now, caller, call, invite: String::new() };
        forked.invite = forked.sent().pop().unwrap();
        forked
    }

    fn sent(&mut self) -> Vec<String> {
        let caller = &mut self.caller;
        std::iter::from_fn(|| caller.poll_transmit())
            .map(|transmit| String::from_utf8(transmit.bytes.to_vec()).unwrap())
            .collect()
    }

    fn line(text: &str, name: &str) -> String {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("").to_owned()
    }

    fn hear(&mut self, text: &str) {
        let source: SocketAddr = PROXY.parse().unwrap();
        self.caller.handle_datagram(self.now, source, text.as_bytes());
    }

    /// A response of one phone to our INVITE.
    fn respond(&mut self, status: u16, tag: &str, more: &str, sdp: &str) {
        let header = |name| format!("{name}: {}\r\n", Self::line(&self.invite, name));
        let headers: String = ["Via", "From", "Call-ID", "CSeq"].map(header).concat();
        let text = format!(
            "SIP/2.0 {status} Some\r\n{headers}To: {}{}\r\nContact: <sip:phone{tag}@192.0.2.9>\r\n{more}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            Self::line(&self.invite, "To"),
            if tag.is_empty() { String::new() } else { format!(";tag={tag}") },
            sdp.len(),
        );
        self.hear(&text);
    }

    /// UPDATE with an offer, from one phone.
    fn update(&mut self, tag: &str) {
        let text = format!(
            "UPDATE sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{tag}\r\nMax-Forwards: 70\r\n\
             From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 UPDATE\r\nContact: <sip:{tag}@192.0.2.9>\r\n\
             Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nmore",
            Self::line(&self.invite, "To"),
            Self::line(&self.invite, "From"),
            Self::line(&self.invite, "Call-ID"),
        );
        self.hear(&text);
    }

    fn answered(&mut self) -> Option<Vec<u8>> {
        while let Some(event) = self.caller.poll_event() {
            if let SipEvent::Answered { sdp, .. } = event {
                return sdp;
            }
        }
        panic!("not answered")
    }
}

fn reliable(rseq: u32) -> String {
    format!("Require: 100rel\r\nRSeq: {rseq}\r\n")
}

#[test]
fn the_answer_of_a_tag_completes_its_own_early_dialog() {
    let mut forked = ForkedCall::start();
    forked.respond(183, "one", &reliable(7), "answer of one");
    forked.respond(183, "two", &reliable(7), "answer of two");
    let pracks = forked.sent();
    assert_eq!(pracks.len(), 2, "numbers of responses are each phone's own: {pracks:?}");
    assert!(pracks.iter().all(|prack| ForkedCall::line(prack, "CSeq") == "2 PRACK"), "{pracks:?}");
    // Its description came reliably and is not repeated.
    forked.respond(200, "one", "", "");
    assert_eq!(forked.answered().as_deref(), Some(&b"answer of one"[..]));
    forked.sent();
    forked.caller.hang_up(forked.now, forked.call).unwrap();
    let bye = forked.sent().pop().unwrap();
    assert!(bye.starts_with("BYE sip:phoneone@192.0.2.9 "), "{bye}");
    assert_eq!(ForkedCall::line(&bye, "CSeq"), "3 BYE", "after the PRACK of this dialog");
}

/// Gateways describe their media in a 183, and answer with another tag and without a description.
#[test]
fn a_description_of_another_tag_stands_if_it_is_the_only_one() {
    let answered = |early: &[(&str, &str, &str)], sdp: &str| {
        let mut forked = ForkedCall::start();
        for (tag, more, sdp) in early {
            forked.respond(183, tag, more, sdp);
        }
        forked.respond(200, "two", "", sdp);
        forked.answered().map(|sdp| String::from_utf8(sdp).unwrap())
    };
    let rel = reliable(7);
    assert_eq!(answered(&[("one", "", "of one")], "").as_deref(), Some("of one"));
    assert_eq!(answered(&[("one", &rel, "of one")], "").as_deref(), Some("of one"));
    assert_eq!(answered(&[("one", "", "of one"), ("two", "", "")], "").as_deref(), Some("of one"), "it rang before");
    assert_eq!(answered(&[("", "", "of nobody")], "").as_deref(), Some("of nobody"), "a 183 without a tag");
    assert_eq!(answered(&[("one", "", "of one")], "of two").as_deref(), Some("of two"));
    assert_eq!(answered(&[("one", "", "of one"), ("two", "", "of two")], "").as_deref(), Some("of two"));
    assert_eq!(answered(&[("one", "", "of one"), ("three", "", "of three")], ""), None, "whose would it be?");
    assert_eq!(answered(&[("one", "", "")], ""), None);
}

#[test]
fn an_offer_of_the_fork_that_lost_is_over_and_that_of_the_winner_goes_on() {
    for (winner, loser) in [("one", "two"), ("two", "one")] {
        let mut forked = ForkedCall::start();
        forked.respond(183, "one", &reliable(7), "answer of one");
        forked.respond(183, "two", &reliable(7), "answer of two");
        forked.sent();
        forked.update("one");
        forked.update("two");
        let refused = forked.sent();
        assert!(refused[0].starts_with("SIP/2.0 500"), "one offer at a time: {refused:?}");
        forked.respond(200, winner, "", "");
        let sent = forked.sent();
        let is_over = sent.iter().any(|text| text.starts_with("SIP/2.0 487") && text.contains("branch=z9hG4bKone"));
        assert_eq!(is_over, loser == "one", "{sent:?}");
        let outcome = forked.caller.answer_reoffer(forked.now, forked.call, Some(b"ours again".to_vec()));
        assert_eq!(outcome.is_ok(), winner == "one", "{winner}");
    }
}

#[test]
fn a_cancelled_call_that_is_answered_all_the_same_ends_with_the_numbers_of_its_dialog() {
    let mut forked = ForkedCall::start();
    forked.respond(183, "one", &reliable(7), "answer of one");
    forked.sent();
    forked.caller.hang_up(forked.now, forked.call).unwrap();
    assert!(forked.sent()[0].starts_with("CANCEL "));
    forked.now += Duration::from_millis(10);
    forked.respond(200, "one", "", "");
    let sent = forked.sent();
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    assert_eq!(ForkedCall::line(&sent[1], "CSeq"), "3 BYE");
    assert_eq!(forked.caller.calls(), 0);
}

/// The owner thinks about the offer of the answer, and the phone repeats itself meanwhile: that is not another phone.
#[test]
fn an_answer_that_is_repeated_before_its_acknowledgement_hangs_nobody_up() {
    let mut forked = ForkedCall::start_with(None);
    forked.respond(200, "one", "", "their offer");
    assert_eq!(forked.answered().as_deref(), Some(&b"their offer"[..]));
    forked.respond(200, "one", "", "their offer");
    assert_eq!(forked.sent(), [""; 0]);
    forked.caller.acknowledge(forked.call, Some(b"our answer".to_vec())).unwrap();
    let ack = forked.sent().pop().unwrap();
    assert!(ack.starts_with("ACK ") && ack.ends_with("our answer"), "{ack}");
    forked.respond(200, "one", "", "their offer");
    assert_eq!(forked.sent(), [ack], "it was lost");
    assert_eq!(forked.caller.calls(), 1);
}

/// RFC 3261 section 13.2.2.4: what a fork answers after the refusal of another one is a dialog that nobody wants.
#[test]
fn a_fork_that_answers_after_anothers_refusal_gets_ack_and_bye() {
    for (is_cancelled, refusal) in [(true, 487), (false, 486)] {
        let mut forked = ForkedCall::start();
        forked.respond(180, "one", "", "");
        forked.respond(180, "two", "", "");
        if is_cancelled {
            forked.caller.hang_up(forked.now, forked.call).unwrap();
        }
        forked.respond(refusal, "one", "", "");
        forked.sent();
        for _ in 0..2 {
            forked.respond(200, "two", "", "answer of two");
            let sent = forked.sent();
            let methods: Vec<&str> = sent.iter().map(|text| text.split(' ').next().unwrap()).collect();
            assert_eq!(methods, ["ACK", "BYE"], "{refusal}: {sent:?}");
            assert!(sent.iter().all(|text| text.contains("sip:phonetwo@192.0.2.9")), "{sent:?}");
            assert!(ForkedCall::line(&sent[1], "To").ends_with(";tag=two"), "{sent:?}");
        }
        let is_answered = |event| matches!(event, SipEvent::Answered { .. });
        assert!(!std::iter::from_fn(|| forked.caller.poll_event()).any(is_answered), "{refusal}");
    }
}
