//! Answers that are made while the end of the turn is being decided.

use super::turns::{last_words, with_turns};
use super::*;
use serde_json::json;

/// Its answers come from rules on this machine.
fn with_rules() -> AgentFields {
    let mut agent = with_turns(json!({}));
    agent.llm_config = Some(serde_json::from_value(json!({"provider": "local", "model": "flow"})).unwrap());
    agent
}

/// The caller falls silent after words that may be all.
fn hears(agent: AgentFields, text: &str) -> CallHarness {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.stt_event(last_words(text));
    harness
}

fn prepared(text: &str) -> CallOutput {
    CallOutput::PrepareSpeech { text: text.to_owned() }
}

#[test]
fn rules_answer_ahead_because_that_costs_nothing() {
    let harness = hears(agent(), "I would like to know when you are open");
    assert_eq!(harness.llm_requests(), 0, "a model's tokens cost something");

    let mut harness = hears(with_rules(), "I would like to know when you are open");
    assert_eq!(harness.llm_requests(), 1);
    harness.model_says("We open at nine. Anything else?");
    assert_eq!(harness.count(&prepared("We open at nine.")), 1, "the first sentence, once");
    assert!(harness.waiting.is_empty(), "nothing is said yet");
    harness.pass_ms(3_000);
    assert_eq!(harness.llm_requests(), 1, "nothing is asked twice");
    assert_eq!(harness.play_everything(), "We open at nine. Anything else?");
    assert_eq!((harness.machine.metrics().preemptive_used, harness.machine.metrics().preemptive_discarded), (1, 0));
}

#[test]
fn what_was_prepared_is_dropped_when_the_caller_goes_on() {
    let mut harness = hears(with_rules(), "I would like to know when you are open");
    harness.model_says("We open at nine.");
    assert_eq!(harness.count(&prepared("We open at nine.")), 1);
    let cancelled = harness.count(&CallOutput::CancelLlm);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.stt_event(last_words("on the Monday after Easter."));
    assert!(harness.count(&CallOutput::CancelLlm) > cancelled);
    harness.model_says("We are closed then.");
    harness.pass_ms(3_000);
    assert_eq!(harness.play_everything(), "We are closed then.");
    assert_eq!(harness.count(&prepared("We are closed then.")), 1);
}

#[test]
fn a_beginning_that_a_model_takes_back_is_prepared_anew() {
    let mut harness = hears(with_rules(), "I would like to know when you are open");
    let request = harness.machine.response_id();
    for event in [
        LlmEvent::Text("We open at eight. We close".into()),
        LlmEvent::Retracted,
        LlmEvent::Text("We open at nine. We close".into()),
    ] {
        harness.machine.handle_llm_event(harness.now, request, event);
        harness.drain();
    }
    assert_eq!(harness.count(&prepared("We open at eight.")), 1);
    assert_eq!(harness.count(&prepared("We open at nine.")), 1);
}
