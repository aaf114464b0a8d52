//! E-mail addresses as they are said: "john dot smith at example dot com", spelled or not.

use super::letters::spelled;
use super::words::fold;
use trunkline_domain::agent::is_email;

/// Signs in words, the longest first.
const SIGNS: &[(&[&str], &str)] = &[
    (&["trait", "d'union"], "-"),
    (&["laag", "streepje"], "_"),
    (&["liggend", "streepje"], "_"),
    (&["guion", "bajo"], "_"),
    (&["barra", "baja"], "_"),
    (&["tiret", "bas"], "_"),
    (&["trattino", "basso"], "_"),
    (&["traco", "baixo"], "_"),
    (&["full", "stop"], "."),
    (&["at", "sign"], "@"),
    (&["at"], "@"),
    (&["aet"], "@"),
    (&["apenstaartje"], "@"),
    (&["apestaartje"], "@"),
    (&["klammeraffe"], "@"),
    (&["klammeraffen"], "@"),
    (&["arobase"], "@"),
    (&["arrobase"], "@"),
    (&["arobas"], "@"),
    (&["arroba"], "@"),
    (&["chiocciola"], "@"),
    (&["dot"], "."),
    (&["period"], "."),
    (&["punt"], "."),
    (&["punkt"], "."),
    (&["point"], "."),
    (&["punto"], "."),
    (&["ponto"], "."),
    (&["underscore"], "_"),
    (&["underline"], "_"),
    (&["unterstrich"], "_"),
    (&["sottolineato"], "_"),
    (&["dash"], "-"),
    (&["hyphen"], "-"),
    (&["minus"], "-"),
    (&["bindestrich"], "-"),
    (&["streepje"], "-"),
    (&["koppelteken"], "-"),
    (&["tiret"], "-"),
    (&["guion"], "-"),
    (&["trattino"], "-"),
    (&["hifen"], "-"),
    (&["traco"], "-"),
    (&["plus"], "+"),
    (&["mas"], "+"),
    (&["piu"], "+"),
    (&["mais"], "+"),
];
/// Words before an address.
const LEADS: &[&str] = &[
    "my",
    "email",
    "e-mail",
    "mail",
    "address",
    "is",
    "it's",
    "its",
    "the",
    "yes",
    "sure",
    "okay",
    "ok",
    "um",
    "uh",
    "mijn",
    "adres",
    "mailadres",
    "emailadres",
    "e-mailadres",
    "het",
    "dat",
    "ja",
    "meine",
    "adresse",
    "e-mail-adresse",
    "mailadresse",
    "ist",
    "lautet",
    "die",
    "mon",
    "est",
    "c'est",
    "oui",
    "mi",
    "correo",
    "electronico",
    "direccion",
    "es",
    "la",
    "el",
    "si",
    "mio",
    "mia",
    "indirizzo",
    "e",
    "il",
    "meu",
    "endereco",
    "o",
    "sim",
    "and",
    "und",
    "en",
    "et",
    "y",
    // "that would be", "this is", "you can use"
    "it",
    "that",
    "that's",
    "this",
    "would",
    "be",
    "you",
    "can",
    "use",
    "send",
    "to",
    "well",
    "so",
    "of",
    "course",
    "please",
    "i",
    "have",
    "dit",
    "zou",
    "zijn",
    "luidt",
    "gewoon",
    "nou",
    "es",
    "das",
    "ware",
    "waere",
    "also",
    "genau",
    "bitte",
    "ce",
    "serait",
    "sera",
    "alors",
    "voila",
    "l'adresse",
    "adresse",
    "esta",
    "seria",
    "pues",
    "bueno",
    "sarebbe",
    "allora",
    "dunque",
    "certo",
    "entao",
    "minha",
];
/// Ends of hosts that are said without a dot.
const ENDS: &[&str] = &["com", "org", "net", "nl", "de", "fr", "es", "it", "pt", "eu", "be", "uk", "io"];

/// The address in a text; `None` if there is none.
pub fn email(text: &str, language: &str) -> Option<String> {
    let words = tokens(text);
    if let Some(whole) = words.iter().find(|word| is_address(word)) {
        return Some(whole.clone());
    }
    let signs = signs(&words, language);
    let at = signs.iter().rposition(|part| part == "@")?;
    // "Reach me at john at example dot com"
    let before = signs.get(..at)?.rsplit(|part| part == "@").next()?;
    let is_sign = |part: &String| matches!(part.as_str(), "." | "_" | "-" | "+");
    // What stands before a sign is a part of the address: "it dot support".
    let is_lead = |at: &usize| {
        before.get(*at).is_some_and(|part| LEADS.contains(&part.as_str())) && !before.get(*at + 1).is_some_and(is_sign)
    };
    let lead = (0..before.len()).take_while(is_lead).count();
    let user = before.get(lead.min(before.len().saturating_sub(1))..)?.concat();
    let mut host = signs.get(at + 1..)?.to_vec();
    if !host.iter().any(|part| part.contains('.')) && host.last().is_some_and(|end| ENDS.contains(&end.as_str())) {
        host.insert(host.len() - 1, ".".to_owned());
    }
    let address = format!("{user}@{}", host.concat());
    let address = address.trim_end_matches(['.', '-', '_']).to_owned();
    is_address(&address).then_some(address)
}

fn is_address(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "@._-+'".contains(c);
    text.len() <= 254 && is_email(text) && text.chars().all(fits) && !text.contains("..") && !text.starts_with('.')
}

