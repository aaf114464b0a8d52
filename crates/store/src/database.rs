//! The connections to the database, and what all clones of a store share.

use super::cache::StoreCache;
use super::error::{DEADLINE, StoreError};
use super::full_outboxes::FullOutboxes;
use super::list_permits::ListPermits;
use super::notifiers::Notifiers;
use super::passages::PassageIndex;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor as _, SqlSafeStr as _};
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::OnceCell;
use trunkline_domain::quota::Quotas;

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
/// Number, name and text of each file of `migrations/`, written by the build script.
const MIGRATIONS: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
/// A process without a sign of life for this long is dead, where the settings say nothing else.
const DEAD_AFTER_MS: i64 = 12_000;

/// The way from any earlier schema to this version's.
pub(super) fn migrator() -> Migrator {
    let migration = |&(number, title, sql): &(i64, &'static str, &'static str)| {
        Migration::new(number, Cow::Borrowed(title), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect())
}

/// Which database a store talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseBackend {
    /// One file, one process.
    Sqlite,
    /// A server that several processes may share.
    Postgres,
}

/// The connections to the database, with caches and quotas. Clones share them: every service of a call and every
/// route of the API holds one, so a clone is a pointer.
#[derive(Clone, Debug)]
pub struct Store(Arc<StoreParts>);

/// What the clones of a store share.
#[derive(Clone, Debug)]
pub struct StoreParts {
    pub(super) read: AnyPool,
    pub(super) write: AnyPool,
    /// Pages of tables, which may take a while.
    pub(super) lists: AnyPool,
    pub(super) list_turns: ListPermits,
    /// Whose outbox holds as much as it may.
    pub(super) full_outboxes: FullOutboxes,
    pub(super) backend: DatabaseBackend,
    pub(super) url: String,
    pub(super) dead_after_ms: i64,
    pub(super) cache: StoreCache,
    pub(super) quotas: Quotas,
    pub(super) notifiers: Notifiers,
    pub(super) login_secret: Arc<OnceCell<String>>,
    pub(super) passages: PassageIndex,
}

impl Deref for Store {
    type Target = StoreParts;

    fn deref(&self) -> &StoreParts {
        &self.0
    }
}

/// How far a schema is from that of this version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaDifference {
    /// Migrations that the database has not had yet.
    pub missing: usize,
    /// Migrations of a newer version.
    pub unknown: usize,
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
            return Ok(Self::new(StoreParts {
                read,
                write,
                lists,
                list_turns: ListPermits::default(),
                full_outboxes: FullOutboxes::default(),
                backend: DatabaseBackend::Postgres,
                url,
                dead_after_ms: DEAD_AFTER_MS,
                cache: StoreCache::default(),
                quotas: Quotas::default(),
                notifiers: Notifiers::default(),
                login_secret: Arc::default(),
                passages: PassageIndex::default(),
            }));
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
        Ok(Self::new(StoreParts {
            read,
            write,
            lists,
            list_turns: ListPermits::default(),
            full_outboxes: FullOutboxes::default(),
            backend: DatabaseBackend::Sqlite,
            url: url.to_owned(),
            dead_after_ms: DEAD_AFTER_MS,
            cache: StoreCache::default(),
            quotas: Quotas::default(),
            notifiers: Notifiers::default(),
            login_secret: Arc::default(),
            passages: PassageIndex::default(),
        }))
    }

    /// Processes that say nothing for this long count as dead. The same for all who share a database.
    #[must_use]
    pub fn with_dead_after(self, ms: u64) -> Self {
        self.with(|parts| parts.dead_after_ms = i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// A store with other settings; clones that exist keep theirs.
    #[must_use]
    pub(super) fn with(mut self, change: impl FnOnce(&mut StoreParts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    fn new(parts: StoreParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The same of a database that is there already; none is created.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        let is_file = url.starts_with("sqlite:") && !url.contains('?') && !url.contains(":memory:");
        if is_file { Self::open(&format!("{url}?mode=rw")).await } else { Self::open(url).await }
    }

    /// Returns the search in the documents of flows.
    pub fn passages(&self) -> &PassageIndex {
        &self.passages
    }

    /// Returns the notifiers that wake outbox, post-call work and scheduler when there are new rows.
    pub fn notifiers(&self) -> &Notifiers {
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
        migrator().run(&self.write).await?;
        Ok(())
    }

    /// Compares the schema with this version's; changes nothing.
    pub async fn schema_difference(&self) -> Result<SchemaDifference, StoreError> {
        let known: Vec<i64> = migrator().iter().map(|one| one.version).collect();
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(&self.read).await?;
        Ok(SchemaDifference {
            missing: known.iter().filter(|version| !applied.contains(version)).count(),
            unknown: applied.iter().filter(|version| !known.contains(version)).count(),
        })
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
