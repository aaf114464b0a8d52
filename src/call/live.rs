//! What a call tells its listeners while it goes on.

use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::Turn;

/// Updates a listener may lag behind by; one that lags further is dropped, the call never waits for it.
pub const UPDATES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// A turn, new or grown; the same position again replaces it.
    Turn {
        position: u32,
        turn: Turn,
    },
    /// What the recogniser makes of the words being spoken.
    Interim {
        text: String,
    },
    Status {
        status: CallStatus,
        end_reason: Option<EndReason>,
    },
}
