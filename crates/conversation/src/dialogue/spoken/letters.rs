//! Spelled words: letters one by one, with words that name them ("b as in bravo"), doubled, or from a spelling alphabet.

use super::numbers::number_words;

/// Names of letters as STT may write them.
const LETTER_NAMES: &[(&str, char)] = &[
    ("bee", 'b'),
    ("cee", 'c'),
    ("see", 'c'),
    ("dee", 'd'),
    ("ef", 'f'),
    ("eff", 'f'),
    ("gee", 'g'),
    ("aitch", 'h'),
    ("haitch", 'h'),
    ("jay", 'j'),
    ("kay", 'k'),
    ("el", 'l'),
    ("ell", 'l'),
    ("em", 'm'),
    ("pee", 'p'),
    ("cue", 'q'),
    ("queue", 'q'),
    ("ess", 's'),
    ("tee", 't'),
    ("vee", 'v'),
    ("ex", 'x'),
    ("zed", 'z'),
    ("zee", 'z'),
    ("zett", 'z'),
    ("ypsilon", 'y'),
    ("jot", 'j'),
    ("ve", 'v'),
];
/// Words of spelling alphabets that are said without their letter: NATO, German, Dutch.
const ALPHABET: &[&str] = &[
    "alpha",
    "alfa",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "juliet",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
    "uniform",
    "victor",
    "whiskey",
    "whisky",
    "xray",
    "yankee",
    "zulu",
    "anton",
    "berta",
    "casar",
    "dora",
    "emil",
    "friedrich",
    "gustav",
    "heinrich",
    "ida",
    "julius",
    "kaufmann",
    "konrad",
    "ludwig",
    "martha",
    "nordpol",
    "otto",
    "quelle",
    "richard",
    "samuel",
    "siegfried",
    "theodor",
    "ulrich",
    "viktor",
    "wilhelm",
    "xanthippe",
    "zacharias",
    "bernard",
    "cornelis",
    "eduard",
    "ferdinand",
    "gerard",
    "hendrik",
    "izaak",
    "karel",
    "lodewijk",
    "maria",
    "nico",
    "pieter",
    "quirinus",
    "rudolf",
    "simon",
    "utrecht",
    "xantippe",
    "zaandam",
];
/// Between a letter and the word that names it.
const AS_IN: &[&str] =
    &["as", "in", "for", "like", "wie", "von", "van", "als", "zoals", "comme", "come", "como", "de", "di", "da"];
/// Said of letters, and nothing of the value.
const CASES: &[&str] = &[
    "capital",
    "big",
    "small",
    "little",
    "uppercase",
    "lowercase",
    "upper",
    "lower",
    "case",
    "hoofdletter",
    "kleine",
    "letter",
    "gross",
    "grosses",
    "grossbuchstabe",
    "kleinbuchstabe",
    "hoofdletters",
    "klein",
    "kleines",
    "majuscule",
    "minuscule",
    "mayuscula",
    "minuscula",
    "maiuscola",
    "minuscola",
    "maiuscula",
];

/// One sign of a spelled value, and how many words it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled {
    /// The letters or digits, small.
    pub text: String,
    /// Words read.
    pub used: usize,
}

/// Reads a letter, a doubled one, or digits at the beginning of the words; `None` for a whole word.
pub fn spelled(words: &[String], language: &str) -> Option<Spelled> {
    let numbers = number_words(language);
    let first = words.first()?.as_str();
    if CASES.contains(&first) && words.len() > 1 {
        let rest = spelled(words.get(1..)?, language)?;
        return Some(Spelled { used: rest.used + 1, ..rest });
    }
    if first == "double" && words.get(1).is_some_and(|next| matches!(next.as_str(), "you" | "u")) {
        return Some(Spelled { text: "w".to_owned(), used: 2 });
    }
    let times = numbers.repetition(first).or(match first {
        "deux" | "dois" | "due" | "dos" | "zwei" | "twee" | "two" => Some(2),
        _ => None,
    });
    if let (Some(times), Some(next)) = (times, words.get(1..)) {
        let sign = letter(next).or_else(|| numbers.repetition(first).and_then(|_| digit(next, language)));
        if let Some(sign) = sign {
            return Some(Spelled { text: sign.text.repeat(times), used: sign.used + 1 });
        }
    }
    letter(words).or_else(|| digit(words, language))
}

