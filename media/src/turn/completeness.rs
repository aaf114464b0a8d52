//! Whether the words so far form a complete utterance: complete answer, unfinished clause, or dictated number or name.
//! Function words are listed per language; unknown languages use the default timing.

/// Completeness of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// A complete answer or a complete sentence.
    Complete,
    /// Could go on or not.
    Undecided,
    /// A clause that lacks its end: "my number is", "and".
    Unfinished,
    /// Digits, letters or an address, given part by part.
    Dictation,
}

/// Function words of a language.
#[derive(Debug)]
struct LanguageLexicon {
    /// Words that never end a sentence.
    unfinished: &'static [&'static str],
    /// Words that can end a sentence if STT added a full stop, but usually continue.
    usually_continued: &'static [&'static str],
    /// Whole answers.
    complete: &'static [&'static str],
    digits: &'static [&'static str],
    /// "At", "dot" and the like between the parts of an address.
    address_words: &'static [&'static str],
}

const ENGLISH: LanguageLexicon = LanguageLexicon {
    unfinished: &[
        "um",
        "uh",
        "er",
        "erm",
        "hmm",
        "and",
        "or",
        "but",
        "because",
        "the",
        "a",
        "an",
        "my",
        "your",
        "his",
        "her",
        "our",
        "their",
        "we're",
        "as",
        "let me see",
        "let me think",
        "hold on",
        "you know",
        "one moment",
        "one second",
        "wait a minute",
    ],
    usually_continued: &[
        "so", "is", "are", "was", "were", "am", "be", "to", "of", "with", "for", "from", "in", "on", "by", "if",
        "when", "while", "that", "which", "who", "i", "i'm", "it's", "that's", "like", "about", "well", "maybe",
        "then", "into", "than", "would", "could", "should", "will", "can", "have", "has", "not", "also",
    ],
    complete: &[
        "yes",
        "yeah",
        "yep",
        "no",
        "nope",
        "okay",
        "ok",
        "sure",
        "right",
        "correct",
        "exactly",
        "thanks",
        "thank you",
        "goodbye",
        "bye",
        "hello",
        "hi",
        "please",
        "that's right",
        "that's correct",
        "that's all",
        "of course",
        "not yet",
        "never mind",
        "i don't know",
        "no thank you",
        "no thanks",
        "yes please",
        "stop",
    ],
    digits: &[
        "zero",
        "oh",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "double",
        "triple",
    ],
    address_words: &["at", "dot", "dash", "hyphen", "underscore", "slash", "point", "plus"],
};

const DUTCH: LanguageLexicon = LanguageLexicon {
    unfinished: &[
        "eh",
        "ehm",
        "uh",
        "uhm",
        "en",
        "of",
        "maar",
        "want",
        "omdat",
        "dus",
        "de",
        "het",
        "een",
        "mijn",
        "uw",
        "jouw",
        "onze",
        "als",
        "wanneer",
        "ik",
        "wij",
        "we",
        "even kijken",
        "even denken",
        "momentje",
    ],
    usually_continued: &[
        "zijn", "haar", "ons", "is", "was", "ben", "om", "van", "met", "voor", "naar", "in", "op", "bij", "dat", "die",
        "ook", "nou", "te",
    ],
    complete: &[
        "ja",
        "nee",
        "oké",
        "ok",
        "prima",
        "goed",
        "klopt",
        "dat klopt",
        "precies",
        "bedankt",
        "dank u",
        "dank je",
        "dank je wel",
        "dank u wel",
        "tot ziens",
        "dag",
        "hallo",
        "graag",
        "ja graag",
        "nee dank u",
        "natuurlijk",
        "dat was het",
        "weet ik niet",
        "stop",
    ],
    digits: &[
        "nul",
        "een",
        "één",
        "twee",
        "drie",
        "vier",
        "vijf",
        "zes",
        "zeven",
        "acht",
        "negen",
        "tien",
        "elf",
        "twaalf",
        "dertien",
        "veertien",
        "vijftien",
        "zestien",
        "zeventien",
        "achttien",
        "negentien",
        "twintig",
        "dertig",
        "veertig",
        "vijftig",
        "zestig",
        "zeventig",
        "tachtig",
        "negentig",
        "honderd",
        "dubbel",
    ],
    address_words: &["apenstaartje", "at", "punt", "streepje", "koppelteken", "plus"],
};

