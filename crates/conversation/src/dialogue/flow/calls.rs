//! Tools that a flow calls, and transfers.

use super::position::{FlowCall, Run};
use super::prepared::FlowDialogue;
use crate::dialogue::built_in_tools::BuiltInTool;
use serde_json::{Map, Value, json};
use trunkline_domain::flow::{FlowTool, FlowTransfer};

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
}
