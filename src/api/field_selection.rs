//! `fields=id,name`: lists that carry only what their reader shows.

use super::error::ApiError;
use super::input::QueryParams;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// The fields of each entry that a list is asked for.
#[derive(Debug)]
pub(super) struct FieldSelection(Option<BTreeSet<String>>);

impl FieldSelection {
    /// Reads `fields`. A name that entries of the type do not have is refused.
    pub(super) fn read<T: ToSchema>(query: &QueryParams) -> Result<Self, ApiError> {
        let Some(text) = query.text("fields") else { return Ok(Self(None)) };
        let known = names::<T>();
        let wanted: BTreeSet<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if wanted.is_subset(&known) {
            return Ok(Self(Some(wanted)));
        }
        Err(ApiError::field("fields", "must be names of fields, separated by commas"))
    }

    /// An entry with the fields that are wanted.
    pub(super) fn apply<T: Serialize>(&self, entry: T) -> Selected<T> {
        let Some(wanted) = &self.0 else { return Selected::Whole(entry) };
        let mut entry = serde_json::to_value(entry).unwrap_or_default();
        if let Value::Object(fields) = &mut entry {
            fields.retain(|name, _| wanted.contains(name));
        }
        Selected::Picked(entry)
    }
}

/// An entry of a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Selected<T> {
    /// With all its fields.
    Whole(T),
    /// With those that are wanted.
    Picked(Value),
}

/// The names of a type's fields.
fn names<T: ToSchema>() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&serde_json::to_value(T::schema()).unwrap_or_default(), &mut found);
    found
}

fn collect(schema: &Value, found: &mut BTreeSet<String>) {
    found.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(part, found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::agent_view::AgentView;
    use super::super::calls::CallView;
    use super::*;

    #[test]
    fn the_fields_of_entries_are_known() {
        for name in ["id", "metrics", "transcript", "duration_seconds"] {
            assert!(names::<CallView>().contains(name), "{name}");
        }
        assert!(names::<AgentView>().contains("is_active"));
        assert!(!names::<CallView>().contains(""));
    }
}
