//! A peer with several SSRCs: digits and comfort noise beside the audio, and audio that changes its source. Reports as a
//! sign of life.

use crate::line::{MS, PEER, config};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::opus::Opus;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::FRAME_SAMPLES;
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, PortKind, RtcpRoute, StreamConfig};
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::rtp::rtcp;

/// A leg whose peer sends packets of several sources.
struct SourcesLine {
    start: Instant,
    now: Instant,
    leg: Leg,
    digits: String,
    heard: usize,
    lost: bool,
    sent: Vec<Vec<u8>>,
    reports: Vec<Vec<u8>>,
}

impl SourcesLine {
    fn new(stream: StreamConfig) -> Self {
        let start = Instant::now();
        let base = config(start, Companding::MuLaw);
        let leg = Leg::new(start, LegConfig { stream, analysis: AnalysisConfig::Off, ..base });
        let (sent, reports) = (vec![], vec![]);
        Self { start, now: start, leg, digits: String::new(), heard: 0, lost: false, sent, reports }
    }

    fn pcmu() -> Self {
        Self::new(config(Instant::now(), Companding::MuLaw).stream)
    }

    fn opus() -> Self {
        let stream = StreamConfig {
            codec: Codec::Opus,
            payload_type: 111,
            payload_type_in: 111,
            telephone_event: Some(110),
            telephone_event_clock_hz: 48_000,
            telephone_event_in: Some(110),
            ..config(Instant::now(), Companding::MuLaw).stream
        };
        Self::new(stream)
    }

    fn send(&mut self, payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) {
        let packet = RtpPacket { payload_type, marker: false, sequence, timestamp, ssrc, payload };
        let mut bytes = vec![0; 12 + payload.len()];
        packet.write(&mut bytes).unwrap();
        self.leg.handle_rtp(self.now, PEER.parse().unwrap(), &bytes);
    }

    fn audio(&mut self, ssrc: u32, n: u16) {
        self.send(0, ssrc, n, u32::from(n) * 160 + ssrc * 70_000, &[0x20; 160]);
    }

    /// One packet of the key 5.
    fn event(&mut self, payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, duration: u16, end: bool) {
        let [high, low] = duration.to_be_bytes();
        self.send(payload_type, ssrc, sequence, timestamp, &[5, u8::from(end) << 7 | 10, high, low]);
    }

    fn pass(&mut self, ms: u32) {
        for _ in 0..ms / 2 {
            self.now += 2 * MS;
            while self.leg.due(self.now) <= self.now {
                let due = self.leg.due(self.now);
                let (sent, reports) = (&mut self.sent, &mut self.reports);
                self.leg.tick(self.now, due, &mut |port, _, bytes| match port {
                    PortKind::Rtp => sent.push(bytes.to_vec()),
                    PortKind::Rtcp => reports.push(bytes.to_vec()),
                });
            }
            while let Some(event) = self.leg.poll_event() {
                match event {
                    LegEvent::DtmfReceived { digit } => self.digits.push(digit),
                    LegEvent::Audio { .. } => self.heard += FRAME_SAMPLES,
                    LegEvent::NetworkLost => self.lost = true,
                    LegEvent::RecordingBlock { block } => self.leg.recycle(block),
                    _ => {}
                }
            }
        }
    }

    fn passed(&self) -> usize {
        (self.now - self.start).as_millis() as usize * 8
    }
}

#[test]
fn digits_with_their_own_source_are_heard_once_beside_the_audio() {
    for (scale, payload_type) in [(1u32, 101u8), (2, 101), (6, 101)] {
        let mut line = SourcesLine::pcmu();
        for n in 0..100u16 {
            line.audio(1, n);
            // Three keys of nine packets.
            let (key, of_key) = (n / 20, n % 20);
            if (1..4).contains(&key) && of_key < 9 {
                let duration = (u32::from(of_key.min(6) + 1) * 160 * scale) as u16;
                let timestamp = 5 + u32::from(key) * 6_400 * scale;
                line.event(payload_type, 2, 40_000 + key * 9 + of_key, timestamp, duration, of_key >= 6);
            }
            line.pass(20);
        }
        let stats = line.leg.stats();
        assert_eq!(line.digits, "555", "a clock of {scale} times 8 kHz");
        assert_eq!(
            (stats.packets_lost, stats.packets_late, stats.concealed_ms, stats.packets_ignored),
            (0, 0, 0, 0),
            "the audio goes on"
        );
        assert_eq!(line.heard, line.passed(), "every sample");
    }
}

