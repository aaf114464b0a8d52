//! Which fields of a document differ from those that a file asks for. Both are compared as the server writes them: with
//! its defaults, and without secrets, which nobody can read.

use super::item::{Item, Kind};
use super::rules;
use serde::Serialize;
use serde_json::{Map, Value};

/// Names of the fields that have to change, in their order.
pub(super) fn changed_fields(item: &Item, current: &Value, update_secrets: bool) -> Vec<String> {
    let wanted = as_shown(item);
    let differs = |field: &&String| {
        if item.holds_secret(field) && update_secrets {
            return true;
        }
        match item.fields.get(field.as_str()) {
            Some(value) if item.secrets.contains(field) => !is_set(current, field, value),
            Some(Value::Null) => !is_empty(&current[field.as_str()]) && !is_default_of_null(item, field, current),
            _ => !same(wanted.get(field.as_str()).unwrap_or(&Value::Null), &current[field.as_str()]),
        }
    };
    item.fields.keys().filter(differs).cloned().collect()
}

/// A secret counts as the same as long as one is stored. Of some (`previous_webhook_secret`) nothing is shown: they
/// come with a field beside them that is.
fn is_set(current: &Value, field: &str, wanted: &Value) -> bool {
    match (current.get(format!("{field}_set")).and_then(Value::as_bool), current.get(field)) {
        (Some(is_set), _) => is_set != wanted.is_null(),
        // It comes from the environment, and can be read all the same.
        (None, Some(shown)) => same(wanted, shown),
        (None, None) => true,
    }
}

/// A field that is cleared has the default again, which need not be empty.
fn is_default_of_null(item: &Item, field: &str, current: &Value) -> bool {
    as_shown(item).get(field).is_some_and(|default| same(default, &current[field]))
}

/// The fields of an item as the server would show them.
fn as_shown(item: &Item) -> Map<String, Value> {
    let shown = match item.kind {
        Kind::Agent => rules::agent(&item.fields).ok().and_then(|fields| json_of(&fields.without_secrets())),
        Kind::Trunk => rules::trunk(&item.fields).ok().and_then(|fields| json_of(&fields)),
        Kind::Number | Kind::ProviderKey => None,
    };
    shown.unwrap_or_else(|| item.fields.clone())
}

/// By way of text: there numbers of 32 bits look as in the server's answer.
fn json_of(fields: &impl Serialize) -> Option<Map<String, Value>> {
    serde_json::from_str(&serde_json::to_string(fields).ok()?).ok()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

/// Equal, where nothing, an empty list and an empty object are the same.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let null = &Value::Null;
            let mut names = one.keys().chain(other.keys());
            names.all(|name| same(one.get(name).unwrap_or(null), other.get(name).unwrap_or(null)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other || (is_empty(one) && is_empty(other)),
    }
}
