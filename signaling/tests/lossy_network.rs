//! Two user agents in virtual time on a lossy network: all timers, both CANCEL races, authentication.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent::{ReferStatus, SipEvent, TransmitTarget, Transport, UserAgent};

#[test]
fn caller_is_answered_and_hangs_up() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut network = TestNetwork::new(1, NetworkConditions { transport, ..PERFECT }, trunk("127.0.0.1", None));
        let call = network.dial(None);
        network.pass_ms(50);
        let theirs = network.incoming().unwrap();
        network.sides[1].send_provisional(network.now, theirs, 180, None).unwrap();
        network.pass_ms(1_000);
        network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
        network.pass_ms(50);
        assert_eq!(network.answered(), 1);
        assert!(matches!(network.events[1].last(), Some(SipEvent::Acknowledged { sdp: None, .. })));
        network.sides[0].hang_up(network.now, call).unwrap();
        network.pass_ms(50);
        assert_eq!(
            (network.ends(0), network.ends(1)),
            (vec![EndCause::LocalHangUp], vec![EndCause::RemoteBye { reason_header: normal() }])
        );
        assert_eq!(
            [network.count("INVITE"), network.count("200"), network.count("ACK"), network.count("BYE")],
            [1, 2, 1, 1]
        );
        network.assert_nothing_is_held();
    }
}

#[test]
fn a_transfer_is_refused_by_a_peer_that_knows_none_and_the_call_goes_on() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    let call = network.dial(None);
    network.pass_ms(50);
    let theirs = network.incoming().unwrap();
    network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
    network.pass_ms(50);
    assert!(
        network.sides[0].send_refer(network.now, call, "tel:+1555\r\nX: y").is_err(),
        "no headers through a target"
    );
    network.sides[0].send_refer(network.now, call, "tel:+15550100").unwrap();
    network.pass_ms(50);
    let event = network.events[0].iter().find_map(|event| match event {
        SipEvent::ReferProgress { referral, .. } => Some(*referral),
        _ => None,
    });
    assert_eq!(event, Some(ReferStatus::Rejected { status: 603 }));
    assert!(network.ends(0).is_empty());
    network.sides[0].hang_up(network.now, call).unwrap();
    network.assert_nothing_is_held();
}

#[test]
fn every_call_ends_once_on_a_line_with_loss_duplication_and_reordering() {
    let mut completed = 0;
    for seed in 0..200 {
        let mut network = TestNetwork::new(seed, LOSSY, trunk("127.0.0.1", None));
        let call = network.dial(None);
        for _ in 0..200 {
            network.pass_ms(200);
            if let Some(theirs) = network.incoming() {
                let _ = network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec());
            }
        }
        completed += network.answered();
        let hanging_up = (seed % 2) as usize;
        let calls = [Some(call), network.incoming()];
        if let Some(call) = calls[hanging_up] {
            let _ = network.sides[hanging_up].hang_up(network.now, call);
        }
        network.pass(Duration::from_secs(120));
        for (side, call) in calls.iter().enumerate() {
            assert!(network.ends(side).len() == usize::from(call.is_some()), "seed {seed}: {:?}", network.ends(side));
        }
        network.assert_nothing_is_held();
    }
    assert!(completed >= 195, "{completed} of 200 calls were set up under 30 % loss");
}

#[test]
fn caller_gives_up_before_any_answer() {
    for (wait_ms, note) in [(0, "before the provisional"), (100, "after it")] {
        let mut network = TestNetwork::new(3, PERFECT, trunk("127.0.0.1", None));
        let call = network.dial(None);
        network.pass_ms(wait_ms);
        network.sides[0].hang_up(network.now, call).unwrap();
        network.pass_ms(100);
        assert_eq!(
            (network.ends(0), network.ends(1)),
            (vec![EndCause::LocalHangUp], vec![EndCause::RemoteCancel { reason_header: None }]),
            "{note}"
        );
        assert_eq!((network.count("CANCEL"), network.count("487"), network.count("BYE")), (1, 1, 0), "{note}");
        network.assert_nothing_is_held();
    }
}

/// livekit/sip#626: a carrier answers 482 to a call that looks like the one that was just cancelled.
#[test]
fn new_call_after_cancel_is_separate() {
    let mut network = TestNetwork::new(3, PERFECT, trunk("127.0.0.1", None));
    let first = network.dial(None);
    network.pass_ms(100);
    network.sides[0].hang_up(network.now, first).unwrap();
    let second = network.dial(None);
    network.pass_ms(100);
    let theirs = network.incoming_all();
    assert_eq!((theirs.len(), network.count("482")), (2, 0));
    network.sides[1].answer(network.now, theirs[1], b"v=0\r\n".to_vec()).unwrap();
    network.pass_ms(100);
    assert_eq!((network.answered(), network.ends(0)), (1, vec![EndCause::LocalHangUp]));
    network.sides[0].hang_up(network.now, second).unwrap();
    network.assert_nothing_is_held();
}

