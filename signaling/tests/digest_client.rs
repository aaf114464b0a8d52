//! Which digest challenges are answered and which destinations are forbidden, in virtual time: one user agent and
//! scripted peers.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "digest_client/carrier.rs"]
mod carrier;
#[path = "digest_client/challengers.rs"]
mod challengers;
mod common;

use carrier::*;
use common::{config, trunk};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    CallId, DestinationPolicy, HostCredentials, InviteRequest, NextHop, RegistrationConfig, SipEvent, TransmitTarget,
    Transport, TransportAddress, UserAgent,
};

#[test]
fn only_trunk_hosts_get_credentials() {
    type Change = fn(&mut InviteRequest);
    let to_number: Change = |_| {};
    let by_proxy: Change = |invite| invite.hops = vec![next_hop(PROXY)];
    let by_both: Change = |invite| invite.hops = vec![next_hop(CARRIER), next_hop(SECOND)];
    let by_stranger: Change = |invite| invite.hops = vec![next_hop(STRANGER)];
    let mixed: Change = |invite| invite.hops = vec![next_hop(CARRIER), next_hop(STRANGER)];
    let without: Change = |invite| invite.credentials = None;
    let cases: &[(&str, Change, bool)] = &[
        ("sip:1@192.0.2.7:5060", to_number, true),
        ("sip:1@192.0.2.7", to_number, true),
        ("sip:1@192.0.2.8:5070", to_number, true),
        ("sip:1@carrier.example", to_number, true),
        ("sip:1@192.0.2.7", by_proxy, true),
        ("sip:1@192.0.2.7", by_both, true),
        ("sip:1@192.0.2.66", to_number, false),
        ("sip:1@192.0.2.7:5061", to_number, false),
        ("sip:1@192.0.2.8", to_number, false),
        ("sip:1@192.0.2.7;maddr=192.0.2.66", to_number, false),
        ("sip:192.0.2.7@192.0.2.66", to_number, false),
        ("sip:1@stranger.example", to_number, false),
        ("sip:1@192.0.2.66", by_proxy, false),
        ("sip:1@192.0.2.7", by_stranger, false),
        ("sip:1@192.0.2.7", mixed, false),
        ("sip:1@192.0.2.7", without, false),
    ];
    for (uri, change, wanted) in cases {
        for (status, realm) in [(401, "anything"), (407, "carrier.example"), (401, ""), (407, "192.0.2.7")] {
            let mut bench = UserAgentTest::new();
            // A stranger's name may resolve to the carrier's address: the name in the settings counts.
            bench.names =
                vec![("carrier.example", vec![at("192.0.2.77:5060")]), ("stranger.example", vec![at(CARRIER)])];
            bench.dial(uri, change);
            let invite = bench.invite();
            assert!(invite.realms().is_empty());
            bench.challenge(&invite, status, realm, "");
            let sent = bench.sent();
            assert_eq!(sent[0].method(), "ACK", "{uri}");
            if *wanted {
                assert_eq!((sent[1].method(), &sent[1].to), ("INVITE", &invite.to), "{uri}");
                assert_eq!(sent[1].realms(), [realm], "{uri}");
                let name = if status == 401 { "authorization" } else { "proxy-authorization" };
                assert!(sent[1].header(name).unwrap().contains("username=\"account\""), "{uri}");
                assert!(bench.ends().is_empty(), "{uri}");
            } else {
                assert!(sent.iter().all(|one| one.realms().is_empty()) && sent.len() == 1, "{uri}");
                let ended = bench.ends();
                assert!(matches!(ended[..], [EndCause::Rejected { status: s, .. }] if s == status), "{uri}: {ended:?}");
            }
        }
    }
}

#[test]
fn the_next_target_of_a_trunk_is_answered_as_well() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| invite.hops = vec![next_hop(CARRIER), next_hop(SECOND)]);
    let first = bench.invite();
    bench.challenge(&first, 401, "one", "");
    let again = bench.invite();
    assert_eq!((again.realms(), again.to.as_str()), (vec!["one"], CARRIER));
    bench.answer(&again, "503 Busy", "");
    let second = bench.invite();
    assert_eq!(second.to, SECOND);
    bench.challenge(&second, 407, "two", "");
    let answered = bench.invite();
    assert_eq!((answered.to.as_str(), answered.header("proxy-authorization").is_some()), (SECOND, true));
    assert!(answered.realms().contains(&"two"));
}

