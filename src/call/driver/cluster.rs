//! Calls of other processes on the same database: commands go to the process that holds the call, updates come back to
//! the process with listeners.

use super::concurrency::{ConcurrencyLimit, ConcurrencyLimiter};
use crate::call::live_update::{self, LiveUpdate};
use crate::call::registry::{CallChange, CallCommand, CallRegistry};
use crate::domain::call::CallStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{CallId, TaskId};
use crate::domain::quota::Quotas;
use crate::domain::transcript::Turn;
use crate::store::node_bus::{MESSAGE_BYTES_MAX, NodeBus};
use crate::store::{OrgScope, Store};
use crate::supervision::{Supervisor, spawn};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, broadcast};

/// How often subscriptions are renewed.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// A subscription expires after this without renewal.
const SUBSCRIPTION_TTL: Duration = Duration::from_secs(15);
/// A turn too long for a bus message is read from the database, where it arrives shortly.
const TURN_READ_RETRY_AFTER: Duration = Duration::from_millis(150);
const READS_MAX: usize = 10;

/// Bus messages between processes. Ids travel as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClusterMessage {
    End {
        organization: String,
        call: String,
        reason: String,
    },
    EndTask {
        organization: String,
        task: String,
        reason: String,
    },
    Listen {
        organization: String,
        call: String,
        /// A new listener needs everything so far.
        #[serde(default)]
        from_start: bool,
    },
    Turn {
        call: String,
        position: u32,
        turn: Turn,
    },
    LongTurn {
        call: String,
        position: u32,
    },
    Interim {
        call: String,
        text: String,
    },
    Status {
        call: String,
        status: String,
        end_reason: Option<String>,
    },
    Over {
        call: String,
    },
    Changed {
        organization: String,
        call: String,
        status: String,
    },
    Trunks,
}

#[derive(Debug)]
struct RemoteListeners {
    scope: OrgScope,
    updates: broadcast::Sender<LiveUpdate>,
}

#[derive(Debug)]
struct UpdateForwarding {
    until: Instant,
    /// A new listener: send everything so far again.
    again: Arc<Notify>,
}

/// Client of the other processes; does nothing without a bus.
#[derive(Clone, Debug)]
pub struct Cluster {
    bus: Option<NodeBus>,
    registry: CallRegistry,
    store: Store,
    /// Calls held by other processes that have listeners here.
    listeners: Arc<Mutex<HashMap<CallId, RemoteListeners>>>,
    /// Calls held here that have listeners in other processes.
    sending: Arc<Mutex<HashMap<CallId, UpdateForwarding>>>,
    trunks_changed: Arc<Notify>,
}

/// Live connections in all: half of the connections the API takes.
const LIVE_MAX: usize = 2_048;

/// The live calls of the installation: those of this process, and the way to those of others.
#[derive(Clone, Debug)]
pub struct LiveCalls {
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// Messages to and from the other nodes that share the database.
    pub cluster: Cluster,
    /// Connections that follow live calls (`/ws/calls`, `/ws/events`).
    pub listeners: ConcurrencyLimiter,
}

impl LiveCalls {
    /// Starts the exchange with the other nodes; `live_connections` of the quotas limits one organization's connections.
    pub fn build(store: &Store, supervisor: &Supervisor, quotas: &Quotas) -> Self {
        let registry = CallRegistry::default();
        let cluster = Cluster::start(store, &registry, supervisor);
        let of_one = quotas.live_connections as usize;
        let listeners = ConcurrencyLimit { limit: "live_connections", of_one, in_all: LIVE_MAX };
        Self { registry, cluster, listeners: ConcurrencyLimiter::new(listeners) }
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
        match message {
            ClusterMessage::End { organization, call, reason } => {
                let known = self.scope(&organization).zip(CallId::parse(&call)).zip(EndReason::parse(&reason));
                if let Some(((scope, call), reason)) = known {
                    self.registry.command(scope, call, CallCommand::End(reason));
                }
            }
            ClusterMessage::EndTask { organization, task, reason } => {
                let known = self.scope(&organization).zip(TaskId::parse(&task)).zip(EndReason::parse(&reason));
                if let Some(((scope, task), reason)) = known {
                    self.registry.command_task(scope, task, CallCommand::End(reason));
                }
            }
            ClusterMessage::Listen { organization, call, from_start } => {
                if let Some((scope, call)) = self.scope(&organization).zip(CallId::parse(&call)) {
                    self.send_updates(scope, call, from_start);
                }
            }
            ClusterMessage::Turn { call, position, turn } => {
                self.forward_update(&call, LiveUpdate::Turn { position, turn })
            }
            ClusterMessage::LongTurn { call, position } => {
                spawn("bus", self.clone().read_turn(call, position));
            }
            ClusterMessage::Interim { call, text } => self.forward_update(&call, LiveUpdate::Interim { text }),
            ClusterMessage::Status { call, status, end_reason } => {
                if let Some(status) = CallStatus::parse(&status) {
                    let end_reason = end_reason.as_deref().and_then(EndReason::parse);
                    self.forward_update(&call, LiveUpdate::Status { status, end_reason });
                }
            }
            ClusterMessage::Over { call } => self.drop_listeners(&call),
            ClusterMessage::Changed { organization, call, status } => {
                let known = self.scope(&organization).zip(CallId::parse(&call)).zip(CallStatus::parse(&status));
                if let Some(((scope, call), status)) = known {
                    self.registry.announce(CallChange { scope, call, status, here: false });
                }
            }
            ClusterMessage::Trunks => self.trunks_changed.notify_one(),
        }
    }

