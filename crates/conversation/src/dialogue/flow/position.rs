//! Where a conversation stands in a flow, and what one turn adds to it.

use super::values::SlotValue;
use crate::dialogue::built_in_tools::BuiltInTool;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Texts that were not heard and are still to be said.
const OWED_MAX: usize = 3;

/// Who has the next word, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Nothing was said yet.
    Before,
    /// The caller was asked what they want.
    Menu { state: String, tries: u8 },
    /// The caller was asked for a slot.
    Asking { state: String, tries: u8 },
    /// The caller was asked whether a value is right.
    Confirming { state: String, value: SlotValue, tries: u8 },
    /// A tool was called, or is to be called once the words before it were heard.
    Calling { state: String, has_begun: bool },
}

/// A conversation in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) at: Position,
    pub(super) slots: BTreeMap<String, SlotValue>,
    /// The state that asked for the slot that was filled last: what a correction is about.
    pub(super) filled: Option<String>,
    /// The last question, to be asked again.
    pub(super) question: String,
    /// The caller heard most of the last question.
    pub(super) is_heard: bool,
    /// What a tool brought and the caller has not heard.
    pub(super) owed: Vec<String>,
}

/// A conversation that went on by one turn or result, and what is said and done for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) run: Run,
    pub(super) said: Vec<String>,
    pub(super) call: Option<FlowCall>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self {
            at: Position::Before,
            slots: BTreeMap::new(),
            filled: None,
            question: String::new(),
            is_heard: true,
            owed: Vec::new(),
        }
    }
}

impl Step {
    /// Begins with what the caller has not heard.
    pub(super) fn from(run: &Run) -> Self {
        let mut run = run.clone();
        let said = std::mem::take(&mut run.owed);
        run.is_heard = false;
        Self { run, said, call: None }
    }

    /// Everything that is said, the question last.
    pub(super) fn text(&self) -> String {
        let asks = !matches!(self.run.at, Position::Calling { .. } | Position::Before);
        let question = Some(self.run.question.as_str()).filter(|question| asks && !question.is_empty());
        let said = self.said.iter().map(String::as_str).filter(|text| !text.is_empty());
        said.chain(question).collect::<Vec<_>>().join(" ")
    }

    /// The run if nothing of this was heard: what a tool brought is said later.
    pub(super) fn unheard(mut self, owes: bool) -> Run {
        if owes {
            self.said.truncate(OWED_MAX);
            self.run.owed = self.said;
        }
        self.run.is_heard = false;
        self.run
    }
}

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
}
