//! How long an STT service's words take to a listener of the live transcript. The emulated STT and the
//! listeners are in this process and share its clock; the server is another process.

use super::harness::Bench;
use crate::caller::report::percentile;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What callers say: different words in each call, so that a result is known by them.
const PHRASES: [&str; 6] =
    ["hello", "where_is_my_order", "order_number", "opening_hours", "speak_to_human", "yes_correct"];

/// Every message that a listener receives, with its instant.
async fn listen(url: String) -> Vec<(Instant, String)> {
    let mut heard = Vec::new();
    let Ok((mut socket, _)) = tokio_tungstenite::connect_async(url).await else { return heard };
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Ok(text) = message.into_text() else { continue };
        let message: Value = serde_json::from_str(&text).unwrap_or_default();
        for turn in message["data"]["transcript"].as_array().into_iter().flatten() {
            if turn["is_final"] == json!(false) {
                heard.push((at, turn["content"].as_str().unwrap_or_default().to_owned()));
            }
        }
    }
    heard
}

pub(super) async fn run(bench: &Bench) -> Result<Value, String> {
    let mut results = bench.results();
    let calls = async {
        let mut calls = Vec::new();
        for phrase in PHRASES {
            let script = format!("listen; say {phrase}; listen; say {phrase}; listen; say {phrase}; listen; hangup");
            calls.push(bench.one(script));
        }
        futures_util::future::join_all(calls).await
    };
    let listeners = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut all = JoinSet::new();
        for url in bench.live_urls().await.unwrap_or_default() {
            all.spawn(listen(url));
        }
        all.join_all().await
    };
    let (_, heard) = tokio::join!(calls, listeners);
    let mut said: HashMap<String, VecDeque<Instant>> = HashMap::new();
    while let Ok((at, text)) = results.try_recv() {
        said.entry(text).or_default().push_back(at);
    }
    let mut latencies = Vec::new();
    for (at, text) in heard.into_iter().flatten() {
        if let Some(sent) = said.get_mut(&text).and_then(VecDeque::pop_front) {
            latencies.push(at.saturating_duration_since(sent).as_secs_f64() * 1_000.0);
        }
    }
    let mut at = |share| percentile(&mut latencies, share);
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    Ok(json!({"updates": latencies.len(), "recogniser_to_listener_ms": {"p50": p50, "p99": p99, "max": max}}))
}
