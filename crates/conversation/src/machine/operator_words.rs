//! Texts of somebody beside the call that wait to be said, and their instructions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Texts that wait to be said: some minutes of speech.
const TEXTS_MAX: usize = 8;
/// How soon it is tried again to say one, while agent or caller speak.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Texts and instructions of an operator.
#[derive(Debug, Default)]
pub(super) struct OperatorWords {
    /// Texts that are to be said when agent and caller are silent.
    texts: VecDeque<String>,
    /// When it is tried to say the first of them.
    try_at: Option<Instant>,
    /// Instructions so far, for models that read no messages in the middle of a conversation. As many as commands.
    pub(super) instructions: Vec<String>,
}

impl OperatorWords {
    /// When it is tried to say a text; `None` if none waits.
    pub(super) fn try_at(&self) -> Option<Instant> {
        self.try_at
    }

    /// Keeps a text until it can be said; false if as many wait as may.
    pub(super) fn queue(&mut self, text: &str) -> bool {
        let fits = self.texts.len() < TEXTS_MAX;
        if fits {
            self.texts.push_back(text.to_owned());
        }
        fits
    }

    /// The text that has waited longest, if one can be said now; else it is tried again.
    pub(super) fn next(&mut self, now: Instant, can_be_said: bool) -> Option<String> {
        let text = if can_be_said { self.texts.pop_front() } else { None };
        self.try_at = (!self.texts.is_empty()).then(|| now + AGAIN_AFTER);
        text
    }
}
