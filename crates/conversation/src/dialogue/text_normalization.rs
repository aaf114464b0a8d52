//! Text normalization for TTS: expands what would be misread, in the language of the voice, and removes markup, emoji
//! and URLs. Integers stay digits: every TTS reads those.

/// How text is normalized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechStyle {
    language: NormalizationLanguage,
    /// The TTS model understands audio tags such as `[whispers]`; others would read them aloud.
    tags: bool,
}

impl Default for SpeechStyle {
    fn default() -> Self {
        Self::new("en", false)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NormalizationLanguage {
    English,
    Dutch,
    German,
    French,
    /// Other languages: only markup and emoji are removed.
    Other,
}

/// A text in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NormalizedText {
    /// For transcript and history.
    pub shown: String,
    /// For the voice.
    pub spoken: String,
    /// Words spoken for each word shown.
    pub words: Vec<usize>,
}

const ENGLISH_ABBREVIATIONS: &[(&str, &str)] = &[
    ("e.g", "for example"),
    ("i.e", "that is"),
    ("approx", "approximately"),
    ("dept", "department"),
    ("mr", "Mister"),
    ("mrs", "Missus"),
    ("dr", "Doctor"),
    ("prof", "Professor"),
    ("vs", "versus"),
    ("etc", "and so on"),
    ("nr", "number"),
];

const DUTCH_ABBREVIATIONS: &[(&str, &str)] = &[
    ("bijv", "bijvoorbeeld"),
    ("bv", "bijvoorbeeld"),
    ("d.w.z", "dat wil zeggen"),
    ("o.a", "onder andere"),
    ("t.a.v", "ter attentie van"),
    ("dhr", "meneer"),
    ("mevr", "mevrouw"),
    ("mw", "mevrouw"),
    ("dr", "dokter"),
    ("enz", "enzovoort"),
    ("ca", "circa"),
    ("nr", "nummer"),
    ("evt", "eventueel"),
];

const GERMAN_ABBREVIATIONS: &[(&str, &str)] = &[
    ("z.b", "zum Beispiel"),
    ("d.h", "das heißt"),
    ("bzw", "beziehungsweise"),
    ("ca", "circa"),
    ("usw", "und so weiter"),
    ("nr", "Nummer"),
    ("dr", "Doktor"),
    ("str", "Straße"),
    ("inkl", "inklusive"),
    ("evtl", "eventuell"),
    ("ggf", "gegebenenfalls"),
];

const FRENCH_ABBREVIATIONS: &[(&str, &str)] = &[
    ("p.ex", "par exemple"),
    ("c.-à-d", "c'est-à-dire"),
    ("env", "environ"),
    ("etc", "et cetera"),
    ("dr", "Docteur"),
    ("mme", "Madame"),
    ("n°", "numéro"),
];

impl SpeechStyle {
    /// Returns the style of a language code such as `nl` or `nl-BE`; `tags` keeps audio tags for the TTS model.
    pub fn new(language: &str, tags: bool) -> Self {
        let language = match language.split(['-', '_']).next().unwrap_or("") {
            "en" => NormalizationLanguage::English,
            "nl" => NormalizationLanguage::Dutch,
            "de" => NormalizationLanguage::German,
            "fr" => NormalizationLanguage::French,
            _ => NormalizationLanguage::Other,
        };
        Self { language, tags }
    }

    /// Both forms of a text; empty when nothing of it can be said.
    pub fn normalize(self, text: &str) -> NormalizedText {
        let clean = without_markup(text);
        let shown = without_tags(&clean);
        if !shown.chars().any(char::is_alphanumeric) {
            return NormalizedText::default();
        }
        let mut said = NormalizedText { spoken: String::new(), words: Vec::new(), shown: shown.clone() };
        let mut before = "";
        for word in shown.split(' ') {
            let spoken = self.word(before, word);
            said.words.push(spoken.split_whitespace().count());
            if !spoken.is_empty() {
                if !said.spoken.is_empty() {
                    said.spoken.push(' ');
                }
                said.spoken.push_str(&spoken);
            }
            before = word;
        }
        said
    }

    /// The same with the tags of the original, for a voice that acts on them.
    pub fn with_tags(self, text: &str, said: &NormalizedText) -> String {
        if !self.tags || !text.contains('[') {
            return said.spoken.clone();
        }
        let clean = without_markup(text);
        let mut out = String::new();
        let mut before = "";
        for word in clean.split(' ') {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&self.word(before, word));
            before = word;
        }
        out
    }

    fn word(self, before: &str, word: &str) -> String {
        if self.language == NormalizationLanguage::Other {
            return word.to_owned();
        }
        let core = word.trim_matches(|c: char| matches!(c, '(' | ')' | '"' | '“' | '”' | ',' | ';' | ':' | '!' | '?'));
        // A dot may belong to the sentence or to the word.
        let (bare, dot) = match core.strip_suffix('.') {
            Some(bare) => (bare, true),
            None => (core, false),
        };
        let Some(at) = word.find(core) else { return word.to_owned() };
        let (head, tail) = (&word[..at], &word[at + core.len()..]);
        let with = |text: String, end: &str| format!("{head}{text}{end}{tail}");
        let end = if dot { "." } else { "" };
        if let Some(text) = self.abbreviation(core, bare, dot) {
            return with(text.to_owned(), "");
        }
        if let Some(text) = self.unit(before, bare) {
            return with(text.to_owned(), end);
        }
        match self.number(bare) {
            Some(text) => with(text, end),
            None => word.to_owned(),
        }
    }

