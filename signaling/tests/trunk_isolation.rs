//! Several tenants at one user agent: trunk candidates of a caller, and that a call has only the rights of the trunk it
//! was assigned to.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "trunk_isolation/callers.rs"]
mod callers;
mod common;

use callers::*;
use common::{CALLEE, config};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::{
    ChallengeAlgorithms, InboundTrunk, IncomingInvite, RegistrationConfig, SipEvent, TransmitTarget, Transport,
    TrunkCandidates, UserAgent,
};

#[test]
fn a_trunk_that_lists_the_address_hides_none_whose_credentials_the_caller_has() {
    for foreign in ["192.0.2.7/32", "192.0.2.0/24", "0.0.0.0/0"] {
        let rules = vec![rule("mine", &[], Some(("alice", "secret"))), rule("foreign", &[foreign], None)];
        let mut server = UserAgentTest::new(rules);
        let only_listed = server.candidates(HERE, "+31201234567", "");
        assert_eq!(ids(&only_listed), ["foreign"]);
        // The number is unknown on that trunk: the caller may belong to another trunk.
        let asked = server.invite(HERE, "+31201234567", "");
        server.user_agent.reject_unknown_number(server.now, asked.incoming.unwrap().call).unwrap();
        let challenged = server.sent().pop().unwrap().1;
        assert!(challenged.starts_with("SIP/2.0 401 "), "{challenged}");
        let authorization = authorize(&challenged, "alice", "secret", "+31201234567");
        let proven = server.invite(HERE, "+31201234567", &authorization);
        let incoming = proven.incoming.unwrap();
        assert_eq!(ids(&incoming.candidates), ["foreign", "mine"], "{foreign}");
        assert_eq!(incoming.candidates.digest, ["mine".into()]);
        // There is nothing left to ask for.
        server.user_agent.reject_unknown_number(server.now, incoming.call).unwrap();
        assert!(server.sent().pop().unwrap().1.starts_with("SIP/2.0 404 "));
    }
}

/// Tenants share the room for connections by this number.
#[test]
fn each_admitted_message_names_its_trunk_once_and_a_strangers_names_none() {
    let rules = vec![rule("a", &["192.0.2.7/32"], None), rule("b", &["198.51.100.9/32"], None)];
    let mut server = UserAgentTest::new(rules);
    let mut trunk_of = |from| {
        server.invite(from, "+31201234567", "");
        let named = server.user_agent.poll_admitted_trunk();
        assert_eq!(server.user_agent.poll_admitted_trunk(), None, "it is taken");
        named
    };
    let (a, b) = (trunk_of(HERE), trunk_of(ELSEWHERE));
    assert!(a.is_some() && b.is_some() && a != b, "{a:?} {b:?}");
    assert_eq!(trunk_of("203.0.113.200:5060"), None);
    assert_eq!(trunk_of(HERE), a);
}

#[test]
fn unknown_number_without_credentials_is_404() {
    let mut server = UserAgentTest::new(vec![rule("a", &["192.0.2.7/32"], None)]);
    let incoming = server.invite(HERE, "+31201234567", "").incoming.unwrap();
    server.user_agent.reject_unknown_number(server.now, incoming.call).unwrap();
    assert!(server.sent().pop().unwrap().1.starts_with("SIP/2.0 404 "));
    assert_eq!(server.invite(ELSEWHERE, "+31201234567", "").status, 403);
}

#[test]
fn credentials_that_were_right_but_old_are_asked_for_again_as_stale() {
    let rules = vec![rule("mine", &[], Some(("alice", "secret"))), rule("foreign", &["192.0.2.7/32"], None)];
    let mut server = UserAgentTest::new(rules);
    let authorization = server.authorization("alice", "secret", "+31201234567");
    for (more, stale) in [("", false), (&*authorization, true), ("Authorization: Digest username=\"alice\"\r\n", false)]
    {
        if stale {
            server.now += Duration::from_secs(400);
        }
        let incoming = server.invite(HERE, "+31201234567", more).incoming.unwrap();
        assert_eq!(ids(&incoming.candidates), ["foreign"]);
        server.user_agent.reject_unknown_number(server.now, incoming.call).unwrap();
        let text = server.sent().pop().unwrap().1;
        assert_eq!((text.starts_with("SIP/2.0 401 "), text.contains("stale=true")), (true, stale), "{text}");
    }
}

