//! Builds the console (Vite, in `console/`) into the binary. Without npm, or with TRUNKLINE_SKIP_CONSOLE=1, a page that
//! says so takes its place: everything else works as usual.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const WATCHED: &[&str] =
    &["src", "client", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

fn main() {
    println!("cargo:rerun-if-env-changed=TRUNKLINE_SKIP_CONSOLE");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let console = root.join("console");
    for name in WATCHED {
        println!("cargo:rerun-if-changed={}", console.join(name).display());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default());
    let built = out.join("console");
    let wanted = std::env::var_os("TRUNKLINE_SKIP_CONSOLE").is_none_or(|value| value.is_empty());
    if !(wanted && build(&console, &built)) {
        let _ = fs::remove_dir_all(&built);
        let _ = fs::create_dir_all(&built);
        let page = include_str!("console/without.html");
        let _ = fs::write(built.join("index.html"), page);
    }
    zip_files(&built);
}

/// Runs Vite; false when there is no npm. A build that fails fails ours.
fn build(console: &Path, built: &Path) -> bool {
    let npm = |args: &[&str]| Command::new("npm").args(args).current_dir(console).output();
    if npm(&["--version"]).is_err() {
        println!("cargo:warning=npm is missing: the console is left out (apt-get install nodejs npm)");
        return false;
    }
    let lock = fs::read(console.join("package-lock.json")).unwrap_or_default();
    let installed = console.join("node_modules/.installed");
    if fs::read(&installed).ok().as_ref() != Some(&lock) {
        run(npm(&["ci", "--no-audit", "--no-fund", "--ignore-scripts"]), "npm ci");
        let _ = fs::write(&installed, &lock);
    }
    let target = built.display().to_string();
    run(npm(&["run", "--silent", "build", "--", "--outDir", &target, "--emptyOutDir"]), "npm run build");
    true
}

fn run(result: std::io::Result<std::process::Output>, what: &str) {
    match result {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!(
            "{what} failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Compresses every file into one beside it (`.gz`), where that is smaller.
fn zip_files(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            zip_files(&path);
        } else if let Ok(plain) = fs::read(&path) {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            let zipped = encoder.write_all(&plain).and_then(|()| encoder.finish()).unwrap_or_default();
            if !zipped.is_empty() && zipped.len() < plain.len() {
                let _ = fs::write(format!("{}.gz", path.display()), zipped);
            }
        }
    }
}
