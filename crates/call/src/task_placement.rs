//! From a task to its call: who may be called now, over which trunk and from which number, and what follows when a limit
//! is reached.
//!
//! Pure: rows, time and results of the database are arguments.

use super::admission::LimitExceededError;
use super::personalize::missing_variables;
use crate::domain::agent::Agent;
use crate::domain::call::{Call, Direction};
use crate::domain::ids::{AgentId, CallId, TrunkId};
use crate::domain::phone_number::Destination;
use crate::domain::schedule::next_allowed;
use crate::domain::task::{Task, TaskStatus};
use crate::domain::time::UnixMs;
use crate::domain::trunk::Trunk;
use crate::store::{PhoneNumberRow, StoreError, TaskClaim};
use serde_json::Value;

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
    /// The number is on the organization's do-not-call list.
    #[error("The number is on the do-not-call list of this organization")]
    DoNotCall,
    /// The `from_number` of the task does not belong to the organization.
    #[error("from_number is not a number of this organization")]
    ForeignNumber,
    /// Texts of the call name variables that `context_data` has no value for; holds their names.
    #[error("context_data has no value for {}", .0.join(", "))]
    VariablesMissing(Vec<String>),
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

impl From<LimitExceededError> for PlaceCallError {
    fn from(denied: LimitExceededError) -> Self {
        match denied {
            LimitExceededError::Concurrent { trunk } | LimitExceededError::Rate { trunk, .. } => Self::Busy(trunk),
            LimitExceededError::DailyLimit => Self::Spent,
            LimitExceededError::FairShare => Self::Overloaded,
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

/// Whether a stored task is there to be called.
pub fn check_task(task: Option<Task>) -> Result<Task, PlaceCallError> {
    let task = task.ok_or(PlaceCallError::NotFound)?;
    if task.status == TaskStatus::Pending { Ok(task) } else { Err(PlaceCallError::NotPending) }
}

/// Whether the task's agent may speak, and its callee may be called now.
pub fn check_agent_and_time(task: &Task, agent: Option<Agent>, now: UnixMs) -> Result<Agent, PlaceCallError> {
    let agent = agent.ok_or(PlaceCallError::AgentGone)?;
    if !agent.fields.is_active {
        return Err(PlaceCallError::AgentInactive);
    }
    if next_allowed(&task.fields.calling_windows, now) > now {
        return Err(PlaceCallError::OutsideWindow);
    }
    Ok(agent)
}

/// Whether every variable in the texts of the call has a value: nobody is called to hear half a sentence.
pub fn check_variables(
    task: &Task, agent: &Agent, from_number: Option<&String>, now: UnixMs,
) -> Result<(), PlaceCallError> {
    let mut row = queued_call(CallId::new(), task, from_number, now);
    row.metadata = task.fields.metadata.clone().or_else(|| agent.fields.metadata.clone()).map(Value::Object);
    let missing = missing_variables(&agent.fields, &task.fields, &row, now);
    if missing.is_empty() { Ok(()) } else { Err(PlaceCallError::VariablesMissing(missing)) }
}

/// The trunk of the number the task calls from; without one, the first trunk that can call out. `trunks` are in order
/// of age, the oldest first; `numbers` as the store lists them.
pub fn choose_trunk(
    task: &Task, numbers: &[PhoneNumberRow], trunks: &[Trunk],
) -> Result<(Trunk, Option<String>), PlaceCallError> {
    let number = match task.fields.from_number.as_deref() {
        Some(wanted) => {
            let own = numbers.iter().find(|row| row.fields.number.as_str() == wanted);
            Some(own.ok_or(PlaceCallError::ForeignNumber)?)
        }
        None => number_of(Some(task.agent), numbers),
    };
    trunk_to(Destination::parse(&task.fields.to_number).as_ref(), number, trunks)
}

/// Trunk and number for the second leg of a call that came over no trunk, a browser's: those of a task of its agent.
/// `trunks` and `numbers` are as for [`choose_trunk`].
pub fn choose_trunk_of_web_call(
    agent: Option<AgentId>, destination: &Destination, numbers: &[PhoneNumberRow], trunks: &[Trunk],
) -> Result<(Trunk, Option<String>), PlaceCallError> {
    trunk_to(Some(destination), number_of(agent, numbers), trunks)
}

/// The number that an agent calls from: its own, or the first.
fn number_of(agent: Option<AgentId>, numbers: &[PhoneNumberRow]) -> Option<&PhoneNumberRow> {
    numbers.iter().find(|row| agent.is_some() && row.fields.agent == agent).or(numbers.first())
}

fn trunk_to(
    destination: Option<&Destination>, number: Option<&PhoneNumberRow>, trunks: &[Trunk],
) -> Result<(Trunk, Option<String>), PlaceCallError> {
    let able = |trunk: &&Trunk| match destination {
        Some(Destination::SipUri(_)) => trunk.fields.calls_out() && trunk.fields.allow_sip_uri,
        _ => trunk.fields.calls_out(),
    };
    let usable = |trunk: &&Trunk| match destination {
        Some(Destination::Number(number)) => able(trunk) && trunk.fields.may_call(number),
        _ => able(trunk),
    };
    let of_number = number.and_then(|row| row.fields.trunk);
    let own = trunks.iter().find(|trunk| Some(trunk.id) == of_number && usable(trunk));
    let chosen = own.or_else(|| trunks.iter().find(usable)).cloned();
    let denied = trunks.iter().any(|trunk| able(&trunk));
    let chosen = chosen.ok_or(if denied { PlaceCallError::DestinationDenied } else { PlaceCallError::TrunkMissing })?;
    Ok((chosen, number.map(|row| row.fields.number.to_string())))
}

/// Whether this process takes another call. `full` are trunks that had no capacity for a more urgent task a moment ago,
/// so that it is not overtaken there.
pub fn check_room(trunk: TrunkId, full: &[TrunkId], has_room: bool) -> Result<(), PlaceCallError> {
    if full.contains(&trunk) {
        return Err(PlaceCallError::Busy(Some(trunk)));
    }
    if has_room { Ok(()) } else { Err(PlaceCallError::Overloaded) }
}

/// The call that the database gave us, or why it gave none.
pub fn claimed(claim: TaskClaim, trunk: TrunkId) -> Result<CallId, PlaceCallError> {
    match claim {
        TaskClaim::Claimed(call) => Ok(call),
        TaskClaim::NotPending => Err(PlaceCallError::NotPending),
        TaskClaim::Spent => Err(PlaceCallError::Spent),
        TaskClaim::Busy { trunk: only_trunk } => Err(PlaceCallError::Busy(only_trunk.then_some(trunk))),
    }
}

/// What follows when no line could be claimed.
#[derive(Debug)]
pub enum AfterRefusal {
    /// The call waits for a line.
    Queue,
    /// Nobody is called.
    GiveUp(PlaceCallError),
}

/// A limit that passes is worth waiting for, if the caller may wait.
pub fn after_refusal(error: PlaceCallError, may_wait: bool) -> AfterRefusal {
    match error {
        PlaceCallError::Busy(_) if may_wait => AfterRefusal::Queue,
        error => AfterRefusal::GiveUp(error),
    }
}

/// The row of a call that waits for a line.
pub fn queued_call(id: CallId, task: &Task, from_number: Option<&String>, now: UnixMs) -> Call {
    let mut row = Call::begun(id, task.organization, Direction::Outbound, now);
    row.task = Some(task.id);
    row.agent = Some(task.agent);
    row.from_number = from_number.cloned().unwrap_or_default();
    row.to_number.clone_from(&task.fields.to_number);
    row
}

#[cfg(test)]
mod tests;
