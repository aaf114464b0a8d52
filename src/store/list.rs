//! Pages of a table: the same two statements for every list.

use super::{Page, Store, StoreError};
use sqlx::any::AnyRow;

/// A value of a statement's `$n`.
#[derive(Clone, Debug)]
pub(super) enum Bind {
    Text(String),
    MaybeText(Option<String>),
    MaybeInt(Option<i64>),
}

impl Store {
    /// The rows of `columns FROM … WHERE …` in an order, and how many there are without the page.
    pub(super) async fn list<T>(
        &self, columns: &str, from: &str, order: &str, binds: &[Bind], page: Page,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<(Vec<T>, i64), StoreError> {
        let count = format!("SELECT COUNT(*) {from}");
        let mut query = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(count));
        for bind in binds.iter().cloned() {
            query = match bind {
                Bind::Text(value) => query.bind(value),
                Bind::MaybeText(value) => query.bind(value),
                Bind::MaybeInt(value) => query.bind(value),
            };
        }
        let total = query.fetch_one(&self.read).await?;
        let (limit, offset) = (binds.len() + 1, binds.len() + 2);
        let select = format!("SELECT {columns} {from} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(select));
        for bind in binds.iter().cloned() {
            query = match bind {
                Bind::Text(value) => query.bind(value),
                Bind::MaybeText(value) => query.bind(value),
                Bind::MaybeInt(value) => query.bind(value),
            };
        }
        let rows = query.bind(page.limit).bind(page.offset).fetch_all(&self.read).await?;
        Ok((rows.iter().map(read).collect::<Result<_, _>>()?, total))
    }
}
