//! `/agents`.

use super::ApiState;
use super::auth::OrgAuth;
use super::envelope::{ApiResponse, Deleted, to_json};
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, merge, unify, validated};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use crate::domain::agent::{Agent, AgentFields};
use crate::domain::ambience::AmbienceConfig;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::dtmf_rules::DtmfRules;
use crate::domain::fallback::Fallbacks;
use crate::domain::ids::AgentId;
use crate::domain::provider_config::{LlmConfig, SttConfig, TtsConfig, VoiceSettings};
use crate::domain::ringing_config::RingingConfig;
use crate::domain::transfer::TransferConfig;
use crate::domain::turn_config::{SilenceConfig, TurnConfig};
use crate::store::{OrgScope, now};
use crate::supervision::in_place;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::{Arc, Weak};
use utoipa::ToSchema;

/// An agent as clients see it: both names of the fields that have two, secrets only as "is set".
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(super) struct AgentView {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    organization_id: String,
    name: String,
    is_active: bool,
    /// The same as `is_active`.
    enabled: bool,
    description: Option<String>,
    business_name: Option<String>,
    notification_email: Option<String>,
    system_prompt: Option<String>,
    first_message: Option<String>,
    /// The same as `first_message`.
    starting_message: Option<String>,
    voice_settings: Option<VoiceSettings>,
    dtmf_rules: Option<DtmfRules>,
    voicemail_detection: Option<bool>,
    voicemail_message: Option<String>,
    max_duration_seconds: Option<u32>,
    autonomous_silence_handling: Option<bool>,
    silence_config: Option<SilenceConfig>,
    turn_config: Option<TurnConfig>,
    transfer_config: Option<TransferConfig>,
    background: Option<AmbienceConfig>,
    ringing: Option<RingingConfig>,
    recording_enabled: Option<bool>,
    webhook_url: Option<String>,
    /// The secret itself is never shown.
    webhook_secret_set: bool,
    webhook_events: Option<Vec<String>>,
    stt_config: Option<SttConfig>,
    llm_config: Option<LlmConfig>,
    tts_config: Option<TtsConfig>,
    analysis_plan: Option<AnalysisPlan>,
    fallbacks: Option<Fallbacks>,
    metadata: Option<Map<String, Value>>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&Agent> for AgentView {
    fn from(agent: &Agent) -> Self {
        let fields = agent.fields.without_secrets();
        Self {
            id: agent.id.to_string(),
            organization_id: agent.organization.to_string(),
            name: fields.name,
            is_active: fields.is_active,
            enabled: fields.is_active,
            description: fields.description,
            business_name: fields.business_name,
            notification_email: fields.notification_email,
            system_prompt: fields.system_prompt,
            starting_message: fields.first_message.clone(),
            first_message: fields.first_message,
            voice_settings: fields.voice_settings,
            dtmf_rules: fields.dtmf_rules,
            transfer_config: fields.transfer_config,
            background: fields.background,
            ringing: fields.ringing,
            voicemail_detection: fields.voicemail_detection,
            voicemail_message: fields.voicemail_message,
            max_duration_seconds: fields.max_duration_seconds,
            autonomous_silence_handling: fields.autonomous_silence_handling,
            silence_config: fields.silence_config,
            turn_config: fields.turn_config,
            recording_enabled: fields.recording_enabled,
            webhook_url: fields.webhook_url,
            webhook_secret_set: agent.fields.webhook_secret.is_some(),
            webhook_events: fields.webhook_events,
            stt_config: fields.stt_config,
            llm_config: fields.llm_config,
            tts_config: fields.tts_config,
            analysis_plan: fields.analysis_plan,
            fallbacks: fields.fallbacks,
            metadata: fields.metadata,
            created_at: agent.created_at.rfc3339(),
            updated_at: agent.updated_at.rfc3339(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct AgentBody {
    pub(super) agent: AgentView,
}

/// Serialized agents, kept while the store caches the same value: most requests ask for a recently requested agent.
#[derive(Clone, Debug)]
pub(super) struct AgentJsonCache(moka::sync::Cache<AgentId, (Weak<Agent>, JsonText)>);

/// JSON text.
type JsonText = Arc<str>;

const WRITTEN_MAX: u64 = 2_000;

impl Default for AgentJsonCache {
    fn default() -> Self {
        Self(moka::sync::Cache::new(WRITTEN_MAX))
    }
}

impl AgentJsonCache {
    fn agent(&self, agent: &Arc<Agent>) -> JsonText {
        if let Some((of, text)) = self.0.get(&agent.id)
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(agent))
        {
            return text;
        }
        let text = to_json(AgentBody { agent: (&**agent).into() });
        self.0.insert(agent.id, (Arc::downgrade(agent), text.clone()));
        text
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct AgentPage {
    agents: Vec<AgentView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// Fields that hold JSON schemas. A change to other fields does not validate these again.
const HOLDS_SCHEMAS: [&str; 2] = ["llm_config", "analysis_plan"];

async fn fields(api: &ApiState, scope: OrgScope, object: Map<String, Value>) -> Result<AgentFields, ApiError> {
    checked_schemas(api, scope, fields_but_schemas(api, object)?).await
}

fn fields_but_schemas(api: &ApiState, object: Map<String, Value>) -> Result<AgentFields, ApiError> {
    validated(object, Vec::new(), |fields| api.context.address_faults(fields))
}

/// Compiles the schemas on the schema workers, because it may take longer than other requests should wait.
async fn checked_schemas(api: &ApiState, scope: OrgScope, fields: AgentFields) -> Result<AgentFields, ApiError> {
    if fields.has_no_schemas() {
        return Ok(fields);
    }
    let checked = api.context.schemas.of_request(scope, move || fields.check_schemas("").map(|()| fields)).await;
    let busy = |_| ApiError::unavailable("overloaded", "The schemas cannot be checked now");
    Ok(checked.map_err(busy)??)
}

/// Fields with two names: ours and the alias.
pub(super) const NAMES: [(&str, &str); 2] = [("first_message", "starting_message"), ("is_active", "enabled")];

fn unify_names(object: &mut Map<String, Value>) -> Result<(), ApiError> {
    NAMES.iter().try_for_each(|(canonical, alias)| unify(object, canonical, alias))
}

pub(super) async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Agent, ApiError> {
    let id = id(text, AgentId::parse, "Agent")?;
    api.context.store.agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))
}

/// The agent as the database has it now, for changes.
pub(super) async fn stored(api: &ApiState, scope: OrgScope, text: &str) -> Result<Agent, ApiError> {
    let id = id(text, AgentId::parse, "Agent")?;
    api.context.store.stored_agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))
}

/// The agents of the organization, newest first.
#[utoipa::path(get, path = "/agents", tag = "agents", params(Paging, ("enabled" = Option<bool>, Query, description = "Only agents that are or are not enabled.")), responses((status = 200, body = AgentPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let enabled = match query.flag("enabled")? {
        Some(enabled) => Some(enabled),
        None => query.flag("is_active")?,
    };
    // A page of large documents is large.
    let _turn = api.turn(scope).await?;
    let (agents, total) = api.context.store.agents(scope, enabled, page).await?;
    let written = || {
        let agents = agents.iter().map(AgentView::from).collect();
        ApiResponse::ok(AgentPage { agents, total, limit: page.limit, offset: page.offset })
    };
    Ok(in_place(written))
}

/// Creates an agent.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = AgentFields, responses((status = 201, body = AgentBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    object.retain(|_, value| !value.is_null());
    unify_names(&mut object)?;
    let agent = api.context.store.create_agent(scope, fields(&api, scope, object).await?).await?;
    Ok(Versioned(agent.version, ApiResponse::created(AgentBody { agent: (&agent).into() })))
}

