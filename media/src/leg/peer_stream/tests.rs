//! Which of a peer's sources is heard.

use super::*;

const MS: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
fn origin() -> Instant {
    Instant::now()
}

/// A peer with several sources.
struct SourcesTest {
    now: Instant,
    stream: PeerStream,
}

impl SourcesTest {
    fn new() -> Self {
        Self { now: origin(), stream: PeerStream::Awaited }
    }

    fn packet(&mut self, kind: PayloadKind, ssrc: u32, sequence: u16, payload: &[u8]) -> (PacketSource, Option<char>) {
        let timestamp = 160 * u32::from(sequence);
        let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc, payload };
        let source = self.stream.begin_packet(self.now, &packet, kind);
        (source, self.stream.handle_payload(kind, &packet))
    }

    fn say(&mut self, ssrc: u32, sequence: u16) -> PacketSource {
        self.packet(PayloadKind::Audio, ssrc, sequence, &[0; 160]).0
    }

    fn say_all(&mut self, ssrc: u32, count: u16) {
        (0..count).for_each(|n| {
            self.say(ssrc, n);
        });
    }

    fn main(&self) -> u32 {
        self.stream.known_ssrc(None).unwrap()
    }
}

#[test]
fn digits_and_comfort_noise_of_another_source_leave_the_audio_alone() {
    let mut test = SourcesTest::new();
    assert_eq!(test.say(1, 0), PacketSource::First);
    for n in 1..50u16 {
        test.now += 20 * MS;
        assert_eq!(test.say(1, n), PacketSource::Same);
        let event = [5, 10, 0, 160];
        let digit = test.packet(PayloadKind::TelephoneEvent, 2, 700, &event);
        assert_eq!(digit, (PacketSource::Beside, (n == 1).then_some('5')), "one timestamp, one digit");
    }
    assert!(!test.stream.has_in_band_digits());
    assert_eq!(test.packet(PayloadKind::ComfortNoise, 3, 9, &[60]), (PacketSource::Beside, None));
    assert!(test.stream.is_paused());
    assert_eq!((test.say(1, 50), test.main(), test.stream.is_paused()), (PacketSource::Same, 1, false));
}

#[test]
fn audio_is_heard_at_once_where_none_was() {
    for kind in [PayloadKind::TelephoneEvent, PayloadKind::ComfortNoise, PayloadKind::Unknown] {
        let mut test = SourcesTest::new();
        assert_eq!(test.packet(kind, 2, 7, &[5, 10, 0, 160]).0, PacketSource::First);
        assert_eq!((test.say(1, 0), test.main()), (PacketSource::Changed, 1));
        assert_eq!(test.packet(kind, 2, 8, &[5, 10, 0, 160]).0, PacketSource::Beside);
    }
}

#[test]
fn new_source_is_heard_at_once_and_late_packets_of_the_former_are_not() {
    let mut test = SourcesTest::new();
    test.say_all(1, 100);
    assert_eq!(test.say(2, 9_000), PacketSource::Changed);
    for n in 0..50 {
        test.now += 20 * MS;
        assert_eq!(test.say(1, 100 + n), PacketSource::Former, "late, or sent in vain");
        assert_eq!(test.say(2, 9_001 + n), PacketSource::Same);
    }
    test.now += 400 * MS;
    assert_eq!(test.say(1, 99), PacketSource::Former, "a late one, while the other is silent");
    assert_eq!(test.main(), 2);
}

#[test]
fn former_source_returns_when_the_other_is_silent() {
    // Soon: three packets have to go on. Later: the first one is enough.
    for (after_ms, ignored) in [(150u32, 2), (5_000, 0)] {
        let mut test = SourcesTest::new();
        test.say_all(1, 100);
        test.say_all(2, 10);
        test.now += after_ms * MS;
        for n in 0..ignored {
            assert_eq!(test.say(1, 100 + n), PacketSource::Former);
        }
        assert_eq!(test.say(1, 100 + ignored), PacketSource::Changed, "{after_ms} ms");
        assert_eq!(test.say(1, 101 + ignored), PacketSource::Same);
    }
}

#[test]
fn sources_are_bounded_and_the_one_that_is_heard_stays() {
    let mut test = SourcesTest::new();
    test.say(1, 0);
    for ssrc in 100..100_000 {
        test.now += MS;
        test.packet(PayloadKind::TelephoneEvent, ssrc, 0, &[5, 10, 0, 160]);
    }
    let PeerStream::Received(stream) = &test.stream else { panic!("nothing was received") };
    assert_eq!((stream.sources.len(), stream.sources.capacity(), test.main()), (SOURCES_MAX, SOURCES_MAX, 1));
}

#[test]
fn any_source_of_the_peer_is_known() {
    let mut test = SourcesTest::new();
    assert_eq!(test.stream.known_ssrc(Some(1)), None);
    test.say(1, 0);
    test.packet(PayloadKind::TelephoneEvent, 2, 0, &[5, 10, 0, 160]);
    assert_eq!([Some(1), Some(2), Some(3), None].map(|ssrc| test.stream.known_ssrc(ssrc)), [1, 2, 1, 1].map(Some));
}
