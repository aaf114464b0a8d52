//! Which sources are accepted, by rule and packet history.

use super::*;

const MS: Duration = Duration::from_millis(1);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
fn origin() -> Instant {
    Instant::now()
}

/// A latch with its time and a peer's packets.
struct LatchTest {
    now: Instant,
    latch: Latch,
    named: SignalledMedia,
}

fn named(media: &str, signalling: Option<&str>) -> SignalledMedia {
    let media = addr(media);
    SignalledMedia {
        media,
        rtcp: RtcpRoute::Separate(SocketAddr::new(media.ip(), media.port() + 1)),
        signalling: signalling.map(|ip| ip.parse().unwrap()),
        path: PathDiscovery::Latching,
    }
}

impl LatchTest {
    fn new(rule: Latching, named: SignalledMedia) -> Self {
        Self { now: origin(), latch: Latch::new(rule, named), named }
    }

    /// `count` packets of a stream, 20 ms apart; how many are the peer's.
    fn say(&mut self, from: &str, ssrc: u32, first: u16, count: u16) -> usize {
        let accepted = (0..count).filter(|n| {
            self.now += 20 * MS;
            self.latch.accept_packet(self.now, addr(from), StreamPosition { ssrc, sequence: first.wrapping_add(*n) })
        });
        accepted.count()
    }

    fn target(&self) -> String {
        self.latch.target().map_or("nobody".into(), |to| to.to_string())
    }

    fn reports_to(&self) -> String {
        self.latch.rtcp_target().map_or("nobody".into(), |to| to.to_string())
    }
}

const PEER: &str = "198.51.100.7:4000";
const STRANGER: &str = "203.0.113.9:4000";

#[test]
fn unknown_source_is_never_accepted() {
    for rule in [Latching::Off, Latching::SameAddress, Latching::SignallingAddress] {
        let mut bench = LatchTest::new(rule, named(PEER, Some("198.51.100.7")));
        assert_eq!(bench.say(STRANGER, 1, 0, 200), 0, "before the first packet, {rule:?}");
        assert_eq!(bench.target(), PEER);
        assert_eq!(bench.say(PEER, 2, 0, 3), 3);
        assert_eq!(bench.say(STRANGER, 2, 3, 200), 0, "with the stream of the peer, {rule:?}");
        bench.now += 10_000 * MS;
        assert_eq!(bench.say(STRANGER, 2, 3, 200), 0, "after a silence, {rule:?}");
        bench.latch.handle_description(bench.now, bench.named, false);
        assert_eq!(bench.say(STRANGER, 2, 3, 200), 0, "after a description, {rule:?}");
        assert_eq!(bench.target(), PEER);
    }
}

#[test]
fn described_address_takes_the_stream_back_at_once() {
    for (rule, other) in [
        (Latching::Any, STRANGER),
        (Latching::Any, "198.51.100.7:9"),
        (Latching::SameAddress, "198.51.100.7:9"),
        (Latching::SignallingAddress, "192.0.2.3:4000"),
    ] {
        let mut bench = LatchTest::new(rule, named(PEER, Some("192.0.2.3")));
        assert_eq!(bench.say(other, 1, 0, 10), 8, "{rule:?} {other}: two on probation");
        assert_eq!(bench.target(), other);
        assert_eq!(bench.say(PEER, 2, 0, 1), 1);
        assert_eq!(bench.target(), PEER, "{rule:?} {other}");
        assert_eq!(bench.say(other, 1, 10, 100), 0);
        assert_eq!(bench.target(), PEER);
    }
}

#[test]
fn higher_rank_takes_over_and_equal_rank_waits() {
    // Behind a NAT: a stranger, another host behind the same NAT, the peer with the port it described.
    let mut bench = LatchTest::new(Latching::Any, named("192.168.1.5:4000", Some("198.51.100.7")));
    bench.say(STRANGER, 1, 0, 5);
    assert_eq!(bench.target(), STRANGER);
    bench.say("198.51.100.7:7000", 2, 0, 3);
    assert_eq!(bench.target(), "198.51.100.7:7000");
    assert_eq!(bench.say("198.51.100.7:7001", 3, 0, 20), 0, "the same claim");
    assert_eq!(bench.say("198.51.100.7:7000", 2, 3, 1), 1);
    bench.say(PEER, 4, 0, 3);
    assert_eq!(bench.target(), PEER, "the port of the description");
    bench.say("192.168.1.5:4000", 5, 0, 1);
    assert_eq!(bench.target(), "192.168.1.5:4000", "the description itself");
}

