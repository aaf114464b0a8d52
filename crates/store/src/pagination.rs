//! Pages of a table: the same two statements for every list. They look at as many rows as an organization has, so they
//! have separate connections, and an organization one of them at a time: calls, keys and claims never wait for a
//! long list.

use super::{DEADLINE, PageRequest, Store, StoreError};
use sqlx::any::AnyRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A value of a statement's `$n`.
#[derive(Clone, Debug)]
pub(super) enum BindValue {
    Text(String),
    MaybeText(Option<String>),
    MaybeInt(Option<i64>),
}

/// Organizations whose turns are remembered; those without a waiting request are dropped when there are more.
const TURNS_MAX: usize = 1_000;

/// One list at a time for each organization, by the first value of its statement.
#[derive(Clone, Debug, Default)]
pub(super) struct ListPermits(Arc<Mutex<HashMap<String, Arc<Semaphore>>>>);

impl ListPermits {
    /// Waits for its turn, as long as for a connection.
    async fn take(&self, binds: &[BindValue]) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        let Some(BindValue::Text(organization)) = binds.first() else { return Ok(None) };
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() > TURNS_MAX {
                all.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            all.entry(organization.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        match tokio::time::timeout(DEADLINE, turn.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(StoreError::Busy { limit: "lists_at_once" }),
        }
    }
}

impl Store {
    /// The rows of `columns FROM … WHERE …` in an order, and how many there are without the page.
    pub(super) async fn list<T>(
        &self, columns: &str, from: &str, order: &str, binds: &[BindValue], page: PageRequest,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<(Vec<T>, i64), StoreError> {
        let _turn = self.list_turns.take(binds).await?;
        let count = format!("SELECT COUNT(*) {from}");
        let mut query = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count));
        for bind in binds.iter().cloned() {
            query = match bind {
                BindValue::Text(value) => query.bind(value),
                BindValue::MaybeText(value) => query.bind(value),
                BindValue::MaybeInt(value) => query.bind(value),
            };
        }
        let total = query.fetch_one(&self.lists).await?;
        let (limit, offset) = (binds.len() + 1, binds.len() + 2);
        let select = format!("SELECT {columns} {from} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(select));
        for bind in binds.iter().cloned() {
            query = match bind {
                BindValue::Text(value) => query.bind(value),
                BindValue::MaybeText(value) => query.bind(value),
                BindValue::MaybeInt(value) => query.bind(value),
            };
        }
        let rows = query.bind(page.limit).bind(page.offset).fetch_all(&self.lists).await?;
        Ok((rows.iter().map(read).collect::<Result<_, _>>()?, total))
    }
}
