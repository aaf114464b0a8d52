//! An agent's further parameters in the body of a request.

use serde_json::Value;
use trunkline_domain::llm_options::ExtraBody;

/// Puts them in: objects that both have are joined, other values of ours are replaced. What they may not replace was
/// refused when the agent was saved.
pub(crate) fn merge(body: &mut Value, extra: &ExtraBody) {
    let Some(body) = body.as_object_mut() else { return };
    for (name, value) in extra.fields() {
        join(body.entry(name.as_str()).or_insert(Value::Null), value);
    }
}

/// Levels are bounded by the rules of `extra_body`.
fn join(ours: &mut Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) if ours.get("type") == theirs.get("type") => {
            for (name, value) in theirs {
                join(ours.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        // Another kind of the same thing, such as `thinking`, has fields of its own.
        (ours, theirs) => *ours = theirs.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_joined_and_other_values_replaced() {
        let mut body =
            json!({"model": "m", "output_config": {"effort": "low"}, "thinking": {"type": "disabled"}, "seed": 1});
        let extra = json!({"output_config": {"format": {"type": "text"}}, "seed": 2,
            "thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 5});
        merge(&mut body, &serde_json::from_value(extra).unwrap());
        let wanted = json!({"model": "m", "output_config": {"effort": "low", "format": {"type": "text"}}, "seed": 2,
            "thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 5});
        assert_eq!(body, wanted);
    }
}
