//! `request` of a function tool: how the customer's server is asked, with which credentials, and what of its answer is
//! used.

mod json_path;
mod rules;

use super::secret::{Secret, exposed};
pub use json_path::JsonPath;
pub use rules::RequestUse;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Stands for a secret in what the API shows; sent back, it keeps the stored one.
pub const MASK: &str = "********";

/// The method of a tool's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Arguments go to the query.
    Get,
    /// Arguments go to the body. The default.
    #[default]
    Post,
    /// Arguments go to the body.
    Put,
    /// Arguments go to the body.
    Patch,
    /// Arguments go to the query.
    Delete,
}

impl HttpMethod {
    /// As HTTP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the request has a body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }

    /// Whether doing it twice is the same as doing it once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// What the body of a tool's request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// The JSON message `tool-calls`, with the call and the arguments. The default.
    #[default]
    Message,
    /// A JSON object of the arguments.
    Json,
    /// The arguments as `application/x-www-form-urlencoded`.
    Form,
}

/// Credentials that a tool's request carries. Answers of the API show `********` for the secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ToolAuth {
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token, or `{{secrets.NAME}}`.
        #[serde(serialize_with = "exposed")]
        #[schema(value_type = String, max_length = 4_096)]
        token: Secret,
    },
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user name, without a colon.
        #[schema(max_length = 200)]
        username: String,
        /// The password, or `{{secrets.NAME}}`.
        #[serde(serialize_with = "exposed")]
        #[schema(value_type = String, max_length = 4_096)]
        password: Secret,
    },
    /// A header of its own, such as `X-Api-Key`.
    Header {
        /// The name of the header.
        #[schema(max_length = 100)]
        name: String,
        /// Its value, or `{{secrets.NAME}}`.
        #[serde(serialize_with = "exposed")]
        #[schema(value_type = String, max_length = 4_096)]
        value: Secret,
    },
}

impl ToolAuth {
    /// Name of the field that holds the secret.
    pub fn secret_field(&self) -> &'static str {
        match self {
            Self::Bearer { .. } => "token",
            Self::Basic { .. } => "password",
            Self::Header { .. } => "value",
        }
    }

    /// The secret itself, as it was written.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Bearer { token: secret }
            | Self::Basic { password: secret, .. }
            | Self::Header { value: secret, .. } => secret,
        }
    }

    fn masked(&self) -> Self {
        match self {
            Self::Bearer { .. } => Self::Bearer { token: MASK.into() },
            Self::Basic { username, .. } => Self::Basic { username: username.clone(), password: MASK.into() },
            Self::Header { name, .. } => Self::Header { name: name.clone(), value: MASK.into() },
        }
    }
}

/// What of a JSON answer is used. Paths are JSON pointers (`/data/status`) or dotted (`data.items[0].status`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseMapping {
    /// What the model reads: names, and where the values stand in the answer. Empty: the whole answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Variables of the call that the answer sets: names, and where the values stand. Later tools and the prompt have
    /// them as `{{name}}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// When a request is repeated: after errors of the connection and the statuses 429 and 5xx, within the tool's
/// `timeout_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolRetry {
    /// Repetitions after the first attempt.
    #[schema(minimum = 0, maximum = 5)]
    pub count: u32,
    /// Milliseconds before the first repetition; each further one waits twice as long. `Retry-After` of the answer may
    /// make it longer.
    #[schema(minimum = 100, maximum = 10_000)]
    pub delay_ms: u64,
    /// Whether POST and PATCH are repeated too: your server knows a repeated request by its `Idempotency-Key`.
    pub post: bool,
}

impl Default for ToolRetry {
    fn default() -> Self {
        Self { count: 0, delay_ms: 500, post: false }
    }
}

impl ToolRetry {
    /// Repetitions that a request with this method may have.
    pub fn count(&self, method: HttpMethod) -> u32 {
        if method.is_idempotent() || self.post { self.count } else { 0 }
    }

