//! Receiving side of the leg: from datagram to frame.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::Leg;
use super::events::LegEvent;
use super::hearing::SampleSink;
use super::latch::StreamPosition;
use super::peer_stream::{PacketSource, PeerStream};
use super::sample_budget::SampleBudget;
use super::stream_codec::StreamCodec;
use super::stream_config::{PayloadKind, RtcpRoute};
use crate::frame::FRAME_SAMPLES;
use crate::jitter::buffer::{JitterBuffer, JitterOutput};
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::rtp::rtcp;
use crate::stats::LegStats;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How it is known that samples are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GapEvidence {
    /// By sequence number or timestamp of a packet.
    Packet,
    /// By the clock: nothing came.
    Clock,
}

fn stream_position(packet: &RtpPacket<'_>) -> StreamPosition {
    StreamPosition { ssrc: packet.ssrc, sequence: packet.sequence }
}

impl Leg {
    /// Handles an unauthenticated datagram at the RTP port.
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            return self.handle_rtcp_datagram(now, source, true, bytes);
        }
        let accepted =
            RtpPacket::parse(bytes).filter(|packet| self.latch.accept_packet(now, source, stream_position(packet)));
        match accepted {
            Some(packet) => self.handle_packet(now, &packet),
            None => self.stats.packets_ignored += 1,
        }
    }

    /// Handles an unauthenticated datagram at the RTCP port.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            self.handle_rtcp_datagram(now, source, false, bytes);
        }
    }

    /// Handles a packet authenticated by SRTP or SRTCP, from any address and port.
    pub fn handle_authentic(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            if self.stream.rtcp != RtcpRoute::Muxed {
                self.latch.handle_authentic_rtcp(now, source);
            }
            return self.handle_rtcp_packet(now, bytes);
        }
        let Some(packet) = RtpPacket::parse(bytes) else {
            self.stats.packets_ignored += 1;
            return;
        };
        self.latch.handle_authentic_packet(now, source, stream_position(&packet));
        self.handle_packet(now, &packet);
    }

    /// A packet of the peer's.
    pub fn handle_packet(&mut self, now: Instant, packet: &RtpPacket<'_>) {
        self.stats.packets_received += 1;
        self.network.touch(now);
        let kind = self.stream.payload_kind(packet.payload_type);
        let source = self.peer.begin_packet(now, packet, kind);
        match source {
            PacketSource::First => self.events.push(LegEvent::MediaStarted { at: now }),
            PacketSource::Changed => {
                self.restart_buffer(now);
                self.codec.restart();
            }
            PacketSource::Former => {
                self.stats.packets_ignored += 1;
                return;
            }
            PacketSource::Same | PacketSource::Beside => {}
        }
        if let Some(digit) = self.peer.handle_payload(kind, packet) {
            self.events.push(LegEvent::DtmfReceived { digit });
        }
        if source != PacketSource::Beside {
            self.buffer_packet(now, packet, kind);
        }
        self.stats.packets_ignored += u64::from(kind == PayloadKind::Unknown);
        self.release(now);
    }

    /// A packet of the source that is heard.
    fn buffer_packet(&mut self, now: Instant, packet: &RtpPacket<'_>, kind: PayloadKind) {
        let is_audio = kind.is_audio();
        if is_audio && packet.marker {
            self.events.push(LegEvent::TalkSpurtStarted { at: now });
        }
        if let PayloadKind::OtherCompanding(companding) = kind {
            self.stream.switch_companding(companding, packet.payload_type);
            self.codec.set_companding(companding);
        }
        let samples = self.codec.samples(packet.payload).filter(|_| is_audio);
        let timestamp = self.codec.rtp_to_samples(now, packet, samples.unwrap_or(0));
        match samples.filter(|samples| self.sample_budget.take_all(now, *samples)) {
            Some(samples) => self.buffer.insert(now, packet.sequence, timestamp, samples, packet.payload),
            None => {
                self.stats.packets_ignored += u64::from(is_audio);
                // Digits and comfort noise keep the sequence whole; other payloads are skipped the same way.
                self.buffer.insert(now, packet.sequence, timestamp, 0, &[]);
            }
        }
    }

    /// The timeline ends here: what still waits for a missing packet is heard, and another one may begin.
    pub(super) fn restart_buffer(&mut self, now: Instant) {
        let (buffer, mut decoding) = self.decoding();
        buffer.flush(now, |output| decoding.handle_output(now, &output, GapEvidence::Packet));
        decoding.conceal_pending(now);
        buffer.restart();
    }

    fn handle_rtcp_datagram(&mut self, now: Instant, source: SocketAddr, on_media_port: bool, bytes: &[u8]) {
        let ssrc = rtcp::sender_ssrc(bytes);
        match self.latch.accept_rtcp(now, source, on_media_port, ssrc, self.peer.known_ssrc(ssrc)) {
            true => self.handle_rtcp_packet(now, bytes),
            false => self.stats.packets_ignored += 1,
        }
    }

    fn handle_rtcp_packet(&mut self, now: Instant, bytes: &[u8]) {
        let received = rtcp::parse(bytes, self.outgoing.packetizer.ssrc);
        // A peer that is muted, or pauses with DTX, sends nothing but reports.
        if !received.bye {
            self.network.touch(now);
        }
        let source = rtcp::sender_ssrc(bytes).and_then(|ssrc| self.peer.source_mut(ssrc));
        if let (Some(source), Some(sent)) = (source, received.sender_report) {
            source.sender_report = Some((sent, now));
        }
        if let Some(report) = self.rtcp.handle(now, &received) {
            self.handle_path_stats(Some(report.loss), report.round_trip);
        }
    }

    /// Handles what the remote side reports about our stream.
    pub fn handle_path_stats(&mut self, loss: Option<f32>, round_trip: Option<Duration>) {
        if let Some(loss) = loss {
            self.stats.remote_loss = loss;
            self.codec.set_loss(loss);
        }
        if let Some(round_trip) = round_trip {
            self.stats.round_trip_ms = Some(round_trip.as_secs_f32() * 1_000.0);
        }
    }

    /// Takes what the jitter buffer gives up and turns it into frames.
    pub(super) fn release(&mut self, now: Instant) {
        let (buffer, mut decoding) = self.decoding();
        buffer.release(now, |output| decoding.handle_output(now, &output, GapEvidence::Packet));
        decoding.conceal_pending(now);
    }

    /// Fills a frame that is due and did not come.
    pub(super) fn fill_gap(&mut self, now: Instant) {
        let (buffer, mut decoding) = self.decoding();
        if let Some(output) = buffer.fill_gap(now, FRAME_SAMPLES, decoding.is_peer_silent()) {
            decoding.handle_output(now, &output, GapEvidence::Clock);
            decoding.conceal_pending(now);
        }
    }

    /// The jitter buffer, and all that its output goes through.
    fn decoding(&mut self) -> (&mut JitterBuffer, Decoding<'_>) {
        let sink = SampleSink {
            hearing: &mut self.hearing,
            playout: &mut self.playout,
            recording: &mut self.recording,
            listen_in: &mut self.listen_in,
            events: &mut self.events,
            reports_in_band_digits: self.peer.has_in_band_digits(),
        };
        let decoding = Decoding {
            codec: &mut self.codec,
            peer: &mut self.peer,
            sample_budget: &mut self.sample_budget,
            stats: &mut self.stats,
            sink,
        };
        (&mut self.buffer, decoding)
    }
}