#[test]
fn a_proxy_and_a_registrar_challenge_once_each() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| invite.hops = vec![next_hop(PROXY)]);
    let invite = bench.invite();
    bench.challenge(&invite, 407, "proxy", "");
    let one = bench.invite();
    assert_eq!(one.realms(), ["proxy"]);
    bench.challenge(&one, 401, "registrar", "");
    let mut both = bench.invite();
    let mut realms = both.realms();
    realms.sort_unstable();
    assert_eq!(realms, ["proxy", "registrar"]);
    // A stale nonce once more, with the other answer kept.
    bench.challenge(&both, 401, "registrar", ", stale=true");
    both = bench.invite();
    assert_eq!((both.realms().len(), both.header("authorization").unwrap().contains("stale")), (2, true));
    // A refused answer is an end.
    bench.challenge(&both, 401, "registrar", "");
    assert_eq!(bench.sent().iter().filter(|one| one.method() == "INVITE").count(), 0);
    assert!(matches!(bench.ends()[..], [EndCause::Rejected { status: 401, .. }]));
}

#[test]
fn challenges_are_answered_a_bounded_number_of_times() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let mut answers = 0;
    let mut request = bench.invite();
    loop {
        bench.challenge(&request, 401, &format!("realm {answers}"), ", stale=true");
        let mut sent = bench.sent();
        sent.retain(|one| one.method() == "INVITE");
        let Some(next) = sent.pop() else { break };
        assert!(next.realms().len() <= 4);
        (request, answers) = (next, answers + 1);
        assert!(answers < 10);
    }
    assert_eq!(answers, 4);
}

/// Requests in a dialog of a call: how each is sent, and the method on the wire.
type DialogCommand = fn(&mut UserAgentTest, CallId);
const IN_DIALOG: &[(&str, DialogCommand)] = &[
    ("BYE", |bench, call| bench.user_agent.hang_up(bench.now, call).unwrap()),
    ("INVITE", |bench, call| bench.user_agent.send_reoffer(bench.now, call, b"v=0\r\n".to_vec()).unwrap()),
    ("REFER", |bench, call| bench.user_agent.send_refer(bench.now, call, "tel:+31201234567").unwrap()),
    ("INFO", |bench, call| {
        bench.user_agent.send_info(bench.now, call, "application/dtmf-relay", b"x".to_vec()).unwrap()
    }),
];

#[test]
fn dialog_credentials_stay_with_trunk_hosts() {
    for (method, ask) in IN_DIALOG {
        for status in [401, 407] {
            // Where it began, where it goes on, and whether that is the trunk's.
            let cases = [
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.7:5060>", "", true),
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.8:5070>", "", true),
                ("sip:1@192.0.2.7", "<sip:p@carrier.example>", "", true),
                ("sip:1@carrier.example", "<sip:p@192.0.2.71>", "", true),
                ("sip:1@carrier.example", "<sip:p@192.0.2.72>", "", true),
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.66>", "<sip:192.0.2.7;lr>", true),
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.7:5090>", "", false),
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.66>", "", false),
                ("sip:1@192.0.2.7", "<sip:p@stranger.example>", "", false),
                ("sip:1@192.0.2.7", "<sip:p@192.0.2.7>", "<sip:192.0.2.66;lr>", false),
                ("sip:1@192.0.2.66", "<sip:p@192.0.2.66:5060>", "", false),
                ("sip:1@192.0.2.66", "<sip:p@192.0.2.7:5060>", "", false),
            ];
            for (uri, contact, route, wanted) in cases {
                let mut bench = UserAgentTest::new();
                let carrier = vec![at("192.0.2.71:5060"), at("192.0.2.72:5060")];
                bench.names = vec![("carrier.example", carrier), ("stranger.example", vec![at(STRANGER)])];
                let call = bench.answered(uri, contact, route);
                bench.sent();
                ask(&mut bench, call);
                let request = bench.only(method);
                bench.challenge(&request, status, "carrier", "");
                if wanted {
                    let again = bench.only(method);
                    assert_eq!((again.realms(), &again.to), (vec!["carrier"], &request.to), "{method} {uri} {contact}");
                } else {
                    bench.assert_silent();
                }
            }
        }
    }
}

#[test]
fn a_call_that_was_challenged_once_answers_beforehand_in_its_dialog() {
    for (contact, wanted) in [("192.0.2.7", true), ("192.0.2.66", false)] {
        let mut bench = UserAgentTest::new();
        let call = bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        bench.challenge(&invite, 407, "carrier", "");
        let invite = bench.invite();
        bench.answer(&invite, "200 OK", &format!("Contact: <sip:peer@{contact}>\r\n"));
        bench.sent();
        bench.user_agent.hang_up(bench.now, call).unwrap();
        let bye = bench.only("BYE");
        assert_eq!(bye.realms(), if wanted { vec!["carrier"] } else { vec![] }, "{contact}");
        bench.challenge(&bye, 407, "carrier", "");
        assert_eq!(bench.sent().iter().any(|one| !one.realms().is_empty()), wanted, "{contact}");
    }
}

