//! The write-behind journal of calls: their rows are written off the calls' way, in order, many in one
//! transaction. What a call has said is on disk a few milliseconds later.

use super::deliveries::enqueue;
use super::schedule::task_ended;
use super::{OrgScope, Store, StoreError, storable, storable_or_none, text};
use crate::domain::call::{Call, CallStatus};
use crate::domain::delivery::{Delivery, Progress};
use crate::domain::ids::CallId;
use crate::domain::transcript::{Role, Turn};
use sqlx::{Any, Transaction};
use std::time::Duration;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};

/// Entries waiting for the database: minutes of hundreds of calls. A call that finds it full loses the
/// entry rather than its voice, which is counted.
const ENTRIES_MAX: usize = 65_536;
/// Entries of one transaction.
const BATCH_MAX: usize = 512;
/// How long a call waits for room.
const ROOM_DEADLINE: Duration = Duration::from_millis(200);
/// Between two attempts while the database is away; it is waited for as long as the process lives.
const RETRY_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug)]
enum Entry {
    /// The whole row as it now is.
    Call(Box<Call>),
    Turn {
        call: CallId,
        position: u32,
        turn: Turn,
    },
    Recording {
        scope: OrgScope,
        call: CallId,
        path: String,
    },
    /// Something to be sent, in its place among the rows.
    Delivery(Box<Delivery>, Option<Progress>),
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<()>),
}

#[derive(Clone, Debug)]
pub struct Journal {
    entries: mpsc::Sender<Entry>,
}

impl Journal {
    pub fn start(store: Store) -> Self {
        let (entries, queue) = mpsc::channel(ENTRIES_MAX);
        #[expect(clippy::disallowed_methods, reason = "the journal is a driver: one task that owns the writes")]
        tokio::spawn(run(store, queue));
        Self { entries }
    }

    /// Writes the row, and the task's status with it when the call is over.
    pub async fn call(&self, call: Call) {
        self.put(Entry::Call(Box::new(call))).await;
    }

    pub async fn turn(&self, call: CallId, position: u32, turn: Turn) {
        self.put(Entry::Turn { call, position, turn }).await;
    }

    /// Puts something into the outbox after the rows before it.
    pub async fn delivery(&self, delivery: Delivery) {
        self.put(Entry::Delivery(Box::new(delivery), None)).await;
    }

    /// Writes down a webhook whose answer was waited for.
    pub async fn delivered(&self, delivery: Delivery, progress: Progress) {
        self.put(Entry::Delivery(Box::new(delivery), Some(progress))).await;
    }

    /// Called on the recorder's thread, which must not wait for a database: other calls are being written.
    pub fn recording(&self, scope: OrgScope, call: CallId, path: String) {
        if self.entries.try_send(Entry::Recording { scope, call, path }).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "journal").increment(1);
        }
    }

    /// Waits until everything written so far is on disk; false when it is not by the deadline, because the
    /// database is away.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        self.put(Entry::Flush(done)).await;
        let waited = tokio::time::timeout(deadline, wait).await;
        matches!(waited, Ok(Ok(())))
    }

    async fn put(&self, entry: Entry) {
        match self.entries.send_timeout(entry, ROOM_DEADLINE).await {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => {
                metrics::counter!("trunkline_queue_overflows_total", "queue" => "journal").increment(1);
            }
            Err(SendTimeoutError::Closed(_)) => tracing::error!("the journal ended before its calls"),
        }
    }
}

async fn run(store: Store, mut queue: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if let Err(error) = write_patiently(&store, &batch).await {
            // One entry that the database refuses must not take the others with it.
            tracing::error!(%error, entries = batch.len(), "calls cannot be written together");
            for entry in &batch {
                write_alone(&store, entry).await;
            }
        }
        for entry in batch.drain(..) {
            if let Entry::Flush(done) = entry {
                let _ = done.send(());
            }
        }
    }
}

