//! The HTTP request of a tool call: from the tool's definition, the model's arguments and the values of the call.
//!
//! Pure: the driver sends it.

mod arguments;
mod redaction;

use crate::domain::agent::AgentFields;
use crate::domain::call::Call;
use crate::domain::call_facts::{CallFacts, CallValues, CallVariables};
use crate::domain::chat::ToolCall;
use crate::domain::collected::CollectedValues;
use crate::domain::ids::DeliveryId;
use crate::domain::provider_config::Tool;
use crate::domain::secret::Secret;
use crate::domain::task::TaskFields;
use crate::domain::template::{
    self, COLLECTED, TemplateReport, TemplateUse, TemplateValues, UrlPart, fill, percent_encoded,
};
use crate::domain::time::UnixMs;
use crate::domain::tool_request::{BodyFormat, HttpMethod, ToolAuth, ToolRequest};
use crate::webhooks::event;
use arguments::{filled, merged, pairs, single};
use base64::Engine as _;
pub use redaction::Redaction;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use url::form_urlencoded::{self, Serializer};

/// Bytes of a URL with its query: what servers and proxies take.
const URL_BYTES_MAX: usize = 8_000;
/// What is accepted, unless the tool's headers say otherwise.
const ACCEPT: &str = "application/json, text/plain;q=0.9, */*;q=0.1";

/// The call in which a tool is called.
#[derive(Clone, Copy, Debug)]
pub struct ToolSituation<'a> {
    /// The call as it is now.
    pub call: &'a Call,
    /// The agent of the call.
    pub agent: &'a AgentFields,
    /// The task of an outbound call.
    pub task: Option<&'a TaskFields>,
    /// What answers of tools have set.
    pub variables: &'a CallVariables,
    /// What the caller has entered.
    pub collected: &'a CollectedValues,
    /// Where the call's events go.
    pub webhook_url: Option<&'a str>,
    /// The time of the tool call.
    pub now: UnixMs,
}

/// A body and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBody {
    /// `None`: the tool's headers name it.
    pub content_type: Option<&'static str>,
    /// The body as it is sent.
    pub text: String,
}

/// The message `tool-calls` as it is kept: with references to what the caller has entered, not with the digits.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptMessage {
    /// Where it went.
    pub target: String,
    /// The message.
    pub body: Value,
}

/// A request that can be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRequest {
    /// Its method.
    pub method: HttpMethod,
    /// The address with its query.
    pub url: String,
    /// Names and values of headers; a value may be a secret.
    pub headers: Vec<(String, Secret)>,
    /// `None`: without a body.
    pub body: Option<PlannedBody>,
    /// What is kept of the message `tool-calls`; `None` for other bodies.
    pub kept: Option<KeptMessage>,
    /// Secrets that must not reach the model.
    pub redaction: Redaction,
}

/// The values of a request's templates.
struct RequestValues<'a> {
    of_call: CallValues<'a>,
    secrets: &'a BTreeMap<String, Secret>,
    /// `None`: references to what the caller has entered stay.
    collected: Option<&'a CollectedValues>,
}

impl TemplateValues for RequestValues<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if name.starts_with(COLLECTED) {
            return self.collected.map(|collected| collected.value(name));
        }
        match name.strip_prefix("secrets.") {
            Some(secret) => self.secrets.get(secret).map(|secret| secret.expose().to_owned()),
            None => self.of_call.value(name),
        }
    }
}

