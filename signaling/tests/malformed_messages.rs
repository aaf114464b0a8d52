//! Every mutation of every header the user agent reads, in every call state: no panics, one response, no state left,
//! and well-behaved callers are served.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

mod common {
    pub mod message_mutator;
    pub mod mutation_world;
}

use common::message_mutator::{self, HEADERS, MessageDraft, Rng, chunks, mutations, spoiled, start_lines};
use common::mutation_world::{CALL_STAGES, CallStage, METHODS, SDP, STATUSES, TestWorld};
use std::time::{Duration, Instant};
use trunkline_signaling::limits;
use trunkline_signaling::sdp::negotiate::{self, LocalMedia, SdpCodec, SrtpMode};
use trunkline_signaling::sip::digest::{
    DigestChallenge, DigestCheck, DigestClaim, DigestClientSession, DigestCredentials, verify,
};
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{SipMessage, print};
use trunkline_signaling::stun;
use trunkline_signaling::webrtc::{ice_fragment, offer};

/// Peers of one endpoint: fewer than the allowed number of unattended calls (limits.rs).
const BATCH: usize = 48;

/// Runs cases, many on one endpoint each time: what a case sends is made when its peer is ready.
fn run<C>(cases: Vec<C>, scene: impl Fn(&C) -> CallStage, mut send: impl FnMut(&mut TestWorld, usize, &C) -> String) {
    let start = Instant::now();
    for (round, batch) in cases.chunks(BATCH).enumerate() {
        let mut world = TestWorld::new(start);
        world.owners_answer = round % 2 == 0;
        let mut labels = vec![];
        for case in batch {
            let at = world.peer(scene(case));
            let label = send(&mut world, at, case);
            labels.push(format!("{:?}, {label}", scene(case)));
        }
        world.assert_comes_to_rest(&|at| labels.get(at).cloned().unwrap_or_default());
    }
}

/// All headers wrong in all ways in one message.
fn all_mutations(scene: CallStage, draft: impl Fn(&mut TestWorld, usize) -> MessageDraft) {
    let mut probe = TestWorld::new(Instant::now());
    let at = probe.peer(scene);
    let good = draft(&mut probe, at);
    let count = |header: usize| mutations(&good.good(HEADERS[header].0, HEADERS[header].1)).len();
    let cases: Vec<(usize, usize)> =
        (0..HEADERS.len()).flat_map(|header| (0..count(header)).map(move |way| (header, way))).collect();
    assert!(cases.len() > 10_000, "{}", cases.len());
    run(
        cases,
        |_| scene,
        |world, at, (header, way)| {
            let good = draft(world, at);
            let (label, bad) = spoiled(&good, *header, *way);
            world.hear_hostile(at, &bad.bytes());
            label
        },
    );
}

#[test]
fn every_header_of_a_call_that_comes_in() {
    all_mutations(CallStage::Idle, |world, at| world.initial(at));
}

#[test]
fn every_header_of_a_request_outside_of_a_call() {
    all_mutations(CallStage::Idle, |world, at| world.request(at, "OPTIONS"));
}

#[test]
fn every_header_of_an_offer_inside_a_call() {
    all_mutations(CallStage::Established, |world, at| world.request(at, "UPDATE"));
}

#[test]
fn every_header_of_an_answer_to_our_call() {
    all_mutations(CallStage::Calling, |world, at| world.response(at, "200 OK"));
}

/// Requests in every state of a call, as they should be.
#[test]
fn every_request_in_every_state_of_a_call_has_one_answer() {
    for owners_answer in [false, true] {
        for scene in CALL_STAGES {
            let mut world = TestWorld::new(Instant::now());
            world.owners_answer = owners_answer;
            let mut labels = vec![];
            for method in METHODS {
                for second in METHODS {
                    let at = world.peer(scene);
                    let request = world.request(at, method);
                    world.hear_hostile(at, &request.bytes());
                    // And another one before anybody has answered the first.
                    let next = world.request(at, second);
                    world.hear_hostile(at, &next.bytes());
                    labels.push(format!("{scene:?}, {method} and {second}, owners answer: {owners_answer}"));
                    if labels.len() == 45 {
                        world.assert_comes_to_rest(&|at| labels.get(at).cloned().unwrap_or_default());
                        world = TestWorld::new(Instant::now());
                        world.owners_answer = owners_answer;
                        labels.clear();
                    }
                }
            }
            world.assert_comes_to_rest(&|at| labels.get(at).cloned().unwrap_or_default());
        }
    }
}

