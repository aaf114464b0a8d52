//! Rate limits under floods, forged sources and password guessing, in virtual time.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};
use trunkline_signaling::sip::message::HeaderName;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::{Headers, SipMessage};
use trunkline_signaling::sip::user_agent::{SipEvent, TransmitTarget, Transport, UserAgent};

const PHONE: &str = "198.51.100.7:5060";
const CARRIER: &str = "203.0.113.5:5060";
const NONSENSE: &[&[u8]] = &[
    b"garbage\r\n\r\n",
    b"jaK",
    b"\x00",
    b"\r\n\r\n",
    b"",
    b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa", // STUN
    b"INVITE sip:x@h SIP/2.0\r\n\r\n",
    b"INVITE sip:x@h SIP/2.0\r\nVia: \xff\r\nTo: ;tag=\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n",
];

struct UserAgentTest {
    user_agent: UserAgent,
    now: Instant,
    calls: usize,
}

/// An outgoing message: status (0 for a request), its headers and its target.
type SentMessage = (u16, Headers, SocketAddr);

impl UserAgentTest {
    fn new(trunks: &[(&str, &str, Option<&str>)]) -> Self {
        let trunks = trunks.iter().map(|(id, allow, password)| {
            let mut rule = trunk(allow, password.and_then(secret));
            rule.id = (*id).into();
            rule
        });
        let mut config = config(CALLEE, trunks.collect());
        config.calls_max = 1_000;
        let now = Instant::now();
        Self { user_agent: UserAgent::new(now, config, [9; 32]), now, calls: 0 }
    }

