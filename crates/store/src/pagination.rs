//! Pages of a table: the same two statements for every list. They look at as many rows as an organization has, so they
//! have separate connections, and an organization one of them at a time: calls, keys and claims never wait for a
//! long list.

use super::error::StoreError;
pub(super) use super::list_permits::BindValue;
use super::store::Store;
use sqlx::any::AnyRow;

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Rows on the page at most.
    pub limit: i64,
    /// Rows to skip before the first one of the page.
    pub offset: i64,
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
