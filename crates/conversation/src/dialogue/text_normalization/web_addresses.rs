//! Hosts and mail addresses, with and without scheme, in the language of the voice; paths and ports are not read.

use super::locale::Locale;
use super::tokens::{Reading, Sentence, TokenKind};

/// An address is at most so long, in octets; longer ones are text.
const ADDRESS_BYTES_MAX: usize = 1_000;
/// Ends of hosts. Longer ones come with others before them: "co.uk".
const TOP_LEVEL: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "info",
    "biz",
    "io",
    "ai",
    "app",
    "dev",
    "cloud",
    "shop",
    "store",
    "online",
    "site",
    "tech",
    "agency",
    "example",
    "test",
    "eu",
    "nl",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "uk",
    "be",
    "ch",
    "at",
    "lu",
    "ie",
    "us",
    "ca",
    "mx",
    "br",
    "ar",
    "au",
    "nz",
    "in",
    "jp",
    "cn",
    "kr",
    "pl",
    "se",
    "no",
    "dk",
    "fi",
    "cz",
    "tv",
    "me",
    "co",
    "cat",
    "gal",
    "bio",
    "health",
    "care",
    "bank",
    "travel",
    "hotel",
    "amsterdam",
    "berlin",
    "paris",
    "london",
];
/// Ends of hosts that are words as well: alone, they are more often a missing blank.
const WORDS: &[&str] = &[
    "it", "in", "at", "me", "be", "no", "us", "es", "de", "se", "care", "bank", "travel", "hotel", "test", "example",
    "site", "store", "shop",
];

/// Reads an address that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at)?;
    let opens = token.is_spaced
        || sentence
            .before(at)
            .is_some_and(|before| matches!(before.text, "(" | "\"" | "'" | "“" | "„" | "«" | "[" | "," | ":" | "："))
        || sentence.before(at).is_some_and(|before| !before.text.is_ascii());
    if !opens {
        return None;
    }
    if token.kind == TokenKind::Sign {
        return None;
    }
    if let Some(reading) = numeric_host(sentence, at, locale) {
        return Some(reading);
    }
    let limit = sentence.text.floor_char_boundary(token.start + ADDRESS_BYTES_MAX);
    let rest = sentence.text.get(token.start..limit)?;
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '“' | '”' | '«' | '»');
    let chunk = rest.split(ends).next().filter(|chunk| chunk.contains(['.', '@']) || chunk.contains("://"))?;
    let (chunk, spoken) = address(chunk, locale)?;
    Reading::new(sentence.token_from(token.start + chunk.len()), spoken)
}

/// "192.168.0.1": four numbers of an octet each. Where all could be thousands, "IP" stands before.
fn numeric_host(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let mut parts = [""; 4];
    for (index, part) in parts.iter_mut().enumerate() {
        let one = at + 2 * index;
        *part = sentence.digits(one).filter(|digits| digits.parse::<u8>().is_ok())?;
        if index > 0 && !(sentence.glued_sign(one - 1, &["."]) && sentence.is_glued(one)) {
            return None;
        }
    }
    let end = at + 7;
    let goes_on = !sentence.ends_word(end) || sentence.glued_sign(end, &["."]) && sentence.is_glued(end + 1);
    let are_thousands = parts.iter().skip(1).all(|part| part.len() == 3);
    let is_named = sentence.words_before(at, 3).iter().any(|word| word == "ip");
    let has_port = sentence.glued_sign(end, &[":"]) && sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some();
    let spoken = parts.join(&format!(" {} ", locale.language.signs.dot));
    (!goes_on && (!are_thousands || is_named)).then_some(Reading { end: if has_port { end + 2 } else { end }, spoken })
}

