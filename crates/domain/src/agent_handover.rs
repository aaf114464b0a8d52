//! Handing a call to another agent of the organization: `handover_config` of an agent.

use super::ids::AgentId;
use super::rules::{at_most, before, chars, fits, is_text, parses};
use super::template::{self, TemplateUse};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Handovers of one call at most: agents that send a caller to and fro would never end.
pub const HANDOVERS_MAX: u32 = 10;
/// Agents that one agent can hand calls to: the LLM reads all of them with each request.
const TARGETS_MAX: usize = 20;
/// Characters of a description: it is part of what the LLM reads.
const DESCRIPTION_CHARS_MAX: usize = 500;

/// What the next agent learns of the conversation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HandoverHistory)]
pub enum HandoverHistory {
    /// Everything that was said, and the results of tools.
    #[default]
    Full,
    /// What the LLM wrote as `summary`, and nothing else.
    Summary,
    /// Nothing.
    None,
}

/// How the next agent begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HandoverOpening)]
pub enum HandoverOpening {
    /// It goes on with what the caller wants, without a greeting.
    #[default]
    Continue,
    /// It says its `first_message`; without one the LLM greets.
    Greet,
}

/// An agent that the LLM can hand the call to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(Vec<HandoverTarget> as all))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct HandoverTarget {
    /// An agent of the same organization, with a pipeline of STT, LLM and TTS.
    #[schema(format = "uuid")]
    #[garde(custom(parses(AgentId::parse, "must be the id of an agent")))]
    pub agent_id: String,
    /// What the LLM calls it: `billing`. Each name may occur once.
    #[schema(min_length = 1, max_length = 64)]
    #[garde(custom(fits(|name: &str| is_text(name, 64), "must have 1 to 64 characters")))]
    #[garde(custom(fits(|name: &str| before(all, self).all(|earlier| earlier.name != name), "is there twice")))]
    pub name: String,
    /// When the LLM should choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    #[garde(inner(custom(chars(DESCRIPTION_CHARS_MAX)), custom(template::rule(TemplateUse::Text))))]
    pub description: Option<String>,
    /// What it learns of the conversation so far; `full` by default.
    #[serde(default)]
    pub history: HandoverHistory,
    /// What the LLM has to write as `summary`, such as the customer number and what was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 500)]
    #[garde(inner(custom(chars(DESCRIPTION_CHARS_MAX)), custom(template::rule(TemplateUse::Text))))]
    pub summary_description: Option<String>,
    /// How it begins; `continue` by default.
    #[serde(default)]
    pub opening: HandoverOpening,
    /// What the present agent says before, if the LLM has said nothing itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500)]
    #[garde(inner(custom(fits(|text: &str| is_text(text, 500), "must have 1 to 500 characters"))))]
    #[garde(inner(custom(template::said())))]
    pub announcement: Option<String>,
}

impl HandoverTarget {
    /// The agent; `None` for a text that is no id, which a valid configuration does not have.
    pub fn agent(&self) -> Option<AgentId> {
        AgentId::parse(&self.agent_id)
    }
}

/// `handover_config` of an agent: the agents that the LLM can hand calls to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct HandoverConfig {
    /// The agents, each with a different name; at most 20.
    #[schema(max_items = 20)]
    #[garde(custom(at_most(TARGETS_MAX)), dive(self.agents))]
    pub agents: Vec<HandoverTarget>,
}

#[cfg(test)]
mod tests {
    use crate::agent::AgentFields;
    use crate::faults;
    use serde_json::{Value, json};

    fn fault(more: Value) -> Option<(String, String)> {
        let mut agent = json!({"name": "a"});
        agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let agent: AgentFields = serde_json::from_value(agent).unwrap();
        faults(&agent).into_iter().next().map(|fault| (fault.field, fault.message))
    }

    #[test]
    fn a_fault_names_its_place() {
        let id = "0194a8a6-1111-7000-8000-000000000001";
        let one = json!({"agent_id": id, "name": "billing", "description": "Invoices", "history": "summary",
            "summary_description": "The invoice", "opening": "greet", "announcement": "One moment."});
        let with = |agents: Value| fault(json!({"handover_config": {"agents": agents}}));
        assert_eq!(with(json!([one, {"agent_id": id, "name": "sales"}])), None);
        let field = |found: Option<(String, String)>| found.map(|(field, _)| field);
        assert_eq!(field(with(json!([one, one]))).as_deref(), Some("handover_config.agents[1].name"));
        let bad = |field: &str, value: Value| {
            let mut changed = one.clone();
            changed[field] = value;
            json!([changed])
        };
        for (name, value) in [
            ("agent_id", json!("billing")),
            ("name", json!("  ")),
            ("description", json!("x".repeat(501))),
            ("announcement", json!("")),
            ("announcement", json!("Hi {{name")),
        ] {
            let wanted = format!("handover_config.agents[0].{name}");
            assert_eq!(field(with(bad(name, value.clone()))), Some(wanted), "{value}");
        }
        let many: Vec<Value> = (0..21).map(|number| json!({"agent_id": id, "name": number.to_string()})).collect();
        assert_eq!(field(with(json!(many))).as_deref(), Some("handover_config.agents"));
    }

    #[test]
    fn a_realtime_model_hands_no_call_over() {
        let id = "0194a8a6-1111-7000-8000-000000000001";
        let (field, message) = fault(json!({"handover_config": {"agents": [{"agent_id": id, "name": "b"}]},
            "llm_config": {"provider": "xai_realtime", "model": "m"}}))
        .unwrap();
        assert_eq!(field, "handover_config");
        assert!(message.contains("realtime"), "{message}");
    }
}
