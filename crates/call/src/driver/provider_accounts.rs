//! The providers' accounts: the server's own, and for each organization the keys that it stored.

use super::concurrency::{ConcurrencyKind, ConcurrencyLimit, ConcurrencyLimiter};
use crate::domain::agent::AgentFields;
use crate::domain::provider::{ProviderAccount, SttProvider, TtsProvider};
use crate::domain::quota::Quotas;
use crate::providers::local::advice;
use crate::providers::{OrganizationKey, OrganizationKeys, ProviderRegistry};
use crate::store::secrets::{MasterKey, StoredKey};
use crate::store::{OrgScope, PassageIndex, Store};
use std::time::Duration;

/// How long the keys of an organization may take to be read.
const SECRETS_DEADLINE: Duration = Duration::from_secs(2);

/// Opens the providers' clients with the keys of an organization.
#[derive(Clone, Debug)]
pub struct ProviderAccounts {
    /// Clients with the server's own keys.
    pub registry: ProviderRegistry,
    /// Opens the provider keys of organizations; none stores no keys.
    pub master_key: Option<MasterKey>,
    /// Tests of provider keys at once.
    pub tests: ConcurrencyLimiter,
    store: Store,
}

impl ProviderAccounts {
    /// Returns the accounts of an installation; `provider_tests_at_once` of the quotas limits one organization's tests.
    pub fn build(registry: ProviderRegistry, master_key: Option<MasterKey>, store: &Store, quotas: &Quotas) -> Self {
        let tests = ConcurrencyLimit::of(ConcurrencyKind::ProviderTests, quotas);
        Self { registry, master_key, tests: ConcurrencyLimiter::new(tests), store: store.clone() }
    }

    /// What an agent asks of this machine that it does not have, such as speech models, with what to do about it.
    pub fn warnings(&self, agent: &AgentFields) -> Vec<String> {
        let (speech, fallbacks) = (self.registry.speech(), agent.fallbacks.as_ref());
        let own = agent.stt_config.iter().filter_map(|config| advice::stt_warning(speech, "stt_config", config));
        let stt = fallbacks.iter().flat_map(|one| one.stt.iter().enumerate());
        let stt = stt.filter_map(|(at, config)| advice::stt_warning(speech, &format!("fallbacks.stt[{at}]"), config));
        let voice = agent.tts_config.iter().filter_map(|config| advice::tts_warning(speech, "tts_config", config));
        let tts = fallbacks.iter().flat_map(|one| one.tts.iter().enumerate());
        let tts = tts.filter_map(|(at, config)| advice::tts_warning(speech, &format!("fallbacks.tts[{at}]"), config));
        own.chain(stt).chain(voice).chain(tts).collect()
    }

    /// Loads the speech models of this machine for an agent that hears or speaks with them: its first call does not wait.
    pub fn prepare(&self, agent: &AgentFields) {
        let hears = agent.stt_config.as_ref().is_some_and(|stt| stt.provider == SttProvider::Local);
        let speaks = agent
            .tts_config
            .as_ref()
            .is_some_and(|tts| tts.provider == TtsProvider::Local && tts.voice_id.starts_with("piper:"));
        if let Some(voices) = self.registry.piper().filter(|_| hears || speaks) {
            voices.warm_up();
        }
    }

    /// The search in the documents of flows.
    pub fn passages(&self) -> &PassageIndex {
        self.store.passages()
    }

    /// The clients for one organization, with its own keys if it has any.
    pub async fn of_organization(&self, scope: OrgScope) -> ProviderRegistry {
        let read = tokio::time::timeout(SECRETS_DEADLINE, self.store.open_secrets(scope, self.master_key.as_ref()));
        let known = |stored: &StoredKey| {
            let StoredKey { provider, base_url, key } = stored;
            Some(OrganizationKey {
                account: ProviderAccount::parse(provider)?,
                base_url: base_url.clone(),
                key: key.clone(),
            })
        };
        let keys = match read.await {
            Ok(Ok(stored)) => OrganizationKeys::Known(stored.iter().filter_map(known).collect()),
            // The organization may have its own keys: never fall back to the server's account.
            Ok(Err(error)) => {
                tracing::error!(organization = %scope.organization(), %error, "cannot read provider keys");
                OrganizationKeys::Unknown
            }
            Err(_) => {
                tracing::error!(organization = %scope.organization(), "timeout reading provider keys");
                OrganizationKeys::Unknown
            }
        };
        self.registry.of_organization(&scope.organization().to_string(), keys)
    }
}
