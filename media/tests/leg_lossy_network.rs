//! One leg in virtual time on a lossy network: caller audio arrives, agent audio is sent on time, and barge-in works.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::{Latching, Leg, LegConfig, LegEvent, PortKind, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;

const PEER: &str = "127.0.0.1:4000";
const MS: Duration = Duration::from_millis(1);

struct Rng(u64);

impl Rng {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A peer that speaks a script of samples in 20 ms packets over a bad line, and a leg.
struct LossyLine {
    start: Instant,
    now: Instant,
    leg: Leg,
    companding: Companding,
    rng: Rng,
    /// Chance in a thousand that a burst of three packets is lost.
    burst_loss_permille: u64,
    jitter_ms: u64,
    lost_left: u32,
    flying: Vec<(Instant, Vec<u8>)>,
    sequence: u16,
    timestamp: u32,
    sent: Vec<(Instant, Vec<u8>)>,
    events: Vec<LegEvent>,
    noise: u64,
}

fn config(now: Instant, companding: Companding) -> LegConfig {
    let remote: SocketAddr = PEER.parse().unwrap();
    LegConfig {
        stream: StreamConfig {
            codec: Codec::G711(companding),
            payload_type: if companding == Companding::MuLaw { 0 } else { 8 },
            payload_type_in: if companding == Companding::MuLaw { 0 } else { 8 },
            remote_rtcp: "127.0.0.1:4001".parse().unwrap(),
            ..StreamConfig::pcmu(remote)
        },
        latching: Latching::default(),
        ssrc: 7,
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 1_000,
        clock: NtpClock { origin: now, ntp_origin: 0 },
        cname: "test".into(),
        vad: vad::VadConfig::default(),
        barge_in: barge_in::BargeInConfig::default(),
        network_timeout: Duration::from_secs(10),
        record: true,
        deliver_audio: true,
        start_spurt_immediately: true,
        detect_voice: true,
        detect_tones: false,
        ambience: None,
    }
}

impl LossyLine {
    fn new(companding: Companding) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            leg: Leg::new(now, config(now, companding)),
            companding,
            rng: Rng(42),
            burst_loss_permille: 0,
            jitter_ms: 0,
            lost_left: 0,
            flying: vec![],
            sequence: 65_500,
            timestamp: u32::MAX - 5_000,
            sent: vec![],
            events: vec![],
            noise: 1,
        }
    }

    fn send_packet(&mut self, payload_type: u8, payload: &[u8]) {
        let packet = RtpPacket {
            payload_type,
            marker: false,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: 9,
            payload,
        };
        let mut buffer = [0; 400];
        let len = packet.write(&mut buffer).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        if self.lost_left > 0 || self.rng.roll(1_000) < self.burst_loss_permille {
            self.lost_left = if self.lost_left > 0 { self.lost_left - 1 } else { 2 };
            return;
        }
        let delay = 5 + self.rng.roll(self.jitter_ms + 1);
        self.flying.push((self.now + delay as u32 * MS, buffer[..len].to_vec()));
    }

    /// The peer speaks; silence is low noise, as on a real line.
    fn speak(&mut self, samples: &[i16]) {
        for frame in samples.chunks(FRAME_SAMPLES) {
            let mut codes = [self.companding.silence(); FRAME_SAMPLES];
            for (index, code) in codes.iter_mut().enumerate() {
                self.noise = self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = ((self.noise >> 40) % 33) as i16 - 16;
                *code = self.companding.encode(frame.get(index).copied().unwrap_or(0).saturating_add(noise));
            }
            self.send_packet(if self.companding == Companding::MuLaw { 0 } else { 8 }, &codes);
            self.timestamp = self.timestamp.wrapping_add(160);
            self.pass(20);
        }
    }

    fn silence_ms(&mut self, ms: usize) {
        self.speak(&vec![0; ms * 8]);
    }

    fn pass(&mut self, ms: u32) {
        let end = self.now + ms * MS;
        let peer: SocketAddr = PEER.parse().unwrap();
        while self.now < end {
            self.now += 2 * MS;
            let now = self.now;
            let (arrived, flying) = std::mem::take(&mut self.flying).into_iter().partition(|(at, _)| *at <= now);
            self.flying = flying;
            let mut arrived: Vec<(Instant, Vec<u8>)> = arrived;
            arrived.sort_by_key(|(at, _)| *at);
            for (_, bytes) in arrived {
                self.leg.handle_rtp(now, peer, &bytes);
            }
            loop {
                let due = self.leg.due(now);
                if due > now {
                    break;
                }
                let sent = &mut self.sent;
                self.leg.tick(now, due, &mut |port, _, bytes| {
                    if port == PortKind::Rtp {
                        sent.push((now, bytes.to_vec()));
                    }
                });
            }
            while let Some(event) = self.leg.poll_event() {
                self.events.push(event);
            }
        }
    }

    /// Everything the leg handed to STT.
    fn heard(&self) -> Vec<i16> {
        let mut samples = vec![];
        for event in &self.events {
            if let LegEvent::Audio { codes, .. } = event {
                samples.extend(codes.iter().map(|code| self.companding.decode(*code)));
            }
        }
        samples
    }

    /// Frames of sound the leg sent, with when.
    fn voiced(&self) -> Vec<Instant> {
        let loud = |bytes: &[u8]| {
            let packet = RtpPacket::parse(bytes).unwrap();
            let samples: Vec<i16> = packet.payload.iter().map(|c| self.companding.decode(*c)).collect();
            packet.payload_type < 96 && level_dbfs(&samples) > -40.0
        };
        self.sent.iter().filter(|(_, bytes)| loud(bytes)).map(|(at, _)| *at).collect()
    }

    fn ms(&self, at: Instant) -> u128 {
        at.duration_since(self.start).as_millis()
    }
}

