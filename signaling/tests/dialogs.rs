//! What carriers do with a call once it exists, and before: session timers, PRACK, glare, transfers, replacement,
//! redirection, forks. In virtual time, on the networks of `common`.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{HeaderName, Headers};
use trunkline_signaling::sip::user_agent::{CallId, ReferStatus, SipEvent, UserAgent};

const SDP: &[u8] = b"v=0\r\n";

/// A line whose sides ask for session timers.
fn timed(seed: u64, weather: NetworkConditions, expires_s: [u32; 2]) -> TestNetwork {
    let mut network = TestNetwork::new(seed, weather, trunk("127.0.0.1", None));
    let mut caller = config(CALLER, vec![]);
    let mut callee = config(CALLEE, vec![trunk("127.0.0.1", None)]);
    (caller.session_expires_s, callee.session_expires_s) = (expires_s[0], expires_s[1]);
    network.sides = [UserAgent::new(network.now, caller, [1; 32]), UserAgent::new(network.now, callee, [2; 32])];
    network
}

/// A call that was answered: both sides' names of it.
fn talking(network: &mut TestNetwork) -> [CallId; 2] {
    let call = network.dial(None);
    for _ in 0..100 {
        network.pass_ms(200);
        if let Some(theirs) = network.incoming() {
            let _ = network.sides[1].answer(network.now, theirs, SDP.to_vec());
        }
        if network.answered() == 1 {
            break;
        }
    }
    network.pass_ms(2_000);
    [call, network.incoming().unwrap()]
}

/// All messages sent to addresses without a listener, as text.
fn sent(user_agent: &mut UserAgent) -> Vec<String> {
    std::iter::from_fn(|| user_agent.poll_transmit()).map(|t| String::from_utf8_lossy(&t.bytes).into_owned()).collect()
}

#[test]
fn long_call_is_refreshed_by_either_side() {
    for (expires_s, weather) in
        [([1_800, 0], PERFECT), ([0, 1_800], PERFECT), ([600, 1_800], PERFECT), ([1_800, 1_800], LOSSY)]
    {
        let mut network = timed(20, weather, expires_s);
        let [call, _] = talking(&mut network);
        network.pass(Duration::from_secs(3 * 3_600));
        assert_eq!((network.ends(0), network.ends(1)), (vec![], vec![]), "{expires_s:?}");
        let every = expires_s.into_iter().filter(|s| *s > 0).min().unwrap() / 2;
        let wanted = 3 * 3_600 / every;
        let refreshes = network.count("UPDATE");
        if weather.loss_percent == 0 {
            assert!(refreshes.abs_diff(wanted) <= 1, "{refreshes} refreshes, {wanted} wanted");
        }
        network.sides[0].hang_up(network.now, call).unwrap();
        network.assert_nothing_is_held();
    }
}

#[test]
fn a_call_whose_peer_is_gone_ends_before_the_session_does() {
    for (side, expires_s) in [(0, [1_800, 0]), (1, [0, 600])] {
        let mut network = timed(21, PERFECT, expires_s);
        talking(&mut network);
        network.weather.loss_percent = 100;
        network.pass(Duration::from_secs(2_000));
        let gone = [EndCause::SessionExpired, EndCause::DialogLost];
        for side in [side, 1 - side] {
            let ends = network.ends(side);
            assert!(ends.len() == 1 && gone.contains(&ends[0]), "{side}: {ends:?}");
        }
        network.assert_nothing_is_held();
    }
}

