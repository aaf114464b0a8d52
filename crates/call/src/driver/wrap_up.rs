//! After-call work: analysis, cost and reports. Jobs are claimed from the database, so that another process takes over
//! when this one dies.

use super::analysis::AnalysisService;
use crate::domain::call::{Call, CallOutcome};
use crate::domain::delivery::Delivery;
use crate::domain::fair_share::{FairShares, ShareLimits};
use crate::domain::ids::DeliveryId;
use crate::domain::transcript::Turn;
use crate::post_call::{self, CallAnalysis, ReportFacts, awaits_recording};
use crate::public_links::PublicLinks;
use crate::store::{OrgScope, Store, StoreError, WrapUpJob, now};
use crate::supervision::contain;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Concurrent jobs: a slow LLM delays its own organization only.
const WRAP_UP_SHARES: ShareLimits = ShareLimits { of_one: 16, of_family: 24, in_all: 64 };
/// How long a claim holds: longer than everything below together.
const LEASE_MS: i64 = 180_000;
/// Polling interval when no notification arrives.
const POLL: Duration = Duration::from_secs(1);
/// The recording's last block is written in this time.
const RECORDING_DEADLINE: Duration = Duration::from_secs(5);

/// What is done after a call.
#[derive(Clone, Debug)]
pub struct WrapUpService {
    /// Where jobs are claimed and recorded.
    pub store: Store,
    /// Analyses the call and prices it.
    pub analysis: AnalysisService,
    /// Public links to calls and recordings.
    pub links: PublicLinks,
    /// False without SMTP settings.
    pub sends_mail: bool,
}

/// Runs until it is stopped; finishes the work it has started.
pub async fn wrap_up(service: WrapUpService, mut stopped: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let mut shares = FairShares::new(WRAP_UP_SHARES);
    // The organization of each task: a task that panics also releases its share.
    let mut whose = HashMap::new();
    loop {
        match service.store.claim_wrap_ups(&mut shares, LEASE_MS).await {
            Ok(claimed) => {
                for one in claimed {
                    let service = service.clone();
                    let owner = (one.scope.organization(), one.root);
                    let task = running.spawn(contain("wrap_up", async move { run(one, &service).await }));
                    whose.insert(task.id(), owner);
                }
            }
            Err(error) => tracing::error!(%error, "cannot read calls with pending post-call work"),
        }
        let mut next = tokio::select! {
            Some(done) = running.join_next_with_id() => Some(done),
            () = service.store.notifiers().wrap_up.notified() => None,
            () = tokio::time::sleep(POLL) => None,
            _ = stopped.changed() => break,
        };
        while let Some(done) = next {
            let id = done.map_or_else(|broken| broken.id(), |(id, _)| id);
            if let Some((organization, root)) = whose.remove(&id) {
                shares.give_back(organization, root);
            }
            next = running.try_join_next_with_id();
        }
    }
    while running.join_next().await.is_some() {}
}

/// A job that panics is retried without analysis: the report still goes out and the call is billed.
async fn run(job: WrapUpJob, service: &WrapUpService) {
    let done = match contain("wrap_up", finish(service, job, true)).await {
        Err(_) => contain("wrap_up", finish(service, job, false)).await,
        done => done,
    };
    match done {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(call = %job.call, %error, "post-call work failed; it will be retried"),
        Err(_) => {
            if let Err(error) = service.store.give_up_wrap_up(job.scope, job.call).await {
                tracing::error!(call = %job.call, %error, "cannot give up a call's report");
            }
        }
    }
}

async fn finish(service: &WrapUpService, one: WrapUpJob, analysed: bool) -> Result<(), StoreError> {
    let WrapUpJob { scope, call: id, .. } = one;
    let Some(mut call) = recorded(&service.store, scope, id).await? else { return Ok(()) };
    let turns = service.store.turns(scope, id).await?;
    let found = match analysed {
        true => service.analysis.analyse(scope, &call, &turns).await,
        false => CallAnalysis::not_begun("internal"),
    };
    let (cost, billed) = service.analysis.compute_cost(&call, &found);
    call.outcome = CallOutcome { cost: Some(cost), ..found.outcome };
    let deliveries = service.reports(scope, &call, &turns).await?;
    service.store.record_wrap_up(scope, id, &call.outcome, &billed, &deliveries).await
}

/// The call once its recording is there, if it has one.
async fn recorded(store: &Store, scope: OrgScope, id: crate::domain::ids::CallId) -> Result<Option<Call>, StoreError> {
    let deadline = tokio::time::Instant::now() + RECORDING_DEADLINE;
    loop {
        let Some(call) = store.call(scope, id).await? else { return Ok(None) };
        if !awaits_recording(&call) || tokio::time::Instant::now() > deadline {
            return Ok(Some(call));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl WrapUpService {
    /// Everything that is to be sent about a call that is over.
    async fn reports(&self, scope: OrgScope, call: &Call, turns: &[Turn]) -> Result<Vec<Delivery>, StoreError> {
        let task = match call.task {
            Some(task) => self.store.task(scope, task).await?,
            None => None,
        };
        let facts = ReportFacts {
            turns,
            task: task.as_ref(),
            recording_url: call.recording.is_some().then(|| self.links.recording(scope, call.id, now())),
            call_url: self.links.call(call.id),
            sends_mail: self.sends_mail,
            now: now(),
        };
        Ok(post_call::reports(call, &facts, DeliveryId::new))
    }
}
