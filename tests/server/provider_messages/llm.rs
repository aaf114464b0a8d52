//! What LLM vendors send.

use super::Messages;
use serde_json::{Value, json};
use trunkline::domain::provider::LlmProvider;

/// Name of the snapshot, vendor, messages.
pub fn all() -> Vec<(&'static str, LlmProvider, Messages)> {
    vec![
        ("openai_chat", LlmProvider::Openai, openai_chat()),
        ("groq_chat", LlmProvider::Groq, groq_chat()),
        ("mistral_chat", LlmProvider::Mistral, mistral_chat()),
        ("xai_chat", LlmProvider::Xai, xai_chat()),
        ("anthropic_messages", LlmProvider::Anthropic, anthropic_messages()),
    ]
}

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

fn tool(index: u32, id: Value, name: Value, arguments: Value) -> Value {
    chunk(
        json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
        json!(null),
    )
}

fn openai_chat() -> Messages {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 812, "completion_tokens": 31, "prompt_tokens_details": {"cached_tokens": 768}}});
    vec![
        chunk(json!({"role": "assistant", "content": "", "refusal": null}), json!(null)),
        chunk(json!({"content": "Goede"}), json!(null)),
        tool(0, json!("call_a"), json!("book"), json!("")),
        tool(1, json!("call_b"), json!("look"), json!("{}")),
        tool(0, json!(null), json!(null), json!("{\"day\":1}")),
        chunk(json!({"refusal": "I cannot help with that."}), json!(null)),
        chunk(json!({}), json!("tool_calls")),
        usage,
        json!({"error": {"message": "The server had an error", "type": "server_error", "code": null}}),
    ]
}

fn groq_chat() -> Messages {
    vec![
        json!({"x_groq": {"id": "req_1"}, "choices": [{"delta": {"role": "assistant", "reasoning": "hm"}}]}),
        chunk(json!({"content": "Ja."}), json!(null)),
        json!({"x_groq": {"usage": {"prompt_tokens": 2, "completion_tokens": 1}}, "choices": [{"delta": {}, "finish_reason": "stop"}]}),
        json!({"error": {"message": "Failed to call a function.", "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "x"}}),
        json!({"x_groq": {"error": "over capacity"}, "choices": []}),
    ]
}

fn mistral_chat() -> Messages {
    vec![
        chunk(json!({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Ja."}]}), json!(null)),
        tool(0, json!("null"), json!("book"), json!({"day": 1})),
        chunk(json!({}), json!("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}),
    ]
}

fn xai_chat() -> Messages {
    vec![
        chunk(json!({"reasoning_content": "hm"}), json!(null)),
        tool(0, json!("call_1"), json!("book"), json!("{\"day\":1}")),
        chunk(json!({}), json!("tool_calls")),
        json!({"code": "Client specified an invalid argument", "error": "Argument not supported on this model"}),
    ]
}

fn anthropic_messages() -> Messages {
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let block =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 1_800, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        block(0, json!({"type": "thinking", "thinking": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "x"})),
        json!({"type": "content_block_stop", "index": 0}),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Prima"})),
        block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "book", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"day\": \"ma\"}"})),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 48}}),
        json!({"type": "message_stop"}),
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ]
}
