//! The webhooks of one call: events sent to the customer's server and questions asked.

use super::services::CallServices;
use crate::domain::agent::AgentFields;
use crate::domain::call::Call;
use crate::domain::delivery::{Delivery, DeliveryChannel, DeliveryProgress, DeliveryStatus};
use crate::domain::ids::{AgentId, DeliveryId};
use crate::domain::secret::Secret;
use crate::store::{PhoneNumberFields, now};
use crate::webhooks::event;
use crate::webhooks::sender::{WebhookError, WebhookMessage};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// Where a call's events go.
#[derive(Clone, Default)]
pub(super) struct CallWebhooks {
    /// The agent whose secret signs queued deliveries.
    pub agent: Option<AgentId>,
    pub url: Option<String>,
    secret: Option<Secret>,
    events: Option<Vec<String>>,
}

impl CallWebhooks {
    pub(super) fn new(agent: Option<AgentId>, fields: &AgentFields) -> Self {
        Self {
            agent,
            url: fields.webhook_url.clone(),
            secret: fields.webhook_secret.clone(),
            events: fields.webhook_events.clone(),
        }
    }

    /// For a number without an agent.
    pub(super) fn of_number(number: &PhoneNumberFields) -> Self {
        Self { agent: None, url: number.webhook_url.clone(), secret: number.webhook_secret.clone(), events: None }
    }

    /// Updates the target after the configuration was resolved: a webhook named by the customer's server gets the
    /// events, otherwise the previous one keeps them.
    pub(super) fn for_call(self, agent: Option<AgentId>, fields: &AgentFields) -> Self {
        let own = Self::new(agent, fields);
        if own.url.is_some() { Self { secret: own.secret.or(self.secret), ..own } } else { Self { agent, ..self } }
    }

    /// The URL for an event if it is wanted; without a list, all events are.
    pub(super) fn target(&self, name: &str) -> Option<String> {
        let wanted =
            self.events.as_ref().is_none_or(|events| events.is_empty() || events.iter().any(|event| event == name));
        self.url.as_deref().filter(|_| wanted).map(|url| event::url(url, name))
    }
}

/// A webhook about a call, to be sent to `target`.
pub(super) fn delivery(
    hooks: &CallWebhooks, call: &Call, id: DeliveryId, name: &str, target: String, body: &Value,
) -> Delivery {
    Delivery {
        id,
        organization: call.organization,
        channel: DeliveryChannel::Webhook,
        order_key: format!("{} agent", call.id),
        call: Some(call.id),
        task: call.task,
        agent: hooks.agent,
        event_type: name.to_owned(),
        target,
        body: body.to_string(),
        created_at: now(),
    }
}

impl CallServices {
    /// Posts a question and waits for the answer; recorded like every webhook.
    pub(super) async fn ask_customer(
        &self, hooks: &CallWebhooks, call: &Call, name: &str, target: String, body: impl FnOnce(DeliveryId) -> Value,
        deadline: Duration,
    ) -> Result<Bytes, WebhookError> {
        let id = DeliveryId::new();
        let body = body(id);
        let one = delivery(hooks, call, id, name, target, &body);
        let text = id.to_string();
        let message = WebhookMessage {
            id: &text,
            url: &one.target,
            body: &one.body,
            secret: hooks.secret.as_ref(),
            at_s: now().0 / 1_000,
        };
        let answer = self.webhooks.post(message, deadline).await;
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
            delivered_at: result.is_ok().then(now),
        };
        self.journal.record_delivered(one, progress).await;
        result
    }
}
