//! What a tool's server has answered: the text for the model, and the variables of the call.
//!
//! Pure: the driver has asked.

mod page;
mod text;

use super::tool_calls::{NO_ANSWER, result_text};
use super::tool_request::Redaction;
use crate::domain::provider_config::Tool;
use crate::domain::tool_request::{BodyFormat, JsonPath, ResponseMapping, ToolRequest};
use crate::webhooks::event;
use crate::webhooks::sender::WebhookError;
use crate::webhooks::tool_sender::ToolAnswer;
use serde_json::{Map, Value, json};
use std::time::Duration;
use text::{Content, PAGE, any_text, content};

/// Characters of a server's error that the model receives.
const ERROR_CHARS_MAX: usize = 300;
/// Bytes of a variable's value as JSON.
const VARIABLE_BYTES_MAX: usize = 10_000;

/// The end of a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOutcome {
    /// What the model reads.
    pub text: String,
    /// Variables of the call that the answer sets.
    pub variables: Map<String, Value>,
}

impl ToolOutcome {
    /// Of a tool that sets no variables.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), variables: Map::new() }
    }

    /// Of a tool call that was not made, or that failed.
    pub fn failed(why: &str) -> Self {
        Self::new(result_text(Err(why.to_owned())))
    }
}

/// Reads the answer to the call with this id.
pub fn outcome(
    tool: &Tool, call_id: &str, answer: Result<&ToolAnswer, &WebhookError>, redaction: &Redaction,
) -> ToolOutcome {
    let Some(request) = &tool.request else {
        let read = answer
            .map_err(|error| error_text(tool, error))
            .and_then(|answer| message_result(call_id, answer, redaction));
        return ToolOutcome::new(result_text(read));
    };
    let read =
        answer.map_err(|error| error_text(tool, error)).and_then(|answer| result(request, call_id, answer, redaction));
    match read {
        Ok(value) => {
            let value = redaction.value(value);
            let none = ResponseMapping::default();
            let (text, variables) = mapped(request.response.as_ref().unwrap_or(&none), value);
            ToolOutcome { text: result_text(text), variables }
        }
        Err(why) => ToolOutcome::failed(&redaction.text(&why)),
    }
}

/// Why there is no answer, in words for the model: neither the address nor the cause, which may name it.
fn error_text(tool: &Tool, error: &WebhookError) -> String {
    match error {
        WebhookError::Deadline => {
            let ms = super::tool_calls::deadline(tool).as_millis();
            format!("the tool did not answer within {} s", ms.div_ceil(1_000))
        }
        WebhookError::TooLarge => "the answer is too large".to_owned(),
        WebhookError::Refused(_) => "the tool's URL must not be asked".to_owned(),
        WebhookError::Unreachable(_) | WebhookError::Status(_) => NO_ANSWER.to_owned(),
    }
}

/// Why a status is no result; `None` for a success.
fn status_error(status: u16, said: Option<String>) -> Option<String> {
    match status {
        200..300 => None,
        300..400 => Some(format!("the server answered with a redirect (status {status}) that is not followed")),
        _ => {
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            Some(format!("the server answered with status {status}{said}"))
        }
    }
}

/// The result in an answer to the message `tool-calls`. A success stays one whatever the shape of its body, but for pages that
/// are made for people.
fn message_result(call_id: &str, answer: &ToolAnswer, redaction: &Redaction) -> Result<Value, String> {
    let is_failure = answer.status >= 400;
    let said = content(answer).ok().filter(|content| is_failure && matches!(content, Content::Json(_)));
    let said = said.and_then(said_error).filter(|said| !said.trim().is_empty());
    let said = said.map(|said| redaction.text(&said).chars().take(ERROR_CHARS_MAX).collect());
    if let Some(error) = status_error(answer.status, said) {
        return Err(error);
    }
    match content(answer) {
        Ok(Content::Empty) => Ok(json!("done")),
        Ok(Content::Text(text)) => event::tool_result(text.as_bytes(), call_id),
        Ok(Content::Json(value)) => event::tool_result(value.to_string().as_bytes(), call_id),
        Err(why) if why == PAGE || answer.content_encoding.is_some() => Err(why),
        Err(_) => event::tool_result(any_text(answer).as_bytes(), call_id),
    }
}

/// The value of an answer, whatever its form.
fn result(request: &ToolRequest, call_id: &str, answer: &ToolAnswer, redaction: &Redaction) -> Result<Value, String> {
    let said = || content(answer).ok().and_then(said_error).filter(|said| !said.trim().is_empty());
    // A secret that is cut is not found any more.
    let said = || said().map(|said| redaction.text(&said).chars().take(ERROR_CHARS_MAX).collect::<String>());
    let said = if (200..400).contains(&answer.status) { None } else { said() };
    if let Some(error) = status_error(answer.status, said) {
        return Err(error);
    }
    match content(answer)? {
        Content::Empty => Ok(json!("done")),
        Content::Text(text) => Ok(Value::String(text)),
        Content::Json(_) if request.body_format == BodyFormat::Message && request.method.has_body() => {
            event::tool_result(&answer.body, call_id)
        }
        Content::Json(value) => Ok(value),
    }
}

/// What a server says of its failure, where it says it in words.
fn said_error(content: Content) -> Option<String> {
    let value = match content {
        Content::Empty => return None,
        Content::Text(text) => return Some(text),
        Content::Json(value) => value,
    };
    let words = ["message", "error", "detail", "title", "error_description"];
    let of = |value: &Value| words.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned));
    match &value {
        Value::String(text) => Some(text.clone()),
        value => of(value).or_else(|| of(value.get("error")?)),
    }
}

/// The parts of an answer that the model reads, and those that are kept.
fn mapped(mapping: &ResponseMapping, value: Value) -> (Result<Value, String>, Map<String, Value>) {
    let find = |path: &String| JsonPath::parse(path).ok()?.find(&value).cloned();
    let found = |(name, path): (&String, &String)| Some((name.clone(), find(path)?));
    let is_short = |(_, value): &(String, Value)| value.to_string().len() <= VARIABLE_BYTES_MAX;
    let variables = mapping.variables.iter().filter_map(found).filter(is_short).collect();
    if mapping.fields.is_empty() {
        return (Ok(value), variables);
    }
    let fields: Map<String, Value> = mapping.fields.iter().filter_map(found).collect();
    if fields.is_empty() {
        let names: Vec<&str> = mapping.fields.keys().map(String::as_str).collect();
        return (Err(format!("the answer has none of the fields {}", names.join(", "))), variables);
    }
    (Ok(Value::Object(fields)), variables)
}

/// How long to wait before the request is sent again; `None` if it is not. `done` are the repetitions so far, `left` is
/// what remains of the tool's time.
pub fn repeat_after(
    request: Option<&ToolRequest>, done: u32, answer: Result<&ToolAnswer, &WebhookError>, left: Duration,
) -> Option<Duration> {
    let request = request?;
    let retry = request.retry.filter(|retry| done < retry.count(request.method))?;
    let asked = match answer {
        Ok(answer) if answer.status == 429 || answer.status >= 500 => answer.retry_after,
        Err(WebhookError::Unreachable(_)) => None,
        Ok(_) | Err(_) => return None,
    };
    Some(retry.delay(done, asked)).filter(|delay| *delay < left)
}

#[cfg(test)]
mod tests;