    fn abbreviation(self, core: &str, bare: &str, dot: bool) -> Option<&'static str> {
        let table = match self.language {
            NormalizationLanguage::English => ENGLISH_ABBREVIATIONS,
            NormalizationLanguage::Dutch => DUTCH_ABBREVIATIONS,
            NormalizationLanguage::German => GERMAN_ABBREVIATIONS,
            NormalizationLanguage::French => FRENCH_ABBREVIATIONS,
            NormalizationLanguage::Other => &[],
        };
        let lower = bare.to_lowercase();
        let found = table.iter().find(|(short, _)| *short == lower).map(|(_, long)| *long);
        // "Mme" has no dot; "no" and "ca" are words without theirs.
        let symbol = match (core, self.language) {
            ("&", NormalizationLanguage::English) => Some("and"),
            ("&", NormalizationLanguage::Dutch) => Some("en"),
            ("&", NormalizationLanguage::German) => Some("und"),
            ("&", NormalizationLanguage::French) => Some("et"),
            _ => None,
        };
        symbol.or(found.filter(|_| dot || lower == "mme" || lower == "n°"))
    }

    /// A unit behind a number.
    fn unit(self, before: &str, bare: &str) -> Option<&'static str> {
        before.trim_start_matches(['(', '~', '€', '$']).chars().next().filter(char::is_ascii_digit)?;
        let (english, dutch, german, french) = match bare {
            "km" => ("kilometers", "kilometer", "Kilometer", "kilomètres"),
            "kg" => ("kilograms", "kilo", "Kilogramm", "kilos"),
            "cm" => ("centimeters", "centimeter", "Zentimeter", "centimètres"),
            "mm" => ("millimeters", "millimeter", "Millimeter", "millimètres"),
            "GB" => ("gigabytes", "gigabyte", "Gigabyte", "gigaoctets"),
            "EUR" => ("euros", "euro", "Euro", "euros"),
            "USD" => ("dollars", "dollar", "Dollar", "dollars"),
            "min" => ("minutes", "minuten", "Minuten", "minutes"),
            "°C" => ("degrees", "graden", "Grad", "degrés"),
            _ => return None,
        };
        Some(match self.language {
            NormalizationLanguage::Dutch => dutch,
            NormalizationLanguage::German => german,
            NormalizationLanguage::French => french,
            _ => english,
        })
    }

    fn number(self, bare: &str) -> Option<String> {
        money(self.language, bare)
            .or_else(|| percent(self.language, bare))
            .or_else(|| date(self.language, bare))
            .or_else(|| clock(self.language, bare))
            .or_else(|| digits(bare))
            .or_else(|| speak_url(bare))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `€12.50`, `$5`, `12,50€`.
fn money(language: NormalizationLanguage, text: &str) -> Option<String> {
    let symbol = text.chars().find(|c| matches!(c, '€' | '$' | '£'))?;
    let amount = text.strip_prefix(symbol).or_else(|| text.strip_suffix(symbol))?;
    // The last separator with two digits behind it is the decimal one; others group thousands.
    let (whole, cents) = match amount.rfind(['.', ',']).filter(|at| amount.len() - at == 3) {
        Some(at) => (&amount[..at], &amount[at + 1..]),
        None => (amount, ""),
    };
    let whole: String = whole.chars().filter(|c| !matches!(c, '.' | ',')).collect();
    if !is_digits(&whole) || !(cents.is_empty() || is_digits(cents)) {
        return None;
    }
    let one = whole == "1";
    let name = match (symbol, language) {
        ('€', NormalizationLanguage::Dutch) => "euro",
        ('€', NormalizationLanguage::German) => "Euro",
        ('€', NormalizationLanguage::English | NormalizationLanguage::French) if one => "euro",
        ('€', _) => "euros",
        ('$', NormalizationLanguage::Dutch) => "dollar",
        ('$', NormalizationLanguage::German) => "Dollar",
        ('$', _) if one => "dollar",
        ('$', _) => "dollars",
        (_, NormalizationLanguage::German) => "Pfund",
        (_, NormalizationLanguage::Dutch) => "pond",
        (_, NormalizationLanguage::French) => "livres",
        _ if one => "pound",
        _ => "pounds",
    };
    let cents = cents.trim_start_matches('0');
    Some(if cents.is_empty() { format!("{whole} {name}") } else { format!("{whole} {name} {cents}") })
}

fn percent(language: NormalizationLanguage, text: &str) -> Option<String> {
    let number = text.strip_suffix('%')?;
    number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b',')).then_some(())?;
    let word = match language {
        NormalizationLanguage::Dutch => "procent",
        NormalizationLanguage::German => "Prozent",
        NormalizationLanguage::French => "pour cent",
        _ => "percent",
    };
    (!number.is_empty()).then(|| format!("{number} {word}"))
}

