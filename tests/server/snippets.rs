//! What the README and the documents tell a reader to type, as it stands: `tests/snippets.sh` says how blocks are marked.

use super::support::program;
use std::path::Path;
use std::process::{Command, Stdio};

/// Documents with blocks that run or with JSON; each has its test below.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "docs/api.md",
    "docs/browser.md",
    "docs/flows.md",
    "docs/local-testing.md",
    "docs/providers.md",
    "docs/webhooks.md",
    "examples/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the blocks of one document in their order, in one shell.
fn run(document: &str) {
    assert!(DOCUMENTS.contains(&document), "{document} is not listed");
    let output = Command::new(root().join("tests/snippets.sh"))
        .arg(program())
        .arg(root().join(document))
        .stdin(Stdio::null())
        .output()
        .expect("bash is installed");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}

#[test]
fn the_readme_runs() {
    run("README.md");
}

#[test]
fn the_tour_of_the_api_runs() {
    run("docs/api.md");
}

#[test]
fn calls_from_the_browser_run() {
    run("docs/browser.md");
}

#[test]
fn flows_have_json() {
    run("docs/flows.md");
}

#[test]
fn local_testing_runs() {
    run("docs/local-testing.md");
}

#[test]
fn providers_have_json() {
    run("docs/providers.md");
}

#[test]
fn webhooks_run() {
    run("docs/webhooks.md");
}

#[test]
fn the_examples_run() {
    run("examples/README.md");
}

/// The documents that people read: those of the root, `docs` and `examples`.
fn documents() -> Vec<String> {
    let mut found = vec![];
    for folder in ["", "docs/", "examples/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn no_document_is_left_out() {
    let runs = |line: &str| {
        let info = line.trim_start().strip_prefix("```").unwrap_or("");
        ["sh", "bash", "shell", "zsh", "json"].contains(&info.split(' ').next().unwrap_or(""))
    };
    let with_blocks = |name: &String| std::fs::read_to_string(root().join(name)).unwrap().lines().any(runs);
    let found: Vec<String> = documents().into_iter().filter(with_blocks).collect();
    assert_eq!(found, DOCUMENTS);
}