/// Random samples of the remaining combinations of states, messages, headers and mutations.
#[test]
fn random_mutation_combinations() {
    let seeds: Vec<u64> = (1..=12_000).collect();
    let pick = |seed: &u64| Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    run(
        seeds,
        |seed| CALL_STAGES[pick(seed).roll(CALL_STAGES.len())],
        |world, at, seed| {
            let mut rng = pick(seed);
            let _ = rng.roll(CALL_STAGES.len());
            let mut labels = vec![format!("seed {seed}")];
            for _ in 0..1 + rng.roll(3) {
                let good = match rng.roll(3) {
                    0 => world.response(at, STATUSES[rng.roll(STATUSES.len())]),
                    _ => world.request(at, METHODS[rng.roll(METHODS.len())]),
                };
                let (label, bad) = spoiled(&good, rng.roll(HEADERS.len()), rng.roll(100_000));
                let bad =
                    if rng.roll(2) == 0 { spoiled(&bad, rng.roll(HEADERS.len()), rng.roll(100_000)).1 } else { bad };
                world.hear_hostile(at, &bad.bytes());
                if rng.roll(8) == 0 {
                    world.pass(Duration::from_millis(rng.roll(3_000) as u64));
                }
                labels.push(label);
            }
            labels.join("; ")
        },
    );
}

#[test]
fn malformed_start_lines() {
    let cases: Vec<Vec<u8>> = METHODS.iter().flat_map(|method| start_lines(method)).collect();
    run(
        cases,
        |_| CallStage::Idle,
        |world, at, network| {
            let method = network.split(|byte| *byte == b' ').next().unwrap();
            let method = METHODS.iter().find(|known| known.as_bytes() == method).unwrap_or(&"OPTIONS");
            let mut draft = world.request(at, method);
            draft.start = network.clone();
            world.hear_hostile(at, &draft.bytes());
            network.escape_ascii().to_string()
        },
    );
}

