//! STT, model and voice of an agent, as the customer writes them.

use super::flow::Flow;
use super::keyterms;
use super::llm_options::{
    ANSWER_TOKENS, ExtraBody, LlmOptions, ReasoningEffort, STOP_MAX, STOP_WORDS, effort_of, is_stop, of_text_models,
    of_text_models_list, unset_for_realtime,
};
use super::local_stt;
use super::local_voice;
pub use super::provider::{LlmProvider, SttProvider, TtsProvider};
use super::rules::{
    at_most, before, between, chars, filled, fits, is_header_value, is_http_url, secret_chars, secret_fits,
};
use super::secret::{Secret, exposed};
use super::template::{self, TemplateUse};
use super::tool_limits::{DESCRIPTION_CHARS_MAX, OFFERS_MAX, is_tool_name};
use super::tool_progress::ToolProgress;
use super::tool_request::{RequestUse, ToolRequest};
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Tools of an agent. Vendors take 128 functions; each costs a comparison with all before it.
pub const TOOLS_MAX: usize = OFFERS_MAX;

/// Milliseconds that a tool may be given.
pub const TOOL_TIMEOUT_MS: RangeInclusive<u64> = 1..=120_000;

const ROLES: [&str; 3] = ["system", "user", "assistant"];
const DESCRIBED_BY_SERVER: &str = "must not be set: a server describes its functions itself";

/// Which speech to text an agent uses; `stt_config` of an agent, and an entry of `fallbacks.stt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct SttConfig {
    /// The provider of speech to text.
    pub provider: SttProvider,
    /// The provider's name of the model, such as `nova-3-general`; must not be empty.
    #[schema(max_length = 200)]
    #[garde(custom(filled()))]
    #[garde(custom(chars(200)), custom(local_stt::model(self.provider)))]
    pub model: String,
    /// Language of the caller as the provider writes it, such as `en` or `multi`; must not be empty.
    #[schema(max_length = 35)]
    #[garde(custom(filled()))]
    #[garde(custom(chars(35)), custom(local_stt::language(self.provider)))]
    pub language: String,
    /// Words that the caller is likely to say, such as names and products; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    #[garde(custom(at_most(100)))]
    #[garde(custom(keyterms::rule(self.provider, &self.model, self.base_url.is_some())))]
    pub keyterms: Vec<String>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(address())))]
    #[garde(inner(custom(chars(2_048)), custom(local_stt::base_url(self.provider))))]
    pub base_url: Option<String>,
}

/// Which language model an agent uses and with what; `llm_config` of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    /// The provider of the model; a realtime model hears and speaks by itself, and `local` is no model: it answers by
    /// the rules of `flow`.
    pub provider: LlmProvider,
    /// The provider's name of the model, such as `gpt-4o-mini`; must not be empty, except for `local`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 200)]
    #[garde(custom(names_model(self.provider)))]
    #[garde(custom(chars(200)))]
    pub model: String,
    /// Of `local`: the dialogue by rules. Other providers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(of_rules(self.provider)), dive)]
    pub flow: Option<Flow>,
    /// Randomness of the answers, 0 to 2. None: 0.7 where the model accepts it. Anthropic takes 1 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    #[garde(inner(custom(between(0.0..=2.0))))]
    pub temperature: Option<f64>,
    /// Most tokens of an answer, thoughts included, 1 to 32,768. An answer that is cut there ends with its last whole
    /// sentence. None: the vendor's limit; 1,024 for Anthropic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 32_768)]
    #[garde(inner(custom(between(ANSWER_TOKENS)), custom(of_text_models(self.provider))))]
    pub max_tokens: Option<u32>,
    /// Share of the likeliest tokens that the model chooses from, 0 to 1. None: the vendor's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0)), custom(of_text_models(self.provider))))]
    pub top_p: Option<f64>,
    /// Texts that end an answer; they are not said. At most four of 100 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 4)]
    #[garde(custom(at_most(STOP_MAX)), custom(of_text_models_list(self.provider)), inner(custom(fits(is_stop, STOP_WORDS))))]
    pub stop: Vec<String>,
    /// How much the model thinks before it answers: `none`, `minimal`, `default`, `low`, `medium`, `high`, `xhigh`,
    /// `max`, as far as the provider documents them. None: as little as the model can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(effort_of(self.provider, self.base_url.is_some())), custom(of_text_models(self.provider))))]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Further parameters of the vendor's API, put into the request as they are: 8,192 bytes and eight levels at most.
    /// It must not have what the server writes itself (`model`, `messages`, `stream`, `tools`, keys) or what is a
    /// setting beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    #[garde(dive, custom(unset_for_realtime(self.provider)))]
    pub extra_body: Option<ExtraBody>,
    /// Messages after `system_prompt` and before the conversation, such as examples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(dive)]
    pub messages: Vec<PromptMessage>,
    /// Functions of yours and tool servers that the model may use; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(custom(at_most(TOOLS_MAX)), dive(self.tools))]
    pub tools: Vec<Tool>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(address())))]
    #[garde(inner(custom(chars(2_048))))]
    pub base_url: Option<String>,
    /// Voice of a realtime model; text models are spoken by `tts_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(fits(|_: &str| self.provider.is_realtime(), "is only for realtime models"))))]
    #[garde(inner(custom(chars(200))))]
    pub voice: Option<String>,
}