const GERMAN: LanguageLexicon = LanguageLexicon {
    unfinished: &[
        "äh",
        "ähm",
        "hm",
        "und",
        "oder",
        "aber",
        "weil",
        "der",
        "die",
        "eine",
        "einen",
        "mein",
        "meine",
        "ihre",
        "unser",
        "wenn",
        "dass",
        "ich",
        "wir",
        "moment",
        "einen moment",
        "mal sehen",
        "den",
        "dem",
        "zum",
        "zur",
        "im",
        "am",
    ],
    usually_continued: &[
        "also", "das", "ein", "ihr", "ist", "war", "bin", "zu", "von", "mit", "für", "aus", "in", "auf", "bei", "auch",
    ],
    complete: &[
        "ja",
        "nein",
        "okay",
        "ok",
        "gut",
        "genau",
        "richtig",
        "stimmt",
        "das stimmt",
        "danke",
        "vielen dank",
        "auf wiederhören",
        "tschüss",
        "hallo",
        "gerne",
        "ja bitte",
        "nein danke",
        "natürlich",
        "das war's",
        "weiß ich nicht",
        "stopp",
    ],
    digits: &[
        "null",
        "eins",
        "zwei",
        "zwo",
        "drei",
        "vier",
        "fünf",
        "sechs",
        "sieben",
        "acht",
        "neun",
        "zehn",
        "elf",
        "zwölf",
        "dreizehn",
        "vierzehn",
        "fünfzehn",
        "sechzehn",
        "siebzehn",
        "achtzehn",
        "neunzehn",
        "zwanzig",
        "dreißig",
        "vierzig",
        "fünfzig",
        "sechzig",
        "siebzig",
        "achtzig",
        "neunzig",
        "hundert",
        "doppel",
    ],
    address_words: &["at", "punkt", "minus", "bindestrich", "unterstrich", "plus"],
};

const FRENCH: LanguageLexicon = LanguageLexicon {
    unfinished: &[
        "euh",
        "et",
        "ou",
        "mais",
        "parce que",
        "donc",
        "le",
        "la",
        "les",
        "un",
        "une",
        "des",
        "mon",
        "ma",
        "mes",
        "vos",
        "du",
        "si",
        "quand",
        "que",
        "qui",
        "je",
        "j'ai",
        "c'est",
        "nous",
        "un instant",
        "attendez",
        "voyons",
    ],
    usually_continued: &[
        "votre", "notre", "est", "sont", "était", "à", "de", "avec", "pour", "dans", "sur", "chez", "aussi", "alors",
    ],
    complete: &[
        "oui",
        "non",
        "d'accord",
        "ok",
        "exactement",
        "c'est ça",
        "c'est exact",
        "merci",
        "merci beaucoup",
        "au revoir",
        "bonjour",
        "allô",
        "oui s'il vous plaît",
        "non merci",
        "bien sûr",
        "c'est tout",
        "je ne sais pas",
        "stop",
    ],
    digits: &[
        "zéro",
        "un",
        "deux",
        "trois",
        "quatre",
        "cinq",
        "six",
        "sept",
        "huit",
        "neuf",
        "dix",
        "onze",
        "douze",
        "treize",
        "quatorze",
        "quinze",
        "seize",
        "vingt",
        "trente",
        "quarante",
        "cinquante",
        "soixante",
        "cent",
        "double",
    ],
    address_words: &["arobase", "point", "tiret", "plus"],
};

/// Sentences of more words than these may end on a hanging word.
const HANGING_SENTENCE_WORDS_MIN: usize = 4;

fn language(code: &str) -> &'static LanguageLexicon {
    match code.split(['-', '_']).next().unwrap_or("") {
        "nl" => &DUTCH,
        "de" => &GERMAN,
        "fr" => &FRENCH,
        _ => &ENGLISH,
    }
}

