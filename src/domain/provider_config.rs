//! STT, model and voice of an agent, as the customer writes them.

use super::FieldError;
pub use super::provider::{LlmProvider, SttProvider, TtsProvider};
use super::secret::{Secret, exposed};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Tools of an agent. Vendors take 128 functions; each costs a comparison with all before it.
pub const TOOLS_MAX: usize = 128;

/// Which speech to text an agent uses; `stt_config` of an agent, and an entry of `fallbacks.stt`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SttConfig {
    /// The provider of speech to text.
    pub provider: SttProvider,
    /// The provider's name of the model, such as `nova-3-general`; must not be empty.
    pub model: String,
    /// Language of the caller as the provider writes it, such as `en` or `multi`; must not be empty.
    pub language: String,
    /// Words that the caller is likely to say, such as names and products; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyterms: Vec<String>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub base_url: Option<String>,
}

/// Which language model an agent uses and with what; `llm_config` of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    /// The provider of the model; a realtime model hears and speaks by itself.
    pub provider: LlmProvider,
    /// The provider's name of the model, such as `gpt-4o-mini`; must not be empty.
    pub model: String,
    /// Randomness of the answers, 0 to 2. None: 0.7 where the model accepts it. Anthropic takes 1 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Messages after `system_prompt` and before the conversation, such as examples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<PromptMessage>,
    /// Functions of yours and tool servers that the model may use; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub base_url: Option<String>,
    /// Voice of a realtime model; text models are spoken by `tts_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
}

/// A message that the model gets before the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptMessage {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// A function tool in OpenAI's shape with our extensions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `function`, or `mcp` for a server that offers tools itself (Model Context Protocol, streamable HTTP).
    #[serde(rename = "type", default = "function_type")]
    pub kind: String,
    /// Of `function`.
    #[serde(default, skip_serializing_if = "ToolFunction::is_none")]
    pub function: ToolFunction,
    /// Of `mcp`: where the server is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub server_url: Option<String>,
    /// Of `mcp`: sent as `Authorization`; never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(write_only, value_type = Option<String>)]
    pub authorization: Option<Secret>,
    /// Of `mcp`: which of its tools the model may use; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// For `function`: where calls of this tool are posted. None: `tool-calls` below the agent's `webhook_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the conversation goes on without the result; false by default.
    #[serde(rename = "async", default, skip_serializing_if = "Option::is_none")]
    pub is_async: Option<bool>,
    /// Milliseconds to wait for the result, 1 to 10,000; 10,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Said to the caller while the tool works. None: only the general `fillers` of `silence_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filler: Option<String>,
}

/// Name, purpose and arguments of a function, in OpenAI's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolFunction {
    /// What the model calls it: 1 to 64 letters, digits, `_` and `-`. Each name may occur once.
    pub name: String,
    /// What the function does and when to use it, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of the arguments; its type must be `object`. None: any arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Whether the provider keeps the arguments to the schema (OpenAI, Anthropic); false by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl ToolFunction {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Tool {
    /// Returns true for a function of the customer's, false for a tool server (MCP).
    pub fn is_function(&self) -> bool {
        self.kind == "function"
    }

    /// Where its tools come from, if it is a server.
    pub fn server(&self) -> Option<&str> {
        self.server_url.as_deref().filter(|_| self.kind == "mcp")
    }

    fn validate(&self, field: &dyn Fn(&str) -> String) -> Result<(), FieldError> {
        if self.timeout_ms.is_some_and(|ms| !(1..=10_000).contains(&ms)) {
            return Err(FieldError::new(field("timeout_ms"), "must be between 1 and 10000"));
        }
        match self.kind.as_str() {
            "function" => self.validate_function(field),
            "mcp" => {
                let usable =
                    |text: &str| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
                if !self.server_url.as_deref().is_some_and(usable) {
                    return Err(FieldError::new(field("server_url"), "must be an http or https URL"));
                }
                if self
                    .authorization
                    .as_ref()
                    .map(Secret::expose)
                    .is_some_and(|text| text.is_empty() || !text.bytes().all(|b| (0x20..0x7f).contains(&b)))
                {
                    return Err(FieldError::new(field("authorization"), "must be the value of a header"));
                }
                if !self.function.is_none() || self.url.is_some() {
                    return Err(FieldError::new(
                        field("function"),
                        "must not be set: a server describes its functions itself",
                    ));
                }
                Ok(())
            }
            _ => Err(FieldError::new(field("type"), "must be one of function, mcp")),
        }
    }

    fn validate_function(&self, field: &dyn Fn(&str) -> String) -> Result<(), FieldError> {
        let name = &self.function.name;
        let ok =
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if !ok {
            let message = "must have 1 to 64 letters, digits, _ or -";
            return Err(FieldError::new(field("function.name"), message));
        }
        if self.server_url.is_some() || self.authorization.is_some() || self.allowed_tools.is_some() {
            return Err(FieldError::new(field("server_url"), "is only for tools of type mcp"));
        }
        if let Some(schema) = &self.function.parameters
            && (schema.get("type").is_some_and(|kind| kind != "object") || !schema.is_object())
        {
            return Err(FieldError::new(field("function.parameters"), "must be the JSON schema of an object"));
        }
        Ok(())
    }
}

fn function_type() -> String {
    "function".to_owned()
}

