//! Rate limits of an organization beside those of its keys: for requests that cost others something, or money.

use super::error::ApiError;
use super::rate_limit::RequestRateLimiter;
use crate::call::driver::ConcurrencyLimitError;
use crate::domain::ids::OrganizationId;
use crate::domain::organization::Lineage;
use crate::domain::quota::{FAMILY_FACTOR, Quotas};
use std::collections::HashMap;
use std::sync::Arc;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RateKind {
    /// Everything an organization's keys and people ask for.
    Requests,
    TrunkTests,
    TrunkChanges,
    ProviderTests,
    AlertTests,
    ToolTests,
    VoicePreviews,
    Reports,
}

impl RateKind {
    /// The quota's name in settings and refusals.
    pub(super) fn limit(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::TrunkTests => "trunk_tests_per_minute",
            Self::TrunkChanges => "trunk_changes_per_minute",
            Self::ProviderTests => "provider_tests_per_minute",
            Self::AlertTests => "alert_tests_per_minute",
            Self::ToolTests => "tool_tests_per_minute",
            Self::VoicePreviews => "voice_previews_per_minute",
            Self::Reports => "reports_per_minute",
        }
    }
}

/// The minutes of all organizations, and of roots with everything below them.
#[derive(Clone, Debug)]
pub(super) struct OrganizationRates(Arc<HashMap<RateKind, RateLimiters>>);

#[derive(Debug)]
struct RateLimiters {
    organizations: RequestRateLimiter<OrganizationId>,
    families: RequestRateLimiter<OrganizationId>,
}

impl OrganizationRates {
    pub(super) fn new(quotas: &Quotas) -> Self {
        let numbers = [
            (RateKind::Requests, quotas.requests_per_minute),
            (RateKind::TrunkTests, quotas.trunk_tests_per_minute),
            (RateKind::TrunkChanges, quotas.trunk_changes_per_minute),
            (RateKind::ProviderTests, quotas.provider_tests_per_minute),
            (RateKind::AlertTests, quotas.alert_tests_per_minute),
            (RateKind::ToolTests, quotas.tool_tests_per_minute),
            (RateKind::VoicePreviews, quotas.voice_previews_per_minute),
            (RateKind::Reports, quotas.reports_per_minute),
        ];
        let factor = u32::try_from(FAMILY_FACTOR).unwrap_or(1);
        let limiters = |limit: u32| RateLimiters {
            organizations: RequestRateLimiter::new(limit),
            families: RequestRateLimiter::new(limit.saturating_mul(factor)),
        };
        Self(Arc::new(numbers.map(|(rate, limit)| (rate, limiters(limit))).into()))
    }

    /// Counts a request, or returns the limit that is reached and the seconds until another one is allowed.
    pub(super) fn take(&self, lineage: &Lineage, rate: RateKind) -> Result<(), (u32, u64)> {
        let Some(limiters) = self.0.get(&rate) else { return Ok(()) };
        for (limiter, id) in [(&limiters.organizations, lineage.own().id), (&limiters.families, lineage.root())] {
            limiter.take(id).map_err(|wait_s| (limiter.limit(), wait_s))?;
        }
        Ok(())
    }
}

impl From<ConcurrencyLimitError> for ApiError {
    fn from(full: ConcurrencyLimitError) -> Self {
        let message = full.to_string();
        match full {
            ConcurrencyLimitError::Organization(limit) => Self::too_much(limit, message, Some(1)),
            ConcurrencyLimitError::Server(limit) => {
                let mut error = Self::unavailable("quota_exceeded", message);
                error.details["limit"] = limit.into();
                error.details["retry_after_seconds"] = 1.into();
                error
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::organization::{Ancestor, OrganizationLimits};

    #[test]
    fn an_organization_has_its_minute_and_its_family_ten_of_them() {
        let rates = OrganizationRates::new(&Quotas { trunk_tests_per_minute: 2, ..Quotas::default() });
        let one = || Ancestor { id: OrganizationId::new(), limits: OrganizationLimits::default() };
        let root = one();
        let child = || Lineage::new(vec![one(), root.clone()]).unwrap();
        let own = child();
        let taken = |lineage: &Lineage| rates.take(lineage, RateKind::TrunkTests).is_ok();
        assert_eq!([(); 3].map(|()| taken(&own)), [true, true, false]);
        assert_eq!((0..30).filter(|_| taken(&child())).count(), 18, "twenty of the family in all");
        assert!(taken(&Lineage::new(vec![one()]).unwrap()), "and nothing of anybody else's");
    }
}
