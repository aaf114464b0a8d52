//! What all clients share: keys, addresses, connections and circuit breakers.

use super::access::{BlockReason, Deadlines, ProviderAccess};
use super::catalog_cache::CatalogCache;
use super::circuit_breaker::{CircuitState, ProviderCircuits};
use super::error::ProviderError;
use super::llm_reader::AnswerStarts;
use super::local::piper::PiperVoices;
use super::local::speech::{LocalSpeech, LocalSpeechSettings};
use super::transport::{self, ProviderHttp, ProviderSocket, WarmConnections, WebSocketRequest};
use super::unsupported_parameters::UnsupportedParameters;
use reqwest::Method;
use std::sync::Arc;
use std::time::Instant;
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::secret::Secret;
use trunkline_egress::{EgressError, EgressGuard};

/// Deadlines of each stage.
#[derive(Clone, Copy, Debug)]
pub struct StageDeadlines {
    /// Deadlines of STT sockets.
    pub stt: Deadlines,
    /// Deadlines of LLM requests.
    pub llm: Deadlines,
    /// Deadlines of TTS requests and sockets.
    pub tts: Deadlines,
    /// Deadlines of realtime sockets.
    pub realtime: Deadlines,
}

/// Programs of the local voices.
#[derive(Clone, Debug)]
pub struct LocalTtsPrograms {
    /// Path or name of the espeak-ng program.
    pub espeak: String,
    /// Path or name of the flite program.
    pub flite: String,
}

/// Everything that is set for the process.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Deadlines of each stage, from the settings.
    pub timeouts: StageDeadlines,
    /// One for each account, in the order of [`ProviderAccount::ALL`].
    pub endpoints: Vec<ProviderAccess>,
    /// Programs of the local voices, from the settings.
    pub programs: LocalTtsPrograms,
    /// Speech models of this machine, from the settings.
    pub speech: LocalSpeechSettings,
    /// Where customers' own servers may be.
    pub guard: EgressGuard,
}

/// A key that an organization has stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationKey {
    /// The account that the key is for.
    pub account: ProviderAccount,
    /// The only address the key is sent to; `None`: the provider's default address.
    pub base_url: Option<String>,
    /// None where it cannot be opened.
    pub key: Option<Secret>,
}

/// The keys of an organization.
#[derive(Clone, Debug)]
pub enum OrganizationKeys {
    /// The keys that the organization has stored; empty if it has none.
    Known(Vec<OrganizationKey>),
    /// They could not be read. The organization may have some, so no other keys are used.
    Unknown,
}

/// Everything a call needs to reach its providers. Clones share connections, circuit breakers and cached facts.
#[derive(Clone, Debug)]
pub struct ProviderRegistry {
    /// Deadlines of each stage, from the settings.
    pub timeouts: StageDeadlines,
    /// One for each account, at its place: the settings are made from [`Account::ALL`].
    endpoints: Arc<Vec<ProviderAccess>>,
    programs: Arc<LocalTtsPrograms>,
    /// Neural voices of this server; `None` if it has none.
    piper: Option<Arc<PiperVoices>>,
    speech: LocalSpeech,
    /// Keys that belong to the organization.
    organization_keys: Arc<OrganizationKeys>,
    http_llm: ProviderHttp,
    http_tts: ProviderHttp,
    pub(super) circuits: ProviderCircuits,
    pub(super) unsupported_parameters: UnsupportedParameters,
    pub(super) answer_starts: AnswerStarts,
    pub(super) catalogs: CatalogCache,
    pub(super) warm_connections: WarmConnections,
    tenant: Arc<str>,
    guard: EgressGuard,
}