/// Judges the words of a turn so far.
pub fn completeness(text: &str, code: &str) -> Completeness {
    let language = language(code);
    let text = text.trim();
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '@' && c != '\''))
        .filter(|word| !word.is_empty())
        .collect();
    let Some(last) = words.last() else { return Completeness::Undecided };
    let whole = words.join(" ");
    let open = text.ends_with([',', '-', '–', '—', '…', ':']) || text.ends_with("...");
    // "Thank you," is followed by something.
    if !open && language.complete.contains(&whole.as_str()) {
        return Completeness::Complete;
    }
    if ends_in_dictation(language, &words) {
        return Completeness::Dictation;
    }
    let ends_with = |list: &[&str]| {
        list.iter().any(|entry| match entry.contains(' ') {
            true => whole.ends_with(entry),
            false => last == entry,
        })
    };
    let ends = !open && text.ends_with(['.', '?', '!', '。', '？']);
    // "Where my order is." has its dot; "my number is." has too few words for one.
    let hangs = ends_with(language.usually_continued) && !(ends && words.len() > HANGING_SENTENCE_WORDS_MIN);
    if open || ends_with(language.unfinished) || hangs {
        return Completeness::Unfinished;
    }
    // "Yes, that is correct" is as finished as "correct", whatever STT's punctuation.
    if ends && words.len() > 1 || words.len() <= 4 && ends_with(language.complete) {
        return Completeness::Complete;
    }
    Completeness::Undecided
}

/// A string of digits or letters at the end, or an address that has begun and not ended.
fn ends_in_dictation(language: &LanguageLexicon, words: &[&str]) -> bool {
    let is_digits = |word: &str| word.len() >= 3 && word.chars().all(|c| c.is_ascii_digit() || c == '-');
    let is_piece = |word: &&&str| {
        language.digits.contains(*word)
            || language.address_words.contains(*word)
            || word.chars().count() == 1 && **word != "i"
            || word.chars().all(|c| c.is_ascii_digit())
    };
    let Some(last) = words.last() else { return false };
    let pieces = words.iter().rev().take_while(is_piece).count();
    let address = words.iter().rev().take(4).any(|word| word.contains('@'));
    if address {
        return last.rsplit_once('.').is_none_or(|(_, end)| end.len() < 2);
    }
    // A year or a price ends a sentence too; a number of three and more digits is more often the start of one.
    pieces >= 2 || is_digits(last) || language.address_words.contains(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, wanted: Completeness) {
        assert_eq!(completeness(text, code), wanted, "{text}");
    }

    #[test]
    fn complete_answers() {
        for text in ["I would like to know where my order is.", "What do I need that for?", "Which one is it on?"] {
            check(text, "en", Completeness::Complete);
        }
        for text in ["yes", "No, thank you.", "that's right", "I would like to order a pizza.", "what time is it?"] {
            check(text, "en", Completeness::Complete);
        }
        check("ja graag", "nl-NL", Completeness::Complete);
        check("das stimmt", "de", Completeness::Complete);
        check("non merci", "fr", Completeness::Complete);
    }

    #[test]
    fn unfinished_clauses() {
        check("Yes,", "en", Completeness::Unfinished);
        check("Thank you,", "en", Completeness::Unfinished);
        for text in
            ["my number is", "I want to, um", "and", "I'd like a table for", "Well,", "let me think.", "because"]
        {
            check(text, "en", Completeness::Unfinished);
        }
        check("ik wil graag een", "nl", Completeness::Unfinished);
        check("ich brauche einen", "de", Completeness::Unfinished);
    }

    #[test]
    fn caller_spells_or_dictates() {
        for text in [
            "four two",
            "my number is 0 6 1 2",
            "it's 555",
            "J O H N",
            "john at example dot",
            "john@example",
            "M as in Mike, R S",
        ] {
            check(text, "en", Completeness::Dictation);
        }
        check("nul zes een twee", "nl", Completeness::Dictation);
        check("john@example.com", "en", Completeness::Undecided);
    }

    #[test]
    fn other_text_is_undecided() {
        for text in ["I want to order a pizza", "two", "john@example.com"] {
            check(text, "en", Completeness::Undecided);
        }
    }
}
