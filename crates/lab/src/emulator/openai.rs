//! OpenAI: chat completions as a stream or complete, and speech.

use super::fault_injection::InjectedFault;
use super::odd_models::{OddModel, schema_in_prompt};
use super::script::ScriptedAnswer;
use super::state::Emulator;
use super::wire::{has_token, stall};
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
pub(super) fn early_fault(fault: Option<InjectedFault>) -> Option<Response> {
    match fault? {
        InjectedFault::Refuse => {
            Some(refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The server had an error"))
        }
        InjectedFault::RateLimit => {
            Some(refusal(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "Rate limit reached"))
        }
        InjectedFault::Unauthorized => {
            Some(refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided"))
        }
        _ => None,
    }
}

/// Who is emulated: what they refuse and how their chunks look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChatVendor {
    Openai,
    Groq,
    Mistral,
    Xai,
}

impl ChatVendor {
    fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Groq => "groq",
            Self::Mistral => "mistral",
            Self::Xai => "xai",
        }
    }

    /// Refusals of a body that other vendors take.
    fn refuses(self, body: &Value) -> Option<Response> {
        let model = body["model"].as_str().unwrap_or("");
        let bad = |message: &str| Some(refusal(StatusCode::BAD_REQUEST, "unsupported_value", message));
        match self {
            Self::Openai if model.starts_with("o1") && !body["temperature"].is_null() => {
                bad("Unsupported parameter: 'temperature' is not supported with this model.")
            }
            Self::Openai if model.starts_with('o') && !body["max_tokens"].is_null() => bad(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            ),
            Self::Openai if model.starts_with("o1") && !body["stop"].is_null() => {
                bad("Unsupported parameter: 'stop' is not supported with this model.")
            }
            Self::Openai if model == "no-such-model" => {
                Some(refusal(StatusCode::NOT_FOUND, "model_not_found", "The model `no-such-model` does not exist"))
            }
            Self::Mistral => {
                let detail = |what: &str| json!({"detail": [{"loc": ["body", what], "msg": format!("Extra inputs are not permitted: {what}"), "type": "extra_forbidden"}]});
                let extra = ["stream_options", "seed", "store", "max_completion_tokens", "reasoning_effort"];
                if let Some(name) = extra.iter().find(|name| !body[**name].is_null()) {
                    return Some((StatusCode::UNPROCESSABLE_ENTITY, Json(detail(name))).into_response());
                }
                let messages = body["messages"].as_array()?;
                let role = |m: &Value| m["role"].as_str().unwrap_or("").to_owned();
                let late = messages.iter().skip_while(|m| role(m) == "system").any(|m| role(m) == "system");
                let jump = messages.windows(2).any(|two| role(&two[0]) == "tool" && role(&two[1]) == "user");
                let ids = messages.iter().filter_map(|m| m["tool_call_id"].as_str()).any(|id| id.len() != 9);
                (late || jump || ids)
                    .then(|| (StatusCode::UNPROCESSABLE_ENTITY, Json(detail("messages"))).into_response())
            }
            Self::Xai if !body["reasoning_effort"].is_null() => {
                let flat = json!({"code": "Client specified an invalid argument",
                    "error": "Argument not supported on this model: reasoningEffort"});
                Some((StatusCode::BAD_REQUEST, Json(flat)).into_response())
            }
            _ => None,
        }
    }
}

/// What a key may use.
pub(super) async fn models(headers: HeaderMap) -> Response {
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let model = |id: &str| json!({"id": id, "object": "model", "created": 1, "owned_by": "emulator"});
    let ids = ["gpt-4o-mini", "gpt-emulated", "gpt-4o-mini-tts", "gpt-4o-mini-transcribe", "text-embedding-3-small"];
    let data = ids.map(model);
    Json(json!({"object": "list", "data": data})).into_response()
}

pub(super) async fn chat(emulator: State<Emulator>, headers: HeaderMap, body: Json<Value>) -> Response {
    answer(emulator.0, &headers, body.0, ChatVendor::Openai).await
}

