//! Calls of other processes on the same database: commands go to the process that holds the call, updates come back to
//! the process with listeners.

use super::concurrency::{ConcurrencyKind, ConcurrencyLimit, ConcurrencyLimiter};
use super::sip_logs::SipLogs;
use crate::cluster_messages::{ClusterEffect, ClusterMessage, ForwardedCalls, Subscribed, effect, update_message};
use crate::domain::call_control::{CallControl, ControlError};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TaskId};
use crate::domain::quota::Quotas;
use crate::live_update::{self, LiveUpdate};
use crate::registry::{CallChange, CallCommand, CallRegistry};
use crate::store::node_bus::NodeBus;
use crate::store::{OrgScope, Store};
use crate::supervision::{Supervisor, spawn};
use dashmap::DashMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast, oneshot};
use uuid::Uuid;

/// How often subscriptions are renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// A turn too long for a bus message is read from the database, where it arrives shortly.
const TURN_READ_RETRY_AFTER: Duration = Duration::from_millis(150);
const READS_MAX: usize = 10;
/// How long a call may take to say whether it takes a command: it does so between two events.
const CONTROL_DEADLINE: Duration = Duration::from_secs(2);
/// The same of a call in another process, with the way there and back.
const REMOTE_CONTROL_DEADLINE: Duration = Duration::from_secs(3);
/// Commands whose answers other processes owe at once.
const ASKED_MAX: usize = 1_024;

/// What a call has said to a command. A call that drops it takes none: it is not answered yet.
async fn answered(answer: oneshot::Receiver<Result<(), ControlError>>, within: Duration) -> Result<(), ControlError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(ControlError::NotAnswered),
        Err(_) => Err(ControlError::NoAnswer),
    }
}

#[derive(Debug)]
struct RemoteListeners {
    scope: OrgScope,
    updates: broadcast::Sender<LiveUpdate>,
}

/// Client of the other processes; does nothing without a bus.
#[derive(Clone, Debug)]
pub struct Cluster {
    bus: Option<NodeBus>,
    registry: CallRegistry,
    store: Store,
    /// Calls held by other processes that have listeners here.
    listeners: Arc<Mutex<HashMap<CallId, RemoteListeners>>>,
    /// Commands to calls that other processes hold, whose answers are waited for here.
    asked: Arc<DashMap<Uuid, oneshot::Sender<Result<(), ControlError>>>>,
    /// Calls held here that have listeners in other processes.
    sending: Arc<Mutex<ForwardedCalls<Arc<Notify>>>>,
    trunks_changed: Arc<Notify>,
}

/// The live calls of the installation: those of this process, and the way to those of others.
#[derive(Clone, Debug)]
pub struct LiveCalls {
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// Messages to and from the other nodes that share the database.
    pub cluster: Cluster,
    /// The SIP messages of the calls of this process.
    pub sip_logs: SipLogs,
    /// Connections that follow live calls (`/ws/calls`, `/ws/events`).
    pub listeners: ConcurrencyLimiter,
}

impl LiveCalls {
    /// Starts the exchange with the other nodes; `live_connections` of the quotas limits one organization's connections.
    pub fn build(store: &Store, supervisor: &Supervisor, quotas: &Quotas, sip_logs: SipLogs) -> Self {
        let registry = CallRegistry::default();
        let cluster = Cluster::start(store, &registry, supervisor);
        let listeners = ConcurrencyLimit::of(ConcurrencyKind::LiveConnections, quotas);
        Self { registry, cluster, sip_logs, listeners: ConcurrencyLimiter::new(listeners) }
    }
}

impl Cluster {
    /// Connects to the bus of the nodes and starts its tasks; without a bus nothing starts.
    pub fn start(store: &Store, registry: &CallRegistry, supervisor: &Supervisor) -> Self {
        let remote = Self {
            bus: NodeBus::start(store, supervisor),
            registry: registry.clone(),
            store: store.clone(),
            listeners: Arc::default(),
            asked: Arc::default(),
            sending: Arc::default(),
            trunks_changed: Arc::default(),
        };
        if let Some(bus) = &remote.bus {
            supervisor.supervise("bus", (remote.clone(), bus.subscribe()), |(own, heard)| Box::pin(own.receive(heard)));
            let own = remote.clone();
            supervisor.start("bus", move || own.clone().renew_subscriptions());
            let changes = registry.changes();
            supervisor.supervise("bus", (remote.clone(), changes), |(own, changes)| {
                Box::pin(own.publish_call_changes(changes))
            });
        }
        remote
    }

