//! `GET /doctor`: what is wrong with what an organization has set up, and what to do about it.

use super::auth::AdminAuth;
use super::doctor_checks::examine;
use super::doctor_reports::DoctorReport;
use super::error::ApiError;
use super::response::ApiResponse;
use super::state::ApiState;
use axum::extract::State;

/// Looks at what the organization has set up, and says of each thing how it is and what to do: one cheap request with each of
/// its provider keys, OPTIONS to each of its trunks and their registrations, a connection with `HEAD` to each receiver of
/// webhooks (no event), deliveries that were given up, and what agents need and the server lacks. The organization in
/// `api.operator_organization` also sees the server's machine, as `trunkline doctor` does. People need the role `admin`. A
/// report takes up to twenty seconds and is kept for half a minute; all who ask meanwhile get the same one.
#[utoipa::path(get, path = "/doctor", tag = "doctor", operation_id = "get", responses((status = 200, body = DoctorReport)))]
pub(super) async fn get(State(api): State<ApiState>, AdminAuth(scope): AdminAuth) -> Result<ApiResponse, ApiError> {
    let report = api.health.doctor.report(scope.organization(), Box::pin(examine(&api, scope))).await?;
    Ok(ApiResponse::ok(&*report))
}