#[test]
fn users_of_one_name_are_told_apart_by_their_passwords() {
    let rules = vec![
        rule("mine", &[], Some(("alice", "mine"))),
        rule("foreign", &[], Some(("alice", "theirs"))),
        rule("same", &[], Some(("alice", "mine"))),
    ];
    let mut server = UserAgentTest::new(rules);
    for (password, wanted) in [("mine", &["mine", "same"][..]), ("theirs", &["foreign"]), ("wrong", &[])] {
        let authorization = server.authorization("alice", password, "+31201234567");
        assert_eq!(ids(&server.candidates(ELSEWHERE, "+31201234567", &authorization)), wanted);
    }
}

#[test]
fn of_many_authorization_headers_a_few_are_looked_at() {
    let mut server = UserAgentTest::new(vec![rule("mine", &[], Some(("alice", "mine")))]);
    let right = server.authorization("alice", "mine", "+31201234567");
    let wrong = right.replace("response=\"", "response=\"0");
    for (before, is_found) in [(0, true), (3, true), (4, false)] {
        let right = server.authorization("alice", "mine", "+31201234567");
        let found = server.candidates(ELSEWHERE, "+31201234567", &(wrong.repeat(before) + &right));
        assert_eq!(ids(&found) == ["mine"], is_found, "after {before} others");
    }
}

#[test]
fn refer_permission_is_per_trunk() {
    for [mine, foreign] in [[false, false], [false, true], [true, false], [true, true]] {
        for order in [["mine", "foreign"], ["foreign", "mine"]] {
            let rules = order.map(|id| InboundTrunk {
                accept_refer: if id == "mine" { mine } else { foreign },
                ..rule(id, &["192.0.2.0/24"], None)
            });
            let mut server = UserAgentTest::new(rules.into());
            for (trunk, wanted) in [("mine", mine), ("foreign", foreign)] {
                let dialog = server.talk(HERE, trunk, "");
                let status = server.refer(HERE, &dialog);
                assert_eq!(status, if wanted { 202 } else { 603 }, "over {trunk}, {mine} and {foreign}");
            }
            // A trunk that is gone gives no leave.
            let dialog = server.talk(HERE, "unknown", "");
            assert_eq!(server.refer(HERE, &dialog), 603);
        }
    }
}

#[test]
fn a_trunk_is_chosen_while_a_call_rings_and_not_later() {
    let mut server =
        UserAgentTest::new(vec![InboundTrunk { accept_refer: true, ..rule("a", &["192.0.2.0/24"], None) }]);
    let incoming = server.invite(HERE, "1", "").incoming.unwrap();
    server.user_agent.answer(server.now, incoming.call, b"v=0\r\n".to_vec()).unwrap();
    assert!(server.user_agent.assign_trunk(incoming.call, &"a".into()).is_err());
    assert!(server.user_agent.reject_unknown_number(server.now, incoming.call).is_err());
}

#[test]
fn only_a_caller_of_the_same_trunk_takes_a_calls_place() {
    let mine = || rule("mine", &["192.0.2.7/32"], Some(("alice", "secret")));
    // Who asks, from where, with whose credentials: how that ends.
    for (what, foreign, from, user, wanted) in [
        ("the trunk's own address", rule("foreign", &[], None), HERE, None, 100),
        ("own credentials from elsewhere", rule("foreign", &[], None), ELSEWHERE, Some("secret"), 100),
        (
            "own credentials from a foreign address",
            rule("foreign", &["198.51.100.0/24"], None),
            ELSEWHERE,
            Some("secret"),
            100,
        ),
        ("an address that both list", rule("foreign", &["192.0.2.0/24"], None), HERE, None, 100),
        // Asked for what could show that it is the trunk's.
        ("a foreign address", rule("foreign", &["198.51.100.9/32"], None), ELSEWHERE, None, 401),
        ("a wide foreign network", rule("foreign", &["0.0.0.0/0"], None), ELSEWHERE, None, 401),
        (
            "wrong credentials from a foreign address",
            rule("foreign", &["198.51.100.9/32"], None),
            ELSEWHERE,
            Some("guess"),
            401,
        ),
        // Proven to be a different peer.
        ("foreign credentials", rule("foreign", &[], Some(("alice", "theirs"))), ELSEWHERE, Some("theirs"), 481),
        (
            "foreign credentials and address",
            rule("foreign", &["198.51.100.9/32"], Some(("alice", "theirs"))),
            ELSEWHERE,
            Some("theirs"),
            481,
        ),
    ] {
        let mut server = UserAgentTest::new(vec![mine(), foreign]);
        let dialog = server.talk(HERE, "mine", "");
        let mut more = format!("Replaces: {}\r\n", dialog.replaces);
        if let Some(password) = user {
            more += &server.authorization("alice", password, "+31201234567");
        }
        let answer = server.invite(from, "+31201234567", &more);
        assert_eq!((answer.status, answer.replaced), (wanted, wanted == 100), "{what}: {}", answer.text);
        // The call that was to be replaced goes on either way until its owner ends it.
        assert_eq!(server.refer(HERE, &dialog), 603, "{what}");
    }
}

