//! `/ws/events`: tells listeners which calls of the organization changed. Details are read through the API. A listener
//! that was too slow receives a message to reload everything.

use super::auth::{OrgAuth, check_origin};
use super::error::ApiError;
use super::http_listener::ConnectionPlace;
use super::live_socket::{CloseCode, DROPPED, LiveSocket, MESSAGE_BYTES_MAX, NORMAL};
use super::state::ApiState;
use crate::call::driver::ConcurrencyPermit;
use crate::call::registry::CallChange;
use crate::supervision::contain;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Needs a key or a session as every other request; a browser's page must be our own, because a WebSocket carries
/// the cookie wherever it was opened.
pub(super) async fn connect(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, headers: HeaderMap,
    place: Option<Extension<ConnectionPlace>>, upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    check_origin(&api, &Method::POST, &headers)?;
    let slot = api.live_calls.listeners.take(&api.store.lineage(scope).await?)?;
    let changes = api.live_calls.registry.changes_of(scope);
    Ok(upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(async move |socket| {
        let mut socket = LiveSocket::new(api.http.live, socket, place.map(|Extension(place)| place));
        let serving = async move {
            let close = follow(&mut socket, changes, slot).await;
            socket.close(close).await;
        };
        let _ = contain("websocket", serving).await; // the socket is closed with it
    }))
}

/// Holds the concurrency slot as long as the connection lives.
async fn follow(socket: &mut LiveSocket, mut changes: Receiver<CallChange>, _slot: ConcurrencyPermit) -> CloseCode {
    if !socket.send(json!({"type": "connected"})).await {
        return (DROPPED, "Too slow");
    }
    loop {
        let message = tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => {
                    json!({"type": "call", "call_id": change.call.to_string(), "status": change.status.name()})
                }
                Err(RecvError::Lagged(_)) => json!({"type": "missed"}),
                Err(RecvError::Closed) => return (NORMAL, ""),
            },
            said = socket.next() => match said {
                Ok(_) => continue,
                Err(close) => return close,
            },
        };
        if !socket.send(message).await {
            return (DROPPED, "Too slow");
        }
    }
}
