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
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.expose()) { text.replace(secret.expose(), REMOVED) } else { text }
        })
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
