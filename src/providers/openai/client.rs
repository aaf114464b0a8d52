//! Requests to an OpenAI-compatible server. Dropping the stream closes the connection, which cancels
//! the generation.

use super::message::{Collector, Fault, StructuredRequest, request_body, structured_body, whole_answer};
use crate::providers::sse::Parser;
use crate::providers::{
    AudioFormat, ChatRequest, Endpoint, Failure, LlmEvent, Providers, Speech, Stream, TtsEvent, refusal, unreachable,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Starts a chat completion. One retry is made inside as long as nothing was said.
pub fn chat(providers: &Providers, endpoint: &Endpoint, request: &ChatRequest) -> Stream<LlmEvent> {
    let (providers, endpoint, body) = (providers.clone(), endpoint.clone(), request_body(request));
    Stream::spawn(|events| async move {
        let mut said = false;
        let mut result = stream(&providers, &endpoint, &body, &events, &mut said).await;
        if let Err(failure) = &result
            && !said
            && failure.is_retryable()
        {
            metrics::counter!("trunkline_provider_retries_total", "stage" => "llm").increment(1);
            result = stream(&providers, &endpoint, &body, &events, &mut said).await;
        }
        if let Err(failure) = result {
            let _ = events.send(LlmEvent::Failed(failure)).await;
        }
    })
}

async fn stream(
    providers: &Providers, endpoint: &Endpoint, body: &serde_json::Value, events: &mpsc::Sender<LlmEvent>,
    said: &mut bool,
) -> Result<(), Failure> {
    let key = endpoint.api_key.as_deref().ok_or(Failure::NotConfigured)?;
    let request = providers.http.post(format!("{}/chat/completions", endpoint.base_url)).bearer_auth(key).json(body);
    let first_byte = tokio::time::Instant::now() + providers.deadlines.first_byte;
    let response = match tokio::time::timeout_at(first_byte, request.send()).await {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(response)) => return Err(refusal(response).await),
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(Failure::Deadline("first token")),
    };
    let mut bytes = response.bytes_stream();
    let mut parser = Parser::default();
    let mut collector = Collector::default();
    let mut done = false;
    while !done {
        let deadline = if *said { tokio::time::Instant::now() + providers.deadlines.between_bytes } else { first_byte };
        let chunk = match tokio::time::timeout_at(deadline, bytes.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(Failure::Dropped(error.to_string())),
            Ok(None) if collector.is_finished() => break,
            Ok(None) => return Err(Failure::Dropped("end of stream".to_owned())),
            Err(_) => return Err(Failure::Deadline(if *said { "next token" } else { "first token" })),
        };
        let mut texts = Vec::new();
        let mut fault = None;
        let fits = parser.push(&chunk, |data| {
            if data == "[DONE]" {
                done = true;
            } else if fault.is_none() {
                match collector.chunk(data) {
                    Ok(text) => texts.extend(text),
                    Err(error) => fault = Some(error),
                }
            }
        });
        for text in texts {
            *said = true;
            if events.send(LlmEvent::Text(text)).await.is_err() {
                return Ok(());
            }
        }
        match fault {
            Some(Fault::Error(message)) => return Err(Failure::Refused { status: 500, message }),
            Some(Fault::Garbage(what)) => return Err(Failure::Garbage(what)),
            None if !fits => return Err(Failure::Garbage("endless event".to_owned())),
            None => {}
        }
    }
    for event in collector.finish() {
        let _ = events.send(event).await;
    }
    Ok(())
}

/// A whole answer, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// Asks for one answer in the shape of a JSON schema. One retry is made inside.
pub async fn complete(
    providers: &Providers, endpoint: &Endpoint, request: &StructuredRequest<'_>, deadline: Duration,
) -> Result<Completion, Failure> {
    let body = structured_body(request);
    match complete_once(providers, endpoint, &body, deadline).await {
        Err(failure) if failure.is_retryable() => {
            metrics::counter!("trunkline_provider_retries_total", "stage" => "analysis").increment(1);
            complete_once(providers, endpoint, &body, deadline).await
        }
        result => result,
    }
}

