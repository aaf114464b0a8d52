//! One leg of a call in fixed order: packet, jitter, codec, voice activity, barge-in, playout, recording.
//!
//! A plain value with one owner. Datagrams and ticks go in with their instant; packets leave through
//! the `send` argument, everything else through [`Leg::poll_event`]. Nothing here allocates per packet
//! once the leg has warmed up.

mod coder;
mod ears;
mod noise;
mod path;
mod sending;
mod types;

use coder::Coder;
use ears::Ears;
use noise::Noise;
pub use types::{Config, LegEvent, Port, Stream};

use crate::codec::{Codec, Law};
use crate::frame::{DURATION, Frame, RATE_HZ, SAMPLES};
use crate::jitter::buffer::{Buffer, Release};
use crate::limits;
use crate::playout::backdrop::Backdrop;
use crate::playout::pacer::Pacer;
use crate::playout::queue::{PieceId, Queue};
use crate::playout::relay::Relay;
use crate::record::align::Aligner;
use crate::rtp::digits::DigitSender;
use crate::rtp::packet::{Packet, is_rtcp};
use crate::rtp::packetizer::Packetizer;
use crate::rtp::quality;
use crate::rtp::rtcp::{self, NtpClock};
use crate::rtp::telephone_event;
use crate::stats::LegStats;
use crate::turn::barge_in::{self, Verdict};
use crate::vad::Voice;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Static payload type of comfort noise (RFC 3389 section 4).
const COMFORT_NOISE: u8 = 13;

/// Where packets are accepted from (RFC 3550 has no protection of its own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Latch {
    /// Nothing heard: the address of the description is believed at once, another after a few packets.
    Open {
        candidate: Option<(SocketAddr, u32, u32)>,
    },
    Latched {
        source: SocketAddr,
    },
}

pub struct Leg {
    stream: Stream,
    /// What received sound is handed on in: who listens was told so once, and a renegotiation changes nothing there.
    law: Law,
    clock: NtpClock,
    cname: String,
    latch: Latch,
    remote_ssrc: Option<u32>,
    buffer: Buffer,
    /// Taken while it works.
    coder: Option<Coder>,
    /// The last frame was not sent: the next one begins a talk spurt.
    unsent: bool,
    capture: Frame,
    captured: usize,
    digits_in: telephone_event::Receiver,
    ears: Ears,
    /// Key of the last telephone event, and whether there ever was one: then tones in the audio are its shadow.
    has_events: bool,
    /// A reply that nobody may interrupt.
    protected: Option<u32>,
    queue: Queue,
    backdrop: Option<Backdrop>,
    relay: Option<Box<Relay>>,
    pacer: Pacer,
    packetizer: Packetizer,
    digits_out: DigitSender,
    /// Coded sound that waits for its packet to be full.
    packing: Box<[u8; limits::PACKET_OUT_SAMPLES_MAX + SAMPLES]>,
    packed: usize,
    pack_marker: bool,
    /// The peer pauses, with this noise in the place of its silence.
    noise: Option<Noise>,
    /// The peer has reported, and in which words.
    reported: bool,
    remote_voip: Option<rtcp::VoipMetrics>,
    aligner: Option<Box<Aligner>>,
    spare_blocks: Vec<Vec<i16>>,
    deliver_audio: bool,
    speak_at_once: bool,
    network_timeout: Duration,
    last_packet: Instant,
    network_lost: bool,
    underrun: bool,
    next_report: Instant,
    last_sr: Option<(u32, Instant)>,
    expected_prior: (u64, u64),
    highest_sequence: u32,
    events: VecDeque<LegEvent>,
    stats: LegStats,
}

