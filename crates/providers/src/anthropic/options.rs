//! An agent's settings by the names of the Messages API.

use serde_json::{Value, json};
use trunkline_domain::llm_options::{LlmOptions, ReasoningEffort};

/// Longest answer: `max_tokens` is required, and what is spoken is shorter.
const TOKENS_MAX: u32 = 1_024;
/// The first version that decides by itself how long it thinks; older ones get a budget of tokens.
const ADAPTIVE_SINCE: (u32, u32) = (4, 6);

/// What a model gets for a wish to think.
enum Thinking {
    /// It does not think, or as little as it can.
    Least(Value),
    /// It thinks as long as it needs; the effort goes with it.
    Adaptive(Option<&'static str>),
    /// It thinks for so many tokens at most.
    Budget(u32),
}

/// Writes `max_tokens`, which is required, and what else is set.
pub(super) fn write(body: &mut Value, model: &str, options: &LlmOptions) {
    let mut tokens = options.max_tokens.unwrap_or(TOKENS_MAX);
    let thinks = match thinking(model, options.reasoning_effort) {
        Thinking::Least(least) => {
            body["thinking"] = least;
            false
        }
        Thinking::Adaptive(effort) => {
            body["thinking"] = json!({"type": "adaptive"});
            if let Some(effort) = effort {
                body["output_config"] = json!({"effort": effort});
            }
            true
        }
        Thinking::Budget(budget) => {
            // The limit counts thoughts as well and must be above their budget.
            tokens += budget;
            body["thinking"] = json!({"type": "enabled", "budget_tokens": budget});
            true
        }
    };
    body["max_tokens"] = json!(tokens);
    // A model that thinks takes neither.
    if let Some(temperature) = options.temperature.filter(|_| !thinks) {
        body["temperature"] = json!(temperature.clamp(0.0, 1.0));
    }
    if let Some(top_p) = options.top_p.filter(|_| !thinks) {
        body["top_p"] = json!(top_p);
    }
    if !options.stop.is_empty() {
        body["stop_sequences"] = json!(options.stop);
    }
}

fn thinking(model: &str, effort: Option<ReasoningEffort>) -> Thinking {
    let (name, budget) = match effort {
        None => return Thinking::Least(least_thinking(model)),
        Some(ReasoningEffort::Disabled) => return Thinking::Least(json!({"type": "disabled"})),
        Some(ReasoningEffort::Default) => (None, 2_048),
        Some(ReasoningEffort::Minimal | ReasoningEffort::Low) => (Some("low"), 1_024),
        Some(effort @ ReasoningEffort::Medium) => (Some(effort.name()), 4_096),
        Some(effort @ ReasoningEffort::High) => (Some(effort.name()), 8_192),
        Some(effort @ (ReasoningEffort::Xhigh | ReasoningEffort::Max)) => (Some(effort.name()), 16_384),
    };
    if version(model).is_some_and(|version| version < ADAPTIVE_SINCE) {
        Thinking::Budget(budget)
    } else {
        Thinking::Adaptive(name)
    }
}

/// Callers wait for the first word: no thinking, where a model can do without. One that cannot refuses
/// this, and is asked without it.
pub(super) fn least_thinking(model: &str) -> Value {
    if model.contains("sonnet-5-5") { json!({"type": "between_tools"}) } else { json!({"type": "disabled"}) }
}

/// The version in the name of a model, such as 4 and 5 of `claude-haiku-4-5-20251001`; `None` without one.
fn version(model: &str) -> Option<(u32, u32)> {
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = model.split(['-', '.', '@']).skip_while(|part| number(part).is_none());
    let major = parts.next().and_then(number)?;
    Some((major, parts.next().and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_models_get_a_budget_and_newer_ones_an_effort() {
        for (model, wanted) in [
            ("claude-3-7-sonnet-latest", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-opus-4.6", Some((4, 6))),
            ("claude-haiku-5-5", Some((5, 5))),
            ("claude-latest", None),
        ] {
            assert_eq!(version(model), wanted, "{model}");
        }
        let written = |model: &str, options: &LlmOptions| {
            let mut body = json!({});
            write(&mut body, model, options);
            body
        };
        let options = LlmOptions {
            reasoning_effort: Some(ReasoningEffort::Low),
            max_tokens: Some(200),
            temperature: Some(0.5),
            top_p: Some(0.9),
            ..LlmOptions::default()
        };
        let budget = json!({"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 1_224});
        assert_eq!(written("claude-haiku-4-5", &options), budget);
        let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "max_tokens": 200});
        assert_eq!(written("claude-opus-5", &options), adaptive);
        let without = LlmOptions { reasoning_effort: Some(ReasoningEffort::Disabled), ..options };
        let plain = json!({"thinking": {"type": "disabled"}, "max_tokens": 200, "temperature": 0.5, "top_p": 0.9});
        assert_eq!(written("claude-opus-5", &without), plain);
    }
}
