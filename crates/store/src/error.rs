//! Why the store cannot do what it was asked for.

use std::sync::Arc;
use std::time::Duration;

/// How long a caller waits for a connection or a lock before the database counts as unreachable.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// PostgreSQL's codes have five characters (SQLSTATE); those of SQLite, which are numbers, have four at most.
const SQLSTATE_LENGTH: usize = 5;

/// Why the store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a statement or did not answer, see `is_unreachable` and `is_unstorable`.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought to this version of the program.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row that was written by another version or by hand.
    #[error("row cannot be read: {0}")]
    Corrupt(String),
    /// A unique value is taken; the text names what, such as `this number`.
    #[error("{0} exists already")]
    Duplicate(&'static str),
    /// The organization, or its family, holds as many as it may.
    #[error("quota {limit} of {max} is used up")]
    QuotaExceeded {
        /// Name of the quota in the settings, such as `agents`.
        limit: &'static str,
        /// How many the organization or its family may hold.
        max: i64,
    },
    /// The organization has as many of its questions asked as may be at once.
    #[error("quota {limit} is used up for the moment")]
    Busy {
        /// Name of the limit, such as `lists_at_once`.
        limit: &'static str,
    },
    /// Several asked for the same thing at once, and the one read for all of them failed.
    #[error(transparent)]
    Shared(Arc<StoreError>),
}

impl StoreError {
    /// A text with a character that PostgreSQL cannot keep (U+0000).
    pub fn is_unstorable(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => matches!(error.code().as_deref(), Some("22021" | "22P05")),
            Self::Shared(error) => error.is_unstorable(),
            _ => false,
        }
    }

    /// The database does not answer, or cannot write anything at present, as opposed to refusing what it
    /// was given.
    pub fn is_unreachable(&self) -> bool {
        use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        match self {
            Self::Database(PoolTimedOut | Io(_) | PoolClosed | Protocol(_) | Tls(_) | WorkerCrashed) => true,
            Self::Database(Database(error)) => {
                let code = error.code();
                let code = code.as_deref().unwrap_or_default();
                if code.len() == SQLSTATE_LENGTH {
                    // Connection exceptions, resources, operator intervention, and conflicts worth another try.
                    matches!(code.get(..2), Some("08" | "53" | "57" | "58" | "40")) || code == "25006"
                } else {
                    // Primary result codes of SQLite: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
                    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 5 | 6 | 8 | 10 | 13 | 14))
                }
            }
            Self::Shared(error) => error.is_unreachable(),
            _ => false,
        }
    }
}
