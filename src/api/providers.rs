//! `/providers`: does a provider work, with the key that calls would use?

use super::auth::OrgAuth;
use super::error::ApiError;
use super::organization_rates::RateKind;
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::provider::ProviderAccount;
use axum::extract::{Path, State};
use serde::Serialize;
use std::fmt::Display;
use utoipa::{IntoParams, ToSchema};

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path")]
pub(super) struct NamePath {
    /// `deepgram`, `openai`, `anthropic`, `groq`, `mistral`, `xai`, `elevenlabs`, `cartesia` or `local`.
    name: String,
}

/// What is wrong with a provider.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderProblem {
    /// `not_configured`, `unauthorized`, `rate_limited`, `refused`, `unreachable`, `deadline`, `dropped`.
    kind: String,
    /// In the provider's words if the key belongs to the organization.
    message: String,
}

impl ProviderProblem {
    /// The problem as the organization may see it: what a provider says about the server's key is not for its tenants.
    pub(super) fn new(kind: &str, failure: impl Display, is_own_key: bool) -> Self {
        let message = if is_own_key || kind == "not_configured" {
            failure.to_string()
        } else {
            format!("the provider cannot be used with the server's key ({kind})")
        };
        Self { kind: kind.to_owned(), message }
    }

    /// The same as a refusal of a request.
    pub(super) fn refusal(self) -> ApiError {
        let code = if self.kind == "not_configured" { "provider_not_configured" } else { "provider_failed" };
        let mut error = ApiError::unavailable(code, format!("The provider did not answer: {}", self.message));
        error.details["problem"] = self.kind.into();
        error
    }
}

/// What a test of a provider found.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderTest {
    /// Name of the provider.
    provider: String,
    /// Whether it took the key and answered.
    ok: bool,
    /// Milliseconds that its answer took.
    latency_ms: u64,
    /// What is wrong; `null` if nothing is.
    problem: Option<ProviderProblem>,
    /// Of `local`: the speech models that are not on the server, with what to do about it. Absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_models: Vec<String>,
}

/// A provider as this organization can use it.
#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
pub(super) struct ProviderView {
    /// Name of the provider, as in `stt_config.provider`.
    name: String,
    /// What it does, each with its circuit breaker.
    stages: Vec<StageView>,
    /// `own` (of the organization), `server`, or `none`; `not_needed` for what runs on this machine.
    key: &'static str,
}

/// What calls of this process have seen of it.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderStage)]
pub(super) struct StageView {
    /// `stt`, `llm`, `tts` or `engine`.
    stage: &'static str,
    /// `open`: requests go through; `closed`: none do, after too many failures; `trying`: one tests it; `waiting`: it asked
    /// for a pause.
    breaker: &'static str,
    /// Failures since the last success.
    failures_in_a_row: u32,
    /// Milliseconds until the next attempt; `null` if the breaker does not wait.
    retry_after_ms: Option<u64>,
}

/// All providers.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderList)]
pub(super) struct ProviderList {
    /// Every provider that the server knows.
    providers: Vec<ProviderView>,
}

/// Every provider: whose key calls would use, and the state of its circuit breakers in this process.
#[utoipa::path(get, path = "/providers", tag = "providers", responses((status = 200, body = ProviderList)))]
pub(super) async fn list(State(api): State<ApiState>, OrgAuth(scope): OrgAuth) -> Result<ApiResponse, ApiError> {
    let providers = api.accounts.of_organization(scope).await;
    let views = ProviderAccount::ALL.iter().map(|account| {
        let stages = account.stages().into_iter().map(|stage| {
            let state = providers.circuit_state(*account, stage);
            StageView {
                stage: stage.name(),
                breaker: state.map_or("open", |state| state.name()),
                failures_in_a_row: state.map_or(0, |state| state.failures()),
                retry_after_ms: state.and_then(|state| state.left()).map(|left| left.as_millis() as u64),
            }
        });
        let key = match account {
            _ if !account.needs_key() => "not_needed",
            _ if providers.has_own_key(*account) => "own",
            _ if providers.endpoint(*account, None).is_usable() => "server",
            _ => "none",
        };
        ProviderView { name: account.name().to_owned(), stages: stages.collect(), key }
    });
    Ok(ApiResponse::ok(ProviderList { providers: views.collect() }))
}

/// Makes one cheap request to a provider and says what is wrong, if anything is.
#[utoipa::path(post, path = "/providers/{name}/test", tag = "providers", params(NamePath), responses((status = 200, body = ProviderTest)))]
pub(super) async fn test(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(name): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let account = ProviderAccount::parse(&name).ok_or_else(|| ApiError::not_found("Provider"))?;
    api.limits.count(scope, RateKind::ProviderTests).await?;
    let _slot = api.accounts.tests.take(&api.store.lineage(scope).await?)?;
    let trial = api.accounts.of_organization(scope).await.check_provider(account).await;
    let problem = trial.failure.map(|failure| ProviderProblem::new(failure.kind(), &failure, trial.is_own_key));
    let latency_ms = trial.latency.as_millis() as u64;
    let missing_models = if account.needs_key() { Vec::new() } else { api.accounts.registry.missing_models() };
    Ok(ApiResponse::ok(ProviderTest {
        provider: account.name().to_owned(),
        ok: problem.is_none(),
        latency_ms,
        problem,
        missing_models,
    }))
}
