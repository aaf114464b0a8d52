//! Registrations: lost connections, keep-alives, and the way that the registrar wants calls to take.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::{Headers, NameAddr, Uri, parse};
use trunkline_signaling::sip::user_agent::{
    ConnectionChoice, HostCredentials, InviteRequest, NextHop, RegistrationConfig, RegistrationEvent, SipEvent,
    TransmitTarget, Transport, TransportAddress, UserAgent,
};
use trunkline_signaling::stun;

const REGISTRAR: &str = "127.0.0.7:5060";

/// A user agent with one registration, and the registrar.
struct RegistrarTest {
    user_agent: UserAgent,
    now: Instant,
    transport: Transport,
}

/// A message for the registrar, or for another address.
struct Sent {
    bytes: Vec<u8>,
    to: SocketAddr,
    connection: ConnectionChoice,
}

impl Sent {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn header(&self, name: &str) -> String {
        let text = self.text();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().unwrap_or("").to_owned()
    }
}

impl RegistrarTest {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        let mut test = Self { user_agent: UserAgent::new(now, config(CALLER, vec![]), [1; 32]), now, transport };
        let hop = NextHop { host: "127.0.0.7".into(), port: None, transport: Some(transport) };
        let rule = RegistrationConfig {
            id: Arc::from("trunk"),
            aor: Uri::sip(Some("account"), "127.0.0.7", None),
            registrar: Uri::sip(None, "127.0.0.7", None),
            hops: vec![hop],
            transport,
            contact_user: "secret-contact".into(),
            credentials: Some(DigestCredentials { username: "account".into(), password: "pass".into() }),
            expires_s: 600,
        };
        test.user_agent.set_registrations(now, vec![rule]);
        test
    }

    fn sent(&mut self) -> Vec<Sent> {
        let all = std::iter::from_fn(|| self.user_agent.poll_transmit());
        let sent = all.map(|transmit| {
            let TransmitTarget::Addr(to) = transmit.target else { panic!("a name") };
            Sent { bytes: transmit.bytes.to_vec(), to, connection: transmit.connection }
        });
        sent.collect()
    }

    /// Answers the REGISTER that was sent.
    fn grant(&mut self, more: &str) -> Sent {
        let register = self.sent().into_iter().find(|sent| sent.bytes.starts_with(b"REGISTER ")).expect("a REGISTER");
        self.respond(&register, "200 OK", &format!("Expires: 600\r\n{more}"));
        register
    }

    fn respond(&mut self, request: &Sent, status: &str, more: &str) {
        let header = |name| request.header(name);
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=r\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}\
             Content-Length: 0\r\n\r\n",
            header("Via"),
            header("From"),
            header("To"),
            header("Call-ID"),
            header("CSeq")
        );
        self.user_agent.handle_parsed(self.now, self.transport, request.to, parse::datagram(text.as_bytes()));
    }

    fn lose_connection(&mut self) {
        let addr = ([127, 0, 0, 7], self.transport.default_port()).into();
        let peer = TransportAddress { transport: self.transport, addr };
        self.user_agent.handle_connection_lost(self.now, peer);
        self.user_agent.handle_last_connection_lost(self.now, peer);
    }

    /// Lets time pass until something is sent: what, and after how long.
    fn next(&mut self, within_s: u64) -> Option<(Sent, Duration)> {
        let (start, end) = (self.now, self.now + Duration::from_secs(within_s));
        while let Some(at) = self.user_agent.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.user_agent.handle_timeout(self.now);
            if let Some(sent) = self.sent().into_iter().next() {
                return Some((sent, self.now - start));
            }
        }
        self.now = end;
        None
    }

    fn events(&mut self) -> Vec<RegistrationEvent> {
        let all = std::iter::from_fn(|| self.user_agent.poll_event());
        all.filter_map(|event| if let SipEvent::Registration { event, .. } = event { Some(event) } else { None })
            .collect()
    }
}

/// pjsip/pjproject#1044, #1481: calls come over the connection of the registration, so it has to be there.
#[test]
fn a_registration_whose_connection_is_lost_is_renewed_at_once() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut test = RegistrarTest::new(transport);
        test.grant("");
        test.now += Duration::from_secs(1);
        let elsewhere = TransportAddress { transport, addr: "127.0.0.8:5060".parse().unwrap() };
        test.user_agent.handle_connection_lost(test.now, elsewhere);
        assert!(test.next(5).is_none(), "the connection of another peer");
        let mut waits = Vec::new();
        for _ in 0..5 {
            test.lose_connection();
            let (register, wait) = test.next(200).expect("a REGISTER");
            assert!(register.bytes.starts_with(b"REGISTER "));
            waits.push(wait.as_secs());
            test.respond(&register, "200 OK", "Expires: 600\r\n");
        }
        assert!(waits[0] <= 1 && waits.is_sorted() && waits[4] >= 16, "{waits:?}");
        test.now += Duration::from_secs(130);
        test.lose_connection();
        assert!(test.next(200).expect("a REGISTER").1 <= Duration::from_secs(1), "it held for a while");
    }
}