#[test]
fn each_digit_may_have_a_source_of_its_own() {
    let mut line = SourcesLine::pcmu();
    for n in 0..400u16 {
        line.audio(1, n);
        if n % 20 < 8 {
            let key = u32::from(n / 20);
            line.event(101, 100 + key, n % 20, 77, 160 * (n % 20 + 1), n % 20 >= 5);
        }
        line.pass(20);
    }
    assert_eq!(line.digits, "5".repeat(20));
    assert_eq!((line.heard, line.leg.stats().packets_late), (line.passed(), 0));
}

#[test]
fn digits_beside_opus_have_any_clock() {
    let (mut line, mut encoder) = (SourcesLine::opus(), Opus::new().unwrap());
    for n in 0..100u16 {
        let frame: [i16; FRAME_SAMPLES] = std::array::from_fn(|i| ((i as f32 * 0.3).sin() * 9_000.0) as i16);
        let mut buffer = [0; FRAME_SAMPLES];
        let payload = encoder.encode(&frame, &mut buffer).unwrap().to_vec();
        line.send(111, 1, n, u32::from(n) * 960, &payload);
        if (20..30).contains(&n) {
            line.event(110, 2, n, 4_000_000_000, 160 * (n - 19), n > 26); // at 8 kHz
        }
        line.pass(20);
    }
    assert_eq!((line.digits.as_str(), line.leg.stats().packets_late), ("5", 0));
}

#[test]
fn comfort_noise_of_another_source_announces_the_pause() {
    let mut line = SourcesLine::pcmu();
    for n in 0..50 {
        line.audio(1, n);
        line.pass(20);
    }
    line.send(13, 3, 9, 123, &[60]);
    line.pass(2_000);
    for n in 150..200 {
        line.audio(1, n - 100);
        line.pass(20);
    }
    let stats = line.leg.stats();
    assert_eq!((stats.packets_lost, stats.concealed_ms), (0, 0));
    assert!(line.heard.abs_diff(line.passed()) <= 800, "{} of {}", line.heard, line.passed());
}

#[test]
fn late_packet_of_the_former_source_does_not_turn_the_stream_back() {
    let mut line = SourcesLine::pcmu();
    for n in 0..50 {
        line.audio(1, n);
        line.pass(20);
    }
    for n in 0..50 {
        line.audio(2, n);
        if [0, 1, 2, 7].contains(&n) {
            line.audio(1, 50 + n);
        }
        line.pass(20);
    }
    let stats = line.leg.stats();
    assert_eq!((stats.packets_ignored, stats.packets_late, stats.packets_lost), (4, 0, 0));
    assert_eq!(line.heard, line.passed());
}

#[test]
fn packets_held_for_a_missing_one_are_heard_when_the_source_changes() {
    let mut line = SourcesLine::pcmu();
    for n in (0..50).chain(51..53) {
        line.audio(1, n);
        line.pass(if n < 50 { 20 } else { 2 });
    }
    line.audio(2, 0);
    line.pass(2);
    // 50 that came, one concealed, two that were held, and the first of the other.
    assert_eq!(line.heard, 54 * FRAME_SAMPLES);
}

#[test]
fn each_source_is_reported_by_its_own_packets() {
    let mut line = SourcesLine::pcmu();
    let sender_report = |ssrc: u32, ntp: u8| {
        let mut bytes = vec![0x80, 200, 0, 6];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend([0, 0, ntp, ntp, ntp, ntp, 0, 0]);
        bytes.extend([0; 12]);
        bytes
    };
    let rtcp_port: SocketAddr = "127.0.0.1:4001".parse().unwrap();
    for n in 0..1_000u16 {
        // One in ten is lost; the digits' sequence has nothing to do with it.
        if n % 10 != 3 {
            line.audio(1, n.wrapping_add(65_000));
        }
        if n % 50 < 5 {
            line.event(101, 2, 30_000 + n, u32::from(n) * 160, 160, false);
        }
        if n % 100 == 0 {
            line.leg.handle_rtcp(line.now, rtcp_port, &sender_report(1, 7));
            line.leg.handle_rtcp(line.now, rtcp_port, &sender_report(2, 9));
        }
        line.pass(20);
    }
    let report = line.reports.last().unwrap();
    let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().unwrap());
    assert_eq!(word(28), 1, "about the audio");
    let (fraction, lost, highest) = (report[32], word(32) & 0xff_ffff, word(36));
    assert!((22..=30).contains(&fraction), "{fraction} of 256");
    // The last report is up to 7.5 s old.
    assert!((60..=100).contains(&lost), "{lost} of 1,000");
    assert!(highest >> 16 == 1 && (60..=464).contains(&(highest & 0xffff)), "{highest:x}");
    assert_eq!(word(44), 0x0707_0707, "the audio's own report");
}

