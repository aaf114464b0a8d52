//! One call leg's media pipeline in fixed order: packet, jitter buffer, codec, VAD, barge-in, playout, recording.
//!
//! A plain value with one owner. Datagrams and ticks go in with their instant; packets leave through the `send`
//! argument, everything else through [`Leg::poll_event`]. After warm-up nothing here allocates per packet.

mod audio_analysis;
mod comfort_noise;
mod config;
mod events;
mod hearing;
mod latch;
mod listen_in;
mod media_addr;
mod media_path;
mod network_watch;
mod outgoing;
mod peer_source;
mod peer_stream;
mod playout;
mod receiving;
mod recording;
mod rtcp_exchange;
mod sample_budget;
mod sending;
mod stream_codec;
mod stream_config;
mod timeline;
mod transport_events;

pub use config::{AnalysisConfig, AudioDelivery, LegConfig, PortKind};
pub use events::LegEvent;
pub use latch::Latching;
pub use stream_config::{MediaSecurity, RtcpRoute, StreamConfig, StreamDirection};

use crate::audio::AudioFrame;
use crate::frame::{FRAME_DURATION, FRAME_SAMPLES, SAMPLE_RATE_HZ};
use crate::jitter::buffer::JitterBuffer;
use crate::playout::ambience::AmbienceMixer;
use crate::playout::pacer::Pacer;
use crate::playout::queue::SegmentId;
use crate::rtp::e_model;
use crate::rtp::packetizer::Packetizer;
use crate::stats::LegStats;
use crate::turn::barge_in;
use audio_analysis::AudioAnalysis;
use events::LegEventQueue;
use hearing::Hearing;
use latch::{Latch, SignalledMedia};
use listen_in::ListenIn;
use media_path::PathDiscovery;
use network_watch::NetworkWatch;
use outgoing::OutgoingStream;
use peer_stream::PeerStream;
use playout::Playout;
use recording::Recording;
use rtcp_exchange::RtcpExchange;
use sample_budget::SampleBudget;
use std::net::SocketAddr;
use std::time::Instant;
use stream_codec::StreamCodec;