/// Writes one entry of a batch that was refused. A row of a call that is refused whole is written without the documents
/// that others had a say in: the call is seen and billed all the same.
async fn write_alone(store: &Store, entry: &Entry) {
    let Err(error) = write_patiently(store, std::slice::from_ref(entry)).await else { return };
    if let Entry::Call(call) = entry {
        let bare = Call { metadata: None, assistant: None, signalling: None, metrics: None, ..(**call).clone() };
        if write_patiently(store, &[Entry::Call(Box::new(bare))]).await.is_ok() {
            tracing::error!(%error, call = %call.id, "the call is written without its documents");
            return;
        }
    }
    tracing::error!(%error, "an entry of a call is lost");
    metrics::counter!("trunkline_journal_entries_lost_total").increment(1);
}

/// Waits an outage out; fails only when the database answers and refuses.
async fn write_patiently(store: &Store, batch: &[Entry]) -> Result<(), StoreError> {
    loop {
        match write(store, batch).await {
            Err(error) if error.is_unreachable() => {
                tracing::error!(%error, entries = batch.len(), "calls cannot be written yet");
                #[expect(clippy::disallowed_methods, reason = "an outage is waited out, off every call's way")]
                tokio::time::sleep(RETRY_AFTER).await;
            }
            result => return result,
        }
    }
}

async fn write(store: &Store, batch: &[Entry]) -> Result<(), StoreError> {
    let mut transaction = store.write.begin().await?;
    for entry in batch {
        match entry {
            Entry::Call(call) => write_call(&mut transaction, call).await?,
            Entry::Turn { call, position, turn } => write_turn(&mut transaction, *call, *position, turn).await?,
            Entry::Recording { scope, call, path } => {
                sqlx::query("UPDATE calls SET recording = $1 WHERE id = $2 AND organization_id = $3")
                    .bind(path)
                    .bind(call.to_string())
                    .bind(scope.organization().to_string())
                    .execute(&mut *transaction)
                    .await?;
            }
            Entry::Delivery(delivery, progress) => enqueue(&mut transaction, delivery, progress.as_ref()).await?,
            Entry::Flush(_) => {}
        }
    }
    transaction.commit().await?;
    for entry in batch {
        match entry {
            Entry::Delivery(..) => store.wakes().outbox.notify_one(),
            Entry::Call(call) if call.status.is_over() => store.wakes().wrap_up.notify_one(),
            _ => {}
        }
    }
    Ok(())
}

async fn write_call(transaction: &mut Transaction<'_, Any>, call: &Call) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO calls (id, organization_id, agent_id, task_id, direction, from_number, to_number, status, end_reason, \
         started_at, answered_at, ended_at, sip_call_id, metrics, metadata, trunk_id, node, assistant, wrap_up, signalling) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, end_reason = excluded.end_reason, \
         agent_id = excluded.agent_id, from_number = excluded.from_number, to_number = excluded.to_number, \
         answered_at = excluded.answered_at, ended_at = excluded.ended_at, sip_call_id = excluded.sip_call_id, \
         metrics = excluded.metrics, metadata = excluded.metadata, trunk_id = excluded.trunk_id, node = excluded.node, \
         assistant = excluded.assistant, wrap_up = excluded.wrap_up, signalling = excluded.signalling",
    )
    .bind(call.id.to_string())
    .bind(call.organization.to_string())
    .bind(call.agent.map(|id| id.to_string()))
    .bind(call.task.map(|id| id.to_string()))
    .bind(call.direction.name())
    .bind(storable(&call.from_number))
    .bind(storable(&call.to_number))
    .bind(call.status.name())
    .bind(call.end_reason.map(|reason| reason.name()))
    .bind(call.started_at.0)
    .bind(call.answered_at.map(|at| at.0))
    .bind(call.ended_at.map(|at| at.0))
    .bind(storable_or_none(call.sip_call_id.as_ref()))
    .bind(call.metrics.as_ref().map(text).transpose()?)
    .bind(call.metadata.as_ref().map(text).transpose()?)
    .bind(call.trunk.map(|id| id.to_string()))
    .bind(&call.node)
    .bind(call.assistant.as_ref().map(text).transpose()?)
    .bind(call.status.is_over().then_some("pending"))
    .bind(call.signalling.as_ref().map(text).transpose()?)
    .execute(&mut **transaction)
    .await?;
    if let (true, Some(task)) = (call.status.is_over(), call.task) {
        let failed = call.status == CallStatus::Failed;
        task_ended(transaction, call.organization, task, call.id, failed, call.end_reason).await?;
    }
    Ok(())
}

