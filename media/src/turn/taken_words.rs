//! Interim words that were used for a turn before their final version came: what the final version adds to them.

use super::script::{after_words, words};
use super::syntax::without_please;

/// Letters by which another writing of few words may be longer.
const EXTRA_LETTERS: usize = 8;
/// Digits in the languages that callers spell numbers in, from zero to nine.
const DIGITS: [[&str; 10]; 7] = [
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    ["nul", "een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen"],
    ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"],
    ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"],
    ["zero", "uno", "due", "tre", "quattro", "cinque", "sei", "sette", "otto", "nove"],
    ["zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove"],
];

/// Final words that replace those of a turn that was already taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnCorrection {
    /// The turn's words as they were taken.
    pub was: String,
    /// The same words as STT writes them in the end.
    pub is: String,
}

/// Words of a turn that was taken, of which STT has not sent the final version.
#[derive(Clone, Debug, Default)]
pub(super) struct TakenWords {
    /// The turn as it was taken.
    turn: String,
    /// Its words that were final already, and those whose final version has come since.
    settled: String,
    /// The others, in lower case without punctuation.
    words: Vec<String>,
    /// The caller has made a sound since.
    has_new_speech: bool,
}

impl TakenWords {
    /// Words taken while the caller was silent, or still speaking.
    pub(super) fn new(finals: &str, interim: &str, is_speaking: bool) -> Self {
        let words = plain_words(interim).collect();
        Self { turn: join(finals, interim), settled: finals.to_owned(), words, has_new_speech: is_speaking }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The caller makes a sound: later words may be new ones.
    pub(super) fn record_speech(&mut self) {
        self.has_new_speech = true;
    }

    /// The words of a text are the first of those that were taken.
    pub(super) fn is_begun_by(&self, text: &str) -> bool {
        !self.is_empty() && plain_words(text).eq(self.words.iter().take(words(text).count()).cloned())
    }

    /// Takes a part of the final version; false if the text is more than a part, or another one.
    pub(super) fn take_part(&mut self, text: &str) -> bool {
        let count = words(text).count();
        let is_part = count < self.words.len() && self.is_begun_by(text);
        if is_part {
            self.words.drain(..count);
            self.settled = join(&self.settled, text);
        }
        is_part
    }

    /// Whether a text is the same words, however they are written: without a sound since, nothing else can have been
    /// said, unless the text is far longer; otherwise its digits and letters tell.
    pub(super) fn covers(&self, text: &str) -> bool {
        if self.is_empty() || text.trim().is_empty() {
            return false;
        }
        if spelled(self.words.iter().cloned()) == spelled(plain_words(text)) {
            return true;
        }
        let (taken, heard) = (letters(self.words.iter().cloned()), letters(plain_words(text)));
        !self.has_new_speech && !is_longer(heard, taken) && !self.goes_on_in(text)
    }

    /// Whether a text is more of the sound whose first words were taken, because the others were not there yet: it says
    /// the taken words, and goes on behind them with more than another writing of the last ones, or a "please".
    pub(super) fn goes_on_in(&self, text: &str) -> bool {
        if self.is_empty() || self.has_new_speech {
            return false;
        }
        if let Some(count) = self.spelled_prefix(text) {
            return has_words(after_words(text, count));
        }
        let Common { same, known, end } = self.common(text);
        let rest = after_words(text, end);
        match self.words.get(known..).unwrap_or_default() {
            _ if same * 2 < self.words.len() => false,
            [] => has_words(rest),
            taken => is_longer(letters(plain_words(rest)), letters(taken.iter().cloned())),
        }
    }

    /// What a text has in common with the taken words.
    fn common(&self, text: &str) -> Common {
        let mut common = Common::default();
        for (index, word) in plain_words(text).enumerate() {
            if let Some(at) = self.words.iter().skip(common.known).position(|one| *one == word) {
                common = Common { same: common.same + 1, known: common.known + at + 1, end: index + 1 };
            }
        }
        common
    }

    /// How many words of a text are the taken ones, by their letters and digits.
    fn spelled_prefix(&self, text: &str) -> Option<usize> {
        let taken = spelled(self.words.iter().cloned());
        let mut heard = String::new();
        plain_words(text)
            .position(|word| {
                heard.push_str(&spelled(std::iter::once(word)));
                heard == taken
            })
            .map(|index| index + 1)
    }

    /// What the turn is in its final writing; `None` if nothing but punctuation and case is different.
    pub(super) fn correction(self, text: &str) -> Option<TurnCorrection> {
        let is = join(&self.settled, text);
        (!plain_words(&is).eq(plain_words(&self.turn))).then_some(TurnCorrection { was: self.turn, is })
    }

    /// What a text has beyond words that were taken before; all of it when it is another text.
    pub(super) fn without(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        if let Some(count) = self.spelled_prefix(text) {
            return after_words(text, count).to_owned();
        }
        // The final words may differ from the interim ones here and there: what they have in common, in order.
        let Common { same, end, .. } = self.common(text);
        if same * 2 < self.words.len() {
            return text.to_owned();
        }
        after_words(text, end).to_owned()
    }
}

/// Words that a text and the taken ones have in common, in order.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    same: usize,
    /// Behind the last of them among the taken words.
    known: usize,
    /// Behind the last of them in the text.
    end: usize,
}

fn letters(words: impl Iterator<Item = String>) -> usize {
    words.map(|word| word.chars().count()).sum()
}

/// Far more letters than another writing of the same words has.
fn is_longer(letters: usize, than: usize) -> bool {
    letters * 2 > than * 3 + EXTRA_LETTERS
}

/// A text says something; "please" adds nothing to what was said.
fn has_words(text: &str) -> bool {
    let text = text.to_lowercase();
    let said = text.trim_matches(|c: char| !c.is_alphanumeric());
    !said.is_empty() && !without_please(&format!(" {said}")).is_empty()
}

/// Words in lower case without punctuation.
fn plain_words(text: &str) -> impl Iterator<Item = String> {
    let plain = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    words(text).map(plain)
}

/// Words without blanks, digits as digits.
fn spelled(words: impl Iterator<Item = String>) -> String {
    let digit = |word: String| {
        let found = DIGITS.iter().find_map(|digits| digits.iter().position(|digit| *digit == word));
        found.map_or(word, |digit| digit.to_string())
    };
    words.map(digit).collect()
}

/// Both texts, with a blank between them.
pub(super) fn join(first: &str, second: &str) -> String {
    let (first, second) = (first.trim(), second.trim());
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first} {second}"),
    }
}
