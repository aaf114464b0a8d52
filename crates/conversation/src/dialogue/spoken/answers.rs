//! Yes or no, in the words of each language.

use super::words::{base, fold, words};

/// Words that agree, and those that do not; more than one word where they belong together. Parted by bars.
type Lists = (&'static str, &'static str);

const NL: Lists = (
    "ja|jawel|klopt|dat klopt|juist|correct|goed|inderdaad|precies|zeker|oke|prima|yes",
    "nee|neen|niet|fout|verkeerd|onjuist|geen|nope",
);
const DE: Lists = (
    "ja|jawohl|genau|stimmt|richtig|korrekt|passt|jo|klar|okay|sicher|exakt|doch",
    "nein|nee|nicht|falsch|verkehrt|kein|keineswegs",
);
const FR: Lists = (
    "oui|ouais|exact|exactement|correct|juste|d'accord|voila|tout a fait|parfait|c'est ca|bien sur",
    "non|pas|faux|incorrect|aucun|nan",
);
const ES: Lists =
    ("si|correcto|exacto|claro|vale|eso es|asi es|cierto|perfecto|de acuerdo", "no|incorrecto|mal|tampoco|falso");
const IT: Lists = (
    "si|esatto|corretto|giusto|certo|va bene|perfetto|okay|d'accordo|esattamente",
    "no|non|sbagliato|errato|scorretto",
);
const PT: Lists =
    ("sim|correto|certo|exato|isso|claro|esta bem|perfeito|exatamente|pois", "nao|errado|incorreto|falso");
const EN: Lists = (
    "yes|yeah|yep|yup|correct|right|sure|exactly|okay|ok|that's it|absolutely|indeed|perfect|fine|true|definitely|aye",
    "no|nope|nah|not|isn't|wrong|incorrect|false|don't|never|doesn't",
);

fn lists(language: &str) -> Lists {
    match base(language) {
        "nl" => NL,
        "de" => DE,
        "fr" => FR,
        "es" => ES,
        "it" => IT,
        "pt" => PT,
        _ => EN,
    }
}

/// What a text says; `None` if it is neither. Denial counts wherever it stands: "that is not right", "ja, nein".
pub fn yes_no(text: &str, language: &str) -> Option<bool> {
    let (yes, no) = lists(language);
    let said = format!(" {} ", words(&fold(text)).join(" "));
    let has = |list: &str| list.split('|').any(|one| said.contains(&format!(" {one} ")));
    if has(no) {
        return Some(false);
    }
    has(yes).then_some(true)
}

/// What is left of a text when the denial at its beginning is taken away: "no, it's B" is a correction.
pub fn without_denial(text: &str, language: &str) -> String {
    let no: Vec<&str> = lists(language).1.split('|').collect();
    let mut rest = text.trim();
    while let Some((first, after)) = rest.split_once(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | '!')) {
        if !first.is_empty() && !no.contains(&fold(first).as_str()) {
            break;
        }
        rest = after.trim_start();
    }
    if no.contains(&fold(rest.trim_matches(|c: char| !c.is_alphanumeric())).as_str()) {
        String::new()
    } else {
        rest.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "Yes.", Some(true)),
            ("en", "yeah, that's right", Some(true)),
            ("en", "Correct!", Some(true)),
            ("en", "No, it isn't.", Some(false)),
            ("en", "that is not right", Some(false)),
            ("en", "nope", Some(false)),
            ("en", "maybe tomorrow", None),
            ("en", "", None),
            ("nl", "Ja hoor", Some(true)),
            ("nl", "dat klopt", Some(true)),
            ("nl", "nee, dat klopt niet", Some(false)),
            ("de", "Ja genau", Some(true)),
            ("de", "stimmt", Some(true)),
            ("de", "das stimmt nicht", Some(false)),
            ("de", "Nein.", Some(false)),
            ("fr", "oui, c'est ça", Some(true)),
            ("fr", "d'accord", Some(true)),
            ("fr", "non", Some(false)),
            ("fr", "ce n'est pas ça", Some(false)),
            ("es", "sí, correcto", Some(true)),
            ("es", "no", Some(false)),
            ("it", "sì, esatto", Some(true)),
            ("it", "no, sbagliato", Some(false)),
            ("it", "va bene", Some(true)),
            ("pt", "sim", Some(true)),
            ("pt", "não, está errado", Some(false)),
            ("pt", "isso", Some(true)),
        ] {
            assert_eq!(yes_no(text, language), wanted, "{language}: {text}");
        }
    }

    #[test]
    fn a_correction_follows_a_denial() {
        assert_eq!(without_denial("No, it's B two", "en"), "it's B two");
        assert_eq!(without_denial("Nein, B wie Berta", "de"), "B wie Berta");
        assert_eq!(without_denial("No.", "en"), "");
        assert_eq!(without_denial("nee nee", "nl"), "");
    }
}
