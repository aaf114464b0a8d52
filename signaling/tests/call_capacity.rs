//! What counts against `calls_max` and what does not: probes, registrations, and ended calls whose peer does not
//! answer.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::Duration;
use trunkline_signaling::limits;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, InviteRequest, NextHop, PROBE_TIMEOUT, ProbeResult, RegistrationConfig, SipCommandError, SipEvent,
    Transport,
};

/// An address without a listener.
const UNREACHABLE: &str = "127.0.0.9";

fn probe(host: &str) -> InviteRequest {
    let uri = Uri::sip(None, host, None);
    let name = |uri| NameAddr { display: None, uri, params: String::new() };
    InviteRequest {
        request_uri: uri.clone(),
        from: name(Uri::sip(Some("probe"), "127.0.0.1", None)),
        to: name(uri),
        hops: vec![],
        transport: Transport::Udp,
        credentials: None,
        sdp: None,
        headers: Headers::default(),
        trunk: None,
        accept_refer: false,
        extensions: Default::default(),
    }
}

fn probed(network: &TestNetwork) -> Vec<Option<u16>> {
    let events = network.events[0].iter();
    let status = |event: &SipEvent| match event {
        SipEvent::OptionsAnswered { result: ProbeResult::Answered(status), .. } => Some(Some(*status)),
        SipEvent::OptionsAnswered { .. } => Some(None),
        _ => None,
    };
    events.filter_map(status).collect()
}

#[test]
fn a_probe_that_cannot_be_sent_says_why() {
    let unknown = EndCause::Unreachable("resolve sip.invalid: DNS has no address for it".to_owned());
    let why = ProbeResult::from(unknown);
    assert_eq!(why, ProbeResult::Unreachable("resolve sip.invalid: DNS has no address for it".to_owned()));
    assert_eq!(ProbeResult::from(EndCause::NoResponse), ProbeResult::Silent);
}

fn give_up(network: &mut TestNetwork, calls: &[CallId]) {
    for call in calls {
        network.sides[0].hang_up(network.now, *call).unwrap();
    }
}

#[test]
fn unanswered_probes_take_no_room_of_calls_and_end_in_four_seconds() {
    let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
    for _ in 0..limits::PROBES_MAX {
        network.sides[0].send_options(network.now, probe(UNREACHABLE)).unwrap();
    }
    assert_eq!(
        network.sides[0].send_options(network.now, probe(UNREACHABLE)),
        Err(SipCommandError::Overloaded),
        "probes have a separate limit"
    );
    assert_eq!(network.sides[0].calls(), 0);
    network.carry();
    // Ten calls fit, as without the probes.
    let calls: Vec<_> = (0..10).map(|_| network.dial(None)).collect();
    network.pass(PROBE_TIMEOUT - Duration::from_millis(1));
    assert_eq!(probed(&network), []);
    network.pass_ms(2);
    assert_eq!(probed(&network), vec![None; limits::PROBES_MAX]);
    assert!(network.sides[0].send_options(network.now, probe(UNREACHABLE)).is_ok(), "there is room again");
    let (sessions, _, clients) = network.sides[0].held_counts();
    assert_eq!((sessions, clients <= 11), (11, true), "the transactions are gone as well: {clients}");
    give_up(&mut network, &calls);
    network.assert_nothing_is_held();
}

#[test]
fn a_probe_by_a_name_that_leads_nowhere_is_over_in_time_too() {
    let mut network = TestNetwork::new(2, PERFECT, trunk("127.0.0.1", None));
    // Its query is never answered: the driver is still looking it up.
    network.sides[0].send_options(network.now, probe("slow.example.com")).unwrap();
    while network.sides[0].poll_query().is_some() {}
    network.pass(PROBE_TIMEOUT);
    assert_eq!(probed(&network), [None]);
    network.assert_nothing_is_held();
}

#[test]
fn an_answered_probe_is_told_once_and_lingers_without_room() {
    let mut network =
        TestNetwork::new(3, NetworkConditions { duplicate_percent: 100, ..PERFECT }, trunk("127.0.0.1", None));
    let mut one = probe("127.0.0.2");
    one.hops = vec![NextHop { host: "127.0.0.2".into(), port: Some(5_060), transport: None }];
    network.sides[0].send_options(network.now, one).unwrap();
    network.pass_ms(1_000);
    assert_eq!(probed(&network).len(), 1);
    assert!(probed(&network)[0].is_some());
    network.pass(PROBE_TIMEOUT);
    assert_eq!(probed(&network).len(), 1, "the deadline of an answered probe says nothing");
    network.assert_nothing_is_held();
}

