//! What a failing provider costs the caller, what calls with faults leave behind, and how often a connection
//! is used again.

use super::installation::{Bench, DOUBLED, LINGER, TURNS};
use crate::caller::report::{CallReport, percentile};
use crate::emulator::InjectedFault;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Calls for each stage and fault; a breaker opens after five failures, so that the first ones pay.
const CALLS: usize = 20;
/// Calls with faults.
const FAULTY: usize = 1_000;
const WARM_UP: usize = 300;
const AT_ONCE: usize = 50;
const STAGES: [(&str, &str); 3] = [("stt", "deepgram"), ("llm", "openai"), ("tts", "elevenlabs")];

fn percentile_summary(mut values: Vec<f64>) -> Value {
    let count = values.len();
    let mut at = |share| percentile(&mut values, share);
    json!({"count": count, "p50": at(0.5), "p99": at(0.99)})
}

/// Time from the request that failed to the decision for another provider, by stage and cause; and what
/// callers wait for an answer.
pub(super) async fn failover(bench: &Bench) -> Result<Value, String> {
    let script = "listen; say hello; listen; say where_is_my_order; listen; hangup";
    let healthy = bench.call(DOUBLED, script, CALLS, 5.0, CALLS).await?;
    let mut result = json!({"healthy_response_ms": percentile_summary(healthy.iter().flat_map(|r| r.responses_ms.clone()).collect())});
    for (stage, provider) in STAGES {
        for fault in [InjectedFault::Refuse, InjectedFault::Drop, InjectedFault::Stall] {
            let target = format!("{stage}.{provider}");
            bench.emulator().faults.set(&target, Some(fault), u32::MAX);
            let reports = bench.call(DOUBLED, script, CALLS, 5.0, CALLS).await?;
            bench.emulator().faults.set(&target, None, 0);
            tokio::time::sleep(Duration::from_secs(2)).await; // the last calls are being written
            let mut causes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            for call in bench.calls(CALLS).await? {
                for one in call["metrics"]["failovers"].as_array().into_iter().flatten() {
                    let cause = one["why"].as_str().unwrap_or("").to_owned();
                    causes.entry(cause).or_default().push(one["added_ms"].as_f64().unwrap_or(0.0));
                }
            }
            let added: BTreeMap<String, Value> =
                causes.into_iter().map(|(why, ms)| (why, percentile_summary(ms))).collect();
            let responses = percentile_summary(reports.iter().flat_map(|report| report.responses_ms.clone()).collect());
            let failed = reports.iter().filter(|report| report.failure.is_some()).count();
            result[format!("{stage} {fault:?}").to_lowercase()] =
                json!({"added_ms": added, "response_ms": responses, "calls_failed": failed});
            // The breaker lets the provider be tried again.
            tokio::time::sleep(Duration::from_secs(7)).await;
            bench.call(DOUBLED, "listen; say hello; listen; hangup", 2, 2.0, 2).await?;
        }
    }
    result["connections"] = reuse(bench).await?;
    Ok(result)
}

/// What callers wait until anything is said, whatever fails: every fault of every stage, at an agent without fallbacks.
/// They ask something: to a statement, nothing may be the answer.
pub(super) async fn first_words(bench: &Bench) -> Result<Value, String> {
    let mut result = json!({});
    for (stage, provider) in STAGES {
        for fault in InjectedFault::ALL {
            let target = format!("{stage}.{provider}");
            bench.emulator().faults.set(&target, Some(fault), u32::MAX);
            let reports = bench.call(TURNS, "listen; say opening_hours; listen; hangup", CALLS, 10.0, CALLS).await?;
            bench.emulator().faults.set(&target, None, 0);
            let waits = reports.iter().flat_map(|report| report.responses_ms.clone()).collect();
            let unheard = reports.iter().filter(|report| report.responses_ms.is_empty()).count();
            result[format!("{stage} {fault:?}").to_lowercase()] =
                json!({"response_ms": percentile_summary(waits), "calls_without_an_answer": unheard});
            // The breaker lets the provider be tried again.
            tokio::time::sleep(Duration::from_secs(7)).await;
            bench.call(TURNS, "listen; say hello; listen; hangup", 2, 2.0, 2).await?;
        }
    }
    Ok(result)
}

/// HTTP requests for each connection that was opened, over calls without faults.
async fn reuse(bench: &Bench) -> Result<Value, String> {
    let counts = &bench.emulator().counts;
    let read = || {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        (of(&counts.connections), of(&counts.upgrades), of(&counts.requests))
    };
    let before = read();
    bench.call(TURNS, "listen; say hello; listen; say opening_hours; listen; hangup", 100, 10.0, 100).await?;
    let after = read();
    let (connections, upgrades, requests) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    let opened = connections.saturating_sub(upgrades);
    let reused = 1.0 - opened as f64 / requests.max(1) as f64;
    Ok(json!({"http_requests": requests, "http_connections_opened": opened, "reused": reused, "sockets": upgrades}))
}

/// Calls in which one stage after another fails in one way after another: what is left of them afterwards.
pub(super) async fn faults(bench: &Bench) -> Result<Value, String> {
    // The first load fills caches that stay; what the second one leaves behind would be a leak.
    run_with_faults(bench, WARM_UP).await?;
    tokio::time::sleep(LINGER).await;
    let before = bench.resource_usage().await?;
    let reports = run_with_faults(bench, FAULTY).await?;
    tokio::time::sleep(LINGER).await;
    let after = bench.resource_usage().await?;
    let mute = reports.iter().filter(|report| report.heard_seconds < 0.3).count();
    let failed: Vec<&str> = reports.iter().filter_map(|report| report.failure.as_deref()).collect();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for call in bench.calls(100).await? {
        *reasons.entry(call["end_reason"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
    }
    Ok(json!({"calls": reports.len(), "callers_who_heard_nothing": mute, "callers_who_failed": failed.len(),
        "how_they_failed": failed.first(), "end_reasons_of_the_last_hundred": reasons,
        "before": {"resident_mb": before.resident_mb, "descriptors": before.descriptors, "tasks": before.tasks},
        "after": {"resident_mb": after.resident_mb, "descriptors": after.descriptors, "tasks": after.tasks}}))
}

/// Half of the calls have a fallback at every stage, half have none.
async fn run_with_faults(bench: &Bench, count: usize) -> Result<Vec<CallReport>, String> {
    let trouble = async {
        for round in 0usize.. {
            let (stage, provider) = STAGES[round % STAGES.len()];
            let fault = InjectedFault::ALL[round / STAGES.len() % InjectedFault::ALL.len()];
            let target = format!("{stage}.{provider}");
            bench.emulator().faults.set(&target, Some(fault), u32::MAX);
            tokio::time::sleep(Duration::from_millis(400)).await;
            bench.emulator().faults.set(&target, None, 0);
        }
    };
    let script = "pause 1500; say hello; pause 3000; hangup";
    let calls = async {
        let doubled = bench.call(DOUBLED, script, count / 2, 10.0, AT_ONCE).await?;
        let alone = bench.call(TURNS, script, count / 2, 10.0, AT_ONCE).await?;
        Ok::<_, String>([doubled, alone].concat())
    };
    let reports = tokio::select! {
        reports = calls => reports?,
        () = trouble => Vec::new(),
    };
    for (stage, provider) in STAGES {
        bench.emulator().faults.set(&format!("{stage}.{provider}"), None, 0);
    }
    Ok(reports)
}
