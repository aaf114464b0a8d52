//! Words of a text as they are compared: in small letters, without accents and without the marks around them.

use unicode_normalization::UnicodeNormalization as _;

/// Words of a turn that are looked at; a value is not longer.
pub const WORDS_MAX: usize = 200;

/// Small letters without accents; the German sharp s becomes two.
pub fn fold(text: &str) -> String {
    let plain = text.nfd().filter(|c| !is_mark(*c)).map(ascii_digit).flat_map(char::to_lowercase);
    plain.flat_map(|c| if c == 'ß' { vec!['s', 's'] } else { vec![c] }).collect()
}

/// Digits of other scripts as Western ones: Arabic, Persian, Devanagari, and those of full width.
fn ascii_digit(c: char) -> char {
    let value =
        [0x660, 0x6f0, 0x966, 0xff10].into_iter().find_map(|zero| u32::from(c).checked_sub(zero).filter(|at| *at < 10));
    value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// Whether a text ends with a question mark, of any script.
pub fn ends_with_question(text: &str) -> bool {
    text.trim_end().ends_with(['?', '？', '؟'])
}

fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The folded words of a text: hyphens and blanks part them, marks at their ends are left out.
pub fn words(text: &str) -> Vec<String> {
    let folded = fold(text).replace(['’', '‘'], "'").replace("x-ray", "xray");
    let parts = folded.split(|c: char| {
        c.is_whitespace()
            || matches!(c, '-' | '–' | '—' | ',' | ';' | '(' | ')' | '"' | '、' | '，' | '。' | '،' | '।' | '；')
    });
    let trimmed = parts.map(|part| {
        part.trim_matches(|c: char| {
            matches!(c, '.' | '?' | '!' | ':' | '\'' | '¿' | '¡' | '…' | '？' | '！' | '؟' | '：')
        })
    });
    trimmed.filter(|part| !part.is_empty()).take(WORDS_MAX).map(str::to_owned).collect()
}

/// The first two letters of a language tag.
pub fn base(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or("en")
}

/// The table of a language: of English, Dutch, German, French, Spanish, Italian and Portuguese, in this order; English for
/// others.
pub fn table_of<T>(language: &str, [en, nl, de, fr, es, it, pt]: [&'static T; 7]) -> &'static T {
    match base(language) {
        "nl" => nl,
        "de" => de,
        "fr" => fr,
        "es" => es,
        "it" => it,
        "pt" => pt,
        _ => en,
    }
}
