//! Names of people as they are said, perhaps spelled.

use super::letters::spelled;
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
            "speaking",
        ],
    }
}

/// Particles that stay small.
const PARTICLES: &[&str] = &[
    "van", "de", "der", "den", "von", "zu", "da", "di", "del", "della", "dos", "das", "do", "du", "la", "le", "ter",
    "ten", "y", "e",
];

/// The name in a text; what is spelled counts. `None` if there is none.
pub fn name(text: &str, language: &str) -> Option<String> {
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
        if letters.chars().count() >= 2 {
            // "Smith, S M I T H": the spelling says how it is written.
            words.pop_if(|last| is_like(last, &letters));
            words.push(letters);
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

/// Letters at the beginning of the words, and how many words they take.
fn spelled_word(words: &[String], language: &str) -> (String, usize) {
    let (mut letters, mut at) = (String::new(), 0);
    while let Some(one) = words.get(at..).and_then(|rest| spelled(rest, language)) {
        let is_letter = one.text.chars().all(char::is_alphabetic);
        let is_word = one.used == 1 && words.get(at).is_some_and(|word| word.chars().count() > 1);
        if !is_letter || is_word {
            break;
        }
        letters.push_str(&one.text);
        at += one.used;
    }
    (letters, at)
}

/// Whether a word may be what was spelled: it begins with the same letter.
fn is_like(word: &str, letters: &str) -> bool {
    super::words::fold(word).chars().next() == letters.chars().next()
}

fn capital(word: &str) -> String {
    if PARTICLES.contains(&word) || word.chars().any(char::is_uppercase) && word.chars().any(char::is_lowercase) {
        return word.to_owned();
    }
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "My name is John Smith.", "John Smith"),
            ("en", "john smith", "John Smith"),
            ("en", "It's Smith, S M I T H.", "Smith"),
            ("en", "Smyth, S-M-Y-T-H", "Smyth"),
            ("en", "J as in John, O, N", "Jon"),
            ("en", "Bell, B E double L", "Bell"),
            ("en", "I'm Anne-Marie O'Brien", "Anne-Marie O'Brien"),
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
        ] {
            assert_eq!(name(text, language).as_deref(), Some(wanted), "{language}: {text}");
        }
        for text in ["", "my name is", "12345"] {
            assert_eq!(name(text, "en"), None, "{text}");
        }
    }
}
