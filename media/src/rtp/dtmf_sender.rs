//! Sends DTMF: as telephone events if negotiated, otherwise as in-band tones.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::telephone_event::{self, TelephoneEventPacket, TelephoneEventStep};
use crate::frame::{Frame, SAMPLE_RATE_HZ};
use crate::limits;
use std::collections::VecDeque;

/// Frames of an in-band digit: 100 ms of tone and 60 ms of pause.
const TONE_FRAMES: u8 = 5;
const TONE_PAUSE_FRAMES: u8 = 3;

#[derive(Debug)]
enum DtmfSending {
    TelephoneEvent(telephone_event::TelephoneEventSender),
    Tone { event: u8, frames_left: u8, phase: u32 },
}

/// Digits waiting and the one being sent.
#[derive(Debug, Default)]
pub struct DtmfSender {
    waiting: VecDeque<u8>,
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
    /// Digits that are not 0-9, *, # or A-D are skipped, as are those beyond the bound.
    pub fn push(&mut self, digits: &str) {
        let room = limits::DTMF_DIGITS_MAX.saturating_sub(self.waiting.len());
        self.waiting.extend(digits.chars().filter_map(telephone_event::event_code).take(room));
    }

    /// Returns true while digits wait or one is being sent, its pause included.
    pub fn is_sending(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// One frame; `None` when no digit is being sent.
    pub fn step(&mut self, timestamp: u32, negotiated: Option<u8>, frame: &mut Frame) -> Option<DtmfStep> {
        if self.current.is_none() {
            let event = self.waiting.pop_front()?;
            self.current = Some(match negotiated {
                Some(_) => DtmfSending::TelephoneEvent(telephone_event::TelephoneEventSender::new(event, timestamp)),
                None => DtmfSending::Tone { event, frames_left: TONE_FRAMES + TONE_PAUSE_FRAMES, phase: 0 },
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