/// What is refused is refused in words that name the header.
#[test]
fn a_refusal_names_the_header() {
    let long = "x".repeat(limits::HEADER_BYTES_MAX + 1);
    let many = |count: usize, element: &str| vec![element; count].join(",");
    for (name, value, phrase) in [
        ("From", "", "Malformed From"),
        ("From", "-", "Missing From"),
        ("From", "\"open <sip:a@h>;tag=1", "Malformed From"),
        ("From", "<sip:a\0@h>;tag=1", "Malformed From"),
        ("From", "<sip:a@h>;tag=a\x01b", "Malformed From"),
        ("From", &format!("<sip:a@h>{};tag=1", ";p=1".repeat(100)), "Malformed From"),
        ("From", &format!("\"{long}\" <sip:a@h>;tag=1"), "From is too long"),
        ("To", "<sip:a@h", "Malformed To"),
        ("Call-ID", "a b", "Malformed Call-ID"),
        ("Call-ID", "a\0b", "Malformed Call-ID"),
        ("CSeq", "2147483648 INVITE", "Malformed CSeq"),
        ("CSeq", "é INVITE", "Malformed CSeq"),
        ("Max-Forwards", "256", "Malformed Max-Forwards"),
        ("Max-Forwards", "+7", "Malformed Max-Forwards"),
        ("Contact", "-", "Missing Contact"),
        ("Contact", "*", "Malformed Contact"),
        ("Contact", "<tel:+1>", "Malformed Contact"),
        ("Contact", "<http://h>", "Malformed Contact"),
        ("Contact", "<sip:a@h:0>", "Malformed Contact"),
        ("Contact", &many(65, "<sip:a@h>"), "Too many elements in Contact"),
        ("Record-Route", "é", "Malformed Record-Route"),
        ("Record-Route", &many(17, "<sip:p;lr>"), "Too many elements in Record-Route"),
        ("Route", "<sip:a@h:65536;lr>", "Malformed Route"),
        (
            "Via",
            &format!("SIP/2.0/UDP 10.1.0.0;branch=z9hG4bK1,{}", many(100, "SIP/2.0/UDP h")),
            "Too many elements in Via",
        ),
        ("Via", "SIP/2.0/UDP 10.1.0.0;branch=z9hG4bK1, é", "Malformed Via"),
        ("Supported", &many(65, "x"), "Too many elements in Supported"),
        ("Replaces", "nothing", "Malformed Replaces"),
        ("X-Long", &long, "X-Long is too long"),
        ("Content-Length", "é", "Content-Length does not fit the message"),
        ("Content-Length", "18446744073709551615", "Content-Length does not fit the message"),
    ] {
        let mut world = TestWorld::new(Instant::now());
        let at = world.peer(CallStage::Idle);
        let values = if value == "-" { vec![] } else { vec![value.as_bytes().to_vec()] };
        let bytes = world.initial(at).with(name, &values).bytes();
        let parsed = parse::datagram(&bytes);
        let ParsedMessage::Invalid { status: 400, reason, .. } = parsed else {
            assert_eq!(name, "Replaces", "{name}: {value}: {parsed:?}"); // refused with the call it is for
            world.hear(at, &bytes);
            continue;
        };
        assert_eq!(reason, phrase, "{name}: {value}");
    }
    for (method, name, value, phrase) in [
        ("PRACK", "RAck", "-", "Missing RAck"),
        ("PRACK", "RAck", "1 1", "Malformed RAck"),
        ("PRACK", "RAck", "4294967296 1 INVITE", "Malformed RAck"),
        ("REFER", "Refer-To", "-", "Missing Refer-To"),
        ("REFER", "Refer-To", "<sip:é", "Malformed Refer-To"),
        ("UPDATE", "Contact", "é", "Malformed Contact"),
    ] {
        let mut world = TestWorld::new(Instant::now());
        let at = world.peer(CallStage::Established);
        let values = if value == "-" { vec![] } else { vec![value.as_bytes().to_vec()] };
        let draft = world.request(at, method).with(name, &values);
        let ParsedMessage::Invalid { status: 400, reason, .. } = parse::datagram(&draft.bytes()) else {
            panic!("{name}: {value}")
        };
        assert_eq!(reason, phrase, "{name}: {value}");
    }
    for (name, value) in
        [("CSeq", "1 INVITE"), ("Session-Expires", "90"), ("Replaces", "x"), ("Expires", "1"), ("Min-SE", "1")]
    {
        let mut world = TestWorld::new(Instant::now());
        let at = world.peer(CallStage::Idle);
        let twice = world.initial(at).with(name, &vec![value.as_bytes().to_vec(); 2]);
        let ParsedMessage::Invalid { status: 400, reason, .. } = parse::datagram(&twice.bytes()) else {
            panic!("{name}")
        };
        assert_eq!(reason, format!("More than one {name}"));
    }
}

/// What parses prints and parses again, whatever is wrong with it.
#[test]
fn what_parses_prints_and_parses_again() {
    let mut world = TestWorld::new(Instant::now());
    let at = world.peer(CallStage::Established);
    for method in ["INVITE", "REFER", "NOTIFY"] {
        let good = world.request(at, method);
        for (name, usual) in HEADERS {
            for (way, values) in mutations(&good.good(name, usual)) {
                let bytes = good.with(name, &values).bytes();
                let ParsedMessage::Message(SipMessage::Request(request)) = parse::datagram(&bytes) else { continue };
                let again = parse::datagram(&print::request(&request));
                let ParsedMessage::Message(SipMessage::Request(again)) = again else {
                    panic!("{name}: {way}: {again:?}")
                };
                assert_eq!(again.headers.call_id(), request.headers.call_id(), "{name}: {way}");
            }
        }
    }
}