/// A model has a name; rules have none.
pub(super) fn names_model(provider: LlmProvider) -> impl FnOnce(&str, &()) -> garde::Result {
    fits(move |model: &str| provider.is_rules() || !model.trim().is_empty(), "must not be empty")
}

/// Rules need a flow, and a model takes none.
pub(super) fn of_rules(provider: LlmProvider) -> impl FnOnce(&Option<Flow>, &()) -> garde::Result {
    let words = if provider.is_rules() { "must be set for local" } else { "is only for local" };
    fits(move |flow: &Option<Flow>| flow.is_some() == provider.is_rules(), words)
}

impl LlmConfig {
    /// What goes into the requests of the model.
    pub fn options(&self) -> LlmOptions {
        LlmOptions {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            top_p: self.top_p,
            stop: self.stop.clone(),
            reasoning_effort: self.reasoning_effort,
            extra_body: self.extra_body.clone().unwrap_or_default(),
        }
    }
}

/// A message that the model gets before the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct PromptMessage {
    /// Who speaks: `system`, `user` or `assistant`.
    #[garde(custom(fits(|role: &str| ROLES.contains(&role), "must be one of system, user, assistant")))]
    pub role: String,
    /// What is said.
    #[garde(custom(template::rule(TemplateUse::Text)))]
    #[garde(custom(fits(|content: &str| !content.trim().is_empty(), "must not be empty")))]
    pub content: String,
}

/// A function tool in OpenAI's shape with our extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(Vec<Tool> as tools))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `function`, or `mcp` for a server that offers tools itself (Model Context Protocol, streamable HTTP).
    #[serde(default = "function_type")]
    #[garde(custom(fits(|_: &str| self.is_function() || self.is_server(), "must be one of function, mcp")))]
    pub r#type: String,
    /// Of `function`.
    #[serde(default, skip_serializing_if = "ToolFunction::is_none")]
    #[garde(if(cond = self.is_server(), custom(fits(|_: &_| !self.names_function(), DESCRIBED_BY_SERVER))))]
    #[garde(dive(self.function_use(tools)))]
    pub function: ToolFunction,
    /// Of `mcp`: where the server is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(if(cond = self.is_server(), custom(fits(is_place, "must be an http or https URL"))))]
    #[garde(if(cond = self.is_function(), custom(fits(|_: &_| !self.names_server(), "is only for tools of type mcp"))))]
    #[garde(inner(custom(chars(2_048))))]
    #[garde(inner(custom(template::rule(TemplateUse::Url))))]
    pub server_url: Option<String>,
    /// Of `mcp`: sent as `Authorization`; never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(write_only, value_type = Option<String>, max_length = 4_096)]
    #[garde(inner(custom(secret_fits(is_header_value, "must be the value of a header"))))]
    #[garde(inner(custom(secret_chars(4_096))))]
    #[garde(inner(custom(header_template)))]
    pub authorization: Option<Secret>,
    /// Of `mcp`: which of its tools the model may use; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// For `function`: where calls of this tool are posted; `{{name}}` in path and query is filled in, and with `request`
    /// also `{name}`, by the argument of that name. None: `tool-calls` below the agent's `webhook_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2_048)]
    #[garde(inner(custom(chars(2_048))))]
    #[garde(inner(custom(template::rule(TemplateUse::Url))))]
    #[garde(inner(if(cond = self.request.is_some(), custom(url_template))))]
    pub url: Option<String>,
    /// For `function`: method, body, headers, credentials and the use of the answer. None: the message `tool-calls` is
    /// posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(dive(&self.request_use()))]
    pub request: Option<ToolRequest>,
    /// Whether the conversation goes on without the result; false by default.
    #[serde(rename = "async", default, skip_serializing_if = "Option::is_none")]
    pub is_async: Option<bool>,
    /// Milliseconds to wait for the result, with all attempts: 1 to 120,000; 10,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(between(TOOL_TIMEOUT_MS))))]
    pub timeout_ms: Option<u64>,
    /// When a call that the agent announces starts: once the announcement was heard, so that a caller who interrupts it
    /// stops it, or at once, for tools without side effects. `after_announcement` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ToolStart>,
    /// Said to the caller as soon as the tool works. None: only what `progress` and the general `fillers` of
    /// `silence_config` say later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(template::said())))]
    pub filler: Option<String>,
    /// What callers hear when the tool takes long. None: as `fillers` and `default_fillers` of `silence_config` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(if(cond = self.is_server(), custom(fits(Option::is_none, "is only for tools of type function"))))]
    #[garde(dive(&()))]
    pub progress: Option<ToolProgress>,
}

