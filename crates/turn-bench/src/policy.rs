//! The settings that are swept: a turn_config as the agent has it, its waiting times scaled, and any of its fields.

use garde::Validate;
use serde_json::{Map, Value, json};
use trunkline_domain::turn_config::{TurnConfig, TurnPreset};

/// Settings at most: each plays every row.
const SETTINGS_MAX: usize = 2_000;

/// Values of one dimension of the sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// A field of `turn_config`, or `scale`.
    pub field: String,
    /// What it is set to, one after the other.
    pub values: Vec<Value>,
}

impl std::str::FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, values) = text.split_once('=').ok_or("must be FIELD=VALUE,VALUE")?;
        let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        let values: Vec<Value> = values.split(',').filter(|text| !text.is_empty()).map(value).collect();
        match field.is_empty() || values.is_empty() {
            true => Err("must be FIELD=VALUE,VALUE".to_owned()),
            false => Ok(Self { field: field.to_owned(), values }),
        }
    }
}

/// What is swept unless something else is asked for.
pub fn default_sweep() -> Vec<Sweep> {
    let sweep = |field: &str, values: Value| Sweep {
        field: field.to_owned(),
        values: values.as_array().cloned().unwrap_or_default(),
    };
    vec![
        sweep("scale", json!([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])),
        sweep("min_silence_ms", json!([100, 200, 300, 450, 600, 800])),
        sweep("endpointing_ms", json!([300, 1000])),
    ]
}

/// One setting of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// What differs from the agent's own: `scale 1.5, min_silence_ms 200`.
    pub name: String,
    /// As the agent would have it.
    pub turn: TurnConfig,
}

/// The presets, as an agent has them that gives nothing else.
pub fn presets() -> Vec<Setting> {
    let setting = |preset: TurnPreset| {
        let turn = TurnConfig::of_preset(preset);
        let name = serde_json::to_value(preset).ok().and_then(|name| Some(name.as_str()?.to_owned()));
        Setting { name: format!("preset {}", name.unwrap_or_default()), turn }
    };
    [TurnPreset::Quick, TurnPreset::Balanced, TurnPreset::Patient].map(setting).into()
}

/// The agent's own settings first, then every combination of the sweep.
///
/// # Errors
///
/// A field that is unknown, or a value that it does not take.
pub fn settings(own: &TurnConfig, sweep: &[Sweep]) -> Result<Vec<Setting>, String> {
    let mut settings = vec![Setting { name: "as configured".to_owned(), turn: own.clone() }];
    if sweep.is_empty() {
        return Ok(settings);
    }
    let count: usize = sweep.iter().map(|one| one.values.len()).product();
    if count > SETTINGS_MAX {
        return Err(format!("--sweep: {count} combinations; at most {SETTINGS_MAX}"));
    }
    for index in 0..count {
        let mut rest = index;
        let mut chosen: Vec<(&str, &Value)> = Vec::new();
        for one in sweep {
            chosen.extend(one.values.get(rest % one.values.len()).map(|value| (one.field.as_str(), value)));
            rest /= one.values.len();
        }
        settings.push(setting(own, &chosen)?);
    }
    Ok(settings)
}

fn setting(own: &TurnConfig, chosen: &[(&str, &Value)]) -> Result<Setting, String> {
    let name: Vec<String> = chosen.iter().map(|(field, value)| format!("{field} {value}")).collect();
    let name = name.join(", ");
    let Ok(Value::Object(mut fields)) = serde_json::to_value(own) else { return Err("turn_config".to_owned()) };
    // A scale first, so that a field of its own keeps its value.
    for (_, value) in chosen.iter().filter(|(field, _)| *field == "scale") {
        let factor = value.as_f64().filter(|factor| (0.0..=100.0).contains(factor));
        scale(&mut fields, factor.ok_or_else(|| format!("--sweep scale: {value} is no factor from 0 to 100"))?);
    }
    for (field, value) in chosen.iter().filter(|(field, _)| *field != "scale") {
        fields.insert((*field).to_owned(), (*value).clone());
    }
    let mut turn: TurnConfig =
        serde_json::from_value(Value::Object(fields)).map_err(|error| format!("--sweep: {name}: {error}"))?;
    put_in_order(&mut turn);
    turn.validate().map_err(|report| format!("--sweep: {name}: {report}"))?;
    Ok(Setting { name, turn })
}

/// Values of a sweep may cross: the longer silence gives way, and `complete_silence_ms` to `silence_ms`.
fn put_in_order(turn: &mut TurnConfig) {
    turn.complete_silence_ms = turn.complete_silence_ms.min(turn.silence_ms).max(turn.min_silence_ms);
    turn.silence_ms = turn.silence_ms.max(turn.complete_silence_ms);
    turn.unfinished_silence_ms = turn.unfinished_silence_ms.max(turn.silence_ms);
    turn.max_silence_ms = turn.max_silence_ms.max(turn.unfinished_silence_ms);
}

/// Multiplies every silence that the policy waits for.
fn scale(fields: &mut Map<String, Value>, factor: f64) {
    for (name, value) in fields.iter_mut() {
        if name.ends_with("silence_ms")
            && let Some(ms) = value.as_u64()
        {
            *value = json!((ms as f64 * factor).round() as u64);
        }
    }
}
