//! A call whose task panics ends like any other: one terminal state, its events, its report. What its task held (leg,
//! ports, provider connections) is dropped with it; the endpoint hangs up calls whose owner is gone.

use super::hooks::Hooks;
use super::wrap_up::agent_fields;
use super::{Context, Record, Shared};
use crate::call::registry::{Command, Live, Place};
use crate::domain::call::Call;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::CallId;
use crate::store::{OrgScope, StoreError};
use crate::supervision::contain;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries of calls that are on their way to the database are waited for so long.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// A call as it was written down last, while it is not over.
struct Last {
    scope: OrgScope,
    call: Call,
    hooks: Hooks,
    live: Live,
    /// Whoever waits for the last call waits for this one's end too.
    place: Arc<Place>,
}

/// What outlives the task of a call. Written when the call's row is, a few times in its life.
#[derive(Clone, Default)]
pub(super) struct Lifeline(Arc<Mutex<Option<Last>>>);

impl Lifeline {
    /// The row was written.
    pub(super) fn written(&self, record: &Record) {
        let Record { scope, call, hooks, live, place, .. } = record;
        let last = (!call.status.is_over()).then(|| Last {
            scope: *scope,
            call: call.clone(),
            hooks: hooks.clone(),
            live: live.clone(),
            place: place.clone(),
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Runs a call to its end; one that panics is ended here.
    pub(super) async fn hold(self, context: &Shared, run: impl Future<Output = ()>) {
        let panicked = contain("call", run).await.is_err();
        // A call that returned without its end, which none may, is ended as well.
        self.end(context, panicked).await;
    }

    async fn end(self, context: &Shared, panicked: bool) {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Without a row nobody was told anything of the call; its caller is refused by the endpoint.
        let Some(Last { scope, call, hooks, live, place }) = last else { return };
        let id = call.id;
        context.web_calls.forget(id);
        let path = format!("{}/{id}.wav", scope.organization());
        let recorded = call.answered_at.is_some() && context.recordings.join(&path).exists();
        let mut record = Record::taken_over(context, scope, call, hooks, live, place);
        if recorded {
            // Playable up to its last half second.
            context.journal.recording(scope, id, path);
        }
        record.ended(EndReason::ServerCrash).await;
        tracing::error!(call = %id, panicked, "a defect ended the call");
    }
}

/// When this process last said that it lives.
#[derive(Clone, Debug, Default)]
pub struct Heart(Arc<Mutex<Option<Instant>>>);

impl Heart {
    /// It has just said so.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago that was; none before the first time.
    pub fn silent_for(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

impl Context {
    /// Calls that others have ended: they took this process for dead. Their rows stay as they are.
    pub fn end_overtaken(&self, calls: &[CallId]) {
        for call in calls {
            tracing::warn!(%call, "another process has ended a call of this one");
            self.registry.command_any(*call, Command::End(EndReason::ServerCrash));
        }
    }

    /// Ends calls that are open under this process's name and that nobody here holds: their task never came to be. Only
    /// those that were so at the last look as well, and whose last entries are not on their way. Returns those to be
    /// looked at again.
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
            let place = self.registry.put_away(scope, id, call.task);
            let hooks = Hooks::new(call.agent, &agent_fields(&call));
            Record::taken_over(self, scope, call, hooks, Live::default(), place).ended(EndReason::ServerCrash).await;
            tracing::error!(call = %id, "a call that nobody held is ended");
        }
        Ok(orphans)
    }
}
