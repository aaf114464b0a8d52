//! An answer that is a refusal, or no answer, as an error.

use super::error::ProviderError;
use super::{refusal_words, transport};
use std::time::Duration;

/// Bytes of a refusal's body that are read; the sentence in it is short.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// A refusal with the start of its body, for the log and the call.
pub(crate) async fn refusal(response: reqwest::Response) -> ProviderError {
    let status = response.status().as_u16();
    let retry_after = transport::retry_after(response.headers());
    if let Err(ProviderError::InvalidResponse(message)) = transport::check_encoding(&response) {
        return ProviderError::Refused { status, message, retry_after };
    }
    let body = tokio::time::timeout(Duration::from_secs(2), transport::read_prefix(response, REFUSAL_BYTES_MAX)).await;
    let body = body.unwrap_or_default();
    // A page for people is no answer of the provider, but of something on the way to it.
    if matches!(status, 400 | 402) && body.trim_start().starts_with('<') {
        return ProviderError::InvalidResponse(format!("status {status} with a web page (HTML)"));
    }
    let mut message = sentence_of(body);
    message.truncate(message.floor_char_boundary(300));
    ProviderError::Refused { status, message, retry_after }
}

/// What a refusal says, with the field that it is about.
fn sentence_of(body: String) -> String {
    let body = inner_body(&body).unwrap_or(body);
    let field = transport::error_field(&body);
    let message = transport::error_text(&body).unwrap_or(body);
    let message = behind_excerpt(&message).unwrap_or(message);
    match field.filter(|field| !is_named(&message, field)) {
        Some(field) => format!("{field}: {message}"),
        None => message,
    }
}

/// What the server behind a gateway has said, which the gateway itself calls an error of its provider (OpenRouter).
fn inner_body(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let inner = body.pointer("/error/metadata/raw")?.as_str()?.trim();
    Some(inner.to_owned()).filter(|inner| !inner.is_empty() && !inner.starts_with('<'))
}

/// llama.cpp's own sentence stands behind an excerpt of the chat template that failed.
fn behind_excerpt(message: &str) -> Option<String> {
    let (_, sentence) = message.rsplit_once("\nError: ")?;
    Some(sentence.trim().to_owned()).filter(|sentence| !sentence.is_empty())
}

/// Whether a message names a field as one: the verb "to stream" is none.
fn is_named(message: &str, field: &str) -> bool {
    let is_word = field.chars().all(char::is_alphanumeric);
    if is_word { refusal_words::names(&message.to_lowercase(), &field.to_lowercase()) } else { message.contains(field) }
}

pub(crate) fn unreachable(error: &reqwest::Error) -> ProviderError {
    if error.is_timeout() {
        return ProviderError::Timeout("connection");
    }
    // The URL may hold a key; the source says what happened without it.
    let mut why = "request failed".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    ProviderError::Unreachable(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_and_the_field_of_a_refusal_are_found() {
        for (body, message) in [
            (
                r#"{"error":{"message":"Your organization must be verified to stream this model.","param":"stream"}}"#,
                "stream: Your organization must be verified to stream this model.",
            ),
            (
                r#"{"error":{"message":"Unsupported parameter: 'tools' is not supported.","param":"tools"}}"#,
                "Unsupported parameter: 'tools' is not supported.",
            ),
            (
                r#"{"detail":[{"loc":["body","tools"],"msg":"Extra inputs are not permitted"}]}"#,
                "tools: Extra inputs are not permitted",
            ),
            (
                r#"{"error":{"code":500,"message":"\n------------\nWhile executing CallExpression at line 1, column 67 in source:\n...{{ raise_exception('System r...\n ^\nError: Jinja Exception: System role not supported"}}"#,
                "Jinja Exception: System role not supported",
            ),
            (
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"You must be verified to stream.\",\"param\":\"stream\"}}"}}}"#,
                "stream: You must be verified to stream.",
            ),
            (
                r#"{"error":{"message":"Provider returned error","metadata":{"raw":"unknown field: seed"}}}"#,
                "unknown field: seed",
            ),
        ] {
            assert_eq!(sentence_of(body.to_owned()), message, "{body}");
        }
    }
}
