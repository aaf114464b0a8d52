//! Answers without a model: which flow answers in a call, and what it has collected when the call is over.
//!
//! Pure: the driver searches the documents.

use super::machine::CallSpec;
use super::provider_plan;
use crate::dialogue::flow::{FlowDialogue, FlowRole, MESSAGE_SLOTS, stand_in, value_context};
use crate::dialogue::spoken::value::ValueContext;
use crate::domain::agent::AgentFields;
use crate::domain::chat::ChatMessage;
use crate::domain::flow::Flow;
use crate::domain::transcript::{Turn, TurnRole};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Names for the record: of an agent's own flow, and of the one that takes messages.
const FLOW: &str = "local/flow";
const MESSAGES: &str = "local/messages";

/// The rules of a call.
#[derive(Debug)]
pub struct CallRules {
    /// `provider/model`, for the record.
    pub name: &'static str,
    /// The flow, ready to answer.
    pub dialogue: FlowDialogue,
}

/// The flow that answers if no model does, and whose place it has; `None` if a failure stays one.
fn flow(agent: &AgentFields, language: &str) -> Option<(&'static str, Flow, FlowRole)> {
    let own = provider_plan::llm(agent);
    if own.provider.is_rules() {
        return Some((FLOW, own.flow?, FlowRole::Agent));
    }
    let fallbacks = agent.fallbacks.clone().unwrap_or_default();
    if let Some(flow) = fallbacks.llm.last().and_then(|last| last.flow.clone()) {
        return Some((FLOW, flow, FlowRole::Fallback));
    }
    let transfers = agent.transfers();
    let destination = transfers.destinations.first().map(|one| one.name.as_str());
    fallbacks.takes_messages().then(|| (MESSAGES, stand_in(language, destination), FlowRole::StandIn))
}

/// The rules that answer in a call when no model does.
pub fn call_rules(spec: &CallSpec) -> Option<CallRules> {
    let context = value_context(&spec.agent, spec.stt_language(), spec.language(), spec.today);
    rules(&spec.agent, context)
}

fn rules(agent: &AgentFields, context: ValueContext) -> Option<CallRules> {
    let (name, flow, role) = flow(agent, &context.spoken_language)?;
    Some(CallRules { name, dialogue: FlowDialogue::new(flow, context, role) })
}

/// The same for a call that is over, which was spoken in this language and began on this day.
pub fn rules_of_past_call(agent: &AgentFields, language: &str, day: &str) -> Option<CallRules> {
    let heard = agent.stt_config.as_ref().map(|stt| stt.language.as_str()).filter(|language| *language != "multi");
    let today = day.parse().unwrap_or(jiff::civil::Date::ZERO);
    rules(agent, value_context(agent, heard.unwrap_or(language), language, today))
}

/// A transcript as a model would have got it.
pub fn messages(turns: &[Turn]) -> Vec<ChatMessage> {
    let message = |turn: &Turn| {
        let content = turn.content.clone();
        match turn.role {
            TurnRole::User => ChatMessage::User(content),
            TurnRole::Assistant => ChatMessage::Assistant { content, tool_calls: Vec::new() },
            TurnRole::System => ChatMessage::System(content),
            TurnRole::Tool => {
                // The name stands before the result.
                let result = content.split_once(": ").map_or(content.as_str(), |(_, result)| result).to_owned();
                ChatMessage::Tool { call_id: String::new(), content: result }
            }
        }
    };
    turns.iter().map(message).collect()
}

/// What rules say about a call: the slots are the result.
pub fn summary(slots: &BTreeMap<String, String>) -> Option<String> {
    let value = |name: &str| slots.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let [name, phone, text] = MESSAGE_SLOTS.map(value);
    let others = slots.iter().filter(|(name, _)| !MESSAGE_SLOTS.contains(&name.as_str()));
    let mut parts: Vec<String> = others.map(|(name, value)| format!("{name}: {value}")).collect();
    if phone.is_some() || text.is_some() {
        let from = [name, phone].into_iter().flatten().collect::<Vec<_>>().join(", ");
        parts.insert(0, format!("Message from {from}: {}", text.unwrap_or("(none)")));
    }
    (!parts.is_empty()).then(|| format!("{}.", parts.join("; ").trim_end_matches('.')))
}

/// The slots as the fields of a schema want them: those that it names, or all without a schema.
pub fn structured(slots: &BTreeMap<String, String>, schema: Option<&Value>) -> Value {
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    let field = |(name, value): (&String, &String)| {
        let wanted = properties.map(|properties| properties.get(name)).map_or(Some(None), |found| found.map(Some))?;
        let kind = wanted.and_then(|schema| schema["type"].as_str());
        Some((name.clone(), typed(value, kind)))
    };
    Value::Object(slots.iter().filter_map(field).collect::<Map<_, _>>())
}

fn typed(value: &str, kind: Option<&str>) -> Value {
    let read = match kind {
        Some("integer") => value.parse::<i64>().ok().map(Value::from),
        Some("number") => value.parse::<f64>().ok().map(Value::from),
        Some("boolean") => Some(json!(value == "yes")),
        _ => None,
    };
    read.unwrap_or_else(|| json!(value))
}

#[cfg(test)]
mod tests;