/// livekit/sip#424, rustpbx#280: ACK and BYE of a phone behind a NAT go to the source address of its messages.
#[test]
fn phone_behind_nat_is_answered_at_its_source() {
    let nat: SocketAddr = "198.51.100.9:41234".parse().unwrap();
    let rule = trunk("198.51.100.0/24", None);
    let (now, mut user_agent) = (Instant::now(), UserAgent::new(Instant::now(), config(CALLEE, vec![rule]), [3; 32]));
    let invite =
        RAW_INVITE.replace("127.0.0.1:5060", "192.168.1.7:5060").replace("sip:a@127.0.0.1", "sip:a@192.168.1.7");
    user_agent.handle_datagram(now, nat, invite.as_bytes());
    let call = std::iter::from_fn(|| user_agent.poll_event())
        .find_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming.call),
            _ => None,
        })
        .unwrap();
    user_agent.answer(now, call, b"v=0\r\n".to_vec()).unwrap();
    let answer = std::iter::from_fn(|| user_agent.poll_transmit()).last().unwrap();
    assert_eq!(answer.target, TransmitTarget::Addr(nat));
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    let tag = text.split("\r\nTo: ").nth(1).and_then(|to| to.split(";tag=").nth(1)?.split("\r\n").next()).unwrap();
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("z9hG4bKx", "z9hG4bKack")
        .replace("27.0.0.2>\r\n", &format!("27.0.0.2>;tag={tag}\r\n"));
    user_agent.handle_datagram(now, nat, ack.as_bytes());
    user_agent.hang_up(now, call).unwrap();
    let bye = std::iter::from_fn(|| user_agent.poll_transmit()).last().unwrap();
    assert!(bye.bytes.starts_with(b"BYE "), "{}", String::from_utf8_lossy(&bye.bytes));
    assert_eq!(bye.target, TransmitTarget::Addr(nat));
}

/// While calls stay unattended, new calls are rejected at once.
#[test]
fn overloaded_owner_gets_no_more_calls() {
    let (start, mut config) = (Instant::now(), config(CALLEE, vec![trunk("127.0.0.1", None)]));
    config.calls_max = 1_000;
    let mut user_agent = UserAgent::new(start, config, [3; 32]);
    let mut number = 0;
    let mut invite = |user_agent: &mut UserAgent, now| {
        number += 1;
        let text =
            RAW_INVITE.replace("CALLID", &format!("call-{number}")).replace("z9hG4bKx", &format!("z9hG4bK{number}"));
        answer_to(user_agent, now, &text)
    };
    for _ in 0..100 {
        assert_eq!(invite(&mut user_agent, start), "SIP/2.0 100 Trying");
    }
    let calls: Vec<_> = std::iter::from_fn(|| user_agent.poll_event())
        .filter_map(|event| if let SipEvent::Incoming(incoming) = event { Some(incoming.call) } else { None })
        .collect();
    let later = start + Duration::from_millis(299);
    assert_eq!(invite(&mut user_agent, later), "SIP/2.0 100 Trying", "a burst is no overload");
    let later = start + Duration::from_millis(301);
    assert_eq!(invite(&mut user_agent, later), "SIP/2.0 503 Service Unavailable");
    // A call is attended to if it rings, is answered or rejected, or if its owner says that it takes a while.
    for (index, call) in calls.iter().enumerate() {
        match index % 4 {
            0 => user_agent.send_provisional(later, *call, 180, None).unwrap(),
            1 => user_agent.mark_attended(*call).unwrap(),
            2 => user_agent.answer(later, *call, b"v=0\r\n".to_vec()).unwrap(),
            _ => user_agent.reject(later, *call, 486, None).unwrap(),
        }
    }
    while user_agent.poll_transmit().is_some() {}
    assert_eq!(invite(&mut user_agent, later), "SIP/2.0 100 Trying");
}

#[test]
fn answer_crosses_the_cancel() {
    let mut network = TestNetwork::new(4, PERFECT, trunk("127.0.0.1", None));
    let call = network.dial(None);
    network.pass_ms(100);
    let theirs = network.incoming().unwrap();
    network.sides[0].hang_up(network.now, call).unwrap();
    network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
    network.pass_ms(200);
    assert_eq!(
        (network.ends(0), network.ends(1)),
        (vec![EndCause::LocalHangUp], vec![EndCause::RemoteBye { reason_header: normal() }])
    );
    assert_eq!((network.answered(), network.count("BYE")), (0, 1));
    network.assert_nothing_is_held();
}

