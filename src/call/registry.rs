//! The calls of this process: how the API reaches one, and how many there are.

use super::driver::{WebOffer, WebRestart};
use super::live::{self, Update};
use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TaskId};
use crate::store::OrgScope;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, mpsc, watch};

/// Commands waiting for one call; it reads them at once, so more than a few means a caller in a loop.
const COMMANDS_MAX: usize = 16;

#[derive(Debug)]
pub enum Command {
    /// Ends the call with this reason.
    End(EndReason),
    /// A browser's offer, for a call that waits for one.
    Connect(Box<WebOffer>),
    /// Candidates that a browser found later.
    Candidates(Vec<String>),
    RestartIce(Box<WebRestart>),
}

#[derive(Clone, Debug)]
struct Entry {
    scope: OrgScope,
    task: Option<TaskId>,
    commands: mpsc::Sender<Command>,
    live: broadcast::Sender<Update>,
}

/// Handed to the API; calls register themselves.
#[derive(Clone, Debug)]
pub struct Registry {
    calls: Arc<Mutex<HashMap<CallId, Entry>>>,
    count: Arc<watch::Sender<usize>>,
    changes: broadcast::Sender<Change>,
}

/// A call of this installation has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub scope: OrgScope,
    pub call: CallId,
    pub status: CallStatus,
    /// It is held by this process.
    pub here: bool,
}

/// Changes a listener may lag behind by.
const CHANGES_MAX: usize = 1_024;

/// A call's place; leaving it takes the call out.
#[derive(Debug)]
pub struct Seat {
    id: CallId,
    registry: Registry,
    pub commands: mpsc::Receiver<Command>,
    /// Sending never waits; without listeners it does nothing.
    pub live: broadcast::Sender<Update>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
            changes: broadcast::Sender::new(CHANGES_MAX),
        }
    }
}

impl Registry {
    pub fn enter(&self, scope: OrgScope, id: CallId, task: Option<TaskId>) -> Seat {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let live = broadcast::Sender::new(live::UPDATES_MAX);
        let mut calls = self.lock();
        calls.insert(id, Entry { scope, task, commands: sender, live: live.clone() });
        self.count.send_replace(calls.len());
        drop(calls);
        Seat { id, registry: self.clone(), commands, live }
    }

    /// False when no such call of this organization is live here.
    pub fn command(&self, scope: OrgScope, id: CallId, command: Command) -> bool {
        let calls = self.lock();
        let entry = calls.get(&id).filter(|entry| entry.scope == scope);
        entry.is_some_and(|entry| entry.commands.try_send(command).is_ok())
    }

    /// Updates of a live call of this organization from now on; `None` when there is no such call here.
    pub fn listen(&self, scope: OrgScope, id: CallId) -> Option<broadcast::Receiver<Update>> {
        let calls = self.lock();
        calls.get(&id).filter(|entry| entry.scope == scope).map(|entry| entry.live.subscribe())
    }

    /// Changes of all calls from now on; whoever listens keeps to one organization.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub fn announce(&self, change: Change) {
        let _ = self.changes.send(change); // nobody need listen
    }

    /// Ends the live call of a task, if there is one.
    pub fn command_task(&self, scope: OrgScope, task: TaskId, command: Command) -> bool {
        let calls = self.lock();
        let entry = calls.values().find(|entry| entry.scope == scope && entry.task == Some(task));
        entry.is_some_and(|entry| entry.commands.try_send(command).is_ok())
    }

    pub fn end_all(&self, reason: EndReason) {
        for entry in self.lock().values() {
            let _ = entry.commands.try_send(Command::End(reason));
        }
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns when no call is left.
    pub async fn drained(&self) {
        let mut count = self.count.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Entry>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut calls = self.registry.lock();
        calls.remove(&self.id);
        self.registry.count.send_replace(calls.len());
    }
}
