//! Sending side of the leg: one frame every 20 ms, and RTCP.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::{Leg, LegEvent, PortKind};
use crate::codec::Codec;
use crate::frame::{FRAME_SAMPLES, Frame};
use crate::limits;
use crate::playout::queue::SegmentChange;
use crate::rtp::e_model;
use crate::rtp::rtcp::{self, ReceptionReport};
use std::net::SocketAddr;
use std::time::Instant;

/// A header and the longest payload of ours.
const PACKET_MAX: usize = 12 + limits::PACKET_OUT_SAMPLES_MAX;

impl Leg {
    pub(super) fn send_frame(
        &mut self, now: Instant, due: Instant, send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let timestamp = self.packetizer.timestamp();
        self.packetizer.advance(FRAME_SAMPLES as u32);
        if !self.stream.sending {
            self.packed = 0;
            self.pacer.record_sent(due, false);
            return self.record_sent_frame(&frame);
        }
        let mut buffer = [0; PACKET_MAX];
        if let Some(step) = self.dtmf_sender.step(timestamp, self.stream.telephone_event, &mut frame) {
            self.pacer.record_sent(due, false);
            if step.last {
                self.push_event(LegEvent::DtmfSent);
            }
            if let (Some(packet), Some(payload_type)) = (step.packet, self.stream.telephone_event) {
                self.packed = 0; // pending audio is replaced by the event
                let marker = packet.marker;
                let at = self.codec.as_ref().map_or(packet.timestamp, |coder| coder.samples_to_rtp(packet.timestamp));
                let len = self.packetizer.write(payload_type, marker, at, &packet.payload, &mut buffer);
                self.transmit(buffer.get(..len).unwrap_or_default(), send);
                return self.record_sent_frame(&frame);
            }
            return self.send_audio(timestamp, false, &frame, &mut buffer, send);
        }
        // A response does not start while the caller is speaking.
        let begins = self.queue.is_ready() && self.queue.current().is_some_and(|(_, heard)| !heard);
        if begins && self.is_interruptible() && self.analysis.pause_if_speaking() {
            self.pause_playout(now);
        }
        let events = &mut self.events;
        let speech = self.queue.next_frame(&mut frame, |change| {
            if events.len() < limits::LEG_EVENTS_MAX {
                events.push_back(match change {
                    SegmentChange::Started(segment) => LegEvent::SegmentStarted { segment, at: now },
                    SegmentChange::Finished(heard) => LegEvent::SegmentFinished { heard, at: now },
                });
            }
        });
        // A segment without samples that has not ended: TTS is slower than real time.
        let dry = !speech && self.queue.is_active() && !self.queue.is_paused();
        self.stats.underruns += u64::from(dry && !self.underrun);
        self.underrun = dry;
        if let Some(ambience) = &mut self.ambience {
            ambience.mix(&mut frame, speech);
        }
        let relayed = self.relay.as_mut().is_some_and(|relay| relay.mix(&mut frame));
        self.analysis.echo.handle_sent(&frame, speech || relayed);
        let marker = self.pacer.record_sent(due, speech);
        self.send_audio(timestamp, marker, &frame, &mut buffer, send);
    }

    fn send_audio(
        &mut self, timestamp: u32, marker: bool, frame: &Frame, buffer: &mut [u8; PACKET_MAX],
        send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        let mut coded = [0; FRAME_SAMPLES];
        let Some(coder) = &mut self.codec else { return };
        let timestamp = coder.samples_to_rtp(timestamp);
        let is_whole = self.stream.ptime_ms == 20 || self.stream.codec == Codec::Opus;
        match coder.encode(frame, &mut coded) {
            Some(payload) => {
                let marker = marker || std::mem::take(&mut self.unsent);
                if is_whole && self.packed == 0 {
                    self.send_payload(marker, timestamp, payload, buffer, send);
                } else {
                    self.pack(marker, timestamp, payload, buffer, send);
                }
            }
            None => self.unsent = true,
        }
        self.record_sent_frame(frame);
    }

