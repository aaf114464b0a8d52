//! The two response shapes and the request id. Handlers return a payload; this module wraps it as the mount requires.

use super::error::ApiError;
use super::rate_limit::{RateLimitSlot, RateLimitStatus};
use super::response::ResponsePayload;
use crate::store::now;
use crate::supervision::contain;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::Instrument as _;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Outermost layer of both mounts.
pub(super) async fn wrap(mut request: Request, next: Next) -> Response {
    let request_id = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Uuid::try_parse(text).ok())
        .unwrap_or_else(Uuid::new_v4)
        .hyphenated()
        .to_string();
    let enveloped = request.uri().path().starts_with("/api/");
    let span = tracing::info_span!("request", %request_id, method = %request.method());
    let slot = RateLimitSlot::default();
    request.extensions_mut().insert(slot.clone());
    // A handler that panics returns 500; the connection and its other requests continue.
    let answered = contain("api_request", next.run(request)).instrument(span).await;
    let mut response = answered.unwrap_or_else(|_| ApiError::internal().into_response());
    if let Some(quota) = slot.0.get() {
        rate_limit_headers(quota, response.headers_mut());
    }
    if let Some(payload) = response.extensions_mut().remove::<ResponsePayload>() {
        let body = body(payload, enveloped, &request_id);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn rate_limit_headers(quota: &RateLimitStatus, headers: &mut HeaderMap) {
    headers.insert("x-ratelimit-limit", quota.limit.into());
    headers.insert("x-ratelimit-remaining", quota.remaining.into());
    headers.insert("x-ratelimit-reset", quota.reset.into());
    if quota.retry_after_s > 0 {
        headers.insert(header::RETRY_AFTER, quota.retry_after_s.into());
    }
}

fn body(payload: ResponsePayload, enveloped: bool, request_id: &str) -> String {
    let meta = || format!("{{\"timestamp\":\"{}\",\"request_id\":\"{request_id}\"}}", now().rfc3339());
    match (payload, enveloped) {
        (ResponsePayload::Success(data), true) => format!("{{\"success\":true,\"data\":{data},\"meta\":{}}}", meta()),
        (ResponsePayload::Success(data), false) => (*data).to_owned(),
        (ResponsePayload::Deleted, true) => format!("{{\"success\":true,\"meta\":{}}}", meta()),
        (ResponsePayload::Deleted, false) => "{\"success\":true}".to_owned(),
        (ResponsePayload::Failure { message, details }, true) => {
            let error = Value::String(message);
            format!("{{\"success\":false,\"error\":{error},\"details\":{details},\"meta\":{}}}", meta())
        }
        (ResponsePayload::Failure { message, details }, false) => {
            json!({"error": message, "details": details}).to_string()
        }
        (ResponsePayload::Plain(value), _) => value.to_string(),
        (ResponsePayload::Written(text), _) => (*text).to_owned(),
    }
}
