//! What the types alone cannot say about the settings.

mod connections;
mod links;
mod sip_tls;
mod webrtc;

use super::error::ConfigError;
use super::sections::EgressConfig;
use super::settings::Config;
use crate::domain::allowed_networks;
use crate::domain::provider::ProviderAccount;

pub(super) use links::advice;

/// The sections one after the other; all faults are kept, in this order.
pub(super) fn check(config: &Config, faults: &mut Vec<ConfigError>) {
    media_ports(config, faults);
    ranges(config, faults);
    networks_and_database(config, faults);
    quotas(config, faults);
    webrtc::check(config, faults);
    connections::check(config, faults);
    links::check(config, faults);
    sip_tls::check(&config.sip, faults);
    smtp(config, faults);
    secrets(config, faults);
    provider_timeouts(config, faults);
    provider_addresses(config, faults);
}

fn add(faults: &mut Vec<ConfigError>, path: &str, message: impl Into<String>) {
    faults.push(ConfigError { path: path.to_owned(), message: message.into() });
}

fn media_ports(config: &Config, faults: &mut Vec<ConfigError>) {
    let media = &config.media;
    if media.port_first < 1_024 {
        add(faults, "media.port_first", "must be 1024 or higher");
    }
    if media.port_last <= media.port_first.saturating_add(1) {
        let least = media.port_first.saturating_add(3);
        add(faults, "media.port_last", format!("must be at least {least} (port_first and one pair)"));
        return;
    }
    let (pairs, calls) = (usize::from(media.port_last - media.port_first).div_ceil(2), config.calls.calls_max);
    if pairs < calls {
        add(faults, "media.port_last", format!("{pairs} port pairs are too few for calls.calls_max = {calls}"));
    }
}

fn ranges(config: &Config, faults: &mut Vec<ConfigError>) {
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
            add(faults, path, format!("{value} is not between {low} and {high}"));
        }
    }
}

fn networks_and_database(config: &Config, faults: &mut Vec<ConfigError>) {
    for bad in config.sip.wide_networks_allowed.iter().filter(|text| allowed_networks::parse(text).is_none()) {
        add(faults, "sip.wide_networks_allowed", format!("{bad:?} is not a network such as 10.0.0.0/8"));
    }
    let url = config.database.url.expose();
    if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) {
        add(faults, "database.url", "must start with sqlite: or postgres:");
    } else if !cfg!(feature = "postgres") && !url.starts_with("sqlite:") {
        let how = "this program was built without PostgreSQL: build it with the feature `postgres`, or use sqlite:";
        add(faults, "database.url", how);
    }
    for bad in config.egress.allow_networks.iter().filter(|text| EgressConfig::network(text).is_none()) {
        let message = format!("{bad:?} is not an IP address or network such as 10.1.0.0/16");
        add(faults, "egress.allow_networks", message);
    }
}

fn quotas(config: &Config, faults: &mut Vec<ConfigError>) {
    for (name, number) in config.quotas.all() {
        if number == 0 {
            add(faults, &format!("quotas.{name}"), "must be at least 1");
        }
    }
}

fn smtp(config: &Config, faults: &mut Vec<ConfigError>) {
    let smtp = &config.smtp;
    if !smtp.host.is_empty() && !smtp.tls && !matches!(smtp.host.as_str(), "127.0.0.1" | "::1" | "localhost") {
        add(faults, "smtp.tls", "only a server on loopback may do without");
    }
    if smtp.username.is_some() != smtp.password.is_some() {
        add(faults, "smtp.password", "username and password come together");
    }
}

fn secrets(config: &Config, faults: &mut Vec<ConfigError>) {
    let (master_key, token_secret) = (&config.secrets.master_key, &config.api.token_secret);
    for (path, secret) in [("secrets.master_key", master_key), ("api.token_secret", token_secret)] {
        if (1..16).contains(&secret.expose().len()) {
            add(faults, path, "must have at least 16 characters");
        }
    }
    let token = config.metrics.token.expose();
    if !token.is_empty() && (token.len() < 16 || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
        add(faults, "metrics.token", "must have at least 16 characters, letters, digits and punctuation");
    }
}

fn provider_timeouts(config: &Config, faults: &mut Vec<ConfigError>) {
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
                let path = format!("providers.timeouts.{stage}.{name}");
                add(faults, &path, format!("{value} is not between 100 and 120000"));
            }
        }
    }
}

fn provider_addresses(config: &Config, faults: &mut Vec<ConfigError>) {
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        let base_url = &config.providers.account(*account).base_url;
        if let Err(message) = provider_address(base_url) {
            add(faults, &format!("providers.{}.base_url", account.name()), message);
        }
    }
}

fn provider_address(base_url: &str) -> Result<(), String> {
    let url = url::Url::parse(base_url).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err("must not hold a query, a fragment, or a user name".to_owned());
    }
    match url.scheme() {
        "https" | "wss" => Ok(()),
        // Keys must not travel in the clear beyond this machine.
        "http" | "ws" if is_loopback(&url) => Ok(()),
        "http" | "ws" => Err("http and ws are accepted for loopback only".to_owned()),
        other => Err(format!("{other} is not http, https, ws or wss")),
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
