//! How many probes, live connections, reports and provider tests may go on at once: per organization, family and server.
//!
//! Pure: the driver counts and hands out permits.

use crate::domain::fair_share::{ShareExceededError, ShareLimits};
use crate::domain::quota::Quotas;
use trunkline_signaling::limits::PROBES_MAX;

/// A family holds at most one part in so many of the server's total: three hostile families leave capacity for a
/// fourth.
const FAMILY_SHARE: usize = 4;
/// Live connections in all: half of the connections the API takes.
const LIVE_MAX: usize = 2_048;
/// Calls that wait for their browsers in all: each holds one of the server's calls.
const WEB_WAITING_MAX: usize = 1_000;
/// Limits of the server for reports being rewritten and for provider tests: each holds a connection to a vendor.
const REPORTS_MAX: usize = 32;
const PROVIDER_TESTS_MAX: usize = 16;
/// Separate limits for on-demand and periodic probes, so that neither blocks the other.
const ON_DEMAND_PROBES_MAX: usize = PROBES_MAX / 4;
const PERIODIC_PROBES_MAX: usize = PROBES_MAX / 2;
/// Name of the quota of probes.
pub const PROBES: &str = "probes_at_once";

/// How many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What may go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyKind {
    /// `/ws/calls` and `/ws/events`.
    LiveConnections,
    /// Calls that wait for their browsers.
    WebCallsWaiting,
    /// Reports that are rewritten on request.
    Reports,
    /// Tests of provider keys.
    ProviderTests,
    /// OPTIONS probes that somebody asked for.
    ProbesOnDemand,
    /// OPTIONS probes that are due.
    ProbesPeriodic,
}

impl ConcurrencyLimit {
    /// The limit of a kind; the quotas are those of one organization.
    pub fn of(kind: ConcurrencyKind, quotas: &Quotas) -> Self {
        let (limit, of_one, in_all) = match kind {
            ConcurrencyKind::LiveConnections => ("live_connections", quotas.live_connections, LIVE_MAX),
            ConcurrencyKind::WebCallsWaiting => ("web_calls_waiting", quotas.web_calls_waiting, WEB_WAITING_MAX),
            ConcurrencyKind::Reports => ("reports_at_once", quotas.reports_at_once, REPORTS_MAX),
            ConcurrencyKind::ProviderTests => {
                ("provider_tests_at_once", quotas.provider_tests_at_once, PROVIDER_TESTS_MAX)
            }
            ConcurrencyKind::ProbesOnDemand => (PROBES, quotas.probes_at_once, ON_DEMAND_PROBES_MAX),
            ConcurrencyKind::ProbesPeriodic => (PROBES, quotas.probes_at_once, PERIODIC_PROBES_MAX),
        };
        Self { limit, of_one: of_one as usize, in_all }
    }

    /// The shares of organization, family and server. A family may hold a quarter of the total, or `of_one` if that is
    /// more.
    pub fn shares(self) -> ShareLimits {
        let Self { of_one, in_all, .. } = self;
        ShareLimits { of_one, of_family: (in_all / FAMILY_SHARE).max(of_one), in_all }
    }

    /// Whose limit is reached, by the name of the quota.
    pub fn exceeded(self, error: ShareExceededError) -> ConcurrencyLimitError {
        match error {
            ShareExceededError::Organization => ConcurrencyLimitError::Organization(self.limit),
            ShareExceededError::Server => ConcurrencyLimitError::Server(self.limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_a_quarter_of_the_server_or_what_one_may_hold() {
        let shares = |of_one, in_all| {
            let ShareLimits { of_one, of_family, in_all } =
                ConcurrencyLimit { limit: "things", of_one, in_all }.shares();
            (of_one, of_family, in_all)
        };
        assert_eq!(shares(2, 100), (2, 25, 100));
        assert_eq!(shares(30, 100), (30, 30, 100));
    }

    #[test]
    fn each_kind_has_the_quota_of_its_name() {
        let quotas = Quotas {
            live_connections: 1,
            web_calls_waiting: 2,
            reports_at_once: 3,
            provider_tests_at_once: 4,
            probes_at_once: 5,
            ..Quotas::default()
        };
        for (kind, limit, of_one, in_all) in [
            (ConcurrencyKind::LiveConnections, "live_connections", 1, 2_048),
            (ConcurrencyKind::WebCallsWaiting, "web_calls_waiting", 2, 1_000),
            (ConcurrencyKind::Reports, "reports_at_once", 3, 32),
            (ConcurrencyKind::ProviderTests, "provider_tests_at_once", 4, 16),
            (ConcurrencyKind::ProbesOnDemand, "probes_at_once", 5, PROBES_MAX / 4),
            (ConcurrencyKind::ProbesPeriodic, "probes_at_once", 5, PROBES_MAX / 2),
        ] {
            assert_eq!(ConcurrencyLimit::of(kind, &quotas), ConcurrencyLimit { limit, of_one, in_all }, "{kind:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_quota_and_whose_it_is() {
        let limit = ConcurrencyLimit { limit: "things", of_one: 1, in_all: 2 };
        let own = limit.exceeded(ShareExceededError::Organization);
        let server = limit.exceeded(ShareExceededError::Server);
        assert_eq!(own.to_string(), "The organization has reached its limit of things");
        assert_eq!(
            (server.to_string().as_str(), server.limit()),
            ("The server has reached its limit of things", "things")
        );
    }
}
