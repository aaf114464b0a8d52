//! What the threads of the worker tell the server, and models that panic.

use crate::engine::EngineError;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use trunkline_local_speech::message::{RequestId, WorkerMessage};
use trunkline_supervision::contain_sync;

/// Writes a message; a server that does not read any more is seen at the input.
pub(crate) fn send(output: &mut impl Write, message: &WorkerMessage) {
    let _ = output.write_all(&message.frame().encode());
    let _ = output.flush();
}

pub(super) fn send_shared(output: &Mutex<impl Write>, message: &WorkerMessage) {
    send(&mut *output.lock().unwrap_or_else(PoisonError::into_inner), message);
}

pub(super) fn failed(id: RequestId, error: EngineError) -> WorkerMessage {
    WorkerMessage::Failed { id, kind: error.kind, message: error.message }
}

/// A model that panics has failed on this input, and goes on with the next.
pub(super) fn contained<T>(run: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    contain_sync("speech_model", run).unwrap_or_else(|panic| Err(EngineError::model(panic)))
}