    /// Consoles of other processes see our calls change too.
    async fn publish_call_changes(&self, changes: &mut broadcast::Receiver<CallChange>) {
        loop {
            match changes.recv().await {
                Ok(CallChange { scope, call, status, here: true }) => {
                    let (organization, call) = (scope.organization().to_string(), call.to_string());
                    self.publish(&ClusterMessage::Changed { organization, call, status: status.name().to_owned() })
                        .await;
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// Another process changed a trunk.
    pub async fn trunks_changed(&self) {
        self.trunks_changed.notified().await;
    }

    /// Tells the other processes that a trunk changed here.
    pub async fn publish_trunks_changed(&self) {
        self.publish(&ClusterMessage::Trunks).await;
    }

    /// Ends a call on whichever process holds it; false when there is no other process.
    pub async fn end(&self, scope: OrgScope, call: CallId, reason: EndReason) -> bool {
        let organization = scope.organization().to_string();
        self.publish(&ClusterMessage::End { organization, call: call.to_string(), reason: reason.name().to_owned() })
            .await
    }

    /// Gives a command to a call, in whichever process it is, and says what the call has answered.
    ///
    /// # Errors
    ///
    /// Why the call has not taken it.
    pub async fn control(
        &self, scope: OrgScope, call: CallId, control: CallControl, by: String,
    ) -> Result<(), ControlError> {
        if let Some(sent) = self.registry.control(scope, call, control.clone(), by.clone()) {
            return answered(sent?, CONTROL_DEADLINE).await;
        }
        if self.bus.is_none() {
            return Err(ControlError::Over);
        }
        if self.asked.len() >= ASKED_MAX {
            return Err(ControlError::Busy);
        }
        let (request, (reply, answer)) = (Uuid::now_v7(), oneshot::channel());
        self.asked.insert(request, reply);
        let (organization, call) = (scope.organization().to_string(), call.to_string());
        self.publish(&ClusterMessage::Control { organization, call, request, control, by }).await;
        let result = answered(answer, REMOTE_CONTROL_DEADLINE).await;
        self.asked.remove(&request);
        result
    }

    /// A command of another process for a call that may be held here; who does not hold it says nothing.
    fn control_for_other(&self, scope: OrgScope, call: CallId, request: Uuid, (control, by): (CallControl, String)) {
        let Some(sent) = self.registry.control(scope, call, control, by) else { return };
        let own = self.clone();
        let answer = async move {
            let result = match sent {
                Ok(answer) => answered(answer, CONTROL_DEADLINE).await,
                Err(error) => Err(error),
            };
            own.publish(&ClusterMessage::Controlled { request, error: result.err() }).await;
        };
        drop(spawn("bus", answer));
    }

    /// The same for the live call of a task.
    pub async fn end_task(&self, scope: OrgScope, task: TaskId, reason: EndReason) -> bool {
        let organization = scope.organization().to_string();
        self.publish(&ClusterMessage::EndTask {
            organization,
            task: task.to_string(),
            reason: reason.name().to_owned(),
        })
        .await
    }

    /// Updates of a call that another process holds; `None` when there is no other process.
    pub async fn listen(&self, scope: OrgScope, call: CallId) -> Option<broadcast::Receiver<LiveUpdate>> {
        self.bus.as_ref()?;
        let updates = {
            let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || RemoteListeners { scope, updates: broadcast::Sender::new(live_update::UPDATES_MAX) };
            all.entry(call).or_insert_with(new).updates.subscribe()
        };
        let organization = scope.organization().to_string();
        self.publish(&ClusterMessage::Listen { organization, call: call.to_string(), from_start: true }).await;
        Some(updates)
    }

    async fn publish(&self, message: &ClusterMessage) -> bool {
        let Some(bus) = &self.bus else { return false };
        let text = serde_json::to_string(message).unwrap_or_default();
        if let Err(error) = bus.publish(&text).await {
            tracing::error!(%error, "cannot publish to other processes");
        }
        true
    }

    async fn receive(&self, heard: &mut broadcast::Receiver<String>) {
        loop {
            let text = match heard.recv().await {
                Ok(text) => text,
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    metrics::counter!("trunkline_queue_overflows_total", "queue" => "bus").increment(count);
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            };
            match serde_json::from_str(&text) {
                Ok(message) => self.handle_message(message),
                // A newer version may know more messages.
                Err(error) => tracing::debug!(%error, "unknown message of another process"),
            }
        }
    }

    fn handle_message(&self, message: ClusterMessage) {
        match effect(message, |organization| self.scope(organization)) {
            ClusterEffect::End(scope, call, reason) => {
                self.registry.command(scope, call, CallCommand::End(reason));
            }
            ClusterEffect::EndTask(scope, task, reason) => {
                self.registry.command_task(scope, task, CallCommand::End(reason));
            }
            ClusterEffect::Control { scope, call, request, control, by } => {
                self.control_for_other(scope, call, request, (control, by));
            }
            ClusterEffect::Controlled(request, result) => {
                if let Some((_, asked)) = self.asked.remove(&request) {
                    let _ = asked.send(result); // nobody waits any more
                }
            }
            ClusterEffect::Forward { scope, call, from_start } => self.send_updates(scope, call, from_start),
            ClusterEffect::Update(call, update) => self.forward_update(call, update),
            ClusterEffect::ReadTurn(call, position) => drop(spawn("bus", self.clone().read_turn(call, position))),
            ClusterEffect::DropListeners(call) => self.drop_listeners(call),
            ClusterEffect::Announce(scope, call, status) => {
                self.registry.announce(CallChange { scope, call, status, here: false });
            }
            ClusterEffect::ReloadTrunks => self.trunks_changed.notify_one(),
            ClusterEffect::Nothing => {}
        }
    }

    fn scope(&self, organization: &str) -> Option<OrgScope> {
        self.bus.as_ref()?.scope(organization)
    }

    fn forward_update(&self, call: CallId, update: LiveUpdate) {
        let all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = all.get(&call) {
            let _ = listeners.updates.send(update);
        }
    }

    /// Closes the listeners of a call.
    fn drop_listeners(&self, call: CallId) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }

    async fn read_turn(self, call: CallId, position: u32) {
        let scope = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).get(&call).map(|one| one.scope);
        let Some(scope) = scope else { return };
        for _ in 0..READS_MAX {
            if let Ok(turns) = self.store.turns_by_position(scope, call).await
                && let Some(turn) = turns.get(&position).cloned()
            {
                return self.forward_update(call, LiveUpdate::Turn { position, turn });
            }
            tokio::time::sleep(TURN_READ_RETRY_AFTER).await;
        }
    }

    /// Sends the updates of a call held here to the other processes while they have listeners. A new listener also
    /// gets all updates so far.
    fn send_updates(&self, scope: OrgScope, call: CallId, from_start: bool) {
        if !self.registry.is_live(scope, call) {
            return;
        }
        match self.sending().subscribe(call, from_start, Instant::now(), || Arc::new(Notify::new())) {
            Subscribed::Renewed => {}
            Subscribed::SendAgain(again) => again.notify_one(),
            Subscribed::Start(again) => drop(spawn("bus", self.clone().forward(scope, call, again))),
        }
    }

    fn sending(&self) -> MutexGuard<'_, ForwardedCalls<Arc<Notify>>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn forward(self, scope: OrgScope, call: CallId, again: Arc<Notify>) {
        let Some((mut turns, mut updates)) = self.registry.listen(scope, call) else {
            return self.publish_call_ended(call).await;
        };
        loop {
            for (position, turn) in std::mem::take(&mut turns) {
                self.publish(&update_message(call, LiveUpdate::Turn { position, turn })).await;
            }
            let until = self.sending().until(call, Instant::now());
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(update) => drop(self.publish(&update_message(call, update)).await),
                    // Lost updates are contained in the turns so far, which are sent in order.
                    Err(broadcast::error::RecvError::Lagged(_)) => again.notify_one(),
                    Err(broadcast::error::RecvError::Closed) => return self.publish_call_ended(call).await,
                },
                () = again.notified() => match self.registry.listen(scope, call) {
                    Some(anew) => (turns, updates) = anew,
                    None => return self.publish_call_ended(call).await,
                },
                () = tokio::time::sleep_until(until.into()) => {
                    if self.sending().expire(call, Instant::now()) {
                        return;
                    }
                }
            }
        }
    }

    async fn publish_call_ended(&self, call: CallId) {
        self.publish(&ClusterMessage::Over { call: call.to_string() }).await;
        self.sending().remove(call);
    }

    /// Renews subscriptions that are still used; drops those of ended calls and without listeners.
    async fn renew_subscriptions(self) {
        let mut tick = tokio::time::interval(RENEW_INTERVAL);
        loop {
            tick.tick().await;
            let wanted: Vec<(CallId, OrgScope)> = {
                let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
                all.retain(|_, listeners| listeners.updates.receiver_count() > 0);
                all.iter().map(|(call, listeners)| (*call, listeners.scope)).collect()
            };
            for (call, scope) in wanted {
                let over = matches!(self.store.call(scope, call).await, Ok(Some(found)) if found.status().is_over());
                if over {
                    // Its process may have died silently.
                    self.drop_listeners(call);
                    continue;
                }
                let organization = scope.organization().to_string();
                self.publish(&ClusterMessage::Listen { organization, call: call.to_string(), from_start: false }).await;
            }
        }
    }
}
