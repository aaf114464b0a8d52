//! Links that the server hands out: they must lead back to it.

use crate::config::error::ConfigError;
use crate::config::settings::Config;

const PUBLIC_URL: &str = "api.public_url";

pub(super) fn check(config: &Config, faults: &mut Vec<ConfigError>) {
    let url = &config.api.public_url;
    if url.is_empty() {
        return;
    }
    let is_base = url::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
    if !is_base {
        let message = "must be an http or https URL such as https://voice.example.com, without a query".to_owned();
        faults.push(ConfigError { path: PUBLIC_URL.to_owned(), message });
    }
}

/// What works, and probably not as it is meant.
pub(in crate::config) fn advice(config: &Config) -> Vec<ConfigError> {
    let api = &config.api;
    let is_behind = api.behind_proxy || !api.connections.trusted_proxies.is_empty();
    let advise = |message: &str| ConfigError { path: PUBLIC_URL.to_owned(), message: message.to_owned() };
    if api.public_url.is_empty() && is_behind {
        return vec![advise(
            "should be set behind a proxy: links in webhooks and mails have the address of api.listen without it, and \
             other links the proxy's Host and X-Forwarded-Proto",
        )];
    }
    if api.public_url.is_empty() && !api.listen.ip().is_loopback() {
        return vec![advise("should be set: links in webhooks and mails have the address of api.listen without it")];
    }
    if api.public_url.starts_with("http:") && !config.webrtc.allowed_origins.is_empty() {
        return vec![advise("should begin with https: pages that came over https may not call an http address")];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        advice(&config).into_iter().map(|one| format!("{} {}", one.path, one.message)).collect()
    }

    #[test]
    fn a_public_url_is_asked_for_where_links_would_lead_nowhere() {
        assert!(advised(|_| ()).is_empty(), "on loopback everything is in reach");
        for change in [
            (|config| config.api.behind_proxy = true) as fn(&mut Config),
            |config| config.api.connections.trusted_proxies = vec!["10.0.0.0/8".into()],
            |config| config.api.listen = "0.0.0.0:3008".parse().unwrap(),
        ] {
            let asked = advised(change);
            assert!(asked.len() == 1 && asked[0].starts_with("api.public_url should be set"), "{asked:?}");
            let answered = advised(|config| {
                change(config);
                config.api.public_url = "https://voice.example.com".into();
            });
            assert!(answered.is_empty(), "{answered:?}");
        }
        let pages = advised(|config| {
            config.api.public_url = "http://voice.example.com".into();
            config.webrtc.allowed_origins = vec!["https://www.example.com".into()];
        });
        assert!(pages[0].contains("https"), "{pages:?}");
    }

    #[test]
    fn a_public_url_that_cannot_begin_a_link_is_a_fault() {
        let faulty = |url: &str| {
            let mut config = Config::default();
            config.api.public_url = url.into();
            let mut faults = Vec::new();
            check(&config, &mut faults);
            faults.len()
        };
        for url in
            ["voice.example.com", "voice.example.com:3008", "wss://a.example", "https://", "https://a.example?x=1"]
        {
            assert_eq!(faulty(url), 1, "{url}");
        }
        for url in ["", "https://voice.example.com", "http://10.0.0.1:3008/", "https://a.example/trunkline"] {
            assert_eq!(faulty(url), 0, "{url}");
        }
    }
}
