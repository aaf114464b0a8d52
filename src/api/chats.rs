//! `POST /calls/chat` and `/calls/{id}/message`: an agent in writing, without sound.

use super::auth::{Actor, OrgAuth};
use super::call_controls::{CallControlBody, control_unaudited, read};
use super::error::ApiError;
use super::input::{IdPath, JsonObject};
use super::rate_limit::unix_s;
use super::response::ApiResponse;
use super::state::ApiState;
use super::web_calls::{WebCallFields, read_order, refusal};
use crate::domain::call_control::{CallControl, MessageCommand};
use crate::domain::secret::{Secret, exposed};
use crate::store::signed_tokens::TokenPurpose;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// A chat that has begun.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatBody {
    /// Id of the chat; it is a call with the direction `chat`.
    #[schema(format = "uuid")]
    call_id: String,
    /// The agent that answers.
    #[schema(format = "uuid")]
    agent_id: String,
    /// WebSocket of the live transcript, which has the agent's words as they are written; connect with `session_token`.
    websocket_url: String,
    /// Good for this chat and five minutes, to connect with. Shown once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    session_token: Secret,
}

/// Begins a chat: the agent's prompt, tools, flow and history without sound. It is a call with the direction `chat`: it
/// takes a place of `max_concurrent_calls`, costs what its LLM costs, and uses no minutes. It ends five minutes after the last message
/// at the latest (`silence`), or by `POST /calls/{id}/end`. Nobody can be called from it: a transfer fails, and the agent goes on.
#[utoipa::path(post, path = "/calls/chat", tag = "calls", operation_id = "begin_chat", request_body = WebCallFields, responses((status = 201, body = ChatBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, headers: HeaderMap, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let (agent, order) = read_order(&api, scope, object).await?;
    let agent_id = agent.id.to_string();
    let call = api.calls.place_chat(scope, agent, order).await.map_err(refusal)?;
    let base = api.http.base_url(&headers).replacen("http", "ws", 1);
    Ok(ApiResponse::created(ChatBody {
        call_id: call.to_string(),
        agent_id,
        websocket_url: format!("{base}/ws/calls/{call}"),
        session_token: api.links.secret.sign(TokenPurpose::Live, scope, call, unix_s()).into(),
    }))
}

/// Writes to the agent of a chat: a turn of the caller. The answer comes over the live transcript. A message that comes
/// while the agent answers cuts the answer, and is answered next.
#[utoipa::path(post, path = "/calls/{id}/message", tag = "calls", operation_id = "write_message", params(IdPath), request_body = MessageCommand, responses((status = 200, body = CallControlBody)))]
pub(super) async fn message(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let (_, body) = control_unaudited(&api, &actor, &id, || Ok(CallControl::Message(read(object)?))).await?;
    Ok(ApiResponse::ok(body))
}
