//! The speech worker's process: starts it, carries its messages, and ends it.
#![expect(clippy::disallowed_methods, reason = "drives a process: tasks, clocks and deadlines are its own")]

mod process;
mod worker;

pub use process::WorkerProgram;
pub use worker::{PendingAnswer, SpeechWorker};
