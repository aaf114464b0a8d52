//! The rules of a tool's request. They concern several fields at once, so they are not attributes of single ones.

use super::{BodyFormat, JsonPath, MASK, ResponseMapping, ToolAuth, ToolRequest};
use crate::rules::is_header_value;
use crate::secret::Secret;
use crate::template::{self, TemplateUse, UrlPart};
use garde::error::Path;
use garde::{Report, Validate};
use serde_json::Value;
use std::collections::BTreeMap;

const HEADERS_MAX: usize = 30;
const PARAMETERS_MAX: usize = 50;
const SECRETS_MAX: usize = 20;
const FIELDS_MAX: usize = 50;
const VARIABLES_MAX: usize = 20;
const NAME_CHARS_MAX: usize = 100;
const VALUE_CHARS_MAX: usize = 4_096;
const RETRIES_MAX: u32 = 5;
/// Headers that the server writes itself, or that concern one connection.
const OWN_HEADERS: [&str; 20] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];
/// Beginnings of names that mean something else in templates.
const RESERVED_VARIABLES: [&str; 4] = ["call", "context_data", "metadata", "secrets"];

/// The tool around a request, as far as the request must fit it.
#[derive(Clone, Debug, Default)]
pub struct RequestUse {
    /// The tool is a function, not a tool server.
    pub is_function: bool,
    /// Where the request goes; `None`: below the agent's `webhook_url`.
    pub url: Option<String>,
    /// Names of the arguments that the model may give.
    pub arguments: Vec<String>,
    /// The model may give arguments beside these.
    pub takes_any: bool,
}

impl RequestUse {
    /// Reads the names of arguments from a JSON schema.
    pub fn new(is_function: bool, url: Option<&str>, parameters: Option<&Value>) -> Self {
        let properties = parameters.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let additional = parameters.and_then(|schema| schema.get("additionalProperties"));
        let composed = ["allOf", "anyOf", "oneOf", "$ref", "patternProperties", "if"];
        let is_composed = parameters.is_some_and(|schema| composed.iter().any(|word| schema.get(word).is_some()));
        Self {
            is_function,
            url: url.map(str::to_owned),
            arguments: properties.into_iter().flat_map(|all| all.keys().cloned()).collect(),
            takes_any: properties.is_none() || is_composed || additional.is_some_and(|rule| rule != false),
        }
    }

    fn knows(&self, request: &ToolRequest, name: &str) -> bool {
        self.takes_any || request.static_parameters.contains_key(name) || self.arguments.iter().any(|one| one == name)
    }
}

/// Collects faults below the path of the request.
struct Faults<'a> {
    parent: &'a mut dyn FnMut() -> Path,
    report: &'a mut Report,
}

impl Faults<'_> {
    fn add(&mut self, field: &[&str], words: impl std::fmt::Display) {
        let path = field.iter().fold((self.parent)(), |path, part| path.join(*part));
        self.report.append(path, garde::Error::new(words));
    }

    fn check(&mut self, is_right: bool, field: &[&str], words: impl std::fmt::Display) {
        if !is_right {
            self.add(field, words);
        }
    }

    /// The same of an entry of `query_parameters`.
    fn check_entry(&mut self, is_right: bool, place: usize, words: &str) {
        if !is_right {
            let path = (self.parent)().join("query_parameters").join(place);
            self.report.append(path, garde::Error::new(words));
        }
    }

    fn count(&mut self, count: usize, max: usize, field: &[&str]) {
        self.check(count <= max, field, format!("must have at most {max} entries"));
    }
}

impl Validate for ToolRequest {
    type Context = RequestUse;

    fn validate_into(&self, used: &RequestUse, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        let mut faults = Faults { parent, report };
        if !used.is_function {
            return faults.add(&[], "is only for tools of type function");
        }
        // The webhook may be changed by others, or by a number or a handover: a secret goes where it was saved for.
        let needs_url = used.url.is_none()
            && (self.has_secret() || !(self.method.has_body() && self.body_format == BodyFormat::Message));
        faults.check(
            !needs_url,
            &[],
            "needs the tool's url: only a message without secrets goes to the agent's webhook_url",
        );
        faults.check(
            self.method.has_body() || self.body_format == BodyFormat::Message,
            &["body_format"],
            "is only for methods with a body",
        );
        check_url(self, used, &mut faults);
        check_parameters(self, used, &mut faults);
        check_headers(self, &mut faults);
        check_secrets(self, &mut faults);
        if let Some(auth) = &self.auth {
            check_auth(self, auth, &mut faults);
        }
        if let Some(response) = &self.response {
            check_response(response, &mut faults);
        }
        if let Some(retry) = &self.retry {
            faults.check(retry.count <= RETRIES_MAX, &["retry", "count"], "must be between 0 and 5");
            let in_range = (100..=10_000).contains(&retry.delay_ms);
            faults.check(in_range, &["retry", "delay_ms"], "must be between 100 and 10000");
        }
    }
}

