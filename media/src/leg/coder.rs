//! The leg's codec: packets to samples and back, with what each codec needs for that.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::codec::g722::G722;
use crate::codec::opus::Opus;
use crate::codec::{Codec, Law, opus};
use crate::frame::{Frame, SAMPLES};
use crate::jitter::conceal::Concealer;
use crate::limits;
use crate::rtp::sequence::Extender;

#[derive(Debug)]
enum Inner {
    G711 { law: Law, concealer: Concealer },
    G722 { codec: Box<G722>, concealer: Concealer },
    Opus(Box<Opus>),
}

#[derive(Debug)]
pub(super) struct Coder {
    inner: Inner,
    /// Timestamps of the wire beyond their wrap, where its clock is not ours.
    clock: Extender<32>,
    scale: u32,
}

impl Coder {
    pub(super) fn new(codec: Codec) -> Self {
        let g711 = |law| Inner::G711 { law, concealer: Concealer::default() };
        let inner = match codec {
            Codec::G711(law) => g711(law),
            Codec::G722 => Inner::G722 { codec: Box::default(), concealer: Concealer::default() },
            Codec::Opus => Opus::new().map_or(g711(Law::Mu), |opus| Inner::Opus(Box::new(opus))),
        };
        Self { inner, clock: Extender::default(), scale: codec.clock_scale() }
    }

    /// Switches between mu-law and A-law; the concealer keeps its history.
    pub(super) fn set_law(&mut self, now: Law) {
        if let Inner::G711 { law, .. } = &mut self.inner {
            *law = now;
        }
    }

    pub(super) fn set_loss(&mut self, fraction: f32) {
        if let Inner::Opus(opus) = &mut self.inner {
            opus.set_loss(fraction);
        }
    }

    /// The wire's timestamp in samples.
    pub(super) fn samples_at(&mut self, timestamp: u32) -> u32 {
        if self.scale == 1 {
            return timestamp;
        }
        (self.clock.extend(timestamp).div_euclid(i64::from(self.scale))) as u32
    }

    /// Samples as a timestamp of the wire. Both wrap at the same instant, because the one is a multiple.
    pub(super) fn to_wire(&self, samples: u32) -> u32 {
        samples.wrapping_mul(self.scale)
    }

    /// Resets the clock for a new sender.
    pub(super) fn restart(&mut self) {
        self.clock.reset();
    }

    /// Samples in a packet; `None` for one that cannot be decoded.
    pub(super) fn samples(&self, payload: &[u8]) -> Option<usize> {
        match &self.inner {
            _ if payload.len() > limits::PACKET_SAMPLES_MAX => None,
            Inner::G711 { .. } | Inner::G722 { .. } => Some(payload.len()),
            Inner::Opus(_) => opus::samples(payload),
        }
    }

    pub(super) fn decode(&mut self, payload: &[u8], out: &mut dyn FnMut(&[i16])) {
        match &mut self.inner {
            Inner::G711 { law, concealer } => {
                let mut samples = [0; limits::PACKET_SAMPLES_MAX];
                let Some(samples) = samples.get_mut(..payload.len()) else { return };
                law.decode_into(payload, samples);
                concealer.good(samples);
                out(samples);
            }
            Inner::G722 { codec, concealer } => {
                let mut samples = [0; limits::PACKET_SAMPLES_MAX];
                let Some(samples) = samples.get_mut(..payload.len()) else { return };
                codec.decode_into(payload, samples);
                concealer.good(samples);
                out(samples);
            }
            Inner::Opus(opus) => opus.decode(payload, out),
        }
    }

    /// Conceals lost samples.
    pub(super) fn lost(&mut self, count: usize, out: &mut dyn FnMut(&[i16])) {
        match &mut self.inner {
            Inner::G711 { concealer, .. } | Inner::G722 { concealer, .. } => {
                let mut left = count;
                while left > 0 {
                    let mut samples = [0; SAMPLES];
                    let (invented, _) = samples.split_at_mut(left.min(SAMPLES));
                    concealer.lost(invented);
                    left = left.saturating_sub(invented.len());
                    out(invented);
                }
            }
            Inner::Opus(opus) => opus.lost(count),
        }
    }

    /// Nothing more to decode for now: conceals pending samples.
    pub(super) fn settle(&mut self, out: &mut dyn FnMut(&[i16])) {
        if let Inner::Opus(opus) = &mut self.inner {
            opus.conceal(out);
        }
    }

    /// The remote side announced DTX: a gap is not a loss.
    pub(super) fn is_peer_silent(&self) -> bool {
        matches!(&self.inner, Inner::Opus(opus) if opus.is_peer_silent())
    }

    /// The payload of a frame; `None` when it need not be sent.
    pub(super) fn encode<'a>(&mut self, frame: &Frame, out: &'a mut [u8; SAMPLES]) -> Option<&'a [u8]> {
        match &mut self.inner {
            Inner::G711 { law, .. } => {
                law.encode_into(frame, out);
                Some(out)
            }
            Inner::G722 { codec, .. } => {
                codec.encode_into(frame, out);
                Some(out)
            }
            Inner::Opus(opus) => opus.encode(frame, out),
        }
    }
}
