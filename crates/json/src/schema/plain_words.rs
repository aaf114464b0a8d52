//! Says in plain words how a value violates one of our schemas: "is required", "must be one of udp, tcp, tls".

use super::error::{SchemaViolation, shortened};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

/// The faults of one error. A missing or an unknown member counts as the fault of that member.
pub(super) fn faults(error: &ValidationError<'_>) -> Vec<SchemaViolation> {
    let place = error.instance_path().to_string();
    let member = |name: &str| format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![SchemaViolation { place: member(name), message: "is required".to_owned() }]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| SchemaViolation { place: member(name), message: "is not a known field".to_owned() })
            .collect(),
        // A choice of schemas: the alternative with the fewest faults is the one that was meant.
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match context.iter().filter(|errors| !errors.is_empty()).min_by_key(|errors| errors.len()) {
                Some(errors) => errors.iter().flat_map(faults).collect(),
                None => vec![SchemaViolation { place, message: "has none of the allowed forms".to_owned() }],
            }
        }
        kind => vec![SchemaViolation { place, message: shortened(&sentence(kind, error)) }],
    }
}

fn sentence(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> String {
    match kind {
        ValidationErrorKind::Type { kind } => format!("must be {}", types(kind)),
        ValidationErrorKind::Enum { options } => match &**options {
            Value::Array(options) => format!("must be one of {}", list(options)),
            other => format!("must be {}", text(other)),
        },
        ValidationErrorKind::Constant { expected_value } => format!("must be {}", text(expected_value)),
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {limit} entries"),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {limit} entries"),
        ValidationErrorKind::UniqueItems => "must not have an entry twice".to_owned(),
        ValidationErrorKind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        _ => error.to_string(),
    }
}

fn types(kind: &TypeKind) -> String {
    let name = |kind: JsonType| match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a text",
    };
    match kind {
        TypeKind::Single(kind) => name(*kind).to_owned(),
        TypeKind::Multiple(kinds) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(options: &[Value]) -> String {
    options.iter().map(text).collect::<Vec<_>>().join(", ")
}