impl<'a> ToolSituation<'a> {
    fn values(&self, secrets: &'a BTreeMap<String, Secret>) -> RequestValues<'a> {
        let facts = CallFacts::new(self.call, &self.agent.name, self.agent.time_zone.as_deref(), self.now);
        let context = self.task.and_then(|task| task.context_data.as_ref());
        let metadata = self.call.metadata.as_ref().and_then(Value::as_object);
        let of_call =
            CallValues { facts, variables: Some(&self.variables.0), to_come: BTreeSet::new(), context, metadata };
        RequestValues { of_call, secrets, collected: Some(self.collected) }
    }

    /// The message as it is kept.
    fn kept(
        &self, tool: &Tool, wanted: &ToolCall, id: DeliveryId, request: &ToolRequest,
    ) -> Result<KeptMessage, String> {
        let values = RequestValues { collected: None, ..self.values(&request.secrets) };
        let parameters = merged(&wanted.arguments, filled(&request.static_parameters, &values)?)?;
        let of_call = || self.webhook_url.map(|url| event::url(url, event::TOOL_CALLS));
        let target = match &tool.url {
            Some(url) => filled_url(url, &parameters, &values).map_or_else(|_| url.clone(), |(url, _)| url),
            None => of_call().unwrap_or_default(),
        };
        let arguments = Value::Object(parameters).to_string();
        // A model that has read the digits may write them.
        let arguments = self.collected.masked(&arguments);
        let body = self.message(id, &ToolCall { arguments, ..wanted.clone() });
        Ok(KeptMessage { target: self.collected.masked(&target), body })
    }

    fn message(&self, id: DeliveryId, wanted: &ToolCall) -> Value {
        event::tool_calls(id, self.call, &[wanted], self.now)
    }
}

/// Plans the request of a tool call. Fails with the text for the model, which holds no secret and no address.
pub fn plan(tool: &Tool, wanted: &ToolCall, id: DeliveryId, of: &ToolSituation<'_>) -> Result<PlannedRequest, String> {
    let of_call = || of.webhook_url.map(|url| event::url(url, event::TOOL_CALLS));
    let url = tool.url.clone().or_else(of_call).ok_or_else(|| "this tool has no URL".to_owned())?;
    let Some(request) = &tool.request else {
        // The arguments alone: what else the message holds are values of the call, and not read for variables.
        let arguments = of.collected.fill_json(&wanted.arguments);
        let text = of.message(id, &ToolCall { arguments, ..wanted.clone() }).to_string();
        let body = PlannedBody { content_type: Some("application/json"), text };
        let (headers, redaction) = (Vec::new(), Redaction::default());
        let (method, body) = (HttpMethod::Post, Some(body));
        let shown = ToolCall { arguments: of.collected.masked(&wanted.arguments), ..wanted.clone() };
        let filled = of.collected.fill_url(&url);
        let kept = Some(KeptMessage { target: url, body: of.message(id, &shown) });
        return Ok(PlannedRequest { method, url: filled, headers, body, kept, redaction });
    };
    if tool.url.is_none() && request.has_secret() {
        return Err("this tool has no URL of its own".to_owned());
    }
    let values = of.values(&request.secrets);
    let entered = of.collected.fill_json(&wanted.arguments);
    let parameters = merged(&entered, filled(&request.static_parameters, &values)?)?;
    // Only a tool's own URL has parameters; that of the agent's events is as it is.
    let (url, rest) = match &tool.url {
        Some(_) => filled_url(&url, &parameters, &values)?,
        None => (url, parameters.clone()),
    };
    let (in_query, in_body): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(name, _)| request.is_in_query(name));
    let url = with_query(&url, &in_query)?;
    let mut kept = None;
    let body = request.method.has_body().then(|| match request.body_format {
        BodyFormat::Message => {
            let arguments = Value::Object(parameters).to_string();
            let json = of.message(id, &ToolCall { arguments, ..wanted.clone() });
            let text = json.to_string();
            kept = of.kept(tool, wanted, id, request).ok();
            PlannedBody { content_type: Some("application/json"), text }
        }
        BodyFormat::Json => {
            let own_type = request.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
            let text = Value::Object(in_body.into_iter().collect()).to_string();
            PlannedBody { content_type: (!own_type).then_some("application/json"), text }
        }
        BodyFormat::Form => {
            let text = encoded(&in_body);
            PlannedBody { content_type: Some("application/x-www-form-urlencoded"), text }
        }
    });
    let (headers, redaction) = headers(request, &values)?;
    Ok(PlannedRequest { method: request.method, url, headers, body, kept, redaction })
}