#[test]
fn phone_behind_nat_is_reached_at_signalling_address() {
    for inside in ["192.168.1.5:4000", "10.0.0.1:4000", "100.64.0.1:4000", "169.254.1.1:4000", "127.0.0.1:4000"] {
        let mut bench = LatchTest::new(Latching::default(), named(inside, Some("198.51.100.7")));
        assert_eq!(bench.target(), "198.51.100.7:4000", "not into our own network: {inside}");
        assert_eq!(bench.reports_to(), "nobody");
        assert_eq!(bench.say("198.51.100.7:61234", 1, 0, 10), 8);
        assert_eq!(bench.target(), "198.51.100.7:61234");
        assert_eq!(bench.say("198.51.100.8:61234", 1, 10, 10), 0);
        let mut off = LatchTest::new(Latching::Off, named(inside, Some("198.51.100.7")));
        assert_eq!((off.target(), off.say("198.51.100.7:4000", 1, 0, 10)), (inside.to_owned(), 0));
    }
    // Two hosts in one network are not behind a NAT.
    let bench = LatchTest::new(Latching::default(), named("10.0.0.5:4000", Some("10.0.0.4")));
    assert_eq!((bench.target(), bench.reports_to()), ("10.0.0.5:4000".into(), "10.0.0.5:4001".into()));
    // IPv6, and IPv4 that looks like it.
    let mut bench = LatchTest::new(Latching::default(), named("[fd00::5]:4000", Some("2001:db8::7")));
    assert_eq!(bench.target(), "[2001:db8::7]:4000");
    assert_eq!(bench.say("[2001:db8::7]:5000", 1, 0, 3), 1);
    let mut bench = LatchTest::new(Latching::default(), named("10.0.0.5:4000", Some("::ffff:198.51.100.7")));
    assert_eq!(bench.say("[::ffff:198.51.100.7]:5000", 1, 0, 3), 1);
    assert_eq!(bench.target(), "198.51.100.7:5000");
}

#[test]
fn probation_requires_one_stream_in_sequence() {
    let other = "198.51.100.7:9";
    let fresh = || LatchTest::new(Latching::SameAddress, named(PEER, None));
    for (why, marks) in [
        ("a source each", [(1, 0), (2, 1), (3, 2), (4, 3)]),
        ("the same packet", [(1, 7), (1, 7), (1, 7), (1, 7)]),
        ("backwards", [(1, 9), (1, 8), (1, 7), (1, 6)]),
        ("anywhere", [(1, 0), (1, 20_000), (1, 40_000), (1, 60_000)]),
    ] {
        let mut bench = fresh();
        assert_eq!(marks.iter().map(|(ssrc, n)| bench.say(other, *ssrc, *n, 1)).sum::<usize>(), 0, "{why}");
        assert_eq!(bench.target(), PEER, "{why}");
    }
    let mut bench = fresh();
    bench.say(other, 1, 0, 2);
    bench.now += 2_000 * MS;
    assert_eq!(bench.say(other, 1, 2, 1), 0, "after a pause it starts again");
    // Others beside it do not keep it from passing.
    let mut bench = fresh();
    let mut passed = 0;
    for n in 0..4u16 {
        for port in 10..13 {
            bench.say(&format!("198.51.100.7:{port}"), port, n.wrapping_mul(30_000), 1);
        }
        passed += bench.say(other, 1, n, 1);
    }
    assert_eq!((passed, bench.target().as_str()), (2, other));
}

