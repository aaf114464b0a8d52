//! Limits of requests: of keys, of organizations, of addresses without a key, and of work on large documents.

use super::error::ApiError;
use super::large_body_queue::{LargeBodyPermit, LargeBodyQueue};
use super::organization_rates::{OrganizationRates, RateKind};
use super::rate_limit::{RequestRateLimiter, SlidingWindowLimiter};
use crate::domain::ids::ApiKeyId;
use crate::store::{OrgScope, Store};
use std::net::IpAddr;

/// The limits of all requests of this process.
#[derive(Clone, Debug)]
pub(super) struct RequestLimits {
    /// Requests of a key.
    pub per_key: SlidingWindowLimiter<ApiKeyId>,
    /// Requests without a key, by address.
    pub unauthenticated: RequestRateLimiter<IpAddr>,
    organizations: OrganizationRates,
    large_bodies: LargeBodyQueue,
    /// Knows the families.
    store: Store,
}

impl RequestLimits {
    /// Returns limits with nothing counted; both numbers are requests a minute.
    pub(super) fn new(per_key: u32, unauthenticated: u32, store: &Store) -> Self {
        Self {
            per_key: SlidingWindowLimiter::new(per_key),
            unauthenticated: RequestRateLimiter::new(unauthenticated),
            organizations: OrganizationRates::new(store.quotas()),
            large_bodies: LargeBodyQueue::default(),
            store: store.clone(),
        }
    }

    /// Counts one request; 429 when the organization or its family has reached the rate.
    pub(super) async fn count(&self, scope: OrgScope, rate: RateKind) -> Result<(), ApiError> {
        let lineage = self.store.lineage(scope).await?;
        self.organizations.take(&lineage, rate).map_err(|(limit, wait_s)| {
            let message =
                format!("The organization may do so {limit} times in a minute; Retry-After says when to go on");
            let wait_s = u32::try_from(wait_s).unwrap_or(u32::MAX);
            ApiError::too_much(rate.limit(), message, Some(wait_s))
        })
    }

    /// Waits for the organization's turn; 429 when its family has too much work of this kind already.
    pub(super) async fn turn(&self, scope: OrgScope) -> Result<LargeBodyPermit, ApiError> {
        let root = self.store.lineage(scope).await?.root();
        self.large_bodies.take(root).await.ok_or_else(|| {
            let message = "The organization has too many requests with large documents under way; try again";
            ApiError::too_much("large_requests", message.to_owned(), Some(2))
        })
    }

    /// The permit for a change, unless a large body already has one. The stored document may be large even if the
    /// change is small; serialized changes also need no second attempt.
    pub(super) async fn turn_of_change(
        &self, turn: Option<LargeBodyPermit>, scope: OrgScope,
    ) -> Result<LargeBodyPermit, ApiError> {
        match turn {
            Some(turn) => Ok(turn),
            None => self.turn(scope).await,
        }
    }
}
