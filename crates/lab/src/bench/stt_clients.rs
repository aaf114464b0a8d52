//! Clients of the STT services that hear recorded turns.

use std::time::Duration;
use trunkline::config::Config;
use trunkline::egress::EgressGuard;
use trunkline::providers::{
    Deadlines, LocalSpeechSettings, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings,
    StageDeadlines,
};
use trunkline_domain::provider::ProviderAccount;
use trunkline_turn_bench::hearing::Hearer;

/// Nobody waits for a caller: the rows do not run away.
const DEADLINE: Duration = Duration::from_secs(20);

/// Keys come from the environment variables of the vendors, addresses from the defaults of the settings.
pub(super) fn build(hearer: &Hearer) -> Result<ProviderRegistry, String> {
    let config = Config::default();
    let every = Deadlines { connect: DEADLINE, first_byte: DEADLINE, between_bytes: DEADLINE };
    let endpoint = |account: &ProviderAccount| {
        let own = config.providers.account(*account);
        let key = std::env::var(account.environment()).ok().filter(|_| account.needs_key());
        ProviderAccess {
            account: *account,
            base_url: own.base_url.clone(),
            api_key: key.map(|key| key.trim().into()),
            api_version: own.api_version.clone(),
            concurrency_max: 0,
            is_customer_server: false,
            blocked: None,
        }
    };
    ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: every, llm: every, tts: every, realtime: every },
        endpoints: ProviderAccount::ALL.iter().map(endpoint).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".to_owned(), flite: "flite".to_owned() },
        speech: LocalSpeechSettings { models: hearer.models.clone(), worker: None },
        guard: EgressGuard::unrestricted(),
    })
    .map_err(|error| error.to_string())
}
