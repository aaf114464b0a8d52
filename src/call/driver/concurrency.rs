//! Concurrency limits per organization for probes, live connections, reports and provider tests. Over the limit
//! requests are refused, not queued.

use crate::domain::fair_share::{FairShares, ShareExceededError, ShareLimits};
use crate::domain::ids::OrganizationId;
use crate::domain::organization::Lineage;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A family holds at most one part in so many of the server's total: three hostile families leave capacity for a
/// fourth.
const FAMILY_SHARE: usize = 4;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct ConcurrencyLimit {
    /// Name of the quota, as in settings and refusals.
    pub limit: &'static str,
    /// How many one organization may hold.
    pub of_one: usize,
    /// How many the whole server may hold.
    pub in_all: usize,
}

/// Whose limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConcurrencyLimitError {
    /// The organization's, or its family's.
    #[error("The organization has reached its limit of {0}")]
    Organization(&'static str),
    /// The limit of the whole server; holds the name of the quota.
    #[error("The server has reached its limit of {0}")]
    Server(&'static str),
}

impl ConcurrencyLimitError {
    /// Name of the quota.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Organization(limit) | Self::Server(limit) => limit,
        }
    }
}

/// Counts what one quota limits, per organization, per family and in all. Clones share the count.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimiter {
    limit: &'static str,
    held: Arc<Mutex<FairShares>>,
}

/// A permit; released on drop.
#[derive(Debug)]
pub struct ConcurrencyPermit {
    held: Arc<Mutex<FairShares>>,
    organization: OrganizationId,
    root: OrganizationId,
}

fn lock(held: &Mutex<FairShares>) -> MutexGuard<'_, FairShares> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConcurrencyLimiter {
    /// Returns a limiter with nothing held. A family may hold a quarter of the total, or `of_one` if that is more.
    pub fn new(ConcurrencyLimit { limit, of_one, in_all }: ConcurrencyLimit) -> Self {
        let max = ShareLimits { of_one, of_family: (in_all / FAMILY_SHARE).max(of_one), in_all };
        Self { limit, held: Arc::new(Mutex::new(FairShares::new(max))) }
    }

    /// Takes a place for the organization; fails at once when the limit of organization, family or server is reached.
    pub fn take(&self, lineage: &Lineage) -> Result<ConcurrencyPermit, ConcurrencyLimitError> {
        let (organization, root) = (lineage.own().id, lineage.root());
        lock(&self.held).take(organization, root).map_err(|taken| match taken {
            ShareExceededError::Organization => ConcurrencyLimitError::Organization(self.limit),
            ShareExceededError::Server => ConcurrencyLimitError::Server(self.limit),
        })?;
        Ok(ConcurrencyPermit { held: self.held.clone(), organization, root })
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        lock(&self.held).give_back(self.organization, self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::organization::{Ancestor, OrganizationLimits};

    #[test]
    fn a_slot_is_free_again_when_it_is_dropped() {
        let slots = ConcurrencyLimiter::new(ConcurrencyLimit { limit: "things", of_one: 1, in_all: 2 });
        let one = || {
            Lineage::new(vec![Ancestor { id: OrganizationId::new(), limits: OrganizationLimits::default() }]).unwrap()
        };
        let (own, other) = (one(), one());
        let held = slots.take(&own).unwrap();
        assert_eq!(slots.take(&own).unwrap_err(), ConcurrencyLimitError::Organization("things"));
        let _other = slots.take(&other).unwrap();
        assert_eq!(slots.take(&one()).unwrap_err(), ConcurrencyLimitError::Server("things"));
        drop(held);
        assert!(slots.take(&own).is_ok());
    }
}
