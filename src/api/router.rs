//! The table of contents.

use super::error::ApiError;
use super::{Api, agents, calls, envelope, health, phone_numbers, recordings, tasks, trunks};
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

/// Everything the server answers, on both mounts.
pub fn router(api: Api) -> Router {
    let mount = Router::new()
        .route("/health", get(health::health))
        .route("/agents", get(agents::list).post(agents::create))
        .route("/agents/{id}", get(agents::get).patch(agents::update).delete(agents::delete))
        .route("/tasks", get(tasks::list).post(tasks::create))
        .route("/tasks/{id}", get(tasks::get).patch(tasks::update).delete(tasks::delete))
        .route("/tasks/{id}/execute", post(tasks::execute))
        .route("/tasks/{id}/reset", post(tasks::reset))
        .route("/calls", get(calls::list))
        .route("/calls/{id}", get(calls::get))
        .route("/calls/{id}/transcript", get(calls::transcript))
        .route("/calls/{id}/recording", get(recordings::locate))
        .route("/calls/{id}/recording/stream", get(recordings::stream))
        .route("/calls/{id}/end", post(calls::end))
        .route("/calls/{id}/cancel", post(calls::cancel))
        .route("/phone-numbers", get(phone_numbers::list).post(phone_numbers::create))
        .route(
            "/phone-numbers/{id}",
            get(phone_numbers::get).patch(phone_numbers::update).delete(phone_numbers::delete),
        )
        .route("/trunks", get(trunks::list).post(trunks::create))
        .route("/trunks/{id}", get(trunks::get).patch(trunks::update).delete(trunks::delete));
    Router::new()
        .nest("/api/v1", mount.clone())
        .nest("/v1", mount)
        .route("/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .fallback(|| async { ApiError::not_found("Endpoint") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This endpoint does not take that method",
            )
        })
        .layer(from_fn_with_state(api.clone(), envelope::wrap))
        .with_state(api)
}
