//! Real calls with vendors that end sessions in mid-call, and with tools that answer in their own way.

use super::support::{CustomerServer, Server, lines};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_lab::emulator::{InjectedFault, ReplyRule, ReplyScript, ScriptedTool};

async fn change(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

/// A call of two turns whose session has had its time when the second one ends: it is the call it would have been.
async fn check_session_limit(stage: &str, changes: Value) {
    let server = Server::start().await;
    change(&server, changes).await;
    server.emulator.faults.set(stage, Some(InjectedFault::SessionExpired), 1);
    let report = server.call("listen; say where_is_my_order; listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    let what = format!("{stage}: {report:?} {call}");
    assert!(report.failure.is_none(), "{what}");
    assert_eq!(
        lines(&call),
        [
            "assistant: Good morning, this is Acme.",
            "user: I would like to know where my order is.",
            "assistant: I can look that up for you. What is your order number?",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
        ],
        "{what}"
    );
    assert_eq!(call["end_reason"], json!("customer_hung_up"), "{what}");
    assert_eq!(call["metrics"]["failovers"], json!([]), "{what}");
}

fn realtime(provider: &str, model: &str) -> Value {
    json!({"llm_config": {"provider": provider, "model": model}, "stt_config": null, "tts_config": null,
        "turn_config": {"endpointing_ms": 300}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_limit_of_a_vendor_is_not_the_end_of_the_call() {
    let stt = json!({"stt_config": {"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"}});
    tokio::join!(
        check_session_limit("engine.openai", realtime("openai_realtime", "gpt-realtime-2.1")),
        check_session_limit("engine.xai", realtime("xai_realtime", "grok-voice-latest")),
        check_session_limit("engine.elevenlabs", realtime("elevenlabs_agent", "agent_1")),
        check_session_limit("stt.openai", stt),
    );
}

fn rule(words: &[&str], reply: &str, tool: Option<(&str, Value)>, after_tool: Option<&str>) -> ReplyRule {
    ReplyRule {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        reply: reply.to_owned(),
        tool: tool.map(|(name, arguments)| ScriptedTool { name: name.to_owned(), arguments }),
        more_tools: Vec::new(),
        after_tool: after_tool.map(str::to_owned),
    }
}

/// A tool whose server answers this way: the model reads it as the result.
async fn check_answer(status: u16, body: &'static str, wanted: &str) {
    let book = Some(("book", json!({"id": 7})));
    let script =
        ReplyScript(vec![rule(&["order"], "", book, Some("It says {result}.")), rule(&[], "Yes?", None, None)]);
    let server = Server::start_scripted(script, |_| {}).await;
    let receiver = CustomerServer::start(move |_| (status, body.to_owned(), Duration::ZERO)).await;
    let tools = json!([{"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}, "url": receiver.url}]);
    change(&server, json!({"llm_config": {"provider": "openai", "model": "gpt-4o-mini", "tools": tools}})).await;
    let report = server.call("listen; say where_is_my_order; listen; hangup").await;
    let call = server.last_call().await;
    let wanted = format!("tool: book: {wanted}");
    assert!(lines(&call).contains(&wanted), "{body:?}: {report:?} {call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_answers_text_has_done_its_work() {
    tokio::join!(
        check_answer(200, "Accepted", "Accepted"),
        check_answer(201, "Created", "Created"),
        check_answer(200, "\u{feff}{\"result\":\"ok\"}", "ok"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_between_keys_are_kept_and_everything_is_pressed() {
    let keys = Some(("send_dtmf", json!({"digits": "1w2-3"})));
    let script = ReplyScript(vec![rule(&["order"], "", keys, Some("Done.")), rule(&[], "Yes?", None, None)]);
    let server = Server::start_scripted(script, |_| {}).await;
    let report = server.call("listen; say where_is_my_order; listen; hangup").await;
    let call = server.last_call().await;
    let pressed = lines(&call).into_iter().find(|line| line.starts_with("tool: send_dtmf"));
    assert!(pressed.as_ref().is_some_and(|line| line.contains("pressed")), "{report:?} {call}");
}
