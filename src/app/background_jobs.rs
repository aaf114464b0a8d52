//! Background jobs of the process, each under its supervisor.

use super::services::Services;
use crate::call::driver::{CallStarter, Cluster, TrunkService, watch_other_nodes, watch_recordings, wrap_up};
use crate::outbox::driver::{self as outbox, Outbox};
use crate::scheduler::alerts::{AlertWatch, watch_alerts};
use crate::scheduler::driver as scheduler;
use crate::supervision::Supervisor;
use metrics_exporter_prometheus::PrometheusHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trunkline_media::io::worker::MediaWorkers;
use trunkline_signaling::io::SipHandle;

/// How often to check that SIP and media work.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How long a question to the SIP endpoint may take before it counts as unanswered.
const WATCH_DEADLINE: Duration = Duration::from_secs(5);
/// Unanswered questions to SIP in a row, and stalled checks of a media thread in a row, after which the process ends
/// and is restarted. No burst of calls and no slow disk takes half a minute; after a stopped process resumes, its
/// threads turn before the second check.
const UNANSWERED_MAX: u32 = 5;
const HUNG_AFTER: Duration = Duration::from_secs(30);
const HUNG_LOOKS: u32 = 3;
/// How often metrics are tidied up.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// What goes on beside calls and requests. The handles of those that are waited for at the end.
pub(super) fn start_jobs(
    services: &Services, outbox: Outbox, prometheus: PrometheusHandle, stopped: &watch::Receiver<bool>,
    drained: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let supervisor = &services.supervisor;
    let stop = stopped.clone();
    supervisor.start("metrics", move || keep_metrics(prometheus.clone(), stop.clone()));
    let (stop, own) = (drained.clone(), services.wrap_up.clone());
    let wraps_up = supervisor.start("wrap_ups", move || wrap_up(own.clone(), stop.clone()));
    let (stop, starter, store) = (stopped.clone(), CallStarter::new(services.calls.clone()), services.store.clone());
    let schedules = supervisor.start("scheduler", move || scheduler::run(starter.clone(), store.clone(), stop.clone()));
    let (stop, cluster, trunks) = (stopped.clone(), services.live_calls.cluster.clone(), services.trunks.clone());
    let follows = supervisor.start("trunks", move || follow_trunks(cluster.clone(), trunks.clone(), stop.clone()));
    let (stop, own) = (drained.clone(), services.recovery.clone());
    let keeps_house = supervisor.start("housekeeping", move || scheduler::run_housekeeping(own.clone(), stop.clone()));
    let (stop, own) = (drained.clone(), services.admission.clone());
    supervisor.start("lines_elsewhere", move || watch_other_nodes(own.clone(), stop.clone()));
    let (stop, own) = (drained.clone(), services.recovery.recordings.clone());
    supervisor.start("recording_space", move || watch_recordings(own.clone(), stop.clone()));
    let (stop, own) = (stopped.clone(), alert_watch(services));
    let alerts = supervisor.start("alerts", move || watch_alerts(own.clone(), stop.clone()));
    let watched = WatchedParts {
        sip: services.sip.clone(),
        workers: services.media.workers.clone(),
        supervisor: supervisor.clone(),
    };
    let stop = stopped.clone();
    supervisor.start("watch", move || watch(watched.clone(), stop.clone()));
    let stop = drained.clone();
    let delivers = supervisor.start("outbox", move || outbox::run(outbox.clone(), stop.clone()));
    vec![delivers, wraps_up, schedules, follows, keeps_house, alerts]
}

fn alert_watch(services: &Services) -> AlertWatch {
    AlertWatch {
        store: services.store.clone(),
        trunks: services.trunks.clone(),
        node: services.recovery.node.name.clone(),
        base_url: services.wrap_up.links.base_url.clone(),
        currency: services.wrap_up.analysis.prices.currency.clone(),
    }
}

/// Reloads trunks that another process changed.
async fn follow_trunks(cluster: Cluster, trunks: TrunkService, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = cluster.trunks_changed() => {}
            _ = stopped.changed() => return,
        }
        if let Err(error) = trunks.reload().await {
            tracing::error!(%error, "cannot reload the trunks");
        }
    }
}

/// The parts without which no call works.
#[derive(Clone)]
struct WatchedParts {
    sip: SipHandle,
    workers: MediaWorkers,
    supervisor: Supervisor,
}

/// Ends the process when SIP or media hangs or has ended: nothing else would notice.
async fn watch(parts: WatchedParts, mut stopped: watch::Receiver<bool>) {
    let (mut unanswered, mut hung) = (0, 0);
    while tokio::time::timeout(WATCH_INTERVAL, stopped.changed()).await.is_err() {
        if parts.sip.is_closed() {
            return parts.supervisor.give_up("sip", "its task has ended");
        }
        let answered = matches!(tokio::time::timeout(WATCH_DEADLINE, parts.sip.self_check()).await, Ok(Some(_)));
        unanswered = if answered { 0 } else { unanswered + 1 };
        let hangs = parts.workers.liveness().iter().any(|thread| thread.since_cycle > HUNG_AFTER);
        hung = if hangs { hung + 1 } else { 0 };
        if unanswered >= UNANSWERED_MAX {
            return parts.supervisor.give_up("sip", "it does not answer");
        }
        if hung >= HUNG_LOOKS {
            return parts.supervisor.give_up("media", "one of its threads hangs");
        }
    }
}

/// Folds recorded values into their buckets; otherwise they accumulate until the next scrape.
async fn keep_metrics(prometheus: PrometheusHandle, mut stopped: watch::Receiver<bool>) {
    while tokio::time::timeout(METRICS_UPKEEP, stopped.changed()).await.is_err() {
        metrics::gauge!("trunkline_tasks").set(tokio::runtime::Handle::current().metrics().num_alive_tasks() as f64);
        prometheus.run_upkeep();
    }
}
