//! Queries, keys and sockets, as every emulated provider reads and writes them.

use axum::extract::ws::{Message, WebSocket};
use axum::http::{HeaderMap, Uri};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// The pairs of a query.
pub(super) fn query(uri: &Uri) -> HashMap<String, String> {
    url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect()
}

/// `Authorization: Bearer …` or `Token …` with any key but "invalid".
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    let token = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or("");
    token
        .split_once(' ')
        .is_some_and(|(scheme, key)| matches!(scheme.to_lowercase().as_str(), "token" | "bearer") && is_key(key))
}

pub(super) fn is_key(key: &str) -> bool {
    !key.is_empty() && key != "invalid"
}

/// False when the client is gone.
pub(super) async fn send(socket: &mut WebSocket, message: &Value) -> bool {
    socket.send(Message::Text(message.to_string().into())).await.is_ok()
}

/// Longer than any deadline of a client: what "stalls" means here.
pub(super) async fn stall() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}
