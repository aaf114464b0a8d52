//! What is known of the stream that the peer sends. It is one stream to listen to, although a peer may have several
//! sources (RFC 3550 section 8): gateways send digits and comfort noise with an SSRC of their own.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::comfort_noise::ComfortNoise;
use super::peer_source::PeerSource;
use super::stream_config::PayloadKind;
use crate::frame::Frame;
use crate::rtp::packet::RtpPacket;
use std::time::{Duration, Instant};

/// Sources that are told apart: audio, digits, comfort noise, and the audio before a transfer. The one silent longest
/// is forgotten.
const SOURCES_MAX: usize = 4;
/// For this long packets of a former source may be late ones.
const LATE_AFTER: Duration = Duration::from_secs(2);
/// The source that is heard is silent after five missing packets; then a former one may return.
const SILENT_AFTER: Duration = Duration::from_millis(100);
/// Packets in sequence that show that a former source goes on.
const RETURN_PACKETS: u32 = 3;

/// The peer's stream, from its first accepted packet on.
#[derive(Debug)]
pub(super) enum PeerStream {
    /// Nothing was received yet.
    Awaited,
    Received(ReceivedStream),
}

/// The sources of the peer, and what they say together.
#[derive(Debug)]
pub(super) struct ReceivedStream {
    /// SSRC of the audio that is heard; of the first packet until there is some.
    main: u32,
    sources: Vec<PeerSource>,
    sound: PeerSound,
    digits: DigitSource,
}

/// What the last audio or comfort noise packet said.
#[derive(Debug)]
pub(super) enum PeerSound {
    Audible,
    /// The peer pauses and sends nothing: this is played instead.
    Paused(ComfortNoise),
}

/// Where the peer's digits are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DigitSource {
    /// In its audio, until it reports one in another way.
    InBand,
    /// In its events, or in its signalling. In-band tones are ignored, because they duplicate them.
    Reported,
}

/// How a packet continues what came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketSource {
    /// The first packet of all.
    First,
    /// Audio of another source, which is heard from now on: a new timeline.
    Changed,
    /// The source that is heard.
    Same,
    /// Digits or comfort noise of another source: it does not touch the timeline.
    Beside,
    /// Audio of a source that is not heard any more.
    Former,
}

impl PeerStream {
    /// Notes whose packet it is.
    pub(super) fn begin_packet(&mut self, now: Instant, packet: &RtpPacket<'_>, kind: PayloadKind) -> PacketSource {
        match self {
            Self::Received(stream) => stream.begin_packet(now, packet, kind),
            Self::Awaited => {
                let mut sources = Vec::with_capacity(SOURCES_MAX);
                sources.push(PeerSource::new(now, packet, kind));
                let (sound, digits) = (PeerSound::Audible, DigitSource::InBand);
                *self = Self::Received(ReceivedStream { main: packet.ssrc, sources, sound, digits });
                PacketSource::First
            }
        }
    }

    /// Follows what the packet says about sound and digits. Returns a digit, the first time a packet of it is seen.
    pub(super) fn handle_payload(&mut self, kind: PayloadKind, packet: &RtpPacket<'_>) -> Option<char> {
        let Self::Received(stream) = self else { return None };
        match kind {
            PayloadKind::Audio | PayloadKind::OtherCompanding(_) => stream.sound = PeerSound::Audible,
            PayloadKind::ComfortNoise => {
                stream.sound = PeerSound::Paused(ComfortNoise::from_payload(packet.payload));
            }
            PayloadKind::TelephoneEvent => {
                stream.digits = DigitSource::Reported;
                return stream.source_mut(packet.ssrc)?.digits.handle(packet.timestamp, packet.payload);
            }
            PayloadKind::Unknown => {}
        }
        None
    }

    /// The source that is heard.
    pub(super) fn main_source_mut(&mut self) -> Option<&mut PeerSource> {
        let Self::Received(stream) = self else { return None };
        stream.source_mut(stream.main)
    }

