//! Whether the dot of a short form is that of its sentence, too: nothing follows it, or another sentence begins.

use super::locale::Locale;
use super::tokens::{Sentence, has_capital, is_all_capitals};

/// The end of a short form, before its dot where that ends the sentence.
pub(super) fn without(sentence: &Sentence<'_>, end: usize, locale: Locale) -> usize {
    let dotted = sentence.before(end).is_some_and(|last| last.text == ".");
    if dotted && ends_before(sentence, end, locale) { end - 1 } else { end }
}

/// Whether a sentence ends before a token: closing signs are all that is left, or another sentence begins.
pub(super) fn ends_before(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    sentence.is_end(at) || begins(sentence, at, locale)
}

/// The same behind a word that a name in capitals or a letter may follow: "incl. BTW", "izq. B".
pub(super) fn ends_before_word(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let is_alone = |word: &str| word.chars().count() >= 2 || sentence.word(at + 1).is_none();
    let is_name = sentence.word(at).is_some_and(|word| is_all_capitals(word) && is_alone(word));
    ends_before(sentence, at, locale) && !is_name
}

/// Whether a sentence begins at a token behind a dot: with a capital, in German with a word that has one for that reason
/// alone.
fn begins(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let opening = |at: &usize| matches!(sentence.text(*at), "\"" | "“" | "„" | "«" | "(" | "‘");
    let at = (at..).find(|at| !opening(at)).unwrap_or(at);
    if matches!(sentence.text(at), "¿" | "¡") {
        return true;
    }
    let Some(word) = sentence.word(at) else { return false };
    // "5 km. A2" is a road.
    let is_code = sentence.is_glued(at + 1) && sentence.digits(at + 1).is_some();
    if locale.is_german() {
        return is_german_start(word) || is_small_short_form(sentence, at, word, locale);
    }
    has_capital(word) && !is_code
}

/// "Gem. § 5", "Z. B.": short for a word that is small within a sentence.
fn is_small_short_form(sentence: &Sentence<'_>, at: usize, word: &str, locale: Locale) -> bool {
    let lower = word.to_lowercase();
    has_capital(word)
        && sentence.glued_sign(at + 1, &["."])
        && locale.language.abbreviations.iter().any(|(written, long, _)| {
            written.split('.').next() == Some(lower.as_str()) && long.starts_with(char::is_lowercase)
        })
}

/// Words that begin German sentences more often than they are names or nouns.
const GERMAN_STARTS: &[&str] = &[
    "Aber",
    "Ab",
    "Alle",
    "Also",
    "Am",
    "An",
    "Auch",
    "Auf",
    "Bei",
    "Bis",
    "Bitte",
    "Da",
    "Danach",
    "Danke",
    "Dann",
    "Das",
    "Davor",
    "Den",
    "Denn",
    "Der",
    "Die",
    "Dies",
    "Diese",
    "Dieser",
    "Dort",
    "Ein",
    "Eine",
    "Er",
    "Es",
    "Falls",
    "Für",
    "Gern",
    "Gerne",
    "Gibt",
    "Gut",
    "Haben",
    "Hat",
    "Heute",
    "Hier",
    "Ich",
    "Ihr",
    "Ihre",
    "Im",
    "In",
    "Ist",
    "Ja",
    "Jetzt",
    "Kann",
    "Können",
    "Kommen",
    "Leider",
    "Mit",
    "Möchten",
    "Morgen",
    "Nach",
    "Natürlich",
    "Nein",
    "Nun",
    "Ob",
    "Oder",
    "Passt",
    "Rufen",
    "Sie",
    "Sind",
    "So",
    "Soll",
    "Sollen",
    "Super",
    "Um",
    "Und",
    "Unser",
    "Unsere",
    "Viele",
    "Vielen",
    "Vom",
    "Von",
    "Vor",
    "Wann",
    "Warum",
    "Was",
    "Welche",
    "Wenn",
    "Wer",
    "Wie",
    "Wir",
    "Wo",
    "Wollen",
    "Wurde",
    "Würden",
    "Zu",
    "Zum",
    "Zur",
];

/// Whether a word of German begins a sentence behind a dot that may be that of a date.
pub(super) fn is_german_start(word: &str) -> bool {
    GERMAN_STARTS.contains(&word)
}

/// Whether a longer text may become such a word.
pub(super) fn may_become_german_start(head: &str) -> bool {
    GERMAN_STARTS.iter().any(|word| word.starts_with(head))
}
