//! The caller's voice in a turn: whether there is sound now, and since when.

use std::time::{Duration, Instant};

/// Words that come longer than this after the caller's last sound belong to no sound: the slowest STT is two seconds late.
const VOICE_AGE_MAX: Duration = Duration::from_secs(3);

/// How long a turn is kept open by a sound that may be the beginning of a word: as long as it takes to know.
const SUSPICION: Duration = Duration::from_millis(80);
/// Suspicions in one silence, so that clicks and breaths do not keep a turn open.
const SUSPICIONS_MAX: u8 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpeechState {
    Speaking { since: Instant },
    Silent { since: Instant },
}

/// What the VAD has said of the turn.
#[derive(Debug, Default)]
pub(super) struct CallerSound {
    speech: Option<SpeechState>,
    /// When the turn began.
    started: Option<Instant>,
    /// When the caller last began to make a sound.
    onset: Option<Instant>,
    /// Until when it is unknown whether the caller has begun to speak again, and how often that was so in this silence.
    suspected_until: Option<Instant>,
    suspicions: u8,
    /// The caller made a sound with words of this turn, or shortly before them.
    has_voiced_words: bool,
}

impl CallerSound {
    pub(super) fn is_speaking(&self) -> bool {
        matches!(self.speech, Some(SpeechState::Speaking { .. }))
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.speech, Some(SpeechState::Silent { .. }))
    }

    /// The VAD has not heard the caller yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.speech.is_none()
    }

    /// End of the last sound, while there is none.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        match self.speech {
            Some(SpeechState::Silent { since }) => Some(since),
            Some(SpeechState::Speaking { .. }) | None => None,
        }
    }

    /// The caller may have begun to speak again.
    pub(super) fn record_suspicion(&mut self, now: Instant) {
        if self.is_silent() && self.suspicions < SUSPICIONS_MAX {
            self.suspicions += 1;
            self.suspected_until = Some(now + SUSPICION);
        }
    }

    /// Until when it is unknown whether the caller speaks again.
    pub(super) fn suspected_until(&self) -> Option<Instant> {
        self.suspected_until
    }

    /// A sound goes on that began less than this time ago.
    pub(super) fn has_begun_within(&self, age: Duration, now: Instant) -> bool {
        matches!(self.speech, Some(SpeechState::Speaking { since }) if now.saturating_duration_since(since) < age)
    }

    pub(super) fn started(&self) -> Option<Instant> {
        self.started
    }

    pub(super) fn onset(&self) -> Option<Instant> {
        self.onset
    }

    pub(super) fn record_start(&mut self, at: Instant) {
        self.speech = Some(SpeechState::Speaking { since: at });
        (self.suspected_until, self.suspicions) = (None, 0);
        self.onset = Some(at);
        self.started.get_or_insert(at);
    }

    pub(super) fn record_end(&mut self, last_sound: Instant) {
        self.speech = Some(SpeechState::Silent { since: last_sound });
    }

    /// Words are there: the turn has begun, also if the VAD has not heard it.
    pub(super) fn record_words(&mut self, now: Instant) {
        self.started.get_or_insert(now);
        self.has_voiced_words |= match self.speech {
            Some(SpeechState::Speaking { .. }) => true,
            Some(SpeechState::Silent { since }) => now.saturating_duration_since(since) <= VOICE_AGE_MAX,
            None => false,
        };
    }

    pub(super) fn has_voiced_words(&self) -> bool {
        self.has_voiced_words
    }

    /// The same of the turn that is taken.
    pub(super) fn take_voiced_words(&mut self) -> bool {
        std::mem::take(&mut self.has_voiced_words)
    }

    /// The turn is taken. Returns when it began; sound from `now` on belongs to the next one.
    pub(super) fn take_start(&mut self, now: Instant) -> Option<Instant> {
        let started = self.started.take();
        if self.is_speaking() {
            self.started = Some(now);
        }
        started
    }
}