    fn scope(&self, organization: &str) -> Option<OrgScope> {
        self.bus.as_ref()?.scope(organization)
    }

    fn forward_update(&self, call: &str, update: LiveUpdate) {
        let all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = CallId::parse(call).and_then(|call| all.get(&call)) {
            let _ = listeners.updates.send(update);
        }
    }

    /// Closes the listeners of a call.
    fn drop_listeners(&self, call: &str) {
        if let Some(call) = CallId::parse(call) {
            self.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        }
    }

    async fn read_turn(self, call: String, position: u32) {
        let Some(id) = CallId::parse(&call) else { return };
        let scope = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).get(&id).map(|one| one.scope);
        let Some(scope) = scope else { return };
        for _ in 0..READS_MAX {
            if let Ok(turns) = self.store.turns_by_position(scope, id).await
                && let Some(turn) = turns.get(&position).cloned()
            {
                return self.forward_update(&call, LiveUpdate::Turn { position, turn });
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
        let until = Instant::now() + SUBSCRIPTION_TTL;
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        match sending.get_mut(&call) {
            Some(known) => {
                known.until = until;
                if from_start {
                    known.again.notify_one();
                }
            }
            None => {
                let again = Arc::new(Notify::new());
                sending.insert(call, UpdateForwarding { until, again: again.clone() });
                spawn("bus", self.clone().forward(scope, call, again));
            }
        }
    }

    async fn forward(self, scope: OrgScope, call: CallId, again: Arc<Notify>) {
        let Some((mut turns, mut updates)) = self.registry.listen(scope, call) else {
            return self.publish_call_ended(call).await;
        };
        loop {
            for (position, turn) in std::mem::take(&mut turns) {
                self.publish(&message(call, LiveUpdate::Turn { position, turn })).await;
            }
            let until = self.sending.lock().unwrap_or_else(PoisonError::into_inner).get(&call).map(|one| one.until);
            let until = until.unwrap_or_else(Instant::now);
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(update) => drop(self.publish(&message(call, update)).await),
                    // Lost updates are contained in the turns so far, which are sent in order.
                    Err(broadcast::error::RecvError::Lagged(_)) => again.notify_one(),
                    Err(broadcast::error::RecvError::Closed) => return self.publish_call_ended(call).await,
                },
                () = again.notified() => match self.registry.listen(scope, call) {
                    Some(anew) => (turns, updates) = anew,
                    None => return self.publish_call_ended(call).await,
                },
                () = tokio::time::sleep_until(until.into()) => {
                    let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
                    if sending.get(&call).is_none_or(|one| one.until <= Instant::now()) {
                        sending.remove(&call);
                        return;
                    }
                }
            }
        }
    }

    async fn publish_call_ended(&self, call: CallId) {
        self.publish(&ClusterMessage::Over { call: call.to_string() }).await;
        self.sending.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
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
                let over = matches!(self.store.call(scope, call).await, Ok(Some(found)) if found.status.is_over());
                if over {
                    // Its process may have died silently.
                    self.drop_listeners(&call.to_string());
                    continue;
                }
                let organization = scope.organization().to_string();
                self.publish(&ClusterMessage::Listen { organization, call: call.to_string(), from_start: false }).await;
            }
        }
    }
}

fn message(call: CallId, update: LiveUpdate) -> ClusterMessage {
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
        LiveUpdate::Status { status, end_reason } => ClusterMessage::Status {
            call,
            status: status.name().to_owned(),
            end_reason: end_reason.map(|reason| reason.name().to_owned()),
        },
    }
}
