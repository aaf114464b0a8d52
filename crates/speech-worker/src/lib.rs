//! The speech worker: a process of its own (`trunkline speech-worker`) that loads speech models and their native
//! libraries, reads requests on its standard input and writes answers to its standard output. The server never loads
//! any of this.
//!
//! [`engine`] says what a model of STT or TTS is to the worker; `serve` reads, runs and answers.
#![expect(clippy::disallowed_methods, reason = "a process of its own: its threads and clocks")]

pub mod engine;
#[cfg(feature = "inference")]
mod late_model;
#[cfg(feature = "inference")]
pub mod moonshine;
#[cfg(feature = "inference")]
pub mod piper;
mod serve;

pub use serve::serve;

use engine::{EngineError, Engines};
use std::path::Path;
use std::process::ExitCode;
use trunkline_local_speech::message::{FailureKind, RequestId, WorkerMessage};

/// How much lower than the server's the worker's priority is: audio is never late because of words.
const NICENESS: i32 = 5;

/// Runs the worker on standard input and output until the server closes them. `models` is the folder of models.
pub fn run(models: &Path) -> ExitCode {
    // Where it is not allowed to be nice, it works all the same.
    let _ = rustix::process::nice(NICENESS);
    match load(models) {
        Ok(engines) => {
            serve(engines, std::io::stdin(), std::io::stdout());
            ExitCode::SUCCESS
        }
        Err(EngineError { message, .. }) => {
            serve::send(
                &mut std::io::stdout(),
                &WorkerMessage::Failed { id: RequestId(0), kind: FailureKind::FilesMissing, message },
            );
            ExitCode::FAILURE
        }
    }
}

/// Loads the models that are there; fails if there is none. What is missing or damaged beside another one is looked for again
/// while the worker runs.
#[cfg(feature = "inference")]
fn load(models: &Path) -> Result<Engines, EngineError> {
    let load_stt = |models: &Path| {
        let model = moonshine::Moonshine::load(models)?;
        Ok::<_, EngineError>(Box::new(model) as Box<dyn engine::Transcriber>)
    };
    let voices = piper::PiperVoices::open(models);
    let stt = match load_stt(models) {
        Ok(model) => model,
        Err(why) if !voices.has_files() => {
            return Err(EngineError { kind: FailureKind::FilesMissing, message: why.message });
        }
        Err(why) => {
            let (name, folder) = (trunkline_local_speech::models::MOONSHINE_TINY_EN.name, models.to_owned());
            Box::new(late_model::LateModel::new(name, why, late_model::BROKEN_FOR, move || load_stt(&folder)))
        }
    };
    Ok(Engines { stt: Some(stt), tts: Some(Box::new(voices)), ..Engines::default() })
}

#[cfg(not(feature = "inference"))]
fn load(_: &Path) -> Result<Engines, EngineError> {
    Err(EngineError::unsupported("this program was built without speech models (feature `inference`)"))
}
