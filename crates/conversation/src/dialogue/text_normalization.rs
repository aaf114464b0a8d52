//! Text for voices: markup is taken out, and numbers, amounts, dates, times, units, phone numbers, addresses, codes and
//! abbreviations are written as they are said, in the language of the voice. What is not understood stays as it is
//! written. Integers stay digits: every voice reads those.

mod abbreviations;
mod codes;
mod dates;
mod language;
mod languages;
mod locale;
mod markup;
mod money;
mod numbers;
mod ordinals;
mod phone;
mod rewrite;
mod sentence_ends;
pub(crate) mod ssml;
mod symbols;
mod times;
mod tokens;
mod units;
mod web_addresses;

use locale::Locale;
pub use markup::without_tags;
use rewrite::Rewritten;
pub use sentence_ends::{AbbreviationEnd, abbreviation_end};

/// How text is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechStyle {
    /// `None` for languages without tables: only markup and emoji are removed.
    locale: Option<Locale>,
    /// The TTS model understands audio tags such as `[whispers]`; others would read them aloud.
    tags: bool,
}

impl Default for SpeechStyle {
    fn default() -> Self {
        Self::new("en", false)
    }
}

/// A text in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NormalizedText {
    /// For transcript and history.
    pub shown: String,
    /// For the voice.
    pub spoken: String,
    rewritten: Vec<Rewritten>,
}

impl NormalizedText {
    /// The part of `shown` that was heard, in octets, when so many octets of `spoken` were: a part that is said
    /// differently counts if most of it was heard.
    pub fn shown_by(&self, spoken: usize) -> usize {
        let (mut shown_at, mut spoken_at) = (0, 0);
        for part in &self.rewritten {
            if spoken <= part.spoken.0 {
                break;
            }
            if spoken < part.spoken.1 {
                let most = (spoken - part.spoken.0) * 2 >= part.spoken.1 - part.spoken.0;
                return if most { part.shown.1 } else { part.shown.0 };
            }
            (shown_at, spoken_at) = (part.shown.1, part.spoken.1);
        }
        // A blank may have been put behind a part.
        let at = shown_at + spoken.saturating_sub(spoken_at);
        self.shown.floor_char_boundary(at)
    }
}

impl SpeechStyle {
    /// Returns the style of a language code such as `nl` or `pt-BR`; `tags` keeps audio tags for the TTS model.
    pub fn new(language: &str, tags: bool) -> Self {
        Self { locale: Locale::of(language), tags }
    }

    /// The same for a voice that reads numbers, dates and amounts by itself: only markup is taken out.
    pub fn plain(self) -> Self {
        Self { locale: None, ..self }
    }

    /// Both forms of a text; empty when nothing of it can be said.
    pub fn normalize(self, text: &str) -> NormalizedText {
        let plain = markup::plain_text(text, false);
        let (spoken, rewritten) = rewrite::rewrite(&plain, self.locale);
        if !plain.text.chars().any(char::is_alphanumeric) && rewritten.is_empty() {
            return NormalizedText::default();
        }
        NormalizedText { shown: plain.text, spoken, rewritten }
    }

    /// The same with the tags of the original, for a voice that acts on them.
    pub fn with_tags(self, text: &str, said: &NormalizedText) -> String {
        if !self.tags || !text.contains('[') {
            return said.spoken.clone();
        }
        rewrite::rewrite(&markup::plain_text(text, true), self.locale).0
    }
}

#[cfg(test)]
mod tests;
