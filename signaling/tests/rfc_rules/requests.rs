//! What our own requests say, and what their answers do.

use super::*;
use std::collections::HashSet;

/// RFC 3261 section 8.1.1 and RFC 3581 section 3.
#[test]
fn requests_have_the_six_headers_and_names_of_their_own() {
    let mut seen = HashSet::new();
    let mut note = |what: &str| assert!(seen.insert(what.to_owned()), "{what} twice");
    let mut bench = UserAgentTest::new();
    for _ in 0..5 {
        bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        let via = invite.header("via").unwrap();
        assert!(via.contains(";branch=z9hG4bK") && via.ends_with(";rport"), "{via}");
        assert_eq!(invite.header("max-forwards"), Some("70"));
        assert_eq!(invite.header("cseq"), Some("1 INVITE"));
        assert!(!invite.header("to").unwrap().contains("tag="));
        let branch = via.split("branch=").nth(1).unwrap().split(';').next().unwrap();
        let tag = invite.header("from").unwrap().split("tag=").nth(1).unwrap();
        let call_id = invite.header("call-id").unwrap();
        for name in [branch, tag, call_id] {
            assert!(name.len() >= 16, "{name}");
            note(name);
        }
    }
    let id = bench.answered("sip:1@192.0.2.7", "<sip:peer@192.0.2.7>", "");
    bench.sent();
    bench.user_agent.hang_up(bench.now, id).unwrap();
    let bye = bench.only("BYE");
    assert!(bye.header("via").unwrap().ends_with(";rport"));
    assert_eq!(bye.header("max-forwards"), Some("70"));
}

/// RFC 3261 section 12.1.2: the route set of a client is the Record-Route in reverse.
#[test]
fn the_route_set_of_a_call_of_ours_is_reversed() {
    for route in
        ["<sip:192.0.2.9;lr>, <sip:192.0.2.8:5070;lr>", "<sip:192.0.2.9;lr>\r\nRecord-Route: <sip:192.0.2.8:5070;lr>"]
    {
        let mut bench = UserAgentTest::new();
        let id = bench.answered("sip:1@192.0.2.7", "<sip:peer@192.0.2.66>", route);
        let ack = bench.only("ACK");
        bench.user_agent.send_info(bench.now, id, "application/dtmf-relay", b"Signal=1".to_vec()).unwrap();
        let info = bench.only("INFO");
        bench.answer(&info, "200 OK", "");
        bench.user_agent.hang_up(bench.now, id).unwrap();
        for request in [ack, info, bench.only("BYE")] {
            assert_eq!(request.to, SECOND, "{}", request.text);
            assert_eq!(values(&request, "route"), ["<sip:192.0.2.8:5070;lr>", "<sip:192.0.2.9;lr>"]);
            assert!(request.text.contains(" sip:peer@192.0.2.66 SIP/2.0"), "{}", request.text);
        }
    }
}

/// RFC 3261 section 17.1.1.3: the ACK of a refusal has the branch and the Route of its INVITE, and the To of the refusal.
#[test]
fn the_ack_of_a_refusal_goes_the_way_of_its_invite() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| {
        let route = trunkline_signaling::sip::message::HeaderName::parse("Route");
        invite.headers.push(route, "<sip:192.0.2.9;lr>");
        invite.hops = vec![next_hop(PROXY)];
    });
    let invite = bench.invite();
    bench.answer(&invite, "486 Busy Here", "");
    let ack = bench.only("ACK");
    assert_eq!(ack.to, PROXY);
    assert_eq!(values(&ack, "route"), ["<sip:192.0.2.9;lr>"]);
    for same in ["via", "from", "call-id"] {
        assert_eq!(ack.header(same), invite.header(same), "{same}");
    }
    assert!(ack.header("to").unwrap().ends_with(";tag=peer"));
    assert_eq!(ack.header("cseq"), Some("1 ACK"));
    assert_eq!(values(&ack, "via").len(), 1);
}

/// RFC 3261 sections 8.1.3.2 and 17.1.3.
#[test]
fn unknown_statuses_count_by_their_class_and_foreign_methods_not_at_all() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    let foreign = SentRequest {
        to: invite.to.clone(),
        transport: invite.transport,
        text: invite.text.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
    };
    bench.answer(&foreign, "486 Busy Here", "");
    assert!(bench.sent().is_empty() && bench.ends().is_empty(), "a response of another method");
    bench.answer(&invite, "499 Odd", "");
    bench.sent();
    assert!(matches!(&bench.ends()[..], [EndCause::Rejected { status: 499, .. }]), "{:?}", bench.ends());
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    bench.answer(&invite, "199 Odd", "");
    bench.answer(&invite, "299 Odd", "Contact: <sip:peer@192.0.2.7>\r\n");
    bench.only("ACK");
    assert!(bench.events.iter().any(|event| matches!(event, SipEvent::Answered { .. })));
}

