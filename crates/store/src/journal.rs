//! Write-behind journal of calls: rows are written in the background, in order, in batches. A turn is on disk within
//! milliseconds.

use super::deliveries::enqueue;
use super::schedule::record_task_ended;
use super::sip_logs::write_sip_log;
use super::{OrgScope, Store, StoreError, now, storable, storable_or_none, text};
use sqlx::{Any, Transaction};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{broadcast, mpsc, oneshot};
use trunkline_domain::call::{Call, CallStatus};
use trunkline_domain::delivery::{Delivery, DeliveryProgress};
use trunkline_domain::ids::CallId;
use trunkline_domain::sip_log::SipLog;
use trunkline_domain::time::UnixMs;
use trunkline_domain::transcript::{Turn, TurnAuthor, TurnRole};
use trunkline_supervision::{Supervisor, contain};

/// Entries waiting for the database: minutes of hundreds of calls. A call that finds it full loses the
/// entry rather than its voice, which is counted.
const ENTRIES_MAX: usize = 65_536;
/// Entries of one transaction.
const BATCH_MAX: usize = 512;
/// How long a call waits for capacity in the queue.
const ROOM_DEADLINE: Duration = Duration::from_millis(200);
/// Between two attempts while the database is away; it is waited for as long as the process lives.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Calls found to be over whose owners have not been told yet: as many as a process may hold in a batch of entries. One
/// that is lost here is found by its next entry.
const OVERTAKEN_MAX: usize = 1_024;
/// Bytes of SIP messages waiting for the database: the calls of a minute on a busy server. Further ones are not stored.
const SIP_LOG_BYTES_MAX: usize = 64 << 20;

#[derive(Debug)]
enum JournalEntry {
    /// The whole row as it now is, and the event that tells of it.
    Call(Box<Call>, Option<Box<Delivery>>),
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
    /// The SIP messages of a call, as JSON.
    SipLog {
        call: CallId,
        log: String,
    },
    /// Something to be sent, in its place among the rows.
    Delivery(Box<Delivery>, Option<DeliveryProgress>),
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// An entry and when it came.
type QueuedEntry = (Instant, JournalEntry);

/// How the writing goes.
#[derive(Debug)]
struct WriteProgress {
    /// The oldest entry of those being written.
    writing: Option<Instant>,
    /// When the last batch was done.
    done: Instant,
    /// When entries were last written.
    wrote: Option<UnixMs>,
}

/// What the health page says of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHealth {
    /// Entries waiting for the database.
    pub queued: usize,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
    /// When entries were last written.
    pub wrote_at: Option<UnixMs>,
}

/// Queue in front of the database: calls hand over their rows and go on. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: mpsc::Sender<QueuedEntry>,
    progress: Arc<Mutex<WriteProgress>>,
    overtaken: broadcast::Sender<CallId>,
    /// Bytes of the SIP messages that wait.
    sip_log_bytes: Arc<AtomicUsize>,
}

impl Journal {
    /// `node` is the process whose calls these are: what is written for them says that it lives.
    pub fn start(store: Store, node: &str, supervisor: &Supervisor) -> Self {
        let (entries, queue) = mpsc::channel(ENTRIES_MAX);
        let progress = Arc::new(Mutex::new(WriteProgress { writing: None, done: clock(), wrote: None }));
        let overtaken = broadcast::Sender::new(OVERTAKEN_MAX);
        let (node, sip_log_bytes) = (node.to_owned(), Arc::<AtomicUsize>::default());
        let writer = JournalWriter {
            store,
            node,
            queue,
            batch: Vec::new(),
            progress: progress.clone(),
            overtaken: overtaken.clone(),
            sip_log_bytes: sip_log_bytes.clone(),
        };
        // The queue and the entries taken from it outlive a panic of the task.
        supervisor.supervise("journal", writer, |writer| Box::pin(writer.run()));
        Self { entries, progress, overtaken, sip_log_bytes }
    }

    /// Calls of this node that another node has already failed because it considered this one dead.
    pub fn subscribe_taken_over(&self) -> broadcast::Receiver<CallId> {
        self.overtaken.subscribe()
    }

