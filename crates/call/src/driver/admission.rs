//! Supplies the admission rules with numbers and turns their answer into a permit that each line holds while it lasts.

use crate::admission::{AdmissionRequest, AdmittedLine, LimitExceededError, LineCounts, is_within_daily_limits};
use crate::domain::organization::Lineage;
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, Store, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the lines of other processes are read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Why a call does not begin.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// A limit of the organization, its trunk or the server is reached.
    #[error("the limit {} is reached", .0.limit())]
    Denied(LimitExceededError),
    /// The database cannot be read, so the limits are unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The lines of this process.
#[derive(Clone, Debug)]
struct AdmissionControl(Arc<Mutex<LineCounts>>);

/// An admitted line; released on drop.
#[derive(Debug)]
pub struct AdmissionPermit {
    line_counts: AdmissionControl,
    line: AdmittedLine,
}

impl AdmissionControl {
    fn new(lines_max: usize) -> Self {
        Self(Arc::new(Mutex::new(LineCounts::new(lines_max))))
    }

    fn lock(&self) -> MutexGuard<'_, LineCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        self.line_counts.lock().release(&self.line);
    }
}

/// Settings of admission.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// Calls that this process may hold at once (`calls.calls_max`, default 1,000).
    pub calls_max: usize,
    /// Price of a minute of telephony: counts towards the daily limits.
    pub telephony_per_minute: f64,
    /// Name of this process among those that share the database.
    pub node: String,
}

/// Decides who may make a call.
#[derive(Clone, Debug)]
pub struct AdmissionService {
    /// Calls that this process may hold at once.
    pub calls_max: usize,
    /// Price of a minute of telephony.
    pub telephony_per_minute: f64,
    control: AdmissionControl,
    store: Store,
    node: String,
}

impl AdmissionService {
    /// Returns admission control without a line.
    pub fn build(config: AdmissionConfig, store: &Store) -> Self {
        Self {
            calls_max: config.calls_max,
            telephony_per_minute: config.telephony_per_minute,
            control: AdmissionControl::new(config.calls_max),
            store: store.clone(),
            node: config.node,
        }
    }

    /// Lines that are held.
    pub fn held(&self) -> usize {
        self.control.lock().held()
    }

    /// Admits another line of an organization, over a trunk or none. Limits and daily usage are cached for a second;
    /// held lines are counted now.
    pub async fn admit(&self, scope: OrgScope, trunk: Option<&Trunk>) -> Result<AdmissionPermit, AdmissionError> {
        let lineage = self.store.lineage(scope).await?;
        let spent = self.spent(&lineage).await?;
        let limits = trunk.map(|trunk| (trunk.id, trunk.fields.limits()));
        let trunk = limits.as_ref().map(|(id, limits)| (*id, limits));
        let request = AdmissionRequest { lineage: &lineage, trunk, spent: &spent };
        let admitted = self.control.lock().admit(Instant::now(), &request);
        match admitted {
            Ok(line) => Ok(AdmissionPermit { line_counts: self.control.clone(), line }),
            Err(denied) => {
                metrics::counter!("trunkline_calls_denied_total", "limit" => denied.limit()).increment(1);
                Err(AdmissionError::Denied(denied))
            }
        }
    }

    /// Whether the organization and all above it are within their daily limits.
    pub async fn is_within_daily_limits(&self, scope: OrgScope) -> Result<bool, StoreError> {
        let lineage = self.store.lineage(scope).await?;
        let spent = self.spent(&lineage).await?;
        Ok(is_within_daily_limits(&lineage, &spent))
    }

    async fn spent(
        &self, lineage: &Lineage,
    ) -> Result<Vec<(crate::domain::ids::OrganizationId, crate::domain::organization::DailyUsage)>, StoreError> {
        let mut all = Vec::new();
        for one in lineage.all().iter().filter(|one| one.limits.is_capped()) {
            all.push((one.id, self.store.spent(one.id, self.telephony_per_minute).await?));
        }
        Ok(all)
    }

    /// Reads what other processes hold, and how many root organizations there are.
    pub async fn refresh_other_nodes(&self) -> Result<(), StoreError> {
        let elsewhere = self.store.lines_on_other_nodes(&self.node).await?;
        let tenants = usize::try_from(self.store.roots().await?).unwrap_or(usize::MAX);
        self.control.lock().update_other_nodes(elsewhere.organizations, elsewhere.trunks, tenants);
        Ok(())
    }
}

/// Keeps the numbers of other processes at most a second old. While the database is away, the last numbers are used.
pub async fn watch_other_nodes(admission: AdmissionService, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(REFRESH_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = admission.refresh_other_nodes().await {
            tracing::error!(%error, "cannot read the call counts of other processes");
        }
    }
}
