//! An agent: how a call is answered, understood, thought about and spoken.

use super::FieldError;
use super::agent_handover::{HandoverConfig, HandoverTarget};
use super::ambience::AmbienceConfig;
use super::analysis::{self, AnalysisPlan};
use super::built_in_tools::BuiltInTools;
use super::call_facts::is_time_zone;
use super::dtmf_rules::{DtmfContext, DtmfRules};
use super::fallback::Fallbacks;
use super::flow::{Flow, FlowContext};
use super::ids::{AgentId, OrganizationId};
use super::languages::{self, LanguageConfig};
use super::organization;
use super::pronunciation::{self, Pronunciation};
use super::provider::LlmProvider;
use super::provider_config::{LlmConfig, SttConfig, TtsConfig, VoiceSettings};
use super::ringing_config::RingingConfig;
use super::rules::{at_most, between, chars, events, fits, is_http_url, parses, secret_chars, set_only_with};
use super::schema_sense::{PropertyNames, find_nonsense};
use super::secret::{Secret, exposed};
use super::template::{self, TemplateUse};
use super::time::UnixMs;
use super::tool_request::ToolRequest;
use super::transfer::TransferConfig;
use super::turn_config::{SilenceConfig, TurnConfig};
use super::webhook_secret::{self, PreviousSecret, WebhookSecrets};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget};
use utoipa::ToSchema;

/// Longest call an agent may be set to hold: carriers cut at four hours themselves.
const MAX_DURATION_SECONDS: u32 = 14_400;
/// Events an agent's webhook may ask for; none set means all.
pub const WEBHOOK_EVENTS: &[&str] =
    &["assistant-request", "tool-calls", "status-update", "agent-changed", "end-of-call-report"];
/// Why a realtime agent has no handovers: it hears and speaks by itself, and nothing of its session can be passed on.
const NO_HANDOVER: &str = "is only for agents with STT, LLM and TTS: llm_config names a realtime model";
/// Why the first words have nothing that the caller enters.
const NOTHING_COLLECTED: &str = "must not have {{collected.…}}: nothing has been entered before the first words";
/// STT of agents without `stt_config`, as prices and records have it.
const DEFAULT_STT: &str = "deepgram/nova-3-general";
/// Fields that the two reference documents name differently: our name, and the other one. Input takes either; answers
/// and webhooks show both.
pub const ALIASES: [(&str, &str); 2] = [("first_message", "starting_message"), ("is_active", "enabled")];
/// Longest text a customer may give in one field; a model's window is larger, a mistake usually too.
const TEXT_BYTES_MAX: usize = 100_000;

