//! The program as a shell sees it: exit codes, and what stands on which output.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

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
        "secrets",
        "emulate",
        "call",
        "bench",
        "check-trunk",
    ] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(command)), "{command} is missing:\n{text}");
    }
    assert!(
        text.contains("Run a server and make real calls through it"),
        "the summary of `demo` is its command's:\n{text}"
    );
}
