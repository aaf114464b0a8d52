//! What processes on the same database tell each other about calls, and what a process does about such a message; how
//! long it forwards the updates of a call.
//!
//! Pure: the driver publishes, looks up organizations, and says what time it is.

use super::live_update::LiveUpdate;
use crate::domain::call::CallStatus;
use crate::domain::call_control::{CallControl, ControlError};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId, TaskId};
use crate::domain::transcript::Turn;
use crate::store::node_bus::MESSAGE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A subscription expires after this without renewal.
const SUBSCRIPTION_TTL: Duration = Duration::from_secs(15);

/// Bus messages between processes. Ids travel as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClusterMessage {
    /// Whoever holds this call ends it.
    End {
        /// Whose call it is.
        organization: String,
        /// The call.
        call: String,
        /// End reason.
        reason: String,
    },
    /// Whoever holds the call of this task ends it.
    EndTask {
        /// Whose task it is.
        organization: String,
        /// The task.
        task: String,
        /// End reason.
        reason: String,
    },
    /// Whoever holds this call carries a command out, and answers.
    Control {
        /// Whose call it is.
        organization: String,
        /// The call.
        call: String,
        /// Names the answer.
        request: Uuid,
        /// What is wanted.
        control: CallControl,
        /// Who wants it.
        by: String,
    },
    /// What a call has said to a command.
    Controlled {
        /// The request that is answered.
        request: Uuid,
        /// Why it was not taken; `None` if it was.
        error: Option<ControlError>,
    },
    /// A command from beside the call was carried out, for listeners.
    ControlNote {
        /// The call.
        call: String,
        /// An entry of `metrics.controls`.
        note: Value,
    },
    /// The sender has listeners of this call.
    Listen {
        /// Whose call it is.
        organization: String,
        /// The call.
        call: String,
        /// A new listener needs everything so far.
        #[serde(default)]
        from_start: bool,
    },
    /// A turn, new or grown.
    Turn {
        /// The call.
        call: String,
        /// Place in the transcript.
        position: u32,
        /// The turn.
        turn: Turn,
    },
    /// A turn that is too long for a message: it is read from the database.
    LongTurn {
        /// The call.
        call: String,
        /// Place in the transcript.
        position: u32,
    },
    /// Interim STT result.
    Interim {
        /// The call.
        call: String,
        /// The words so far.
        text: String,
    },
    /// Another agent has the call.
    AgentChanged {
        /// The call.
        call: String,
        /// The agent, if it is stored.
        agent: Option<String>,
        /// Its name.
        name: String,
    },
    /// The status of a call with listeners has changed.
    Status {
        /// The call.
        call: String,
        /// The status.
        status: String,
        /// Why it ended.
        end_reason: Option<String>,
    },
    /// No more updates of this call will come.
    Over {
        /// The call.
        call: String,
    },
    /// A call has changed, for lists of calls.
    Changed {
        /// Whose call it is.
        organization: String,
        /// The call.
        call: String,
        /// The status.
        status: String,
    },
    /// A trunk has changed: all are read again.
    Trunks,
}

/// What a process does about a message. `S` is the proof that an organization is known here.
#[derive(Debug, PartialEq)]
pub enum ClusterEffect<S> {
    /// Ends a call, if it is held here.
    End(S, CallId, EndReason),
    /// Ends the call of a task, if it is held here.
    EndTask(S, TaskId, EndReason),
    /// Carries a command out, if the call is held here, and answers.
    Control {
        /// Whose call it is.
        scope: S,
        /// The call.
        call: CallId,
        /// Names the answer.
        request: Uuid,
        /// What is wanted.
        control: CallControl,
        /// Who wants it.
        by: String,
    },
    /// Tells whoever waits for it here what the call has said.
    Controlled(Uuid, Result<(), ControlError>),
    /// Forwards the updates of a call, if it is held here.
    Forward {
        /// Whose call it is.
        scope: S,
        /// The call.
        call: CallId,
        /// Also everything so far.
        from_start: bool,
    },
    /// Passes an update to the listeners here, if there are any.
    Update(CallId, LiveUpdate),
    /// Reads a turn from the database for the listeners here, if there are any.
    ReadTurn(CallId, u32),
    /// Closes the listeners here.
    DropListeners(CallId),
    /// Tells lists of calls.
    Announce(S, CallId, CallStatus),
    /// Reads all trunks again.
    ReloadTrunks,
    /// The message names nothing that is known here.
    Nothing,
}

/// Tells what a message asks for. `scope` finds an organization by its id.
pub fn effect<S>(message: ClusterMessage, scope: impl Fn(&str) -> Option<S>) -> ClusterEffect<S> {
    known_effect(message, scope).unwrap_or(ClusterEffect::Nothing)
}