    /// How long to wait before a repetition, counted from 0. `retry_after` is what the server has asked for.
    pub fn delay(&self, repetition: u32, retry_after: Option<Duration>) -> Duration {
        let own = Duration::from_millis(self.delay_ms.saturating_mul(1 << repetition.min(10)));
        retry_after.map_or(own, |asked| asked.max(own))
    }
}

/// How a function tool is asked, where a POST of the message `tool-calls` is not what the server wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolRequest {
    /// The method; `POST` by default. `GET` and `DELETE` carry the arguments in the query, the others in the body.
    #[serde(default)]
    pub method: HttpMethod,
    /// What the body is; `message` by default.
    #[serde(default)]
    pub body_format: BodyFormat,
    /// Headers, by name. `{{name}}` and `{{secrets.NAME}}` are filled in. At most 30.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Arguments that go to the query although there is a body. At most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub query_parameters: Vec<String>,
    /// Arguments that are always sent. The model does not see them, and they replace what it says. At most 50.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub static_parameters: Map<String, Value>,
    /// Credentials. None: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ToolAuth>,
    /// Secrets that headers and `auth` name as `{{secrets.NAME}}`. Answers of the API show `********` for each. A PATCH
    /// that leaves one out keeps it; `null` removes it. At most 20.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "exposed_map")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub secrets: BTreeMap<String, Secret>,
    /// What of the answer is used. None: the whole answer goes to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseMapping>,
    /// When the request is repeated. None: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<ToolRetry>,
}

impl ToolRequest {
    /// Whether it carries a secret of the tool.
    pub fn has_secret(&self) -> bool {
        self.auth.is_some() || !self.secrets.is_empty()
    }

    /// The request as it may be shown: every secret in it is masked.
    #[must_use]
    pub fn masked(&self) -> Self {
        let secrets = self.secrets.keys().map(|name| (name.clone(), Secret::from(MASK))).collect();
        Self { auth: self.auth.as_ref().map(ToolAuth::masked), secrets, ..self.clone() }
    }

    /// Names of the variables that its answers set.
    pub fn variables(&self) -> impl Iterator<Item = &String> {
        self.response.iter().flat_map(|response| response.variables.keys())
    }

    /// Removes the arguments that are always sent from the schema that the model sees.
    pub fn hide_static(&self, parameters: &mut Value) {
        if let Some(properties) = parameters.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !self.static_parameters.contains_key(name));
        }
        if let Some(required) = parameters.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name.as_str().is_none_or(|name| !self.static_parameters.contains_key(name)));
        }
    }

    /// Lets a schema without them take any value for the arguments that are always sent.
    pub fn take_any_static(&self, parameters: &mut Value) {
        if let Some(properties) = parameters.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(self.static_parameters.keys().map(|name| (name.clone(), Value::Object(Map::new()))));
        }
    }

    /// The fixed values that the schema of the arguments describes, and the part of it that they must fit. `None`: there
    /// are none. A value with variables is not known yet.
    pub fn described_static(&self, parameters: &Value) -> Option<(Value, Value)> {
        let described = parameters.get("properties")?.as_object()?;
        let is_known = |value: &Value| !value.to_string().contains("{{");
        let fixed = self.static_parameters.iter();
        let fixed = fixed.filter(|(name, value)| described.contains_key(*name) && is_known(value));
        let fixed: Map<String, Value> = fixed.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut schema = parameters.as_object()?.clone();
        for rule in ["required", "additionalProperties", "unevaluatedProperties", "minProperties", "dependentRequired"]
        {
            schema.remove(rule);
        }
        (!fixed.is_empty()).then_some((Value::Object(fixed), Value::Object(schema)))
    }

    /// Whether an argument stands in the query.
    pub fn is_in_query(&self, name: &str) -> bool {
        !self.method.has_body() || self.query_parameters.iter().any(|one| one == name)
    }
}

/// Writes the texts of secrets: the document is stored and read back.
fn exposed_map<S: Serializer>(secrets: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.iter().map(|(name, secret)| (name, secret.expose())))
}

#[cfg(test)]
mod tests;
