//! Sending side of the leg: one frame every 20 ms, and RTCP.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::Leg;
use super::config::PortKind;
use super::events::LegEvent;
use super::rtcp_exchange::{RTCP_BYTES_MAX, ReportedStreams};
use super::stream_config::RtcpRoute;
use crate::frame::{FRAME_SAMPLES, Frame};
use crate::rtp::dtmf_sender::DtmfStep;
use crate::rtp::e_model;
use crate::rtp::rtcp;
use std::net::SocketAddr;
use std::time::Instant;

impl Leg {
    pub(super) fn send_frame(
        &mut self, now: Instant, due: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let timestamp = self.outgoing.advance();
        if !self.stream.direction.sends() {
            self.outgoing.pause();
            self.playout.skip_relayed();
            self.pacer.record_sent(due, false);
        } else if let Some(step) = self.outgoing.step_digits(timestamp, &self.stream, &mut frame) {
            self.playout.skip_relayed();
            self.pacer.record_sent(due, false);
            self.send_digit(timestamp, &step, &frame, send);
        } else {
            let marker = self.mix_frame(now, due, &mut frame);
            self.send_audio(timestamp, marker, &frame, send);
        }
        self.record_frame(&frame);
    }

    /// A frame in which nothing can be sent: media time passes, and speech and digits wait.
    pub(super) fn skip_frame(&mut self, due: Instant) {
        self.outgoing.advance();
        self.outgoing.pause();
        self.playout.skip_relayed();
        self.pacer.record_sent(due, false);
        self.record_frame(&[0; FRAME_SAMPLES]);
    }

    fn record_frame(&mut self, frame: &Frame) {
        if let Some(frame) = self.listen_in.push_agent(frame) {
            self.events.push(LegEvent::BothSides { frame });
        }
        if let Some(block) = self.recording.push_agent(frame) {
            self.events.push(LegEvent::RecordingBlock { block });
        }
    }

    /// One frame of a digit: an event, or its tone or pause.
    fn send_digit(
        &mut self, timestamp: u32, step: &DtmfStep, frame: &Frame, send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        if step.last {
            self.events.push(LegEvent::DtmfSent);
        }
        let is_event = {
            let mut transmit = transmitter(self.latch.target(), &mut self.stats.packets_sent, send);
            self.outgoing.send_event(step, &self.stream, &self.codec, &mut transmit)
        };
        if !is_event {
            self.send_audio(timestamp, false, frame, send);
        }
    }

    /// Fills the frame with what is played now. True if it begins a talk spurt.
    fn mix_frame(&mut self, now: Instant, due: Instant, frame: &mut Frame) -> bool {
        // A response does not start while the caller is speaking.
        if self.playout.begins_response()
            && self.playout.is_interruptible()
            && self.hearing.analysis.pause_if_speaking()
        {
            self.playout.pause(now, &mut self.events);
        }
        let mixed = self.playout.mix(now, frame, &mut self.events);
        self.hearing.analysis.handle_sent(frame, mixed.speech || mixed.relayed);
        self.pacer.record_sent(due, mixed.speech)
    }

    fn send_audio(
        &mut self, timestamp: u32, marker: bool, frame: &Frame, send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        let target = self.latch.target();
        if target.is_none() {
            // What nobody gets is not counted in reports.
            return self.outgoing.pause();
        }
        let mut transmit = transmitter(target, &mut self.stats.packets_sent, send);
        self.outgoing.send_audio(timestamp, marker, frame, &self.stream, &mut self.codec, &mut transmit);
    }

    pub(super) fn send_rtcp(&mut self, now: Instant, bye: bool, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        let voip = self.voip_metrics();
        let mut buffer = [0; RTCP_BYTES_MAX];
        let streams = ReportedStreams {
            ours: &self.outgoing.packetizer,
            peer: &mut self.peer,
            buffer: &self.buffer,
            clock_scale: self.codec.clock_scale(),
        };
        let written = self.rtcp.write(now, streams, voip, bye, &mut buffer);
        if let Some((len, target)) = written.zip(self.latch.rtcp_target()) {
            let port = match self.stream.rtcp {
                RtcpRoute::Muxed => PortKind::Rtp,
                RtcpRoute::Separate(_) => PortKind::Rtcp,
            };
            send(port, target, buffer.get(..len).unwrap_or_default());
        }
    }

    /// VoIP metrics of the peer's stream (RFC 3611 section 4.7).
    fn voip_metrics(&self) -> rtcp::VoipMetrics {
        let counters = self.buffer.counters;
        let expected = (counters.received + counters.lost).max(1) as f32;
        let of_256 = |count: u64| (count as f32 / expected * 256.0).min(255.0) as u8;
        let rating = self.r_factor();
        rtcp::VoipMetrics {
            loss_rate: of_256(counters.lost),
            discard_rate: of_256(counters.late),
            round_trip_ms: self.stats.round_trip_ms.unwrap_or(0.0).min(65_535.0) as u16,
            end_system_ms: self.end_system_ms() as u16,
            r_factor: Some(rating as u8),
            mos: Some(e_model::mos(rating)),
        }
    }

    /// Packet duration, jitter buffer delay and one frame.
    fn end_system_ms(&self) -> f32 {
        let jitter_ms = self.buffer.jitter_samples() as f32 / 8.0;
        (20.0 + 2.0 * jitter_ms + 20.0).min(500.0)
    }

    fn delay_ms(&self) -> f32 {
        self.stats.round_trip_ms.unwrap_or(0.0) / 2.0 + self.end_system_ms()
    }

    /// E-model R factor of the received stream.
    pub(super) fn r_factor(&self) -> f32 {
        let counters = self.buffer.counters;
        let expected = (counters.received + counters.lost).max(1) as f32;
        e_model::r_factor((counters.lost + counters.late) as f32 / expected, self.delay_ms())
    }

    /// MOS of our stream at the peer: as reported by the peer, else computed from the reported loss.
    pub(super) fn remote_mos(&self) -> Option<f32> {
        self.rtcp.peer_mos(|| e_model::mos(e_model::r_factor(self.stats.remote_loss, self.delay_ms())))
    }
}

/// Sends whole packets to the peer and counts them; without an address, none.
fn transmitter(
    target: Option<SocketAddr>, sent: &mut u64, send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
) -> impl FnMut(&[u8]) {
    move |packet| {
        if let Some(target) = target.filter(|_| !packet.is_empty()) {
            *sent += 1;
            send(PortKind::Rtp, target, packet);
        }
    }
}
