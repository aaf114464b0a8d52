//! Several challengers on one way, and the credentials of ACKs.

use super::*;

/// Credentials that a request carries, header by header.
fn credentials_of(request: &SentRequest) -> Vec<String> {
    let lines = request.text.lines().filter(|line| line.to_ascii_lowercase().contains("authorization: digest"));
    let mut all: Vec<String> = lines.map(str::to_owned).collect();
    all.sort_unstable();
    all
}

fn challenge_line(header: &str, realm: &str, algorithm: &str) -> String {
    format!("{header}: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\", algorithm={algorithm}\r\n")
}

#[test]
fn every_realm_of_one_response_is_answered() {
    let proxy = |realm| challenge_line("Proxy-Authenticate", realm, "MD5");
    let joined = "Proxy-Authenticate: Digest realm=\"a\", nonce=\"1\", Digest realm=\"b\", nonce=\"2\"\r\n".to_owned();
    // A forking proxy collects the challenges of its branches (RFC 3261 section 16.7).
    let collected = proxy("a") + &challenge_line("WWW-Authenticate", "b", "MD5");
    for challenges in [proxy("a") + &proxy("b"), joined, collected] {
        for status in ["407 Who?", "401 Who?"] {
            let mut bench = UserAgentTest::new();
            bench.dial("sip:1@192.0.2.7", |_| {});
            let invite = bench.invite();
            bench.answer(&invite, status, &challenges);
            let again = bench.invite();
            let mut realms = again.realms();
            realms.sort_unstable();
            assert_eq!(realms, ["a", "b"], "{challenges}");
            // Both once more: the password is wrong.
            bench.answer(&again, status, &challenges);
            assert!(bench.sent().iter().all(|one| one.method() == "ACK"));
            assert!(matches!(bench.ends()[..], [EndCause::Rejected { .. }]));
        }
    }
}

#[test]
fn of_each_realm_the_strongest_algorithm_is_answered() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    let lines = [("a", "SHA-256"), ("b", "MD5"), ("a", "MD5"), ("b", "SHA-512-256"), ("b", "SHA-256")];
    bench.answer(
        &invite,
        "401 Who?",
        &lines.map(|(realm, kind)| challenge_line("WWW-Authenticate", realm, kind)).concat(),
    );
    let again = bench.invite();
    assert_eq!(again.realms().len(), 2);
    assert_eq!(again.text.matches("algorithm=SHA-256,").count(), 2, "{}", again.text);
}

/// A request of each kind, as it was sent.
type Begin = fn(&mut UserAgentTest) -> SentRequest;

fn in_a_call(bench: &mut UserAgentTest, command: fn(&mut UserAgentTest, CallId), method: &str) -> SentRequest {
    let call = bench.answered("sip:1@192.0.2.7", "<sip:p@192.0.2.7:5060>", "");
    bench.sent();
    command(bench, call);
    bench.only(method)
}

const REQUESTS: &[(&str, Begin)] = &[
    ("INVITE", |bench| {
        bench.dial("sip:1@192.0.2.7", |_| {});
        bench.invite()
    }),
    ("INVITE", |bench| {
        let offer = |bench: &mut UserAgentTest, call| {
            bench.user_agent.send_reoffer(bench.now, call, b"v=0\r\n".to_vec()).unwrap();
        };
        in_a_call(bench, offer, "INVITE")
    }),
    ("BYE", |bench| in_a_call(bench, |bench, call| bench.user_agent.hang_up(bench.now, call).unwrap(), "BYE")),
    ("REFER", |bench| {
        in_a_call(bench, |bench, call| bench.user_agent.send_refer(bench.now, call, "tel:+311").unwrap(), "REFER")
    }),
    ("INFO", |bench| {
        let info = |bench: &mut UserAgentTest, call| {
            bench.user_agent.send_info(bench.now, call, "application/dtmf", b"1".to_vec()).unwrap();
        };
        in_a_call(bench, info, "INFO")
    }),
    ("PRACK", |bench| {
        bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        bench.answer(&invite, "183 Progress", "Contact: <sip:p@192.0.2.7>\r\nRequire: 100rel\r\nRSeq: 7\r\n");
        bench.only("PRACK")
    }),
    ("UPDATE", |bench| {
        bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        let headers =
            "Contact: <sip:p@192.0.2.7>\r\nAllow: INVITE, UPDATE, BYE\r\nSession-Expires: 90;refresher=uac\r\n";
        bench.answer(&invite, "200 OK", headers);
        bench.sent();
        bench.pass(Duration::from_secs(45));
        bench.only("UPDATE")
    }),
    ("REGISTER", |bench| {
        bench.user_agent.set_registrations(bench.now, vec![registration(vec![next_hop(CARRIER)])]);
        bench.only("REGISTER")
    }),
];