/// How many words the word of a spelling alphabet takes that stands first: STT writes some in two.
fn alphabet(words: &[String]) -> Option<usize> {
    let (first, next) = (words.first()?.as_str(), words.get(1).map_or("", String::as_str));
    let is_parted = matches!((first, next), ("x" | "ex", "ray") | ("fox", "trot") | ("whis", "key"));
    if is_parted { Some(2) } else { ALPHABET.contains(&first).then_some(1) }
}

/// Words of a spelling alphabet, or names of letters, in a row that spell: one or two may be a name.
const RUN_MIN: usize = 3;

/// Whether the word at this place is a name as well as a sign, and stands in no run of those that spell: "mike dot jones", "jay".
pub(super) fn is_name(words: &[String], at: usize) -> bool {
    let is_sign = |at: usize| {
        let word = words.get(at).map_or("", String::as_str);
        let is_letter = word.chars().count() == 1;
        is_letter
            || is_letter_name(word)
            || ALPHABET.contains(&word)
            || matches!(word, "double" | "fox" | "ray" | "trot")
    };
    let Some(word) = words.get(at).map(String::as_str) else { return false };
    let is_alphabet = ALPHABET.contains(&word);
    if !is_alphabet && !is_letter_name(word) {
        return false;
    }
    let first = (0..at).rev().take_while(|at| is_sign(*at)).count();
    let run = words.iter().enumerate().skip(at - first).take_while(|(at, _)| is_sign(*at));
    // Beside letters a word of the alphabet may still be a name: "mike j r".
    run.filter(|(_, word)| ALPHABET.contains(&word.as_str()) || !is_alphabet).count() < RUN_MIN
}