impl std::fmt::Debug for Leg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leg").field("stream", &self.stream).field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl Leg {
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            stream: config.stream,
            law: config.stream.codec.law(),
            clock: config.clock,
            cname: config.cname,
            latch: Latch::Open { candidate: None },
            remote_ssrc: None,
            buffer: Buffer::default(),
            coder: Some(Coder::new(config.stream.codec)),
            unsent: false,
            capture: [0; SAMPLES],
            captured: 0,
            digits_in: telephone_event::Receiver::default(),
            ears: Ears::new(config.detect_voice.then_some(config.vad), config.barge_in, config.detect_tones),
            has_events: false,
            protected: None,
            queue: Queue::default(),
            backdrop: config.backdrop,
            relay: None,
            pacer: Pacer::new(now),
            packetizer: Packetizer::new(config.ssrc, config.first_sequence, config.first_timestamp),
            digits_out: DigitSender::default(),
            packing: Box::new([0; limits::PACKET_OUT_SAMPLES_MAX + SAMPLES]),
            packed: 0,
            pack_marker: false,
            noise: None,
            reported: false,
            remote_voip: None,
            aligner: config.record.then(Box::default),
            spare_blocks: Vec::new(),
            deliver_audio: config.deliver_audio,
            speak_at_once: config.speak_at_once,
            network_timeout: config.network_timeout,
            last_packet: now,
            network_lost: false,
            underrun: false,
            next_report: now + rtcp::INTERVAL / 2,
            last_sr: None,
            expected_prior: (0, 0),
            highest_sequence: 0,
            events: VecDeque::with_capacity(16),
            stats: LegStats::default(),
        }
    }

    /// When [`Leg::tick`] is due.
    pub fn due(&self, now: Instant) -> Instant {
        if self.speak_at_once && self.stream.sending && !self.digits_out.is_sending() && self.queue.is_ready() {
            self.pacer.due_for_speech(now)
        } else {
            self.pacer.due()
        }
    }

    pub fn poll_event(&mut self) -> Option<LegEvent> {
        self.events.pop_front()
    }

    /// Takes back an empty recording block.
    pub fn recycle(&mut self, mut block: Vec<i16>) {
        block.clear();
        if self.spare_blocks.len() < 2 {
            self.spare_blocks.push(block);
        }
    }

    /// A renegotiated stream. A new address opens the latch again; nothing else does.
    pub fn renegotiate(&mut self, now: Instant, mut stream: Stream) {
        if stream.ice.is_some() && stream.ice == self.stream.ice {
            // A chosen path stays until another one is chosen.
            (stream.remote, stream.remote_rtcp) = (self.stream.remote, self.stream.remote_rtcp);
        }
        if stream.remote != self.stream.remote {
            self.latch = Latch::Open { candidate: None };
        }
        if stream.receiving && !self.stream.receiving {
            self.last_packet = now;
        }
        if stream.ptime_ms != self.stream.ptime_ms {
            self.packed = 0;
        }
        if stream.codec != self.stream.codec {
            self.packed = 0;
            self.coder = Some(Coder::new(stream.codec));
        }
        self.stream = stream;
    }

    /// Speech of a piece; `ended` with its last samples.
    pub fn play(&mut self, piece: PieceId, samples: Vec<i16>, ended: bool) {
        self.queue.push(piece, samples, ended);
    }

    /// What is heard under the voice from now on.
    pub fn set_backdrop(&mut self, backdrop: Option<Backdrop>) {
        self.backdrop = backdrop;
    }

    /// A frame of the party that this leg is bridged with.
    pub fn relay(&mut self, frame: &Frame) {
        self.relay.get_or_insert_default().push(frame);
    }

    /// The call is answered: what came before was not part of it.
    pub fn answered(&mut self, now: Instant, record: bool) {
        self.aligner = record.then(Box::default);
        self.network_lost = false;
        self.last_packet = now;
    }

    /// Stops what is playing and bars the generation; `barge_in` because the caller wants to speak.
    pub fn flush(&mut self, now: Instant, generation: u32, barge_in: bool) {
        let mut all = Vec::new();
        self.queue.flush_generation(generation, |heard| all.push(heard));
        self.ears.release();
        self.event(LegEvent::Flushed { barge_in, generation, heard: all, at: now });
    }

    /// What held the agent back was nothing: it goes on where it was.
    pub fn resume(&mut self) {
        self.queue.release();
        self.ears.release();
    }

    /// Nobody interrupts this reply.
    pub fn protect(&mut self, generation: u32) {
        self.protected = Some(generation);
        if self.queue.current().is_some_and(|(current, _)| current == generation) {
            self.resume();
        }
    }

    pub fn set_barge_in(&mut self, config: barge_in::Config) {
        self.ears.set_barge_in(config);
        self.queue.release();
    }

    /// Digits that are not 0-9, *, # or A-D are skipped.
    pub fn send_digits(&mut self, digits: &str) {
        self.digits_out.push(digits);
    }

    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            return self.handle_rtcp(now, bytes);
        }
        let Some(packet) = Packet::parse(bytes) else {
            self.stats.packets_ignored += 1;
            return;
        };
        self.handle_packet(now, source, &packet);
    }

    pub fn handle_packet(&mut self, now: Instant, source: SocketAddr, packet: &Packet<'_>) {
        if !self.accepts(source, packet.ssrc) {
            self.stats.packets_ignored += 1;
            return;
        }
        if self.stats.packets_received == 0 {
            self.event(LegEvent::MediaStarted { at: now });
        }
        self.stats.packets_received += 1;
        self.last_packet = now;
        if self.remote_ssrc != Some(packet.ssrc) {
            if self.remote_ssrc.is_some() {
                self.buffer.restart();
                self.digits_in.reset();
                self.coder.iter_mut().for_each(Coder::restart);
            }
            self.remote_ssrc = Some(packet.ssrc);
        }
        self.highest_sequence = u32::from(packet.sequence);
        let is_one = |one: Option<u8>| one == Some(packet.payload_type);
        let is_event = is_one(self.stream.telephone_event_in) || is_one(self.stream.telephone_event);
        self.has_events |= is_event;
        if is_event && let Some(digit) = self.digits_in.handle(packet.timestamp, packet.payload) {
            self.event(LegEvent::Digit { digit });
        }
        let is_named = [self.stream.payload_type, self.stream.payload_type_in].contains(&packet.payload_type);
        let is_audio = is_named && !is_event || self.is_other_law(packet.payload_type);
        if is_audio {
            self.noise = None;
        } else if is_one(self.stream.comfort_noise) || packet.payload_type == COMFORT_NOISE && !is_event {
            self.noise = Some(Noise::of(packet.payload));
        }
        let timestamp = self.coder.as_mut().map_or(packet.timestamp, |coder| coder.samples_at(packet.timestamp));
        if is_audio {
            if packet.marker {
                self.event(LegEvent::TalkSpurt { at: now });
            }
            if self.is_other_law(packet.payload_type) {
                // Asymmetric senders exist: what it says is what it is (RFC 3551 section 6).
                let law = if packet.payload_type == 0 { Law::Mu } else { Law::A };
                self.stream.codec = Codec::G711(law);
                self.stream.payload_type = packet.payload_type;
                self.stream.payload_type_in = packet.payload_type;
                self.coder.iter_mut().for_each(|coder| coder.set_law(law));
            }
        }
        let samples = self.coder.as_ref().and_then(|coder| coder.samples(packet.payload));
        match samples.filter(|_| is_audio) {
            Some(samples) => self.buffer.insert(now, packet.sequence, timestamp, samples, packet.payload),
            None => {
                self.stats.packets_ignored += u64::from(is_audio);
                // Digits and comfort noise keep the sequence whole; other payloads are skipped the same way.
                self.buffer.insert(now, packet.sequence, timestamp, 0, &[]);
            }
        }
        self.release(now);
    }

    /// Static G.711 types mean the same in every stream, whatever was negotiated.
    fn is_other_law(&self, payload_type: u8) -> bool {
        matches!(payload_type, 0 | 8)
            && matches!(self.stream.codec, Codec::G711(_))
            && payload_type != self.stream.payload_type
            && payload_type != self.stream.payload_type_in
    }

    fn accepts(&mut self, source: SocketAddr, ssrc: u32) -> bool {
        match &mut self.latch {
            Latch::Latched { source: latched } => *latched == source,
            Latch::Open { candidate } => {
                if source == self.stream.remote {
                    self.latch = Latch::Latched { source };
                    return true;
                }
                let seen = match candidate {
                    Some((addr, same, seen)) if *addr == source && *same == ssrc => *seen + 1,
                    _ => 1,
                };
                *candidate = Some((source, ssrc, seen));
                if seen >= limits::LATCH_PACKETS {
                    self.latch = Latch::Latched { source };
                }
                seen >= limits::LATCH_PACKETS
            }
        }
    }

    pub fn handle_rtcp(&mut self, now: Instant, bytes: &[u8]) {
        if !is_rtcp(bytes) {
            return;
        }
        let received = rtcp::parse(bytes, self.packetizer.ssrc);
        if let Some(sent) = received.sender_report {
            self.last_sr = Some((sent, now));
        }
        self.remote_voip = received.voip.or(self.remote_voip);
        if let Some(block) = received.report {
            self.reported = true;
            self.handle_path(Some(f32::from(block.fraction_lost) / 256.0), self.clock.round_trip(now, &block));
        }
    }

    /// What the other side says of our stream.
    pub fn handle_path(&mut self, loss: Option<f32>, round_trip: Option<Duration>) {
        if let Some(loss) = loss {
            self.stats.remote_loss = loss;
            self.coder.iter_mut().for_each(|coder| coder.set_loss(loss));
        }
        if let Some(round_trip) = round_trip {
            self.stats.round_trip_ms = Some(round_trip.as_secs_f32() * 1_000.0);
        }
    }

    /// Takes what the jitter buffer gives up and turns it into frames.
    fn release(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.release(now, |release| self.received(now, &release, true));
        self.buffer = buffer;
        self.settle(now);
    }

    /// Nothing more is there: what is still missing is made up.
    fn settle(&mut self, now: Instant) {
        self.decoded(now, |coder, out| coder.settle(out));
    }

    /// Lets the codec produce samples, which go where all received sound goes.
    fn decoded(&mut self, now: Instant, act: impl FnOnce(&mut Coder, &mut dyn FnMut(&[i16]))) {
        let Some(mut coder) = self.coder.take() else { return };
        act(&mut coder, &mut |samples| self.capture(now, samples));
        self.coder = Some(coder);
    }

    /// `gap`: what is lost is known to be, by its sequence number.
    fn received(&mut self, now: Instant, release: &Release<'_>, gap: bool) {
        match release {
            Release::Audio(payload) => self.decoded(now, |coder, out| coder.decode(payload, out)),
            Release::Lost(count) if !self.is_peer_silent() => {
                // Where the sender may pause at any time, only the next packet tells a pause from a loss.
                if gap || !self.stream.codec.pauses() {
                    self.stats.concealed_ms += *count as u64 / 8;
                }
                self.decoded(now, |coder, out| coder.lost(*count, out));
            }
            Release::Lost(count) | Release::Silence(count) => {
                let mut left = *count;
                while left > 0 {
                    let now_samples = left.min(SAMPLES);
                    let mut silence = [0; SAMPLES];
                    if let Some(noise) = &mut self.noise {
                        noise.fill(&mut silence);
                    }
                    self.capture(now, &silence[..now_samples]);
                    left -= now_samples;
                }
            }
        }
    }

    fn is_peer_silent(&self) -> bool {
        self.noise.is_some() || self.coder.as_ref().is_some_and(Coder::is_peer_silent)
    }

    fn capture(&mut self, now: Instant, mut samples: &[i16]) {
        while !samples.is_empty() {
            let take = samples.len().min(SAMPLES - self.captured);
            self.capture[self.captured..self.captured + take].copy_from_slice(&samples[..take]);
            self.captured += take;
            samples = &samples[take..];
            if self.captured == SAMPLES {
                self.captured = 0;
                self.captured_frame(now);
            }
        }
    }

    fn captured_frame(&mut self, now: Instant) {
        let frame = self.capture;
        if let Some(aligner) = &mut self.aligner {
            aligner.caller(&frame);
        }
        let playing = self.may_be_interrupted();
        let heard = self.ears.handle_frame(now, &frame, playing);
        if self.deliver_audio {
            let law = self.law;
            let mut codes = [law.silence(); SAMPLES];
            if !heard.mute {
                law.encode_into(&frame, &mut codes);
            }
            self.event(LegEvent::Audio { codes, at: now });
        }
        if let Some(path) = heard.path_found.then(|| self.ears.echo.path()).flatten() {
            self.event(LegEvent::Echo { path });
        }
        if let Some(digit) = heard.key.filter(|_| !self.has_events) {
            self.event(LegEvent::Digit { digit });
        }
        if let Some(tone) = heard.tone {
            self.event(LegEvent::Tone { tone, at: now });
        }
        match heard.voice {
            Some(Voice::Started(at)) => self.event(LegEvent::SpeechStarted { at }),
            Some(Voice::Ended(last_sound)) => self.event(LegEvent::SpeechEnded { last_sound }),
            None => {}
        }
        match heard.verdict {
            Some(Verdict::Hold) => self.hold(now),
            Some(Verdict::Stop) => {
                let mut all = Vec::new();
                self.queue.flush(|heard| all.push(heard));
                let generation = all.iter().map(|heard| heard.piece.generation).max().unwrap_or(0);
                self.event(LegEvent::Flushed { barge_in: true, generation, heard: all, at: now });
            }
            None => {}
        }
    }

    fn may_be_interrupted(&self) -> bool {
        let current = self.queue.current().map(|(generation, _)| generation);
        self.queue.is_active() && (current.is_none() || current != self.protected)
    }

    fn hold(&mut self, now: Instant) {
        if let Some((generation, _)) = self.queue.current().filter(|_| !self.queue.is_held()) {
            self.queue.hold();
            self.event(LegEvent::Held { generation, at: now });
        }
    }

    /// One frame of the leg's own time, nominally at `due`.
    pub fn tick(&mut self, now: Instant, due: Instant, send: &mut impl FnMut(Port, SocketAddr, &[u8])) {
        self.release(now);
        let announced = self.is_peer_silent();
        if let Some(release) = self.buffer.fill(now, SAMPLES, announced) {
            self.received(now, &release, false);
            self.settle(now);
        }
        self.send_frame(now, due, send);
        if now >= self.next_report {
            self.report(now, false, send);
        }
        let silent = now.saturating_duration_since(self.last_packet);
        if self.stream.receiving && !self.network_lost && silent >= self.network_timeout {
            self.network_lost = true;
            self.event(LegEvent::NetworkLost);
        }
    }

    /// The end: a BYE, the rest of the recording, the figures.
    pub fn close(&mut self, now: Instant, send: &mut impl FnMut(Port, SocketAddr, &[u8])) {
        self.report(now, true, send);
        if let Some(aligner) = &mut self.aligner {
            let block = aligner.finish();
            self.event(LegEvent::Recorded { block });
        }
        let stats = self.stats();
        self.events.push_back(LegEvent::Closed { stats });
    }

    pub fn stats(&self) -> LegStats {
        let counters = self.buffer.counters;
        LegStats {
            packets_lost: counters.lost,
            packets_late: counters.late,
            packets_duplicate: counters.duplicate,
            packets_reordered: counters.reordered,
            mos: (counters.received > 0).then(|| quality::mos(self.rating())),
            mos_remote: self.remote_mos(),
            jitter_ms: self.buffer.jitter_samples() as f32 * 1_000.0 / RATE_HZ as f32,
            echo: self.ears.echo.path(),
            echo_ms: self.ears.echo.echo_frames * 20,
            playout_overflow_ms: self.queue.overflow_samples / 8,
            ..self.stats
        }
    }

    /// A worker that stood still too long starts the leg's timeline anew.
    pub fn restart_clock(&mut self, now: Instant) {
        self.pacer.restart(now);
    }

    fn event(&mut self, event: LegEvent) {
        if self.events.len() < limits::LEG_EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.stats.events_dropped += 1;
        }
    }
}

const _: () = assert!(DURATION.as_millis() as usize * RATE_HZ as usize / 1_000 == SAMPLES);
