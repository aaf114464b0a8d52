//! Sends DTMF: as telephone events if negotiated, otherwise as in-band tones.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::telephone_event::{self, TelephoneEventPacket, TelephoneEventStep};
use crate::frame::{Frame, SAMPLE_RATE_HZ};
use crate::limits;
use std::collections::VecDeque;

/// Frames of an in-band digit: 100 ms of tone and 60 ms of pause.
const TONE_FRAMES: u8 = 5;
const TONE_PAUSE_FRAMES: u8 = 3;
/// Frames of the pauses between digits: half a second for `w`, two seconds for a comma.
const SHORT_PAUSE_FRAMES: u8 = 25;
const LONG_PAUSE_FRAMES: u8 = 100;

/// What waits to be sent.
#[derive(Clone, Copy, Debug)]
enum DialStep {
    Digit(u8),
    /// Silence for so many frames.
    Pause(u8),
}

impl DialStep {
    fn parse(c: char) -> Option<Self> {
        match c {
            'w' | 'W' => Some(Self::Pause(SHORT_PAUSE_FRAMES)),
            ',' => Some(Self::Pause(LONG_PAUSE_FRAMES)),
            digit => telephone_event::event_code(digit).map(Self::Digit),
        }
    }
}

#[derive(Debug)]
enum DtmfSending {
    TelephoneEvent(telephone_event::TelephoneEventSender),
    Tone { event: u8, frames_left: u8, phase: u32 },
    Pause { frames_left: u8 },
}

/// Digits waiting and the one being sent.
#[derive(Debug, Default)]
pub struct DtmfSender {
    waiting: VecDeque<DialStep>,
    current: Option<DtmfSending>,
}

/// What one frame of a digit sends.
#[derive(Clone, Copy, Debug)]
pub struct DtmfStep {
    /// Telephone-event packet sent instead of audio; without one the frame is sent (tone or pause).
    pub packet: Option<TelephoneEventPacket>,
    /// The last digit is done.
    pub last: bool,
}

impl DtmfSender {
    /// Digits are 0-9, *, # and A-D; `w` is a pause of half a second, a comma one of two seconds. Everything else is
    /// skipped, as is what goes beyond the bound.
    pub fn push(&mut self, digits: &str) {
        let room = limits::DTMF_DIGITS_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(digits.chars().filter_map(DialStep::parse).take(room));
    }

    /// Returns true while digits wait or one is being sent, its pause included.
    pub fn is_sending(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// One frame; `None` when no digit is being sent.
    pub fn step(&mut self, timestamp: u32, negotiated: Option<u8>, frame: &mut Frame) -> Option<DtmfStep> {
        if self.current.is_none() {
            self.current = Some(match (self.waiting.pop_front()?, negotiated) {
                (DialStep::Digit(event), Some(_)) => {
                    DtmfSending::TelephoneEvent(telephone_event::TelephoneEventSender::new(event, timestamp))
                }
                (DialStep::Digit(event), None) => {
                    DtmfSending::Tone { event, frames_left: TONE_FRAMES + TONE_PAUSE_FRAMES, phase: 0 }
                }
                (DialStep::Pause(frames_left), _) => DtmfSending::Pause { frames_left },
            });
        }
        let (packet, done) = match self.current.as_mut()? {
            DtmfSending::TelephoneEvent(sender) => match sender.step() {
                TelephoneEventStep::Packet(packet) => (Some(packet), false),
                TelephoneEventStep::Pause => (None, false),
                TelephoneEventStep::Done => (None, true),
            },
            DtmfSending::Tone { event, frames_left, phase } => {
                *frames_left = frames_left.saturating_sub(1);
                if *frames_left >= TONE_PAUSE_FRAMES {
                    tone(*event, phase, frame);
                }
                (None, *frames_left == 0)
            }
            DtmfSending::Pause { frames_left } => {
                *frames_left = frames_left.saturating_sub(1);
                (None, *frames_left == 0)
            }
        };
        if done {
            self.current = None;
        }
        Some(DtmfStep { packet, last: done && self.waiting.is_empty() })
    }
}

/// Two tones at -10 dBm0 each, continued over frames.
fn tone(event: u8, phase: &mut u32, frame: &mut Frame) {
    let (low, high) = telephone_event::frequencies_hz(event);
    for sample in frame.iter_mut() {
        let at = *phase as f32 / SAMPLE_RATE_HZ as f32 * std::f32::consts::TAU;
        *sample = (((at * low).sin() + (at * high).sin()) * 5_000.0) as i16;
        *phase = phase.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_SAMPLES;

    /// Frames from the first step to the last, and frames before each digit begins.
    fn frames(digits: &str) -> (usize, Vec<usize>) {
        let mut sender = DtmfSender::default();
        sender.push(digits);
        let (mut count, mut begins, mut was_silent) = (0, Vec::new(), true);
        while sender.is_sending() {
            let mut frame = [0; FRAME_SAMPLES];
            sender.step(0, None, &mut frame);
            let is_silent = frame.iter().all(|sample| *sample == 0);
            if was_silent && !is_silent {
                begins.push(count);
            }
            (was_silent, count) = (is_silent, count + 1);
        }
        (count, begins)
    }

    #[test]
    fn w_waits_half_a_second_and_a_comma_two() {
        assert_eq!(frames("12"), (16, vec![0, 8]));
        assert_eq!(frames("1w2"), (16 + 25, vec![0, 8 + 25]));
        assert_eq!(frames("1,2"), (16 + 100, vec![0, 8 + 100]));
        assert_eq!(frames("w1ww2"), (16 + 75, vec![25, 33 + 50]));
        assert_eq!(frames("1 2-x"), (16, vec![0, 8]), "what is no key and no pause is skipped");
    }
}