/// Fills in variables and parameters of a URL. Returns it with the parameters that are not in it.
fn filled_url(
    url: &str, parameters: &Map<String, Value>, values: &dyn TemplateValues,
) -> Result<(String, Map<String, Value>), String> {
    let parts = template::url_parts(url).map_err(|_| "the tool's URL is not valid".to_owned())?;
    let (mut filled, mut rest) = (String::with_capacity(url.len()), parameters.clone());
    let is_fixed = parts.iter().all(|part| matches!(part, UrlPart::Text(_)));
    for part in parts {
        let is_path = !filled.contains(['?', '#']);
        let (value, name) = match part {
            UrlPart::Text(text) => {
                filled.push_str(text);
                continue;
            }
            UrlPart::Parameter(name) => {
                (rest.remove(name).map(|value| single(name, &value)).transpose()?.flatten(), name)
            }
            UrlPart::Variable { name, default } => {
                let value = values.value(name).filter(|value| !value.trim().is_empty());
                (value.or_else(|| default.map(str::to_owned)), name)
            }
        };
        let value = value.filter(|value| !value.trim().is_empty());
        // An empty part of a path is the path of something else.
        if is_path && value.is_none() {
            return Err(format!("the value of {name} is missing"));
        }
        filled.push_str(&percent_encoded(value.as_deref().unwrap_or_default()));
    }
    let path = filled.split(['?', '#']).next().unwrap_or_default();
    if !is_fixed && path.split('/').any(is_dots) {
        return Err("a value must not lead to another path".to_owned());
    }
    Ok((filled, rest))
}

/// A segment that leads up or nowhere, however its dots are written.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// A URL with more in its query. What the URL itself names is not sent twice.
fn with_query(url: &str, more: &[(String, Value)]) -> Result<String, String> {
    let url = url.split('#').next().unwrap_or_default();
    let written = url.split_once('?').map_or("", |(_, query)| query);
    let is_written = |name: &str| form_urlencoded::parse(written.as_bytes()).any(|(known, _)| known == name);
    let more: Vec<_> = more.iter().filter(|(name, _)| !is_written(name)).cloned().collect();
    let query = encoded(&more);
    let between = match url.split_once('?') {
        _ if query.is_empty() => "",
        None => "?",
        Some((_, written)) if written.is_empty() || written.ends_with('&') => "",
        Some(_) => "&",
    };
    let whole = format!("{url}{between}{query}");
    if whole.len() > URL_BYTES_MAX { Err("the arguments are too long for a URL".to_owned()) } else { Ok(whole) }
}

/// Names and values as forms and queries write them.
fn encoded(parameters: &[(String, Value)]) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in parameters {
        for text in pairs(value) {
            form.append_pair(name, &text);
        }
    }
    form.finish()
}

/// The headers of a request, and the secrets in them.
fn headers(request: &ToolRequest, values: &RequestValues<'_>) -> Result<(Vec<(String, Secret)>, Redaction), String> {
    let mut headers = Vec::new();
    let mut redaction = Redaction::new(request.secrets.values());
    for (name, value) in &request.headers {
        let value = filled_header(name, value, values)?;
        if !value.is_empty() {
            headers.push((name.clone(), Secret::from(value)));
        }
    }
    if let Some(auth) = &request.auth {
        let filled = |name: &str| filled_header(name, auth.secret().expose(), values);
        let (name, value) = match auth {
            ToolAuth::Bearer { .. } => ("authorization", format!("Bearer {}", filled("authorization")?)),
            ToolAuth::Basic { username, .. } => {
                let pair = format!("{username}:{}", filled("authorization")?);
                let coded = base64::engine::general_purpose::STANDARD.encode(pair);
                redaction.add(&coded);
                ("authorization", format!("Basic {coded}"))
            }
            ToolAuth::Header { name, .. } => (name.as_str(), filled(name)?),
        };
        redaction.add(&filled(name)?);
        headers.push((name.to_owned(), Secret::from(value)));
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
        headers.push(("accept".to_owned(), Secret::from(ACCEPT)));
    }
    Ok((headers, redaction))
}

/// A header with its variables filled in. Values that would begin another line are refused.
fn filled_header(header: &str, text: &str, values: &RequestValues<'_>) -> Result<String, String> {
    for name in template::names(text).unwrap_or_default() {
        if values.value(name).is_some_and(|value| value.chars().any(char::is_control)) {
            return Err(format!("the header {header} cannot be sent: the value of {name} has a line break in it"));
        }
    }
    let filled = fill(text, TemplateUse::Header, values, &mut TemplateReport::default());
    Ok(filled.trim().to_owned())
}

#[cfg(test)]
mod tests;
