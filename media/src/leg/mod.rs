//! One leg of a call in fixed order: packet, jitter, codec, voice activity, barge-in, playout, recording.
//!
//! A plain value with one owner. Datagrams and ticks go in with their instant; packets leave through
//! the `send` argument, everything else through [`Leg::poll_event`]. Nothing here allocates per packet
//! once the leg has warmed up.

mod ears;
mod types;

use ears::Ears;
pub use types::{Config, LegEvent, Port, Stream};

use crate::codec::Law;
use crate::frame::{DURATION, Frame, RATE_HZ, SAMPLES};
use crate::jitter::buffer::{Buffer, Release};
use crate::jitter::conceal::Concealer;
use crate::limits;
use crate::playout::backdrop::Backdrop;
use crate::playout::pacer::Pacer;
use crate::playout::queue::{Change, PieceId, Queue};
use crate::playout::relay::Relay;
use crate::record::align::Aligner;
use crate::rtp::digits::DigitSender;
use crate::rtp::packet::{Packet, is_rtcp};
use crate::rtp::packetizer::Packetizer;
use crate::rtp::rtcp::{self, NtpClock, Reception};
use crate::rtp::telephone_event;
use crate::stats::LegStats;
use crate::turn::barge_in::{self, Verdict};
use crate::vad::Voice;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

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
    clock: NtpClock,
    cname: String,
    latch: Latch,
    remote_ssrc: Option<u32>,
    buffer: Buffer,
    concealer: Concealer,
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
            clock: config.clock,
            cname: config.cname,
            latch: Latch::Open { candidate: None },
            remote_ssrc: None,
            buffer: Buffer::default(),
            concealer: Concealer::default(),
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
    pub fn renegotiate(&mut self, now: Instant, stream: Stream) {
        if stream.remote != self.stream.remote {
            self.latch = Latch::Open { candidate: None };
        }
        if stream.receiving && !self.stream.receiving {
            self.last_packet = now;
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
            }
            self.remote_ssrc = Some(packet.ssrc);
        }
        self.highest_sequence = u32::from(packet.sequence);
        let is_event = Some(packet.payload_type) == self.stream.telephone_event;
        self.has_events |= is_event;
        if is_event && let Some(digit) = self.digits_in.handle(packet.timestamp, packet.payload) {
            self.event(LegEvent::Digit { digit });
        }
        let is_audio = packet.payload_type == self.stream.payload_type || self.is_other_law(packet.payload_type);
        if is_audio {
            if packet.marker {
                self.event(LegEvent::TalkSpurt { at: now });
            }
            if self.is_other_law(packet.payload_type) {
                // Asymmetric senders exist: what it says is what it is (RFC 3551 section 6).
                self.stream.law = if packet.payload_type == 0 { Law::Mu } else { Law::A };
                self.stream.payload_type = packet.payload_type;
            }
            self.buffer.insert(now, packet.sequence, packet.timestamp, packet.payload);
        } else {
            // Digits and comfort noise keep the sequence whole; other payloads are skipped the same way.
            self.buffer.insert(now, packet.sequence, packet.timestamp, &[]);
        }
        self.release(now);
    }

    /// Static G.711 types mean the same in every stream, whatever was negotiated.
    fn is_other_law(&self, payload_type: u8) -> bool {
        matches!(payload_type, 0 | 8) && self.stream.payload_type < 96 && payload_type != self.stream.payload_type
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
        if let Some(block) = received.report {
            self.stats.remote_loss = f32::from(block.fraction_lost) / 256.0;
            if let Some(round_trip) = self.clock.round_trip(now, &block) {
                self.stats.round_trip_ms = Some(round_trip.as_secs_f32() * 1_000.0);
            }
        }
    }

    /// Takes what the jitter buffer gives up and turns it into frames.
    fn release(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.release(now, |release| self.received(now, &release));
        self.buffer = buffer;
    }

    fn received(&mut self, now: Instant, release: &Release<'_>) {
        match release {
            Release::Audio(codes) => {
                let mut samples = [0; limits::PACKET_SAMPLES_MAX];
                let samples = &mut samples[..codes.len()];
                self.stream.law.decode_into(codes, samples);
                self.concealer.good(samples);
                self.capture(now, samples);
            }
            Release::Lost(count) => {
                self.stats.concealed_ms += *count as u64 / 8;
                let mut left = *count;
                while left > 0 {
                    let mut samples = [0; SAMPLES];
                    let invented = &mut samples[..left.min(SAMPLES)];
                    self.concealer.lost(invented);
                    left -= invented.len();
                    self.capture(now, invented);
                }
            }
            Release::Silence(count) => {
                let mut left = *count;
                while left > 0 {
                    let now_samples = left.min(SAMPLES);
                    self.capture(now, &[0; SAMPLES][..now_samples]);
                    left -= now_samples;
                }
            }
        }
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
            let mut codes = [self.stream.law.silence(); SAMPLES];
            if !heard.mute {
                self.stream.law.encode_into(&frame, &mut codes);
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
        if let Some(release) = self.buffer.fill(now, SAMPLES) {
            self.received(now, &release);
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

    fn send_frame(&mut self, now: Instant, due: Instant, send: &mut impl FnMut(Port, SocketAddr, &[u8])) {
        let mut frame: Frame = [0; SAMPLES];
        let timestamp = self.packetizer.timestamp();
        self.packetizer.advance(SAMPLES as u32);
        if !self.stream.sending {
            self.pacer.sent(due, false);
            return self.recorded(&frame);
        }
        let mut buffer = [0; 12 + SAMPLES];
        if let Some(step) = self.digits_out.step(timestamp, self.stream.telephone_event, &mut frame) {
            self.pacer.sent(due, false);
            if step.last {
                self.event(LegEvent::DigitsSent);
            }
            if let (Some(packet), Some(payload_type)) = (step.packet, self.stream.telephone_event) {
                let (marker, at) = (packet.marker, packet.timestamp);
                let len = self.packetizer.write(payload_type, marker, at, &packet.payload, &mut buffer);
                self.transmit(&buffer[..len], send);
                return self.recorded(&frame);
            }
            return self.send_audio(timestamp, false, &frame, &mut buffer, send);
        }
        // The first words of a reply wait for a caller who is in the middle of a word.
        let begins = self.queue.is_ready() && self.queue.current().is_some_and(|(_, heard)| !heard);
        if begins && self.may_be_interrupted() && self.ears.would_hold() {
            self.hold(now);
        }
        let events = &mut self.events;
        let speech = self.queue.next_frame(&mut frame, |change| {
            if events.len() < limits::LEG_EVENTS_MAX {
                events.push_back(match change {
                    Change::Started(piece) => LegEvent::PieceStarted { piece, at: now },
                    Change::Finished(heard) => LegEvent::PieceFinished { heard, at: now },
                });
            }
        });
        // An unfinished piece without samples: the voice is slower than speech.
        let dry = !speech && self.queue.is_active() && !self.queue.is_held();
        self.stats.underruns += u64::from(dry && !self.underrun);
        self.underrun = dry;
        if let Some(backdrop) = &mut self.backdrop {
            backdrop.mix(&mut frame, speech);
        }
        let relayed = self.relay.as_mut().is_some_and(|relay| relay.mix(&mut frame));
        self.ears.echo.handle_sent(&frame, speech || relayed);
        let marker = self.pacer.sent(due, speech);
        self.send_audio(timestamp, marker, &frame, &mut buffer, send);
    }

    fn send_audio(
        &mut self, timestamp: u32, marker: bool, frame: &Frame, buffer: &mut [u8; 12 + SAMPLES],
        send: &mut impl FnMut(Port, SocketAddr, &[u8]),
    ) {
        let mut codes = [0; SAMPLES];
        self.stream.law.encode_into(frame, &mut codes);
        let len = self.packetizer.write(self.stream.payload_type, marker, timestamp, &codes, buffer);
        self.transmit(&buffer[..len], send);
        self.recorded(frame);
    }

    fn transmit(&mut self, bytes: &[u8], send: &mut impl FnMut(Port, SocketAddr, &[u8])) {
        let remote = match self.latch {
            Latch::Latched { source } => source,
            Latch::Open { .. } => self.stream.remote,
        };
        if !remote.ip().is_unspecified() && remote.port() != 0 {
            self.stats.packets_sent += 1;
            send(Port::Rtp, remote, bytes);
        }
    }

    fn recorded(&mut self, frame: &Frame) {
        let Some(aligner) = &mut self.aligner else { return };
        let spare = &mut self.spare_blocks;
        let next = || spare.pop().unwrap_or_else(|| Vec::with_capacity(limits::RECORD_BLOCK_PAIRS * 2 + SAMPLES * 2));
        if let Some(block) = aligner.agent(frame, next) {
            self.event(LegEvent::Recorded { block });
        }
    }

    fn report(&mut self, now: Instant, bye: bool, send: &mut impl FnMut(Port, SocketAddr, &[u8])) {
        // Spread by a quarter so that calls set up together do not report together (section 6.3.1).
        let spread = rtcp::INTERVAL.mul_f32(0.75 + (self.packetizer.ssrc % 512) as f32 / 1_024.0);
        self.next_report = now + spread;
        let counters = self.buffer.counters;
        let (received, lost) = (counters.received, counters.lost);
        let (last_received, last_lost) = self.expected_prior;
        self.expected_prior = (received, lost);
        let (new_received, new_lost) = (received - last_received, lost - last_lost);
        let fraction = (new_lost * 256).checked_div(new_received + new_lost).unwrap_or(0);
        let reception = self.remote_ssrc.map(|ssrc| {
            let (last_sr, at) = self.last_sr.unwrap_or((0, now));
            let delay = if last_sr == 0 { 0.0 } else { now.saturating_duration_since(at).as_secs_f64() };
            Reception {
                ssrc,
                fraction_lost: fraction.min(255) as u8,
                cumulative_lost: lost.min(0x7f_ffff) as u32,
                highest_sequence: self.highest_sequence,
                jitter: self.buffer.jitter_samples(),
                last_sr,
                delay_since_last_sr: (delay * 65_536.0) as u32,
            }
        });
        let out = rtcp::Outgoing {
            ssrc: self.packetizer.ssrc,
            ntp: self.clock.ntp(now),
            rtp_timestamp: self.packetizer.timestamp(),
            packets: self.packetizer.packets,
            octets: self.packetizer.octets,
            cname: &self.cname,
            reception,
            bye,
        };
        let mut buffer = [0; 256];
        if let Some(len) = rtcp::write(&out, &mut buffer)
            && !self.stream.remote_rtcp.ip().is_unspecified()
            && self.stream.remote_rtcp.port() != 0
        {
            send(Port::Rtcp, self.stream.remote_rtcp, &buffer[..len]);
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
