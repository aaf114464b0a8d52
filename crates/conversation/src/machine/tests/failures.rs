//! Providers that fail, stall or withhold their results.

use super::*;
use serde_json::json;
use trunkline_domain::fallback::Fallbacks;
use trunkline_domain::provider::PipelineStage;
use trunkline_domain::provider_config::{SttConfig, SttProvider};
use trunkline_providers::{Failover, Stall};

#[test]
fn the_model_fails_once_and_then_again() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    harness.model_fails();
    assert!(harness.play_everything().starts_with("Sorry, something went wrong"));
    harness.caller_says("hello");
    harness.model_fails();
    assert!(harness.play_everything().contains("try again later"));
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn the_model_breaks_off_in_mid_sentence() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    let response_id = harness.machine.response_id();
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Half an answer. And".into()));
    harness.model_fails();
    let apology = "Sorry, something went wrong. Could you say that again?";
    assert_eq!(harness.play_everything(), format!("Half an answer. And {apology}"));
    assert_eq!(harness.hang_up_reasons(), []);
    // A whole sentence is an answer, and so is nothing after the first words of a call of a tool.
    let owed = format!("One moment. {apology}");
    for (event, said) in [(None, "One moment."), (Some(LlmEvent::ToolCallBegan), owed.as_str())] {
        harness.caller_says("hello");
        let response_id = harness.machine.response_id();
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("One moment.".into()));
        if let Some(event) = event {
            harness.machine.handle_llm_event(harness.now, response_id, event);
        }
        harness.model_fails();
        assert_eq!(harness.play_everything(), said);
    }
}

#[test]
fn a_model_that_stands_still_within_a_sentence_is_heard_as_far_as_its_words_are_whole() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    let response_id = harness.machine.response_id();
    for event in [LlmEvent::Text("It is on its w".into()), LlmEvent::Stalled(Stall::Within)] {
        harness.machine.handle_llm_event(harness.now, response_id, event);
        harness.drain();
    }
    assert_eq!(harness.play_everything(), "It is on its");
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("ay to you. ".into()));
    harness.drain();
    assert_eq!(harness.play_everything(), "way to you.");
}

#[test]
fn every_tts_fails() {
    let mut harness = CallHarness::new(agent());
    for _ in 0..2 {
        let (segment, _) = harness.waiting.remove(0);
        harness.machine.handle_tts_failed(harness.now, segment, &ProviderError::NotConfigured);
        harness.drain();
        if harness.hang_up_reasons().is_empty() {
            harness.caller_says("hello?");
            harness.model_says("Yes.");
        }
    }
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

impl CallHarness {
    /// The caller speaks for a second, and STT brings nothing; returns what the agent says to that.
    fn speaks_to_a_mute_stt(&mut self) -> String {
        self.machine.handle_speech_started(self.now);
        self.pass_ms(1_000);
        self.machine.handle_speech_ended(self.now, self.now - 200 * MS);
        self.pass_ms(4_100);
        self.play_everything()
    }
}

#[test]
fn a_caller_who_is_not_heard_is_told_so_before_the_call_ends() {
    let mut harness = CallHarness::greeted();
    let said: Vec<String> = (0..5).map(|_| harness.speaks_to_a_mute_stt()).collect();
    assert!(said[..2].iter().all(|words| words.contains("say that again")), "{said:?}");
    assert_eq!(said[2..4], ["Are you still there?", "Are you still there?"]);
    assert!(said[4].starts_with("I can't hear you"), "{said:?}");
    assert_eq!(harness.seen.iter().filter(|o| **o == CallOutput::RestartStt).count(), 2);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Silence], "no vendor ends a call");
}

#[test]
fn stt_that_is_mute_for_some_turns_goes_on() {
    for turns in 1..=4 {
        let mut harness = CallHarness::greeted();
        for _ in 0..turns {
            harness.speaks_to_a_mute_stt();
        }
        harness.caller_says("hello");
        harness.model_says("Hello.");
        assert_eq!(harness.play_everything(), "Hello.", "{turns}");
        assert!(harness.speaks_to_a_mute_stt().contains("say that again"), "{turns}: it counts anew");
        assert_eq!(harness.hang_up_reasons(), []);
    }
}

#[test]
fn keys_work_in_a_call_that_is_not_heard() {
    let rules = json!({"rules": [{"digits": "1", "action": "say", "text": "We are open until six."}]});
    let agent = AgentFields { dtmf_rules: Some(serde_json::from_value(rules).unwrap()), ..agent() };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    for _ in 0..3 {
        harness.speaks_to_a_mute_stt();
    }
    harness.machine.handle_digit(harness.now, '1');
    harness.drain();
    assert_eq!(harness.play_everything(), "We are open until six.");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn without_messages_the_model_is_asked_again_at_each_turn() {
    let fallbacks = Some(Fallbacks { take_messages: Some(false), ..Fallbacks::default() });
    let mut harness = CallHarness::new(AgentFields { fallbacks, ..agent() });
    harness.play_everything();
    for _ in 0..5 {
        harness.caller_says("hello");
        harness.model_fails();
        assert_eq!(harness.play_everything(), "Sorry, something went wrong. Could you say that again?");
    }
    harness.caller_says("hello");
    harness.model_says("Hello.");
    assert_eq!((harness.play_everything().as_str(), harness.hang_up_reasons()), ("Hello.", vec![]));
}

#[test]
fn stt_withholds_its_final_and_the_fallback_is_asked() {
    let stt = SttConfig {
        provider: SttProvider::Openai,
        model: "m".into(),
        language: "en".into(),
        keyterms: vec![],
        base_url: None,
    };
    let fallbacks = Some(Fallbacks { stt: vec![stt], ..Fallbacks::default() });
    let mut harness = CallHarness::new(AgentFields { fallbacks, ..agent() });
    harness.play_everything();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("my number".into()));
    harness.pass_ms(600);
    let silent_from = harness.now;
    harness.pass_ms(200);
    harness.machine.handle_speech_ended(harness.now, silent_from);
    harness.pass_ms(900);
    assert!(!harness.seen.contains(&CallOutput::RestartStt));
    harness.pass_ms(150);
    assert!(harness.seen.contains(&CallOutput::RestartStt));
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: true };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    harness.stay_silent();
    assert_eq!(harness.last_messages().last(), Some(&user("my number is seven")));
}

#[test]
fn a_caller_who_goes_on_after_a_pause_is_no_stalled_stt() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(1_000);
    harness.machine.handle_speech_ended(harness.now, harness.now - 200 * MS);
    harness.pass_ms(300);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(8_000);
    assert!(!harness.seen.contains(&CallOutput::RestartStt), "no result is due while the caller speaks");
}

#[test]
fn a_slow_llm_that_was_overtaken_has_not_failed() {
    let switch = |reason| {
        let after = Duration::from_millis(1_500);
        LlmEvent::FailedOver(Failover {
            stage: PipelineStage::Llm,
            from: "a/m".into(),
            to: "b/m".into(),
            reason,
            after,
        })
    };
    for (reason, errors) in [("slow", serde_json::json!({})), ("timeout", serde_json::json!({"llm_timeout": 1}))] {
        let mut harness = CallHarness::greeted();
        harness.caller_says("hello");
        let response_id = harness.machine.response_id();
        harness.machine.handle_llm_event(harness.now, response_id, switch(reason));
        let metrics = harness.machine.metrics().to_json();
        assert_eq!(metrics["provider_errors"], errors);
        assert_eq!(metrics["failovers"][0]["why"], serde_json::json!(reason));
    }
}
