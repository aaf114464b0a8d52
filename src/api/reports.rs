//! `/calls/{id}/report` and processing a transcript again.

use super::auth::OrgAuth;
use super::calls::find;
use super::error::ApiError;
use super::input::IdPath;
use super::organization_rates::RateKind;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::driver::PlaceCallError;
use crate::domain::call::{Call, CallOutcome};
use crate::domain::call_documents::{CallCost, CallReport};
use crate::domain::transcript::Turn;
use crate::store::OrgScope;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a call was about.
#[derive(Serialize, ToSchema)]
pub(super) struct ReportBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// The call in two or three sentences.
    summary: Option<String>,
    /// success, success_reason, sentiment, follow_up; `analysed` says whether a model looked at the call.
    #[schema(value_type = Option<CallReport>)]
    report: Option<Value>,
    /// By the agent's `structured_data_plan`.
    extracted_data: Option<Value>,
    /// What the call cost by the server's price table.
    #[schema(value_type = Option<CallCost>)]
    cost: Option<Value>,
}

/// A transcript and what was found in it.
#[derive(Serialize, ToSchema)]
pub(super) struct ProcessedBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// The turns in the order in which they began.
    transcript: Vec<Turn>,
    /// By the agent's `structured_data_plan`; `null` without one.
    extracted_data: Option<Value>,
    /// What the analysis found.
    #[schema(value_type = Option<CallReport>)]
    report: Option<Value>,
}

/// Analyses the call (again) and stores the result.
async fn process(api: &ApiState, scope: OrgScope, call: &Call, turns: &[Turn]) -> Result<CallOutcome, ApiError> {
    if !call.status().is_over() {
        return Err(ApiError::state("The call is still going on"));
    }
    // This asks an LLM, maybe on the server's account: so the daily spend limit applies as for a call.
    api.limits.count(scope, RateKind::Reports).await?;
    let _slot = api.analysis.reports.take(&api.store.lineage(scope).await?)?;
    if !api.admission.is_within_daily_limits(scope).await? {
        return Err(PlaceCallError::Spent.into());
    }
    let found = api.analysis.analyse(scope, call, turns).await;
    let added = api.analysis.bill_analysis(&found);
    let failed = found.outcome.report.as_ref().and_then(|report| report["error"].as_str()).map(str::to_owned);
    if let Some(kind) = failed {
        // An unusable answer is billed like any other.
        api.store.put_outcome(scope, call.id, &call.outcome, &added).await?;
        let code = if kind == "not_configured" { "provider_not_configured" } else { "provider_failed" };
        return Err(ApiError::unavailable(code, "The model that writes the report did not answer"));
    }
    api.store.put_outcome(scope, call.id, &found.outcome, &added).await?;
    Ok(found.outcome)
}

/// What the call was about; written now if it is not there yet.
#[utoipa::path(get, path = "/calls/{id}/report", tag = "calls", operation_id = "get_report", params(IdPath), responses((status = 200, body = ReportBody)))]
pub(super) async fn report(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    let there = call.outcome.report.as_ref().is_some_and(|report| report.get("error").is_none());
    let outcome = if there {
        call.outcome.clone()
    } else {
        let turns = api.store.turns(scope, call.id).await?;
        process(&api, scope, &call, &turns).await?
    };
    Ok(ApiResponse::ok(ReportBody {
        call_id: call.id.to_string(),
        summary: outcome.summary,
        report: outcome.report,
        extracted_data: outcome.extracted_data,
        cost: call.outcome.cost,
    }))
}

/// The id of ElevenLabs' conversation, if the call ran on their agent.
fn elevenlabs_conversation_id(call: &Call) -> Option<&str> {
    let named = [&call.metrics, &call.metadata].into_iter().flatten();
    named.filter_map(|json| json["elevenlabs_conversation_id"].as_str()).next()
}

/// Fetches the turns from ElevenLabs; they replace the stored ones.
async fn fetched(api: &ApiState, scope: OrgScope, call: &Call, conversation: &str) -> Result<Vec<Turn>, ApiError> {
    if !call.status().is_over() {
        return Err(ApiError::state("The call is still going on"));
    }
    let turns = api.analysis.elevenlabs_transcript(scope, conversation).await.map_err(|failure| {
        tracing::warn!(error = %failure, "cannot fetch the conversation from ElevenLabs");
        let code = if failure.kind() == "not_configured" { "provider_not_configured" } else { "provider_failed" };
        ApiError::unavailable(code, "ElevenLabs did not give the conversation")
    })?;
    api.store.replace_turns(scope, call.id, &turns).await?;
    Ok(turns)
}

/// Fetches the transcript from ElevenLabs where the call ran there (`elevenlabs_conversation_id` in its
/// metadata) and processes it; for any other call, processes the stored turns again. Overwrites the stored results.
#[utoipa::path(post, path = "/calls/{id}/transcript", tag = "calls", params(IdPath), responses((status = 200, body = ProcessedBody)))]
pub(super) async fn process_transcript(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    let transcript = match elevenlabs_conversation_id(&call) {
        Some(conversation) => fetched(&api, scope, &call, conversation).await?,
        None => api.store.turns(scope, call.id).await?,
    };
    let outcome = process(&api, scope, &call, &transcript).await?;
    Ok(ApiResponse::ok(ProcessedBody {
        call_id: call.id.to_string(),
        transcript,
        extracted_data: outcome.extracted_data,
        report: outcome.report,
    }))
}
