//! Every stage fails in every way: something is said, the call ends once, and its record says why.

use super::support::Server;
use serde_json::json;
use std::time::Duration;
use trunkline::emulator::Fault;

const FAULTS: [Fault; 8] = [
    Fault::Refuse,
    Fault::Unauthorized,
    Fault::RateLimit,
    Fault::Stall,
    Fault::StallMidStream,
    Fault::Drop,
    Fault::Garbage,
    Fault::Empty,
];

/// A fault for the whole call. The agent has to be heard, and the call has to end in one terminal state.
async fn check(stage: &str, fault: Fault) {
    let server = Server::start().await;
    server.emulator.faults.set(stage, Some(fault), u32::MAX);
    let call = server.call("listen; say hello; pause 6000; say opening_hours; pause 9000; hangup");
    let report = tokio::time::timeout(Duration::from_secs(60), call).await.unwrap();
    let call = server.last_call().await;
    let what = format!("{stage} {fault:?}: heard {} s, {:?}, {call}", report.heard_seconds, report.failure);
    assert!(report.heard_seconds > 0.5, "nobody was heard: {what}");
    assert!(call["end_reason"].is_string(), "{what}");
    let errors = call["metrics"]["provider_errors"].as_object().unwrap();
    let turns = call["transcript"].as_array().unwrap();
    // A recogniser that only withholds its last word is no error: the interim words carry the turn.
    let carried = stage == "stt" && turns.iter().any(|turn| turn["role"] == "user");
    assert!(carried || errors.keys().any(|name| name.starts_with(stage)), "no error is on record: {what}");
    // The greeting needs neither recogniser nor model; something else has to follow or replace it.
    let answered = turns.iter().any(|t| t["role"] == "assistant" && t["content"] != "Good morning, this is Acme.");
    assert!(answered, "the caller was left without an answer: {what}");
    let (_, calls) = server.send("GET", "/calls", None).await;
    assert_eq!(calls["data"]["total"], json!(1));
    assert_eq!(server.app.context.registry.count(), 0);
}

async fn check_all(stage: &str) {
    // Four servers at a time: each has its own emulator.
    for chunk in FAULTS.chunks(4) {
        let calls: Vec<_> = chunk.iter().map(|fault| check(stage, *fault)).collect();
        futures_util::future::join_all(calls).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recogniser_fails_in_every_way() {
    check_all("stt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_fails_in_every_way() {
    check_all("llm").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_voice_fails_in_every_way() {
    check_all("tts").await;
}

/// A fault that happens once leaves no trace in the conversation.
async fn check_once(stage: &str, fault: Fault) {
    let server = Server::start().await;
    server.emulator.faults.set(stage, Some(fault), 1);
    let report = server.call("listen; say hello; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{stage} {fault:?}: {report:?}");
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{stage} {fault:?}: {call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failure_is_retried_inside_the_turn() {
    tokio::join!(
        check_once("llm", Fault::Refuse),
        check_once("llm", Fault::Drop),
        check_once("tts", Fault::Refuse),
        check_once("stt", Fault::Refuse),
    );
}
