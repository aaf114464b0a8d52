//! Conversations that are too long for a model: the oldest turns are left out. The model keeps its instructions, and the
//! caller's last words.

use moka::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Conversations remembered, and for how long: some calls are.
const CONVERSATIONS_MAX: u64 = 10_000;
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Messages that tell conversations apart.
const FIRST_MESSAGES: usize = 3;
/// How servers say so.
const TOO_LONG: [&str; 16] = [
    "context length",
    "context_length",
    "context window",
    "context size",
    "context limit",
    "maximum context",
    "prompt is too long",
    "prompt too long",
    "prompt length",
    "input is too long",
    "input length",
    "input token count",
    "too many tokens",
    "too many input tokens",
    "request too large",
    "reduce the length",
];

/// Whether a refusal is about the length of the conversation.
pub(crate) fn is_too_long(words: &str) -> bool {
    TOO_LONG.iter().any(|said| words.contains(said))
}

/// Address and model, and a digest of how the conversation begins.
type ConversationKey = (String, [u8; 32]);

/// Bytes at which conversations were refused.
#[derive(Clone, Debug)]
pub(crate) struct ContextLimits(Cache<ConversationKey, usize>);

impl Default for ContextLimits {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CONVERSATIONS_MAX).time_to_live(REMEMBERED).build())
    }
}

impl ContextLimits {
    /// A request was refused as too long. Later ones of this conversation have half of its turns at most.
    pub(crate) fn record(&self, model: &str, body: &Value) {
        let Some(key) = key_of(model, body) else { return };
        let mut sent = body.clone();
        self.shorten(model, &mut sent);
        let bytes = turns_of(&sent).map(bytes_of).sum();
        tracing::warn!(model, bytes, "a conversation is too long for a model; its oldest turns are left out");
        self.0.insert(key, bytes);
    }

    /// Leaves out the oldest turns of a conversation that was refused.
    pub(crate) fn shorten(&self, model: &str, body: &mut Value) {
        let Some(refused) = key_of(model, body).and_then(|key| self.0.get(&key)) else { return };
        if turns_of(body).map(bytes_of).sum::<usize>() < refused {
            return;
        }
        if let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) {
            leave_out_oldest(messages, refused / 2);
        }
    }
}

fn is_system(message: &Value) -> bool {
    message["role"] == "system" || message["role"] == "developer"
}

fn turns_of(body: &Value) -> impl Iterator<Item = &Value> {
    body["messages"].as_array().into_iter().flatten().filter(|message| !is_system(message))
}

fn bytes_of(message: &Value) -> usize {
    message.to_string().len()
}

/// What a conversation begins with; `None` if it is too short for anything to be left out.
fn key_of(model: &str, body: &Value) -> Option<ConversationKey> {
    let first: Vec<&Value> = turns_of(body).take(FIRST_MESSAGES).collect();
    if first.len() < FIRST_MESSAGES {
        return None;
    }
    let digest = first.iter().fold(Sha256::new(), |digest, message| digest.chain_update(message.to_string()));
    Some((model.to_owned(), digest.finalize().into()))
}

/// Whether a message holds results of the calls before it.
fn is_result(message: &Value) -> bool {
    message["role"] == "tool" || message["content"][0]["type"] == "tool_result"
}

/// Leaves out turns from the oldest on, as far as the rest has so many bytes. What is left begins with words of the caller;
/// calls of tools and their results stay together.
fn leave_out_oldest(messages: &mut Vec<Value>, bytes_max: usize) {
    let system = messages.iter().take_while(|message| is_system(message)).count();
    let mut units: Vec<Vec<Value>> = Vec::new();
    for message in messages.split_off(system) {
        match units.last_mut() {
            Some(unit) if is_result(&message) => unit.push(message),
            _ => units.push(vec![message]),
        }
    }
    let bytes = |units: &[Vec<Value>]| units.iter().flatten().map(bytes_of).sum::<usize>();
    let is_caller = |unit: &Vec<Value>| unit.first().is_some_and(|message| message["role"] == "user");
    let starts: Vec<usize> =
        units.iter().enumerate().skip(1).filter(|(_, unit)| is_caller(unit)).map(|(at, _)| at).collect();
    let fitting = starts.iter().find(|at| units.get(**at..).is_some_and(|rest| bytes(rest) <= bytes_max));
    if let Some(start) = fitting.or(starts.last()) {
        units.drain(..*start);
    }
    // Many calls follow the caller's last words.
    while units.len() > 2 && bytes(&units) > bytes_max {
        units.remove(1);
    }
    messages.extend(units.into_iter().flatten());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn roles(messages: &[Value]) -> Vec<String> {
        messages
            .iter()
            .map(|message| format!("{}{}", message["role"].as_str().unwrap(), message["n"].as_u64().unwrap_or(0)))
            .collect()
    }

    fn message(role: &str, number: u64) -> Value {
        json!({"role": role, "n": number, "content": "x".repeat(100)})
    }

    #[test]
    fn the_oldest_turns_go_first_and_the_instructions_never() {
        let all: Vec<Value> = std::iter::once(message("system", 0))
            .chain((1..=8).map(|n| message(if n % 2 == 1 { "user" } else { "assistant" }, n)))
            .collect();
        let left = |bytes| {
            let mut messages = all.clone();
            leave_out_oldest(&mut messages, bytes);
            roles(&messages)
        };
        assert_eq!(left(600), ["system0", "user5", "assistant6", "user7", "assistant8"]);
        assert_eq!(left(300), ["system0", "user7", "assistant8"]);
        assert_eq!(left(0), ["system0", "user7", "assistant8"], "the caller's last words stay");
    }

    #[test]
    fn calls_and_their_results_stay_together() {
        for result in [message("tool", 3), json!({"role": "user", "n": 3, "content": [{"type": "tool_result"}]})] {
            let mut messages = vec![
                message("user", 1),
                message("assistant", 2),
                result.clone(),
                message("assistant", 4),
                result.clone(),
                message("assistant", 6),
                result,
            ];
            leave_out_oldest(&mut messages, 0);
            let left = roles(&messages);
            assert_eq!((left.len(), left[0].as_str(), left[1].as_str()), (3, "user1", "assistant6"));
            assert!(is_result(&messages[2]));
        }
    }

    #[test]
    fn a_conversation_is_remembered_and_others_are_left_alone() {
        let limits = ContextLimits::default();
        let body = |first: &str, turns: u64| {
            let turns = (0..turns).map(|n| message(if n % 2 == 0 { "user" } else { "assistant" }, n));
            let first = json!({"role": "user", "content": first});
            json!({"messages": std::iter::once(first).chain([message("assistant", 9)]).chain(turns).collect::<Vec<_>>()})
        };
        let count = |first: &str, turns| {
            let mut body = body(first, turns);
            limits.shorten("m", &mut body);
            body["messages"].as_array().unwrap().len()
        };
        assert_eq!(count("Hi", 9), 11);
        limits.record("m", &body("Hi", 9));
        assert_eq!((count("Hi", 9), count("Hi", 11), count("Hi", 3), count("Hello", 9)), (5, 5, 5, 11));
        limits.record("m", &body("Hi", 9));
        assert!(count("Hi", 9) < 5, "twice");
    }
}