#[test]
fn replaces_reveals_nothing_about_other_trunks() {
    let rules = vec![rule("mine", &["192.0.2.7/32"], None), rule("foreign", &["198.51.100.9/32"], None)];
    let mut server = UserAgentTest::new(rules);
    let dialog = server.talk(HERE, "mine", "");
    let ask = |server: &mut UserAgentTest, from: &str, value: &str| {
        server.invite(from, "1", &format!("Replaces: {value}\r\n")).status
    };
    assert_eq!(ask(&mut server, ELSEWHERE, &dialog.replaces), 481);
    assert_eq!(ask(&mut server, ELSEWHERE, &format!("{};early-only", dialog.replaces)), 481);
    assert_eq!(ask(&mut server, ELSEWHERE, "no;to-tag=1;from-tag=2"), 481);
    assert_eq!(ask(&mut server, HERE, &format!("{};early-only", dialog.replaces)), 486);
    assert_eq!(ask(&mut server, HERE, &dialog.replaces.replace("from-tag=", "from-tag=x")), 481);
    assert_eq!(ask(&mut server, HERE, "no"), 400);
}

#[test]
fn a_call_that_takes_anothers_place_has_its_trunks_rights() {
    for accepts in [false, true] {
        let rules = vec![
            InboundTrunk { accept_refer: !accepts, ..rule("other", &["192.0.2.0/24"], None) },
            InboundTrunk { accept_refer: accepts, ..rule("mine", &["192.0.2.7/32"], None) },
        ];
        let mut server = UserAgentTest::new(rules);
        let dialog = server.talk(HERE, "mine", "");
        let by = server.invite(HERE, "1", &format!("Replaces: {}\r\n", dialog.replaces)).incoming.unwrap();
        server.user_agent.answer(server.now, by.call, b"v=0\r\n".to_vec()).unwrap();
        let ok = server.sent().pop().unwrap().1;
        let headers: Vec<&str> =
            ok.lines().filter(|l| ["From: ", "To: ", "Call-ID: "].iter().any(|name| l.starts_with(name))).collect();
        let second = TestDialog { headers: headers.join("\r\n") + "\r\n", replaces: String::new() };
        let cseq = server.made;
        server.hear(
            HERE,
            &format!(
                "ACK sip:x@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP {HERE};branch=z9hG4bKa\r\n{}CSeq: {cseq} ACK\r\n\r\n",
                second.headers
            ),
        );
        assert_eq!(server.refer(HERE, &second), if accepts { 202 } else { 603 });
    }
}

#[test]
fn trunks_registered_at_one_registrar_are_all_candidates_and_a_contact_decides() {
    for order in [["a", "b"], ["b", "a"]] {
        let mut server = UserAgentTest::new(vec![rule("a", &[], None), rule("b", &[], None), rule("c", &[], None)]);
        server.register(&[(order[0], "200 OK"), (order[1], "200 OK"), ("c", "403 Forbidden")]);
        // The number is in the Request-URI: either may have it. The one that was not let in has not.
        assert_eq!(ids(&server.candidates(REGISTRAR, "+31201234567", "")), ["a", "b"]);
        for id in ["a", "b"] {
            let found = server.candidates(REGISTRAR, &format!("contact-{id}"), "");
            assert_eq!((found.contact.as_deref(), ids(&found)), (Some(id), vec![id.to_owned()]));
            // From another gateway of the provider, too.
            assert_eq!(ids(&server.candidates(ELSEWHERE, &format!("contact-{id}"), "")), [id]);
        }
        // A registration that ends, or that is refused later, leaves the other one.
        server.register(&[("b", "200 OK")]);
        assert_eq!(ids(&server.candidates(REGISTRAR, "+31201234567", "")), ["b"]);
        assert_eq!(
            server.invite(REGISTRAR, "contact-a", "").incoming.map(|i| ids(&i.candidates)),
            Some(vec!["b".into()])
        );
    }
}