/// What a customer writes. The names are those of the API: an agent is the customer's document, stored
/// and returned as it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct AgentFields {
    /// What people call the agent: 1 to 200 characters. The default prompt uses it if there is no `business_name`.
    #[schema(min_length = 1, max_length = 200)]
    #[garde(custom(organization::name))]
    pub name: String,
    /// Whether it answers calls and makes calls for tasks; true by default.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// Notes for people; the LLM does not see them. At most 100,000 bytes.
    #[serde(default)]
    #[garde(inner(custom(text())))]
    pub description: Option<String>,
    /// Company the agent speaks for; named in the default prompt if there is no `system_prompt`.
    #[serde(default)]
    #[schema(max_length = 200)]
    #[garde(inner(custom(chars(200))))]
    pub business_name: Option<String>,
    /// Address that gets a mail after each call; needs `[smtp]` in the settings of the server. None: no mail.
    #[serde(default)]
    #[schema(format = "email", max_length = 320)]
    #[garde(inner(custom(fits(is_email, "is not an e-mail address"))))]
    #[garde(inner(custom(chars(320))))]
    pub notification_email: Option<String>,
    /// The system prompt for the LLM, at most 100,000 bytes. None: a short default prompt names the business.
    #[serde(default)]
    #[garde(inner(custom(text())))]
    #[garde(inner(custom(template::rule(TemplateUse::Text))))]
    pub system_prompt: Option<String>,
    /// First words of a call, at most 100,000 bytes. `{{name}}` and `{{name|default}}` are filled in, as in all texts that
    /// are said or given to the LLM. None: the LLM writes the greeting.
    #[serde(default)]
    #[garde(inner(custom(text())))]
    #[garde(inner(custom(template::rule(TemplateUse::Text))))]
    #[garde(inner(custom(fits(|text: &str| !template::names_collected(text), NOTHING_COLLECTED))))]
    pub first_message: Option<String>,
    /// Voice settings for ElevenLabs, and for Cartesia its `speed`; fields of `tts_config` come first.
    #[serde(default)]
    #[garde(dive)]
    pub voice_settings: Option<VoiceSettings>,
    /// How the voice says certain words, whichever voice speaks; at most 500 entries. Realtime models do not use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    #[garde(custom(at_most(pronunciation::ENTRIES_MAX)), dive(&self.pronunciation_dictionary))]
    pub pronunciation_dictionary: Vec<Pronunciation>,
    /// What happens when the caller presses keys. None: the digits go to the LLM as `[DTMF 1234]`.
    #[serde(default)]
    #[garde(dive(&self.dtmf_context()))]
    pub dtmf_rules: Option<DtmfRules>,
    /// The destinations to which the LLM may transfer callers. None: no transfers.
    #[serde(default)]
    #[garde(dive)]
    pub transfer_config: Option<TransferConfig>,
    /// The agents of the organization that the LLM may hand calls to. None: no handovers. Not for realtime models.
    #[serde(default)]
    #[garde(dive)]
    #[garde(custom(fits(|config: &Option<HandoverConfig>| config.is_none() || !self.is_realtime(), NO_HANDOVER)))]
    pub handover_config: Option<HandoverConfig>,
    /// Tools of the server beside those that every agent has. None: no others.
    #[serde(default)]
    #[garde(dive)]
    pub built_in_tools: Option<BuiltInTools>,
    /// Sound behind the agent's voice. None: silence.
    #[serde(default)]
    #[garde(dive)]
    pub background: Option<AmbienceConfig>,
    /// What callers hear before the answer, on calls over a trunk.
    #[serde(default)]
    #[garde(dive)]
    pub ringing: Option<RingingConfig>,
    /// Whether outbound calls look for an answering machine; false by default.
    #[serde(default)]
    pub voicemail_detection: Option<bool>,
    /// What is said after the beep of voicemail, at most 100,000 bytes. None: the call ends when voicemail answers.
    #[serde(default)]
    #[garde(inner(custom(text())))]
    #[garde(inner(custom(template::rule(TemplateUse::Text))))]
    pub voicemail_message: Option<String>,
    /// Seconds after which the call ends: 10 to 14,400; 1,800 by default.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 14_400)]
    #[garde(inner(custom(between(10..=MAX_DURATION_SECONDS))))]
    pub max_duration_seconds: Option<u32>,
    /// Whether the agent asks if a silent caller is still there, as `silence_config` says; true by default.
    #[serde(default)]
    pub autonomous_silence_handling: Option<bool>,
    /// What the agent says, and after how long, when the caller is silent. None: the defaults of every field.
    #[serde(default)]
    #[garde(dive)]
    pub silence_config: Option<SilenceConfig>,
    /// When a turn ends and what interrupts the agent. None: the defaults of every field.
    #[serde(default)]
    #[garde(dive)]
    pub turn_config: Option<TurnConfig>,
    /// Whether calls are recorded: stereo WAV, the caller left, the agent right. True by default.
    #[serde(default)]
    pub recording_enabled: Option<bool>,
    #[serde(default)]
    /// http or https.
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(fits(is_http_url, "is not an http or https URL"))))]
    #[garde(inner(custom(chars(2_048))))]
    pub webhook_url: Option<String>,
    /// Key that signs the agent's webhooks, printable ASCII. After `whsec_` it is base64, in either alphabet, with or
    /// without padding. None: they are not signed.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>, max_length = 1_024)]
    #[garde(inner(custom(webhook_secret::check)))]
    #[garde(inner(custom(secret_chars(1_024))))]
    pub webhook_secret: Option<Secret>,
    /// The secret before the present one: it signs as well until `webhook_rotation_ends_at`, so that receivers can
    /// change over. A PATCH with a new `webhook_secret` and that time alone keeps the stored one here.
    #[serde(default, serialize_with = "exposed")]
    #[schema(write_only, value_type = Option<String>, max_length = 1_024)]
    #[garde(inner(custom(webhook_secret::check)))]
    #[garde(inner(custom(secret_chars(1_024))))]
    #[garde(custom(set_only_with(&self.webhook_rotation_ends_at, "webhook_rotation_ends_at")))]
    pub previous_webhook_secret: Option<Secret>,
    /// Until when the secret before the present one signs, at most 30 days from now. It is set with a new `webhook_secret`.
    #[serde(default)]
    #[schema(format = "date-time")]
    #[garde(inner(custom(parses(UnixMs::parse, "must be an RFC 3339 time such as 2026-03-27T12:00:00Z"))))]
    #[garde(custom(set_only_with(&self.previous_webhook_secret, "a new webhook_secret")))]
    pub webhook_rotation_ends_at: Option<String>,
    /// Events that go to `webhook_url`: `assistant-request`, `tool-calls`, `status-update`, `agent-changed`,
    /// `end-of-call-report`. None: all.
    #[serde(default)]
    #[garde(inner(custom(events(WEBHOOK_EVENTS))))]
    pub webhook_events: Option<Vec<String>>,
    /// Speech to text. None: Deepgram `nova-3-general`. Realtime models do not use it.
    #[serde(default)]
    #[garde(dive)]
    pub stt_config: Option<SttConfig>,
    /// The language model with its tools. None: OpenAI `gpt-4o-mini`.
    #[serde(default)]
    #[garde(dive)]
    #[garde(custom(|config: &Option<LlmConfig>, (): &()| {
        self.check_flow("flow", config.as_ref().and_then(|config| config.flow.as_ref()))
    }))]
    pub llm_config: Option<LlmConfig>,
    /// The voice. None: the first voice of `fallbacks`, or else the local one. Realtime models do not use it.
    #[serde(default)]
    #[garde(dive)]
    pub tts_config: Option<TtsConfig>,
    /// What the agent speaks with and says in other languages, by language code (BCP 47). With `multi` as the language of
    /// `stt_config` it follows the caller into these languages, and without this list into any; otherwise the LLM can
    /// choose one of them. At most 20.
    #[serde(default)]
    #[garde(dive)]
    #[garde(custom(|all: &Option<BTreeMap<String, LanguageConfig>>, (): &()| {
        all.as_ref().map_or(Ok(()), |all| languages::check(all, self.tts_config.as_ref()))
    }))]
    pub languages: Option<BTreeMap<String, LanguageConfig>>,
    /// What to find out about a call when it is over. None: only summary and report.
    #[serde(default)]
    #[garde(dive)]
    pub analysis_plan: Option<AnalysisPlan>,
    /// Providers that take over when the first of a stage fails. None: each request is repeated once.
    #[serde(default)]
    #[garde(dive)]
    #[garde(custom(|fallbacks: &Option<Fallbacks>, (): &()| {
        let mut flows = fallbacks.iter().flat_map(|fallbacks| fallbacks.llm.iter().enumerate());
        flows.try_for_each(|(at, one)| self.check_flow(&format!("llm[{at}].flow"), one.flow.as_ref()))
    }))]
    pub fallbacks: Option<Fallbacks>,
    /// Time zone of the agent, of the IANA database: of dates and times that the LLM is told, and of `{{date}}` and
    /// `{{time}}`. None: UTC.
    #[serde(default)]
    #[schema(example = "Europe/Amsterdam", max_length = 64)]
    #[garde(inner(custom(fits(is_time_zone, "is not a time zone of the IANA database such as Europe/Amsterdam"))))]
    pub time_zone: Option<String>,
    /// Whether the LLM is told date, weekday, time and time zone, the direction of the call and the numbers; true by
    /// default.
    #[serde(default)]
    pub tell_call_facts: Option<bool>,
    /// Any JSON object of yours; it is copied into each call of the agent, except where a task has its own.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

