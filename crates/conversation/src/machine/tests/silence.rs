//! How long a caller waits until something is said, whatever goes wrong.

use super::*;
use trunkline_domain::turn_config::SilenceConfig;

/// Whoever has spoken hears something within this time.
const SILENCE_MAX_MS: u32 = 3_000;

/// What goes wrong while the caller waits.
type Failure = fn(&mut CallHarness);

impl CallHarness {
    /// Milliseconds until the agent has something to say.
    fn silence_ms(&mut self) -> u32 {
        let mut waited = 0;
        while self.waiting.is_empty() && waited < 60_000 {
            self.pass_ms(50);
            waited += 50;
        }
        waited
    }
}

/// An agent with a tool that speaks this language.
fn speaking(language: &str) -> AgentFields {
    let tts = serde_json::json!({"provider": "openai", "voice_id": "alloy", "language": language});
    AgentFields { tts_config: Some(serde_json::from_value(tts).unwrap()), ..with_tool(None) }
}

fn asked(agent: AgentFields) -> CallHarness {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("Where is my order?");
    harness
}

#[test]
fn whatever_fails_something_is_said_within_three_seconds() {
    let failures: [(&str, Failure); 5] = [
        ("the model is silent", |_| {}),
        ("the model fails at once", CallHarness::model_fails),
        ("the model fails after two seconds", |harness| {
            harness.pass_ms(2_000);
            harness.model_fails();
        }),
        ("a tool hangs", CallHarness::wants_tool),
        ("a tool answers and the model is silent then", |harness| {
            harness.wants_tool();
            harness.result("found");
        }),
    ];
    for (what, fail) in failures {
        let mut harness = asked(speaking("en"));
        let before = harness.now;
        fail(&mut harness);
        let waited = harness.now.duration_since(before).as_millis() as u32 + harness.silence_ms();
        assert!(waited <= SILENCE_MAX_MS, "{what}: {waited} ms");
    }
}

#[test]
fn fillers_go_on_in_the_voices_language_up_to_a_limit() {
    let mut harness = asked(speaking("nl-BE"));
    let mut heard = Vec::new();
    for _ in 0..40 {
        heard.push(harness.play_everything());
        harness.pass_ms(1_000);
    }
    heard.retain(|words| !words.is_empty());
    let nog =
        ["Een ogenblik.", "Ik ben er nog mee bezig.", "Nog heel even.", "Een ogenblik.", "Ik ben er nog mee bezig."];
    assert_eq!(heard, nog);
    harness.model_says("Uw bestelling is onderweg.");
    assert_eq!(harness.play_everything(), "Uw bestelling is onderweg.");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn fillers_go_on_while_a_tool_works() {
    let mut harness = asked(speaking("de"));
    harness.wants_tool();
    let mut heard = Vec::new();
    for _ in 0..14 {
        heard.push(harness.play_everything());
        harness.pass_ms(500);
    }
    heard.retain(|words| !words.is_empty());
    assert_eq!(heard, ["Einen Moment bitte.", "Ich bin noch dabei."]);
}

#[test]
fn fillers_can_be_switched_off_and_unknown_languages_have_none() {
    let off = SilenceConfig { default_fillers: false, ..SilenceConfig::default() };
    let agents = [
        AgentFields { silence_config: Some(off), ..speaking("en") },
        AgentFields { autonomous_silence_handling: Some(false), ..speaking("en") },
        speaking("sw"),
    ];
    for agent in agents {
        let mut harness = asked(agent);
        harness.pass_ms(7_000);
        assert!(harness.waiting.is_empty(), "{:?}", harness.waiting);
    }
}
