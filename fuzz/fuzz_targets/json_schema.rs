//! Any bytes as a schema and a value: as JSON text, or as a recipe of keywords that refer to each other. Accepted
//! schemas are evaluated; libFuzzer's timeout and sanitizer find what the budget missed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use trunkline_json::document::DocumentLimits;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget};

const LIMITS: DocumentLimits = DocumentLimits { bytes_max: 1 << 20, depth_max: 80, values_max: 20_000 };

const KEYWORDS: [&str; 52] = [
    "$ref",
    "$dynamicRef",
    "$recursiveRef",
    "$anchor",
    "$dynamicAnchor",
    "$id",
    "id",
    "$schema",
    "$defs",
    "definitions",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
    "dependentRequired",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedProperties",
    "unevaluatedItems",
    "uniqueItems",
    "enum",
    "const",
    "type",
    "required",
    "pattern",
    "format",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "contentMediaType",
    "contentEncoding",
];
const TEXTS: [&str; 40] = [
    "#",
    "#/$defs/a",
    "#/$defs/b",
    "#/$defs/c",
    "#/definitions/a",
    "#/properties/a",
    "#a",
    "#b",
    "a",
    "b",
    "a#/properties/b",
    "#/%24defs/a",
    "#/$defs/~0",
    "#/$defs/~1",
    "#/allOf/0",
    "#/items",
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
    "file:///etc/passwd",
    "object",
    "array",
    "string",
    "integer",
    "null",
    "^(a|b)*$",
    "(a{0,50}){0,50}",
    "\\p{L}{1,90}",
    "(?!x)",
    "(a)\\1",
    "[",
    "^[\\w.-]+@x$",
    "regex",
    "email",
    "uri",
    "date-time",
    "application/json",
    "base64",
    "",
];

struct Recipe<'a>(std::slice::Iter<'a, u8>);

impl Recipe<'_> {
    fn byte(&mut self) -> usize {
        self.0.next().map_or(0, |byte| usize::from(*byte))
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.byte() % TEXTS.len()]
    }

    fn name(&mut self) -> &'static str {
        ["a", "b", "c", "~", "/", "properties"][self.byte() % 6]
    }

    fn members(&mut self, depth: usize) -> Map<String, Value> {
        let count = self.byte() % 4;
        (0..count).map(|_| (self.name().to_owned(), self.schema(depth))).collect()
    }

    fn schema(&mut self, depth: usize) -> Value {
        if depth == 0 || self.0.len() == 0 {
            return [json!(true), json!(false), json!({}), json!({"$ref": self.text()})][self.byte() % 4].clone();
        }
        let mut schema = Map::new();
        for _ in 0..1 + self.byte() % 4 {
            let keyword = KEYWORDS[self.byte() % KEYWORDS.len()];
            let value = match self.byte() % 8 {
                0 | 1 => self.schema(depth - 1),
                2 => (0..self.byte() % 4).map(|_| self.schema(depth - 1)).collect(),
                3 | 4 => Value::Object(self.members(depth - 1)),
                5 | 6 => json!(self.text()),
                _ => [
                    json!(0),
                    json!(1),
                    json!(true),
                    json!(1e-300),
                    json!(u64::MAX),
                    json!(1e308),
                    json!(["a"]),
                    json!(null),
                ][self.byte() % 8]
                    .clone(),
            };
            schema.insert(keyword.to_owned(), value);
        }
        Value::Object(schema)
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.byte() % if depth == 0 { 4 } else { 8 } {
            0 => json!(self.text()),
            1 => json!(self.byte()),
            2 => json!(null),
            3 => json!(0.1),
            4 | 5 => (0..self.byte() % 4).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object((0..self.byte() % 4).map(|_| (self.name().to_owned(), self.value(depth - 1))).collect()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (schema, value) = if first % 4 == 0 {
        let mut parts = rest.splitn(2, |byte| *byte == 0);
        let read = |text: Option<&[u8]>| LIMITS.parse(text.unwrap_or_default());
        let (Ok(schema), value) = (read(parts.next()), read(parts.next())) else { return };
        (schema, value.unwrap_or_default())
    } else {
        let mut recipe = Recipe(rest.iter());
        let mut schema = recipe.schema(5);
        if let Value::Object(schema) = &mut schema {
            let definitions = recipe.members(4);
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        (schema, recipe.value(6))
    };
    let leniency = if first % 8 < 4 { PatternPolicy::None } else { PatternPolicy::SkipBacktracking };
    let checked = CompiledSchema::check(&schema, &mut SchemaBudget::default(), leniency);
    match CompiledSchema::compile(&schema, &mut SchemaBudget::default(), leniency) {
        Ok(schema) => {
            assert!(checked.is_ok());
            let _ = schema.check_value(&value, 5);
        }
        Err(error) => assert!(error.to_string().len() < 4_000),
    }
});
