//! Piper's voices. A voice is loaded with the first text for it, so that a server that only listens keeps its memory.

use crate::engine::{Cancellation, EngineError, SpeechPiece, Synthesizer, Utterance};
use crate::late_model::BROKEN_FOR;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::message::FailureKind;
use trunkline_local_speech::models::{PIPER_CONFIG, PIPER_MODEL, PIPER_VOICES, PiperVoice};
use trunkline_piper::{ComputeThreads, Voice, VoiceError};

/// The voices that there are; each is loaded from this machine's files once they are right.
#[derive(Debug)]
pub struct PiperVoices {
    models: PathBuf,
    voices: Vec<(PiperVoice, Mutex<VoiceState>)>,
}

#[derive(Debug)]
enum VoiceState {
    Unloaded,
    Loaded(Arc<Voice>),
    Broken { why: String, until: Instant },
}

impl PiperVoices {
    /// Reads no file yet.
    pub fn open(models: &Path) -> Self {
        let voices = PIPER_VOICES.iter().map(|voice| (*voice, Mutex::new(VoiceState::Unloaded)));
        Self { models: models.to_owned(), voices: voices.collect() }
    }

    /// Whether there are files of any voice. One with a broken file counts: whoever asks for it is told.
    pub fn has_files(&self) -> bool {
        let is_there = |voice: &PiperVoice| {
            matches!(voice.model.glance(&self.models), ModelState::Present | ModelState::Broken(_))
        };
        self.voices.iter().any(|(voice, _)| is_there(voice))
    }
}

thread_local! {
    /// Each thread that speaks computes with one thread of its own, which has its priority.
    static THREADS: ComputeThreads = ComputeThreads::new(1);
}

/// Checks the files of a voice and loads it.
fn load(voice: &PiperVoice, models: &Path) -> Result<Voice, String> {
    if let Some(advice) = voice.model.check(models).advice(&voice.model) {
        return Err(advice);
    }
    let folder = voice.model.folder(models);
    let (model, config) = (folder.join(PIPER_MODEL), folder.join(PIPER_CONFIG));
    THREADS.with(|threads| Voice::load(&model, &config, threads)).map_err(|error| error.to_string())
}

impl VoiceState {
    /// The voice, loaded; in words if its files are not the published ones.
    fn loaded(&mut self, voice: &PiperVoice, models: &Path) -> Result<Arc<Voice>, String> {
        let is_due = match self {
            Self::Loaded(_) => false,
            Self::Unloaded => true,
            Self::Broken { until, .. } => *until <= Instant::now(),
        };
        if is_due {
            *self = match load(voice, models) {
                Ok(voice) => Self::Loaded(Arc::new(voice)),
                Err(why) => Self::Broken { why, until: Instant::now() + BROKEN_FOR },
            };
        }
        match self {
            Self::Loaded(voice) => Ok(Arc::clone(voice)),
            Self::Broken { why, .. } => Err(why.clone()),
            Self::Unloaded => Err(String::new()),
        }
    }
}

impl Synthesizer for PiperVoices {
    fn voices(&self) -> Vec<String> {
        self.voices.iter().map(|(voice, _)| voice.name.to_owned()).collect()
    }

    fn begin(&self, voice: &str, speed: f32, text: &str) -> Result<Box<dyn Utterance>, EngineError> {
        let found = self.voices.iter().find(|(one, _)| one.name == voice);
        let Some((known, state)) = found else {
            return Err(EngineError::unsupported("there is no such voice"));
        };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let voice = state.loaded(known, &self.models).map_err(EngineError::unsupported)?;
        drop(state);
        let text = voice.begin(text, speed).map_err(engine_error)?;
        Ok(Box::new(PiperUtterance { voice, text }))
    }
}

struct PiperUtterance {
    voice: Arc<Voice>,
    text: trunkline_piper::Utterance,
}

impl Utterance for PiperUtterance {
    fn next_piece(&mut self, cancellation: &Cancellation) -> Result<Option<SpeechPiece>, EngineError> {
        // Loading may have taken longer than the caller waits.
        cancellation.check()?;
        let piece = THREADS.with(|threads| self.voice.next_piece(&mut self.text, threads)).map_err(engine_error)?;
        let rate_hz = self.voice.config().sample_rate_hz;
        Ok(piece.map(|piece| SpeechPiece { rate_hz, samples: piece.samples, word_ends: piece.word_ends }))
    }

    fn is_over(&self) -> bool {
        self.text.is_over()
    }
}

fn engine_error(error: VoiceError) -> EngineError {
    match error {
        VoiceError::NothingToSay | VoiceError::TooLong { .. } | VoiceError::Synthesis(_) => EngineError::model(error),
        other => EngineError { kind: FailureKind::Unsupported, message: other.to_string() },
    }
}
