//! Calls that are heard by the STT of this machine: as the agent's own, as the last fallback, and without its model.
//! A fake worker says what it was sent; the real model is used where `make deps` has put it.

use super::support::{PATIENCE, Server, lines, poll, program, speech_models};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use trunkline_lab::emulator::InjectedFault;
use trunkline_local_speech::models::{MOONSHINE_TINY_EN, PIPER_JOE};

/// A worker without models, which is built beside the tests.
fn fake_worker() -> PathBuf {
    let path = program().with_file_name("fake-speech-worker");
    assert!(path.exists(), "`cargo build --package trunkline-local-speech` builds {}", path.display());
    path
}

/// Files of the right lengths, with nothing in them.
fn put_files(models: &Path) {
    let folder = MOONSHINE_TINY_EN.folder(models);
    std::fs::create_dir_all(&folder).unwrap();
    for file in MOONSHINE_TINY_EN.all_files() {
        std::fs::File::create(folder.join(file.name)).unwrap().set_len(file.bytes).unwrap();
    }
}

/// A server with the fake worker.
async fn server(has_files: bool) -> Server {
    let server = Server::start_with(|config| {
        config.providers.local.speech_worker = fake_worker().display().to_string();
    })
    .await;
    if has_files {
        put_files(&server.folder.path().join("models"));
    }
    server
}

/// Changes the agent; what the answer warns of.
async fn change(server: &Server, changes: Value) -> String {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
    body["data"]["warnings"].to_string()
}

fn local() -> Value {
    json!({"provider": "local", "model": "moonshine-tiny-en", "language": "en"})
}

/// What the caller said, as the fake worker heard it.
fn heard(call: &Value) -> Vec<String> {
    let said = lines(call).into_iter().filter_map(|line| line.strip_prefix("user: ").map(str::to_owned));
    said.inspect(|line| assert!(line.starts_with("session "), "{line}")).collect()
}