/// When a tool call starts whose answer has words before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolStart {
    /// When the model has decided on it.
    AtOnce,
    /// When the words before it were heard.
    AfterAnnouncement,
}

/// Name, purpose and arguments of a function, in OpenAI's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(FunctionUse as used))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct ToolFunction {
    /// What the model calls it: 1 to 64 letters, digits, `_` and `-`. Each name may occur once.
    #[garde(if(cond = used.is_function, custom(fits(is_tool_name, "must have 1 to 64 letters, digits, _ or -"))))]
    #[garde(custom(fits(|_: &str| !used.is_name_taken, "must not be used twice")))]
    pub name: String,
    /// What the function does and when to use it, for the model; at most 1,024 characters, which is what vendors take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_024)]
    #[garde(inner(custom(chars(DESCRIPTION_CHARS_MAX)), custom(template::rule(TemplateUse::Text))))]
    pub description: Option<String>,
    /// JSON schema of the arguments; its type must be `object`. None: any arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    #[garde(inner(if(cond = used.is_function, custom(fits(describes_object, "must be the JSON schema of an object")))))]
    pub parameters: Option<Value>,
    /// Whether the provider keeps the arguments to the schema (OpenAI, Anthropic); false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// How a tool uses the function in it.
#[derive(Debug)]
pub struct FunctionUse {
    /// The tool is a function; a server leaves it at its default.
    is_function: bool,
    /// A function before it has the same name.
    is_name_taken: bool,
}

impl ToolFunction {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Tool {
    /// Returns true for a function of the customer's, false for a tool server (MCP).
    pub fn is_function(&self) -> bool {
        self.r#type == "function"
    }

    fn is_server(&self) -> bool {
        self.r#type == "mcp"
    }

    /// Where its tools come from, if it is a server.
    pub fn server(&self) -> Option<&str> {
        self.server_url.as_deref().filter(|_| self.is_server())
    }

    fn names_server(&self) -> bool {
        self.server_url.is_some() || self.authorization.is_some() || self.allowed_tools.is_some()
    }

    fn names_function(&self) -> bool {
        !self.function.is_none() || self.url.is_some()
    }

    fn request_use(&self) -> RequestUse {
        RequestUse::new(self.is_function(), self.url.as_deref(), self.function.parameters.as_ref())
    }

