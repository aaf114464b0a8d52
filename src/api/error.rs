//! API errors: each has a status, a message and, where a client can act on it, a code.

use super::response::ResponsePayload;
use crate::domain::FieldError;
use crate::store::{OrganizationError, StoreError};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    pub details: Value,
}

impl ApiError {
    /// An error with a status, a code for programs (`details.code`) and a sentence for people.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: json!({"code": code}) }
    }

    /// One field of the body or the query that is wrong.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError::new(field, message)])
    }

    /// An error if there are faults.
    pub fn unless_empty(faults: Vec<FieldError>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self::fields(faults)) }
    }

    /// Fields of the body or the query that are wrong: the first is named in `details.field`, all are in
    /// `details.faults`.
    pub fn fields(faults: Vec<FieldError>) -> Self {
        let sentence = |fault: &FieldError| format!("`{}` {}", fault.field, fault.message);
        let message = faults.iter().map(sentence).collect::<Vec<_>>().join("; ");
        let each = |fault: &FieldError| json!({"field": fault.field, "message": fault.message});
        let field = faults.first().map_or("body", |fault| fault.field.as_str());
        let listed: Vec<Value> = faults.iter().map(each).collect();
        Self {
            status: StatusCode::BAD_REQUEST,
            message,
            details: json!({"code": "invalid_field", "field": field, "faults": listed}),
        }
    }

    /// A field refers to something that does not exist or belongs to another organization.
    pub fn no_reference(field: &str, message: &str) -> Self {
        let mut error = Self::new(StatusCode::NOT_FOUND, "not_found", format!("{field}: {message}"));
        error.details["field"] = json!(field);
        error
    }

    /// Used both for missing things and for things of other organizations.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// 400: the resource is in a state that does not allow the operation.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_state", message)
    }

    /// 401: neither a key nor a session.
    pub fn no_credentials() -> Self {
        Self::unauthorized("An API key is needed: Authorization: Bearer va_…")
    }

    /// 401: a key that does not exist, or no longer.
    pub fn invalid_key() -> Self {
        Self::unauthorized("The API key is not valid: it does not exist, or it was deleted")
    }

    /// 401: a session that has ended.
    pub fn session_over() -> Self {
        Self::unauthorized("The session is over: log in again")
    }

    /// 401: what came with the request opens nothing.
    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: the key or the user may not do this.
    pub fn forbidden(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 401: the login failed; the answer does not say which half was wrong.
    pub fn wrong_password() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong_credentials", "Wrong e-mail address or password")
    }

    /// The password fits accounts of several organizations.
    pub fn organization_required(organizations: Vec<impl Serialize>) -> Self {
        let message = "organization_id: this address and password belong to several organizations; name one of them";
        let mut error = Self::new(StatusCode::CONFLICT, "organization_required", message);
        error.details["field"] = json!("organization_id");
        error.details["organizations"] = json!(organizations);
        error
    }

    /// 429: too many wrong passwords; `wait_s` seconds until the next attempt.
    pub fn login_throttled(wait_s: u64) -> Self {
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, "login_throttled", "Too many wrong passwords; try again later");
        error.details["retry_after_seconds"] = json!(wait_s);
        error
    }

    /// 500: a fault of the server; the log has the details.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
    }

    /// 429: the rate limit of the key or the address is reached.
    pub fn too_many_requests() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests; Retry-After says when to go on")
    }

    /// A quota on stored objects: one must be deleted before another can be created.
    pub fn quota(limit: &str, max: i64) -> Self {
        let mut error =
            Self::forbidden("quota_exceeded", format!("The organization has as many {limit} as it may: {max}"));
        error.details["limit"] = json!(limit);
        error.details["max"] = json!(max);
        error
    }

    /// A quota on rate or concurrency: retry later.
    pub fn too_much(limit: &str, message: impl Into<String>, retry_after_s: Option<u32>) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", message);
        error.details["limit"] = json!(limit);
        if let Some(wait_s) = retry_after_s {
            error.details["retry_after_seconds"] = json!(wait_s);
        }
        error
    }

    /// 429: the organization holds as many connections as it may.
    pub fn too_many_connections() -> Self {
        let message =
            "Your organization has as many connections as it may (api.connections.connections_per_organization)";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", message)
    }

    /// 503: something that the server depends on cannot be used now.
    pub fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }
}

impl From<OrganizationError> for ApiError {
    fn from(error: OrganizationError) -> Self {
        let message = error.to_string();
        let about = |mut error: Self, field: &str| {
            error.details["field"] = json!(field);
            error
        };
        match error {
            OrganizationError::Unknown => Self::not_found("Organization"),
            OrganizationError::Lifted(field) => about(Self::forbidden("limit_of_parent", message), field),
            OrganizationError::Over { field, .. } => about(Self::forbidden("limit_of_parent", message), field),
            OrganizationError::TooDeep => about(Self::forbidden("quota_exceeded", message), "parent_org_id"),
            OrganizationError::Store(error) => error.into(),
        }
    }
}

impl From<FieldError> for ApiError {
    fn from(fault: FieldError) -> Self {
        Self::field(&fault.field, fault.message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(what) => {
                Self::new(StatusCode::BAD_REQUEST, "already_exists", format!("{what} exists already"))
            }
            StoreError::QuotaExceeded { limit, max } => Self::quota(limit, max),
            StoreError::Busy { limit } => {
                Self::too_much(limit, "The organization has one list read at a time; others wait already", Some(1))
            }
            other if other.is_unreachable() => {
                tracing::error!(error = %other, "database is unreachable");
                Self::unavailable("database_unavailable", "The database is unreachable")
            }
            other if other.is_unstorable() => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_text", "A text holds the character U+0000")
            }
            other => {
                tracing::error!(error = %other, "store error");
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
        if matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // The rest of the body is not read, so the connection cannot carry another request.
            response.headers_mut().insert("connection", axum::http::HeaderValue::from_static("close"));
        }
        if let Some(wait) = self.details["retry_after_seconds"].as_u64() {
            response.headers_mut().insert("retry-after", wait.into());
        }
        response.extensions_mut().insert(ResponsePayload::Failure { message: self.message, details: self.details });
        response
    }
}
