//! When a turn ends, when the caller interrupts, and what silence does. Documented defaults.

use super::rules::{at_most, between, filled, fits, is_text};
use super::template;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Words and texts of a list at most.
const TEXTS_MAX: usize = 50;
/// Characters of one of them.
pub const TEXT_CHARS_MAX: usize = 500;
/// `min_silence_ms` and `complete_silence_ms` at most.
const SHORT_SILENCE_MAX_MS: u64 = 5_000;
/// `silence_ms` and `unfinished_silence_ms` at most.
const SILENCE_MAX_MS: u64 = 10_000;
/// `max_silence_ms` at most.
const LONG_SILENCE_MAX_MS: u64 = 20_000;
/// The same in the order of their length.
const SILENCES_MAX_MS: [u64; 5] =
    [SHORT_SILENCE_MAX_MS, SHORT_SILENCE_MAX_MS, SILENCE_MAX_MS, SILENCE_MAX_MS, LONG_SILENCE_MAX_MS];

/// How long the agent waits for a caller who may not have finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnPreset {
    /// For callers who think or dictate: longer waits, fewer cut-offs.
    Patient,
    /// The default.
    #[default]
    Balanced,
    /// For short exchanges: shorter waits, more cut-offs.
    Quick,
}

/// `turn_config` of an agent. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default, from = "TurnConfigDocument")]
pub struct TurnConfig {
    /// Sets the fields that end in `silence_ms`, and `endpointing_ms`, as far as they are not given; `balanced` by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<TurnPreset>,
    /// Silence STT waits for before it holds an utterance for finished.
    #[schema(minimum = 10, maximum = 5000)]
    #[garde(custom(between(10..=5_000)))]
    pub endpointing_ms: u64,
    /// Silence that ends a turn of which everything says that it is over; no turn ends before.
    #[schema(minimum = 0, maximum = 5000)]
    #[garde(custom(between(0..=SHORT_SILENCE_MAX_MS)))]
    pub min_silence_ms: u64,
    /// Silence that ends a turn that is over with a probability of 0.9, such as a complete sentence; at most
    /// `silence_ms`.
    #[schema(minimum = 0, maximum = 5000)]
    #[garde(
        custom(between(0..=SHORT_SILENCE_MAX_MS)),
        custom(at_least(self.min_silence_ms.min(SHORT_SILENCE_MAX_MS), "min_silence_ms"))
    )]
    pub complete_silence_ms: u64,
    /// Silence that ends a turn that may be over or not (a probability of 0.5); at least `min_silence_ms`.
    #[schema(minimum = 0, maximum = 10000)]
    #[garde(
        custom(between(0..=SILENCE_MAX_MS)),
        custom(at_least(self.complete_silence_ms.min(SHORT_SILENCE_MAX_MS), "complete_silence_ms"))
    )]
    pub silence_ms: u64,
    /// Silence that ends a turn that is hardly over (a probability of 0.1), such as an unfinished clause ("my number
    /// is"), or whose last words STT does not send; at least `silence_ms`.
    #[schema(minimum = 0, maximum = 10000)]
    #[garde(
        custom(between(0..=SILENCE_MAX_MS)),
        custom(at_least(self.silence_ms.min(SILENCE_MAX_MS), "silence_ms"))
    )]
    pub unfinished_silence_ms: u64,
    /// Silence that ends a turn whatever its words are; at least `unfinished_silence_ms`.
    #[schema(minimum = 0, maximum = 20000)]
    #[garde(
        custom(between(0..=LONG_SILENCE_MAX_MS)),
        custom(at_least(self.unfinished_silence_ms.min(SILENCE_MAX_MS), "unfinished_silence_ms"))
    )]
    pub max_silence_ms: u64,
    /// The model starts on a likely end of the turn and is cancelled when the caller goes on: faster, for more
    /// tokens.
    pub eager: bool,
    /// Whether the caller can interrupt the agent; true by default.
    pub barge_in: bool,
    /// Voiced sound of the caller that is an interruption without any word; the agent is held back at once and
    /// goes on when it was shorter.
    #[schema(minimum = 48, maximum = 2000)]
    #[garde(custom(between(48..=2_000)))]
    pub barge_in_min_speech_ms: u64,
    /// Words that do not interrupt the agent, in addition to those of the language ("mhm", "I see").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text())))]
    pub backchannels: Vec<String>,
    /// Whether the first message can be interrupted.
    pub first_message_interruptible: bool,
    /// Whether what is said while tools work can be interrupted.
    pub tool_speech_interruptible: bool,
}

impl Default for TurnConfig {
    fn default() -> Self {
        TurnConfigDocument::default().into()
    }
}

impl TurnConfig {
    /// What a preset sets, and defaults for the rest.
    pub fn of_preset(preset: TurnPreset) -> Self {
        TurnConfigDocument { preset: Some(preset), ..TurnConfigDocument::default() }.into()
    }
}