fn fixture(name: &str) -> Vec<i16> {
    let path = format!("{}/../fixtures/audio/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    hound::WavReader::open(path).unwrap().samples::<i16>().map(Result::unwrap).collect()
}

fn segment(response_id: u32, index: u32) -> SegmentId {
    SegmentId { response_id, index }
}

#[test]
fn what_the_caller_says_arrives_bit_exact_on_a_good_line() {
    for companding in [Companding::MuLaw, Companding::ALaw] {
        let mut link = LossyLine::new(companding);
        let speech = fixture("hello");
        link.noise = 0;
        link.speak(&speech);
        link.pass(40);
        let heard = link.heard();
        let sent: Vec<i16> = heard.iter().map(|s| companding.decode(companding.encode(*s))).collect();
        assert_eq!(heard, sent);
        assert_eq!(heard.len(), speech.len().div_ceil(160) * 160);
    }
}

#[test]
fn speech_keeps_its_length_and_level_on_a_line_with_loss_and_jitter() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.burst_loss_permille = 10;
    link.jitter_ms = 60;
    let speech = fixture("where_is_my_order");
    for _ in 0..10 {
        link.speak(&speech);
    }
    link.pass(300);
    let heard = link.heard();
    let wanted = (speech.len() * 10) as i64;
    assert!((heard.len() as i64 - wanted).abs() < 4_000, "{} of {wanted} samples", heard.len());
    assert!((level_dbfs(&heard) - level_dbfs(&speech)).abs() < 1.0);
    let stats = link.leg.stats();
    assert!(stats.packets_lost > 10 && stats.packets_reordered > 10 && stats.concealed_ms > 200, "{stats:?}");
}

#[test]
fn speech_starts_and_ends_are_found_within_a_tenth_of_a_second() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(1_000);
    let began = link.now;
    link.speak(&fixture("order_number"));
    let ended = link.now;
    link.silence_ms(1_000);
    let starts: Vec<Instant> = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::SpeechStarted { at } = e { Some(*at) } else { None })
        .collect();
    let ends: Vec<Instant> = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::SpeechEnded { last_sound } = e { Some(*last_sound) } else { None })
        .collect();
    let (first, last) = (starts[0], *ends.last().unwrap());
    assert!(link.ms(first).abs_diff(link.ms(began)) < 120, "start {} began {}", link.ms(first), link.ms(began));
    assert!(link.ms(last).abs_diff(link.ms(ended)) < 150, "end {} ended {}", link.ms(last), link.ms(ended));
}

