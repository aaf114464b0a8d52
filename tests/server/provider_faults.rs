//! Every stage fails in every way, on real calls. Without a fallback, the agent says something, the call ends once, and
//! its record says why. With a fallback, the caller hardly notices.

use super::support::{Server, lines, peer_takes};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline::config::{Config, ProviderTimeoutsConfig, StageTimeoutsConfig};
use trunkline_lab::emulator::InjectedFault;

/// Deadlines that fit many calls into a short test.
fn brisk(config: &mut Config) {
    let brisk = StageTimeoutsConfig { connect_ms: 1_000, first_byte_ms: 1_000, between_bytes_ms: 700 };
    config.providers.timeouts = ProviderTimeoutsConfig { stt: brisk, llm: brisk, tts: brisk, realtime: brisk };
}

/// How a provider fails: in one of the emulator's ways, or by not being there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FaultyStages {
    Gone,
    Fault(InjectedFault),
}

/// Two of these at once, twelve servers with their callers: more would make the machine the fault that is looked for.
/// With nextest, where each test is a process, its configuration says the same.
static AT_ONCE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);
/// Servers of one test do not all start in the same moment.
const APART: Duration = Duration::from_millis(300);

/// All faults, six at a time: each has a separate server and emulator.
async fn in_every_way<F: Future<Output = ()>>(check: impl Fn(FaultyStages) -> F) {
    let _permit = AT_ONCE.acquire().await.unwrap();
    let all: Vec<FaultyStages> =
        InjectedFault::ALL.into_iter().map(FaultyStages::Fault).chain([FaultyStages::Gone]).collect();
    for chunk in all.chunks(6) {
        let begun = chunk.iter().zip(0u32..).map(|(failing, index)| {
            let check = check(*failing);
            async move {
                peer_takes(APART * index).await;
                check.await;
            }
        });
        futures_util::future::join_all(begun).await;
    }
}

/// The provider of each stage of the tests' agent, and what stands in for it.
fn cast(stage: &str) -> (&'static str, &'static str, Value) {
    let stand_in = |name: &str, one: Value| json!({"fallbacks": {name: [one]}});
    match stage {
        "stt" => (
            "deepgram",
            "openai/gpt-4o-transcribe",
            stand_in("stt", json!({"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"})),
        ),
        "llm" => (
            "openai",
            "anthropic/claude-haiku-5-5",
            stand_in("llm", json!({"provider": "anthropic", "model": "claude-haiku-5-5"})),
        ),
        _ => (
            "elevenlabs",
            "cartesia/default",
            stand_in("tts", json!({"provider": "cartesia", "voice_id": "v", "language": "en"})),
        ),
    }
}

async fn failing_server(stage: &str, failing: FaultyStages) -> Server {
    let provider = cast(stage).0;
    let server = Server::start_with(|config| {
        brisk(config);
        if failing == FaultyStages::Gone {
            // Nothing listens on the discard port of loopback.
            let account = trunkline::domain::provider::ProviderAccount::parse(provider).unwrap();
            config.providers.account_mut(account).base_url = "http://127.0.0.1:9".to_owned();
        }
    })
    .await;
    if let FaultyStages::Fault(fault) = failing {
        server.emulator.faults.set(&format!("{stage}.{provider}"), Some(fault), u32::MAX);
    }
    server
}

