//! The stream that a leg sends: audio cut into packets, and the digits that replace it.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::stream_codec::StreamCodec;
use super::stream_config::StreamConfig;
use crate::codec::Codec;
use crate::frame::{FRAME_SAMPLES, Frame, SAMPLE_RATE_HZ};
use crate::limits;
use crate::rtp::dtmf_sender::{DtmfSender, DtmfStep};
use crate::rtp::packetizer::Packetizer;

/// A header and the longest payload of ours.
const PACKET_MAX: usize = 12 + limits::PACKET_OUT_SAMPLES_MAX;
/// Octets that can wait: all but one of the longest packet, and the frame that fills it.
const WAITING_MAX: usize = limits::PACKET_OUT_SAMPLES_MAX + FRAME_SAMPLES;

/// How coded frames become packets.
#[derive(Debug)]
enum Packing {
    /// One frame a packet.
    Whole,
    /// Packets of another length: what is coded waits until one is full.
    Cut(Box<PartialPacket>),
}

#[derive(Debug)]
struct PartialPacket {
    octets: [u8; WAITING_MAX],
    len: usize,
    /// The next packet begins a talk spurt.
    marker: bool,
}

/// Whether the last frame was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    Continuous,
    /// It was not: the stream has not begun, may not send (hold), has no address, or its codec had nothing to send (DTX). The
    /// next packet begins a talk spurt (RFC 3551 section 4.1).
    Paused,
}

/// Our stream with its digits. `transmit` takes whole RTP packets.
#[derive(Debug)]
pub(super) struct OutgoingStream {
    pub(super) packetizer: Packetizer,
    dtmf: DtmfSender,
    packing: Packing,
    continuity: Continuity,
}

/// A coded frame on its way into packets.
#[derive(Clone, Copy, Debug)]
struct CodedFrame<'a> {
    marker: bool,
    timestamp: u32,
    payload: &'a [u8],
}

impl OutgoingStream {
    pub(super) fn new(packetizer: Packetizer) -> Self {
        Self { packetizer, dtmf: DtmfSender::default(), packing: Packing::Whole, continuity: Continuity::Paused }
    }

    pub(super) fn push_digits(&mut self, digits: &str) {
        self.dtmf.push(digits);
    }

    pub(super) fn is_sending_digits(&self) -> bool {
        self.dtmf.is_sending()
    }

    /// Media time passes by a frame. Returns the timestamp of that frame.
    pub(super) fn advance(&mut self) -> u32 {
        let timestamp = self.packetizer.timestamp();
        self.packetizer.advance(FRAME_SAMPLES as u32);
        timestamp
    }

    /// Drops audio that waits for a full packet.
    pub(super) fn discard_waiting(&mut self) {
        if let Packing::Cut(partial) = &mut self.packing {
            partial.len = 0;
        }
    }

    /// Nothing is sent for a frame; audio that waits is dropped.
    pub(super) fn pause(&mut self) {
        self.discard_waiting();
        self.continuity = Continuity::Paused;
    }

    /// What the digits send in this frame; `None` while there are none.
    pub(super) fn step_digits(&mut self, timestamp: u32, stream: &StreamConfig, frame: &mut Frame) -> Option<DtmfStep> {
        self.dtmf.step(timestamp, stream.telephone_event, frame)
    }

    /// Sends the packet of a digit instead of audio; audio that waits is dropped. False if this step has none.
    pub(super) fn send_event(
        &mut self, step: &DtmfStep, stream: &StreamConfig, codec: &StreamCodec, transmit: &mut impl FnMut(&[u8]),
    ) -> bool {
        let (Some(packet), Some(payload_type)) = (step.packet, stream.telephone_event) else { return false };
        self.discard_waiting();
        let timestamp = codec.samples_to_rtp(packet.timestamp);
        let payload = packet.payload_scaled(stream.telephone_event_clock_hz / SAMPLE_RATE_HZ);
        let coded = CodedFrame { marker: packet.marker, timestamp, payload: &payload };
        self.send_payload(payload_type, coded, transmit);
        true
    }

    /// Codes a frame and sends the packets that are full.
    pub(super) fn send_audio(
        &mut self, timestamp: u32, marker: bool, frame: &Frame, stream: &StreamConfig, codec: &mut StreamCodec,
        transmit: &mut impl FnMut(&[u8]),
    ) {
        let mut coded = [0; FRAME_SAMPLES];
        let timestamp = codec.samples_to_rtp(timestamp);
        let Some(payload) = codec.encode(frame, &mut coded) else {
            self.continuity = Continuity::Paused;
            return;
        };
        let after_pause = std::mem::replace(&mut self.continuity, Continuity::Continuous) == Continuity::Paused;
        let coded = CodedFrame { marker: marker || after_pause, timestamp, payload };
        let fits_packet = stream.ptime_ms == 20 || stream.codec == Codec::Opus;
        match &self.packing {
            Packing::Whole if fits_packet => self.send_payload(stream.payload_type, coded, transmit),
            Packing::Cut(partial) if fits_packet && partial.len == 0 => {
                self.packing = Packing::Whole;
                self.send_payload(stream.payload_type, coded, transmit);
            }
            Packing::Whole | Packing::Cut(_) => self.cut(coded, stream, transmit),
        }
    }

    /// Cuts what is coded into packets of the length the peer asked for. An octet is a sample in every codec that is
    /// cut.
    fn cut(&mut self, coded: CodedFrame<'_>, stream: &StreamConfig, transmit: &mut impl FnMut(&[u8])) {
        // Never zero: that would loop forever.
        let len = (usize::from(stream.ptime_ms) * 8).clamp(1, limits::PACKET_OUT_SAMPLES_MAX);
        let mut partial = match std::mem::replace(&mut self.packing, Packing::Whole) {
            Packing::Cut(partial) => partial,
            Packing::Whole => Box::new(PartialPacket { octets: [0; WAITING_MAX], len: 0, marker: false }),
        };
        let mut timestamp = coded.timestamp.wrapping_sub(partial.len as u32);
        partial.push(coded.payload, coded.marker);
        let waiting = partial.octets;
        let mut rest = waiting.get(..partial.len).unwrap_or_default();
        while let Some((payload, after)) = rest.split_at_checked(len) {
            let marker = std::mem::take(&mut partial.marker);
            self.send_payload(stream.payload_type, CodedFrame { marker, timestamp, payload }, transmit);
            (rest, timestamp) = (after, timestamp.wrapping_add(len as u32));
        }
        partial.len = 0;
        partial.push(rest, false);
        self.packing = Packing::Cut(partial);
    }

    fn send_payload(&mut self, payload_type: u8, coded: CodedFrame<'_>, transmit: &mut impl FnMut(&[u8])) {
        let mut buffer = [0; PACKET_MAX];
        let len = self.packetizer.write(payload_type, coded.marker, coded.timestamp, coded.payload, &mut buffer);
        transmit(buffer.get(..len).unwrap_or_default());
    }
}

impl PartialPacket {
    fn push(&mut self, octets: &[u8], marker: bool) {
        let room = self.octets.get_mut(self.len..).unwrap_or_default();
        self.len = self.len.saturating_add(octets.len().min(room.len()));
        room.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        self.marker |= marker;
    }
}