const ENGLISH: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DUTCH: [&str; 12] = [
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
];
const GERMAN: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];
const FRENCH: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// `2026-11-21`.
fn date(language: NormalizationLanguage, text: &str) -> Option<String> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some()
        || (year.len(), month.len(), day.len()) != (4, 2, 2)
        || !is_digits(&[year, month, day].concat())
    {
        return None;
    }
    let (month, day): (usize, u32) = (month.parse().ok()?, day.parse().ok()?);
    let names = match language {
        NormalizationLanguage::Dutch => DUTCH,
        NormalizationLanguage::German => GERMAN,
        NormalizationLanguage::French => FRENCH,
        _ => ENGLISH,
    };
    let name = names.get(month.checked_sub(1)?).filter(|_| (1..=31).contains(&day))?;
    Some(match language {
        NormalizationLanguage::German => format!("{day}. {name} {year}"),
        NormalizationLanguage::English => format!("{name} {day}, {year}"),
        _ => format!("{day} {name} {year}"),
    })
}

/// `14:30`.
fn clock(language: NormalizationLanguage, text: &str) -> Option<String> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u32, u32) = if is_digits(hours) && is_digits(minutes) && minutes.len() == 2 {
        (hours.parse().ok()?, minutes.parse().ok()?)
    } else {
        return None;
    };
    if hours > 24 || minutes > 59 {
        return None;
    }
    Some(match (language, minutes) {
        (NormalizationLanguage::Dutch, 0) => format!("{hours} uur"),
        (NormalizationLanguage::Dutch, _) => format!("{hours} uur {minutes}"),
        (NormalizationLanguage::German, 0) => format!("{hours} Uhr"),
        (NormalizationLanguage::German, _) => format!("{hours} Uhr {minutes}"),
        (NormalizationLanguage::French, 0) => format!("{hours} heures"),
        (NormalizationLanguage::French, _) => format!("{hours} heures {minutes}"),
        (_, 0) => format!("{hours} o'clock"),
        (_, 1..10) => format!("{hours} oh {minutes}"),
        _ => format!("{hours} {minutes}"),
    })
}

/// Phone numbers and codes: digit by digit, in groups that can be written down.
fn digits(text: &str) -> Option<String> {
    let (plus, rest) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let only: String = rest.chars().filter(|c| *c != '-').collect();
    let grouped = rest.contains('-') && rest.split('-').all(is_digits);
    if !is_digits(&only) || !(plus || grouped && only.len() >= 7 || only.len() >= 5 && !rest.contains('-')) {
        return None;
    }
    let groups: Vec<String> = only
        .as_bytes()
        .chunks(3)
        .map(|group| group.iter().map(|b| char::from(*b).to_string()).collect::<Vec<_>>().join(" "))
        .collect();
    let said = groups.join(", ");
    Some(if plus { format!("plus {said}") } else { said })
}

/// A URL as its host name.
fn speak_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some(host.trim_start_matches("www.").to_owned()).filter(|host| !host.is_empty())
}

/// Pictures in text.
fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0xFE00..=0xFE0F | 0x200D | 0x20E3 | 0xE0020..=0xE007F)
}

/// Markdown and emoji taken out, white space made single.
fn without_markup(text: &str) -> String {
    let text = without_links(text);
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let word = word.trim_matches(['*', '`', '#', '_', '|', '~']);
        let cleaned: String = word.chars().filter(|c| !matches!(c, '*' | '`') && !is_emoji(*c)).collect();
        let rule = cleaned.chars().all(|c| matches!(c, '-' | '=' | '•' | '>'));
        if !cleaned.is_empty() && !rule {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&cleaned);
        }
    }
    out
}

/// `[text](address)` is its text.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let link = rest[open..].find("](").and_then(|middle| {
            let middle = open + middle;
            let close = middle + rest[middle..].find(')')?;
            Some((middle, close))
        });
        let Some((middle, close)) = link else { break };
        // A bracket in between belongs to something else.
        if rest[open + 1..middle].contains('[') {
            out.push_str(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        }
        out.push_str(&rest[..open]);
        out.push_str(&rest[open + 1..middle]);
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

/// Removes audio tags (`[laughs]`, `[speaking softly]`).
pub fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some(close) = rest[open..].find(']').map(|at| open + at) else { break };
        let inside = &rest[open + 1..close];
        let is_tag = !inside.is_empty()
            && inside.len() <= 40
            && inside.chars().all(|c| c.is_ascii_lowercase() || matches!(c, ' ' | '\'' | '-'));
        if is_tag {
            out.push_str(rest[..open].trim_end());
            if !out.is_empty() && !rest[close + 1..].trim_start().is_empty() {
                out.push(' ');
            }
            rest = rest[close + 1..].trim_start();
        } else {
            out.push_str(&rest[..=close]);
            rest = &rest[close + 1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
