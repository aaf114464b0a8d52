//! What each agent of a call has used, for calls that more than one agent had.

use super::spec::CallSpec;
use serde_json::{Value, json};
use trunkline_domain::ids::AgentId;

/// Sums of a call up to an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UsageSums {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) characters: u64,
    pub(super) turns: u64,
}

/// An agent's part of a call: from when on, and the sums at that instant.
#[derive(Clone, Debug)]
struct AgentShare {
    agent_id: Option<AgentId>,
    name: String,
    /// `provider/model` of STT.
    stt: Option<String>,
    from_ms: u64,
    before: UsageSums,
}

/// The agents of a call in order; empty as long as there was one only. As many as handovers are allowed, and one.
#[derive(Clone, Debug, Default)]
pub(super) struct AgentShares(Vec<AgentShare>);

impl AgentShares {
    /// An agent has handed the call to another one.
    pub(super) fn record(&mut self, at_ms: u64, from: &CallSpec, to: &CallSpec, sums: UsageSums) {
        let share = |spec: &CallSpec, from_ms, before| AgentShare {
            agent_id: spec.agent_id,
            name: spec.agent.name.clone(),
            stt: spec.agent.stt_name(),
            from_ms,
            before,
        };
        if self.0.is_empty() {
            self.0.push(share(from, 0, UsageSums::default()));
        }
        self.0.push(share(to, at_ms, sums));
    }

    /// As the call's metrics show them; `None` for a call of one agent.
    pub(super) fn to_json(&self, sums: UsageSums) -> Option<Value> {
        let ends = self.0.iter().skip(1).map(|next| (Some(next.from_ms), next.before)).chain([(None, sums)]);
        let shares = self.0.iter().zip(ends).map(|(share, (until_ms, after))| {
            json!({
                "agent_id": share.agent_id,
                "name": share.name,
                "from_ms": share.from_ms,
                "until_ms": until_ms,
                "stt": share.stt,
                "turns": after.turns.saturating_sub(share.before.turns),
                "prompt_tokens": after.prompt_tokens.saturating_sub(share.before.prompt_tokens),
                "completion_tokens": after.completion_tokens.saturating_sub(share.before.completion_tokens),
                "characters_spoken": after.characters.saturating_sub(share.before.characters),
            })
        });
        (!self.0.is_empty()).then(|| shares.collect())
    }
}
