//! A call whose task panics ends like any other: one final state, its events, its report. Its resources (leg, ports,
//! provider connections) are dropped with the task; the user agent hangs up calls without an owner.

use super::call_webhooks::CallWebhooks;
use super::wrap_up::agent_fields;
use super::{CallRecord, CallServices, SharedServices};
use crate::call::live_update::LiveFeed;
use crate::call::registry::{CallCommand, RegistryGuard};
use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::store::{OrgScope, StoreError};
use crate::supervision::contain;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for journal entries of calls to reach the database.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// The call as last written, until it is over.
struct LastWrittenCall {
    scope: OrgScope,
    call: Call,
    hooks: CallWebhooks,
    live: LiveFeed,
    /// Held so that the drain also waits for this call.
    place: Arc<RegistryGuard>,
}

/// Survives the task of a call. Updated whenever the call's row is written.
#[derive(Clone, Default)]
pub(super) struct CallPanicGuard(Arc<Mutex<Option<LastWrittenCall>>>);

impl CallPanicGuard {
    /// The row was written.
    pub(super) fn record_written(&self, record: &CallRecord) {
        let CallRecord { scope, call, hooks, live, place, .. } = record;
        let last = (!call.status.is_over()).then(|| LastWrittenCall {
            scope: *scope,
            call: call.clone(),
            hooks: hooks.clone(),
            live: live.clone(),
            place: place.clone(),
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Runs a call to its end; one that panics is ended here.
    pub(super) async fn run_contained(self, context: &SharedServices, run: impl Future<Output = ()>) {
        let panicked = contain("call", run).await.is_err();
        // A call that returned without recording its end is a defect and is ended here as well.
        self.end(context, panicked).await;
    }

    async fn end(self, context: &SharedServices, panicked: bool) {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Without a row, no webhook and no listener has learned of the call; the user agent rejects its caller.
        let Some(LastWrittenCall { scope, call, hooks, live, place }) = last else { return };
        let id = call.id;
        context.web_calls.forget(id);
        let path = format!("{}/{id}.wav", scope.organization());
        let recorded = call.answered_at.is_some() && context.recordings.join(&path).exists();
        let mut record = CallRecord::resume_existing(context, scope, call, hooks, live, place);
        if recorded {
            // The recording is playable up to its last half second.
            context.journal.record_recording(scope, id, path);
        }
        record.record_ended(EndReason::ServerCrash).await;
        tracing::error!(call = %id, panicked, "a bug (panic or missing end) ended the call");
    }
}

/// When this process last wrote its heartbeat.
#[derive(Clone, Debug, Default)]
pub struct LastHeartbeat(Arc<Mutex<Option<Instant>>>);

impl LastHeartbeat {
    /// It has just said so.
    pub fn record_heartbeat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Time since the last heartbeat; none before the first.
    pub fn since_last_heartbeat(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

impl CallServices {
    /// Ends calls that another process has marked as failed because it considered this process dead. Their rows stay as
    /// they are.
    pub fn end_overtaken(&self, calls: &[CallId]) {
        for call in calls {
            tracing::warn!(%call, "another process has ended a call of this process");
            self.registry.command_any(*call, CallCommand::End(EndReason::ServerCrash));
        }
    }

    /// Ends calls that are open under this node's name but that no task holds: their task never started. Only those
    /// found at the previous check too, and without journal entries in flight. Returns the candidates for the next
    /// check.
    pub async fn end_orphans(self: &Arc<Self>, before: &HashSet<CallId>) -> Result<HashSet<CallId>, StoreError> {
        let mut open = self.store.open_calls_of(&self.node).await?;
        open.retain(|(_, call)| !self.registry.holds(*call));
        let orphans = open.iter().map(|(_, call)| *call).collect();
        open.retain(|(_, call)| before.contains(call));
        if open.is_empty() || !self.journal.flush(FLUSH_DEADLINE).await {
            return Ok(orphans);
        }
        for (scope, id) in open {
            let Some(call) = self.store.call(scope, id).await?.filter(|call| !call.status.is_over()) else { continue };
            let place = self.registry.register_finished(scope, id, call.task);
            let hooks = CallWebhooks::new(call.agent, &agent_fields(&call));
            CallRecord::resume_existing(self, scope, call, hooks, LiveFeed::default(), place)
                .record_ended(EndReason::ServerCrash)
                .await;
            tracing::error!(call = %id, "ended an orphaned call");
        }
        Ok(orphans)
    }
}