/// From the output of the jitter buffer to samples.
struct Decoding<'a> {
    codec: &'a mut StreamCodec,
    peer: &'a mut PeerStream,
    sample_budget: &'a mut SampleBudget,
    stats: &'a mut LegStats,
    sink: SampleSink<'a>,
}

impl Decoding<'_> {
    fn is_peer_silent(&self) -> bool {
        self.peer.is_paused() || self.codec.is_peer_silent()
    }

    /// Conceals samples that are still missing.
    fn conceal_pending(&mut self, now: Instant) {
        self.codec.conceal_pending(&mut |samples| self.sink.push(now, samples));
    }

    fn handle_output(&mut self, now: Instant, output: &JitterOutput<'_>, evidence: GapEvidence) {
        let room = self.sink.hearing.timeline.room(now);
        let mut affordable = |count: usize| match evidence {
            // A packet may claim a gap that was never there.
            GapEvidence::Packet => self.sample_budget.take_up_to(now, count.min(room)),
            GapEvidence::Clock => count,
        };
        match output {
            JitterOutput::Audio(payload) => self.codec.decode(payload, &mut |samples| self.sink.push(now, samples)),
            JitterOutput::Lost(count) => {
                let count = affordable(*count);
                if self.is_peer_silent() {
                    return self.pass_pause(now, count);
                }
                // With DTX only the next packet tells a pause from a loss.
                if evidence == GapEvidence::Packet || !self.codec.uses_dtx() {
                    self.stats.concealed_ms += count as u64 / 8;
                }
                self.codec.conceal(count, &mut |samples| self.sink.push(now, samples));
            }
            JitterOutput::Silence(count) => {
                let count = affordable(*count);
                self.pass_pause(now, count);
            }
        }
    }

    /// Samples that the peer did not send: silence or comfort noise.
    fn pass_pause(&mut self, now: Instant, count: usize) {
        let mut left = count;
        while left > 0 {
            let mut pause = [0; FRAME_SAMPLES];
            self.peer.fill_pause(&mut pause);
            let (played, _) = pause.split_at(left.min(FRAME_SAMPLES));
            self.sink.push(now, played);
            left = left.saturating_sub(played.len());
        }
    }
}
