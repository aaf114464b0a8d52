//! What is there of a model on this machine.

use crate::models::{Model, ModelFile};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Bytes that are hashed at once.
const PIECE_BYTES: usize = 131_072;

/// What helps against files that are missing, or are other ones.
const FETCH: &str = "run `trunkline models fetch`";
/// What helps against files that may not be read: there is nothing wrong with them.
const ALLOW: &str = "give the server's user the right to read it";

/// What is there of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// All files, as they should be.
    Present,
    /// Nothing.
    Absent,
    /// Something is wrong with it; in words, with what to do about it.
    Broken(String),
    /// There is none for this kind of machine.
    Unsupported,
}

impl ModelState {
    /// What to do about it, in words; `None` if the model can be used.
    pub fn advice(&self, model: &Model) -> Option<String> {
        match self {
            Self::Present => None,
            Self::Absent => Some(format!("the model {} is not on this machine: {FETCH}", model.name)),
            Self::Broken(what) => Some(what.clone()),
            Self::Unsupported => Some(format!("there is no {} for {} machines", model.name, std::env::consts::ARCH)),
        }
    }
}

impl Model {
    /// The model's folder below the folder of models.
    pub fn folder(&self, models: &Path) -> PathBuf {
        models.join(self.name)
    }

    /// Whether all files are there with their lengths; reads none of them.
    pub fn glance(&self, models: &Path) -> ModelState {
        self.state(models, |_, _| Ok(()))
    }

    /// Whether all files are there, with the right contents.
    pub fn check(&self, models: &Path) -> ModelState {
        self.state(models, |file, path| match sha256_of_file(path) {
            Ok(hash) if hash == file.sha256 => Ok(()),
            Ok(_) => {
                let name = format!("{}/{}", self.name, file.name);
                Err(format!("{name} is not the file that was published (its SHA-256 differs): {FETCH}"))
            }
            Err(error) => Err(unreadable(&format!("{}/{}", self.name, file.name), &error)),
        })
    }

    /// Its folder in words that customers may read: they do not see where the server keeps its files.
    fn place(&self) -> String {
        format!("{} in providers.local.models_folder", self.name)
    }

    fn state(&self, models: &Path, check: impl Fn(&ModelFile, &Path) -> Result<(), String>) -> ModelState {
        if self.archive().is_none() {
            return ModelState::Unsupported;
        }
        let folder = self.folder(models);
        match folder.metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return ModelState::Broken(format!("{} is no folder: delete it, and {FETCH}", self.place())),
            Err(error) if error.kind() == ErrorKind::NotFound => return ModelState::Absent,
            Err(error) => return ModelState::Broken(unreadable(&self.place(), &error)),
        }
        let files = self.all_files();
        // What is short or missing is seen without reading tens of megabytes.
        let found = files.iter().try_for_each(|file| self.has_its_length(file, &folder.join(file.name)));
        let checked = found.and_then(|()| files.iter().try_for_each(|file| check(file, &folder.join(file.name))));
        checked.map_or_else(ModelState::Broken, |()| ModelState::Present)
    }

    fn has_its_length(&self, file: &ModelFile, path: &Path) -> Result<(), String> {
        let name = format!("{}/{}", self.name, file.name);
        match std::fs::metadata(path) {
            Ok(found) if found.len() == file.bytes => Ok(()),
            Ok(found) => Err(format!("{name} has {} bytes instead of {}: {FETCH}", found.len(), file.bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("{name} is missing: {FETCH}")),
            Err(error) => Err(unreadable(&name, &error)),
        }
    }
}

/// What is wrong with a file or folder that cannot be read.
fn unreadable(what: &str, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!("{what} cannot be read ({error}): {ALLOW}"),
        _ => format!("{what} cannot be read ({error}): look at the disk, or {FETCH}"),
    }
}

/// SHA-256 of a file, in lower-case hexadecimal digits.
pub fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        hasher.update(piece.get(..count).unwrap_or_default());
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_be_read_is_not_fetched_again() {
        let denied = unreadable("it", &ErrorKind::PermissionDenied.into());
        assert!(denied.contains("the right to read it") && !denied.contains("fetch"), "{denied}");
        let broken = unreadable("it", &std::io::Error::from_raw_os_error(5));
        assert!(broken.contains("look at the disk") && broken.ends_with(FETCH), "{broken}");
    }
}
