//! Updates that a call sends to its listeners.

use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::Turn;

/// Updates a listener may lag behind; beyond that it is dropped, the call never waits.
pub const UPDATES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub enum LiveUpdate {
    /// A turn, new or grown; the same position again replaces it.
    Turn {
        position: u32,
        turn: Turn,
    },
    /// Interim STT result of the current utterance.
    Interim {
        text: String,
    },
    Status {
        status: CallStatus,
        end_reason: Option<EndReason>,
    },
}
