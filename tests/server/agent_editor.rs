//! What an editor of agents asks for beside the agent itself: a tool that is tried, a voice that is heard, lists of models
//! and voices.

use super::support::{CustomerServer, LoggedInUser, Server, at_once, strict};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline::domain::provider::ProviderAccount;

const SECRET: &str = "s3cret-of-the-tool";

/// A tool with a secret in its header, its credentials and its address.
fn tool(url: &str) -> Value {
    json!({"type": "function", "url": format!("{url}/orders/{{number}}?shop={{{{shop}}}}"),
        "function": {"name": "find_order", "parameters": {"type": "object", "properties": {"number": {"type": "string"}}}},
        "request": {"method": "POST", "body_format": "json", "headers": {"X-Key": "{{secrets.KEY}}"}, "secrets": {"KEY": SECRET},
            "auth": {"type": "bearer", "token": "{{secrets.KEY}}"}, "response": {"fields": {"status": "/status"}, "variables": {"state": "/status"}}}})
}

impl Server {
    async fn try_tool(&self, body: Value) -> (u16, Value) {
        let (status, answer) = self.send("POST", "/agents/tools/test", Some(body)).await;
        (status, if status == 200 { answer["data"].clone() } else { answer })
    }

    async fn agent_with(&self, tool: Value) -> String {
        let llm = json!({"provider": "openai", "model": "gpt-4o-mini", "tools": [tool]});
        let made = self.post("/agents", json!({"name": "With a tool", "llm_config": llm})).await;
        made["agent"]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_tried_with_its_real_request_and_shown_without_secrets() {
    let server = Server::start().await;
    let shop =
        CustomerServer::start(|asked| at_once(&json!({"status": "sent", "you_sent": asked.headers["x-key"]}))).await;
    let agent = server.agent_with(tool(&shop.url)).await;
    // As the API shows it: the stored secret takes the place of the mask.
    let shown = server.get(&format!("/agents/{agent}")).await["agent"]["llm_config"]["tools"][0].clone();
    assert_eq!(shown["request"]["secrets"]["KEY"], "********");
    let body = json!({"agent_id": agent, "tool": shown, "arguments": {"number": "A-7", "more": 1}, "variables": {"shop": "west"}});
    let (status, tried) = server.try_tool(body).await;
    assert_eq!((status, &tried["ok"], &tried["problem"]), (200, &json!(true), &Value::Null), "{tried}");
    assert_eq!(tried["request"]["url"], format!("{}/orders/A-7?shop=west", shop.url));
    assert_eq!((&tried["request"]["method"], &tried["answer"]["status"]), (&json!("POST"), &json!(200)));
    assert_eq!((&tried["result"], &tried["variables"]), (&json!(r#"{"status":"sent"}"#), &json!({"state": "sent"})));
    assert!(!tried.to_string().contains(SECRET), "{tried}");
    let asked = shop.told("/orders/A-7").remove(0);
    assert_eq!((asked.headers["x-key"].as_str(), &asked.body), (SECRET, &json!({"more": 1})));
    assert_eq!(asked.headers["authorization"], format!("Bearer {SECRET}"));
    let audit = LoggedInUser::owner(&server).await.done("GET", "/audit-log", None).await;
    assert!(audit.to_string().contains("tool.test") && !audit.to_string().contains(SECRET), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_says_what_went_wrong_and_keeps_the_borders_of_calls() {
    let server = Server::start_with(strict).await;
    let refused = |status: u16, body: &Value, field: &str| {
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    };
    for url in ["http://127.0.0.1:9/x", "https://10.0.0.1/x", "ftp://example.com/"] {
        let (status, body) = server.try_tool(json!({"tool": {"url": url, "function": {"name": "f"}}})).await;
        refused(status, &body, "tool.url");
    }
    let (status, body) = server.try_tool(json!({"tool": {"function": {"name": "not a name"}}})).await;
    refused(status, &body, "tool.function.name");
    let (status, body) = server.try_tool(json!({"arguments": {}})).await;
    refused(status, &body, "tool");
    let (status, body) = server.try_tool(json!({"tool": {"function": {"name": "f"}}, "argument": 1})).await;
    refused(status, &body, "argument");
    let (status, body) = server.try_tool(json!({"tool": {"function": {"name": "f"}}})).await;
    assert_eq!((status, &body["problem"]), (200, &json!("this tool has no URL")));
    // Secrets do not follow a draft to another server.
    let agent = server.agent_with(tool("https://shop.example.com")).await;
    let mut elsewhere = server.get(&format!("/agents/{agent}")).await["agent"]["llm_config"]["tools"][0].clone();
    elsewhere["url"] = json!("https://thief.example.com/{number}");
    let (status, body) = server.try_tool(json!({"agent_id": agent, "tool": elsewhere})).await;
    refused(status, &body, "tool.request.secrets.KEY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_failing_tool_is_told_in_words_and_trials_are_counted() {
    let server = Server::start_with(|config| config.quotas.tool_tests_per_minute = 3).await;
    let shop = CustomerServer::start(|asked| match asked.path.as_str() {
        "/slow" => (200, "{}".to_owned(), Duration::from_secs(5)),
        _ => (500, json!({"error": "database down"}).to_string(), Duration::ZERO),
    })
    .await;
    let tool = |path: &str| json!({"tool": {"url": format!("{}{path}", shop.url), "timeout_ms": 200, "function": {"name": "f"}, "request": {"method": "GET"}}});
    let (_, slow) = server.try_tool(tool("/slow")).await;
    assert_eq!(
        (&slow["ok"], &slow["problem"], &slow["answer"]),
        (&json!(false), &json!("no answer in time"), &Value::Null)
    );
    let (_, broken) = server.try_tool(tool("/broken")).await;
    assert_eq!((&broken["answer"]["status"], &broken["problem"]), (&json!(500), &json!("answered with status 500")));
    assert_eq!(broken["result"], "error: the server answered with status 500: database down");
    server.try_tool(tool("/broken")).await;
    let (status, body) = server.try_tool(tool("/broken")).await;
    assert_eq!((status, &body["details"]["limit"]), (429, &json!("tool_tests_per_minute")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_a_tool_needs_the_scope_to_change_agents_and_an_agent_of_the_organization() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let body = json!({"tool": {"function": {"name": "f"}}});
    for (scopes, allowed) in [(["agents:read"], false), (["providers:write"], false), (["agents:write"], true)] {
        let made = owner.done("POST", "/api-keys", Some(json!({"name": "k", "scopes": scopes}))).await;
        let key = made["api_key"]["key"].as_str().or(made["key"].as_str()).unwrap().to_owned();
        let asked = server.http.post(server.url("/agents/tools/test")).bearer_auth(key).json(&body);
        assert_eq!(asked.send().await.unwrap().status() == 200, allowed, "{scopes:?}");
    }
    let unknown = json!({"agent_id": "00000000-0000-4000-8000-000000000000", "tool": {"function": {"name": "f"}}});
    assert_eq!(server.try_tool(unknown).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_is_heard_before_it_is_chosen() {
    let server = Server::start_with(|config| config.quotas.voice_previews_per_minute = 5).await;
    let speak = async |body: Value| {
        let url = server.url("/providers/speech");
        let answer = server.http.post(url).bearer_auth(&server.key).json(&body).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.bytes().await.unwrap())
    };
    let voice = |provider: &str, voice: &str| json!({"provider": provider, "voice_id": voice, "language": "en"});
    for (provider, id) in [("elevenlabs", "EXAVITQu4vr4xnSDxMaL"), ("openai", "alloy"), ("local", "en-us")] {
        let (status, kind, sound) = speak(json!({"tts_config": voice(provider, id), "text": "Good morning."})).await;
        assert_eq!((status, kind.as_str()), (200, "audio/wav"), "{provider}: {}", String::from_utf8_lossy(&sound));
        let reader = hound::WavReader::new(std::io::Cursor::new(sound.as_ref())).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().bits_per_sample), (1, 16), "{provider}");
        assert!(sound.len() > 8_000, "{provider}: {} bytes", sound.len());
    }
    let field = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["details"]["field"].clone();
    let (status, _, body) = speak(json!({"tts_config": voice("openai", "alloy"), "text": "x".repeat(301)})).await;
    assert_eq!((status, field(&body)), (400, json!("text")));
    let (status, _, body) = speak(json!({"tts_config": {"provider": "openai"}, "text": "Hello."})).await;
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body));
    speak(json!({"tts_config": voice("openai", "alloy"), "text": "Hello."})).await;
    speak(json!({"tts_config": voice("openai", "alloy"), "text": "Hello."})).await;
    let (status, _, body) = speak(json!({"tts_config": voice("openai", "alloy"), "text": "Hello."})).await;
    assert_eq!(status, 429, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voice_that_cannot_be_heard_says_why() {
    let server = Server::start_with(|config| {
        config.providers.account_mut(ProviderAccount::Elevenlabs).api_key = None;
        config.providers.account_mut(ProviderAccount::Openai).api_key = Some("invalid".into());
    })
    .await;
    let speak = async |provider: &str| {
        let voice = json!({"provider": provider, "voice_id": "alloy", "language": "en"});
        server.send("POST", "/providers/speech", Some(json!({"tts_config": voice, "text": "Hello."}))).await
    };
    let (status, body) = speak("elevenlabs").await;
    assert_eq!((status, &body["details"]["code"]), (503, &json!("provider_not_configured")), "{body}");
    assert_eq!(body["error"], "The provider did not answer: no key configured");
    let (status, body) = speak("openai").await;
    assert_eq!((status, &body["details"]["problem"]), (503, &json!("unauthorized")), "{body}");
    assert!(!body.to_string().contains("Incorrect API key"), "the server's account is not the organization's: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_voices_come_from_the_provider_and_are_kept() {
    let server =
        Server::start_with(|config| config.providers.account_mut(ProviderAccount::Cartesia).api_key = None).await;
    let models = |body: &Value, stage: &str| -> Vec<String> {
        let all = body["models"].as_array().unwrap().iter().filter(|one| one["stage"] == stage);
        all.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let openai = server.get("/providers/openai/catalog").await;
    assert_eq!(models(&openai, "llm"), ["gpt-4o-mini", "gpt-emulated"]);
    assert_eq!(
        (models(&openai, "stt"), models(&openai, "tts")),
        (vec!["gpt-4o-mini-transcribe".to_owned()], vec!["gpt-4o-mini-tts".to_owned()])
    );
    let deepgram = server.get("/providers/deepgram/catalog").await;
    assert_eq!(models(&deepgram, "stt"), ["nova-3-general", "nova-emulated"]);
    let voices = server.get("/providers/elevenlabs/catalog").await["voices"].clone();
    assert_eq!(voices[1], json!({"id": "emulated-voice", "name": "Emulated", "language": "en", "about": "male"}));
    let none = server.get("/providers/cartesia/catalog").await;
    assert_eq!((&none["problem"]["kind"], &none["voices"]), (&json!("not_configured"), &json!([])));
    // Asked again and again, the provider is not.
    let asked = || server.emulator.counts.requests.load(std::sync::atomic::Ordering::Relaxed);
    let before = asked();
    for _ in 0..40 {
        server.get("/providers/openai/catalog").await;
    }
    assert_eq!(asked(), before, "the list is kept");
    assert_eq!(server.send("GET", "/providers/nobody/catalog", None).await.0, 404);
    // Another organization has its own key, and with it its own list.
    let owner = LoggedInUser::owner(&server).await;
    owner.done("POST", "/secrets", Some(json!({"name": "k", "provider": "openai", "value": "invalid"}))).await;
    let own = server.get("/providers/openai/catalog").await;
    assert_eq!(own["problem"]["kind"], "unauthorized", "{own}");
    assert!(
        own["problem"]["message"].as_str().unwrap().contains("Incorrect API key"),
        "the key is the organization's: {own}"
    );
}