#[test]
fn reports_are_a_sign_of_life_and_a_goodbye_is_none() {
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let goodbye = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 1];
    let rtcp_port: SocketAddr = "127.0.0.1:4001".parse().unwrap();
    for (bytes, is_lost) in [(&report[..], false), (&goodbye[..], true)] {
        let mut line = SourcesLine::pcmu();
        line.audio(1, 0);
        for _ in 0..10 {
            line.pass(5_000);
            line.leg.handle_rtcp(line.now, rtcp_port, bytes);
        }
        assert_eq!(line.lost, is_lost, "muted for {:?}", Duration::from_secs(50));
    }
    let mut stranger = SourcesLine::pcmu();
    stranger.audio(1, 0);
    for _ in 0..10 {
        stranger.pass(5_000);
        stranger.leg.handle_rtcp(stranger.now, "203.0.113.5:4001".parse().unwrap(), &report);
    }
    assert!(stranger.lost, "nobody knows it");
}

/// Timestamp, marker, duration and end of the events that were sent.
fn events(line: &SourcesLine, payload_type: u8) -> Vec<(u32, bool, u16, bool)> {
    let packets = line.sent.iter().map(|bytes| RtpPacket::parse(bytes).unwrap());
    let of_events = packets.filter(|packet| packet.payload_type == payload_type);
    let event = |packet: RtpPacket<'_>| {
        let duration = u16::from_be_bytes([packet.payload[2], packet.payload[3]]);
        (packet.timestamp, packet.marker, duration, packet.payload[1] & 0x80 != 0)
    };
    of_events.map(event).collect()
}

#[test]
fn sent_digits_last_as_long_on_every_clock() {
    for (mut line, payload_type, scale) in [(SourcesLine::pcmu(), 101, 1u16), (SourcesLine::opus(), 110, 6)] {
        line.pass(200);
        line.leg.send_dtmf("55");
        line.pass(1_000);
        let events = events(&line, payload_type);
        let durations: Vec<u16> = events.iter().map(|event| event.2 / scale).collect();
        let one = [160, 320, 480, 640, 800, 800, 800];
        assert_eq!(durations, [one, one].concat());
        assert_eq!(events.iter().filter(|event| event.1).count(), 2);
        assert_eq!(events.iter().filter(|event| event.3).count(), 6);
        // The second digit begins ten frames after the first: 100 ms, two repetitions, 60 ms of pause.
        let step = events[7].0.wrapping_sub(events[0].0);
        assert!(step >= 1_280 * u32::from(scale) && step <= 1_760 * u32::from(scale), "{step}");
        assert!(events[..7].iter().all(|event| event.0 == events[0].0));
        // A report tells the time of the same clock.
        line.pass(5_000);
        let report = line.reports.last().unwrap();
        let told = u32::from_be_bytes(report[16..20].try_into().unwrap());
        let passed = told.wrapping_sub(events[0].0) / 8 / u32::from(scale);
        assert!((1_000..=6_200).contains(&passed), "{passed} ms after the digit");
        assert!(rtcp::sender_ssrc(report).is_some());
    }
}

#[test]
fn digits_beside_opus_have_the_clock_that_the_peer_takes() {
    let stream = StreamConfig { telephone_event_clock_hz: 8_000, ..SourcesLine::opus().leg.stream() };
    let mut line = SourcesLine::new(stream);
    line.leg.send_dtmf("5");
    line.pass(400);
    let durations: Vec<u16> = events(&line, 110).iter().map(|event| event.2).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
}

