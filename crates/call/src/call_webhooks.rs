//! Where the webhooks of one call go, and what is recorded about them.
//!
//! Pure: ids and times are arguments; the driver posts.

use crate::domain::agent::AgentFields;
use crate::domain::call::Call;
use crate::domain::delivery::{Delivery, DeliveryChannel, DeliveryProgress, DeliveryStatus};
use crate::domain::ids::{AgentId, DeliveryId};
use crate::domain::task::Task;
use crate::domain::time::UnixMs;
use crate::domain::webhook_secret::WebhookSecrets;
use crate::store::PhoneNumberFields;
use crate::webhooks::event;
use crate::webhooks::sender::WebhookError;
use bytes::Bytes;
use serde_json::Value;

/// Document A's event of a task whose call is initiated.
const CALL_STARTED: &str = "call_started";

/// Where a call's events go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallWebhooks {
    /// The agent whose secret signs queued deliveries.
    pub agent: Option<AgentId>,
    /// The customer's address; events have their own paths below it.
    pub url: Option<String>,
    /// Sign questions.
    pub secrets: WebhookSecrets,
    /// Events that are wanted; all without a list.
    events: Option<Vec<String>>,
}

impl CallWebhooks {
    /// Those of an agent.
    pub fn new(agent: Option<AgentId>, fields: &AgentFields) -> Self {
        Self {
            agent,
            url: fields.webhook_url.clone(),
            secrets: fields.webhook_secrets(),
            events: fields.webhook_events.clone(),
        }
    }

    /// For a number without an agent.
    pub fn of_number(number: &PhoneNumberFields) -> Self {
        Self { agent: None, url: number.webhook_url.clone(), secrets: number.webhook_secrets(), events: None }
    }

    /// Updates the target after the configuration was resolved: a webhook named by the customer's server gets the
    /// events, otherwise the previous one keeps them.
    pub fn for_call(self, agent: Option<AgentId>, fields: &AgentFields) -> Self {
        let own = Self::new(agent, fields);
        let secrets = if own.secrets.present.is_some() { own.secrets.clone() } else { self.secrets.clone() };
        if own.url.is_some() { Self { secrets, ..own } } else { Self { agent, ..self } }
    }

    /// The URL for an event if it is wanted; without a list, all events are.
    pub fn target(&self, name: &str) -> Option<String> {
        let wanted =
            self.events.as_ref().is_none_or(|events| events.is_empty() || events.iter().any(|event| event == name));
        self.url.as_deref().filter(|_| wanted).map(|url| event::url(url, name))
    }

    /// A webhook of this call to an address.
    pub fn delivery(
        &self, call: &Call, id: DeliveryId, name: &str, target: String, body: &Value, at: UnixMs,
    ) -> Delivery {
        Delivery {
            id,
            organization: call.organization,
            channel: DeliveryChannel::Webhook,
            order_key: format!("{} agent", call.id),
            call: Some(call.id),
            task: call.task,
            agent: self.agent,
            event_type: name.to_owned(),
            target,
            body: body.to_string(),
            created_at: at,
        }
    }

    /// Tells the customer's server that the status changed, if it wants to know.
    pub fn status_update(&self, call: &Call, id: DeliveryId, at: UnixMs) -> Option<Delivery> {
        let target = self.target(event::STATUS_UPDATE)?;
        Some(self.delivery(call, id, event::STATUS_UPDATE, target, &event::status_update(id, call, at), at))
    }

    /// Tells the customer's server that another agent has the call, if it wants to know.
    pub fn agent_changed(
        &self, call: &Call, previous: Option<AgentId>, id: DeliveryId, at: UnixMs,
    ) -> Option<Delivery> {
        let target = self.target(event::AGENT_CHANGED)?;
        let body = event::agent_changed(id, call, previous, at);
        Some(self.delivery(call, id, event::AGENT_CHANGED, target, &body, at))
    }

    /// Tells the task's webhook that its call is initiated, if it wants to know.
    pub fn task_started(&self, call: &Call, task: &Task, id: DeliveryId, at: UnixMs) -> Option<Delivery> {
        let target = task.fields.webhook(CALL_STARTED)?;
        let body = event::task_event(CALL_STARTED, task.id, call, &[]);
        let one = self.delivery(call, id, CALL_STARTED, target, &body, at);
        Some(Delivery { order_key: format!("{} task", call.id), ..one })
    }
}

/// A customer's answer to a question.
#[derive(Debug)]
pub struct CustomerAnswer {
    /// The body of a 2xx; everything else is an error.
    pub result: Result<Bytes, WebhookError>,
    /// What is recorded about the one attempt.
    pub progress: DeliveryProgress,
}

impl CustomerAnswer {
    /// Reads status and body, or that there was no answer.
    pub fn new(answer: Result<(u16, Bytes), WebhookError>, at: UnixMs) -> Self {
        let status = answer.as_ref().ok().map(|(status, _)| *status);
        let result = match answer {
            Ok((status, body)) if (200..300).contains(&status) => Ok(body),
            Ok((status, _)) => Err(WebhookError::Status(status)),
            Err(failure) => Err(failure),
        };
        let progress = DeliveryProgress {
            status: if result.is_ok() { DeliveryStatus::Delivered } else { DeliveryStatus::Failed },
            attempts: 1,
            next_attempt_at: None,
            response_status: status.map(i64::from),
            error: result.as_ref().err().map(WebhookError::to_string),
            delivered_at: result.is_ok().then_some(at),
        };
        Self { result, progress }
    }
}

#[cfg(test)]
mod tests;
