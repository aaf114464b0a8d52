//! Order of providers, hedging, and the first one without a key.

use super::*;
use crate::domain::provider_config::TtsProvider;
use serde_json::{Value, json};

fn spec(agent: Value) -> CallSpec {
    let mut all = json!({"name": "Agent"});
    all.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
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

fn full() -> CallSpec {
    let stt = json!({"provider": "deepgram", "model": "nova-3-general", "language": "nl"});
    let tts = json!({"provider": "elevenlabs", "voice_id": "v", "language": "nl"});
    spec(json!({
        "stt_config": stt, "tts_config": tts, "llm_config": {"provider": "anthropic", "model": "claude"},
        "fallbacks": {
            "stt": [{"provider": "openai", "model": "whisper", "language": "nl"}],
            "llm": [{"provider": "openai", "model": "gpt-4o-mini"}],
            "tts": [{"provider": "openai", "voice_id": "alloy", "language": "nl"}],
            "hedge_after_ms": 700,
        },
    }))
}

#[test]
fn an_agent_without_settings_has_the_defaults_and_the_local_voice() {
    let plain = spec(json!({}));
    let llms = llm_configs(&plain.agent);
    assert_eq!(
        llms.iter().map(|one| (one.provider, one.model.as_str())).collect::<Vec<_>>(),
        [(LlmProvider::Openai, "gpt-4o-mini")]
    );
    let stt = stt_choices(&plain, Companding::ALaw);
    assert_eq!((stt.len(), stt[0].provider, stt[0].setup.encoding), (1, SttProvider::Deepgram, "alaw"));
    assert_eq!((stt[0].setup.model.as_str(), stt[0].setup.language.as_str()), ("nova-3-general", "en"));
    let voices: Vec<_> = tts_configs(&plain).iter().map(tts_name).collect();
    assert_eq!(voices, ["local/default"]);
}

#[test]
fn fallbacks_follow_the_primary_and_the_local_voice_is_last() {
    let full = full();
    assert_eq!(
        llm_configs(&full.agent).iter().map(|one| one.model.clone()).collect::<Vec<_>>(),
        ["claude", "gpt-4o-mini"]
    );
    let stt = stt_choices(&full, Companding::MuLaw);
    assert_eq!(stt.iter().map(|one| one.setup.model.as_str()).collect::<Vec<_>>(), ["nova-3-general", "whisper"]);
    assert!(stt.iter().all(|one| one.setup.encoding == "mulaw"));
    let voices = tts_configs(&full);
    assert_eq!(
        voices.iter().map(|one| one.provider).collect::<Vec<_>>(),
        [TtsProvider::Elevenlabs, TtsProvider::Openai, TtsProvider::Local]
    );
    assert_eq!(voices[2].language, "nl");
}

#[test]
fn a_fallback_without_a_key_is_left_out_and_the_primary_never_is() {
    let usable = |wanted: &[usize]| with_primary(0..4, |one| wanted.contains(one));
    assert_eq!(usable(&[2]), [0, 2]);
    assert_eq!(usable(&[]), [0]);
    assert_eq!(usable(&[0, 1, 2, 3]), [0, 1, 2, 3]);
}

#[test]
fn a_lines_own_octets_pass_through_and_others_become_mu_law() {
    assert_eq!(companding(AudioFormat::G711(Companding::ALaw)), Companding::ALaw);
    assert_eq!(companding(AudioFormat::G711(Companding::MuLaw)), Companding::MuLaw);
    assert_eq!(companding(AudioFormat::Pcm { rate_hz: 16_000 }), Companding::MuLaw);
}

#[test]
fn a_hedge_needs_a_second_candidate_and_a_delay() {
    let full = full().agent;
    assert_eq!(hedge_after(&full, 2), Some(Duration::from_millis(700)));
    assert_eq!(hedge_after(&full, 1), None);
    let off = spec(json!({"fallbacks": {"llm": [], "hedge_after_ms": 0}})).agent;
    assert_eq!((hedge_after(&off, 2), hedge_after(&AgentFields::default(), 2)), (None, None));
    assert_eq!(first_audio_timeout(&full, 0, 2), Some(Duration::from_millis(700)));
    assert_eq!(first_audio_timeout(&full, 1, 2), Some(Duration::from_secs(2)), "only the local voice is left");
    assert_eq!(first_audio_timeout(&full, 2, 2), None, "the local voice is not hurried");
    assert_eq!((first_audio_timeout(&off, 0, 1), first_audio_timeout(&AgentFields::default(), 0, 0)), (None, None));
}

#[test]
fn the_first_provider_without_a_key_is_named() {
    let full = full().agent;
    let missing =
        |agent: &AgentFields, keys: &[&str]| missing_provider(agent, |account, _| keys.contains(&account.name()));
    assert_eq!(missing(&full, &["deepgram", "anthropic", "elevenlabs"]), None);
    assert_eq!(missing(&full, &["anthropic", "elevenlabs"]), Some("deepgram"), "STT is named first");
    assert_eq!(missing(&full, &["deepgram"]), Some("anthropic"));
    assert_eq!(missing(&full, &["deepgram", "anthropic"]), Some("elevenlabs"));
    let realtime = spec(json!({"llm_config": {"provider": "openai_realtime", "model": "m"}})).agent;
    assert_eq!(missing(&realtime, &["openai"]), None, "it needs no STT and no TTS");
    assert_eq!(missing(&realtime, &[]), Some("openai"));
    let own_server =
        spec(json!({"llm_config": {"provider": "openai", "model": "m", "base_url": "https://own.example"}})).agent;
    let named = missing_provider(&own_server, |account, url| url.is_some() || account.name() == "deepgram");
    assert_eq!(named, None, "asked at the address that the agent names");
}
