//! How far a call has come. Each state owns what only it has, so a wrong combination does not compile.
//!
//! A call that goes on was answered, and a call that is over has a reason and a time:
//!
//! ```
//! use trunkline_domain::call::CallProgress;
//! use trunkline_domain::end_reason::EndReason;
//! use trunkline_domain::time::UnixMs;
//!
//! let goes_on = CallProgress::InProgress { answered_at: UnixMs(5) };
//! let over = CallProgress::Over { answered_at: Some(UnixMs(5)), ended_at: UnixMs(9), reason: EndReason::Silence };
//! ```
//!
//! ```compile_fail,E0063
//! use trunkline_domain::call::CallProgress;
//!
//! let answered_at_no_time = CallProgress::InProgress {};
//! ```
//!
//! ```compile_fail,E0559
//! use trunkline_domain::call::CallProgress;
//! use trunkline_domain::end_reason::EndReason;
//! use trunkline_domain::time::UnixMs;
//!
//! let ended_and_goes_on = CallProgress::InProgress { answered_at: UnixMs(5), reason: EndReason::Silence };
//! ```
//!
//! ```compile_fail,E0063
//! use trunkline_domain::call::CallProgress;
//! use trunkline_domain::time::UnixMs;
//!
//! let over_without_reason = CallProgress::Over { answered_at: None, ended_at: UnixMs(9) };
//! ```
//!
//! Whether a call that is over has failed follows from its state. No one can say it beside that:
//!
//! ```compile_fail,E0559
//! use trunkline_domain::call::{CallProgress, CallStatus};
//! use trunkline_domain::end_reason::EndReason;
//! use trunkline_domain::time::UnixMs;
//!
//! let (status, reason) = (CallStatus::Completed, EndReason::Busy);
//! let completed_and_busy = CallProgress::Over { answered_at: None, ended_at: UnixMs(9), reason, status };
//! ```
//!
//! Only a stored row can be irregular:
//!
//! ```compile_fail,E0451
//! use trunkline_domain::call::{CallStatus, IrregularProgress};
//!
//! let made_here =
//!     IrregularProgress { status: CallStatus::Completed, end_reason: None, answered_at: None, ended_at: None };
//! ```

use crate::end_reason::EndReason;
use crate::time::UnixMs;
use utoipa::ToSchema;

/// How far a call has come. `Completed` and `Failed` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CallStatus {
    /// Begun and not answered yet, or waiting for its time.
    Initiated,
    /// Answered and going on.
    InProgress,
    /// Over, with an end reason that is no failure.
    Completed,
    /// Over, with an end reason that is a failure, such as `busy` or `no_answer`.
    Failed,
}

impl CallStatus {
    /// Every status, in the order of a call's life.
    pub const ALL: &[Self] = &[Self::Initiated, Self::InProgress, Self::Completed, Self::Failed];

    /// Returns the name in JSON and in the database, such as `in_progress`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }

    /// Returns true for `Completed` and `Failed`, after which nothing changes.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

    /// The status of a call that is over. One that was not answered has failed, whatever the reason.
    fn of_end(answered_at: Option<UnixMs>, reason: EndReason) -> Self {
        if reason.is_failure() || answered_at.is_none() { Self::Failed } else { Self::Completed }
    }
}

/// The state of a call, with what is known of it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallProgress {
    /// Begun and not answered yet, or waiting for its time.
    Initiated,
    /// Answered and going on.
    InProgress {
        /// When the call was answered.
        answered_at: UnixMs,
    },
    /// Over. Nothing changes any more.
    Over {
        /// When the call was answered. `None` if nobody answered.
        answered_at: Option<UnixMs>,
        /// When the call ended.
        ended_at: UnixMs,
        /// Why the call ended.
        reason: EndReason,
    },
    /// What a stored row says that this version would not write.
    Irregular(IrregularProgress),
}

/// Columns of a row that fit no state, such as an end reason that only another version knows. They are shown and
/// written as they are. Only [`CallProgress::from_columns`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IrregularProgress {
    status: CallStatus,
    end_reason: Option<EndReason>,
    answered_at: Option<UnixMs>,
    ended_at: Option<UnixMs>,
}

impl CallProgress {
    /// Reads the columns of a stored row. No combination is an error: the accessors return exactly these columns again.
    pub fn from_columns(
        status: CallStatus, end_reason: Option<EndReason>, answered_at: Option<UnixMs>, ended_at: Option<UnixMs>,
    ) -> Self {
        match (status, end_reason, answered_at, ended_at) {
            (CallStatus::Initiated, None, None, None) => Self::Initiated,
            (CallStatus::InProgress, None, Some(answered_at), None) => Self::InProgress { answered_at },
            (_, Some(reason), _, Some(ended_at)) if status == CallStatus::of_end(answered_at, reason) => {
                Self::Over { answered_at, ended_at, reason }
            }
            _ => Self::Irregular(IrregularProgress { status, end_reason, answered_at, ended_at }),
        }
    }

    /// The call is answered at `now`. A call that is over stays as it is.
    #[must_use]
    pub fn answer(self, now: UnixMs) -> Self {
        if self.status().is_over() { self } else { Self::InProgress { answered_at: now } }
    }

    /// The call ends at `now`. A call that is over stays as it is.
    #[must_use]
    pub fn end(self, reason: EndReason, now: UnixMs) -> Self {
        if self.status().is_over() {
            self
        } else {
            Self::Over { answered_at: self.answered_at(), ended_at: now, reason }
        }
    }

    /// The name of the state. A call that is over has failed if its reason is a failure, or if nobody answered.
    pub fn status(&self) -> CallStatus {
        match self {
            Self::Initiated => CallStatus::Initiated,
            Self::InProgress { .. } => CallStatus::InProgress,
            Self::Over { answered_at, reason, .. } => CallStatus::of_end(*answered_at, *reason),
            Self::Irregular(row) => row.status,
        }
    }

    /// Why the call ended. `None` while it goes on, or where a row has no reason that this version knows.
    pub fn end_reason(&self) -> Option<EndReason> {
        match self {
            Self::Initiated | Self::InProgress { .. } => None,
            Self::Over { reason, .. } => Some(*reason),
            Self::Irregular(row) => row.end_reason,
        }
    }

    /// When the call was answered. `None` if it was not, or not yet.
    pub fn answered_at(&self) -> Option<UnixMs> {
        match self {
            Self::Initiated => None,
            Self::InProgress { answered_at } => Some(*answered_at),
            Self::Over { answered_at, .. } => *answered_at,
            Self::Irregular(row) => row.answered_at,
        }
    }

    /// When the call ended. `None` while it goes on.
    pub fn ended_at(&self) -> Option<UnixMs> {
        match self {
            Self::Initiated | Self::InProgress { .. } => None,
            Self::Over { ended_at, .. } => Some(*ended_at),
            Self::Irregular(row) => row.ended_at,
        }
    }
}

#[cfg(test)]
mod tests;
