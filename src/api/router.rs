//! All routes of the API.

use super::error::ApiError;
use super::query_parameters::KnownParameters;
use super::response::{ApiResponse, ResponsePayload};
use super::state::ApiState;
use super::{
    agent_versions, agents, alert_rules, analytics, api_keys, audit_log, batches, call_controls, call_events,
    call_shares, calls, chats, client_ip, console, do_not_call, doctor, envelope, events, health, idempotency,
    listeners, live_transcript, metrics, openapi, organizations, password_resets, phone_numbers, provider_catalogs,
    providers, query_parameters, recordings, reports, secrets, sessions, sip_log, tasks, tool_trials, trunks, usage,
    users, voice_previews, web_calls, webhook_deliveries, whip,
};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use std::sync::LazyLock;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The OpenAPI document, serialized once: anybody may request it any number of times.
static DOCUMENT_TEXT: LazyLock<String> = LazyLock::new(|| openapi_document().to_string());
/// The query parameters of all operations.
static PARAMETERS: LazyLock<KnownParameters> =
    LazyLock::new(|| KnownParameters::read(&serde_json::to_value(mount().into_openapi()).unwrap_or_default()));

/// The API described in OpenAPI 3.1, for both mounts.
pub fn openapi_document() -> Value {
    openapi::document(mount().into_openapi())
}

/// `GET /openapi.json`: as it stands on both mounts, and where people look for it first.
async fn openapi_json() -> ApiResponse {
    ApiResponse(StatusCode::OK, ResponsePayload::Written(&DOCUMENT_TEXT))
}

/// What both mounts answer.
fn mount() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(doctor::get))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::get, agents::update, agents::delete))
        .routes(routes!(agent_versions::versions))
        .routes(routes!(agent_versions::restore))
        .routes(routes!(tool_trials::test))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::get, tasks::update, tasks::delete))
        .routes(routes!(tasks::execute))
        .routes(routes!(tasks::reset))
        .merge(batches_mount())
        .merge(calls_mount())
        .routes(routes!(web_calls::create))
        .routes(routes!(whip::post_offer))
        .routes(routes!(whip::patch, whip::end))
        .routes(routes!(phone_numbers::list, phone_numbers::create))
        .routes(routes!(phone_numbers::get, phone_numbers::update, phone_numbers::delete))
        .routes(routes!(trunks::list, trunks::create))
        .routes(routes!(trunks::get, trunks::update, trunks::delete))
        .routes(routes!(trunks::test))
        .routes(routes!(usage::get))
        .merge(figures_mount())
        .routes(routes!(providers::list))
        .routes(routes!(providers::test))
        .routes(routes!(provider_catalogs::get))
        .routes(routes!(voice_previews::speak))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::get))
        .routes(routes!(webhook_deliveries::resend))
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::change_password))
        .routes(routes!(password_resets::request))
        .routes(routes!(password_resets::confirm))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::get, organizations::update))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::delete))
        .routes(routes!(api_keys::regenerate))
        .routes(routes!(users::list))
        .routes(routes!(users::invite))
        .routes(routes!(users::invitations))
        .routes(routes!(users::revoke_invitation))
        .routes(routes!(users::update, users::delete))
        .routes(routes!(users::accept))
        .routes(routes!(secrets::list, secrets::create))
        .routes(routes!(secrets::delete))
        .routes(routes!(audit_log::list))
}

/// Calls, those that go on and those that are over.
fn calls_mount() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
        .routes(routes!(calls::transcript, reports::process_transcript))
        .routes(routes!(sip_log::sip_log))
        .routes(routes!(reports::report))
        .routes(routes!(call_events::events))
        .routes(routes!(live_transcript::live))
        .routes(routes!(recordings::locate))
        .routes(routes!(recordings::stream))
        .routes(routes!(calls::end))
        .routes(routes!(calls::cancel))
        .routes(routes!(call_controls::say))
        .routes(routes!(call_controls::instruct))
        .routes(routes!(call_controls::transfer))
        .routes(routes!(call_controls::hold))
        .routes(routes!(call_controls::resume))
        .routes(routes!(chats::create))
        .routes(routes!(chats::message))
        .routes(routes!(listeners::listen))
        .routes(routes!(call_shares::create))
        .routes(routes!(call_shares::list))
        .routes(routes!(call_shares::revoke))
        .routes(routes!(call_shares::get_shared))
        .routes(routes!(call_shares::stream_shared))
}

/// Many tasks at once, and whom none of them calls.
fn batches_mount() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(batches::list, batches::create))
        .routes(routes!(batches::get, batches::delete))
        .routes(routes!(batches::start))
        .routes(routes!(batches::pause))
        .routes(routes!(batches::retry))
        .routes(routes!(do_not_call::list, do_not_call::add))
        .routes(routes!(do_not_call::delete))
}

/// Figures of calls, and rules that watch them.
fn figures_mount() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(analytics::get))
        .routes(routes!(alert_rules::list, alert_rules::create))
        .routes(routes!(alert_rules::get, alert_rules::update, alert_rules::delete))
        .routes(routes!(alert_rules::events))
        .routes(routes!(alert_rules::test))
}

async fn refuse_unknown_parameters(request: Request, next: Next) -> Response {
    query_parameters::refuse_unknown(&PARAMETERS, request, next).await
}

/// Everything the server answers, on both mounts.
pub fn router(api: ApiState) -> Router {
    let (mount, _) = mount().split_for_parts();
    let mount = mount.route("/openapi.json", get(openapi_json));
    let keyed = from_fn_with_state(api.clone(), idempotency::layer);
    let mount = mount.route_layer(keyed).route_layer(from_fn(refuse_unknown_parameters));
    Router::new()
        .nest("/api/v1", mount.clone())
        .nest("/v1", mount)
        .route("/openapi.json", get(openapi_json))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/ws/calls/{id}", get(live_transcript::connect))
        .route("/ws/events", get(events::connect))
        .merge(console::routes(&api))
        .fallback(|| async { ApiError::not_found("Endpoint") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This endpoint does not take that method",
            )
        })
        .layer(from_fn_with_state(api.clone(), whip::cors))
        .layer(from_fn_with_state(api.clone(), client_ip::drop_unbelieved))
        .layer(from_fn(envelope::wrap))
        .with_state(api)
}
