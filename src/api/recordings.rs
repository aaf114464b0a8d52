//! `/calls/{id}/recording`: where the audio is, and the audio itself with byte ranges (RFC 9110 section 14).

use super::ApiState;
use super::auth::{OrgAuth, unix_s};
use super::calls::find;
use super::envelope::ApiResponse;
use super::error::ApiError;
use super::input::{IdPath, base_url};
use crate::domain::call::Call;
use crate::domain::ids::CallId;
use crate::store::OrgScope;
use crate::store::signed_tokens::TokenPurpose;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, OriginalUri, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::io::SeekFrom;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use utoipa::ToSchema;

/// Bytes read from disk at a time.
const CHUNK: usize = 64 * 1024;

#[derive(Serialize, ToSchema)]
pub(super) struct RecordingBody {
    #[schema(format = "uuid")]
    call_id: String,
    /// Asks for the same key as everything else.
    recording_url: String,
    content_type: &'static str,
}

/// Somebody with a key, or with the link of a report.
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
        let opened = api.context.links.secret.verify(TokenPurpose::Recording, &token, unix_s());
        let fits = opened.filter(|(_, call)| CallId::parse(&id) == Some(*call));
        fits.map(|(scope, _)| Self(scope)).ok_or_else(ApiError::unauthorized)
    }
}

fn available(call: &Call) -> Result<&str, ApiError> {
    if !call.status.is_over() {
        return Err(ApiError::state("The call is still going on"));
    }
    call.recording.as_deref().ok_or_else(|| ApiError::not_found("Recording"))
}

/// Where the recording is, on the mount it was asked on.
#[utoipa::path(get, path = "/calls/{id}/recording", tag = "calls", params(IdPath), responses((status = 200, body = RecordingBody)))]
pub(super) async fn locate(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    available(&call)?;
    let url = format!("{}{}/stream", base_url(&api, &headers), uri.path().trim_end_matches('/'));
    Ok(ApiResponse::ok(RecordingBody { call_id: call.id.to_string(), recording_url: url, content_type: "audio/wav" }))
}

/// The recording: stereo WAV, caller left, agent right; takes byte ranges.
#[utoipa::path(get, path = "/calls/{id}/recording/stream", tag = "calls", params(IdPath, ("token" = Option<String>, Query, description = "Of a report's link, in place of a key.")), responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 206, content_type = "audio/wav", body = Vec<u8>), (status = 416, description = "The range lies outside of the recording.")))]
pub(super) async fn stream(
    State(api): State<ApiState>, RecordingAuth(scope): RecordingAuth, Path(id): Path<String>, headers: HeaderMap,
) -> Result<Response, ApiError> {
    let call = find(&api, scope, &id).await?;
    let path = api.context.recordings.join(available(&call)?);
    let gone = |error: std::io::Error| {
        tracing::error!(%error, "recording cannot be read");
        ApiError::not_found("Recording")
    };
    let mut file = File::open(&path).await.map_err(gone)?;
    let size = file.metadata().await.map_err(gone)?.len();
    let wanted = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, start, end) = match wanted.map(|range| byte_range(range, size)) {
        None | Some(ByteRange::Ignored) => (StatusCode::OK, 0, size),
        Some(ByteRange::Bytes(start, end)) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(ByteRange::Unsatisfiable) => {
            let response = (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]);
            return Ok(response.into_response());
        }
    };
    file.seek(SeekFrom::Start(start)).await.map_err(gone)?;
    let body = Body::from_stream(futures_util::stream::unfold((file, end - start), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut buffer = vec![0; CHUNK.min(left as usize)];
        match file.read(&mut buffer).await {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some((Ok(Bytes::from(buffer)), (file, left - count as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    }));
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("audio/wav"));
    headers.insert(header::ACCEPT_RANGES, header::HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(end - start));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = header::HeaderValue::from_str(&format!("bytes {start}-{}/{size}", end.saturating_sub(1)))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum ByteRange {
    /// First byte and the one after the last.
    Bytes(u64, u64),
    Unsatisfiable,
    /// Several ranges or another unit: the whole file is a correct answer.
    Ignored,
}

fn byte_range(text: &str, size: u64) -> ByteRange {
    let Some((first, last)) =
        text.strip_prefix("bytes=").filter(|rest| !rest.contains(',')).and_then(|rest| rest.split_once('-'))
    else {
        return ByteRange::Ignored;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last && first < size => ByteRange::Bytes(first, (last + 1).min(size)),
        (Ok(first), Err(_)) if last.trim().is_empty() && first < size => ByteRange::Bytes(first, size),
        (Err(_), Ok(count)) if first.trim().is_empty() && count > 0 && size > 0 => {
            ByteRange::Bytes(size.saturating_sub(count), size)
        }
        (Ok(first), Ok(last)) if first > last => ByteRange::Ignored,
        (Ok(_), Ok(_)) | (Ok(_), Err(_)) | (Err(_), Ok(_)) => ByteRange::Unsatisfiable,
        _ => ByteRange::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_thousand_bytes() {
        for (text, wanted) in [
            ("bytes=0-99", ByteRange::Bytes(0, 100)),
            ("bytes=900-", ByteRange::Bytes(900, 1_000)),
            ("bytes=-100", ByteRange::Bytes(900, 1_000)),
            ("bytes=0-5000", ByteRange::Bytes(0, 1_000)),
            ("bytes=1000-", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
            ("bytes=5-1", ByteRange::Ignored),
            ("bytes=0-1,3-4", ByteRange::Ignored),
            ("items=0-1", ByteRange::Ignored),
        ] {
            assert_eq!(byte_range(text, 1_000), wanted, "{text}");
        }
    }
}
