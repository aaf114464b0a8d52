//! The REST API. A handler parses, asks the domain and the store, and answers; it never sees SQL, SIP
//! or sound. Mounted twice: `/api/v1` with the envelope, `/v1` with the bare body.

mod agent_versions;
mod agents;
mod api_keys;
mod audit_log;
mod auth;
mod body;
mod body_schema;
mod calls;
mod client_ip;
mod console;
mod constraints;
mod envelope;
mod error;
mod events;
mod examples;
mod health;
pub mod http_listener;
mod input;
mod large_body_queue;
pub mod live_socket;
mod live_transcript;
mod login_throttle;
pub mod metrics;
pub mod openapi;
mod organization_rates;
mod organizations;
mod passwords;
mod phone_numbers;
mod precondition;
mod providers;
mod query_parameters;
mod rate_limit;
mod recordings;
mod reports;
mod request_deadline;
pub mod router;
mod secrets;
mod sessions;
mod tasks;
mod text_limits;
mod trunks;
mod usage;
mod users;
mod web_calls;
mod webhook_deliveries;
mod whip;

use crate::call::driver::CallServices;
use crate::domain::ids::{AgentId, ApiKeyId};
use crate::domain::secret::Secret;
use crate::store::OrgScope;
use large_body_queue::LargeBodyQueue;
use live_socket::LiveSocketLimits;
use metrics_exporter_prometheus::PrometheusHandle;
use organization_rates::OrganizationRates;
use passwords::PasswordService;
use rate_limit::{RequestRateLimiter, SlidingWindowLimiter};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use trunkline_connections::{ConnectionCounters, NetworkList};

/// What handlers share.
#[derive(Clone, Debug)]
pub struct ApiState {
    context: Arc<CallServices>,
    metrics: PrometheusHandle,
    metrics_access: metrics::MetricsAuth,
    body_bytes_max: usize,
    public_url: String,
    rate_limit: SlidingWindowLimiter<ApiKeyId>,
    rates: OrganizationRates,
    unauthenticated: RequestRateLimiter<IpAddr>,
    proxies: Arc<NetworkList>,
    behind_proxy: bool,
    connections: Arc<ConnectionCounters>,
    live: LiveSocketLimits,
    web: Arc<WebCallSettings>,
    demo: Option<Arc<DemoSettings>>,
    passwords: PasswordService,
    written: agents::AgentJsonCache,
    turns: LargeBodyQueue,
    health: health::HealthCache,
}

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
    pub metrics: metrics::MetricsAuth,
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

/// What the demo shows to any user of its console: it runs on loopback, with emulated providers.
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
    /// Phrases that the console offers as buttons.
    pub phrases: Vec<DemoPhrase>,
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

/// The client of a connection.
#[derive(Clone, Copy, Debug)]
pub struct RemoteAddr(pub SocketAddr);

#[derive(Debug)]
struct WebCallSettings {
    allowed_origins: Vec<String>,
    ice_servers: Vec<IceServerSettings>,
    token_valid_s: u64,
}

impl ApiState {
    /// Builds the state that all handlers share, with empty caches and new rate limiters.
    pub fn new(context: Arc<CallServices>, metrics: PrometheusHandle, settings: ApiSettings) -> Self {
        let ApiSettings { body_bytes_max, public_url, proxies, behind_proxy, .. } = settings;
        let rates = OrganizationRates::new(context.store.quotas());
        let rate_limit = SlidingWindowLimiter::new(settings.rate_limit_per_minute);
        let unauthenticated = RequestRateLimiter::new(settings.public_rate_limit_per_minute);
        let ApiSettings { allowed_origins, ice_servers, token_valid_s, demo, live, metrics: metrics_access, .. } =
            settings;
        Self {
            context,
            metrics,
            metrics_access,
            body_bytes_max,
            public_url,
            rate_limit,
            rates,
            unauthenticated,
            proxies,
            behind_proxy,
            connections: Arc::default(),
            live,
            demo: demo.map(Arc::new),
            web: Arc::new(WebCallSettings { allowed_origins, ice_servers, token_valid_s }),
            passwords: PasswordService::default(),
            written: agents::AgentJsonCache::default(),
            turns: LargeBodyQueue::default(),
            health: health::HealthCache::default(),
        }
    }

    /// What the listener counts.
    pub fn connections(&self) -> Arc<ConnectionCounters> {
        self.connections.clone()
    }

    /// What the listener of the metrics counts.
    pub fn metrics_connections(&self) -> Arc<ConnectionCounters> {
        self.metrics_access.connections()
    }
}

#[cfg(test)]
mod tests;
