//! What comes of the calls of a flow.

use super::position::{Position, Run, Step};
use super::prepared::FlowDialogue;
use super::values::SlotValue;
use crate::dialogue::history::RESULT_PENDING;
use serde_json::Value;
use trunkline_domain::flow::{FlowState, FlowTool};
use trunkline_domain::tool_request::JsonPath;

/// How results begin that are none.
const FAILURE: &str = "error:";
/// Characters of a value that a result brings.
const RESULT_CHARS_MAX: usize = 2_000;

impl FlowDialogue {
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
    use serde_json::json;

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
        let nothing: FlowTool = serde_json::from_value(json!({"tool": "t", "next": "a", "failed": "b"})).unwrap();
        assert_eq!(results(&nothing, "done"), Some(Vec::new()));
        assert_eq!(results(&nothing, "error: the tool did not answer"), None);
    }
}
