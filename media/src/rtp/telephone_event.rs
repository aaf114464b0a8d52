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

/// Duration at which a long event goes on as another segment (section 2.5.1.3).
const SEGMENT_DURATION: u32 = 0xffff;
/// Steps by which a segment may be shorter than that, because its last packets were lost or the sender counts in steps.
const SEGMENT_STEPS: u32 = 10;
/// A step between two packets where none was seen yet: 20 ms at 8 kHz.
const STEP_TICKS: u32 = 160;
/// A timestamp that is this much older is no late packet, but a new timeline: a minute at 48 kHz.
const OLD_TICKS_MAX: u32 = 60 * 48_000;

/// Finds digits in the events of one source. A digit is identified by its timestamp, so that lost packets neither lose
/// nor repeat it. Its units are those of the sender: nothing here depends on the clock.
#[derive(Clone, Debug, Default)]
pub enum TelephoneEventReceiver {
    /// No digit was received.
    #[default]
    Idle,
    /// The last digit, which may go on.
    Received(ReceivedEvent),
}

/// A digit as far as its packets have told.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedEvent {
    code: u8,
    /// Timestamp of its present segment.
    start: u32,
    /// Longest duration of that segment so far.
    duration: u32,
    step: EventStep,
    end: EventEnd,
}

/// By how much the duration grows from packet to packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventStep {
    /// One packet is not enough to tell.
    Assumed,
    Seen(u32),
}

impl EventStep {
    fn ticks(self) -> u32 {
        match self {
            Self::Assumed => STEP_TICKS,
            Self::Seen(ticks) => ticks,
        }
    }
}

/// Whether the end of a digit was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventEnd {
    Awaited,
    Received,
    /// End packets have timestamps of their own, against the standard; the last one is this.
    Moving(u32),
}

impl TelephoneEventReceiver {
    /// The digit, the first time a packet of it is seen.
    pub fn handle(&mut self, timestamp: u32, payload: &[u8]) -> Option<char> {
        let [code, flags, high, low, ..] = *payload else { return None };
        let digit = *DIGITS.get(usize::from(code))?;
        let duration = u32::from(u16::from_be_bytes([high, low]));
        let is_end = flags & 0x80 != 0;
        if let Self::Received(event) = self
            && event.takes(code, timestamp, duration, is_end)
        {
            return None;
        }
        *self = Self::Received(ReceivedEvent::new(code, timestamp, duration, is_end));
        Some(char::from(digit))
    }
}

impl ReceivedEvent {
    fn new(code: u8, start: u32, duration: u32, is_end: bool) -> Self {
        let end = if is_end { EventEnd::Received } else { EventEnd::Awaited };
        Self { code, start, duration, step: EventStep::Assumed, end }
    }

    /// Takes a packet of this digit, or an old one. False for a packet of a new digit.
    fn takes(&mut self, code: u8, timestamp: u32, duration: u32, is_end: bool) -> bool {
        let ahead = timestamp.wrapping_sub(self.start);
        if ahead >= 1 << 31 {
            return self.start.wrapping_sub(timestamp) <= OLD_TICKS_MAX;
        }
        if ahead == 0 {
            if code == self.code {
                self.extend(duration, is_end);
            }
            return true;
        }
        if code != self.code {
            return false;
        }
        if self.end == EventEnd::Awaited && self.begins_segment(ahead, is_end) {
            (self.start, self.duration) = (timestamp, duration);
            return true;
        }
        if is_end && self.moves_end(timestamp, ahead, duration) {
            self.end = EventEnd::Moving(timestamp);
            return true;
        }
        // The next key cannot be down before this one is up.
        ahead <= self.duration.saturating_add(self.step.ticks() / 2)
    }

    /// An end packet with a timestamp of its own, against the standard.
    fn moves_end(&self, timestamp: u32, ahead: u32, duration: u32) -> bool {
        match self.end {
            EventEnd::Awaited => ahead <= self.duration.max(duration).saturating_add(2 * self.step.ticks()),
            EventEnd::Received => ahead <= self.duration.saturating_add(self.step.ticks() / 2),
            EventEnd::Moving(last) => timestamp.wrapping_sub(last) <= self.step.ticks(),
        }
    }

    fn extend(&mut self, duration: u32, is_end: bool) {
        let grown = duration.saturating_sub(self.duration);
        // The last packet of a full segment is less than a step away.
        if grown > 0 && duration < SEGMENT_DURATION {
            // Where packets were lost it grows by several steps.
            self.step = match self.step {
                EventStep::Assumed => EventStep::Seen(grown),
                EventStep::Seen(step) => EventStep::Seen(step.min(grown)),
            };
        }
        self.duration = self.duration.max(duration);
        if is_end && self.end == EventEnd::Awaited {
            self.end = EventEnd::Received;
        }
    }

