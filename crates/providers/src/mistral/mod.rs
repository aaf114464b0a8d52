//! Mistral: chat completions with special rules about the order of messages.
//! <https://docs.mistral.ai/api>

use super::openai::chat_completions::ChatCompletions;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The LLM client that the registry hands out.
pub static LLM: ChatCompletions =
    ChatCompletions { has_stream_options: false, has_cache_key: true, effort: |_| None, arrange };

/// The system speaks only at the start; after a tool the assistant speaks before the user does; tool calls
/// have ids of nine letters and digits.
fn arrange(messages: Vec<Value>) -> Vec<Value> {
    let mut arranged: Vec<Value> = Vec::new();
    for mut message in messages {
        let last = arranged.last().map_or("", |last| last["role"].as_str().unwrap_or(""));
        let begun = !matches!(last, "" | "system");
        if message["role"] == "system" && begun {
            message["role"] = json!("user");
        }
        if message["role"] == "user" && last == "tool" {
            arranged.push(json!({"role": "assistant", "content": " "}));
        }
        if let Some(id) = message["tool_call_id"].as_str() {
            message["tool_call_id"] = json!(short_id(id));
        }
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            call["id"] = json!(short_id(call["id"].as_str().unwrap_or_default()));
        }
        arranged.push(message);
    }
    // The model does not answer its own words: they become the beginning of its answer.
    if let Some(last) = arranged.last_mut().filter(|last| last["role"] == "assistant") {
        last["prefix"] = json!(true);
    }
    arranged
}

fn short_id(id: &str) -> String {
    if id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
    Sha256::digest(id).iter().take(9).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_into_an_order_that_is_taken() {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "book", "arguments": "{}"}});
        let arranged = arrange(vec![
            json!({"role": "system", "content": "a"}),
            json!({"role": "system", "content": "b"}),
            json!({"role": "user", "content": "c"}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": "call_1", "content": "d"}),
            json!({"role": "system", "content": "news"}),
        ]);
        let roles: Vec<_> = arranged.iter().map(|m| m["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "system", "user", "assistant", "tool", "assistant", "user"]);
        let id = arranged[4]["tool_call_id"].as_str().unwrap();
        assert_eq!((id.len(), &arranged[3]["tool_calls"][0]["id"]), (9, &json!(id)));
        assert_eq!(arrange(vec![json!({"role": "assistant", "content": "Hello"})])[0]["prefix"], json!(true));
    }
}
