//! What is there of a model on this machine.

use crate::models::{Model, ModelFile};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes that are hashed at once.
const PIECE_BYTES: usize = 131_072;

/// What is there of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// All files, as they should be.
    Present,
    /// Nothing.
    Absent,
    /// Something is wrong with it; in words.
    Broken(String),
    /// There is none for this kind of machine.
    Unsupported,
}

impl ModelState {
    /// What to do about it, in words; `None` if the model can be used.
    pub fn advice(&self, model: &Model) -> Option<String> {
        let fetch = "run `trunkline models fetch`";
        match self {
            Self::Present => None,
            Self::Absent => Some(format!("the model {} is not on this machine: {fetch}", model.name)),
            Self::Broken(what) => Some(format!("{what}: {fetch}")),
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
                Err(format!("{}/{} is not the file that was published (its SHA-256 differs)", self.name, file.name))
            }
            Err(error) => Err(format!("{}/{} cannot be read: {error}", self.name, file.name)),
        })
    }

    fn state(&self, models: &Path, check: impl Fn(&ModelFile, &Path) -> Result<(), String>) -> ModelState {
        if self.archive().is_none() {
            return ModelState::Unsupported;
        }
        let folder = self.folder(models);
        match folder.metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return ModelState::Broken(format!("{} is no folder", folder.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return ModelState::Absent,
            Err(error) => {
                let whose = "the server's user must be able to read it";
                return ModelState::Broken(format!("{} cannot be read ({error}): {whose}", folder.display()));
            }
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
            Ok(found) => Err(format!("{name} has {} bytes instead of {}", found.len(), file.bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!("{name} is missing")),
            Err(error) => Err(format!("{name} cannot be read: {error}")),
        }
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
