//! STT by a model of this machine. A session is a task that asks the speech worker; between it and the call go the
//! same messages as between a vendor's server and the call, so that fallbacks, replays and deadlines are the same.

mod session;
mod wire;

use super::speech_feed::{SpeechFeed, silence_after_detection};
use crate::stt::{SttCandidate, SttProtocol, SttSessionConfig, SttSocket, SttVendor};
use crate::{ProviderError, ProviderRegistry};
use futures_util::future::BoxFuture;
use session::LocalSession;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use trunkline_domain::local_stt;
use trunkline_local_speech::limits::STT_RATE_HZ;
use trunkline_local_speech::models::Model;
use trunkline_local_speech::request::{SpeechError, Tenant};
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;
use wire::LocalWire;

/// How long the start of the worker is waited for: its models are 66 MB, which a slow disk reads in seconds. The caller's
/// words are kept meanwhile.
const START_MAX: Duration = Duration::from_secs(8);

/// Opens sessions of the local STT.
#[derive(Debug)]
pub struct LocalStt;

impl SttVendor for LocalStt {
    fn open(&self, setup: &SttSessionConfig) -> Box<dyn SttProtocol> {
        Box::new(LocalWire::new(format_of(setup.encoding)))
    }

    fn connect<'a>(
        &'a self, providers: &'a ProviderRegistry, candidate: &'a SttCandidate, _: &'a dyn SttProtocol,
    ) -> BoxFuture<'a, Result<SttSocket, ProviderError>> {
        Box::pin(async move {
            candidate.endpoint.check()?;
            let setup = &candidate.setup;
            check(providers, setup).inspect_err(|error| tracing::warn!(%error, "the local STT cannot be used"))?;
            let worker = providers.speech().worker();
            let ready = timeout(START_MAX, worker.warm_up()).await;
            ready.map_err(|_| ProviderError::Timeout("start of the speech worker"))?.map_err(provider_error)?;
            let feed = SpeechFeed::new(format_of(setup.encoding), Instant::now().into_std())
                .map_err(|error| ProviderError::Unavailable(format!("{} Hz is not supported", error.from_hz)))?;
            let tenant = Tenant::of(providers.tenant());
            let endpointing_ms = silence_after_detection(setup.endpointing_ms);
            Ok(Box::new(LocalSession::open(worker.clone(), tenant, feed, endpointing_ms)) as SttSocket)
        })
    }
}

/// What a session takes: G.711 as on the line, or `linear16`, PCM at the model's 16 kHz.
fn format_of(encoding: &str) -> AudioFormat {
    match encoding {
        "alaw" => AudioFormat::G711(Companding::ALaw),
        "linear16" => AudioFormat::Pcm { rate_hz: STT_RATE_HZ },
        _ => AudioFormat::G711(Companding::MuLaw),
    }
}

/// What can be said before the worker is asked: the model, its language, its files.
pub(crate) fn check(providers: &ProviderRegistry, setup: &SttSessionConfig) -> Result<(), ProviderError> {
    let faults = [local_stt::model_fault(&setup.model), local_stt::language_fault(&setup.language)];
    if let Some(fault) = faults.into_iter().flatten().next() {
        return Err(ProviderError::Unavailable(format!("local STT: {fault}")));
    }
    let Some(model) = Model::named(&setup.model) else {
        return Err(ProviderError::Unavailable(format!("there is no model {}", setup.model)));
    };
    providers.speech().state(model).advice(model).map_or(Ok(()), |advice| Err(ProviderError::Unavailable(advice)))
}

/// A failure of the worker, as those of vendors.
pub(crate) fn provider_error(error: SpeechError) -> ProviderError {
    match error {
        SpeechError::Unavailable(why) | SpeechError::Unsupported(why) => ProviderError::Unavailable(why),
        SpeechError::QueueFull => ProviderError::Unreachable(error.to_string()),
        SpeechError::Deadline => ProviderError::Timeout("speech worker"),
        SpeechError::Crashed(_) | SpeechError::Superseded | SpeechError::Model(_) => {
            ProviderError::Disconnected(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