    /// Returns the length and age of the queue, and when it was last written.
    pub fn health(&self) -> JournalHealth {
        let queued = self.entries.max_capacity() - self.entries.capacity();
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let since = progress.writing.or((queued > 0).then_some(progress.done));
        let oldest = since.map_or(Duration::ZERO, |since| clock().saturating_duration_since(since));
        JournalHealth { queued, oldest, wrote_at: progress.wrote }
    }

    /// Writes the row, and the task's status with it when the call is over. A row that is over stays as it is: what
    /// comes later is dropped, and its event with it.
    pub async fn record_call(&self, call: Call, event: Option<Delivery>) {
        self.put(JournalEntry::Call(Box::new(call), event.map(Box::new))).await;
    }

    /// Writes or replaces the turn at a position of the transcript. A full queue drops it after a while and counts
    /// that.
    pub async fn record_turn(&self, call: CallId, position: u32, turn: Turn) {
        self.put(JournalEntry::Turn { call, position, turn }).await;
    }

    /// Writes or replaces the SIP messages of a call, after its row. Drops them, and counts that, if very many wait.
    pub async fn record_sip_log(&self, call: CallId, log: &SipLog) {
        let Ok(log) = text(log) else { return };
        let bytes = log.len();
        let waiting = self.sip_log_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting.saturating_add(bytes) > SIP_LOG_BYTES_MAX || !self.put(JournalEntry::SipLog { call, log }).await {
            self.sip_log_bytes.fetch_sub(bytes, Ordering::Relaxed);
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "sip_logs").increment(1);
        }
    }

    /// Puts something into the outbox after the rows before it.
    pub async fn record_delivery(&self, delivery: Delivery) {
        self.put(JournalEntry::Delivery(Box::new(delivery), None)).await;
    }

    /// Writes down a webhook whose answer was waited for.
    pub async fn record_delivered(&self, delivery: Delivery, progress: DeliveryProgress) {
        self.put(JournalEntry::Delivery(Box::new(delivery), Some(progress))).await;
    }

    /// Called on the recorder's thread, which must not wait for a database: other calls are being written.
    pub fn record_recording(&self, scope: OrgScope, call: CallId, path: String) {
        if self.entries.try_send((clock(), JournalEntry::Recording { scope, call, path })).is_err() {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "journal").increment(1);
        }
    }

    /// Waits until everything written so far is on disk; false when it is not by the deadline, because the
    /// database is away.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let (done, wait) = oneshot::channel();
        self.put(JournalEntry::Flush(done)).await;
        let waited = tokio::time::timeout(deadline, wait).await;
        matches!(waited, Ok(Ok(())))
    }

    /// False when there was no room.
    async fn put(&self, entry: JournalEntry) -> bool {
        let sent = self.entries.send_timeout((clock(), entry), ROOM_DEADLINE).await;
        match &sent {
            Ok(()) => {}
            Err(SendTimeoutError::Timeout(_)) => {
                metrics::counter!("trunkline_queue_overflows_total", "queue" => "journal").increment(1);
            }
            Err(SendTimeoutError::Closed(_)) => tracing::error!("the journal ended before its calls"),
        }
        sent.is_ok()
    }
}

/// The one task that writes.
struct JournalWriter {
    store: Store,
    node: String,
    queue: mpsc::Receiver<QueuedEntry>,
    /// What is being written: here, so that a panic does not take it along.
    batch: Vec<QueuedEntry>,
    progress: Arc<Mutex<WriteProgress>>,
    overtaken: broadcast::Sender<CallId>,
    sip_log_bytes: Arc<AtomicUsize>,
}

