//! Why a turn was held for over: what was known when, and which signs decided.

use super::cues::Cue;
use std::time::{Duration, Instant};

/// One judgement on the way to the end of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionStep {
    /// When it was made.
    pub at: Instant,
    /// What had changed: `interim`, `final`, `silence`, `speech` and the like.
    pub cause: &'static str,
    /// How likely the turn was over, from 0 to 1.
    pub probability: f32,
    /// The silence that would end the turn.
    pub wait: Duration,
}

/// Why a turn was held for over.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnDecision {
    /// How likely it was over, from 0 to 1.
    pub probability: f32,
    /// The silence that ended it.
    pub wait: Duration,
    /// What the agent had asked for, if that was known.
    pub asked: Option<&'static str>,
    /// Signs with what each counted in logits, the weightiest first.
    pub reasons: Vec<(Cue, f32)>,
    /// The last judgements, in order of time; at most ten.
    pub steps: Vec<DecisionStep>,
}