#[test]
fn line_noise_is_not_speech() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(20_000);
    assert!(!link.events.iter().any(|e| matches!(e, LegEvent::SpeechStarted { .. })));
}

#[test]
fn agent_speech_leaves_in_the_next_slot_and_then_every_20_ms() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(206);
    let asked = link.now;
    link.leg.play(segment(1, 0), fixture("opening_hours"), true);
    link.silence_ms(4_000);
    let voiced = link.voiced();
    assert!(voiced[0] - asked <= 24 * MS, "first sound after {:?}", voiced[0] - asked);
    let spurt: Vec<&(Instant, Vec<u8>)> = link.sent.iter().filter(|(at, _)| *at > asked).collect();
    assert!(spurt[0].0 - asked <= 2 * MS && RtpPacket::parse(&spurt[0].1).unwrap().marker);
    let frames = fixture("opening_hours").len().div_ceil(160);
    assert!(spurt[..frames].windows(2).all(|pair| pair[1].0 - pair[0].0 == 20 * MS));
    let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
    assert!(packets.windows(2).all(|p| p[1].sequence == p[0].sequence.wrapping_add(1)));
    assert!(packets.windows(2).all(|p| p[1].timestamp == p[0].timestamp.wrapping_add(160)));
}

#[test]
fn caller_talks_over_greeting_on_lossy_line() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.burst_loss_permille = 10;
    link.jitter_ms = 10;
    let greeting: Vec<i16> = (0..6).flat_map(|_| fixture("opening_hours")).collect();
    link.leg.play(segment(1, 0), greeting, true);
    link.silence_ms(1_500);
    let began = link.now;
    link.speak(&fixture("speak_to_human"));
    link.silence_ms(500);
    let last = *link.voiced().last().unwrap();
    assert!(last - began <= 300 * MS, "agent went on for {:?}", last - began);
    let flushed = link.events.iter().find_map(|event| match event {
        LegEvent::PlayoutFlushed { barge_in, heard, .. } => Some((*barge_in, heard.clone())),
        _ => None,
    });
    let (barge_in, heard) = flushed.unwrap();
    assert!(barge_in && !heard[0].complete);
    let held =
        link.events.iter().find_map(|e| if let LegEvent::PlayoutPaused { at, .. } = e { Some(*at) } else { None });
    let at = held.unwrap();
    let sent_ms = heard[0].sent_samples / 8;
    assert!(u128::from(sent_ms).abs_diff(link.ms(at)) <= 60, "heard {sent_ms} ms at {} ms", link.ms(at));
    // What arrives of the interrupted reply afterwards is never heard.
    link.leg.play(segment(1, 1), fixture("opening_hours"), true);
    let before = link.voiced().len();
    link.silence_ms(1_000);
    assert_eq!(link.voiced().len(), before);
}

/// Simulates an echoing room: our audio returns delayed and attenuated, mixed with the peer's speech.
fn in_a_room(link: &mut LossyLine, words: &[i16], ms: usize, delay_ms: u32, level_db: f32) {
    let gain = 10f32.powf(level_db / 20.0);
    for step in 0..ms / 20 {
        let then = link.now.checked_sub(delay_ms * MS).unwrap_or(link.now);
        let from = link.sent.iter().rposition(|(at, _)| *at <= then);
        let packet = from
            .and_then(|at| RtpPacket::parse(&link.sent[at].1))
            .filter(|packet| packet.payload.len() == FRAME_SAMPLES);
        let echo: Vec<i16> = packet.map_or_else(
            || vec![0; FRAME_SAMPLES],
            |packet| {
                packet.payload.iter().map(|code| (f32::from(link.companding.decode(*code)) * gain) as i16).collect()
            },
        );
        let said = words.get(step * FRAME_SAMPLES..).unwrap_or(&[]);
        let both: Vec<i16> =
            echo.iter().enumerate().map(|(n, e)| e.saturating_add(*said.get(n).unwrap_or(&0))).collect();
        link.speak(&both);
    }
}

fn held(link: &LossyLine) -> usize {
    link.events.iter().filter(|event| matches!(event, LegEvent::PlayoutPaused { .. })).count()
}

