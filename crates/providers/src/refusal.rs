//! An answer that is a refusal, or no answer, as an error.

use super::error::ProviderError;
use super::transport;
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
    let field = transport::error_field(&body);
    let mut message = transport::error_text(&body).unwrap_or(body);
    if let Some(field) = field.filter(|field| !message.contains(field.as_str())) {
        message = format!("{field}: {message}");
    }
    message.truncate(message.floor_char_boundary(300));
    ProviderError::Refused { status, message, retry_after }
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
