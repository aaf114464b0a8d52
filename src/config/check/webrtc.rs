//! Calls from browsers: limits, STUN and TURN servers, origins.

use crate::config::error::ConfigError;
use crate::config::settings::Config;

pub(super) fn check(config: &Config, faults: &mut Vec<ConfigError>) {
    let web = &config.webrtc;
    let mut fault = |path: String, message: String| faults.push(ConfigError { path, message });
    for (name, value, low, high) in [
        ("token_valid_s", web.token_valid_s, 10, 86_400),
        ("calls_per_token", web.calls_per_token as u64, 1, 10_000),
        ("calls_per_address", web.calls_per_address as u64, 1, 10_000),
        ("connect_timeout_ms", web.connect_timeout_ms, 1_000, 120_000),
    ] {
        if !(low..=high).contains(&value) {
            fault(format!("webrtc.{name}"), format!("{value} is not between {low} and {high}"));
        }
    }
    for (index, server) in web.ice_servers.iter().enumerate() {
        let path = format!("webrtc.ice_servers[{index}].url");
        let scheme = server.url.split(':').next().unwrap_or_default();
        if !matches!(scheme, "stun" | "stuns" | "turn" | "turns") || server.url.contains(['>', '"', ' ', '\n', '\r']) {
            fault(path, "must be a stun:, stuns:, turn: or turns: URL (RFC 7064, RFC 7065)".to_owned());
        } else if scheme.starts_with("turn") && (server.username.is_none() || server.credential.is_none()) {
            fault(path, "a TURN server needs username and credential".to_owned());
        }
    }
    for (index, origin) in web.allowed_origins.iter().enumerate() {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
        if origin != "*" && !is_origin {
            let message = "must be an origin such as https://www.example.com, or *".to_owned();
            fault(format!("webrtc.allowed_origins[{index}]"), message);
        }
    }
}