pub(super) async fn groq(emulator: State<Emulator>, headers: HeaderMap, body: Json<Value>) -> Response {
    answer(emulator.0, &headers, body.0, ChatVendor::Groq).await
}

pub(super) async fn mistral(emulator: State<Emulator>, headers: HeaderMap, body: Json<Value>) -> Response {
    answer(emulator.0, &headers, body.0, ChatVendor::Mistral).await
}

pub(super) async fn xai(emulator: State<Emulator>, headers: HeaderMap, body: Json<Value>) -> Response {
    answer(emulator.0, &headers, body.0, ChatVendor::Xai).await
}

async fn answer(emulator: Emulator, headers: &HeaderMap, body: Value, vendor: ChatVendor) -> Response {
    let arrived = Instant::now();
    if !has_token(headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let fault = emulator.faults.take("llm", vendor.name());
    if let Some(response) = early_fault(fault) {
        return response;
    }
    if let Some(response) = vendor.refuses(&body) {
        return response;
    }
    let (Some(model), Some(messages)) = (body["model"].as_str(), body["messages"].as_array()) else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "model and messages are required");
    };
    let odd = OddModel::named(model);
    if let Some((status, message)) = odd.refuses_chat(&body) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        return refusal(status, "invalid_request_error", &message);
    }
    let prompt = messages.first().and_then(|first| first["content"].as_str()).unwrap_or_default();
    let schema = match body["response_format"]["type"].as_str() {
        Some("json_schema") => Some(body["response_format"]["json_schema"]["schema"].clone()),
        _ if body["stream"] == json!(true) => None,
        _ => schema_in_prompt(prompt),
    };
    if let Some(schema) = schema {
        return structured(&emulator, arrived, fault, &body, &schema).await;
    }
    let names = body["tools"].as_array().into_iter().flatten();
    let names: Vec<String> = names.filter_map(|t| t["function"]["name"].as_str().map(str::to_owned)).collect();
    let ScriptedAnswer { reply, tools } = emulator.script.answer_to(messages, &names);
    let reply = odd.written(&reply);
    let answer = ChatAnswer { vendor, odd, model: model.to_owned(), reply, tools, tokens_max: tokens_max(&body) };
    if body["stream"] != json!(true) {
        emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
        return Json(answer.whole()).into_response();
    }
    let with_usage = body["stream_options"]["include_usage"] == json!(true) || vendor == ChatVendor::Mistral;
    let (sender, receiver) = mpsc::channel(64);
    let encoding = answer.odd.encoding();
    tokio::spawn(async move { answer.stream(&emulator, arrived, fault, with_usage, sender).await });
    let mut response = events(receiver, fault);
    if let Some(encoding) = encoding {
        response.headers_mut().insert("content-encoding", axum::http::HeaderValue::from_static(encoding));
    }
    response
}

