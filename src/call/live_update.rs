//! Updates that a call sends to its listeners.

use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::Turn;

/// Updates a listener may lag behind; beyond that it is dropped, the call never waits.
pub const UPDATES_MAX: usize = 256;

/// An update for those who follow a live call.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveUpdate {
    /// A turn, new or grown; the same position again replaces it.
    Turn {
        /// Place of the turn in the transcript, counted from 0.
        position: u32,
        /// The turn as it is now.
        turn: Turn,
    },
    /// Interim STT result of the current utterance.
    Interim {
        /// The words of the utterance so far; a later update replaces them.
        text: String,
    },
    /// The status of the call has changed.
    Status {
        /// The new status.
        status: CallStatus,
        /// Why the call ended; `None` while it goes on.
        end_reason: Option<EndReason>,
    },
}