fn known_effect<S>(message: ClusterMessage, scope: impl Fn(&str) -> Option<S>) -> Option<ClusterEffect<S>> {
    Some(match message {
        ClusterMessage::End { organization, call, reason } => {
            ClusterEffect::End(scope(&organization)?, CallId::parse(&call)?, EndReason::parse(&reason)?)
        }
        ClusterMessage::EndTask { organization, task, reason } => {
            ClusterEffect::EndTask(scope(&organization)?, TaskId::parse(&task)?, EndReason::parse(&reason)?)
        }
        ClusterMessage::Control { organization, call, request, control, by } => {
            ClusterEffect::Control { scope: scope(&organization)?, call: CallId::parse(&call)?, request, control, by }
        }
        ClusterMessage::Controlled { request, error } => ClusterEffect::Controlled(request, error.map_or(Ok(()), Err)),
        ClusterMessage::ControlNote { call, note } => {
            ClusterEffect::Update(CallId::parse(&call)?, LiveUpdate::Controlled(note))
        }
        ClusterMessage::Listen { organization, call, from_start } => {
            ClusterEffect::Forward { scope: scope(&organization)?, call: CallId::parse(&call)?, from_start }
        }
        ClusterMessage::Turn { call, position, turn } => {
            ClusterEffect::Update(CallId::parse(&call)?, LiveUpdate::Turn { position, turn })
        }
        ClusterMessage::LongTurn { call, position } => ClusterEffect::ReadTurn(CallId::parse(&call)?, position),
        ClusterMessage::Interim { call, text } => {
            ClusterEffect::Update(CallId::parse(&call)?, LiveUpdate::Interim { text })
        }
        ClusterMessage::AgentChanged { call, agent, name } => {
            let agent = agent.as_deref().and_then(AgentId::parse);
            ClusterEffect::Update(CallId::parse(&call)?, LiveUpdate::AgentChanged { agent, name })
        }
        ClusterMessage::Status { call, status, end_reason } => {
            let status = CallStatus::parse(&status)?;
            let end_reason = end_reason.as_deref().and_then(EndReason::parse);
            ClusterEffect::Update(CallId::parse(&call)?, LiveUpdate::Status { status, end_reason })
        }
        ClusterMessage::Over { call } => ClusterEffect::DropListeners(CallId::parse(&call)?),
        ClusterMessage::Changed { organization, call, status } => {
            ClusterEffect::Announce(scope(&organization)?, CallId::parse(&call)?, CallStatus::parse(&status)?)
        }
        ClusterMessage::Trunks => ClusterEffect::ReloadTrunks,
    })
}

/// The message for an update of a call. What is too long is announced, or cut if it will be replaced soon.
pub fn update_message(call: CallId, update: LiveUpdate) -> ClusterMessage {
    let call = call.to_string();
    match update {
        LiveUpdate::Turn { position, turn } => {
            // Escapes may make six bytes of one, and the rest of the message needs some.
            let fits = turn.content.len() < MESSAGE_BYTES_MAX / 6 - 100
                || serde_json::to_string(&turn).is_ok_and(|text| text.len() < MESSAGE_BYTES_MAX - 300);
            if fits {
                ClusterMessage::Turn { call, position, turn }
            } else {
                ClusterMessage::LongTurn { call, position }
            }
        }
        LiveUpdate::Interim { mut text } => {
            text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX / 6 - 100));
            ClusterMessage::Interim { call, text }
        }
        LiveUpdate::AgentChanged { agent, name } => {
            ClusterMessage::AgentChanged { call, agent: agent.map(|agent| agent.to_string()), name }
        }
        LiveUpdate::Controlled(note) => ClusterMessage::ControlNote { call, note },
        LiveUpdate::Status { status, end_reason } => ClusterMessage::Status {
            call,
            status: status.name().to_owned(),
            end_reason: end_reason.map(|reason| reason.name().to_owned()),
        },
    }
}

/// What a process does when another one says that it listens to a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Subscribed<N> {
    /// The updates are forwarded already.
    Renewed,
    /// They are forwarded already; this wakes the task, which sends everything so far again.
    SendAgain(N),
    /// A task is to forward them; this wakes it later.
    Start(N),
}

/// Calls held here that have listeners in other processes. `N` wakes the task that forwards the updates of a call.
#[derive(Debug)]
pub struct ForwardedCalls<N>(HashMap<CallId, Forwarding<N>>);

impl<N> Default for ForwardedCalls<N> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Debug)]
struct Forwarding<N> {
    until: Instant,
    waker: N,
}

impl<N: Clone> ForwardedCalls<N> {
    /// Another process listens, or listens still. `waker` is for a new task.
    pub fn subscribe(
        &mut self, call: CallId, from_start: bool, now: Instant, waker: impl FnOnce() -> N,
    ) -> Subscribed<N> {
        let until = now + SUBSCRIPTION_TTL;
        let Some(known) = self.0.get_mut(&call) else {
            let waker = waker();
            self.0.insert(call, Forwarding { until, waker: waker.clone() });
            return Subscribed::Start(waker);
        };
        known.until = until;
        if from_start { Subscribed::SendAgain(known.waker.clone()) } else { Subscribed::Renewed }
    }

    /// Until when the updates of a call are wanted; `now` for one that is not forwarded.
    pub fn until(&self, call: CallId, now: Instant) -> Instant {
        self.0.get(&call).map_or(now, |one| one.until)
    }

    /// Ends the forwarding of a call whose subscriptions were not renewed; false while there is one.
    pub fn expire(&mut self, call: CallId, now: Instant) -> bool {
        let is_over = self.0.get(&call).is_none_or(|one| one.until <= now);
        if is_over {
            self.0.remove(&call);
        }
        is_over
    }

    /// The call is over.
    pub fn remove(&mut self, call: CallId) {
        self.0.remove(&call);
    }
}

#[cfg(test)]
mod tests;
