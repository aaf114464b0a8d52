//! Spoken phrases on disk: the greeting of an agent is synthesized once, and is there at once in every later call.
//!
//! What is stored is decided by the caller: texts that stand in an agent's configuration without variables, so no words of
//! a caller and no values of a call. Files are named by a hash, whose first part is the organization: a phrase of one is
//! never found by another, neither by its sound nor by its time, and names on the disk say nothing.
//!
//! Files are written beside and renamed. One that was cut or changed is deleted and made anew. The oldest use goes first
//! when the bytes are used up.

use crate::WordTimestamp;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

const MAGIC: &[u8; 8] = b"TLPHRAS1";
const HASH_BYTES: usize = 32;
/// Magic, rate, number of marks.
const HEADER_BYTES: usize = 16;
const MARK_BYTES: usize = 8;
/// Files at most: a phrase of one word has some 10 kB, so 64 MB hold fewer.
const ENTRIES_MAX: usize = 8_192;
/// A phrase takes at most this part of the whole.
const SHARE: u64 = 8;
const EXTENSION: &str = "phrase";
const UNFINISHED: &str = "new";

/// What was spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Sampling rate in Hz.
    pub rate_hz: u32,
    /// When its words are over.
    pub marks: Vec<WordTimestamp>,
    /// 16-bit samples, little-endian.
    pub audio: Bytes,
}

/// The name of a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PhraseKey([u8; HASH_BYTES]);

impl PhraseKey {
    /// Of the organization, the voice, the contents of its model, the speed and the text.
    pub fn new(organization: &str, voice: &str, model_sha256: &str, speed_permille: u32, text: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [organization, voice, model_sha256, &speed_permille.to_string(), text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        (pairs.len() == HASH_BYTES)
            .then(|| bytes.iter_mut().zip(pairs).for_each(|(to, [high, low])| *to = high << 4 | low))?;
        Some(Self(bytes))
    }
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    used: u64,
}

#[derive(Debug, Default)]
struct Index {
    entries: HashMap<PhraseKey, Entry>,
    bytes: u64,
    uses: u64,
}

/// The folder of phrases. Its functions read and write files, so they are called where that may block.
#[derive(Debug)]
pub struct PhraseCache {
    folder: PathBuf,
    bytes_max: u64,
    index: Mutex<Index>,
}

impl PhraseCache {
    /// Opens the folder, which is made if there is none. What is left of an earlier run is used, within the bound.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made or read.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut found: Vec<(SystemTime, PhraseKey, u64)> = Vec::new();
        for file in std::fs::read_dir(folder)?.flatten() {
            let path = file.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            let key = path.file_stem().and_then(|stem| PhraseKey::parse(stem.to_str()?));
            match (extension, key, file.metadata()) {
                (Some(EXTENSION), Some(key), Ok(about)) => {
                    found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, about.len()));
                }
                (Some(UNFINISHED), ..) => drop(std::fs::remove_file(path)),
                _ => {}
            }
        }
        found.sort_unstable_by_key(|(used, key, _)| (*used, key.0));
        let mut index = Index::default();
        found.into_iter().for_each(|(_, key, bytes)| index.add(key, bytes));
        let cache = Self { folder: folder.to_owned(), bytes_max, index: Mutex::new(index) };
        cache.make_room();
        Ok(cache)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: PhraseKey) -> PathBuf {
        self.folder.join(key.hex()).with_extension(EXTENSION)
    }

    /// The phrase, if it was stored and its file is whole.
    pub fn get(&self, key: PhraseKey) -> Option<Phrase> {
        self.index().touch(key)?;
        let path = self.path(key);
        let phrase = std::fs::read(&path).ok().and_then(|file| decode(&file));
        if phrase.is_none() {
            let _ = std::fs::remove_file(&path);
            self.index().remove(key);
            return None;
        }
        // Its age in the next run of the server.
        if let Ok(file) = std::fs::File::options().append(true).open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        phrase
    }

    /// Stores a phrase; one that is too large for the bound is not stored.
    ///
    /// # Errors
    ///
    /// What the disk says. Nothing is left of the phrase then.
    pub fn put(&self, key: PhraseKey, phrase: &Phrase) -> io::Result<()> {
        let file = encode(phrase);
        let bytes = file.len() as u64;
        if bytes > self.bytes_max / SHARE {
            return Ok(());
        }
        let unfinished = self.folder.join(uuid::Uuid::new_v4().to_string()).with_extension(UNFINISHED);
        let written = std::fs::write(&unfinished, &file).and_then(|()| std::fs::rename(&unfinished, self.path(key)));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&unfinished);
            return Err(error);
        }
        self.index().add(key, bytes);
        self.make_room();
        Ok(())
    }

    /// Bytes of all phrases.
    pub fn bytes(&self) -> u64 {
        self.index().bytes
    }

    fn make_room(&self) {
        let mut index = self.index();
        while index.bytes > self.bytes_max || index.entries.len() > ENTRIES_MAX {
            let Some(oldest) = index.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) else {
                return;
            };
            index.remove(oldest);
            let _ = std::fs::remove_file(self.path(oldest));
        }
    }
}

impl Index {
    fn add(&mut self, key: PhraseKey, bytes: u64) {
        self.remove(key);
        self.uses += 1;
        self.bytes += bytes;
        self.entries.insert(key, Entry { bytes, used: self.uses });
    }

    fn touch(&mut self, key: PhraseKey) -> Option<()> {
        self.uses += 1;
        self.entries.get_mut(&key)?.used = self.uses;
        Some(())
    }

    fn remove(&mut self, key: PhraseKey) {
        if let Some(gone) = self.entries.remove(&key) {
            self.bytes -= gone.bytes;
        }
    }
}

fn encode(phrase: &Phrase) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&phrase.rate_hz.to_le_bytes());
    file.extend_from_slice(&(phrase.marks.len() as u32).to_le_bytes());
    for mark in &phrase.marks {
        file.extend_from_slice(&mark.at_ms.to_le_bytes());
        file.extend_from_slice(&mark.chars.to_le_bytes());
    }
    file.extend_from_slice(&phrase.audio);
    let hash = Sha256::digest(&file);
    file.extend_from_slice(&hash);
    file
}

/// `None` for a file that was cut, changed, or written by another version.
fn decode(file: &[u8]) -> Option<Phrase> {
    let (content, hash) = file.split_at_checked(file.len().checked_sub(HASH_BYTES)?)?;
    if Sha256::digest(content)[..] != *hash || !content.starts_with(MAGIC) {
        return None;
    }
    let number = |at: usize| Some(u32::from_le_bytes(content.get(at..at + 4)?.try_into().ok()?));
    let (rate_hz, count) = (number(8)?, number(12)? as usize);
    let end = HEADER_BYTES + count.checked_mul(MARK_BYTES)?;
    let mark = |n: usize| {
        let at = HEADER_BYTES + n * MARK_BYTES;
        Some(WordTimestamp { at_ms: number(at)?, chars: number(at + 4)? })
    };
    let audio = content.get(end..)?;
    let marks = (0..count).map(mark).collect::<Option<_>>()?;
    Some(Phrase { rate_hz, marks, audio: Bytes::copy_from_slice(audio) })
}

#[cfg(test)]
#[path = "phrase_cache_tests.rs"]
mod tests;
