//! The speech worker's process, and the files of models.
#![expect(clippy::disallowed_methods, reason = "drives a process: tasks, clocks and deadlines are its own")]

pub mod model_files;
mod process;
mod worker;

pub use process::WorkerProgram;
pub use worker::{PendingAnswer, SpeechWorker};