/// What a stream holds of messages is found however they arrive, and nothing makes its buffer grow without end.
#[test]
fn streams_in_every_framing() {
    let mut world = TestWorld::new(Instant::now());
    let at = world.peer(CallStage::Established);
    let good = world.request(at, "INFO");
    for name in ["Content-Length", "l", "Call-ID", "Via", "X-Customer"] {
        let usual = HEADERS.iter().find(|(known, _)| *known == name).unwrap().1;
        for (label, values) in mutations(&good.good(name, usual)) {
            let bad = good.with(name, &values).bytes();
            for way in 0..5 {
                if way == 1 && bad.len() > 2_000 {
                    continue; // byte by byte is looked at below
                }
                let wire = [&good.bytes()[..], &bad, &good.bytes(), &good.bytes()].concat();
                let (mut framer, mut found, mut broken) = (Framer::default(), 0, false);
                'stream: for chunk in chunks(&wire, way) {
                    framer.push(&chunk);
                    while let Some(framed) = framer.next() {
                        match framed {
                            Framed::Complete(parsed) => {
                                found += usize::from(matches!(parsed, ParsedMessage::Message(_)))
                            }
                            Framed::Unreadable(_) => {
                                broken = true;
                                break 'stream;
                            }
                        }
                    }
                }
                assert!(found >= 1, "{name}: {label}");
                if !name.starts_with('C') && name != "l" {
                    assert!(broken || found >= 3, "{name}: {label}: {found} of the good ones behind it");
                }
            }
        }
    }
    for length in [
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775807",
        "4294967296",
        "65536",
        "-1",
        "+5",
        "5, 5",
        "",
        "é",
    ] {
        let text = format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: {length}\r\n\r\n"
        );
        assert!(matches!(first(&text), Some(Framed::Unreadable(_))), "{length:?}");
    }
    for lengths in ["Content-Length: 1\r\nl: 500", "l: 0\r\nContent-Length: 0", "Content-Length: 1\r\n 2"] {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n{lengths}\r\n\r\n");
        assert!(matches!(first(&text), Some(Framed::Unreadable(_))), "{lengths:?}");
    }
}

/// What a stream begins with.
fn first(text: &str) -> Option<Framed> {
    let mut framer = Framer::default();
    framer.push(text.as_bytes());
    framer.next()
}

fn local() -> LocalMedia {
    LocalMedia {
        addr: [192, 0, 2, 1].into(),
        port: u16::MAX,
        codecs: SdpCodec::ALL.to_vec(),
        ptime_ms: 20,
        srtp: SrtpMode::Preferred,
        keying: negotiate::KeyExchange::Sdes,
        fingerprint: Some([2; 32]),
        ice: Some(negotiate::IceLiteCredentials { ufrag: *b"01234567", password: [b'p'; 32] }),
        keys: [[1; 46]; 2],
        security: None,
        session_id: u64::MAX,
        session_version: u64::MAX,
    }
}

/// Every line of a description, wrong in every way, at every place it may stand.
#[test]
fn every_line_of_a_description() {
    let lines = [
        "v=0",
        "o=- 1 1 IN IP4 10.0.0.1",
        "s=-",
        "c=IN IP4 10.0.0.1",
        "t=0 0",
        "b=AS:64",
        "a=fingerprint:sha-256 AB:CD",
        "a=setup:actpass",
        "m=audio 4000 RTP/AVP 0 8 96 101",
        "c=IN IP6 ::1",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=rtcp:4001 IN IP4 10.0.0.1",
        "a=rtcp-mux",
        "a=sendonly",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:p",
        "a=mid:0",
        "a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
        "m=video 0 RTP/AVP 99",
    ];
    let local = local();
    for at in 0..lines.len() {
        let (kind, value) = lines[at].split_once('=').unwrap();
        for (_, values) in mutations(value.as_bytes()) {
            let wrong = values.iter().map(|value| [kind.as_bytes(), b"=", value].concat());
            let before = lines[..at].iter().map(|network| network.as_bytes().to_vec());
            let after = lines[at + 1..].iter().map(|network| network.as_bytes().to_vec());
            let text = before.chain(wrong).chain(after).collect::<Vec<_>>().join(&b"\r\n"[..]);
            if let Ok((_, answer)) = negotiate::answer(&text, &local) {
                assert!(answer.iter().all(|byte| byte.is_ascii_graphic() || b" \r\n".contains(byte)));
                assert!(answer.len() < 2 * text.len() + 2_000, "an answer is not many times its offer");
            }
            let _ = negotiate::accept_answer(&text, &local);
            let _ = negotiate::is_webrtc(&text);
            let _ = offer::validate(&text);
            let _ = ice_fragment::parse(&text);
        }
    }
    let many = |network: &str, count| [SDP, format!("{network}\r\n").repeat(count).as_bytes()].concat();
    for (network, count) in [
        ("a=x", 300),
        ("m=audio 1 RTP/AVP 0", 17),
        ("x=", 2_000),
        ("m=audio é RTP/AVP 0", 1),
        ("m=audio 1 RTP/AVP \0", 1),
        ("m=audio 65536 RTP/AVP 0", 1),
    ] {
        assert!(
            matches!(negotiate::answer(&many(network, count), &local), Err(negotiate::OfferAnswerError::Malformed(_))),
            "{network}"
        );
    }
    let formats =
        format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 1 RTP/AVP 0\r\nm=video 1 RTP/AVP{}\r\n", " 96".repeat(5_000));
    assert!(negotiate::answer(formats.as_bytes(), &local).unwrap().1.len() < 1_000);
}

