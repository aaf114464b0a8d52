//! The rules of fields, as the server has them: the types and checks of the domain.

use super::item::{Item, Kind};
use crate::yaml::FileError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use trunkline_domain::agent::{ALIASES, AgentFields};
use trunkline_domain::phone_number::PhoneNumber;
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::trunk::TrunkFields;
use trunkline_domain::{FieldError, faults};

const NUMBER_FIELDS: &[&str] = &[
    "number",
    "name",
    "agent_id",
    "trunk_id",
    "webhook_url",
    "webhook_secret",
    "previous_webhook_secret",
    "webhook_rotation_ends_at",
];
const KEY_FIELDS: &[&str] = &["name", "provider", "value", "base_url"];

/// Everything that is wrong with an item, with lines.
pub(super) fn check(item: &mut Item) -> Vec<FileError> {
    let found = match item.kind {
        Kind::Agent => unify_names(&mut item.fields).err().map_or_else(
            || agent(&item.fields).map_or_else(|faults| faults, |fields| faults(&fields)),
            |fault| vec![fault],
        ),
        Kind::Trunk => trunk(&item.fields).map_or_else(|faults| faults, |fields| faults(&fields)),
        Kind::Number => number(&item.fields),
        Kind::ProviderKey => provider_key(&item.fields),
    };
    found.into_iter().map(|fault| item.error(&fault.field, fault.message)).collect()
}

/// An agent as the server reads it.
pub(super) fn agent(fields: &Map<String, Value>) -> Result<AgentFields, Vec<FieldError>> {
    read(fields).map_err(|fault| vec![fault])
}

/// A trunk as the server reads it.
pub(super) fn trunk(fields: &Map<String, Value>) -> Result<TrunkFields, Vec<FieldError>> {
    read(fields).map_err(|fault| vec![fault])
}

/// Some fields have two names; the other one counts as this.
fn unify_names(fields: &mut Map<String, Value>) -> Result<(), FieldError> {
    for (name, alias) in ALIASES {
        let Some(value) = fields.remove(alias) else { continue };
        if fields.get(name).is_some_and(|other| *other != value) {
            return Err(FieldError::new(alias, format!("differs from {name}, which means the same")));
        }
        fields.insert(name.to_owned(), value);
    }
    Ok(())
}

/// Fields that are null are as if they were not there.
fn read<T: DeserializeOwned>(fields: &Map<String, Value>) -> Result<T, FieldError> {
    let mut given = fields.clone();
    given.retain(|_, value| !value.is_null());
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let message = error.inner().to_string();
        let path = error.path().to_string();
        let named = message.strip_prefix("unknown field `").or(message.strip_prefix("missing field `"));
        let field = match named.and_then(|rest| rest.split('`').next()) {
            Some(name) if path == "." => name.to_owned(),
            Some(name) if path.ends_with(name) => path,
            Some(name) => format!("{path}.{name}"),
            None => path,
        };
        FieldError::new(field, message)
    })
}

fn unknown(fields: &Map<String, Value>, known: &[&str]) -> Vec<FieldError> {
    let others = fields.keys().filter(|field| !known.contains(&field.as_str()));
    others.map(|field| FieldError::new(field, format!("unknown field, expected one of {}", known.join(", ")))).collect()
}

fn not_texts(fields: &Map<String, Value>) -> Vec<FieldError> {
    let others = fields.iter().filter(|(_, value)| !value.is_string() && !value.is_null());
    others.map(|(field, _)| FieldError::new(field, "must be a text: write it in quotes")).collect()
}

fn number(fields: &Map<String, Value>) -> Vec<FieldError> {
    let mut found = unknown(fields, NUMBER_FIELDS);
    found.extend(not_texts(fields));
    match fields.get("number").and_then(Value::as_str) {
        Some(number) if PhoneNumber::parse(number).is_some() => {}
        _ if found.iter().any(|fault| fault.field == "number") => {}
        _ => found.push(FieldError::new("number", "must be a number in E.164, such as +31201234567")),
    }
    found
}

fn provider_key(fields: &Map<String, Value>) -> Vec<FieldError> {
    let mut found = unknown(fields, KEY_FIELDS);
    found.extend(not_texts(fields));
    for field in ["name", "provider", "value"] {
        if fields.get(field).is_none_or(Value::is_null) {
            found.push(FieldError::new(field, "is missing"));
        }
    }
    if let Some(name) = fields.get("provider").and_then(Value::as_str)
        && !ProviderAccount::parse(name).is_some_and(ProviderAccount::needs_key)
    {
        let with_keys = ProviderAccount::ALL.iter().filter(|account| account.needs_key());
        let names: Vec<&str> = with_keys.map(|account| account.name()).collect();
        found.push(FieldError::new("provider", format!("must be one of {}", names.join(", "))));
    }
    found
}
