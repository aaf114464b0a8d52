//! What handlers answer, before the envelope.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a handler answered.
#[derive(Clone, Debug)]
pub(super) enum ResponsePayload {
    /// JSON text of the data.
    Success(Arc<str>),
    /// A delete: `{"success":true}` in both shapes.
    Deleted,
    Failure {
        message: String,
        details: Value,
    },
    /// As it stands in both shapes (health).
    Plain(Value),
    /// The same, put into JSON before.
    Written(&'static str),
}

/// What a delete answers, in both shapes.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes Payload::Deleted")]
pub(super) struct Deleted {
    /// Always true.
    success: bool,
}

/// A handler's success.
#[derive(Debug)]
pub(super) struct ApiResponse(pub StatusCode, pub ResponsePayload);

impl ApiResponse {
    pub(super) fn ok(body: impl Serialize) -> Self {
        Self(StatusCode::OK, ResponsePayload::Success(to_json(body)))
    }

    /// Data that is already serialized.
    pub(super) fn written(data: Arc<str>) -> Self {
        Self(StatusCode::OK, ResponsePayload::Success(data))
    }

    pub(super) fn created(body: impl Serialize) -> Self {
        Self(StatusCode::CREATED, ResponsePayload::Success(to_json(body)))
    }

    pub(super) fn deleted() -> Self {
        Self(StatusCode::OK, ResponsePayload::Deleted)
    }
}

/// Bodies are structs with string keys, so serialization cannot fail.
pub(super) fn to_json(body: impl Serialize) -> Arc<str> {
    serde_json::to_string(&body).unwrap_or_default().into()
}

impl IntoResponse for ApiResponse {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(self.1);
        response
    }
}
