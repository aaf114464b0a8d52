//! The live calls of this process: lets the API reach a call, and counts them.

use super::driver::{AdmissionPermit, IceRestart, ListenRequest, WebOffer};
use super::live_update::{LiveFeed, LiveSubscription};
use crate::domain::call::CallStatus;
use crate::domain::call_control::{CallControl, ControlError};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TaskId};
use crate::store::OrgScope;
use dashmap::DashMap;
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Commands queued for one call; it reads them at once, so more means a caller in a loop.
const COMMANDS_MAX: usize = 16;
/// Places of them that only the end of the call may take.
const COMMANDS_KEPT: usize = 4;

/// What the API or the process wants of a live call.
#[derive(Debug)]
pub enum CallCommand {
    /// Ends the call with this reason.
    End(EndReason),
    /// A browser's offer, for a call that waits for one.
    Connect(Box<WebOffer>),
    /// Candidates that a browser found later.
    Candidates(Vec<String>),
    /// A browser restarts ICE; the call answers with new credentials of ours.
    RestartIce(Box<IceRestart>),
    /// Somebody beside the call wants something of it.
    Control(Box<ControlRequest>),
    /// Somebody of the organization wants to hear the call.
    Listen(Box<ListenRequest>),
}

/// A command from beside the call. Who drops it has not carried it out.
#[derive(Debug)]
pub struct ControlRequest {
    /// What is wanted.
    pub control: CallControl,
    /// Who wants it, for the call's events.
    pub by: String,
    /// Whether the call has taken it.
    pub reply: oneshot::Sender<Result<(), ControlError>>,
}

#[derive(Clone, Debug)]
struct RegistryEntry {
    scope: OrgScope,
    task: Option<TaskId>,
    commands: mpsc::Sender<CallCommand>,
    live: LiveFeed,
}

/// Handed to the API; calls register themselves.
#[derive(Clone, Debug)]
pub struct CallRegistry {
    calls: Arc<DashMap<CallId, RegistryEntry>>,
    count: Arc<watch::Sender<usize>>,
    /// Of all organizations, for the other processes.
    changes: broadcast::Sender<CallChange>,
    /// Per organization, while it has listeners, so that a change wakes no other organization's listeners.
    of_one: Arc<DashMap<OrgScope, broadcast::Sender<CallChange>>>,
}

/// A call of this installation has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallChange {
    /// Scope of the organization that owns the call.
    pub scope: OrgScope,
    /// Id of the call.
    pub call: CallId,
    /// Status after the change.
    pub status: CallStatus,
    /// It is held by this process.
    pub here: bool,
}

/// Changes a listener may lag behind by.
const CHANGES_MAX: usize = 1_024;
/// The same of one organization's; each listened to holds 64 bytes a change.
const CHANGES_OF_ONE_MAX: usize = 256;

/// Removes the call from the registry when the last holder drops it.
#[derive(Debug)]
pub struct RegistryGuard {
    id: CallId,
    registry: CallRegistry,
}

/// State of the task that runs the call.
#[derive(Debug)]
pub struct CallSlot {
    place: Arc<RegistryGuard>,
    /// Commands for the call, at most 16 waiting; more are refused to their sender.
    pub commands: mpsc::Receiver<CallCommand>,
    /// Turns and updates of the call, for its listeners.
    pub live: LiveFeed,
    /// None once the call has ended for its peer and only the wrap-up is left.
    permit: Option<AdmissionPermit>,
}

impl Default for CallRegistry {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
            changes: broadcast::Sender::new(CHANGES_MAX),
            of_one: Arc::default(),
        }
    }
}

impl CallRegistry {
    /// Registers an admitted call.
    pub fn register(&self, scope: OrgScope, id: CallId, task: Option<TaskId>, permit: AdmissionPermit) -> CallSlot {
        let (place, commands, live) = self.put(scope, id, task);
        CallSlot { place, commands, live, permit: Some(permit) }
    }

    /// Registers a call that has ended but for its last row: it holds no line.
    pub fn register_finished(&self, scope: OrgScope, id: CallId, task: Option<TaskId>) -> Arc<RegistryGuard> {
        self.put(scope, id, task).0
    }

