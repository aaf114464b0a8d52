//! The row of a call while it goes on, and the events that go with it.

use super::last_written_call::{CallPanicGuard, LastWrittenCall};
use super::services::CallServices;
use super::sip_logs::SipLogs;
use crate::call_row;
use crate::call_webhooks::CallWebhooks;
use crate::domain::call::Call;
use crate::domain::delivery::Delivery;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, DeliveryId};
use crate::domain::task::Task;
use crate::domain::transfer::USER_TO_USER;
use crate::live_update::{LiveFeed, LiveUpdate};
use crate::registry::{CallChange, CallSlot, RegistryGuard};
use crate::sip_causes::forget_refusal;
use crate::store::journal::Journal;
use crate::store::{OrgScope, now};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The call's row and its events.
pub(super) struct CallRecord {
    pub scope: OrgScope,
    pub call: Call,
    pub(super) hooks: CallWebhooks,
    pub(super) journal: Journal,
    sip_logs: SipLogs,
    pub(super) live: LiveFeed,
    place: Arc<RegistryGuard>,
    /// Knows the call when its task is gone.
    panic_guard: CallPanicGuard,
    /// What the signalling said: headers, identity, causes.
    signalling: Map<String, Value>,
}

impl CallRecord {
    pub(super) async fn new(
        context: &CallServices, scope: OrgScope, mut call: Call, hooks: CallWebhooks, slot: &CallSlot,
        panic_guard: &CallPanicGuard,
    ) -> Self {
        call.node = Some(context.node.clone());
        context.sip_logs.open(call.id);
        let writers = (&context.journal, &context.sip_logs);
        let mut record = Self::resume_existing(writers, scope, call, hooks, slot.live.clone(), slot.place());
        record.panic_guard = panic_guard.clone();
        record.write(None).await;
        // Counted with the row, as the end is: a call that is refused or never acknowledged begins and ends too.
        metrics::counter!("trunkline_calls_started_total", "direction" => record.call.direction.name()).increment(1);
        record
    }

    /// For a call whose row exists already.
    pub(super) fn resume_existing(
        (journal, sip_logs): (&Journal, &SipLogs), scope: OrgScope, call: Call, hooks: CallWebhooks, live: LiveFeed,
        place: Arc<RegistryGuard>,
    ) -> Self {
        let signalling = call_row::signalling_facts(&call);
        let (journal, sip_logs, panic_guard) = (journal.clone(), sip_logs.clone(), CallPanicGuard::default());
        Self { scope, hooks, journal, sip_logs, live, place, panic_guard, signalling, call }
    }

    /// The User-to-User header that the call came with.
    pub(super) fn user_to_user(&self) -> Option<&str> {
        call_row::received_header(&self.signalling, USER_TO_USER)
    }

    /// Adds facts from signalling.
    pub(super) fn add_signalling_facts(&mut self, facts: Map<String, Value>) {
        self.signalling.extend(facts);
        self.call.signalling = (!self.signalling.is_empty()).then(|| Value::Object(self.signalling.clone()));
    }

    /// An attempt was answered: what was said of those before it is not the call's.
    pub(super) fn forget_refused_attempts(&mut self) {
        forget_refusal(&mut self.signalling);
        self.add_signalling_facts(Map::new());
    }

    /// Keeps the row for the case that the call's task panics.
    fn keep_for_panic(&self) {
        let Self { scope, call, hooks, live, place, .. } = self;
        let last = (!call.status().is_over()).then(|| LastWrittenCall {
            scope: *scope,
            call: call.clone(),
            hooks: hooks.clone(),
            live: live.clone(),
            place: place.clone(),
        });
        self.panic_guard.record_written(last);
    }

    /// Writes the row together with its event: never one without the other.
    pub(super) async fn write(&self, event: Option<Delivery>) {
        self.journal.record_call(self.call.clone(), event).await;
        self.keep_for_panic();
        let (status, end_reason) = (self.call.status(), self.call.end_reason());
        self.live.send(LiveUpdate::Status { status, end_reason });
        self.place.registry().announce(CallChange { scope: self.scope, call: self.call.id, status, here: true });
    }

    /// Sets one entry of the call's metrics.
    pub(super) fn set_metric(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            call_row::set_metric(&mut self.call, name, value);
        }
    }

    /// Adds what another agent has to an entry of the call's metrics.
    pub(super) fn add_metric(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            call_row::add_metric(&mut self.call, name, value);
        }
    }

    /// Records how many lines the call holds, for other processes.
    pub(super) async fn record_legs(&mut self, legs: u32) {
        if self.call.legs != legs {
            self.call.legs = legs;
            self.journal.record_call(self.call.clone(), None).await;
            self.keep_for_panic();
        }
    }

    /// Records the metrics so far, for those who look while the call goes on.
    pub(super) async fn record_figures(&self) {
        self.journal.record_call(self.call.clone(), None).await;
        self.keep_for_panic();
    }

    pub(super) async fn record_answered(&mut self) {
        call_row::answer(&mut self.call, now());
        self.write(self.status_update()).await;
    }

    /// Records that another agent has the call. Both webhooks are told, if the next agent has one of its own.
    pub(super) async fn record_agent_changed(&mut self, agent: Option<AgentId>, assistant: Value, hooks: CallWebhooks) {
        let previous = std::mem::replace(&mut self.call.agent, agent);
        self.call.assistant = Some(assistant);
        let before = std::mem::replace(&mut self.hooks, hooks);
        let told = before.agent_changed(&self.call, previous, DeliveryId::new(), now());
        self.journal.record_call(self.call.clone(), told).await;
        if before.url != self.hooks.url
            && let Some(one) = self.hooks.agent_changed(&self.call, previous, DeliveryId::new(), now())
        {
            self.journal.record_delivery(one).await;
        }
        self.keep_for_panic();
    }

    /// Records the one final state.
    pub(super) async fn record_ended(&mut self, reason: EndReason) {
        call_row::end(&mut self.call, reason, now());
        self.write(self.status_update()).await;
        self.sip_logs.record_ended(self.call.id);
        metrics::counter!("trunkline_calls_ended_total", "direction" => self.call.direction.name(), "reason" => reason.name())
            .increment(1);
    }
}

impl CallRecord {
    /// Tells the customer's server that the status changed.
    pub(super) fn status_update(&self) -> Option<Delivery> {
        self.hooks.status_update(&self.call, DeliveryId::new(), now())
    }

    /// Document A: the call of a task is initiated.
    pub(super) async fn task_started(&self, task: &Task) {
        if let Some(one) = self.hooks.task_started(&self.call, task, DeliveryId::new(), now()) {
            self.journal.record_delivery(one).await;
        }
    }
}