/// Words in small letters; dots inside of words stay, a spelled word is parted.
fn tokens(text: &str) -> Vec<String> {
    let folded = fold(text).replace('’', "'").replace(" @ ", "@");
    let mut tokens = Vec::new();
    for word in folded.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).take(super::words::WORDS_MAX) {
        let word = word.trim_matches(|c: char| matches!(c, '.' | '?' | '!' | ':' | '"' | '¿' | '¡'));
        let parts: Vec<&str> = word.split('-').collect();
        if parts.len() > 2 && parts.iter().all(|part| part.chars().count() == 1) || word.starts_with("doppel-") {
            tokens.extend(parts.into_iter().map(str::to_owned));
        } else if !word.is_empty() {
            tokens.push(word.to_owned());
        }
    }
    tokens
}

/// Words as parts of the address: signs, letters, digits, and words as they are.
fn signs(words: &[String], language: &str) -> Vec<String> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let rest = words.get(at..).unwrap_or_default();
        let named =
            |names: &[&str]| names.len() <= rest.len() && names.iter().zip(rest).all(|(name, word)| name == word);
        if let Some((names, sign)) = SIGNS.iter().find(|(names, _)| named(names)) {
            parts.push((*sign).to_owned());
            at += names.len();
        } else if LEADS.contains(&word.as_str())
            && parts.iter().all(|part: &String| LEADS.contains(&part.as_str()))
            && rest.len() > 1
            && word.len() > 1
        {
            parts.push(word.clone());
            at += 1;
        } else if let Some(one) = spelled(rest, language) {
            parts.push(one.text);
            at += one.used;
        } else {
            parts.push(word.clone());
            at += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "john.smith@example.com", "john.smith@example.com"),
            ("en", "My email is John.Smith@example.com.", "john.smith@example.com"),
            ("en", "john dot smith at example dot com", "john.smith@example.com"),
            ("en", "It's j o h n dot s m i t h at gmail dot com", "john.smith@gmail.com"),
            ("en", "J-O-H-N at example dot org", "john@example.org"),
            ("en", "b as in bravo, e, double l at example dot com", "bell@example.com"),
            ("en", "mary underscore jane seven at mail dash server dot net", "mary_jane7@mail-server.net"),
            ("en", "info at example dot co dot uk", "info@example.co.uk"),
            ("en", "anna plus shop at gmail com", "anna+shop@gmail.com"),
            ("en", "it is john dot smith at gmail dot com", "john.smith@gmail.com"),
            ("en", "that would be john dot smith at gmail dot com", "john.smith@gmail.com"),
            ("en", "you can use anna at gmail dot com", "anna@gmail.com"),
            ("en", "send it to anna at gmail dot com", "anna@gmail.com"),
            ("en", "it dot support at gmail dot com", "it.support@gmail.com"),
            ("nl", "dat is jan punt jansen at voorbeeld punt nl", "jan.jansen@voorbeeld.nl"),
            ("de", "es ist max at beispiel Punkt de", "max@beispiel.de"),
            ("de", "das wäre max Punkt müller at beispiel Punkt de", "max.muller@beispiel.de"),
            ("fr", "ce serait marie point dupont arobase exemple point fr", "marie.dupont@exemple.fr"),
            ("es", "sería ana arroba ejemplo punto es", "ana@ejemplo.es"),
            ("it", "sarebbe luca punto rossi chiocciola esempio punto it", "luca.rossi@esempio.it"),
            ("pt", "seria ana ponto silva arroba exemplo ponto pt", "ana.silva@exemplo.pt"),
            ("nl", "mijn e-mailadres is jan punt jansen apenstaartje voorbeeld punt nl", "jan.jansen@voorbeeld.nl"),
            ("nl", "jan laag streepje twee at voorbeeld punt nl", "jan_2@voorbeeld.nl"),
            ("nl", "p van pieter, i, e, t at ziggo punt nl", "piet@ziggo.nl"),
            ("de", "Meine Adresse ist max Punkt müller at beispiel Punkt de", "max.muller@beispiel.de"),
            ("de", "max Unterstrich null drei Klammeraffe web Punkt de", "max_03@web.de"),
            ("de", "b wie Berta, o, b at gmx Bindestrich mail Punkt de", "bob@gmx-mail.de"),
            ("fr", "c'est marie point dupont arobase exemple point fr", "marie.dupont@exemple.fr"),
            ("fr", "paul tiret bas neuf arobase orange point fr", "paul_9@orange.fr"),
            ("es", "mi correo es ana punto ruiz arroba ejemplo punto es", "ana.ruiz@ejemplo.es"),
            ("es", "ana guión bajo dos arroba ejemplo punto com", "ana_2@ejemplo.com"),
            ("it", "la mia email è luca punto rossi chiocciola esempio punto it", "luca.rossi@esempio.it"),
            ("it", "luca trattino basso uno chiocciola esempio punto it", "luca_1@esempio.it"),
            ("pt", "o meu email é ana ponto silva arroba exemplo ponto pt", "ana.silva@exemplo.pt"),
            ("pt", "joao hífen dez arroba exemplo ponto com", "joao-10@exemplo.com"),
        ] {
            assert_eq!(email(text, language).as_deref(), Some(wanted), "{language}: {text}");
        }
        for text in ["I don't have one", "john dot smith", "at home", "", "john at home"] {
            assert_eq!(email(text, "en"), None, "{text}");
        }
    }
}
