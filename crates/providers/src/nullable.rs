//! Fields of vendors' messages that are `null` or of another shape: they count as missing.

use super::ProviderError;
use serde::{Deserialize as _, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Reads a field; `null` and values of another shape are the default, so that one odd field does not cost the message.
pub(crate) fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
    let value = Value::deserialize(source)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Reads a mark, which some servers write as a text or a number.
pub(crate) fn lenient_mark<'de, D: Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(source)?;
    let is_text = |text: &str| text.trim().eq_ignore_ascii_case("true") || text.trim() == "1";
    Ok(value == true || value == 1 || value.as_str().is_some_and(is_text))
}

/// Reads a list; items of another shape are left out, so that one odd item does not cost the list.
pub(crate) fn lenient_items<'de, T: DeserializeOwned, D: Deserializer<'de>>(source: D) -> Result<Vec<T>, D::Error> {
    let items: Vec<Value> = lenient(source)?;
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

/// Reads a message; one of another shape says nothing. Anything but JSON is not the protocol.
pub(crate) fn message<T: DeserializeOwned + Default>(text: &str) -> Result<T, ProviderError> {
    Ok(tagged(text)?.unwrap_or_default())
}

/// Reads a message whose field `type` says what it is; `None` for one of no kind that is known. Anything but JSON is not the
/// protocol.
pub(crate) fn tagged<T: DeserializeOwned>(text: &str) -> Result<Option<T>, ProviderError> {
    // A field that is there twice counts once.
    let value: Value = serde_json::from_str(text).map_err(ProviderError::invalid_response)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    struct Message {
        #[serde(default, deserialize_with = "lenient")]
        text: String,
        #[serde(default, deserialize_with = "lenient")]
        is_final: Option<bool>,
    }

    #[test]
    fn null_and_odd_shapes_count_as_missing() {
        for json in ["{}", "{\"text\":null}", "{\"text\":[],\"is_final\":\"yes\"}", "{\"is_final\":null}"] {
            assert_eq!(serde_json::from_str::<Message>(json).unwrap(), Message::default(), "{json}");
        }
        let whole = serde_json::from_str::<Message>("{\"text\":\"a\",\"is_final\":true}").unwrap();
        assert_eq!(whole, Message { text: "a".into(), is_final: Some(true) });
    }
}
