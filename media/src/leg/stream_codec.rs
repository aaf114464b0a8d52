//! The leg's codec: packets to samples and back, with what each codec needs for that.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::codec::g722::G722;
use crate::codec::opus::Opus;
use crate::codec::{Codec, Companding, opus};
use crate::frame::{FRAME_SAMPLES, Frame};
use crate::jitter::packet_loss_concealment::PacketLossConcealer;
use crate::limits;
use crate::rtp::clock::RtpClock;
use crate::rtp::packet::RtpPacket;
use std::time::Instant;

#[derive(Debug)]
enum CodecState {
    G711 { companding: Companding, concealer: PacketLossConcealer },
    G722 { codec: Box<G722>, concealer: PacketLossConcealer },
    Opus(Box<Opus>),
}

#[derive(Debug)]
pub(super) struct StreamCodec {
    inner: CodecState,
    /// Of the peer's timestamps.
    clock: Box<RtpClock>,
}

impl StreamCodec {
    pub(super) fn new(codec: Codec) -> Self {
        let g711 = |companding| CodecState::G711 { companding, concealer: PacketLossConcealer::default() };
        let inner = match codec {
            Codec::G711(companding) => g711(companding),
            Codec::G722 => CodecState::G722 { codec: Box::default(), concealer: PacketLossConcealer::default() },
            Codec::Opus => Opus::new().map_or(g711(Companding::MuLaw), |opus| CodecState::Opus(Box::new(opus))),
        };
        Self { inner, clock: Box::new(RtpClock::new(codec.clock_scale())) }
    }

    /// Switches between mu-law and A-law; the concealer keeps its history.
    pub(super) fn set_companding(&mut self, now: Companding) {
        if let CodecState::G711 { companding, .. } = &mut self.inner {
            *companding = now;
        }
    }

    pub(super) fn set_loss(&mut self, fraction: f32) {
        if let CodecState::Opus(opus) = &mut self.inner {
            opus.set_expected_loss(fraction);
        }
    }

    /// The wire's timestamp in samples. `samples`: the length of the packet, zero for one without audio.
    pub(super) fn rtp_to_samples(&mut self, now: Instant, packet: &RtpPacket<'_>, samples: usize) -> u32 {
        self.clock.to_samples(now, packet.sequence, packet.timestamp, samples)
    }

    /// Samples as a timestamp of the wire. Both wrap at the same instant, because the one is a multiple.
    pub(super) fn samples_to_rtp(&self, samples: u32) -> u32 {
        samples.wrapping_mul(self.clock.scale())
    }

    /// Ticks of the wire's clock in a sample.
    pub(super) fn clock_scale(&self) -> u32 {
        self.clock.scale()
    }

    /// Resets the clock for a new sender.
    pub(super) fn restart(&mut self) {
        *self.clock = RtpClock::new(self.clock.scale());
    }

    /// Samples in a packet; `None` for one that cannot be decoded.
    pub(super) fn samples(&self, payload: &[u8]) -> Option<usize> {
        match &self.inner {
            _ if payload.len() > limits::PACKET_SAMPLES_MAX => None,
            CodecState::G711 { .. } | CodecState::G722 { .. } => Some(payload.len()),
            CodecState::Opus(_) => opus::packet_samples(payload),
        }
    }

    pub(super) fn decode(&mut self, payload: &[u8], out: &mut dyn FnMut(&[i16])) {
        match &mut self.inner {
            CodecState::G711 { companding, concealer } => {
                let mut samples = [0; limits::PACKET_SAMPLES_MAX];
                let Some(samples) = samples.get_mut(..payload.len()) else { return };
                companding.decode_into(payload, samples);
                concealer.handle_received(samples);
                out(samples);
            }
            CodecState::G722 { codec, concealer } => {
                let mut samples = [0; limits::PACKET_SAMPLES_MAX];
                let Some(samples) = samples.get_mut(..payload.len()) else { return };
                codec.decode_into(payload, samples);
                concealer.handle_received(samples);
                out(samples);
            }
            CodecState::Opus(opus) => opus.decode(payload, out),
        }
    }

    /// Conceals lost samples.
    pub(super) fn conceal(&mut self, count: usize, out: &mut dyn FnMut(&[i16])) {
        match &mut self.inner {
            CodecState::G711 { concealer, .. } | CodecState::G722 { concealer, .. } => {
                let mut left = count;
                while left > 0 {
                    let mut samples = [0; FRAME_SAMPLES];
                    let (invented, _) = samples.split_at_mut(left.min(FRAME_SAMPLES));
                    concealer.conceal(invented);
                    left = left.saturating_sub(invented.len());
                    out(invented);
                }
            }
            CodecState::Opus(opus) => opus.note_lost(count),
        }
    }

    /// Nothing is left to decode: conceals pending samples.
    pub(super) fn conceal_pending(&mut self, out: &mut dyn FnMut(&[i16])) {
        if let CodecState::Opus(opus) = &mut self.inner {
            opus.conceal(out);
        }
    }

    /// The remote side may send nothing during silence.
    pub(super) fn uses_dtx(&self) -> bool {
        matches!(self.inner, CodecState::Opus(_))
    }

    /// The remote side announced DTX: a gap is not a loss.
    pub(super) fn is_peer_silent(&self) -> bool {
        matches!(&self.inner, CodecState::Opus(opus) if opus.is_peer_silent())
    }

    /// The payload of a frame; `None` when it need not be sent.
    pub(super) fn encode<'a>(&mut self, frame: &Frame, out: &'a mut [u8; FRAME_SAMPLES]) -> Option<&'a [u8]> {
        match &mut self.inner {
            CodecState::G711 { companding, .. } => {
                companding.encode_into(frame, out);
                Some(out)
            }
            CodecState::G722 { codec, .. } => {
                codec.encode_into(frame, out);
                Some(out)
            }
            CodecState::Opus(opus) => opus.encode(frame, out),
        }
    }
}