    /// Cuts what is coded into packets of the length the peer asked for. An octet is a sample in every codec that is
    /// packed.
    fn pack(
        &mut self, marker: bool, timestamp: u32, coded: &[u8], buffer: &mut [u8; PACKET_MAX],
        send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        // Never zero: that would loop forever.
        let len = (usize::from(self.stream.ptime_ms) * 8).clamp(1, limits::PACKET_OUT_SAMPLES_MAX);
        let mut from = timestamp.wrapping_sub(self.packed as u32);
        let room = self.packing.get_mut(self.packed..).unwrap_or_default();
        self.packed = self.packed.saturating_add(coded.len().min(room.len()));
        room.iter_mut().zip(coded).for_each(|(to, from)| *to = *from);
        self.pack_marker |= marker;
        let packing: [u8; limits::PACKET_OUT_SAMPLES_MAX + FRAME_SAMPLES] = *self.packing;
        let mut rest = packing.get(..self.packed).unwrap_or_default();
        while let Some((payload, after)) = rest.split_at_checked(len) {
            let marker = std::mem::take(&mut self.pack_marker);
            self.send_payload(marker, from, payload, buffer, send);
            (rest, from) = (after, from.wrapping_add(len as u32));
        }
        self.packed = rest.len();
        self.packing.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    }

    fn send_payload(
        &mut self, marker: bool, timestamp: u32, payload: &[u8], buffer: &mut [u8; PACKET_MAX],
        send: &mut impl FnMut(PortKind, SocketAddr, &[u8]),
    ) {
        let len = self.packetizer.write(self.stream.payload_type, marker, timestamp, payload, buffer);
        self.transmit(buffer.get(..len).unwrap_or_default(), send);
    }

    fn transmit(&mut self, bytes: &[u8], send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
        if let Some(target) = self.target().filter(|_| !bytes.is_empty()) {
            self.stats.packets_sent += 1;
            send(PortKind::Rtp, target, bytes);
        }
    }

    fn record_sent_frame(&mut self, frame: &Frame) {
        let Some(aligner) = &mut self.aligner else { return };
        let spare = &mut self.spare_blocks;
        let next =
            || spare.pop().unwrap_or_else(|| Vec::with_capacity(limits::RECORD_BLOCK_PAIRS * 2 + FRAME_SAMPLES * 2));
        if let Some(block) = aligner.push_agent(frame, next) {
            self.push_event(LegEvent::RecordingBlock { block });
        }
    }

    pub(super) fn send_rtcp(&mut self, now: Instant, bye: bool, send: &mut impl FnMut(PortKind, SocketAddr, &[u8])) {
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
            ReceptionReport {
                ssrc,
                fraction_lost: fraction.min(255) as u8,
                cumulative_lost: lost.min(0x7f_ffff) as u32,
                highest_sequence: self.highest_sequence,
                jitter: self.buffer.jitter_samples(),
                last_sr,
                delay_since_last_sr: (delay * 65_536.0) as u32,
            }
        });
        let out = rtcp::OutgoingRtcp {
            ssrc: self.packetizer.ssrc,
            ntp: self.clock.ntp(now),
            rtp_timestamp: self.packetizer.timestamp(),
            packets: self.packetizer.packets,
            octets: self.packetizer.octets,
            cname: &self.cname,
            reception,
            voip: reception.is_some().then(|| self.voip_metrics()),
            bye,
        };
        let mut buffer = [0; 256];
        if let Some((len, target)) = rtcp::write(&out, &mut buffer).zip(self.report_target()) {
            let port = if self.stream.rtcp_mux { PortKind::Rtp } else { PortKind::Rtcp };
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
        let reported = self.reported.then(|| e_model::mos(e_model::r_factor(self.stats.remote_loss, self.delay_ms())));
        self.remote_voip_metrics.and_then(|voip| voip.mos).or(reported)
    }
}
