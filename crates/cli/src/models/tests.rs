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

/// A registry's client that does what a shell does.
fn client(folder: &Path, does: &str) -> String {
    let client = folder.join("client");
    write(&client, &format!("#!/bin/sh\n{does}\n"));
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    client.display().to_string()
}

const PIP: &str = "Python with pip (Debian: python3-pip)";

#[test]
fn a_registry_that_cannot_be_reached_is_told_from_a_package_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |said: &str| {
        let client = client(folder.path(), &format!("echo '{said}' >&2\nexit 1"));
        run(&client, &["download"], PIP, UNPACK_TIMEOUT).unwrap_err()
    };
    let ClientError::Unreachable(why) =
        fails("WARNING: Retrying\nERROR: Failed to establish a new connection: Name or service not known")
    else {
        panic!("it was reached");
    };
    assert!(why.ends_with("new connection: Name or service not known"), "{why}");
    for (said, wanted) in [
        ("/usr/bin/python3: No module named pip", "it needs Python with pip (Debian: python3-pip)"),
        ("ERROR: No matching distribution found for moonshine-voice==0.0.73", "for moonshine-voice==0.0.73"),
    ] {
        let ClientError::Failed(why) = fails(said) else { panic!("{said} is no word of the network") };
        assert!(why.ends_with(wanted), "{why}");
    }
    let ClientError::Failed(why) = run("/nonexistent/python3", &[], PIP, UNPACK_TIMEOUT).unwrap_err() else {
        panic!("nothing ran");
    };
    assert!(why.contains("cannot be run") && why.ends_with(PIP), "{why}");
}

#[test]
fn a_client_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(folder.path(), "exec sleep 60");
    let ended = run(&client, &[], PIP, Duration::from_millis(200)).unwrap_err();
    assert!(matches!(&ended, ClientError::Unreachable(why) if why.ends_with("did not end within 0 s.")), "{ended:?}");
}

#[test]
fn of_a_registry_that_cannot_be_reached_nothing_else_is_asked() {
    let other = Model { name: "other", ..SMALL };
    let asked = std::cell::Cell::new(0);
    let ask = |error: fn(&Model) -> Result<(), FetchError>| {
        asked.set(0);
        fetch_all(&[&SMALL, &other], |model| {
            asked.set(asked.get() + 1);
            error(model)
        })
    };
    let why = ask(|model| Err(FetchError::Unreachable(model.registry, "it is down.".into()))).unwrap_err();
    assert_eq!((why.as_str(), asked.get()), ("it is down.; other was not asked for", 1));
    let why = ask(|model| Err(FetchError::Model(format!("no {}", model.name)))).unwrap_err();
    assert_eq!((why.as_str(), asked.get()), ("no small; no other", 2), "the next one may be there");
    assert_eq!((ask(|_| Ok(())), asked.get()), (Ok(()), 2));
}

#[test]
fn only_models_that_there_are_can_be_asked_for() {
    let args = ModelsArgs { folder: Some("/nonexistent".into()), model: vec!["whisper-large".into()] };
    assert_eq!(ModelsCommand::List(args).run(|| Ok(String::new())), Err("there is no model whisper-large".into()));
}