#[test]
fn same_stream_from_another_port_after_silence_is_followed() {
    for first in [PEER, "198.51.100.7:5000"] {
        let started = |silence_ms: u32| {
            let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
            bench.say(first, 7, 65_500, 100);
            bench.now += silence_ms * MS;
            bench
        };
        let mut bench = started(2_000);
        assert_eq!(bench.say("198.51.100.7:4020", 7, 65_500u16.wrapping_add(100), 5), 5, "after {first}");
        assert_eq!(bench.target(), "198.51.100.7:4020");
        assert_eq!(bench.say(PEER, 7, 100, 1), 1, "and the named one wins it back");
        assert_eq!(bench.target(), PEER);
        let next = 65_500u16.wrapping_add(100);
        assert_eq!(started(500).say("198.51.100.7:4020", 7, next, 5), 0, "too early");
        assert_eq!(started(2_000).say("198.51.100.7:4020", 8, next, 50), 0, "another stream");
        assert_eq!(started(2_000).say("198.51.100.7:4020", 7, next.wrapping_add(9_000), 50), 0, "far ahead");
        assert_eq!(started(2_000).say("198.51.100.7:4020", 7, next.wrapping_sub(50), 40), 0, "already received");
        assert_eq!(started(2_000).say("198.51.100.8:4020", 7, next, 50), 0, "another address");
        let mut strict = LatchTest::new(Latching::Off, named(PEER, None));
        strict.say(PEER, 7, 0, 10);
        strict.now += 2_000 * MS;
        assert_eq!(strict.say("198.51.100.7:4020", 7, 10, 50), 0, "off");
    }
}

#[test]
fn any_stream_of_the_peer_may_go_on_from_another_port() {
    for goes_on in [7, 8] {
        let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
        for n in 0..50 {
            bench.say(PEER, 7, n, 1);
            bench.say(PEER, 8, 30_000 + n, 1); // digits with an SSRC of their own
        }
        bench.now += 1_100 * MS;
        let first = if goes_on == 7 { 50 } else { 30_050 };
        assert_eq!(bench.say("198.51.100.7:4020", goes_on, first, 5), 5, "{goes_on}");
        assert_eq!(bench.target(), "198.51.100.7:4020");
    }
}

#[test]
fn stream_goes_on_from_another_known_address_after_silence() {
    let started = |rule| {
        let mut bench = LatchTest::new(rule, named(PEER, Some("192.0.2.3")));
        bench.say(PEER, 7, 0, 50);
        bench.now += 1_100 * MS;
        bench
    };
    let mut bench = started(Latching::default());
    assert_eq!(bench.say(STRANGER, 7, 50, 50), 0, "nobody knows it");
    assert_eq!(bench.say("192.0.2.3:9000", 7, 50, 5), 5, "the signalling's");
    assert_eq!(bench.target(), "192.0.2.3:9000");
    assert_eq!(started(Latching::SameAddress).say("192.0.2.3:9000", 7, 50, 50), 0);
    assert_eq!(started(Latching::Any).say(STRANGER, 7, 50, 5), 5);
    assert_eq!(started(Latching::Any).say(STRANGER, 8, 50, 50), 0, "another stream");
}

#[test]
fn reports_move_with_the_media_and_alone() {
    let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
    let report =
        |bench: &mut LatchTest, from: &str| bench.latch.accept_rtcp(bench.now, addr(from), false, Some(7), Some(7));
    bench.say(PEER, 7, 0, 50);
    assert!(report(&mut bench, "198.51.100.7:4001"));
    assert!(!report(&mut bench, "198.51.100.7:4021"), "the described port reports");
    bench.now += 1_100 * MS;
    bench.say("198.51.100.7:4020", 7, 50, 5);
    assert!(report(&mut bench, "198.51.100.7:4021"), "the media has moved");
    assert_eq!(bench.reports_to(), "198.51.100.7:4021");
    let mut alone = LatchTest::new(Latching::default(), named(PEER, None));
    alone.say(PEER, 7, 0, 50);
    assert!(report(&mut alone, "198.51.100.7:4001"));
    alone.now += 16_000 * MS;
    assert!(report(&mut alone, "198.51.100.7:4021"), "three reports are missing");
    assert!(!report(&mut alone, "203.0.113.9:4021"));
}

#[test]
fn new_description_allows_another_source_and_stream() {
    for first in [PEER, "198.51.100.7:5000"] {
        let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
        bench.say(first, 7, 0, 100);
        bench.now += 5_000 * MS; // hold
        bench.latch.handle_description(bench.now, bench.named, false);
        assert_eq!(bench.say("198.51.100.7:4020", 9, 30_000, 10), 8, "after {first}");
        assert_eq!(bench.target(), "198.51.100.7:4020");
        assert_eq!(bench.say("198.51.100.7:4021", 10, 0, 50), 0, "but no other source");
    }
}