#[test]
fn a_connection_that_is_lost_before_the_answer_is_a_failure() {
    let mut test = RegistrarTest::new(Transport::Tcp);
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert!(test.sent().iter().any(|sent| sent.bytes.starts_with(b"REGISTER ")) || !waits.is_empty());
        test.lose_connection();
        test.lose_connection();
        let events = test.events();
        let [RegistrationEvent::Failed { status: None, retry_in, .. }] = &events[..] else { panic!("{events:?}") };
        waits.push(retry_in.as_secs());
        assert_eq!(test.next(2_000).expect("a REGISTER").1, *retry_in);
    }
    assert!(waits.is_sorted() && waits[0] >= 15 && waits[3] >= 120, "{waits:?}");
}

/// pjsip/pjproject#5033: a NAT forgets an idle connection, and nobody tells us.
#[test]
fn a_connection_over_which_no_registrar_answers_is_closed() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut test = RegistrarTest::new(transport);
        test.grant("");
        while !matches!(test.events()[..], [.., RegistrationEvent::Failed { .. }]) {
            test.next(10);
        }
        let addr = ([127, 0, 0, 7], 5_060).into();
        let wanted = (transport == Transport::Tcp).then_some(TransportAddress { transport, addr });
        assert_eq!(test.user_agent.poll_dead_connection(), wanted);
        assert_eq!(test.user_agent.poll_dead_connection(), None);
    }
}

#[test]
fn a_flow_timer_is_honoured_on_connections() {
    let mut test = RegistrarTest::new(Transport::Tcp);
    test.grant("Flow-Timer: 20\r\n");
    for _ in 0..20 {
        let (ping, wait) = test.next(30).expect("a ping");
        assert_eq!((&ping.bytes[..], ping.connection), (&b"\r\n\r\n"[..], ConnectionChoice::OpenOnly));
        assert!((16..=20).contains(&wait.as_secs()), "{wait:?}");
    }
    let mut plain = RegistrarTest::new(Transport::Tcp);
    plain.grant("");
    assert!(plain.next(500).is_none(), "the connection itself is pinged");
}

fn answer(request: &[u8], port: u16) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0, 12];
    bytes.extend(&request[4..20]);
    bytes.extend([0, 0x20, 0, 8, 0, 1]);
    bytes.extend((port ^ 0x2112).to_be_bytes());
    bytes.extend([127 ^ 0x21, 0x12, 0xA4, 1 ^ 0x42]);
    bytes
}

#[test]
fn a_udp_flow_is_kept_by_stun_and_renewed_when_it_is_lost() {
    let registrar: SocketAddr = REGISTRAR.parse().unwrap();
    let mut test = RegistrarTest::new(Transport::Udp);
    test.grant("Flow-Timer: 20\r\n");
    for port in [5_060, 5_060, 5_060, 40_000] {
        let (request, wait) = test.next(21).expect("a keep-alive");
        assert!(stun::is_message(&request.bytes) && request.to == registrar, "{:?}", request.bytes);
        assert!(wait >= Duration::from_secs(15), "{wait:?}");
        let answer = answer(&request.bytes, port);
        test.user_agent.handle_datagram(test.now, registrar, &answer);
    }
    // The NAT gave us another port: the registrar has to learn it.
    let (register, wait) = test.next(5).expect("a REGISTER");
    assert!(register.bytes.starts_with(b"REGISTER ") && wait <= Duration::from_secs(1), "{wait:?}");
    test.respond(&register, "200 OK", "Expires: 600\r\nFlow-Timer: 20\r\n");
    // Nobody answers any more.
    let (mut requests, mut passed) = (0, Duration::ZERO);
    loop {
        let (sent, wait) = test.next(60).expect("something");
        passed += wait;
        if sent.bytes.starts_with(b"REGISTER ") {
            break;
        }
        requests += 1;
    }
    assert!((5..=7).contains(&requests) && passed < Duration::from_secs(60), "{requests} in {passed:?}");
}

#[test]
fn a_registrar_that_says_nothing_of_keep_alives_gets_line_ends() {
    let mut test = RegistrarTest::new(Transport::Udp);
    test.grant("");
    for _ in 0..10 {
        let (sent, wait) = test.next(30).expect("a keep-alive");
        assert_eq!(sent.text(), "\r\n");
        assert!((23..=29).contains(&wait.as_secs()), "{wait:?}");
    }
}

