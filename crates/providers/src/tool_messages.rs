//! Calls of tools and their results in a request's messages, in the forms that servers of chat completions want.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Letters and digits of a short id.
const SHORT_ID_CHARS: usize = 9;
/// Stands for a call that no words came with, where calls have no messages of their own.
const CALL_WITHOUT_WORDS: &str = "…";

fn messages_of(body: &Value) -> impl Iterator<Item = &Value> {
    body["messages"].as_array().into_iter().flatten()
}

/// A message of this role is in the request.
pub(crate) fn has_role(body: &Value, role: &str) -> bool {
    messages_of(body).any(|message| message["role"] == role)
}

/// A result does not say of which tool it is.
pub(crate) fn has_unnamed_results(body: &Value) -> bool {
    messages_of(body).any(|message| message["role"] == "tool" && message["name"].as_str().is_none_or(str::is_empty))
}

/// Ids of calls get nine letters and digits.
pub(crate) fn shorten_ids(message: &mut Value) {
    let shorten = |id: &mut Value| *id = json!(short_id(id.as_str().unwrap_or_default()));
    message.get_mut("tool_call_id").into_iter().for_each(shorten);
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    calls.filter_map(|call| call.get_mut("id")).for_each(shorten);
}

fn short_id(id: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    if id.len() == SHORT_ID_CHARS && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let digest = Sha256::digest(id);
    digest.iter().take(SHORT_ID_CHARS).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// The name of the tool that a call's id stands for, by the messages before its result.
fn name_of(messages: &[Value], id: &Value) -> Option<String> {
    let calls = messages.iter().rev().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten());
    let mut named = calls.filter(|call| call["id"] == *id);
    named.find_map(|call| call["function"]["name"].as_str()).map(str::to_owned)
}

/// Each result says of which tool it is.
pub(crate) fn name_results(body: &mut Value) {
    let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) else { return };
    for index in 0..messages.len() {
        let (before, rest) = messages.split_at_mut(index);
        let Some(message) = rest.first_mut().filter(|message| message["role"] == "tool") else { continue };
        if let Some(name) = name_of(before, &message["tool_call_id"]) {
            message["name"] = json!(name);
        }
    }
}

/// Results become words of the user, one message for those of one turn; calls leave no more than the words beside them.
pub(crate) fn write_results_as_words(body: &mut Value) {
    let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) else { return };
    let mut written: Vec<Value> = Vec::with_capacity(messages.len());
    let mut follows_result = false;
    for (index, message) in messages.iter().enumerate() {
        let is_result = message["role"] == "tool";
        if is_result {
            let name = name_of(messages.get(..index).unwrap_or_default(), &message["tool_call_id"])
                .unwrap_or_else(|| "a tool".to_owned());
            let text = format!("[Result of {name}: {}]", message["content"].as_str().unwrap_or_default());
            match written.last_mut().filter(|_| follows_result) {
                Some(last) => {
                    last["content"] = json!(format!("{}\n{text}", last["content"].as_str().unwrap_or_default()))
                }
                None => written.push(json!({"role": "user", "content": text})),
            }
        } else {
            written.push(without_calls(message));
        }
        follows_result = is_result;
    }
    *messages = written;
}

fn without_calls(message: &Value) -> Value {
    let mut message = message.clone();
    let Some(fields) = message.as_object_mut() else { return message };
    if fields.remove("tool_calls").is_some_and(|calls| calls.is_array())
        && message["content"].as_str().is_none_or(|content| content.trim().is_empty())
    {
        message["content"] = json!(CALL_WITHOUT_WORDS);
    }
    message
}
