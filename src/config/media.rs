//! RTP ports, media threads and latching.

use serde::Deserialize;
use std::net::IpAddr;

/// RTP ports, media threads and latching, from `[media]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Address of the RTP sockets. `None`: that of `sip.listen`.
    pub bind_address: Option<IpAddr>,
    /// First UDP port for RTP, 1024 or higher; each call takes an even port and the next one. Default 40000.
    pub port_first: u16,
    /// Last port of the range, which must hold a pair for each of `calls.calls_max`. Default 44999.
    pub port_last: u16,
    /// 0: one less than there are cores, at least one.
    pub workers: usize,
    /// Milliseconds without a packet from the peer, after which a call ends as lost: 1,000 to 600,000. Default 30,000.
    pub network_timeout_ms: u64,
    /// Which sources of RTP are followed in addition to the address in the SDP. Default `signalling_address`.
    pub latching: LatchingMode,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            bind_address: None,
            port_first: 40_000,
            port_last: 44_999,
            workers: 0,
            network_timeout_ms: 30_000,
            latching: LatchingMode::default(),
        }
    }
}

/// Which sources of RTP are taken for the peer beside the one that its description names (RFC 7362).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchingMode {
    /// No source but the one in the SDP.
    Off,
    /// Other ports of the address in the SDP.
    SameAddress,
    /// Also any port of the address that the peer's SIP came from: phones behind NAT. The default.
    #[default]
    SignallingAddress,
    /// The first sender from any address: only for networks without strangers.
    Any,
}
