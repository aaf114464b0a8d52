//! Digits as RTP events (RFC 4733).
//!
//! One digit on the wire, 100 ms at 20 ms packets; every packet carries the timestamp of the start:
//!
//! ```text
//! seq  n   n+1  n+2  n+3  n+4  n+5  n+6
//! M    1   0    0    0    0    0    0
//! E    0   0    0    0    1    1    1
//! dur  160 320  480  640  800  800  800
//! ```
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

/// The sixteen digits in event order.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
/// Volume of a sent event in -dBm0.
const VOLUME: u8 = 10;
/// Length of a sent digit: 100 ms is within what every carrier takes.
const DURATION_SAMPLES: u16 = 800;
/// The final packet is sent three times (section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// Pause between two digits, 60 ms.
const PAUSE_FRAMES: u8 = 3;
const FRAME_SAMPLES: u16 = 160;

/// Event code of a digit.
pub fn event_code(digit: char) -> Option<u8> {
    let digit = u8::try_from(digit.to_ascii_uppercase()).ok()?;
    DIGITS.iter().position(|d| *d == digit).and_then(|at| u8::try_from(at).ok())
}

/// Finds digits in a stream of events. A digit is identified by its timestamp, so that lost packets neither lose nor
/// repeat it.
#[derive(Clone, Debug, Default)]
pub struct TelephoneEventReceiver {
    last_timestamp: Option<u32>,
}

impl TelephoneEventReceiver {
    /// The digit, the first time a packet of it is seen.
    pub fn handle(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let [event, _, _, _, ..] = payload else { return None };
        let digit = *DIGITS.get(usize::from(*event))?;
        let newer = self.last_timestamp.is_none_or(|last| (1..1 << 31).contains(&timestamp.wrapping_sub(last)));
        if !newer {
            return None;
        }
        self.last_timestamp = Some(timestamp);
        Some(char::from(digit))
    }

    /// A new sender starts a new timeline.
    pub fn reset(&mut self) {
        self.last_timestamp = None;
    }
}

#[derive(Clone, Copy, Debug)]
enum TelephoneEventPhase {
    Tone { sent_samples: u16 },
    End { left: u8 },
    Pause { left: u8 },
}

/// A digit being sent, asked once per frame.
#[derive(Clone, Copy, Debug)]
pub struct TelephoneEventSender {
    event: u8,
    phase: TelephoneEventPhase,
    timestamp: u32,
}

/// What a frame of a digit sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEventPacket {
    /// Start of the digit in samples at 8 kHz; the same in all packets of the digit.
    pub timestamp: u32,
    /// Set in the first packet of a digit.
    pub marker: bool,
    /// Event code, end bit with volume, and duration so far in samples (RFC 4733 section 2.3).
    pub payload: [u8; 4],
}

/// One frame of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TelephoneEventStep {
    /// Send this packet instead of audio.
    Packet(TelephoneEventPacket),
    /// Send a frame of silence: the digit is over and the next one may not start yet.
    Pause,
    /// Send a frame of silence: the next digit may start with the frame after it.
    Done,
}

impl TelephoneEventSender {
    /// `timestamp` is that of the frame the digit starts in.
    pub fn new(event: u8, timestamp: u32) -> Self {
        Self { event, phase: TelephoneEventPhase::Tone { sent_samples: 0 }, timestamp }
    }

    /// Advances by one frame of 20 ms: 100 ms of digit, two repeated end packets, then the pause.
    pub fn step(&mut self) -> TelephoneEventStep {
        match &mut self.phase {
            TelephoneEventPhase::Tone { sent_samples } => {
                *sent_samples = sent_samples.saturating_add(FRAME_SAMPLES);
                let duration = *sent_samples;
                let last = duration >= DURATION_SAMPLES;
                if last {
                    self.phase = TelephoneEventPhase::End { left: END_PACKETS - 1 };
                }
                TelephoneEventStep::Packet(self.packet(duration, last, duration == FRAME_SAMPLES))
            }
            TelephoneEventPhase::End { left: 0 } => {
                self.phase = TelephoneEventPhase::Pause { left: PAUSE_FRAMES - 1 };
                TelephoneEventStep::Pause
            }
            TelephoneEventPhase::End { left } => {
                *left = left.saturating_sub(1);
                TelephoneEventStep::Packet(self.packet(DURATION_SAMPLES, true, false))
            }
            TelephoneEventPhase::Pause { left: 0 } => TelephoneEventStep::Done,
            TelephoneEventPhase::Pause { left } => {
                *left = left.saturating_sub(1);
                TelephoneEventStep::Pause
            }
        }
    }

    fn packet(&self, duration: u16, end: bool, marker: bool) -> TelephoneEventPacket {
        let [high, low] = duration.to_be_bytes();
        TelephoneEventPacket {
            timestamp: self.timestamp,
            marker,
            payload: [self.event, u8::from(end) << 7 | VOLUME, high, low],
        }
    }
}

/// The two frequencies of a digit for in-band sending (ITU-T Q.23).
pub fn frequencies_hz(event: u8) -> (f32, f32) {
    let low = match event {
        1..=3 | 12 => 697.0,
        4..=6 | 13 => 770.0,
        7..=9 | 14 => 852.0,
        _ => 941.0,
    };
    let high = match event {
        1 | 4 | 7 | 10 => 1_209.0,
        0 | 2 | 5 | 8 => 1_336.0,
        3 | 6 | 9 | 11 => 1_477.0,
        _ => 1_633.0,
    };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(digit: char, timestamp: u32) -> Vec<TelephoneEventPacket> {
        let mut sender = TelephoneEventSender::new(event_code(digit).unwrap(), timestamp);
        let mut packets = Vec::new();
        loop {
            match sender.step() {
                TelephoneEventStep::Packet(packet) => packets.push(packet),
                TelephoneEventStep::Pause => {}
                TelephoneEventStep::Done => return packets,
            }
        }
    }

    #[test]
    fn sent_digit_matches_the_packet_diagram() {
        let sent = packets('5', 4_000);
        let durations: Vec<u16> = sent.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(sent.iter().map(|p| p.marker).collect::<Vec<_>>(), [true, false, false, false, false, false, false]);
        assert_eq!(sent.iter().filter(|p| p.payload[1] & 0x80 != 0).count(), 3);
        assert!(sent.iter().all(|p| p.timestamp == 4_000));
    }

    #[test]
    fn one_packet_suffices_and_digit_is_reported_once() {
        for lost_all_but in 0..7 {
            let mut receiver = TelephoneEventReceiver::default();
            let mut heard = Vec::new();
            for (start, digit) in [(u32::MAX - 100, '1'), (2_000, '1'), (4_000, '#')] {
                let packet = packets(digit, start)[lost_all_but];
                heard.extend(receiver.handle(packet.timestamp, &packet.payload));
                heard.extend(receiver.handle(packet.timestamp, &packet.payload));
            }
            assert_eq!(heard, ['1', '1', '#']);
        }
    }

    #[test]
    fn reordered_and_foreign_events_are_ignored() {
        let mut receiver = TelephoneEventReceiver::default();
        assert_eq!(receiver.handle(5_000, &[1, 0, 0, 160]), Some('1'));
        assert_eq!(receiver.handle(3_000, &[2, 0, 0, 160]), None);
        assert_eq!(receiver.handle(6_000, &[16, 0, 0, 160]), None, "hook flash");
        assert_eq!(receiver.handle(6_000, &[1]), None);
    }
}
