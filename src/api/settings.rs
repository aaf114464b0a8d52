//! Settings of the API.

use super::doctor_reports::DoctorSettings;
use super::live_socket::LiveSocketLimits;
use super::metrics_service::MetricsAuth;
use crate::domain::ids::AgentId;
use crate::domain::secret::Secret;
use crate::store::OrgScope;
use std::sync::Arc;
use trunkline_connections::NetworkList;

/// The API's settings.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Largest request body in bytes; larger ones get 413. Requests without a key have a lower limit.
    pub body_bytes_max: usize,
    /// Start of generated links, such as those to recordings; empty: the host that the request names.
    pub public_url: String,
    /// Requests of one API key in any sixty seconds; more get 429.
    pub rate_limit_per_minute: u32,
    /// Requests a minute without a key of one IPv4 address or IPv6 /64; more get 429.
    pub public_rate_limit_per_minute: u32,
    /// Proxies whose X-Forwarded-For is believed.
    pub proxies: Arc<NetworkList>,
    /// Everybody's is.
    pub behind_proxy: bool,
    /// Decides who may read `/metrics`: holders of the token, or without one programs on this machine.
    pub metrics: MetricsAuth,
    /// Origins of web pages that may begin calls, in addition to our own; `*` allows all.
    pub allowed_origins: Vec<String>,
    /// STUN and TURN servers that we send to browsers; empty: none.
    pub ice_servers: Vec<IceServerSettings>,
    /// Seconds for which the token of a web call is valid.
    pub token_valid_s: u64,
    /// Ping interval and send timeout of live transcript sockets.
    pub live: LiveSocketLimits,
    /// What the console shows in the demo; `None` outside of it.
    pub demo: Option<DemoSettings>,
    /// Who sees what the doctor finds on this machine.
    pub doctor: DoctorSettings,
}

/// A STUN or TURN server that we send to browsers.
#[derive(Clone, Debug)]
pub struct IceServerSettings {
    /// `stun:`, `stuns:`, `turn:` or `turns:` URL (RFC 7064, RFC 7065).
    pub url: String,
    /// User name at the server; always set for TURN, and `None` for a STUN server without authentication.
    pub username: Option<String>,
    /// Password at the server, which browsers see; always set for TURN.
    pub credential: Option<Secret>,
}

/// What the demo shows to any user of its console: it runs on loopback.
#[derive(Clone, Debug)]
pub struct DemoSettings {
    /// Login of the demo's user; the console signs visitors in with it.
    pub email: String,
    /// Password of the demo's user, sent to the browser in clear text.
    pub password: Secret,
    /// Organization that owns the demo's agent and its calls.
    pub scope: OrgScope,
    /// Agent that answers the demo's web calls.
    pub agent: AgentId,
    /// Recorded phrases that the console offers as buttons: the emulated STT understands these.
    pub phrases: Vec<DemoPhrase>,
    /// What the demo's agent may be asked, for example; empty where its STT understands recorded phrases only.
    pub examples: Vec<DemoPhrase>,
}

/// A sentence that the demo's caller can say without a microphone.
#[derive(Clone, Debug)]
pub struct DemoPhrase {
    /// Identifier of the phrase in the sound's URL, such as `order_number`.
    pub name: String,
    /// Words of the recording, shown in the console.
    pub text: String,
    /// A WAV file.
    pub sound: Vec<u8>,
}
