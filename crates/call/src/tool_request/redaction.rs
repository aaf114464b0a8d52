//! Removes the secrets of a request from its answer: some servers repeat what they were sent.

use crate::domain::secret::Secret;
use crate::domain::template::percent_encoded;
use serde_json::Value;

/// Stands where a secret was.
const REMOVED: &str = "[removed]";
/// Shorter texts are no secrets, and occur in every answer.
const SECRET_BYTES_MIN: usize = 4;

/// Texts that must not reach the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redaction(Vec<Secret>);

impl Redaction {
    /// Of these secrets, in each form in which they may come back.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut all = Self::default();
        secrets.for_each(|secret| all.add(secret.expose()));
        all
    }

    /// One more.
    pub(super) fn add(&mut self, text: &str) {
        let coded = percent_encoded(text);
        for form in [text.to_owned(), coded] {
            let known = self.0.iter().any(|known| *known.expose() == form);
            if form.len() >= SECRET_BYTES_MIN && !known {
                self.0.push(Secret::from(form));
            }
        }
        // One secret may be a part of another one.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
    }

    /// The text without the secrets.
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| removed(text, secret.expose()))
    }

    /// The value without the secrets, in names and in texts.
    pub fn value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (self.text(&name), self.value(value))).collect()
            }
            Value::Number(number) => {
                let text = number.to_string();
                let shown = self.text(&text);
                if shown == text { Value::Number(number) } else { Value::String(shown) }
            }
            other => other,
        }
    }
}

/// The text without a secret, whichever of its characters are percent-encoded.
fn removed(text: String, secret: &str) -> String {
    if !text.contains(secret) && !text.contains(['%', '+']) {
        return text;
    }
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some(first) = rest.chars().next() {
        match encoded_length(rest.as_bytes(), secret.as_bytes()) {
            Some(length) => {
                kept.push_str(REMOVED);
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                kept.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    kept
}

/// Bytes of a text that begins with a secret, of which any may be percent-encoded; `None` if it begins otherwise.
fn encoded_length(text: &[u8], secret: &[u8]) -> Option<usize> {
    let mut at = 0;
    for byte in secret {
        at += match text.get(at..)? {
            [first, ..] if first == byte => 1,
            [b'+', ..] if *byte == b' ' => 1,
            [b'%', high, low, ..] if hex_pair(*high, *low) == Some(*byte) => 3,
            _ => return None,
        };
    }
    Some(at)
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}
