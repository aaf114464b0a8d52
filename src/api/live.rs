//! Live transcripts: `/calls/{id}/live` says where, `/ws/calls/{id}` is the WebSocket itself.

use super::Api;
use super::auth::{Caller, authenticate, unix_s};
use super::calls::find;
use super::envelope::Answer;
use super::error::ApiError;
use super::input::{IdPath, Query, base_url};
use crate::call::live::Update;
use crate::domain::call::Call;
use crate::domain::ids::CallId;
use crate::domain::permission::KeyScope;
use crate::domain::transcript::Turn;
use crate::store::OrgScope;
use crate::store::live_tokens::Purpose;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::ToSchema;

/// A listener that takes longer for one message is dropped.
const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// How often a quiet connection is probed.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// Listeners send pings and nothing else.
const MESSAGE_BYTES_MAX: usize = 4_096;
/// What was said before the listener came is on its way to the database for this long at most.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);

const NORMAL: u16 = 1000;
const BAD_CREDENTIALS: u16 = 4401;
const NO_SUCH_CALL: u16 = 4404;
/// The listener is too slow or asks too much (RFC 6455: policy violation).
const DROPPED: u16 = 1008;

#[derive(Serialize, ToSchema)]
pub(super) struct LiveBody {
    websocket_url: String,
    #[schema(format = "uuid")]
    call_id: String,
    /// Good for this call and five minutes, to connect with.
    temp_token: String,
    connection_info: ConnectionInfo,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ConnectionInfo {
    url: String,
    auth_method: &'static str,
    auth_param: &'static str,
    temp_auth_param: &'static str,
    example: String,
    example_session: String,
    message_format: &'static str,
    message_types: [&'static str; 4],
}

/// Where the live transcript of a call is, and a token for it.
#[utoipa::path(get, path = "/calls/{id}/live", tag = "calls", params(IdPath), responses((status = 200, body = LiveBody)))]
pub(super) async fn live(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>, headers: HeaderMap,
) -> Result<Answer, ApiError> {
    let call = find(&api, scope, &id).await?;
    let base = base_url(&api, &headers).replacen("http", "ws", 1);
    let url = format!("{base}/ws/calls/{}", call.id);
    Ok(Answer::ok(LiveBody {
        websocket_url: url.clone(),
        call_id: call.id.to_string(),
        temp_token: api.context.links.secret.sign(Purpose::Live, scope, call.id, unix_s()),
        connection_info: ConnectionInfo {
            auth_method: "query_param",
            auth_param: "api_key",
            temp_auth_param: "session_token",
            example: format!("{url}?api_key=YOUR_API_KEY"),
            example_session: format!("{url}?session_token=TEMP_TOKEN"),
            message_format: "json",
            message_types: ["connected", "transcript_update", "call_status_update", "error"],
            url,
        },
    }))
}

/// `/ws/calls/{id}`: refusals are close codes, because a browser cannot read the status of a refused upgrade.
pub(super) async fn connect(
    State(api): State<Api>, Path(id): Path<String>, query: Query, upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| async move {
        let mut listener = Listener { socket, call: id.clone() };
        let (code, reason) = match enter(&api, &id, &query).await {
            Ok((scope, call)) => listener.follow(&api, scope, call).await,
            Err((code, reason)) => {
                listener.send(json!({"type": "error", "error": reason})).await;
                (code, reason)
            }
        };
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = tokio::time::timeout(SEND_DEADLINE, listener.socket.send(Message::Close(Some(frame)))).await;
    })
}

async fn enter(api: &Api, id: &str, query: &Query) -> Result<(OrgScope, Call), (u16, &'static str)> {
    let refused = (BAD_CREDENTIALS, "Missing or invalid API key or session token");
    let wanted = CallId::parse(id);
    let scope = match (query.text("api_key"), query.text("session_token")) {
        (Some(key), _) => match authenticate(api, key).await {
            Ok((key, quota)) if quota.retry_after_s == 0 && key.may(KeyScope::CallsRead) => key.scope,
            Ok((_, quota)) if quota.retry_after_s > 0 => return Err((DROPPED, "Too many requests")),
            Ok(_) => return Err((BAD_CREDENTIALS, "The key lacks the scope calls:read")),
            Err(_) => return Err(refused),
        },
        (None, Some(token)) => match api.context.links.secret.verify(Purpose::Live, token, unix_s()) {
            Some((scope, call)) if Some(call) == wanted => scope,
            _ => web_guest(api, token, wanted).ok_or(refused)?,
        },
        (None, None) => return Err(refused),
    };
    match find(api, scope, id).await {
        Ok(call) => Ok((scope, call)),
        Err(_) => Err((NO_SUCH_CALL, "Call not found")),
    }
}

/// The page of a web call, as long as its call goes on.
fn web_guest(api: &Api, token: &str, wanted: Option<CallId>) -> Option<OrgScope> {
    let grant = api.context.links.secret.verify_web(token)?;
    let call = wanted.filter(|call| api.context.web_calls.owns(grant.call, *call))?;
    let goes_on = grant.may_begin(unix_s()) || api.context.registry.listen(grant.scope, call).is_some();
    goes_on.then_some(grant.scope)
}

struct Listener {
    socket: WebSocket,
    call: String,
}

impl Listener {
    /// False when the listener is gone or too slow.
    async fn send(&mut self, message: Value) -> bool {
        let sent = self.socket.send(Message::Text(message.to_string().into()));
        matches!(tokio::time::timeout(SEND_DEADLINE, sent).await, Ok(Ok(())))
    }