/// Which voice an agent speaks with; `tts_config` of an agent, and an entry of `fallbacks.tts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TtsConfig {
    /// The provider of the voice; `local` is a program on the server and needs no key.
    pub provider: TtsProvider,
    /// The provider's name or id of the voice; must not be empty.
    pub voice_id: String,
    /// Language of the speech, such as `en`; must not be empty.
    pub language: String,
    /// The provider's name of the model. None: `eleven_flash_v2_5`, `sonic-3.5` or `gpt-4o-mini-tts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Speed of the speech, 0.5 to 2; 1 is normal. ElevenLabs takes 0.7 to 1.2, Cartesia 0.6 to 1.5; other values are
    /// cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.5, maximum = 2)]
    pub speed: Option<f64>,
    /// ElevenLabs: how even the voice is, 0 to 1. None: as `voice_settings` says, or the voice's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub stability: Option<f64>,
    /// ElevenLabs: how close to the original voice, 0 to 1. None: as `voice_settings` says, or the voice's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub similarity_boost: Option<f64>,
    /// ElevenLabs: whether likeness is raised, which takes longer. None: as `voice_settings` says, or the voice's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub base_url: Option<String>,
}

/// ElevenLabs' `voice_settings`; `tts_config` wins field by field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoiceSettings {
    /// How even the voice is, 0 (lively) to 1 (monotonous). None: the voice's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub stability: Option<f64>,
    /// How close the speech is to the original voice, 0 to 1. None: the voice's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub similarity_boost: Option<f64>,
    /// How much the speaker's style is exaggerated, 0 to 1. None: the voice's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub style: Option<f64>,
    /// Whether likeness to the original voice is raised, which takes longer. None: the voice's own value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
    /// Speed of the speech, 0.5 to 2; 1 is normal. ElevenLabs takes 0.7 to 1.2, Cartesia 0.6 to 1.5; other values are
    /// cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.5, maximum = 2)]
    pub speed: Option<f64>,
}

fn unit(field: &str, value: Option<f64>, low: f64, high: f64) -> Result<(), FieldError> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(FieldError::new(field, format!("must be between {low} and {high}")))
        }
        _ => Ok(()),
    }
}

fn filled(field: &str, value: &str) -> Result<(), FieldError> {
    if value.trim().is_empty() { Err(FieldError::new(field, "must not be empty")) } else { Ok(()) }
}

/// Paths are put together below it: nothing in it may end the path.
fn is_bare(url: &url::Url) -> bool {
    url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
}

/// http and ws are judged where the server's own settings are known.
fn address(field: &str, url: Option<&str>) -> Result<(), FieldError> {
    match url.map(url::Url::parse) {
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") && is_bare(&url) => Ok(()),
        None => Ok(()),
        _ => Err(FieldError::new(field, "must be an http or https URL without a query, a fragment or a user name")),
    }
}

impl SttConfig {
    /// Checks that model and language are there, `keyterms` and `base_url`; the error names the first wrong field.
    pub fn validate(&self) -> Result<(), FieldError> {
        filled("stt_config.model", &self.model)?;
        filled("stt_config.language", &self.language)?;
        if self.keyterms.len() > 100 {
            return Err(FieldError::new("stt_config.keyterms", "must have at most 100 entries"));
        }
        address("stt_config.base_url", self.base_url.as_deref())
    }
}

impl LlmConfig {
    /// Checks everything but the schemas of the tools; the error names the first wrong field.
    pub fn validate(&self) -> Result<(), FieldError> {
        filled("llm_config.model", &self.model)?;
        unit("llm_config.temperature", self.temperature, 0.0, 2.0)?;
        address("llm_config.base_url", self.base_url.as_deref())?;
        if self.voice.is_some() && !self.provider.is_realtime() {
            return Err(FieldError::new("llm_config.voice", "is only for realtime models"));
        }
        for (index, message) in self.messages.iter().enumerate() {
            if !matches!(message.role.as_str(), "system" | "user" | "assistant") {
                let field = format!("llm_config.messages[{index}].role");
                return Err(FieldError::new(field, "must be one of system, user, assistant"));
            }
        }
        if self.tools.len() > TOOLS_MAX {
            return Err(FieldError::new("llm_config.tools", format!("must have at most {TOOLS_MAX} entries")));
        }
        for (index, tool) in self.tools.iter().enumerate() {
            let field = |name: &str| format!("llm_config.tools[{index}].{name}");
            tool.validate(&field)?;
            let twice = |earlier: &Tool| earlier.is_function() && earlier.function.name == tool.function.name;
            if tool.is_function() && self.tools[..index].iter().any(twice) {
                return Err(FieldError::new(field("function.name"), "must not be used twice"));
            }
        }
        Ok(())
    }
}

impl TtsConfig {
    /// Checks that voice and language are there, `base_url` and the ranges; the error names the first wrong field.
    pub fn validate(&self) -> Result<(), FieldError> {
        filled("tts_config.voice_id", &self.voice_id)?;
        filled("tts_config.language", &self.language)?;
        address("tts_config.base_url", self.base_url.as_deref())?;
        unit("tts_config.speed", self.speed, 0.5, 2.0)?;
        unit("tts_config.stability", self.stability, 0.0, 1.0)?;
        unit("tts_config.similarity_boost", self.similarity_boost, 0.0, 1.0)
    }
}

impl VoiceSettings {
    /// Checks the ranges; the error names the first field that is out of its range.
    pub fn validate(&self) -> Result<(), FieldError> {
        unit("voice_settings.stability", self.stability, 0.0, 1.0)?;
        unit("voice_settings.similarity_boost", self.similarity_boost, 0.0, 1.0)?;
        unit("voice_settings.style", self.style, 0.0, 1.0)?;
        unit("voice_settings.speed", self.speed, 0.5, 2.0)
    }
}