/// The parameters of the URL: `{name}`, each once, known, and behind the host.
fn check_url(request: &ToolRequest, used: &RequestUse, faults: &mut Faults<'_>) {
    let Some(url) = &used.url else { return };
    // A template that cannot be read is a fault of `url` itself.
    let Ok(parts) = template::url_parts(url) else { return };
    let mut in_path = Vec::new();
    for part in parts {
        match part {
            UrlPart::Parameter(name) if in_path.contains(&name) => {
                faults.add(&[], format!("has the parameter {name} twice in url"));
            }
            UrlPart::Parameter(name) => {
                let words = format!("has a url with {{{name}}}, which is no argument of the function");
                faults.check(used.knows(request, name), &[], words);
                in_path.push(name);
            }
            UrlPart::Variable { name, .. } if name.starts_with("secrets.") => {
                faults.add(&[], "must not have a secret in url, which is shown: use a header or auth");
            }
            UrlPart::Variable { .. } | UrlPart::Text(_) => {}
        }
    }
    for (place, name) in request.query_parameters.iter().enumerate() {
        faults.check_entry(!in_path.contains(&name.as_str()), place, "stands in url already");
    }
    let written: Vec<String> = written_in_query(url);
    let statics = request.static_parameters.keys().chain(&used.arguments);
    for name in statics.filter(|name| request.is_in_query(name) && written.contains(name)) {
        faults.add(&["query_parameters"], format!("would send {name} twice: it is in the query of url"));
    }
}

