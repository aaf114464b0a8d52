//! `/webhook-deliveries`: the messages, the results of sending them, and sending them again.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{IdPath, Paging, QueryParams, id};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::delivery::{Delivery, DeliveryProgress, DeliveryStatus};
use crate::domain::ids::{CallId, DeliveryId, TaskId};
use crate::domain::time::UnixMs;
use crate::store::{DeliveryFilter, OrgScope};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(super) struct DeliveryView {
    /// Also the header `webhook-id` and the body's `message_id`.
    #[schema(format = "uuid")]
    id: String,
    /// Call that it is about.
    #[schema(format = "uuid")]
    call_id: Option<String>,
    /// Task that it is about; `null` for webhooks of agents.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// Agent whose webhook it is; `null` for webhooks of tasks.
    #[schema(format = "uuid")]
    agent_id: Option<String>,
    /// The event: `status-update`, `agent-changed`, `end-of-call-report`, `call_started`, `call_completed` or
    /// `call_failed`.
    event_type: String,
    /// Where it goes.
    url: String,
    /// `pending`, `delivered` or `failed`.
    #[schema(value_type = DeliveryStatus)]
    status: &'static str,
    /// Attempts so far.
    attempts: i64,
    /// When it is tried next (RFC 3339, UTC); `null` once it is delivered or given up.
    #[schema(format = "date-time")]
    next_attempt_at: Option<String>,
    /// Of the last attempt.
    response_status: Option<i64>,
    /// Why the last attempt failed, in words.
    error: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    /// When the receiver took it (RFC 3339, UTC).
    #[schema(format = "date-time")]
    delivered_at: Option<String>,
    /// The message; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
}

impl From<&(Delivery, DeliveryProgress)> for DeliveryView {
    fn from((delivery, progress): &(Delivery, DeliveryProgress)) -> Self {
        Self {
            id: delivery.id.to_string(),
            call_id: delivery.call.map(|id| id.to_string()),
            task_id: delivery.task.map(|id| id.to_string()),
            agent_id: delivery.agent.map(|id| id.to_string()),
            event_type: delivery.event_type.clone(),
            url: delivery.target.clone(),
            status: progress.status.name(),
            attempts: progress.attempts,
            next_attempt_at: progress.next_attempt_at.map(UnixMs::rfc3339),
            response_status: progress.response_status,
            error: progress.error.clone(),
            created_at: delivery.created_at.rfc3339(),
            delivered_at: progress.delivered_at.map(UnixMs::rfc3339),
            payload: None,
        }
    }
}

/// One webhook.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryBody {
    /// The webhook.
    webhook_delivery: DeliveryView,
}

/// A page of webhooks.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryPage {
    /// Webhooks, newest first.
    webhook_deliveries: Vec<DeliveryView>,
    total: i64,
    limit: i64,
    offset: i64,
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<(Delivery, DeliveryProgress), ApiError> {
    let id = id(text, DeliveryId::parse, "Webhook delivery")?;
    api.store.delivery(scope, id).await?.ok_or_else(|| ApiError::not_found("Webhook delivery"))
}

fn body(found: &(Delivery, DeliveryProgress)) -> DeliveryBody {
    let payload = serde_json::from_str(&found.0.body).ok();
    DeliveryBody { webhook_delivery: DeliveryView { payload, ..found.into() } }
}

/// Webhooks that were or are to be sent, newest first.
#[utoipa::path(get, path = "/webhook-deliveries", tag = "webhook-deliveries", params(Paging, ("call_id" = Option<String>, Query, description = "Only webhooks about this call.", format = "uuid"), ("task_id" = Option<String>, Query, description = "Only webhooks about this task.", format = "uuid"), ("status" = Option<DeliveryStatus>, Query, description = "Only webhooks with this status."), ("event_type" = Option<String>, Query, description = "Only webhooks of this event, such as `end-of-call-report`.")), responses((status = 200, body = DeliveryPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let filter = DeliveryFilter {
        call: query.value("call_id", CallId::parse, "a UUID")?,
        task: query.value("task_id", TaskId::parse, "a UUID")?,
        status: query.value("status", DeliveryStatus::parse, "one of pending, delivered, failed")?,
        event_type: query.value("event_type", |text| Some(text.to_owned()), "an event")?,
    };
    let (rows, total) = api.store.deliveries(scope, filter, page).await?;
    let webhook_deliveries = rows.iter().map(DeliveryView::from).collect();
    Ok(ApiResponse::ok(DeliveryPage { webhook_deliveries, total, limit: page.limit, offset: page.offset }))
}

/// One delivery with its message.
#[utoipa::path(get, path = "/webhook-deliveries/{id}", tag = "webhook-deliveries", params(IdPath), responses((status = 200, body = DeliveryBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    Ok(ApiResponse::ok(body(&find(&api, scope, &id).await?)))
}

/// Sends a webhook that was delivered or given up again.
#[utoipa::path(post, path = "/webhook-deliveries/{id}/resend", tag = "webhook-deliveries", params(IdPath), responses((status = 200, body = DeliveryBody)))]
pub(super) async fn resend(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let (delivery, _) = find(&api, scope, &id).await?;
    if !api.store.resend(scope, delivery.id).await? {
        return Err(ApiError::state("The webhook is still pending"));
    }
    Ok(ApiResponse::ok(body(&find(&api, scope, &id).await?)))
}
