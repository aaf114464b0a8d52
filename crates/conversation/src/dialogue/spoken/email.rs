//! E-mail addresses as they are said: "john dot smith at example dot com", spelled or not.

use super::asides::without_letter_remarks;
use super::letters::{is_name, may_spell, spelled};
use super::words::{base, fold};
use trunkline_domain::agent::is_email;
use unicode_normalization::UnicodeNormalization as _;

/// Signs in words, the longest first.
const SIGNS: &[(&[&str], &str)] = &[
    (&["trait", "d'union"], "-"),
    (&["laag", "streepje"], "_"),
    (&["liggend", "streepje"], "_"),
    (&["guion", "bajo"], "_"),
    (&["barra", "baja"], "_"),
    (&["tiret", "du", "bas"], "_"),
    (&["tiret", "bas"], "_"),
    (&["lage", "streep"], "_"),
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
    (&["sublinhado"], "_"),
    (&["subrayado"], "_"),
    (&["souligne"], "_"),
    (&["tiefstrich"], "_"),
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

/// Behind them stands the address: "the one I use is".
const COPULAS: &[&str] = &["is", "it's", "that's", "ist", "lautet", "luidt", "est", "c'est"];
/// Words of a label between two dots, at most.
const LABEL_WORDS_MAX: usize = 4;

/// A part of an address.
#[derive(Debug)]
struct Part {
    text: String,
    kind: PartKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartKind {
    Sign,
    /// Letters one by one, digits.
    Spelled,
    Word,
}

impl Part {
    fn is(&self, sign: &str) -> bool {
        self.kind == PartKind::Sign && self.text == sign
    }

    fn is_letter(&self) -> bool {
        self.kind == PartKind::Spelled && self.text.chars().all(char::is_alphabetic)
    }
}

/// The address in a text; `None` if there is none.
pub fn email(text: &str, language: &str) -> Option<String> {
    let tokens = tokens(&without_letter_remarks(text), language);
    if let Some(whole) = tokens.iter().find(|token| is_address(&token.written)) {
        return Some(whole.written.clone());
    }
    let parts = parts(&tokens, language);
    (0..parts.len()).rev().filter(|at| parts.get(*at).is_some_and(|part| part.is("@"))).find_map(|at| {
        // "Reach me at john at example dot com"
        let user = user(parts.get(..at)?.rsplit(|part| part.is("@")).next()?)?;
        let host = host(parts.get(at + 1..)?.split(|part| part.is("@")).next()?);
        let address = format!("{user}@{host}");
        let address = address.trim_end_matches(['.', '-', '_']).to_owned();
        is_address(&address).then_some(address)
    })
}

/// What stands before the sign, without the words before the address.
fn user(parts: &[Part]) -> Option<String> {
    let is_sign = |at: usize| parts.get(at).is_some_and(|part| part.kind == PartKind::Sign);
    // What stands before a sign is a part of the address: "it dot support".
    let is_lead =
        |at: &usize| parts.get(*at).is_some_and(|part| LEADS.contains(&part.text.as_str())) && !is_sign(*at + 1);
    let mut lead = (0..parts.len()).take_while(is_lead).count();
    let signed = (0..parts.len()).find(|at| is_sign(*at)).map_or(parts.len(), |at| at.saturating_sub(1));
    let copula = parts.iter().take(signed).rposition(|part| COPULAS.contains(&part.text.as_str()));
    lead = lead.max(copula.map_or(0, |at| at + 1)).min(parts.len().saturating_sub(1));
    let parts = parts.get(lead..)?;
    let (mut user, mut at) = (String::new(), 0);
    while let Some(part) = parts.get(at) {
        let letters: String =
            parts.iter().skip(at + 1).take_while(|part| part.is_letter()).map(|part| part.text.as_str()).collect();
        // "Jon, J O N": the spelling says how it is written.
        let is_spelled = part.kind == PartKind::Word && letters.chars().count() > 2 && may_spell(&letters, &part.text);
        if !is_spelled {
            user.push_str(&part.text);
        }
        at += 1;
    }
    Some(user)
}

/// What stands behind the sign, without the words behind the address.
fn host(parts: &[Part]) -> String {
    let (mut host, mut at) = (String::new(), 0);
    while let Some(part) = parts.get(at) {
        if part.kind == PartKind::Sign || !host.contains('.') {
            let is_end = part.kind == PartKind::Word && ENDS.contains(&part.text.as_str());
            // "gmail com"
            if is_end && !host.is_empty() && !host.ends_with(['.', '-']) && !has_dot(parts.get(at..)) {
                return format!("{host}.{}", part.text);
            }
            host.push_str(&part.text);
            at += 1;
            continue;
        }
        let rest = parts.get(at..).unwrap_or_default();
        let sign = rest.iter().position(|part| part.is(".") || part.is("-")).filter(|sign| *sign <= LABEL_WORDS_MAX);
        let is_end = ENDS.contains(&part.text.as_str());
        if let Some(sign) = sign.filter(|sign| *sign == 1 || !is_end) {
            host.extend(rest.iter().take(sign).map(|part| part.text.as_str()));
            at += sign;
            continue;
        }
        // The last label is one word, or spelled.
        let used = rest.iter().take_while(|part| part.is_letter()).count().max(1);
        host.extend(rest.iter().take(used).map(|part| part.text.as_str()));
        // "co uk"
        let country = rest.get(used).filter(|part| part.text.len() == 2 && ENDS.contains(&part.text.as_str()));
        if let Some(country) = country.filter(|_| matches!(part.text.as_str(), "co" | "com")) {
            host = format!("{host}.{}", country.text);
        }
        break;
    }
    host
}

fn has_dot(parts: Option<&[Part]>) -> bool {
    parts.unwrap_or_default().iter().any(|part| part.is("."))
}

fn is_address(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "@._-+'".contains(c);
    text.len() <= 254 && is_email(text) && text.chars().all(fits) && !text.contains("..") && !text.starts_with('.')
}

/// A word of the text.
#[derive(Debug)]
struct Token {
    folded: String,
    /// As addresses write it: German umlauts have two letters.
    written: String,
}

impl Token {
    fn new(word: &str, language: &str) -> Self {
        let folded = fold(word);
        if base(language) != "de" {
            return Self { written: folded.clone(), folded };
        }
        let written = fold(
            &word.to_lowercase().nfc().collect::<String>().replace('ä', "ae").replace('ö', "oe").replace('ü', "ue"),
        );
        Self { written, folded }
    }
}

/// Words in small letters; dots inside of words stay, a spelled word is parted.
fn tokens(text: &str, language: &str) -> Vec<Token> {
    let text = text.replace('’', "'").replace(" @ ", "@");
    let mut tokens = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).take(super::words::WORDS_MAX) {
        let word = word.trim_matches(|c: char| matches!(c, '.' | '?' | '!' | ':' | '"' | '¿' | '¡'));
        let parts: Vec<&str> = word.split('-').collect();
        if parts.len() > 2 && parts.iter().all(|part| part.chars().count() == 1)
            || word.to_lowercase().starts_with("doppel-")
        {
            tokens.extend(parts.into_iter().map(|part| Token::new(part, language)));
        } else if !word.is_empty() {
            tokens.push(Token::new(word, language));
        }
    }
    tokens
}

/// Words as parts of the address: signs, letters, digits, and words as they are.
fn parts(tokens: &[Token], language: &str) -> Vec<Part> {
    let words: Vec<String> = tokens.iter().map(|token| token.folded.clone()).collect();
    let (mut parts, mut at, mut leads) = (Vec::new(), 0, true);
    while let (Some(word), Some(token)) = (words.get(at), tokens.get(at)) {
        let rest = words.get(at..).unwrap_or_default();
        let named =
            |names: &[&str]| names.len() <= rest.len() && names.iter().zip(rest).all(|(name, word)| name == word);
        let sign = SIGNS.iter().find(|(names, _)| named(names));
        leads &= sign.is_none() && LEADS.contains(&word.as_str()) && rest.len() > 1 && word.len() > 1;
        let spelled = spelled(rest, language).filter(|one| !leads && (one.used > 1 || !is_name(&words, at)));
        let (text, kind, used) = match (sign, spelled) {
            (Some((names, sign)), _) => ((*sign).to_owned(), PartKind::Sign, names.len()),
            (None, Some(one)) if one.text == *word => (token.written.clone(), PartKind::Spelled, one.used),
            (None, Some(one)) => (one.text, PartKind::Spelled, one.used),
            (None, None) => (token.written.clone(), PartKind::Word, 1),
        };
        parts.push(Part { text, kind });
        at += used;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: &[(&str, &str, &str)] = &[
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
        ("de", "das wäre max Punkt müller at beispiel Punkt de", "max.mueller@beispiel.de"),
        ("fr", "ce serait marie point dupont arobase exemple point fr", "marie.dupont@exemple.fr"),
        ("es", "sería ana arroba ejemplo punto es", "ana@ejemplo.es"),
        ("it", "sarebbe luca punto rossi chiocciola esempio punto it", "luca.rossi@esempio.it"),
        ("pt", "seria ana ponto silva arroba exemplo ponto pt", "ana.silva@exemplo.pt"),
        ("nl", "mijn e-mailadres is jan punt jansen apenstaartje voorbeeld punt nl", "jan.jansen@voorbeeld.nl"),
        ("nl", "jan laag streepje twee at voorbeeld punt nl", "jan_2@voorbeeld.nl"),
        ("nl", "p van pieter, i, e, t at ziggo punt nl", "piet@ziggo.nl"),
        ("de", "Meine Adresse ist max Punkt müller at beispiel Punkt de", "max.mueller@beispiel.de"),
        ("de", "max Unterstrich null drei Klammeraffe web Punkt de", "max_03@web.de"),
        ("de", "b wie Berta, o, b at gmx Bindestrich mail Punkt de", "bob@gmx-mail.de"),
        ("fr", "c'est marie point dupont arobase exemple point fr", "marie.dupont@exemple.fr"),
        ("fr", "paul tiret bas neuf arobase orange point fr", "paul_9@orange.fr"),
        ("es", "mi correo es ana punto ruiz arroba ejemplo punto es", "ana.ruiz@ejemplo.es"),
        ("es", "ana guión bajo dos arroba ejemplo punto com", "ana_2@ejemplo.com"),
        ("it", "la mia email è luca punto rossi chiocciola esempio punto it", "luca.rossi@esempio.it"),
        ("it", "luca trattino basso uno chiocciola esempio punto it", "luca_1@esempio.it"),
        ("pt", "o meu email é ana ponto silva arroba exemplo ponto pt", "ana.silva@exemplo.pt"),
        ("en", "mike dot jones at example dot com", "mike.jones@example.com"),
        ("en", "charlie at example dot com", "charlie@example.com"),
        ("en", "golf at green hotel dot com", "golf@greenhotel.com"),
        ("en", "victor dot oscar at example dot com", "victor.oscar@example.com"),
        ("en", "it's india underscore travel at hotmail dot com", "india_travel@hotmail.com"),
        ("en", "mike oscar romeo at example dot com", "mor@example.com"),
        ("en", "m for mike, o, r at example dot com", "mor@example.com"),
        ("en", "mike j at example dot com", "mikej@example.com"),
        ("en", "jay dot smith at example dot com", "jay.smith@example.com"),
        ("en", "jay, o, ess, e at example dot com", "jose@example.com"),
        ("en", "charlie, c h a r l y, at example dot com", "charly@example.com"),
        ("en", "capital J, small o, e at example dot com", "joe@example.com"),
        ("en", "the one I always use is jane at example dot com please", "jane@example.com"),
        ("en", "jane at example dot com, thank you", "jane@example.com"),
        ("en", "jane at example dot com, you can reach me at home", "jane@example.com"),
        ("en", "jane at green hotel dot co uk", "jane@greenhotel.co.uk"),
        ("en", "jane at example dot c o dot u k", "jane@example.co.uk"),
        ("en", "jon without h at example dot com", "jon@example.com"),
        ("nl", "pieter punt de vries apenstaartje voorbeeld punt nl", "pieter.devries@voorbeeld.nl"),
        ("nl", "jan punt maria apenstaartje voorbeeld punt nl", "jan.maria@voorbeeld.nl"),
        ("nl", "simon zonder e at voorbeeld punt nl alstublieft", "simon@voorbeeld.nl"),
        ("de", "anton punkt emil at beispiel punkt de", "anton.emil@beispiel.de"),
        ("de", "Anton Nordpol Nordpol Anton at beispiel punkt de", "anna@beispiel.de"),
        ("de", "Jörg Größer at beispiel Punkt de", "joerggroesser@beispiel.de"),
        ("de", "müller@beispiel.de", "mueller@beispiel.de"),
        ("de", "richard at web Punkt de, danke", "richard@web.de"),
        ("fr", "oscar tiret du bas dix arobase exemple point fr", "oscar_10@exemple.fr"),
        ("es", "maria punto garcia arroba ejemplo punto es", "maria.garcia@ejemplo.es"),
        ("es", "victor guion bajo güell arroba ejemplo punto es gracias", "victor_guell@ejemplo.es"),
        ("it", "maria punto delta chiocciola esempio punto it", "maria.delta@esempio.it"),
        ("pt", "maria ponto silva arroba exemplo ponto com ponto br", "maria.silva@exemplo.com.br"),
        ("pt", "josé sublinhado 10 arroba exemplo ponto pt", "jose_10@exemplo.pt"),
        ("pt", "joao hífen dez arroba exemplo ponto com", "joao-10@exemplo.com"),
    ];

    #[test]
    fn addresses_are_read_in_each_language() {
        let mut misread = Vec::new();
        for &(language, text, wanted) in ADDRESSES {
            let read = email(text, language);
            if read.as_deref() != Some(wanted) {
                misread.push((language, text, read));
            }
        }
        assert_eq!(misread, []);
        for text in ["I don't have one", "john dot smith", "at home", "", "john at home"] {
            assert_eq!(email(text, "en"), None, "{text}");
        }
    }
}