#[test]
fn cough_pauses_agent_without_losing_words() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let speech: Vec<i16> = (0..3).flat_map(|_| fixture("opening_hours")).collect();
    link.leg.play(segment(1, 0), speech.clone(), true);
    link.silence_ms(700);
    let began = link.now;
    link.speak(&fixture("yes_correct")[..2_400]);
    link.silence_ms(400);
    assert_eq!(held(&link), 1);
    let last = *link.voiced().last().unwrap();
    assert!(last - began <= 200 * MS, "the agent spoke on for {:?}", last - began);
    assert!(!link.events.iter().any(|event| matches!(event, LegEvent::PlayoutFlushed { .. })));
    link.leg.resume();
    link.silence_ms(speech.len() / 8 + 500);
    let finished = link.events.iter().find_map(|event| match event {
        LegEvent::SegmentFinished { heard, .. } => Some(*heard),
        _ => None,
    });
    assert_eq!(finished.map(|heard| (heard.sent_samples, heard.complete)), Some((speech.len() as u64, true)));
}

#[test]
fn speakerphone_echo_does_not_barge_in() {
    let speech: Vec<i16> = (0..4).flat_map(|_| fixture("opening_hours")).collect();
    for (delay_ms, level_db) in [(40, -15.0), (180, -15.0), (460, -15.0), (200, -25.0), (240, -9.0)] {
        let mut link = LossyLine::new(Companding::MuLaw);
        link.leg.play(segment(1, 0), speech.clone(), true);
        in_a_room(&mut link, &[], speech.len() / 8 + 1_000, delay_ms, level_db);
        // Louder than any echo is held to be, it may hold the agent once, until its path is known.
        let allowed = usize::from(level_db > -12.0);
        assert!(held(&link) <= allowed, "echo after {delay_ms} ms at {level_db} dB");
        assert!(!link.events.iter().any(|event| matches!(event, LegEvent::PlayoutFlushed { .. })));
        if allowed > 0 {
            continue;
        }
        let path = link.leg.stats().echo.unwrap_or_else(|| panic!("no path at {delay_ms} ms {level_db} dB"));
        assert!(path.delay_ms.abs_diff(delay_ms) <= 60, "{path:?} of {delay_ms} ms");
        assert!((path.level_db - level_db).abs() < 7.0, "{path:?} of {level_db} dB");
    }
}

#[test]
fn caller_interrupts_through_the_echo_of_the_agent() {
    let speech: Vec<i16> = (0..6).flat_map(|_| fixture("opening_hours")).collect();
    let mut link = LossyLine::new(Companding::ALaw);
    link.leg.play(segment(1, 0), speech, true);
    in_a_room(&mut link, &[], 4_000, 180, -15.0);
    let began = link.now;
    let words: Vec<i16> = [fixture("wait_stop"), fixture("speak_to_human")].concat();
    in_a_room(&mut link, &words, 3_000, 180, -15.0);
    let last = *link.voiced().last().unwrap();
    assert!(last - began <= 400 * MS, "the agent spoke on for {:?}", last - began);
    assert!(link.events.iter().any(|event| matches!(event, LegEvent::PlayoutFlushed { barge_in: true, .. })));
}

#[test]
fn uninterruptible_response_is_not_interrupted() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.leg.set_uninterruptible(1);
    link.leg.play(segment(1, 0), (0..4).flat_map(|_| fixture("opening_hours")).collect(), true);
    link.silence_ms(500);
    link.speak(&fixture("speak_to_human"));
    link.silence_ms(300);
    assert_eq!(held(&link), 0);
    assert!(!link.events.iter().any(|event| matches!(event, LegEvent::PlayoutFlushed { .. })));
}

#[test]
fn in_band_dtmf_arrives_once_and_does_not_barge_in() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.leg.play(segment(1, 0), (0..2).flat_map(|_| fixture("opening_hours")).collect(), true);
    link.silence_ms(400);
    for (row, column) in [(770.0, 1_336.0), (941.0, 1_477.0)] {
        let tone = |hz: f64, n: usize| (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin() * 5_000.0;
        link.speak(&(0..1_200).map(|n| (tone(row, n) + tone(column, n)) as i16).collect::<Vec<_>>());
        link.silence_ms(200);
    }
    let digits: String = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::DtmfReceived { digit } = e { Some(*digit) } else { None })
        .collect();
    assert_eq!((digits.as_str(), held(&link)), ("5#", 0));
}

