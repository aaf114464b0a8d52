//! ElevenLabs: `POST /v1/text-to-speech/{voice}/stream`.

use super::fault_injection::InjectedFault;
use super::openai::audio_response;
use super::state::Emulator;
use super::wire::is_key;
use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Instant;

pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let mut response = (status, Json(json!({"detail": {"status": code, "message": message}}))).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
    }
    response
}

/// Faults that happen before anything is answered.
pub(super) fn early_fault(fault: Option<InjectedFault>) -> Option<Response> {
    Some(match fault? {
        InjectedFault::Refuse => refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Internal error"),
        InjectedFault::RateLimit => refusal(StatusCode::TOO_MANY_REQUESTS, "too_many_concurrent_requests", "Too many"),
        InjectedFault::Unauthorized => refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key"),
        _ => return None,
    })
}

/// Who a key belongs to.
pub(super) async fn user(headers: HeaderMap) -> Response {
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok()).unwrap_or("");
    if !is_key(key) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key");
    }
    Json(json!({"user_id": "emulated", "subscription": {"tier": "free", "character_count": 0, "character_limit": 10_000}}))
        .into_response()
}

/// The voices of an account.
pub(super) async fn voices(headers: HeaderMap) -> Response {
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok()).unwrap_or("");
    if !is_key(key) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key");
    }
    let voice = |id: &str, name: &str, gender: &str| json!({"voice_id": id, "name": name, "labels": {"gender": gender, "language": "en"}});
    Json(json!({"voices": [voice("EXAVITQu4vr4xnSDxMaL", "Sarah", "female"), voice("emulated-voice", "Emulated", "male")]}))
        .into_response()
}

/// Models that speak.
pub(super) fn models() -> Response {
    Json(json!([{"model_id": "eleven_flash_v2_5", "name": "Eleven Flash v2.5", "can_do_text_to_speech": true},
        {"model_id": "eleven_emulated", "name": "Emulated", "can_do_text_to_speech": true}]))
    .into_response()
}

/// A conversation that took place on their side; identifiers that do not begin with `conv_` are unknown.
pub(super) async fn conversation(Path(id): Path<String>, headers: HeaderMap) -> Response {
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok()).unwrap_or("");
    if key.is_empty() || key == "invalid" {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key");
    }
    if !id.starts_with("conv_") {
        return refusal(StatusCode::NOT_FOUND, "conversation_not_found", "Conversation not found");
    }
    let entry = |role: &str, message: Option<&str>, at: u32| {
        json!({"role": role, "message": message, "time_in_call_secs": at, "interrupted": false, "tool_calls": [],
            "tool_results": [], "conversation_turn_metrics": {}})
    };
    Json(json!({
        "agent_id": "agent_1", "conversation_id": id, "status": "done", "user_id": null, "has_audio": true,
        "metadata": {"start_time_unix_secs": 1_763_700_000, "call_duration_secs": 12, "cost": 312, "termination_reason": "",
            "phone_call": {"type": "sip_trunking"}, "error": null, "warnings": []},
        "analysis": {"call_successful": "success", "transcript_summary": "A greeting."},
        "transcript": [entry("agent", Some("Good afternoon, how can I help?"), 0), entry("user", Some("I would like to order tea."), 4),
            entry("agent", None, 7), entry("agent", Some("Tea it is."), 8)],
        "conversation_initiation_client_data": {"dynamic_variables": {}},
    }))
    .into_response()
}

pub(super) async fn stream(
    State(emulator): State<Emulator>, Path(voice): Path<String>, headers: HeaderMap, uri: Uri, Json(body): Json<Value>,
) -> Response {
    let arrived = Instant::now();
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok()).unwrap_or("");
    if key.is_empty() || key == "invalid" {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key");
    }
    let fault = emulator.faults.take("tts", "elevenlabs");
    if let Some(response) = early_fault(fault) {
        return response;
    }
    if voice == "unknown" {
        return refusal(StatusCode::BAD_REQUEST, "voice_not_found", "A voice with that id was not found");
    }
    let Some(text) = body["text"].as_str() else {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({"detail": [{"loc": ["body", "text"], "msg": "field required", "type": "missing"}]})),
        )
            .into_response();
    };
    let format = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes())
        .find(|(name, _)| name == "output_format")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_else(|| "mp3_44100_128".to_owned());
    let audio = match format.as_str() {
        "ulaw_8000" => emulator.voice.g711(text, trunkline_media::codec::Companding::MuLaw).await,
        "alaw_8000" => emulator.voice.g711(text, trunkline_media::codec::Companding::ALaw).await,
        "pcm_8000" => emulator.voice.pcm(text, 8_000).await,
        "pcm_16000" => emulator.voice.pcm(text, 16_000).await,
        "pcm_24000" => emulator.voice.pcm(text, 24_000).await,
        _ => {
            return refusal(
                StatusCode::BAD_REQUEST,
                "invalid_output_format",
                "This emulator speaks ulaw, alaw and pcm",
            );
        }
    };
    audio_response(&emulator, arrived, fault, audio, "audio/basic")
}
