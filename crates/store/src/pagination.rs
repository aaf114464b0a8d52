//! Pages of a table: the same two statements for every list. They look at as many rows as an organization has, so they
//! have separate connections, and an organization one of them at a time: calls, keys and claims never wait for a
//! long list.

use super::database::Store;
use super::error::StoreError;
use super::list_permits::BindValue;
use sqlx::any::AnyRow;
use uuid::Uuid;

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Rows on the page at most.
    pub limit: i64,
    /// Rows to skip before the first one of the page.
    pub offset: i64,
    /// Where the page begins, before rows are skipped.
    pub from: PageCursor,
}

/// Where a page begins. A cursor does not move when rows are added in front of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageCursor {
    /// With the first row of the list.
    #[default]
    Start,
    /// Behind the row with this id. If it has been deleted since, behind the time that its id tells.
    Behind(Uuid),
    /// Behind the version with this number, in a list of versions.
    BehindVersion(i64),
}

impl PageRequest {
    /// The first rows of a list.
    pub fn first(limit: i64) -> Self {
        Self { limit, offset: 0, from: PageCursor::Start }
    }
}

impl PageCursor {
    /// The condition that leaves out the rows before the page, and its values; `next` is the number of the first of
    /// them. `table` and `order` are those of the list.
    fn condition(self, table: &str, order: &str, next: usize) -> (String, Vec<BindValue>) {
        let behind = if order.contains("DESC") { '<' } else { '>' };
        let time = order.split([' ', ',']).next().unwrap_or_default();
        match self {
            Self::Start => (String::new(), Vec::new()),
            Self::BehindVersion(version) => {
                (format!(" AND {time} {behind} ${next}"), vec![BindValue::MaybeInt(Some(version))])
            }
            Self::Behind(id) => {
                let told = next + 1;
                let row = format!("(SELECT cursor_row.{time} FROM {table} cursor_row WHERE cursor_row.id = ${next})");
                let condition =
                    format!(" AND ({table}.{time}, {table}.id) {behind} (COALESCE({row}, ${told}), ${next})");
                (condition, vec![BindValue::Text(id.hyphenated().to_string()), BindValue::MaybeInt(Some(time_of(id)))])
            }
        }
    }
}

/// The milliseconds that an id of version 7 begins with; 0 of any other.
fn time_of(id: Uuid) -> i64 {
    let at = id.get_timestamp().map(|at| at.to_unix());
    at.map_or(0, |(seconds, nanos)| i64::try_from(seconds).unwrap_or_default() * 1_000 + i64::from(nanos / 1_000_000))
}

impl Store {
    /// The rows of `columns FROM … WHERE …` in an order, and how many there are without the page. The order is by a time
    /// and the id, both in one direction, or by a version.
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
        let table = from.split_whitespace().nth(1).unwrap_or_default();
        let (behind, more) = page.from.condition(table, order, binds.len() + 1);
        let binds: Vec<BindValue> = binds.iter().cloned().chain(more).collect();
        let (limit, offset) = (binds.len() + 1, binds.len() + 2);
        let select = format!("SELECT {columns} {from}{behind} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}");
        let mut query = sqlx::query(sqlx::AssertSqlSafe(select));
        for bind in binds {
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
