//! A conversation that follows its caller from one language to another and back.

use super::*;
use serde_json::{Value, json};
use trunkline_providers::LanguageWords;

fn spec(more: Value) -> CallSpec {
    let mut all = json!({"name": "A", "is_active": true, "first_message": "Good morning.", "system_prompt": "Be kind.",
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
        "tts_config": {"provider": "elevenlabs", "voice_id": "english", "language": "en"},
        "languages": {"nl": {"voice_id": "dutch", "model": "m", "prompts": ["Hallo?"], "fillers": ["Momentje."]}}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    CallSpec {
        agent_id: None,
        agent: serde_json::from_value(all).unwrap(),
        task: None,
        fixed_texts: Default::default(),
        known: Default::default(),
        spoken: None,
        is_web: false,
        today: jiff::civil::date(2026, 11, 28),
    }
}

impl CallHarness {
    fn in_languages(more: Value) -> Self {
        let mut harness = Self::briefed(spec(more), None);
        harness.play_everything();
        harness
    }

    /// After a while, so that it is no continuation of what was said before.
    fn caller_speaks(&mut self, language: &str, text: &str) {
        self.pass_ms(2_000);
        let words = text.split_whitespace().count() as u32;
        let heard = vec![LanguageWords { language: language.into(), words }];
        self.machine.handle_stt(self.now, SttEvent::Languages(heard));
        self.drain();
        self.caller_says(text);
    }

    fn changes(&self) -> usize {
        self.seen.iter().filter(|output| **output == CallOutput::ChangeLanguage).count()
    }

    fn system(&self) -> Vec<String> {
        let last = self.seen.iter().rev().find_map(|output| match output {
            CallOutput::RequestLlm { messages, .. } => Some(messages.clone()),
            _ => None,
        });
        let texts = last.unwrap().into_iter().filter_map(|message| match message {
            ChatMessage::System(text) => Some(text),
            _ => None,
        });
        texts.collect()
    }

    fn voice(&self) -> (String, String) {
        let tts = self.machine.spec().unwrap().agent.tts_config.clone().unwrap();
        (tts.voice_id, tts.language)
    }
}

#[test]
fn a_sentence_in_another_language_changes_voice_prompt_and_phrases() {
    // A voice that does not read numbers by itself.
    let voice = json!({"provider": "local", "voice_id": "english", "language": "en"});
    let silence = json!({"prompt_after_ms": 3_000, "filler_after_ms": 500, "fillers": ["One moment."]});
    let mut harness = CallHarness::in_languages(json!({"silence_config": silence, "tts_config": voice}));
    harness.caller_speaks("nl", "waar is mijn pakket gebleven");
    assert_eq!(harness.changes(), 1);
    assert_eq!(harness.voice(), ("dutch".to_owned(), "nl".to_owned()));
    assert!(harness.system().iter().any(|text| text.contains("Answer in Dutch")), "{:?}", harness.system());
    harness.pass_ms(600);
    assert_eq!(harness.play_everything(), "Momentje.", "the LLM is slow");
    harness.model_says("Het komt om 17:30.");
    assert_eq!(harness.play_everything(), "Het komt om 17 uur 30.", "numbers are Dutch");
    harness.pass_ms(3_100);
    assert_eq!(harness.play_everything(), "Bent u er nog?", "the usual question");
    harness.pass_ms(3_100);
    assert_eq!(harness.play_everything(), "Hallo?");
    harness.caller_speaks("nl", "ja ik ben er");
    harness.model_fails();
    assert_eq!(harness.play_everything(), "Sorry, er ging iets mis. Kunt u dat herhalen?");
    // And back again.
    harness.caller_speaks("en", "could you speak english please");
    assert_eq!((harness.changes(), harness.voice()), (2, ("english".to_owned(), "en".to_owned())));
    let system = harness.system();
    assert!(system.iter().any(|text| text.contains("Answer in English")), "{system:?}");
    assert!(system.iter().all(|text| !text.contains("Dutch")), "{system:?}");
    harness.pass_ms(600);
    assert_eq!(harness.play_everything(), "One moment.");
    let languages = harness.machine.metrics().to_json()["languages"].clone();
    assert_eq!((&languages[0]["language"], &languages[1]["language"]), (&json!("nl"), &json!("en")));
    assert_eq!(languages[0]["by"], json!("stt"));
}

#[test]
fn loanwords_names_and_languages_that_the_agent_does_not_speak_change_nothing() {
    let mut harness = CallHarness::in_languages(json!({}));
    harness.caller_speaks("fr", "déjà-vu");
    harness.caller_speaks("nl", "Scheveningen");
    harness.caller_speaks("nl", "Utrecht");
    harness.caller_speaks("de", "wo ist mein Paket denn jetzt");
    assert_eq!(harness.changes(), 0);
    assert!(harness.system().iter().all(|text| !text.contains("The caller speaks")), "{:?}", harness.system());
    // Two short answers are enough together.
    harness.caller_speaks("nl", "goede morgen");
    assert_eq!(harness.changes(), 0);
    harness.caller_speaks("nl", "een pakket");
    assert_eq!(harness.changes(), 1);
}

#[test]
fn without_a_list_the_same_voice_speaks_every_language() {
    let fallbacks = json!({"tts": [{"provider": "local", "voice_id": "en+f3", "language": "en"}]});
    let mut harness = CallHarness::in_languages(json!({"languages": null, "fallbacks": fallbacks}));
    harness.caller_speaks("de", "wo ist mein Paket denn jetzt");
    assert_eq!(harness.voice(), ("english".to_owned(), "de".to_owned()));
    let spec = harness.machine.spec().unwrap();
    let local = &spec.agent.fallbacks.as_ref().unwrap().tts[0];
    assert_eq!((local.voice_id.as_str(), local.language.as_str()), ("de+f3", "de"), "a woman speaks on");
}

#[test]
fn everything_is_off_unless_stt_tells_languages_apart() {
    let stt = json!({"provider": "deepgram", "model": "nova-3", "language": "en"});
    let mut harness = CallHarness::in_languages(json!({"stt_config": stt, "languages": null}));
    harness.caller_speaks("nl", "waar is mijn pakket gebleven");
    assert_eq!(harness.changes(), 0);
    let offered = harness.seen.iter().any(|output| match output {
        CallOutput::RequestLlm { tools, .. } => tools.iter().any(|tool| tool.name == "set_language"),
        _ => false,
    });
    assert!(!offered);
}

#[test]
fn the_voice_does_not_change_within_a_sentence() {
    let mut harness = CallHarness::in_languages(json!({}));
    harness.caller_says("hello");
    harness.model_says("This is a long answer that the caller talks into.");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    let heard = vec![LanguageWords { language: "nl".into(), words: 5 }];
    harness.machine.handle_stt(harness.now, SttEvent::Languages(heard));
    harness.drain();
    assert_eq!(harness.changes(), 0, "the agent still speaks");
    harness.machine.handle_speech_started(harness.now);
    let cut = [SegmentPlayed { segment, sent_samples: 800, complete: false }];
    harness.machine.handle_flushed(harness.now, true, segment.response_id, &cut);
    harness.drain();
    harness.caller_says("waar is mijn pakket dan");
    assert_eq!((harness.changes(), harness.voice().0.as_str()), (1, "dutch"));
    let change = harness.seen.iter().rposition(|output| *output == CallOutput::ChangeLanguage).unwrap();
    let request = harness.seen.iter().rposition(|output| matches!(output, CallOutput::RequestLlm { .. })).unwrap();
    assert!(change < request, "the answer is in the language of the question");
}

#[test]
fn the_llm_chooses_where_stt_cannot_tell() {
    let stt = json!({"provider": "deepgram", "model": "nova-3", "language": "en"});
    let mut harness = CallHarness::in_languages(json!({"stt_config": stt}));
    harness.caller_says("do you speak dutch");
    let call = |language: &str| ToolCall {
        id: format!("to-{language}"),
        name: "set_language".into(),
        arguments: json!({"language": language}).to_string(),
        ..ToolCall::default()
    };
    for (language, wanted) in [("nl", ("dutch", "nl")), ("en", ("english", "en"))] {
        let response_id = harness.machine.response_id();
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call(language)]));
        harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
        harness.drain();
        assert_eq!(harness.voice(), (wanted.0.to_owned(), wanted.1.to_owned()));
        let stt = harness.machine.spec().unwrap().agent.stt_config.clone().unwrap();
        assert_eq!(stt.language, language, "STT listens for it");
    }
    assert_eq!(harness.changes(), 2);
    assert_eq!(harness.machine.metrics().to_json()["languages"][0]["by"], json!("tool"));
    let response_id = harness.machine.response_id();
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call("fr")]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    assert_eq!(harness.changes(), 2, "not a language of the agent");
}
