//! What the types alone cannot say about the settings.

use super::error::ConfigError;
use super::settings::{Config, EgressConfig};
use super::{connections, webrtc};
use crate::domain::allowed_networks;
use crate::domain::provider::ProviderAccount;

/// Adds every fault of the settings.
pub(super) fn check(config: &Config, faults: &mut Vec<ConfigError>) {
    check_ports(config, faults);
    check_ranges(config, faults);
    check_texts(config, faults);
    webrtc::check(&config.webrtc, faults);
    connections::check(&config.api.connections, &config.sip.connections, &config.webrtc.connections, faults);
    check_smtp(config, faults);
    check_secrets(config, faults);
    check_timeouts(config, faults);
    check_addresses(config, faults);
}

/// The RTP ports are enough for all calls.
fn check_ports(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    let media = &config.media;
    if media.port_first < 1_024 {
        fault("media.port_first", "must be 1024 or higher".to_owned());
    }
    if media.port_last <= media.port_first.saturating_add(1) {
        fault(
            "media.port_last",
            format!("must be at least {} (port_first and one pair)", media.port_first.saturating_add(3)),
        );
    } else {
        let pairs = usize::from(media.port_last - media.port_first).div_ceil(2);
        if pairs < config.calls.calls_max {
            fault(
                "media.port_last",
                format!("{pairs} port pairs are too few for calls.calls_max = {}", config.calls.calls_max),
            );
        }
    }
}

/// Numbers are within their bounds.
fn check_ranges(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    for (path, value, low, high) in [
        ("sip.stir.max_age_s", config.sip.stir.max_age_s, 1, 3_600),
        ("media.network_timeout_ms", config.media.network_timeout_ms, 1_000, 600_000),
        ("calls.ring_timeout_ms", config.calls.ring_timeout_ms, 1_000, 600_000),
        ("calls.drain_timeout_ms", config.calls.drain_timeout_ms, 0, 3_600_000),
        ("node.beat_ms", config.node.beat_ms, 50, 60_000),
        ("node.dead_after_ms", config.node.dead_after_ms, config.node.beat_ms.saturating_mul(4), 600_000),
        ("calls.calls_max", config.calls.calls_max as u64, 1, 20_000),
        ("api.rate_limit_per_minute", u64::from(config.api.rate_limit_per_minute), 1, 10_000_000),
        ("api.public_rate_limit_per_minute", u64::from(config.api.public_rate_limit_per_minute), 1, 10_000_000),
        ("api.body_bytes_max", config.api.body_bytes_max as u64, 1_024, 100 << 20),
    ] {
        if !(low..=high).contains(&value) {
            fault(path, format!("{value} is not between {low} and {high}"));
        }
    }
}

/// Networks, the database and quotas.
fn check_texts(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    for text in config.sip.wide_networks_allowed.iter().filter(|text| allowed_networks::parse(text).is_none()) {
        fault("sip.wide_networks_allowed", format!("{text:?} is not a network such as 10.0.0.0/8"));
    }
    if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| config.database.url.expose().starts_with(scheme)) {
        fault("database.url", "must start with sqlite: or postgres:".to_owned());
    }
    for bad in config.egress.allow_networks.iter().filter(|text| EgressConfig::network(text).is_none()) {
        fault("egress.allow_networks", format!("{bad:?} is not an IP address or network such as 10.1.0.0/16"));
    }
    for (name, number) in config.quotas.all() {
        if number == 0 {
            fault(&format!("quotas.{name}"), "must be at least 1".to_owned());
        }
    }
}

/// Mail.
fn check_smtp(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    let smtp = &config.smtp;
    if !smtp.host.is_empty() && !smtp.tls && !matches!(smtp.host.as_str(), "127.0.0.1" | "::1" | "localhost") {
        fault("smtp.tls", "only a server on loopback may do without".to_owned());
    }
    if smtp.username.is_some() != smtp.password.is_some() {
        fault("smtp.password", "username and password come together".to_owned());
    }
}

/// Secrets are long enough.
fn check_secrets(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    let key = config.secrets.master_key.expose();
    if !key.is_empty() && key.len() < 16 {
        fault("secrets.master_key", "must have at least 16 characters".to_owned());
    }
    let secret = config.api.token_secret.expose();
    if !secret.is_empty() && secret.len() < 16 {
        fault("api.token_secret", "must have at least 16 characters".to_owned());
    }
    let token = config.metrics.token.expose();
    if !token.is_empty() && (token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        fault("metrics.token", "must have at least 16 characters, letters, digits and punctuation".to_owned());
    }
}

/// Deadlines of providers.
fn check_timeouts(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    let timeouts = &config.providers.timeouts;
    for (stage, one) in
        [("stt", timeouts.stt), ("llm", timeouts.llm), ("tts", timeouts.tts), ("engine", timeouts.realtime)]
    {
        for (name, value) in [
            ("connect_ms", one.connect_ms),
            ("first_byte_ms", one.first_byte_ms),
            ("between_bytes_ms", one.between_bytes_ms),
        ] {
            if !(100..=120_000).contains(&value) {
                fault(&format!("providers.timeouts.{stage}.{name}"), format!("{value} is not between 100 and 120000"));
            }
        }
    }
}

/// Base URLs of providers.
fn check_addresses(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        let provider = config.providers.account(*account);
        let path = format!("providers.{}.base_url", account.name());
        match url::Url::parse(&provider.base_url) {
            Ok(url) if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() => {
                fault(&path, "must not hold a query, a fragment, or a user name".to_owned());
            }
            Ok(url) if matches!(url.scheme(), "https" | "wss") => {}
            // Keys must not travel in the clear beyond this machine.
            Ok(url) if matches!(url.scheme(), "http" | "ws") && is_loopback(&url) => {}
            Ok(url) if matches!(url.scheme(), "http" | "ws") => {
                fault(&path, "http and ws are accepted for loopback only".to_owned());
            }
            Ok(url) => fault(&path, format!("{} is not http, https, ws or wss", url.scheme())),
            Err(error) => fault(&path, error.to_string()),
        }
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
