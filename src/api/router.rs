//! All routes of the API.

use super::error::ApiError;
use super::{
    ApiState, agent_versions, agents, api_keys, audit_log, calls, console, envelope, events, health, live_transcript,
    metrics, openapi, organizations, phone_numbers, providers, query_parameters, recordings, reports, secrets,
    sessions, tasks, trunks, usage, users, web_calls, webhook_deliveries, whip,
};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What both mounts answer.
pub(super) fn mount() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::get, agents::update, agents::delete))
        .routes(routes!(agent_versions::versions))
        .routes(routes!(agent_versions::restore))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::get, tasks::update, tasks::delete))
        .routes(routes!(tasks::execute))
        .routes(routes!(tasks::reset))
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
        .routes(routes!(calls::transcript, reports::process_transcript))
        .routes(routes!(reports::report))
        .routes(routes!(live_transcript::live))
        .routes(routes!(recordings::locate))
        .routes(routes!(recordings::stream))
        .routes(routes!(calls::end))
        .routes(routes!(calls::cancel))
        .routes(routes!(web_calls::create))
        .routes(routes!(whip::post_offer))
        .routes(routes!(whip::patch, whip::end))
        .routes(routes!(phone_numbers::list, phone_numbers::create))
        .routes(routes!(phone_numbers::get, phone_numbers::update, phone_numbers::delete))
        .routes(routes!(trunks::list, trunks::create))
        .routes(routes!(trunks::get, trunks::update, trunks::delete))
        .routes(routes!(trunks::test))
        .routes(routes!(usage::get))
        .routes(routes!(providers::list))
        .routes(routes!(providers::test))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::get))
        .routes(routes!(webhook_deliveries::resend))
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::change_password))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::get, organizations::update))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::delete))
        .routes(routes!(api_keys::regenerate))
        .routes(routes!(users::list))
        .routes(routes!(users::invite))
        .routes(routes!(users::update, users::delete))
        .routes(routes!(users::accept))
        .routes(routes!(secrets::list, secrets::create))
        .routes(routes!(secrets::delete))
        .routes(routes!(audit_log::list))
}

/// Everything the server answers, on both mounts.
pub fn router(api: ApiState) -> Router {
    let (mount, _) = mount().split_for_parts();
    let mount = mount.route("/openapi.json", get(openapi::json)).route_layer(from_fn(query_parameters::refuse_unknown));
    Router::new()
        .nest("/api/v1", mount.clone())
        .nest("/v1", mount)
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
        .layer(from_fn_with_state(api.clone(), envelope::wrap))
        .with_state(api)
}