/// RFC 4028 section 7.4: a peer that does not take UPDATE gets a re-INVITE, with the offer as it was.
#[test]
fn a_session_is_refreshed_by_reinvite_where_update_is_not_allowed() {
    for allow in ["Allow: INVITE, ACK, BYE\r\n", ""] {
        let mut bench = UserAgentTest::new();
        bench.dial("sip:1@192.0.2.7", |invite| invite.sdp = Some(b"v=0\r\ns=ours\r\n".to_vec()));
        let invite = bench.invite();
        let timer = "Require: timer\r\nSession-Expires: 90;refresher=uac\r\nContact: <sip:peer@192.0.2.7>\r\n";
        bench.answer(&invite, "200 OK", &format!("{allow}{timer}"));
        bench.sent();
        for _ in 0..2 {
            bench.pass(Duration::from_millis(45_100));
            let refresh = bench.invite();
            assert_eq!(refresh.method(), "INVITE", "{allow}");
            assert!(refresh.text.ends_with("\r\n\r\nv=0\r\ns=ours\r\n"), "{}", refresh.text);
            assert_eq!(refresh.header("session-expires"), Some("90;refresher=uac"));
            assert!(refresh.header("supported").unwrap().contains("timer"));
            bench.answer(&refresh, "200 OK", timer);
            bench.only("ACK");
        }
        assert!(bench.ends().is_empty());
    }
}

/// A call of ours that we refresh every 45 s, by UPDATE or re-INVITE.
fn refreshed_call(allow: &str) -> (UserAgentTest, CallId) {
    let mut bench = UserAgentTest::new();
    let call = bench.dial("sip:1@192.0.2.7", |invite| invite.sdp = Some(b"v=0\r\ns=ours\r\n".to_vec()));
    let invite = bench.invite();
    let more = format!("Allow: {allow}\r\n{TIMER}");
    bench.answer(&invite, "200 OK", &more);
    bench.sent();
    (bench, call)
}

const TIMER: &str = "Require: timer\r\nSession-Expires: 90;refresher=uac\r\nContact: <sip:peer@192.0.2.7>\r\n";

impl UserAgentTest {
    /// Waits for the next refresh, refuses it, and returns what else was sent meanwhile.
    fn refuse_refresh(&mut self, after_ms: u64, method: &str, refusal: &str, more: &str) {
        self.pass(Duration::from_millis(after_ms));
        let refresh = self.sent().into_iter().find(|sent| sent.method() == method);
        let refresh = refresh.unwrap_or_else(|| panic!("no {method} after {after_ms} ms"));
        self.answer(&refresh, refusal, more);
        self.sent();
    }
}

/// RFC 4028 section 10: a refresh that is refused for now is repeated before the session ends.
#[test]
fn a_refused_refresh_is_repeated() {
    for (allow, method) in [("INVITE, UPDATE, BYE", "UPDATE"), ("INVITE, BYE", "INVITE")] {
        for (refusal, more, wait_ms) in [
            ("503 Busy", "Retry-After: 3\r\n", 3_000),
            ("500 Odd", "Retry-After: 5 (soon);duration=60\r\n", 5_000),
            ("504 Timeout", "", 10_000),
            ("500 Odd", "", 10_000),
            ("486 Busy", "Retry-After: 0\r\n", 1_000),
            ("503 Busy", "Retry-After: 3600\r\n", 10_900),
        ] {
            let (mut bench, _) = refreshed_call(allow);
            bench.refuse_refresh(45_100, method, refusal, more);
            bench.pass(Duration::from_millis(wait_ms - 100));
            assert!(bench.sent().is_empty(), "{method} {refusal} {more}: too early");
            bench.pass(Duration::from_millis(200));
            let again = bench.sent().into_iter().find(|sent| sent.method() == method);
            bench.answer(&again.unwrap_or_else(|| panic!("{method} {refusal} {more}")), "200 OK", TIMER);
            bench.sent();
            bench.pass(Duration::from_millis(44_000));
            assert!(bench.ends().is_empty() && bench.sent().is_empty(), "{method} {refusal}: the session goes on");
        }
    }
}

