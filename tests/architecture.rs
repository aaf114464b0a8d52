//! The map is kept true: import edges, headers, what machines may not touch, and the ratchets on length.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Areas of the root crate and what each may import of the others (ARCHITECTURE.md says why).
const EDGES: &[(&str, &[&str])] = &[
    ("api", &["call", "domain", "store", "supervision"]),
    (
        "app",
        &[
            "api",
            "call",
            "config",
            "domain",
            "egress",
            "outbox",
            "providers",
            "scheduler",
            "stir",
            "store",
            "supervision",
            "telemetry",
            "webhooks",
        ],
    ),
    (
        "call",
        &[
            "dialogue",
            "domain",
            "egress",
            "outbox::mail",
            "providers",
            "stir",
            "store",
            "supervision",
            "telemetry::spans",
            "webhooks",
        ],
    ),
    ("caller", &["call::negotiate", "emulator"]),
    (
        "cli",
        &[
            "api::Demo",
            "api::Phrase",
            "api::openapi",
            "app",
            "call::negotiate",
            "caller",
            "config",
            "domain",
            "emulator",
            "supervision",
            "telemetry",
        ],
    ),
    ("config", &["domain"]),
    ("dialogue", &["domain"]),
    ("domain", &[]),
    ("egress", &[]),
    ("emulator", &[]),
    ("main", &["cli"]),
    ("outbox", &["domain", "store", "supervision", "webhooks"]),
    ("providers", &["domain", "egress", "supervision"]),
    ("scheduler", &["call", "domain", "store"]),
    ("stir", &["domain", "egress"]),
    ("store", &["domain", "supervision"]),
    ("supervision", &[]),
    ("telemetry", &["config"]),
    ("webhooks", &["domain", "egress"]),
];

/// Which areas may import the crates of the workspace.
const CRATES: &[(&str, &[&str])] = &[
    ("trunkline_signaling", &["api", "app", "call", "caller", "cli"]),
    ("trunkline_connections", &["api", "app", "config", "telemetry"]),
    ("trunkline_supervision", &["supervision"]),
    ("trunkline_media", &["api", "app", "call", "caller", "emulator"]),
    ("trunkline_json", &["api", "call", "dialogue", "domain", "providers", "webhooks"]),
];

/// Longest function, and longest file without its comments; a longer one is listed with its length, which may only shrink.
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;
const LONG_FUNCTIONS: &[(&str, usize)] =
    &[("src/app.rs::start_with", 92), ("src/call/driver/consultation.rs::call", 74)];

/// What machines may not touch, outside of `io`, `driver` and the call registry (the door between tasks).
const FORBIDDEN: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "sleep(",
    "sleep_until(",
    "spawn(",
    "Mutex",
    "RwLock",
    "unbounded",
    "std::net::UdpSocket",
    "tokio::net",
];
const MACHINES: &[&str] = &["media/src", "signaling/src", "src/call", "src/dialogue"];
const DRIVERS: &[&str] = &["/io/", "/driver/", "/driver.rs", "src/call/registry.rs"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust source below a folder: path relative to the root, text.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join(folder), &mut found);
    found
}