/// Whether letters may spell a word: at most half of them differ.
pub(super) fn may_spell(letters: &str, word: &str) -> bool {
    let (letters, word): (Vec<char>, Vec<char>) = (letters.chars().collect(), word.chars().collect());
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (place, letter) in letters.iter().enumerate() {
        let mut next = vec![place + 1];
        for (at, (other, pair)) in word.iter().zip(row.windows(2)).enumerate() {
            let &[diagonal, above] = pair else { break };
            let left = next.get(at).copied().unwrap_or_default();
            next.push((diagonal + usize::from(letter != other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().is_some_and(|distance| distance * 2 <= letters.len().max(word.len()))
}

fn is_letter_name(word: &str) -> bool {
    LETTER_NAMES.iter().any(|(name, _)| *name == word)
}

fn letter(words: &[String]) -> Option<Spelled> {
    let first = words.first()?.as_str();
    if let Some(2) = alphabet(words) {
        let c = if first == "ex" { "x" } else { first.get(..1)? };
        return Some(Spelled { text: c.to_owned(), used: 2 });
    }
    let mut chars = first.chars();
    let c = match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_alphabetic() => c,
        _ => {
            let known = LETTER_NAMES.iter().find(|(name, _)| *name == first).map(|(_, c)| *c);
            known.or_else(|| ALPHABET.contains(&first).then(|| first.chars().next()).flatten())?
        }
    };
    if first.chars().count() > 1 && ALPHABET.contains(&first) {
        return Some(Spelled { text: c.to_string(), used: 1 });
    }
    let mut used = 1;
    let link = words.iter().skip(1).take_while(|word| AS_IN.contains(&word.as_str())).count().min(2);
    let name = words.get(1 + link..).unwrap_or_default();
    let in_alphabet = alphabet(name).unwrap_or(0);
    let named = name.first().is_some_and(|word| word.starts_with(c) && (word.chars().count() > 1 || in_alphabet > 1));
    if named && (link > 0 || in_alphabet > 0) {
        used += link + in_alphabet.max(1);
    }
    Some(Spelled { text: c.to_string(), used })
}

fn digit(words: &[String], language: &str) -> Option<Spelled> {
    let first = words.first()?;
    if first.chars().all(|c| c.is_ascii_digit()) {
        return Some(Spelled { text: first.clone(), used: 1 });
    }
    let (value, used) = number_words(language).number(words)?;
    Some(Spelled { text: value.to_string(), used })
}

/// A code of letters and digits, in capitals; `None` if a word is neither. Words before it are left out.
pub fn code(text: &str, language: &str) -> Option<String> {
    let all = super::words::words(text);
    let first = (0..all.len()).find(|at| reads_to_the_end(all.get(*at..).unwrap_or_default(), language).is_some())?;
    let code = reads_to_the_end(all.get(first..)?, language)?;
    (code.chars().count() <= 64 && code.chars().count() >= 2).then(|| code.to_uppercase())
}

/// Whether a text is one sign and nothing else: a code that goes on.
pub fn is_single_sign(text: &str, language: &str) -> bool {
    reads_to_the_end(&super::words::words(text), language).is_some_and(|code| code.chars().count() == 1)
}

fn reads_to_the_end(words: &[String], language: &str) -> Option<String> {
    let (mut code, mut at) = (String::new(), 0);
    while let Some(word) = words.get(at) {
        if matches!(
            word.as_str(),
            "then" | "dann" | "dan" | "puis" | "luego" | "poi" | "depois" | "dash" | "hyphen" | "space"
        ) {
            at += 1;
            continue;
        }
        if let Some(one) = spelled(words.get(at..)?, language) {
            code.push_str(&one.text);
            at += one.used;
        } else if word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(char::is_alphanumeric) {
            code.push_str(word);
            at += 1;
        } else {
            return None;
        }
    }
    (!code.is_empty()).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "B as in bravo, 7, double 3", "B733"),
            ("en", "It's A B C 1 2 3.", "ABC123"),
            ("en", "bravo tango nine", "BT9"),
            ("en", "X for x-ray 42 K", "X42K"),
            ("en", "double l 5", "LL5"),
            ("en", "b as in bravo seven seven x ray double o nine", "B77XOO9"),
            ("en", "bravo seven x ray nine", "B7X9"),
            ("en", "x as in x ray 4", "X4"),
            ("en", "x x ray two", "X2"),
            ("en", "fox trot one", "F1"),
            ("en", "double you seven", "W7"),
            ("en", "AB12CD", "AB12CD"),
            ("en", "zed nine ex", "Z9X"),
            ("en", "Zee, nine, ex.", "Z9X"),
            ("en", "it's small b capital c zed", "BCZ"),
            ("en", "capital k two zero", "K20"),
            ("nl", "B van Bernard, twee, drie", "B23"),
            ("nl", "dubbel a, nul negen", "AA09"),
            ("nl", "de code is K P 4", "KP4"),
            ("de", "B wie Berta, null, drei", "B03"),
            ("de", "Anton Berta fünf", "AB5"),
            ("de", "Doppel-L vier", "LL4"),
            ("fr", "B comme Bernard, sept", "B7"),
            ("fr", "deux L, huit", "LL8"),
            ("fr", "le code est R T 12", "RT12"),
            ("es", "B de Barcelona, tres", "B3"),
            ("es", "doble R, nueve", "RR9"),
            ("it", "B come Bologna, sei", "B6"),
            ("it", "doppia T, uno", "TT1"),
            ("pt", "B de bola, meia", "B6"),
        ] {
            assert_eq!(code(text, language).as_deref(), Some(wanted), "{language}: {text}");
        }
        for (language, text) in [("en", "I don't know"), ("de", "das weiß ich nicht"), ("en", "")] {
            assert_eq!(code(text, language), None, "{language}: {text}");
        }
    }
}
