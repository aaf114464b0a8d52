//! Tools that a flow calls, transfers, and the end of a call; and what comes of them.

use super::FlowDialogue;
use super::run::{Position, Run, Step};
use super::values::SlotValue;
use crate::dialogue::built_in_tools::BuiltInTool;
use crate::dialogue::history::RESULT_PENDING;
use serde_json::{Map, Value, json};
use trunkline_domain::chat::{ToolCall, ToolOffer};
use trunkline_domain::flow::{FlowState, FlowTool, FlowTransfer};
use trunkline_domain::tool_request::JsonPath;

/// How results begin that are none.
const FAILURE: &str = "error:";
/// Characters of a value that a result brings.
const RESULT_CHARS_MAX: usize = 2_000;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlowCall {
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
}

impl FlowCall {
    pub(super) fn end() -> Self {
        Self { name: BuiltInTool::EndCall.name().to_owned(), arguments: Map::new() }
    }

    /// The call as a model would write it; values as the schema of the tool wants them.
    pub(super) fn tool_call(&self, id: String, tools: &[ToolOffer]) -> ToolCall {
        let schema = tools.iter().find(|tool| tool.name == self.name).map(|tool| &tool.parameters["properties"]);
        let typed = |(name, value): (&String, &Value)| {
            let wanted = schema.and_then(|properties| properties[name]["type"].as_str());
            (name.clone(), converted(value, wanted))
        };
        let arguments: Map<String, Value> = self.arguments.iter().map(typed).collect();
        ToolCall::new(id, self.name.clone(), Value::Object(arguments).to_string())
    }
}

/// A text as the type that is wanted, if it can be read as one.
fn converted(value: &Value, wanted: Option<&str>) -> Value {
    let text = value.as_str().unwrap_or_default();
    let read = match wanted {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        Some("boolean") => match text {
            "yes" | "true" => Some(json!(true)),
            "no" | "false" => Some(json!(false)),
            _ => None,
        },
        _ => None,
    };
    read.unwrap_or_else(|| value.clone())
}

impl FlowDialogue {
    pub(super) fn tool_call(&self, run: &Run, tool: &FlowTool) -> FlowCall {
        let arguments = tool.arguments.iter().map(|(name, value)| (name.clone(), self.argument(run, value)));
        FlowCall { name: tool.tool.clone(), arguments: arguments.collect() }
    }

    fn argument(&self, run: &Run, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.filled(text, &run.slots, true)),
            Value::Array(list) => list.iter().map(|one| self.argument(run, one)).collect(),
            Value::Object(object) => {
                let fields = object.iter().map(|(name, one)| (name.clone(), self.argument(run, one)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }

    pub(super) fn transfer_call(&self, run: &Run, transfer: &FlowTransfer) -> FlowCall {
        let mut arguments = Map::from_iter([("destination".to_owned(), json!(transfer.destination))]);
        if let Some(briefing) = &transfer.briefing {
            arguments.insert("briefing".to_owned(), json!(self.filled(briefing, &run.slots, false)));
        }
        FlowCall { name: BuiltInTool::TransferCall.name().to_owned(), arguments }
    }

    /// A tool has a result, or works on it. `None`: nothing is to be said yet.
    pub(super) fn result(&self, run: &mut Run, content: &str, offered: &[String]) -> Option<Step> {
        let Position::Calling { state, has_begun } = &mut run.at else { return None };
        *has_begun = true;
        if content == RESULT_PENDING {
            return None;
        }
        let name = state.clone();
        let state = self.states.get(&name)?;
        let mut step = Step::from(run);
        let next = match state {
            FlowState::Tool(tool) => match results(tool, content) {
                Some(values) => {
                    step.run.slots.extend(values);
                    tool.next.as_str()
                }
                None => tool.failed.as_str(),
            },
            // Only one that did not work has a result.
            FlowState::Transfer(transfer) => transfer.failed.as_str(),
            _ => return None,
        };
        self.enter(&mut step, next, offered);
        Some(step)
    }
}

/// The values that a result brings; `None` if the tool failed, or one of them is missing.
fn results(tool: &FlowTool, content: &str) -> Option<Vec<(String, SlotValue)>> {
    if content.starts_with(FAILURE) {
        return None;
    }
    let answer: Value = serde_json::from_str(content).unwrap_or_else(|_| Value::String(content.to_owned()));
    let value = |(name, path): (&String, &String)| {
        let found = match JsonPath::parse(path).ok()?.find(&answer)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.clone(), SlotValue::Text(found.chars().take(RESULT_CHARS_MAX).collect())))
    };
    tool.results.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_what_the_schema_wants() {
        let offer = ToolOffer {
            name: "t".into(),
            parameters: json!({"properties": {"n": {"type": "integer"}, "b": {"type": "boolean"}, "s": {"type": "string"}}}),
            ..ToolOffer::default()
        };
        let arguments = json!({"n": "0042", "b": "yes", "s": "7", "x": "1"}).as_object().unwrap().clone();
        let call = FlowCall { name: "t".into(), arguments }.tool_call("i".into(), &[offer]);
        let read: Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(read, json!({"n": 42, "b": true, "s": "7", "x": "1"}));
        assert_eq!(converted(&json!("many"), Some("integer")), json!("many"), "the tool's schema says what is wrong");
    }

    #[test]
    fn a_result_that_lacks_a_value_is_a_failure() {
        let tool: FlowTool = serde_json::from_value(json!({"tool": "t", "next": "a", "failed": "b",
            "results": {"status": "$.order.status", "all": "$"}}))
        .unwrap();
        let read = |content: &str| results(&tool, content).map(|all| all.len());
        assert_eq!(read(r#"{"order": {"status": "sent"}}"#), Some(2));
        for content in ["error: the tool did not answer", r#"{"order": {}}"#, "sent", "", "[", "null"] {
            assert_eq!(read(content), None, "{content}");
        }
    }
}