/// Names in the query that a URL has from the start.
fn written_in_query(url: &str) -> Vec<String> {
    let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

fn check_parameters(request: &ToolRequest, used: &RequestUse, faults: &mut Faults<'_>) {
    faults.count(request.query_parameters.len(), PARAMETERS_MAX, &["query_parameters"]);
    faults.count(request.static_parameters.len(), PARAMETERS_MAX, &["static_parameters"]);
    for (place, name) in request.query_parameters.iter().enumerate() {
        let twice = request.query_parameters.iter().take(place).any(|other| other == name);
        faults.check_entry(!twice, place, "must not be named twice");
        faults.check_entry(used.knows(request, name), place, "is no argument of the function");
    }
    for (name, value) in &request.static_parameters {
        let field = ["static_parameters", name];
        faults.check(is_name(name), &field, "must have a name of 1 to 100 characters without control characters");
        if let Err(words) = check_texts(value) {
            faults.add(&field, words);
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// Texts of a fixed value may have variables; secrets are for headers.
fn check_texts(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if !secrets_in(text).is_empty() {
                return Err("must not have a secret in it, because bodies are recorded: use a header or auth".into());
            }
            template::check(text, TemplateUse::Text).map_err(|error| format!("is not a valid template: {error}"))
        }
        Value::Array(items) => items.iter().try_for_each(check_texts),
        Value::Object(fields) => fields.values().try_for_each(check_texts),
        _ => Ok(()),
    }
}

/// Names of the secrets that a text asks for.
fn secrets_in(text: &str) -> Vec<String> {
    let names = template::names(text).unwrap_or_default();
    names.iter().filter_map(|name| name.strip_prefix("secrets.")).map(str::to_owned).collect()
}

fn check_headers(request: &ToolRequest, faults: &mut Faults<'_>) {
    faults.count(request.headers.len(), HEADERS_MAX, &["headers"]);
    let mut seen = Vec::new();
    for (name, value) in &request.headers {
        let field = ["headers", name.as_str()];
        let lower = name.to_ascii_lowercase();
        if let Err(words) = check_header_name(&lower) {
            faults.add(&field, words);
        }
        faults.check(!seen.contains(&lower), &field, "is named twice: names of headers have no case");
        check_header_value(request, &field, value, faults);
        if lower == "content-type" {
            let is_json = request.body_format == BodyFormat::Json && is_json_type(value);
            faults.check(is_json, &field, "is set by body_format; with json it may be another type that ends in +json");
        }
        if lower == "authorization" {
            let words = "would be shown in answers of the API: use auth, or {{secrets.NAME}}";
            faults.check(value.contains("{{"), &field, words);
        }
        seen.push(lower);
    }
}

fn is_json_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json") && !essence.contains("{{")
}

/// A token of RFC 9110 that is not ours.
fn check_header_name(lower: &str) -> Result<(), String> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !(1..=NAME_CHARS_MAX).contains(&lower.len()) || !lower.bytes().all(is_token) {
        return Err("must be the name of a header: 1 to 100 letters, digits and - without blanks".to_owned());
    }
    if OWN_HEADERS.contains(&lower) || lower.starts_with("sec-") || lower.starts_with("proxy-") {
        return Err("is a header that the server sets itself".to_owned());
    }
    Ok(())
}

fn check_header_value(request: &ToolRequest, field: &[&str], value: &str, faults: &mut Faults<'_>) {
    let is_short = value.chars().count() <= VALUE_CHARS_MAX;
    faults.check(is_short, field, format!("must have at most {VALUE_CHARS_MAX} characters"));
    let is_line = is_header_value(value) && value.trim() == value;
    faults.check(is_line, field, "must be one line of visible ASCII, without line breaks and other control characters");
    match template::check(value, TemplateUse::Header) {
        Ok(()) => check_secret_names(request, field, value, faults),
        Err(error) => faults.add(field, format!("is not a valid template: {error}")),
    }
}

fn check_secret_names(request: &ToolRequest, field: &[&str], text: &str, faults: &mut Faults<'_>) {
    for name in secrets_in(text).iter().filter(|name| !request.secrets.contains_key(*name)) {
        faults.add(field, format!("names secrets.{name}, which is not in secrets"));
    }
}

fn check_secrets(request: &ToolRequest, faults: &mut Faults<'_>) {
    faults.count(request.secrets.len(), SECRETS_MAX, &["secrets"]);
    for (name, secret) in &request.secrets {
        let field = ["secrets", name.as_str()];
        faults.check(is_variable(name), &field, "must have a name of 1 to 64 letters, digits and _");
        check_secret(secret, &field, faults);
    }
}

/// The words never repeat the secret.
fn check_secret(secret: &Secret, field: &[&str], faults: &mut Faults<'_>) {
    let text = secret.expose();
    if text == MASK {
        return faults.add(field, "is a mask: give the secret itself");
    }
    faults.check(is_header_value(text), field, "must be one line of visible ASCII");
    let is_short = text.chars().count() <= VALUE_CHARS_MAX;
    faults.check(is_short, field, format!("must have at most {VALUE_CHARS_MAX} characters"));
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    (1..=64).contains(&name.len())
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn check_auth(request: &ToolRequest, auth: &ToolAuth, faults: &mut Faults<'_>) {
    let field = ["auth", auth.secret_field()];
    check_secret(auth.secret(), &field, faults);
    match template::check(auth.secret().expose(), TemplateUse::Header) {
        Ok(()) => check_secret_names(request, &field, auth.secret().expose(), faults),
        // Where the fault is could tell what stands there.
        Err(_) => faults.add(&field, "is not a valid template"),
    }
    let is_given = |name: &str| request.headers.keys().any(|header| header.eq_ignore_ascii_case(name));
    match auth {
        ToolAuth::Bearer { .. } => {
            faults.check(!is_given("authorization"), &["auth"], "and headers both set Authorization");
        }
        ToolAuth::Basic { username, .. } => {
            faults.check(!is_given("authorization"), &["auth"], "and headers both set Authorization");
            let is_right = !username.contains(':') && is_header_value(username) && username.len() <= 200;
            let words = "must have 1 to 200 visible ASCII characters and no colon";
            faults.check(is_right, &["auth", "username"], words);
        }
        ToolAuth::Header { name, .. } => {
            if let Err(words) = check_header_name(&name.to_ascii_lowercase()) {
                faults.add(&["auth", "name"], words);
            }
            faults.check(!is_given(name), &["auth", "name"], "is in headers too");
        }
    }
}

fn check_response(response: &ResponseMapping, faults: &mut Faults<'_>) {
    faults.count(response.fields.len(), FIELDS_MAX, &["response", "fields"]);
    faults.count(response.variables.len(), VARIABLES_MAX, &["response", "variables"]);
    check_paths("fields", &response.fields, faults);
    check_paths("variables", &response.variables, faults);
    for name in response.fields.keys() {
        faults.check(is_name(name), &["response", "fields", name], "must have a name of 1 to 100 characters");
    }
    for name in response.variables.keys() {
        let field = ["response", "variables", name.as_str()];
        faults.check(is_variable(name), &field, "must have a name of 1 to 64 letters, digits and _");
        faults.check(!RESERVED_VARIABLES.contains(&name.as_str()), &field, "has a name that means something else");
    }
}

fn check_paths(block: &str, paths: &BTreeMap<String, String>, faults: &mut Faults<'_>) {
    for (name, path) in paths {
        if let Err(words) = JsonPath::parse(path) {
            faults.add(&["response", block, name], words);
        }
    }
}
