//! What the policy says of a turn so far, and how it came to it.

use super::super::asked::Asked;
use super::super::decision::Judgement;
use super::super::explanation::{DecisionStep, TurnDecision};
use std::time::{Duration, Instant};

/// Judgements of a turn that are kept for its explanation.
pub(super) const STEPS_MAX: usize = 10;

/// The present judgement of a turn, and those before.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    judgement: Judgement,
    /// The silence that ends the turn as it is known now.
    wait: Duration,
    steps: Vec<DecisionStep>,
    /// How complete the last turn looked when it was taken.
    taken_probability: f32,
}

impl Verdict {
    pub(super) fn probability(&self) -> f32 {
        self.judgement.probability
    }

    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    pub(super) fn taken_probability(&self) -> f32 {
        self.taken_probability
    }

    pub(super) fn set(&mut self, judgement: Judgement, wait: Duration) {
        self.judgement = judgement;
        self.wait = wait;
    }

    /// Notes the judgement for the explanation.
    pub(super) fn record_step(&mut self, at: Instant, cause: &'static str) {
        let step = DecisionStep { at, cause, probability: self.judgement.probability, wait: self.wait };
        if self.steps.len() == STEPS_MAX {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }

    /// Why the turn is over.
    pub(super) fn decision(&mut self, asked: Asked) -> TurnDecision {
        TurnDecision {
            probability: self.judgement.probability,
            wait: self.wait,
            asked: asked.name(),
            reasons: self.judgement.reasons.clone(),
            steps: std::mem::take(&mut self.steps),
        }
    }

    /// The turn is taken: the next one is not judged yet.
    pub(super) fn record_taken(&mut self) {
        self.taken_probability = self.judgement.probability;
        self.judgement = Judgement::default();
        self.steps.clear();
    }

    /// The judgement.
    #[cfg(test)]
    pub(super) fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// Judgements so far, the last ones.
    #[cfg(test)]
    pub(super) fn steps(&self) -> &[DecisionStep] {
        &self.steps
    }
}