#[test]
fn digits_that_we_send_are_digits_that_we_hear() {
    for (mut from, mut to) in [(SourcesLine::pcmu(), SourcesLine::pcmu()), (SourcesLine::opus(), SourcesLine::opus())] {
        from.leg.send_dtmf("1155*#");
        for _ in 0..200 {
            from.pass(10);
            for bytes in std::mem::take(&mut from.sent) {
                to.leg.handle_rtp(to.now, PEER.parse().unwrap(), &bytes);
            }
            to.pass(10);
        }
        assert_eq!(to.digits, "1155*#");
    }
}

#[test]
fn packets_that_are_not_heard_are_counted() {
    let mut line = SourcesLine::pcmu();
    for n in 0..10 {
        line.audio(1, n);
        line.pass(20);
    }
    line.send(77, 1, 10, 1_600, &[1; 160]); // no such payload type
    line.send(0, 1, 11, 1_760, &[1; 2_401]); // more than 300 ms
    line.pass(20);
    assert_eq!(line.leg.stats().packets_ignored, 2);
}

#[test]
fn another_codec_in_the_call_ends_the_old_timeline() {
    let mut line = SourcesLine::pcmu();
    let opus = SourcesLine::opus().leg.stream();
    for n in (0..50).chain(51..53) {
        line.audio(1, n);
        line.pass(20);
    }
    line.leg.renegotiate(line.now, opus);
    let mut encoder = Opus::new().unwrap();
    for n in 53..150u16 {
        let frame: [i16; FRAME_SAMPLES] = std::array::from_fn(|i| ((i as f32 * 0.3).sin() * 9_000.0) as i16);
        let mut buffer = [0; FRAME_SAMPLES];
        let payload = encoder.encode(&frame, &mut buffer).unwrap().to_vec();
        line.send(111, 1, n, 9_000_000 + u32::from(n) * 960, &payload);
        line.pass(20);
    }
    assert!(line.heard.abs_diff(line.passed()) <= 1_600, "{} of {}", line.heard, line.passed());
    assert_eq!(line.leg.stats().packets_late, 0);
}

/// A report without an address waits for one: the peer learns of our stream when it is heard of, not an interval later.
#[test]
fn a_report_that_was_due_is_sent_when_there_is_an_address() {
    let base = config(Instant::now(), Companding::MuLaw).stream;
    // Both are known by what comes: the first by its audio, the second, behind a NAT, by its own reports.
    let signalling = Some("203.0.113.5".parse().unwrap());
    let muxed = StreamConfig { rtcp: RtcpRoute::Muxed, remote: "0.0.0.0:4000".parse().unwrap(), signalling, ..base };
    let behind_nat = StreamConfig {
        rtcp: RtcpRoute::Separate("192.168.1.7:4001".parse().unwrap()),
        remote: "192.168.1.7:4000".parse().unwrap(),
        signalling,
        ..base
    };
    for stream in [muxed, behind_nat] {
        let mut line = SourcesLine::new(stream);
        let is_report = |bytes: &Vec<u8>| bytes.get(1).is_some_and(|kind| (200..205).contains(kind));
        let reports = |line: &SourcesLine| line.reports.len() + line.sent.iter().filter(|one| is_report(one)).count();
        line.pass(60_000);
        assert_eq!(reports(&line), 0, "nobody is known");
        for n in 0..20u16 {
            let timestamp = u32::from(n) * 160;
            let packet =
                RtpPacket { payload_type: 0, marker: false, sequence: n, timestamp, ssrc: 1, payload: &[0x20; 160] };
            let mut bytes = vec![0; 172];
            packet.write(&mut bytes).unwrap();
            line.leg.handle_rtp(line.now, "203.0.113.5:7000".parse().unwrap(), &bytes);
            line.pass(20);
        }
        if matches!(stream.rtcp, RtcpRoute::Separate(_)) {
            assert_eq!(reports(&line), 0, "where its reports go is not known");
            let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
            line.leg.handle_rtcp(line.now, "203.0.113.5:7001".parse().unwrap(), &report);
            line.pass(40);
        }
        assert_eq!(reports(&line), 1, "{:?}", stream.rtcp);
        line.pass(2_000);
        assert_eq!(reports(&line), 1, "the next one has its interval");
    }
}