async fn complete_once(
    providers: &Providers, endpoint: &Endpoint, body: &serde_json::Value, deadline: Duration,
) -> Result<Completion, Failure> {
    let key = endpoint.api_key.as_deref().ok_or(Failure::NotConfigured)?;
    let request = providers.http.post(format!("{}/chat/completions", endpoint.base_url)).bearer_auth(key).json(body);
    let exchange = async {
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = response.bytes().await.map_err(|error| Failure::Dropped(error.to_string()))?;
        whole_answer(&body).map_err(Failure::Garbage)
    };
    let (text, prompt_tokens, completion_tokens) =
        timeout(deadline, exchange).await.unwrap_or(Err(Failure::Deadline("answer")))?;
    Ok(Completion { text, prompt_tokens, completion_tokens })
}

/// Speaks a text with `POST /audio/speech`.
pub fn speech(providers: &Providers, model: &str, voice: &str, speed: Option<f64>, text: &str) -> Speech {
    let mut body = json!({"model": model, "voice": voice, "input": text, "response_format": "pcm"});
    if let Some(speed) = speed {
        body["speed"] = json!(speed);
    }
    let (providers, endpoint) = (providers.clone(), providers.openai.clone());
    let stream = Stream::spawn(|events| async move {
        let request = match endpoint.api_key.as_deref() {
            Some(key) => {
                Ok(providers.http.post(format!("{}/audio/speech", endpoint.base_url)).bearer_auth(key).json(&body))
            }
            None => Err(Failure::NotConfigured),
        };
        audio_body(&providers, request, &events).await;
    });
    // The provider's own rate; it offers no telephone format.
    Speech { format: AudioFormat::Pcm16 { rate_hz: 24_000 }, stream }
}

/// Streams the bytes of an audio answer with the deadlines of a voice; one retry before the first byte.
pub(crate) async fn audio_body(
    providers: &Providers, request: Result<reqwest::RequestBuilder, Failure>, events: &mpsc::Sender<TtsEvent>,
) {
    let result = match request {
        Ok(request) => {
            let again = request.try_clone();
            let mut heard = false;
            match (audio_once(providers, request, events, &mut heard).await, again) {
                (Err(failure), Some(again)) if !heard && failure.is_retryable() => {
                    metrics::counter!("trunkline_provider_retries_total", "stage" => "tts").increment(1);
                    audio_once(providers, again, events, &mut heard).await
                }
                (result, _) => result,
            }
        }
        Err(failure) => Err(failure),
    };
    let last = match result {
        Ok(()) => TtsEvent::Done,
        Err(failure) => TtsEvent::Failed(failure),
    };
    let _ = events.send(last).await;
}

async fn audio_once(
    providers: &Providers, request: reqwest::RequestBuilder, events: &mpsc::Sender<TtsEvent>, heard: &mut bool,
) -> Result<(), Failure> {
    let deadlines = providers.deadlines;
    let response = match timeout(deadlines.first_byte, request.send()).await {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(response)) => return Err(refusal(response).await),
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(Failure::Deadline("first audio")),
    };
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/json") || kind.starts_with("text/") {
        return Err(Failure::Garbage(format!("content type {kind}")));
    }
    let mut bytes = response.bytes_stream();
    loop {
        let limit = if *heard { deadlines.between_bytes } else { deadlines.first_byte };
        let chunk: Bytes = match timeout(limit, bytes.next()).await {
            Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(Failure::Dropped(error.to_string())),
            Ok(None) if *heard => return Ok(()),
            Ok(None) => return Err(Failure::Dropped("no audio at all".to_owned())),
            Err(_) => return Err(Failure::Deadline("next audio")),
        };
        *heard = true;
        if events.send(TtsEvent::Audio(chunk)).await.is_err() {
            return Ok(());
        }
    }
}
