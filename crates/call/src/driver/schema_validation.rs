//! Compiles and evaluates foreign JSON Schemas on blocking threads: a few at once, one per organization, at most half
//! per family. Callers wait for their own job at most until a deadline.

use crate::domain::agent::AgentFields;
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::ids::OrganizationId;
use crate::machine::CallMachine;
use crate::store::{OrgScope, Store};
use crate::supervision;
use crate::tool_schemas::{
    self, ToolSchemas, dtmf_tool_calls, fault_text, hide_entries, left_out_metric, record_not_checked, with_entries,
    without_oversized,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Jobs at once. Each takes milliseconds; more of them than cores would slow the calls.
const JOBS_MAX: usize = 4;
/// Of a root with everything below it.
const JOBS_OF_FAMILY_MAX: usize = 2;
/// Organizations and families that are remembered before those without a job are forgotten.
const ORGANIZATIONS_MAX: usize = 256;
/// A job in a call: the caller waits for it.
const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// A job for a request, a report, a tool server's list.
const WORK_DEADLINE: Duration = Duration::from_secs(10);
/// Deadline for finding an organization's family, which is usually cached.
const FAMILY_DEADLINE: Duration = Duration::from_millis(500);

/// Timeout, or the job panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schemas could not be checked in time")]
pub struct SchemaTimeoutError;

/// Threads for schemas, shared fairly.
#[derive(Clone, Debug)]
pub struct SchemaWorkers {
    jobs: Arc<Semaphore>,
    organizations: FairSemaphores,
    families: FairSemaphores,
    /// Knows the families.
    store: Option<Store>,
}

type FairSemaphores = Arc<Mutex<HashMap<OrganizationId, Weak<Semaphore>>>>;

/// The semaphore of an organization or family: so many jobs at once.
fn turn(all: &FairSemaphores, id: OrganizationId, at_once: usize) -> Arc<Semaphore> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= ORGANIZATIONS_MAX {
        all.retain(|_, turn| turn.strong_count() > 0);
    }
    if let Some(turn) = all.get(&id).and_then(Weak::upgrade) {
        return turn;
    }
    let turn = Arc::new(Semaphore::new(at_once));
    all.insert(id, Arc::downgrade(&turn));
    turn
}

impl SchemaWorkers {
    /// Returns workers without a job. Without a store, each organization counts as a separate family.
    pub fn new(store: Option<Store>) -> Self {
        let (organizations, families) = Default::default();
        Self { jobs: Arc::new(Semaphore::new(JOBS_MAX)), organizations, families, store }
    }

    /// Runs a job of a call.
    pub(super) async fn of_call<T: Send + 'static>(
        &self, scope: OrgScope, job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SchemaTimeoutError> {
        self.run(scope, CALL_DEADLINE, job).await
    }

    /// Runs a job that no caller waits for.
    pub async fn of_request<T: Send + 'static>(
        &self, scope: OrgScope, job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SchemaTimeoutError> {
        self.run(scope, WORK_DEADLINE, job).await
    }

    async fn run<T: Send + 'static>(
        &self, scope: OrgScope, deadline: Duration, job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SchemaTimeoutError> {
        let organization = scope.organization();
        // Without a database, each organization is a separate family.
        let root = match &self.store {
            Some(store) => timeout(FAMILY_DEADLINE, store.lineage(scope)).await.ok().and_then(Result::ok),
            None => None,
        };
        self.run_of(organization, root.map_or(organization, |lineage| lineage.root()), deadline, job).await
    }

    async fn run_of<T: Send + 'static>(
        &self, organization: OrganizationId, root: OrganizationId, deadline: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SchemaTimeoutError> {
        let own = turn(&self.organizations, organization, 1);
        let (family, jobs) = (turn(&self.families, root, JOBS_OF_FAMILY_MAX), self.jobs.clone());
        let work = async move {
            let permits = (
                own.acquire_owned().await.map_err(|_| SchemaTimeoutError)?,
                family.acquire_owned().await.map_err(|_| SchemaTimeoutError)?,
                jobs.acquire_owned().await.map_err(|_| SchemaTimeoutError)?,
            );
            // A caller that stopped waiting does not free the thread: the job keeps its permits to its end.
            let done = supervision::spawn_blocking("schema", move || {
                let _permits = permits;
                job()
            });
            done.await.ok().and_then(Result::ok).ok_or_else(|| {
                tracing::error!("cannot check a schema");
                SchemaTimeoutError
            })
        };
        let result = timeout(deadline, work).await.unwrap_or(Err(SchemaTimeoutError));
        if result.is_err() {
            metrics::counter!("trunkline_schema_jobs_refused_total").increment(1);
        }
        result
    }
}

/// Records in each tool call how its arguments violate the schema of its tool.
pub(super) async fn validate_arguments(
    schemas: &mut ToolSchemas, workers: &SchemaWorkers, scope: OrgScope, machine: &CallMachine, calls: &mut [ToolCall],
) {
    let filled = with_entries(calls, &machine.collected());
    let Some(check) = schemas.to_check(&filled, |name| machine.tool_schema(name)) else { return };
    let places = check.places();
    match workers.of_call(scope, move || check.run()).await {
        Ok(checked) => schemas.record(checked, calls),
        Err(SchemaTimeoutError) => record_not_checked(&places, calls),
    }
    hide_entries(calls);
}

