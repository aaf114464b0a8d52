//! Passwords, keys and tokens as a type: debug output never shows them, and code that reads one must do so explicitly.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that no log may show. It adds to [`SecretString`] what documents need: they are compared, and some of their
/// secrets are written ([`exposed`]).
#[derive(Clone, Debug, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// Returns the text itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// True for the empty text, which stands for no secret in the settings.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

/// The time depends on the lengths alone: a comparison with what a stranger has sent tells them nothing of the text.
impl PartialEq<str> for Secret {
    fn eq(&self, other: &str) -> bool {
        verify_slices_are_equal(self.expose().as_bytes(), other.as_bytes()).is_ok()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self == other.expose()
    }
}

impl Eq for Secret {}

/// Reads a text. Serde's default error for anything else would repeat the value.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                Ok(text.into())
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
                Ok(text.into())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
                Err(E::custom("must be a string"))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom("must be a string"))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom("must be a string"))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom("must be a string"))
            }
        }
        // `deserialize_string` lets formats make their own error, with the value in it.
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Writes the text of a `Secret` or an `Option<Secret>`, for `#[serde(serialize_with)]`. `Secret` has no `Serialize`, so
/// every field that is written in the clear names this function. There are two reasons for one: the document is stored
/// and read back, or a customer is shown a new secret once.
pub fn exposed<'a, T, S: Serializer>(secret: &'a T, serializer: S) -> Result<S::Ok, S::Error>
where
    &'a T: Into<Option<&'a Secret>>,
{
    let secret: Option<&Secret> = secret.into();
    secret.map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Document {
        #[serde(serialize_with = "exposed")]
        always: Secret,
        #[serde(default, serialize_with = "exposed")]
        maybe: Option<Secret>,
    }

    #[test]
    fn a_secret_is_written_where_a_field_says_so_and_shown_nowhere() {
        for json in [json!({"always": "clear", "maybe": "text"}), json!({"always": "clear", "maybe": null})] {
            let document: Document = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&document).unwrap(), json);
            let shown = format!("{document:?}");
            assert!(!shown.contains("clear") && !shown.contains("text"), "{shown}");
        }
    }

    #[test]
    fn the_error_for_a_value_of_another_type_does_not_repeat_it() {
        for value in [json!(4711), json!(-4711), json!(4711.5), json!(true), json!(["4711"]), json!({"a": "4711"})] {
            let error = serde_json::from_value::<Secret>(value).unwrap_err().to_string();
            assert!(error.contains("string") && !error.contains("4711") && !error.contains("true"), "{error}");
        }
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are() {
        assert_eq!(Secret::from("one"), Secret::from("one".to_owned()));
        for other in ["", "on", "onE", "one "] {
            assert_ne!(Secret::from("one"), Secret::from(other));
            assert_ne!(Secret::from("one"), *other);
        }
    }
}