impl RegistrarTest {
    fn request(&self, change: impl FnOnce(&mut InviteRequest)) -> InviteRequest {
        let uri = Uri::sip(Some("+31201234567"), "127.0.0.7", None);
        let hop = NextHop { host: "127.0.0.7".into(), port: None, transport: Some(self.transport) };
        let credentials = DigestCredentials { username: "account".into(), password: "pass".into() };
        let mut invite = InviteRequest {
            request_uri: uri.clone(),
            from: NameAddr { display: None, uri: Uri::sip(Some("account"), "127.0.0.7", None), params: String::new() },
            to: NameAddr { display: None, uri, params: String::new() },
            hops: vec![hop.clone()],
            transport: self.transport,
            credentials: Some(HostCredentials { credentials, hosts: vec![hop] }),
            sdp: Some(b"v=0\r\n".to_vec()),
            headers: Headers::default(),
            trunk: Some("trunk".into()),
            accept_refer: false,
            extensions: Default::default(),
        };
        change(&mut invite);
        invite
    }

    fn routes(sent: &Sent) -> Vec<String> {
        sent.text().lines().filter_map(|line| line.strip_prefix("Route: ")).map(str::to_owned).collect()
    }
}

/// pjsip/pjproject#400, #3790.
#[test]
fn calls_take_the_way_that_the_registrar_asks_for() {
    let mut test = RegistrarTest::new(Transport::Udp);
    let service_route =
        "Service-Route: <sip:127.0.0.8:5070;lr>, <sip:home.example;lr>\r\nService-Route: <sip:x;lr>\r\n";
    test.grant(service_route);
    let invite = test.request(|_| {});
    test.user_agent.send_invite(test.now, invite).unwrap();
    let sent = test.sent().pop().unwrap();
    let wanted = ["<sip:127.0.0.8:5070;lr>", "<sip:home.example;lr>", "<sip:x;lr>"];
    assert_eq!(RegistrarTest::routes(&sent), wanted);
    assert_eq!(sent.to, "127.0.0.8:5070".parse().unwrap());
    assert!(sent.text().starts_with("INVITE sip:+31201234567@127.0.0.7 "), "{}", sent.text());
    // The home network asks for the account's password there, and gets it.
    test.respond(&sent, "407 Asked", "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n1\"\r\n");
    let again = test.sent().into_iter().find(|sent| sent.bytes.starts_with(b"INVITE ")).expect("another one");
    assert!(!again.header("Proxy-Authorization").is_empty());
    assert_eq!(RegistrarTest::routes(&again), wanted);
    let probe = test.request(|_| {});
    test.user_agent.send_options(test.now, probe).unwrap();
    let sent = test.sent().pop().unwrap();
    assert_eq!((RegistrarTest::routes(&sent).len(), sent.to.port()), (3, 5_070), "{}", sent.text());
    // Another trunk, a proxy of the trunk's own, the address of a URI.
    let proxy = "<sip:sbc.example;lr>";
    let changes: [fn(&mut InviteRequest); 3] = [
        |invite| invite.trunk = Some("other".into()),
        |invite| invite.headers.push(parse_name("Route"), "<sip:sbc.example;lr>"),
        |invite| invite.hops.clear(),
    ];
    for (change, wanted) in changes.into_iter().zip([&[][..], &[proxy], &[]]) {
        let invite = test.request(change);
        test.user_agent.send_invite(test.now, invite).unwrap();
        let sent = test.sent().pop().unwrap();
        assert_eq!(
            (RegistrarTest::routes(&sent), sent.to.port()),
            (wanted.iter().map(|r| (*r).to_owned()).collect(), 5_060)
        );
    }
}

fn parse_name(name: &str) -> trunkline_signaling::sip::message::HeaderName {
    trunkline_signaling::sip::message::HeaderName::parse(name)
}

#[test]
fn each_grant_replaces_the_way_and_a_refusal_ends_it() {
    let mut test = RegistrarTest::new(Transport::Udp);
    let port = |test: &mut RegistrarTest| {
        let invite = test.request(|_| {});
        test.user_agent.send_invite(test.now, invite).unwrap();
        test.sent().pop().unwrap().to.port()
    };
    let refresh = |test: &mut RegistrarTest, status: &str, more: &str| {
        let register = loop {
            let (sent, _) = test.next(2_000).expect("a REGISTER");
            if sent.bytes.starts_with(b"REGISTER ") {
                break sent;
            }
        };
        test.respond(&register, status, more);
    };
    test.grant("Service-Route: <sip:127.0.0.8:5070;lr>\r\n");
    assert_eq!(port(&mut test), 5_070);
    refresh(&mut test, "200 OK", "Service-Route: <sip:127.0.0.8:5080;lr>\r\n");
    assert_eq!(port(&mut test), 5_080);
    refresh(&mut test, "200 OK", "");
    assert_eq!(port(&mut test), 5_060, "dropped with the first grant that names none");
    refresh(&mut test, "200 OK", "Service-Route: nonsense, <sip:127.0.0.8:5090;lr>\r\n");
    assert_eq!(port(&mut test), 5_090);
    refresh(&mut test, "403 Forbidden", "");
    assert_eq!(port(&mut test), 5_060);
}
