//! `/batches`: tasks that are started, paused and repeated together.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed_with};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::batch::{Batch, BatchStatus};
use crate::domain::ids::BatchId;
use crate::domain::organization::check_name;
use crate::store::OrgScope;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A batch as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Batch)]
pub(super) struct BatchView {
    #[schema(format = "uuid")]
    id: String,
    /// What people call the batch.
    name: String,
    /// `paused` or `running`.
    #[schema(value_type = BatchStatus)]
    status: &'static str,
    /// Number of tasks by status: `pending`, `in_progress`, `completed`, `failed`.
    tasks: BTreeMap<String, i64>,
    /// Number of calls that are over, by `end_reason`; a task that was tried again has several. Only where one batch is
    /// asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_calls: Option<BTreeMap<String, i64>>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl BatchView {
    fn new(batch: &Batch, tasks: Option<BTreeMap<String, i64>>) -> Self {
        Self {
            id: batch.id.to_string(),
            name: batch.name.clone(),
            status: batch.status.name(),
            tasks: tasks.unwrap_or_default(),
            ended_calls: None,
            created_at: batch.created_at.rfc3339(),
            updated_at: batch.updated_at.rfc3339(),
        }
    }
}

/// One batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchBody {
    /// The batch.
    batch: BatchView,
}

/// A page of batches.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchPage {
    /// Batches, newest first.
    batches: Vec<BatchView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// Failed tasks that are pending again.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchRetried {
    /// How many there were.
    retried: u64,
}

/// What went with a batch.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchDeleted {
    /// Always true.
    deleted: bool,
    /// Pending and failed tasks, which were deleted too.
    deleted_tasks: u64,
}

/// A batch to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchFields)]
pub(super) struct BatchInput {
    /// What people call the batch: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Reminders of March")]
    name: String,
    /// Whether its tasks are called as they come. Without it the batch is paused until `POST /batches/{id}/start`.
    #[serde(default)]
    start: bool,
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Batch, ApiError> {
    let id = id(text, BatchId::parse, "Batch")?;
    api.store.batch(scope, id).await?.ok_or_else(|| ApiError::not_found("Batch"))
}

async fn with_progress(api: &ApiState, scope: OrgScope, batch: &Batch) -> Result<ApiResponse, ApiError> {
    let tasks = api.store.batch_tasks(scope, &[batch.id]).await?.remove(&batch.id);
    let ended_calls = Some(api.store.batch_ended_calls(scope, batch.id).await?);
    Ok(ApiResponse::ok(BatchBody { batch: BatchView { ended_calls, ..BatchView::new(batch, tasks) } }))
}

async fn change(api: &ApiState, scope: OrgScope, text: &str, status: BatchStatus) -> Result<ApiResponse, ApiError> {
    let batch = find(api, scope, text).await?;
    if batch.status != status && !api.store.set_batch_status(scope, batch.id, status).await? {
        return Err(ApiError::not_found("Batch"));
    }
    with_progress(api, scope, &find(api, scope, text).await?).await
}

/// The batches of the organization, newest first.
#[utoipa::path(get, path = "/batches", tag = "batches", params(Paging), responses((status = 200, body = BatchPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (batches, total) = api.store.batches(scope, page).await?;
    let ids: Vec<BatchId> = batches.iter().map(|batch| batch.id).collect();
    let mut tasks = api.store.batch_tasks(scope, &ids).await?;
    let batches = batches.iter().map(|batch| BatchView::new(batch, tasks.remove(&batch.id))).collect();
    Ok(ApiResponse::ok(BatchPage { batches, total, limit: page.limit, offset: page.offset }))
}

/// Creates an empty batch. Tasks come into it by their `batch_id`.
#[utoipa::path(post, path = "/batches", tag = "batches", request_body = BatchInput, responses((status = 201, body = BatchBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let faults = |input: &BatchInput| check_name(&input.name).err().into_iter().collect();
    let input: BatchInput = typed_with(object, Vec::new(), faults)?;
    let status = if input.start { BatchStatus::Running } else { BatchStatus::Paused };
    let batch = api.store.create_batch(scope, &input.name, status).await?;
    Ok(ApiResponse::created(BatchBody { batch: BatchView::new(&batch, None) }))
}

/// One batch with its progress.
#[utoipa::path(get, path = "/batches/{id}", tag = "batches", params(IdPath), responses((status = 200, body = BatchBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    with_progress(&api, scope, &find(&api, scope, &id).await?).await
}

/// Starts a batch, or goes on with it: its pending tasks are called, those with a time at that time.
#[utoipa::path(post, path = "/batches/{id}/start", tag = "batches", params(IdPath), responses((status = 200, body = BatchBody)))]
pub(super) async fn start(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    change(&api, scope, &id, BatchStatus::Running).await
}

/// Pauses a batch: no task of it is called any more until it is started. Calls that are under way go on.
#[utoipa::path(post, path = "/batches/{id}/pause", tag = "batches", params(IdPath), responses((status = 200, body = BatchBody)))]
pub(super) async fn pause(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    change(&api, scope, &id, BatchStatus::Paused).await
}

/// Makes the failed tasks of a batch pending again.
#[utoipa::path(post, path = "/batches/{id}/retry", tag = "batches", params(IdPath), responses((status = 200, body = BatchRetried)))]
pub(super) async fn retry(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let batch = find(&api, scope, &id).await?;
    Ok(ApiResponse::ok(BatchRetried { retried: api.store.retry_batch(scope, batch.id).await? }))
}

/// Deletes a batch and its pending and failed tasks. Tasks that are called or completed stay, without a batch.
#[utoipa::path(delete, path = "/batches/{id}", tag = "batches", params(IdPath), responses((status = 200, body = BatchDeleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let id = id(&text, BatchId::parse, "Batch")?;
    let deleted_tasks = api.store.delete_batch(scope, id).await?.ok_or_else(|| ApiError::not_found("Batch"))?;
    Ok(ApiResponse::ok(BatchDeleted { deleted: true, deleted_tasks }))
}
