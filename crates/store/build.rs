//! Lists the files of `migrations/` for `Store::migrate`. The macro of sqlx does the same, and compiles both databases, TLS and
//! tokio a second time for it.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = Path::new(&root).join("../../migrations");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    let mut rows = String::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((number, title)) = name.strip_suffix(".sql").and_then(|name| name.split_once('_')) else {
            panic!("migrations/{name}: NNNN_name.sql is expected")
        };
        let Ok(number) = number.parse::<i64>() else { panic!("migrations/{name}: it has no number") };
        let title = title.replace('_', " ");
        let _ = writeln!(rows, "({number}, {title:?}, include_str!({:?})),", file.display().to_string());
    }
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    let written = std::fs::write(Path::new(&out).join("migrations.rs"), format!("&[\n{rows}]\n"));
    assert!(written.is_ok(), "migrations.rs cannot be written to {out}");
}
