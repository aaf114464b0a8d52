//! Names of people as they are said, perhaps spelled.

use super::asides::without_letter_remarks;
use super::letters::{may_spell, spelled};
use super::words::base;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// Words before a name, folded.
fn leads(language: &str) -> &'static [&'static str] {
    match base(language) {
        "nl" => {
            &["mijn", "naam", "is", "ik", "ben", "heet", "ja", "dat", "met", "spreekt", "u", "achternaam", "voornaam"]
        }
        "de" => &["mein", "name", "ist", "ich", "bin", "heisse", "ja", "hier", "spricht", "nachname", "vorname"],
        "fr" => &["mon", "nom", "est", "c'est", "je", "m'appelle", "suis", "oui", "ici", "prenom"],
        "es" => &["mi", "nombre", "es", "me", "llamo", "soy", "si", "apellido"],
        "it" => &["mi", "chiamo", "il", "mio", "nome", "e", "sono", "si", "cognome"],
        "pt" => &["meu", "nome", "e", "chamo", "me", "eu", "sou", "o", "sim", "apelido", "sobrenome"],
        _ => &[
            "my", "name", "is", "it's", "its", "this", "i'm", "i", "am", "yes", "the", "last", "first", "call", "me",
            "speaking", "yeah", "yep", "sure", "well", "so",
        ],
    }
}

/// Particles that stay small.
const PARTICLES: &[&str] = &[
    "van", "de", "der", "den", "von", "zu", "da", "di", "del", "della", "dos", "das", "do", "du", "la", "le", "ter",
    "ten", "y", "e",
];

/// Between a name and its spelling, folded: "that's", "schreibt man".
const SPELLINGS: &[&str] = &[
    "that's",
    "that",
    "it's",
    "is",
    "spelled",
    "spelt",
    "written",
    "with",
    "dat",
    "gespeld",
    "schrijf",
    "je",
    "als",
    "das",
    "schreibt",
    "sich",
    "man",
    "geschrieben",
    "buchstabiert",
    "ca",
    "s'ecrit",
    "ecrit",
    "se",
    "escribe",
    "deletreado",
    "si",
    "scrive",
    "escreve",
    "escreve-se",
    "soletrado",
];
/// How an apostrophe is called, folded.
const APOSTROPHES: &[&str] = &["apostrophe", "apostrof", "apostroph", "apostrofo"];
const HYPHENS: &[&str] = &["hyphen", "dash", "streepje", "bindestrich", "tiret", "guion", "trattino", "hifen"];
/// Before a capital in a spelling.
const CAPITALS: &[&str] = &[
    "capital",
    "uppercase",
    "big",
    "hoofdletter",
    "gross",
    "grosses",
    "majuscule",
    "mayuscula",
    "maiuscola",
    "maiuscula",
];

/// The name in a text; what is spelled counts. `None` if there is none.
pub fn name(text: &str, language: &str) -> Option<String> {
    let text = without_letter_remarks(text);
    let parts: Vec<String> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
        .map(|part| part.trim_matches(|c: char| !c.is_alphanumeric()).to_owned())
        .filter(|part| !part.is_empty())
        .take(super::words::WORDS_MAX)
        .collect();
    let parts = parted(&parts);
    let folded: Vec<String> = parts.iter().map(|part| super::words::fold(part).replace('’', "'")).collect();
    let lead = folded.iter().take_while(|word| leads(language).contains(&word.as_str())).count();
    let (parts, folded) = (parts.get(lead..)?, folded.get(lead..)?);
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(part) = parts.get(at) {
        let (letters, used) = spelled_word(folded.get(at..)?, language);
        if letters.chars().filter(|c| c.is_alphabetic()).count() >= 2 {
            put_spelling(&mut words, letters);
            at += used;
        } else {
            if part.chars().any(|c| c.is_ascii_digit()) {
                return None;
            }
            words.push(part.clone());
            at += 1;
        }
    }
    let name = words.iter().map(|word| capital(word)).collect::<Vec<_>>().join(" ");
    (!name.is_empty() && words.len() <= 8 && name.chars().count() <= NAME_CHARS_MAX).then_some(name)
}

