//! `/ws/events`: that calls of the organization change, for whoever looks at all of them. What changed is asked for
//! by the API; a listener that was too slow is told to ask for everything.

use super::Api;
use super::auth::{Caller, check_origin};
use super::error::ApiError;
use crate::call::registry::Change;
use crate::store::OrgScope;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// A listener that takes longer for one message is dropped.
const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// How often a quiet connection is probed.
const PROBE_EVERY: Duration = Duration::from_secs(30);
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Needs a key or a session as every other request; a browser's page must be our own, because a WebSocket carries
/// the cookie wherever it was opened.
pub(super) async fn connect(
    State(api): State<Api>, Caller(scope): Caller, headers: HeaderMap, upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    check_origin(&api, &Method::POST, &headers)?;
    let changes = api.context.registry.changes();
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| follow(socket, scope, changes)))
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(SEND_DEADLINE, socket.send(message)).await, Ok(Ok(())))
}

async fn follow(mut socket: WebSocket, scope: OrgScope, mut changes: Receiver<Change>) {
    let text = |value: Value| Message::Text(value.to_string().into());
    if !send(&mut socket, text(json!({"type": "connected"}))).await {
        return;
    }
    let mut probe = tokio::time::interval(PROBE_EVERY);
    probe.tick().await;
    let mut answered = true;
    loop {
        let message = tokio::select! {
            change = changes.recv() => match change {
                Ok(change) if change.scope == scope => {
                    text(json!({"type": "call", "call_id": change.call.to_string(), "status": change.status.name()}))
                }
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => text(json!({"type": "missed"})),
                Err(RecvError::Closed) => return,
            },
            received = socket.recv() => match received {
                Some(Ok(_)) => {
                    answered = true;
                    continue;
                }
                _ => return,
            },
            _ = probe.tick() => {
                if !std::mem::take(&mut answered) {
                    return;
                }
                Message::Ping(Default::default())
            }
        };
        if !send(&mut socket, message).await {
            return;
        }
    }
}
