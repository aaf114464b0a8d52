//! One call leg's media pipeline in fixed order: packet, jitter buffer, codec, VAD, barge-in, playout, recording.
//!
//! A plain value with one owner. Datagrams and ticks go in with their instant; packets leave through the `send`
//! argument, everything else through [`Leg::poll_event`]. After warm-up nothing here allocates per packet.

mod audio_analysis;
mod comfort_noise;
mod latch;
mod receiving;
mod sample_budget;
mod sending;
mod stream_codec;
mod transport_events;
mod types;

use audio_analysis::AudioAnalysis;
use comfort_noise::ComfortNoise;
pub use latch::Latching;
use latch::{Latch, SignalledMedia};
use sample_budget::SampleBudget;
use stream_codec::StreamCodec;
pub use types::{LegConfig, LegEvent, PortKind, StreamConfig};

use crate::codec::Companding;
use crate::frame::{FRAME_DURATION, FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use crate::jitter::buffer::JitterBuffer;
use crate::limits;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::pacer::Pacer;
use crate::playout::queue::{PlayoutQueue, SegmentId};
use crate::playout::relay::RelayBuffer;
use crate::record::align::RecordingAligner;
use crate::rtp::dtmf_sender::DtmfSender;
use crate::rtp::e_model;
use crate::rtp::packetizer::Packetizer;
use crate::rtp::rtcp::{self, NtpClock};
use crate::rtp::telephone_event;
use crate::stats::LegStats;
use crate::turn::barge_in;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Media of one call leg, from RTP packets to events and back. Its owner calls `tick` whenever it is due.
pub struct Leg {
    stream: StreamConfig,
    /// Companding of the audio delivered to STT. It is fixed when the leg starts and does not change on renegotiation.
    companding: Companding,
    clock: NtpClock,
    cname: String,
    latch: Latch,
    sample_budget: SampleBudget,
    remote_ssrc: Option<u32>,
    buffer: JitterBuffer,
    /// Taken out of the option while in use.
    codec: Option<StreamCodec>,
    /// The last frame was not sent: the next one begins a talk spurt.
    unsent: bool,
    capture: Frame,
    captured: usize,
    dtmf_receiver: telephone_event::TelephoneEventReceiver,
    analysis: AudioAnalysis,
    /// Telephone events were received. In-band tones are then ignored, because they duplicate the events.
    has_telephone_events: bool,
    /// Response that cannot be interrupted.
    uninterruptible: Option<u32>,
    queue: PlayoutQueue,
    ambience: Option<AmbienceMixer>,
    relay: Option<Box<RelayBuffer>>,
    pacer: Pacer,
    packetizer: Packetizer,
    dtmf_sender: DtmfSender,
    /// Encoded audio waiting until a packet is full.
    packing: Box<[u8; limits::PACKET_OUT_SAMPLES_MAX + FRAME_SAMPLES]>,
    packed: usize,
    pack_marker: bool,
    /// Comfort noise to play while the peer sends nothing.
    comfort_noise: Option<ComfortNoise>,
    /// The peer has sent RTCP reports, and its last VoIP metrics.
    reported: bool,
    remote_voip_metrics: Option<rtcp::VoipMetrics>,
    aligner: Option<Box<RecordingAligner>>,
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
    /// Creates a leg whose 20 ms grid and network timeout start at `now`. Sends nothing before its first tick.
    pub fn new(now: Instant, config: LegConfig) -> Self {
        let stream = config.stream.normalized();
        let mut packetizer = Packetizer::new(config.ssrc, config.first_sequence, config.first_timestamp);
        if stream.is_encrypted() {
            packetizer.start_in_lower_half();
        }
        Self {
            stream,
            companding: stream.codec.companding(),
            clock: config.clock,
            cname: config.cname,
            latch: Latch::new(config.latching, signalled_media(&stream)),
            sample_budget: SampleBudget::default(),
            remote_ssrc: None,
            buffer: JitterBuffer::default(),
            codec: Some(StreamCodec::new(stream.codec)),
            unsent: false,
            capture: [0; FRAME_SAMPLES],
            captured: 0,
            dtmf_receiver: telephone_event::TelephoneEventReceiver::default(),
            analysis: AudioAnalysis::new(
                config.detect_voice.then_some(config.vad),
                config.barge_in,
                config.detect_tones,
            ),
            has_telephone_events: false,
            uninterruptible: None,
            queue: PlayoutQueue::default(),
            ambience: config.ambience,
            relay: None,
            pacer: Pacer::new(now),
            packetizer,
            dtmf_sender: DtmfSender::default(),
            packing: Box::new([0; limits::PACKET_OUT_SAMPLES_MAX + FRAME_SAMPLES]),
            packed: 0,
            pack_marker: false,
            comfort_noise: None,
            reported: false,
            remote_voip_metrics: None,
            aligner: config.record.then(Box::default),
            spare_blocks: Vec::new(),
            deliver_audio: config.deliver_audio,
            speak_at_once: config.start_spurt_immediately,
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
        if self.speak_at_once && self.stream.sending && !self.dtmf_sender.is_sending() && self.queue.is_ready() {
            self.pacer.due_for_speech(now)
        } else {
            self.pacer.due()
        }
    }

    /// Takes the oldest waiting event; `None` when there is none. At most 256 wait, later ones are dropped.
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
    pub fn renegotiate(&mut self, now: Instant, stream: StreamConfig) {
        let stream = stream.normalized();
        let keeps_path = stream.ice.is_some() && stream.ice == self.stream.ice && self.latch.is_nominated();
        self.latch.handle_description(now, signalled_media(&stream), keeps_path);
        if stream.needs_new_ssrc(&self.stream) {
            self.packetizer.renew_ssrc();
        }
        if stream.receiving && !self.stream.receiving {
            self.last_packet = now;
        }
        if stream.codec != self.stream.codec {
            self.packed = 0;
            self.codec = Some(StreamCodec::new(stream.codec));
        }
        self.stream = stream;
    }

    /// Speech of a segment; `ended` with its last samples.
    pub fn play(&mut self, segment: SegmentId, samples: Vec<i16>, ended: bool) {
        self.queue.push(segment, samples, ended);
    }

    /// Sets the ambience mixed under the agent's voice.
    pub fn set_ambience(&mut self, ambience: Option<AmbienceMixer>) {
        self.ambience = ambience;
    }

    /// A frame of the party that this leg is bridged with.
    pub fn relay_frame(&mut self, frame: &Frame) {
        self.relay.get_or_insert_default().push(frame);
    }

    /// Starts the answered call: recording and network timeout begin here.
    pub fn start_call(&mut self, now: Instant, record: bool) {
        self.aligner = record.then(Box::default);
        self.network_lost = false;
        self.last_packet = now;
    }

    /// Stops playout and discards the response and older ones; `barge_in` if the caller interrupted.
    pub fn flush(&mut self, now: Instant, response_id: u32, barge_in: bool) {
        let mut all = Vec::new();
        self.queue.flush_response(response_id, |heard| all.push(heard));
        self.analysis.release();
        self.push_event(LegEvent::PlayoutFlushed { barge_in, response_id, heard: all, at: now });
    }

    /// Resumes playout where it was paused.
    pub fn resume(&mut self) {
        self.queue.resume();
        self.analysis.release();
    }

    /// Makes this response uninterruptible.
    pub fn set_uninterruptible(&mut self, response_id: u32) {
        self.uninterruptible = Some(response_id);
        if self.queue.current().is_some_and(|(current, _)| current == response_id) {
            self.resume();
        }
    }

    /// Replaces the barge-in settings, forgets the voice measured so far and resumes paused playout.
    pub fn set_barge_in(&mut self, config: barge_in::BargeInConfig) {
        self.analysis.set_barge_in(config);
        self.queue.resume();
    }

    /// Digits that are not 0-9, *, # or A-D are skipped.
    pub fn send_dtmf(&mut self, digits: &str) {
        self.dtmf_sender.push(digits);
    }

    fn is_interruptible(&self) -> bool {
        let current = self.queue.current().map(|(response_id, _)| response_id);
        self.queue.is_active() && (current.is_none() || current != self.uninterruptible)
    }

    fn pause_playout(&mut self, now: Instant) {
        if let Some((response_id, _)) = self.queue.current().filter(|_| !self.queue.is_paused()) {
            self.queue.pause();
            self.push_event(LegEvent::PlayoutPaused { response_id, at: now });
        }
    }

    /// One frame of the leg's clock, nominally at `due`.
    pub fn tick(&mut self, now: Instant, due: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        self.release(now);
        let announced = self.is_peer_silent();
        if let Some(release) = self.buffer.fill_gap(now, FRAME_SAMPLES, announced) {
            self.handle_jitter_output(now, &release, false);
            self.conceal_pending(now);
        }
        self.send_frame(now, due, send);
        if now >= self.next_report {
            self.send_rtcp(now, false, send);
        }
        let silent = now.saturating_duration_since(self.last_packet);
        if self.stream.receiving && !self.network_lost && silent >= self.network_timeout {
            self.network_lost = true;
            self.push_event(LegEvent::NetworkLost);
        }
    }

    /// Closes the leg: sends RTCP BYE, the rest of the recording and the statistics.
    pub fn close(&mut self, now: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        self.send_rtcp(now, true, send);
        if let Some(aligner) = &mut self.aligner {
            let block = aligner.finish();
            self.push_event(LegEvent::RecordingBlock { block });
        }
        let stats = self.stats();
        self.events.push_back(LegEvent::Closed { stats });
    }

    /// Statistics from the first packet until now.
    pub fn stats(&self) -> LegStats {
        let counters = self.buffer.counters;
        LegStats {
            packets_lost: counters.lost,
            packets_late: counters.late,
            packets_duplicate: counters.duplicate,
            packets_reordered: counters.reordered,
            mos: (counters.received > 0).then(|| e_model::mos(self.r_factor())),
            mos_remote: self.remote_mos(),
            jitter_ms: self.buffer.jitter_samples() as f32 * 1_000.0 / SAMPLE_RATE_HZ as f32,
            echo: self.analysis.echo.path(),
            echo_ms: self.analysis.echo.echo_frames * 20,
            playout_overflow_ms: self.queue.overflow_samples / 8,
            ..self.stats
        }
    }

    /// Restarts the leg's timeline after the worker was blocked too long.
    pub fn restart_pacing(&mut self, now: Instant) {
        self.pacer.restart(now);
    }

    fn push_event(&mut self, event: LegEvent) {
        if self.events.len() < limits::LEG_EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.stats.events_dropped += 1;
        }
    }
}

fn signalled_media(stream: &StreamConfig) -> SignalledMedia {
    SignalledMedia {
        media: stream.remote,
        rtcp: stream.remote_rtcp,
        rtcp_mux: stream.rtcp_mux,
        signalling: stream.signalling,
        has_ice: stream.ice.is_some(),
    }
}

const _: () = assert!(FRAME_DURATION.as_millis() as usize * SAMPLE_RATE_HZ as usize / 1_000 == FRAME_SAMPLES);
