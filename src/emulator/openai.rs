//! OpenAI: chat completions as a stream or in one piece, and speech.

use super::faults::Fault;
use super::{Emulator, stall};
use axum::body::{Body, Bytes};
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Instant;
use tokio::sync::mpsc;

pub(super) fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": kind}});
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
    }
    response
}

/// Faults that happen before anything is answered.
pub(super) fn early_fault(fault: Option<Fault>) -> Option<Response> {
    match fault? {
        Fault::Refuse => Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The server had an error")),
        Fault::RateLimit => Some(refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Rate limit reached")),
        Fault::Unauthorized => Some(refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided")),
        _ => None,
    }
}

fn has_key(headers: &HeaderMap) -> bool {
    let value = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or("");
    value.strip_prefix("Bearer ").is_some_and(|key| !key.is_empty() && key != "invalid")
}

pub(super) async fn chat(State(emulator): State<Emulator>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let arrived = Instant::now();
    if !has_key(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let fault = emulator.faults.take("llm");
    if let Some(response) = early_fault(fault) {
        return response;
    }
    let (Some(model), Some(messages)) = (body["model"].as_str(), body["messages"].as_array()) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "model and messages are required");
    };
    // A tool's answer is followed by the user's turn being over; otherwise the last user message counts.
    let last = messages.last();
    let said = messages.iter().rev().find(|m| m["role"] == "user").and_then(|m| m["content"].as_str());
    if body["response_format"]["type"] == "json_schema" {
        return structured(&emulator, arrived, fault, &body).await;
    }
    let rule = emulator.script.answer(said.unwrap_or("hello"));
    // A result may also come as news, when the conversation has gone on.
    let words = |m: &Value| m["content"].as_str().unwrap_or("").to_owned();
    let late = last.filter(|m| m["role"] == "system").map(words).filter(|text| text.starts_with("The tool "));
    let (result, rule) = match late.as_deref().and_then(|text| text["The tool ".len()..].split_once(" answered: ")) {
        Some((tool, result)) => {
            let of_tool = emulator.script.0.iter().find(|rule| rule.tool.as_ref().is_some_and(|t| t.name == tool));
            (Some(result.to_owned()), of_tool)
        }
        None => (last.filter(|m| m["role"] == "tool").map(words), rule),
    };
    let reply = match (&result, rule) {
        (Some(result), Some(rule)) => rule.after_tool.as_deref().unwrap_or("Done.").replace("{result}", result),
        (Some(_), None) => "Done.".to_owned(),
        (None, rule) => rule.map_or("Done.", |rule| rule.reply.as_str()).to_owned(),
    };
    let rule = rule.filter(|_| result.is_none());
    let offered =
        |name: &str| body["tools"].as_array().is_some_and(|tools| tools.iter().any(|t| t["function"]["name"] == name));
    let tool = rule.and_then(|rule| rule.tool.clone()).filter(|tool| offered(&tool.name));
    let answer = Answer { model: model.to_owned(), reply, tool: tool.map(|t| (t.name, t.arguments.to_string())) };
    if body["stream"] != json!(true) {
        emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
        return Json(answer.whole()).into_response();
    }
    let with_usage = body["stream_options"]["include_usage"] == json!(true);
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move { answer.stream(&emulator, arrived, fault, with_usage, sender).await });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item: Result<Bytes, std::io::Error>| (item, receiver))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

/// An answer in the shape that was asked for, made up from the schema.
async fn structured(emulator: &Emulator, arrived: Instant, fault: Option<Fault>, body: &Value) -> Response {
    emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
    if matches!(fault, Some(Fault::Stall | Fault::StallMidStream)) {
        stall().await;
    }
    let made_up = instance(&body["response_format"]["json_schema"]["schema"]);
    let content =
        if fault == Some(Fault::Garbage) { "I would rather not say.".to_owned() } else { made_up.to_string() };
    let answer = Answer { model: body["model"].as_str().unwrap_or("").to_owned(), reply: content, tool: None };
    Json(answer.whole()).into_response()
}

/// The simplest value that fits a schema.
fn instance(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    match schema["type"].as_str().or(schema["type"][0].as_str()).unwrap_or("object") {
        "string" => json!("emulated"),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(true),
        "array" => json!([instance(&schema["items"])]),
        "null" => Value::Null,
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, schema)| (name.clone(), instance(schema))).collect())
        }
    }
}

struct Answer {
    model: String,
    reply: String,
    tool: Option<(String, String)>,
}