pub(super) async fn write_turn(
    transaction: &mut Transaction<'_, Any>, call: CallId, position: u32, turn: &Turn,
) -> Result<(), StoreError> {
    let role = match turn.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::System => "system",
    };
    sqlx::query(
        "INSERT INTO turns (call_id, position, role, content, started_at_ms, ended_at_ms, interrupted, confidence) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, CAST($8 AS DOUBLE PRECISION)) ON CONFLICT (call_id, position) DO UPDATE SET content = excluded.content, \
         ended_at_ms = excluded.ended_at_ms, interrupted = excluded.interrupted",
    )
    .bind(call.to_string())
    .bind(i64::from(position))
    .bind(role)
    .bind(storable(&turn.content))
    .bind(turn.started_at_ms as i64)
    .bind(turn.ended_at_ms as i64)
    .bind(i64::from(turn.interrupted))
    // As text: sqlx sends a missing double as another type than one that is there, and PostgreSQL keeps the
    // first one it saw.
    .bind(turn.confidence.map(|confidence| confidence.to_string()))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::call::Direction;
    use crate::domain::ids::OrganizationId;

    async fn store() -> (Store, OrgScope) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        let made = store.bootstrap("Test", "owner@example.com", "x").await.unwrap();
        (store, made.scope)
    }

    fn call(organization: OrganizationId) -> Call {
        Call::begun(CallId::new(), organization, Direction::Inbound, super::super::now())
    }

    fn turn(content: &str) -> Turn {
        Turn {
            role: Role::User,
            content: content.into(),
            started_at_ms: 0,
            ended_at_ms: 1,
            interrupted: false,
            confidence: None,
        }
    }

    #[tokio::test]
    async fn an_entry_the_database_refuses_takes_no_other_with_it() {
        let (store, scope) = store().await;
        let journal = Journal::start(store.clone());
        let call = call(scope.organization());
        let id = call.id;
        journal.call(call).await;
        journal.turn(CallId::new(), 0, turn("of a call that does not exist")).await;
        journal.turn(id, 0, turn("hello")).await;
        assert!(journal.flush(Duration::from_secs(5)).await);
        let turns = store.turns(scope, id).await.unwrap();
        assert_eq!(turns.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>(), ["hello"]);
    }

    #[tokio::test]
    async fn what_no_database_keeps_is_replaced_and_nothing_is_lost() {
        let (store, scope) = store().await;
        let journal = Journal::start(store.clone());
        let mut call = call(scope.organization());
        let id = call.id;
        call.from_number = "+1555\0001".to_owned();
        call.sip_call_id = Some("a\0b".to_owned());
        call.metadata = serde_json::from_str(r#"{"note": "a\u0000b"}"#).unwrap();
        journal.call(call).await;
        journal.turn(id, 0, turn("hel\0lo")).await;
        assert!(journal.flush(Duration::from_secs(5)).await);
        let stored = store.call(scope, id).await.unwrap().unwrap();
        assert_eq!(stored.from_number, "+1555\u{FFFD}001");
        assert_eq!(stored.sip_call_id.as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(stored.metadata.unwrap()["note"], "a\0b", "JSON escapes it by itself");
        assert_eq!(store.turns(scope, id).await.unwrap()[0].content, "hel\u{FFFD}lo");
    }

    #[tokio::test]
    async fn a_database_that_is_away_keeps_nobody_waiting() {
        let (store, scope) = store().await;
        let journal = Journal::start(store.clone());
        store.close().await;
        journal.call(call(scope.organization())).await;
        assert!(!journal.flush(Duration::from_millis(50)).await);
    }
}
