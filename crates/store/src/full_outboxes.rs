//! Organizations whose outbox is full.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use trunkline_domain::delivery::{Delivery, DeliveryProgress, DeliveryStatus};
use trunkline_domain::ids::OrganizationId;

/// Organizations whose outbox holds as many deliveries as it may, as they were counted some seconds ago.
#[derive(Clone, Debug, Default)]
pub(super) struct FullOutboxes(Arc<RwLock<HashSet<OrganizationId>>>);

impl FullOutboxes {
    /// They were counted again.
    pub(super) fn replace(&self, full: HashSet<OrganizationId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = full;
    }

    /// Whether the outbox of an organization is full.
    pub(super) fn contains(&self, organization: OrganizationId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&organization)
    }

    /// State of a delivery whose outbox is full: it is kept, and never sent.
    pub(super) fn refuse(&self, one: &Delivery) -> Option<DeliveryProgress> {
        let full = self.0.read().unwrap_or_else(PoisonError::into_inner);
        full.contains(&one.organization).then(|| {
            metrics::counter!("trunkline_queue_overflows_total", "queue" => "outbox").increment(1);
            DeliveryProgress {
                status: DeliveryStatus::Failed,
                attempts: 0,
                next_attempt_at: None,
                response_status: None,
                error: Some("quota deliveries_waiting is used up".to_owned()),
                delivered_at: None,
            }
        })
    }
}
