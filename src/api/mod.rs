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
mod webhook_deliveries;

use crate::call::driver::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use rate_limit::RateLimit;
use sessions::Passwords;
use std::sync::Arc;

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Api {
    context: Arc<Context>,
    metrics: PrometheusHandle,
    body_bytes_max: usize,
    public_url: String,
    rate_limit: RateLimit,
    passwords: Passwords,
    written: agents::Written,
}

/// The API's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub body_bytes_max: usize,
    pub public_url: String,
    pub rate_limit_per_minute: u32,
}

impl Api {
    pub fn new(context: Arc<Context>, metrics: PrometheusHandle, settings: Settings) -> Self {
        let Settings { body_bytes_max, public_url, rate_limit_per_minute } = settings;
        let rate_limit = RateLimit::new(rate_limit_per_minute);
        Self {
            context,
            metrics,
            body_bytes_max,
            public_url,
            rate_limit,
            passwords: Passwords::default(),
            written: agents::Written::default(),
        }
    }
}