#[test]
fn inbound_caller_gets_no_credentials() {
    let mut bench = UserAgentTest::with_trunk("192.0.2.66");
    let invite = "INVITE sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         From: <sip:them@192.0.2.66>;tag=t\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: in\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:them@192.0.2.66>\r\nContent-Length: 0\r\n\r\n";
    bench.user_agent.handle_datagram(bench.now, STRANGER.parse().unwrap(), invite.as_bytes());
    bench.sent();
    let Some(SipEvent::Incoming(incoming)) = bench.events.pop() else { panic!("{:?}", bench.events) };
    bench.user_agent.answer(bench.now, incoming.call, b"v=0\r\n".to_vec()).unwrap();
    let ok = bench.sent().pop().unwrap();
    let to = ok.header("to").unwrap();
    let ack = invite
        .replace("INVITE", "ACK")
        .replace("z9hG4bKa", "z9hG4bKb")
        .replace("To: <sip:us@127.0.0.1>", &format!("To: {to}"));
    bench.user_agent.handle_datagram(bench.now, STRANGER.parse().unwrap(), ack.as_bytes());
    bench.user_agent.hang_up(bench.now, incoming.call).unwrap();
    let bye = bench.only("BYE");
    assert_eq!(bye.to, STRANGER);
    bench.challenge(&bye, 407, "carrier", "");
    bench.assert_silent();
}

#[test]
fn fork_challenges_are_answered_for_trunk_hosts_only() {
    for (uri, wanted) in [("sip:1@192.0.2.7", true), ("sip:1@192.0.2.66", false)] {
        let mut bench = UserAgentTest::new();
        bench.dial(uri, |_| {});
        let invite = bench.invite();
        let ringing = "Contact: <sip:peer@192.0.2.7>\r\nRequire: 100rel\r\nRSeq: 7\r\n";
        bench.answer(&invite, "183 Progress", ringing);
        let prack = bench.only("PRACK");
        bench.challenge(&prack, 407, "carrier", "");
        let again = bench.sent();
        assert_eq!(again.iter().any(|one| one.method() == "PRACK" && one.realms() == ["carrier"]), wanted, "{uri}");
        // A fork that answers too late is hung up without credentials.
        bench.answer(&invite, "200 OK", "Contact: <sip:peer@192.0.2.7>\r\n");
        bench.sent();
        let mut late = SentRequest { to: invite.to.clone(), transport: invite.transport, text: invite.text.clone() };
        late.text = late.text.replace("To: <", "To: \"late\" <");
        let text = format!("{};tag=second", late.header("to").unwrap());
        late.text = late.text.replace(late.header("to").unwrap(), &text);
        bench.answer(&late, "200 OK", "Contact: <sip:late@192.0.2.66>\r\n");
        let bye = bench.only("BYE");
        bench.challenge(&bye, 401, "carrier", "");
        bench.assert_silent();
    }
}

#[test]
fn redirections_and_refusals_get_no_answer_to_a_challenge() {
    // The owner follows a redirect with a new call: its URI is a stranger's.
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    bench.answer(&invite, "302 Moved", "Contact: <sip:1@192.0.2.66>\r\n");
    bench.assert_silent();
    let [EndCause::Redirected { contacts, .. }] = &bench.ends()[..] else { panic!("{:?}", bench.ends()) };
    let contact = contacts[0].clone();
    bench.dial(&contact, |_| {});
    let invite = bench.invite();
    bench.challenge(&invite, 401, "carrier", "");
    bench.assert_silent();
}

fn registration(hops: Vec<NextHop>) -> RegistrationConfig {
    RegistrationConfig {
        id: "trunk".into(),
        aor: Uri::parse("sip:account@carrier.example").unwrap(),
        registrar: Uri::parse("sip:carrier.example").unwrap(),
        hops,
        transport: Transport::Udp,
        contact_user: "contact".into(),
        credentials: Some(credentials()),
        expires_s: 300,
    }
}

