//! Which keywords a draft has, and what each of them holds.

use jsonschema::Draft;
use serde_json::Value;

/// What the value of a keyword is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeywordRole {
    /// A value that is compared or counted.
    Assertion,
    Pattern,
    Format,
    /// One subschema.
    One,
    /// A list of subschemas.
    List,
    /// Subschemas by name.
    Named,
    /// Subschemas by pattern.
    Patterned,
    /// Subschemas that are there to be referred to.
    Definitions,
    Reference,
    /// Annotations, and what this draft does not know.
    Nothing,
}

/// Formats that are checked where a draft asserts them. The others would recurse or compile what a caller says.
const FORMATS: [&str; 16] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// Error message for any other dialect.
pub(super) const DIALECTS: &str = "$schema must be draft-04, draft-06, draft-07, 2019-09 or 2020-12 of JSON Schema";

/// The draft that `$schema` names; the newest without it.
pub(super) fn draft(schema: Option<&Value>) -> Option<Draft> {
    let Some(name) = schema else { return Some(Draft::Draft202012) };
    let name = name.as_str()?.trim_end_matches('#');
    let name = name.strip_prefix("https://").or(name.strip_prefix("http://"))?;
    match name.trim_end_matches('/') {
        "json-schema.org/draft-04/schema" => Some(Draft::Draft4),
        "json-schema.org/draft-06/schema" => Some(Draft::Draft6),
        "json-schema.org/draft-07/schema" => Some(Draft::Draft7),
        "json-schema.org/draft/2019-09/schema" => Some(Draft::Draft201909),
        "json-schema.org/draft/2020-12/schema" | "json-schema.org/schema" => Some(Draft::Draft202012),
        _ => None,
    }
}

/// Age of a draft.
fn year(draft: Draft) -> u8 {
    match draft {
        Draft::Draft4 => 4,
        Draft::Draft6 => 6,
        Draft::Draft7 => 7,
        Draft::Draft201909 => 19,
        _ => 20,
    }
}

/// Up to draft-07 nothing beside a reference counts.
pub(super) fn reference_stands_alone(draft: Draft) -> bool {
    year(draft) <= 7
}

/// The keyword that names a resource.
pub(super) fn id_keyword(draft: Draft) -> &'static str {
    if draft == Draft::Draft4 { "id" } else { "$id" }
}

/// The keyword that definitions are kept under.
pub(super) fn definitions_keyword(draft: Draft) -> &'static str {
    if year(draft) <= 7 { "definitions" } else { "$defs" }
}

pub(super) fn is_checked_format(value: &Value) -> bool {
    value.as_str().is_some_and(|name| FORMATS.contains(&name))
}

/// Whether the subschemas of a keyword are held against the same value.
pub(super) fn is_in_place(keyword: &str) -> bool {
    matches!(
        keyword,
        "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas" | "dependencies"
    )
}

/// What a keyword holds in a draft, with its name as a constant.
pub(super) fn role(draft: Draft, keyword: &str, value: &Value) -> (&'static str, KeywordRole) {
    let year = year(draft);
    let since = |first: u8, role: KeywordRole| if year >= first { role } else { KeywordRole::Nothing };
    let until = |last: u8, role: KeywordRole| if year <= last { role } else { KeywordRole::Nothing };
    match keyword {
        "allOf" => ("allOf", KeywordRole::List),
        "anyOf" => ("anyOf", KeywordRole::List),
        "oneOf" => ("oneOf", KeywordRole::List),
        "not" => ("not", KeywordRole::One),
        "if" => ("if", since(7, KeywordRole::One)),
        "then" => ("then", since(7, KeywordRole::One)),
        "else" => ("else", since(7, KeywordRole::One)),
        "dependentSchemas" => ("dependentSchemas", since(19, KeywordRole::Named)),
        "dependencies" => ("dependencies", KeywordRole::Named),
        "properties" => ("properties", KeywordRole::Named),
        "patternProperties" => ("patternProperties", KeywordRole::Patterned),
        "additionalProperties" => ("additionalProperties", KeywordRole::One),
        "unevaluatedProperties" => ("unevaluatedProperties", since(19, KeywordRole::One)),
        "propertyNames" => ("propertyNames", since(6, KeywordRole::One)),
        "items" if value.is_array() => ("items", until(19, KeywordRole::List)),
        "items" => ("items", KeywordRole::One),
        "additionalItems" => ("additionalItems", until(19, KeywordRole::One)),
        "prefixItems" => ("prefixItems", since(20, KeywordRole::List)),
        "contains" => ("contains", since(6, KeywordRole::One)),
        "unevaluatedItems" => ("unevaluatedItems", since(19, KeywordRole::One)),
        "$defs" => ("$defs", KeywordRole::Definitions),
        "definitions" => ("definitions", KeywordRole::Definitions),
        "$ref" => ("$ref", KeywordRole::Reference),
        "$dynamicRef" => ("$dynamicRef", since(20, KeywordRole::Reference)),
        "$recursiveRef" => ("$recursiveRef", if year == 19 { KeywordRole::Reference } else { KeywordRole::Nothing }),
        "pattern" => ("pattern", KeywordRole::Pattern),
        "format" => ("format", KeywordRole::Format),
        _ => assertion(year, keyword),
    }
}

fn assertion(year: u8, keyword: &str) -> (&'static str, KeywordRole) {
    const ALWAYS: [&str; 15] = [
        "type",
        "enum",
        "multipleOf",
        "maximum",
        "minimum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
    ];
    const NEWER: [(&str, u8); 6] = [
        ("const", 6),
        ("contentEncoding", 6),
        ("contentMediaType", 6),
        ("dependentRequired", 19),
        ("maxContains", 19),
        ("minContains", 19),
    ];
    let always = ALWAYS.iter().find(|name| **name == keyword).copied();
    let newer = NEWER.iter().find(|(name, first)| *name == keyword && year >= *first).map(|(name, _)| *name);
    always.or(newer).map_or(("", KeywordRole::Nothing), |name| (name, KeywordRole::Assertion))
}