    /// A source by its SSRC.
    pub(super) fn source_mut(&mut self, ssrc: u32) -> Option<&mut PeerSource> {
        let Self::Received(stream) = self else { return None };
        stream.source_mut(ssrc)
    }

    /// An SSRC that is the peer's: `claimed` where that is one, else that of the source that is heard.
    pub(super) fn known_ssrc(&self, claimed: Option<u32>) -> Option<u32> {
        let stream = self.received()?;
        let is_known = |ssrc: &u32| stream.sources.iter().any(|source| source.ssrc == *ssrc);
        Some(claimed.filter(is_known).unwrap_or(stream.main))
    }

    /// The peer has announced a pause with comfort noise.
    pub(super) fn is_paused(&self) -> bool {
        self.received().is_some_and(|stream| matches!(stream.sound, PeerSound::Paused(_)))
    }

    /// What is heard during a pause: noise where the peer has described it, silence otherwise.
    pub(super) fn fill_pause(&mut self, frame: &mut Frame) {
        match self {
            Self::Received(ReceivedStream { sound: PeerSound::Paused(noise), .. }) => noise.fill(frame),
            Self::Received(_) | Self::Awaited => frame.fill(0),
        }
    }

    /// Digits in the audio count.
    pub(super) fn has_in_band_digits(&self) -> bool {
        self.received().is_none_or(|stream| stream.digits == DigitSource::InBand)
    }

    /// A digit came by signalling.
    pub(super) fn handle_signalled_digit(&mut self) {
        if let Self::Received(stream) = self {
            stream.digits = DigitSource::Reported;
        }
    }

    fn received(&self) -> Option<&ReceivedStream> {
        match self {
            Self::Awaited => None,
            Self::Received(stream) => Some(stream),
        }
    }
}

impl ReceivedStream {
    fn begin_packet(&mut self, now: Instant, packet: &RtpPacket<'_>, kind: PayloadKind) -> PacketSource {
        let is_main = packet.ssrc == self.main;
        let main = self.main_source();
        let is_silent =
            main.is_none_or(|main| !main.has_audio() || now.saturating_duration_since(main.heard) >= SILENT_AFTER);
        let has_audio = main.is_some_and(PeerSource::has_audio);
        let Some(source) = self.source_mut(packet.ssrc) else {
            self.add(PeerSource::new(now, packet, kind));
            return if kind.is_audio() { self.listen_to(now, packet.ssrc) } else { PacketSource::Beside };
        };
        let was_heard = source.has_audio();
        let retired = source.retired;
        let run = source.note(now, packet, kind);
        match (is_main, kind.is_audio()) {
            (true, _) => PacketSource::Same,
            (false, false) => PacketSource::Beside,
            (false, true) if !was_heard || !has_audio => self.listen_to(now, packet.ssrc),
            (false, true) => {
                let is_late = retired.is_some_and(|at| now.saturating_duration_since(at) < LATE_AFTER);
                let goes_on = run >= if is_late { RETURN_PACKETS } else { 1 };
                if is_silent && goes_on { self.listen_to(now, packet.ssrc) } else { PacketSource::Former }
            }
        }
    }

    fn listen_to(&mut self, now: Instant, ssrc: u32) -> PacketSource {
        if let Some(before) = self.source_mut(self.main) {
            before.retire(now);
        }
        self.main = ssrc;
        PacketSource::Changed
    }

    /// The one silent longest makes room.
    fn add(&mut self, source: PeerSource) {
        if self.sources.len() >= SOURCES_MAX {
            let beside = self.sources.iter().enumerate().filter(|(_, one)| one.ssrc != self.main);
            if let Some((oldest, _)) = beside.min_by_key(|(_, one)| one.heard) {
                self.sources.swap_remove(oldest);
            }
        }
        self.sources.push(source);
    }

    fn main_source(&self) -> Option<&PeerSource> {
        self.sources.iter().find(|source| source.ssrc == self.main)
    }

    fn source_mut(&mut self, ssrc: u32) -> Option<&mut PeerSource> {
        self.sources.iter_mut().find(|source| source.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests;