#[test]
fn requests_of_every_kind_answer_two_challengers_and_each_only_once() {
    for (method, begin) in REQUESTS {
        let mut bench = UserAgentTest::new();
        let request = begin(&mut bench);
        bench.challenge(&request, 407, "a", "");
        let one = bench.only(method);
        assert_eq!(one.realms(), ["a"], "{method}");
        bench.challenge(&one, 401, "b", "");
        let both = bench.only(method);
        let all = credentials_of(&both);
        assert_eq!(all.len(), 2, "{method}: {}", both.text);
        assert!(all[0].starts_with("Authorization:") && all[0].contains("realm=\"b\""), "{all:?}");
        assert!(all[1].starts_with("Proxy-Authorization:") && all[1].contains("realm=\"a\""), "{all:?}");
        // The first challenger's nonce has become too old meanwhile.
        bench.challenge(&both, 407, "a", ", stale=true");
        let fresh = bench.only(method);
        assert_eq!(credentials_of(&fresh).len(), 2, "{method}");
        bench.challenge(&fresh, 401, "b", "");
        assert!(bench.sent().iter().all(|one| one.method() != *method), "{method}: a wrong password");
    }
}

#[test]
fn credentials_sent_beforehand_may_be_challenged_once_by_each_challenger() {
    let mut bench = UserAgentTest::new();
    let call = bench.dial("sip:1@192.0.2.7", |_| {});
    let invite = bench.invite();
    bench.challenge(&invite, 407, "a", "");
    let invite = bench.invite();
    bench.challenge(&invite, 401, "b", "");
    let invite = bench.invite();
    bench.answer(&invite, "200 OK", "Contact: <sip:peer@192.0.2.7>\r\n");
    bench.sent();
    bench.user_agent.hang_up(bench.now, call).unwrap();
    let mut bye = bench.only("BYE");
    assert_eq!(bye.realms().len(), 2);
    // Nonces for one use only, and a server that never says stale.
    for (status, realm) in [(407, "a"), (401, "b")] {
        bench.challenge(&bye, status, realm, "");
        bye = bench.only("BYE");
        assert_eq!(bye.realms().len(), 2, "{realm}");
    }
    bench.challenge(&bye, 407, "a", "");
    assert!(bench.sent().is_empty());
}

#[test]
fn another_server_may_challenge_the_same_realm() {
    let mut bench = UserAgentTest::new();
    bench.dial("sip:1@192.0.2.7", |invite| invite.hops = vec![next_hop(CARRIER), next_hop(SECOND)]);
    let first = bench.invite();
    bench.challenge(&first, 401, "carrier", "");
    let again = bench.invite();
    bench.answer(&again, "503 Busy", "");
    let second = bench.invite();
    assert_eq!(second.to, SECOND);
    bench.challenge(&second, 401, "carrier", "");
    assert_eq!(bench.invite().to, SECOND);
}

