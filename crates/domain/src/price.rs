//! What a call costs, from a table of prices.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tokens of a model, in the table's currency for a million.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Price of a million tokens sent to the model.
    pub prompt_per_million: f64,
    /// Price of a million tokens written by the model.
    pub completion_per_million: f64,
}

/// Keys are `provider/model`; `provider/*` is for every other model of a provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceTable {
    /// Currency of all prices, as the bill shows it; `USD` by default.
    pub currency: String,
    /// A minute of a call, whatever it says.
    pub telephony_per_minute: f64,
    /// Price of a minute of a call, by `provider/model` of STT.
    pub stt_per_minute: BTreeMap<String, f64>,
    /// Price of a million spoken characters, by `provider/model` of TTS.
    pub tts_per_million_characters: BTreeMap<String, f64>,
    /// Prices of tokens, by `provider/model`.
    pub llm: BTreeMap<String, ModelPrice>,
}

impl Default for PriceTable {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            telephony_per_minute: 0.0,
            stt_per_minute: BTreeMap::new(),
            tts_per_million_characters: BTreeMap::new(),
            llm: BTreeMap::new(),
        }
    }
}

/// What a call used of each provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BillableUsage {
    /// Whole seconds between answer and end.
    pub seconds: i64,
    /// STT services and the seconds they listened.
    pub stt: Vec<(String, i64)>,
    /// Voices and the characters they spoke.
    pub tts: Vec<(String, i64)>,
    /// Models with prompt and completion tokens.
    pub llm: Vec<(String, i64, i64)>,
    /// The model that looked at the call afterwards, with its tokens.
    pub analysis: String,
    /// Tokens sent to the model of the analysis.
    pub analysis_prompt_tokens: i64,
    /// Tokens written by the model of the analysis.
    pub analysis_completion_tokens: i64,
}

fn of<'a, P>(table: &'a BTreeMap<String, P>, key: &str) -> Option<&'a P> {
    let provider = key.split('/').next().unwrap_or_default();
    table.get(key).or_else(|| table.get(&format!("{provider}/*")))
}

impl PriceTable {
    fn tokens(&self, model: &str, prompt: i64, completion: i64) -> Option<f64> {
        let price = of(&self.llm, model)?;
        Some((prompt as f64 * price.prompt_per_million + completion as f64 * price.completion_per_million) / 1e6)
    }

    /// The bill as customers read it, and its total in millionths. What the table does not know has the
    /// cost `null` and counts nothing.
    pub fn bill(&self, used: &BillableUsage) -> (Value, i64) {
        let minutes = used.seconds as f64 / 60.0;
        let stt = |name: &str, seconds: i64| of(&self.stt_per_minute, name).map(|price| price * seconds as f64 / 60.0);
        let tts = |name: &str, characters: i64| {
            of(&self.tts_per_million_characters, name).map(|price| price * characters as f64 / 1e6)
        };
        let heard: Vec<Option<f64>> = used.stt.iter().map(|(name, seconds)| stt(name, *seconds)).collect();
        let spoken: Vec<Option<f64>> = used.tts.iter().map(|(name, characters)| tts(name, *characters)).collect();
        let thought: Vec<Option<f64>> = used.llm.iter().map(|(name, p, c)| self.tokens(name, *p, *c)).collect();
        let analysis = self.tokens(&used.analysis, used.analysis_prompt_tokens, used.analysis_completion_tokens);
        let telephony = self.telephony_per_minute * minutes;
        let known = [analysis]
            .into_iter()
            .chain(heard.iter().copied())
            .chain(spoken.iter().copied())
            .chain(thought.iter().copied())
            .flatten();
        let total: f64 = telephony + known.sum::<f64>();
        let micros = |cost: f64| (cost * 1e6).round() as i64;
        let money = |cost: Option<f64>| cost.map(|cost| micros(cost) as f64 / 1e6);
        let mut items = vec![json!({"kind": "telephony", "seconds": used.seconds, "cost": money(Some(telephony))})];
        let mut item = |kind: &str, name: &str, amount: Value, cost: Option<f64>| {
            let Some((provider, model)) = name.split_once('/') else { return };
            let mut one = json!({"kind": kind, "provider": provider, "model": model, "cost": money(cost)});
            if let (Value::Object(one), Value::Object(amount)) = (&mut one, amount) {
                one.extend(amount);
            }
            items.push(one);
        };
        for ((name, seconds), cost) in used.stt.iter().zip(heard) {
            item("stt", name, json!({"seconds": seconds}), cost);
        }
        let tokens = |prompt: i64, completion: i64| json!({"prompt_tokens": prompt, "completion_tokens": completion});
        for ((name, prompt, completion), cost) in used.llm.iter().zip(thought) {
            item("llm", name, tokens(*prompt, *completion), cost);
        }
        for ((name, characters), cost) in used.tts.iter().zip(spoken) {
            item("tts", name, json!({"characters": characters}), cost);
        }
        if used.analysis_prompt_tokens + used.analysis_completion_tokens > 0 {
            let amount = tokens(used.analysis_prompt_tokens, used.analysis_completion_tokens);
            item("analysis", &used.analysis, amount, analysis);
        }
        (json!({"currency": self.currency, "total": money(Some(total)), "items": items}), micros(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_the_sum_of_what_is_known() {
        let table: PriceTable = toml::from_str(
            "telephony_per_minute = 0.01\nstt_per_minute = { \"deepgram/*\" = 0.006 }\n\
             [llm.\"openai/gpt-4o-mini\"]\nprompt_per_million = 0.15\ncompletion_per_million = 0.6",
        )
        .unwrap();
        let used = BillableUsage {
            seconds: 120,
            stt: vec![("deepgram/nova-3-general".into(), 120)],
            tts: vec![("elevenlabs/x".into(), 500)],
            llm: vec![("openai/gpt-4o-mini".into(), 10_000, 1_000)],
            ..BillableUsage::default()
        };
        let (bill, micros) = table.bill(&used);
        assert_eq!(micros, 20_000 + 12_000 + 1_500 + 600);
        assert_eq!(bill["total"], json!(0.0341));
        assert_eq!(
            bill["items"][3],
            json!({"kind": "tts", "provider": "elevenlabs", "model": "x", "characters": 500, "cost": null})
        );
    }
}