    fn put(
        &self, scope: OrgScope, id: CallId, task: Option<TaskId>,
    ) -> (Arc<RegistryGuard>, mpsc::Receiver<CallCommand>, LiveFeed) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let live = LiveFeed::default();
        self.count.send_modify(|count| *count += 1);
        self.calls.insert(id, RegistryEntry { scope, task, commands: sender, live: live.clone() });
        (Arc::new(RegistryGuard { id, registry: self.clone() }), commands, live)
    }

    /// False when no such call of this organization is live here.
    pub fn command(&self, scope: OrgScope, id: CallId, command: CallCommand) -> bool {
        let entry = self.calls.get(&id).filter(|entry| entry.scope == scope);
        entry.is_some_and(|entry| entry.commands.try_send(command).is_ok())
    }

    /// Sends a command from beside the call; what it says to that follows. `None` when no such call of this organization
    /// is live here.
    ///
    /// # Errors
    ///
    /// [`ControlError::Busy`] while as many commands wait as may.
    pub fn control(
        &self, scope: OrgScope, id: CallId, control: CallControl, by: String,
    ) -> Option<Result<oneshot::Receiver<Result<(), ControlError>>, ControlError>> {
        let entry = self.calls.get(&id).filter(|entry| entry.scope == scope)?;
        if entry.commands.capacity() <= COMMANDS_KEPT {
            return Some(Err(ControlError::Busy));
        }
        let (reply, answer) = oneshot::channel();
        let command = CallCommand::Control(Box::new(ControlRequest { control, by, reply }));
        Some(match entry.commands.try_send(command) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(ControlError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ControlError::Over),
        })
    }

    /// A live call of this organization, so far and from now on; `None` when there is no such call here.
    pub fn listen(&self, scope: OrgScope, id: CallId) -> Option<LiveSubscription> {
        let live = self.calls.get(&id).filter(|entry| entry.scope == scope).map(|entry| entry.live.clone());
        live.map(|live| live.listen())
    }

    /// Returns whether this process holds a call of this organization with this id.
    pub fn is_live(&self, scope: OrgScope, id: CallId) -> bool {
        self.calls.get(&id).is_some_and(|entry| entry.scope == scope)
    }

    /// Changes of all calls from now on.
    pub fn changes(&self) -> broadcast::Receiver<CallChange> {
        self.changes.subscribe()
    }

    /// Changes of an organization's calls from now on.
    pub fn changes_of(&self, scope: OrgScope) -> broadcast::Receiver<CallChange> {
        self.of_one.retain(|_, changes| changes.receiver_count() > 0);
        self.of_one.entry(scope).or_insert_with(|| broadcast::Sender::new(CHANGES_OF_ONE_MAX)).subscribe()
    }

    /// Sends a change to the listeners of the call's organization and to those of all calls; never waits.
    pub fn announce(&self, change: CallChange) {
        let own = self.of_one.get(&change.scope).map(|own| own.clone());
        if let Some(own) = own {
            let _ = own.send(change.clone()); // the last listener may just have left
        }
        let _ = self.changes.send(change); // there may be no listeners
    }

    /// Ends the live call of a task, if there is one.
    pub fn command_task(&self, scope: OrgScope, task: TaskId, command: CallCommand) -> bool {
        let entry = self.calls.iter().find(|entry| entry.scope == scope && entry.task == Some(task));
        entry.is_some_and(|entry| entry.commands.try_send(command).is_ok())
    }

    /// Tells every live call of this process to end for this reason.
    pub fn end_all(&self, reason: EndReason) {
        for entry in self.calls.iter() {
            let _ = entry.commands.try_send(CallCommand::End(reason));
        }
    }

    /// Every call of this process.
    pub fn calls(&self) -> Vec<CallId> {
        self.calls.iter().map(|entry| *entry.key()).collect()
    }

    /// Whether this process holds a call.
    pub fn holds(&self, id: CallId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Sends a command for reasons of this process, for a call of any organization.
    pub fn command_any(&self, id: CallId, command: CallCommand) -> bool {
        self.calls.get(&id).is_some_and(|entry| entry.commands.try_send(command).is_ok())
    }

    /// Returns the number of calls in this process.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Returns when no call is left.
    pub async fn drained(&self) {
        let mut count = self.count.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl CallSlot {
    /// Returns a guard that keeps the call in the registry until all its copies are dropped.
    pub fn place(&self) -> Arc<RegistryGuard> {
        self.place.clone()
    }

    /// Releases the line for another call.
    pub fn release(&mut self) {
        self.permit = None;
    }
}

impl RegistryGuard {
    /// Returns the registry that holds the call.
    pub fn registry(&self) -> &CallRegistry {
        &self.registry
    }
}

impl Drop for RegistryGuard {
    fn drop(&mut self) {
        self.registry.calls.remove(&self.id);
        self.registry.count.send_modify(|count| *count -= 1);
    }
}