#[test]
fn every_field_of_a_challenge_and_its_answer() {
    let ours = DigestCredentials { username: "u".into(), password: "not in here".into() };
    let keyed = |input: &[u8]| format!("{:x}", input.len());
    for (name, usual) in HEADERS.iter().filter(|(name, _)| name.contains("Auth")) {
        for (way, values) in mutations(usual.as_bytes()) {
            for value in values {
                let text = String::from_utf8_lossy(&value);
                let _ = DigestClaim::from_header(&text);
                assert!(
                    !matches!(verify(&text, &ours, "r", "INVITE", 10, keyed), DigestCheck::Verified(_)),
                    "{name}: {way}"
                );
                if let Some(challenge) = DigestChallenge::parse(&text) {
                    let value = DigestClientSession::new(challenge, "c".into()).authorize(&ours, "INVITE", "sip:h");
                    assert_eq!(
                        DigestClaim::from_header(&value).map(|claim| claim.username).as_deref(),
                        Some("u"),
                        "{name}: {way}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_byte_of_a_stun_answer() {
    let request = stun::binding_request([7; 12]);
    let mut good = request.to_vec();
    good[..4].copy_from_slice(&[1, 1, 0, 12]);
    good.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]);
    assert!(stun::mapped_address(&good, [7; 12]).is_some());
    for at in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut bad = good.clone();
            bad[at] = byte;
            let _ = stun::mapped_address(&bad, [7; 12]);
            let _ = stun::mapped_address(&bad[..at], [7; 12]);
            bad.truncate(at.max(20));
            let _ = stun::mapped_address(&bad, [7; 12]);
        }
    }
}

/// What the fuzzer runs, on bytes of the dice.
#[test]
fn fuzzer_input_from_random_bytes() {
    let mut rng = Rng(77);
    for _ in 0..400 {
        let bytes: Vec<u8> = (0..rng.roll(200)).map(|_| rng.roll(256) as u8).collect();
        common::mutation_world::run(&bytes);
    }
}

/// The mutator reaches every kind of error.
#[test]
fn mutator_reaches_every_kind_of_error() {
    let all = mutations(b"1 INVITE;x=y");
    let some = |test: &dyn Fn(&Vec<Vec<u8>>) -> bool| all.iter().any(|(_, values)| test(values));
    assert!(some(&|values| values.is_empty()) && some(&|values| values.len() > limits::HEADERS_MAX));
    assert!(some(&|values| values.iter().any(|value| value.len() > limits::HEADER_BYTES_MAX)));
    assert!(some(&|values| values.iter().any(|value| std::str::from_utf8(value).is_err())));
    assert!(some(&|values| values.iter().any(|value| value.contains(&0))));
    assert!(some(&|values| values.iter().any(|value| value.starts_with(b","))));
    assert!(some(&|values| values.iter().any(|value| value.starts_with(b"4294967296 "))));
    for (number, way) in all.iter().enumerate() {
        assert_eq!(message_mutator::mutation(b"1 INVITE;x=y", number), *way, "one by one as all together");
    }
    let mut rng = message_mutator::Rng(1);
    assert!((0..100).map(|_| rng.roll(10)).collect::<std::collections::HashSet<_>>().len() == 10);
}