fn everything() -> BTreeMap<String, String> {
    ["src", "media/src", "signaling/src", "crates/connections/src", "crates/json/src", "crates/supervision/src"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

/// The part of a file that is not its tests, comments dropped.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs")
}

fn area(name: &str) -> &str {
    let rest = name.strip_prefix("src/").unwrap();
    rest.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn imports_point_one_way() {
    let mut faults = vec![];
    for (name, text) in sources("src").iter().filter(|(name, _)| *name != "src/lib.rs" && !is_test(name)) {
        let area = area(name);
        let allowed =
            EDGES.iter().find(|(from, _)| *from == area).unwrap_or_else(|| panic!("{area} is not on the map")).1;
        let text = code(text);
        for (at, _) in text.match_indices("crate::") {
            let path: String =
                text[at + 7..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            let to = path.split("::").next().unwrap();
            let fits = to == area || allowed.iter().any(|one| *one == to || path.starts_with(one));
            if !fits {
                faults.push(format!("{name} imports {path}"));
            }
        }
        for (krate, areas) in CRATES {
            if text.contains(&format!("{krate}::")) && !areas.contains(&area) {
                faults.push(format!("{name} imports {krate}"));
            }
        }
    }
    for (folder, foreign) in [("media/src", "trunkline_signaling"), ("signaling/src", "trunkline_media")] {
        for (name, text) in sources(folder) {
            if text.contains(foreign) || text.contains("trunkline::") {
                faults.push(format!("{name} imports beyond its crate"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Fields that are named like a secret and hold a path or an identifier.
const NOT_SECRET: &[&str] = &["api_key_file", "private_key", "xai_secret_id"];

#[test]
fn a_field_that_is_named_like_a_secret_has_the_type_of_secrets() {
    let names = ["password", "secret", "token", "authorization", "credential", "api_key", "master_key", "private_key"];
    let mut faults = vec![];
    for (name, text) in everything().iter().filter(|(name, _)| !is_test(name)) {
        for line in code(text).lines() {
            let Some((before, kind)) = line.split_once(": ") else { continue };
            let field = before.rsplit(' ').next().unwrap();
            let is_text = matches!(kind, "String," | "Option<String>," | "Arc<str>," | "Option<Arc<str>>,");
            if is_text && names.iter().any(|name| field.contains(name)) && !NOT_SECRET.contains(&field) {
                faults.push(format!("{name}: {field}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn only_negotiate_uses_both_sdp_and_media() {
    let both = |text: &str| text.contains("trunkline_signaling::sdp") && text.contains("trunkline_media::");
    let meeting: Vec<String> =
        sources("src").into_iter().filter(|(_, text)| both(text)).map(|(name, _)| name).collect();
    assert_eq!(meeting, ["src/call/negotiate.rs"]);
}

#[test]
fn only_the_store_speaks_sql_and_only_the_api_the_web_framework() {
    let mut faults = vec![];
    for (name, text) in sources("src") {
        let text = code(&text);
        if text.contains("sqlx::") && area(&name) != "store" {
            faults.push(format!("{name}: sqlx"));
        }
        if text.contains("axum::") && !matches!(area(&name), "api" | "emulator" | "app") {
            faults.push(format!("{name}: axum"));
        }
        if text.contains("reqwest::")
            && !matches!(area(&name), "providers" | "cli" | "egress")
            && !matches!(name.as_str(), "src/webhooks/sender.rs" | "src/webhooks/mcp_client.rs" | "src/stir/mod.rs")
        {
            faults.push(format!("{name}: reqwest"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn foreign_schemas_are_compiled_in_one_crate() {
    let mut found: Vec<String> = vec![];
    for (name, text) in ["src", "media/src", "signaling/src", "crates/json/src"].into_iter().flat_map(sources) {
        if text.contains("jsonschema::") || text.contains("use jsonschema") {
            found.push(name);
        }
    }
    assert!(found.iter().all(|name| name.starts_with("crates/json/src/schema/")), "{found:?}");
    assert!(!found.is_empty(), "the test looks for the wrong words");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(!manifest.contains("\njsonschema"), "the root crate uses it past the budget");
}

#[test]
fn machines_do_no_io() {
    let mut faults = vec![];
    for folder in MACHINES {
        for (name, text) in sources(folder) {
            if is_test(&name) || DRIVERS.iter().any(|driver| name.contains(driver)) {
                continue;
            }
            let text = code(&text);
            faults.extend(FORBIDDEN.iter().filter(|word| text.contains(**word)).map(|word| format!("{name}: {word}")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Folders of tools, which are not the server, and of what contains panics by itself: threads of media contain them leg by
/// leg, the supervision area is what contains.
const SPAWN_FREELY: &[&str] =
    &["src/caller/", "src/cli/", "src/emulator/", "src/supervision.rs", "crates/supervision/", "media/src/io/"];

#[test]
fn whatever_is_spawned_contains_its_panics() {
    let mut faults = vec![];
    for (name, text) in everything() {
        if is_test(&name) || SPAWN_FREELY.iter().any(|folder| name.starts_with(folder)) {
            continue;
        }
        let text = code(&text);
        for (at, _) in text.match_indices("spawn") {
            let (before, rest) = (&text[..at], &text[at + 5..]);
            // A child process, an import or a definition starts no task.
            let is_call = rest.starts_with('(') || rest.starts_with("_blocking(") || rest.starts_with("_local(");
            if !is_call || rest.starts_with("()") || before.ends_with("fn ") {
                continue;
            }
            let argument = rest.trim_start_matches("_blocking").trim_start_matches('(').trim_start();
            // `spawn("part", …)` of the supervision crate, or something that is contained before it is spawned.
            let near: String = argument.chars().take(120).collect();
            let contained = argument.starts_with('"') || argument.starts_with("part,") || near.contains("contain(");
            if !contained || before.ends_with("tokio::") || before.ends_with("task::") || before.ends_with("thread::") {
                let line = before.matches('\n').count() + 1;
                faults.push(format!("{name}, line {line} without comments"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> =
        everything().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn no_function_and_no_file_grows_too_long() {
    let mut faults = vec![];
    for (name, text) in everything().iter().filter(|(name, _)| !is_test(name)) {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
        let lines: Vec<&str> = code.lines().collect();
        // Documentation does not make a file long.
        let length = lines.iter().filter(|line| !line.trim_start().starts_with("//")).count();
        if length > FILE_LINES_MAX {
            faults.push(format!("{name}: {length} lines"));
        }
        for (start, line) in lines.iter().enumerate() {
            let trimmed = line.trim_start();
            let declaration = trimmed.split('(').next().unwrap_or("");
            if !declaration.split(' ').any(|word| word == "fn") || trimmed.starts_with("//") || trimmed.ends_with(';') {
                continue;
            }
            let closing = format!("{}}}", &line[..line.len() - trimmed.len()]);
            let Some(length) = lines[start..].iter().position(|line| **line == closing) else { continue };
            let function = declaration.rsplit(' ').next().unwrap_or("");
            let id = format!("{name}::{function}");
            let limit = LONG_FUNCTIONS.iter().find(|(f, _)| *f == id).map_or(FUNCTION_LINES_MAX, |(_, limit)| *limit);
            if length + 1 > limit {
                faults.push(format!("{id}: {} lines", length + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The test functions of a file, by name.
fn tests_of(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_test = |at: usize| {
        lines[at.saturating_sub(3)..at].iter().any(|line| line.contains("test]") || line.contains("::test("))
    };
    let named = |line: &str| line.trim_start().trim_start_matches("async ").strip_prefix("fn ").map(str::to_owned);
    let found = lines.iter().enumerate().filter(|(at, _)| is_test(*at)).filter_map(|(_, line)| named(line));
    found.filter_map(|rest| rest.split('(').next().map(str::to_owned)).collect()
}

#[test]
fn every_sentence_of_the_reference_documents_has_its_test() {
    let mut known = std::collections::HashSet::new();
    for (name, text) in sources("tests/server") {
        let module = name.trim_start_matches("tests/server/").trim_end_matches(".rs").to_owned();
        known.extend(tests_of(&text).into_iter().map(|test| format!("{module}::{test}")));
    }
    for (name, text) in sources("src") {
        let module =
            name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
        let module = module.trim_end_matches("::tests");
        known.extend(tests_of(&text).into_iter().map(|test| format!("{module}::tests::{test}")));
    }
    let document = fs::read_to_string(root().join("docs/contract.md")).unwrap();
    let rows: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| A |") || line.starts_with("| B |")).collect();
    assert!(rows.len() > 120, "{} rows", rows.len());
    let mut faults = vec![];
    for row in rows {
        let proofs: Vec<&str> =
            row.rsplit('|').nth(1).unwrap().split(',').map(|t| t.trim().trim_matches('`')).collect();
        let missing = proofs.iter().filter(|proof| !known.contains(**proof));
        faults.extend(missing.map(|proof| format!("{proof:?} in {row}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn what_breaks_with_carriers_has_its_tests() {
    let folders = ["src", "signaling/src", "signaling/tests", "media/src", "media/tests", "tests"];
    let known: Vec<String> = folders.into_iter().flat_map(sources).flat_map(|(_, text)| tests_of(&text)).collect();
    let document = fs::read_to_string(root().join("docs/carriers.md")).unwrap();
    let named =
        document.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains(['/', ' ', '.']));
    let named: Vec<&str> = named.map(|name| name.rsplit("::").next().unwrap_or(name).trim_end_matches('…')).collect();
    assert!(named.len() > 25, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !known.iter().any(|test| test.starts_with(**name))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