#[test]
fn a_refresh_that_is_always_refused_ends_the_session_by_bye() {
    let (mut bench, _) = refreshed_call("INVITE, UPDATE, BYE");
    bench.refuse_refresh(45_100, "UPDATE", "503 Busy", "Retry-After: 1\r\n");
    let mut updates = 0;
    while bench.ends().is_empty() {
        bench.pass(Duration::from_millis(100));
        for sent in bench.sent() {
            match sent.method() {
                "UPDATE" => {
                    updates += 1;
                    bench.answer(&sent, "503 Busy", "Retry-After: 1\r\n");
                }
                "BYE" => bench.answer(&sent, "200 OK", ""),
                _ => {}
            }
        }
        assert!(updates <= 8, "{updates}");
    }
    assert!((3..=5).contains(&updates), "waits double: {updates}");
}

/// The method or its lack of a description may be what the peer refuses: a re-INVITE shows, once.
#[test]
fn a_refused_update_is_followed_by_one_reinvite() {
    for refusal in ["415 Unsupported", "420 Bad Extension", "488 Not Acceptable", "405 No", "501 No"] {
        let (mut bench, _) = refreshed_call("INVITE, UPDATE, BYE");
        bench.pass(Duration::from_millis(45_100));
        let update = bench.only("UPDATE");
        bench.answer(&update, refusal, "");
        let invite = bench.invite();
        assert!(invite.text.ends_with("\r\n\r\nv=0\r\ns=ours\r\n"), "no other description: {}", invite.text);
        bench.answer(&invite, refusal, "");
        assert!(bench.sent().iter().all(|sent| sent.method() == "ACK"), "{refusal}");
        bench.pass(Duration::from_millis(5_000));
        assert!(bench.sent().is_empty() && bench.ends().is_empty(), "{refusal}: not for ever");
    }
}

/// RFC 3261 section 14.2: the peer is not ready for another description yet.
#[test]
fn a_media_change_that_comes_too_early_is_offered_again() {
    for (refusal, more, is_repeated) in [
        ("500 Overlap", "Retry-After: 4\r\n", true),
        ("503 Busy", "Retry-After: 4\r\n", true),
        ("500 Odd", "", false),
        ("503 Busy", "Retry-After: 600\r\n", false),
        ("488 No", "", false),
    ] {
        let (mut bench, call) = refreshed_call("INVITE, UPDATE, BYE");
        bench.user_agent.send_reoffer(bench.now, call, b"v=0\r\ns=other\r\n".to_vec()).unwrap();
        let offer = bench.invite();
        bench.answer(&offer, refusal, more);
        bench.sent();
        let is_told = bench.events.iter().any(|event| matches!(event, SipEvent::ReofferRejected { .. }));
        assert_eq!(is_told, !is_repeated, "{refusal} {more}");
        bench.pass(Duration::from_millis(4_100));
        let again = bench.sent().into_iter().find(|sent| sent.method() == "INVITE");
        assert_eq!(again.is_some(), is_repeated, "{refusal} {more}");
        if let Some(again) = again {
            assert!(again.text.ends_with("s=other\r\n"));
            bench.answer(&again, "200 OK", TIMER);
            bench.only("ACK");
            assert!(bench.events.iter().any(|event| matches!(event, SipEvent::ReofferAccepted { .. })));
        }
    }
}

/// A refresh was left out for a description that was on its way: it is made up for when that is refused.
#[test]
fn a_refused_media_change_leaves_the_refresh_due() {
    let (mut bench, call) = refreshed_call("INVITE, UPDATE, BYE");
    bench.pass(Duration::from_millis(44_000));
    bench.user_agent.send_reoffer(bench.now, call, b"v=0\r\ns=other\r\n".to_vec()).unwrap();
    let offer = bench.invite();
    bench.answer(&offer, "500 Overlap", "Retry-After: 3\r\n");
    bench.sent();
    bench.refuse_refresh(3_100, "INVITE", "488 No", "");
    bench.pass(Duration::from_millis(10));
    bench.only("UPDATE");
}

