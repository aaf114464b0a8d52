//! The fault soak against the server of the bench.

use super::installation::Bench;
use crate::faults::{FaultMix, FaultSoak};
use serde_json::{Value, json};

/// Calls before those that count, by which pools and caches are filled; a tenth, and at least one of each kind.
const WARM_UP_SHARE: usize = 10;
const WARM_UP_MIN: usize = 120;

pub(super) async fn soak(bench: &Bench, mix: FaultMix) -> Result<Value, String> {
    let soak = FaultSoak::set_up(bench.fault_server()).await?;
    let warm_up = FaultMix { calls: (mix.calls / WARM_UP_SHARE).max(WARM_UP_MIN), seed: !mix.seed, ..mix };
    let warm = soak.warm_up(warm_up).await;
    let report = soak.run(mix).await?;
    let memory = (report.after.resident_mb / report.before.resident_mb - 1.0) * 100.0;
    Ok(json!({
        "calls": mix.calls, "seed": mix.seed, "memory_percent": memory, "warm_up_failures": warm, "failures": report.failures(),
        "report": report,
    }))
}
