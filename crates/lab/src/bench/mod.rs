//! `trunkline bench`: whole calls through a server in a separate process, with the emulated providers and
//! the callers in this one. Prints what callers experience and what the server costs.

mod api;
mod calls;
mod faults;
mod hostile;
mod installation;
mod live;
mod process;
mod providers;
mod sip;
mod stt_clients;
mod web;

use crate::faults::FaultMix;
use clap::{Args, Subcommand};
use installation::{API, Bench, LINGER, TALKER, TURNS};
use process::ProcessUsage;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use trunkline_turn_bench::TurnBenchArgs;

/// A bench of its own.
#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Measure turn-taking on recorded turns with labelled pauses, in virtual time: how many pauses are cut off, and how late
    /// true ends are answered.
    Turns(Box<TurnBenchArgs>),
}

/// What `trunkline bench` takes.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: Option<BenchCommand>,
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
    /// sipp (needs sip-tester), soak, damaged, defence, hostile, first-words.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Damaged calls of the fault soak.
    #[arg(long, default_value_t = 20_000)]
    fault_calls: usize,
    /// Damaged calls that begin in a second.
    #[arg(long, default_value_t = 60.0)]
    fault_rate: f64,
    /// Order of the damaged calls; the same seed draws the same kinds.
    #[arg(long)]
    fault_seed: Option<u64>,
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

impl BenchArgs {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.names(name)
    }

    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }
}

/// Runs the measurements that were asked for and prints them.
///
/// # Errors
///
/// What could not be started, or which measurement failed, for the person at the terminal.
pub async fn run(args: BenchArgs) -> Result<(), String> {
    if let Some(BenchCommand::Turns(args)) = &args.command {
        return trunkline_turn_bench::run(args, stt_clients::build).await;
    }
    if args.hello {
        return api::hello().await;
    }
    if let Some(addr) = args.answer {
        return sip::answer(addr).await;
    }
    let _ = rlimit::increase_nofile_limit(1 << 20);
    let bench = Arc::new(installation::start().await?);
    let mut results = Map::new();
    let fresh = bench.usage();
    // Caches, connections and the voice's texts are warm before anything counts.
    bench.call(TURNS, "listen; say hello; listen; say where_is_my_order; listen; hangup", 4, 10.0, 4).await?;
    bench.call(TALKER, "interrupt wait_stop; listen; hangup", 2, 10.0, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = bench.usage();
    long_measurements(&args, &bench, &mut results).await?;
    measurements(&args, &bench, idle, &mut results).await?;
    let mut memory = json!({"start": fresh.resident_mb, "idle": idle.resident_mb});
    if args.wants("memory") {
        tokio::time::sleep(LINGER).await;
        memory["after"] = json!(bench.resident_mb());
        // The first load fills caches; what the second one adds would be a leak.
        calls::setup(&bench, args.flood_rate, 5.0).await?;
        tokio::time::sleep(LINGER).await;
        memory["after_again"] = json!(bench.resident_mb());
    }
    results.insert("memory_mb".into(), memory);
    println!("{}", serde_json::to_string_pretty(&results).unwrap_or_default());
    Ok(())
}

/// Minutes each: not without being asked for.
async fn long_measurements(
    args: &BenchArgs, bench: &Arc<Bench>, results: &mut Map<String, Value>,
) -> Result<(), String> {
    if args.names("sipp") {
        results.insert("sipp".into(), sip::signalling(&args.sipp_rates).await?);
    }
    if args.names("soak") {
        results.insert("soak".into(), sip::soak(bench).await?);
    }
    if args.names("first-words") {
        results.insert("first_words".into(), providers::first_words(bench).await?);
    }
    if args.names("damaged") {
        let seed = args.fault_seed.unwrap_or_else(rand::random);
        let mix = FaultMix { calls: args.fault_calls, per_second: args.fault_rate, seed };
        results.insert("damaged".into(), faults::soak(bench, mix).await?);
    }
    if args.names("defence") {
        results.insert("defence".into(), sip::run_floods(bench).await?);
    }
    if args.names("hostile") {
        results.insert("hostile".into(), hostile::hostile(bench).await?);
    }
    Ok(())
}

async fn measurements(
    args: &BenchArgs, bench: &Arc<Bench>, idle: ProcessUsage, results: &mut Map<String, Value>,
) -> Result<(), String> {
    if args.wants("setup") {
        results.insert("setup".into(), calls::setup(bench, args.setup_rate, 5.0).await?);
    }
    if args.wants("turns") {
        results.insert("turns".into(), calls::turns(bench, args.calls).await?);
    }
    if args.wants("live") {
        results.insert("live".into(), live::run(bench).await?);
    }
    if args.wants("barge-in") {
        results.insert("barge_in".into(), calls::barge_in(bench, args.calls).await?);
    }
    if args.wants("many") {
        results.insert("many".into(), calls::many(bench, args.many, idle).await?);
    }
    if args.wants("web") {
        results.insert("web".into(), web::run(bench, args.web).await?);
    }
    if args.wants("flood") {
        results.insert("flood".into(), calls::setup(bench, args.flood_rate, 5.0).await?);
    }
    if args.wants("failover") {
        results.insert("failover".into(), providers::failover(bench).await?);
    }
    if args.wants("faults") {
        results.insert("faults".into(), providers::faults(bench).await?);
    }
    if args.wants("api") {
        let agent = bench.agent().await?;
        results.insert("api".into(), api::throughput(API, bench.key(), &agent).await?);
    }
    Ok(())
}
