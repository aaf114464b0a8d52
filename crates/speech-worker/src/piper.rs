//! Piper's voices. A voice is loaded with the first text for it, so that a server that only listens keeps its memory.

use crate::engine::{Cancellation, EngineError, SpeechPiece, Synthesizer, Utterance};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::message::FailureKind;
use trunkline_local_speech::models::{PIPER_CONFIG, PIPER_MODEL, PIPER_VOICES, PiperVoice};
use trunkline_piper::{ComputeThreads, Voice, VoiceError};

/// How long files that were no voice are left alone: to hash them takes half a second.
const BROKEN_FOR: Duration = Duration::from_secs(30);

/// The voices on this machine.
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
    /// The voices whose files are there; fails if there is none, with what to do.
    pub fn open(models: &Path) -> Result<Self, EngineError> {
        let state = |voice: &PiperVoice| voice.model.glance(models);
        // A voice with a broken file is one all the same: whoever asks for it is told.
        let there =
            PIPER_VOICES.iter().filter(|voice| matches!(state(voice), ModelState::Present | ModelState::Broken(_)));
        let voices: Vec<_> = there.map(|voice| (*voice, Mutex::new(VoiceState::Unloaded))).collect();
        if voices.is_empty() {
            let advice = PIPER_VOICES.first().and_then(|voice| state(voice).advice(&voice.model));
            return Err(EngineError::unsupported(advice.unwrap_or_default()));
        }
        Ok(Self { models: models.to_owned(), voices })
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
            let model = PIPER_VOICES.iter().find(|one| one.name == voice).map(|one| one.model);
            let advice = model.and_then(|model| model.glance(&self.models).advice(&model));
            return Err(EngineError::unsupported(advice.unwrap_or_else(|| "there is no such voice".to_owned())));
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
