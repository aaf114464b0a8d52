//! The fault soak: thousands of calls, each damaged in one of the ways that `docs/carriers.md` lists, in a seeded mix. At
//! the end the server must hold what it held before. What it still holds is traced to the kinds of calls that leave it.

mod callee;
mod callees;
mod caller;
mod encrypted;
mod inbound;
mod kinds;
mod media;
mod message;
mod outbound;
mod streams;
mod target;

use kinds::{FaultKind, KINDS};
use rand::SeedableRng as _;
use rand::distr::Distribution as _;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
pub use target::{FaultServer, FaultTarget, Holdings};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// No kind of call takes as long as this.
const CALL_DEADLINE: Duration = Duration::from_secs(120);
/// Calls with an end of their own are over after this: 64 * T1, the BYE after it, and what lingers behind both.
const LETTING_GO: Duration = Duration::from_secs(110);
/// Calls of each half when a leak is looked for.
const SEARCH_CALLS_PER_KIND: usize = 8;
/// Failures that are kept as examples of a kind.
const EXAMPLES_MAX: usize = 3;

/// How many calls, how fast, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct FaultMix {
    /// Calls in all; the first ones go through all kinds once.
    pub calls: usize,
    /// Calls that begin in a second.
    pub per_second: f64,
    /// The same seed draws the same kinds in the same order.
    pub seed: u64,
}

/// Calls of one kind.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct KindReport {
    /// Calls made.
    pub calls: usize,
    /// Calls that went otherwise than they should.
    pub failed: usize,
    /// What some of these said.
    pub examples: Vec<String>,
}

/// What a run has shown.
#[derive(Debug, serde::Serialize)]
pub struct FaultReport {
    /// What the server held before the calls and after them.
    pub before: Holdings,
    /// Once everything was let go, or the time for it was over.
    pub after: Holdings,
    /// Seconds from the end of the last call until everything was let go.
    pub released_after_s: f64,
    /// What was still held, by name; empty without a leak.
    pub held: Vec<String>,
    /// Kinds of calls that leave something, each with what it was.
    pub leaks: BTreeMap<String, Vec<String>>,
    /// Calls by kind.
    pub kinds: BTreeMap<&'static str, KindReport>,
}

impl FaultReport {
    /// Calls that went otherwise than they should, as text for people.
    pub fn failures(&self) -> Vec<String> {
        failures(&self.kinds)
    }
}

/// A server that is ready for damaged calls.
#[derive(Debug)]
pub struct FaultSoak {
    target: Arc<FaultTarget>,
}

impl FaultSoak {
    /// Makes the trunks and numbers that the calls need.
    ///
    /// # Errors
    ///
    /// What the server refused, for people.
    pub async fn set_up(server: FaultServer) -> Result<Self, String> {
        let target = FaultTarget::set_up(server).await?;
        // Both accounts have registered before anything is counted.
        sleep(Duration::from_secs(1)).await;
        Ok(Self { target })
    }

    /// Makes calls that fill pools and caches, and says which went otherwise than they should.
    pub async fn warm_up(&self, mix: FaultMix) -> Vec<String> {
        failures(&self.calls(KINDS, mix).await)
    }

    /// Makes the calls, and compares what the server holds.
    ///
    /// # Errors
    ///
    /// The server did not say what it holds.
    pub async fn run(&self, mix: FaultMix) -> Result<FaultReport, String> {
        let before = self.settled().await?;
        let kinds = self.calls(KINDS, mix).await;
        let started = Instant::now();
        let after = self.released(&before).await?;
        let released_after_s = started.elapsed().as_secs_f64();
        let held = after.beyond(&before);
        let mut leaks = BTreeMap::new();
        eprintln!("after {} calls: held {held:?}, {before:?}, {after:?}, {:?}", mix.calls, failures(&kinds));
        if !held.is_empty() {
            self.search(KINDS, mix, &mut leaks).await?;
        }
        Ok(FaultReport { before, after, released_after_s, held, leaks, kinds })
    }

    /// Every kind at least once, then as they are drawn.
    async fn calls(&self, kinds: &'static [FaultKind], mix: FaultMix) -> BTreeMap<&'static str, KindReport> {
        let mut random = StdRng::seed_from_u64(mix.seed);
        let weights = WeightedIndex::new(kinds.iter().map(|kind| kind.weight));
        let mut calls = JoinSet::new();
        let mut reports = BTreeMap::new();
        let start = Instant::now();
        for number in 0..mix.calls {
            sleep_until(start + Duration::from_secs_f64(number as f64 / mix.per_second.max(0.1))).await;
            let mut drawn = || weights.as_ref().map_or(0, |weights| weights.sample(&mut random));
            let index = if number < kinds.len() { number } else { drawn() };
            let Some(kind) = kinds.get(index).copied() else { continue };
            let target = self.target.clone();
            calls.spawn(async move {
                let outcome = timeout(CALL_DEADLINE, (kind.run)(target)).await;
                (kind.name, outcome.unwrap_or_else(|_| Err("never over".to_owned())))
            });
            while let Some(done) = calls.try_join_next() {
                count(&mut reports, done);
            }
        }
        while let Some(done) = calls.join_next().await {
            count(&mut reports, done);
        }
        reports
    }

    /// What the server holds when it holds no call.
    async fn settled(&self) -> Result<Holdings, String> {
        let deadline = Instant::now() + LETTING_GO;
        loop {
            let now = self.target.holdings().await?;
            if (now.calls == 0 && now.transactions == 0) || Instant::now() > deadline {
                return Ok(now);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// What the server holds once it is back where it was, or in the end.
    async fn released(&self, before: &Holdings) -> Result<Holdings, String> {
        let deadline = Instant::now() + LETTING_GO;
        loop {
            let now = self.target.holdings().await?;
            if now.beyond(before).is_empty() || Instant::now() > deadline {
                return Ok(now);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Halves the kinds until those that leave something are alone.
    async fn search(
        &self, kinds: &'static [FaultKind], mix: FaultMix, leaks: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<(), String> {
        let mut waiting = vec![kinds];
        while let Some(group) = waiting.pop() {
            let before = self.target.holdings().await?;
            let calls = group.len() * SEARCH_CALLS_PER_KIND;
            self.calls(group, FaultMix { calls, per_second: mix.per_second.min(20.0), ..mix }).await;
            let held = self.released(&before).await?.beyond(&before);
            match group {
                _ if held.is_empty() => {}
                [kind] => {
                    leaks.insert(kind.name.to_owned(), held);
                }
                _ => {
                    let (first, second) = group.split_at(group.len() / 2);
                    waiting.extend([first, second]);
                }
            }
        }
        Ok(())
    }
}

fn failures(kinds: &BTreeMap<&'static str, KindReport>) -> Vec<String> {
    let failed = kinds.iter().filter(|(_, kind)| kind.failed > 0);
    failed.map(|(name, kind)| format!("{name}: {} of {} {:?}", kind.failed, kind.calls, kind.examples)).collect()
}

type Done = Result<(&'static str, Result<(), String>), tokio::task::JoinError>;

fn count(reports: &mut BTreeMap<&'static str, KindReport>, done: Done) {
    let Ok((name, outcome)) = done else { return };
    let report = reports.entry(name).or_default();
    report.calls += 1;
    if let Err(error) = outcome {
        report.failed += 1;
        if report.examples.len() < EXAMPLES_MAX {
            report.examples.push(error);
        }
    }
}