#[test]
fn an_interval_that_is_too_small_is_refused_and_asked_for_again() {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    let small = RAW_INVITE.replace("Content-L", "Supported: timer\r\nSession-Expires: 60\r\nContent-L");
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), small.as_bytes());
    let answer = sent(&mut user_agent).pop().unwrap();
    assert!(answer.starts_with("SIP/2.0 422 ") && answer.contains("Min-SE: 90\r\n"), "{answer}");
    // The other side of it: our INVITE is refused and repeated with what the peer wants.
    let mut network = timed(22, PERFECT, [120, 0]);
    network.dial_with(|invite| invite.request_uri.host = "127.0.0.9".into());
    let (_, first) = network.lost.pop().unwrap();
    let header = |text: &str, name: &str| {
        text.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap_or("").to_owned()
    };
    let refusal = format!(
        "SIP/2.0 422 Session Interval Too Small\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=p\r\nCall-ID: {}\r\nCSeq: 1 INVITE\r\n\
         Min-SE: 900\r\nContent-Length: 0\r\n\r\n",
        header(&first, "Via"),
        header(&first, "From"),
        header(&first, "To"),
        header(&first, "Call-ID"),
    );
    network.sides[0].handle_datagram(network.now, "127.0.0.9:5060".parse().unwrap(), refusal.as_bytes());
    network.carry();
    let (_, again) = network.lost.pop().unwrap();
    assert_eq!((header(&again, "Session-Expires"), header(&again, "Min-SE")), ("900".into(), "900".into()));
    assert_eq!((header(&again, "CSeq"), header(&again, "Call-ID")), ("2 INVITE".into(), header(&first, "Call-ID")));
}

/// The fork that an event of our INVITE is about.
fn remote_tag(event: &SipEvent) -> Option<&str> {
    match event {
        SipEvent::ProvisionalResponse { remote_tag, .. } | SipEvent::Answered { remote_tag, .. } => Some(remote_tag),
        _ => None,
    }
}

#[test]
fn early_media_is_sent_reliably_and_the_answer_waits_for_its_prack() {
    let mut answered = 0;
    for seed in 0..60 {
        let weather = if seed == 0 { PERFECT } else { LOSSY };
        let mut network = TestNetwork::new(seed, weather, trunk("127.0.0.1", None));
        let call = network.dial(None);
        let mut begun = false;
        for _ in 0..200 {
            network.pass_ms(200);
            if let Some(theirs) = network.incoming().filter(|_| !begun) {
                begun = true;
                network.sides[1].send_provisional(network.now, theirs, 183, Some(SDP.to_vec())).unwrap();
                network.sides[1].send_provisional(network.now, theirs, 180, None).unwrap();
                network.sides[1].answer(network.now, theirs, SDP.to_vec()).unwrap();
            }
        }
        let early = network.events[0].iter().filter(|e| {
            matches!(e, SipEvent::ProvisionalResponse { status: 183, sdp: Some(_), is_reliable: true, .. })
        });
        assert!(early.count() <= 1, "a retransmission is no event");
        answered += network.answered();
        if seed == 0 {
            assert_eq!([network.count("183"), network.count("PRACK"), network.count("200")], [1, 1, 2]);
            assert_eq!(network.answered(), 1);
            let tags: Vec<&str> = network.events[0].iter().filter_map(remote_tag).collect();
            let is_one_fork = tags.len() == 3 && tags.iter().all(|tag| !tag.is_empty() && *tag == tags[0]);
            assert!(is_one_fork, "183, 180 and 200 name the dialog they belong to: {tags:?}");
        }
        let _ = network.sides[0].hang_up(network.now, call);
        network.assert_nothing_is_held();
    }
    assert!(answered >= 57, "{answered} of 60");
}

#[test]
fn a_reliable_response_that_is_never_acknowledged_ends_the_call() {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    let invite = RAW_INVITE.replace("Content-L", "Require: 100rel\r\nContent-L");
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), invite.as_bytes());
    let Some(SipEvent::Incoming(incoming)) = user_agent.poll_event() else { panic!("refused") };
    user_agent.send_provisional(now, incoming.call, 180, None).unwrap();
    let ringing = sent(&mut user_agent).pop().unwrap();
    assert!(ringing.contains("Require: 100rel\r\n") && ringing.contains("RSeq: "), "{ringing}");
    let mut repeated = 0;
    while let Some(at) = user_agent.poll_timeout().filter(|at| *at <= now + Duration::from_secs(33)) {
        user_agent.handle_timeout(at);
        repeated += sent(&mut user_agent).iter().filter(|text| text.starts_with("SIP/2.0 180")).count();
    }
    assert_eq!(repeated, 6, "500 ms, doubled each time, until 32 s");
    assert!(matches!(user_agent.poll_event(), Some(SipEvent::Ended { cause: EndCause::NotAcknowledged, .. })));
}

