//! Every mutation of every header the user agent reads, in every call state: no panics, one response, no state left,
//! and well-behaved callers are served.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

mod common {
    pub mod message_mutator;
    pub mod mutation_world;
}
#[path = "malformed/bodies.rs"]
mod bodies;
#[path = "malformed/refusals.rs"]
mod refusals;

use common::message_mutator::{self, HEADERS, MessageDraft, Rng, chunks, mutations, spoiled, start_lines};
use common::mutation_world::{CALL_STAGES, CallStage, METHODS, SDP, STATUSES, TestWorld};
use std::time::{Duration, Instant};
use trunkline_signaling::limits;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{SipMessage, print};

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
