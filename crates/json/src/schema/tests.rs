//! What schemas in the wild do goes on; what hostile ones do is counted before it is done.

use super::*;
use serde_json::json;

mod cost;
mod counted;
mod hostile;
mod in_the_wild;
mod refusals;

fn compile(schema: &Value) -> Result<CompiledSchema, SchemaError> {
    CompiledSchema::compile(schema, &mut SchemaBudget::default(), PatternPolicy::None)
}

/// Compiles a schema and holds values against it: what is wrong with each, or an empty text.
fn check(schema: &Value, values: &[(Value, &str)]) {
    let compiled = compile(schema).unwrap_or_else(|error| panic!("{error}: {schema}"));
    for (value, wanted) in values {
        let found = compiled.check_value(value, 5).map_or_else(|misfit| misfit.describe(), |()| String::new());
        assert_eq!(found, *wanted, "{value} against {schema}");
    }
}

fn refused(schema: &Value, place: &str, message: &str) {
    let error = compile(schema).map(|_| ()).unwrap_err();
    assert!(error.message.contains(message), "{error}");
    assert_eq!(error.place, place, "{error}");
}
