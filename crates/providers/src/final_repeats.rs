//! Final words that a vendor sends again for the same audio: they are no second utterance.
//!
//! Where the vendor says which audio its words are of, that tells. Elsewhere the same words a moment later, without any new
//! sound of the caller, are the same words.

use super::SttEvent;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Final words that are remembered.
const REMEMBERED_MAX: usize = 8;
/// How soon the same words without a time come again.
const AGAIN_WITHIN: Duration = Duration::from_secs(3);
/// A text of so few words may be one of several that were said before the first came.
const FEW_WORDS: usize = 2;

/// Audio that words are of: where it starts and ends, in milliseconds of the connection's audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpan {
    /// First millisecond.
    pub start_ms: u64,
    /// Behind the last millisecond.
    pub end_ms: u64,
}

impl AudioSpan {
    /// Of a start and a length in seconds; `None` where the vendor gave none.
    pub fn of_seconds(start: f64, duration: f64) -> Option<Self> {
        let (start_ms, end_ms) = ((start * 1_000.0).max(0.0) as u64, ((start + duration) * 1_000.0).max(0.0) as u64);
        (end_ms > start_ms).then_some(Self { start_ms, end_ms })
    }

    /// Some audio is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }

    /// More than half of the shorter one is in both.
    fn is_same_audio(self, other: Self) -> bool {
        let both = self.end_ms.min(other.end_ms).saturating_sub(self.start_ms.max(other.start_ms));
        let shorter = (self.end_ms - self.start_ms).min(other.end_ms - other.start_ms);
        both > shorter / 2
    }
}

/// Whether the caller has made a sound that no final words have come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnheardSpeech {
    /// Runs of speech that have begun.
    runs: u32,
    is_speaking: bool,
}

#[derive(Clone, Debug)]
struct RememberedFinal {
    text: String,
    words: Vec<String>,
    /// `None` without times, and for those of an earlier connection.
    span: Option<AudioSpan>,
    at: Instant,
    ends_utterance: bool,
}

/// The last final words of a session.
#[derive(Debug)]
pub(crate) struct FinalRepeats {
    last: VecDeque<RememberedFinal>,
    unheard: UnheardSpeech,
}

impl FinalRepeats {
    pub(crate) fn new() -> Self {
        let unheard = UnheardSpeech { runs: 0, is_speaking: false };
        Self { last: VecDeque::with_capacity(REMEMBERED_MAX), unheard }
    }

    /// Another connection counts its audio anew.
    pub(crate) fn handle_connected(&mut self) {
        self.last.iter_mut().for_each(|one| one.span = None);
    }

    /// The caller makes a sound.
    pub(crate) fn handle_speech_started(&mut self) {
        self.unheard = UnheardSpeech { runs: self.unheard.runs.saturating_add(1), is_speaking: true };
    }

    /// The caller is silent.
    pub(crate) fn handle_speech_ended(&mut self) {
        self.unheard.is_speaking = false;
    }

    /// What is left of an event that says words.
    pub(crate) fn filter(&mut self, now: Instant, event: SttEvent, span: Option<AudioSpan>) -> Option<SttEvent> {
        let (text, ends_utterance) = match &event {
            SttEvent::Final { text, speech_final, .. } => (text, *speech_final),
            SttEvent::EndOfTurn { text, .. } => (text, true),
            SttEvent::Interim(text) if self.repeats_interim(text, span) => return None,
            _ => return Some(event),
        };
        let words = plain_words(text);
        if words.is_empty() {
            return Some(event);
        }
        let Some(known) = self.position(now, &words, span) else {
            self.remember(RememberedFinal { text: text.clone(), words, span, at: now, ends_utterance });
            return Some(event);
        };
        metrics::counter!("trunkline_stt_repeated_finals_total").increment(1);
        self.repeat(known, text.clone(), words, ends_utterance)
    }

    /// The words of audio whose final words have come are known.
    fn repeats_interim(&self, text: &str, span: Option<AudioSpan>) -> bool {
        let Some(span) = span else { return false };
        let words = plain_words(text);
        self.last.iter().any(|one| one.span.is_some_and(|of| of.is_same_audio(span)) && one.words.starts_with(&words))
    }

    /// Which of the last finals these words are again.
    fn position(&self, now: Instant, words: &[String], span: Option<AudioSpan>) -> Option<usize> {
        let UnheardSpeech { runs, is_speaking } = self.unheard;
        self.last.iter().rposition(|one| match (one.span, span) {
            (Some(known), Some(span)) => known.is_same_audio(span) && is_alike(&one.words, words),
            _ => {
                let is_soon = now.saturating_duration_since(one.at) <= AGAIN_WITHIN;
                one.words == words && is_soon && runs == 0 && !is_speaking
            }
        })
    }

    fn remember(&mut self, last: RememberedFinal) {
        if self.last.len() == REMEMBERED_MAX {
            self.last.pop_front();
        }
        let is_short = last.words.len() <= FEW_WORDS;
        self.unheard.runs = if is_short { self.unheard.runs.saturating_sub(1) } else { 0 };
        self.last.push_back(last);
    }

    /// What words that came again still say: other words, or that the utterance is over.
    fn repeat(&mut self, known: usize, text: String, words: Vec<String>, ends: bool) -> Option<SttEvent> {
        let known = self.last.get_mut(known)?;
        let ends_now = ends && !known.ends_utterance;
        known.ends_utterance |= ends;
        if known.words != words || ends_now && known.text != text {
            let was = std::mem::replace(&mut known.text, text.clone());
            known.words = words;
            return Some(SttEvent::Corrected { was, is: text, speech_final: ends_now });
        }
        ends_now.then_some(SttEvent::UtteranceEnd)
    }
}

/// At least half of the words of both are the same, in their order.
fn is_alike(known: &[String], words: &[String]) -> bool {
    let (mut same, mut from) = (0, 0);
    for word in words {
        if let Some(at) = known.get(from..).and_then(|rest| rest.iter().position(|one| one == word)) {
            (same, from) = (same + 1, from + at + 1);
        }
    }
    same * 2 >= known.len().max(words.len())
}

/// Words in lower case without punctuation.
fn plain_words(text: &str) -> Vec<String> {
    let plain =
        |word: &str| -> String { word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    text.split_whitespace().map(plain).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests;
