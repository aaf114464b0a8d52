//! Health endpoints: no key, no envelope. Live means the process need not be restarted; ready means it can take calls.

use super::health_checks::Checks;
use super::response::{ApiResponse, ResponsePayload};
use super::state::ApiState;
use crate::store::now;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Never enveloped, no key.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    /// When this was found (RFC 3339, UTC).
    #[schema(format = "date-time")]
    timestamp: String,
    /// Version of the server, such as `0.2.0`.
    version: &'static str,
    /// What was checked.
    checks: Checks,
}

/// Whether the process must be restarted.
#[derive(Serialize, ToSchema)]
pub(super) struct Liveness {
    /// `ok` or `failed`.
    status: &'static str,
    /// The component that was given up; the process ends because of it.
    part: Option<&'static str>,
}

/// Whether the process can take calls.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ok`, `degraded` or `draining`.
    status: &'static str,
    /// What was checked.
    checks: Checks,
}

fn answer(well: bool, body: impl Serialize) -> ApiResponse {
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    ApiResponse(code, ResponsePayload::Plain(serde_json::to_value(body).unwrap_or_default()))
}

/// Whether the server works.
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "get", security(()), responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(api): State<ApiState>) -> ApiResponse {
    let checked = api.health.checked().await;
    let body = Health {
        status: if checked.all_well { "ok" } else { "degraded" },
        timestamp: now().rfc3339(),
        version: env!("CARGO_PKG_VERSION"),
        checks: checked.checks.clone(),
    };
    answer(checked.all_well, body)
}

/// Whether the process is live; 503 means a component was given up and the process must be restarted.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200, body = Liveness), (status = 503, body = Liveness)))]
pub(super) async fn live(State(api): State<ApiState>) -> ApiResponse {
    let given_up = api.health.given_up();
    let body = Liveness {
        status: if given_up.is_none() { "ok" } else { "failed" },
        part: given_up.as_ref().map(|given_up| given_up.part),
    };
    answer(given_up.is_none(), body)
}

/// Whether the process can take calls: database, SIP, media and journal work, and it is not draining.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()), responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn ready(State(api): State<ApiState>) -> ApiResponse {
    let checked = api.health.checked().await;
    let stopping = api.health.is_stopping() || api.health.given_up().is_some();
    let status = match (stopping, checked.all_well) {
        (true, _) => "draining",
        (false, false) => "degraded",
        (false, true) => "ok",
    };
    answer(status == "ok", Readiness { status, checks: checked.checks.clone() })
}
