//! Many calls: so many at once, so many a second.

use super::report::CallReport;
use super::script::CallScript;
use super::softphone::{DialParams, Softphone};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How many calls a load test makes, and how fast.
#[derive(Clone, Debug)]
pub struct LoadProfile {
    /// Calls in all.
    pub calls: usize,
    /// Calls that start in one second, on average; at least 0.01.
    pub per_second: f64,
    /// Calls that run at the same time; 0 counts as 1.
    pub at_once: usize,
    /// Folder for one WAV file per call, `caller-0.wav` and on; `None` records nothing.
    pub recordings: Option<PathBuf>,
}

/// Makes the calls and returns their reports in the order they ended.
pub async fn run(phone: Arc<Softphone>, dial: DialParams, script: CallScript, load: LoadProfile) -> Vec<CallReport> {
    let (dial, script) = (Arc::new(dial), Arc::new(script));
    let permits = Arc::new(tokio::sync::Semaphore::new(load.at_once.max(1)));
    let mut calls = JoinSet::new();
    let mut reports = Vec::with_capacity(load.calls);
    let mut next = tokio::time::Instant::now();
    let interval = Duration::from_secs_f64(1.0 / load.per_second.max(0.01));
    for number in 0..load.calls {
        // Somewhere in its interval: callers do not dial in step, and calls in step would all send their
        // packets at the same moment.
        tokio::time::sleep_until(next + interval.mul_f64(rand::random())).await;
        next += interval;
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let (phone, dial, script) = (phone.clone(), dial.clone(), script.clone());
        let recording = load.recordings.as_ref().map(|folder| folder.join(format!("caller-{number}.wav")));
        calls.spawn(async move {
            let report = phone.dial(&dial, &script, recording).await;
            drop(permit);
            report
        });
        while let Some(done) = calls.try_join_next() {
            reports.extend(done.ok());
        }
    }
    while let Some(done) = calls.join_next().await {
        reports.extend(done.ok());
    }
    reports
}