#[test]
fn callee_hangs_up_before_the_ack_and_waits_for_it() {
    let mut network = TestNetwork::new(5, PERFECT, trunk("127.0.0.1", None));
    network.dial(None);
    network.pass_ms(100);
    let theirs = network.incoming().unwrap();
    network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
    network.sides[1].hang_up(network.now, theirs).unwrap();
    assert_eq!(network.count("BYE"), 0);
    network.pass_ms(100);
    assert_eq!(
        (network.ends(0), network.ends(1)),
        (vec![EndCause::RemoteBye { reason_header: normal() }], vec![EndCause::LocalHangUp])
    );
    network.assert_nothing_is_held();
}

#[test]
fn unreachable_callee_times_out() {
    let mut network = TestNetwork::new(6, NetworkConditions { loss_percent: 100, ..PERFECT }, trunk("127.0.0.1", None));
    network.dial(None);
    network.pass(Duration::from_millis(31_990));
    assert_eq!((network.ends(0), network.count("INVITE")), (vec![], 7));
    network.pass_ms(20);
    assert_eq!(network.ends(0), [EndCause::NoResponse]);
    network.assert_nothing_is_held();
}

#[test]
fn the_acknowledgement_never_comes() {
    let mut network = TestNetwork::new(7, PERFECT, trunk("127.0.0.1", None));
    network.dial(None);
    network.pass_ms(100);
    let theirs = network.incoming().unwrap();
    network.weather.loss_percent = 100;
    network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
    network.pass(Duration::from_secs(33));
    assert_eq!(network.ends(1), [EndCause::NotAcknowledged]);
    assert!(network.count("BYE") > 0, "the half-open call is ended on the wire too");
    network.assert_nothing_is_held_on(1);
}

#[test]
fn an_unknown_address_is_forbidden_and_leaves_nothing() {
    let mut network = TestNetwork::new(8, PERFECT, trunk("10.0.0.0/8", None));
    network.dial(None);
    network.pass_ms(5);
    assert_eq!(network.sides[1].held_counts(), (0, 0, 0));
    network.pass_ms(100);
    assert!(matches!(&network.ends(0)[..], [EndCause::Rejected { status: 403, .. }]));
    assert_eq!(network.incoming(), None);
    network.assert_nothing_is_held();
}

#[test]
fn a_trunk_with_credentials_challenges() {
    for (offered, accepted) in [(secret("right"), true), (secret("wrong"), false), (None, false)] {
        let mut network = TestNetwork::new(9, PERFECT, trunk("none", secret("right")));
        network.dial(offered);
        network.pass_ms(200);
        assert_eq!(network.incoming().is_some(), accepted);
        if !accepted {
            assert!(matches!(&network.ends(0)[..], [EndCause::Rejected { status: 401, .. }]), "{:?}", network.ends(0));
        } else {
            let theirs = network.incoming().unwrap();
            network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
            network.pass_ms(100);
            network.sides[1].hang_up(network.now, theirs).unwrap();
        }
        network.assert_nothing_is_held();
    }
}

#[test]
fn busy_is_acknowledged_and_reported() {
    let mut network = TestNetwork::new(10, PERFECT, trunk("127.0.0.1", None));
    network.dial(None);
    network.pass_ms(100);
    let theirs = network.incoming().unwrap();
    network.sides[1].reject(network.now, theirs, 486, Some(30)).unwrap();
    network.pass_ms(2_000);
    let why = Reason { q850: Some(17), ..Reason::default() };
    let wanted = EndCause::Rejected {
        status: 486,
        reason: "Busy Here".into(),
        retry_after_s: Some(30),
        reason_header: Some(why),
    };
    assert_eq!((network.ends(0), network.count("486"), network.count("ACK")), (vec![wanted], 1, 1));
    network.assert_nothing_is_held();
}

#[test]
fn call_over_calls_max_is_rejected() {
    let mut network = TestNetwork::new(11, PERFECT, trunk("127.0.0.1", None));
    for _ in 0..10 {
        network.dial(None);
    }
    network.pass_ms(100);
    // The caller's limit is ten too, so a second caller is simulated by raw text.
    let text = RAW_INVITE.replace("CALLID", "other");
    network.sides[1].handle_datagram(network.now, CALLER.parse().unwrap(), text.as_bytes());
    let answer = network.sides[1].poll_transmit().unwrap();
    let answer = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert!(answer.starts_with("SIP/2.0 503 ") && answer.contains("Retry-After: 7\r\n"), "{answer}");
}

