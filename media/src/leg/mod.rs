//! One call leg's media pipeline in fixed order: packet, jitter buffer, codec, VAD, barge-in, playout, recording.
//!
//! A plain value with one owner. Datagrams and ticks go in with their instant; packets leave through the `send`
//! argument, everything else through [`Leg::poll_event`]. After warm-up nothing here allocates per packet.

mod coder;
mod ears;
mod latch;
mod noise;
mod pace;
mod path;
mod receiving;
mod sending;
mod types;

use coder::Coder;
use ears::Ears;
pub use latch::Latching;
use latch::{Latch, Named};
use noise::Noise;
use pace::Pace;
pub use types::{Config, LegEvent, Port, Stream};

use crate::codec::Law;
use crate::frame::{DURATION, Frame, RATE_HZ, SAMPLES};
use crate::jitter::buffer::Buffer;
use crate::limits;
use crate::playout::backdrop::Backdrop;
use crate::playout::pacer::Pacer;
use crate::playout::queue::{PieceId, Queue};
use crate::playout::relay::Relay;
use crate::record::align::Aligner;
use crate::rtp::digits::DigitSender;
use crate::rtp::packetizer::Packetizer;
use crate::rtp::quality;
use crate::rtp::rtcp::{self, NtpClock};
use crate::rtp::telephone_event;
use crate::stats::LegStats;
use crate::turn::barge_in;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub struct Leg {
    stream: Stream,
    /// Companding of the audio delivered to STT. It is fixed when the leg starts and does not change on renegotiation.
    law: Law,
    clock: NtpClock,
    cname: String,
    latch: Latch,
    pace: Pace,
    remote_ssrc: Option<u32>,
    buffer: Buffer,
    /// Taken out of the option while in use.
    coder: Option<Coder>,
    /// The last frame was not sent: the next one begins a talk spurt.
    unsent: bool,
    capture: Frame,
    captured: usize,
    digits_in: telephone_event::Receiver,
    ears: Ears,
    /// Telephone events were received. In-band tones are then ignored, because they duplicate the events.
    has_events: bool,
    /// Response that cannot be interrupted.
    protected: Option<u32>,
    queue: Queue,
    backdrop: Option<Backdrop>,
    relay: Option<Box<Relay>>,
    pacer: Pacer,
    packetizer: Packetizer,
    digits_out: DigitSender,
    /// Encoded audio waiting until a packet is full.
    packing: Box<[u8; limits::PACKET_OUT_SAMPLES_MAX + SAMPLES]>,
    packed: usize,
    pack_marker: bool,
    /// Comfort noise to play while the peer sends nothing.
    noise: Option<Noise>,
    /// The peer has sent RTCP reports, and its last VoIP metrics.
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
        let stream = config.stream.sound();
        let mut packetizer = Packetizer::new(config.ssrc, config.first_sequence, config.first_timestamp);
        if stream.is_secret() {
            packetizer.begin_low();
        }
        Self {
            stream,
            law: stream.codec.law(),
            clock: config.clock,
            cname: config.cname,
            latch: Latch::new(config.latching, named(&stream)),
            pace: Pace::default(),
            remote_ssrc: None,
            buffer: Buffer::default(),
            coder: Some(Coder::new(stream.codec)),
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
            packetizer,
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

    /// Applies a renegotiated stream. The peer's packets may now come from another address.
    pub fn renegotiate(&mut self, now: Instant, stream: Stream) {
        let stream = stream.sound();
        let keeps_path = stream.ice.is_some() && stream.ice == self.stream.ice && self.latch.has_chosen();
        self.latch.reopen(now, named(&stream), keeps_path);
        if stream.needs_new_source(&self.stream) {
            self.packetizer.renew();
        }
        if stream.receiving && !self.stream.receiving {
            self.last_packet = now;
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

    /// Sets the ambience mixed under the agent's voice.
    pub fn set_backdrop(&mut self, backdrop: Option<Backdrop>) {
        self.backdrop = backdrop;
    }

    /// A frame of the party that this leg is bridged with.
    pub fn relay(&mut self, frame: &Frame) {
        self.relay.get_or_insert_default().push(frame);
    }

    /// Starts the answered call: recording and network timeout begin here.
    pub fn answered(&mut self, now: Instant, record: bool) {
        self.aligner = record.then(Box::default);
        self.network_lost = false;
        self.last_packet = now;
    }

    /// Stops playout and discards the response and older ones; `barge_in` if the caller interrupted.
    pub fn flush(&mut self, now: Instant, generation: u32, barge_in: bool) {
        let mut all = Vec::new();
        self.queue.flush_generation(generation, |heard| all.push(heard));
        self.ears.release();
        self.event(LegEvent::Flushed { barge_in, generation, heard: all, at: now });
    }

    /// Resumes playout where it was paused.
    pub fn resume(&mut self) {
        self.queue.release();
        self.ears.release();
    }

    /// Makes this response uninterruptible.
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

    /// Closes the leg: sends RTCP BYE, the rest of the recording and the statistics.
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

    /// Restarts the leg's timeline after the worker was blocked too long.
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

fn named(stream: &Stream) -> Named {
    Named {
        media: stream.remote,
        rtcp: stream.remote_rtcp,
        is_one_port: stream.rtcp_mux,
        signalling: stream.signalling,
        has_ice: stream.ice.is_some(),
    }
}

const _: () = assert!(DURATION.as_millis() as usize * RATE_HZ as usize / 1_000 == SAMPLES);
