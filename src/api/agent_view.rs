//! Agents as clients see them, and a cache of their JSON.

use super::response::to_json;
use crate::domain::agent::Agent;
use crate::domain::agent_handover::HandoverConfig;
use crate::domain::ambience::AmbienceConfig;
use crate::domain::analysis::AnalysisPlan;
use crate::domain::built_in_tools::BuiltInTools;
use crate::domain::dtmf_rules::DtmfRules;
use crate::domain::fallback::Fallbacks;
use crate::domain::ids::AgentId;
use crate::domain::languages::LanguageConfig;
use crate::domain::pronunciation::Pronunciation;
use crate::domain::provider_config::{LlmConfig, SttConfig, TtsConfig, VoiceSettings};
use crate::domain::ringing_config::RingingConfig;
use crate::domain::transfer::TransferConfig;
use crate::domain::turn_config::{SilenceConfig, TurnConfig};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pronunciation_dictionary: Vec<Pronunciation>,
    dtmf_rules: Option<DtmfRules>,
    voicemail_detection: Option<bool>,
    voicemail_message: Option<String>,
    max_duration_seconds: Option<u32>,
    autonomous_silence_handling: Option<bool>,
    silence_config: Option<SilenceConfig>,
    turn_config: Option<TurnConfig>,
    transfer_config: Option<TransferConfig>,
    handover_config: Option<HandoverConfig>,
    built_in_tools: Option<BuiltInTools>,
    background: Option<AmbienceConfig>,
    ringing: Option<RingingConfig>,
    recording_enabled: Option<bool>,
    webhook_url: Option<String>,
    /// The secret itself is never shown.
    webhook_secret_set: bool,
    /// Until when the secret before it signs as well.
    #[schema(format = "date-time")]
    webhook_rotation_ends_at: Option<String>,
    webhook_events: Option<Vec<String>>,
    stt_config: Option<SttConfig>,
    llm_config: Option<LlmConfig>,
    tts_config: Option<TtsConfig>,
    languages: Option<BTreeMap<String, LanguageConfig>>,
    analysis_plan: Option<AnalysisPlan>,
    fallbacks: Option<Fallbacks>,
    time_zone: Option<String>,
    tell_call_facts: Option<bool>,
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
            pronunciation_dictionary: fields.pronunciation_dictionary,
            dtmf_rules: fields.dtmf_rules,
            transfer_config: fields.transfer_config,
            handover_config: fields.handover_config,
            built_in_tools: fields.built_in_tools,
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
            webhook_rotation_ends_at: fields.webhook_rotation_ends_at,
            webhook_events: fields.webhook_events,
            stt_config: fields.stt_config,
            llm_config: fields.llm_config,
            tts_config: fields.tts_config,
            languages: fields.languages,
            analysis_plan: fields.analysis_plan,
            fallbacks: fields.fallbacks,
            time_zone: fields.time_zone,
            tell_call_facts: fields.tell_call_facts,
            metadata: fields.metadata,
            created_at: agent.created_at.rfc3339(),
            updated_at: agent.updated_at.rfc3339(),
        }
    }
}

/// One agent.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentBody {
    /// The agent.
    pub(super) agent: AgentView,
    /// After a change: what the agent asks of the server that it does not have, such as speech models, and what to do about
    /// it. Absent if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
}

impl AgentBody {
    /// An agent that was not changed.
    pub(super) fn unchanged(agent: &Agent) -> Self {
        Self { agent: agent.into(), warnings: Vec::new() }
    }
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
    /// The agent as text: the cached one while the store caches the same value.
    pub(super) fn agent(&self, agent: &Arc<Agent>) -> JsonText {
        if let Some((of, text)) = self.0.get(&agent.id)
            && std::ptr::eq(of.as_ptr(), Arc::as_ptr(agent))
        {
            return text;
        }
        let text = to_json(AgentBody::unchanged(agent));
        self.0.insert(agent.id, (Arc::downgrade(agent), text.clone()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::{ALIASES, AgentFields};
    use crate::domain::ids::OrganizationId;
    use crate::domain::time::UnixMs;

    #[test]
    fn answers_show_both_names_of_a_field() {
        let fields = AgentFields { first_message: Some("Hello".to_owned()), is_active: true, ..AgentFields::default() };
        let (at, organization) = (UnixMs(0), OrganizationId::new());
        let agent = Agent { id: AgentId::new(), organization, fields, version: 1, created_at: at, updated_at: at };
        let shown = serde_json::to_value(AgentView::from(&agent)).unwrap();
        for (field, alias) in ALIASES {
            assert!(!shown[field].is_null() && shown[field] == shown[alias], "{field}, {alias}");
        }
    }
}
