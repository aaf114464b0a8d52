//! Real calls with models whose servers are strict about what they get and careless about what they send: see the
//! emulator's `odd_models`.

use super::support::{CustomerServer, Server, at_once, lines, until};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_lab::emulator::{ReplyRule, ReplyScript, ScriptedTool};

async fn change(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

/// Failures of the LLM that the call has on record.
fn llm_errors(call: &Value) -> Vec<&String> {
    let errors = call["metrics"]["provider_errors"].as_object().unwrap();
    errors.keys().filter(|name| name.starts_with("llm")).collect()
}

/// A conversation of two turns, with this model, as it is with any other one.
async fn check_talk(provider: &str, model: &str) {
    let server = Server::start().await;
    change(&server, json!({"llm_config": {"provider": provider, "model": model}})).await;
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    let what = format!("{provider}/{model}: {report:?} {call}");
    assert!(report.failure.is_none(), "{what}");
    assert_eq!(
        lines(&call),
        [
            "assistant: Good morning, this is Acme.",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
            "user: Thank you, goodbye.",
            "assistant: You're welcome. Goodbye!",
            "tool: end_call: the call ends",
        ],
        "{what}"
    );
    assert!(llm_errors(&call).is_empty(), "{what}");
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_with_strict_and_careless_servers() {
    let casts = [
        ("openai", "odd-strict-nulls"),
        ("openai", "odd-strict-untidy"),
        ("openai", "odd-strict-ollama"),
        ("openai", "odd-strict-llamacpp"),
        ("openai", "odd-strict-ndjson-wantschoice"),
        ("openai", "odd-strict-returns"),
        ("openai", "odd-strict-picky-nosystem"),
        ("openai", "odd-strict-grammar-framed"),
        ("groq", "odd-strict-thinker"),
        ("openai", "odd-strict-lone"),
        ("xai", "odd-strict-channels"),
        ("mistral", "odd-strict"),
        ("anthropic", "odd-thinker"),
        ("groq", "odd-strict-recalling-parallel"),
    ];
    for some in casts.chunks(4) {
        futures_util::future::join_all(some.iter().map(|(provider, model)| check_talk(provider, model))).await;
    }
}

fn rule(words: &[&str], reply: &str) -> ReplyRule {
    ReplyRule {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        reply: reply.to_owned(),
        tool: None,
        more_tools: Vec::new(),
        after_tool: None,
    }
}

/// A model that wants two tools at once, and talks on.
fn with_tools() -> ReplyScript {
    let tool = |name: &str| ScriptedTool { name: name.to_owned(), arguments: json!({"name": name}) };
    let both = ReplyRule {
        tool: Some(tool("look_up")),
        more_tools: vec![tool("note")],
        after_tool: Some("Both are done.".to_owned()),
        ..rule(&["order"], "One moment.")
    };
    ReplyScript(vec![both, rule(&["opening"], "From nine to five, every day of the week."), rule(&[], "Yes?")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_interruptions_and_late_turns_keep_the_order_that_templates_want() {
    let check = async |provider: &str, model: &str| {
        let server = Server::start_scripted(with_tools(), |_| {}).await;
        let receiver =
            CustomerServer::start(|one| at_once(&json!({"result": one.body["tool_calls"][0]["name"]}))).await;
        let tool = |name: &str| json!({"type": "function", "url": receiver.url, "function": {"name": name}});
        let examples = json!([{"role": "assistant", "content": "Hello."}, {"role": "system", "content": "Be brief."}]);
        let llm = json!({"provider": provider, "model": model, "tools": [tool("look_up"), tool("note")],
            "messages": examples});
        change(&server, json!({"llm_config": llm})).await;
        // The caller speaks over an answer, and then asks for what needs the tools.
        let talk = "listen; say opening_hours; pause 2500; say wait_stop; listen; say where_is_my_order; listen; listen; \
             say opening_hours; listen; hangup";
        server.call(talk).await;
        let call = server.last_call().await;
        let said = lines(&call);
        for line in ["tool: look_up: look_up", "tool: note: note", "assistant: Both are done."] {
            assert!(said.contains(&line.to_owned()), "{provider}: {said:?}");
        }
        assert!(llm_errors(&call).is_empty(), "{provider}/{model}: {call}");
        assert_eq!(call["end_reason"], json!("customer_hung_up"), "{provider}/{model}: {call}");
    };
    tokio::join!(
        check("openai", "odd-strict-parallel"),
        check("openai", "odd-strict-llamacpp"),
        check("openai", "odd-strict-ollama"),
        check("openai", "odd-strict-recalling-nulls"),
        check("mistral", "odd-strict"),
        check("anthropic", "claude-haiku-5-5"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_says_nothing_ends_no_call() {
    for (provider, model) in [("openai", "odd-silent"), ("anthropic", "odd-silent")] {
        let server = Server::start().await;
        change(&server, json!({"llm_config": {"provider": provider, "model": model}})).await;
        server
            .call(
                "listen; say order_number; pause 2500; say opening_hours; listen; say no_thank_you; pause 2500; hangup",
            )
            .await;
        let call = server.last_call().await;
        let what = format!("{provider}: {call}");
        assert_eq!(call["end_reason"], json!("customer_hung_up"), "{what}");
        assert!(llm_errors(&call).is_empty(), "{what}");
        let said = lines(&call);
        // Nothing is an answer to a statement. Who asks does not wait in silence.
        let sorry: Vec<usize> = (0..said.len()).filter(|at| said[*at].contains("Sorry")).collect();
        assert_eq!(sorry, [3], "{what}");
        assert_eq!(said.iter().filter(|line| line.starts_with("user: ")).count(), 3, "{what}");
    }
}

/// A server that knows no tools is talked to without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tools_answers() {
    let server = Server::start().await;
    change(&server, json!({"llm_config": {"provider": "openai", "model": "odd-strict-toolless"}})).await;
    server.call("listen; say opening_hours; listen; say goodbye; listen; hangup").await;
    let call = server.last_call().await;
    assert!(lines(&call).last().unwrap().starts_with("assistant: You're welcome."), "{call}");
    assert!(llm_errors(&call).is_empty(), "{call}");
}

/// The last call once its report is there.
async fn reported(server: &Server) -> Value {
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    until("a report", || async {
        let call = server.get(&format!("/calls/{id}")).await["call"].clone();
        (!call["report"].is_null()).then_some(call)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_analysed_whatever_the_model_knows_of_shapes() {
    let schema = json!({"type": "object", "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 10},
        "topics": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 80}},
        "extra": {"type": "object", "properties": {"urgent": {"type": "boolean"}}}}, "required": ["score"]});
    let check = async |provider: &str, model: &str| {
        let server = Server::start().await;
        let plan = json!({"structured_data_plan": schema, "min_messages_threshold": 1});
        change(&server, json!({"llm_config": {"provider": provider, "model": model}, "analysis_plan": plan})).await;
        server.call("listen; say opening_hours; listen; say goodbye; listen; hangup").await;
        let call = reported(&server).await;
        assert_eq!(call["report"]["analysed"], json!(true), "{provider}/{model}: {call}");
        assert_eq!(call["extracted_data"]["score"], json!(1), "{provider}/{model}: {call}");
    };
    tokio::join!(
        check("anthropic", "claude-haiku-5-5"),
        check("openai", "odd-strict-schemaless-thinker"),
        check("groq", "odd-shapeless-lone"),
        check("mistral", "odd-strict-shapeless-channels"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_description_is_refused_when_the_agent_is_saved() {
    let server = Server::start().await;
    let agent = |length: usize| {
        let function = json!({"name": "find", "description": "x".repeat(length)});
        let tool = json!({"type": "function", "url": "https://example.com", "function": function});
        json!({"llm_config": {"provider": "openai", "model": "gpt-4o-mini", "tools": [tool]}})
    };
    let path = format!("/agents/{}", server.agent);
    assert_eq!(server.send("PATCH", &path, Some(agent(1_024))).await.0, 200);
    let (status, body) = server.send("PATCH", &path, Some(agent(1_025))).await;
    assert_eq!(
        (status, &body["details"]["field"]),
        (400, &json!("llm_config.tools[0].function.description")),
        "{body}"
    );
}

/// Broken arguments are answered in words, and do not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_arguments_of_a_tool_do_not_poison_the_call() {
    let server = Server::start().await;
    let delta = |delta: Value, reason: Value| {
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}))
    };
    let call = json!({"index": 0, "id": "functions.find:0", "function": {"name": "end_call", "arguments": "{\"farewell\": \"By"}});
    let broken = delta(json!({"tool_calls": [call]}), json!("tool_calls")) + "data: [DONE]\n\n";
    let words = delta(json!({"content": "It is on its way."}), json!("stop")) + "data: [DONE]\n\n";
    let own = CustomerServer::start(move |one| {
        let calls =
            one.body["messages"].as_array().unwrap().iter().filter_map(|m| m["tool_calls"].as_array()).flatten();
        let arguments: Vec<&str> = calls.filter_map(|call| call["function"]["arguments"].as_str()).collect();
        let is_json = arguments.iter().all(|text| serde_json::from_str::<Value>(text).is_ok());
        match (is_json, arguments.is_empty()) {
            (false, _) => (
                500,
                json!({"error": {"message": "Failed to parse tool call arguments as JSON"}}).to_string(),
                Duration::ZERO,
            ),
            (true, true) => (200, broken.clone(), Duration::ZERO),
            (true, false) => (200, words.clone(), Duration::ZERO),
        }
    })
    .await;
    let llm = json!({"provider": "openai", "model": "m", "base_url": format!("{}/v1", own.url)});
    change(&server, json!({"llm_config": llm})).await;
    server.call("listen; say where_is_my_order; listen; say hello; listen; hangup").await;
    let call = server.last_call().await;
    assert_eq!(lines(&call).last().unwrap(), "assistant: It is on its way.", "{call}");
    assert!(llm_errors(&call).is_empty(), "{call}");
    let told = &own.wait("/v1/chat/completions", 2).await[1].body;
    let result = told["messages"].as_array().unwrap().last().unwrap();
    assert!(result["content"].as_str().unwrap().contains("not valid JSON"), "{told}");
    assert_eq!(
        result["tool_call_id"],
        told["messages"].as_array().unwrap().iter().find_map(|m| m.get("tool_calls")).unwrap()[0]["id"]
    );
}
