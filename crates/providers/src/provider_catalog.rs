//! The models and voices that an account of a provider has: asked of the provider, and kept for some minutes.

use super::catalog_cache::{CatalogKey, CatalogResult};
use super::catalog_lists::{CatalogModel, CatalogVoice, ProviderCatalog, paths};
use super::{ProviderError, ProviderRegistry, refusal, transport, unreachable};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use trunkline_domain::local_stt;
use trunkline_domain::local_voice::PIPER_VOICES;
use trunkline_domain::provider::{PipelineStage, ProviderAccount};

/// The user waits for the list.
const DEADLINE: Duration = Duration::from_secs(8);
/// A list of all voices of a large account.
const LIST_BYTES_MAX: usize = 4 << 20;
/// Entries of a list.
const ENTRIES_MAX: usize = 2_000;

impl ProviderRegistry {
    /// The list that was asked for lately; `None` if the provider has to be asked.
    pub fn cached_catalog(&self, account: ProviderAccount, base_url: Option<&str>) -> Option<CatalogResult> {
        if !account.needs_key() {
            return Some(Ok(Arc::new(local_catalog())));
        }
        self.catalogs.get(&self.catalog_key(account, base_url))
    }

    /// Asks the provider, or the customer's server at `base_url`, for its models and voices.
    pub async fn fetch_catalog(&self, account: ProviderAccount, base_url: Option<&str>) -> CatalogResult {
        let asked = timeout(DEADLINE, self.ask_catalog(account, base_url)).await;
        let result = asked.unwrap_or(Err(ProviderError::Timeout("list"))).map(Arc::new);
        self.catalogs.put(self.catalog_key(account, base_url), result.clone());
        result
    }

    fn catalog_key(&self, account: ProviderAccount, base_url: Option<&str>) -> CatalogKey {
        let endpoint = self.endpoint(account, base_url);
        CatalogKey::new(self.tenant().clone(), account, endpoint.base_url, endpoint.api_key.as_ref())
    }

    async fn ask_catalog(
        &self, account: ProviderAccount, base_url: Option<&str>,
    ) -> Result<ProviderCatalog, ProviderError> {
        let endpoint = self.endpoint(account, base_url);
        let mut catalog = ProviderCatalog::default();
        for (path, read) in paths(account) {
            let request = self.keyed_get(account, &endpoint, path)?;
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            let body = transport::body(response, LIST_BYTES_MAX).await?;
            transport::check_text(&body)?;
            let list: Value = serde_json::from_slice(&body).map_err(ProviderError::invalid_response)?;
            read(&list, endpoint.is_customer_server, &mut catalog);
        }
        catalog.models.truncate(ENTRIES_MAX);
        catalog.voices.truncate(ENTRIES_MAX);
        Ok(catalog)
    }
}

/// What runs on this machine.
fn local_catalog() -> ProviderCatalog {
    let model = CatalogModel { id: local_stt::FALLBACK_MODEL.to_owned(), name: None, stage: PipelineStage::Stt };
    let voice = |name: &str| CatalogVoice {
        id: format!("piper:{name}"),
        name: format!("Piper {name}"),
        language: Some("en".to_owned()),
        about: None,
    };
    ProviderCatalog { models: vec![model], voices: PIPER_VOICES.iter().map(|name| voice(name)).collect() }
}
