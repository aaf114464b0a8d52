//! The console and calls from it in Chromium, driven by Playwright: `tests/browser`. Screenshots are kept in `artefacts`.

use super::support::{NUMBER, OWNER, PASSWORD, Server};
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Longer than the slowest machine took by far.
const DEADLINE: Duration = Duration::from_secs(240);

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
