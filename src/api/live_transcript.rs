//! Live transcripts: `/calls/{id}/live` says where, `/ws/calls/{id}` is the WebSocket itself.

use super::auth::{OrgAuth, authenticate};
use super::calls::find;
use super::error::ApiError;
use super::http_listener::ConnectionPlace;
use super::input::{IdPath, QueryParams};
use super::live_socket::{CloseCode, DROPPED, LiveSocket, MESSAGE_BYTES_MAX, NORMAL};
use super::rate_limit::unix_s;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::driver::{ConcurrencyLimitError, ConcurrencyPermit};
use crate::call::live_update::LiveUpdate;
use crate::domain::call::Call;
use crate::domain::ids::{AgentId, CallId};
use crate::domain::permission::KeyScope;
use crate::domain::secret::{Secret, exposed};
use crate::domain::transcript::Turn;
use crate::store::OrgScope;
use crate::store::signed_tokens::TokenPurpose;
use crate::supervision::contain;
use axum::Extension;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;

/// How long to wait until turns from before the listener joined are in the database.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

const BAD_CREDENTIALS: u16 = 4401;
const NO_SUCH_CALL: u16 = 4404;

/// Where to follow a call.
#[derive(Serialize, ToSchema)]
pub(super) struct LiveBody {
    /// WebSocket of the live transcript; `connection_info` says how to connect to it.
    websocket_url: String,
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// Good for this call and five minutes, to connect with.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    temp_token: Secret,
    /// How to connect, in words and examples.
    connection_info: ConnectionInfo,
}

/// How the WebSocket of a live transcript is used.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionInfo {
    /// The same as `websocket_url`.
    url: String,
    /// Always `query_param`: the URL carries a key or a token.
    auth_method: &'static str,
    /// Query parameter that takes an API key.
    auth_param: &'static str,
    /// Query parameter that takes `temp_token`.
    temp_auth_param: &'static str,
    /// URL with an API key in it.
    example: String,
    /// URL with a temporary token in it.
    example_session: String,
    /// Format of the messages, always `json`.
    message_format: &'static str,
    /// Values of `type` in the messages.
    message_types: [&'static str; 6],
}

/// Where the live transcript of a call is, and a token for it.
#[utoipa::path(get, path = "/calls/{id}/live", tag = "calls", operation_id = "get_live", params(IdPath), responses((status = 200, body = LiveBody)))]
pub(super) async fn live(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, headers: HeaderMap,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    let base = api.http.base_url(&headers).replacen("http", "ws", 1);
    let url = format!("{base}/ws/calls/{}", call.id);
    Ok(ApiResponse::ok(LiveBody {
        websocket_url: url.clone(),
        call_id: call.id.to_string(),
        temp_token: api.links.secret.sign(TokenPurpose::Live, scope, call.id, unix_s()).into(),
        connection_info: ConnectionInfo {
            auth_method: "query_param",
            auth_param: "api_key",
            temp_auth_param: "session_token",
            example: format!("{url}?api_key=YOUR_API_KEY"),
            example_session: format!("{url}?session_token=TEMP_TOKEN"),
            message_format: "json",
            message_types: [
                "connected",
                "transcript_update",
                "agent_changed",
                "call_control",
                "call_status_update",
                "error",
            ],
            url,
        },
    }))
}

/// `/ws/calls/{id}`: errors are close codes, because a browser cannot read the status of a refused upgrade.
pub(super) async fn connect(
    State(api): State<ApiState>, Path(id): Path<String>, query: QueryParams, place: Option<Extension<ConnectionPlace>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| async move {
        let socket = LiveSocket::new(api.http.live, socket, place.map(|Extension(place)| place));
        let _ = contain("websocket", serve(api, id, query, socket)).await; // the socket is closed with it
    })
}

