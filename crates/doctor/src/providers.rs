//! The server's own provider keys: one cheap request with each.

use trunkline::app::provider_clients;
use trunkline::checkup::providers::{self as judged, CHECK, KeyHolder};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline::domain::provider::ProviderAccount;
use trunkline::providers::ProviderRegistry;

/// Tries every key of the settings, and the local voice.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let clients = match provider_clients(config) {
        Ok(clients) => clients,
        Err(error) => return vec![Finding::error(CHECK, error.to_string(), "mend [providers]")],
    };
    let has_key =
        |account: &ProviderAccount| !account.needs_key() || config.providers.account(*account).api_key.is_some();
    let accounts: Vec<ProviderAccount> = ProviderAccount::ALL.iter().copied().filter(has_key).collect();
    let has_none = accounts.iter().all(|account| !account.needs_key());
    let asked = accounts.into_iter().map(|account| tried(&clients, account));
    let mut findings = futures_util::future::join_all(asked).await;
    if has_none {
        findings.push(judged::none("set a key, such as DEEPGRAM_API_KEY, or providers.deepgram.api_key"));
    }
    findings
}

async fn tried(clients: &ProviderRegistry, account: ProviderAccount) -> Finding {
    let check = clients.check_provider(account).await;
    let outcome = check.failure.map_or(Ok(check.latency), |error| Err(error.to_string()));
    judged::finding(account, KeyHolder::Server, outcome)
}
