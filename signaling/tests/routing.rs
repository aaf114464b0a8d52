//! Where requests and responses go: connections, Contacts that lead nowhere, and what is tried next.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::parse;
use trunkline_signaling::sip::user_agent::{
    CallId, ConnectionChoice, SipEvent, Transmit, TransmitTarget, Transport, TransportAddress, UserAgent,
};

const SDP: &[u8] = b"v=0\r\n";

/// A user agent, and what it has sent: the first line, transport, target and connection of each message.
struct RoutingTest {
    user_agent: UserAgent,
    now: Instant,
    call: CallId,
    tag: String,
    invite: String,
    source: TransportAddress,
}

type Sent = (String, String);

fn place(transmit: &Transmit) -> Sent {
    let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
    let word = text.strip_prefix("SIP/2.0 ").unwrap_or(&text).split([' ', '\r']).next().unwrap().to_owned();
    let target = match &transmit.target {
        TransmitTarget::Addr(addr) => addr.to_string(),
        TransmitTarget::Name { host, .. } => host.clone(),
    };
    let how = match transmit.connection {
        ConnectionChoice::Any => String::new(),
        ConnectionChoice::OpenOnly => " open".to_owned(),
        ConnectionChoice::OpenElse(addr) => format!(" else {addr}"),
    };
    (word, format!("{} {target}{how}", transmit.transport.name()))
}

impl RoutingTest {
    /// A call that came from there, with these Via parameters and this Contact, and was answered.
    fn answered(transport: Transport, source: &str, sent_by: &str, contact: &str) -> Self {
        let now = Instant::now();
        let rules = vec![trunk("10.0.0.0/8", None), trunk("198.51.100.0/24", None), trunk("127.0.0.0/8", None)];
        let mut config = config(CALLEE, rules);
        (config.tls_port, config.ws_port) = (Some(5_061), Some(8_088));
        let user_agent = UserAgent::new(now, config, [3; 32]);
        let via = format!("SIP/2.0/{} {sent_by}", transport.name());
        let invite = RAW_INVITE
            .replace("SIP/2.0/UDP 127.0.0.1:5060", &via)
            .replace("<sip:a@127.0.0.1:5060>", contact)
            .replace(";rport", if sent_by.ends_with('!') { "" } else { ";rport" })
            .replace('!', "");
        let source = TransportAddress { transport, addr: source.parse().unwrap() };
        let mut test = Self { user_agent, now, call: CallId(0), tag: String::new(), invite, source };
        let invite = test.invite.clone();
        test.hear(&invite);
        let incoming = std::iter::from_fn(|| test.user_agent.poll_event()).find_map(|event| match event {
            SipEvent::Incoming(incoming) => Some(incoming.call),
            _ => None,
        });
        test.call = incoming.unwrap();
        test.user_agent.answer(now, test.call, SDP.to_vec()).unwrap();
        test
    }

    fn confirmed(transport: Transport, source: &str, sent_by: &str, contact: &str) -> Self {
        let mut test = Self::answered(transport, source, sent_by, contact);
        let answer = String::from_utf8_lossy(&test.transmits().pop().unwrap().bytes).into_owned();
        let to = answer.split("\r\nTo: ").nth(1).unwrap().split("\r\n").next().unwrap();
        test.tag = to.split(";tag=").nth(1).unwrap().to_owned();
        let ack = test.request("ACK", 1);
        test.hear(&ack);
        assert!(test.transmits().is_empty());
        test
    }

    fn request(&self, method: &str, cseq: u32) -> String {
        self.invite
            .replace("INVITE", method)
            .replace("1 ACK", &format!("{cseq} ACK"))
            .replace("z9hG4bKx", &format!("z9hG4bK{method}{cseq}"))
            .replace("CSeq: 1 ", &format!("CSeq: {cseq} "))
            .replace("27.0.0.2>\r\n", &format!("27.0.0.2>;tag={}\r\n", self.tag))
    }

    fn hear(&mut self, text: &str) {
        let TransportAddress { transport, addr } = self.source;
        self.user_agent.handle_parsed(self.now, transport, addr, parse::datagram(text.as_bytes()));
    }

    /// The peer answers a request of ours.
    fn respond(&mut self, sent: &Transmit, status: &str) {
        let request = String::from_utf8_lossy(&sent.bytes).into_owned();
        let header = |name: &str| request.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
        let answer = format!(
            "SIP/2.0 {status}\r\nVia:{}\r\nFrom:{}\r\nTo:{}\r\nCall-ID:{}\r\nCSeq:{}\r\nContact: <sip:x@203.0.113.9>\r\n\
             Content-Length: 0\r\n\r\n",
            header("Via:"),
            header("From:"),
            header("To:"),
            header("Call-ID:"),
            header("CSeq:")
        );
        self.hear(&answer);
    }

    fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.user_agent.poll_transmit()).collect()
    }

    fn sent(&mut self) -> Vec<Sent> {
        self.transmits().iter().map(place).collect()
    }

    /// Where requests of this method go, one after the other: each cannot be sent (`is_refused`), or is never answered.
    fn places(&mut self, method: &str, is_refused: bool) -> Vec<String> {
        let mut places: Vec<String> = Vec::new();
        for _ in 0..100 {
            for transmit in self.transmits() {
                let (word, place) = place(&transmit);
                if word == method && places.last() != Some(&place) {
                    places.push(place);
                }
                if is_refused && let Some(key) = &transmit.transaction {
                    self.user_agent.handle_unreachable(self.now, key, "refused");
                }
            }
            match self.user_agent.poll_timeout() {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.user_agent.handle_timeout(self.now);
        }
        places
    }

    fn bye_places(mut self, is_refused: bool) -> Vec<String> {
        self.user_agent.hang_up(self.now, self.call).unwrap();
        let places = self.places("BYE", is_refused);
        self.now += Duration::from_secs(300);
        self.user_agent.handle_timeout(self.now);
        assert_eq!(self.user_agent.held_counts(), (0, 0, 0), "{places:?}");
        places
    }
}

/// emiago/sipgo#361, livekit/sip#435, pjsip/pjproject#2706: a caller behind a NAT is reached over its connection alone.
#[test]
fn requests_in_a_dialog_go_over_its_connection_then_to_the_contact() {
    for (transport, port, param) in [(Transport::Tcp, 5_999, "tcp"), (Transport::Tls, 5_061, "tls")] {
        for is_refused in [true, false] {
            let contact = format!("<sip:x@10.0.0.1:{port};transport={param}>");
            let test = RoutingTest::confirmed(transport, "10.0.0.1:41000", &format!("10.0.0.1:{port};alias"), &contact);
            let name = transport.name();
            let wanted = [
                format!("{name} 10.0.0.1:41000 open"),
                format!("{name} 10.0.0.1:{port}"),
                format!("{name} 10.0.0.1:41000"),
            ];
            assert_eq!(test.bye_places(is_refused), wanted, "refused: {is_refused}");
        }
    }
}

#[test]
fn every_request_of_ours_takes_the_connection_of_the_dialog() {
    let mut test = RoutingTest::confirmed(
        Transport::Tcp,
        "10.0.0.1:41000",
        "10.0.0.1:5999",
        "<sip:x@10.0.0.1:5999;transport=tcp>",
    );
    let (now, call) = (test.now, test.call);
    let wanted = "TCP 10.0.0.1:41000 open";
    test.user_agent.send_info(now, call, "text/plain", b"x".to_vec()).unwrap();
    assert_eq!(test.sent(), [("INFO".to_owned(), wanted.to_owned())]);
    test.user_agent.send_refer(now, call, "sip:y@h").unwrap();
    assert_eq!(test.sent(), [("REFER".to_owned(), wanted.to_owned())]);
    test.user_agent.send_refer_notify(now, call, 180).unwrap();
    assert_eq!(test.sent(), [("NOTIFY".to_owned(), wanted.to_owned())]);
    test.user_agent.send_reoffer(now, call, SDP.to_vec()).unwrap();
    assert_eq!(test.sent(), [("INVITE".to_owned(), wanted.to_owned())]);
    // The peer comes back over another connection: that is the dialog's from now on.
    test.source.addr.set_port(42_000);
    let options = test.request("OPTIONS", 9);
    test.hear(&options);
    test.transmits();
    test.user_agent.hang_up(now, call).unwrap();
    assert_eq!(test.sent(), [("BYE".to_owned(), "TCP 10.0.0.1:42000 open".to_owned())]);
}

/// The caller's connection is gone before the answer; its ACK comes over another one.
#[test]
fn the_connection_of_the_acknowledgement_is_the_dialogs() {
    let contact = "<sip:x@10.0.0.1:5999;transport=tcp>";
    let mut test = RoutingTest::answered(Transport::Tcp, "10.0.0.1:41000", "10.0.0.1:5999", contact);
    let answer = String::from_utf8_lossy(&test.transmits().pop().unwrap().bytes).into_owned();
    test.tag =
        answer.split("\r\nTo: ").nth(1).unwrap().split(";tag=").nth(1).unwrap().split("\r\n").next().unwrap().into();
    test.source.addr.set_port(43_000);
    let ack = test.request("ACK", 1);
    test.hear(&ack);
    assert_eq!(test.bye_places(true)[0], "TCP 10.0.0.1:43000 open");
}