/// The address at the beginning of a text without blanks, and how it is said.
fn address(chunk: &str, locale: Locale) -> Option<(&str, String)> {
    let bare = chunk.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '’', '*', '…']);
    let lower = bare.to_ascii_lowercase();
    let scheme = ["https://", "http://", "wss://", "ws://", "ftp://", "mailto:", "sip:", "sips:", "tel:"]
        .iter()
        .find(|scheme| lower.starts_with(**scheme));
    let rest = bare.get(scheme.map_or(0, |scheme| scheme.len())..)?;
    if matches!(scheme, Some(&"tel:")) {
        return None;
    }
    if let Some((local, host)) = rest.split_once('@').filter(|(local, _)| !local.contains('/')) {
        let host = host.split(['/', '?', '#', ':', ';', '&']).next()?;
        let valid = is_local_part(local, locale) && is_host(host) && host.contains('.');
        let end = bare.len() - rest.len() + local.len() + 1 + host.len();
        // "mailto:ann@example.com?subject=Hi".
        let end = if scheme.is_some() { bare.len() } else { end };
        return valid.then(|| {
            (&bare[..end], format!("{} {} {}", say(local, locale), locale.language.signs.at, say(host, locale)))
        });
    }
    let host_end = rest.find(['/', '?', '#', ':']).unwrap_or(rest.len());
    let host = rest.get(..host_end)?;
    let behind = rest.get(host_end..)?;
    let www = host.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("www."));
    let shown = if www { host.get(4..)? } else { host };
    let tail_is_address = behind.is_empty() || behind.starts_with(['/', '?', '#']) || port(behind);
    let known = scheme.is_some() && is_host(shown)
        || www && is_host(shown) && shown.contains('.')
        || is_known_host(shown, behind, locale);
    if !known || !tail_is_address {
        // "example.com:" before a list.
        return None;
    }
    Some((bare, say(shown, locale)))
}

/// ":8080", perhaps with a path.
fn port(behind: &str) -> bool {
    let Some(rest) = behind.strip_prefix(':') else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (2..=5).contains(&digits)
        && rest.get(digits..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

fn is_local_part(local: &str, locale: Locale) -> bool {
    // "j.o'neil"; but "l'info@acme.fr" and "all'info@acme.it" begin behind an article.
    let head = local.split(['\'', '’']).next().unwrap_or("");
    let elides = (locale.is_french() || locale.is_italian()) && !head.contains(['.', '_', '-']);
    let apostrophe = |c: char| matches!(c, '\'' | '’') && !elides;
    !local.is_empty()
        && local.len() <= 64
        && local.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%') || apostrophe(c))
        && !local.starts_with(['\'', '’'])
        && !local.ends_with(['\'', '’'])
        && !local.starts_with('.')
        && !local.ends_with('.')
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    !host.is_empty() && host.len() <= 253 && host.split('.').all(label)
}

/// A host without scheme: its end is one that hosts have.
fn is_known_host(host: &str, behind: &str, locale: Locale) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let (Some(top), Some(domain)) = (labels.last(), labels.len().checked_sub(2).and_then(|at| labels.get(at))) else {
        return false;
    };
    if !is_host(host)
        || !TOP_LEVEL.contains(top)
        || !domain.chars().any(char::is_alphabetic) && labels.len() == 2 && domain.len() < 2
    {
        return false;
    }
    // "home.it": in English more often two sentences than an Italian host.
    let ambiguous = WORDS.contains(top) && labels.len() == 2 && behind.is_empty();
    let english = locale.is_english();
    !ambiguous
        || matches!(*top, "de" | "es" | "it" | "at") && (!english || *top == "de" || *top == "es")
        || domain.contains('-')
}

/// Letters and digits as they are; dots and hyphens by their names.
fn say(text: &str, locale: Locale) -> String {
    let signs = &locale.language.signs;
    let mut said = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        let name = match c {
            '.' => signs.dot,
            '-' => signs.dash,
            '_' => signs.underscore,
            '+' => signs.plus,
            _ => {
                said.push(c);
                continue;
            }
        };
        said.push(' ');
        said.push_str(name);
        said.push(' ');
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
