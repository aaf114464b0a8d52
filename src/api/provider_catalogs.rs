//! `/providers/{name}/catalog`: which models and voices may be chosen.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::QueryParams;
use super::organization_rates::RateKind;
use super::providers::{NamePath, ProviderProblem};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::provider::{PipelineStage, ProviderAccount};
use crate::store::OrgScope;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

/// Characters of `base_url`, as in an agent.
const BASE_URL_CHARS_MAX: usize = 2_048;

/// A model that the account may use.
#[derive(Serialize, ToSchema)]
#[schema(as = CatalogModel)]
pub(super) struct ModelView {
    /// As `model` takes it.
    id: String,
    /// What the provider calls it; `null` if it has no other name.
    name: Option<String>,
    /// `stt`, `llm`, `tts` or `engine` (realtime).
    stage: &'static str,
}

/// A voice that the account may use.
#[derive(Serialize, ToSchema)]
#[schema(as = CatalogVoice)]
pub(super) struct VoiceView {
    /// As `voice_id` takes it.
    id: String,
    /// What the provider calls it.
    name: String,
    /// Its language as the provider writes it; `null` where it has none or several.
    language: Option<String>,
    /// A few words of the provider about it, such as `female, british`.
    about: Option<String>,
}

/// Models and voices of a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = ProviderCatalog)]
pub(super) struct CatalogBody {
    /// Name of the provider.
    provider: String,
    /// Models, in the provider's order. Empty where it has no list, and after a problem.
    models: Vec<ModelView>,
    /// Voices, in the provider's order. Empty where it has no list, and after a problem.
    voices: Vec<VoiceView>,
    /// Why there is no list; `null` if there is one.
    problem: Option<ProviderProblem>,
}

/// The models and voices that a provider offers, with the key that calls would use: asked of the provider, with a deadline
/// of eight seconds, and kept for ten minutes. Any other name may be set too.
#[utoipa::path(get, path = "/providers/{name}/catalog", tag = "providers", operation_id = "get_provider_catalog", params(NamePath, ("base_url" = Option<String>, Query, description = "A server of yours that speaks the provider's protocol.")), responses((status = 200, body = CatalogBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(name): Path<String>, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let account = ProviderAccount::parse(&name).ok_or_else(|| ApiError::not_found("Provider"))?;
    let base_url = query.text("base_url").filter(|url| !url.is_empty());
    if let Some(url) = base_url {
        if url.chars().count() > BASE_URL_CHARS_MAX {
            return Err(ApiError::field("base_url", format!("must have at most {BASE_URL_CHARS_MAX} characters")));
        }
        api.addresses.providers.check_base_url(url).map_err(|why| ApiError::field("base_url", why.to_string()))?;
    }
    catalog(&api, scope, account, base_url).await.map(ApiResponse::ok)
}

async fn catalog(
    api: &ApiState, scope: OrgScope, account: ProviderAccount, base_url: Option<&str>,
) -> Result<CatalogBody, ApiError> {
    let providers = api.accounts.of_organization(scope).await;
    let result = match providers.cached_catalog(account, base_url) {
        Some(known) => known,
        None => {
            api.limits.count(scope, RateKind::ProviderTests).await?;
            providers.fetch_catalog(account, base_url).await
        }
    };
    let is_own_key = base_url.is_some() || providers.has_own_key(account);
    let (found, problem) = match result {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(ProviderProblem::new(error.kind(), &error, is_own_key))),
    };
    let stage = |stage: PipelineStage| stage.name();
    let models = found.iter().flat_map(|found| &found.models);
    let voices = found.iter().flat_map(|found| &found.voices);
    Ok(CatalogBody {
        provider: account.name().to_owned(),
        models: models
            .map(|one| ModelView { id: one.id.clone(), name: one.name.clone(), stage: stage(one.stage) })
            .collect(),
        voices: voices
            .map(|one| VoiceView {
                id: one.id.clone(),
                name: one.name.clone(),
                language: one.language.clone(),
                about: one.about.clone(),
            })
            .collect(),
        problem,
    })
}