#[test]
fn a_browser_is_reached_over_its_websocket_alone() {
    let contact = "<sip:x@df7jal23ls0d.invalid;transport=ws>";
    let test = RoutingTest::confirmed(Transport::Ws, "10.0.0.1:41000", "df7jal23ls0d.invalid", contact);
    assert_eq!(test.bye_places(true), ["WS 10.0.0.1:41000"]);
}

#[test]
fn a_contact_that_leads_nowhere_is_not_the_end() {
    let source = "10.0.0.1:5060";
    for (sent_by, contact, wanted) in [
        ("10.0.0.1:5060", "<sip:x@10.0.0.1:5060>", &["UDP 10.0.0.1:5060"][..]),
        ("10.0.0.1:5060", "<sip:x@10.0.0.1:5070>", &["UDP 10.0.0.1:5070", "UDP 10.0.0.1:5060"]),
        // A zero address is none.
        ("10.0.0.1:5060", "<sip:x@0.0.0.0:5060>", &["UDP 10.0.0.1:5060"]),
        ("10.0.0.1:5060!", "<sip:x@0.0.0.0:5060>", &["UDP 10.0.0.1:5060"]),
        ("10.0.0.1:5060", "<sip:x@[::]:5060>", &["UDP 10.0.0.1:5060"]),
        // A private one of another network: a peer that wants answers at its source is asked there first.
        ("10.0.0.1:5060", "<sip:x@10.255.255.1:5060>", &["UDP 10.0.0.1:5060", "UDP 10.255.255.1:5060"]),
        ("10.0.0.1:5060!", "<sip:x@10.255.255.1:5060>", &["UDP 10.255.255.1:5060", "UDP 10.0.0.1:5060"]),
        // A public one is believed.
        ("10.0.0.1:5060", "<sip:x@203.0.113.9>", &["UDP 203.0.113.9:5060", "UDP 10.0.0.1:5060"]),
    ] {
        for is_refused in [true, false] {
            let test = RoutingTest::confirmed(Transport::Udp, source, sent_by, contact);
            assert_eq!(test.bye_places(is_refused), wanted, "{sent_by} {contact}, refused: {is_refused}");
        }
    }
    // Behind a NAT with a public address.
    for host in ["192.168.1.7", "100.64.0.7", "169.254.1.7", "127.0.0.1", "localhost"] {
        let contact = &format!("<sip:x@{host}>");
        let test = RoutingTest::confirmed(Transport::Udp, "198.51.100.7:4321", "192.168.1.7:5060", contact);
        assert_eq!(test.bye_places(false), ["UDP 198.51.100.7:4321"], "{contact}");
    }
}

/// The target that a re-INVITE or UPDATE names is judged like the first one.
#[test]
fn a_refreshed_target_is_judged_as_well() {
    for method in ["INVITE", "UPDATE"] {
        let mut test =
            RoutingTest::confirmed(Transport::Udp, "10.0.0.1:5060", "10.0.0.1:5060", "<sip:x@10.0.0.1:5060>");
        let refresh = test.request(method, 2).replace("<sip:x@10.0.0.1:5060>", "<sip:x@0.0.0.0:5060>");
        test.hear(&refresh);
        let _ = test.user_agent.answer_reoffer(test.now, test.call, Some(SDP.to_vec()));
        test.transmits();
        assert_eq!(test.bye_places(false), ["UDP 10.0.0.1:5060"], "{method}");
    }
}

/// A re-INVITE that reaches nobody at the Contact reaches the peer at its source, and the call goes on.
#[test]
fn a_reinvite_is_tried_elsewhere_and_a_late_answer_ends_nothing() {
    let mut test = RoutingTest::confirmed(Transport::Udp, "10.0.0.1:5060", "10.0.0.1:5060", "<sip:x@203.0.113.9>");
    test.user_agent.send_reoffer(test.now, test.call, SDP.to_vec()).unwrap();
    let first = test.transmits().pop().unwrap();
    let mut again = None;
    while again.is_none() {
        test.now = test.user_agent.poll_timeout().unwrap();
        test.user_agent.handle_timeout(test.now);
        again = test.transmits().into_iter().find(|sent| place(sent).1 == "UDP 10.0.0.1:5060");
    }
    for sent in [again.unwrap(), first] {
        test.respond(&sent, "200 OK");
        let words: Vec<String> = test.sent().into_iter().map(|sent| sent.0).collect();
        assert_eq!(words, ["ACK"], "no BYE");
    }
    let events: Vec<SipEvent> = std::iter::from_fn(|| test.user_agent.poll_event()).collect();
    assert!(events.iter().any(|event| matches!(event, SipEvent::ReofferAccepted { .. })), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, SipEvent::Ended { .. })), "{events:?}");
}