/// The agent has to be heard, and the call has to end in one terminal state that says why.
async fn check_alone(stage: &str, failing: FaultyStages) {
    let server = failing_server(stage, failing).await;
    let call = server.call("listen; say hello; pause 4500; say opening_hours; pause 7000; hangup");
    let report = tokio::time::timeout(Duration::from_secs(60), call).await.unwrap();
    let call = server.last_call().await;
    let what = format!("{stage} {failing:?}: heard {} s, {:?}, {call}", report.heard_seconds, report.failure);
    assert!(report.heard_seconds > 0.5, "no speech was heard: {what}");
    assert!(call["end_reason"].is_string(), "{what}");
    let errors = call["metrics"]["provider_errors"].as_object().unwrap();
    let turns = call["transcript"].as_array().unwrap();
    let harmless = failing == FaultyStages::Fault(InjectedFault::OddChunks);
    // An STT service that only withholds its last word is no error: the interim words carry the turn.
    let carried = stage == "stt" && turns.iter().any(|turn| turn["role"] == "user");
    assert!(harmless || carried || errors.keys().any(|name| name.starts_with(stage)), "nothing is on record: {what}");
    assert!(!harmless || errors.is_empty(), "odd sizes are no fault: {what}");
    // The greeting needs neither STT nor model; something else has to follow or replace it.
    let answered = turns.iter().any(|t| t["role"] == "assistant" && t["content"] != "Good morning, this is Acme.");
    assert!(answered, "the caller was left without an answer: {what}");
    let allowed = ["customer_hung_up", "provider_error"];
    assert!(allowed.contains(&call["end_reason"].as_str().unwrap()), "{what}");
    let (_, calls) = server.send("GET", "/calls", None).await;
    assert_eq!(calls["data"]["total"], json!(1));
    assert_eq!(server.app.services.live_calls.registry.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stt_fails_in_every_way() {
    in_every_way(|failing| check_alone("stt", failing)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_fails_in_every_way() {
    // Nothing is an answer: `odd_models` has calls with a model that says nothing.
    let silent = FaultyStages::Fault(InjectedFault::Empty);
    in_every_way(async |failing| {
        if failing != silent {
            check_alone("llm", failing).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tts_fails_in_every_way() {
    in_every_way(|failing| check_alone("tts", failing)).await;
}

/// With a fallback, the conversation is the one without a fault, word for word.
async fn check_replaced(stage: &str, failing: FaultyStages) {
    let server = failing_server(stage, failing).await;
    let (provider, stand_in, fallbacks) = cast(stage);
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(fallbacks)).await;
    let call = server.call("listen; say hello; pause 5500; say opening_hours; pause 7500; hangup");
    let report = tokio::time::timeout(Duration::from_secs(60), call).await.unwrap();
    let call = server.last_call().await;
    let what = format!("{stage} {failing:?}: heard {} s, {:?}, {call}", report.heard_seconds, report.failure);
    assert_eq!(
        lines(&call),
        [
            "assistant: Good morning, this is Acme.",
            "user: Hello, good morning.",
            "assistant: Good morning! How can I help you?",
            "user: What are your opening hours?",
            "assistant: We are open from nine to five on weekdays, and from ten to four on Saturdays.",
        ],
        "{what}"
    );
    assert_eq!(call["end_reason"], json!("customer_hung_up"), "{what}");
    let failovers = call["metrics"]["failovers"].as_array().unwrap();
    // Words in odd sizes are no fault.
    if failing == FaultyStages::Fault(InjectedFault::OddChunks) {
        assert!(failovers.is_empty(), "{what}");
    } else {
        assert!(failovers.iter().any(|one| one["stage"] == stage && one["to"] == stand_in), "{what}");
        assert!(failovers[0]["from"].as_str().unwrap().starts_with(provider), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallback_stt_hears_what_the_first_one_did_not() {
    in_every_way(|failing| check_replaced("stt", failing)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_model_answers_in_the_same_turn() {
    in_every_way(|failing| check_replaced("llm", failing)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallback_tts_speaks_the_rest_of_the_sentence() {
    in_every_way(|failing| check_replaced("tts", failing)).await;
}

/// A fault that happens once leaves no trace in the conversation.
async fn check_once(stage: &str, fault: InjectedFault) {
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
        check_once("llm", InjectedFault::Refuse),
        check_once("llm", InjectedFault::Drop),
        check_once("llm", InjectedFault::RateLimit),
        check_once("tts", InjectedFault::Refuse),
        check_once("stt", InjectedFault::Refuse),
    );
}

/// The second sentence of the voice's socket, the first answer, is empty or lost: the same voice speaks it after all.
async fn check_sentence(fault: InjectedFault) {
    let server = Server::start_with(brisk).await;
    server.emulator.faults.set("tts.elevenlabs", Some(fault), 1);
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{fault:?}: {report:?}");
    assert_eq!(call["metrics"]["failovers"], json!([]), "{fault:?}: {call}");
    assert!(call["metrics"]["provider_errors"].as_object().unwrap().is_empty(), "{fault:?}: {call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_or_lost_sentence_does_not_change_the_voice() {
    tokio::join!(check_sentence(InjectedFault::EmptySentence), check_sentence(InjectedFault::LostSentence));
}
