//! The program as a shell sees it: exit codes, and what stands on which output.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_trunkline")).args(arguments).current_dir(&folder).env_clear().output().unwrap()
}

#[test]
fn the_api_is_described_on_standard_output() {
    let output = run(&["openapi"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"].as_object().unwrap().len() > 30);
}

#[test]
fn wrong_settings_end_with_1_and_name_the_field_on_standard_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_trunkline"))
        .arg("check-config")
        .env_clear()
        .env("TRUNKLINE_SIP__NONE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("sip.none") && output.stdout.is_empty(), "{said}");
}

#[test]
fn an_unknown_command_ends_with_2_and_help_lists_every_command() {
    assert_eq!(run(&["sreve"]).status.code(), Some(2));
    let help = run(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    for command in [
        "serve",
        "demo",
        "bootstrap",
        "quota",
        "migrate",
        "openapi",
        "check-config",
        "health",
        "secrets",
        "emulate",
        "call",
        "bench",
        "check-trunk",
        "login",
        "logout",
        "agents",
        "numbers",
        "trunks",
        "tasks",
        "calls",
        "apply",
        "completions",
        "doctor",
    ] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(command)), "{command} is missing:\n{text}");
    }
    assert!(
        text.contains("Run a server and make real calls through it"),
        "the summary of `demo` is its command's:\n{text}"
    );
}

/// A server of its own folder and free ports, and what it logs.
struct Served {
    process: Child,
    log: BufReader<ChildStderr>,
    folder: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const SETTINGS: &str = "[api]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = \"127.0.0.1:0\"\n[webrtc]\nenabled = false\n";

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.toml"), SETTINGS).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .arg("serve")
            .current_dir(&folder)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut served = Self { process, log, folder };
        served.says("trunkline is ready");
        served
    }

    /// Reads the log up to this line.
    fn says(&mut self, words: &str) -> String {
        let mut text = String::new();
        loop {
            let start = text.len();
            assert!(self.log.read_line(&mut text).unwrap() > 0, "the log ended without {words:?}:\n{text}");
            if text[start..].contains(words) {
                return text;
            }
        }
    }

    fn signal(&self, name: &str) {
        let done = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.process.id())]).status().unwrap();
        assert!(done.success());
    }

    fn reload(&mut self, settings: &str, words: &str) -> String {
        std::fs::write(self.folder.path().join("config.toml"), settings).unwrap();
        self.signal("HUP");
        self.says(words)
    }
}

#[test]
fn sighup_reads_the_settings_again_and_never_ends_the_server() {
    let mut server = Served::start();
    server.reload(SETTINGS, "settings reloaded");
    let broken = server.reload("[api]\nlisten_on = \"127.0.0.1:0\"\n", "api.listen_on");
    assert!(broken.contains("not reloaded"), "{broken}");
    let changed = server.reload(&format!("{SETTINGS}[calls]\ncalls_max = 7\n"), "needs a restart");
    assert!(changed.contains("[calls]") && !changed.contains("[api]"), "{changed}");
    // The words of an unchanged file come at the level that this one turns off.
    let quiet = format!("{SETTINGS}[calls]\ncalls_max = 7\n[log]\nfilter = \"warn\"\n");
    server.reload(&quiet, "needs a restart");
    server.reload(&format!("{SETTINGS}[log]\nfilter = \"info\"\n"), "settings reloaded");
    server.signal("TERM");
    let end = server.says("stopping");
    assert!(!end.contains('\u{1b}'), "colours in a pipe: {end:?}");
    assert!(server.process.wait().unwrap().success());
}

/// What the client needs is told before anything is asked of a server.
#[test]
fn a_client_without_a_server_says_how_to_log_in() {
    let output = run(&["agents", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("TRUNKLINE_URL and TRUNKLINE_API_KEY"), "{said}");
    let unreachable = Command::new(env!("CARGO_BIN_EXE_trunkline"))
        .args(["agents", "list"])
        .env_clear()
        .env("TRUNKLINE_URL", "http://127.0.0.1:1")
        .env("TRUNKLINE_API_KEY", "va_1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&unreachable.stderr);
    assert_eq!(unreachable.status.code(), Some(4), "{unreachable:?}");
    assert!(said.contains("http://127.0.0.1:1 cannot be reached") && !said.contains("va_1"), "{said}");
}

#[test]
fn a_call_by_an_agent_takes_no_settings_of_the_phone() {
    let output = run(&["call", "+31201234567", "--agent", "Support", "--script", "hangup"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let alone = run(&["call", "+31201234567"]);
    let said = String::from_utf8_lossy(&alone.stderr);
    assert!(alone.status.code() == Some(1) && said.contains("--agent NAME"), "{said}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("check-trunk") && text.contains("tail"), "{shell}: {text}");
    }
}