#[test]
fn a_short_click_does_not_interrupt() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.leg.play(segment(1, 0), fixture("opening_hours"), true);
    link.silence_ms(500);
    link.speak(&[20_000; 320]);
    link.silence_ms(2_000);
    assert!(!link.events.iter().any(|e| matches!(e, LegEvent::PlayoutFlushed { .. } | LegEvent::PlayoutPaused { .. })));
}

#[test]
fn digits_arrive_without_marker_and_leave_as_events() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(100);
    for digit in [4u8, 2, 11] {
        for (duration, end) in [(160u16, 0u8), (320, 0), (480, 0x80), (480, 0x80)] {
            let [high, low] = duration.to_be_bytes();
            link.send_packet(101, &[digit, end | 10, high, low]);
            link.pass(20);
        }
        link.timestamp = link.timestamp.wrapping_add(640);
    }
    link.leg.send_dtmf("1#x9");
    link.silence_ms(1_000);
    let digits: String = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::DtmfReceived { digit } = e { Some(*digit) } else { None })
        .collect();
    assert_eq!(digits, "42#");
    let events: Vec<u8> = link
        .sent
        .iter()
        .map(|(_, bytes)| RtpPacket::parse(bytes).unwrap())
        .filter(|p| p.payload_type == 101 && p.marker)
        .map(|p| p.payload[0])
        .collect();
    assert_eq!(events, [1, 11, 9]);
    assert!(link.events.contains(&LegEvent::DtmfSent));
}

#[test]
fn a_third_party_cannot_take_the_stream_over() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(200);
    let before = link.heard().len();
    let thief: SocketAddr = "127.0.0.66:4000".parse().unwrap();
    let mut targets = vec![];
    for n in 0..50u16 {
        let packet =
            RtpPacket { payload_type: 0, marker: true, sequence: n, timestamp: 0, ssrc: 9, payload: &[0; 160] };
        let mut buffer = [0; 200];
        let len = packet.write(&mut buffer).unwrap();
        link.leg.handle_rtp(link.now, thief, &buffer[..len]);
    }
    let (now, due) = (link.now, link.leg.due(link.now));
    link.leg.tick(now, due, &mut |_, to, _| targets.push(to));
    assert_eq!(targets[0], PEER.parse::<SocketAddr>().unwrap());
    assert_eq!(link.heard().len(), before);
    assert_eq!(link.leg.stats().packets_ignored, 50);
}

#[test]
fn a_peer_behind_nat_is_followed_after_three_packets() {
    let now = Instant::now();
    let stream = StreamConfig {
        remote: "192.168.1.5:4000".parse().unwrap(),
        signalling: Some("198.51.100.7".parse().unwrap()),
        ..config(now, Companding::MuLaw).stream
    };
    let mut leg = Leg::new(now, LegConfig { stream, ..config(now, Companding::MuLaw) });
    let nat: SocketAddr = "198.51.100.7:9999".parse().unwrap();
    let mut targets = vec![];
    for n in 0..5u16 {
        leg.handle_rtp(now, nat, &sound(n, 9));
    }
    leg.tick(now, now, &mut |_, to, _| targets.push(to));
    assert_eq!(targets, [nat]);
    assert_eq!((leg.stats().packets_received, leg.stats().packets_ignored), (3, 2));
}

/// A packet of PCMU.
fn sound(sequence: u16, ssrc: u32) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    let packet = RtpPacket { payload_type: 0, marker: false, sequence, timestamp, ssrc, payload: &[0x20; 160] };
    let mut buffer = vec![0; 172];
    packet.write(&mut buffer).unwrap();
    buffer
}

/// A packet of one digit.
fn key(sequence: u16, ssrc: u32) -> Vec<u8> {
    let packet = RtpPacket { payload_type: 101, marker: true, sequence, timestamp: 0, ssrc, payload: &[5, 10, 0, 160] };
    let mut buffer = vec![0; 16];
    packet.write(&mut buffer).unwrap();
    buffer
}