    /// Everything so far, then everything as it happens.
    async fn follow(&mut self, api: &Api, scope: OrgScope, call: Call) -> (u16, &'static str) {
        // Listening starts before the turns so far are read: one that comes in between is seen twice
        // rather than not at all, and its position says so.
        let updates = match api.context.registry.listen(scope, call.id) {
            None if !call.status.is_over() => api.context.remote.listen(scope, call.id).await,
            here => here,
        };
        let gone = (NORMAL, "");
        let hello = json!({"type": "connected", "data": {"call_id": self.call, "status": call.status.name()}});
        if !self.send(hello).await {
            return gone;
        }
        api.context.journal.flush(FLUSH_DEADLINE).await;
        let turns = api.context.store.turns(scope, call.id).await.unwrap_or_default();
        let so_far: Vec<Value> = turns.iter().zip(0..).map(|(turn, position)| turn_json(position, turn)).collect();
        if !so_far.is_empty() && !self.send(self.transcript(so_far)).await {
            return gone;
        }
        let Some(updates) = updates else {
            let call = find(api, scope, &self.call).await.unwrap_or(call);
            self.send(self.status(call.status.name(), call.end_reason.map(|reason| reason.name()))).await;
            return (NORMAL, "The call has ended");
        };
        self.listen(updates).await
    }

    async fn listen(&mut self, mut updates: Receiver<Update>) -> (u16, &'static str) {
        let mut probe = tokio::time::interval(PROBE_EVERY);
        probe.tick().await;
        let mut answered = true;
        loop {
            let message = tokio::select! {
                update = updates.recv() => match update {
                    Ok(Update::Turn { position, turn }) => self.transcript(vec![turn_json(position, &turn)]),
                    Ok(Update::Interim { text }) => self.transcript(vec![interim_json(&text)]),
                    Ok(Update::Status { status, end_reason }) => {
                        self.status(status.name(), end_reason.map(|reason| reason.name()))
                    }
                    Err(RecvError::Closed) => return (NORMAL, "The call has ended"),
                    Err(RecvError::Lagged(_)) => {
                        let reason = "You are too slow: updates were lost. Connect again to get the transcript so far.";
                        self.send(json!({"type": "error", "error": reason})).await;
                        return (DROPPED, "Too slow");
                    }
                },
                received = self.socket.recv() => match received {
                    Some(Ok(message)) => {
                        answered = true;
                        match answer(&message) {
                            Some(reply) => reply,
                            None => continue,
                        }
                    }
                    _ => return (NORMAL, ""),
                },
                _ = probe.tick() => {
                    if !answered {
                        return (DROPPED, "No answer to a ping");
                    }
                    answered = false;
                    let ping = self.socket.send(Message::Ping(Default::default()));
                    match tokio::time::timeout(SEND_DEADLINE, ping).await {
                        Ok(Ok(())) => continue,
                        _ => return (DROPPED, ""),
                    }
                }
            };
            if !self.send(message).await {
                return (DROPPED, "Too slow");
            }
        }
    }

    fn transcript(&self, turns: Vec<Value>) -> Value {
        json!({"type": "transcript_update", "data": {"call_id": self.call, "transcript": turns}})
    }

    fn status(&self, status: &str, end_reason: Option<&str>) -> Value {
        json!({"type": "call_status_update", "data": {"call_id": self.call, "status": status, "end_reason": end_reason}})
    }
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

fn answer(message: &Message) -> Option<Value> {
    let Message::Text(text) = message else { return None };
    let message: Value = serde_json::from_str(text).unwrap_or_default();
    Some(match message["type"].as_str() {
        Some("ping") => json!({"type": "pong"}),
        _ => json!({"type": "error", "error": "Not understood: send {\"type\": \"ping\"}"}),
    })
}