/// First line of the answer to raw text, empty when there is none.
fn answer_to(user_agent: &mut UserAgent, now: Instant, text: &str) -> String {
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), text.as_bytes());
    let mut last = String::new();
    while let Some(transmit) = user_agent.poll_transmit() {
        last = String::from_utf8_lossy(&transmit.bytes).into_owned();
    }
    last.split("\r\n").next().unwrap().to_owned()
}

#[test]
fn odd_requests_get_the_rfc_response() {
    let now = Instant::now();
    let make = || UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    let invite = RAW_INVITE;
    let other = |method: &str| invite.replace("INVITE", method);
    for (text, wanted) in [
        (invite.to_owned(), "SIP/2.0 100 Trying"),
        (invite.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), "SIP/2.0 505 Version Not Supported"),
        (invite.replace("Max-Forwards: 70", "Max-Forwards: 0"), "SIP/2.0 483 Too Many Hops"),
        (invite.replace("Content-L", "Require: 100rel, foo\r\nContent-L"), "SIP/2.0 420 Bad Extension"),
        (invite.replace("sip:+31201234567@127.0.0.2 SIP", "mailto:x SIP"), "SIP/2.0 416 Unsupported URI Scheme"),
        (
            invite.replace("Length: 0\r\n\r\n", "Length: 2\r\nContent-Type: text/plain\r\n\r\nhi"),
            "SIP/2.0 415 Unsupported Media Type",
        ),
        (other("FROB"), "SIP/2.0 501 Not Implemented"),
        (other("REGISTER"), "SIP/2.0 405 Method Not Allowed"),
        (other("SUBSCRIBE"), "SIP/2.0 405 Method Not Allowed"),
        (other("OPTIONS"), "SIP/2.0 200 OK"),
        (other("OPTIONS").replace("Max-Forwards: 70", "Max-Forwards: 0"), "SIP/2.0 200 OK"),
        (other("BYE"), "SIP/2.0 481 Call/Transaction Does Not Exist"),
        (other("CANCEL"), "SIP/2.0 481 Call/Transaction Does Not Exist"),
        (other("ACK"), ""),
        (invite.replace("27.0.0.2>\r\n", "27.0.0.2>;tag=gone\r\n"), "SIP/2.0 481 Call/Transaction Does Not Exist"),
        (invite.replace("\r\n", "\n"), "SIP/2.0 100 Trying"),
        (invite.replace("INVITE sip", "INVITE  sip"), "SIP/2.0 400 Malformed Request-Line"),
        (invite.replace("CSeq: 1", "CSeq: -1"), "SIP/2.0 400 Malformed CSeq"),
        (invite.replace("Length: 0", "Length: -5"), "SIP/2.0 400 Content-Length does not fit the message"),
    ] {
        assert_eq!(answer_to(&mut make(), now, &text), wanted, "{text}");
    }
}

#[test]
fn a_merged_request_is_a_loop_and_a_retransmission_is_not() {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    assert_eq!(answer_to(&mut user_agent, now, RAW_INVITE), "SIP/2.0 100 Trying");
    assert_eq!(answer_to(&mut user_agent, now, RAW_INVITE), "SIP/2.0 100 Trying");
    assert_eq!(
        answer_to(&mut user_agent, now, &RAW_INVITE.replace("z9hG4bKx", "z9hG4bKy")),
        "SIP/2.0 482 Loop Detected"
    );
}

#[test]
fn random_damage_does_not_harm_other_calls() {
    let mut network = TestNetwork::new(12, PERFECT, trunk("127.0.0.1", None));
    let call = network.dial(None);
    network.pass_ms(50);
    let theirs = network.incoming().unwrap();
    network.sides[1].answer(network.now, theirs, b"v=0\r\n".to_vec()).unwrap();
    network.pass_ms(50);
    let mut rng = Rng(99);
    for round in 0..20_000u32 {
        let mut bytes = RAW_INVITE.replace("CALLID", &format!("noise{round}")).into_bytes();
        for _ in 0..=rng.roll(8) {
            let at = rng.roll(bytes.len() as u64) as usize;
            match rng.roll(3) {
                0 => bytes[at] = rng.roll(256) as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n:;<>\"@ ,=%\0"[rng.roll(13) as usize]),
            }
        }
        // From everywhere: one address would not be heard for long.
        let source = SocketAddr::new(Ipv4Addr::from(0x0A00_0000 + round).into(), 5_060);
        network.sides[1].handle_datagram(network.now, source, &bytes);
        while network.sides[1].poll_transmit().is_some() {}
    }
    network.sides[0].hang_up(network.now, call).unwrap();
    network.pass_ms(100);
    assert_eq!(network.ends(1), [EndCause::RemoteBye { reason_header: normal() }]);
}