fn yes() -> bool {
    true
}

/// A stored agent: the customer's document and what the server keeps beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Chosen by the server when the agent is created; never changes.
    pub id: AgentId,
    /// The organization that owns the agent.
    pub organization: OrganizationId,
    /// The customer's document, as it was last saved.
    pub fields: AgentFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the agent was created.
    pub created_at: UnixMs,
    /// When the agent was last changed; equals `created_at` until then.
    pub updated_at: UnixMs,
}

fn text() -> impl FnOnce(&str, &()) -> garde::Result {
    let words = format!("must have at most {TEXT_BYTES_MAX} bytes");
    fits(|text: &str| text.len() <= TEXT_BYTES_MAX, words)
}

/// Checks the secret of a resource whose other fields have no rules here.
pub fn check_webhook_secret(secret: Option<&Secret>) -> Result<(), FieldError> {
    let checked = secret.map_or(Ok(()), |secret| webhook_secret::check(secret, &()));
    checked.map_err(|error| FieldError::new("webhook_secret", error.message()))
}

/// An address that a configuration names, and the field that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAddress<'a> {
    /// Path of the field that holds the address, such as `fallbacks.llm[0].base_url`.
    pub field: String,
    /// The address as it was written; not checked yet.
    pub url: &'a str,
    /// A provider's: paths are put together below it.
    pub is_base: bool,
}

