//! The rules of the server that is asked, as its OpenAPI document describes them: an older or newer one may have others
//! than this version, and some rules stand there alone.

use super::item::{Item, Kind};
use crate::api::Api;
use crate::error::ClientError;
use crate::yaml::FileError;
use serde_json::{Map, Value, json};
use trunkline_json::schema::TrustedSchema;

/// Faults of one item that are shown.
const FAULTS_MAX: usize = 20;

/// Everything that the server would refuse by its description.
pub(super) async fn check(api: &Api, items: &[Item]) -> Result<Vec<FileError>, ClientError> {
    let document = match api.description().await {
        Ok(document) => document,
        // The description may be kept from the public by a proxy. The server checks again in any case.
        Err(ClientError::Refused(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut errors = Vec::new();
    for kind in [Kind::ProviderKey, Kind::Trunk, Kind::Agent, Kind::Number] {
        let mut of_kind = items.iter().filter(|item| item.kind == kind).peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        let Some(schema) = compiled(&document, schema_name(kind)) else { continue };
        errors.extend(of_kind.flat_map(|item| faults(&schema, item)));
    }
    Ok(errors)
}

fn schema_name(kind: Kind) -> &'static str {
    match kind {
        Kind::ProviderKey => "SecretFields",
        Kind::Trunk => "TrunkFields",
        Kind::Agent => "AgentFields",
        Kind::Number => "PhoneNumberFields",
    }
}

fn compiled(document: &Value, name: &str) -> Option<TrustedSchema> {
    document["components"]["schemas"].get(name)?;
    let reference = format!("#/components/schemas/{name}");
    TrustedSchema::compile(&json!({"$ref": reference, "components": document["components"]}))
}

fn faults(schema: &TrustedSchema, item: &Item) -> Vec<FileError> {
    let found = schema.faults(&without_null(&item.fields), FAULTS_MAX).into_iter().map(|fault| {
        let field = field_of(&fault.place);
        // Words about a value may repeat it.
        let message =
            if item.secrets.contains(&field) { "is not as the server wants it".to_owned() } else { fault.message };
        item.error(&field, message)
    });
    found.collect()
}

/// A field that is null is as if it were not there, at its top as in the objects below.
fn without_null(fields: &Map<String, Value>) -> Value {
    fn cleaned(value: &Value) -> Value {
        match value {
            Value::Object(fields) => without_null(fields),
            Value::Array(items) => Value::Array(items.iter().map(cleaned).collect()),
            other => other.clone(),
        }
    }
    let kept = fields.iter().filter(|(_, value)| !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.clone(), cleaned(value))).collect())
}

/// `/llm_config/tools/0/url` as `llm_config.tools[0].url`.
fn field_of(pointer: &str) -> String {
    let mut field = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.chars().all(|c| c.is_ascii_digit()) && !part.is_empty() {
            field.push_str(&format!("[{part}]"));
        } else {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(&part);
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_only_the_server_knows_has_its_line_too() {
        let document = json!({"components": {"schemas": {"AgentFields": {
            "type": "object", "required": ["name"],
            "properties": {"name": {"type": "string"}, "webhook_secret": {"type": "string", "maxLength": 3},
                "tts_config": {"type": "object", "required": ["model"]}},
        }}}});
        let text = "agents:\n  - name: A\n    webhook_secret: {env: KEY}\n    tts_config:\n      provider: elevenlabs\n      voice_id: v\n      language: en\n";
        let environment = |_: &str| Some("long-secret".to_owned());
        let items = crate::apply::document::items(text, Path::new(""), &environment);
        let items = items.unwrap_or_else(|errors| panic!("{errors:?}"));
        let schema = compiled(&document, "AgentFields").unwrap();
        let found: Vec<String> = faults(&schema, &items[0]).iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|fault| fault.starts_with("5: agents[0].tts_config.model: ")), "{found:?}");
        assert!(found.iter().any(|fault| fault.starts_with("3: agents[0].webhook_secret: ")), "{found:?}");
        assert!(!found.concat().contains("long-secret"), "{found:?}");
    }

    #[test]
    fn pointers_are_paths() {
        assert_eq!(field_of("/llm_config/tools/0/url"), "llm_config.tools[0].url");
        assert_eq!(field_of("/a~1b"), "a/b");
        assert_eq!(field_of(""), "");
    }
}
