//! Questions to the customer's server about a call.

use super::services::CallServices;
use crate::call_webhooks::{CallWebhooks, CustomerAnswer};
use crate::domain::call::Call;
use crate::domain::collected::CollectedValues;
use crate::domain::ids::DeliveryId;
use crate::store::now;
use crate::webhooks::sender::{WebhookError, WebhookMessage};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// A question to the customer's server.
pub(super) struct CustomerQuestion {
    /// Of the event.
    pub(super) name: &'static str,
    /// Where it is posted.
    pub(super) target: String,
    /// What body and target may refer to; the record keeps the references.
    pub(super) collected: CollectedValues,
    pub(super) deadline: Duration,
}

impl CallServices {
    /// Posts a question and waits for the answer; recorded like every webhook.
    pub(super) async fn ask_customer(
        &self, hooks: &CallWebhooks, call: &Call, question: CustomerQuestion, body: impl FnOnce(DeliveryId) -> Value,
    ) -> Result<Bytes, WebhookError> {
        let CustomerQuestion { name, target, collected, deadline } = question;
        let id = DeliveryId::new();
        let one = hooks.delivery(call, id, name, target, &body(id), now());
        let (text, secrets) = (id.to_string(), hooks.secrets.valid_at(now()));
        let (url, body) = (collected.fill_url(&one.target), collected.fill_json(&one.body));
        let message = WebhookMessage { id: &text, url: &url, body: &body, secrets: &secrets, at_s: now().0 / 1_000 };
        let answer = self.webhooks.post(message, deadline).await;
        let CustomerAnswer { result, progress } = CustomerAnswer::new(answer, now());
        self.journal.record_delivered(one, progress).await;
        result
    }
}
