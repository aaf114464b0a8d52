//! The database. Only this area speaks SQL; every function that touches a tenant's rows takes its
//! [`OrgScope`], which only this area can make.

mod agent_versions;
mod agents;
mod api_keys;
mod audit;
mod cache;
mod calls;
mod deliveries;
mod fair_queue;
mod installation_settings;
pub mod journal;
mod logins;
pub mod node_bus;
mod nodes;
mod notifiers;
mod organizations;
mod pagination;
mod phone_numbers;
mod quotas;
mod schedule;
mod scope;
pub mod secrets;
pub mod signed_tokens;
mod tasks;
mod trunks;
mod usage;
mod users;
mod wrap_up;

pub use agent_versions::AgentVersion;
pub use api_keys::{ApiKeyRow, AuthenticatedKey, CreatedApiKey};
pub use audit::AuditEntry;
pub use calls::CallFilter;
pub use deliveries::{ClaimedDelivery, DeliveryFilter};
pub use logins::LoginAccount;
pub use nodes::NodeHeartbeat;
pub use organizations::{Bootstrapped, OrganizationError};
pub use phone_numbers::{InboundRoute, NumberOwner, PhoneNumberFields, PhoneNumberRow};
pub use schedule::{DueTask, TaskClaim};
pub use scope::OrgScope;
pub use secrets::SecretRow;
pub use usage::{RemoteLineCounts, UsageDay};
pub use users::{Invitation, NewUser, User, UserSession};
pub use wrap_up::WrapUpJob;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use trunkline_domain::quota::Quotas;
use trunkline_domain::time::UnixMs;

/// How long a caller waits for a connection or a lock before the database counts as unreachable.
const DEADLINE: Duration = Duration::from_secs(5);
/// Connections that read a SQLite file while the one writer writes.
const READERS: u32 = 4;
/// Connections to a PostgreSQL server.
const CONNECTIONS: u32 = 16;
/// The same for pages of tables alone.
const LIST_READERS: u32 = 2;
const LIST_CONNECTIONS: u32 = 4;
/// Settings of every SQLite connection: a cache of half a megabyte instead of two, because rows are small
/// and the system caches the file.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
    PRAGMA busy_timeout = 5000; PRAGMA cache_size = -512";

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
                match error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                    // Connection exceptions, resources, operator intervention, and conflicts worth another try.
                    Some(_) => matches!(code.get(..2), Some("08" | "53" | "57" | "58" | "40")) || code == "25006",
                    // Primary result codes of SQLite: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
                    None => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 5 | 6 | 8 | 10 | 13 | 14)),
                }
            }
            Self::Shared(error) => error.is_unreachable(),
            _ => false,
        }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Rows on the page at most.
    pub limit: i64,
    /// Rows to skip before the first one of the page.
    pub offset: i64,
}

/// Which database a store talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseBackend {
    /// One file, one process.
    Sqlite,
    /// A server that several processes may share.
    Postgres,
}

/// The connections to the database, with caches and quotas. Clones share them.
#[derive(Clone, Debug)]
pub struct Store {
    read: AnyPool,
    write: AnyPool,
    /// Pages of tables, which may take a while.
    lists: AnyPool,
    list_turns: pagination::ListPermits,
    /// Whose outbox holds as much as it may.
    full_outboxes: deliveries::FullOutboxes,
    backend: DatabaseBackend,
    url: String,
    dead_after_ms: i64,
    cache: cache::StoreCache,
    quotas: Quotas,
    notifiers: notifiers::Notifiers,
    login_secret: Arc<OnceCell<String>>,
}

impl Store {
    /// Opens a database: `sqlite://path` (created if it is not there), `sqlite::memory:` or `postgres://…`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(DEADLINE);
            let pool = options.clone().connect(url).await?;
            let lists = options.max_connections(LIST_CONNECTIONS).connect(url).await?;
            let (read, write, url) = (pool.clone(), pool, url.to_owned());
            return Ok(Self {
                read,
                write,
                lists,
                list_turns: pagination::ListPermits::default(),
                full_outboxes: deliveries::FullOutboxes::default(),
                backend: DatabaseBackend::Postgres,
                url,
                dead_after_ms: nodes::DEAD_AFTER_MS,
                cache: cache::StoreCache::default(),
                quotas: Quotas::default(),
                notifiers: notifiers::Notifiers::default(),
                login_secret: Arc::default(),
            });
        }
        let file =
            if url.contains('?') || url.contains(":memory:") { url.to_owned() } else { format!("{url}?mode=rwc") };
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(DEADLINE)
                .after_connect(|connection, _| Box::pin(async move { connection.execute(PRAGMAS).await.map(drop) }))
        };
        let write = pool(1).connect(&file).await?;
        // An in-memory database belongs to its one connection.
        let in_memory = url.contains(":memory:");
        let read = if in_memory { write.clone() } else { pool(READERS).connect(&file).await? };
        let lists = if in_memory { write.clone() } else { pool(LIST_READERS).connect(&file).await? };
        Ok(Self {
            read,
            write,
            lists,
            list_turns: pagination::ListPermits::default(),
            full_outboxes: deliveries::FullOutboxes::default(),
            backend: DatabaseBackend::Sqlite,
            url: url.to_owned(),
            dead_after_ms: nodes::DEAD_AFTER_MS,
            cache: cache::StoreCache::default(),
            quotas: Quotas::default(),
            notifiers: notifiers::Notifiers::default(),
            login_secret: Arc::default(),
        })
    }

    /// Processes that say nothing for this long count as dead. The same for all who share a database.
    #[must_use]
    pub fn with_dead_after(self, ms: u64) -> Self {
        Self { dead_after_ms: i64::try_from(ms).unwrap_or(i64::MAX), ..self }
    }

    /// The same of a database that is there already; none is created.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let is_file = url.starts_with("sqlite:") && !url.contains('?') && !url.contains(":memory:");
        if is_file { Self::open(&format!("{url}?mode=rw")).await } else { Self::open(url).await }
    }

    /// Returns the notifiers that wake outbox, post-call work and scheduler when there are new rows.
    pub fn notifiers(&self) -> &notifiers::Notifiers {
        &self.notifiers
    }

    /// Where the database is, as it was opened.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns which kind of database the store was opened with.
    pub fn backend(&self) -> DatabaseBackend {
        self.backend
    }

    /// Brings the schema to this version. Fails with `Migration` if the database is newer or was changed by hand.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        sqlx::migrate!("../../migrations").run(&self.write).await?;
        Ok(())
    }

    /// A round trip, for the health page.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Closes all connections, after the statements that are running.
    pub async fn close(&self) {
        self.lists.close().await;
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

/// Text from outside (headers, transcripts, answers of other servers) as every database stores it: PostgreSQL refuses
/// U+0000, and a call whose row is refused would be neither visible nor billed.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn storable_or_none(text: Option<&String>) -> Option<String> {
    text.map(|text| storable(text))
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
