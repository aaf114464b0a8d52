//! Client input: JSON objects, ids, pagination. Unknown fields are refused by name.

use super::body::is_too_slow_error;
use super::body_schema::BodySchema;
use super::error::ApiError;
use super::large_body_queue::{LARGE_BYTES, LargeBodyPermit};
use super::state::ApiState;
use super::text_limits;
use crate::domain::{FAULTS_MAX, FieldError, faults};
use crate::store::{OrgScope, PageCursor, PageRequest};
use crate::supervision::in_place;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::HashMap;
use trunkline_json::document::{DocumentError, DocumentLimits};
use utoipa::IntoParams;
use utoipa::ToSchema;
use uuid::Uuid;

/// A body's bounds beside its size: what handles it afterwards goes as deep as it is.
const BODY: DocumentLimits = DocumentLimits { bytes_max: 0, depth_max: 80, values_max: 100_000 };
/// Parameters of a query that are read; the address has some 64 kB.
const QUERY_PARAMETERS_MAX: usize = 100;

/// Maximum body size of unauthenticated requests: a login or an invitation.
const STRANGERS_BODY_BYTES_MAX: usize = 16 * 1_024;
/// Objects with at least this many values are processed in the large body queue.
const LARGE_VALUES: usize = 1_000;

/// The JSON object of a request body and, if it is large, the permit to process it.
#[derive(Debug)]
pub(super) struct JsonObject(pub Map<String, Value>, pub Option<LargeBodyPermit>);

impl FromRequest<ApiState> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &ApiState) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = kind.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "The body must be sent as application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let scope = request.extensions().get::<OrgScope>().copied();
        let bytes_max = match scope {
            Some(_) => api.http.body_bytes_max,
            None => api.http.body_bytes_max.min(STRANGERS_BODY_BYTES_MAX),
        };
        let bytes = read_body(request.into_body(), bytes_max).await?;
        // Wait for the permit only after the body has arrived: a slow sender must not hold one.
        let turn = match scope.filter(|_| bytes.len() > LARGE_BYTES) {
            Some(scope) => Some(api.limits.turn(scope).await?),
            None => None,
        };
        let limits = DocumentLimits { bytes_max, ..BODY };
        let parse = || match limits.parse(&bytes) {
            Ok(Value::Object(mut object)) => {
                if let Some(field) = nul_in_object(&object) {
                    return Err(holds_nul(&field));
                }
                object.values_mut().for_each(whole_numbers);
                Ok(object)
            }
            Ok(_) => Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", "The body must be a JSON object")),
            Err(DocumentError::Invalid(error)) => {
                Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("The body is not JSON: {error}")))
            }
            Err(bound) => Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("The body {bound}"))),
        };
        let object = if turn.is_some() { in_place(parse)? } else { parse()? };
        Ok(Self(object, turn))
    }
}

fn holds_nul(field: &str) -> ApiError {
    ApiError::field(field, "must not contain the character U+0000")
}

/// The path of a text that contains U+0000, which no header, no phone number and not every database can carry.
fn nul_in_object(object: &Map<String, Value>) -> Option<String> {
    object.iter().find_map(|(name, value)| {
        if name.contains('\0') {
            return Some(name.replace('\0', "\\u0000"));
        }
        nul_in(value).map(|rest| format!("{name}{rest}"))
    })
}

/// The rest of the path, from this value on.
fn nul_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => {
            let found = |(index, item)| Some(format!("[{index}]{}", nul_in(item)?));
            items.iter().enumerate().find_map(found)
        }
        Value::Object(object) => nul_in_object(object).map(|path| format!(".{path}")),
        _ => None,
    }
}