impl Answer {
    fn whole(&self) -> Value {
        let calls = self.tool.as_ref().map(|(name, arguments)| {
            json!([{"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}])
        });
        let reason = if calls.is_some() { "tool_calls" } else { "stop" };
        json!({
            "id": "chatcmpl-emulator", "object": "chat.completion", "created": 1_763_700_000, "model": self.model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": self.reply, "refusal": null, "tool_calls": calls},
                "logprobs": null, "finish_reason": reason}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
        })
    }

    fn chunk(&self, delta: &Value, finish_reason: &Value) -> Value {
        json!({
            "id": "chatcmpl-emulator", "object": "chat.completion.chunk", "created": 1_763_700_000, "model": self.model,
            "service_tier": "default", "system_fingerprint": null, "obfuscation": "xyz",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}], "usage": null,
        })
    }

    async fn stream(
        self, emulator: &Emulator, arrived: Instant, fault: Option<Fault>, with_usage: bool,
        sender: mpsc::Sender<Result<Bytes, std::io::Error>>,
    ) {
        let send = async |text: String| sender.send(Ok(Bytes::from(text))).await.is_ok();
        let data = |value: &Value| format!("data: {value}\n\n");
        if fault == Some(Fault::Stall) {
            return stall().await;
        }
        if fault == Some(Fault::Garbage) {
            send("data: <html>502</html>\n\n".to_owned()).await;
            return;
        }
        emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
        send(": keep-alive comment\n\n".to_owned()).await;
        send(data(&self.chunk(&json!({"role": "assistant", "content": "", "refusal": null}), &Value::Null))).await;
        let words: Vec<&str> =
            if fault == Some(Fault::Empty) { Vec::new() } else { self.reply.split_inclusive(' ').collect() };
        for (index, word) in words.iter().enumerate() {
            match fault {
                Some(Fault::StallMidStream) if index == 4 => return stall().await,
                Some(Fault::Drop) if index == 4 => {
                    let _ = sender.send(Err(std::io::Error::other("dropped"))).await;
                    return;
                }
                _ => {}
            }
            if !send(data(&self.chunk(&json!({"content": word}), &Value::Null))).await {
                return;
            }
            emulator.clock.wait_ms(Instant::now(), emulator.delays.llm_token_ms).await;
        }
        let mut reason = json!("stop");
        if let (Some((name, arguments)), None) = (&self.tool, fault) {
            reason = json!("tool_calls");
            let first = json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}]});
            send(data(&self.chunk(&first, &Value::Null))).await;
            send(data(
                &self.chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}), &Value::Null),
            ))
            .await;
        }
        send(data(&self.chunk(&json!({}), &reason))).await;
        if with_usage {
            let usage = json!({
                "id": "chatcmpl-emulator", "object": "chat.completion.chunk", "created": 1_763_700_000, "model": self.model,
                "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": words.len(), "total_tokens": 10 + words.len()},
            });
            send(data(&usage)).await;
        }
        send("data: [DONE]\n\n".to_owned()).await;
    }
}

pub(super) async fn speech(State(emulator): State<Emulator>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let arrived = Instant::now();
    if !has_key(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let fault = emulator.faults.take("tts");
    if let Some(response) = early_fault(fault) {
        return response;
    }
    let (Some(_), Some(_), Some(text)) = (body["model"].as_str(), body["voice"].as_str(), body["input"].as_str())
    else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "model, voice and input are required");
    };
    if body["response_format"].as_str() != Some("pcm") {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "This emulator speaks pcm");
    }
    let audio: Bytes = emulator.voice.pcm(text, 24_000).await;
    audio_response(&emulator, arrived, fault, audio, "audio/pcm")
}

/// Audio in chunks of odd length, after the configured wait.
pub(super) fn audio_response(
    emulator: &Emulator, arrived: Instant, fault: Option<Fault>, audio: Bytes, kind: &'static str,
) -> Response {
    let (clock, delay) = (emulator.clock.clone(), emulator.delays.tts_first_byte_ms);
    if fault == Some(Fault::Garbage) {
        return ([("content-type", "text/html")], "<html>502 Bad Gateway</html>").into_response();
    }
    let stream = futures_util::stream::unfold((clock, audio, 0usize), move |(clock, audio, at)| async move {
        if at == 0 {
            if fault == Some(Fault::Stall) {
                stall().await;
            }
            clock.wait_ms(arrived, delay).await;
        }
        if at >= audio.len() || fault == Some(Fault::Empty) {
            return None;
        }
        if at > audio.len() / 2 {
            match fault {
                Some(Fault::Drop) => return Some((Err(std::io::Error::other("dropped")), (clock, Bytes::new(), 1))),
                Some(Fault::StallMidStream) => stall().await,
                _ => {}
            }
        }
        let end = (at + 4_801).min(audio.len());
        Some((Ok(audio.slice(at..end)), (clock, audio, end)))
    });
    ([("content-type", kind)], Body::from_stream(stream)).into_response()
}