impl AgentFields {
    fn dtmf_context(&self) -> DtmfContext {
        let tools = self.llm_config.iter().flat_map(|config| &config.tools).filter(|tool| tool.is_function());
        DtmfContext::new(self.dtmf_rules.as_ref(), tools.map(|tool| tool.function.name.clone()).collect())
    }

    /// Tools and destinations of a flow are those of the agent.
    fn check_flow(&self, place: &str, flow: Option<&Flow>) -> garde::Result {
        let tools = || self.llm_config.iter().flat_map(|config| &config.tools);
        let context = FlowContext {
            tools: tools().filter(|tool| tool.is_function()).map(|tool| tool.function.name.clone()).collect(),
            has_servers: tools().any(|tool| !tool.is_function()),
            destinations: self.transfers().destinations.into_iter().map(|one| one.name).collect(),
        };
        let fault = flow.and_then(|flow| flow.check_in(&context).into_iter().next());
        fault.map_or(Ok(()), |fault| Err(garde::Error::new(format!("{place}.{}: {}", fault.field, fault.message))))
    }

    /// Every address that this server would connect to because the configuration says so.
    pub fn addresses<'a>(&'a self) -> Vec<NamedAddress<'a>> {
        let mut all = Vec::new();
        let mut add = |field: String, url: Option<&'a String>, is_base| {
            all.extend(url.map(|url| NamedAddress { field, url: url.as_str(), is_base }));
        };
        add("webhook_url".to_owned(), self.webhook_url.as_ref(), false);
        add("stt_config.base_url".to_owned(), self.stt_config.as_ref().and_then(|c| c.base_url.as_ref()), true);
        add("llm_config.base_url".to_owned(), self.llm_config.as_ref().and_then(|c| c.base_url.as_ref()), true);
        add("tts_config.base_url".to_owned(), self.tts_config.as_ref().and_then(|c| c.base_url.as_ref()), true);
        if let Some(fallbacks) = &self.fallbacks {
            let place = |stage: &str, index: usize| format!("fallbacks.{stage}[{index}].base_url");
            fallbacks.stt.iter().enumerate().for_each(|(i, c)| add(place("stt", i), c.base_url.as_ref(), true));
            fallbacks.llm.iter().enumerate().for_each(|(i, c)| add(place("llm", i), c.base_url.as_ref(), true));
            fallbacks.tts.iter().enumerate().for_each(|(i, c)| add(place("tts", i), c.base_url.as_ref(), true));
        }
        for (index, tool) in self.llm_config.iter().flat_map(|config| config.tools.iter().enumerate()) {
            add(format!("llm_config.tools[{index}].url"), tool.url.as_ref(), false);
            add(format!("llm_config.tools[{index}].server_url"), tool.server_url.as_ref(), false);
        }
        all
    }

    /// The JSON schemas in a block (`llm_config`, `analysis_plan`), each with the path of its field.
    fn schemas<'a>(&'a self, block: &'a str) -> impl Iterator<Item = (String, &'a Value)> {
        let tools = self.llm_config.iter().flat_map(|config| config.tools.iter().enumerate());
        let of_tools = tools.filter_map(|(index, tool)| {
            Some((format!("llm_config.tools[{index}].function.parameters"), tool.function.parameters.as_ref()?))
        });
        let plan = self.analysis_plan.iter().filter_map(|plan| plan.structured_data_plan.as_ref());
        let all = of_tools.chain(plan.map(|schema| (analysis::SCHEMA_FIELD.to_owned(), schema)));
        all.filter(move |(field, _)| field.starts_with(block))
    }

    /// Compiles the schemas of a block, or of all with an empty name: whether each is a JSON schema within the limits.
    /// Takes milliseconds and more: not for a thread that others wait for.
    pub fn check_schemas(&self, block: &str) -> Result<(), FieldError> {
        let mut budget = SchemaBudget::default();
        self.schemas(block).try_for_each(|(field, schema)| {
            let compiled = CompiledSchema::compile(schema, &mut budget, PatternPolicy::None);
            let names = if field == analysis::SCHEMA_FIELD { PropertyNames::Any } else { PropertyNames::OfArguments };
            match (compiled, find_nonsense(schema, names)) {
                (Err(error), _) => Err(FieldError::new(field, error.to_string())),
                (Ok(_), Some(fault)) => Err(FieldError::new(field, fault)),
                (Ok(_), None) => Ok(()),
            }
        })?;
        if block.is_empty() || block == "llm_config" { self.check_static_parameters(&mut budget) } else { Ok(()) }
    }

    /// Whether the values that tools always send fit the schemas that describe them.
    fn check_static_parameters(&self, budget: &mut SchemaBudget) -> Result<(), FieldError> {
        let tools = self.llm_config.iter().flat_map(|config| config.tools.iter().enumerate());
        let described = tools.filter_map(|(index, tool)| {
            let (request, parameters) = (tool.request.as_ref()?, tool.function.parameters.as_ref()?);
            Some((index, request.described_static(parameters)?))
        });
        for (index, (fixed, schema)) in described {
            let field = || format!("llm_config.tools[{index}].request.static_parameters");
            let compiled = CompiledSchema::compile(&schema, budget, PatternPolicy::None);
            let compiled = compiled.map_err(|error| FieldError::new(field(), error.to_string()))?;
            compiled.check_value(&fixed, 5).map_err(|error| {
                FieldError::new(field(), format!("do not fit function.parameters: {}", error.describe()))
            })?;
        }
        Ok(())
    }

    /// Removes tools and a plan whose schemas are beyond the limits: they were saved before there were any. Reports
    /// the removed parts, and why.
    pub fn leave_out_schemas_beyond_limits(&mut self) -> Vec<FieldError> {
        let mut budget = SchemaBudget::default();
        let mut check = |schema: &Value| CompiledSchema::check(schema, &mut budget, PatternPolicy::SkipBacktracking);
        let refused: Vec<FieldError> = self
            .schemas("")
            .filter_map(|(field, schema)| check(schema).err().map(|error| FieldError::new(field, error.to_string())))
            .collect();
        let is_refused = |field: &str| refused.iter().any(|fault| fault.field == field);
        if let Some(config) = &mut self.llm_config {
            let mut index = 0..;
            config.tools.retain(|_| {
                let place = index.next().unwrap_or_default();
                !is_refused(&format!("llm_config.tools[{place}].function.parameters"))
            });
        }
        if let Some(plan) = self.analysis_plan.as_mut().filter(|_| is_refused(analysis::SCHEMA_FIELD)) {
            plan.structured_data_plan = None;
        }
        refused
    }

    /// Whether there is nothing to leave out.
    pub fn has_no_schemas(&self) -> bool {
        self.schemas("").next().is_none()
    }

    /// Removes everything with a schema: there was no time to check it.
    pub fn leave_out_all_schemas(&mut self) {
        if let Some(config) = &mut self.llm_config {
            config.tools.retain(|tool| tool.function.parameters.is_none());
        }
        if let Some(plan) = &mut self.analysis_plan {
            plan.structured_data_plan = None;
        }
    }

    /// The document as it may be shown: every secret in it is left out, or masked where its name is shown.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        (shown.webhook_secret, shown.previous_webhook_secret) = (None, None);
        if let Some(config) = &mut shown.llm_config {
            for tool in &mut config.tools {
                tool.authorization = None;
                tool.request = tool.request.as_ref().map(ToolRequest::masked);
            }
        }
        shown
    }

    /// The secrets that sign the agent's webhooks.
    pub fn webhook_secrets(&self) -> WebhookSecrets {
        let until = self.webhook_rotation_ends_at.as_deref().and_then(UnixMs::parse);
        let previous = self.previous_webhook_secret.clone().zip(until);
        let previous = previous.map(|(secret, until)| PreviousSecret { secret, until });
        WebhookSecrets { present: self.webhook_secret.clone(), previous }
    }

    /// Returns the transfer settings, or the defaults (no destinations, mode `auto`) where the agent has none.
    pub fn transfers(&self) -> TransferConfig {
        self.transfer_config.clone().unwrap_or_default()
    }

    /// The agents that the LLM can hand calls to.
    pub fn handovers(&self) -> &[HandoverTarget] {
        self.handover_config.as_ref().map_or(&[], |config| &config.agents)
    }

    /// Whether the LLM is a realtime model, which hears and speaks by itself.
    pub fn is_realtime(&self) -> bool {
        self.llm_config.as_ref().is_some_and(|config| config.provider.is_realtime())
    }

    /// Its answers come from rules on this machine: they cost nothing.
    pub fn answers_by_rules(&self) -> bool {
        self.llm_config.as_ref().is_some_and(|config| config.provider == LlmProvider::Local)
    }

    /// `provider/model` of STT, as prices and records have it; `None` for a realtime model, which hears by itself.
    pub fn stt_name(&self) -> Option<String> {
        let named = self.stt_config.as_ref().map(|stt| format!("{}/{}", stt.provider.name(), stt.model));
        (!self.is_realtime()).then(|| named.unwrap_or_else(|| DEFAULT_STT.to_owned()))
    }

    /// Returns the settings of turn taking, or the defaults where the agent has none.
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
