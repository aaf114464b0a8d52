//! Whether an STT service answers the caller's speech at all: one that brings nothing for a whole utterance is mute, and
//! another one can still answer within the turn.

use std::time::{Duration, Instant};

/// Shorter sounds may be none that a vendor answers.
const SPEECH_MIN: Duration = Duration::from_millis(300);
/// How long a result is waited for, from the end of speech as the call sees it: some 200 ms after the last sound.
const RESULT_MAX: Duration = Duration::from_secs(1);

/// What the service owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ResultWatch {
    /// Nothing.
    #[default]
    Nothing,
    /// The caller speaks, and no result has come for it.
    Speaking { since: Instant },
    /// The caller has spoken, and no result has come for it.
    Due { at: Instant },
}

impl ResultWatch {
    /// The caller begins to speak.
    pub(super) fn handle_speech_started(&mut self, now: Instant) {
        *self = Self::Speaking { since: now };
    }

    /// The caller is silent.
    pub(super) fn handle_speech_ended(&mut self, now: Instant) {
        *self = match *self {
            Self::Speaking { since } if now >= since + SPEECH_MIN => Self::Due { at: now + RESULT_MAX },
            Self::Speaking { .. } | Self::Nothing => Self::Nothing,
            due @ Self::Due { .. } => due,
        };
    }

    /// The service says something: it works, even if it heard no words.
    pub(super) fn handle_message(&mut self) {
        *self = Self::Nothing;
    }

    /// Another connection listens, and has the audio that was not answered.
    pub(super) fn handle_connected(&mut self, now: Instant) {
        if let Self::Due { at } = self {
            *at = (*at).max(now + RESULT_MAX);
        }
    }

    /// When the service is mute.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Due { at } => Some(*at),
            Self::Nothing | Self::Speaking { .. } => None,
        }
    }

    /// No result has come for the last speech.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Due { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_service_is_mute_when_a_whole_utterance_brings_nothing() {
        let t = Instant::now();
        let mut watch = ResultWatch::default();
        watch.handle_speech_started(t);
        watch.handle_speech_ended(t + 200 * MS);
        assert_eq!(watch.deadline(), None, "a click");
        watch.handle_speech_started(t);
        assert_eq!(watch.deadline(), None, "the caller still speaks");
        watch.handle_speech_ended(t + 900 * MS);
        assert_eq!(watch.deadline(), Some(t + 1_900 * MS));
        assert!(watch.is_unanswered());
        watch.handle_connected(t + 1_900 * MS);
        assert_eq!(watch.deadline(), Some(t + 2_900 * MS), "the next one gets its time");
        watch.handle_speech_started(t + 2_000 * MS);
        assert!(!watch.is_unanswered(), "the caller goes on");
    }

    #[test]
    fn any_message_shows_that_it_works() {
        let t = Instant::now();
        let mut watch = ResultWatch::default();
        watch.handle_speech_started(t);
        watch.handle_message();
        watch.handle_speech_ended(t + 900 * MS);
        assert_eq!(watch.deadline(), None, "noise, for example");
    }
}
