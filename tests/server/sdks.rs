//! The clients of `sdk/`: built from the description of the API as a customer builds them, and used against a server.

use super::support::Server;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use trunkline_lab::caller::script::CallScript;

const PATIENCE: Duration = Duration::from_secs(60);
/// Other people's generators take a while on a busy machine.
const BUILD_PATIENCE: Duration = Duration::from_secs(180);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Programs of the environment that `make deps` sets up.
fn tool(name: &str) -> PathBuf {
    root().join("target/venv/bin").join(name)
}

fn described() -> String {
    trunkline::api::openapi_document().to_string()
}

async fn run(command: &mut Command, patience: Duration) -> Output {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(patience, run).await.expect("it does not end").expect("`make deps` installs it")
}

async fn succeeds(command: &mut Command, patience: Duration) -> String {
    let output = run(command, patience).await;
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complaints}");
    said.into_owned()
}

/// Builds the package of one language, and returns its folder.
async fn build(server: &Server, language: &str) -> PathBuf {
    let description = server.folder.path().join("openapi.json");
    std::fs::write(&description, described()).unwrap();
    let out = root().join("target/sdk");
    let mut command = Command::new("python3");
    command.arg(root().join("sdk/build.py")).arg(description).arg(&out).arg(language);
    succeeds(&mut command, BUILD_PATIENCE).await;
    out.join(language)
}

/// A program in the package's folder that finds the server by its environment.
fn program(server: &Server, package: &Path, name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(package).env("PYTHONPATH", package);
    command.env("TRUNKLINE_URL", format!("http://{}", server.app.api_addr)).env("TRUNKLINE_API_KEY", &server.key);
    command
}

/// The files of a folder with this ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    found.sort();
    assert!(!found.is_empty(), "{}", folder.display());
    found
}

/// The example calls, and the person who is called confirms the address.
async fn call_by_example(server: &mut Server, mut example: Command) {
    example.args(["--to", "+15550199", "--number", "+31208080808"]);
    let script = CallScript::parse("listen; say yes_correct; listen; say goodbye; listen").unwrap();
    let talk = async {
        let call = tokio::time::timeout(PATIENCE, server.incoming.recv()).await.expect("no call arrives").unwrap();
        server.phone.answer(call, &script, None).await
    };
    let (said, report) = tokio::join!(succeeds(&mut example, PATIENCE), talk);
    assert!(report.failure.is_none(), "{report:?}");
    for line in [
        "verified status-update: in-progress",
        "verified status-update: ended",
        "verified end-of-call-report: agent_hung_up",
        "assistant: Hello, this is Acme. Is your delivery address still correct?",
        "user: Yes, that is correct.",
        "user: Thank you, goodbye.",
    ] {
        assert!(said.lines().any(|one| one == line), "{line:?} is not in {said}");
    }
    assert!(!said.contains("refused"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_works() {
    let mut server = Server::start().await;
    let package = build(&server, "python").await;
    let python = tool("python");
    let mut tests = program(&server, &package, &python);
    tests.args(["-W", "error::ResourceWarning", "-m", "unittest", "discover", "-s", "tests"]);
    succeeds(&mut tests, PATIENCE).await;
    for snippet in files(&package.join("snippets"), ".py") {
        succeeds(program(&server, &package, &python).arg(snippet), PATIENCE).await;
    }
    let mut example = program(&server, &package, &python);
    example.arg("examples/first_call.py");
    call_by_example(&mut server, example).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client_works() {
    let mut server = Server::start().await;
    let package = build(&server, "typescript").await;
    let mut tests = program(&server, &package, "node");
    tests.arg("--test").args(files(&package.join("dist/tests"), ".test.js"));
    succeeds(&mut tests, PATIENCE).await;
    for snippet in files(&package.join("dist/snippets"), ".js") {
        succeeds(program(&server, &package, "node").arg(snippet), PATIENCE).await;
    }
    let mut example = program(&server, &package, "node");
    example.arg("dist/examples/first-call.js");
    call_by_example(&mut server, example).await;
}

/// By other people's validator.
#[tokio::test]
async fn the_description_is_openapi_3_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, described()).unwrap();
    let mut validator = Command::new(tool("openapi-spec-validator"));
    succeeds(validator.args(["--schema", "3.1"]).arg(file), PATIENCE).await;
}
