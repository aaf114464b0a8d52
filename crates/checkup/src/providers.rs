//! What the trial of a provider's key means.

use crate::domain::finding::Finding;
use crate::domain::provider::ProviderAccount;
use std::time::Duration;

/// The name of the check.
pub const CHECK: &str = "providers";

/// Whose key was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHolder {
    /// The server, in its settings.
    Server,
    /// An organization, which stored it.
    Organization,
}

/// A provider that was tried: how long its answer took, or what is wrong.
pub fn finding(account: ProviderAccount, holder: KeyHolder, outcome: Result<Duration, String>) -> Finding {
    let name = account.name();
    match outcome {
        Ok(latency) => Finding::ok(CHECK, format!("{name} answered in {} ms", latency.as_millis())),
        Err(error) if !account.needs_key() => Finding::warning(
            CHECK,
            format!("{name}: {error}"),
            "install espeak-ng, or give agents the voice of a provider",
        ),
        Err(error) => Finding::error(
            CHECK,
            format!("{name} does not take the key, or cannot be reached: {error}"),
            match holder {
                KeyHolder::Server => {
                    format!("look at providers.{name}.api_key ({}) and base_url", account.environment())
                }
                KeyHolder::Organization => {
                    format!("look at the key in {name}'s own console, and store it again (POST /secrets)")
                }
            },
        ),
    }
}

/// No provider has a key; `advice` says where one is set.
pub fn none(advice: &str) -> Finding {
    let found = "no provider has a key: agents speak and listen with the models of this machine only";
    Finding::warning(CHECK, found, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Level;

    #[test]
    fn a_key_that_is_refused_is_looked_for_where_it_is_kept() {
        let refused = |holder| finding(ProviderAccount::Openai, holder, Err("HTTP 401".to_owned()));
        let of_server = refused(KeyHolder::Server);
        assert_eq!(of_server.level, Level::Error);
        assert!(of_server.advice.unwrap().contains("providers.openai.api_key (OPENAI_API_KEY)"));
        assert!(refused(KeyHolder::Organization).advice.unwrap().contains("/secrets"));
        let well = finding(ProviderAccount::Openai, KeyHolder::Server, Ok(Duration::from_millis(12)));
        assert_eq!((well.level, well.found.as_str()), (Level::Ok, "openai answered in 12 ms"));
        assert_eq!(finding(ProviderAccount::Local, KeyHolder::Server, Err("none".to_owned())).level, Level::Warning);
    }
}
