//! What scripted callers say in their own words: texts that a voice of this machine speaks before the call.

use crate::caller::script::SpokenTexts;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use trunkline::egress::EgressGuard;
use trunkline::providers::local::piper::{PiperVoices, WorkerSpeaker};
use trunkline::providers::{
    Deadlines, LocalSpeechSettings, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings,
    StageDeadlines, TtsEvent, vendors,
};
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline_media::audio::{AudioFormat, convert::StreamDecoder};
use trunkline_media::frame::SAMPLE_RATE_HZ;

/// A text of a caller at most, in seconds of speech.
const SECONDS_MAX: usize = 120;
/// Nobody waits for these voices: one may load first.
const DEADLINE: Duration = Duration::from_secs(30);

/// Who speaks the texts of scripted callers.
#[derive(Clone, Debug, Args)]
pub struct CallerVoiceArgs {
    /// Voice of texts in quotes: piper:joe, flite:slt, or one of espeak-ng, such as en-us+m3.
    #[arg(long, default_value = "piper:joe")]
    voice: String,
    /// Language of these texts.
    #[arg(long, default_value = "en")]
    voice_language: String,
    /// Folder of the models that `trunkline models fetch` gets.
    #[arg(long, default_value = MODELS)]
    models: PathBuf,
}

/// Where `trunkline models fetch` puts models.
pub const MODELS: &str = "data/models";

impl CallerVoiceArgs {
    /// English texts with this voice.
    pub fn new(voice: &str, models: &Path) -> Self {
        Self { voice: voice.to_owned(), voice_language: "en".to_owned(), models: models.to_owned() }
    }

    /// The sound of each text at 8 kHz.
    ///
    /// # Errors
    ///
    /// A voice that does not exist, or that said nothing, in words.
    pub async fn speak(&self, texts: Vec<&str>) -> Result<SpokenTexts, String> {
        let mut spoken = SpokenTexts::new();
        if texts.is_empty() {
            return Ok(spoken);
        }
        let providers = providers(&self.models).map_err(|error| error.to_string())?;
        let mut session = vendors::tts_session(&providers, &self.config(), &VoiceSettings::default(), false);
        for text in texts {
            let speech = session.speak(text, true);
            let samples = tokio::time::timeout(DEADLINE, samples(speech)).await;
            let samples = samples.map_err(|_| "the voice took too long".to_owned()).flatten();
            spoken.insert(text.to_owned(), samples.map_err(|error| format!("{}: {error}", self.voice))?);
        }
        Ok(spoken)
    }

    fn config(&self) -> TtsConfig {
        TtsConfig::local(self.voice.clone(), self.voice_language.clone())
    }
}

/// The local voices, without accounts.
fn providers(models: &Path) -> Result<ProviderRegistry, reqwest::Error> {
    let every = Deadlines { connect: DEADLINE, first_byte: DEADLINE, between_bytes: DEADLINE };
    let endpoint = |account: &ProviderAccount| ProviderAccess {
        account: *account,
        base_url: String::new(),
        api_key: None,
        api_version: String::new(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    };
    let providers = ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: every, llm: every, tts: every, realtime: every },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".to_owned(), flite: "flite".to_owned() },
        speech: LocalSpeechSettings { models: models.to_owned(), worker: None },
        guard: EgressGuard::unrestricted(),
    })?;
    let voices = PiperVoices::new(Arc::new(WorkerSpeaker::new(providers.speech().clone())), None);
    Ok(providers.with_piper(voices.patient(DEADLINE)))
}

async fn samples(mut speech: trunkline::providers::TtsStream) -> Result<Vec<i16>, String> {
    let format = match speech.format {
        trunkline::providers::AudioFormat::Pcm16 { rate_hz } => AudioFormat::Pcm { rate_hz },
        trunkline::providers::AudioFormat::Mulaw => AudioFormat::G711(trunkline_media::codec::Companding::MuLaw),
    };
    let mut decoder = StreamDecoder::new(format, SAMPLE_RATE_HZ).map_err(|error| format!("{error:?}"))?;
    let mut samples = Vec::new();
    while let Some(event) = speech.stream.events.recv().await {
        match event {
            TtsEvent::Audio(bytes) if samples.len() < SECONDS_MAX * SAMPLE_RATE_HZ as usize => {
                decoder.push(&bytes, &mut samples);
            }
            TtsEvent::Audio(_) | TtsEvent::WordTimestamps(_) => {}
            TtsEvent::Done => {
                decoder.finish(&mut samples);
                return Ok(samples);
            }
            TtsEvent::Failed(failure) => return Err(failure.to_string()),
        }
    }
    Err("the voice ended".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(voice: &str) -> CallerVoiceArgs {
        CallerVoiceArgs::new(voice, Path::new("none"))
    }

    /// Without models espeak-ng says it, so a script runs everywhere.
    #[tokio::test]
    async fn callers_say_any_text() {
        for voice in ["en-us", "piper:joe"] {
            let spoken = args(voice).speak(vec!["Where is my order?"]).await.unwrap();
            let samples = &spoken["Where is my order?"];
            assert!((4_000..32_000).contains(&samples.len()), "{voice}: {}", samples.len());
        }
        assert!(args("piper:nobody").speak(Vec::new()).await.unwrap().is_empty());
        let unknown = args("piper:nobody").speak(vec!["Yes."]).await.unwrap_err();
        assert!(unknown.contains("piper:joe"), "{unknown}");
    }
}