#[test]
fn a_call_whose_bye_is_never_answered_gives_its_room_back_at_once() {
    let mut network = TestNetwork::new(4, PERFECT, trunk("127.0.0.1", None));
    for round in 0..5 {
        for _ in 0..10 {
            network.dial(None);
        }
        network.pass_ms(100);
        for call in network.incoming_all() {
            let _ = network.sides[1].answer(network.now, call, b"v=0\r\n".to_vec());
        }
        network.pass_ms(100);
        assert_eq!(network.sides[0].calls(), 10, "round {round}");
        network.weather.loss_percent = 100;
        let calls: Vec<_> = network.events[0]
            .iter()
            .filter_map(|event| if let SipEvent::Answered { call, .. } = event { Some(*call) } else { None })
            .collect();
        for call in calls {
            let _ = network.sides[0].hang_up(network.now, call);
        }
        for call in network.incoming_all() {
            let _ = network.sides[1].hang_up(network.now, call);
        }
        network.carry();
        network.weather.loss_percent = 0;
        network.events = [vec![], vec![]];
        assert_eq!(network.sides[0].calls(), 0);
    }
    network.assert_nothing_is_held();
}

#[test]
fn calls_that_end_without_an_answer_are_forgotten_when_there_are_too_many() {
    let mut network = TestNetwork::new(5, NetworkConditions { loss_percent: 100, ..PERFECT }, trunk("127.0.0.1", None));
    let mut newest = String::new();
    for n in 0..limits::LINGERING_CALLS_MAX + 100 {
        // It is cancelled before it has rung: its INVITE waits half a minute for an answer.
        let is_watched = n == limits::LINGERING_CALLS_MAX - 1;
        network.weather.loss_percent = if is_watched { 0 } else { 100 };
        let host = if is_watched { "127.0.0.9" } else { "127.0.0.2" };
        let call = network.dial_with(|invite| invite.request_uri.host = host.into());
        newest.extend(network.lost.drain(..).map(|(_, text)| text));
        network.sides[0].hang_up(network.now, call).unwrap();
        network.events[0].clear();
    }
    let (sessions, _, clients) = network.sides[0].held_counts();
    assert!(sessions <= limits::LINGERING_CALLS_MAX && clients <= limits::LINGERING_CALLS_MAX, "{sessions} {clients}");
    assert_eq!(network.sides[0].calls(), 0);
    // The newest are kept: one that is answered all the same is hung up.
    network.weather.loss_percent = 0;
    let names = ["Via: ", "From: ", "Call-ID: ", "CSeq: "];
    let headers: Vec<_> = newest.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
    let headers = headers.join("\r\n");
    let answer = format!(
        "SIP/2.0 200 OK\r\n{headers}\r\nTo: <sip:x@127.0.0.9>;tag=late\r\nContact: <sip:x@127.0.0.9>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    network.sides[0].handle_datagram(network.now, "127.0.0.9:5060".parse().unwrap(), answer.as_bytes());
    network.carry();
    let words: Vec<_> = network.lost.iter().filter_map(|(_, text)| text.split(' ').next()).collect();
    assert_eq!(words, ["ACK", "BYE"]);
    network.assert_nothing_is_held();
}

#[test]
fn a_registration_that_comes_and_goes_takes_no_calls_room() {
    let mut network = TestNetwork::new(6, PERFECT, trunk("127.0.0.1", None));
    let rule = |n: usize| RegistrationConfig {
        id: format!("trunk {n}").into(),
        aor: Uri::sip(Some("us"), "example.com", None),
        registrar: Uri::sip(None, UNREACHABLE, None),
        hops: vec![NextHop { host: UNREACHABLE.into(), port: Some(5_060), transport: None }],
        transport: Transport::Udp,
        contact_user: "us".into(),
        credentials: None,
        expires_s: 300,
    };
    for n in 0..50 {
        network.sides[0].set_registrations(network.now, vec![rule(n)]);
        network.carry();
    }
    let calls: Vec<_> = (0..10).map(|_| network.dial(None)).collect();
    network.pass_ms(100);
    give_up(&mut network, &calls);
    network.sides[0].set_registrations(network.now, vec![]);
    network.assert_nothing_is_held();
}
