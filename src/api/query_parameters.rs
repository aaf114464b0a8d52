//! Refuses query parameters that an operation does not know: a misspelt filter would silently return everything.

use super::error::ApiError;
use crate::domain::FieldError;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::HashMap;

/// Characters of an unknown name that the answer repeats.
const NAME_CHARS_MAX: usize = 100;
/// Unknown names that one answer lists.
const FAULTS_MAX: usize = 20;

/// Query parameters of each operation of the OpenAPI document, by method and path.
#[derive(Debug)]
pub(super) struct KnownParameters(HashMap<(String, String), Vec<String>>);

impl KnownParameters {
    /// Reads them from a document whose paths have no mount.
    pub(super) fn read(document: &Value) -> Self {
        let mut known = HashMap::new();
        for (path, operations) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let in_query = parameters.filter(|parameter| parameter["in"] == "query");
                let names = in_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect();
                known.insert((method.to_uppercase(), path.clone()), names);
            }
        }
        Self(known)
    }

    /// The parameters of an operation; `None` where anything is accepted. WHIP addresses are handed to browsers and
    /// players, which may add other parameters.
    fn of(&self, method: &str, path: &str) -> Option<&[String]> {
        let path = path.strip_prefix("/api/v1").or(path.strip_prefix("/v1")).unwrap_or(path);
        let operation = (method.to_owned(), path.to_owned());
        self.0.get(&operation).filter(|_| !path.starts_with("/whip/")).map(Vec::as_slice)
    }
}

fn faults(known: &[String], query: &str) -> Vec<FieldError> {
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = names.filter(|name| !known.iter().any(|one| one == name)).take(FAULTS_MAX);
    let message = match known {
        [] => "is not a query parameter: this operation has none".to_owned(),
        _ => format!("is not a query parameter of this operation; it knows {}", known.join(", ")),
    };
    unknown
        .map(|name| FieldError::new(name.chars().take(NAME_CHARS_MAX).collect::<String>(), message.clone()))
        .collect()
}

/// Passes a request on if the operation knows all of its query parameters.
pub(super) async fn refuse_unknown(known: &KnownParameters, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if !query.is_empty()
        && let Some(path) = request.extensions().get::<MatchedPath>()
        && let Some(known) = known.of(request.method().as_str(), path.as_str())
    {
        let faults = faults(known, query);
        if !faults.is_empty() {
            return ApiError::fields(faults).into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_query_parameters_are_named() {
        let agents: Vec<_> = ["limit", "offset", "enabled"].map(|name| json!({"in": "query", "name": name})).into();
        let document = json!({"paths": {
            "/agents": {"get": {"parameters": agents}, "post": {}},
            "/whip/{agent_id}": {"post": {}},
        }});
        let all = KnownParameters::read(&document);
        let known = |method: &str, path: &str| all.of(method, path);
        let agents = known("GET", "/api/v1/agents").unwrap();
        assert_eq!(known("GET", "/v1/agents"), Some(agents));
        assert_eq!(faults(agents, "limit=2&offset=1&enabled=true"), []);
        let found = faults(agents, "limt=2&%00=&enabled=true");
        let fields: Vec<&str> = found.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["limt", "\0"]);
        assert!(found[0].message.contains("limit, offset"), "{found:?}");
        assert_eq!(faults(known("POST", "/v1/agents").unwrap(), "x=1").len(), 1);
        assert_eq!(known("POST", "/v1/whip/{agent_id}"), None);
        assert_eq!(known("GET", "/v1/nowhere"), None);
    }
}
