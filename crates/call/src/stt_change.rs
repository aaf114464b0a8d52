//! When one STT session takes the place of another, so that no word is lost and none comes twice: the old one hears the
//! caller to the end of an utterance, and the new one gets everything from a piece of silence on.
//!
//! Pure: the driver has the sessions; times and frames are arguments.

use crate::providers::SttEvent;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trunkline_media::audio::AudioFrame;

/// Silence before the change; the new session hears it too, because speech is detected a little late.
const LEAD: Duration = Duration::from_millis(300);
/// Frames of that silence.
const LEAD_FRAMES: usize = 15;
/// How long the final words of the old session are waited for.
const FINAL_WORDS_MAX: Duration = Duration::from_millis(1_500);
/// A caller who makes a sound for this long may never be silent: television, a noisy line.
const SPEECH_MAX: Duration = Duration::from_secs(20);

/// What the caller does, as far as the old session is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerActivity {
    /// Makes a sound.
    Speaking {
        /// Since then.
        since: Instant,
    },
    /// Is silent, and the old session has not sent all words.
    WordsDue {
        /// Silent since then.
        since: Instant,
    },
    /// Is silent, and no words are due.
    Silent {
        /// Since then.
        since: Instant,
    },
}

impl CallerActivity {
    /// What the caller does now, as far as the call knows.
    pub fn new(now: Instant, is_speaking: bool, has_words: bool) -> Self {
        match (is_speaking, has_words) {
            (true, _) => Self::Speaking { since: now },
            (false, true) => Self::WordsDue { since: now },
            (false, false) => Self::Silent { since: now },
        }
    }
}

/// A change from one STT session to another.
#[derive(Debug)]
pub struct SttChange {
    caller: CallerActivity,
    /// The last frames, the oldest first.
    lead: VecDeque<AudioFrame>,
}

impl SttChange {
    /// The new session is ready.
    pub fn new(caller: CallerActivity) -> Self {
        Self { caller, lead: VecDeque::with_capacity(LEAD_FRAMES) }
    }

    /// The caller makes a sound.
    pub fn handle_speech_started(&mut self, now: Instant) {
        self.caller = CallerActivity::Speaking { since: now };
    }

    /// The caller fell silent.
    pub fn handle_speech_ended(&mut self, now: Instant) {
        self.caller = CallerActivity::WordsDue { since: now };
    }

    /// The old session said something.
    pub fn handle_event(&mut self, event: &SttEvent) {
        let is_last = matches!(
            event,
            SttEvent::Final { speech_final: true, .. }
                | SttEvent::Corrected { speech_final: true, .. }
                | SttEvent::EndOfTurn { .. }
                | SttEvent::UtteranceEnd
                | SttEvent::NotUnderstood
                | SttEvent::Lost
        );
        if let (CallerActivity::WordsDue { since }, true) = (self.caller, is_last) {
            self.caller = CallerActivity::Silent { since };
        }
    }

    /// A frame of the caller. True when the new session hears the caller from here on, this frame and the ones before
    /// it (see [`into_lead`](Self::into_lead)); until then it is for the old one.
    pub fn hear(&mut self, now: Instant, frame: &AudioFrame) -> bool {
        let is_due = match self.caller {
            CallerActivity::Speaking { since } => now >= since + SPEECH_MAX,
            CallerActivity::WordsDue { since } => now >= since + FINAL_WORDS_MAX,
            CallerActivity::Silent { since } => now >= since + LEAD,
        };
        if self.lead.len() == LEAD_FRAMES {
            self.lead.pop_front();
        }
        self.lead.push_back(*frame);
        is_due
    }

    /// What the new session hears first. Only silence: what was spoken the old one has heard.
    pub fn into_lead(self) -> VecDeque<AudioFrame> {
        match self.caller {
            CallerActivity::Speaking { .. } => self.lead.into_iter().next_back().into_iter().collect(),
            CallerActivity::WordsDue { .. } | CallerActivity::Silent { .. } => self.lead,
        }
    }
}

#[cfg(test)]
mod tests;
