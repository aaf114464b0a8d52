//! From a task to its call: checks who may be called now and over which trunk, and claims the task when several
//! processes compete.

use super::admission::{AdmissionError, AdmissionPermit};
use super::outbound::{OutboundCallParams, outbound};
use super::provider_plan;
use super::services::{CallServices, SharedServices};
use crate::call::admission::LimitExceededError;
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::ids::{CallId, TaskId, TrunkId};
use crate::domain::phone_number::Destination;
use crate::domain::schedule::next_allowed;
use crate::domain::task::{Task, TaskStatus};
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, PageRequest, StoreError, TaskClaim, now};
use crate::supervision;
use std::time::Duration;

/// How long writing the row of a queued call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

/// Why a task cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum PlaceCallError {
    /// The organization has no task with this id.
    #[error("Task not found")]
    NotFound,
    /// The task is in progress, completed or failed, or another node has just claimed it.
    #[error("Only a pending task can be executed")]
    NotPending,
    /// The agent that the task names was deleted.
    #[error("The task's agent is gone")]
    AgentGone,
    /// The agent has `is_active` set to false.
    #[error("The task's agent is not active")]
    AgentInactive,
    /// The agent uses a provider that has no API key; holds the name of the provider.
    #[error("The provider {0} is not configured")]
    ProviderMissing(&'static str),
    /// The organization has no trunk that makes outbound calls, or none that takes SIP URIs if one is called.
    #[error("No trunk of this organization can call out")]
    TrunkMissing,
    /// The organization has trunks for outbound calls, but none may call this number.
    #[error("No trunk of this organization may call this destination")]
    DestinationDenied,
    /// The `from_number` of the task does not belong to the organization.
    #[error("from_number is not a number of this organization")]
    ForeignNumber,
    /// The task's `calling_windows` exclude the present time.
    #[error("The calling windows of the task do not allow a call now")]
    OutsideWindow,
    /// With a trunk, only that trunk is full; another may have room.
    #[error("The organization or the trunk has reached its limit of concurrent calls")]
    Busy(Option<TrunkId>),
    /// The organization, or one above it, has used its minutes or its spend of the day.
    #[error("The organization has reached its daily limit")]
    Spent,
    /// The server is full or shutting down, or keeps its last lines for other organizations.
    #[error("This server has reached its call limit")]
    Overloaded,
    /// An internal error.
    #[error("The call could not be set up")]
    Internal,
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AdmissionError> for PlaceCallError {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Denied(
                LimitExceededError::Concurrent { trunk } | LimitExceededError::Rate { trunk, .. },
            ) => Self::Busy(trunk),
            AdmissionError::Denied(LimitExceededError::DailyLimit) => Self::Spent,
            AdmissionError::Denied(LimitExceededError::FairShare) => Self::Overloaded,
            AdmissionError::Store(error) => Self::Store(error),
        }
    }
}

/// Result of placing a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedCall {
    /// The call is being made.
    Dialing(CallId),
    /// The call is queued until the organization's limits allow it.
    Queued(CallId),
}

struct PreparedCall {
    task: Task,
    agent: Agent,
    trunk: Trunk,
    from_number: Option<String>,
    context: SharedServices,
}

/// Calls the number of a pending task (see `set_up`). Continues even if the requester disconnects; a task that causes a
/// panic fails instead of being retried forever.
pub async fn place(
    context: &SharedServices, scope: OrgScope, task: TaskId, may_wait: bool, full: &[TrunkId],
) -> Result<PlacedCall, PlaceCallError> {
    let (own, full) = (context.clone(), full.to_vec());
    let set_up = supervision::spawn("call_setup", async move { set_up(&own, scope, task, may_wait, &full).await });
    match set_up.await {
        Ok(Ok(placed)) => placed,
        Ok(Err(_)) | Err(_) => {
            context.store.fail_task(scope, task).await?;
            Err(PlaceCallError::Internal)
        }
    }
}

/// Calls the number of a pending task now, or queues it (`may_wait`). `full` are trunks that had no capacity for a more
/// urgent task a moment ago, so that it is not overtaken there.
async fn set_up(
    context: &SharedServices, scope: OrgScope, task: TaskId, may_wait: bool, full: &[TrunkId],
) -> Result<PlacedCall, PlaceCallError> {
    let ready = prepare(context, scope, task).await?;
    if full.contains(&ready.trunk.id) {
        return Err(PlaceCallError::Busy(Some(ready.trunk.id)));
    }
    if context.registry.count() >= context.admission.calls_max || context.supervisor.is_stopping() {
        return Err(PlaceCallError::Overloaded);
    }
    match claim(scope, &ready).await {
        Ok((call, permit)) => {
            let PreparedCall { task, agent, trunk, from_number, context } = ready;
            outbound(context, OutboundCallParams { scope, call, task, agent, trunk, from_number }, permit).await;
            Ok(PlacedCall::Dialing(call))
        }
        Err(PlaceCallError::Busy(_)) if may_wait => wait(scope, &ready).await,
        Err(fault) => Err(fault),
    }
}