impl ProviderRegistry {
    /// Returns a registry without keys of organizations; fails if the HTTP clients cannot be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, reqwest::Error> {
        let ProviderSettings { timeouts, endpoints, programs, speech, guard } = settings;
        Ok(Self {
            timeouts,
            endpoints: Arc::new(endpoints),
            programs: Arc::new(programs),
            piper: None,
            speech: LocalSpeech::new(speech),
            organization_keys: Arc::new(OrganizationKeys::Known(Vec::new())),
            http_llm: ProviderHttp::new(&timeouts.llm, &guard)?,
            http_tts: ProviderHttp::new(&timeouts.tts, &guard)?,
            circuits: ProviderCircuits::default(),
            unsupported_parameters: UnsupportedParameters::default(),
            answer_starts: AnswerStarts::default(),
            catalogs: CatalogCache::default(),
            warm_connections: WarmConnections::default(),
            tenant: "".into(),
            guard,
        })
    }

    /// For an organization, with its own keys.
    #[must_use]
    pub fn of_organization(&self, tenant: &str, keys: OrganizationKeys) -> Self {
        Self { tenant: tenant.into(), organization_keys: Arc::new(keys), ..self.clone() }
    }

    /// With neural voices of this server.
    #[must_use]
    pub fn with_piper(self, voices: PiperVoices) -> Self {
        Self { piper: Some(Arc::new(voices)), ..self }
    }

    /// The neural voices of this server; `None` if it has none.
    pub fn piper(&self) -> Option<&Arc<PiperVoices>> {
        self.piper.as_ref()
    }

    /// Where an account is asked, and with whose key. A server that an agent names gets the key that was stored for
    /// exactly its address, or none; the server's keys go to the addresses of its settings alone.
    pub fn endpoint(&self, account: ProviderAccount, base_url: Option<&str>) -> ProviderAccess {
        let mut endpoint = self.endpoints[account as usize].clone();
        let own_address = normalize_base_url(&endpoint.base_url);
        let Some(named) = base_url else {
            match self.own_key(account, None, &own_address) {
                Ok(Some(key)) => endpoint.api_key = Some(key),
                Ok(None) => {}
                Err(blocked) => (endpoint.api_key, endpoint.blocked) = (None, Some(blocked)),
            }
            return endpoint;
        };
        endpoint.is_customer_server = true;
        endpoint.concurrency_max = 0;
        endpoint.blocked = self.guard.check_base(named).err().map(BlockReason::Address);
        endpoint.base_url = normalize_base_url(named);
        endpoint.api_key = match self.own_key(account, Some(&endpoint.base_url), &own_address) {
            Ok(key) => key.filter(|_| endpoint.blocked.is_none()),
            Err(blocked) => {
                endpoint.blocked = endpoint.blocked.or(Some(blocked));
                None
            }
        };
        endpoint
    }

    /// The organization's key for an address; none where it has none. `named` is what an agent names.
    fn own_key(
        &self, account: ProviderAccount, named: Option<&str>, own_address: &str,
    ) -> Result<Option<Secret>, BlockReason> {
        let keys = match &*self.organization_keys {
            OrganizationKeys::Known(keys) => keys,
            // A customer's server may need no key.
            OrganizationKeys::Unknown if !account.needs_key() || named.is_some_and(|named| named != own_address) => {
                return Ok(None);
            }
            OrganizationKeys::Unknown => return Err(BlockReason::Key),
        };
        let goes_there = |key: &&OrganizationKey| {
            key.account == account && key.base_url.as_deref().unwrap_or(own_address) == named.unwrap_or(own_address)
        };
        match keys.iter().find(goes_there) {
            Some(OrganizationKey { key: Some(key), .. }) => Ok(Some(key.clone())),
            Some(OrganizationKey { key: None, .. }) => Err(BlockReason::Key),
            None => Ok(None),
        }
    }

    /// The current state of the circuit breaker of an account and stage, for this organization.
    pub fn circuit_state(&self, account: ProviderAccount, stage: PipelineStage) -> Option<CircuitState> {
        self.circuits.state(&self.tenant, &self.endpoint(account, None), stage, std::time::Instant::now())
    }

    /// The organization has a key for the provider's default address, even one that cannot be decrypted.
    pub fn has_own_key(&self, account: ProviderAccount) -> bool {
        let own_address = normalize_base_url(&self.endpoints[account as usize].base_url);
        self.own_key(account, None, &own_address) != Ok(None)
    }

    /// Returns the HTTP client of a stage: one for LLMs, one for everything else.
    pub fn http(&self, stage: PipelineStage) -> &ProviderHttp {
        if stage == PipelineStage::Llm { &self.http_llm } else { &self.http_tts }
    }

    /// Returns the programs of the local voices.
    pub fn programs(&self) -> &LocalTtsPrograms {
        &self.programs
    }

    /// Returns the speech models of this machine.
    pub fn speech(&self) -> &LocalSpeech {
        &self.speech
    }

    /// Whether requests to a customer's server are allowed, judging by its address before name resolution.
    pub fn check_base_url(&self, base_url: &str) -> Result<(), EgressError> {
        self.guard.check_base(base_url).map(drop)
    }

    /// A provider has said nothing for so long that another one was asked.
    pub fn record_slow_response(&self, endpoint: &ProviderAccess, stage: PipelineStage) {
        self.circuits.failed(&self.tenant, endpoint, stage, Instant::now(), &ProviderError::Timeout("first word"));
    }

    pub(super) fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    pub(super) async fn open(
        &self, endpoint: &ProviderAccess, upgrade: &WebSocketRequest, deadlines: &Deadlines,
    ) -> Result<ProviderSocket, ProviderError> {
        transport::open(&self.warm_connections, endpoint, upgrade, deadlines, &self.guard).await
    }

    /// Sees to it that a connection to each of these is ready when it is needed. The first is in use; those
    /// after it stand by.
    pub fn keep_warm_connections<'a>(&self, endpoints: impl Iterator<Item = &'a ProviderAccess>, stage: PipelineStage) {
        endpoints.skip(1).for_each(|endpoint| self.warm_up_websocket(endpoint, stage));
    }

    /// Sees to it that a connection is ready when it is needed.
    pub fn warm_up_websocket(&self, endpoint: &ProviderAccess, stage: PipelineStage) {
        let deadlines = match stage {
            PipelineStage::Stt => &self.timeouts.stt,
            PipelineStage::Tts => &self.timeouts.tts,
            PipelineStage::Llm | PipelineStage::Realtime => &self.timeouts.realtime,
        };
        self.warm_connections.warm_up(endpoint, deadlines);
    }

    /// Opens the HTTP connections that a call will need while its phone rings: name, TCP and TLS are done
    /// when the first word is asked for. The answer does not matter.
    pub fn open_connections(
        &self, endpoints: &[(ProviderAccess, PipelineStage)],
    ) -> Vec<trunkline_supervision::ContainedTask<()>> {
        let cold = endpoints
            .iter()
            .filter(|(endpoint, stage)| endpoint.is_usable() && self.http(*stage).needs_warm_up(endpoint));
        cold.filter_map(|(endpoint, stage)| {
            let deadlines = if *stage == PipelineStage::Llm { self.timeouts.llm } else { self.timeouts.tts };
            let knock = self.http(*stage).request(Method::HEAD, endpoint, endpoint.url("").ok()?).ok()?;
            let knock = knock.timeout(deadlines.connect);
            Some(trunkline_supervision::spawn("provider_connection", async move {
                if let Err(error) = knock.send().await {
                    tracing::debug!(error = %super::unreachable(&error), "connection not opened ahead");
                }
            }))
        })
        .collect()
    }
}

/// An address as it is compared and built upon: without a slash at its end, its scheme and host in lower case.
pub fn normalize_base_url(base_url: &str) -> String {
    let url = url::Url::parse(base_url).map_or_else(|_| base_url.to_owned(), String::from);
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests;
