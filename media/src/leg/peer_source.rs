//! One source of the peer (SSRC): what came of it, by RTP and by its own reports.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::stream_config::PayloadKind;
use crate::rtp::packet::RtpPacket;
use crate::rtp::sequence::Extender;
use crate::rtp::telephone_event::TelephoneEventReceiver;
use std::time::Instant;

/// Another sequence begins where the number jumps by more (RFC 3550 appendix A.1, `MAX_DROPOUT`).
const DROPOUT_MAX: i64 = 3_000;

/// A source, from its first packet on.
#[derive(Debug)]
pub(super) struct PeerSource {
    pub ssrc: u32,
    /// When its last packet came.
    pub heard: Instant,
    pub digits: TelephoneEventReceiver,
    pub reception: Reception,
    /// Its last sender report: the middle of its NTP time, and when it came.
    pub sender_report: Option<(u32, Instant)>,
    /// When another source took its place.
    pub retired: Option<Instant>,
    audio: SourceAudio,
}

/// Whether a source has sent audio.
#[derive(Clone, Copy, Debug)]
enum SourceAudio {
    None,
    /// `run`: packets in sequence since it was retired.
    Heard {
        run: u32,
    },
}

/// How many packets of a source came, and how many should have (RFC 3550 appendix A.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reception {
    sequence: Extender<16>,
    base: i64,
    highest: i64,
    received: i64,
    /// Expected and received packets at our last report.
    reported: (i64, i64),
}

impl PeerSource {
    pub(super) fn new(now: Instant, packet: &RtpPacket<'_>, kind: PayloadKind) -> Self {
        let mut reception = Reception::default();
        reception.note(packet.sequence);
        let audio = if kind.is_audio() { SourceAudio::Heard { run: 1 } } else { SourceAudio::None };
        let digits = TelephoneEventReceiver::default();
        Self { ssrc: packet.ssrc, heard: now, digits, reception, sender_report: None, retired: None, audio }
    }

    /// Notes another packet. Returns how many have come in sequence since the source was retired; zero for a late one.
    pub(super) fn note(&mut self, now: Instant, packet: &RtpPacket<'_>, kind: PayloadKind) -> u32 {
        self.heard = now;
        let goes_on = self.reception.note(packet.sequence);
        if !kind.is_audio() {
            return 0;
        }
        let run = match self.audio {
            SourceAudio::Heard { run } if goes_on => run.saturating_add(1),
            SourceAudio::Heard { .. } => return 0,
            SourceAudio::None => 1,
        };
        self.audio = SourceAudio::Heard { run };
        run
    }

    pub(super) fn has_audio(&self) -> bool {
        matches!(self.audio, SourceAudio::Heard { .. })
    }

    /// Another source is heard from now on.
    pub(super) fn retire(&mut self, now: Instant) {
        self.retired = Some(now);
        if let SourceAudio::Heard { run } = &mut self.audio {
            *run = 0;
        }
    }
}

impl Reception {
    /// Counts a packet. True if it is the newest.
    fn note(&mut self, sequence: u16) -> bool {
        let at = self.sequence.extend(u32::from(sequence));
        if self.received == 0 || (at - self.highest).abs() > DROPOUT_MAX {
            *self = Self { sequence: self.sequence, base: at, highest: at, received: 1, reported: (0, 0) };
            return true;
        }
        self.received += 1;
        let is_newest = at > self.highest;
        self.highest = self.highest.max(at);
        is_newest
    }

    /// The highest sequence number, with its roll-overs in the upper half.
    pub(super) fn highest_sequence(&self) -> u32 {
        self.highest as u32
    }

    fn expected(&self) -> i64 {
        self.highest - self.base + 1
    }

    /// Packets that did not come; copies of others count against them.
    pub(super) fn lost(&self) -> u32 {
        (self.expected() - self.received).clamp(0, 0x7f_ffff) as u32
    }

    /// Loss since the last call in 1/256.
    pub(super) fn take_fraction_lost(&mut self) -> u8 {
        let (expected, received) = (self.expected(), self.received);
        let (last_expected, last_received) = std::mem::replace(&mut self.reported, (expected, received));
        let (new_expected, new_received) = (expected - last_expected, received - last_received);
        let lost = (new_expected - new_received).max(0);
        (lost * 256).checked_div(new_expected).unwrap_or(0).clamp(0, 255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_counted_from_the_first_to_the_highest_packet() {
        let mut reception = Reception::default();
        for sequence in (65_500..=65_535u16).chain(0..64).filter(|n| n % 4 != 0 || *n == 65_500) {
            reception.note(sequence);
        }
        assert_eq!((reception.highest_sequence(), reception.lost()), (65_536 + 63, 24));
        assert_eq!(reception.take_fraction_lost(), (24 * 256 / 100) as u8);
        assert_eq!(reception.take_fraction_lost(), 0, "nothing new");
        assert!(!reception.note(60), "late");
        assert_eq!(reception.lost(), 23);
        assert!(reception.note(30_000), "another sequence");
        assert_eq!((reception.highest_sequence() as u16, reception.lost()), (30_000, 0));
    }
}
