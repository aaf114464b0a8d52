//! `POST /calls/web`: a call for a browser, with a token that its page may have.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{JsonObject, typed};
use super::rate_limit::unix_s;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::admission::LimitExceededError;
use crate::call::driver::{WebCallError, WebCallParams};
use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, CallId};
use crate::domain::secret::{Secret, exposed};
use crate::domain::template::{self, TemplateUse};
use crate::domain::time::UnixMs;
use crate::store::{OrgScope, now};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Who calls or writes, and what the agent should know.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebCallFields {
    /// The agent that takes the call.
    #[schema(format = "uuid")]
    agent_id: String,
    /// Who calls, as the call's `from_number` shows it; `web` without.
    #[serde(default)]
    #[schema(max_length = 64)]
    caller: Option<String>,
    /// Replaces the agent's first message.
    #[serde(default)]
    starting_message: Option<String>,
    /// What the agent should know about the caller.
    #[serde(default)]
    context_data: Option<Map<String, Value>>,
    /// Echoed in every event of the call.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// What the page needs. Give it the token, never the API key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebCallBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// The agent that takes the call.
    #[schema(format = "uuid")]
    agent_id: String,
    /// Takes the browser's offer (WHIP, RFC 9725) with `Authorization: Bearer {token}`.
    #[schema(format = "uri")]
    whip_url: String,
    /// For this call alone: begins it at `whip_url` and follows it at `websocket_url`. Shown once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    token: Secret,
    /// Until then the call can be begun.
    #[schema(format = "date-time")]
    expires_at: String,
    /// WebSocket of the live transcript, with the same token as `session_token`.
    websocket_url: String,
    /// For the browser's `RTCPeerConnection`, in its format.
    ice_servers: Vec<IceServerBody>,
}

/// As `RTCPeerConnection` takes it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IceServerBody {
    /// `stun:` or `turn:` URL.
    urls: String,
    /// User name at the TURN server.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Password at the TURN server.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(value_type = Option<String>)]
    credential: Option<Secret>,
}

pub(super) fn refusal(fault: WebCallError) -> ApiError {
    let message = fault.to_string();
    match fault {
        WebCallError::Disabled => ApiError::unavailable("webrtc_off", message),
        WebCallError::AgentInactive => ApiError::state(message),
        WebCallError::ProviderMissing(_) => ApiError::unavailable("provider_not_configured", message),
        WebCallError::TooManyWaiting => {
            let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_waiting", message);
            error.details["limit"] = "web_calls_waiting".into();
            error
        }
        WebCallError::Overloaded | WebCallError::Denied(LimitExceededError::FairShare) => {
            ApiError::unavailable("overloaded", message)
        }
        WebCallError::Denied(LimitExceededError::DailyLimit) => ApiError::forbidden(
            "daily_limit_reached",
            "The organization has used up its minutes or its money of the day",
        ),
        WebCallError::Denied(denied) => ApiError::too_much(denied.limit(), message, denied.retry_after_s(now())),
        WebCallError::StoreUnavailable => ApiError::unavailable("database_unavailable", message),
        WebCallError::TokenUsed => ApiError::forbidden("token_used", message),
        WebCallError::AddressFull => ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", message),
        WebCallError::CallEnded => ApiError::not_found("Call"),
        WebCallError::Internal => ApiError::internal(),
        WebCallError::Offer(_) => ApiError::new(StatusCode::BAD_REQUEST, "invalid_offer", message),
    }
}

/// Begins a call that waits for a browser.
#[utoipa::path(post, path = "/calls/web", tag = "web-calls", request_body = WebCallFields, responses((status = 201, body = WebCallBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, OriginalUri(uri): OriginalUri, headers: HeaderMap,
    JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let (agent, order) = read_order(&api, scope, object).await?;
    let agent_id = agent.id;
    let call = api.calls.place_web(scope, agent, order).await.map_err(refusal)?;
    let mount = uri.path().trim_end_matches("/calls/web");
    Ok(ApiResponse::created(WebCallBody::new(&api, &api.http.base_url(&headers), mount, scope, call, agent_id)))
}

/// Reads who is to take the call or chat, and with what.
pub(super) async fn read_order(
    api: &ApiState, scope: OrgScope, object: Map<String, Value>,
) -> Result<(Agent, WebCallParams), ApiError> {
    let fields: WebCallFields = typed(object)?;
    let unknown = || ApiError::no_reference("agent_id", "is not an agent of this organization");
    let agent = AgentId::parse(&fields.agent_id).ok_or_else(unknown)?;
    let agent = api.store.agent(scope, agent).await?.ok_or_else(unknown)?;
    let caller = fields.caller.filter(|caller| !caller.trim().is_empty());
    if caller.as_ref().is_some_and(|caller| caller.chars().count() > 64) {
        return Err(ApiError::field("caller", "must have at most 64 characters"));
    }
    if let Some(Err(fault)) = fields.starting_message.as_deref().map(|text| template::check(text, TemplateUse::Text)) {
        return Err(ApiError::field("starting_message", format!("is not a valid template: {fault}")));
    }
    let order = WebCallParams {
        caller,
        metadata: fields.metadata,
        context_data: fields.context_data,
        first_message: fields.starting_message,
    };
    Ok((agent, order))
}

impl WebCallBody {
    pub(super) fn new(api: &ApiState, base: &str, mount: &str, scope: OrgScope, call: CallId, agent: AgentId) -> Self {
        let until_s = unix_s() + api.web.token_valid_s;
        Self {
            call_id: call.to_string(),
            agent_id: agent.to_string(),
            whip_url: format!("{base}{mount}/whip/{agent}"),
            token: api.links.secret.sign_web(scope, call, agent, until_s).into(),
            expires_at: UnixMs(i64::try_from(until_s).unwrap_or(i64::MAX / 1_000) * 1_000).rfc3339(),
            websocket_url: format!("{}/ws/calls/{call}", base.replacen("http", "ws", 1)),
            ice_servers: ice_servers(api),
        }
    }
}

fn ice_servers(api: &ApiState) -> Vec<IceServerBody> {
    let servers = api.web.ice_servers.iter().cloned();
    servers
        .map(|server| IceServerBody { urls: server.url, username: server.username, credential: server.credential })
        .collect()
}
