//! Connections of the listeners: caps, timeouts, proxies.

use crate::config::error::ConfigError;
use crate::config::settings::Config;
use trunkline_connections::NetworkList;

pub(super) fn check(config: &Config, faults: &mut Vec<ConfigError>) {
    let mut fault = |path: &str, message: String| faults.push(ConfigError { path: path.to_owned(), message });
    let (api, sip, web) = (&config.api.connections, &config.sip.connections, &config.webrtc.connections);
    let many = 1_000_000;
    for (path, value, low, high) in [
        ("api.connections.connections_max", api.connections_max as u64, 8, many),
        ("api.connections.connections_per_address", api.connections_per_address as u64, 1, many),
        ("api.connections.connections_per_organization", api.connections_per_organization as u64, 1, many),
        ("api.connections.header_timeout_ms", api.header_timeout_ms, 100, 600_000),
        ("api.connections.idle_timeout_ms", api.idle_timeout_ms, 100, 3_600_000),
        ("api.connections.transfer_timeout_ms", api.transfer_timeout_ms, 100, 600_000),
        ("api.connections.live_probe_interval_ms", api.live_probe_interval_ms, 100, 600_000),
        ("api.connections.live_send_timeout_ms", api.live_send_timeout_ms, 100, 600_000),
        ("sip.connections.connections_max", sip.connections_max as u64, 8, many),
        ("sip.connections.connections_per_address", sip.connections_per_address as u64, 1, many),
        ("sip.connections.connections_per_trunk_address", sip.connections_per_trunk_address as u64, 1, many),
        ("sip.connections.connections_per_trunk", sip.connections_per_trunk as u64, 1, many),
        ("sip.connections.handshake_timeout_ms", sip.handshake_timeout_ms, 100, 600_000),
        ("sip.connections.first_message_timeout_ms", sip.first_message_timeout_ms, 100, 600_000),
        ("sip.connections.message_timeout_ms", sip.message_timeout_ms, 100, 600_000),
        ("sip.connections.idle_timeout_s", sip.idle_timeout_s, 1, 86_400),
        ("sip.connections.stranger_idle_timeout_s", sip.stranger_idle_timeout_s, 1, 86_400),
        ("sip.connections.write_timeout_ms", sip.write_timeout_ms, 100, 600_000),
        ("webrtc.connections.connections_max", web.connections_max as u64, 8, many),
        ("webrtc.connections.connections_per_address", web.connections_per_address as u64, 1, many),
        ("webrtc.connections.connections_per_call", web.connections_per_call as u64, 1, 64),
        ("webrtc.connections.first_packet_timeout_ms", web.first_packet_timeout_ms, 100, 600_000),
        ("webrtc.connections.packet_timeout_ms", web.packet_timeout_ms, 100, 600_000),
        ("webrtc.connections.idle_timeout_ms", web.idle_timeout_ms, 100, 600_000),
        ("webrtc.connections.write_timeout_ms", web.write_timeout_ms, 100, 600_000),
    ] {
        if !(low..=high).contains(&value) {
            fault(path, format!("{value} is not between {low} and {high}"));
        }
    }
    for (path, reserved, total) in [
        ("api.connections.proxy_connections_reserved", api.proxy_connections_reserved, api.connections_max),
        ("sip.connections.trunk_connections_reserved", sip.trunk_connections_reserved, sip.connections_max),
    ] {
        if reserved >= total {
            fault(path, format!("{reserved} leaves no place of connections_max = {total} for others"));
        }
    }
    if let Err(text) = NetworkList::parse(api.trusted_proxies.iter().map(String::as_str)) {
        fault("api.connections.trusted_proxies", format!("{text:?} is neither an address nor a network"));
    }
}
