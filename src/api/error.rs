//! Refusals: every one has a status, a sentence and, where a client can act on it, a code.

use super::envelope::Payload;
use crate::domain::FieldFault;
use crate::store::StoreError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    pub details: Value,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: json!({"code": code}) }
    }

    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            message: format!("{field}: {message}"),
            details: json!({"code": "invalid_field", "field": field}),
        }
    }

    /// A field that names something that does not exist, or is somebody else's.
    pub fn no_reference(field: &str, message: &str) -> Self {
        let mut error = Self::new(StatusCode::NOT_FOUND, "not_found", format!("{field}: {message}"));
        error.details["field"] = json!(field);
        error
    }

    /// The same for a thing that does not exist and one that is somebody else's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    pub fn state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_state", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Missing or invalid API key")
    }

    pub fn forbidden(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub fn wrong_password() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "Wrong e-mail address or password")
    }

    pub fn login_throttled(wait_s: u64) -> Self {
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "login_throttled", "Too many wrong passwords; try again later");
        error.details["retry_after_seconds"] = json!(wait_s);
        error
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
    }

    pub fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests; Retry-After says when to go on")
    }

    pub fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }
}

impl From<FieldFault> for ApiError {
    fn from(fault: FieldFault) -> Self {
        Self::field(&fault.field, fault.message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(what) => {
                Self::new(StatusCode::BAD_REQUEST, "already_exists", format!("{what} exists already"))
            }
            other if other.is_unreachable() => {
                tracing::error!(error = %other, "database is unreachable");
                Self::unavailable("database_unavailable", "The database is unreachable")
            }
            other if other.is_unstorable() => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_text", "A text holds the character U+0000")
            }
            other => {
                tracing::error!(error = %other, "store failed");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert("www-authenticate", axum::http::HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read: the connection cannot carry another request.
            response.headers_mut().insert("connection", axum::http::HeaderValue::from_static("close"));
        }
        if let Some(wait) = self.details["retry_after_seconds"].as_u64() {
            response.headers_mut().insert("retry-after", wait.into());
        }
        response.extensions_mut().insert(Payload::Failure { message: self.message, details: self.details });
        response
    }
}