/// The same as it is written: what is missing comes from the preset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TurnConfigDocument {
    preset: Option<TurnPreset>,
    endpointing_ms: Option<u64>,
    min_silence_ms: Option<u64>,
    complete_silence_ms: Option<u64>,
    silence_ms: Option<u64>,
    unfinished_silence_ms: Option<u64>,
    max_silence_ms: Option<u64>,
    eager: bool,
    barge_in: Option<bool>,
    barge_in_min_speech_ms: Option<u64>,
    backchannels: Vec<String>,
    first_message_interruptible: Option<bool>,
    tool_speech_interruptible: Option<bool>,
}

impl TurnConfigDocument {
    /// The silences, from the shortest to the longest. One that is not given is the preset's, as far as those that are given
    /// leave room for it.
    fn silences_ms(&self, preset: [u64; 5]) -> [u64; 5] {
        let given = [
            self.min_silence_ms,
            self.complete_silence_ms,
            self.silence_ms,
            self.unfinished_silence_ms,
            self.max_silence_ms,
        ];
        let (mut silences, mut shorter) = (preset, 0);
        for (index, (silence, most)) in silences.iter_mut().zip(SILENCES_MAX_MS).enumerate() {
            let longer = given.iter().skip(index + 1).flatten().min();
            let fitting = (*silence).min(longer.copied().unwrap_or(u64::MAX)).max(shorter).min(most);
            *silence = given.get(index).copied().flatten().unwrap_or(fitting);
            shorter = shorter.max(*silence);
        }
        silences
    }
}

impl From<TurnConfigDocument> for TurnConfig {
    fn from(document: TurnConfigDocument) -> Self {
        let (endpointing, silences) = match document.preset.unwrap_or_default() {
            TurnPreset::Patient => (500, [200, 400, 1_500, 2_800, 4_000]),
            TurnPreset::Balanced => (300, [100, 250, 750, 2_000, 3_000]),
            TurnPreset::Quick => (200, [50, 200, 350, 1_200, 1_800]),
        };
        let [min, complete, silence, unfinished, max] = document.silences_ms(silences);
        Self {
            preset: document.preset,
            endpointing_ms: document.endpointing_ms.unwrap_or(endpointing),
            min_silence_ms: min,
            complete_silence_ms: complete,
            silence_ms: silence,
            unfinished_silence_ms: unfinished,
            max_silence_ms: max,
            eager: document.eager,
            barge_in: document.barge_in.unwrap_or(true),
            barge_in_min_speech_ms: document.barge_in_min_speech_ms.unwrap_or(500),
            backchannels: document.backchannels,
            first_message_interruptible: document.first_message_interruptible.unwrap_or(true),
            tool_speech_interruptible: document.tool_speech_interruptible.unwrap_or(true),
        }
    }
}

/// `silence_config` of an agent: what happens when the caller says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceConfig {
    /// Silence after the agent finished before it asks again.
    #[schema(minimum = 1000, maximum = 120000)]
    #[garde(custom(between(1_000..=120_000)))]
    pub prompt_after_ms: u64,
    /// How often it asks before it says goodbye.
    #[schema(maximum = 10)]
    #[garde(custom(between(0..=10)))]
    pub max_prompts: u32,
    /// What it asks with.
    #[garde(custom(filled()), custom(template::said()))]
    pub prompt: String,
    /// More ways to ask; one after the other is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::said())))]
    pub prompts: Vec<String>,
    /// The model words the question, from the conversation so far.
    pub generate_prompts: bool,
    /// Said before the call ends because the caller stayed silent; must not be empty.
    #[garde(custom(filled()), custom(template::said()))]
    pub goodbye: String,
    /// Said when a tool or the model takes longer; never the same twice in a row. None: `default_fillers` decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::said())))]
    pub fillers: Vec<String>,
    /// How long a tool or the model may take before a filler is said.
    #[schema(minimum = 300, maximum = 20000)]
    #[garde(custom(between(300..=20_000)))]
    pub filler_after_ms: u64,
    /// Without `fillers`: whether a short phrase in the voice's language is said when a tool or the model takes longer
    /// than 2.5 s; true by default.
    pub default_fillers: bool,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self {
            prompt_after_ms: 8_000,
            max_prompts: 2,
            prompt: "Are you still there?".to_owned(),
            prompts: Vec::new(),
            generate_prompts: false,
            fillers: Vec::new(),
            filler_after_ms: 1_500,
            default_fillers: true,
            goodbye: "I can't hear you, so I will end the call now. Goodbye.".to_owned(),
        }
    }
}

/// A silence that is not shorter than the one before it.
fn at_least(other: u64, name: &'static str) -> impl FnOnce(&u64, &()) -> garde::Result {
    fits(move |ms: &u64| *ms >= other, format!("must be at least {name} ({other})"))
}

