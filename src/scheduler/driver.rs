//! The loop: tasks that are due, most urgent first; claims of processes that died; signs of life.

use crate::call::driver::{OrderFault, Placed, Shared, place};
use crate::domain::task::TaskStatus;
use crate::domain::time::UnixMs;
use crate::store::{Due, StoreError, now};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::watch;

/// A scheduled call starts at most this late, and then some for setting it up.
const TICK: Duration = Duration::from_millis(250);
/// Tasks looked at in one tick.
const TASKS_MAX: i64 = 200;
/// How often this process says that it lives.
const BEAT: Duration = Duration::from_secs(3);
/// A process that was not heard of for this long is dead, and its calls with it.
const DEAD_AFTER_MS: i64 = 12_000;
/// Wait after a fault that somebody may mend: a missing key, a full server.
const AGAIN_MS: i64 = 15_000;

/// Runs until it is stopped.
pub async fn run(context: Shared, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = call_due(&context).await {
            tracing::error!(%error, "due tasks cannot be read");
        }
    }
}

async fn call_due(context: &Shared) -> Result<(), StoreError> {
    // Organizations that make as many calls as they may are not asked again in this tick.
    let mut full = HashSet::new();
    for Due { scope, task } in context.store.due_tasks(TASKS_MAX).await? {
        if full.contains(&scope) {
            continue;
        }
        match place(context, scope, task, true).await {
            Ok(Placed::Calling(call)) => tracing::info!(%task, %call, "scheduled call is made"),
            Ok(Placed::Waiting(_)) => {
                full.insert(scope);
            }
            Err(OrderFault::NotPending | OrderFault::NotFound) => {}
            Err(OrderFault::OutsideWindow) => context.store.postpone_to_window(scope, task).await?,
            Err(fault @ (OrderFault::AgentGone | OrderFault::AgentInactive | OrderFault::ForeignNumber)) => {
                tracing::warn!(%task, %fault, "scheduled task cannot be called");
                context.store.move_task(scope, task, TaskStatus::Pending, TaskStatus::Failed).await?;
            }
            Err(OrderFault::Store(error)) => return Err(error),
            Err(fault) => {
                tracing::warn!(%task, %fault, "scheduled task waits");
                context.store.postpone(scope, task, UnixMs(now().0 + AGAIN_MS)).await?;
            }
        }
    }
    Ok(())
}

/// Says that this process lives, and takes care of what dead ones left behind. `recording_of` finds the
/// recording of a call by organization and call.
pub async fn keep_house(context: Shared, mut stopped: watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = sweep(&context, false).await {
            tracing::error!(%error, "dead calls cannot be looked for");
        }
    }
}

/// One round of [`keep_house`]; at the start of a process also what it left behind itself.
pub async fn sweep(context: &Shared, at_start: bool) -> Result<(), StoreError> {
    let (store, recordings) = (&context.store, &context.recordings);
    store.beat(&context.node).await?;
    let since = UnixMs(now().0 - DEAD_AFTER_MS);
    let recovered = store
        .recover(&context.node, since, |organization, call| {
            let path = format!("{organization}/{call}.wav");
            recordings.join(&path).exists().then_some(path)
        })
        .await?;
    if recovered > 0 {
        tracing::warn!(calls = recovered, "calls were cut by a crash and are marked failed");
    }
    let expired = store.expire_claims(at_start).await?;
    if expired > 0 {
        tracing::warn!(tasks = expired, "claims of a dead process are given back");
    }
    Ok(())
}