/// Reads a body of at most `bytes_max` bytes from a client that sends it in time.
pub(super) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    to_bytes(body, bytes_max).await.map_err(|error| {
        if is_too_slow_error(&error) {
            let message = "The body is sent too slowly";
            return ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message);
        }
        let message = format!("The body is larger than {bytes_max} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    })
}

/// JSON has one number type: 260.0 is accepted where an integer is expected.
fn whole_numbers(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(whole) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < EXACT) {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// Reads an object into a type without rules beyond its schema; the error names every field that is wrong.
pub(super) fn typed<T: DeserializeOwned + ToSchema>(object: Map<String, Value>) -> Result<T, ApiError> {
    typed_with(object, Vec::new(), |_| Vec::new())
}

/// Reads an object into a type and checks the rules on its fields and, where these hold, those of the server. The
/// error names every field that is wrong, beside the faults that are known already.
pub(super) fn validated<T: DeserializeOwned + ToSchema + Validate<Context = ()>>(
    object: Map<String, Value>, known: Vec<FieldError>, of_server: impl Fn(&T) -> Vec<FieldError>,
) -> Result<T, ApiError> {
    typed_with(object, known, |fields| {
        let mut found = faults(fields);
        add(&mut found, of_server(fields));
        found
    })
}

/// As [`typed`], with rules that stand beside the type.
pub(super) fn typed_with<T: DeserializeOwned + ToSchema>(
    object: Map<String, Value>, mut found: Vec<FieldError>, rules: impl FnOnce(&T) -> Vec<FieldError>,
) -> Result<T, ApiError> {
    let schema = BodySchema::of::<T>();
    let check = || {
        found.extend(schema.check(&object));
        found.truncate(FAULTS_MAX);
        add(&mut found, text_limits::check(&object));
        if found.is_empty() {
            let fields: T = read(Value::Object(object.clone()))?;
            ApiError::unless_empty(rules(&fields))?;
            return Ok(fields);
        }
        // What breaks the schema is replaced, so that faults of the other fields are in the same answer.
        let rest = schema.repaired(&object).and_then(|value| read(value).ok());
        let of_rest = rest.map(|fields| rules(&fields)).unwrap_or_default();
        let names: Vec<String> = found.iter().map(|fault| fault.field.clone()).collect();
        add(&mut found, of_rest.into_iter().filter(|fault| !names.iter().any(|name| is_about(fault, name))));
        Err(ApiError::fields(found))
    };
    if is_large(&object) { in_place(check) } else { check() }
}

/// Adds faults of fields that are not listed yet, [`FAULTS_MAX`] in all.
fn add(listed: &mut Vec<FieldError>, more: impl IntoIterator<Item = FieldError>) {
    for fault in more {
        if listed.len() < FAULTS_MAX && listed.iter().all(|known| known.field != fault.field) {
            listed.push(fault);
        }
    }
}

/// Whether a fault is about this field: the field itself, what it holds, what holds it, or a rule that names it.
fn is_about(fault: &FieldError, field: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let last = field.rsplit('.').next().unwrap_or(field);
    let is_named = fault.message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == last);
    holds(field, &fault.field) || holds(&fault.field, field) || is_named
}

/// Whether the object has at least [`LARGE_VALUES`] values; stops counting there.
fn is_large(object: &Map<String, Value>) -> bool {
    let mut waiting: Vec<&Value> = object.values().take(LARGE_VALUES).collect();
    let mut counted = 0;
    while let Some(value) = waiting.pop() {
        counted += 1;
        match value {
            Value::Array(items) => waiting.extend(items.iter().take(LARGE_VALUES)),
            Value::Object(fields) => waiting.extend(fields.values().take(LARGE_VALUES)),
            _ => {}
        }
        if counted + waiting.len() >= LARGE_VALUES {
            return true;
        }
    }
    false
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        let path = error.path().to_string();
        let named = message.strip_prefix("unknown field `").or(message.strip_prefix("missing field `"));
        let field = match named.and_then(|rest| rest.split('`').next()) {
            Some(name) if path == "." || path.ends_with(name) => {
                if path == "." {
                    name.to_owned()
                } else {
                    path
                }
            }
            Some(name) => format!("{path}.{name}"),
            None => path,
        };
        ApiError::field(&field, message)
    })
}

/// One field with two names: either may be used, both only with the same value.
pub(super) fn unify(object: &mut Map<String, Value>, canonical: &str, alias: &str) -> Result<(), ApiError> {
    if let Some(value) = object.remove(alias) {
        match object.get(canonical) {
            Some(other) if *other != value => {
                return Err(ApiError::field(alias, format!("differs from {canonical}, which means the same")));
            }
            _ => {
                object.insert(canonical.to_owned(), value);
            }
        }
    }
    Ok(())
}

/// What [`Query::page`] reads.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes Query::page")]
pub(super) struct Paging {
    /// Entries of a page: 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
    /// Entries to leave out before the page.
    #[param(minimum = 0, maximum = 2147483647, default = 0)]
    offset: Option<i64>,
    /// The id of the last entry of the page before: this page begins behind it, whatever was added since.
    #[param(format = "uuid")]
    before: Option<String>,
}

/// What [`Query::page_of_versions`] reads.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes Query::page_of_versions")]
pub(super) struct VersionPaging {
    /// Entries of a page: 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
    /// Entries to leave out before the page.
    #[param(minimum = 0, maximum = 2147483647, default = 0)]
    offset: Option<i64>,
    /// The last version of the page before: this page begins behind it, with older ones.
    before: Option<i64>,
}

