//! Codes of languages, as Deepgram names those of words.

/// ISO 639-1.
const CODES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz \
ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik in io is it iu iw \
ja ji jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne \
ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw \
ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";
/// Codes of three letters for no certain language.
const NONE: [&str; 4] = ["mis", "mul", "und", "zxx"];

/// Whether a code names a language: `nl`, `nl-BE`, `NL`, `yue`.
pub(super) fn is_language(code: &str) -> bool {
    let primary = code.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match primary.len() {
        2 => CODES.split(' ').any(|known| known == primary),
        3 => primary.bytes().all(|b| b.is_ascii_lowercase()) && !NONE.contains(&primary.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_languages_count() {
        for code in ["nl", "NL", "nl-BE", "nl_NL", "zh-Hant", "yue"] {
            assert!(is_language(code), "{code}");
        }
        for code in ["", " ", "-", "-nl", "xx", "xx-klingon", "multi", "unknown", "und", "null", "é", "n", "a1b"] {
            assert!(!is_language(code), "{code}");
        }
    }
}
