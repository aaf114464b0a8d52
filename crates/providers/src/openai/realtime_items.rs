//! A conversation as items of a realtime session: what a new session has to know when it takes over from one that ended.

use serde_json::{Value, json};
use trunkline_domain::chat::ChatMessage;

/// The events that put a conversation into a session, the oldest message first. Results whose calls are not among the
/// messages are left out: the vendor refuses them.
pub(super) fn conversation_items(conversation: &[ChatMessage]) -> Vec<Value> {
    let mut known: Vec<&str> = Vec::new();
    let mut items = Vec::new();
    for message in conversation {
        match message {
            ChatMessage::System(text) => items.push(text_item("system", text)),
            ChatMessage::User(text) => items.push(text_item("user", text)),
            ChatMessage::Assistant { content, tool_calls } => {
                if !content.is_empty() {
                    items.push(text_item("assistant", content));
                }
                for call in tool_calls {
                    known.push(&call.id);
                    items.push(json!({"type": "function_call", "call_id": call.id, "name": call.name,
                        "arguments": call.arguments}));
                }
            }
            ChatMessage::Tool { call_id, content } if known.contains(&call_id.as_str()) => {
                items.push(json!({"type": "function_call_output", "call_id": call_id, "output": content}));
            }
            ChatMessage::Tool { .. } => {}
        }
    }
    items.into_iter().map(|item| json!({"type": "conversation.item.create", "item": item})).collect()
}

fn text_item(role: &str, text: &str) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_domain::chat::ToolCall;

    #[test]
    fn a_conversation_becomes_items_in_its_order() {
        let call = ToolCall::new("c".into(), "find".into(), "{}".into());
        let result = |id: &str| ChatMessage::Tool { call_id: id.into(), content: "on its way".into() };
        let items = conversation_items(&[
            result("older"),
            ChatMessage::User("Where is it?".into()),
            ChatMessage::Assistant { content: "One moment.".into(), tool_calls: vec![call] },
            result("c"),
            ChatMessage::System("Be quick.".into()),
        ]);
        let kinds: Vec<&Value> = items.iter().map(|event| &event["item"]["type"]).collect();
        assert_eq!(kinds, ["message", "message", "function_call", "function_call_output", "message"]);
        assert_eq!(items[0]["item"]["content"], json!([{"type": "input_text", "text": "Where is it?"}]));
        assert_eq!(items[1]["item"]["content"][0]["type"], "output_text");
        assert_eq!(items[3]["item"]["output"], "on its way");
    }
}