/// The identifier in a path.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path")]
pub(super) struct IdPath {
    /// Id of the object, a UUID.
    #[param(format = "uuid")]
    id: String,
}

/// The query string, decoded.
#[derive(Debug)]
pub(super) struct QueryParams(HashMap<String, String>);

impl FromRequestParts<ApiState> for QueryParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or("");
        let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().take(QUERY_PARAMETERS_MAX);
        let parameters: HashMap<String, String> = parameters.collect();
        match parameters.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            Some((name, _)) => Err(holds_nul(&name.replace('\0', "\\u0000"))),
            None => Ok(Self(parameters)),
        }
    }
}

impl QueryParams {
    pub(super) fn page(&self) -> Result<PageRequest, ApiError> {
        let number = |name: &str, default: i64, low: i64, high: i64| match self.0.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (low..=high).contains(n))
                .ok_or_else(|| ApiError::field(name, format!("must be a number between {low} and {high}"))),
        };
        let from = self.value("before", |text| Uuid::try_parse(text).ok(), "the id of an entry of this list")?;
        let from = from.map_or(PageCursor::Start, PageCursor::Behind);
        let (limit, offset) = (number("limit", 50, 1, 100)?, number("offset", 0, 0, i64::from(i32::MAX))?);
        Ok(PageRequest { limit, offset, from })
    }

    /// A page of versions, which have numbers instead of ids.
    pub(super) fn page_of_versions(&self) -> Result<PageRequest, ApiError> {
        let from = self.value("before", |text| text.parse().ok(), "the number of a version")?;
        let page =
            Self(self.0.iter().filter(|(name, _)| *name != "before").map(|(n, v)| (n.clone(), v.clone())).collect());
        Ok(PageRequest { from: from.map_or(PageCursor::Start, PageCursor::BehindVersion), ..page.page()? })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(name).map(String::as_str) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::field(name, "must be true or false")),
        }
    }

    /// A value parsed by `parse`; `allowed` describes what would have been right.
    pub(super) fn value<T>(
        &self, name: &str, parse: impl Fn(&str) -> Option<T>, allowed: &str,
    ) -> Result<Option<T>, ApiError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| ApiError::field(name, format!("must be {allowed}"))),
        }
    }
}

/// Parses an id from the path; anything but a UUID is "not found".
pub(super) fn id<T>(text: &str, parse: impl Fn(&str) -> Option<T>, what: &str) -> Result<T, ApiError> {
    parse(text).ok_or_else(|| ApiError::not_found(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentFields;
    use crate::domain::trunk::TrunkFields;
    use serde_json::json;

    fn listed<T: DeserializeOwned + ToSchema + Validate<Context = ()>>(body: Value) -> Vec<String> {
        let Value::Object(object) = body else { return Vec::new() };
        let error = validated::<T>(object, Vec::new(), |_| Vec::new()).err().unwrap();
        let mut fields: Vec<String> = error.details["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["field"].as_str().unwrap().to_owned())
            .collect();
        fields.sort();
        fields
    }

    #[test]
    fn rules_beyond_the_schema_are_in_the_same_answer() {
        let agent = json!({"name": 1, "nme": "A", "webhook_url": "nowhere", "max_duration_seconds": 1,
            "silence_config": {"goodbye": "", "max_prompts": "many"}});
        let wanted = [
            "max_duration_seconds",
            "name",
            "nme",
            "silence_config.goodbye",
            "silence_config.max_prompts",
            "webhook_url",
        ];
        assert_eq!(listed::<AgentFields>(agent), wanted);
        assert_eq!(listed::<AgentFields>(json!({"webhook_url": "nowhere"})), ["name", "webhook_url"]);
        let tools = json!({"name": "A", "llm_config": {"provider": "openai", "model": "m", "tools": [1, {"type": "function", "function": {"name": "a b"}}]}});
        assert_eq!(listed::<AgentFields>(tools), ["llm_config.tools[0]", "llm_config.tools[1].function.name"]);
    }

    #[test]
    fn a_rule_about_two_fields_is_left_out_while_one_of_them_is_wrong() {
        let trunk = json!({"name": "T", "host": "h", "username": 1, "password": "p"});
        assert_eq!(listed::<TrunkFields>(trunk), ["username"]);
        let trunk = json!({"name": "T", "host": "h", "username": "u", "dial_string": "{e164}@x"});
        assert_eq!(listed::<TrunkFields>(trunk), ["dial_string", "password"]);
    }
}