/// "Smith, S M I T H", "Brown, that's B R O W N E": the spelling says how the word is written.
fn put_spelling(words: &mut Vec<String>, letters: String) {
    let folded: Vec<String> = words.iter().map(|word| super::words::fold(word).replace('’', "'")).collect();
    let between = folded.iter().rev().take_while(|word| SPELLINGS.contains(&word.as_str())).count();
    let small = super::words::fold(&letters);
    let end = words.len() - between;
    // Who spells may mean a word before the last one.
    let like = (0..end).rev().find(|at| folded.get(*at).is_some_and(|word| is_like(word, &small)));
    let first = small.chars().next().unwrap_or_default();
    let last =
        end.checked_sub(1).filter(|at| between > 0 && folded.get(*at).is_some_and(|word| word.starts_with(first)));
    words.truncate(end);
    match like.or(last).and_then(|at| words.get_mut(at)) {
        // "McDonald" stays, unless the capitals were spelled.
        Some(word) if super::words::fold(word) == small && !letters.chars().any(char::is_uppercase) => {}
        Some(word) => *word = upper_first(&letters),
        None => words.push(upper_first(&letters)),
    }
}

/// Words of single letters and hyphens become letters: `S-M-I-T-H`.
fn parted(parts: &[String]) -> Vec<String> {
    let spelled = |part: &&String| {
        let letters: Vec<&str> = part.split(['-', '.']).collect();
        letters.len() > 2 && letters.iter().all(|letter| letter.chars().count() == 1)
    };
    parts
        .iter()
        .flat_map(|part| match Some(part).filter(spelled) {
            Some(part) => part.split(['-', '.']).map(str::to_owned).collect::<Vec<_>>(),
            None => vec![part.clone()],
        })
        .collect()
}

/// Letters at the beginning of the words, and how many words they take. Capitals that are named are capitals.
fn spelled_word(words: &[String], language: &str) -> (String, usize) {
    let (mut letters, mut at) = (String::new(), 0);
    while let Some(word) = words.get(at) {
        let sign = [(APOSTROPHES, '\''), (HYPHENS, '-')].into_iter().find(|(names, _)| names.contains(&word.as_str()));
        if let Some((_, sign)) = sign.filter(|_| !letters.is_empty()) {
            letters.push(sign);
            at += 1;
            continue;
        }
        let Some(one) = words.get(at..).and_then(|rest| spelled(rest, language)) else { break };
        let is_letter = one.text.chars().all(char::is_alphabetic);
        let is_word = one.used == 1 && word.chars().count() > 1;
        if !is_letter || is_word {
            break;
        }
        letters.push_str(&if CAPITALS.contains(&word.as_str()) { one.text.to_uppercase() } else { one.text });
        at += one.used;
    }
    (letters, at)
}

/// Whether a word may be what was spelled.
fn is_like(word: &str, letters: &str) -> bool {
    let letter = |c: &char| c.is_alphabetic();
    may_spell(&letters.chars().filter(letter).collect::<String>(), &word.chars().filter(letter).collect::<String>())
}

