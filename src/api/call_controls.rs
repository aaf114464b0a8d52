//! `/calls/{id}/say`, `instruct`, `transfer`, `hold` and `resume`: commands from beside a call in progress.

use super::auth::Actor;
use super::calls::find;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, validated};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::call::{CallStatus, Direction};
use crate::domain::call_control::{CallControl, ControlError, InstructCommand, SayCommand, TransferCommand};
use crate::domain::ids::CallId;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use garde::Validate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// A command that the call has taken.
#[derive(Serialize, ToSchema)]
pub(super) struct CallControlBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// `say`, `instruct`, `transfer`, `hold`, `resume` or `message`.
    control: &'static str,
}

/// Lets the agent say a text, in its own voice: when it has finished and the caller is silent, or at once. The transcript
/// has the words as the agent's, with `said_by`. A text that still waits when the call ends is not said.
#[utoipa::path(post, path = "/calls/{id}/say", tag = "calls", params(IdPath), request_body = SayCommand, responses((status = 200, body = CallControlBody)))]
pub(super) async fn say(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    control(&api, &actor, &id, || Ok(CallControl::Say(read(object)?))).await
}

/// Whispers an instruction to the agent: its next answer follows it. The caller does not hear it, and it is not in the
/// transcript; `metrics.controls` and the call's events have it.
#[utoipa::path(post, path = "/calls/{id}/instruct", tag = "calls", params(IdPath), request_body = InstructCommand, responses((status = 200, body = CallControlBody)))]
pub(super) async fn instruct(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    control(&api, &actor, &id, || Ok(CallControl::Instruct(read(object)?))).await
}

/// Puts the caller through to a number or to a destination of the agent. The caller is told first; if it fails, they are
/// back with the agent.
#[utoipa::path(post, path = "/calls/{id}/transfer", tag = "calls", params(IdPath), request_body = TransferCommand, responses((status = 200, body = CallControlBody)))]
pub(super) async fn transfer(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    control(&api, &actor, &id, || Ok(CallControl::Transfer(read(object)?))).await
}

/// Puts the caller on hold, with the agent's hold music: the agent stops speaking, and neither STT nor the model hears the
/// caller until `resume`.
#[utoipa::path(post, path = "/calls/{id}/hold", tag = "calls", params(IdPath), responses((status = 200, body = CallControlBody)))]
pub(super) async fn hold(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    control(&api, &actor, &id, || Ok(CallControl::Hold)).await
}

/// Takes the caller off hold: the agent goes on.
#[utoipa::path(post, path = "/calls/{id}/resume", tag = "calls", params(IdPath), responses((status = 200, body = CallControlBody)))]
pub(super) async fn resume(
    State(api): State<ApiState>, actor: Actor, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    control(&api, &actor, &id, || Ok(CallControl::Resume)).await
}

pub(super) fn read<T: DeserializeOwned + ToSchema + Validate<Context = ()>>(
    mut object: serde_json::Map<String, serde_json::Value>,
) -> Result<T, ApiError> {
    object.retain(|_, value| !value.is_null());
    validated(object, Vec::new(), |_| Vec::new())
}

/// Gives a command, and writes down who gave it.
async fn control(
    api: &ApiState, actor: &Actor, id: &str, read: impl FnOnce() -> Result<CallControl, ApiError>,
) -> Result<ApiResponse, ApiError> {
    let (call, body) = control_unaudited(api, actor, id, read).await?;
    actor.audit(api, &format!("call.{}", body.control), call).await?;
    Ok(ApiResponse::ok(body))
}

/// Another organization's call is no call, whatever the body says; a call that is over takes no command.
pub(super) async fn control_unaudited(
    api: &ApiState, actor: &Actor, id: &str, read: impl FnOnce() -> Result<CallControl, ApiError>,
) -> Result<(CallId, CallControlBody), ApiError> {
    let call = find(api, actor.scope, id).await?;
    let control = read()?;
    // A chat is answered as soon as it has begun: what comes before waits for that.
    let is_chat = call.direction == Direction::Chat;
    let before = |status: CallStatus| match status {
        CallStatus::Completed | CallStatus::Failed => Err(ControlError::Over),
        CallStatus::Initiated if !is_chat => Err(ControlError::NotAnswered),
        CallStatus::Initiated | CallStatus::InProgress => Ok(()),
    };
    before(call.status()).map_err(|error| refused(error, &control))?;
    let name = control.name();
    if let Err(error) = api.live_calls.cluster.control(actor.scope, call.id, control.clone(), actor.name()).await {
        // A call that ends meanwhile drops what it was asked.
        let is_unclear = matches!(error, ControlError::NotAnswered | ControlError::NoAnswer);
        let is_over = is_unclear && find(api, actor.scope, id).await?.status().is_over();
        return Err(refused(if is_over { ControlError::Over } else { error }, &control));
    }
    Ok((call.id, CallControlBody { call_id: call.id.to_string(), control: name }))
}

fn refused(error: ControlError, control: &CallControl) -> ApiError {
    let message = error.to_string();
    match error {
        ControlError::Unsayable => ApiError::field("text", message),
        ControlError::UnknownDestination => {
            let is_named = matches!(control, CallControl::Transfer(TransferCommand { destination: Some(_), .. }));
            ApiError::field(if is_named { "destination" } else { "to" }, message)
        }
        ControlError::Busy | ControlError::TextsWaiting => {
            let mut refused = ApiError::new(StatusCode::TOO_MANY_REQUESTS, error.code(), message);
            refused.details["retry_after_seconds"] = 1.into();
            refused
        }
        ControlError::TooMany => ApiError::new(StatusCode::TOO_MANY_REQUESTS, error.code(), message),
        ControlError::NoAnswer => ApiError::unavailable(error.code(), message),
        _ => ApiError::new(StatusCode::CONFLICT, error.code(), message),
    }
}
