//! Anthropic: `POST /v1/messages`, whole and streamed.

use super::fault_injection::InjectedFault;
use super::odd_models::{OddModel, refuses_schema, schema_in_prompt};
use super::openai::{events, instance, tokens_max};
use super::script::ScriptedAnswer;
use super::state::Emulator;
use super::wire::{has_token, is_key, stall};
use axum::body::Bytes;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::sync::mpsc;

fn refusal(status: u16, kind: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_emulated"});
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
    }
    response
}

fn is_known(headers: &HeaderMap) -> bool {
    let key = headers.get("x-api-key").and_then(|v| v.to_str().ok());
    key.map_or_else(|| has_token(headers), is_key)
}

pub(super) async fn models(headers: HeaderMap) -> Response {
    if !is_known(&headers) {
        return refusal(401, "authentication_error", "invalid x-api-key");
    }
    Json(json!({"data": [{"type": "model", "id": "claude-haiku-5-5", "display_name": "Haiku", "created_at": "2026-01-01T00:00:00Z"}],
        "has_more": false}))
    .into_response()
}

/// What the vendor checks of a body.
fn invalid(headers: &HeaderMap, body: &Value) -> Option<String> {
    let version = headers.get("anthropic-version").and_then(|v| v.to_str().ok()).unwrap_or("");
    if !matches!(version, "2023-06-01" | "2026-10-21") {
        return Some("anthropic-version: header is required".to_owned());
    }
    if version == "2026-10-21"
        && let Some(name) = ["temperature", "top_p", "top_k"].iter().find(|name| !body[**name].is_null())
    {
        return Some(format!("{name}: Extra inputs are not permitted"));
    }
    if !body["max_tokens"].is_u64() {
        return Some("max_tokens: Field required".to_owned());
    }
    let model = body["model"].as_str().unwrap_or("");
    if model.contains("opus-5-5") && body["thinking"]["type"] == "disabled" {
        return Some("thinking: disabled is not supported on this model".to_owned());
    }
    let budget = body["thinking"]["budget_tokens"].as_u64();
    if budget.is_some_and(|budget| budget < 1_024 || body["max_tokens"].as_u64() <= Some(budget)) {
        return Some("max_tokens must be greater than thinking.budget_tokens".to_owned());
    }
    if body["stop_sequences"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one.as_str().is_none_or(|text| text.trim().is_empty())))
    {
        return Some("stop_sequences: each stop sequence must contain non-whitespace".to_owned());
    }
    if let Some(message) = refuses_schema(&body["output_config"]["format"]["schema"]) {
        return Some(message);
    }
    let messages = body["messages"].as_array()?;
    if messages.first().is_none_or(|first| first["role"] != "user") {
        return Some("messages: first message must use the \"user\" role".to_owned());
    }
    if messages.iter().any(|m| !matches!(m["role"].as_str(), Some("user" | "assistant"))) {
        return Some("messages: roles must be user or assistant".to_owned());
    }
    let calls = |message: &Value| -> Vec<String> {
        let blocks = message["content"].as_array().into_iter().flatten();
        blocks.filter(|b| b["type"] == "tool_use").filter_map(|b| b["id"].as_str().map(str::to_owned)).collect()
    };
    let answered = |message: &Value, id: &str| {
        message["content"].as_array().is_some_and(|blocks| blocks.iter().any(|b| b["tool_use_id"] == id))
    };
    let is_id = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if let Some(id) = messages.iter().flat_map(calls).find(|id| !is_id(id)) {
        return Some(format!("messages.content.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$', got {id}"));
    }
    let open = messages.windows(2).find_map(|two| calls(&two[0]).into_iter().find(|id| !answered(&two[1], id)));
    open.map(|id| format!("messages: tool_use {id} was found without a tool_result block immediately after"))
}

pub(super) async fn messages(
    State(emulator): State<Emulator>, headers: HeaderMap, Json(body): Json<Value>,
) -> Response {
    let arrived = Instant::now();
    if !is_known(&headers) {
        return refusal(401, "authentication_error", "invalid x-api-key");
    }
    let fault = emulator.faults.take("llm", "anthropic");
    match fault {
        Some(InjectedFault::Refuse) => return refusal(500, "api_error", "Internal server error"),
        Some(InjectedFault::RateLimit) => {
            return refusal(429, "rate_limit_error", "This request would exceed your rate limit");
        }
        Some(InjectedFault::Unauthorized) => return refusal(401, "authentication_error", "invalid x-api-key"),
        _ => {}
    }
    if let Some(message) = invalid(&headers, &body) {
        return refusal(400, "invalid_request_error", &message);
    }
    let odd = OddModel::named(body["model"].as_str().unwrap_or(""));
    let prompt = body["system"].as_str().unwrap_or_default();
    let kept_to = Some(&body["output_config"]["format"]["schema"]).filter(|schema| schema.is_object()).cloned();
    let answer = if let Some(schema) = kept_to.or_else(|| schema_in_prompt(prompt)) {
        let reply = if fault == Some(InjectedFault::Garbage) {
            "I would rather not say.".to_owned()
        } else {
            instance(&schema).to_string()
        };
        ScriptedAnswer { reply, tools: Vec::new() }
    } else {
        let names = body["tools"].as_array().into_iter().flatten();
        let names: Vec<String> = names.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        emulator.script.answer_to(&plain(&body), &names)
    };
    let answer = ScriptedAnswer { reply: odd.written(&answer.reply), ..answer };
    let tokens_max = tokens_max(&body);
    let model = body["model"].as_str().unwrap_or("").to_owned();
    if body["stream"] != json!(true) {
        emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
        if matches!(fault, Some(InjectedFault::Stall | InjectedFault::StallMidStream | InjectedFault::HalfOpen)) {
            stall().await;
        }
        return Json(whole(&model, &answer)).into_response();
    }
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move { stream(&emulator, (arrived, fault, tokens_max), &model, &answer, sender).await });
    events(receiver, fault)
}

