//! The server's own provider keys: one cheap request with each; and whether anything can hear at all.

use trunkline::app::provider_clients;
use trunkline::checkup::providers::{self as judged, CHECK, KeyHolder};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline::domain::provider::ProviderAccount;
use trunkline::providers::{ProviderError, ProviderRegistry};

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
    let (hears, set) =
        (clients.speech().has_stt(), "set a key, such as DEEPGRAM_API_KEY, or providers.deepgram.api_key");
    match (has_none, hears) {
        (false, _) => {}
        (true, true) => findings.push(judged::none(set)),
        (true, false) => findings.push(Finding::warning(
            CHECK,
            "no provider has a key, and this machine has no model that hears: agents are deaf, but where an organization has \
             stored a key of its own",
            format!("{set}, or run `trunkline models fetch`"),
        )),
    }
    findings
}

async fn tried(clients: &ProviderRegistry, account: ProviderAccount) -> Finding {
    let check = clients.check_provider(account).await;
    if let Some(ProviderError::Unavailable(why)) = &check.failure {
        let advice = "until then the next of an agent's fallbacks hears or speaks";
        return Finding::warning(CHECK, format!("{}: {why}", account.name()), advice);
    }
    let outcome = check.failure.map_or(Ok(check.latency), |error| Err(error.to_string()));
    judged::finding(account, KeyHolder::Server, outcome)
}
