//! What a caller measured, for one call and for many.

use serde::Serialize;
use serde_json::{Value, json};

/// One call as its caller experienced it. Times are milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CallReport {
    /// INVITE to 200.
    pub setup_ms: Option<f64>,
    /// Answer to the first sound of the agent.
    pub first_sound_ms: Option<f64>,
    /// Last sound of the caller to first sound of the agent, for each turn.
    pub responses_ms: Vec<f64>,
    /// First sound of the caller to last sound of the agent, for each interruption.
    pub barge_ins_ms: Vec<f64>,
    /// Time between packets while the agent speaks.
    #[serde(skip)]
    pub gaps_ms: Vec<f32>,
    /// RTP packets that the caller received.
    pub packets_received: u64,
    /// RTP packets that were missing by their sequence numbers.
    pub packets_lost: u64,
    /// Seconds of sound from the agent and their level.
    pub heard_seconds: f64,
    /// Mean level of the frames with sound, in dBFS; 0 if there were none.
    pub level_dbfs: f32,
    /// The other side ended the call, or its network was lost, before the script was over.
    pub ended_by_agent: bool,
    /// Why the call failed, in words; `None` if the script ran to its end.
    pub failure: Option<String>,
}

/// The value below which a share of the samples lies; samples need not be sorted.
pub fn percentile(samples: &mut [f64], share: f64) -> Option<f64> {
    if samples.is_empty() {
        return None;
    }
    samples.sort_by(f64::total_cmp);
    let index = ((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len()) - 1;
    Some(samples[index])
}

fn summary(mut samples: Vec<f64>) -> Value {
    let mut at = |share| percentile(&mut samples, share).map(|v| (v * 100.0).round() / 100.0);
    let (p50, p95, p99, p999, max) = (at(0.5), at(0.95), at(0.99), at(0.999), at(1.0));
    json!({"count": samples.len(), "p50": p50, "p95": p95, "p99": p99, "p99.9": p999, "max": max})
}

/// Figures over many calls.
pub fn summarize(reports: &[CallReport]) -> Value {
    let all = |pick: fn(&CallReport) -> Vec<f64>| reports.iter().flat_map(pick).collect::<Vec<f64>>();
    let mut failures: Vec<&str> = reports.iter().filter_map(|r| r.failure.as_deref()).collect();
    failures.sort_unstable();
    let failed = failures.len();
    failures.dedup();
    failures.truncate(10);
    json!({
        "calls": reports.len(),
        "failed": failed,
        "failures": failures,
        "setup_ms": summary(all(|r| r.setup_ms.into_iter().collect())),
        "first_sound_ms": summary(all(|r| r.first_sound_ms.into_iter().collect())),
        "response_ms": summary(all(|r| r.responses_ms.clone())),
        "barge_in_ms": summary(all(|r| r.barge_ins_ms.clone())),
        "gap_ms": summary(all(|r| r.gaps_ms.iter().map(|g| f64::from(*g)).collect())),
        "packets_received": reports.iter().map(|r| r.packets_received).sum::<u64>(),
        "packets_lost": reports.iter().map(|r| r.packets_lost).sum::<u64>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut samples, 0.5), Some(50.0));
        assert_eq!(percentile(&mut samples, 0.99), Some(99.0));
        assert_eq!(percentile(&mut samples, 1.0), Some(100.0));
        assert_eq!(percentile(&mut [], 0.5), None);
    }
}