#[test]
fn a_registration_that_is_refused_later_no_longer_brings_calls() {
    let mut server = UserAgentTest::new(vec![rule("a", &[], None)]);
    server.register(&[("a", "200 OK")]);
    let refresh = |server: &mut UserAgentTest, status: &str| {
        // Offered and unanswered calls have separate timers.
        let text = loop {
            server.now = server.user_agent.poll_timeout().unwrap();
            server.user_agent.handle_timeout(server.now);
            if let Some((_, text)) = server.sent().into_iter().find(|(_, text)| text.starts_with("REGISTER")) {
                break text;
            }
        };
        let network = |name: &str| text.lines().find(|network| network.starts_with(name)).unwrap().to_owned();
        let headers = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "].map(network).join("\r\n");
        server.hear(REGISTRAR, &format!("SIP/2.0 {status}\r\n{headers}\r\nContent-Length: 0\r\n\r\n"));
        while server.user_agent.poll_event().is_some() {}
    };
    let is_candidate = |server: &mut UserAgentTest| server.invite(REGISTRAR, "+31201234567", "").incoming.is_some();
    assert!(is_candidate(&mut server));
    for (status, wanted) in [("503 Busy", true), ("403 Forbidden", false)] {
        // Calls that were offered have gone.
        server.now += Duration::from_secs(60);
        server.user_agent.handle_timeout(server.now);
        server.sent();
        server.user_agent.set_registrations(server.now, vec![]);
        server.sent();
        server.register(&[("a", "200 OK")]);
        refresh_registration(&mut server, &refresh, status);
        assert_eq!(is_candidate(&mut server), wanted, "{status}");
    }
}

/// Steps to the refresh of the one registration.
fn refresh_registration(server: &mut UserAgentTest, refresh: &impl Fn(&mut UserAgentTest, &str), status: &str) {
    server.now += Duration::from_secs(300 - 33);
    server.user_agent.handle_timeout(server.now);
    server.sent();
    refresh(server, status);
}

#[test]
fn a_packet_costs_the_same_for_three_trunks_and_for_thousands() {
    let cost = |count: usize| {
        let mut rules = vec![rule("mine", &["192.0.2.7/32"], Some(("alice", "secret")))];
        rules.extend((0..count).map(|n| {
            let net = format!("10.{}.{}.0/{}", n / 250, n % 250, 24 + n % 9);
            rule(&format!("foreign{n}"), &[&net], Some((&format!("user{n}"), "p")))
        }));
        let mut server = UserAgentTest::new(rules);
        let authorization = server.authorization("alice", "secret", "1");
        let measured = allocation_counter::measure(|| {
            server.invite(ELSEWHERE, "1", "");
            server.invite(HERE, "1", "");
            server.invite(ELSEWHERE, "1", &authorization);
        });
        measured.count_total
    };
    let (few, many) = (cost(3), cost(5_000));
    assert!(many < few + 50, "{few} allocations with three foreign trunks, {many} with 5,000");
}

#[test]
fn a_trunk_that_many_share_an_address_with_is_found_without_copies() {
    let rules = (0..5_000).map(|n| rule(&format!("t{n}"), &["192.0.2.0/24"], None)).collect();
    let mut server = UserAgentTest::new(rules);
    let before = server.candidates(HERE, "1", "");
    let Some(group) = before.address.first() else { panic!("no candidates") };
    assert_eq!(group.len(), 5_000);
    let again = server.candidates(HERE, "2", "");
    assert!(again.address.first().is_some_and(|other| Arc::ptr_eq(group, other)));
}

#[test]
fn rules_that_change_hold_from_the_next_request_on() {
    let mut server = UserAgentTest::new(vec![rule("a", &["192.0.2.7/32"], None)]);
    assert_eq!(ids(&server.candidates(HERE, "1", "")), ["a"]);
    server.user_agent.set_trunks(Arc::new(vec![rule("b", &["192.0.2.0/24"], None)].into()));
    assert_eq!(ids(&server.candidates(HERE, "2", "")), ["b"]);
    server.user_agent.set_trunks(Arc::default());
    assert_eq!(server.invite(HERE, "3", "").status, 403);
}
