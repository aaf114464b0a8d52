//! Counts probes, live connections, reports and provider tests, and hands out permits. Over the limit requests are
//! refused, not queued.

use crate::domain::fair_share::FairShares;
use crate::domain::ids::OrganizationId;
use crate::domain::organization::Lineage;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use crate::concurrency_limits::ConcurrencyKind;
pub use crate::concurrency_limits::{ConcurrencyLimit, ConcurrencyLimitError};

/// Counts what one quota limits, per organization, per family and in all. Clones share the count.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimiter {
    limit: ConcurrencyLimit,
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
    /// Returns a limiter with nothing held.
    pub fn new(limit: ConcurrencyLimit) -> Self {
        Self { limit, held: Arc::new(Mutex::new(FairShares::new(limit.shares()))) }
    }

    /// Takes a place for the organization; fails at once when the limit of organization, family or server is reached.
    pub fn take(&self, lineage: &Lineage) -> Result<ConcurrencyPermit, ConcurrencyLimitError> {
        let (organization, root) = (lineage.own().id, lineage.root());
        lock(&self.held).take(organization, root).map_err(|error| self.limit.exceeded(error))?;
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
