//! Text for voices: markup is taken out, and numbers, amounts, dates, times, units, phone numbers, addresses, codes and
//! abbreviations are written as they are said, in the language of the voice. What is not understood stays as it is
//! written. Integers stay digits: every voice reads those.

mod abbreviations;
mod codes;
mod dates;
pub mod dictionary;
mod dimensions;
mod emphasis;
mod fractions;
mod full_stops;
mod keys;
mod language;
mod languages;
mod locale;
mod markup;
mod money;
mod numbers;
mod ordinals;
mod per_word;
mod phone;
mod postcodes;
mod ranges;
mod rewrite;
mod sentence_ends;
mod spans;
pub(crate) mod ssml;
mod street_directions;
mod symbols;
mod thousands;
mod times;
mod timestamps;
mod tokens;
mod units;
mod web_addresses;
mod years;

use dictionary::Dictionary;
use locale::Locale;
use markup::PlainText;
pub use markup::without_tags;
use rewrite::{Rewritten, Spoken};
pub use sentence_ends::{AbbreviationEnd, abbreviation_end, day_end};
use std::sync::Arc;
use trunkline_domain::pronunciation::Pronunciation;

/// How text is normalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechStyle {
    /// `None` for languages without tables: only markup and emoji are removed.
    locale: Option<Locale>,
    /// The TTS model understands audio tags such as `[whispers]`; others would read them aloud.
    tags: bool,
    /// The voice reads numbers and the like by itself.
    is_plain: bool,
    dictionary: Arc<Dictionary>,
}

impl Default for SpeechStyle {
    fn default() -> Self {
        Self::new("en", false)
    }
}

/// How the signs of an address and the months are called in a language.
#[derive(Clone, Copy, Debug)]
pub struct SpokenNames {
    /// `@`.
    pub at: &'static str,
    /// `.`
    pub dot: &'static str,
    /// `-`.
    pub dash: &'static str,
    /// `_`.
    pub underscore: &'static str,
    /// `+`.
    pub plus: &'static str,
    /// From the first on.
    pub months: &'static [&'static str; 12],
}

impl SpokenNames {
    /// The names in a language such as `nl` or `pt-BR`; English for those without tables.
    pub fn of(language: &str) -> Self {
        let language = Locale::of(language).map_or(&languages::en::ENGLISH, |locale| locale.language);
        let signs = &language.signs;
        let (at, dot, dash, underscore) = (signs.at, signs.dot, signs.dash, signs.underscore);
        Self { at, dot, dash, underscore, plus: signs.plus, months: &language.calendar.months }
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
    /// Tags for voices that take them, by their places in `spoken`.
    tags: Vec<(usize, String)>,
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
        Self { locale: Locale::of(language), tags, is_plain: false, dictionary: Arc::default() }
    }

    /// The same for an agent that has its own pronunciations, and a voice of this language.
    #[must_use]
    pub fn pronouncing(self, entries: &[Pronunciation], language: &str) -> Self {
        if entries.is_empty() {
            self
        } else {
            Self { dictionary: Arc::new(Dictionary::new(entries, language)), ..self }
        }
    }

    /// The same for a voice that reads numbers, dates and amounts by itself: only markup is taken out.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { is_plain: true, ..self }
    }

    /// Whether numbers and the like are left to the voice.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    fn spoken(&self, text: &str, with_directions: bool) -> (PlainText, Spoken) {
        let mut plain = markup::plain_text(text, with_directions);
        self.dictionary.mark(&mut plain);
        let spoken = rewrite::rewrite(&plain, self.locale.filter(|_| !self.is_plain));
        (plain, spoken)
    }

    /// Both forms of a text; empty when nothing of it can be said.
    pub fn normalize(&self, text: &str) -> NormalizedText {
        let (plain, Spoken { text: spoken, parts: rewritten, tags }) = self.spoken(text, false);
        if !plain.text.chars().any(char::is_alphanumeric) && rewritten.is_empty() {
            return NormalizedText::default();
        }
        NormalizedText { shown: plain.text, spoken, rewritten, tags }
    }

    /// The text for voices, with every tag that one of them may take: audio tags of the original, pauses, sounds.
    pub fn for_voice(&self, text: &str, said: &NormalizedText) -> String {
        if !self.tags || !text.contains('[') {
            return tagged(&said.spoken, &said.tags);
        }
        let spoken = self.spoken(text, true).1;
        tagged(&spoken.text, &spoken.tags)
    }
}

/// A text with tags put into it, in order.
fn tagged(text: &str, tags: &[(usize, String)]) -> String {
    let mut out = String::with_capacity(text.len() + tags.iter().map(|(_, tag)| tag.len()).sum::<usize>());
    let mut done = 0;
    for (at, tag) in tags {
        let at = text.floor_char_boundary((*at).max(done));
        out.push_str(&text[done..at]);
        out.push_str(tag);
        done = at;
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests;