async fn serve(api: ApiState, id: String, query: QueryParams, socket: LiveSocket) {
    let mut listener = TranscriptListener { socket, call: id.clone(), audience: Audience::Caller };
    let close = match authorize(&api, &id, &query).await {
        Ok((scope, ..)) if !listener.socket.belongs_to(scope) => (DROPPED, "Too many connections"),
        Ok((scope, call, audience)) => match slot(&api, scope).await {
            Ok(_slot) => {
                listener.audience = audience;
                listener.follow(&api, scope, call).await
            }
            Err(limit) => {
                let reason = "As many connections listen as may: close one of the others";
                let details = json!({"code": "quota_exceeded", "limit": limit});
                listener.socket.send(json!({"type": "error", "error": reason, "details": details})).await;
                (DROPPED, reason)
            }
        },
        Err((code, reason)) => {
            listener.socket.send(json!({"type": "error", "error": reason})).await;
            (code, reason)
        }
    };
    listener.socket.close(close).await;
}

/// Takes a concurrency slot for one more live connection, or returns the name of the limit that is reached.
async fn slot(api: &ApiState, scope: OrgScope) -> Result<ConcurrencyPermit, &'static str> {
    let lineage = api.store.lineage(scope).await.map_err(|_| "live_connections")?;
    api.live_calls.listeners.take(&lineage).map_err(ConcurrencyLimitError::limit)
}

async fn authorize(api: &ApiState, id: &str, query: &QueryParams) -> Result<(OrgScope, Call, Audience), CloseCode> {
    let refused = (BAD_CREDENTIALS, "Missing or invalid API key or session token");
    let wanted = CallId::parse(id);
    let (scope, audience) = match (query.text("api_key"), query.text("session_token")) {
        (Some(key), _) => match authenticate(api, key).await {
            Ok((key, quota)) if quota.retry_after_s == 0 && key.may(KeyScope::CallsRead) => {
                (key.scope, Audience::Organization)
            }
            Ok((_, quota)) if quota.retry_after_s > 0 => return Err((DROPPED, "Too many requests")),
            Ok(_) => return Err((BAD_CREDENTIALS, "The key lacks the scope calls:read")),
            Err(_) => return Err(refused),
        },
        (None, Some(token)) => match api.links.secret.verify(TokenPurpose::Live, token, unix_s()) {
            Some((scope, call)) if Some(call) == wanted => (scope, Audience::Organization),
            _ => (web_call_scope(api, token, wanted).ok_or(refused)?, Audience::Caller),
        },
        (None, None) => return Err(refused),
    };
    match find(api, scope, id).await {
        Ok(call) => Ok((scope, call, audience)),
        Err(_) => Err((NO_SUCH_CALL, "Call not found")),
    }
}

/// The page of a web call may listen while its call lasts.
fn web_call_scope(api: &ApiState, token: &str, wanted: Option<CallId>) -> Option<OrgScope> {
    let grant = api.links.secret.verify_web(token)?;
    let call = wanted.filter(|call| api.web.counts.owns(grant.call, *call))?;
    let goes_on = grant.may_begin(unix_s()) || api.live_calls.registry.is_live(grant.scope, call);
    goes_on.then_some(grant.scope)
}

/// Who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// The organization, which sees everything.
    Organization,
    /// The page of a web call's caller: commands to the call are not for it, nor whose words the agent says.
    Caller,
}

struct TranscriptListener {
    socket: LiveSocket,
    call: String,
    audience: Audience,
}

impl TranscriptListener {
    /// Sends everything so far, then every update as it happens.
    async fn follow(&mut self, api: &ApiState, scope: OrgScope, call: Call) -> CloseCode {
        let (so_far, updates) = match api.live_calls.registry.listen(scope, call.id) {
            Some((so_far, updates)) => (so_far, Some(updates)),
            None => turns_on_other_node(api, scope, &call).await,
        };
        let gone = (NORMAL, "");
        let hello = json!({"type": "connected", "data": {"call_id": self.call, "status": call.status().name()}});
        if !self.socket.send(hello).await {
            return gone;
        }
        let so_far: Vec<Value> = so_far.iter().map(|(position, turn)| self.turn(*position, turn)).collect();
        if !so_far.is_empty() && !self.socket.send(self.transcript(so_far)).await {
            return gone;
        }
        let Some(updates) = updates else {
            let call = find(api, scope, &self.call).await.unwrap_or(call);
            self.socket.send(self.status(call.status().name(), call.end_reason().map(|reason| reason.name()))).await;
            return (NORMAL, "The call has ended");
        };
        self.listen(updates).await
    }

