//! What is known of the stream that the peer sends.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::comfort_noise::ComfortNoise;
use super::stream_config::PayloadKind;
use crate::frame::Frame;
use crate::rtp::packet::RtpPacket;
use crate::rtp::telephone_event::TelephoneEventReceiver;

/// The peer's stream, from its first accepted packet on.
#[derive(Debug)]
pub(super) enum PeerStream {
    /// Nothing was received yet.
    Awaited,
    Received {
        ssrc: u32,
        highest_sequence: u32,
        sound: PeerSound,
        digits: DigitSource,
    },
}

/// What the last audio or comfort noise packet said.
#[derive(Debug)]
pub(super) enum PeerSound {
    Audible,
    /// The peer pauses and sends nothing: this is played instead.
    Paused(ComfortNoise),
}

/// Where the peer's digits are found.
#[derive(Debug)]
pub(super) enum DigitSource {
    /// In its audio, until it sends an event.
    InBand,
    /// In its events. In-band tones are ignored, because they duplicate them.
    TelephoneEvents(TelephoneEventReceiver),
}

/// How a packet continues what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketSource {
    /// The first packet of all.
    First,
    /// Another SSRC: a new timeline.
    Changed,
    Same,
}

impl PeerStream {
    pub(super) fn ssrc(&self) -> Option<u32> {
        match self {
            Self::Awaited => None,
            Self::Received { ssrc, .. } => Some(*ssrc),
        }
    }

    /// Notes whose packet it is.
    pub(super) fn begin_packet(&mut self, packet: &RtpPacket<'_>) -> PacketSource {
        let sequence = u32::from(packet.sequence);
        match self {
            Self::Received { ssrc, highest_sequence, .. } if *ssrc == packet.ssrc => {
                *highest_sequence = sequence;
                PacketSource::Same
            }
            Self::Received { ssrc, highest_sequence, digits, .. } => {
                (*ssrc, *highest_sequence) = (packet.ssrc, sequence);
                if let DigitSource::TelephoneEvents(receiver) = digits {
                    receiver.reset();
                }
                PacketSource::Changed
            }
            Self::Awaited => {
                *self = Self::Received {
                    ssrc: packet.ssrc,
                    highest_sequence: sequence,
                    sound: PeerSound::Audible,
                    digits: DigitSource::InBand,
                };
                PacketSource::First
            }
        }
    }

    /// Follows what the packet says about sound and digits. Returns a digit, the first time a packet of it is seen.
    pub(super) fn handle_payload(&mut self, kind: PayloadKind, packet: &RtpPacket<'_>) -> Option<char> {
        let Self::Received { sound, digits, .. } = self else { return None };
        match kind {
            PayloadKind::Audio | PayloadKind::OtherCompanding(_) => *sound = PeerSound::Audible,
            PayloadKind::ComfortNoise => *sound = PeerSound::Paused(ComfortNoise::from_payload(packet.payload)),
            PayloadKind::TelephoneEvent => {
                let mut receiver = match std::mem::replace(digits, DigitSource::InBand) {
                    DigitSource::TelephoneEvents(receiver) => receiver,
                    DigitSource::InBand => TelephoneEventReceiver::default(),
                };
                let digit = receiver.handle(packet.timestamp, packet.payload);
                *digits = DigitSource::TelephoneEvents(receiver);
                return digit;
            }
            PayloadKind::Unknown => {}
        }
        None
    }

    /// The peer has announced a pause with comfort noise.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Self::Received { sound: PeerSound::Paused(_), .. })
    }

    /// What is heard during a pause: noise where the peer has described it, silence otherwise.
    pub(super) fn fill_pause(&mut self, frame: &mut Frame) {
        match self {
            Self::Received { sound: PeerSound::Paused(noise), .. } => noise.fill(frame),
            Self::Received { .. } | Self::Awaited => frame.fill(0),
        }
    }

    /// Digits in the audio count.
    pub(super) fn has_in_band_digits(&self) -> bool {
        !matches!(self, Self::Received { digits: DigitSource::TelephoneEvents(_), .. })
    }
}
