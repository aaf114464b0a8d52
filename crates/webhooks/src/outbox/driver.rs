//! The loop: claim what is due, send each on its own, write down how it went.
#![expect(clippy::disallowed_methods, reason = "the outbox is a driver: tasks and clocks are its business")]

use super::mail::{MailMessage, Mailer};
use super::retry::retry_delay_ms;
use crate::domain::delivery::{Delivery, DeliveryChannel, DeliveryProgress, DeliveryStatus};
use crate::domain::fair_share::{FairShares, ShareLimits};
use crate::domain::time::UnixMs;
use crate::sender::{DEADLINE, WebhookError, WebhookMessage, WebhookSender};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunkline_store::{ClaimedDelivery, OrgScope, Store, now};
use trunkline_supervision::contain;

/// Deliveries in progress at once: a receiver that takes ten seconds for each answer delays its own organization
/// and no other.
const DELIVERY_SHARES: ShareLimits = ShareLimits { of_one: 16, of_family: 32, in_all: 128 };
/// How often it is looked which organizations have too many that wait.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How long a claim holds; longer than any attempt takes.
const LEASE_MS: i64 = 90_000;
/// How often the database is polled when no notification says that something is due.
const POLL: Duration = Duration::from_millis(500);

/// Answers that the same message would get again: the receiver has no such route (404, 405, 410, 501), or takes no
/// message of this size (413). Anything else may be a fault that its owner mends within a day.
const FINAL_STATUSES: [u16; 5] = [404, 405, 410, 413, 501];

/// Everything a delivery needs.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// Where deliveries wait and are recorded.
    pub store: Store,
    /// Sends the webhooks.
    pub sender: WebhookSender,
    /// Sends the mails. `None`: no SMTP server is configured, and every mail fails.
    pub mailer: Option<Mailer>,
}

/// Runs until it is stopped; what is on its way then is finished.
pub async fn run(outbox: Outbox, mut stopped: watch::Receiver<bool>) {
    let mut sending = JoinSet::new();
    let mut shares = FairShares::new(DELIVERY_SHARES);
    // Whose delivery each task is: one that breaks gives its place back too.
    let mut whose = HashMap::new();
    let mut counted = tokio::time::Instant::now();
    loop {
        if counted.elapsed() >= COUNT_EVERY {
            counted = tokio::time::Instant::now();
            if let Err(error) = outbox.store.count_waiting().await {
                tracing::error!(%error, "cannot count waiting deliveries");
            }
        }
        let claimed = match outbox.store.claim_deliveries(&mut shares, LEASE_MS).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "cannot read deliveries");
                Vec::new()
            }
        };
        for one in claimed {
            let (outbox, owner) = (outbox.clone(), (one.scope.organization(), one.root));
            let task = sending.spawn(async move {
                let _ = contain("delivery", outbox.deliver(one)).await;
            });
            whose.insert(task.id(), owner);
        }
        let done = tokio::select! {
            // One more of the same call may be due as soon as the one before it is done.
            Some(done) = sending.join_next_with_id() => Some(done),
            () = outbox.store.notifiers().outbox.notified() => None,
            () = tokio::time::sleep(POLL) => None,
            _ = stopped.changed() => break,
        };
        let mut next = done;
        while let Some(done) = next {
            let id = done.map_or_else(|broken| broken.id(), |(id, ())| id);
            if let Some((organization, root)) = whose.remove(&id) {
                shares.give_back(organization, root);
            }
            next = sending.try_join_next_with_id();
        }
    }
    while sending.join_next().await.is_some() {}
}

impl Outbox {
    async fn deliver(&self, claimed: ClaimedDelivery) {
        let ClaimedDelivery { scope, delivery, attempts, .. } = claimed;
        let attempt = contain("delivery", async {
            match delivery.channel {
                DeliveryChannel::Webhook => self.webhook(scope, &delivery).await,
                DeliveryChannel::Mail => self.mail(&delivery).await.map(|()| None).map_err(DeliveryError::retry),
            }
        });
        // An attempt that panics is one that failed: the lease alone would repeat it for ever.
        let result = attempt.await.unwrap_or_else(|error| Err(DeliveryError::retry(error.to_string())));
        let attempts = attempts + 1;
        let progress = progress(attempts, result, now(), rand::random());
        metrics::counter!("trunkline_deliveries_total", "channel" => delivery.channel.name(), "status" => progress.status.name())
            .increment(1);
        if let Some(error) = &progress.error {
            tracing::warn!(delivery = %delivery.id, event = delivery.event_type, attempts, error, "not delivered");
        }
        if let Err(error) = self.store.record_delivery_attempt(scope, delivery.id, &progress).await {
            // The lease ends and it is sent again: at least once.
            tracing::error!(%error, "cannot record a delivery attempt");
        }
    }

    async fn webhook(&self, scope: OrgScope, delivery: &Delivery) -> Result<Option<u16>, DeliveryError> {
        let secrets = self.store.webhook_secrets(scope, delivery).await;
        let secrets = secrets.map_err(|error| DeliveryError::retry(error.to_string()))?.valid_at(now());
        let id = delivery.id.to_string();
        let message = WebhookMessage {
            id: &id,
            url: &delivery.target,
            body: &delivery.body,
            secrets: &secrets,
            at_s: now().0 / 1_000,
        };
        match self.sender.post(message, DEADLINE).await {
            Ok((status, _)) if (200..300).contains(&status) => Ok(Some(status)),
            Ok((status, _)) => {
                let error = WebhookError::Status(status).to_string();
                Err(DeliveryError { error, status: Some(status), is_final: FINAL_STATUSES.contains(&status) })
            }
            Err(failure) => {
                let is_final = matches!(failure, WebhookError::Refused(_));
                Err(DeliveryError { error: failure.to_string(), status: None, is_final })
            }
        }
    }

    async fn mail(&self, delivery: &Delivery) -> Result<(), String> {
        let mailer = self.mailer.as_ref().ok_or("no SMTP server is configured")?;
        let mail: MailMessage = serde_json::from_str(&delivery.body).map_err(|error| error.to_string())?;
        mailer.send(&delivery.id.to_string(), &delivery.target, &mail).await
    }
}

struct DeliveryError {
    error: String,
    status: Option<u16>,
    is_final: bool,
}

impl DeliveryError {
    fn retry(error: String) -> Self {
        Self { error, status: None, is_final: false }
    }
}

fn progress(attempts: i64, result: Result<Option<u16>, DeliveryError>, now: UnixMs, random: f64) -> DeliveryProgress {
    match result {
        Ok(status) => DeliveryProgress {
            status: DeliveryStatus::Delivered,
            attempts,
            next_attempt_at: None,
            response_status: status.map(i64::from),
            error: None,
            delivered_at: Some(now),
        },
        Err(fault) => {
            let next = (!fault.is_final).then(|| retry_delay_ms(attempts, random)).flatten();
            DeliveryProgress {
                status: if next.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Failed },
                attempts,
                next_attempt_at: next.map(|wait| UnixMs(now.0 + wait)),
                response_status: fault.status.map(i64::from),
                error: Some(fault.error),
                delivered_at: None,
            }
        }
    }
}
