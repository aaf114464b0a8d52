//! What the emulated vendors share.

use super::fault_injection::FaultInjection;
use super::phrase_stt::PhraseRecognizer;
use super::precise_timer::PreciseTimer;
use super::script::ReplyScript;
use super::scripted_utterances::ScriptedUtterances;
use super::settings::Delays;
use super::tts_audio::EmulatedVoice;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{HeaderMap, Uri};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// The state of all vendors.
#[derive(Clone)]
pub(crate) struct Emulator {
    pub(super) delays: Delays,
    pub(super) clock: PreciseTimer,
    pub(super) script: Arc<ReplyScript>,
    pub(super) faults: FaultInjection,
    pub(super) utterances: ScriptedUtterances,
    pub(super) stt: Arc<PhraseRecognizer>,
    pub(super) voice: EmulatedVoice,
    pub(super) results: broadcast::Sender<(Instant, String)>,
}

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

/// Any key but "invalid".
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