#[test]
fn glare_is_resolved() {
    for seed in 0..20 {
        let mut network = TestNetwork::new(seed, PERFECT, trunk("127.0.0.1", None));
        let calls = talking(&mut network);
        for (side, call) in calls.into_iter().enumerate() {
            network.sides[side].send_reoffer(network.now, call, b"v=0\r\ns=new\r\n".to_vec()).unwrap();
        }
        for _ in 0..100 {
            network.pass_ms(100);
            for (side, call) in calls.into_iter().enumerate() {
                let _ = network.sides[side].answer_reoffer(network.now, call, Some(SDP.to_vec()));
            }
        }
        assert_eq!(network.count("491"), 2, "seed {seed}");
        for side in 0..2 {
            let of = |event: &&SipEvent| matches!(event, SipEvent::ReofferAccepted { sdp: Some(_), .. });
            assert_eq!(network.events[side].iter().filter(of).count(), 1, "seed {seed}, side {side}");
        }
        network.sides[1].hang_up(network.now, calls[1]).unwrap();
        network.assert_nothing_is_held();
    }
}

#[test]
fn an_offer_that_is_refused_changes_nothing() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let calls = talking(&mut network);
    network.sides[0].send_reoffer(network.now, calls[0], SDP.to_vec()).unwrap();
    network.pass_ms(50);
    network.sides[1].answer_reoffer(network.now, calls[1], None).unwrap();
    network.pass_ms(50);
    assert!(matches!(network.events[0].last(), Some(SipEvent::ReofferRejected { status: 488, .. })));
    assert_eq!((network.ends(0), network.ends(1)), (vec![], vec![]));
    network.sides[0].send_reoffer(network.now, calls[0], SDP.to_vec()).unwrap();
    network.pass_ms(50);
    network.sides[1].answer_reoffer(network.now, calls[1], Some(SDP.to_vec())).unwrap();
    network.pass_ms(50);
    assert!(matches!(network.events[0].last(), Some(SipEvent::ReofferAccepted { .. })), "and the next one is taken");
}

#[test]
fn an_invite_without_an_offer_is_answered_in_the_acknowledgement() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let call = network.dial_with(|invite| invite.sdp = None);
    network.pass_ms(50);
    let theirs = network.incoming().unwrap();
    assert!(matches!(&network.events[1][0], SipEvent::Incoming(incoming) if incoming.sdp.is_none()));
    network.sides[1].answer(network.now, theirs, SDP.to_vec()).unwrap();
    network.pass_ms(300);
    assert_eq!(network.count("ACK"), 0, "it waits for its owner");
    network.sides[0].acknowledge(call, Some(b"v=0\r\ns=answer\r\n".to_vec())).unwrap();
    network.pass_ms(50);
    let answer = network.events[1].iter().find_map(|event| match event {
        SipEvent::Acknowledged { sdp, .. } => sdp.clone(),
        _ => None,
    });
    assert_eq!(answer.as_deref(), Some(&b"v=0\r\ns=answer\r\n"[..]));
    network.sides[0].hang_up(network.now, call).unwrap();
    network.assert_nothing_is_held();
    // Hung up before it was answered: acknowledged all the same.
    let call = network.dial_with(|invite| invite.sdp = None);
    network.pass_ms(50);
    let Some(SipEvent::Incoming(incoming)) =
        network.events[1].iter().rev().find(|e| matches!(e, SipEvent::Incoming(_)))
    else {
        panic!("no call")
    };
    let theirs = incoming.call;
    network.sides[1].answer(network.now, theirs, SDP.to_vec()).unwrap();
    network.pass_ms(50);
    network.sides[0].hang_up(network.now, call).unwrap();
    network.assert_nothing_is_held();
}

