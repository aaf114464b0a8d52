//! Bodies of requests.

use super::*;
use trunkline_domain::chat::{OpaqueFields, ToolCall};

fn written(messages: &[ChatMessage]) -> Vec<Value> {
    crate::openai::LLM.messages(messages, "openai/m")
}

#[test]
fn roles_alternate_and_an_answer_stands_between_a_result_and_the_caller() {
    let call = ToolCall { id: "a".into(), name: "find".into(), arguments: "{\"x\": ".into(), ..ToolCall::default() };
    let messages = written(&[
        ChatMessage::System("a".into()),
        ChatMessage::System("b".into()),
        ChatMessage::Assistant { content: "Hello.".into(), tool_calls: vec![] },
        ChatMessage::User("Hi".into()),
        ChatMessage::Assistant { content: String::new(), tool_calls: vec![call] },
        ChatMessage::Tool { call_id: "a".into(), content: "error: the arguments are not valid JSON".into() },
        ChatMessage::System("news".into()),
        ChatMessage::User("Well?".into()),
    ]);
    let call = json!({"id": "a", "type": "function", "function": {"name": "find", "arguments": "{}"}});
    assert_eq!(
        json!(messages),
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "user", "content": "(The call begins.)"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "error: the arguments are not valid JSON"},
            {"role": "assistant", "content": "…"},
            {"role": "user", "content": "[news]\nWell?"},
        ])
    );
}

#[test]
fn opaque_fields_stand_where_they_came_from() {
    let fields =
        json!({"reasoning_content": "I should look.", "extra_content": {"google": {"thought_signature": "s"}}});
    let opaque = OpaqueFields { origin: "openai/m".into(), fields: fields.as_object().unwrap().clone() };
    let call = ToolCall { name: "find".into(), id: "a".into(), opaque: Some(Box::new(opaque)), ..ToolCall::default() };
    let messages = written(&[
        ChatMessage::User("x".into()),
        ChatMessage::Assistant { content: "One moment.".into(), tool_calls: vec![call] },
    ]);
    assert_eq!(messages[1]["reasoning_content"], json!("I should look."));
    assert_eq!(messages[1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"], json!("s"));
    assert_eq!(messages[1]["content"], json!("One moment."));
}
