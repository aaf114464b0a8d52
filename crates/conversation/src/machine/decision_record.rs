//! Why the end of a turn was decided, as the call's `metrics` show it. It names signs, never words of the caller.

use serde_json::{Value, json};
use std::time::Instant;
use trunkline_media::turn::explanation::TurnDecision;

/// One decision, in milliseconds of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord(Value);

impl DecisionRecord {
    /// Takes over a decision; `ms` tells the call's time.
    pub(super) fn new(decision: &TurnDecision, ms: impl Fn(Instant) -> u64) -> Self {
        let reasons =
            decision.reasons.iter().map(|(cue, counted)| json!({"sign": cue.name(), "counted": share(*counted)}));
        let steps = decision.steps.iter().map(|step| {
            json!({
                "at_ms": ms(step.at),
                "by": step.cause,
                "probability": share(step.probability),
                "wait_ms": step.wait.as_millis() as u64,
            })
        });
        Self(json!({
            "probability": share(decision.probability),
            "wait_ms": decision.wait.as_millis() as u64,
            "asked": decision.asked,
            "evidence": reasons.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
        }))
    }

    /// As `metrics.turns[].decision` shows it.
    pub(super) fn to_json(&self) -> &Value {
        &self.0
    }
}

/// Two digits are enough.
fn share(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}