/// A callee that may be asked to transfer.
fn may_refer() -> TestNetwork {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let mut rule = trunk("127.0.0.1", None);
    rule.accept_refer = true;
    network.sides[1].set_trunks(std::sync::Arc::new(vec![rule].into()));
    network
}

#[test]
fn inbound_refer_is_accepted_and_notified() {
    let mut network = may_refer();
    let [call, theirs] = talking(&mut network);
    let target = "sip:+15550100@127.0.0.5?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2";
    network.sides[0].send_refer(network.now, call, target).unwrap();
    network.pass_ms(50);
    let Some(SipEvent::ReferReceived { referred, .. }) = network.events[1].last() else {
        panic!("{:?}", network.events[1])
    };
    assert_eq!(referred.target.to_string(), "sip:+15550100@127.0.0.5");
    assert_eq!(referred.replaces.as_deref(), Some("abc@h;to-tag=1;from-tag=2"));
    assert!(referred.referred_by.is_some());
    network.sides[1].answer_refer(network.now, theirs, true).unwrap();
    for status in [180, 200] {
        network.pass_ms(50);
        network.sides[1].send_refer_notify(network.now, theirs, status).unwrap();
    }
    network.pass_ms(50);
    let event: Vec<ReferStatus> = network.events[0]
        .iter()
        .filter_map(|event| match event {
            SipEvent::ReferProgress { referral, .. } => Some(*referral),
            _ => None,
        })
        .collect();
    let progress = |status, last| ReferStatus::Notified { status, last };
    assert_eq!(event, [ReferStatus::Accepted, progress(100, false), progress(180, false), progress(200, true)]);
    assert!(network.ends(0).is_empty(), "the call stays until one side hangs up");
    network.sides[0].hang_up(network.now, call).unwrap();
    network.assert_nothing_is_held();
}

#[test]
fn replaces_takes_over_a_call() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let [call, theirs] = talking(&mut network);
    let Some(SipEvent::Incoming(first)) = network.events[1].first() else { panic!("no call") };
    let from_tag = first.from.tag().unwrap().to_owned();
    let call_id = first.sip_call_id.clone();
    let Some(SipEvent::Answered { .. }) = network.events[0].last() else { panic!("not answered") };
    let replace = |network: &mut TestNetwork, value: String| {
        let mut headers = Headers::default();
        headers.push(HeaderName::Replaces, value);
        network.dial_with(|invite| invite.headers = headers);
        network.pass_ms(100);
    };
    replace(&mut network, format!("{call_id};to-tag=wrong;from-tag={from_tag}"));
    assert!(matches!(&network.ends(0)[..], [EndCause::Rejected { status: 481, .. }]), "{:?}", network.ends(0));
    // The to-tag is the callee's, which its own BYE would carry as From tag.
    network.sides[1].send_info(network.now, theirs, "text/plain", b"x".to_vec()).unwrap();
    let info = loop {
        let transmit = network.sides[1].poll_transmit().unwrap();
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        if text.starts_with("INFO") {
            break text;
        }
    };
    let to_tag =
        info.lines().find(|l| l.starts_with("From:")).and_then(|l| l.split(";tag=").nth(1)).unwrap().to_owned();
    replace(&mut network, format!("{call_id};to-tag={to_tag};from-tag={from_tag}"));
    let second = network.events[1].iter().find_map(|event| match event {
        SipEvent::ReplacesReceived { call, by } if *call == theirs => Some(by.clone()),
        _ => None,
    });
    let second = second.unwrap();
    network.sides[1].answer(network.now, second.call, SDP.to_vec()).unwrap();
    network.sides[1].hang_up(network.now, theirs).unwrap();
    network.pass_ms(100);
    assert!(network.events[0].iter().any(|e| matches!(e, SipEvent::Ended { call: ended, .. } if *ended == call)));
    assert_eq!(network.answered(), 2);
}

