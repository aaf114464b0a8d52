//! `/calls/{id}/share` and `/shared-calls`: links that show one call to people without an account.

use super::auth::{Actor, OrgAuth};
use super::calls::find;
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, id, typed_with};
use super::rate_limit::unix_s;
use super::recordings;
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::call::{Call, Direction};
use crate::domain::ids::{CallId, CallShareId};
use crate::domain::secret::Secret;
use crate::domain::transcript::{Turn, TurnRole};
use crate::store::{CallShare, OrgScope};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Hours in which a link works: from one to thirty days.
const HOURS: std::ops::RangeInclusive<u32> = 1..=720;
const HOUR_MS: i64 = 3_600_000;

fn week() -> u32 {
    168
}

fn yes() -> bool {
    true
}

/// A link to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CallShareFields)]
pub(super) struct CallShareInput {
    /// Hours until the link stops working: 1 to 720; a week by default.
    #[serde(default = "week")]
    #[schema(minimum = 1, maximum = 720, default = 168)]
    expires_in_hours: u32,
    /// Whether it plays the recording too, if there is one; `true` by default.
    #[serde(default = "yes")]
    #[schema(default = true)]
    recording: bool,
}

/// A link to a call.
#[derive(Serialize, ToSchema)]
#[schema(as = CallShare)]
pub(super) struct CallShareView {
    #[schema(format = "uuid")]
    id: String,
    /// The call that it shows.
    #[schema(format = "uuid")]
    call_id: String,
    /// The link: whoever has it sees the call, without an account.
    url: String,
    /// Whether it plays the recording too.
    recording: bool,
    /// Who made it: an e-mail address, or `api_key:` and the id of the key.
    created_by: String,
    #[schema(format = "date-time")]
    created_at: String,
    /// When it stops working (RFC 3339, UTC).
    #[schema(format = "date-time")]
    expires_at: String,
}

impl CallShareView {
    fn new(api: &ApiState, scope: OrgScope, share: &CallShare) -> Self {
        let until_s = share.expires_at.0.unsigned_abs() / 1_000;
        let token = api.links.secret.sign_share(scope, share.id, until_s);
        Self {
            id: share.id.to_string(),
            call_id: share.call.to_string(),
            url: format!("{}/#/shared/{token}", api.links.base_url),
            recording: share.recording,
            created_by: share.created_by.clone(),
            created_at: share.created_at.rfc3339(),
            expires_at: share.expires_at.rfc3339(),
        }
    }
}

/// One link.
#[derive(Serialize, ToSchema)]
pub(super) struct CallShareBody {
    /// The link.
    share: CallShareView,
}

/// The links of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct CallShareList {
    /// Links that work, newest first; 20 at most.
    shares: Vec<CallShareView>,
}

/// A call as somebody with a link sees it: no numbers, no costs, no figures.
#[derive(Serialize, ToSchema)]
#[schema(as = SharedCall)]
pub(super) struct SharedCallView {
    /// Name of the agent; `null` if it was deleted or none had the call.
    agent_name: Option<String>,
    /// `inbound`, `outbound` or `web`.
    #[schema(value_type = Direction)]
    direction: &'static str,
    /// When the call began to be set up (RFC 3339, UTC).
    #[schema(format = "date-time")]
    started_at: String,
    /// Seconds from the answer to the end; `null` if it was not answered.
    duration_seconds: Option<i64>,
    /// The call in two or three sentences.
    summary: Option<String>,
    /// What caller and agent said, in order.
    transcript: Vec<Turn>,
    /// Whether `/shared-calls/{token}/recording` has the recording.
    recording_available: bool,
    /// When the link stops working (RFC 3339, UTC).
    #[schema(format = "date-time")]
    expires_at: String,
}

/// A call that was shared.
#[derive(Serialize, ToSchema)]
pub(super) struct SharedCallBody {
    /// The call.
    call: SharedCallView,
}

/// A call and one of its links.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path")]
pub(super) struct SharePath {
    /// Id of the call.
    #[param(format = "uuid")]
    id: String,
    /// Id of the link.
    #[param(format = "uuid")]
    share_id: String,
}

/// The token of a link.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path")]
pub(super) struct TokenPath {
    /// The last part of the link.
    #[param(value_type = String)]
    token: Secret,
}

fn faults(input: &CallShareInput) -> Vec<FieldError> {
    let wrong = !HOURS.contains(&input.expires_in_hours);
    let words = format!("must be between {} and {}", HOURS.start(), HOURS.end());
    wrong.then(|| FieldError::new("expires_in_hours", words)).into_iter().collect()
}