/// RFC 3261 section 12.2.1.2: whoever answers 481 or 408 has lost the call.
#[test]
fn a_peer_that_does_not_know_the_dialog_any_more_ends_it() {
    for (method, refusal, ends) in [
        ("INFO", "481 Gone", true),
        ("INFO", "408 Timeout", true),
        ("INFO", "415 Unsupported", false),
        ("REFER", "481 Gone", true),
        ("REFER", "408 Timeout", true),
        ("REFER", "405 No", false),
    ] {
        let mut bench = UserAgentTest::new();
        let id = bench.answered("sip:1@192.0.2.7", "<sip:peer@192.0.2.7>", "");
        bench.sent();
        let sent = match method {
            "INFO" => bench.user_agent.send_info(bench.now, id, "application/dtmf-relay", b"Signal=1".to_vec()),
            _ => bench.user_agent.send_refer(bench.now, id, "tel:+31201234567"),
        };
        sent.unwrap();
        let request = bench.only(method);
        bench.answer(&request, refusal, "");
        bench.sent();
        assert_eq!(bench.ends() == [EndCause::DialogLost], ends, "{method} {refusal}: {:?}", bench.ends());
    }
}

/// What a callee has refused once with all its keys is offered once more without anything else, and then never.
#[test]
fn an_invite_without_extensions_is_refused_once() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| {
        invite.extensions = trunkline_signaling::sip::user_agent::InviteExtensions::Omitted;
        invite.sdp = Some(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n".to_vec());
    });
    let invite = bench.invite();
    for name in ["supported", "session-expires", "min-se", "require"] {
        assert_eq!(invite.header(name), None, "{name}");
    }
    bench.answer(&invite, "488 Not Acceptable Here", "");
    assert!(bench.sent().iter().all(|one| one.method() == "ACK"));
    assert!(matches!(&bench.ends()[..], [EndCause::Rejected { status: 488, .. }]));
}

/// A trunk that challenges probes as it challenges calls is asked with its credentials.
#[test]
fn a_probe_answers_challenges_with_the_credentials_of_its_trunk() {
    let probe = |bench: &mut UserAgentTest, host: &str, credentials: Option<HostCredentials>| {
        let uri = Uri::parse(&format!("sip:{host}")).unwrap();
        let named = NameAddr { display: None, uri: uri.clone(), params: String::new() };
        let probe = InviteRequest {
            request_uri: uri,
            from: named.clone(),
            to: named,
            hops: vec![],
            transport: Transport::Udp,
            credentials,
            sdp: None,
            headers: Headers::default(),
            trunk: None,
            accept_refer: false,
            extensions: Default::default(),
        };
        bench.user_agent.send_options(bench.now, probe).unwrap()
    };
    let answered = |bench: &mut UserAgentTest| {
        bench.sent();
        bench.events.drain(..).find_map(|event| match event {
            SipEvent::OptionsAnswered { result: ProbeResult::Answered(status), .. } => Some(Some(status)),
            SipEvent::OptionsAnswered { .. } => Some(None),
            _ => None,
        })
    };
    for challenge in [401, 407] {
        let mut bench = UserAgentTest::new();
        probe(&mut bench, "192.0.2.7", Some(bound()));
        let first = bench.only("OPTIONS");
        assert!(first.realms().is_empty());
        bench.challenge(&first, challenge, "carrier", "");
        let second = bench.only("OPTIONS");
        assert_eq!((second.realms(), second.header("cseq")), (vec!["carrier"], Some("2 OPTIONS")));
        bench.answer(&second, "200 OK", "");
        assert_eq!(answered(&mut bench), Some(Some(200)));
        // A wrong password is told by the second challenge.
        probe(&mut bench, "192.0.2.7", Some(bound()));
        let first = bench.only("OPTIONS");
        bench.challenge(&first, challenge, "carrier", "");
        let second = bench.only("OPTIONS");
        bench.challenge(&second, challenge, "carrier", "");
        assert_eq!(answered(&mut bench), Some(Some(challenge)));
        // Without credentials, and to a stranger, the challenge is the answer.
        for (host, credentials) in [("192.0.2.7", None), ("192.0.2.66", Some(bound()))] {
            probe(&mut bench, host, credentials);
            let first = bench.only("OPTIONS");
            bench.challenge(&first, challenge, "carrier", "");
            assert_eq!(answered(&mut bench), Some(Some(challenge)), "{host}");
        }
        assert_eq!(bench.user_agent.calls(), 0);
    }
    // And it is given up in the same time.
    let mut bench = UserAgentTest::new();
    probe(&mut bench, "192.0.2.7", Some(bound()));
    let first = bench.only("OPTIONS");
    bench.pass(Duration::from_secs(2));
    bench.challenge(&first, 401, "carrier", "");
    bench.sent();
    bench.pass(Duration::from_secs(3));
    assert_eq!(answered(&mut bench), Some(None));
}
