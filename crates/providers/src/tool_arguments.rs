//! Arguments of a tool call that are an object inside of something else: a string, or a code block.

use serde_json::{Map, Value};

/// How many wrappings are taken off.
const WRAPPINGS_MAX: usize = 4;

/// The object that arguments hold; arguments that hold none stay as they are.
pub(crate) fn unwrapped(arguments: String) -> String {
    if is_object(&arguments) {
        return arguments;
    }
    let mut inner = arguments.trim().to_owned();
    for _ in 0..WRAPPINGS_MAX {
        if is_object(&inner) {
            return inner;
        }
        inner = match (serde_json::from_str::<String>(&inner), fenced(&inner)) {
            (Ok(text), _) => text.trim().to_owned(),
            (Err(_), Some(text)) => text.trim().to_owned(),
            (Err(_), None) => break,
        };
    }
    without_tail(&inner).unwrap_or(arguments)
}

/// A whole object with closing brackets too many behind it.
fn without_tail(text: &str) -> Option<String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    values.next()?.ok()?;
    let (object, tail) = text.split_at_checked(values.byte_offset())?;
    let is_noise = tail.chars().all(|c| c.is_whitespace() || matches!(c, '}' | ']' | ')' | ';' | '`'));
    is_noise.then(|| object.to_owned())
}

/// Whether a text is a JSON object.
pub(crate) fn is_object(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok()
}

/// What stands in a code block: three backticks, perhaps a language, and three backticks at the end if it was closed.
fn fenced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("```")?;
    let inner = inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    Some(inner.trim_end().trim_end_matches('`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_in_strings_and_code_blocks() {
        let object = r#"{"number":"12"}"#;
        let string = serde_json::to_string(object).unwrap();
        let twice = serde_json::to_string(&string).unwrap();
        for wrapped in [
            object.to_owned(),
            string.clone(),
            twice,
            format!("{object}}}"),
            format!("{object}}}]\n"),
            format!("```json\n{object}\n```"),
            format!("```\n{object}```"),
            format!("```JSON {object}"),
            format!("```json\n{string}\n```"),
            serde_json::to_string(&format!("```json\n{object}\n```")).unwrap(),
        ] {
            assert_eq!(unwrapped(wrapped.clone()), object, "{wrapped}");
        }
    }

    #[test]
    fn what_holds_no_object_stays() {
        for other in [
            "",
            "12",
            "{\"a\":1} or so",
            "{\"a\":1}{\"b\":2}",
            "[\"12\"]",
            "\"twelve\"",
            "{\"number\":",
            "```",
            "```json",
            "null",
            "oops",
        ] {
            assert_eq!(unwrapped(other.to_owned()), other);
        }
    }
}