#[test]
fn a_registrar_is_answered_and_a_redirection_of_it_is_not_followed() {
    let mut bench = UserAgentTest::new();
    bench.user_agent.set_registrations(bench.now, vec![registration(vec![next_hop(CARRIER), next_hop(SECOND)])]);
    let first = bench.only("REGISTER");
    bench.challenge(&first, 401, "any realm", "");
    let again = bench.only("REGISTER");
    assert_eq!((again.realms(), again.to.as_str()), (vec!["any realm"], CARRIER));
    bench.answer(&again, "302 Moved", "Contact: <sip:192.0.2.66>\r\n");
    bench.pass(Duration::from_secs(3_600));
    assert!(bench.sent().iter().all(|one| one.to != STRANGER));
}

#[test]
fn forbidden_destinations_get_nothing() {
    let refused = |bench: &UserAgentTest| {
        bench.ends().iter().any(|c| matches!(c, EndCause::Unreachable(why) if why.contains("must not")))
    };
    for uri in [
        "sip:1@192.0.2.99",
        "sip:1@192.0.2.99:22;transport=tcp",
        "sip:1@192.0.2.7;maddr=192.0.2.99",
        "sip:1@inside.example",
    ] {
        let mut bench = UserAgentTest::new();
        bench.names = vec![("inside.example", vec![at("192.0.2.99:80")])];
        bench.dial(uri, |_| {});
        assert!(bench.sent().is_empty() && refused(&bench), "{uri}");
        assert_eq!(bench.user_agent.held_counts(), (0, 0, 0), "{uri}");
    }
    // A large request goes over TCP, and not there either.
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.99", |invite| invite.sdp = Some(vec![b'a'; 2_000]));
    assert!(bench.sent().is_empty() && refused(&bench));
    // One that may be asked takes over from one that may not, in whichever order.
    let mut bench = UserAgentTest::new();
    bench.names = vec![("both.example", vec![at("192.0.2.99:5060"), at(CARRIER)])];
    bench.dial("sip:1@192.0.2.7", |invite| invite.hops = vec![next_hop("192.0.2.99:5060"), name("both.example")]);
    assert_eq!(bench.invite().to, CARRIER);
    assert!(bench.ends().is_empty());
    // REGISTER and OPTIONS ask as well.
    bench.user_agent.set_registrations(bench.now, vec![registration(vec![next_hop("192.0.2.99:5060")])]);
    bench.pass(Duration::from_secs(1));
    assert!(bench.sent().iter().all(|one| !one.to.starts_with(FORBIDDEN)));
}

#[test]
fn destination_policy_applies_to_every_resolution() {
    let mut bench = UserAgentTest::new();
    bench.names = vec![("carrier.example", vec![at(CARRIER)])];
    bench.user_agent.set_registrations(bench.now, vec![registration(vec![name("carrier.example")])]);
    let register = bench.only("REGISTER");
    bench.answer(&register, "200 OK", "Contact: <sip:contact@127.0.0.1>;expires=300\r\n");
    bench.names = vec![("carrier.example", vec![at("192.0.2.99:5060")])];
    bench.pass(Duration::from_secs(900));
    assert!(bench.sent().is_empty(), "it leads elsewhere now");
    bench.dial("sip:1@carrier.example", |_| {});
    assert!(bench.sent().is_empty());
}

#[test]
fn forbidden_contact_or_route_is_not_used() {
    let headers = [
        "Contact: <sip:peer@192.0.2.99>\r\n",
        "Contact: <sip:peer@192.0.2.99:6379;transport=tcp>\r\n",
        "Record-Route: <sip:192.0.2.99:22;lr>\r\nContact: <sip:peer@192.0.2.7>\r\n",
    ];
    for headers in headers {
        for (method, ask) in IN_DIALOG {
            let mut bench = UserAgentTest::new();
            let call = bench.dial("sip:1@192.0.2.7", |_| {});
            let invite = bench.invite();
            bench.answer(&invite, "200 OK", headers);
            let ack = bench.only("ACK");
            assert_eq!((ack.to.as_str(), ack.transport), (CARRIER, Transport::Udp), "{headers}");
            ask(&mut bench, call);
            let request = bench.only(method);
            assert_eq!((request.to.as_str(), request.transport), (CARRIER, Transport::Udp), "{headers}");
        }
        // An unwanted fork.
        let mut bench = UserAgentTest::new();
        let call = bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        bench.answer(&invite, "180 Ringing", "");
        bench.user_agent.hang_up(bench.now, call).unwrap();
        bench.answer(&invite, "200 OK", headers);
        for one in bench.sent() {
            assert!(!one.to.starts_with(FORBIDDEN), "{headers}: {}", one.text);
        }
    }
}