/// A stream of server-sent events; in chunks of odd sizes if the fault asks for that.
pub(super) fn events(
    receiver: mpsc::Receiver<Result<Bytes, std::io::Error>>, fault: Option<InjectedFault>,
) -> Response {
    let odd = fault == Some(InjectedFault::OddChunks);
    let stream = futures_util::stream::unfold((receiver, Bytes::new()), move |(mut receiver, mut rest)| async move {
        if rest.is_empty() {
            rest = match receiver.recv().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some((Err(error), (receiver, rest))),
            };
        }
        let segment = rest.split_to(if odd { rest.len().min(7) } else { rest.len() });
        Some((Ok(segment), (receiver, rest)))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

/// An answer in the shape that was asked for, made up from the schema.
async fn structured(
    emulator: &Emulator, arrived: Instant, fault: Option<InjectedFault>, body: &Value, schema: &Value,
) -> Response {
    emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
    if matches!(fault, Some(InjectedFault::Stall | InjectedFault::StallMidStream | InjectedFault::HalfOpen)) {
        stall().await;
    }
    let made_up = instance(schema);
    let content =
        if fault == Some(InjectedFault::Garbage) { "I would rather not say.".to_owned() } else { made_up.to_string() };
    let model = body["model"].as_str().unwrap_or("").to_owned();
    let odd = OddModel::named(&model);
    let reply = odd.written(&content);
    let answer =
        ChatAnswer { vendor: ChatVendor::Openai, odd, model, reply, tools: Vec::new(), tokens_max: usize::MAX };
    Json(answer.whole()).into_response()
}

/// The simplest value that fits a schema.
pub(super) fn instance(schema: &Value) -> Value {
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

struct ChatAnswer {
    vendor: ChatVendor,
    odd: OddModel,
    model: String,
    reply: String,
    tools: Vec<(String, String)>,
    /// Tokens that the request allows.
    tokens_max: usize,
}

/// Tokens that a request allows, by any of the names.
pub(super) fn tokens_max(body: &Value) -> usize {
    let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| body[*name].as_u64());
    limit.map_or(usize::MAX, |limit| limit as usize)
}

impl ChatAnswer {
    fn whole(&self) -> Value {
        let calls = (!self.tools.is_empty()).then(|| {
            let call = |(index, (name, arguments)): (usize, &(String, String))| {
                json!({"id": format!("call_{}", index + 1), "type": "function", "function": {"name": name, "arguments": arguments}})
            };
            self.tools.iter().enumerate().map(call).collect::<Vec<_>>()
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
            "x_groq": if self.vendor == ChatVendor::Groq { json!({"id": "req_emulated"}) } else { Value::Null },
        })
    }

    /// The words that the request allows, a token each, and whether there would be more.
    fn words(&self, fault: Option<InjectedFault>) -> (Vec<&str>, bool) {
        if fault == Some(InjectedFault::Empty) {
            return (Vec::new(), false);
        }
        let mut words: Vec<&str> = self.reply.split_inclusive(' ').collect();
        let is_cut = words.len() > self.tokens_max;
        words.truncate(self.tokens_max);
        (words, is_cut)
    }

    /// The tool calls as they are streamed: in alternating fragments, or each complete.
    fn tool_deltas(&self) -> Vec<Value> {
        let shares_index = self.odd.is("parallel");
        let is_whole = |word: &&str| self.odd.is(word);
        let whole = matches!(self.vendor, ChatVendor::Mistral | ChatVendor::Xai)
            || ["parallel", "nulls", "ollama", "ndjson"].iter().any(is_whole);
        let mut deltas = Vec::new();
        for (index, (name, arguments)) in self.tools.iter().enumerate() {
            let id = if self.vendor == ChatVendor::Mistral { "null".to_owned() } else { format!("call_{}", index + 1) };
            let place = if shares_index { 0 } else { index };
            let mut first =
                json!({"index": place, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
            if whole {
                let object: Value = serde_json::from_str(arguments).unwrap_or_default();
                first["function"]["arguments"] =
                    if self.vendor == ChatVendor::Mistral { object } else { json!(arguments) };
            }
            deltas.push(first);
        }
        if !whole {
            for half in 0..2 {
                for (index, (_, arguments)) in self.tools.iter().enumerate() {
                    let middle = arguments.floor_char_boundary(arguments.len() / 2);
                    let part = if half == 0 { &arguments[..middle] } else { &arguments[middle..] };
                    deltas.push(json!({"index": index, "function": {"arguments": part}}));
                }
            }
        }
        let thoughts = self.odd.is("recalling").then(|| json!({"reasoning_content": "I should use it."}));
        thoughts.into_iter().chain(deltas.into_iter().map(|delta| json!({"tool_calls": [delta]}))).collect()
    }

    async fn stream(
        self, emulator: &Emulator, arrived: Instant, fault: Option<InjectedFault>, with_usage: bool,
        sender: mpsc::Sender<Result<Bytes, std::io::Error>>,
    ) {
        let send = async |text: String| sender.send(Ok(Bytes::from(text))).await.is_ok();
        let data = |value: &Value| self.odd.event(value.clone());
        if matches!(fault, Some(InjectedFault::Stall | InjectedFault::HalfOpen)) {
            return stall().await;
        }
        if fault == Some(InjectedFault::Garbage) {
            send("data: <html>502</html>\n\n".to_owned()).await;
            return;
        }
        emulator.clock.wait_ms(arrived, emulator.delays.llm_first_token_ms).await;
        send(self.odd.preamble().to_owned()).await;
        send(data(&self.chunk(&json!({"role": "assistant", "content": "", "refusal": null}), &Value::Null))).await;
        let (words, is_cut) = self.words(fault);
        for (index, word) in words.iter().enumerate() {
            match fault {
                Some(InjectedFault::StallMidStream) if index == 4 => return stall().await,
                Some(InjectedFault::Drop) if index == 4 => {
                    let _ = sender.send(Err(std::io::Error::other("dropped"))).await;
                    return;
                }
                _ => {}
            }
            // Mistral's content may be a list of parts.
            let content = if self.vendor == ChatVendor::Mistral && index == 0 {
                json!([{"type": "text", "text": word}])
            } else {
                json!(word)
            };
            if !send(data(&self.chunk(&json!({"content": content}), &Value::Null))).await {
                return;
            }
            emulator.clock.wait_ms(Instant::now(), emulator.delays.llm_token_ms).await;
        }
        let mut reason = json!(if is_cut { "length" } else { "stop" });
        if !is_cut && !self.tools.is_empty() && matches!(fault, None | Some(InjectedFault::OddChunks)) {
            reason = json!("tool_calls");
            for delta in self.tool_deltas() {
                send(data(&self.chunk(&delta, &Value::Null))).await;
            }
        }
        send(data(&self.chunk(&json!({}), &reason))).await;
        if with_usage {
            let usage = json!({
                "id": "chatcmpl-emulator", "object": "chat.completion.chunk", "created": 1_763_700_000, "model": self.model,
                "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": words.len(), "total_tokens": 10 + words.len(),
                    "prompt_tokens_details": {"cached_tokens": 4}},
            });
            send(data(&usage)).await;
        }
        if let Some(mark) = self.odd.end_mark() {
            send(mark.to_owned()).await;
        }
    }
}

pub(super) async fn speech(State(emulator): State<Emulator>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let arrived = Instant::now();
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let fault = emulator.faults.take("tts", "openai");
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
    emulator: &Emulator, arrived: Instant, fault: Option<InjectedFault>, audio: Bytes, kind: &'static str,
) -> Response {
    let (clock, delay) = (emulator.clock.clone(), emulator.delays.tts_first_byte_ms);
    if fault == Some(InjectedFault::Garbage) {
        return ([("content-type", "text/html")], "<html>502 Bad Gateway</html>").into_response();
    }
    let stream = futures_util::stream::unfold((clock, audio, 0usize), move |(clock, audio, at)| async move {
        if at == 0 {
            if matches!(fault, Some(InjectedFault::Stall | InjectedFault::HalfOpen)) {
                stall().await;
            }
            clock.wait_ms(arrived, delay).await;
        }
        if at >= audio.len() || fault == Some(InjectedFault::Empty) {
            return None;
        }
        if at > audio.len() / 2 {
            match fault {
                Some(InjectedFault::Drop) => {
                    return Some((Err(std::io::Error::other("dropped")), (clock, Bytes::new(), 1)));
                }
                Some(InjectedFault::StallMidStream) => stall().await,
                _ => {}
            }
        }
        let size = if fault == Some(InjectedFault::OddChunks) { 333 } else { 4_801 };
        let end = (at + size).min(audio.len());
        Some((Ok(audio.slice(at..end)), (clock, audio, end)))
    });
    ([("content-type", kind)], Body::from_stream(stream)).into_response()
}