#[test]
fn unknown_sources_are_ignored_before_first_packet() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    let peer: SocketAddr = PEER.parse().unwrap();
    let (mut at, mut targets) = (now, vec![]);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    for n in 0..100u16 {
        at += 20 * MS;
        for stranger in ["127.0.0.8:4000", "127.0.0.9:4001", "203.0.113.1:9"] {
            let stranger = stranger.parse().unwrap();
            leg.handle_rtp(at, stranger, &sound(n, 1));
            leg.handle_rtp(at, stranger, &key(n, 1));
            leg.handle_rtp(at, stranger, &report);
            leg.handle_rtcp(at, stranger, &report);
        }
        if n >= 50 {
            leg.handle_rtp(at, peer, &sound(n, 2));
        }
        let due = leg.due(at);
        leg.tick(at, due, &mut |_, to, _| targets.push(to));
    }
    assert!(targets.len() >= 100 && targets.iter().all(|to| to.ip() == peer.ip()), "{targets:?}");
    let stats = leg.stats();
    assert_eq!((stats.packets_received, stats.packets_lost, stats.packets_late), (50, 0, 0));
    let mut heard = 0;
    while let Some(event) = leg.poll_event() {
        assert!(!matches!(event, LegEvent::DtmfReceived { .. }));
        heard += usize::from(matches!(event, LegEvent::Audio { .. }));
    }
    assert!((48..=52).contains(&heard), "{heard} frames");
}

#[test]
fn timestamp_jumps_and_floods_are_limited() {
    for jump in [160u32, 15_999, 1 << 31, u32::MAX - 5, 0] {
        let now = Instant::now();
        let mut leg = Leg::new(now, config(now, Companding::MuLaw));
        let (mut timestamp, mut at, mut frames) = (0u32, now, 0);
        for n in 0..20_000u32 {
            // Sixteen thousand packets a second.
            at = now + n * MS / 16;
            let packet = RtpPacket {
                payload_type: 0,
                marker: false,
                sequence: n as u16,
                timestamp,
                ssrc: 3,
                payload: &[1; 160],
            };
            let mut buffer = [0; 172];
            packet.write(&mut buffer).unwrap();
            leg.handle_rtp(at, PEER.parse().unwrap(), &buffer);
            timestamp = timestamp.wrapping_add(jump);
            while let Some(event) = leg.poll_event() {
                frames += usize::from(matches!(event, LegEvent::Audio { .. }));
            }
        }
        let (real, burst) = ((at - now).as_millis() as usize / 20, 500);
        assert!(frames <= burst + real * 2, "{frames} frames in {:?} at a jump of {jump}", at - now);
    }
}

#[test]
fn source_flood_does_not_grow_leg() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    for ssrc in 0..100_000u32 {
        leg.handle_rtp(now + ssrc * MS / 50, PEER.parse().unwrap(), &sound(ssrc as u16, ssrc));
        leg.handle_rtp(now + ssrc * MS / 50, "127.0.0.1:9".parse().unwrap(), &sound(ssrc as u16, ssrc));
    }
    assert!(leg.stats().packets_received == 100_000);
    let mut events = 0;
    while leg.poll_event().is_some() {
        events += 1;
    }
    assert!(events <= 256, "{events}");
}

#[test]
fn packets_of_200_ms_are_accepted_and_longer_counted() {
    let now = Instant::now();
    let mut leg = Leg::new(now, config(now, Companding::MuLaw));
    let mut heard = 0;
    for (n, len) in [1_024usize, 1_600, 0, 1_601, 160].into_iter().enumerate() {
        let payload = vec![0x20; len];
        let packet = RtpPacket {
            payload_type: 0,
            marker: false,
            sequence: n as u16,
            timestamp: [0, 1_024, 2_624, 2_624, 2_624][n],
            ssrc: 3,
            payload: &payload,
        };
        let mut buffer = vec![0; 12 + len];
        packet.write(&mut buffer).unwrap();
        leg.handle_rtp(now + n as u32 * 200 * MS, PEER.parse().unwrap(), &buffer);
        while let Some(event) = leg.poll_event() {
            heard += usize::from(matches!(event, LegEvent::Audio { .. })) * FRAME_SAMPLES;
        }
    }
    assert_eq!(heard, (1_024 + 1_600 + 160) / FRAME_SAMPLES * FRAME_SAMPLES);
    assert_eq!(leg.stats().packets_ignored, 1);
}