fn upper_first(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// As names are written: "Smith", "Jean-Luc", "O'Brien".
fn capital(word: &str) -> String {
    if PARTICLES.contains(&word) {
        return word.to_owned();
    }
    // What was written or spelled with capitals inside stays.
    let is_mixed = word.chars().any(char::is_uppercase) && word.chars().any(char::is_lowercase);
    let parts = word.split_inclusive(['-', '\'', '’']);
    let parts = parts.enumerate().map(|(place, part)| {
        let is_prefix = word.chars().nth(1).is_some_and(|c| matches!(c, '\'' | '’'));
        let begins = place == 0 || is_prefix || part.len() > 2 && word.contains('-');
        let part = if is_mixed && part.chars().any(char::is_uppercase) { part.to_owned() } else { part.to_lowercase() };
        if begins && !(is_mixed && place == 0) { upper_first(&part) } else { part }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[(&str, &str, &str)] = &[
        ("en", "My name is John Smith.", "John Smith"),
        ("en", "john smith", "John Smith"),
        ("en", "It's Smith, S M I T H.", "Smith"),
        ("en", "Smyth, S-M-Y-T-H", "Smyth"),
        ("en", "J as in John, O, N", "Jon"),
        ("en", "Bell, B E double L", "Bell"),
        ("en", "I'm Anne-Marie O'Brien", "Anne-Marie O'Brien"),
        ("en", "O'Brien, O apostrophe B R I E N", "O'Brien"),
        ("en", "o'neill", "O'Neill"),
        ("en", "D apostrophe A N G E L O", "D'Angelo"),
        ("en", "my name is Charlie Brown, that's B R O W N E", "Charlie Browne"),
        ("en", "Charlie Brown, that is spelled B R O W N E", "Charlie Browne"),
        ("en", "Catherine Smith, K A T H E R I N E", "Katherine Smith"),
        ("en", "it's spelled S M Y T H", "Smyth"),
        ("en", "Jon with no H", "Jon"),
        ("en", "Sarah without an H", "Sara"),
        ("en", "Erik with a K", "Erik"),
        ("en", "McDonald, M C capital D O N A L D", "McDonald"),
        ("en", "mcdonald, M C capital D O N A L D", "McDonald"),
        ("en", "McDonald, M C D O N A L D", "McDonald"),
        ("en", "Mike Oscar", "Mike Oscar"),
        ("en", "yeah it's Siobhan, S I O B H A N", "Siobhan"),
        ("en", "Ben, B R O W N", "Ben Brown"),
        ("en", "jean-luc picard", "Jean-Luc Picard"),
        ("en", "L U C hyphen A N D R E", "Luc-Andre"),
        ("nl", "Jansen, dat is J A N S S E N", "Janssen"),
        ("nl", "Thijs zonder h", "Tijs"),
        ("nl", "Tim met een m", "Tim"),
        ("de", "Thomas ohne h", "Tomas"),
        ("de", "Hannah ohne h", "Hannah"),
        ("es", "Elena sin h", "Elena"),
        ("de", "Maier, das schreibt man M E Y E R", "Meyer"),
        ("fr", "Petit, ça s'écrit P E T Y T", "Petyt"),
        ("fr", "D apostrophe A R T", "D'Art"),
        ("es", "Jiménez, se escribe G I M E N E Z", "Gimenez"),
        ("it", "D'Angelo, D apostrofo A N G E L O", "D'Angelo"),
        ("pt", "Sousa, escreve-se S O U Z A", "Souza"),
        ("nl", "Mijn naam is Jan de Vries.", "Jan de Vries"),
        ("nl", "ik heet van den berg", "van den Berg"),
        ("nl", "Jansen, J A N S E N", "Jansen"),
        ("nl", "P van Pieter, I, E, T", "Piet"),
        ("de", "Mein Name ist Anna Müller", "Anna Müller"),
        ("de", "ich heiße schmidt, S C H M I D T", "Schmidt"),
        ("de", "Meier, M E I E R", "Meier"),
        ("fr", "je m'appelle Marie Dupont", "Marie Dupont"),
        ("fr", "Petit, P E T I T", "Petit"),
        ("es", "me llamo Ana Ruiz", "Ana Ruiz"),
        ("es", "soy juan garcía", "Juan García"),
        ("it", "mi chiamo Luca Rossi", "Luca Rossi"),
        ("it", "sono giulia bianchi", "Giulia Bianchi"),
    ];

    #[test]
    fn names_are_read_in_each_language() {
        let mut misread = Vec::new();
        for &(language, text, wanted) in NAMES {
            let read = name(text, language);
            if read.as_deref() != Some(wanted) {
                misread.push((language, text, read));
            }
        }
        assert_eq!(misread, []);
        for text in ["", "my name is", "12345"] {
            assert_eq!(name(text, "en"), None, "{text}");
        }
    }
}