/// Sends an INVITE to an address without a listener. Returns a function that writes answers to it.
fn by_hand(network: &mut TestNetwork) -> impl Fn(&str, &str) -> String + use<> {
    network.dial_with(|invite| invite.request_uri.host = "127.0.0.9".into());
    let (_, invite) = network.lost.pop().unwrap();
    let of = |name: &str| invite.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    let (via, from, to, call_id, cseq) = (of("Via"), of("From"), of("To"), of("Call-ID"), of("CSeq"));
    move |status: &str, more: &str| {
        let (tag, more) = more.split_once('|').unwrap_or(("p", more));
        format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag={tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\n{more}Content-Length: 0\r\n\r\n"
        )
    }
}

fn hear(network: &mut TestNetwork, text: &str) {
    network.sides[0].handle_datagram(network.now, "127.0.0.9:5060".parse().unwrap(), text.as_bytes());
    network.carry();
}

#[test]
fn redirection_reports_contacts() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let answer = by_hand(&mut network);
    let contacts = "Contact: <sip:b@127.0.0.2>;q=0.2, \"A, B\" <sip:a@127.0.0.2;x=y>;q=0.9\r\nContact: <tel:+1555>\r\n";
    hear(&mut network, &answer("302 Moved Temporarily", contacts));
    let contacts = ["tel:+1555", "sip:a@127.0.0.2;x=y", "sip:b@127.0.0.2"].map(str::to_owned).to_vec();
    assert_eq!(network.ends(0), [EndCause::Redirected { status: 302, contacts }]);
    network.assert_nothing_is_held_on(0);
}

#[test]
fn the_first_fork_that_answers_has_the_call_and_the_others_are_hung_up() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let answer = by_hand(&mut network);
    let contact = |tag: &str| format!("{tag}|Contact: <sip:{tag}@127.0.0.9>\r\n");
    for tag in ["one", "two", "three"] {
        hear(&mut network, &answer("180 Ringing", &contact(tag)));
    }
    hear(&mut network, &answer("200 OK", &contact("two")));
    hear(&mut network, &answer("200 OK", &contact("two")));
    hear(&mut network, &answer("200 OK", &contact("three")));
    let mut words: Vec<String> =
        network.lost.iter().map(|(_, text)| text.split(" SIP/2.0").next().unwrap().to_owned()).collect();
    words.sort();
    let wanted =
        ["ACK sip:three@127.0.0.9", "ACK sip:two@127.0.0.9", "ACK sip:two@127.0.0.9", "BYE sip:three@127.0.0.9"];
    assert_eq!((words, network.answered()), (wanted.map(str::to_owned).to_vec(), 1));
}

#[test]
fn a_bye_before_the_answer_is_not_known_and_the_call_rings_on() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let answer = by_hand(&mut network);
    let ringing = answer("180 Ringing", "p|Contact: <sip:p@127.0.0.9>\r\n");
    hear(&mut network, &ringing);
    let of = |name: &str| ringing.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    let bye = format!(
        "BYE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:5060;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
         From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
        of("To"),
        of("From"),
        of("Call-ID")
    );
    hear(&mut network, &bye);
    assert!(network.lost.pop().unwrap().1.starts_with("SIP/2.0 481 "));
    assert!(network.ends(0).is_empty());
    // A peer that says nothing more is not waited for without end.
    network.pass(Duration::from_secs(700));
    assert_eq!(network.ends(0), [EndCause::NoResponse]);
    network.assert_nothing_is_held_on(0);
}

#[test]
fn why_a_call_was_refused_or_ended_is_read_from_its_reason() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let answer = by_hand(&mut network);
    hear(&mut network, &answer("480 Temporarily Unavailable", "Reason: Q.850;cause=1;text=\"Unallocated\"\r\n"));
    let ends = network.ends(0);
    let Some(EndCause::Rejected { status: 480, reason_header: Some(why), .. }) = ends.first() else {
        panic!("{ends:?}")
    };
    assert_eq!((why.q850, why.text.as_deref()), (Some(1), Some("Unallocated")));
}

