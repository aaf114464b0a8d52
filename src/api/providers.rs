//! `/providers`: does a provider work, with the key that calls would use?

use super::Api;
use super::auth::Caller;
use super::envelope::Answer;
use super::error::ApiError;
use crate::call::driver::Context;
use crate::domain::provider::Account;
use axum::extract::{Path, State};
use serde::Serialize;
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
    /// In the provider's words where the key is the organization's own.
    message: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProviderTest {
    provider: String,
    ok: bool,
    latency_ms: u64,
    problem: Option<ProviderProblem>,
}

/// Makes one cheap request to a provider and says what is wrong, if anything is.
#[utoipa::path(post, path = "/providers/{name}/test", tag = "providers", params(NamePath), responses((status = 200, body = ProviderTest)))]
pub(super) async fn test(
    State(api): State<Api>, Caller(scope): Caller, Path(name): Path<String>,
) -> Result<Answer, ApiError> {
    let account = Account::parse(&name).ok_or_else(|| ApiError::not_found("Provider"))?;
    let context = Context::of_organization(&api.context, scope).await;
    let trial = context.providers.try_out(account).await;
    let problem = trial.failure.map(|failure| ProviderProblem {
        kind: failure.kind().to_owned(),
        // What a provider says about the server's key is not for its tenants.
        message: if trial.is_own_key || failure.kind() == "not_configured" {
            failure.to_string()
        } else {
            format!("the provider cannot be used with the server's key ({})", failure.kind())
        },
    });
    let latency_ms = trial.latency.as_millis() as u64;
    Ok(Answer::ok(ProviderTest { provider: account.name().to_owned(), ok: problem.is_none(), latency_ms, problem }))
}
