//! STT, model and voice of an agent, as the customer writes them.

use super::FieldError;
pub use super::provider::{LlmProvider, SttProvider, TtsProvider};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Tools of an agent. Vendors take 128 functions; each costs a comparison with all before it.
pub const TOOLS_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SttConfig {
    pub provider: SttProvider,
    pub model: String,
    pub language: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyterms: Vec<String>,
    /// A server of the customer's that speaks the provider's protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub base_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    pub provider: LlmProvider,
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<PromptMessage>,
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptMessage {
    pub role: String,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub authorization: Option<String>,
    /// Of `mcp`: which of its tools the model may use; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(rename = "async", default, skip_serializing_if = "Option::is_none")]
    pub is_async: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filler: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolFunction {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl ToolFunction {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Tool {
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
                    .is_some_and(|text| text.is_empty() || !text.bytes().all(|b| (0x20..0x7f).contains(&b)))
                {
                    return Err(FieldError::new(field("authorization"), "must be the value of a header"));
                }
                if !self.function.is_none() || self.url.is_some() {
                    return Err(FieldError::new(field("function"), "a server describes its functions itself"));
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
            let message = "a function tool has a name of 1 to 64 letters, digits, _ and -";
            return Err(FieldError::new(field("function.name"), message));
        }
        if self.server_url.is_some() || self.authorization.is_some() || self.allowed_tools.is_some() {
            return Err(FieldError::new(field("server_url"), "belongs to tools of type mcp"));
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TtsConfig {
    pub provider: TtsProvider,
    pub voice_id: String,
    pub language: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.5, maximum = 2)]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub stability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub similarity_boost: Option<f64>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub stability: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub similarity_boost: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub style: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_speaker_boost: Option<bool>,
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
    pub fn validate(&self) -> Result<(), FieldError> {
        filled("stt_config.model", &self.model)?;
        filled("stt_config.language", &self.language)?;
        if self.keyterms.len() > 100 {
            return Err(FieldError::new("stt_config.keyterms", "at most 100"));
        }
        address("stt_config.base_url", self.base_url.as_deref())
    }
}

impl LlmConfig {
    pub fn validate(&self) -> Result<(), FieldError> {
        filled("llm_config.model", &self.model)?;
        unit("llm_config.temperature", self.temperature, 0.0, 2.0)?;
        address("llm_config.base_url", self.base_url.as_deref())?;
        if self.voice.is_some() && !self.provider.is_realtime() {
            return Err(FieldError::new("llm_config.voice", "only a realtime model has a voice of its own"));
        }
        for (index, message) in self.messages.iter().enumerate() {
            if !matches!(message.role.as_str(), "system" | "user" | "assistant") {
                let field = format!("llm_config.messages[{index}].role");
                return Err(FieldError::new(field, "must be one of system, user, assistant"));
            }
        }
        if self.tools.len() > TOOLS_MAX {
            return Err(FieldError::new("llm_config.tools", format!("must not be more than {TOOLS_MAX}")));
        }
        for (index, tool) in self.tools.iter().enumerate() {
            let field = |name: &str| format!("llm_config.tools[{index}].{name}");
            tool.validate(&field)?;
            let twice = |earlier: &Tool| earlier.is_function() && earlier.function.name == tool.function.name;
            if tool.is_function() && self.tools[..index].iter().any(twice) {
                return Err(FieldError::new(field("function.name"), "is there twice"));
            }
        }
        Ok(())
    }
}

impl TtsConfig {
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
    pub fn validate(&self) -> Result<(), FieldError> {
        unit("voice_settings.stability", self.stability, 0.0, 1.0)?;
        unit("voice_settings.similarity_boost", self.similarity_boost, 0.0, 1.0)?;
        unit("voice_settings.style", self.style, 0.0, 1.0)?;
        unit("voice_settings.speed", self.speed, 0.5, 2.0)
    }
}