/// The same for the tools that keys may call, before the first digit.
pub(super) async fn check_dtmf_tools(
    schemas: &mut ToolSchemas, workers: &SchemaWorkers, scope: OrgScope, machine: &mut CallMachine, agent: &AgentFields,
) {
    let mut calls = dtmf_tool_calls(agent);
    validate_arguments(schemas, workers, scope, machine, &mut calls).await;
    for ToolCall { name, schema_error, .. } in calls {
        if let Some(schema_error) = schema_error {
            machine.record_dtmf_tool_mismatch(name, schema_error);
        }
    }
}

impl SchemaWorkers {
    /// Removes parts with schemas beyond the limits from an agent; returns the removed parts, for the call's metrics.
    pub(super) async fn remove_oversized(&self, scope: OrgScope, fields: &mut AgentFields) -> Option<Value> {
        if fields.has_no_schemas() {
            return None;
        }
        let agent = fields.clone();
        let faults: Vec<String> = match self.of_call(scope, move || without_oversized(agent)).await {
            Ok((checked, left_out)) => {
                *fields = checked;
                left_out.iter().map(fault_text).collect()
            }
            Err(SchemaTimeoutError) => {
                fields.leave_out_all_schemas();
                vec![SchemaTimeoutError.to_string()]
            }
        };
        if !faults.is_empty() {
            tracing::warn!(faults = faults.len(), "removed tools or a plan whose schemas exceed the limits");
        }
        left_out_metric(&faults)
    }
}

/// Those tools of a server whose schemas can be used; the others are counted.
pub(super) async fn usable_tools(
    workers: &SchemaWorkers, scope: OrgScope, tools: Vec<ToolOffer>,
) -> (Vec<ToolOffer>, usize) {
    let listed = tools.len();
    let tools = workers.of_request(scope, move || tool_schemas::usable_tools(tools)).await.unwrap_or_default();
    let left_out = listed - tools.len();
    if left_out > 0 {
        tracing::warn!(tools_removed = left_out, "removed tools of an MCP server whose schemas exceed the limits");
    }
    (tools, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A job that holds its thread until it gets the signal to end.
    fn held(
        workers: &SchemaWorkers, organization: OrganizationId,
    ) -> (mpsc::SyncSender<()>, tokio::task::JoinHandle<Result<(), SchemaTimeoutError>>) {
        let (end, ended) = mpsc::sync_channel(1);
        let workers = workers.clone();
        let job = tokio::spawn(async move {
            workers
                .run_of(organization, organization, Duration::from_secs(60), move || ended.recv().unwrap_or_default())
                .await
        });
        (end, job)
    }

    #[tokio::test]
    async fn one_organization_takes_one_thread_and_others_go_on() {
        let workers = SchemaWorkers::new(None);
        let (hostile, other) = (OrganizationId::new(), OrganizationId::new());
        let running: Vec<_> = (0..50).map(|_| held(&workers, hostile)).collect();
        while workers.jobs.available_permits() != JOBS_MAX - 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.run_of(other, other, Duration::from_secs(60), || 7).await, Ok(7));
        // A request waits no longer than its deadline, and a job without a waiting request keeps its place.
        assert_eq!(workers.run_of(hostile, hostile, Duration::from_millis(1), || 7).await, Err(SchemaTimeoutError));
        assert_eq!(workers.jobs.available_permits(), JOBS_MAX - 1);
        for (end, job) in running {
            drop(end);
            assert_eq!(job.await.unwrap(), Ok(()));
        }
        assert_eq!(workers.jobs.available_permits(), JOBS_MAX);
    }

    #[tokio::test]
    async fn a_job_that_panics_frees_its_place() {
        let workers = SchemaWorkers::new(None);
        let organization = OrganizationId::new();
        let broken: Result<(), SchemaTimeoutError> =
            workers.run_of(organization, organization, Duration::from_secs(60), || panic!("a defect of a test")).await;
        assert_eq!(broken, Err(SchemaTimeoutError));
        assert_eq!(workers.run_of(organization, organization, Duration::from_secs(60), || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn organizations_without_a_job_are_forgotten() {
        let workers = SchemaWorkers::new(None);
        for _ in 0..3 * ORGANIZATIONS_MAX {
            assert_eq!(
                workers.run_of(OrganizationId::new(), OrganizationId::new(), Duration::from_secs(60), || 7).await,
                Ok(7)
            );
        }
        assert!(workers.organizations.lock().unwrap().len() <= ORGANIZATIONS_MAX);
    }

    #[tokio::test]
    async fn a_family_takes_half_of_the_threads_and_others_go_on() {
        let workers = SchemaWorkers::new(None);
        let root = OrganizationId::new();
        let mut ends = Vec::new();
        for _ in 0..20 {
            let ((end, ended), workers) = (mpsc::sync_channel::<()>(1), workers.clone());
            ends.push(end);
            let job = move || ended.recv().unwrap_or_default();
            tokio::spawn(
                async move { workers.run_of(OrganizationId::new(), root, Duration::from_secs(60), job).await },
            );
        }
        while workers.jobs.available_permits() != JOBS_MAX - JOBS_OF_FAMILY_MAX {
            tokio::task::yield_now().await;
        }
        let other = OrganizationId::new();
        assert_eq!(workers.run_of(other, other, Duration::from_secs(60), || 7).await, Ok(7));
        assert_eq!(workers.jobs.available_permits(), JOBS_MAX - JOBS_OF_FAMILY_MAX);
    }
}
