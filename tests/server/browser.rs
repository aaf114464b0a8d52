//! The console and calls from it in Chromium, driven by Playwright: `tests/browser`. Screenshots are kept in `artefacts`.

use super::support::{NUMBER, OWNER, PASSWORD, Server, program, speech_models, until};
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use trunkline::api::DemoPhrase;
use trunkline::domain::login_address::LoginAddress;
use trunkline_lab::caller_voice::CallerVoiceArgs;
use trunkline_lab::demo::{ShopPlaces, shop};

/// Longer than the slowest machine took by far.
const DEADLINE: Duration = Duration::from_secs(330);

#[expect(clippy::print_stdout, reason = "which case failed is in the browser's own report")]
async fn run(file: &str, server: &Server, more: &[(&str, String)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let child = tokio::process::Command::new("node")
        .args(["--test", "--test-reporter=spec", file])
        .current_dir(&folder)
        .env("CONSOLE_URL", format!("http://{}", server.app.api_addr))
        .env("CONSOLE_EMAIL", OWNER)
        .env("CONSOLE_PASSWORD", PASSWORD)
        .env("API_KEY", &server.key)
        .env("AGENT", &server.agent)
        .envs(more.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, child).await.expect("the browser takes too long").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_console_does_what_it_is_for() {
    let server = Server::start().await;
    // An earlier call.
    server.call("listen; say opening_hours; listen; hangup").await;
    server.last_call().await;
    run("console.test.mjs", &server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_jobs_are_done_in_the_console() {
    let server = Server::start().await;
    run("jobs.test.mjs", &server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_fit_to_be_seen() {
    let server = Server::start().await;
    server.call("listen; say opening_hours; listen; hangup").await;
    server.last_call().await;
    run("looks.test.mjs", &server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_alerts_shared_calls_and_forgotten_passwords_have_their_pages() {
    let mut server = Server::start().await;
    server.call("listen; say opening_hours; listen; hangup").await;
    let talk = server.last_call().await["id"].as_str().unwrap().to_owned();
    server.recording(&talk).await;
    let due = trunkline::domain::time::UnixMs(trunkline::store::now().0 - 1_000).rfc3339();
    let task = json!({"agent_id": server.agent, "to_number": "+15550101", "scheduled_at": due});
    server.post("/tasks", task).await;
    let call = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    until("both are counted", async || (server.get("/analytics").await["total"]["calls"] == json!(2)).then_some(()))
        .await;
    let store = &server.app.services.store;
    let owner = store.accounts_of_address(&LoginAddress::new(OWNER)).await.unwrap().remove(0).user;
    let token = store.begin_password_reset(&owner, |_| None).await.unwrap().unwrap();
    run("figures.test.mjs", &server, &[("TALK", talk), ("RESET_TOKEN", token)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_editor_of_agents_shows_and_keeps_every_setting() {
    let server = Server::start().await;
    run("agent.test.mjs", &server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_from_a_page_are_heard_interrupted_and_ended() {
    let server = Server::start_demo().await;
    run("call.test.mjs", &server, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jssip_calls_over_a_websocket() {
    let server = Server::start_with(|config| {
        config.sip.websocket.listen = Some(([127, 0, 0, 1], 0).into());
    })
    .await;
    let fields = json!({"srtp": "mandatory", "codecs": ["OPUS", "PCMU", "PCMA"]});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(fields)).await;
    let url = format!("ws://{}", server.app.services.sip.local().ws.unwrap());
    run("sip.test.mjs", &server, &[("SIP_URL", url), ("NUMBER", NUMBER.to_owned())]).await;
}

/// A WAV file of a text, at 8 kHz, in a voice of espeak-ng.
async fn spoken(text: &str) -> Vec<u8> {
    let voice = CallerVoiceArgs::new("en-us+m3", Path::new("none"));
    let samples = voice.speak(vec![text]).await.unwrap().remove(text).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demos_agent_understands_any_words_from_a_browser() {
    let Some(models) = speech_models() else { return };
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let agent = shop(ShopPlaces { orders: nowhere, second_phone: nowhere, voice: "en-gb" }).unwrap();
    let text = "Is the shop open on Sunday?".to_owned();
    let example = DemoPhrase { name: "example_1".to_owned(), sound: spoken(&text).await, text };
    let server = Server::start_demo_of(agent, vec![example], |config| {
        config.providers.local.speech_worker = program().display().to_string();
        config.providers.local.models_folder = models.display().to_string();
    })
    .await;
    let sentence = server.folder.path().join("sentence.wav");
    std::fs::write(&sentence, spoken("I would like to know if you are open on Saturday.").await).unwrap();
    run("local.test.mjs", &server, &[("SENTENCE", sentence.display().to_string())]).await;
}
