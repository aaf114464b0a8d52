//! Ollama and llama.cpp behind `base_url`: what their chat completions look like on the wire.

use super::*;

fn chunk(delta: Value, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "choices": [choice]}))
}

/// Ollama: the role in every chunk, whole tool calls, figures in a chunk of their own.
fn ollama(parts: &[&str], calls: Value, finish: &str) -> Answer {
    let mut pieces: Vec<String> =
        parts.iter().map(|part| chunk(json!({"role": "assistant", "content": part}), None)).collect();
    if calls.is_array() {
        pieces.push(chunk(json!({"role": "assistant", "content": "", "tool_calls": calls}), None));
    }
    pieces.push(chunk(json!({"role": "assistant", "content": ""}), Some(finish)));
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}});
    pieces.push(format!("data: {usage}\n\ndata: [DONE]\n\n"));
    streamed(&pieces)
}

fn made(calls: &[ToolCall]) -> Vec<(&str, &str)> {
    calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect()
}

#[tokio::test]
async fn tool_calls_of_ollama_are_whole_and_may_lack_index_id_and_finish_reason() {
    let one = |id: Value, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"x\":1}"}});
    for (calls, count, finish) in [
        (json!([one(json!("call_a"), "find")]), 1, "tool_calls"),
        (json!([one(json!("call_a"), "find"), one(json!("call_b"), "note")]), 2, "stop"),
        (json!([one(json!(""), "find")]), 1, "stop"),
        (json!([one(Value::Null, "find"), one(Value::Null, "note")]), 2, "tool_calls"),
    ] {
        let vendor = Vendor::start(vec![ollama(&["One ", "moment."], calls.clone(), finish)]).await;
        let (said, all, end) = vendor.answer().await;
        assert_eq!((said.as_str(), all.len(), end), ("One moment.", count, Ok(())), "{calls}");
        assert!(all.iter().all(|call| call.arguments == "{\"x\":1}" && !call.id.is_empty()), "{all:?}");
        let ids: std::collections::BTreeSet<&str> = all.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids.len(), count, "results are told apart by ids: {all:?}");
    }
}

#[tokio::test]
async fn arguments_of_llama_cpp_stream_between_comments_and_timings() {
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "x1", "type": "function", "function": {"name": "find", "arguments": "{"}}]});
    let timings = json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "timings": {"prompt_n": 5, "predicted_ms": 12.5}});
    let pieces = [
        ": ping\n\n".to_owned(),
        chunk(json!({"role": "assistant", "content": null}), None),
        chunk(first, None),
        ": ping\n\n".to_owned(),
        chunk(call(json!({"arguments": "\"number\""})), None),
        chunk(call(json!({"arguments": ": \"12\"}"})), None),
        chunk(json!({}), Some("tool_calls")),
        format!("data: {timings}\n\ndata: [DONE]\n\n"),
    ];
    let vendor = Vendor::start(vec![streamed(&pieces)]).await;
    let (said, calls, end) = vendor.answer().await;
    assert_eq!((said.as_str(), made(&calls), end), ("", vec![("find", "{\"number\": \"12\"}")], Ok(())));
}

#[tokio::test]
async fn errors_in_the_shapes_of_these_servers_are_refusals_with_their_words() {
    let body = |value: Value| vec![value.to_string()];
    for (status, value, wanted) in [
        (
            404,
            json!({"error": {"message": "model 'm' not found", "type": "not_found_error", "param": null, "code": null}}),
            "model 'm' not found",
        ),
        (400, json!({"error": "invalid tool call arguments"}), "invalid tool call arguments"),
        (
            400,
            json!({"error": {"code": 400, "message": "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "type": "exceed_context_size_error", "n_prompt_tokens": 9_000, "n_ctx": 4_096}}),
            "exceeds the available context size",
        ),
        (
            500,
            json!({"error": {"code": 500, "message": "Jinja Exception: System message must be at the beginning.", "type": "server_error"}}),
            "System message must be",
        ),
    ] {
        let vendor = Vendor::start(vec![Answer(status, body(value))]).await;
        let candidates = vec![vendor.candidate(LlmProvider::Openai, "m")];
        let plan = LlmPlan { candidates, rules: None, hedge_after: None };
        let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
        let mut stream = stream_llm_response(&vendor.providers, plan, request);
        let Some(LlmEvent::Failed(failure)) = stream.events.recv().await else { panic!("{wanted}") };
        assert!(failure.to_string().contains(wanted), "{failure}");
    }
    let loading =
        Answer(503, body(json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})));
    let vendor = Vendor::start(vec![loading, ollama(&["Yes."], Value::Null, "stop")]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("Yes."), 2), "asked once more");
}

#[tokio::test]
async fn an_error_in_a_field_of_its_own_is_no_silence() {
    let error = "error: {\"code\":400,\"message\":\"the request exceeds the available context size\",\"type\":\"invalid_request_error\"}\n\ndata: [DONE]\n\n";
    let vendor = Vendor::start(vec![streamed(&[error.to_owned()])]).await;
    let (said, _, end) = vendor.answer().await;
    assert_eq!((said.as_str(), end), ("", Err("refused".to_owned())));
    let vendor = Vendor::start(vec![streamed(&[text("Your order"), "error: out of memory\n\n".to_owned()])]).await;
    let (said, _, end) = vendor.answer().await;
    assert_eq!((said.as_str(), end), ("Your order", Err("refused".to_owned())));
}

#[tokio::test]
async fn templates_of_these_servers_get_one_system_message_and_turns_that_alternate() {
    let vendor = Vendor::start(vec![ollama(&["Yes."], Value::Null, "stop")]).await;
    let call = ToolCall { id: "call_a".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
    let messages = vec![
        ChatMessage::System("Be kind.".into()),
        ChatMessage::System("Be brief.".into()),
        ChatMessage::Assistant { content: "Hello.".into(), tool_calls: vec![] },
        ChatMessage::User("Hi".into()),
        ChatMessage::User("Where is it?".into()),
        ChatMessage::Assistant { content: String::new(), tool_calls: vec![call] },
        ChatMessage::Tool { call_id: "call_a".into(), content: "7".into() },
        ChatMessage::System("The caller interrupted you here.".into()),
        ChatMessage::User("And?".into()),
    ];
    assert_eq!(vendor.answer_to("m", messages).await, words("Yes."));
    let asked = vendor.asked().remove(0);
    let sent: Vec<&Value> = asked["messages"].as_array().unwrap().iter().collect();
    let roles: Vec<&str> = sent.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles[0], "system");
    assert!(!roles[1..].contains(&"system"), "{roles:?}");
    let is_turn =
        |message: &&&Value| message["role"] != "system" && message["role"] != "tool" && message["tool_calls"].is_null();
    let turns: Vec<&str> = sent.iter().filter(is_turn).map(|message| message["role"].as_str().unwrap()).collect();
    let wanted: Vec<&str> = ["user", "assistant"].into_iter().cycle().take(turns.len()).collect();
    assert_eq!(turns, wanted, "{roles:?}");
}