    fn sent(&mut self) -> Vec<SentMessage> {
        let mut all = vec![];
        while let Some(transmit) = self.user_agent.poll_transmit() {
            let TransmitTarget::Addr(to) = transmit.target else { continue };
            match parse::datagram(&transmit.bytes) {
                ParsedMessage::Message(SipMessage::Response(response)) => {
                    all.push((response.status, response.headers, to))
                }
                ParsedMessage::Message(SipMessage::Request(request)) => all.push((0, request.headers, to)),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn datagram(&mut self, from: &str, bytes: &[u8]) -> Vec<SentMessage> {
        self.user_agent.handle_datagram(self.now, from.parse().unwrap(), bytes);
        self.sent()
    }

    fn stream(&mut self, from: &str, bytes: &[u8]) -> Vec<SentMessage> {
        let mut framer = Framer::default();
        framer.push(bytes);
        while let Some(Framed::Complete(parsed) | Framed::Unreadable(parsed)) = framer.next() {
            self.user_agent.handle_stream(self.now, Transport::Tcp, from.parse().unwrap(), parsed);
        }
        self.sent()
    }

    fn forge(&mut self, from: &str, bytes: &[u8], times: usize, every: Duration) {
        for _ in 0..times {
            self.datagram(from, bytes);
            self.now += every;
        }
    }

    /// Answers what comes in, and sends every answer on its way.
    fn answer(&mut self) -> Vec<SentMessage> {
        while let Some(event) = self.user_agent.poll_event() {
            if let SipEvent::Incoming(incoming) = event {
                self.user_agent.answer(self.now, incoming.call, b"v=0\r\n".to_vec()).unwrap();
            }
        }
        self.sent()
    }

    fn request(&mut self, method: &str, from: &str, extra: &str) -> String {
        self.calls += 1;
        let n = self.calls;
        request(method, from, n, &format!("<sip:b@{CALLEE}>"), extra)
    }
}

fn request(method: &str, from: &str, call: usize, to: &str, extra: &str) -> String {
    let branch = rand(call, method, extra);
    format!(
        "{method} sip:b@{CALLEE} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{from}>;tag=t{call}\r\nTo: {to}\r\nCall-ID: c{call}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@{from}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

/// A token that differs per message.
fn rand(call: usize, method: &str, extra: &str) -> String {
    let sum = extra.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("{call}{method}{sum:x}")
}

fn authorization(challenge: &Headers, password: &str) -> String {
    let value = challenge.get(&HeaderName::WwwAuthenticate).unwrap();
    let theirs = DigestCredentials { username: "carrier".into(), password: password.into() };
    let mut session = DigestClientSession::new(DigestChallenge::parse(value).unwrap(), "c".into());
    format!("Authorization: {}\r\n", session.authorize(&theirs, "INVITE", &format!("sip:b@{CALLEE}")))
}

/// So many calls at once, as a PBX makes them: every one is challenged first. The statuses they end with.
fn calls_at_once(place: &mut UserAgentTest, from: &str, count: usize) -> Vec<u16> {
    let first = place.calls;
    let challenges: Vec<Headers> = (0..count)
        .map(|_| {
            let invite = place.request("INVITE", from, "");
            let sent = place.datagram(from, invite.as_bytes());
            assert_eq!(sent.first().map(|sent| sent.0), Some(401), "{from} is not challenged");
            sent[0].1.clone()
        })
        .collect();
    for call in first + 1..=first + count {
        let ack = request("ACK", from, call, &format!("<sip:b@{CALLEE}>;tag=x"), "");
        assert!(place.datagram(from, ack.as_bytes()).is_empty());
    }
    let mut statuses = vec![];
    for (n, challenge) in challenges.iter().enumerate() {
        let to = format!("<sip:b@{CALLEE}>");
        let invite = request("INVITE", from, first + n + 1, &to, &authorization(challenge, "s3cret"));
        place.datagram(from, invite.as_bytes());
        statuses.extend(place.answer().iter().map(|sent| sent.0).filter(|status| *status >= 200));
    }
    statuses
}

#[test]
fn a_pbx_that_starts_many_calls_at_once_is_answered_whatever_came_before() {
    for before in NONSENSE {
        for times in [0, 25, 3_000] {
            let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
            place.forge(PHONE, before, times, Duration::ZERO);
            assert_eq!(calls_at_once(&mut place, PHONE, 25), [200; 25], "after {times} of {before:?}");
        }
    }
    for method in ["REGISTER", "OPTIONS", "SUBSCRIBE", "BYE", "FOO", "INVITE", "CANCEL", "ACK"] {
        let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
        for _ in 0..25 {
            let one = place.request(method, PHONE, "");
            place.datagram(PHONE, one.as_bytes());
        }
        assert_eq!(calls_at_once(&mut place, PHONE, 25), [200; 25], "after {method}");
    }
}

/// Of forged calls that could be answered only as many are as one source may begin; who repeats its INVITE, as a phone
/// does after half a second, is among them as soon as the flood ends.
#[test]
fn a_pbx_gets_through_behind_a_flood_of_calls_in_its_name() {
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    let forged = request("INVITE", PHONE, 900, "<sip:b@h>", "");
    place.forge(PHONE, forged.as_bytes(), 3_000, Duration::ZERO);
    let first = place.request("INVITE", PHONE, "");
    assert!(place.datagram(PHONE, first.as_bytes()).is_empty(), "in the same moment there is no room");
    place.now += Duration::from_millis(500);
    assert_eq!(place.datagram(PHONE, first.as_bytes())[0].0, 401);
    place.now += Duration::from_millis(20);
    assert_eq!(calls_at_once(&mut place, PHONE, 20), [200; 20]);
}

/// A phone without a place on a list calls, and talks.
fn talking(place: &mut UserAgentTest) -> (String, String) {
    let to = format!("<sip:b@{CALLEE}>");
    let invite = place.request("INVITE", PHONE, "");
    let challenge = place.datagram(PHONE, invite.as_bytes())[0].1.clone();
    let call = place.calls;
    let invite = request("INVITE", PHONE, call, &to, &authorization(&challenge, "s3cret"));
    place.datagram(PHONE, invite.as_bytes());
    let answered = place.answer();
    let to = answered.iter().find(|sent| sent.0 == 200).unwrap().1.get(&HeaderName::To).unwrap().to_owned();
    let ack = request("ACK", PHONE, call, &to, "");
    place.datagram(PHONE, ack.as_bytes());
    (to.clone(), request("BYE", PHONE, call, &to, "").replace("CSeq: 1", "CSeq: 2"))
}

/// How many of 600 requests in one moment are answered: a stranger has room for 400.
fn heard_at_once(place: &mut UserAgentTest, from: &str) -> usize {
    let mut heard = 0;
    for _ in 0..600 {
        let options = place.request("OPTIONS", from, "");
        heard += usize::from(!place.datagram(from, options.as_bytes()).is_empty());
    }
    heard
}

/// Otherwise an allowed caller could make every source in the world a known one, and so evict the real ones.
#[test]
fn only_returned_tags_create_trust() {
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    let (forged, third) = ("203.0.113.77:5060", "203.0.113.78:5060");
    let invite = place.request("INVITE", PHONE, "");
    let challenge = place.datagram(PHONE, invite.as_bytes())[0].1.clone();
    // Right credentials from where their challenge was not sent to are a call as any other.
    let (call, to) = (place.calls, format!("<sip:b@{CALLEE}>"));
    let invite = request("INVITE", forged, call, &to, &authorization(&challenge, "s3cret"));
    place.datagram(forged, invite.as_bytes());
    let answered = place.answer();
    let to = answered.iter().find(|sent| sent.0 == 200).unwrap().1.get(&HeaderName::To).unwrap().to_owned();
    assert_eq!(heard_at_once(&mut place, forged), 400);
    // An ACK without our tag shows nothing, nor does one from elsewhere. One with it was sent what we sent.
    let branch = |text: &str| text.split("branch=").nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
    let untagged = request("ACK", forged, call, &format!("<sip:b@{CALLEE}>"), "");
    place.datagram(forged, untagged.replace(&branch(&untagged), &branch(&invite)).as_bytes());
    let ack = |from| request("ACK", from, call, &to, "");
    place.datagram(third, ack(third).as_bytes());
    place.now += Duration::from_secs(20);
    assert_eq!((heard_at_once(&mut place, forged), heard_at_once(&mut place, third)), (400, 400));
    let info = request("INFO", forged, call, &to, "").replace("CSeq: 1", "CSeq: 2");
    place.datagram(forged, info.as_bytes());
    assert_eq!(heard_at_once(&mut place, forged), 600);
    // And the phone itself, which answers its own challenge.
    talking(&mut place);
    assert_eq!(heard_at_once(&mut place, PHONE), 600);
}

/// A call whose answer was lost: its INVITE comes again, from a source that nothing else is taken from.
#[test]
fn a_repeated_invite_is_answered_again_in_the_middle_of_a_flood() {
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    let source = "203.0.113.77:5060";
    let invite = place.request("INVITE", PHONE, "");
    let challenge = place.datagram(PHONE, invite.as_bytes())[0].1.clone();
    // Behind a NAT that gives it another address for each request: nothing shows that it is there.
    let to = format!("<sip:b@{CALLEE}>");
    let invite = request("INVITE", source, place.calls, &to, &authorization(&challenge, "s3cret"));
    place.datagram(source, invite.as_bytes());
    assert!(place.answer().iter().any(|sent| sent.0 == 200));
    place.forge(source, request("INVITE", source, 900, &to, "").as_bytes(), 1_000, Duration::ZERO);
    let other = request("INVITE", source, 901, &to, "");
    assert!(place.datagram(source, other.as_bytes()).is_empty(), "there is no room for another one");
    let again = place.datagram(source, invite.as_bytes());
    assert_eq!(again.first().map(|sent| sent.0), Some(200));
}

#[test]
fn forged_flood_does_not_block_victims_calls() {
    for junk in NONSENSE.iter().map(|bytes| bytes.to_vec()).chain([
        request("INVITE", PHONE, 900, "<sip:b@h>", "").into_bytes(),
        request("BYE", PHONE, 900, "<sip:b@h>;tag=1", "").into_bytes(),
        request("INVITE", PHONE, 900, "<sip:b@h>", "Authorization: Digest username=\"carrier\", nonce=\"n\"\r\n")
            .into_bytes(),
    ]) {
        let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
        let (_, bye) = talking(&mut place);
        // The call is longer than a proof of credentials is good for.
        place.now += Duration::from_secs(3 * 3_600);
        place.forge(PHONE, &junk, 5_000, Duration::from_micros(200));
        let answered = place.datagram(PHONE, bye.as_bytes());
        assert_eq!(answered.first().map(|sent| sent.0), Some(200), "after {:?}", String::from_utf8_lossy(&junk));
    }
}

#[test]
fn a_challenge_is_answered_in_the_middle_of_a_forged_flood() {
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    let invite = place.request("INVITE", PHONE, "");
    let challenge = place.datagram(PHONE, invite.as_bytes())[0].1.clone();
    let flood = request("INVITE", PHONE, 900, "<sip:b@h>", "");
    place.forge(PHONE, flood.as_bytes(), 20_000, Duration::from_micros(100));
    let invite = request("INVITE", PHONE, 1, &format!("<sip:b@{CALLEE}>"), &authorization(&challenge, "s3cret"));
    place.datagram(PHONE, invite.as_bytes());
    assert!(place.answer().iter().any(|sent| sent.0 == 200), "right credentials get through");
    // As soon as the flood is over, a call without any of this is challenged as ever.
    place.now += Duration::from_secs(1);
    let invite = place.request("INVITE", "198.51.100.7:5999", "");
    assert_eq!(place.datagram("198.51.100.7:5999", invite.as_bytes())[0].0, 401);
}

#[test]
fn a_listed_carrier_is_served_while_everybody_floods() {
    let mut place = UserAgentTest::new(&[("carrier", "203.0.113.0/24", None), ("phones", "", Some("s3cret"))]);
    let mut answered = 0;
    for n in 0..120_000_u32 {
        let from = match n % 4 {
            0 => format!("[2001:db8:1:2:{:x}:{:x}::1]:5060", n >> 16, n & 0xFFFF), // of one /64
            1 => format!("[2001:db8:9:{:x}::1]:5060", n & 0xFFFF),                 // of one /48
            2 => format!("10.{}.{}.{}:5060", n >> 16, (n >> 8) & 255, n & 255),
            _ => format!("[2001:{:x}:{:x}::1]:5060", 0x1000 + (n >> 16), n & 0xFFFF),
        };
        let flood = request("INVITE", &from, n as usize + 10_000, "<sip:b@h>", "");
        place.user_agent.handle_datagram(place.now, from.parse().unwrap(), flood.as_bytes());
        place.now += Duration::from_micros(20);
        if n % 1_000 == 0 {
            place.sent();
            let invite = place.request("INVITE", CARRIER, "");
            place.datagram(CARRIER, invite.as_bytes());
            answered += place.answer().iter().filter(|sent| sent.0 == 200).count();
        }
    }
    assert_eq!(answered, 120, "every call of the carrier");
    let counters = place.user_agent.counters();
    assert!(counters.rate_limited > 100_000, "{counters:?}");
}

#[test]
fn many_trunks_with_many_networks_are_looked_up_as_fast_as_one() {
    let cost = |trunks: usize| {
        let names: Vec<(String, String)> =
            (0..trunks).map(|n| (format!("t{n}"), format!("100.{}.{}.0/24", n >> 8 & 255, n & 255))).collect();
        let rules: Vec<(&str, &str, Option<&str>)> =
            names.iter().map(|(id, net)| (id.as_str(), net.as_str(), None)).collect();
        let mut place = UserAgentTest::new(&rules);
        let flood = request("OPTIONS", "198.51.100.9:5060", 1, "<sip:b@h>", "");
        place.forge("198.51.100.9:5060", flood.as_bytes(), 500, Duration::ZERO);
        // The least of several runs: the machine has other things to do.
        let once = |place: &mut UserAgentTest| {
            let started = Instant::now();
            (0..2_000)
                .for_each(|_| place.user_agent.handle_datagram(place.now, "198.51.100.9:5060".parse().unwrap(), b"x"));
            started.elapsed()
        };
        (0..5).map(|_| once(&mut place)).min().unwrap()
    };
    let (few, many) = (cost(1), cost(20_000));
    assert!(many < few * 20, "{few:?} with one trunk, {many:?} with 20,000");
}

/// RFC 5626 section 4.4.2: a peer that is known has its STUN keep-alives answered; a stranger may be anybody.
#[test]
fn keep_alives_of_known_peers_are_answered_and_those_of_strangers_cost_nothing() {
    let mut place = UserAgentTest::new(&[("carrier", "203.0.113.0/24", None), ("phones", "", Some("s3cret"))]);
    let request = trunkline_signaling::stun::binding_request([5; 12]);
    for (from, is_answered) in [(CARRIER, true), (PHONE, false)] {
        let source: SocketAddr = from.parse().unwrap();
        for _ in 0..25 {
            place.user_agent.handle_datagram(place.now, source, &request);
            let answer = place.user_agent.poll_transmit();
            let mapped = answer.and_then(|sent| trunkline_signaling::stun::mapped_address(&sent.bytes, [5; 12]));
            assert_eq!(mapped, is_answered.then_some(source), "{from}");
        }
    }
    assert_eq!(calls_at_once(&mut place, PHONE, 25), [200; 25]);
}

#[test]
fn wrong_credentials_are_limited_by_their_own_kind() {
    let to = format!("<sip:b@{CALLEE}>");
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    // Forged ones, which never saw a challenge.
    for n in 0..500 {
        let extra = format!(
            "Authorization: Digest username=\"carrier\", realm=\"trunkline\", nonce=\"{n}\", response=\"0\"\r\n"
        );
        let one = request("INVITE", PHONE, 10_000 + n, &to, &extra);
        place.datagram(PHONE, one.as_bytes());
        place.now += Duration::from_millis(10);
    }
    assert!(place.user_agent.counters().credentials_limited > 100);
    place.now += Duration::from_secs(1);
    assert_eq!(calls_at_once(&mut place, PHONE, 5), [200; 5], "answers to challenges are verified");
    // Real ones, from a client at the phone's address.
    for _ in 0..60 {
        let invite = place.request("INVITE", PHONE, "");
        let sent = place.datagram(PHONE, invite.as_bytes());
        let call = place.calls;
        let wrong = request("INVITE", PHONE, call, &to, &authorization(&sent[0].1, "guess"));
        place.datagram(PHONE, wrong.as_bytes());
    }
    place.now += Duration::from_secs(2);
    assert_eq!(calls_at_once(&mut place, PHONE, 2), [200; 2], "right ones are looked at after a second");
}

#[test]
fn wrong_credentials_over_tcp_are_limited_with_retry_after() {
    let to = format!("<sip:b@{CALLEE}>");
    let mut place = UserAgentTest::new(&[("phones", "", Some("s3cret"))]);
    let mut statuses = vec![];
    for _ in 0..30 {
        let invite = place.request("INVITE", PHONE, "");
        let challenge = place.stream(PHONE, invite.as_bytes())[0].1.clone();
        let call = place.calls;
        let wrong = request("INVITE", PHONE, call, &to, &authorization(&challenge, "guess"));
        statuses.push(place.stream(PHONE, wrong.as_bytes()).remove(0));
    }
    let count = |wanted| statuses.iter().filter(|sent| sent.0 == wanted).count();
    assert_eq!((count(401), count(403)), (20, 10));
    assert_eq!(statuses[29].1.get(&HeaderName::RetryAfter), Some("10"));
    assert_eq!(calls_at_once(&mut place, PHONE, 3), [200; 3], "datagrams from there are another matter");
    place.now += Duration::from_secs(11);
    let invite = place.request("INVITE", PHONE, "");
    let challenge = place.stream(PHONE, invite.as_bytes())[0].1.clone();
    let right = request("INVITE", PHONE, place.calls, &to, &authorization(&challenge, "s3cret"));
    place.stream(PHONE, right.as_bytes());
    assert!(place.answer().iter().any(|sent| sent.0 == 200));
}