#[test]
fn request_with_our_via_is_a_loop() {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    let ours = "Via: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKours\r\nMax-Forwards";
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), RAW_INVITE.replace("Max-Forwards", ours).as_bytes());
    assert!(sent(&mut user_agent)[0].starts_with("SIP/2.0 482 "));
}

#[test]
fn request_of_another_fork_is_rejected() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let [_, theirs] = talking(&mut network);
    network.sides[1].send_info(network.now, theirs, "text/plain", b"x".to_vec()).unwrap();
    let info = String::from_utf8_lossy(&network.sides[1].poll_transmit().unwrap().bytes).into_owned();
    // The same dialog seen from the caller, but with another caller's tag.
    let of = |name: &str| info.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    let to = of("To");
    let bye = format!(
        "BYE sip:x@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKforged\r\nMax-Forwards: 70\r\n\
         From: {}forged\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 77 BYE\r\nContent-Length: 0\r\n\r\n",
        to,
        of("From"),
        of("Call-ID")
    );
    network.sides[1].handle_datagram(network.now, CALLER.parse().unwrap(), bye.as_bytes());
    assert!(sent(&mut network.sides[1])[0].starts_with("SIP/2.0 481 "));
    assert!(network.ends(1).is_empty());
}

#[test]
fn a_request_of_an_unknown_method_in_a_call_is_not_implemented() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let [ours, _] = talking(&mut network);
    network.sides[0].send_info(network.now, ours, "text/plain", b"x".to_vec()).unwrap();
    let unknown = sent(&mut network.sides[0]).pop().unwrap().replace("INFO", "FOO");
    network.sides[1].handle_datagram(network.now, CALLER.parse().unwrap(), unknown.as_bytes());
    let answer = sent(&mut network.sides[1]).pop().unwrap();
    assert!(answer.starts_with("SIP/2.0 501 ") && answer.contains("\r\nAllow: "), "{answer}");
    assert!(network.ends(1).is_empty());
}

/// RFC 3261 section 12.2.1.2: the peer, or a proxy for it, says that the call is gone.
#[test]
fn an_offer_to_a_peer_that_has_lost_the_call_ends_it() {
    for status in ["481 Call/Transaction Does Not Exist", "408 Request Timeout"] {
        let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
        let [ours, _] = talking(&mut network);
        network.sides[0].send_reoffer(network.now, ours, SDP.to_vec()).unwrap();
        let offer = sent(&mut network.sides[0]).pop().unwrap();
        let names = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "];
        let headers: Vec<_> = offer.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
        let answer = format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", headers.join("\r\n"));
        network.sides[0].handle_datagram(network.now, CALLEE.parse().unwrap(), answer.as_bytes());
        let sent = sent(&mut network.sides[0]);
        assert!(sent.iter().any(|text| text.starts_with("BYE ")), "{status}: {sent:?}");
        network.carry();
        assert_eq!(network.ends(0), [EndCause::DialogLost], "{status}");
    }
}

#[test]
fn the_owner_of_a_call_sees_who_calls_and_what_is_the_callers_own() {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    let shown =
        ["P-Asserted-Identity: <sip:+15550100@carrier.example>", "X-Customer: 17", "User-to-User: 00ff;encoding=hex"];
    let invite = RAW_INVITE.replace("Content-L", &format!("Allow: INVITE\r\n{}\r\nContent-L", shown.join("\r\n")));
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), invite.as_bytes());
    let Some(SipEvent::Incoming(incoming)) = user_agent.poll_event() else { panic!("no call") };
    let seen: Vec<String> =
        incoming.headers.iter().map(|header| format!("{}: {}", header.name.as_str(), header.value)).collect();
    assert_eq!(seen, shown);
}
