//! `Idempotency-Key`: a POST that is repeated with the same key gets the first answer again, instead of another call or
//! another trunk. The answers are in the database, so this holds on every node and after a restart.

use super::auth::OrgAuth;
use super::auth_header::{bearer_token, cookie};
use super::error::ApiError;
use super::input::read_body;
use super::large_body_queue::LARGE_BYTES;
use super::response::ResponsePayload;
use super::state::ApiState;
use crate::store::{IdempotencyClaim, OrgScope};
use crate::supervision;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts as _, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The header of requests.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of answers that were given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters of a key; UUIDs have 36.
const KEY_CHARS_MAX: usize = 255;
/// Bytes of an answer that is kept.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Headers of an answer that belong to it.
const KEPT_HEADERS: [HeaderName; 2] = [header::ETAG, header::LOCATION];
/// Resources whose answers are not kept: they hold secrets, or their clients have no organization.
const EXCEPTED: [&str; 6] = ["auth", "whip", "api-keys", "secrets", "users", "organizations"];

/// Whether the key of a request to this operation counts. `path` is without the mount.
pub(super) fn applies(method: &str, path: &str) -> bool {
    let resource = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    method.eq_ignore_ascii_case("post") && !EXCEPTED.contains(&resource)
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    headers: Vec<(String, String)>,
    payload: KeptPayload,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptPayload {
    Success(String),
    Deleted,
    Failure { message: String, details: Value },
}

impl KeptAnswer {
    fn of(response: &Response) -> Option<Self> {
        let payload = match response.extensions().get::<ResponsePayload>()? {
            ResponsePayload::Success(data) => KeptPayload::Success((**data).to_owned()),
            ResponsePayload::Deleted => KeptPayload::Deleted,
            ResponsePayload::Failure { message, details } => {
                KeptPayload::Failure { message: message.clone(), details: details.clone() }
            }
            ResponsePayload::Plain(_) | ResponsePayload::Written(_) => return None,
        };
        let text =
            |name: &HeaderName| Some((name.to_string(), response.headers().get(name)?.to_str().ok()?.to_owned()));
        Some(Self { headers: KEPT_HEADERS.iter().filter_map(text).collect(), payload })
    }

    /// The answer once more.
    fn replay(self, status: StatusCode) -> Response {
        let mut response = status.into_response();
        response.extensions_mut().insert(match self.payload {
            KeptPayload::Success(data) => ResponsePayload::Success(data.into()),
            KeptPayload::Deleted => ResponsePayload::Deleted,
            KeptPayload::Failure { message, details } => ResponsePayload::Failure { message, details },
        });
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// The key of a request, if it has one.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut all = headers.get_all(&KEY).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let wrong = |message: String| Err(ApiError::field("Idempotency-Key", message));
    if all.any(|other| other != first) {
        return wrong("must not be sent twice".to_owned());
    }
    let text = first.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > KEY_CHARS_MAX || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return wrong(format!("must have 1 to {KEY_CHARS_MAX} printable ASCII characters"));
    }
    Ok(Some(text.to_owned()))
}

/// What makes two requests the same: method, path without the mount, query, and the body as a JSON value.
fn fingerprint(method: &Method, path_and_query: &str, body: &[u8]) -> String {
    let path = path_and_query.strip_prefix("/api").unwrap_or(path_and_query);
    // Clients that repeat a request may write its fields in another order.
    let value: Option<Value> = if body.len() <= LARGE_BYTES { serde_json::from_slice(body).ok() } else { None };
    let canonical = value.map(|value| value.to_string().into_bytes());
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes(), canonical.as_deref().unwrap_or(body)] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who asks, without counting the request; `None` leaves the refusal to the handler.
async fn organization(api: &ApiState, headers: &HeaderMap) -> Result<Option<OrgScope>, ApiError> {
    if let Some(text) = bearer_token(headers).filter(|key| key.starts_with("va_")) {
        return Ok(api.store.authenticate(text).await?.map(|key| key.scope));
    }
    match cookie(headers) {
        Some(token) => Ok(api.store.session(token).await?.map(|session| session.scope)),
        None => Ok(None),
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> ApiError {
    let mut error = ApiError::new(status, code, message);
    error.details["field"] = "Idempotency-Key".into();
    error
}

/// Answers a request whose key was used, or passes it on and keeps the answer.
pub(super) async fn layer(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let uri = request.extensions().get::<OriginalUri>().map_or(request.uri(), |uri| &uri.0).clone();
    let path = uri.path().trim_start_matches("/api").trim_start_matches("/v1");
    if !request.headers().contains_key(&KEY) || !applies(request.method().as_str(), path) {
        return next.run(request).await;
    }
    let path_and_query = uri.path_and_query().map_or(uri.path(), |whole| whole.as_str());
    match keyed(api, request, next, path_and_query).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn keyed(api: ApiState, request: Request, next: Next, path: &str) -> Result<Response, ApiError> {
    let Some(scope) = organization(&api, request.headers()).await? else { return Ok(next.run(request).await) };
    let Some(key) = key_of(request.headers())? else { return Ok(next.run(request).await) };
    let (mut parts, body) = request.into_parts();
    let body = read_body(body, api.http.body_bytes_max).await?;
    let fingerprint = fingerprint(&parts.method, path, &body);
    let claim = api.store.claim_idempotency_key(scope, &key, &fingerprint).await?;
    if claim != IdempotencyClaim::Claimed {
        // It counts like any request, and only who may ask gets the answer.
        OrgAuth::from_request_parts(&mut parts, &api).await?;
    }
    match claim {
        IdempotencyClaim::Claimed => answer(api, scope, key, parts, body, next).await,
        IdempotencyClaim::Answered { status, answer } => {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let kept = serde_json::from_str::<KeptAnswer>(&answer).ok();
            let (status, kept) = status.zip(kept).ok_or_else(ApiError::internal)?;
            Ok(kept.replay(status))
        }
        IdempotencyClaim::Running => {
            let message = "The first request with this Idempotency-Key is still being answered; repeat this one later";
            let mut error = refusal(StatusCode::CONFLICT, "idempotency_key_in_use", message);
            error.details["retry_after_seconds"] = 1.into();
            Err(error)
        }
        IdempotencyClaim::Interrupted => {
            let message = "The first request with this Idempotency-Key was interrupted: look whether its work was done, and \
                use another key";
            Err(refusal(StatusCode::CONFLICT, "idempotency_key_interrupted", message))
        }
        IdempotencyClaim::OtherRequest => {
            let message = "This Idempotency-Key was used for another request within the last 24 hours";
            Err(refusal(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message))
        }
    }
}

/// Carries out the first request with a key. It goes on when its client has gone: that client will come again and ask.
async fn answer(
    api: ApiState, scope: OrgScope, key: String, parts: Parts, body: Bytes, next: Next,
) -> Result<Response, ApiError> {
    let request = Request::from_parts(parts, Body::from(body));
    let work = async move {
        let answered = supervision::contain("api_request", next.run(request)).await;
        let response = answered.unwrap_or_else(|_| ApiError::internal().into_response());
        let status = response.status();
        // A refusal has done nothing. An internal error may have: it is kept, so that nothing is done twice.
        let is_kept = status.is_success() || status == StatusCode::INTERNAL_SERVER_ERROR;
        let kept = KeptAnswer::of(&response).filter(|_| is_kept).and_then(|kept| serde_json::to_string(&kept).ok());
        let written = match kept.filter(|text| text.len() <= ANSWER_BYTES_MAX) {
            Some(text) => api.store.record_idempotent_answer(scope, &key, i64::from(status.as_u16()), &text).await,
            None if is_kept => Ok(()), // cannot be repeated: the key stays used
            None => api.store.release_idempotency_key(scope, &key).await,
        };
        if let Err(error) = written {
            tracing::error!(%error, "cannot record the answer of an idempotent request");
        }
        response
    };
    match supervision::spawn("idempotent_request", work).await {
        Ok(Ok(response)) => Ok(response),
        _ => Err(ApiError::internal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_the_same_whatever_the_order_of_their_fields() {
        let of = |path: &str, body: &str| fingerprint(&Method::POST, path, body.as_bytes());
        let first = of("/api/v1/tasks", r#"{"a": 1, "b": {"c": 2, "d": 3}}"#);
        assert_eq!(first, of("/v1/tasks", r#"{"b":{"d":3,"c":2},"a":1}"#), "and whatever the mount");
        for (path, body) in [
            ("/api/v1/tasks", r#"{"a": 2, "b": {"c": 2, "d": 3}}"#),
            ("/api/v1/agents", r#"{"a": 1, "b": {"c": 2, "d": 3}}"#),
            ("/api/v1/tasks?x=1", r#"{"a": 1, "b": {"c": 2, "d": 3}}"#),
            ("/api/v1/tasks", ""),
            ("/api/v1/tasks", "{"),
        ] {
            assert_ne!(first, of(path, body), "{path} {body}");
        }
        assert_ne!(of("/v1/a", ""), of("/v1/a", " "));
    }

    #[test]
    fn a_key_has_a_length() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            key_of(&headers).map_err(|error| error.details["field"].clone())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["a"]), Ok(Some("a".into())));
        assert_eq!(of(&["a", "a"]), Ok(Some("a".into())));
        assert_eq!(of(&[&"k".repeat(255)]), Ok(Some("k".repeat(255))));
        for wrong in [&[""][..], &[" "], &["a", "b"], &["ü"], &[&"k".repeat(256)]] {
            assert_eq!(of(wrong), Err(json!("Idempotency-Key")), "{wrong:?}");
        }
    }

    #[test]
    fn keys_count_where_something_is_made_and_nothing_is_secret() {
        for path in ["/tasks", "/tasks/1/execute", "/calls/web", "/agents", "/trunks", "/phone-numbers"] {
            assert!(applies("POST", path) && applies("post", path), "{path}");
            assert!(!applies("GET", path) && !applies("PATCH", path), "{path}");
        }
        for path in [
            "/auth/login",
            "/whip/1",
            "/api-keys",
            "/api-keys/1/regenerate",
            "/secrets",
            "/users/invite",
            "/organizations",
        ] {
            assert!(!applies("POST", path), "{path}");
        }
    }

    #[test]
    fn an_answer_is_given_again_with_its_headers() {
        let mut response = super::super::response::ApiResponse::created(json!({"a": 1})).into_response();
        response.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"1\""));
        let text = serde_json::to_string(&KeptAnswer::of(&response).unwrap()).unwrap();
        let again = serde_json::from_str::<KeptAnswer>(&text).unwrap().replay(StatusCode::CREATED);
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()[header::ETAG], "\"1\"");
        assert_eq!(again.headers()[REPLAYED], "true");
        let payload = again.extensions().get::<ResponsePayload>().unwrap();
        assert!(matches!(payload, ResponsePayload::Success(data) if &**data == "{\"a\":1}"), "{payload:?}");
    }
}
