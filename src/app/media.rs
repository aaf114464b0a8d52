//! The media of calls.

use crate::call::driver::{MediaConfig, WebCallLimits, WebRtcConfig};
use crate::config::{Config, LatchingMode, WebrtcConnections};
use std::net::IpAddr;
use std::time::Duration;
use trunkline_media::io::worker::IceTcpLimits as WebStreamLimits;
use trunkline_media::leg::Latching;

/// Settings of threads, ports and addresses.
pub(super) fn config(config: &Config, advertised: IpAddr) -> MediaConfig {
    let web = &config.webrtc;
    MediaConfig {
        workers: config.media.workers,
        webrtc: web.enabled.then(|| WebRtcConfig {
            listen: web.listen,
            with_tcp: web.tcp,
            addresses: config.web_addresses(),
            limits: web_stream_limits(&web.connections),
        }),
        bind: config.media_bind(),
        ports: (config.media.port_first, config.media.port_last),
        addr: advertised,
        addr_other: config.sip.advertised_address_other,
        latching: match config.media.latching {
            LatchingMode::Off => Latching::Off,
            LatchingMode::SameAddress => Latching::SameAddress,
            LatchingMode::SignallingAddress => Latching::SignallingAddress,
            LatchingMode::Any => Latching::Any,
        },
        network_timeout: Duration::from_millis(config.media.network_timeout_ms),
    }
}

/// Limits of calls from browsers.
pub(super) fn web_call_limits(config: &Config) -> WebCallLimits {
    WebCallLimits {
        token_valid: Duration::from_secs(config.webrtc.token_valid_s),
        connect: Duration::from_millis(config.webrtc.connect_timeout_ms),
        calls_per_token: config.webrtc.calls_per_token,
        calls_per_address: config.webrtc.calls_per_address,
    }
}

fn web_stream_limits(connections: &WebrtcConnections) -> WebStreamLimits {
    WebStreamLimits {
        caps: connections.caps(),
        first_packet: Duration::from_millis(connections.first_packet_timeout_ms),
        packet: Duration::from_millis(connections.packet_timeout_ms),
        idle: Duration::from_millis(connections.idle_timeout_ms),
        write: Duration::from_millis(connections.write_timeout_ms),
    }
}
