//! The most tokens of an answer that a model takes, as its refusals say it.

use moka::sync::Cache;
use serde_json::{Value, json};

/// Names of the limit of an answer.
pub(crate) const NAMES: [&str; 2] = ["max_completion_tokens", "max_tokens"];
/// What every model takes.
const SMALL: u64 = 4_096;
/// A smaller number in a refusal is none of tokens, and a smaller limit is not what is wrong.
const LEAST: u64 = 256;
/// Models remembered.
const MODELS_MAX: u64 = 1_000;
/// How servers say that.
const TOO_LARGE: [&str; 14] = [
    "too large",
    "too high",
    "too big",
    "at most",
    "maximum",
    "must be less",
    "less than or equal",
    "exceed",
    "in range",
    "supported range",
    "greater than",
    "larger than",
    "<=",
    "[1,",
];

/// Whether a refusal says that the limit is too large.
pub(crate) fn is_too_large(words: &str) -> bool {
    TOO_LARGE.iter().any(|said| words.contains(said))
}

/// By address and model. Zero: the limit is left out.
#[derive(Clone, Debug)]
pub(crate) struct AnswerLimits(Cache<String, u64>);

impl Default for AnswerLimits {
    fn default() -> Self {
        Self(Cache::new(MODELS_MAX))
    }
}

impl AnswerLimits {
    /// A limit was too large: the number that the refusal names is the next one, or what every model takes, or none. False
    /// if it is small.
    pub(crate) fn record(&self, model: &str, sent: u64, words: &str) -> bool {
        if sent <= LEAST {
            return false;
        }
        let named = numbers(words).into_iter().filter(|number| (LEAST..sent).contains(number)).max();
        let named = named.map(|number| if words.contains("exclusive") { number - 1 } else { number });
        let next = named.or((sent > SMALL).then_some(SMALL)).unwrap_or(0);
        tracing::info!(model, next, "answers of a model have a smaller limit; requests are adapted from now on");
        self.0.insert(model.to_owned(), next);
        true
    }

    /// Makes the limit of a request as small as the model takes it.
    pub(crate) fn adapt(&self, model: &str, body: &mut Value) {
        let (Some(most), Some(fields)) = (self.0.get(model), body.as_object_mut()) else { return };
        for name in NAMES {
            match (most, fields.get(name).and_then(Value::as_u64)) {
                (0, Some(limit)) if limit > LEAST => {
                    fields.remove(name);
                }
                (most, Some(limit)) if most > 0 && limit > most => {
                    fields.insert(name.to_owned(), json!(most));
                }
                _ => {}
            }
        }
    }
}

/// The whole numbers of a text, "16,384" among them.
pub(crate) fn numbers(words: &str) -> Vec<u64> {
    let runs = words.split(|c: char| !(c.is_ascii_digit() || c == ',')).filter(|run| !run.is_empty());
    let mut all = Vec::new();
    for run in runs {
        let groups: Vec<&str> = run.split(',').filter(|group| !group.is_empty()).collect();
        let is_one = groups.len() > 1 && groups.iter().skip(1).all(|group| group.len() == 3);
        if is_one {
            all.extend(groups.concat().parse::<u64>());
        } else {
            all.extend(groups.iter().filter_map(|group| group.parse::<u64>().ok()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_a_refusal_names_is_the_next_limit() {
        for (words, sent, next) in [
            (
                "max_tokens is too large: 9000. this model supports at most 2048 completion tokens, whereas you provided 9000.",
                9_000,
                Some(2_048),
            ),
            (
                "max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku-20241022",
                9_000,
                Some(8_192),
            ),
            ("`max_tokens` must be less than or equal to `4096`", 9_000, Some(4_096)),
            ("max_tokens must be at most 16,384", 30_000, Some(16_384)),
            ("the supported range is from 1 (inclusive) to 8193 (exclusive)", 9_000, Some(8_192)),
            ("range of max_tokens should be [1,8192]", 9_000, Some(8_192)),
            ("max_tokens is too large", 9_000, Some(4_096)),
            ("max_tokens is too large", 3_000, None),
            ("max_tokens must be at most 100", 3_000, None),
        ] {
            let limits = AnswerLimits::default();
            assert!(limits.record("m", sent, words), "{words}");
            for name in NAMES {
                let mut body = json!({name: sent, "model": "m"});
                limits.adapt("m", &mut body);
                assert_eq!(body.get(name).and_then(Value::as_u64), next, "{words}");
                let mut small = json!({name: 200});
                limits.adapt("m", &mut small);
                assert_eq!(small, json!({name: 200}), "{words}");
            }
        }
        assert!(!AnswerLimits::default().record("m", 200, "max_tokens must be at most 100"));
    }
}
