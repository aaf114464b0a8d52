//! What is fetched when it is not what was published, or cannot be reached. The registries' clients are scripts here.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

/// A model of one small file, `hello`.
const SMALL: Model = Model {
    name: "small",
    purpose: "tests",
    licence: "none",
    registry: Registry::Npm,
    package: "small-model",
    version: "1.0.0",
    archives: &[Archive {
        architecture: "",
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        library: "",
        library_bytes: 0,
        library_sha256: "",
    }],
    files: &[trunkline_local_speech::models::ModelFile {
        name: "model.bin",
        source: "package/model.bin",
        bytes: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    }],
};

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_package_with_another_hash_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("small-model-1.0.0.tgz");
    write(&package, "hello");
    assert_eq!(check_package(&SMALL.archives[0], &package), Ok(()));
    write(&package, "hallo");
    let why = check_package(&SMALL.archives[0], &package).unwrap_err();
    assert!(why.starts_with("small-model-1.0.0.tgz is not the package that was published: its SHA-256 is"), "{why}");
}

#[test]
fn what_is_there_of_a_model_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let state = || line(&SMALL, &SMALL.check(folder.path()));
    assert!(state().ends_with("the model small is not on this machine: run `trunkline models fetch`"), "{}", state());
    let file = folder.path().join("small/model.bin");
    for (text, what) in [
        ("hell", "small/model.bin has 4 bytes instead of 5: run `trunkline models fetch`"),
        (
            "hallo",
            "small/model.bin is not the file that was published (its SHA-256 differs): run `trunkline models fetch`",
        ),
    ] {
        write(&file, text);
        assert!(state().ends_with(what), "{}", state());
    }
    assert_eq!(SMALL.glance(folder.path()), ModelState::Present, "a glance reads no file");
    std::fs::remove_file(&file).unwrap();
    assert!(state().contains("small/model.bin is missing"), "{}", state());
    write(&file, "hello");
    assert!(state().ends_with(": present"), "{}", state());
}

#[test]
fn a_model_takes_its_place_at_once_and_what_was_there_stays_if_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("ready/model.bin"), "new");
    write(&at("place/model.bin"), "old");
    put_in_place(&at("nothing"), &at("place"), &at("aside")).unwrap_err();
    assert_eq!(std::fs::read_to_string(at("place/model.bin")).unwrap(), "old");
    put_in_place(&at("ready"), &at("place"), &at("aside")).unwrap();
    assert_eq!(std::fs::read_to_string(at("place/model.bin")).unwrap(), "new");
}

#[test]
fn a_registry_that_cannot_be_reached_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("client");
    let fails = |said: &str| {
        write(&client, &format!("#!/bin/sh\necho '{said}' >&2\nexit 1\n"));
        std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
        run(&client.display().to_string(), &["download"], "Python with pip (Debian: python3-pip)").unwrap_err()
    };
    let why = fails("WARNING: Retrying\nERROR: Failed to establish a new connection: Name or service not known");
    assert!(why.contains("Name or service not known; the registry cannot be reached from here"), "{why}");
    let why = fails("/usr/bin/python3: No module named pip");
    assert!(why.ends_with("it needs Python with pip (Debian: python3-pip)"), "{why}");
    let why = fails("ERROR: No matching distribution found for moonshine-voice==0.0.73");
    assert!(why.ends_with("No matching distribution found for moonshine-voice==0.0.73"), "{why}");
    let why = run("/nonexistent/python3", &[], "Python with pip").unwrap_err();
    assert!(why.contains("cannot be run") && why.ends_with("it needs Python with pip"), "{why}");
}

#[test]
fn only_models_that_there_are_can_be_asked_for() {
    let args = ModelsArgs { folder: Some("/nonexistent".into()), model: vec!["whisper-large".into()] };
    assert_eq!(ModelsCommand::List(args).run(|| Ok(String::new())), Err("there is no model whisper-large".into()));
}
