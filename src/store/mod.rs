//! The database. Only this area speaks SQL; every function that touches a tenant's rows takes its
//! [`OrgScope`], which only this area can make.

mod agents;
mod api_keys;
mod calls;
pub mod journal;
pub mod live_tokens;
mod organizations;
mod phone_numbers;
mod scope;
mod tasks;
mod trunks;

pub use api_keys::NewKey;
pub use calls::CallFilter;
pub use organizations::Bootstrapped;
pub use phone_numbers::{PhoneNumberRow, Route};
pub use scope::OrgScope;

use crate::domain::time::UnixMs;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::str::FromStr as _;
use std::time::Duration;

/// How long a caller waits for a connection or a lock before the database counts as unreachable.
const DEADLINE: Duration = Duration::from_secs(5);
/// Connections that read while the one writer writes.
const READERS: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row that was written by another version or by hand.
    #[error("row cannot be read: {0}")]
    Corrupt(String),
    #[error("{0} exists already")]
    Duplicate(&'static str),
}

impl StoreError {
    /// The database does not answer, or cannot write anything at present, as opposed to refusing what it
    /// was given.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed) => true,
            // Primary result codes of SQLite: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
            Self::Database(sqlx::Error::Database(error)) => error
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .is_some_and(|code| matches!(code & 0xFF, 5 | 6 | 8 | 10 | 13 | 14)),
            _ => false,
        }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub limit: i64,
    pub offset: i64,
}

#[derive(Clone, Debug)]
pub struct Store {
    read: SqlitePool,
    write: SqlitePool,
}

impl Store {
    /// Opens (and creates) a SQLite database: `sqlite://path` or `sqlite::memory:`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(DEADLINE)
            // Half a megabyte a connection instead of two: rows are small and the system caches the file.
            .pragma("cache_size", "-512");
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(DEADLINE);
        let write = pool(1).connect_with(options.clone()).await?;
        // An in-memory database belongs to its one connection.
        let read = if url.contains(":memory:") { write.clone() } else { pool(READERS).connect_with(options).await? };
        Ok(Self { read, write })
    }

    pub async fn migrate(&self) -> Result<(), StoreError> {
        sqlx::migrate!("migrations/sqlite").run(&self.write).await?;
        Ok(())
    }

    /// A round trip, for the health page.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// Parses a stored identifier or name; rows are ours, so a failure is corruption.
fn parsed<T>(value: Option<T>, what: &str) -> Result<T, StoreError> {
    value.ok_or_else(|| corrupt(what))
}

fn document<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn unique(error: sqlx::Error, what: &'static str) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Duplicate(what),
        _ => StoreError::Database(error),
    }
}

/// Reads the clock for row times; the store is at the edge of the world.
pub fn now() -> UnixMs {
    #[expect(clippy::disallowed_methods, reason = "row times come from the wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as i64)
}