#[test]
fn a_silent_network_is_reported_once_and_not_while_on_hold() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(100);
    link.pass(9_900);
    assert!(!link.events.contains(&LegEvent::NetworkLost));
    link.pass(10_000);
    assert_eq!(link.events.iter().filter(|e| **e == LegEvent::NetworkLost).count(), 1);
    let mut held = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig { receiving: false, sending: false, ..config(held.now, Companding::MuLaw).stream };
    held.leg.renegotiate(held.now, stream);
    held.pass(30_000);
    assert!(held.sent.is_empty() && !held.events.contains(&LegEvent::NetworkLost));
}

#[test]
fn recording_keeps_both_channels_aligned() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(400);
    link.leg.play(segment(1, 0), fixture("hello"), true);
    link.silence_ms(3_000);
    link.speak(&fixture("yes_correct"));
    link.silence_ms(1_000);
    let now = link.now;
    link.leg.close(now, &mut |_, _, _| {});
    while let Some(event) = link.leg.poll_event() {
        link.events.push(event);
    }
    let mut pairs = vec![];
    for event in &link.events {
        if let LegEvent::RecordingBlock { block } = event {
            pairs.extend(block.chunks(2).map(|p| (p[0], p[1])));
        }
    }
    let level = |side: fn(&(i16, i16)) -> i16, from_ms: usize, to_ms: usize| {
        level_dbfs(&pairs[from_ms * 8..to_ms * 8].iter().map(side).collect::<Vec<_>>())
    };
    let total_ms = link.now.duration_since(link.start).as_millis() as usize;
    assert!(pairs.len().abs_diff(total_ms * 8) < 1_000, "{} samples in {total_ms} ms", pairs.len());
    let speech_ms = fixture("hello").len() / 8;
    assert!(level(|p| p.1, 400, 400 + speech_ms) > -30.0 && level(|p| p.0, 400, 400 + speech_ms) < -60.0);
    assert!(level(|p| p.1, 3_450, 4_400) < -60.0 && level(|p| p.0, 3_450, 4_400) > -30.0);
}

#[test]
fn packets_have_the_length_the_peer_asked_for() {
    for (ptime_ms, companding) in [
        (10u16, Companding::MuLaw),
        (30, Companding::ALaw),
        (40, Companding::MuLaw),
        (50, Companding::ALaw),
        (60, Companding::MuLaw),
    ] {
        let mut link = LossyLine::new(companding);
        let stream = StreamConfig { ptime_ms, ..config(link.now, companding).stream };
        link.leg.renegotiate(link.now, stream);
        let words = fixture("hello");
        link.leg.play(segment(1, 0), words.clone(), true);
        for _ in 0..150 {
            link.pass(20);
        }
        let bytes = usize::from(ptime_ms) * 8;
        let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
        assert!(packets.iter().all(|packet| packet.payload.len() == bytes), "{ptime_ms} ms");
        for pair in packets.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), bytes as u32, "{ptime_ms} ms");
            assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
        }
        // Every sample of the words leaves, in order.
        let sent: Vec<i16> =
            packets.iter().flat_map(|packet| packet.payload.iter().map(|c| companding.decode(*c))).collect();
        let coded: Vec<i16> =
            words[800..words.len() - 800].iter().map(|s| companding.decode(companding.encode(*s))).collect();
        assert!(sent.windows(coded.len()).any(|window| window == coded), "{ptime_ms} ms");
        assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1, "{ptime_ms} ms: one talk spurt");
    }
}

