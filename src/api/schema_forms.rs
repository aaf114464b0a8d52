//! The forms that schemas of the OpenAPI document have, whatever derived them: a description at each property, one way to
//! write `null`, and named alternatives with a discriminator. Generators of clients read all of them.

use serde_json::{Map, Value, json};

/// Fields that many documents have, and what they are wherever nothing else is said.
const USUAL: [(&str, &str); 7] = [
    ("id", "Identifies it, a UUID."),
    ("organization_id", "The organization that it belongs to."),
    ("created_at", "When it was created (RFC 3339, UTC)."),
    ("updated_at", "When it was last changed (RFC 3339, UTC)."),
    ("total", "Entries of all pages together."),
    ("limit", "Most entries of a page, as asked for."),
    ("offset", "Entries that were left out before the page, as asked for."),
];

/// Schemas of answers, and the schemas of requests that have the same fields.
const WRITTEN: [(&str, &str); 4] =
    [("Agent", "AgentFields"), ("Task", "TaskFields"), ("PhoneNumber", "PhoneNumberFields"), ("Trunk", "TrunkFields")];

/// Brings all schemas into these forms.
pub(super) fn bring_into_form(schemas: &mut Value) {
    name_alternatives(schemas);
    each(schemas).for_each(form);
    for (answer, request) in WRITTEN {
        let written = schemas[request]["properties"].clone();
        for (name, property) in properties(&mut schemas[answer]) {
            let known = written[name.as_str()]["description"].clone();
            if property["description"].is_null() && known.is_string() {
                property["description"] = known;
            }
        }
    }
    for schema in each(schemas) {
        for (name, property) in properties(schema) {
            let usual = USUAL.iter().find(|(usual, _)| usual == name);
            if let (Some((_, description)), true) = (usual, property["description"].is_null()) {
                property["description"] = json!(description);
            }
        }
    }
}