#[test]
fn an_acknowledgement_repeats_the_credentials_of_its_invite() {
    // Where the peer goes on, and whether that is the trunk's.
    for (contact, route, wanted) in [
        ("<sip:p@192.0.2.7:5060>", "", true),
        ("<sip:p@192.0.2.8:5070>", "", true),
        ("<sip:p@carrier.example>", "", true),
        ("<sip:p@192.0.2.66>", "<sip:192.0.2.7;lr>", true),
        ("<sip:p@192.0.2.66>", "", false),
        ("<sip:p@stranger.example>", "", false),
        ("<sip:p@192.0.2.7>", "<sip:192.0.2.66;lr>", false),
    ] {
        let mut bench = UserAgentTest::new();
        let call = bench.dial("sip:1@192.0.2.7", |_| {});
        let invite = bench.invite();
        bench.challenge(&invite, 407, "a", "");
        let invite = bench.invite();
        bench.challenge(&invite, 401, "b", "");
        let invite = bench.invite();
        let route = if route.is_empty() { String::new() } else { format!("Record-Route: {route}\r\n") };
        let headers = format!("{route}Contact: {contact}\r\n");
        let credentials = credentials_of(&invite);
        // Repetitions of the 200 are acknowledged alike, wherever their ACK goes.
        for repeated in 0..3 {
            bench.answer(&invite, "200 OK", &headers);
            let ack = bench.only("ACK");
            let is_trunks = [CARRIER, SECOND, "carrier.example"].contains(&ack.to.as_str());
            assert!(repeated > 0 || is_trunks == wanted, "{}", ack.to);
            let wanted = if is_trunks { credentials.clone() } else { vec![] };
            assert_eq!(credentials_of(&ack), wanted, "{contact} {repeated}: {}", ack.text);
        }
        if !wanted {
            continue;
        }
        bench.names = vec![("carrier.example", vec![at(CARRIER)])];
        bench.user_agent.send_reoffer(bench.now, call, b"v=0\r\n".to_vec()).unwrap();
        let reinvite = bench.only("INVITE");
        assert_eq!(reinvite.realms().len(), 2, "{contact}");
        bench.challenge(&reinvite, 407, "a", ", stale=true");
        let reinvite = bench.only("INVITE");
        for _ in 0..2 {
            bench.answer(&reinvite, "200 OK", &headers);
            let ack = bench.only("ACK");
            assert_eq!(credentials_of(&ack), credentials_of(&reinvite), "{contact}: {}", ack.text);
            assert_eq!(
                ack.header("cseq"),
                reinvite.header("cseq").map(|cseq| cseq.replace("INVITE", "ACK")).as_deref()
            );
        }
    }
}

#[test]
fn the_answer_to_a_late_offer_and_refusals_are_acknowledged_with_credentials() {
    let mut bench = UserAgentTest::new();
    let call = bench.dial("sip:1@192.0.2.7", |invite| invite.sdp = None);
    let invite = bench.invite();
    bench.challenge(&invite, 407, "a", "");
    let invite = bench.invite();
    let text = "Contact: <sip:peer@192.0.2.7>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    let copied = ["Via", "From", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", invite.header(&name.to_ascii_lowercase()).unwrap()))
        .concat();
    let ok = format!("SIP/2.0 200 OK\r\n{copied}To: {};tag=peer\r\n{text}", invite.header("to").unwrap());
    bench.user_agent.handle_datagram(bench.now, CARRIER.parse().unwrap(), ok.as_bytes());
    bench.sent();
    bench.user_agent.acknowledge(call, Some(b"v=0\r\n".to_vec())).unwrap();
    let ack = bench.only("ACK");
    assert_eq!(credentials_of(&ack), credentials_of(&invite));

    bench.dial("sip:2@192.0.2.7", |_| {});
    let invite = bench.invite();
    bench.challenge(&invite, 401, "b", "");
    let sent = bench.sent();
    assert!(credentials_of(&sent[0]).is_empty(), "the INVITE had none");
    bench.answer(&sent[1], "486 Busy Here", "");
    assert_eq!(credentials_of(&bench.only("ACK")), credentials_of(&sent[1]));
}
