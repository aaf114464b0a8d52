//! Voices of the worker with files that are missing, broken or foreign; and the real one, where `TRUNKLINE_MODELS` names a
//! folder with its files.
#![expect(clippy::print_stderr, reason = "says why nothing was tested")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "inference")]

use std::path::{Path, PathBuf};
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::message::FailureKind;
use trunkline_local_speech::models::{PIPER_CONFIG, PIPER_JOE, PIPER_MODEL};
use trunkline_speech_worker::engine::{Cancellation, EngineError, Synthesizer as _};
use trunkline_speech_worker::piper::PiperVoices;

struct Models(PathBuf);

impl Models {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("trunkline-models-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Files of the right lengths, with nothing in them.
    fn empty_files(self) -> Self {
        let folder = PIPER_JOE.folder(&self.0);
        std::fs::create_dir_all(&folder).unwrap();
        for file in PIPER_JOE.files {
            std::fs::File::create(folder.join(file.name)).unwrap().set_len(file.bytes).unwrap();
        }
        self
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn speak(voices: &PiperVoices, voice: &str, phonemes: &str) -> Result<(Vec<i16>, Vec<u32>), EngineError> {
    let (mut audio, mut ends) = (Vec::new(), Vec::new());
    let mut text = voices.begin(voice, 1.0, phonemes)?;
    while let Some(piece) = text.next_piece(&Cancellation::default())? {
        assert_eq!(piece.rate_hz, 22_050);
        audio.extend(piece.samples);
        ends.extend(piece.word_ends);
    }
    Ok((audio, ends))
}

#[test]
fn without_files_the_worker_says_what_to_do() {
    let models = Models::new("none");
    let voices = PiperVoices::open(&models.0);
    assert!(!voices.has_files());
    let error = speak(&voices, "joe", "a").unwrap_err();
    assert_eq!(error.kind, FailureKind::Unsupported);
    assert_eq!(error.message, "the model piper-joe is not on this machine: run `trunkline models fetch`");
}

/// A file of the right length and other contents: nothing of it is loaded.
#[test]
fn files_that_were_not_published_are_refused() {
    let models = Models::new("foreign").empty_files();
    let voices = PiperVoices::open(&models.0);
    assert!(voices.has_files());
    assert_eq!(voices.voices(), ["joe"]);
    for _ in 0..2 {
        let error = speak(&voices, "joe", "a").unwrap_err();
        assert_eq!(error.kind, FailureKind::Unsupported);
        assert!(
            error.message.contains("SHA-256 differs") && error.message.ends_with("run `trunkline models fetch`"),
            "{error:?}"
        );
    }
    let error = speak(&voices, "amy", "a").unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (FailureKind::Unsupported, "there is no such voice"));
}

#[test]
fn a_file_that_was_cut_is_named() {
    let models = Models::new("cut").empty_files();
    let model = PIPER_JOE.folder(&models.0).join(PIPER_MODEL);
    std::fs::File::options().write(true).open(&model).unwrap().set_len(1_000).unwrap();
    let voices = PiperVoices::open(&models.0);
    let error = speak(&voices, "joe", "a").unwrap_err();
    assert!(error.message.contains("voice.onnx has 1000 bytes instead of 63201294"), "{error:?}");
    std::fs::remove_file(PIPER_JOE.folder(&models.0).join(PIPER_CONFIG)).unwrap();
    assert!(matches!(PIPER_JOE.glance(&models.0), ModelState::Broken(_)));
}

#[test]
fn the_real_voice_speaks_where_it_is_installed() {
    let Some(models) = std::env::var_os("TRUNKLINE_MODELS") else {
        return eprintln!("skipped: TRUNKLINE_MODELS names no folder of models");
    };
    let voices = PiperVoices::open(Path::new(&models));
    if !voices.has_files() {
        return eprintln!("skipped: no voice in TRUNKLINE_MODELS");
    }
    let (audio, ends) = speak(&voices, "joe", "ɡˈʊd mˈɔːɹnɪŋ, hˌaʊ kæn aɪ hˈɛlp juː?").unwrap();
    assert!((22_050..66_150).contains(&audio.len()), "{}", audio.len());
    assert_eq!(ends.len(), 7);
    let cancelled = Cancellation::default();
    cancelled.cancel();
    let error = voices.begin("joe", 1.0, "a").unwrap().next_piece(&cancelled).unwrap_err();
    assert_eq!(error.kind, FailureKind::Cancelled);
}
