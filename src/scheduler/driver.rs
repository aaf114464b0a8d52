//! The scheduler loop: calls due tasks, most urgent first; recovers claims of dead processes; sends heartbeats.

use crate::call::driver::{CallRecovery, CallStarter, PlaceCallError, PlacedCall};
use crate::domain::ids::{CallId, OrganizationId, TrunkId};
use crate::domain::task::TaskStatus;
use crate::domain::time::UnixMs;
use crate::store::{DueTask, OrgScope, Store, StoreError, now};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::watch;

/// A scheduled call starts at most this late, and then some for setting it up.
const TICK: Duration = Duration::from_millis(250);
/// Tasks looked at in one tick, in all and per organization, so that a long queue does not delay other organizations.
const TASKS_MAX: i64 = 400;
const TASKS_PER_ORGANIZATION_MAX: i64 = 20;
const REFUSED_MAX: u32 = 3;
/// What is delivered or given up is kept for so long.
const RETENTION_MS: i64 = 30 * 86_400_000;
/// Signs of life between two looks at what is too old.
const HEARTBEATS_PER_CLEANUP: u32 = 1_200;
/// Wait after a fault that may be fixed: a missing key, a full server.
const RETRY_AFTER_MS: i64 = 15_000;

/// Runs until it is stopped.
pub async fn run(starter: CallStarter, store: Store, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Whose tasks were looked at last, where there were more than one tick takes.
    let mut after = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return,
        }
        match call_due_tasks(&starter, &store, after).await {
            Ok(last) => after = last,
            Err(error) => tracing::error!(%error, "cannot read due tasks"),
        }
    }
}

/// What an organization's tasks met in one tick.
#[derive(Debug, Default)]
struct TickRefusals {
    times: u32,
    /// Trunks without room.
    full: Vec<TrunkId>,
}

async fn call_due_tasks(
    starter: &CallStarter, store: &Store, after: Option<OrganizationId>,
) -> Result<Option<OrganizationId>, StoreError> {
    // An organization without a free line is left alone until the next tick: one that becomes free meanwhile is
    // not for a less urgent task. Where only a trunk has none, tasks of others are tried, a few.
    let mut refused: HashMap<OrgScope, TickRefusals> = HashMap::new();
    let (due, last) = store.due_tasks(TASKS_PER_ORGANIZATION_MAX, TASKS_MAX, after).await?;
    for DueTask { scope, task } in due {
        let before = refused.get(&scope);
        if before.is_some_and(|before| before.times >= REFUSED_MAX) {
            continue;
        }
        let full = before.map_or(&[][..], |before| &before.full);
        match starter.place(scope, task, false, full).await {
            Ok(PlacedCall::Dialing(call) | PlacedCall::Queued(call)) => {
                tracing::info!(%task, %call, "scheduled call started");
            }
            Err(PlaceCallError::Busy(trunk)) => {
                let refused = refused.entry(scope).or_default();
                refused.times += if trunk.is_some() { 1 } else { REFUSED_MAX };
                refused.full.extend(trunk);
            }
            Err(PlaceCallError::NotPending | PlaceCallError::NotFound | PlaceCallError::Internal) => {}
            Err(PlaceCallError::Spent) => {
                tracing::warn!(%task, "the daily limit is reached; the task waits for the next day");
                store.postpone_to_tomorrow(scope, task).await?;
            }
            Err(PlaceCallError::OutsideWindow) => store.postpone_to_window(scope, task).await?,
            Err(
                fault @ (PlaceCallError::AgentGone
                | PlaceCallError::AgentInactive
                | PlaceCallError::DoNotCall
                | PlaceCallError::ForeignNumber
                | PlaceCallError::VariablesMissing(_)),
            ) => {
                tracing::warn!(%task, error = %fault, "scheduled task cannot be called");
                let why = fault.to_string();
                store.move_task(scope, task, TaskStatus::Pending, TaskStatus::Failed, Some(&why)).await?;
            }
            Err(PlaceCallError::Store(error)) => return Err(error),
            Err(fault) => {
                tracing::warn!(%task, error = %fault, "scheduled task waits");
                store.postpone(scope, task, UnixMs(now().0 + RETRY_AFTER_MS)).await?;
            }
        }
    }
    Ok(last)
}

/// Sends heartbeats, recovers what dead processes left, and ends orphaned calls.
pub async fn run_housekeeping(recovery: CallRecovery, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(recovery.node.heartbeat_interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut overtaken = recovery.journal.subscribe_taken_over();
    let (mut house, mut beats) = (Housekeeping::default(), 0u32);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            lost = overtaken.recv() => {
                if let Ok(call) = lost {
                    recovery.end_overtaken(&[call]);
                }
                continue;
            }
            _ = stopped.changed() => return,
        }
        if let Err(error) = house.run_round(&recovery).await {
            tracing::error!(%error, "cannot look for calls of dead processes");
        }
        if beats.is_multiple_of(HEARTBEATS_PER_CLEANUP)
            && let Err(error) = recovery.store.delete_expired(UnixMs(now().0 - RETENTION_MS)).await
        {
            tracing::error!(%error, "cannot delete expired rows");
        }
        beats = beats.wrapping_add(1);
    }
}

/// What is remembered from one sign of life to the next.
#[derive(Debug, Default)]
struct Housekeeping {
    /// Since when this process has been here without a gap.
    joined_at: Option<UnixMs>,
    /// Calls that no task of this process held at the last check.
    orphans: HashSet<CallId>,
}

impl Housekeeping {
    async fn run_round(&mut self, recovery: &CallRecovery) -> Result<(), StoreError> {
        let beat = recovery.store.record_heartbeat(&recovery.node.name).await?;
        recovery.node.heartbeat.record_heartbeat();
        if self.joined_at.is_some_and(|before| before != beat.joined_at) {
            tracing::warn!("this process had lost the database; waiting before it checks for dead nodes");
            let lost = recovery.store.over_among(&recovery.registry.calls()).await?;
            recovery.end_overtaken(&lost);
        }
        self.joined_at = Some(beat.joined_at);
        fail_orphaned_calls(recovery, false).await?;
        self.orphans = recovery.end_orphans(&self.orphans).await?;
        Ok(())
    }
}

/// Start of a process: registers the node and recovers what it left itself.
pub async fn register_node(recovery: &CallRecovery) -> Result<(), StoreError> {
    recovery.store.record_heartbeat(&recovery.node.name).await?;
    fail_orphaned_calls(recovery, true).await
}

async fn fail_orphaned_calls(recovery: &CallRecovery, at_start: bool) -> Result<(), StoreError> {
    let (store, recordings) = (&recovery.store, &recovery.recordings.folder);
    let recovered = store
        .recover(&recovery.node.name, at_start, |organization, call| {
            let path = format!("{organization}/{call}.wav");
            recordings.join(&path).exists().then_some(path)
        })
        .await?;
    if recovered > 0 {
        tracing::warn!(calls = recovered, "calls interrupted by a crash are marked failed");
    }
    let expired = store.expire_claims(at_start).await?;
    if expired > 0 {
        tracing::warn!(tasks = expired, "released claims of a dead process");
    }
    Ok(())
}
