//! What the largest schemas that are taken take: allocations are counted, so that the machine's speed is not.

use serde_json::{Map, Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn named(count: usize, one: impl Fn(usize) -> Value) -> Map<String, Value> {
    (0..count).map(|at| (at.to_string(), one(at))).collect()
}

/// Schemas just within the limits, by what they have most of.
fn largest() -> Vec<(&'static str, Value)> {
    let wide = named(2_900, |at| json!({"minimum": at, "title": "ignored"}));
    let leaves = json!({"properties": named(90, |at| json!({"type": "string", "maxLength": at}))});
    let mut diamond = named(10, |at| json!({"allOf": vec![json!({"$ref": format!("#/$defs/{}", at + 1)}); 2]}));
    diamond.insert("10".to_owned(), json!({"type": "string"}));
    let deep = (0..29).fold(
        json!({"type": "string"}),
        |inner, at| json!({"type": "object", "properties": {"a": inner}, "additionalProperties": at % 2 == 0}),
    );
    let branches = vec![json!({"$ref": "#/$defs/x"}); 95];
    vec![
        ("subschemas", json!({"properties": wide, "additionalProperties": false})),
        ("values", json!({"enum": (0..9_900).map(|at| json!(at)).collect::<Vec<_>>()})),
        ("text", json!({"const": "x".repeat(255_000)})),
        ("references", json!({"$defs": {"x": leaves}, "properties": named(990, |_| json!({"$ref": "#/$defs/x"}))})),
        ("branches", json!({"anyOf": vec![json!({"required": ["a"]}); 2_400]})),
        ("diamond", json!({"$defs": diamond, "$ref": "#/$defs/0"})),
        ("levels", deep),
        ("unevaluated", json!({"$defs": {"x": leaves}, "unevaluatedProperties": false, "allOf": branches})),
        (
            "patterns",
            json!({"properties": named(99, |at| json!({"pattern": format!("^\\d{{1,40}}-[a-z]{{1,40}}{at}$")}))}),
        ),
        (
            "large patterns",
            json!({"properties": named(3, |at| json!({"pattern": format!("^[\\p{{L}}x]{{1,45}}y{at}$")}))}),
        ),
    ]
}

#[test]
fn the_largest_schemas_take_what_their_limits_say() {
    // What the compiler makes once.
    let compile = |schema: &Value| CompiledSchema::compile(schema, &mut SchemaBudget::default(), PatternPolicy::None);
    drop(compile(&json!({"type": "object", "$ref": "#/$defs/x", "$defs": {"x": {}}})).unwrap());
    for (what, schema) in largest() {
        let region = Region::new(GLOBAL);
        let compiled = compile(&schema).unwrap_or_else(|error| panic!("{what}: {error}"));
        let change = region.change();
        let kept = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
        let figures =
            format!("{what}: {} allocations, {} bytes, {kept} kept", change.allocations, change.bytes_allocated);
        assert!(change.allocations < 1_000_000 && change.bytes_allocated < 64 << 20 && kept < 16 << 20, "{figures}");
        drop(compiled);
    }
}
