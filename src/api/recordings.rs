//! `/calls/{id}/recording`: where the audio is, and the audio itself with byte ranges (RFC 9110 section 14).

use super::auth::OrgAuth;
use super::calls::find;
use super::error::ApiError;
use super::input::IdPath;
use super::rate_limit::unix_s;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::call::Call;
use crate::domain::ids::CallId;
use crate::store::OrgScope;
use crate::store::signed_tokens::TokenPurpose;
use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_range_header::parse_range_header;
use serde::Serialize;
use tower_http::services::ServeFile;
use utoipa::ToSchema;

/// Where the recording of a call is.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordingBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// Asks for the same key as everything else.
    recording_url: String,
    /// Always `audio/wav`.
    content_type: &'static str,
}

/// A client with an API key, or with the link from a report.
pub(super) struct RecordingAuth(OrgScope);

impl FromRequestParts<ApiState> for RecordingAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
        let Some(token) = token.map(|(_, token)| token.into_owned()) else {
            return OrgAuth::from_request_parts(parts, api).await.map(|OrgAuth(scope)| Self(scope));
        };
        let Path(id) = Path::<String>::from_request_parts(parts, api).await.map_err(|_| ApiError::not_found("Call"))?;
        let opened = api.links.secret.verify(TokenPurpose::Recording, &token, unix_s());
        let fits = opened.filter(|(_, call)| CallId::parse(&id) == Some(*call));
        fits.map(|(scope, _)| Self(scope)).ok_or_else(|| ApiError::unauthorized("The link is not valid, or no longer"))
    }
}

fn available(call: &Call) -> Result<&str, ApiError> {
    if !call.status().is_over() {
        return Err(ApiError::state("The call is still going on"));
    }
    call.recording.as_deref().ok_or_else(|| ApiError::not_found("Recording"))
}

/// Where the recording is, on the mount it was asked on.
#[utoipa::path(get, path = "/calls/{id}/recording", tag = "calls", operation_id = "get_recording", params(IdPath), responses((status = 200, body = RecordingBody)))]
pub(super) async fn locate(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    available(&call)?;
    let url = format!("{}{}/stream", api.http.base_url(&headers), uri.path().trim_end_matches('/'));
    Ok(ApiResponse::ok(RecordingBody { call_id: call.id.to_string(), recording_url: url, content_type: "audio/wav" }))
}

/// The recording: stereo WAV, caller left, agent right; takes byte ranges.
#[utoipa::path(get, path = "/calls/{id}/recording/stream", tag = "calls", operation_id = "download_recording", params(IdPath, ("token" = Option<String>, Query, description = "Of a report's link, in place of a key.")), responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 206, content_type = "audio/wav", body = Vec<u8>), (status = 416, description = "The range lies outside of the recording.")))]
pub(super) async fn stream(
    State(api): State<ApiState>, RecordingAuth(scope): RecordingAuth, Path(id): Path<String>, request: Request,
) -> Result<Response, ApiError> {
    let call = find(&api, scope, &id).await?;
    serve(&api, &call, request).await
}

/// The recording of a call, or the part of it that was asked for.
pub(super) async fn serve(api: &ApiState, call: &Call, mut request: Request) -> Result<Response, ApiError> {
    let path = api.recordings.folder.join(available(call)?);
    if !request.headers().get(header::RANGE).is_some_and(is_one_range) {
        request.headers_mut().remove(header::RANGE);
    }
    match ServeFile::new(path).try_call(request).await {
        Ok(response) if response.status() != StatusCode::NOT_FOUND => Ok(response.into_response()),
        read => {
            tracing::error!(call = %call.id, error = ?read.err(), "cannot read the recording");
            Err(ApiError::not_found("Recording"))
        }
    }
}

/// One range of bytes. Several, another unit or nonsense: the whole file is a correct answer (RFC 9110 section 14.2).
fn is_one_range(value: &HeaderValue) -> bool {
    let parsed = value.to_str().ok().and_then(|text| parse_range_header(text).ok());
    parsed.is_some_and(|parsed| parsed.ranges.len() == 1 && parsed.validate(u64::MAX).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_taken_and_everything_else_ignored() {
        for (text, is_taken) in [
            ("bytes=0-99", true),
            ("bytes=900-", true),
            ("bytes=-100", true),
            ("bytes=1000-", true),
            ("bytes=5-1", false),
            ("bytes=0-1,3-4", false),
            ("items=0-1", false),
            ("bytes=", false),
            ("bytes=a-b", false),
        ] {
            assert_eq!(is_one_range(&HeaderValue::from_static(text)), is_taken, "{text}");
        }
    }
}