#[test]
fn session_refresh_keeps_the_source() {
    let mut bench = LatchTest::new(Latching::default(), named("192.168.1.5:4000", Some("198.51.100.7")));
    bench.say("198.51.100.7:61234", 1, 0, 10);
    bench.latch.handle_description(bench.now, bench.named, false);
    assert_eq!(bench.target(), "198.51.100.7:61234");
    for n in 0..50 {
        assert_eq!(bench.say("198.51.100.7:61234", 1, 10 + n, 1), 1);
        assert_eq!(bench.say("198.51.100.7:9", 2, n, 1), 0);
    }
}

#[test]
fn late_packets_of_former_source_are_ignored() {
    let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
    bench.say(PEER, 7, 0, 10);
    bench.latch.handle_description(bench.now, named("198.51.100.7:4020", None), false);
    assert_eq!(bench.target(), "198.51.100.7:4020");
    assert_eq!(bench.say(PEER, 7, 10, 10), 0);
    assert_eq!(bench.target(), "198.51.100.7:4020");
    assert_eq!(bench.say("198.51.100.7:4020", 7, 20, 1), 1);
    // A source that the new description does not allow is unknown from now on.
    bench.latch.handle_description(bench.now, named("203.0.113.1:4000", None), false);
    bench.now += 5_000 * MS;
    assert_eq!(bench.say("198.51.100.7:4020", 7, 21, 100), 0);
}

#[test]
fn hold_by_zero_address_keeps_the_source() {
    let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
    bench.say("198.51.100.7:61234", 7, 0, 10);
    bench.latch.handle_description(bench.now, named("0.0.0.0:4000", None), false);
    assert_eq!(bench.say("198.51.100.7:61234", 7, 10, 10), 10, "music on hold");
    bench.latch.handle_description(bench.now, bench.named, false);
    assert_eq!(bench.target(), "198.51.100.7:61234");
}

#[test]
fn never_sends_to_unspecified_or_multicast() {
    for nobody in
        ["0.0.0.0:4000", "[::]:4000", "224.0.0.5:4000", "255.255.255.255:4000", "[ff02::1]:4000", "198.51.100.7:0"]
    {
        let bench = LatchTest::new(
            Latching::default(),
            SignalledMedia { rtcp: RtcpRoute::Separate(addr(nobody)), media: addr(nobody), ..named(PEER, None) },
        );
        assert_eq!((bench.target(), bench.reports_to()), ("nobody".into(), "nobody".into()), "{nobody}");
    }
}

#[test]
fn authentic_packets_are_followed_from_any_address() {
    let mark = |sequence| StreamPosition { ssrc: 7, sequence };
    let mut bench = LatchTest::new(Latching::SameAddress, named(PEER, None));
    bench.latch.handle_authentic_packet(bench.now, addr(STRANGER), mark(0));
    assert_eq!(bench.target(), STRANGER, "the first proof");
    for n in 1..4 {
        assert_eq!(bench.target(), STRANGER);
        bench.latch.handle_authentic_packet(bench.now, addr("203.0.113.77:5"), mark(n));
    }
    assert_eq!(bench.target(), "203.0.113.77:5", "and the next, once it keeps coming");
    bench.latch.handle_authentic_packet(bench.now, addr(PEER), mark(4));
    assert_eq!(bench.target(), PEER);
    let mut strict = LatchTest::new(Latching::Off, named(PEER, None));
    for n in 0..10 {
        strict.latch.handle_authentic_packet(strict.now, addr(STRANGER), mark(n));
    }
    assert_eq!(strict.target(), PEER);
}

