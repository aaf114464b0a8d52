//! Calls that are heard by the STT of this machine: as the agent's own, as the last fallback, and without its model.
//! A fake worker says what it was sent; the real model is used where `make deps` has put it.

use super::support::{PATIENCE, Server, lines, poll, program, speech_models};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use trunkline_lab::emulator::InjectedFault;
use trunkline_local_speech::models::MOONSHINE_TINY_EN;

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

async fn change(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
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
    assert_eq!(
        (&call["metrics"]["failovers"], &call["metrics"]["provider_errors"]),
        (&json!([]), &json!({})),
        "{call}"
    );
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
    change(&server, json!({"stt_config": local(), "fallbacks": {"stt": [deepgram]}})).await;
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