/// Claims a line of this process and the task: first this process's count, then the database's.
async fn claim(scope: OrgScope, ready: &PreparedCall) -> Result<(CallId, AdmissionPermit), PlaceCallError> {
    let PreparedCall { task, trunk, context, .. } = ready;
    let permit = context.admission.admit(scope, Some(trunk)).await?;
    let store = &context.store;
    let price = context.admission.telephony_per_minute;
    let call = match store.claim_task(scope, task.id, trunk.id, &trunk.fields.limits(), price).await? {
        TaskClaim::Claimed(call) => call,
        TaskClaim::NotPending => return Err(PlaceCallError::NotPending),
        TaskClaim::Spent => return Err(PlaceCallError::Spent),
        TaskClaim::Busy { trunk: only_trunk } => return Err(PlaceCallError::Busy(only_trunk.then_some(trunk.id))),
    };
    if !store.begin_call(scope, task.id, call, &context.node).await? {
        return Err(PlaceCallError::NotPending);
    }
    Ok((call, permit))
}

/// Queues the call; its row says so.
async fn wait(scope: OrgScope, ready: &PreparedCall) -> Result<PlacedCall, PlaceCallError> {
    let PreparedCall { task, agent, from_number, context, .. } = ready;
    let call = context.store.queue_task(scope, task.id).await?.ok_or(PlaceCallError::NotPending)?;
    let mut row = Call::begun(call, scope.organization(), Direction::Outbound, now());
    row.task = Some(task.id);
    row.agent = Some(agent.id);
    row.from_number = from_number.clone().unwrap_or_default();
    row.to_number.clone_from(&task.fields.to_number);
    context.journal.record_call(row, None).await;
    context.journal.flush(ROW_DEADLINE).await;
    Ok(PlacedCall::Queued(call))
}

async fn prepare(context: &SharedServices, scope: OrgScope, task: TaskId) -> Result<PreparedCall, PlaceCallError> {
    let store = &context.store;
    let task = store.task(scope, task).await?.ok_or(PlaceCallError::NotFound)?;
    if task.status != TaskStatus::Pending {
        return Err(PlaceCallError::NotPending);
    }
    let agent = store.agent(scope, task.agent).await?.ok_or(PlaceCallError::AgentGone)?;
    if !agent.fields.is_active {
        return Err(PlaceCallError::AgentInactive);
    }
    let at = now();
    if next_allowed(&task.fields.calling_windows, at) > at {
        return Err(PlaceCallError::OutsideWindow);
    }
    let context = CallServices::of_organization(context, scope).await;
    if let Some(missing) = provider_plan::missing_provider(&context.providers, &agent.fields) {
        return Err(PlaceCallError::ProviderMissing(missing));
    }
    let (trunk, from_number) = choose_trunk(&context, scope, &task).await?;
    Ok(PreparedCall { task, agent, trunk, from_number, context })
}

/// The trunk of the number the task calls from; without one, the first trunk that can call out.
async fn choose_trunk(
    context: &CallServices, scope: OrgScope, task: &Task,
) -> Result<(Trunk, Option<String>), PlaceCallError> {
    let all = PageRequest { limit: 1_000, offset: 0 };
    let (numbers, _) = context.store.phone_numbers(scope, all).await?;
    let number = match task.fields.from_number.as_deref() {
        Some(wanted) => {
            let own = numbers.into_iter().find(|row| row.fields.number.as_str() == wanted);
            Some(own.ok_or(PlaceCallError::ForeignNumber)?)
        }
        None => numbers.iter().find(|row| row.fields.agent == Some(task.agent)).or(numbers.first()).cloned(),
    };
    let destination = Destination::parse(&task.fields.to_number);
    let able = |trunk: &Trunk| match &destination {
        Some(Destination::SipUri(_)) => trunk.fields.calls_out() && trunk.fields.allow_sip_uri,
        _ => trunk.fields.calls_out(),
    };
    let usable = |trunk: &Trunk| match &destination {
        Some(Destination::Number(number)) => able(trunk) && trunk.fields.may_call(number),
        _ => able(trunk),
    };
    let (mut trunks, _) = context.store.trunks(scope, all).await?;
    trunks.reverse(); // oldest first
    let of_number = number.as_ref().and_then(|row| row.fields.trunk);
    let chosen = trunks
        .iter()
        .find(|trunk| Some(trunk.id) == of_number && usable(trunk))
        .or_else(|| trunks.iter().find(|trunk| usable(trunk)))
        .cloned();
    let denied = trunks.iter().any(able);
    let chosen = chosen.ok_or(if denied { PlaceCallError::DestinationDenied } else { PlaceCallError::TrunkMissing })?;
    Ok((chosen, number.map(|row| row.fields.number.to_string())))
}