/// RFC 3261 section 18.2.2.
#[test]
fn a_response_whose_connection_is_gone_goes_to_the_port_in_sent_by() {
    for (transport, sent_by, wanted) in [
        (Transport::Tcp, "10.0.0.1:5999", "TCP 10.0.0.1:41000 else 10.0.0.1:5999"),
        (Transport::Tcp, "pbx.example", "TCP 10.0.0.1:41000 else 10.0.0.1:5060"),
        (Transport::Tls, "pbx.example;alias", "TLS 10.0.0.1:41000 else 10.0.0.1:5061"),
        (Transport::Ws, "x.invalid", "WS 10.0.0.1:41000 open"),
        (Transport::Udp, "10.0.0.1:5999", "UDP 10.0.0.1:41000 open"),
    ] {
        let mut test = RoutingTest::answered(transport, "10.0.0.1:41000", sent_by, "<sip:x@10.0.0.1:5999>");
        let sent = test.transmits();
        let places: Vec<Sent> = sent.iter().map(place).collect();
        assert_eq!(places.last().unwrap(), &("200".to_owned(), wanted.to_owned()));
        let name = sent.last().unwrap().server_name.as_deref();
        assert_eq!(name, (transport == Transport::Tls).then_some("pbx.example"));
        // Repetitions go the same way, and so do those that a repeated INVITE asks for.
        test.now += Duration::from_millis(501);
        test.user_agent.handle_timeout(test.now);
        assert_eq!(test.sent().pop().unwrap().1, wanted);
        let invite = test.invite.clone();
        test.hear(&invite);
        assert_eq!(test.sent().pop().unwrap().1, wanted);
    }
}

/// A proxy that let an INVITE through and did not record its route may not know the dialog: the Contact does.
#[test]
fn a_proxy_that_does_not_know_the_dialog_is_passed_by() {
    for (status, wanted) in [("404 Not here", Some("TCP 10.0.0.9:5060")), ("200 OK", None), ("481 Gone", None)] {
        let contact = "<sip:x@10.0.0.9;transport=tcp>";
        let mut test = RoutingTest::confirmed(Transport::Tcp, "10.0.0.1:41000", "10.0.0.1:5060", contact);
        test.transmits();
        test.user_agent.hang_up(test.now, test.call).unwrap();
        let bye = test.transmits().pop().unwrap();
        assert_eq!(place(&bye).1, "TCP 10.0.0.1:41000 open");
        test.respond(&bye, status);
        assert_eq!(test.sent().pop().map(|sent| sent.1).as_deref(), wanted, "{status}");
    }
}

/// Whoever asks and disconnects must not make us open connections.
#[test]
fn strangers_get_answers_over_their_connection_alone() {
    let mut test = RoutingTest::answered(Transport::Tcp, "10.0.0.1:41000", "10.0.0.1:5999", "<sip:x@10.0.0.1:5999>");
    test.transmits();
    for (method, status) in [("OPTIONS", "200"), ("REGISTER", "405"), ("BYE", "481")] {
        let request = test.invite.replace("INVITE", method).replace("z9hG4bKx", method);
        test.hear(&request);
        assert_eq!(test.sent(), [(status.to_owned(), "TCP 10.0.0.1:41000 open".to_owned())]);
    }
    let addr: SocketAddr = "192.0.2.66:41000".parse().unwrap();
    test.source.addr = addr;
    let invite = test.invite.replace("z9hG4bKx", "z9hG4bKother").replace("CALLID", "other");
    test.hear(&invite);
    assert_eq!(test.sent(), [("403".to_owned(), "TCP 192.0.2.66:41000 open".to_owned())]);
}