/// The workers of this server: children of this process.
fn workers(server: &Server) -> Vec<String> {
    let models = server.folder.path().join("models").display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_ours = |id: &String| {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&models)
    };
    processes.filter(is_ours).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_heard_by_the_local_model_and_survives_its_worker() {
    let server = server(true).await;
    change(&server, json!({"stt_config": local()})).await;
    let killed = async {
        let first = poll(PATIENCE, "a worker", async || match workers(&server).as_slice() {
            [one] => Ok(one.clone()),
            other => Err(format!("{other:?}")),
        })
        .await;
        assert!(std::process::Command::new("kill").args(["-9", &first]).status().unwrap().success());
    };
    let (report, ()) =
        tokio::join!(server.call("listen; say opening_hours; listen; say hello; listen; hangup"), killed);
    let call = server.last_call().await;
    assert!(report.failure.is_none(), "{report:?}");
    assert!(heard(&call).len() >= 2, "{call}");
    assert_eq!(call["metrics"]["failovers"], json!([]), "{call}");
    // A worker that dies while it hears the caller is counted.
    let errors = &call["metrics"]["provider_errors"];
    assert!([json!({}), json!({"stt_dropped": 1})].contains(errors), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_stt_is_down_goes_on_with_the_local_model() {
    let server = server(true).await;
    server.emulator.faults.set("stt.deepgram", Some(InjectedFault::Refuse), u32::MAX);
    let report = server.call("listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none() && !heard(&call).is_empty(), "{report:?} {call}");
    let switch = &call["metrics"]["failovers"][0];
    assert_eq!(
        (&switch["stage"], &switch["from"], &switch["to"]),
        (&json!("stt"), &json!("deepgram/nova-3-general"), &json!("local/moonshine-tiny-en")),
        "{call}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_model_that_is_missing_costs_the_call_nothing_but_a_fallback() {
    let server = server(false).await;
    let deepgram = json!({"provider": "deepgram", "model": "nova-3-general", "language": "en"});
    let warnings = change(&server, json!({"stt_config": local(), "fallbacks": {"stt": [deepgram]}})).await;
    assert!(warnings.contains("stt_config: the model moonshine-tiny-en is not on this machine: run"), "{warnings}");
    server.call("listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(lines(&call).contains(&"user: What are your opening hours?".to_owned()), "{call}");
    assert_eq!(call["metrics"]["provider_errors"], json!({"stt_not_configured": 1}), "{call}");
    assert!(workers(&server).is_empty(), "no worker is started for it");
    for (field, value) in [("language", "nl"), ("model", "whisper")] {
        let mut stt = local();
        stt[field] = json!(value);
        let (status, body) =
            server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"stt_config": stt}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(format!("stt_config.{field}"))), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_model_hears_a_call() {
    let Some(models) = speech_models() else { return };
    let server = Server::start_with(|config| {
        config.providers.local.speech_worker = program().display().to_string();
        config.providers.local.models_folder = models.display().to_string();
    })
    .await;
    change(&server, json!({"stt_config": local()})).await;
    server.call("listen; say speak_to_human; listen; hangup").await;
    let call = server.last_call().await;
    let said = lines(&call).into_iter().find(|line| line.starts_with("user: ")).unwrap_or_default().to_lowercase();
    assert!(said.contains("speak to a human"), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_no_models_are_named_and_cost_a_fallback() {
    // The worker of the program itself reads the files: they have the right lengths, and nothing in them.
    let server = Server::start_with(|config| {
        config.providers.local.speech_worker = program().display().to_string();
    })
    .await;
    put_files(&server.folder.path().join("models"));
    let deepgram = json!({"provider": "deepgram", "model": "nova-3-general", "language": "en"});
    let fallbacks = json!({"stt": [deepgram]});
    change(&server, json!({"stt_config": local(), "fallbacks": fallbacks})).await;
    server.call("listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    assert!(lines(&call).contains(&"user: What are your opening hours?".to_owned()), "{call}");
    assert_eq!(call["metrics"]["provider_errors"], json!({"stt_not_configured": 1}), "{call}");
    let tested = server.post("/providers/local/test", json!({})).await;
    let problem = tested["problem"]["message"].as_str().unwrap_or_default();
    assert!(problem.contains("is not the file that was published") && problem.contains("models fetch"), "{tested}");
    // A voice whose model is not there at all is no fault of the provider; who saves an agent with it is told.
    let missing = tested["missing_models"].to_string();
    assert!(missing.contains("piper-joe") && missing.contains("trunkline models fetch"), "{tested}");
    let voice = json!({"tts_config": {"provider": "local", "voice_id": "piper:joe", "language": "en"}});
    let warnings = change(&server, voice).await;
    assert!(warnings.contains("tts_config: the model piper-joe is not on this machine"), "{warnings}");
    let unknown = json!({"tts_config": {"provider": "local", "voice_id": "piper:nobody", "language": "en"}});
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(unknown)).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("tts_config.voice_id")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_whose_worker_dies_in_mid_sentence_is_taken_over_within_a_second() {
    let server = server(true).await;
    let folder = PIPER_JOE.folder(&server.folder.path().join("models"));
    std::fs::create_dir_all(&folder).unwrap();
    for file in PIPER_JOE.all_files() {
        std::fs::File::create(folder.join(file.name)).unwrap().set_len(file.bytes).unwrap();
    }
    let text = "Good morning, this is Acme, and you have reached our shop, but then we crash here, and after \
                that somebody else goes on with the rest of what was to be said, to its very end.";
    let voice = json!({"provider": "local", "voice_id": "piper:joe", "language": "en"});
    change(&server, json!({"first_message": text, "tts_config": voice})).await;
    let report = server.call("listen; hangup").await;
    let call = server.last_call().await;
    assert!(report.failure.is_none() && report.heard_seconds > 6.0, "{report:?}");
    // `listen` ends where the agent has been silent for a second: all of it was heard, so there was no such gap.
    assert_eq!(lines(&call), [format!("assistant: {text}")], "{call}");
    assert_eq!(call["metrics"]["failovers"], json!([]), "the same voice, as far as the call is concerned: {call}");
    let metrics = server.http.get(format!("http://{}/metrics", server.app.api_addr)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for name in [
        "trunkline_speech_worker_waiting",
        "trunkline_speech_worker_request_seconds",
        "trunkline_speech_worker_starts_total",
        "trunkline_speech_worker_crashes_total",
        "trunkline_speech_worker_dropped_total",
        "trunkline_local_voice_fallbacks_total",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} is missing");
    }
}
