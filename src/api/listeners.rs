//! `POST /calls/{id}/listen`: somebody of the organization hears a call in a browser, and is not heard.

use super::auth::Actor;
use super::calls::find;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, typed};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::driver::{ConcurrencyLimitError, ListenError};
use crate::domain::call::{CallStatus, Direction};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use trunkline_signaling::webrtc::offer;
use utoipa::ToSchema;

/// A browser that wants to listen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenFields {
    /// The browser's SDP offer: one audio stream, `recvonly`. Candidates need not be waited for.
    #[schema(min_length = 1, max_length = 65536)]
    sdp: String,
}

/// What the browser needs to hear the call.
#[derive(Serialize, ToSchema)]
pub(super) struct ListenBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// The SDP answer. Close the connection to stop listening.
    sdp: String,
}

/// Listens to a call in progress over WebRTC: both sides in one sound, and nothing of the listener's goes to the call. Four
/// people may listen to a call at once; each counts as a live connection. The audit log says who listened. Ask the process that holds the call.
#[utoipa::path(post, path = "/calls/{id}/listen", tag = "calls", params(IdPath), request_body = ListenFields, responses((status = 200, body = ListenBody)))]
pub(super) async fn listen(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, actor.scope, &id).await?;
    let ListenFields { sdp } = typed(object)?;
    let sdp =
        offer::validate(sdp.as_bytes()).map_err(|why| ApiError::field("sdp", format!("is no usable offer: {why}")))?;
    match (call.status(), call.direction) {
        (CallStatus::Completed | CallStatus::Failed, _) => {
            return Err(refused("call_over", "The call is over"));
        }
        (CallStatus::Initiated, _) => return Err(refusal(&ListenError::NotAnswered)),
        (CallStatus::InProgress, Direction::Chat) => return Err(refusal(&ListenError::NoSound)),
        (CallStatus::InProgress, _) => {}
    }
    let lineage = api.store.lineage(actor.scope).await?;
    let permit = api.live_calls.listeners.take(&lineage).map_err(|limit: ConcurrencyLimitError| {
        ApiError::too_much(limit.limit(), "As many connections listen as may: close one of the others", Some(1))
    })?;
    let answer = api.calls.listen_in(actor.scope, call.id, &sdp, permit).await.map_err(|error| refusal(&error))?;
    actor.audit(&api, "call.listen", call.id).await?;
    Ok(ApiResponse::ok(ListenBody { call_id: call.id.to_string(), sdp: answer }))
}

fn refusal(error: &ListenError) -> ApiError {
    let message = error.to_string();
    match error {
        ListenError::Disabled => ApiError::unavailable("webrtc_off", message),
        ListenError::Overloaded => ApiError::unavailable("overloaded", message),
        ListenError::Offer(_) => ApiError::field("sdp", format!("is no usable offer: {message}")),
        ListenError::NotHere => refused("call_elsewhere", &message),
        ListenError::NotAnswered => refused("call_not_answered", &message),
        ListenError::NoSound => refused("chat_has_no_sound", &message),
        ListenError::TooMany => ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_listeners", message),
    }
}

fn refused(code: &'static str, message: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, message)
}
