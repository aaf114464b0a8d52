//! Schemas as an enemy writes them, from a seed.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

pub(super) struct SchemaFuzzer(StdRng);

impl SchemaFuzzer {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }

    fn reference(&mut self, definitions: usize) -> Value {
        let keyword = match self.below(12) {
            0 => "$dynamicRef",
            1 => "$recursiveRef",
            _ => "$ref",
        };
        let target = match self.below(12) {
            0 => "#".to_owned(),
            1 => format!("#anchor{}", self.below(definitions)),
            2 => format!("#/properties/{}", self.name()),
            3 => format!("id{}", self.below(definitions)),
            4 => format!("#/%24defs/{}", self.below(definitions)),
            _ => format!("#/$defs/{}", self.below(definitions)),
        };
        json!({keyword: target})
    }

    fn assertion(&mut self) -> (&'static str, Value) {
        match self.below(16) {
            0 => ("type", json!(["object", "array", "string", "integer", "null"][self.below(5)])),
            1 => ("enum", json!([1, "a", {"a": [1]}, null])),
            2 => ("const", json!({"a": 1})),
            3 => ("minLength", json!(self.below(3))),
            4 => ("maximum", json!(self.below(10))),
            5 => ("multipleOf", json!([0.1, 3.0, 1e-300, 1e300][self.below(4)])),
            6 => ("uniqueItems", json!(true)),
            7 => ("required", json!([self.name()])),
            8 => ("pattern", json!(["^a+$", "(a|b){0,40}c", "^\\p{L}{1,20}$", "(a*)*b", "\\d+"][self.below(5)])),
            9 => ("format", json!(["email", "regex", "uri", "date-time", "idn-hostname"][self.below(5)])),
            10 => ("minItems", json!(self.below(3))),
            11 => ("maxProperties", json!(self.below(4))),
            12 => ("dependentRequired", json!({self.name(): [self.name()]})),
            13 => ("contentMediaType", json!("application/json")),
            14 => ("minContains", json!(self.below(3))),
            _ => ("exclusiveMinimum", json!(0)),
        }
    }

    pub(super) fn subschema(&mut self, depth: usize, definitions: usize) -> Value {
        if depth == 0 || self.below(12) == 0 {
            return match self.below(4) {
                0 => json!(true),
                1 => json!(false),
                2 => json!({}),
                _ => self.reference(definitions),
            };
        }
        let mut schema = serde_json::Map::new();
        for _ in 0..1 + self.below(3) {
            let (keyword, value) = self.keyword(depth, definitions);
            match value {
                Value::Object(inner) if keyword.is_empty() => schema.extend(inner),
                value => drop(schema.insert(keyword.to_owned(), value)),
            }
        }
        Value::Object(schema)
    }

    fn keyword(&mut self, depth: usize, definitions: usize) -> (&'static str, Value) {
        let one = |enemy: &mut Self| enemy.subschema(depth - 1, definitions);
        let list = |enemy: &mut Self| {
            let same = enemy.subschema(depth - 1, definitions);
            let count = 1 + enemy.below(3);
            Value::Array(
                (0..count)
                    .map(|_| if enemy.below(2) == 0 { same.clone() } else { enemy.subschema(depth - 1, definitions) })
                    .collect(),
            )
        };
        match self.below(26) {
            0..3 => ("allOf", list(self)),
            3 => ("anyOf", list(self)),
            4 => ("oneOf", list(self)),
            5 => ("not", one(self)),
            6 => ("if", one(self)),
            7 => ("then", one(self)),
            8 => ("else", one(self)),
            9..12 => ("properties", json!({self.name(): one(self), self.name(): one(self)})),
            12 => ("additionalProperties", one(self)),
            13 => ("patternProperties", json!({"^[ab]": one(self), ".": one(self)})),
            14 => ("propertyNames", one(self)),
            15 => ("items", if self.below(3) == 0 { list(self) } else { one(self) }),
            16 => ("prefixItems", list(self)),
            17 => ("contains", one(self)),
            18 => ("unevaluatedProperties", one(self)),
            19 => ("unevaluatedItems", one(self)),
            20 => ("dependentSchemas", json!({self.name(): one(self)})),
            21 => ("dependencies", json!({self.name(): one(self), self.name(): ["a"]})),
            22 => ("additionalItems", one(self)),
            23 => ("", self.reference(definitions)),
            _ => self.assertion(),
        }
    }

    /// A schema of anything.
    pub(super) fn soup(&mut self) -> Value {
        let definitions = 1 + self.below(6);
        let mut schema = self.subschema(3, definitions);
        if !schema.is_object() {
            schema = json!({"not": schema});
        }
        let mut all = serde_json::Map::new();
        for at in 0..definitions {
            let mut one = self.subschema(3, definitions);
            if let (Value::Object(one), 0) = (&mut one, self.below(3)) {
                let anchor = ["$anchor", "$dynamicAnchor"][self.below(2)];
                one.insert(anchor.to_owned(), json!(format!("anchor{at}")));
            }
            if let (Value::Object(one), 0) = (&mut one, self.below(6)) {
                one.insert("$id".to_owned(), json!(format!("id{at}")));
            }
            all.insert(at.to_string(), one);
        }
        schema["$defs"] = Value::Object(all);
        if self.below(2) == 0 {
            schema["$schema"] = json!(DRAFTS[self.below(DRAFTS.len())]);
        }
        schema
    }

    pub(super) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => json!(null),
            1 => json!(self.below(5)),
            2 => json!(["a", "ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x@y.example"][self.below(4)]),
            3 => json!(true),
            4 => json!(0.3),
            5 | 6 => {
                let count = self.below(4);
                (0..count).map(|_| self.value(depth - 1)).collect()
            }
            _ => {
                let count = self.below(4);
                Value::Object((0..count).map(|_| (self.name().to_owned(), self.value(depth - 1))).collect())
            }
        }
    }
}

/// A diamond of `levels` through a keyword, and a value that goes all the way down.
pub(super) fn diamond(keyword: &str, levels: usize) -> (Value, Value) {
    let twice = |next: Value| match keyword {
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => json!({keyword: [next.clone(), next]}),
        "if" => json!({"if": next.clone(), "then": next.clone(), "else": next}),
        "dependentSchemas" | "dependencies" => json!({keyword: {"a": next.clone(), "b": next}}),
        "not" => json!({"not": next.clone(), "allOf": [next]}),
        "properties" => json!({"allOf": [{"properties": {"a": next.clone()}}, {"properties": {"a": next}}]}),
        "patternProperties" => json!({"patternProperties": {"^a": next.clone(), "a$": next}}),
        "items" => json!({"items": next.clone(), "contains": next}),
        "unevaluatedProperties" => json!({"allOf": [next.clone()], "unevaluatedProperties": next}),
        _ => json!({"anyOf": [next.clone()], keyword: next}),
    };
    let mut all: serde_json::Map<String, Value> =
        (0..levels).map(|at| (at.to_string(), twice(json!({"$ref": format!("#/$defs/{}", at + 1)})))).collect();
    all.insert(levels.to_string(), json!({"type": "string"}));
    let value = (0..levels.min(60)).fold(json!(1), |inner, _| match keyword {
        "items" | "prefixItems" | "unevaluatedItems" => json!([inner]),
        _ => json!({"a": inner, "b": 1}),
    });
    (json!({"$defs": all, "$ref": "#/$defs/0"}), value)
}
