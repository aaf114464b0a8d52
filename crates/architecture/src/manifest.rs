//! Members of the workspace and their targets, from the manifests, as cargo finds them.

use std::collections::BTreeMap;

/// The texts of a tree of files, by path from the workspace's root.
pub type Files = BTreeMap<String, String>;

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// `src/lib.rs`
    Library,
    /// `src/main.rs`, `src/bin`, `build.rs`
    Program,
    /// `tests`
    Tests,
    /// `benches`, `examples`
    Demonstration,
}

/// One compilation: a root file and the modules below it.
#[derive(Debug)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// Its root file.
    pub root: String,
}

/// A member of the workspace.
#[derive(Debug)]
pub struct Member {
    /// Its folder, `crates/json`; empty for the root crate.
    pub folder: String,
    /// `trunkline-json`
    pub package: String,
    /// How code names its library, `trunkline_json`.
    pub library: String,
    /// What is compiled.
    pub targets: Vec<Target>,
    /// Names of its dependencies, all kinds.
    pub dependencies: Vec<String>,
}

/// The members that the root manifest names.
///
/// # Errors
///
/// A manifest is absent or is not TOML.
pub fn members(files: &Files) -> Result<Vec<Member>, String> {
    let root = manifest(files, "")?;
    let listed = root.get("workspace").and_then(|workspace| workspace.get("members"));
    let listed = listed.and_then(toml::Value::as_array).ok_or("Cargo.toml has no workspace.members")?;
    let mut folders = vec![];
    for pattern in listed.iter().filter_map(toml::Value::as_str) {
        match pattern {
            "." => folders.push(String::new()),
            _ => match pattern.strip_suffix("/*") {
                Some(parent) => folders.extend(below(files, parent)),
                None => folders.push(pattern.to_owned()),
            },
        }
    }
    if root.contains_key("package") && !folders.iter().any(String::is_empty) {
        folders.push(String::new());
    }
    folders.into_iter().map(|folder| member(files, folder)).collect()
}

fn manifest(files: &Files, folder: &str) -> Result<toml::Table, String> {
    let path = join(folder, "Cargo.toml");
    let text = files.get(&path).ok_or_else(|| format!("{path} is absent"))?;
    text.parse().map_err(|error| format!("{path}: {error}"))
}

/// Folders of a parent that have a manifest.
fn below(files: &Files, parent: &str) -> Vec<String> {
    let folder = |path: &String| path.strip_suffix("/Cargo.toml").map(str::to_owned);
    let is_child = |path: &String| path.rsplit_once('/').is_some_and(|(folder, _)| folder == parent);
    files.keys().filter_map(folder).filter(is_child).collect()
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn member(files: &Files, folder: String) -> Result<Member, String> {
    let manifest = manifest(files, &folder)?;
    let text = |table: &str, key: &str| {
        manifest.get(table).and_then(|table| table.get(key)).and_then(toml::Value::as_str).map(str::to_owned)
    };
    let package = text("package", "name").ok_or_else(|| format!("{folder}/Cargo.toml has no package.name"))?;
    let library = text("lib", "name").unwrap_or_else(|| package.replace('-', "_"));
    let mut targets = vec![];
    let mut add = |kind, path: &str| {
        let root = join(&folder, path);
        if files.contains_key(&root) && !targets.iter().any(|target: &Target| target.root == root) {
            targets.push(Target { kind, root });
        }
    };
    add(TargetKind::Library, &text("lib", "path").unwrap_or_else(|| "src/lib.rs".to_owned()));
    add(TargetKind::Program, "src/main.rs");
    add(TargetKind::Program, "build.rs");
    let kinds = [
        ("src/bin", "bin", TargetKind::Program),
        ("tests", "test", TargetKind::Tests),
        ("benches", "bench", TargetKind::Demonstration),
        ("examples", "example", TargetKind::Demonstration),
    ];
    for (place, table, kind) in kinds {
        for path in roots(files, &join(&folder, place)) {
            add(kind, path.strip_prefix(&format!("{folder}/")).unwrap_or(&path));
        }
        let named = manifest.get(table).and_then(toml::Value::as_array).into_iter().flatten();
        named.filter_map(|target| target.get("path")?.as_str()).for_each(|path| add(kind, path));
    }
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"].map(|table| manifest.get(table));
    let tables = tables.into_iter().flatten().filter_map(toml::Value::as_table);
    let dependencies = tables.flat_map(|table| table.keys().cloned()).collect();
    Ok(Member { folder, package, library, targets, dependencies })
}

/// `folder/*.rs` and `folder/*/main.rs`.
fn roots(files: &Files, folder: &str) -> Vec<String> {
    let is_root = |path: &&String| {
        path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| {
            match rest.split_once('/') {
                None => rest.ends_with(".rs"),
                Some((_, rest)) => rest == "main.rs",
            }
        })
    };
    files.keys().filter(is_root).cloned().collect()
}