impl JournalWriter {
    async fn run(&mut self) {
        loop {
            if self.batch.is_empty() && self.queue.recv_many(&mut self.batch, BATCH_MAX).await == 0 {
                return;
            }
            self.pace().writing = self.batch.first().map(|(at, _)| *at);
            // One entry that the database refuses, or that cannot be written without a panic, must not take the others
            // with it.
            if !self.write(&self.batch).await {
                tracing::error!(entries = self.batch.len(), "batch failed; writing its entries one by one");
                for waiting in &self.batch {
                    self.write_single(waiting).await;
                }
            }
            for (_, entry) in self.batch.drain(..) {
                match entry {
                    JournalEntry::Flush(done) => {
                        let _ = done.send(());
                    }
                    JournalEntry::SipLog { log, .. } => {
                        self.sip_log_bytes.fetch_sub(log.len(), Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
            let mut pace = self.pace();
            (pace.writing, pace.done) = (None, clock());
        }
    }

    fn pace(&self) -> MutexGuard<'_, WriteProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when these entries cannot be written.
    async fn write(&self, batch: &[QueuedEntry]) -> bool {
        match contain("journal", write_with_retry(&self.store, &self.node, batch)).await {
            Ok(Ok(overtaken)) => {
                if batch.iter().any(|(_, entry)| !matches!(entry, JournalEntry::Flush(_))) {
                    self.pace().wrote = Some(now());
                }
                for call in overtaken {
                    let _ = self.overtaken.send(call); // there may be no listeners
                }
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the database refused a journal entry");
                false
            }
            Err(_) => false,
        }
    }

    /// Writes one entry of a batch that was refused. A row of a call that is refused whole is written without the
    /// documents that others had a say in: the call is seen and billed all the same.
    async fn write_single(&self, waiting: &QueuedEntry) {
        if self.write(std::slice::from_ref(waiting)).await {
            return;
        }
        if let (at, JournalEntry::Call(call, event)) = waiting {
            let bare = Call { metadata: None, assistant: None, signalling: None, metrics: None, ..(**call).clone() };
            if self.write(&[(*at, JournalEntry::Call(Box::new(bare), event.clone()))]).await {
                tracing::error!(call = %call.id, "the call is written without its JSON documents");
                return;
            }
        }
        tracing::error!("a journal entry is lost");
        metrics::counter!("trunkline_journal_entries_lost_total").increment(1);
    }
}

/// Retries during an outage; fails only when the database refuses. Returns calls that have ended already.
async fn write_with_retry(store: &Store, node: &str, batch: &[QueuedEntry]) -> Result<Vec<CallId>, StoreError> {
    loop {
        match write(store, node, batch).await {
            Err(error) if error.is_unreachable() => {
                tracing::error!(%error, entries = batch.len(), "cannot write journal entries yet; retrying");
                #[expect(clippy::disallowed_methods, reason = "an outage is waited out, off every call's way")]
                tokio::time::sleep(RETRY_AFTER).await;
            }
            result => return result,
        }
    }
}

async fn write(store: &Store, node: &str, batch: &[QueuedEntry]) -> Result<Vec<CallId>, StoreError> {
    let mut overtaken = Vec::new();
    let mut transaction = store.write.begin().await?;
    // No call is seen by others without its process, after an outage either.
    if batch.iter().any(|(_, entry)| matches!(entry, JournalEntry::Call(..))) {
        store.record_heartbeat_in(&mut transaction, node).await?;
    }
    for (_, entry) in batch {
        match entry {
            JournalEntry::Call(call, event) => {
                if !write_call(&mut transaction, call).await? {
                    if !call.status().is_over() {
                        overtaken.push(call.id);
                    }
                    tracing::warn!(call = %call.id, "the call has already ended; its row is unchanged");
                } else if let Some(event) = event {
                    enqueue(&mut transaction, event, None).await?;
                }
            }
            JournalEntry::Turn { call, position, turn } => write_turn(&mut transaction, *call, *position, turn).await?,
            JournalEntry::SipLog { call, log } => write_sip_log(&mut transaction, *call, log).await?,
            JournalEntry::Recording { scope, call, path } => {
                sqlx::query("UPDATE calls SET recording = $1 WHERE id = $2 AND organization_id = $3")
                    .bind(path)
                    .bind(call.to_string())
                    .bind(scope.organization().to_string())
                    .execute(&mut *transaction)
                    .await?;
            }
            JournalEntry::Delivery(delivery, progress) => {
                let refused = if progress.is_none() { store.full_outboxes.refuse(delivery) } else { None };
                enqueue(&mut transaction, delivery, progress.as_ref().or(refused.as_ref())).await?;
            }
            JournalEntry::Flush(_) => {}
        }
    }
    transaction.commit().await?;
    for (_, entry) in batch {
        match entry {
            JournalEntry::Delivery(..) => store.notifiers().outbox.notify_one(),
            JournalEntry::Call(call, event) => {
                if event.is_some() {
                    store.notifiers().outbox.notify_one();
                }
                if call.status().is_over() {
                    store.notifiers().wrap_up.notify_one();
                }
            }
            _ => {}
        }
    }
    Ok(overtaken)
}

/// The clock that waiting is measured by.
fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the journal is a driver: it says how long entries wait")]
    Instant::now()
}

/// False when the row is over and stays as it is.
async fn write_call(transaction: &mut Transaction<'_, Any>, call: &Call) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO calls (id, organization_id, agent_id, task_id, direction, from_number, to_number, status, end_reason, \
         started_at, answered_at, ended_at, sip_call_id, metrics, metadata, trunk_id, node, assistant, wrap_up, signalling, legs) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, end_reason = excluded.end_reason, \
         agent_id = excluded.agent_id, from_number = excluded.from_number, to_number = excluded.to_number, \
         answered_at = excluded.answered_at, ended_at = excluded.ended_at, sip_call_id = excluded.sip_call_id, \
         metrics = excluded.metrics, metadata = excluded.metadata, trunk_id = excluded.trunk_id, node = excluded.node, \
         assistant = excluded.assistant, wrap_up = excluded.wrap_up, signalling = excluded.signalling, legs = excluded.legs \
         WHERE calls.status IN ('initiated', 'in_progress')",
    )
    .bind(call.id.to_string())
    .bind(call.organization.to_string())
    .bind(call.agent.map(|id| id.to_string()))
    .bind(call.task.map(|id| id.to_string()))
    .bind(call.direction.name())
    .bind(storable(&call.from_number))
    .bind(storable(&call.to_number))
    .bind(call.status().name())
    .bind(call.end_reason().map(|reason| reason.name()))
    .bind(call.started_at.0)
    .bind(call.answered_at().map(|at| at.0))
    .bind(call.ended_at().map(|at| at.0))
    .bind(storable_or_none(call.sip_call_id.as_ref()))
    .bind(call.metrics.as_ref().map(text).transpose()?)
    .bind(call.metadata.as_ref().map(text).transpose()?)
    .bind(call.trunk.map(|id| id.to_string()))
    .bind(&call.node)
    .bind(call.assistant.as_ref().map(text).transpose()?)
    .bind(call.status().is_over().then_some("pending"))
    .bind(call.signalling.as_ref().map(text).transpose()?)
    .bind(i64::from(call.legs))
    .execute(&mut **transaction)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    if let (true, Some(task)) = (call.status().is_over(), call.task) {
        let failed = call.status() == CallStatus::Failed;
        record_task_ended(transaction, call.organization, task, call.id, failed, call.end_reason()).await?;
    }
    Ok(true)
}

pub(super) async fn write_turn(
    transaction: &mut Transaction<'_, Any>, call: CallId, position: u32, turn: &Turn,
) -> Result<(), StoreError> {
    let role = match turn.role {
        TurnRole::User => "user",
        TurnRole::Assistant => "assistant",
        TurnRole::Tool => "tool",
        TurnRole::System => "system",
    };
    sqlx::query(
        "INSERT INTO turns (call_id, position, role, content, started_at_ms, ended_at_ms, interrupted, confidence, agent_id, said_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, CAST($8 AS DOUBLE PRECISION), $9, $10) ON CONFLICT (call_id, position) DO UPDATE SET content = excluded.content, \
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
    .bind(turn.agent_id.map(|agent| agent.to_string()))
    .bind(turn.said_by.map(TurnAuthor::name))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
