//! Parameters that a model rejects. Model ids are passed through, so support is learnt from rejections: a rejected
//! parameter is left out afterwards.

use moka::sync::Cache;
use serde_json::Value;
use std::sync::Arc;

/// Parameters that are worth having and that an answer can do without.
const DISPENSABLE: [&str; 8] = [
    "temperature",
    "stream_options",
    "prompt_cache_key",
    "parallel_tool_calls",
    "reasoning_effort",
    "strict",
    "cache_control",
    "thinking",
];
/// Models remembered.
const MODELS_MAX: u64 = 1_000;

/// Shared by all calls; by address and model.
#[derive(Clone, Debug)]
pub struct UnsupportedParameters(Cache<String, Arc<[&'static str]>>);

impl Default for UnsupportedParameters {
    fn default() -> Self {
        Self(Cache::new(MODELS_MAX))
    }
}

impl UnsupportedParameters {
    /// What a model has refused so far.
    pub fn for_model(&self, model: &str) -> Arc<[&'static str]> {
        self.0.get(model).unwrap_or_default()
    }

    /// Reads a refusal; true when it names something that can be left out next time.
    pub fn record_rejection(&self, model: &str, sent: &Value, status: u16, message: &str) -> bool {
        if !matches!(status, 400 | 422) {
            return false;
        }
        let message = message.to_lowercase().replace(['_', ' ', '-'], "");
        let named = DISPENSABLE.into_iter().find(|name| {
            message.contains(&name.replace('_', "")) && mentions(sent, name) && !self.for_model(model).contains(name)
        });
        let Some(named) = named else { return false };
        tracing::info!(model, parameter = named, "a model does not accept a parameter; it is omitted from now on");
        self.0.entry_by_ref(model).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            known.iter().copied().chain([named]).collect()
        });
        true
    }
}

/// Customers' own schemas, whose properties may have any name.
const FOREIGN: [&str; 3] = ["parameters", "input_schema", "schema"];

/// The body has a field of this name somewhere.
fn mentions(body: &Value, name: &str) -> bool {
    match body {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key == name || (!FOREIGN.contains(&key.as_str()) && mentions(value, name)))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        _ => false,
    }
}

/// Takes fields out wherever they are.
pub fn remove_fields(body: &mut Value, names: &[&str]) {
    match body {
        Value::Object(fields) => {
            fields.retain(|key, _| !names.contains(&key.as_str()));
            let own = fields.iter_mut().filter(|(key, _)| !FOREIGN.contains(&key.as_str()));
            own.for_each(|(_, value)| remove_fields(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| remove_fields(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refused_parameter_is_learnt_once() {
        let unsupported = UnsupportedParameters::default();
        let mut sent =
            json!({"model": "o", "temperature": 0.7, "messages": [{"role": "user", "content": "temperature"}]});
        let refusal = "Unsupported value: 'temperature' does not support 0.7 with this model.";
        assert!(unsupported.record_rejection("u o", &sent, 400, refusal));
        assert!(!unsupported.record_rejection("u o", &sent, 400, refusal), "it was left out already");
        assert!(!unsupported.record_rejection("u o", &sent, 401, refusal));
        assert!(
            !unsupported.record_rejection("u o", &sent, 400, "Argument not supported on this model: reasoningEffort"),
            "not sent"
        );
        remove_fields(&mut sent, &unsupported.for_model("u o"));
        assert_eq!(sent, json!({"model": "o", "messages": [{"role": "user", "content": "temperature"}]}));
    }
}
