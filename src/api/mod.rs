//! The REST API. A handler parses, asks the domain and the store, and answers; it never sees SQL, SIP
//! or sound. Mounted twice: `/api/v1` with the envelope, `/v1` with the bare body.

mod agents;
mod auth;
mod calls;
mod envelope;
mod error;
mod health;
mod input;
pub mod openapi;
mod phone_numbers;
mod recordings;
pub mod router;
mod tasks;
mod trunks;

use crate::call::driver::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Api {
    pub context: Arc<Context>,
    pub metrics: PrometheusHandle,
    pub body_bytes_max: usize,
    pub public_url: String,
}
