//! Callers who change the language in mid-call, over real SIP, with an STT that tells languages apart.

use super::support::{Server, lines};
use serde_json::{Value, json};

async fn change_agent(server: &Server, changes: Value) -> (u16, Value) {
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await
}

fn multi() -> Value {
    json!({"provider": "deepgram", "model": "nova-3-general", "language": "multi"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_voice_follows_the_caller_and_comes_back() {
    let server = Server::start().await;
    let languages = json!({"nl": {"voice_id": "daan", "model": "eleven_turbo_v2_5"}});
    let (status, body) = change_agent(&server, json!({"stt_config": multi(), "languages": languages})).await;
    assert_eq!(status, 200, "{body}");
    let caller = "listen; say pakket_nl; listen; say opening_hours; listen; say goodbye; listen";
    let report = server.call(caller).await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    let said = lines(&call);
    assert!(said.iter().any(|line| line.contains("mijn pakket")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("assistant: We are open")), "{said:?}");
    let changed = call["metrics"]["languages"].as_array().unwrap();
    let changed: Vec<&str> = changed.iter().map(|one| one["language"].as_str().unwrap()).collect();
    assert_eq!(changed, ["nl", "en"], "{said:?}");
    let used = call["metrics"]["used"]["tts"].as_object().unwrap();
    assert!(used.contains_key("elevenlabs/eleven_turbo_v2_5"), "the Dutch voice has spoken: {used:?}");
    assert_eq!(used.len(), 2, "and the other one: {used:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_for_one_language_stays_with_it() {
    let server = Server::start().await;
    let report = server.call("listen; say pakket_nl; listen; say goodbye; listen").await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    assert_eq!(call["metrics"].get("languages"), None, "{:?}", lines(&call));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn languages_that_cannot_be_spoken_are_refused_when_they_are_saved() {
    let server = Server::start().await;
    let openai = json!({"provider": "openai", "voice_id": "alloy", "language": "en"});
    for (changes, words) in [
        (json!({"languages": {"dutch": {}}}), "is not a language code of BCP 47"),
        (json!({"languages": {"nl": {}, "nl-BE": {}}}), "is there twice"),
        (json!({"tts_config": openai, "languages": {"nl": {"voice_id": "daan"}}}), "no voice of openai"),
    ] {
        let (status, body) = change_agent(&server, changes).await;
        assert!(status == 400 && body.to_string().contains(words), "{words}: {status} {body}");
    }
}
