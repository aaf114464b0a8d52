//! The providers' clients.

use super::error::AppError;
use crate::config::{Config, StageTimeoutsConfig};
use crate::domain::provider::ProviderAccount;
use crate::egress::EgressGuard;
use crate::providers::{
    Deadlines, LocalSpeechSettings, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings,
    StageDeadlines,
};
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
    ProviderRegistry::new(ProviderSettings { timeouts, endpoints, programs, speech, guard: guard.clone() })
        .map_err(|error| AppError::Other(format!("HTTP client: {error}")))
}