/// Makes a link that shows a call that is over, its transcript and its recording, to anybody who has it: without an
/// account, without numbers and costs, for a while.
#[utoipa::path(post, path = "/calls/{id}/share", tag = "calls", operation_id = "share", params(IdPath), request_body = CallShareInput, responses((status = 201, body = CallShareBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, caller: Actor, Path(id): Path<String>, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let call = find(&api, caller.scope, &id).await?;
    let input: CallShareInput = typed_with(object, Vec::new(), faults)?;
    if !call.status().is_over() {
        return Err(ApiError::state("The call is still going on"));
    }
    let lasts_ms = i64::from(input.expires_in_hours) * HOUR_MS;
    let share = api.store.share_call(caller.scope, call.id, input.recording, &caller.name(), lasts_ms).await?;
    caller.audit(&api, "call.share", call.id).await?;
    Ok(ApiResponse::created(CallShareBody { share: CallShareView::new(&api, caller.scope, &share) }))
}

/// The links of a call that work, newest first.
#[utoipa::path(get, path = "/calls/{id}/shares", tag = "calls", operation_id = "list_shares", params(IdPath), responses((status = 200, body = CallShareList)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    let shares = api.store.call_shares(scope, call.id).await?;
    let shares = shares.iter().map(|share| CallShareView::new(&api, scope, share)).collect();
    Ok(ApiResponse::ok(CallShareList { shares }))
}

/// Revokes a link: it works no longer.
#[utoipa::path(delete, path = "/calls/{id}/shares/{share_id}", tag = "calls", operation_id = "revoke_share", params(SharePath), responses((status = 200, body = Deleted)))]
pub(super) async fn revoke(
    State(api): State<ApiState>, caller: Actor, Path((call, share)): Path<(String, String)>,
) -> Result<ApiResponse, ApiError> {
    let call = id(&call, CallId::parse, "Call")?;
    let share = id(&share, CallShareId::parse, "Share")?;
    if !api.store.revoke_call_share(caller.scope, call, share).await? {
        return Err(ApiError::not_found("Share"));
    }
    caller.audit(&api, "call.unshare", call).await?;
    Ok(ApiResponse::deleted())
}

/// The link of a token, and its call.
async fn opened(api: &ApiState, token: &str) -> Result<(OrgScope, CallShare, Call), ApiError> {
    // One answer for all that do not work: a stranger learns nothing about calls.
    let void =
        || ApiError::new(axum::http::StatusCode::NOT_FOUND, "not_found", "This link does not work, or no longer");
    let (scope, id) = api.links.secret.verify_share(token, unix_s()).ok_or_else(void)?;
    let share = api.store.call_share(scope, id).await?.ok_or_else(void)?;
    let call = api.store.call(scope, share.call).await?.ok_or_else(void)?;
    Ok((scope, share, call))
}

/// Nobody keeps or lists what a link shows.
fn unlisted(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A call, by the token of a link to it. Without a key.
#[utoipa::path(get, path = "/shared-calls/{token}", tag = "calls", operation_id = "get_shared", security(()), params(TokenPath), responses((status = 200, body = SharedCallBody)))]
pub(super) async fn get_shared(
    State(api): State<ApiState>, visitor: ClientIp, Path(token): Path<String>,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    let (scope, share, call) = opened(&api, &token).await?;
    let agent = match call.agent {
        Some(agent) => api.store.agent(scope, agent).await?.map(|agent| agent.fields.name.clone()),
        None => None,
    };
    let spoken = |turn: &Turn| matches!(turn.role, TurnRole::User | TurnRole::Assistant);
    let shown = |turn: Turn| Turn { agent_id: None, said_by: None, ..turn };
    let transcript = api.store.turns(scope, call.id).await?.into_iter().filter(spoken).map(shown).collect();
    let call = SharedCallView {
        agent_name: agent,
        direction: call.direction.name(),
        started_at: call.started_at.rfc3339(),
        duration_seconds: call.duration_seconds(),
        summary: call.outcome.summary.clone(),
        transcript,
        recording_available: share.recording && call.recording.is_some(),
        expires_at: share.expires_at.rfc3339(),
    };
    Ok(unlisted(ApiResponse::ok(SharedCallBody { call })))
}

/// The recording of a call, by the token of a link to it: stereo WAV, caller left, agent right; takes byte ranges. Without
/// a key.
#[utoipa::path(get, path = "/shared-calls/{token}/recording", tag = "calls", operation_id = "download_shared", security(()), params(TokenPath), responses((status = 200, content_type = "audio/wav", body = Vec<u8>), (status = 206, content_type = "audio/wav", body = Vec<u8>), (status = 416, description = "The range lies outside of the recording.")))]
pub(super) async fn stream_shared(
    State(api): State<ApiState>, visitor: ClientIp, Path(token): Path<String>, request: Request,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    let (_, share, call) = opened(&api, &token).await?;
    if !share.recording {
        return Err(ApiError::not_found("Recording"));
    }
    Ok(unlisted(recordings::serve(&api, &call, request).await?))
}
