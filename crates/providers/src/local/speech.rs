//! Speech models of this machine: their files, and the worker that runs them, which all calls share.

use std::path::PathBuf;
use std::sync::Arc;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::io::{SpeechWorker, WorkerProgram};
use trunkline_local_speech::models::{MOONSHINE_TINY_EN, Model};

/// Where the models and the worker are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalSpeechSettings {
    /// Folder of the models.
    pub models: PathBuf,
    /// Program of the worker; `None`: this program.
    pub worker: Option<PathBuf>,
}

/// The models and their worker; clones share it.
#[derive(Clone, Debug)]
pub struct LocalSpeech {
    settings: Arc<LocalSpeechSettings>,
    worker: SpeechWorker,
}

impl LocalSpeech {
    /// Nothing is started yet.
    pub fn new(settings: LocalSpeechSettings) -> Self {
        let arguments = ["speech-worker".to_owned(), "--models".to_owned(), settings.models.display().to_string()];
        let program =
            WorkerProgram { program: settings.worker.clone().unwrap_or_else(own_program), arguments: arguments.into() };
        Self { settings: Arc::new(settings), worker: SpeechWorker::new(program) }
    }

    /// The worker, which starts with its first request.
    pub fn worker(&self) -> &SpeechWorker {
        &self.worker
    }

    /// What there is of a model, without reading its files.
    pub fn state(&self, model: &Model) -> ModelState {
        model.glance(&self.settings.models)
    }

    /// The same; reads all of its files.
    pub fn check(&self, model: &Model) -> ModelState {
        model.check(&self.settings.models)
    }

    /// There is a model of STT, so calls can fall back on it.
    pub fn has_stt(&self) -> bool {
        self.state(&MOONSHINE_TINY_EN) == ModelState::Present
    }
}

/// This very program, even if another one has been put in its place since it started.
fn own_program() -> PathBuf {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if running.exists() { running } else { std::env::current_exe().unwrap_or_else(|_| PathBuf::from("trunkline")) }
}
