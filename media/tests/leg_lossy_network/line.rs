//! A peer on a bad line and the leg that it talks to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::{
    AnalysisConfig, AudioDelivery, Latching, Leg, LegConfig, LegEvent, PortKind, RtcpRoute, StreamConfig,
};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::turn::barge_in;

pub const PEER: &str = "127.0.0.1:4000";
pub const MS: Duration = Duration::from_millis(1);

pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A peer that speaks a script of samples in 20 ms packets over a bad line, and a leg.
pub struct LossyLine {
    pub start: Instant,
    pub now: Instant,
    pub leg: Leg,
    pub companding: Companding,
    pub rng: Rng,
    /// Chance in a thousand that a burst of three packets is lost.
    pub burst_loss_permille: u64,
    pub jitter_ms: u64,
    pub lost_left: u32,
    pub flying: Vec<(Instant, Vec<u8>)>,
    pub sequence: u16,
    pub timestamp: u32,
    pub sent: Vec<(Instant, Vec<u8>)>,
    pub events: Vec<LegEvent>,
    pub noise: u64,
}

pub fn config(now: Instant, companding: Companding) -> LegConfig {
    let remote: SocketAddr = PEER.parse().unwrap();
    LegConfig {
        stream: StreamConfig {
            codec: Codec::G711(companding),
            payload_type: if companding == Companding::MuLaw { 0 } else { 8 },
            payload_type_in: if companding == Companding::MuLaw { 0 } else { 8 },
            rtcp: RtcpRoute::Separate("127.0.0.1:4001".parse().unwrap()),
            ..StreamConfig::pcmu(remote)
        },
        latching: Latching::default(),
        ssrc: 7,
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 1_000,
        clock: NtpClock { origin: now, ntp_origin: 0 },
        cname: "test".into(),
        analysis: AnalysisConfig::voice(barge_in::BargeInConfig::default()),
        network_timeout: Duration::from_secs(10),
        record: true,
        audio: AudioDelivery::G711,
        spurt_start: SpurtStart::Immediate,
        ambience: None,
    }
}

impl LossyLine {
    pub fn new(companding: Companding) -> Self {
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

    pub fn send_packet(&mut self, payload_type: u8, payload: &[u8]) {
        let packet = RtpPacket {
            payload_type,
            marker: false,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: 9,
            payload,
        };
        let mut buffer = [0; 2_600];
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
    pub fn speak(&mut self, samples: &[i16]) {
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

    pub fn silence_ms(&mut self, ms: usize) {
        self.speak(&vec![0; ms * 8]);
    }

    pub fn pass(&mut self, ms: u32) {
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
    pub fn heard(&self) -> Vec<i16> {
        let mut samples = vec![];
        for event in &self.events {
            if let LegEvent::Audio { frame, .. } = event {
                samples.extend(frame.samples());
            }
        }
        samples
    }

    /// Frames of sound the leg sent, with when.
    pub fn voiced(&self) -> Vec<Instant> {
        let loud = |bytes: &[u8]| {
            let packet = RtpPacket::parse(bytes).unwrap();
            let samples: Vec<i16> = packet.payload.iter().map(|c| self.companding.decode(*c)).collect();
            packet.payload_type < 96 && level_dbfs(&samples) > -40.0
        };
        self.sent.iter().filter(|(_, bytes)| loud(bytes)).map(|(at, _)| *at).collect()
    }

    pub fn ms(&self, at: Instant) -> u128 {
        at.duration_since(self.start).as_millis()
    }
}

pub fn fixture(name: &str) -> Vec<i16> {
    let path = format!("{}/../fixtures/audio/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    hound::WavReader::open(path).unwrap().samples::<i16>().map(Result::unwrap).collect()
}

pub fn segment(response_id: u32, index: u32) -> SegmentId {
    SegmentId { response_id, index }
}
