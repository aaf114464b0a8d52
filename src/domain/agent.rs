//! An agent: how a call is answered, understood, thought about and spoken.

use super::FieldFault;
use super::analysis::AnalysisPlan;
use super::background::Background;
use super::dtmf_rules::DtmfRules;
use super::fallback::Fallbacks;
use super::ids::{AgentId, OrganizationId};
use super::organization::check_name;
use super::ringing::Ringing;
use super::speech::{LlmConfig, SttConfig, TtsConfig, VoiceSettings};
use super::time::UnixMs;
use super::transfer::TransferConfig;
use super::turn_config::{SilenceConfig, TurnConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Longest call an agent may be set to hold: carriers cut at four hours themselves.
const MAX_DURATION_SECONDS: u32 = 14_400;
/// Events an agent's webhook may ask for; none set means all.
pub const WEBHOOK_EVENTS: &[&str] = &["assistant-request", "tool-calls", "status-update", "end-of-call-report"];
/// Longest text a customer may give in one field; a model's window is larger, a mistake usually too.
const TEXT_BYTES_MAX: usize = 100_000;

/// What a customer writes. The names are those of the API: an agent is the customer's document, stored
/// and returned as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentFields {
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    #[serde(default = "yes")]
    pub is_active: bool,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub business_name: Option<String>,
    #[serde(default)]
    #[schema(format = "email")]
    pub notification_email: Option<String>,
    #[serde(default)]
    pub system_prompt: Option<String>,
    #[serde(default)]
    pub first_message: Option<String>,
    #[serde(default)]
    pub voice_settings: Option<VoiceSettings>,
    #[serde(default)]
    pub dtmf_rules: Option<DtmfRules>,
    #[serde(default)]
    pub transfer_config: Option<TransferConfig>,
    #[serde(default)]
    pub background: Option<Background>,
    /// What callers hear before the answer, on telephone lines.
    #[serde(default)]
    pub ringing: Option<Ringing>,
    #[serde(default)]
    pub voicemail_detection: Option<bool>,
    #[serde(default)]
    pub voicemail_message: Option<String>,
    #[serde(default)]
    #[schema(minimum = 10, maximum = 14_400)]
    pub max_duration_seconds: Option<u32>,
    #[serde(default)]
    pub autonomous_silence_handling: Option<bool>,
    #[serde(default)]
    pub silence_config: Option<SilenceConfig>,
    #[serde(default)]
    pub turn_config: Option<TurnConfig>,
    #[serde(default)]
    pub recording_enabled: Option<bool>,
    #[serde(default)]
    /// http or https.
    #[schema(format = "uri")]
    pub webhook_url: Option<String>,
    #[serde(default)]
    pub webhook_secret: Option<String>,
    #[serde(default)]
    pub webhook_events: Option<Vec<String>>,
    #[serde(default)]
    pub stt_config: Option<SttConfig>,
    #[serde(default)]
    pub llm_config: Option<LlmConfig>,
    #[serde(default)]
    pub tts_config: Option<TtsConfig>,
    #[serde(default)]
    pub analysis_plan: Option<AnalysisPlan>,
    #[serde(default)]
    pub fallbacks: Option<Fallbacks>,
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub id: AgentId,
    pub organization: OrganizationId,
    pub fields: AgentFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// What webhooks are signed with: something that can be copied without losing anything.
pub fn check_webhook_secret(secret: Option<&str>) -> Result<(), FieldFault> {
    match secret {
        Some(secret) if secret.is_empty() || !secret.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Err(FieldFault::new("webhook_secret", "must be printable ASCII; null for none"))
        }
        _ => Ok(()),
    }
}

impl AgentFields {
    pub fn validate(&self) -> Result<(), FieldFault> {
        check_name(&self.name)?;
        check_webhook_secret(self.webhook_secret.as_deref())?;
        for (field, text) in [
            ("system_prompt", &self.system_prompt),
            ("first_message", &self.first_message),
            ("description", &self.description),
            ("voicemail_message", &self.voicemail_message),
        ] {
            if text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
                return Err(FieldFault::new(field, format!("must not be longer than {TEXT_BYTES_MAX} bytes")));
            }
        }
        if self.max_duration_seconds.is_some_and(|s| !(10..=MAX_DURATION_SECONDS).contains(&s)) {
            return Err(FieldFault::new(
                "max_duration_seconds",
                format!("must be between 10 and {MAX_DURATION_SECONDS}"),
            ));
        }
        if self.notification_email.as_deref().is_some_and(|email| !is_email(email)) {
            return Err(FieldFault::new("notification_email", "is not an e-mail address"));
        }
        if let Some(url) = &self.webhook_url
            && !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        {
            return Err(FieldFault::new("webhook_url", "is not an http or https URL"));
        }
        if let Some(bad) = self.webhook_events.iter().flatten().find(|event| !WEBHOOK_EVENTS.contains(&event.as_str()))
        {
            let message = format!("{bad} is not an event; allowed are {}", WEBHOOK_EVENTS.join(", "));
            return Err(FieldFault::new("webhook_events", message));
        }
        let mut all = Ok(());
        for result in [
            self.dtmf_rules.as_ref().map(DtmfRules::validate),
            self.transfer_config.as_ref().map(TransferConfig::validate),
            self.background.as_ref().map(Background::validate),
            self.ringing.as_ref().map(Ringing::validate),
            self.voice_settings.as_ref().map(VoiceSettings::validate),
            self.turn_config.as_ref().map(TurnConfig::validate),
            self.silence_config.as_ref().map(SilenceConfig::validate),
            self.stt_config.as_ref().map(SttConfig::validate),
            self.llm_config.as_ref().map(LlmConfig::validate),
            self.tts_config.as_ref().map(TtsConfig::validate),
            self.analysis_plan.as_ref().map(AnalysisPlan::validate),
            self.fallbacks.as_ref().map(Fallbacks::validate),
        ] {
            all = all.and(result.unwrap_or(Ok(())));
        }
        all.and(self.rules_fit_tools())
    }

    /// A key that calls a tool needs one.
    fn rules_fit_tools(&self) -> Result<(), FieldFault> {
        let tools = self.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        for (index, rule) in self.dtmf_rules.iter().flat_map(|rules| rules.rules.iter().enumerate()) {
            if let Some(name) = &rule.tool
                && !tools.iter().any(|tool| tool.function.name == *name && tool.kind == "function")
            {
                let message = format!("there is no tool named {name} in llm_config.tools");
                return Err(FieldFault::new(format!("dtmf_rules.rules[{index}].tool"), message));
            }
        }
        Ok(())
    }

    pub fn transfers(&self) -> TransferConfig {
        self.transfer_config.clone().unwrap_or_default()
    }

    pub fn turn(&self) -> TurnConfig {
        self.turn_config.clone().unwrap_or_default()
    }

    /// `None` when the agent leaves silence alone.
    pub fn silence(&self) -> Option<SilenceConfig> {
        self.autonomous_silence_handling.unwrap_or(true).then(|| self.silence_config.clone().unwrap_or_default())
    }
}

/// One `@` with something sensible on both sides; the mail server has the last word.
pub fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !text.contains(|c: char| c.is_whitespace() || c == ',')
            && !host.contains('@')
    })
}