    fn function_use(&self, tools: &[Tool]) -> FunctionUse {
        let is_function = self.is_function();
        let mut taken = before(tools, self).filter(|tool| tool.is_function()).map(|tool| &tool.function.name);
        FunctionUse { is_function, is_name_taken: is_function && taken.any(|name| *name == self.function.name) }
    }
}

/// The text of a secret may have variables; the error does not repeat it.
fn header_template<C>(secret: &Secret, context: &C) -> garde::Result {
    template::rule(TemplateUse::Header)(secret.expose(), context)
}

fn url_template<C>(url: &str, _: &C) -> garde::Result {
    let read = template::url_parts(url).map(drop);
    read.map_err(|error| garde::Error::new(format!("is not a valid template: {error}")))
}

fn is_place(url: &Option<String>) -> bool {
    url.as_deref().is_some_and(is_http_url)
}

fn describes_object(schema: &Value) -> bool {
    schema.is_object() && schema.get("type").is_none_or(|kind| kind == "object")
}

fn function_type() -> String {
    "function".to_owned()
}

/// Who writes numbers, dates, amounts and abbreviations out as they are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextNormalization {
    /// The voice, where its vendor documents that it does; else the server.
    #[default]
    Auto,
    /// The server: the voice gets words.
    Ours,
    /// The voice: it gets the text without markup.
    Vendor,
}

/// Which voice an agent speaks with; `tts_config` of an agent, and an entry of `fallbacks.tts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TtsConfig {
    /// The provider of the voice; `local` is a program on the server and needs no key.
    pub provider: TtsProvider,
    /// The provider's name or id of the voice; must not be empty.
    #[schema(max_length = 200)]
    #[garde(custom(filled()))]
    #[garde(custom(chars(200)), custom(local_voice::voice_id(self.provider)))]
    pub voice_id: String,
    /// Language of the speech, such as `en`; must not be empty.
    #[schema(max_length = 35)]
    #[garde(custom(filled()))]
    #[garde(custom(chars(35)))]
    pub language: String,
    /// The provider's name of the model. None: `eleven_flash_v2_5`, `sonic-3.5` or `gpt-4o-mini-tts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(chars(200))))]
    pub model: Option<String>,
    /// Who writes numbers, dates and amounts out: `ours` (the server), `vendor` (the voice), or `auto`, the default: the
    /// voice, where its vendor documents that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_normalization: Option<TextNormalization>,
    /// Speed of the speech, 0.5 to 2; 1 is normal. ElevenLabs takes 0.7 to 1.2, Cartesia 0.6 to 1.5; other values are
    /// cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.5, maximum = 2)]
    #[garde(inner(custom(between(0.5..=2.0))))]
    pub speed: Option<f64>,
    /// ElevenLabs: how even the voice is, 0 to 1. None: as `voice_settings` says, or the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub stability: Option<f64>,
    /// ElevenLabs: how close to the original voice, 0 to 1. None: as `voice_settings` says, or the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub similarity_boost: Option<f64>,
    /// ElevenLabs: whether to raise likeness, which is slower. None: as `voice_settings` says, or the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(address())))]
    #[garde(inner(custom(chars(2_048))))]
    pub base_url: Option<String>,
}

impl TtsConfig {
    /// A voice of this machine, as it speaks by itself.
    pub fn local(voice_id: String, language: String) -> Self {
        Self {
            provider: TtsProvider::Local,
            voice_id,
            language,
            model: None,
            text_normalization: None,
            speed: None,
            stability: None,
            similarity_boost: None,
            use_speaker_boost: None,
            base_url: None,
        }
    }
}

/// ElevenLabs' `voice_settings`; `tts_config` wins field by field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct VoiceSettings {
    /// How even the voice is, 0 (lively) to 1 (monotonous). None: the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub stability: Option<f64>,
    /// How close the speech is to the original voice, 0 to 1. None: the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub similarity_boost: Option<f64>,
    /// How much the speaker's style is exaggerated, 0 to 1. None: the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub style: Option<f64>,
    /// Whether to raise likeness to the original voice, which takes longer. None: the voice's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
    /// Speed of the speech, 0.5 to 2; 1 is normal. ElevenLabs takes 0.7 to 1.2, Cartesia 0.6 to 1.5; other values are
    /// cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.5, maximum = 2)]
    #[garde(inner(custom(between(0.5..=2.0))))]
    pub speed: Option<f64>,
}

/// Paths are put together below it: nothing in it may end the path.
fn is_bare(url: &url::Url) -> bool {
    url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
}

/// A provider's address. Code that knows the server's settings decides about http and ws.
pub(super) fn address() -> impl FnOnce(&str, &()) -> garde::Result {
    let is_address = |text: &str| is_http_url(text) && url::Url::parse(text).is_ok_and(|url| is_bare(&url));
    fits(is_address, "must be an http or https URL without a query, a fragment or a user name")
}