fn text() -> impl FnOnce(&str, &()) -> garde::Result {
    let words = format!("must have 1 to {TEXT_CHARS_MAX} characters");
    fits(|text: &str| is_text(text, TEXT_CHARS_MAX), words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(document: Value) -> TurnConfig {
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_preset_sets_what_is_not_given() {
        let waits =
            |turn: &TurnConfig| [turn.min_silence_ms, turn.complete_silence_ms, turn.silence_ms, turn.max_silence_ms];
        assert_eq!(read(json!({})), TurnConfig::default());
        assert_eq!(waits(&read(json!({"preset": "balanced"}))), waits(&TurnConfig::default()));
        let (patient, quick) = (read(json!({"preset": "patient"})), read(json!({"preset": "quick"})));
        assert!(waits(&patient).iter().zip(waits(&TurnConfig::default())).all(|(one, other)| *one > other));
        assert!(quick.silence_ms < TurnConfig::default().silence_ms);
        let all =
            |turn: &TurnConfig| [waits(turn).as_slice(), &[turn.unfinished_silence_ms, turn.endpointing_ms]].concat();
        let by_patience = [quick.clone(), TurnConfig::default(), patient.clone()].map(|turn| all(&turn));
        for pair in by_patience.windows(2) {
            assert!(pair[0].iter().zip(&pair[1]).all(|(one, next)| one < next), "{pair:?}");
        }
        let own = read(json!({"preset": "patient", "silence_ms": 700, "eager": true}));
        assert_eq!((own.silence_ms, own.max_silence_ms, own.eager), (700, patient.max_silence_ms, true));
        assert!(serde_json::from_value::<TurnConfig>(json!({"preset": "slow"})).is_err());
    }

    #[test]
    fn silences_that_contradict_each_other_are_refused_by_name() {
        let faults = |document: Value| {
            let report = read(document).validate().err();
            report.map_or(Vec::new(), |report| report.iter().map(|(path, error)| format!("{path} {error}")).collect())
        };
        for (document, fault) in [
            (
                json!({"min_silence_ms": 400, "complete_silence_ms": 300}),
                "complete_silence_ms must be at least min_silence_ms (400)",
            ),
            (
                json!({"complete_silence_ms": 800, "silence_ms": 700}),
                "silence_ms must be at least complete_silence_ms (800)",
            ),
            (
                json!({"min_silence_ms": 800, "silence_ms": 700}),
                "silence_ms must be at least complete_silence_ms (800)",
            ),
            (
                json!({"silence_ms": 2_500, "unfinished_silence_ms": 2_499}),
                "unfinished_silence_ms must be at least silence_ms (2500)",
            ),
            (
                json!({"unfinished_silence_ms": 3_000, "max_silence_ms": 2_000}),
                "max_silence_ms must be at least unfinished_silence_ms (3000)",
            ),
        ] {
            assert_eq!(faults(document.clone()), [fault], "{document}");
        }
        for preset in ["patient", "balanced", "quick"] {
            assert_eq!(faults(json!({"preset": preset})), [""; 0]);
        }
        let equal =
            json!({"min_silence_ms": 600, "complete_silence_ms": 600, "silence_ms": 600, "max_silence_ms": 600});
        assert_eq!(faults(equal), [""; 0], "a timer");
    }

    #[test]
    fn silences_that_are_not_given_make_room_for_those_that_are() {
        let silences = |document: Value| {
            let turn = read(document);
            turn.validate().unwrap();
            [
                turn.min_silence_ms,
                turn.complete_silence_ms,
                turn.silence_ms,
                turn.unfinished_silence_ms,
                turn.max_silence_ms,
            ]
        };
        assert_eq!(silences(json!({"silence_ms": 2_500})), [100, 250, 2_500, 2_500, 3_000]);
        assert_eq!(silences(json!({"silence_ms": 200})), [100, 200, 200, 2_000, 3_000]);
        assert_eq!(silences(json!({"max_silence_ms": 50})), [50; 5]);
        assert_eq!(silences(json!({"min_silence_ms": 5_000})), [5_000; 5]);
        assert_eq!(silences(json!({"preset": "quick", "complete_silence_ms": 500})), [50, 500, 500, 1_200, 1_800]);
    }

    #[test]
    fn a_document_of_today_keeps_its_values() {
        let old = json!({"endpointing_ms": 250, "silence_ms": 700, "barge_in": false});
        let turn = read(old);
        assert_eq!((turn.endpointing_ms, turn.silence_ms, turn.barge_in, turn.preset), (250, 700, false, None));
        assert_eq!(read(serde_json::to_value(&turn).unwrap()), turn, "what is stored is read as it was");
        let quick = read(json!({"preset": "quick"}));
        assert_eq!(read(serde_json::to_value(&quick).unwrap()), quick);
    }
}
