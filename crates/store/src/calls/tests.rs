//! Rows of calls are read as they are, whatever version wrote them, and written as they were read.

use super::*;
use crate::journal::Journal;
use std::time::Duration;
use trunkline_supervision::Supervisor;

/// A reason that another version knows, or knew.
const UNKNOWN_REASON: &str = "eaten_by_a_shark";

async fn store() -> (Store, OrgScope) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let made = store.bootstrap("Test", "owner@example.com", "x").await.unwrap();
    (store, made.scope)
}

async fn record(store: &Store, calls: impl IntoIterator<Item = Call>) {
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    for call in calls {
        journal.record_call(call, None).await;
    }
    assert!(journal.flush(Duration::from_secs(5)).await);
}

/// The four columns of a call's progress.
#[derive(Clone, Copy, Debug)]
struct Columns {
    status: CallStatus,
    reason: Option<&'static str>,
    answered_at: Option<i64>,
    ended_at: Option<i64>,
}

impl Columns {
    /// Every status with a reason of each kind or none, answered or not, ended or not.
    fn all() -> Vec<Self> {
        let reasons = [None, Some("customer_hung_up"), Some("busy"), Some(UNKNOWN_REASON)];
        let mut all = Vec::new();
        for status in CallStatus::ALL.iter().copied() {
            for reason in reasons {
                for answered_at in [None, Some(5)] {
                    all.extend([None, Some(9)].map(|ended_at| Self { status, reason, answered_at, ended_at }));
                }
            }
        }
        all
    }

    /// Writes them as another version may have.
    async fn store(&self, store: &Store, id: CallId) {
        sqlx::query("UPDATE calls SET status = $1, end_reason = $2, answered_at = $3, ended_at = $4 WHERE id = $5")
            .bind(self.status.name())
            .bind(self.reason)
            .bind(self.answered_at)
            .bind(self.ended_at)
            .bind(id.to_string())
            .execute(&store.write)
            .await
            .unwrap();
    }

    /// What is read of them. A reason that is not known here is none.
    fn read(&self) -> (CallStatus, Option<EndReason>, Option<UnixMs>, Option<UnixMs>) {
        let reason = self.reason.and_then(EndReason::parse);
        (self.status, reason, self.answered_at.map(UnixMs), self.ended_at.map(UnixMs))
    }
}

fn progress(call: &Call) -> (CallStatus, Option<EndReason>, Option<UnixMs>, Option<UnixMs>) {
    (call.status(), call.end_reason(), call.answered_at(), call.ended_at())
}

/// An end without a reason, a success that nobody answered, a call in progress without an answer: the row is read all
/// the same, alone and in lists, and says what its columns say.
#[tokio::test]
async fn a_row_is_read_as_it_is_whatever_version_wrote_it() {
    let (store, scope) = store().await;
    let call = || Call::begun(CallId::new(), scope.organization(), Direction::Inbound, UnixMs(0));
    let rows: Vec<_> = Columns::all().into_iter().map(|columns| (columns, call())).collect();
    record(&store, rows.iter().map(|(_, call)| call.clone())).await;
    for (columns, call) in &rows {
        columns.store(&store, call.id).await;
        let read = store.call(scope, call.id).await.unwrap().unwrap();
        assert_eq!(progress(&read), columns.read(), "{columns:?}");
    }
    let page = PageRequest::first(100);
    let (listed, total) = store.calls(scope, CallFilter::default(), page).await.unwrap();
    assert_eq!((listed.len(), total), (rows.len(), i64::try_from(rows.len()).unwrap()));
    for (columns, call) in &rows {
        let found = listed.iter().find(|found| found.id == call.id).unwrap();
        assert_eq!(progress(found), columns.read(), "{columns:?}");
    }
}