/// One agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(IdPath), responses((status = 200, body = AgentBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let id = self::id(&id, AgentId::parse, "Agent")?;
    let agent = api.context.store.shared_agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))?;
    Ok(Versioned(agent.version, ApiResponse::written(api.written.agent(&agent))))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/agents/{id}", tag = "agents", params(IdPath, IfMatchHeader), request_body = AgentFields, responses((status = 200, body = AgentBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, if_match: IfMatch,
    JsonObject(mut changes, turn): JsonObject,
) -> Result<Versioned, ApiError> {
    unify_names(&mut changes)?;
    let _turn = api.turn_of_change(turn, scope).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut agent = stored(&api, scope, &id).await?;
        if_match.check(agent.version, &changes, AgentView::from(&agent))?;
        let merged = in_place(|| {
            let Value::Object(mut document) = serde_json::to_value(&agent.fields).ok()? else { return None };
            document.retain(|_, value| !value.is_null());
            merge(&mut document, changes.clone());
            Some(document)
        });
        let document = merged.ok_or_else(|| ApiError::not_found("Agent"))?;
        agent.fields = match changes.keys().any(|name| HOLDS_SCHEMAS.contains(&name.as_str())) {
            true => fields(&api, scope, document).await?,
            false => fields_but_schemas(&api, document)?,
        };
        agent.updated_at = now();
        if api.context.store.update_agent(scope, &agent).await? {
            return Ok(Versioned(agent.version + 1, ApiResponse::ok(AgentBody { agent: (&agent).into() })));
        }
    }
    Err(contended())
}

/// Deletes an agent.
#[utoipa::path(delete, path = "/agents/{id}", tag = "agents", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let agent = find(&api, scope, &id).await?;
    if !api.context.store.delete_agent(scope, agent.id).await? {
        return Err(ApiError::state("The agent has tasks that are pending or in progress"));
    }
    Ok(ApiResponse::deleted())
}
