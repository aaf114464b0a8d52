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
/// Steps to the next packet of a key whose packets have timestamps of their own: three may be lost.
const MOVING_STEPS: u32 = 4;
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
    timestamps: EventTimestamps,
    end: EventEnd,
}

/// Whether a key is one timestamp, as the standard has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventTimestamps {
    Constant,
    /// Each packet has its own, and `start` is that of the last one.
    Moving,
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
        Self { code, start, duration, step: EventStep::Assumed, timestamps: EventTimestamps::Constant, end }
    }

    /// Takes a packet of this digit, or an old one. False for a packet of a new digit.
    fn takes(&mut self, code: u8, timestamp: u32, duration: u32, is_end: bool) -> bool {
        let ahead = timestamp.wrapping_sub(self.start);
        if ahead >= 1 << 31 {
            return self.start.wrapping_sub(timestamp) <= OLD_TICKS_MAX;
        }
        // Some begin the next key under the timestamp of the last one.
        if code != self.code {
            return false;
        }
        if ahead == 0 {
            self.extend(duration, is_end);
            return true;
        }
        if self.end == EventEnd::Awaited && self.begins_segment(ahead, is_end) {
            (self.start, self.duration) = (timestamp, duration);
            return true;
        }
        if self.timestamps == EventTimestamps::Constant && is_end && self.moves_end(timestamp, ahead, duration) {
            self.end = EventEnd::Moving(timestamp);
            return true;
        }
        if self.moves_on(ahead, duration, is_end) {
            self.move_on(timestamp, ahead, duration, is_end);
            return true;
        }
        // The next key cannot be down before this one is up.
        self.timestamps == EventTimestamps::Constant && ahead < self.duration
    }

    /// The key goes on under a timestamp of its own. The duration of a key never falls, so a shorter one is the next key.
    fn moves_on(&self, ahead: u32, duration: u32, is_end: bool) -> bool {
        if duration < self.duration && !self.is_full() {
            return false;
        }
        let is_near = ahead <= MOVING_STEPS.saturating_mul(self.first_step());
        match self.timestamps {
            EventTimestamps::Moving => is_near && (is_end || self.end == EventEnd::Awaited),
            EventTimestamps::Constant => {
                let is_within = ahead <= self.duration.saturating_add(self.step.ticks() / 2);
                // Duration and timestamp rise together: packets of one key, between which some were lost.
                let rises = duration.saturating_sub(self.duration) == ahead && is_near;
                self.end == EventEnd::Awaited && (is_within || rises)
            }
        }
    }

    fn move_on(&mut self, timestamp: u32, ahead: u32, duration: u32, is_end: bool) {
        self.step = match self.step {
            EventStep::Seen(step) => EventStep::Seen(step.min(ahead)),
            EventStep::Assumed => EventStep::Seen(ahead),
        };
        (self.start, self.duration, self.timestamps) = (timestamp, duration, EventTimestamps::Moving);
        if is_end {
            self.end = EventEnd::Received;
        }
    }

    /// A step where none was seen yet: the duration of a first packet is one.
    fn first_step(&self) -> u32 {
        match self.step {
            EventStep::Assumed => self.duration.clamp(STEP_TICKS, 6 * STEP_TICKS),
            EventStep::Seen(ticks) => ticks,
        }
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
        self.is_full() && !is_end && ahead.abs_diff(SEGMENT_DURATION) <= self.segment_tolerance()
    }

    /// No longer duration can be told.
    fn is_full(&self) -> bool {
        self.duration.saturating_add(self.segment_tolerance()) >= SEGMENT_DURATION
    }

    fn segment_tolerance(&self) -> u32 {
        SEGMENT_STEPS.saturating_mul(self.step.ticks())
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
mod tests;
