//! TTS: what every vendor provides, and vendors over HTTP.

use super::circuit_breaker::ProviderPermit;
use super::http_audio::AudioBody;
use super::{
    AudioFormat, EventStream, ProviderAccess, ProviderError, ProviderRegistry, TtsEvent, TtsStream, refusal, transport,
    unreachable,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::time::timeout;
use trunkline_domain::provider::PipelineStage;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

/// A vendor's voices.
pub trait TtsVendor: Sync {
    /// Opens a voice for one call; socket vendors connect at once.
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession>;

    /// What a model does with text beyond reading it out; `None` is the vendor's default model.
    fn abilities(&self, model: Option<&str>) -> TextAbilities;
}

/// What a voice does with text beyond reading it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextAbilities {
    /// It says numbers, dates, amounts and the like as they are written.
    pub normalizes: bool,
    /// `<break time="1s" />` is a pause to it.
    pub takes_breaks: bool,
    /// `<phoneme alphabet="ipa" ph="…">` gives it the sounds of a word.
    pub takes_phonemes: bool,
}

/// What a voice is opened with.
#[derive(Clone, Debug)]
pub struct TtsSetup {
    /// Connections, circuit breakers and deadlines.
    pub providers: ProviderRegistry,
    /// Address, key and limits of the account.
    pub endpoint: ProviderAccess,
    /// The agent's `tts_config`: voice, model, language and speed.
    pub config: TtsConfig,
    /// The agent's `voice_settings`; `config` wins field by field.
    pub settings: VoiceSettings,
    /// Texts may have tags (`domain::speech_tags`).
    pub has_tags: bool,
}

/// The voice of one call.
pub trait TtsSession: Send {
    /// Until when the caller has sound, if nothing holds it up; `None`: he hears nothing. Said before each text.
    fn set_sound_until(&mut self, _until: Option<Instant>) {}

    /// Speaks one text. `alone`: no fallback exists, so wait for a busy provider.
    fn speak(&mut self, text: &str, alone: bool) -> TtsStream;

    /// Its sound may be made in vain.
    fn costs_nothing(&self) -> bool {
        false
    }

    /// Texts that the agent says in many of its calls, word for word: a voice may keep the sound of these and of no others.
    /// Each call takes the place of the one before.
    fn keep_phrases(&mut self, _phrases: &[String]) {}
}

/// `nl` of `nl-BE`.
pub fn language_code(config: &TtsConfig) -> &str {
    config.language.split(['-', '_']).next().unwrap_or(&config.language)
}

impl TtsSetup {
    pub(crate) async fn acquire_permit(&self, alone: bool) -> Result<ProviderPermit, ProviderError> {
        let (circuits, tenant) = (&self.providers.circuits, self.providers.tenant());
        let entered = if alone {
            circuits
                .acquire_waiting(tenant, &self.endpoint, PipelineStage::Tts, self.providers.timeouts.tts.first_byte)
                .await
        } else {
            circuits.acquire(tenant, &self.endpoint, PipelineStage::Tts, std::time::Instant::now(), false)
        };
        entered.map_err(|refusal| refusal.failure())
    }
}

/// Speaks with one HTTP request; `build` makes it.
pub fn speak_over_http(
    setup: &TtsSetup, alone: bool, format: AudioFormat,
    build: impl FnOnce(
        &dyn Fn(url::Url) -> Result<reqwest::RequestBuilder, ProviderError>,
    ) -> Result<reqwest::RequestBuilder, ProviderError>,
) -> TtsStream {
    let post = |url| setup.providers.http(PipelineStage::Tts).request(reqwest::Method::POST, &setup.endpoint, url);
    let request = build(&post);
    let setup = setup.clone();
    let stream = EventStream::spawn("tts", move |events| async move {
        let last = match spoken(&setup, alone, format, request, &events).await {
            Ok(()) => TtsEvent::Done,
            Err(failure) => TtsEvent::Failed(failure),
        };
        let _ = events.send(last).await;
    });
    TtsStream { format, stream }
}

/// What is said of a text that came back without any sound.
pub(crate) const NO_AUDIO: &str = "no audio at all";

/// Whether a voice that failed before its first sound is asked once more: after a failure that took no time, because one
/// failure is no reason for another voice; after any that may pass if nobody else can speak the text.
fn is_worth_another_try(failure: &ProviderError, alone: bool) -> bool {
    match failure {
        ProviderError::Disconnected(_) | ProviderError::SessionEnded(_) | ProviderError::InvalidResponse(_) => true,
        ProviderError::Refused { status: 500.., .. } => true,
        failure => alone && !failure.is_final(),
    }
}

/// Streams the bytes of an audio answer. One retry is made before the first byte.
async fn spoken(
    setup: &TtsSetup, alone: bool, format: AudioFormat, request: Result<reqwest::RequestBuilder, ProviderError>,
    events: &mpsc::Sender<TtsEvent>,
) -> Result<(), ProviderError> {
    let request = request?;
    let again = request.try_clone();
    let mut heard = false;
    match (spoken_once(setup, alone, format, request, events, &mut heard).await, again) {
        (Err(failure), Some(again)) if !heard && is_worth_another_try(&failure, alone) => {
            metrics::counter!("trunkline_provider_retries_total", "stage" => "tts").increment(1);
            spoken_once(setup, alone, format, again, events, &mut heard).await
        }
        (result, _) => result,
    }
}

async fn spoken_once(
    setup: &TtsSetup, alone: bool, format: AudioFormat, request: reqwest::RequestBuilder,
    events: &mpsc::Sender<TtsEvent>, heard: &mut bool,
) -> Result<(), ProviderError> {
    let pass = setup.acquire_permit(alone).await?;
    let result = audio_body(setup, format, request, events, heard, &pass).await;
    if let Err(failure) = &result {
        pass.failed(std::time::Instant::now(), failure);
    }
    result
}

async fn audio_body(
    setup: &TtsSetup, format: AudioFormat, request: reqwest::RequestBuilder, events: &mpsc::Sender<TtsEvent>,
    heard: &mut bool, pass: &ProviderPermit,
) -> Result<(), ProviderError> {
    let deadlines = setup.providers.timeouts.tts;
    let response = match timeout(deadlines.first_byte, request.send()).await {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(response)) => return Err(refusal(response).await),
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(ProviderError::Timeout("first audio")),
    };
    transport::check_encoding(&response)?;
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    if kind.starts_with("application/json") || kind.starts_with("text/") {
        return Err(ProviderError::InvalidResponse(format!("content type {kind}")));
    }
    let mut bytes = response.bytes_stream();
    let mut body = AudioBody::new();
    loop {
        let limit = if *heard { deadlines.between_bytes } else { deadlines.first_byte };
        let chunk: Bytes = match timeout(limit, bytes.next()).await {
            Ok(Some(Ok(chunk))) => body.push(chunk, format, &kind)?,
            Ok(Some(Err(error))) => return Err(ProviderError::Disconnected(error.to_string())),
            Ok(None) if *heard => return Ok(()),
            Ok(None) => match std::mem::replace(&mut body, AudioBody::new()).finish(format, &kind)? {
                rest if rest.is_empty() => return Err(ProviderError::Disconnected(NO_AUDIO.to_owned())),
                rest => rest,
            },
            Err(_) => return Err(ProviderError::Timeout("next audio")),
        };
        if chunk.is_empty() {
            continue;
        }
        if !std::mem::replace(heard, true) {
            pass.succeeded();
        }
        if events.send(TtsEvent::Audio(chunk)).await.is_err() {
            return Ok(());
        }
    }
}
