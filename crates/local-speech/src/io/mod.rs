//! The speech worker's process, and the files of models.

pub mod model_files;
mod process;
mod worker;

pub use process::WorkerProgram;
pub use worker::{PendingAnswer, SpeechWorker};
