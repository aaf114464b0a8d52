//! What callers say beside a value: corrections ("no sorry, …", "I mean …"), time to think ("let me see"), remarks on how it is
//! written ("all one word", "without an h").

use super::answer_words::lists;
use super::words::{WORDS_MAX, fold, table_of, words};

/// Phrases of one language, parted by bars.
struct Phrases {
    /// What follows is meant in place of what was said.
    meant: &'static str,
    /// The same; said out of courtesy too.
    takes_back: &'static str,
    /// Nothing of the value.
    beside: &'static str,
}

static EN: Phrases = Phrases {
    meant: "i meant|i mean|i said|i wanted to say|make that|it should be|correction|actually",
    takes_back: "sorry|wait|oops|scratch that|let me correct that|let me start over",
    beside: "let me see|let me think|let me spell it|let me spell that|hang on|hold on|one moment|one second|just a moment|just a second|what was it|you know|all one word|one word|all in one word|no spaces|without spaces|all lower case|all lowercase|in lower case|in lowercase|all small letters|in small letters|um|uh|er|erm|uhm|hmm",
};
static NL: Phrases = Phrases {
    meant: "ik bedoel|ik bedoelde|ik zei|het moet zijn|correctie|eigenlijk",
    takes_back: "sorry|wacht|pardon|foutje",
    beside: "even kijken|eens kijken|laat me denken|een moment|moment|momentje|ik spel het|ik zal het spellen|alles aan elkaar|aan elkaar geschreven|aan elkaar|in één woord|allemaal kleine letters|met kleine letters|alles klein|zonder spaties|eh|ehm|uh|uhm",
};
static DE: Phrases = Phrases {
    meant: "ich meine|ich meinte|ich sagte|es muss heißen|korrektur|eigentlich|sondern",
    takes_back: "entschuldigung|sorry|pardon|halt|warten sie|warte|stopp|quatsch",
    beside: "einen moment|moment|mal sehen|lassen sie mich überlegen|ich buchstabiere|alles zusammen|alles zusammengeschrieben|zusammengeschrieben|zusammen geschrieben|in einem wort|alles klein|alles kleingeschrieben|kleingeschrieben|klein geschrieben|ohne leerzeichen|äh|ähm|hm",
};
static FR: Phrases = Phrases {
    meant: "je voulais dire|je veux dire|j'ai dit|c'est plutôt|correction|plutôt|en fait",
    takes_back: "pardon|désolé|désolée|excusez-moi|attendez",
    beside: "un instant|un moment|voyons|voyons voir|laissez-moi réfléchir|je vous l'épelle|j'épelle|tout attaché|tout collé|en un mot|en un seul mot|tout en minuscules|en minuscules|sans espace|sans espaces|euh|hum|ben",
};
static ES: Phrases = Phrases {
    meant: "quería decir|quiero decir|quise decir|he dicho|corrección|en realidad|mejor dicho",
    takes_back: "perdón|perdone|perdona|disculpe|espere|espera|lo siento",
    beside: "a ver|un momento|déjeme ver|déjeme pensar|se lo deletreo|le deletreo|todo junto|todo seguido|en una palabra|en una sola palabra|todo en minúsculas|en minúsculas|sin espacios|eh|em",
};
static IT: Phrases = Phrases {
    meant: "volevo dire|intendevo|ho detto|correzione|anzi|in realtà",
    takes_back: "scusi|scusa|mi scusi|aspetti|aspetta",
    beside: "vediamo|mi faccia pensare|un attimo|un momento|faccio lo spelling|tutto attaccato|tutto unito|in una parola|tutto minuscolo|tutto in minuscolo|in minuscolo|senza spazi|eh|ehm",
};
static PT: Phrases = Phrases {
    meant: "queria dizer|quero dizer|eu disse|correção|aliás|na verdade",
    takes_back: "desculpe|desculpa|perdão|espere|espera",
    beside: "deixe ver|deixe-me ver|deixa eu ver|vamos ver|um momento|um instante|eu soletro|tudo junto|tudo pegado|numa só palavra|tudo em minúsculas|em minúsculas|tudo minúsculo|sem espaços|eh|hã",
};