/// The columns of rows that the journal writes, also from a row that another version wrote.
#[tokio::test]
async fn a_row_is_written_as_it_was_read() {
    let (store, scope) = store().await;
    let call = || Call::begun(CallId::new(), scope.organization(), Direction::Inbound, UnixMs(0));
    let rows: Vec<_> = Columns::all()
        .into_iter()
        .map(|columns| {
            let (status, reason, answered_at, ended_at) = columns.read();
            let progress = CallProgress::from_columns(status, reason, answered_at, ended_at);
            (columns, Call { progress, ..call() })
        })
        .collect();
    record(&store, rows.iter().map(|(_, row)| row.clone())).await;
    for (columns, row) in rows {
        let written: (String, Option<String>, Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT status, end_reason, answered_at, ended_at FROM calls WHERE id = $1")
                .bind(row.id.to_string())
                .fetch_one(&store.read)
                .await
                .unwrap();
        let wanted = (
            columns.status.name().to_owned(),
            columns.reason.and_then(EndReason::parse).map(|reason| reason.name().to_owned()),
            columns.answered_at,
            columns.ended_at,
        );
        assert_eq!(written, wanted, "{columns:?}");
        assert_eq!(store.call(scope, row.id).await.unwrap().unwrap(), row);
    }
}

/// How SQLite finds a page of calls.
async fn plan(store: &Store, scope: OrgScope, filter: CallFilter) -> String {
    let (from, binds) = filtered(scope, filter);
    let select = format!("EXPLAIN QUERY PLAN SELECT * {from} ORDER BY started_at DESC, id DESC LIMIT 1");
    let mut query = sqlx::query(sqlx::AssertSqlSafe(select));
    for bind in binds {
        query = match bind {
            BindValue::Text(value) => query.bind(value),
            BindValue::MaybeText(value) => query.bind(value),
            BindValue::MaybeInt(value) => query.bind(value),
        };
    }
    let rows = query.fetch_all(&store.read).await.unwrap();
    rows.iter().map(|row| row.try_get::<String, _>("detail").unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_page_of_calls_is_read_from_an_index_and_not_sorted() {
    let (store, scope) = store().await;
    let agent = CallFilter { agent: Some(AgentId::new()), ..CallFilter::default() };
    let since = CallFilter { started_after: Some(UnixMs(5)), ..agent.clone() };
    for (filter, index) in
        [(CallFilter::default(), "calls_by_organization"), (agent, "calls_by_agent"), (since, "calls_by_agent")]
    {
        let plan = plan(&store, scope, filter.clone()).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
    }
}

#[tokio::test]
async fn each_filter_leaves_its_calls_alone_and_with_the_others() {
    let (store, scope) = store().await;
    let agent = AgentId::new();
    let call = |direction, at, agent: Option<AgentId>| {
        let mut call = Call::begun(CallId::new(), scope.organization(), direction, UnixMs(at));
        call.agent = agent;
        call.from_number = format!("+3120555{at:04}");
        call
    };
    let calls = [
        call(Direction::Inbound, 1, Some(agent)),
        call(Direction::Outbound, 2, Some(agent)),
        call(Direction::Inbound, 3, None),
        call(Direction::Inbound, 4, Some(AgentId::new())),
    ];
    record(&store, calls).await;
    let any = CallFilter::default;
    let of = |agent| CallFilter { agent: Some(agent), ..any() };
    for (filter, wanted) in [
        (any(), vec![4, 3, 2, 1]),
        (of(agent), vec![2, 1]),
        (of(AgentId::new()), vec![]),
        (CallFilter { direction: Some(Direction::Inbound), ..of(agent) }, vec![1]),
        (CallFilter { started_after: Some(UnixMs(2)), ..of(agent) }, vec![2]),
        (CallFilter { started_before: Some(UnixMs(4)), started_after: Some(UnixMs(2)), ..any() }, vec![3, 2]),
        (CallFilter { text: Some("5550003".into()), ..any() }, vec![3]),
        (CallFilter { text: Some("5550003".into()), ..of(agent) }, vec![]),
        (CallFilter { text: Some("5550001".into()), direction: Some(Direction::Inbound), ..of(agent) }, vec![1]),
        (CallFilter { status: Some(CallStatus::Completed), ..any() }, vec![]),
    ] {
        let page = PageRequest::first(10);
        let (found, total) = store.calls(scope, filter.clone(), page).await.unwrap();
        let at: Vec<i64> = found.iter().map(|call| call.started_at.0).collect();
        assert_eq!((at, total), (wanted.clone(), wanted.len() as i64), "{filter:?}");
    }
}