    /// The event was too long for one duration, and goes on. `ahead`: from segment to segment.
    fn begins_segment(&self, ahead: u32, is_end: bool) -> bool {
        let tolerance = SEGMENT_STEPS * self.step.ticks();
        let is_full = self.duration.saturating_add(tolerance) >= SEGMENT_DURATION;
        is_full && !is_end && ahead.abs_diff(SEGMENT_DURATION) <= tolerance
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

impl TelephoneEventPacket {
    /// The payload for a clock that runs `scale` times as fast as ours: a duration is in units of the timestamp
    /// (section 2.3.5).
    pub fn payload_scaled(&self, scale: u32) -> [u8; 4] {
        let [event, flags, high, low] = self.payload;
        let duration = u32::from(u16::from_be_bytes([high, low])).saturating_mul(scale);
        let [high, low] = u16::try_from(duration).unwrap_or(u16::MAX).to_be_bytes();
        [event, flags, high, low]
    }
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

    /// What is heard of packets of the key 5: timestamp, duration, end.
    fn heard(packets: &[(u32, u16, bool)]) -> String {
        let mut receiver = TelephoneEventReceiver::default();
        let payload = |duration: u16, end: bool| {
            let [high, low] = duration.to_be_bytes();
            [5, u8::from(end) << 7 | 10, high, low]
        };
        packets.iter().filter_map(|(at, duration, end)| receiver.handle(*at, &payload(*duration, *end))).collect()
    }

    /// A key that is held: durations grow by `step` up to the end, in as many segments as it takes.
    fn held(start: u32, step: u32, steps: u32) -> Vec<(u32, u16, bool)> {
        let (mut segment, mut packets) = (start, vec![]);
        for n in 1..=steps {
            let mut duration = start.wrapping_add(n * step).wrapping_sub(segment);
            if duration > SEGMENT_DURATION {
                packets.push((segment, 0xffff, false));
                segment = segment.wrapping_add(SEGMENT_DURATION);
                duration -= SEGMENT_DURATION;
            }
            packets.push((segment, duration as u16, false));
        }
        let (at, duration, _) = *packets.last().unwrap();
        packets.extend([(at, duration, true); 3]);
        packets
    }

    #[test]
    fn held_key_is_one_digit_over_all_its_segments() {
        for (step, steps) in [(160, 500), (320, 500), (960, 500), (160, 2_000), (480, 4_000)] {
            for start in [0, 5_000, u32::MAX - 70_000] {
                let all = held(start, step, steps);
                assert_eq!(heard(&all), "5", "{step} {steps} {start}");
                for every in [2, 3, 7] {
                    let some: Vec<_> = all.iter().copied().enumerate().filter(|(n, _)| n % every != 0).collect();
                    let some: Vec<_> = some.into_iter().map(|(_, packet)| packet).collect();
                    assert_eq!(heard(&some), "5", "{step} {steps} {start}, every {every}th lost");
                }
                // The key is pressed again.
                let next = start.wrapping_add(steps * step + 3 * step);
                assert_eq!(heard(&[all, held(next, step, 5)].concat()), "55", "{step} {steps} {start}");
            }
        }
        // A sender whose segments are whole steps.
        let first = (1..=409u16).map(|n| (0, n * 160, false));
        let second = (1..=90u16).map(|n| (65_440, n * 160, n >= 88));
        assert_eq!(heard(&first.chain(second).collect::<Vec<_>>()), "5");
    }

    #[test]
    fn end_packets_whose_timestamp_moves_on_are_no_digits() {
        for step in [160u32, 320, 960] {
            let begin: Vec<_> = (1..=5).map(|n| (9_000, (n * step) as u16, false)).collect();
            for (from, grows) in [(step, false), (step, true), (5 * step, false), (6 * step, true), (0, false)] {
                let ends = (0..3).map(|n| {
                    let at = from + n * step;
                    (9_000 + at, (if grows { at.max(5 * step) } else { 5 * step }) as u16, true)
                });
                let packets: Vec<_> = begin.iter().copied().chain(ends).collect();
                assert_eq!(heard(&packets), "5", "{step} from {from}, {grows}");
                let again = held(9_000 + from + 6 * step, step, 5);
                assert_eq!(heard(&[packets, again].concat()), "55", "{step} from {from}, {grows}");
            }
        }
    }

    #[test]
    fn quick_digits_without_markers_stay_two() {
        for step in [160u32, 320, 960] {
            let first = held(0, step, 3);
            // A pause of a packet.
            let second = held(4 * step, step, 3);
            assert_eq!(heard(&[first.clone(), second.clone()].concat()), "55");
            for lost in 0..5 {
                let (first, second) = (first[lost..=lost].to_vec(), second[lost..=lost].to_vec());
                let together = [first, second].concat();
                assert_eq!(heard(&together), "55", "{step}, all but the packet {lost}");
            }
        }
    }

    #[test]
    fn digits_go_on_after_the_clock_was_set_back() {
        assert_eq!(heard(&[(4_000_000_000, 800, true), (3_999_990_000, 800, true), (1_000, 800, true)]), "55");
        assert_eq!(heard(&[(3_900_000_000, 800, true), (3_800_000_000, 160, false), (3_800_000_000, 800, true)]), "55");
    }

    #[test]
    fn durations_are_in_units_of_the_clock() {
        for (scale, wanted) in [(1, [160, 800]), (2, [320, 1_600]), (6, [960, 4_800])] {
            let sent = packets('5', 0);
            let duration = |packet: &TelephoneEventPacket| {
                let [_, _, high, low] = packet.payload_scaled(scale);
                u16::from_be_bytes([high, low])
            };
            assert_eq!([duration(&sent[0]), duration(&sent[6])], wanted);
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
