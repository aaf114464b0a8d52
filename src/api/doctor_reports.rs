//! Reports of the doctor: one run at a time for each organization and a few in all, kept for half a minute, because a run makes
//! requests to others.

use super::error::ApiError;
use crate::domain::finding::{Finding, Level, Report};
use crate::domain::ids::OrganizationId;
use crate::store::now;
use futures_util::future::BoxFuture;
use moka::future::Cache;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::ToSchema;

/// How long a report is kept.
const REPORT_TTL: Duration = Duration::from_secs(30);
/// Reports that are kept; each has a few kilobytes.
const REPORTS_MAX: u64 = 1_000;
/// Runs at once, of all organizations.
const RUNS_MAX: usize = 4;
/// How long a run waits for others.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the look at the machine may take.
const MACHINE_DEADLINE: Duration = Duration::from_secs(20);

/// Looks at the machine of this server; the program hands it in.
#[derive(Clone)]
pub struct MachineExaminer(Arc<dyn Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync>);

impl std::fmt::Debug for MachineExaminer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MachineExaminer")
    }
}

impl MachineExaminer {
    /// From what makes a run; runs that take longer than twenty seconds are given up.
    pub fn new(run: impl Fn() -> BoxFuture<'static, Vec<Finding>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    async fn run(&self) -> Vec<Finding> {
        let late = || {
            let found = format!("the look at the machine did not end in {} s", MACHINE_DEADLINE.as_secs());
            vec![Finding::warning("machine", found, "run `trunkline doctor` on the server")]
        };
        timeout(MACHINE_DEADLINE, (self.0)()).await.unwrap_or_else(|_| late())
    }
}

/// Whose findings about the machine are, and where they come from.
#[derive(Clone, Debug, Default)]
pub struct DoctorSettings {
    /// The organization of the server's operator; none: nobody sees findings about the machine.
    pub operator: Option<OrganizationId>,
    /// Looks at the machine; none where the program has no such checks.
    pub machine: Option<MachineExaminer>,
}

/// What was found, and what to do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DoctorReport {
    /// The worst of the findings.
    level: Level,
    /// When it was looked (RFC 3339, UTC). A report is kept for half a minute.
    #[schema(format = "date-time")]
    checked_at: String,
    /// Whether findings about the server's machine are among them: only for `api.operator_organization`.
    includes_machine: bool,
    /// In the order in which they were looked at: the machine, providers, agents, trunks, webhooks.
    findings: Vec<Finding>,
}

/// The reports of all organizations.
#[derive(Clone, Debug)]
pub(super) struct DoctorReports {
    settings: DoctorSettings,
    kept: Cache<OrganizationId, Arc<DoctorReport>>,
    runs: Arc<Semaphore>,
}

impl DoctorReports {
    pub(super) fn new(settings: DoctorSettings) -> Self {
        let kept = Cache::builder().max_capacity(REPORTS_MAX).time_to_live(REPORT_TTL).build();
        Self { settings, kept, runs: Arc::new(Semaphore::new(RUNS_MAX)) }
    }

    /// The report of an organization: the one that is kept, or a new one, for which all who ask meanwhile wait. `own`
    /// looks at what is the organization's.
    pub(super) async fn report(
        &self, organization: OrganizationId, own: impl Future<Output = Result<Vec<Finding>, ApiError>>,
    ) -> Result<Arc<DoctorReport>, ApiError> {
        let made = self.kept.try_get_with(organization, self.make(organization, own)).await;
        made.map_err(|error| ApiError::clone(&error))
    }

    async fn make(
        &self, organization: OrganizationId, own: impl Future<Output = Result<Vec<Finding>, ApiError>>,
    ) -> Result<Arc<DoctorReport>, ApiError> {
        let Ok(Ok(_permit)) = timeout(WAIT_MAX, self.runs.acquire()).await else {
            return Err(ApiError::unavailable("busy", "Others are being looked at; try again in a few seconds"));
        };
        let is_operator = self.settings.operator == Some(organization);
        let examiner = self.settings.machine.as_ref().filter(|_| is_operator);
        let machine = async {
            match examiner {
                Some(examiner) => examiner.run().await,
                None => Vec::new(),
            }
        };
        let (mut findings, own) = tokio::join!(machine, own);
        findings.extend(own?);
        let Report { level, findings } = Report::of(findings);
        let checked_at = now().rfc3339();
        Ok(Arc::new(DoctorReport { level, checked_at, includes_machine: examiner.is_some(), findings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn reports(operator: Option<OrganizationId>) -> DoctorReports {
        let machine = || -> BoxFuture<'static, Vec<Finding>> { Box::pin(async { vec![Finding::ok("disk", "empty")] }) };
        DoctorReports::new(DoctorSettings { operator, machine: Some(MachineExaminer::new(machine)) })
    }

    fn checks(report: &DoctorReport) -> Vec<&str> {
        report.findings.iter().map(|finding| finding.check).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_at_once_get_the_same_run() {
        let (reports, organization, runs) = (reports(None), OrganizationId::new(), AtomicUsize::new(0));
        let ask = || {
            reports.report(organization, async {
                runs.fetch_add(1, Ordering::Relaxed);
                // The other one asks meanwhile.
                tokio::task::yield_now().await;
                Ok(vec![Finding::ok("trunks", "none")])
            })
        };
        let (first, second) = tokio::join!(ask(), ask());
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
        assert_eq!(checks(&ask().await.unwrap()), ["trunks"]);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_machine_is_for_its_operator_alone() {
        let (operator, other) = (OrganizationId::new(), OrganizationId::new());
        let reports = reports(Some(operator));
        let own = || async { Ok(vec![Finding::error("trunks", "away", "call the carrier")]) };
        let theirs = reports.report(other, own()).await.unwrap();
        assert_eq!((checks(&theirs), theirs.includes_machine, theirs.level), (vec!["trunks"], false, Level::Error));
        let ours = reports.report(operator, own()).await.unwrap();
        assert_eq!((checks(&ours), ours.includes_machine), (vec!["disk", "trunks"], true));
        let nobody = super::tests::reports(None).report(operator, own()).await.unwrap();
        assert_eq!(checks(&nobody), ["trunks"]);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_are_few_and_failures_are_not_kept() {
        let (reports, may_end) = (reports(None), tokio::sync::Notify::new());
        let slow = || {
            reports.report(OrganizationId::new(), async {
                may_end.notified().await;
                Ok(Vec::new())
            })
        };
        let full = futures_util::future::join_all((0..RUNS_MAX).map(|_| slow()));
        let one_more = async {
            tokio::task::yield_now().await;
            let organization = OrganizationId::new();
            let refused = reports.report(organization, async { Ok(Vec::new()) }).await.unwrap_err();
            assert_eq!(refused.details["code"], "busy");
            may_end.notify_waiters();
            organization
        };
        let (_, organization) = tokio::join!(full, one_more);
        assert!(reports.report(organization, async { Ok(Vec::new()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_hangs_is_a_finding() {
        let hangs = || -> BoxFuture<'static, Vec<Finding>> { Box::pin(std::future::pending()) };
        let found = MachineExaminer::new(hangs).run().await;
        assert!(found.len() == 1 && found[0].found.contains("20 s"), "{found:?}");
    }
}
