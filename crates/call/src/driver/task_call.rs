//! From a task to its call: checks who may be called now and over which trunk, and claims the task when several
//! processes compete.

use super::admission::{AdmissionError, AdmissionPermit};
use super::outbound::{OutboundCallParams, outbound};
use super::provider_candidates;
use super::services::{CallServices, SharedServices};
use crate::domain::agent::Agent;
use crate::domain::ids::{CallId, TaskId, TrunkId};
use crate::domain::phone_number::Destination;
use crate::domain::task::Task;
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, PageRequest, now};
use crate::supervision;
use crate::task_placement::{
    AfterRefusal, after_refusal, check_agent_and_time, check_room, check_task, check_variables, choose_trunk, claimed,
    queued_call,
};
use std::time::Duration;

pub use crate::task_placement::{PlaceCallError, PlacedCall};

/// How long writing the row of a queued call may take.
const ROW_DEADLINE: Duration = Duration::from_secs(2);

impl From<AdmissionError> for PlaceCallError {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::Denied(denied) => denied.into(),
            AdmissionError::Store(error) => Self::Store(error),
        }
    }
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
    let has_room = context.registry.count() < context.admission.calls_max && !context.supervisor.is_stopping();
    check_room(ready.trunk.id, full, has_room)?;
    match claim(scope, &ready).await {
        Ok((call, permit)) => {
            let PreparedCall { task, agent, trunk, from_number, context } = ready;
            outbound(context, OutboundCallParams { scope, call, task, agent, trunk, from_number }, permit).await;
            Ok(PlacedCall::Dialing(call))
        }
        Err(error) => match after_refusal(error, may_wait) {
            AfterRefusal::Queue => wait(scope, &ready).await,
            AfterRefusal::GiveUp(error) => Err(error),
        },
    }
}

/// Claims a line of this process and the task: first this process's count, then the database's.
async fn claim(scope: OrgScope, ready: &PreparedCall) -> Result<(CallId, AdmissionPermit), PlaceCallError> {
    let PreparedCall { task, trunk, context, .. } = ready;
    let permit = context.admission.admit(scope, Some(trunk)).await?;
    let store = &context.store;
    let price = context.admission.telephony_per_minute;
    let claim = store.claim_task(scope, task.id, trunk.id, &trunk.fields.limits(), price).await?;
    let call = claimed(claim, trunk.id)?;
    if !store.begin_call(scope, task.id, call, &context.node).await? {
        return Err(PlaceCallError::NotPending);
    }
    Ok((call, permit))
}

/// Queues the call; its row says so.
async fn wait(scope: OrgScope, ready: &PreparedCall) -> Result<PlacedCall, PlaceCallError> {
    let PreparedCall { task, from_number, context, .. } = ready;
    let call = context.store.queue_task(scope, task.id).await?.ok_or(PlaceCallError::NotPending)?;
    context.journal.record_call(queued_call(call, task, from_number.as_ref(), now()), None).await;
    context.journal.flush(ROW_DEADLINE).await;
    Ok(PlacedCall::Queued(call))
}

async fn prepare(context: &SharedServices, scope: OrgScope, task: TaskId) -> Result<PreparedCall, PlaceCallError> {
    let store = &context.store;
    let task = check_task(store.task(scope, task).await?)?;
    let agent = check_agent_and_time(&task, store.agent(scope, task.agent).await?, now())?;
    if let Some(number) = Destination::parse(&task.fields.to_number).and_then(|to| to.number())
        && store.is_not_to_be_called(scope, &number).await?
    {
        return Err(PlaceCallError::DoNotCall);
    }
    let context = CallServices::of_organization(context, scope).await;
    if let Some(missing) = provider_candidates::missing_provider(&context.providers, &agent.fields) {
        return Err(PlaceCallError::ProviderMissing(missing));
    }
    let number = store.calling_number(scope, task.fields.from_number.as_deref(), Some(task.agent)).await?;
    let (mut trunks, _) = store.trunks(scope, PageRequest::first(1_000)).await?;
    trunks.reverse(); // oldest first
    let (trunk, from_number) = choose_trunk(&task, number.as_slice(), &trunks)?;
    check_variables(&task, &agent, from_number.as_ref(), now())?;
    Ok(PreparedCall { task, agent, trunk, from_number, context })
}
