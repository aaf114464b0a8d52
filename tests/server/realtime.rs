//! Calls that run on realtime models: heard, answered, interrupted, with tools, replaced when they
//! fail.

use super::support::{CustomerServer, Server, at_once, lines};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_lab::emulator::{InjectedFault, ReplyRule, ReplyScript, ScriptedTool};

const ENGINES: [(&str, &str); 3] =
    [("openai_realtime", "gpt-realtime-2.1"), ("xai_realtime", "grok-voice-latest"), ("elevenlabs_agent", "agent_1")];

fn agent(provider: &str, model: &str) -> Value {
    json!({"llm_config": {"provider": provider, "model": model}, "stt_config": null, "tts_config": null,
        "turn_config": {"endpointing_ms": 300}})
}

async fn use_realtime_model(server: &Server, provider: &str, model: &str, more: Value) {
    let mut changes = agent(provider, model);
    for (name, value) in more.as_object().unwrap() {
        changes[name] = value.clone();
    }
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

async fn check_conversation(provider: &str, model: &str) {
    let server = Server::start().await;
    use_realtime_model(&server, provider, model, json!({})).await;
    let report = server.call("listen; say where_is_my_order; listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert_eq!(
        lines(&call),
        [
            "assistant: Good morning, this is Acme.",
            "user: I would like to know where my order is.",
            "assistant: I can look that up for you. What is your order number?",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
        ],
        "{provider}: {call}"
    );
    assert_eq!(call["metrics"]["turns"].as_array().unwrap().len(), 2, "{call}");
    assert_eq!(call["metrics"]["provider_errors"], json!({}), "{provider}");
    // Both sides are on the recording.
    let (caller, agent) = server.recording(call["id"].as_str().unwrap()).await;
    let loud = |samples: &[i16]| samples.iter().filter(|s| s.unsigned_abs() > 1_000).count();
    assert!(loud(&caller) > 4_000 && loud(&agent) > 8_000, "{} {}", loud(&caller), loud(&agent));
    let conversation = call["metadata"]["elevenlabs_conversation_id"].as_str();
    assert_eq!(conversation, (provider == "elevenlabs_agent").then_some("conv_emulated"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_realtime_model_holds_a_conversation() {
    let calls = ENGINES.map(|(provider, model)| check_conversation(provider, model));
    futures_util::future::join_all(calls).await;
}

async fn check_interruption(provider: &str, model: &str) {
    let server = Server::start().await;
    use_realtime_model(&server, provider, model, json!({})).await;
    let report = server.call("listen; say order_number; pause 100; interrupt wait_stop; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    let turns = call["transcript"].as_array().unwrap();
    let cut =
        turns.iter().find(|turn| turn["interrupted"] == json!(true)).unwrap_or_else(|| panic!("{provider}: {call}"));
    let said = cut["content"].as_str().unwrap();
    let whole = "Thank you. Order four two seven one left our warehouse yesterday and will arrive on Monday morning";
    assert!(said.len() > 10 && said.len() < 100 && whole.starts_with(&said[..20]), "{provider}: {said}");
    assert!(
        lines(&call).contains(&"assistant: Of course. What would you like to know?".to_owned()),
        "{provider}: {call}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_interrupts_realtime_model_and_what_was_heard_is_kept() {
    let calls = ENGINES.map(|(provider, model)| check_interruption(provider, model));
    futures_util::future::join_all(calls).await;
}

fn with_tool() -> ReplyScript {
    let rule = |words: &[&str], reply: &str| ReplyRule {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        reply: reply.to_owned(),
        tool: None,
        more_tools: Vec::new(),
        after_tool: None,
    };
    let tool = |name: &str| Some(ScriptedTool { name: name.to_owned(), arguments: json!({"id": 7}) });
    let order =
        ReplyRule { tool: tool("look_up"), after_tool: Some("It is {result}.".to_owned()), ..rule(&["order"], "") };
    let bye = ReplyRule { tool: tool("end_call"), ..rule(&["bye"], "Goodbye!") };
    ReplyScript(vec![order, bye, rule(&[], "Yes?")])
}

async fn check_tools(provider: &str, model: &str) {
    let server = Server::start_scripted(with_tool(), |_| {}).await;
    let receiver = CustomerServer::start(|_| at_once(&json!({"result": "on its way"}))).await;
    let tools = json!([{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}, "url": receiver.url}]);
    use_realtime_model(
        &server,
        provider,
        model,
        json!({"llm_config": {"provider": provider, "model": model, "tools": tools}}),
    )
    .await;
    let report = server.call("listen; say where_is_my_order; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    let said = lines(&call);
    for line in ["tool: look_up: on its way", "assistant: It is on its way.", "assistant: Goodbye!"] {
        assert!(said.contains(&line.to_owned()), "{provider}: {said:?}");
    }
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{provider}: {call}");
    assert_eq!(receiver.told("/").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn realtime_models_use_the_agents_tools() {
    let calls = ENGINES.map(|(provider, model)| check_tools(provider, model));
    futures_util::future::join_all(calls).await;
}

/// `None`: nothing listens at its address.
async fn check_fault(provider: &str, model: &str, fault: Option<InjectedFault>, stand_in: bool) {
    let account = if provider == "elevenlabs_agent" { "elevenlabs" } else { provider.trim_end_matches("_realtime") };
    let server = Server::start_with(|config| {
        if fault.is_none() {
            let account = trunkline::domain::provider::ProviderAccount::parse(account).unwrap();
            config.providers.account_mut(account).base_url = "http://127.0.0.1:9".to_owned();
        }
    })
    .await;
    server.emulator.faults.set(&format!("engine.{account}"), fault, u32::MAX);
    let fallbacks = json!({"llm": [{"provider": "groq", "model": "openai/gpt-oss-20b"}]});
    let more = if stand_in { fallbacks } else { json!({"take_messages": false}) };
    let more = json!({"fallbacks": more});
    use_realtime_model(&server, provider, model, more).await;
    let call = server.call("listen; say where_is_my_order; pause 9000; say goodbye; listen; hangup");
    let report = tokio::time::timeout(Duration::from_secs(60), call).await.unwrap();
    let call = server.last_call().await;
    let what = format!("{provider} {fault:?}: {} s, {call}", report.heard_seconds);
    assert!(report.heard_seconds > 0.5, "no speech was heard: {what}");
    if fault == Some(InjectedFault::OddChunks) {
        assert_eq!(call["metrics"]["provider_errors"], json!({}), "{what}");
        return;
    }
    let errors = call["metrics"]["provider_errors"].as_object().unwrap();
    assert!(errors.keys().any(|name| name.starts_with("engine")), "{what}");
    if stand_in {
        assert_eq!(call["metrics"]["failovers"][0]["to"], json!("groq/openai/gpt-oss-20b"), "{what}");
        assert!(lines(&call).iter().any(|line| line.contains("order number")), "{what}");
    } else {
        assert_eq!(call["end_reason"], json!("provider_error"), "{what}");
    }
}

/// Every way of one realtime model, six at a time.
async fn in_every_way(stand_in: bool) {
    let all: Vec<Option<InjectedFault>> = InjectedFault::ALL.into_iter().map(Some).chain([None]).collect();
    let (provider, model) = ENGINES[1];
    for chunk in all.chunks(6) {
        futures_util::future::join_all(chunk.iter().map(|fault| check_fault(provider, model, *fault, stand_in))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_realtime_model_is_replaced_by_the_fallback_llm() {
    in_every_way(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_realtime_model_without_fallback_ends_the_call_with_an_apology() {
    in_every_way(false).await;
    let others = [ENGINES[0], ENGINES[2]];
    let calls = others.map(|(provider, model)| check_fault(provider, model, Some(InjectedFault::Drop), false));
    futures_util::future::join_all(calls).await;
}
