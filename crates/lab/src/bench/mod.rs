//! `trunkline bench`: whole calls through a server in a separate process, with the emulated providers and
//! the callers in this one. Prints what callers experience and what the server costs.

mod api;
mod calls;
mod harness;
mod hostile;
mod live;
mod providers;
mod sip;
mod web;

use clap::Args;
use harness::{API, LINGER, TALKER, TURNS};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What `trunkline bench` takes.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Concurrent calls for turns and barge-in.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Concurrent calls for packet gaps, CPU and memory.
    #[arg(long, default_value_t = 300)]
    many: usize,
    /// Call set-ups per second for the set-up time.
    #[arg(long, default_value_t = 100.0)]
    setup_rate: f64,
    /// Call set-ups per second for the flood.
    #[arg(long, default_value_t = 1000.0)]
    flood_rate: f64,
    /// Concurrent calls from browsers.
    #[arg(long, default_value_t = 50)]
    web: usize,
    /// Only these: api, setup, turns, live, barge-in, many, web, flood, failover, faults, memory. Only when named:
    /// sipp (needs sip-tester), soak, defence, hostile.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Serve a bare "hello" for comparison, and nothing else.
    #[arg(long, hide = true)]
    hello: bool,
    /// Call set-ups per second that sipp tries.
    #[arg(long, value_delimiter = ',', default_values_t = [1000.0, 3000.0, 4000.0])]
    sipp_rates: Vec<f64>,
    /// Run only the SIP user agent, for sipp.
    #[arg(long, hide = true)]
    answer: Option<SocketAddr>,
}

/// Runs the measurements that were asked for and prints them.
///
/// # Errors
///
/// What could not be started, or which measurement failed, for the person at the terminal.
pub async fn run(args: BenchArgs) -> Result<(), String> {
    if args.hello {
        return api::hello().await;
    }
    if let Some(addr) = args.answer {
        return sip::answer(addr).await;
    }
    let _ = rlimit::increase_nofile_limit(1 << 20);
    let bench = Arc::new(harness::start().await?);
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let mut results = serde_json::Map::new();
    let fresh = bench.server.usage();
    // Caches, connections and the voice's texts are warm before anything counts.
    bench.call(TURNS, "listen; say hello; listen; say where_is_my_order; listen; hangup", 4, 10.0, 4).await?;
    bench.call(TALKER, "interrupt wait_stop; listen; hangup", 2, 10.0, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = bench.server.usage();
    // Minutes each: not without being asked for.
    let named = |name: &str| args.only.iter().any(|only| only == name);
    if named("sipp") {
        results.insert("sipp".into(), sip::signalling(&args.sipp_rates).await?);
    }
    if named("soak") {
        results.insert("soak".into(), sip::soak(&bench).await?);
    }
    if named("defence") {
        results.insert("defence".into(), sip::run_floods(&bench).await?);
    }
    if named("hostile") {
        results.insert("hostile".into(), hostile::hostile(&bench).await?);
    }
    if wanted("setup") {
        results.insert("setup".into(), bench.setup(args.setup_rate, 5.0).await?);
    }
    if wanted("turns") {
        results.insert("turns".into(), bench.turns(args.calls).await?);
    }
    if wanted("live") {
        results.insert("live".into(), bench.live().await?);
    }
    if wanted("barge-in") {
        results.insert("barge_in".into(), bench.barge_in(args.calls).await?);
    }
    if wanted("many") {
        results.insert("many".into(), bench.many(args.many, idle).await?);
    }
    if wanted("web") {
        results.insert("web".into(), bench.web(args.web).await?);
    }
    if wanted("flood") {
        results.insert("flood".into(), bench.setup(args.flood_rate, 5.0).await?);
    }
    if wanted("failover") {
        results.insert("failover".into(), providers::failover(&bench).await?);
    }
    if wanted("faults") {
        results.insert("faults".into(), providers::faults(&bench).await?);
    }
    if wanted("api") {
        let agent = bench.agent().await?;
        results.insert("api".into(), api::throughput(API, &bench.key, &agent).await?);
    }
    let mut memory = json!({"start": fresh.resident_mb, "idle": idle.resident_mb});
    if wanted("memory") {
        tokio::time::sleep(LINGER).await;
        memory["after"] = json!(bench.server.usage().resident_mb);
        // The first load fills caches; what the second one adds would be a leak.
        bench.setup(args.flood_rate, 5.0).await?;
        tokio::time::sleep(LINGER).await;
        memory["after_again"] = json!(bench.server.usage().resident_mb);
    }
    results.insert("memory_mb".into(), memory);
    println!("{}", serde_json::to_string_pretty(&results).unwrap_or_default());
    Ok(())
}