    async fn listen(&mut self, mut updates: Receiver<LiveUpdate>) -> CloseCode {
        loop {
            let message = tokio::select! {
                update = updates.recv() => match update {
                    Ok(LiveUpdate::Turn { position, turn }) => self.transcript(vec![self.turn(position, &turn)]),
                    Ok(LiveUpdate::Interim { text }) => self.transcript(vec![interim_json(&text)]),
                    Ok(LiveUpdate::AgentChanged { agent, name }) => self.agent_changed(agent, &name),
                    Ok(LiveUpdate::Controlled(_)) if self.audience == Audience::Caller => continue,
                    Ok(LiveUpdate::Controlled(note)) => self.control(note),
                    Ok(LiveUpdate::Status { status, end_reason }) => {
                        self.status(status.name(), end_reason.map(|reason| reason.name()))
                    }
                    Err(RecvError::Closed) => return (NORMAL, "The call has ended"),
                    Err(RecvError::Lagged(_)) => {
                        let reason = "You are too slow: updates were lost. Connect again to get the transcript so far.";
                        self.socket.send(json!({"type": "error", "error": reason})).await;
                        return (DROPPED, "Too slow");
                    }
                },
                said = self.socket.next() => match said {
                    Ok(message) => answer(&message),
                    Err(close) => return close,
                },
            };
            if !self.socket.send(message).await {
                return (DROPPED, "Too slow");
            }
        }
    }

    /// A turn as this listener may see it.
    fn turn(&self, position: u32, turn: &Turn) -> Value {
        match self.audience {
            Audience::Organization => turn_json(position, turn),
            Audience::Caller => turn_json(position, &Turn { said_by: None, ..turn.clone() }),
        }
    }

    fn control(&self, mut note: Value) -> Value {
        note["call_id"] = json!(self.call);
        json!({"type": "call_control", "data": note})
    }

    fn transcript(&self, turns: Vec<Value>) -> Value {
        json!({"type": "transcript_update", "data": {"call_id": self.call, "transcript": turns}})
    }

    fn agent_changed(&self, agent: Option<AgentId>, name: &str) -> Value {
        json!({"type": "agent_changed", "data": {"call_id": self.call, "agent_id": agent, "agent_name": name}})
    }

    fn status(&self, status: &str, end_reason: Option<&str>) -> Value {
        json!({"type": "call_status_update", "data": {"call_id": self.call, "status": status, "end_reason": end_reason}})
    }
}

/// For a call on another node, or one that has ended: the turns in the database. The other node sends everything so far
/// again; a turn seen twice has the same position.
async fn turns_on_other_node(
    api: &ApiState, scope: OrgScope, call: &Call,
) -> (BTreeMap<u32, Turn>, Option<Receiver<LiveUpdate>>) {
    let updates = match call.status().is_over() {
        false => api.live_calls.cluster.listen(scope, call.id).await,
        true => None,
    };
    api.journal.flush(FLUSH_DEADLINE).await;
    (api.store.turns_by_position(scope, call.id).await.unwrap_or_default(), updates)
}

/// A turn as `/calls/{id}/transcript` shows it, with its place: the same place again replaces it.
fn turn_json(position: u32, turn: &Turn) -> Value {
    let mut json = serde_json::to_value(turn).unwrap_or_default();
    json["position"] = json!(position);
    json["is_final"] = json!(true);
    json
}

fn interim_json(text: &str) -> Value {
    json!({"role": "user", "content": text, "position": null, "is_final": false})
}

fn answer(message: &Message) -> Value {
    let text = message.to_text().unwrap_or_default();
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    match message["type"].as_str() {
        Some("ping") => json!({"type": "pong"}),
        _ => json!({"type": "error", "error": "Not understood: send {\"type\": \"ping\"}"}),
    }
}
