//! The server's own provider keys: one cheap request with each.

use crate::finding::Finding;
use trunkline::app::provider_clients;
use trunkline::config::Config;
use trunkline::domain::provider::ProviderAccount;
use trunkline::providers::ProviderRegistry;

const CHECK: &str = "providers";

/// Tries every key of the settings, and the local voice.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let clients = match provider_clients(config) {
        Ok(clients) => clients,
        Err(error) => return vec![Finding::error(CHECK, error.to_string(), "mend [providers]")],
    };
    let has_key =
        |account: &ProviderAccount| !account.needs_key() || config.providers.account(*account).api_key.is_some();
    let accounts: Vec<ProviderAccount> = ProviderAccount::ALL.iter().copied().filter(has_key).collect();
    let asked = accounts.iter().map(|account| tried(&clients, *account));
    let mut findings = futures_util::future::join_all(asked).await;
    if accounts.iter().all(|account| !account.needs_key()) {
        findings.push(Finding::warning(
            CHECK,
            "no provider has a key: agents speak and listen with the models of this machine only",
            "set a key, such as DEEPGRAM_API_KEY, or providers.deepgram.api_key",
        ));
    }
    findings
}

async fn tried(clients: &ProviderRegistry, account: ProviderAccount) -> Finding {
    let name = account.name();
    let check = clients.check_provider(account).await;
    match check.failure {
        None => Finding::ok(CHECK, format!("{name} answered in {} ms", check.latency.as_millis())),
        Some(error) if !account.needs_key() => Finding::warning(
            CHECK,
            format!("{name}: {error}"),
            "install espeak-ng, or give agents the voice of a provider",
        ),
        Some(error) => Finding::error(
            CHECK,
            format!("{name} does not take the key, or cannot be reached: {error}"),
            format!("look at providers.{name}.api_key ({}) and base_url", account.environment()),
        ),
    }
}