/// The conversation in the shape that the script is asked with.
fn plain(body: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        let role = &message["role"];
        if let Some(text) = message["content"].as_str() {
            messages.push(json!({"role": role, "content": text}));
        }
        for block in message["content"].as_array().into_iter().flatten() {
            match block["type"].as_str() {
                Some("text") => messages.push(json!({"role": role, "content": block["text"]})),
                Some("tool_result") => messages.push(json!({"role": "tool", "content": block["content"]})),
                _ => {}
            }
        }
    }
    messages
}

fn whole(model: &str, answer: &ScriptedAnswer) -> Value {
    let mut content = vec![json!({"type": "text", "text": answer.reply})];
    for (index, (name, arguments)) in answer.tools.iter().enumerate() {
        let input: Value = serde_json::from_str(arguments).unwrap_or_default();
        content.push(json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": input}));
    }
    let reason = if answer.tools.is_empty() { "end_turn" } else { "tool_use" };
    json!({"id": "msg_emulated", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 10}})
}

/// Events of one answer, on their way to the client.
struct EventSender(mpsc::Sender<Result<Bytes, std::io::Error>>);

impl EventSender {
    /// False when the client is gone.
    async fn send(&self, event: &Value) -> bool {
        let name = event["type"].as_str().unwrap_or("");
        self.0.send(Ok(Bytes::from(format!("event: {name}\ndata: {event}\n\n")))).await.is_ok()
    }

    async fn start(&self, model: &str) {
        self.send(&json!({"type": "message_start", "message": {"id": "msg_emulated", "type": "message", "role": "assistant",
            "model": model, "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 6, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 1}}}))
        .await;
        self.send(&json!({"type": "ping"})).await;
        // The words are not always the first block.
        let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
        self.send(&json!({"type": "content_block_start", "index": 0, "content_block": thinking})).await;
        let signature = json!({"type": "signature_delta", "signature": "x"});
        self.send(&json!({"type": "content_block_delta", "index": 0, "delta": signature})).await;
        self.send(&json!({"type": "content_block_stop", "index": 0})).await;
    }

    async fn tool(&self, index: usize, name: &str, arguments: &str) {
        let block = json!({"type": "tool_use", "id": format!("toolu_{index}"), "name": name, "input": {}});
        self.send(&json!({"type": "content_block_start", "index": index + 2, "content_block": block})).await;
        let middle = arguments.floor_char_boundary(arguments.len() / 2);
        for part in ["", &arguments[..middle], &arguments[middle..]] {
            let delta = json!({"type": "input_json_delta", "partial_json": part});
            self.send(&json!({"type": "content_block_delta", "index": index + 2, "delta": delta})).await;
        }
        self.send(&json!({"type": "content_block_stop", "index": index + 2})).await;
    }
}

async fn stream(
    emulator: &Emulator, (arrived, fault, tokens_max): (Instant, Option<InjectedFault>, usize), model: &str,
    answer: &ScriptedAnswer, sender: mpsc::Sender<Result<Bytes, std::io::Error>>,
) {
    match fault {
        Some(InjectedFault::Stall | InjectedFault::HalfOpen) => return stall().await,
        Some(InjectedFault::Garbage) => {
            let _ = sender.send(Ok(Bytes::from_static(b"data: <html>502</html>\n\n"))).await;
            return;
        }
        _ => {}
    }
    let events = EventSender(sender);
    emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
    events.start(model).await;
    let mut words: Vec<&str> =
        if fault == Some(InjectedFault::Empty) { Vec::new() } else { answer.reply.split_inclusive(' ').collect() };
    // A word is a token.
    let is_cut = words.len() > tokens_max;
    words.truncate(tokens_max);
    if !words.is_empty() && !stream_words(emulator, fault, &words, &events).await {
        return;
    }
    let mut reason = if is_cut { "max_tokens" } else { "end_turn" };
    if !is_cut && matches!(fault, None | Some(InjectedFault::OddChunks)) {
        for (index, (name, arguments)) in answer.tools.iter().enumerate() {
            reason = "tool_use";
            events.tool(index, name, arguments).await;
        }
    }
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    events.send(&json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": words.len()}})).await;
    events.send(&json!({"type": "message_stop"})).await;
}

/// The block of text; false where the answer ends with it.
async fn stream_words(emulator: &Emulator, fault: Option<InjectedFault>, words: &[&str], events: &EventSender) -> bool {
    let block = json!({"type": "text", "text": ""});
    events.send(&json!({"type": "content_block_start", "index": 1, "content_block": block})).await;
    for (index, word) in words.iter().enumerate() {
        match fault {
            Some(InjectedFault::StallMidStream) if index == 4 => {
                stall().await;
                return false;
            }
            Some(InjectedFault::Drop) if index == 4 => {
                let error = json!({"type": "overloaded_error", "message": "Overloaded"});
                events.send(&json!({"type": "error", "error": error})).await;
                return false;
            }
            _ => {}
        }
        let delta = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": word}});
        if !events.send(&delta).await {
            return false;
        }
        emulator.clock.wait_ms(Instant::now(), emulator.delays.llm_token_ms).await;
    }
    events.send(&json!({"type": "content_block_stop", "index": 1})).await;
    true
}
