//! The REST API. A handler parses, asks the domain and the store, and answers; it never sees SQL, SIP
//! or sound. Mounted twice: `/api/v1` with the envelope, `/v1` with the bare body.

mod agents;
mod api_keys;
mod audit_log;
mod auth;
mod calls;
mod constraints;
mod envelope;
mod error;
mod examples;
mod health;
mod input;
mod lengths;
mod live;
pub mod openapi;
mod organizations;
mod phone_numbers;
mod providers;
mod rate_limit;
mod recordings;
mod reports;
pub mod router;
mod secrets;
mod sessions;
mod shapes;
mod tasks;
mod trunks;
mod usage;
mod users;
mod visitor;
mod web_calls;
mod webhook_deliveries;
mod whip;

use crate::call::driver::Context;
use crate::domain::ids::ApiKeyId;
use metrics_exporter_prometheus::PrometheusHandle;
use rate_limit::RateLimit;
use sessions::Passwords;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Api {
    context: Arc<Context>,
    metrics: PrometheusHandle,
    body_bytes_max: usize,
    public_url: String,
    rate_limit: RateLimit<ApiKeyId>,
    visitors: RateLimit<IpAddr>,
    behind_proxy: bool,
    web: Arc<WebSettings>,
    passwords: Passwords,
    written: agents::Written,
}

/// The API's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub body_bytes_max: usize,
    pub public_url: String,
    pub rate_limit_per_minute: u32,
    pub public_rate_limit_per_minute: u32,
    pub behind_proxy: bool,
    pub allowed_origins: Vec<String>,
    pub ice_servers: Vec<IceServer>,
    pub token_valid_s: u64,
}

/// A STUN or TURN server that browsers are told of.
#[derive(Clone, Debug)]
pub struct IceServer {
    pub url: String,
    pub username: Option<String>,
    pub credential: Option<String>,
}

/// Whom a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Remote(pub SocketAddr);

#[derive(Debug)]
struct WebSettings {
    allowed_origins: Vec<String>,
    ice_servers: Vec<IceServer>,
    token_valid_s: u64,
}

impl Api {
    pub fn new(context: Arc<Context>, metrics: PrometheusHandle, settings: Settings) -> Self {
        let Settings { body_bytes_max, public_url, behind_proxy, .. } = settings;
        let rate_limit = RateLimit::new(settings.rate_limit_per_minute);
        let visitors = RateLimit::new(settings.public_rate_limit_per_minute);
        let Settings { allowed_origins, ice_servers, token_valid_s, .. } = settings;
        Self {
            context,
            metrics,
            body_bytes_max,
            public_url,
            rate_limit,
            visitors,
            behind_proxy,
            web: Arc::new(WebSettings { allowed_origins, ice_servers, token_valid_s }),
            passwords: Passwords::default(),
            written: agents::Written::default(),
        }
    }
}
