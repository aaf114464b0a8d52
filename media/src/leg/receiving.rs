//! Receiving side of the leg: from datagram to frame.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::latch::Mark;
use super::{Coder, Leg, LegEvent, Noise};
use crate::codec::{Codec, Law};
use crate::frame::SAMPLES;
use crate::jitter::buffer::Release;
use crate::rtp::packet::{Packet, is_rtcp};
use crate::rtp::rtcp;
use crate::turn::barge_in::Verdict;
use crate::vad::Voice;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Static payload type of comfort noise (RFC 3389 section 4).
const COMFORT_NOISE: u8 = 13;

fn mark(packet: &Packet<'_>) -> Mark {
    Mark { ssrc: packet.ssrc, sequence: packet.sequence }
}

impl Leg {
    /// Handles an unauthenticated datagram at the RTP port.
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            return self.report_arrived(now, source, true, bytes);
        }
        let accepted = Packet::parse(bytes).filter(|packet| self.latch.accepts(now, source, mark(packet)));
        match accepted {
            Some(packet) => self.handle_packet(now, &packet),
            None => self.stats.packets_ignored += 1,
        }
    }

    /// Handles an unauthenticated datagram at the RTCP port.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            self.report_arrived(now, source, false, bytes);
        }
    }

    /// Handles a packet authenticated by SRTP or SRTCP, from any address and port.
    pub fn handle_authentic(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if is_rtcp(bytes) {
            if !self.stream.rtcp_mux {
                self.latch.authentic_report(source);
            }
            return self.handle_report(now, bytes);
        }
        let Some(packet) = Packet::parse(bytes) else {
            self.stats.packets_ignored += 1;
            return;
        };
        self.latch.authentic(now, source, mark(&packet));
        self.handle_packet(now, &packet);
    }

    /// A packet of the peer's.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>) {
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
                // Asymmetric senders exist: the payload type decides (RFC 3551 section 6).
                let law = if packet.payload_type == 0 { Law::Mu } else { Law::A };
                self.stream.codec = Codec::G711(law);
                self.stream.payload_type = packet.payload_type;
                self.stream.payload_type_in = packet.payload_type;
                self.coder.iter_mut().for_each(|coder| coder.set_law(law));
            }
        }
        let samples = self.coder.as_ref().and_then(|coder| coder.samples(packet.payload)).filter(|_| is_audio);
        match samples.filter(|samples| self.pace.admits(now, *samples)) {
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

    fn report_arrived(&mut self, now: Instant, source: SocketAddr, on_media_port: bool, bytes: &[u8]) {
        match self.latch.accepts_report(source, on_media_port, rtcp::sender(bytes), self.remote_ssrc) {
            true => self.handle_report(now, bytes),
            false => self.stats.packets_ignored += 1,
        }
    }

    fn handle_report(&mut self, now: Instant, bytes: &[u8]) {
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

    /// Handles what the remote side reports about our stream.
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
    pub(super) fn release(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.release(now, |release| self.received(now, &release, true));
        self.buffer = buffer;
        self.settle(now);
    }

    /// Conceals samples that are still missing.
    pub(super) fn settle(&mut self, now: Instant) {
        self.decoded(now, |coder, out| coder.settle(out));
    }

    /// Lets the codec produce samples, which go where all received sound goes.
    fn decoded(&mut self, now: Instant, act: impl FnOnce(&mut Coder, &mut dyn FnMut(&[i16]))) {
        let Some(mut coder) = self.coder.take() else { return };
        act(&mut coder, &mut |samples| self.capture(now, samples));
        self.coder = Some(coder);
    }

    /// `gap`: what is missing is known to be, by sequence number or timestamp of a packet; else by the clock.
    pub(super) fn received(&mut self, now: Instant, release: &Release<'_>, gap: bool) {
        let release = match release {
            Release::Lost(count) if gap => &Release::Lost(self.pace.up_to(now, *count)),
            Release::Silence(count) if gap => &Release::Silence(self.pace.up_to(now, *count)),
            other => other,
        };
        match release {
            Release::Audio(payload) => self.decoded(now, |coder, out| coder.decode(payload, out)),
            Release::Lost(count) if !self.is_peer_silent() => {
                // With DTX only the next packet tells a pause from a loss.
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
                    self.capture(now, silence.get(..now_samples).unwrap_or(&silence));
                    left = left.saturating_sub(now_samples);
                }
            }
        }
    }

    pub(super) fn is_peer_silent(&self) -> bool {
        self.noise.is_some() || self.coder.as_ref().is_some_and(Coder::is_peer_silent)
    }

    fn capture(&mut self, now: Instant, mut samples: &[i16]) {
        while !samples.is_empty() {
            let room = self.capture.get_mut(self.captured..).unwrap_or_default();
            let (taken, rest) = samples.split_at(samples.len().min(room.len()));
            room.iter_mut().zip(taken).for_each(|(to, from)| *to = *from);
            self.captured = self.captured.saturating_add(taken.len());
            samples = rest;
            if self.captured >= SAMPLES {
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
}