fn phrases(language: &str) -> &'static Phrases {
    table_of(language, [&EN, &NL, &DE, &FR, &ES, &IT, &PT])
}

/// A folded word of a text, and its place.
struct Placed {
    word: String,
    start: usize,
    end: usize,
    /// A mark, or nothing, stands before it.
    begins: bool,
}

fn placed(text: &str) -> Vec<Placed> {
    let (mut all, mut begins, mut from) = (Vec::new(), true, 0);
    let parts = text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '-' | ','));
    for part in parts.take(WORDS_MAX) {
        let end = from + part.len();
        let word = fold(part.trim_matches(|c: char| !c.is_alphanumeric())).replace('’', "'");
        if word.is_empty() {
            begins |= !part.trim().is_empty();
        } else {
            all.push(Placed { word, start: from, end, begins });
            begins = part.trim_end().ends_with([',', '.', ';', ':', '!', '?', '…', '—', '–']);
        }
        from = end;
    }
    all
}

/// How many words a phrase of the list takes that begins at this place; the longest.
fn phrase_at(placed: &[Placed], at: usize, list: &str) -> Option<usize> {
    let here = placed.get(at..)?;
    let fits = |phrase: &Vec<String>| {
        !phrase.is_empty()
            && phrase.len() <= here.len()
            && phrase.iter().zip(here).all(|(word, placed)| *word == placed.word)
    };
    list.split('|').map(|one| words(&fold(one))).filter(fits).map(|phrase| phrase.len()).max()
}

/// How something is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// "I mean"
    Meant,
    /// "sorry", "wait"
    TakesBack,
    /// "…, no, …"
    Denial,
}

/// A text before and behind words that take something back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Correction<'a> {
    pub(super) marker: Marker,
    pub(super) before: &'a str,
    pub(super) behind: &'a str,
}

/// What is taken back in a text, the last first.
pub(super) fn corrections<'a>(text: &'a str, language: &str) -> Vec<Correction<'a>> {
    let (placed, phrases) = (placed(text), phrases(language));
    let denial = fold(lists(language).1.split('|').next().unwrap_or_default());
    let agrees = fold(lists(language).0.split('|').next().unwrap_or_default());
    let marker_at = |at: usize| {
        let (one, before) = (placed.get(at)?, at.checked_sub(1).and_then(|before| placed.get(before)));
        // "That is not actually right" takes nothing back.
        let is_apart = one.begins || before.is_some_and(|before| before.word == denial || before.word == agrees);
        let meant = phrase_at(&placed, at, phrases.meant).map(|used| (Marker::Meant, used));
        let back = || phrase_at(&placed, at, phrases.takes_back).map(|used| (Marker::TakesBack, used));
        let denied = || (one.begins && at > 0 && one.word == denial).then_some((Marker::Denial, 1));
        meant.filter(|(_, used)| *used > 1 || is_apart).or_else(back).or_else(denied)
    };
    let found = (0..placed.len()).rev().filter_map(|at| marker_at(at).map(|(marker, used)| (at, marker, used)));
    let parted = found.filter_map(|(at, marker, used)| {
        let (first, last) = (placed.get(at)?, placed.get(at + used - 1)?);
        Some(Correction { marker, before: text.get(..first.start)?, behind: text.get(last.end..)? })
    });
    parted.collect()
}