/// Calls that we make: the address that the INVITE went to stands in for a Contact that is none.
#[test]
fn the_contact_of_an_answer_is_judged_as_well() {
    for (contact, wanted) in [
        ("<sip:y@0.0.0.0>", &["UDP 127.0.0.9:5060"][..]),
        ("<sip:y@10.255.255.1>", &["UDP 127.0.0.9:5060", "UDP 10.255.255.1:5060"]),
        ("<sip:y@203.0.113.9>", &["UDP 203.0.113.9:5060", "UDP 127.0.0.9:5060"]),
        ("<sip:y@127.0.0.9>", &["UDP 127.0.0.9:5060"]),
    ] {
        let now = Instant::now();
        let mut network = TestNetwork::new(1, PERFECT, trunk("127.0.0.1", None));
        let call = network.dial_with(|invite| invite.request_uri.host = "127.0.0.9".into());
        let (_, invite) = network.lost.pop().unwrap();
        let header = |name: &str| invite.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_owned();
        let answer = format!(
            "SIP/2.0 200 OK\r\nVia:{}\r\nFrom:{}\r\nTo:{};tag=y\r\nCall-ID:{}\r\nCSeq:{}\r\nContact: {contact}\r\n\
             Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
            header("Via:"),
            header("From:"),
            header("To:"),
            header("Call-ID:"),
            header("CSeq:")
        );
        let user_agent = &mut network.sides[0];
        let source = "127.0.0.9:5060".parse().unwrap();
        let acks: Vec<String> = (0..4)
            .flat_map(|_| {
                user_agent.handle_datagram(network.now, source, answer.as_bytes());
                std::iter::from_fn(|| user_agent.poll_transmit()).map(|sent| place(&sent).1).collect::<Vec<_>>()
            })
            .collect();
        let expected: Vec<String> = wanted.iter().cycle().take(4).map(|one| (*one).to_owned()).collect();
        assert_eq!(acks, expected, "{contact}: a repeated answer is acknowledged at the next place");
        let mut test = RoutingTest {
            user_agent: std::mem::replace(user_agent, UserAgent::new(now, config(CALLER, vec![]), [1; 32])),
            now: network.now,
            call,
            tag: String::new(),
            invite: String::new(),
            source: TransportAddress { transport: Transport::Udp, addr: source },
        };
        test.transmits();
        assert_eq!(test.bye_places(false), wanted, "{contact}");
    }
}

/// The connection of a request that has no response is closed: what can go elsewhere does, the rest fails at once.
#[test]
fn a_request_whose_connection_is_lost_goes_elsewhere_at_once() {
    let contact = "<sip:x@10.0.0.1:5999;transport=tcp>";
    let mut test = RoutingTest::confirmed(Transport::Tcp, "10.0.0.1:41000", "10.0.0.1:5999", contact);
    let peer = test.source;
    test.user_agent.hang_up(test.now, test.call).unwrap();
    assert_eq!(test.sent().pop().unwrap().1, "TCP 10.0.0.1:41000 open");
    test.user_agent.handle_last_connection_lost(test.now, peer);
    assert_eq!(test.sent().pop().unwrap().1, "TCP 10.0.0.1:5999");
    let contact = TransportAddress { addr: "10.0.0.1:5999".parse().unwrap(), ..peer };
    test.user_agent.handle_last_connection_lost(test.now, contact);
    assert_eq!(test.sent().pop().unwrap().1, "TCP 10.0.0.1:5999", "over a new connection, once");
    test.user_agent.handle_last_connection_lost(test.now, contact);
    assert_eq!(test.sent().pop().unwrap().1, "TCP 10.0.0.1:41000");
    for _ in 0..2 {
        test.user_agent.handle_last_connection_lost(test.now, peer);
    }
    test.now += Duration::from_secs(1);
    test.user_agent.handle_timeout(test.now);
    assert_eq!(test.user_agent.held_counts().0, 0, "the session is gone with its last request");
}

/// No ACK at all: the session goes with the BYE that nobody answers, wherever that was tried.
#[test]
fn a_call_that_is_never_acknowledged_leaves_no_session() {
    for (transport, contact) in [
        (Transport::Udp, "<sip:x@10.0.0.1:5060>"),
        (Transport::Udp, "<sip:x@203.0.113.9>"),
        (Transport::Tcp, "<sip:x@10.0.0.1:5999;transport=tcp>"),
    ] {
        let mut test = RoutingTest::answered(transport, "10.0.0.1:41000", "10.0.0.1:5999", contact);
        let started = test.now;
        let mut byes = 0;
        while test.user_agent.held_counts().0 > 0 {
            test.now = test.user_agent.poll_timeout().unwrap();
            test.user_agent.handle_timeout(test.now);
            byes += test.sent().iter().filter(|sent| sent.0 == "BYE").count();
        }
        assert!(byes > 0 && test.now - started < Duration::from_secs(32 + 4 + 4 + 33), "{contact}");
        let ends = std::iter::from_fn(|| test.user_agent.poll_event())
            .filter(|event| matches!(event, SipEvent::Ended { cause: EndCause::NotAcknowledged, .. }));
        assert_eq!(ends.count(), 1, "{contact}");
    }
}
