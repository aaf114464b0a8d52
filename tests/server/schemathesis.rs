//! schemathesis, a fuzzer for OpenAPI, against the running server: what the document says, the server does.

use super::support::{LoggedInUser, Server, strict};
use std::path::Path;
use std::process::Stdio;

async fn run(server: &Server, cookie: &str, mount: &str, phases: &str, examples: u32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("target/venv/bin/schemathesis");
    let program = if own.exists() { own } else { "schemathesis".into() };
    let document = format!("http://{}/api/v1/openapi.json", server.app.api_addr);
    let token = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
    let output = tokio::process::Command::new(program)
        .arg("--config-file")
        .arg(root.join("tests/schemathesis.toml"))
        .args(["run", &document, "--include-path-regex", mount, "--exclude-path-regex", "auth/log"])
        .args(["--max-examples", &examples.to_string(), "--phases", phases, "--continue-on-failure"])
        .args(["--generation-deterministic", "--no-color"])
        .envs([("TRUNKLINE_KEY", server.key.as_str()), ("TRUNKLINE_SESSION", token)])
        .current_dir(server.folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis is installed by `make deps`");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("generated"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_does_what_its_document_says() {
    let server = Server::start_with(strict).await;
    let owner = LoggedInUser::owner(&server).await;
    run(&server, &owner.cookie, "^/api/v1", &phases("examples,coverage,fuzzing"), 8).await;
}

/// Random requests take a core for two minutes; the gate sends the document's examples, `.ci/nightly` everything.
fn phases(all: &str) -> String {
    if std::env::var_os("FUZZ_SECONDS").is_some() { all.to_owned() } else { "examples".to_owned() }
}

/// The same handlers answer there, in another shape.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bare_mount_does_what_the_document_says() {
    let server = Server::start_with(strict).await;
    let owner = LoggedInUser::owner(&server).await;
    run(&server, &owner.cookie, "^/v1", &phases("examples,fuzzing"), 4).await;
}