/// Media of one call leg, from RTP packets to events and back. Its owner calls `tick` whenever it is due.
pub struct Leg {
    stream: StreamConfig,
    /// Whose packets are the peer's, and where ours go.
    latch: Latch,
    /// What the peer sends.
    peer: PeerStream,
    sample_budget: SampleBudget,
    buffer: JitterBuffer,
    codec: StreamCodec,
    /// What becomes of received samples.
    hearing: Hearing,
    /// What is sent.
    playout: Playout,
    pacer: Pacer,
    outgoing: OutgoingStream,
    rtcp: RtcpExchange,
    recording: Recording,
    listen_in: ListenIn,
    network: NetworkWatch,
    events: LegEventQueue,
    /// Figures that no part above counts by itself.
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
            latch: Latch::new(config.latching, signalled_media(&stream)),
            peer: PeerStream::Awaited,
            sample_budget: SampleBudget::default(),
            buffer: JitterBuffer::default(),
            codec: StreamCodec::new(stream.codec),
            hearing: Hearing::new(AudioAnalysis::new(config.analysis), config.audio, &stream),
            playout: Playout::new(config.ambience),
            pacer: Pacer::new(now, config.spurt_start),
            outgoing: OutgoingStream::new(packetizer),
            rtcp: RtcpExchange::new(now, config.clock, config.cname),
            recording: Recording::new(now, config.record),
            listen_in: ListenIn::default(),
            network: NetworkWatch::new(now, config.network_timeout),
            events: LegEventQueue::default(),
            stats: LegStats::default(),
        }
    }

    /// When [`Leg::tick`] is due.
    pub fn due(&self, now: Instant) -> Instant {
        if self.stream.direction.sends() && !self.outgoing.is_sending_digits() && self.playout.is_ready() {
            self.pacer.due_for_speech(now)
        } else {
            self.pacer.due()
        }
    }

    /// Takes the oldest waiting event; `None` when there is none. At most 256 wait, later ones are dropped.
    pub fn poll_event(&mut self) -> Option<LegEvent> {
        self.events.pop()
    }

    /// Takes back an empty recording block.
    pub fn recycle(&mut self, block: Vec<i16>) {
        self.recording.recycle(block);
    }

    /// Applies a renegotiated stream. The peer's packets may now come from another address.
    pub fn renegotiate(&mut self, now: Instant, stream: StreamConfig) {
        let stream = stream.normalized();
        // A restart changes the credentials; the chosen path carries the media until another one is chosen (RFC 8445
        // section 9).
        let keeps_path = stream.ice.is_some() && self.stream.ice.is_some() && self.latch.is_nominated();
        self.latch.handle_description(now, signalled_media(&stream), keeps_path);
        if stream.needs_new_ssrc(&self.stream) {
            self.outgoing.packetizer.renew_ssrc();
            self.outgoing.pause();
        }
        if stream.direction.receives() && !self.stream.direction.receives() {
            self.network.touch(now);
        }
        if stream.codec != self.stream.codec {
            self.outgoing.discard_waiting();
            self.restart_buffer(now);
            self.codec = StreamCodec::new(stream.codec);
        }
        self.stream = stream;
    }

    /// Speech of a segment at 8 kHz; `ended` with its last samples.
    pub fn play(&mut self, segment: SegmentId, samples: Vec<i16>, ended: bool) {
        self.playout.push(segment, samples, ended);
    }

    /// Sets the ambience mixed under the agent's voice.
    pub fn set_ambience(&mut self, ambience: Option<AmbienceMixer>) {
        self.playout.set_ambience(ambience);
    }

    /// A frame of the party that this leg is bridged with, in any format. One whose rate can't be converted is dropped.
    pub fn relay_frame(&mut self, frame: &AudioFrame) {
        let _ = self.playout.push_relayed(frame);
    }

    /// The party of another leg hears this one from now on, and the agent does not: nothing is taken out of its audio
    /// but the tones of keys that are reported as events. Paused playout goes on.
    pub fn start_bridge(&mut self) {
        self.hearing.start_bridge();
        self.playout.resume();
    }

    /// Whether somebody hears both sides from now on: [`LegEvent::BothSides`].
    pub fn set_listen_in(&mut self, on: bool) {
        self.listen_in.set(on);
    }

    /// The peer reports its keys by signalling (INFO): tones in its audio are copies of them.
    pub fn handle_signalled_digit(&mut self) {
        self.peer.handle_signalled_digit();
    }

    /// Starts the answered call: recording and network timeout begin here.
    pub fn start_call(&mut self, now: Instant, record: bool) {
        self.recording = Recording::new(now, record);
        self.network.restart(now);
    }

    /// Stops playout and discards the response and older ones; `barge_in` if the caller interrupted.
    pub fn flush(&mut self, now: Instant, response_id: u32, barge_in: bool) {
        let heard = self.playout.flush_response(response_id);
        self.hearing.analysis.release();
        self.events.push(LegEvent::PlayoutFlushed { barge_in, response_id, heard, at: now });
    }

    /// Resumes playout where it was paused.
    pub fn resume(&mut self) {
        self.playout.resume();
        self.hearing.analysis.release();
    }

    /// Makes this response uninterruptible.
    pub fn set_uninterruptible(&mut self, response_id: u32) {
        if self.playout.set_uninterruptible(response_id) {
            self.resume();
        }
    }

    /// Replaces the barge-in settings, forgets the voice measured so far and resumes paused playout.
    pub fn set_barge_in(&mut self, config: barge_in::BargeInConfig) {
        self.hearing.analysis.set_barge_in(config);
        self.playout.resume();
    }

    /// Digits that are not 0-9, *, # or A-D are skipped.
    pub fn send_dtmf(&mut self, digits: &str) {
        self.outgoing.push_digits(digits);
    }

    /// One frame of the leg's clock, nominally at `due`.
    pub fn tick(&mut self, now: Instant, due: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        self.release(now);
        self.fill_gap(now);
        self.send_frame(now, due, send);
        // Without an address it stays due.
        if self.rtcp.is_due(now) && self.latch.rtcp_target().is_some() {
            self.send_rtcp(now, false, send);
        }
        self.check_network(now);
    }

    /// One frame of the leg's clock while nothing can be sent, because keys are negotiated anew: what is to be played
    /// waits for them.
    pub fn tick_without_path(&mut self, now: Instant, due: Instant) {
        self.release(now);
        self.fill_gap(now);
        self.skip_frame(due);
        self.check_network(now);
    }

    fn check_network(&mut self, now: Instant) {
        if self.stream.direction.receives() && self.network.has_timed_out(now) {
            self.events.push(LegEvent::NetworkLost);
        }
    }

    /// Closes the leg: sends RTCP BYE, the rest of the recording and the statistics.
    pub fn close(&mut self, now: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        self.send_rtcp(now, true, send);
        if let Some(block) = self.recording.finish() {
            self.events.push(LegEvent::RecordingBlock { block });
        }
        let stats = self.stats();
        self.events.push_closed(stats);
    }

    /// Statistics from the first packet until now.
    pub fn stats(&self) -> LegStats {
        let counters = self.buffer.counters;
        let (echo, echo_ms) = self.hearing.analysis.echo();
        LegStats {
            packets_lost: counters.lost,
            packets_late: counters.late,
            packets_duplicate: counters.duplicate,
            packets_reordered: counters.reordered,
            mos: (counters.received > 0).then(|| e_model::mos(self.r_factor())),
            mos_remote: self.remote_mos(),
            jitter_ms: self.buffer.jitter_samples() as f32 * 1_000.0 / SAMPLE_RATE_HZ as f32,
            underruns: self.playout.underruns(),
            playout_overflow_ms: self.playout.overflow_ms(),
            events_dropped: self.events.dropped(),
            echo,
            echo_ms,
            ..self.stats
        }
    }

    /// Restarts the leg's timeline after the worker was blocked too long, or the path was. The recording goes on by the
    /// clock.
    pub fn restart_pacing(&mut self, now: Instant) {
        for _ in 0..self.recording.missing_frames(now, self.pacer.due()) {
            if let Some(block) = self.recording.push_agent(&[0; FRAME_SAMPLES]) {
                self.events.push(LegEvent::RecordingBlock { block });
            }
        }
        self.pacer.restart(now);
    }
}

fn signalled_media(stream: &StreamConfig) -> SignalledMedia {
    SignalledMedia {
        media: stream.remote,
        rtcp: stream.rtcp,
        signalling: stream.signalling,
        path: if stream.ice.is_some() { PathDiscovery::Ice } else { PathDiscovery::Latching },
    }
}

const _: () = assert!(FRAME_DURATION.as_millis() as usize * SAMPLE_RATE_HZ as usize / 1_000 == FRAME_SAMPLES);

#[cfg(test)]
mod tests;
