//! Files of a model that are missing, short, foreign or unreadable: the worker says which, and what to do about it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use trunkline_local_speech::models::{LIBRARY, MOONSHINE_TINY_EN};
use trunkline_speech_worker::moonshine::Moonshine;

/// A folder of models of one test.
struct Models(PathBuf);

impl Models {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-broken-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// With files of the right lengths, and nothing in them.
    fn with_files(name: &str) -> Self {
        let models = Self::new(name);
        std::fs::create_dir_all(models.folder()).unwrap();
        for file in MOONSHINE_TINY_EN.all_files() {
            set_length(&models.folder().join(file.name), file.bytes);
        }
        models
    }

    fn folder(&self) -> PathBuf {
        MOONSHINE_TINY_EN.folder(&self.0)
    }

    /// What the worker says.
    fn error(&self) -> String {
        Moonshine::load(&self.0).unwrap_err().message
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn set_length(path: &Path, bytes: u64) {
    std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
}

const FETCH: &str = "run `trunkline models fetch`";

#[test]
fn each_file_that_is_missing_or_short_is_named_with_what_to_do() {
    for file in MOONSHINE_TINY_EN.all_files() {
        let models = Models::with_files("each");
        let path = models.folder().join(file.name);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(models.error(), format!("moonshine-tiny-en/{} is missing: {FETCH}", file.name));
        set_length(&path, file.bytes / 2);
        let short = format!("has {} bytes instead of {}", file.bytes / 2, file.bytes);
        assert_eq!(models.error(), format!("moonshine-tiny-en/{} {short}: {FETCH}", file.name));
    }
    assert!(MOONSHINE_TINY_EN.all_files().iter().any(|file| file.name == LIBRARY), "the library is one of them");
}

#[test]
fn files_that_were_not_published_are_not_loaded() {
    let error = Models::with_files("foreign").error();
    assert!(error.contains("is not the file that was published") && error.ends_with(FETCH), "{error}");
}

#[test]
fn a_folder_that_is_none_or_cannot_be_read_is_named() {
    let models = Models::new("none");
    assert_eq!(models.error(), format!("the model moonshine-tiny-en is not on this machine: {FETCH}"));
    set_length(&models.folder(), 10);
    let error = models.error();
    assert!(error.contains("is no folder: delete it") && error.ends_with(FETCH), "{error}");
    std::fs::remove_file(models.folder()).unwrap();
    std::os::unix::fs::symlink(models.folder(), models.folder()).unwrap();
    let error = models.error();
    assert!(error.contains("cannot be read") && error.contains("look at the disk"), "{error}");
    assert!(!error.contains(&models.0.display().to_string()), "customers read it: {error}");
    // A folder in the place of a file.
    std::fs::remove_file(models.folder()).unwrap();
    let models = Models::with_files("inside");
    let path = models.folder().join("tokenizer.bin");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = models.error();
    assert!(error.starts_with("moonshine-tiny-en/tokenizer.bin has ") && error.ends_with(FETCH), "{error}");
}