fn each(schemas: &mut Value) -> impl Iterator<Item = &mut Value> {
    schemas.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn properties(schema: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
}

/// Whether a schema accepts `null`.
fn takes_null(schema: &Value) -> bool {
    let among = |list: &Value| list.as_array().is_some_and(|all| all.iter().any(|one| one == "null" || one.is_null()));
    if schema.get("enum").is_some_and(|values| !among(values)) || schema.get("const").is_some_and(|one| !one.is_null())
    {
        return false;
    }
    let is_null = |form: &Value| form["type"] == "null";
    let choice = |forms: &Value| forms.as_array().is_some_and(|all| all.iter().any(is_null));
    among(&schema["type"]) || choice(&schema["anyOf"]) || choice(&schema["oneOf"])
}

/// The schema with `null` beside what it accepts; what is said about it stays where readers look for it.
pub(super) fn nullable(mut schema: Value) -> Value {
    if takes_null(&schema) {
        return schema;
    }
    if schema.get("enum").is_none() && schema.get("const").is_none() && schema["type"].is_string() {
        schema["type"] = json!([schema["type"], "null"]);
        return schema;
    }
    // A list with "null" and values without it.
    if let Some(kind) = schema["type"].get(0).cloned() {
        schema["type"] = kind;
    }
    let mut outer = json!({"anyOf": [schema, {"type": "null"}]});
    lift(&mut outer);
    outer
}

/// Moves what is said about one form of a choice to the choice, where the other form is only `null`.
fn lift(schema: &mut Value) {
    for choice in ["anyOf", "oneOf"] {
        let Some([one, other]) = schema.get_mut(choice).and_then(Value::as_array_mut).map(Vec::as_mut_slice) else {
            continue;
        };
        let (form, null) = if other["type"] == "null" { (one, other) } else { (other, one) };
        if null["type"] != "null" {
            continue;
        }
        let said = ["description", "example", "writeOnly", "default"];
        let form = form.as_object_mut().into_iter();
        let moved: Map<String, Value> =
            form.flat_map(|form| said.map(|name| form.remove_entry(name))).flatten().collect();
        for (name, value) in moved {
            if schema.get(&name).is_none() {
                schema[name] = value;
            }
        }
    }
}

/// A schema and all that is in it. Line breaks of doc comments are none in a description.
fn form(schema: &mut Value) {
    match schema {
        Value::Object(_) => {
            lift(schema);
            let Some(fields) = schema.as_object_mut() else { return };
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = one_line(text);
            }
            for (name, inner) in fields {
                if !["example", "const", "enum", "default"].contains(&name.as_str()) {
                    form(inner);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(form),
        _ => {}
    }
}

/// Doc comments are broken into lines where the source ends; an empty line begins a paragraph.
pub(super) fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Alternatives that a `type` tells apart become schemas of their own with a discriminator: `FlowState` is a
/// `FlowStateMenu`, a `FlowStateAsk` and so on.
fn name_alternatives(schemas: &mut Value) {
    let mut added = Map::new();
    for (name, schema) in schemas.as_object_mut().into_iter().flatten() {
        let Some(forms) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else { continue };
        let kind = |form: &Value| form["properties"]["type"]["enum"][0].as_str().map(str::to_owned);
        let Some(kinds) = forms.iter().map(kind).collect::<Option<Vec<_>>>() else { continue };
        let mut mapping = Map::new();
        for (form, kind) in forms.iter_mut().zip(kinds) {
            let own = format!("{name}{}", camel_case(&kind));
            let reference = format!("#/components/schemas/{own}");
            let mut alternative = std::mem::replace(form, json!({"$ref": reference}));
            alternative["properties"]["type"] =
                json!({"type": "string", "const": kind, "description": format!("Always `{kind}`.")});
            added.insert(own, alternative);
            mapping.insert(kind, json!(reference));
        }
        schema["discriminator"] = json!({"propertyName": "type", "mapping": mapping});
    }
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.extend(added);
    }
}

fn camel_case(name: &str) -> String {
    let parts = name.split(['_', '-']).map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    parts.collect()
}

/// Merges an object that is put together from parts (`allOf`) into one; parts may be references.
pub(super) fn merged(schema: &Value, schemas: &Value) -> Value {
    let Some(parts) = schema["allOf"].as_array() else { return schema.clone() };
    let mut whole = json!({"type": "object", "properties": {}, "required": []});
    if let Some(description) = schema.get("description") {
        whole["description"] = description.clone();
    }
    for part in parts {
        let name = part["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        let part = name.map_or(part, |name| &schemas[name]);
        if let (Some(all), Some(fields)) = (whole["properties"].as_object_mut(), part["properties"].as_object()) {
            all.extend(fields.clone());
        }
        if let (Some(all), Some(names)) = (whole["required"].as_array_mut(), part["required"].as_array()) {
            all.extend(names.clone());
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_written_once_and_descriptions_stay_outside() {
        let said = "A name.";
        let text = json!({"type": ["string", "null"], "description": said});
        assert_eq!(nullable(text.clone()), text);
        assert_eq!(nullable(json!({"type": "string", "description": said})), text);
        let reference = json!({"$ref": "#/x", "description": said});
        let wanted = json!({"anyOf": [{"$ref": "#/x"}, {"type": "null"}], "description": said});
        assert_eq!(nullable(reference), wanted);
        let closed = json!({"type": ["string", "null"], "enum": ["a"]});
        assert_eq!(nullable(closed), json!({"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}));
        let mut choice = json!({"oneOf": [{"$ref": "#/x", "description": "A\nname."}, {"type": "null"}]});
        form(&mut choice);
        assert_eq!(choice, json!({"oneOf": [{"$ref": "#/x"}, {"type": "null"}], "description": said}));
    }

    #[test]
    fn alternatives_get_names_and_a_discriminator() {
        let form = |name: &str| json!({"type": "object", "properties": {"type": {"enum": [name], "type": "string"}}});
        let mut schemas = json!({"State": {"oneOf": [form("say"), form("take_message")]}});
        name_alternatives(&mut schemas);
        let mapping = &schemas["State"]["discriminator"]["mapping"];
        assert_eq!(mapping["take_message"], "#/components/schemas/StateTakeMessage");
        assert_eq!(schemas["StateTakeMessage"]["properties"]["type"]["const"], "take_message");
        assert_eq!(schemas["State"]["oneOf"][0], json!({"$ref": "#/components/schemas/StateSay"}));
    }
}
