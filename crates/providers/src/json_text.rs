//! JSON as gateways write it: an emoji whose two halves were streamed apart leaves escapes that are no character by
//! themselves. They cost that character, and not the event.

use serde_json::Value;

/// Reads a message; halves of characters are left out.
pub(crate) fn read_json(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text).or_else(|error| match without_halves(text) {
        Some(whole) => serde_json::from_str(&whole),
        None => Err(error),
    })
}

/// The text without escaped surrogates that have no other half; `None` if it has none.
fn without_halves(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at_checked(at)?;
        kept.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(0xD800..0xE000), _) => {
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // Another escape: what follows the backslash belongs to it.
            (None, _) => 1 + escape.get(1..).and_then(|behind| behind.chars().next()).map_or(0, char::len_utf8),
        };
        let (escape, behind) = escape.split_at_checked(length)?;
        kept.push_str(escape);
        rest = behind;
    }
    kept.push_str(rest);
    (kept.len() < text.len()).then_some(kept)
}

/// The code of an escape at the beginning of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_character_costs_that_character() {
        for (text, wanted) in [
            (r#""Utrecht \ud83d on""#, "Utrecht  on"),
            (r#""\ude00 Monday \ud83d""#, " Monday "),
            (r#""\ud83d\ud83d\ude00 yes""#, "😀 yes"),
            (r#""a\ud83dA \u00e9 \n""#, "aA é \n"),
            (r#""\\ud83d \uDE00""#, "\\ud83d "),
            (r#""whole \ud83d\ude00""#, "whole 😀"),
        ] {
            assert_eq!(read_json(text).unwrap(), json!(wanted), "{text}");
        }
        for text in [r#""\ud83d"#, "\"\\", r#""\ud83"#, "{", r#"{"a": "\ud83d", }"#] {
            assert!(read_json(text).is_err(), "{text}");
        }
    }
}
