//! What a call that is over is counted by: its providers, its outcome, and how long its answers took.

use serde_json::Value;
use std::collections::BTreeMap;

/// Answers of one call that are counted.
const ANSWERS_MAX: usize = 2_000;
/// Answers that took longer count as this long.
const RESPONSE_MS_MAX: i64 = 30_000;

/// What is read from the documents of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCount {
    /// The provider that recognised the caller's speech. `None`: none, or a realtime model did.
    pub stt: Option<String>,
    /// The provider whose model answered most. `None` if none did.
    pub llm: Option<String>,
    /// The provider whose voice said most. `None` if none spoke.
    pub tts: Option<String>,
    /// What the analysis says. `None` if it did not judge.
    pub success: Option<bool>,
    /// Milliseconds of each answer: from the caller's last sound to the agent's first.
    pub response_times: Vec<i64>,
    /// Turns that were taken for finished although the caller went on.
    pub cut_offs: i64,
    /// Providers that another one stood in for.
    pub failovers: i64,
}

/// `openai` of `openai/gpt-4o-mini`.
fn provider(name: &str) -> Option<String> {
    let name = name.split('/').next().unwrap_or(name);
    (!name.is_empty() && name.len() <= 100).then(|| name.to_owned())
}

/// Of the services that a stage used, the one that did most.
fn most_used(used: &Value, amount: impl Fn(&Value) -> i64) -> Option<String> {
    let services = used.as_object()?.iter();
    let (name, _) = services.max_by_key(|(_, used)| amount(used))?;
    provider(name)
}

/// The provider of a stage in a configuration.
fn configured(assistant: &Value, stage: &str) -> Option<String> {
    assistant[stage]["provider"].as_str().and_then(provider)
}

impl CallCount {
    /// Reads the figures, the configuration and the analysis of a call; each may be `null`.
    pub fn of(metrics: &Value, assistant: &Value, report: &Value) -> Self {
        let times = metrics["turns"].as_array().into_iter().flatten();
        let times = times.filter_map(|turn| turn["response_ms"].as_i64()).filter(|ms| *ms >= 0);
        // An agent that the call was handed to comes after the one that it began with.
        let shares = metrics["agents"].as_array().into_iter().flatten();
        let heard = shares.filter_map(|share| share["stt"].as_str()).filter_map(provider).next_back();
        let tokens = |used: &Value| used["completion_tokens"].as_i64().unwrap_or(0);
        let whole = |value: &Value| value.as_i64().filter(|count| *count >= 0).unwrap_or(0);
        let llm = most_used(&metrics["used"]["llm"], tokens).or_else(|| configured(assistant, "llm_config"));
        Self {
            stt: heard.or_else(|| configured(assistant, "stt_config")),
            llm,
            tts: most_used(&metrics["used"]["tts"], whole).or_else(|| configured(assistant, "tts_config")),
            success: report["success"].as_bool(),
            response_times: times.take(ANSWERS_MAX).map(|ms| ms.min(RESPONSE_MS_MAX)).collect(),
            cut_offs: whole(&metrics["cut_offs"]),
            failovers: metrics["failovers"].as_array().map_or(0, |all| all.len() as i64),
        }
    }
}

/// The time that an answer is counted as in a histogram: rounded up to 50 ms below a second, to 100 ms below three
/// seconds, and to 500 ms above.
pub fn rounded_response_ms(ms: i64) -> i64 {
    let step = match ms {
        ..=1_000 => 50,
        1_001..=3_000 => 100,
        _ => 500,
    };
    (ms.max(1) + step - 1) / step * step
}

/// Answers by the milliseconds that they took.
pub type ResponseHistogram = BTreeMap<i64, i64>;

/// The time that this part of the answers kept to (0.95 for the 95th percentile); `None` without answers.
pub fn percentile(histogram: &ResponseHistogram, part: f64) -> Option<i64> {
    let total: i64 = histogram.values().sum();
    let rank = ((total as f64 * part).ceil() as i64).max(1);
    let mut seen = 0;
    histogram.iter().find_map(|(ms, answers)| {
        seen += answers;
        (seen >= rank).then_some(*ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_is_counted_by_what_did_most_of_it() {
        let metrics = json!({
            "turns": [{"response_ms": 612}, {"response_ms": null}, {"response_ms": 90_000}],
            "used": {"llm": {"openai/gpt-4o": {"completion_tokens": 3}, "groq/llama": {"completion_tokens": 80}},
                "tts": {"cartesia/a": 10, "elevenlabs/b": 400}},
            "cut_offs": 2, "failovers": [{"stage": "llm"}],
        });
        let assistant = json!({"stt_config": {"provider": "deepgram"}, "llm_config": {"provider": "openai"}});
        let count = CallCount::of(&metrics, &assistant, &json!({"success": false}));
        assert_eq!((count.stt.as_deref(), count.llm.as_deref()), (Some("deepgram"), Some("groq")));
        assert_eq!((count.tts.as_deref(), count.success), (Some("elevenlabs"), Some(false)));
        assert_eq!((count.response_times, count.cut_offs, count.failovers), (vec![612, 30_000], 2, 1));
        let handed = json!({"agents": [{"stt": "deepgram/nova"}, {"stt": "openai/whisper"}]});
        assert_eq!(CallCount::of(&handed, &assistant, &Value::Null).stt.as_deref(), Some("openai"));
        assert_eq!(CallCount::of(&Value::Null, &Value::Null, &Value::Null), CallCount::default());
        let strange = json!({"turns": 1, "used": {"llm": [], "tts": {"": 1}}, "cut_offs": -1, "failovers": "x"});
        assert_eq!(CallCount::of(&strange, &json!([]), &json!("x")), CallCount::default());
    }

    #[test]
    fn percentiles_are_those_of_the_rounded_times() {
        let mut histogram = ResponseHistogram::new();
        for (ms, rounded) in [(0, 50), (50, 50), (51, 100), (1_000, 1_000), (1_001, 1_100), (3_001, 3_500)] {
            assert_eq!(rounded_response_ms(ms), rounded, "{ms}");
        }
        assert_eq!(percentile(&histogram, 0.5), None);
        for ms in 1..=100 {
            *histogram.entry(rounded_response_ms(ms * 10)).or_default() += 1;
        }
        assert_eq!((percentile(&histogram, 0.5), percentile(&histogram, 0.95)), (Some(500), Some(950)));
        assert_eq!((percentile(&histogram, 0.0), percentile(&histogram, 1.0)), (Some(50), Some(1_000)));
    }
}