/// What follows "I meant"; `None` if nothing is said to be meant.
pub fn meant(text: &str, language: &str) -> Option<String> {
    let (placed, list) = (placed(text), phrases(language).meant);
    let behind = (0..placed.len()).filter_map(|at| phrase_at(&placed, at, list).map(|used| at + used)).max()?;
    let words: Vec<&str> = placed.get(behind..)?.iter().map(|placed| placed.word.as_str()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The text without what stands beside the value.
pub(super) fn without_asides(text: &str, language: &str) -> String {
    let (placed, phrases) = (placed(text), phrases(language));
    let (mut kept, mut at, mut from) = (String::new(), 0, 0);
    while let Some(one) = placed.get(at) {
        // "Rita Wait" is a name.
        let is_apart = one.begins || at + 1 < placed.len();
        let back = || phrase_at(&placed, at, phrases.takes_back).filter(|_| is_apart);
        let beside = phrase_at(&placed, at, phrases.beside).or_else(back);
        let Some(used) = beside else {
            at += 1;
            continue;
        };
        kept.push_str(text.get(from..one.start).unwrap_or_default());
        kept.push_str(", ");
        at += used;
        from = placed.get(at - 1).map_or(text.len(), |last| last.end);
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    kept.trim_start_matches([',', ' ']).to_owned()
}

const WITH: &[&str] = &["with", "met", "mit", "avec", "con"];
const WITHOUT: &[&str] = &["without", "zonder", "ohne", "sans", "sin", "senza", "sem"];
const ARTICLES: &[&str] = &[
    "a", "an", "the", "any", "een", "ein", "einem", "einen", "un", "une", "una", "um", "uma", "l'", "double", "letter",
];

/// The text without remarks on single letters; a letter that a word is without is taken from it: "John without an h".
pub(super) fn without_letter_remarks(text: &str) -> String {
    let placed = placed(text);
    let (mut kept, mut at, mut from) = (String::new(), 1, 0);
    while let Some(one) = placed.get(at) {
        let Some((letters, used, lacks)) = letter_remark(placed.get(at..).unwrap_or_default()) else {
            at += 1;
            continue;
        };
        let mut before = text.get(from..one.start).unwrap_or_default().trim_end_matches([',', ' ']).to_owned();
        if lacks {
            let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
            let word = before.split_off(start);
            let has_one = fold(&word).matches(letters.as_str()).count() == 1;
            let is_other = |c: &char| !has_one || fold(&c.to_string()) != letters;
            before.extend(word.chars().filter(is_other));
        }
        kept.push_str(&before);
        kept.push(' ');
        at += used;
        from = placed.get(at - 1).map_or(text.len(), |last| last.end);
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    kept
}

/// The letters of a remark at the beginning of the words, its words, and whether the value is without them.
fn letter_remark(here: &[Placed]) -> Option<(String, usize, bool)> {
    let is_word = |at: usize, list: &[&str]| here.get(at).is_some_and(|one| list.contains(&one.word.as_str()));
    let (mut lacks, mut at) = (is_word(0, WITHOUT), 1);
    if !lacks && !is_word(0, WITH) {
        return None;
    }
    if !lacks && is_word(1, &["no"]) {
        (lacks, at) = (true, 2);
    }
    while is_word(at, ARTICLES) && here.get(at + 1).is_some_and(|next| next.word.chars().count() <= 2 && !next.begins) {
        at += 1;
    }
    let letters =
        here.get(at).filter(|one| one.word.chars().count() <= 2 && one.word.chars().all(char::is_alphabetic))?;
    (!["at", "is", "my"].contains(&letters.word.as_str())).then(|| (letters.word.clone(), at + 1, lacks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_follows_the_words_that_say_so() {
        assert_eq!(meant("No, I meant 42.", "en"), Some("42".into()));
        assert_eq!(meant("nee, ik bedoelde twaalf", "nl"), Some("twaalf".into()));
        assert_eq!(meant("ich meinte den dritten", "de"), Some("den dritten".into()));
        assert_eq!(meant("that's what I meant", "en"), None);
        assert_eq!(meant("42", "en"), None);
    }

    #[test]
    fn what_stands_beside_a_value_is_left_out() {
        for (language, text, wanted) in [
            ("en", "john, let me see, smith", "john, ,  smith"),
            ("en", "uh, jane doe all one word at", "jane doe , at"),
            ("de", "Moment, max", "max"),
        ] {
            assert_eq!(without_asides(text, language), wanted, "{text}");
        }
        for (text, wanted) in [
            ("Jon with no H", "Jon "),
            ("John without an H Smith", "Jon Smith"),
            ("Hannah without h", "Hannah "),
            ("Philipp mit zwei p", "Philipp mit zwei p"),
            ("Erik with a K", "Erik "),
            ("met z", "met z"),
            ("john smith", "john smith"),
        ] {
            assert_eq!(without_letter_remarks(text), wanted, "{text}");
        }
    }
}
