//! Receiving side of the leg: from datagram to frame.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::latch::StreamPosition;
use super::{ComfortNoise, Leg, LegEvent, StreamCodec};
use crate::codec::{Codec, Companding};
use crate::frame::FRAME_SAMPLES;
use crate::jitter::buffer::JitterOutput;
use crate::rtp::packet::{RtpPacket, is_rtcp};
use crate::rtp::rtcp;
use crate::turn::barge_in::BargeInDecision;
use crate::vad::SpeechChange;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Static payload type of comfort noise (RFC 3389 section 4).
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

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
            if !self.stream.rtcp_mux {
                self.latch.handle_authentic_rtcp(source);
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
        if self.stats.packets_received == 0 {
            self.push_event(LegEvent::MediaStarted { at: now });
        }
        self.stats.packets_received += 1;
        self.last_packet = now;
        if self.remote_ssrc != Some(packet.ssrc) {
            if self.remote_ssrc.is_some() {
                self.buffer.restart();
                self.dtmf_receiver.reset();
                self.codec.iter_mut().for_each(StreamCodec::restart);
            }
            self.remote_ssrc = Some(packet.ssrc);
        }
        self.highest_sequence = u32::from(packet.sequence);
        let is_one = |one: Option<u8>| one == Some(packet.payload_type);
        let is_event = is_one(self.stream.telephone_event_in) || is_one(self.stream.telephone_event);
        self.has_telephone_events |= is_event;
        if is_event && let Some(digit) = self.dtmf_receiver.handle(packet.timestamp, packet.payload) {
            self.push_event(LegEvent::DtmfReceived { digit });
        }
        let is_named = [self.stream.payload_type, self.stream.payload_type_in].contains(&packet.payload_type);
        let is_audio = is_named && !is_event || self.is_other_companding(packet.payload_type);
        if is_audio {
            self.comfort_noise = None;
        } else if is_one(self.stream.comfort_noise) || packet.payload_type == COMFORT_NOISE_PAYLOAD_TYPE && !is_event {
            self.comfort_noise = Some(ComfortNoise::from_payload(packet.payload));
        }
        let timestamp = self.codec.as_mut().map_or(packet.timestamp, |coder| coder.rtp_to_samples(packet.timestamp));
        if is_audio {
            if packet.marker {
                self.push_event(LegEvent::TalkSpurtStarted { at: now });
            }
            if self.is_other_companding(packet.payload_type) {
                // Asymmetric senders exist: the payload type decides (RFC 3551 section 6).
                let companding = if packet.payload_type == 0 { Companding::MuLaw } else { Companding::ALaw };
                self.stream.codec = Codec::G711(companding);
                self.stream.payload_type = packet.payload_type;
                self.stream.payload_type_in = packet.payload_type;
                self.codec.iter_mut().for_each(|coder| coder.set_companding(companding));
            }
        }
        let samples = self.codec.as_ref().and_then(|coder| coder.samples(packet.payload)).filter(|_| is_audio);
        match samples.filter(|samples| self.sample_budget.take_all(now, *samples)) {
            Some(samples) => self.buffer.insert(now, packet.sequence, timestamp, samples, packet.payload),
            None => {
                self.stats.packets_ignored += u64::from(is_audio);
                // Digits and comfort noise keep the sequence whole; other payloads are skipped the same way.
                self.buffer.insert(now, packet.sequence, timestamp, 0, &[]);
            }
        }
        self.release(now);
    }

    /// Static G.711 types mean the same in every stream, whatever the session description says.
    fn is_other_companding(&self, payload_type: u8) -> bool {
        matches!(payload_type, 0 | 8)
            && matches!(self.stream.codec, Codec::G711(_))
            && payload_type != self.stream.payload_type
            && payload_type != self.stream.payload_type_in
    }

    fn handle_rtcp_datagram(&mut self, now: Instant, source: SocketAddr, on_media_port: bool, bytes: &[u8]) {
        match self.latch.accept_rtcp(source, on_media_port, rtcp::sender_ssrc(bytes), self.remote_ssrc) {
            true => self.handle_rtcp_packet(now, bytes),
            false => self.stats.packets_ignored += 1,
        }
    }

    fn handle_rtcp_packet(&mut self, now: Instant, bytes: &[u8]) {
        let received = rtcp::parse(bytes, self.packetizer.ssrc);
        if let Some(sent) = received.sender_report {
            self.last_sr = Some((sent, now));
        }
        self.remote_voip_metrics = received.voip.or(self.remote_voip_metrics);
        if let Some(block) = received.report {
            self.reported = true;
            self.handle_path_stats(Some(f32::from(block.fraction_lost) / 256.0), self.clock.round_trip(now, &block));
        }
    }

    /// Handles what the remote side reports about our stream.
    pub fn handle_path_stats(&mut self, loss: Option<f32>, round_trip: Option<Duration>) {
        if let Some(loss) = loss {
            self.stats.remote_loss = loss;
            self.codec.iter_mut().for_each(|coder| coder.set_loss(loss));
        }
        if let Some(round_trip) = round_trip {
            self.stats.round_trip_ms = Some(round_trip.as_secs_f32() * 1_000.0);
        }
    }

    /// Takes what the jitter buffer gives up and turns it into frames.
    pub(super) fn release(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.release(now, |release| self.handle_jitter_output(now, &release, true));
        self.buffer = buffer;
        self.conceal_pending(now);
    }

    /// Conceals samples that are still missing.
    pub(super) fn conceal_pending(&mut self, now: Instant) {
        self.run_codec(now, |coder, out| coder.conceal_pending(out));
    }

    /// Lets the codec produce samples, which go where all received sound goes.
    fn run_codec(&mut self, now: Instant, act: impl FnOnce(&mut StreamCodec, &mut dyn FnMut(&[i16]))) {
        let Some(mut coder) = self.codec.take() else { return };
        act(&mut coder, &mut |samples| self.capture(now, samples));
        self.codec = Some(coder);
    }

    /// `gap`: what is missing is known to be, by sequence number or timestamp of a packet; else by the clock.
    pub(super) fn handle_jitter_output(&mut self, now: Instant, release: &JitterOutput<'_>, gap: bool) {
        let release = match release {
            JitterOutput::Lost(count) if gap => &JitterOutput::Lost(self.sample_budget.take_up_to(now, *count)),
            JitterOutput::Silence(count) if gap => &JitterOutput::Silence(self.sample_budget.take_up_to(now, *count)),
            other => other,
        };
        match release {
            JitterOutput::Audio(payload) => self.run_codec(now, |coder, out| coder.decode(payload, out)),
            JitterOutput::Lost(count) if !self.is_peer_silent() => {
                // With DTX only the next packet tells a pause from a loss.
                if gap || !self.stream.codec.uses_dtx() {
                    self.stats.concealed_ms += *count as u64 / 8;
                }
                self.run_codec(now, |coder, out| coder.conceal(*count, out));
            }
            JitterOutput::Lost(count) | JitterOutput::Silence(count) => {
                let mut left = *count;
                while left > 0 {
                    let now_samples = left.min(FRAME_SAMPLES);
                    let mut silence = [0; FRAME_SAMPLES];
                    if let Some(noise) = &mut self.comfort_noise {
                        noise.fill(&mut silence);
                    }
                    self.capture(now, silence.get(..now_samples).unwrap_or(&silence));
                    left = left.saturating_sub(now_samples);
                }
            }
        }
    }

    pub(super) fn is_peer_silent(&self) -> bool {
        self.comfort_noise.is_some() || self.codec.as_ref().is_some_and(StreamCodec::is_peer_silent)
    }

    fn capture(&mut self, now: Instant, mut samples: &[i16]) {
        while !samples.is_empty() {
            let room = self.capture.get_mut(self.captured..).unwrap_or_default();
            let (taken, rest) = samples.split_at(samples.len().min(room.len()));
            room.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
            self.captured = self.captured.saturating_add(taken.len());
            samples = rest;
            if self.captured >= FRAME_SAMPLES {
                self.captured = 0;
                self.handle_captured_frame(now);
            }
        }
    }

    fn handle_captured_frame(&mut self, now: Instant) {
        let frame = self.capture;
        if let Some(aligner) = &mut self.aligner {
            aligner.push_caller(&frame);
        }
        let playing = self.is_interruptible();
        let heard = self.analysis.handle_frame(now, &frame, playing);
        if self.deliver_audio {
            let companding = self.companding;
            let mut codes = [companding.silence(); FRAME_SAMPLES];
            if !heard.is_muted {
                companding.encode_into(&frame, &mut codes);
            }
            self.push_event(LegEvent::Audio { codes, at: now });
        }
        if let Some(path) = heard.echo_path_found.then(|| self.analysis.echo.path()).flatten() {
            self.push_event(LegEvent::EchoPathFound { path });
        }
        if let Some(digit) = heard.digit.filter(|_| !self.has_telephone_events) {
            self.push_event(LegEvent::DtmfReceived { digit });
        }
        if let Some(tone) = heard.tone {
            self.push_event(LegEvent::Tone { tone, at: now });
        }
        match heard.speech_change {
            Some(SpeechChange::Started(at)) => self.push_event(LegEvent::SpeechStarted { at }),
            Some(SpeechChange::Ended(last_sound)) => self.push_event(LegEvent::SpeechEnded { last_sound }),
            None => {}
        }
        match heard.barge_in {
            Some(BargeInDecision::Pause) => self.pause_playout(now),
            Some(BargeInDecision::Stop) => {
                let mut all = Vec::new();
                self.queue.flush(|heard| all.push(heard));
                let response_id = all.iter().map(|heard| heard.segment.response_id).max().unwrap_or(0);
                self.push_event(LegEvent::PlayoutFlushed { barge_in: true, response_id, heard: all, at: now });
            }
            None => {}
        }
    }
}