#[test]
fn no_sample_is_lost_when_the_packet_length_changes() {
    for every_ms in [20, 40, 60, 100] {
        let (companding, mut lengths) = (Companding::MuLaw, [60, 10, 30, 50, 20, 40].into_iter().cycle());
        let mut link = LossyLine::new(companding);
        let words = fixture("hello");
        link.leg.play(segment(1, 0), words.clone(), true);
        let mut passed_ms = 0;
        while passed_ms < 3_000 {
            let stream = StreamConfig { ptime_ms: lengths.next().unwrap(), ..config(link.now, companding).stream };
            link.leg.renegotiate(link.now, stream);
            link.pass(every_ms);
            passed_ms += every_ms;
        }
        let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
        for pair in packets.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert_eq!(step as usize, pair[0].payload.len(), "every {every_ms} ms");
        }
        let sent: Vec<i16> =
            packets.iter().flat_map(|packet| packet.payload.iter().map(|c| companding.decode(*c))).collect();
        let coded: Vec<i16> =
            words[800..words.len() - 800].iter().map(|s| companding.decode(companding.encode(*s))).collect();
        assert!(sent.windows(coded.len()).any(|window| window == coded), "every {every_ms} ms");
    }
}

#[test]
fn a_peer_that_pauses_with_comfort_noise_loses_nothing() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig { comfort_noise: Some(13), ..config(link.now, Companding::MuLaw).stream };
    link.leg.renegotiate(link.now, stream);
    link.silence_ms(500);
    link.speak(&fixture("hello"));
    let before = link.heard().len();
    // Half the level a quiet room has, once; then nothing for two seconds.
    link.send_packet(13, &[60]);
    link.timestamp = link.timestamp.wrapping_add(16_000);
    link.pass(2_000);
    let pause = link.heard().split_off(before + 1_600);
    link.speak(&fixture("hello"));
    link.silence_ms(200);
    assert!((14_000..16_000).contains(&pause.len()), "{} samples of the pause", pause.len());
    let level = level_dbfs(&pause[..8_000]);
    assert!((-66.0..-54.0).contains(&level), "{level} dB of comfort noise");
    let stats = link.leg.stats();
    assert_eq!((stats.packets_lost, stats.concealed_ms), (0, 0));
    assert!(stats.mos.unwrap() > 4.2, "{:?}", stats.mos);
}

#[test]
fn each_side_has_its_own_payload_types() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let stream = StreamConfig {
        payload_type: 96,
        payload_type_in: 111,
        telephone_event: Some(97),
        telephone_event_in: Some(101),
        ..config(link.now, Companding::MuLaw).stream
    };
    link.leg.renegotiate(link.now, stream);
    let codes: Vec<u8> = fixture("hello")[..1_600].iter().map(|sample| Companding::MuLaw.encode(*sample)).collect();
    for payload in codes.chunks(160) {
        link.send_packet(111, payload);
        link.timestamp = link.timestamp.wrapping_add(160);
        link.pass(20);
    }
    assert_eq!(link.leg.stats().packets_ignored, 0);
    assert!(link.heard().len() >= 1_280);
    assert!(link.sent.iter().all(|(_, bytes)| RtpPacket::parse(bytes).unwrap().payload_type == 96));
    link.leg.send_dtmf("5");
    link.pass(400);
    assert!(link.sent.iter().any(|(_, bytes)| RtpPacket::parse(bytes).unwrap().payload_type == 97));
}

#[test]
fn stt_audio_keeps_its_companding() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.speak(&fixture("hello"));
    let before = link.heard().len();
    let stream = StreamConfig {
        codec: Codec::G711(Companding::MuLaw),
        payload_type: 0,
        payload_type_in: 0,
        ..config(link.now, Companding::ALaw).stream
    };
    link.leg.renegotiate(link.now, stream);
    let words = fixture("hello");
    for frame in words.chunks_exact(160) {
        let codes: Vec<u8> = frame.iter().map(|sample| Companding::MuLaw.encode(*sample)).collect();
        link.send_packet(0, &codes);
        link.timestamp = link.timestamp.wrapping_add(160);
        link.pass(20);
    }
    let (first, second) = (level_dbfs(&link.heard()[..before]), level_dbfs(&link.heard()[before..]));
    assert!((first - second).abs() < 1.0, "{first} and {second} dB: the second was taken for other companding");
}
