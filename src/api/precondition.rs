//! Conditional changes (RFC 9110 section 13): an `ETag` names the state of a document, and a change may say with
//! `If-Match` which state it was made from. Without `If-Match` a change is made to whatever is stored by then, so two
//! changes of different fields both hold.

use super::error::ApiError;
use super::response::ApiResponse;
use super::state::ApiState;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

/// How often a change is retried because another one came between read and write. Changes through one process are
/// serialized ([`super::large_body_queue`]); only other processes and running calls interfere.
pub(super) const ATTEMPTS_MAX: usize = 20;

/// The header, for the description of the API.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes IfMatch")]
pub(super) struct IfMatchHeader {
    /// The `ETag` of the state this change was made from; 412 when the document has changed since.
    #[param(rename = "If-Match", value_type = String, required = false, pattern = r#"^(\*|"[0-9]+")$"#)]
    if_match: Option<String>,
}

/// The states of a document that a request accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// No header, or `*`: any state will do.
    Any,
    /// One of these entity tags, as they were sent.
    OneOf(Vec<String>),
}

impl FromRequestParts<ApiState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let lines = parts.headers.get_all(header::IF_MATCH).iter();
        let lines = lines.map(|line| line.to_str().map_err(|_| malformed())).collect::<Result<Vec<_>, _>>()?;
        Self::parse(&lines)
    }
}

fn malformed() -> ApiError {
    ApiError::field("If-Match", "must be the ETag of an earlier answer, such as \"3\", a list of them, or *")
}

impl IfMatch {
    fn parse(lines: &[&str]) -> Result<Self, ApiError> {
        if lines.is_empty() || lines.iter().any(|line| line.trim() == "*") {
            return Ok(Self::Any);
        }
        let tags = lines.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|tag| !tag.is_empty());
        let tags: Vec<String> = tags.map(str::to_owned).collect();
        let is_tag = |tag: &String| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
        };
        if tags.is_empty() || !tags.iter().all(is_tag) {
            return Err(malformed());
        }
        Ok(Self::OneOf(tags))
    }

    /// Refuses with 412 when the document is in another state than those that the request accepts. The refusal tells
    /// both states: for each field that `sent` wants to change, the stored value and the sent one. Fields that answers
    /// never show (secrets) are left out.
    pub(super) fn check(
        &self, version: i64, sent: &Map<String, Value>, current: impl Serialize,
    ) -> Result<(), ApiError> {
        let Self::OneOf(tags) = self else { return Ok(()) };
        let current_tag = etag(version);
        // A weak tag never matches (RFC 9110 section 13.1.1).
        if tags.contains(&current_tag) {
            return Ok(());
        }
        let stored = serde_json::to_value(current).unwrap_or_default();
        let both = |(name, value): (&String, &Value)| {
            let now = stored.get(name).filter(|now| *now != value)?;
            Some((name.clone(), json!({"current": now, "sent": value})))
        };
        let message = "The document was changed meanwhile; read it again and repeat the change";
        let mut error = ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", message);
        error.details["current_etag"] = json!(current_tag);
        error.details["sent_etag"] = json!(tags.join(", "));
        error.details["fields"] = Value::Object(sent.iter().filter_map(both).collect());
        Err(error)
    }
}

/// The entity tag of a version.
fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Refuses a change that lost against others [`ATTEMPTS_MAX`] times.
pub(super) fn contended() -> ApiError {
    ApiError::unavailable("contended", "Too many changes of this document at once; try again")
}

/// An answer that shows a document, with the version of its state as `ETag`.
#[derive(Debug)]
pub(super) struct Versioned(pub i64, pub ApiResponse);

impl IntoResponse for Versioned {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Ok(value) = HeaderValue::from_str(&etag(self.0)) {
            response.headers_mut().insert(header::ETAG, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Map<String, Value> {
        json!({"name": "Mine", "webhook_secret": "hidden", "is_active": true}).as_object().unwrap().clone()
    }

    #[test]
    fn lists_weak_tags_and_nonsense_are_told_apart() {
        let parse = |lines: &[&str]| IfMatch::parse(lines);
        assert_eq!(parse(&[]).unwrap(), IfMatch::Any);
        assert_eq!(parse(&["*"]).unwrap(), IfMatch::Any);
        let several = parse(&["\"1\", \"2\"", "\"7\""]).unwrap();
        for (version, fits) in [(1, true), (2, true), (7, true), (3, false)] {
            assert_eq!(several.check(version, &sent(), json!({})).is_ok(), fits, "{version}");
        }
        assert!(parse(&["W/\"3\""]).unwrap().check(3, &sent(), json!({})).is_err(), "weak tags never match");
        for bad in ["3", "", " , ", "\"", "\"3", "W/3", "\"1\", x"] {
            assert_eq!(parse(&[bad]).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }

    #[test]
    fn a_refusal_tells_both_values_and_no_secret() {
        let stored = json!({"name": "Theirs", "is_active": true, "description": "x"});
        let error = IfMatch::OneOf(vec!["\"1\"".to_owned()]).check(2, &sent(), stored).unwrap_err();
        assert_eq!(error.status, StatusCode::PRECONDITION_FAILED);
        let fields = json!({"name": {"current": "Theirs", "sent": "Mine"}});
        let details =
            json!({"code": "precondition_failed", "current_etag": "\"2\"", "sent_etag": "\"1\"", "fields": fields});
        assert_eq!(error.details, details);
    }
}
