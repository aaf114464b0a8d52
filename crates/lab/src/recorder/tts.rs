//! Two sentences, one that is cancelled, a voice that does not exist, and a wrong key.

use super::recording::{Notes, Received, Recording};
use super::socket::RecordedSocket;
use super::target::{CASE_TIMEOUT, Target};
use serde_json::json;
use std::time::Duration;
use trunkline::providers::tts_socket::TtsSocketProtocol;
use trunkline::providers::{ProviderAccess, ProviderError, TtsEvent, cartesia, elevenlabs, tts, vendors};
use trunkline_domain::provider::{PipelineStage, ProviderAccount, TtsProvider};
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

const SENTENCES: [&str; 2] = ["Your order was shipped this morning.", "It will arrive on Monday."];
const UNKNOWN_VOICE: &str = "no-such-voice";
/// How long the end of a sentence is waited for, and how much of one that is cancelled.
const SENTENCE_LIMIT: Duration = Duration::from_secs(15);
const CANCELLED_AFTER: Duration = Duration::from_millis(600);

fn models(account: ProviderAccount) -> &'static [&'static str] {
    match account {
        ProviderAccount::Elevenlabs => &["eleven_flash_v2_5", "eleven_v3"],
        ProviderAccount::Cartesia => &["sonic-3.5"],
        ProviderAccount::Openai => &["gpt-4o-mini-tts"],
        _ => &[],
    }
}

fn config(name: &str, model: &str, voice: &str) -> Option<TtsConfig> {
    serde_json::from_value(json!({"provider": name, "voice_id": voice, "language": "en", "model": model})).ok()
}

/// The wire of a voice with a socket; `None` for one over HTTP.
pub(super) fn protocol(name: &str, model: &str, voice: &str) -> Option<Box<dyn TtsSocketProtocol>> {
    let (config, settings) = (config(name, model, voice)?, VoiceSettings::default());
    match config.provider {
        TtsProvider::Elevenlabs if model.starts_with("eleven_v3") => {
            Some(Box::new(elevenlabs::text_to_dialogue::TextToDialogueProtocol::new(&config, &settings)))
        }
        TtsProvider::Elevenlabs => {
            Some(Box::new(elevenlabs::multi_stream::MultiStreamProtocol::new(&config, &settings)))
        }
        TtsProvider::Cartesia => Some(Box::new(cartesia::websocket::CartesiaProtocol::new(&config, &settings))),
        TtsProvider::Openai | TtsProvider::Local => None,
    }
}

/// The name of a sentence on a socket.
pub(super) fn context(index: usize) -> String {
    format!("s{}", index + 1)
}

/// All cases of all models.
pub(super) async fn record(target: &Target) -> Vec<Recording> {
    let mut recordings = Vec::new();
    let (own, wrong) = (&target.endpoint, target.with_wrong_key());
    for model in models(target.account) {
        let voice = target.args.voice.as_str();
        let named = |case: &str| format!("{}_{case}", model.replace(['.', '-'], "_"));
        for (case, endpoint, voice, is_cancelled) in [
            ("two_sentences", own, voice, false),
            ("cancelled", own, voice, true),
            ("unknown_voice", own, UNKNOWN_VOICE, false),
            ("wrong_key", &wrong, voice, false),
        ] {
            let mut recording = target.recording(PipelineStage::Tts, &named(case), model);
            recording.request = json!({"texts": if is_cancelled { &SENTENCES[..1] } else { &SENTENCES[..] }});
            let mut notes = Notes::new();
            match protocol(target.account.name(), model, voice) {
                Some(protocol) => on_socket(endpoint, protocol, is_cancelled, &mut notes).await,
                None => over_http(target, endpoint, (model, voice), is_cancelled, &mut notes).await,
            }
            recording.exchange = notes.exchange;
            recordings.push(recording);
        }
    }
    recordings
}

async fn on_socket(
    endpoint: &ProviderAccess, mut protocol: Box<dyn TtsSocketProtocol>, is_cancelled: bool, notes: &mut Notes,
) {
    let Some(mut socket) = RecordedSocket::open(endpoint, protocol.upgrade(endpoint), notes).await else {
        return;
    };
    let count = if is_cancelled { 1 } else { SENTENCES.len() };
    for (index, text) in SENTENCES.iter().take(count).enumerate() {
        let context = context(index);
        for message in protocol.speak(&context, text) {
            socket.send(message).await;
        }
        if is_cancelled {
            socket.receive(notes, CANCELLED_AFTER, |_| false).await;
            for message in protocol.cancel(&context) {
                socket.send(message).await;
            }
            socket.receive(notes, CANCELLED_AFTER, |_| false).await;
            return;
        }
        let has_audio = |text: &str, protocol: &mut dyn TtsSocketProtocol| {
            let events = protocol.read(text).unwrap_or_default();
            let is_end = |event: &TtsEvent| matches!(event, TtsEvent::Done | TtsEvent::Failed(_));
            (
                events.iter().any(|(_, event)| matches!(event, TtsEvent::Audio(_))),
                events.iter().any(|(_, event)| is_end(event)),
            )
        };
        let mut is_over = false;
        let first = |text: &str| {
            let (audio, end) = has_audio(text, protocol.as_mut());
            is_over |= end;
            audio || end
        };
        if !socket.receive(notes, SENTENCE_LIMIT, first).await {
            return;
        }
        for message in protocol.after_first_audio(&context) {
            socket.send(message).await;
        }
        if !is_over && !socket.receive(notes, SENTENCE_LIMIT, |text| has_audio(text, protocol.as_mut()).1).await {
            return;
        }
    }
}

async fn over_http(
    target: &Target, endpoint: &ProviderAccess, (model, voice): (&str, &str), is_cancelled: bool, notes: &mut Notes,
) {
    let Some(config) = config(target.account.name(), model, voice) else { return };
    let vendor = vendors::tts_vendor(config.provider);
    let setup = tts::TtsSetup {
        providers: target.registry.clone(),
        endpoint: endpoint.clone(),
        config,
        settings: VoiceSettings::default(),
        has_tags: false,
    };
    let mut session = vendor.open(setup);
    for text in SENTENCES.iter().take(if is_cancelled { 1 } else { SENTENCES.len() }) {
        let mut speech = session.speak(text, true);
        let mut bytes = 0;
        let receiving = async {
            while let Some(event) = speech.stream.events.recv().await {
                match event {
                    TtsEvent::Audio(part) => bytes += part.len(),
                    TtsEvent::Failed(ProviderError::Refused { status, message, .. }) => {
                        return Some(Received::Refused { status, message });
                    }
                    TtsEvent::Failed(error) => return Some(Received::Closed(error.to_string())),
                    TtsEvent::Done => return None,
                    TtsEvent::WordTimestamps(_) => {}
                }
            }
            None
        };
        let limit = if is_cancelled { CANCELLED_AFTER } else { CASE_TIMEOUT };
        let failed = tokio::time::timeout(limit, receiving).await.unwrap_or(None);
        notes.add(Received::AudioBytes(bytes));
        if let Some(failed) = failed {
            notes.add(failed);
            return;
        }
    }
}