#[test]
fn rtcp_follows_the_media_source() {
    let known = Some(7);
    let mut bench = LatchTest::new(Latching::default(), named(PEER, None));
    let reports = |bench: &mut LatchTest, from: &str, ssrc| {
        bench.latch.accept_rtcp(bench.now, addr(from), false, Some(ssrc), known)
    };
    assert_eq!(bench.reports_to(), "198.51.100.7:4001");
    assert!(!reports(&mut bench, STRANGER, 7) && !reports(&mut bench, "203.0.113.9:4001", 7));
    assert!(!reports(&mut bench, "198.51.100.7:9", 7), "nothing of the stream was heard");
    bench.say("198.51.100.7:61234", 7, 0, 5);
    assert!(!reports(&mut bench, "198.51.100.7:61235", 8), "of another source");
    assert!(reports(&mut bench, "198.51.100.7:61235", 7));
    assert_eq!(bench.reports_to(), "198.51.100.7:61235");
    assert!(reports(&mut bench, "198.51.100.7:4001", 7), "the named one wins back");
    assert_eq!(bench.reports_to(), "198.51.100.7:4001");
    assert!(!reports(&mut bench, "198.51.100.7:61235", 7));
    // On the port of the media only the source of the media reports.
    assert!(bench.latch.accept_rtcp(bench.now, addr("198.51.100.7:61234"), true, Some(7), known));
    assert!(!bench.latch.accept_rtcp(bench.now, addr("198.51.100.7:61236"), true, Some(7), known));
    // Behind a NAT, the target of reports is unknown until a report has arrived.
    let mut bench = LatchTest::new(Latching::default(), named("10.0.0.5:4000", Some("198.51.100.7")));
    bench.say("198.51.100.7:61234", 7, 0, 5);
    assert_eq!(bench.reports_to(), "nobody");
    assert!(reports(&mut bench, "198.51.100.7:50000", 7));
    assert_eq!(bench.reports_to(), "198.51.100.7:50000");
    let mut one_port =
        LatchTest::new(Latching::default(), SignalledMedia { rtcp: RtcpRoute::Muxed, ..named(PEER, None) });
    one_port.say("198.51.100.7:61234", 7, 0, 5);
    assert_eq!(one_port.reports_to(), "198.51.100.7:61234");
}

#[test]
fn ice_nominated_path_decides() {
    let mut bench =
        LatchTest::new(Latching::Any, SignalledMedia { path: PathDiscovery::Ice, ..named(PEER, Some("198.51.100.7")) });
    assert_eq!(bench.say("198.51.100.7:9", 1, 0, 20), 0, "no check has come from there");
    bench.latch.add_valid_path(addr("203.0.113.50:1000"));
    assert_eq!(bench.say("203.0.113.50:1000", 1, 0, 3), 1);
    bench.latch.nominate(addr("203.0.113.51:1000"));
    assert_eq!(bench.target(), "203.0.113.51:1000");
    for other in ["203.0.113.50:1000", PEER, "198.51.100.7:9"] {
        assert_eq!(bench.say(other, 1, 3, 20), 0, "{other}");
    }
    assert_eq!(bench.say("203.0.113.51:1000", 1, 3, 20), 20);
    bench.latch.handle_description(
        bench.now,
        SignalledMedia { path: PathDiscovery::Ice, ..named("203.0.113.99:4000", None) },
        true,
    );
    assert_eq!(bench.target(), "203.0.113.51:1000", "until another one is chosen");
}

#[test]
fn ice_restart_keeps_the_path_until_another_is_chosen() {
    for described in [PEER, "203.0.113.60:4000"] {
        let ice = SignalledMedia { path: PathDiscovery::Ice, ..named(PEER, Some("198.51.100.7")) };
        let mut bench = LatchTest::new(Latching::default(), ice);
        let (old, new) = ("203.0.113.51:1000", "203.0.113.52:2000");
        bench.latch.nominate(addr(old));
        bench.say(old, 1, 0, 10);
        bench.latch.handle_description(
            bench.now,
            SignalledMedia { path: PathDiscovery::Ice, ..named(described, Some("198.51.100.7")) },
            false,
        );
        assert_eq!((bench.say(old, 1, 10, 10), bench.target().as_str()), (10, old), "no gap");
        assert_eq!(bench.say(new, 1, 20, 5), 0, "not checked");
        bench.latch.add_valid_path(addr(new));
        assert_eq!(bench.target(), old, "not chosen");
        bench.latch.nominate(addr(new));
        assert_eq!((bench.target().as_str(), bench.say(new, 1, 20, 10)), (new, 10));
        assert_eq!(bench.say(old, 1, 30, 10), 0);
    }
}

#[test]
fn ice_paths_of_one_peer_are_bounded() {
    let mut bench = LatchTest::new(Latching::Any, SignalledMedia { path: PathDiscovery::Ice, ..named(PEER, None) });
    let path = |port| SocketAddr::new(addr(PEER).ip(), port);
    (1..=100).for_each(|port| bench.latch.add_valid_path(path(port)));
    let known: Vec<u16> = (1..=100).filter(|port| bench.latch.source_rank(path(*port)).is_some()).collect();
    assert_eq!(known, (93..=100).collect::<Vec<u16>>());
}

#[test]
fn latching_names_round_trip() {
    for rule in Latching::ALL {
        assert_eq!(Latching::parse(rule.name()), Some(rule));
    }
    assert_eq!(Latching::parse("none"), None);
}
