//! The providers' clients.

use super::error::AppError;
use crate::config::{Config, ProviderConfig, StageTimeoutsConfig};
use crate::domain::provider::ProviderAccount;
use crate::egress::EgressGuard;
use crate::providers::local::piper::{PhraseCache, PiperVoices, WorkerSpeaker};
use crate::providers::{
    Deadlines, LocalSpeechSettings, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings,
    StageDeadlines,
};
use std::sync::Arc;
use std::time::Duration;

/// Clients with the server's own keys.
pub(super) fn build(config: &Config, guard: &EgressGuard) -> Result<ProviderRegistry, AppError> {
    let p = &config.providers;
    let deadlines = |one: StageTimeoutsConfig| Deadlines {
        connect: Duration::from_millis(one.connect_ms),
        first_byte: Duration::from_millis(one.first_byte_ms),
        between_bytes: Duration::from_millis(one.between_bytes_ms),
    };
    let endpoint = |account: &ProviderAccount| {
        let own = p.account(*account);
        ProviderAccess {
            account: *account,
            base_url: own.base_url.clone(),
            api_key: own.api_key.clone(),
            api_version: own.api_version.clone(),
            concurrency_max: own.concurrency_max,
            is_customer_server: false,
            blocked: None,
        }
    };
    let timeouts = StageDeadlines {
        stt: deadlines(p.timeouts.stt),
        llm: deadlines(p.timeouts.llm),
        tts: deadlines(p.timeouts.tts),
        realtime: deadlines(p.timeouts.realtime),
    };
    let programs = LocalTtsPrograms { espeak: p.local.program.clone(), flite: p.local.flite_program.clone() };
    let worker = &p.local.speech_worker;
    let speech = LocalSpeechSettings {
        models: p.local.models_folder.clone().into(),
        worker: (!worker.is_empty()).then(|| worker.into()),
    };
    let endpoints = ProviderAccount::ALL.iter().map(endpoint).collect();
    let settings = ProviderSettings { timeouts, endpoints, programs, speech, guard: guard.clone() };
    let providers =
        ProviderRegistry::new(settings).map_err(|error| AppError::Other(format!("HTTP client: {error}")))?;
    providers.log_models();
    let speaker = WorkerSpeaker::new(providers.speech().clone());
    let voices = PiperVoices::new(Arc::new(speaker), phrases(&p.local));
    Ok(providers.with_piper(voices))
}

/// The phrases on disk. A server whose disk refuses them makes them anew.
fn phrases(local: &ProviderConfig) -> Option<Arc<PhraseCache>> {
    if local.phrases_folder.is_empty() || local.phrases_max_mb == 0 {
        return None;
    }
    match PhraseCache::open(local.phrases_folder.as_ref(), local.phrases_max_mb.saturating_mul(1_048_576)) {
        Ok(cache) => Some(Arc::new(cache)),
        Err(error) => {
            tracing::warn!(folder = local.phrases_folder, %error, "phrases of local voices are not kept");
            None
        }
    }
}
