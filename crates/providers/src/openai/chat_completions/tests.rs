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

/// What a request has beside model, messages and stream options.
fn options_of(client: &dyn LlmVendor, model: &str, options: Value, is_customer_server: bool) -> Value {
    let endpoint = ProviderAccess {
        account: trunkline_domain::provider::ProviderAccount::Openai,
        base_url: String::new(),
        api_key: Some("k".into()),
        api_version: "2026-10-21".into(),
        concurrency_max: 0,
        is_customer_server,
        blocked: None,
    };
    let mut config = json!({"provider": "openai", "model": model});
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let config: trunkline_domain::provider_config::LlmConfig = serde_json::from_value(config).unwrap();
    let request = LlmRequest { model: model.to_owned(), options: config.options(), ..LlmRequest::default() };
    let mut body = client.request(&endpoint, &request).unwrap().body;
    for name in ["model", "messages", "stream", "stream_options"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

#[test]
fn each_vendor_gets_the_settings_by_its_own_names() {
    let all = json!({"max_tokens": 200, "top_p": 0.9, "stop": ["END"], "reasoning_effort": "low", "temperature": 0.2,
        "extra_body": {"seed": 7}});
    let chat = |limit: &str| {
        let mut body = json!({"reasoning_effort": "low", "temperature": 0.2, "top_p": 0.9, "stop": ["END"], "seed": 7});
        body[limit] = json!(200);
        body
    };
    let vendors: [(&str, &dyn LlmVendor, &str, Value); 5] = [
        ("openai", &crate::openai::LLM, "gpt-5.4-mini", chat("max_completion_tokens")),
        ("groq", &crate::groq::LLM, "openai/gpt-oss-20b", chat("max_completion_tokens")),
        ("xai", &crate::xai::LLM, "grok-4.5", chat("max_completion_tokens")),
        ("mistral", &crate::mistral::LLM, "mistral-small-latest", chat("max_tokens")),
        (
            "anthropic",
            &crate::anthropic::LLM,
            "claude-opus-5",
            json!({"max_tokens": 200, "stop_sequences": ["END"], "thinking": {"type": "adaptive"},
                "output_config": {"effort": "low"}, "seed": 7}),
        ),
    ];
    for (name, client, model, wanted) in vendors {
        assert_eq!(options_of(client, model, all.clone(), false), wanted, "{name}");
    }
    assert_eq!(
        options_of(&crate::openai::LLM, "llama", all, true),
        chat("max_tokens"),
        "an own server knows the old name"
    );
}

#[test]
fn without_settings_a_request_has_what_it_had_before() {
    let none = json!({});
    assert_eq!(options_of(&crate::openai::LLM, "gpt-4o-mini", none.clone(), false), json!({"temperature": 0.7}));
    assert_eq!(options_of(&crate::openai::LLM, "o3", none.clone(), false), json!({"reasoning_effort": "low"}));
    assert_eq!(options_of(&crate::openai::LLM, "o3", none.clone(), true), json!({"temperature": 0.7}));
    let anthropic = json!({"max_tokens": 1_024, "thinking": {"type": "disabled"}});
    assert_eq!(options_of(&crate::anthropic::LLM, "claude-haiku-5-5", none, false), anthropic);
    let off = json!({"reasoning_effort": "none"});
    let wanted = json!({"reasoning_effort": "none"});
    assert_eq!(
        options_of(&crate::openai::LLM, "gpt-5.4", off, false),
        wanted,
        "no temperature of ours beside an effort"
    );
}
