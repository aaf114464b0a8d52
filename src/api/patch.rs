//! Changes of a document: for each field that a client sent, a new value, or `null`, which clears it. A field that it
//! did not send stays.

use super::error::ApiError;
use super::input::JsonObject;
use super::large_body_queue::LargeBodyPermit;
use super::state::ApiState;
use crate::domain::secret::Secret;
use axum::extract::{FromRequest, Request};
use serde::Serialize;
use serde_json::{Map, Value};
use std::marker::PhantomData;

/// A change of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldChange {
    /// The client sent `null`.
    Clear,
    /// The client sent this value.
    Set(Value),
}

/// The changes of a document of type `T`, and the permit to process them if they are large.
#[derive(Debug)]
pub(super) struct Patch<T> {
    sent: Map<String, Value>,
    permit: Option<LargeBodyPermit>,
    of: PhantomData<fn() -> T>,
}

impl<T> FromRequest<ApiState> for Patch<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &ApiState) -> Result<Self, ApiError> {
        let JsonObject(sent, permit) = JsonObject::from_request(request, api).await?;
        Ok(Self { sent, permit, of: PhantomData })
    }
}

impl<T> Patch<T> {
    /// What the client sent.
    pub(super) fn sent(&self) -> &Map<String, Value> {
        &self.sent
    }

    /// The same, to bring other names of fields into one form.
    pub(super) fn sent_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.sent
    }

    /// The permit to process them; taken once.
    pub(super) fn take_permit(&mut self) -> Option<LargeBodyPermit> {
        self.permit.take()
    }

    /// The change of a field; `None` where it stays.
    pub(super) fn change(&self, field: &str) -> Option<FieldChange> {
        let value = self.sent.get(field)?;
        Some(if value.is_null() { FieldChange::Clear } else { FieldChange::Set(value.clone()) })
    }
}

impl<T: Serialize> Patch<T> {
    /// The document after the changes, to be validated as a whole: a rule may concern a field that stays.
    pub(super) fn apply(&self, current: &T) -> Map<String, Value> {
        // A document is a struct, so that it is an object in JSON.
        let Ok(Value::Object(mut document)) = serde_json::to_value(current) else { return self.sent.clone() };
        document.retain(|_, value| !value.is_null());
        for name in self.sent.keys() {
            match self.change(name) {
                Some(FieldChange::Set(value)) => drop(document.insert(name.clone(), value)),
                Some(FieldChange::Clear) => drop(document.remove(name)),
                None => {}
            }
        }
        document
    }
}

/// A new `webhook_secret` with an end for the one before it, which nobody can read: the stored one is kept as that one.
/// Whoever clears the time or the secret before clears both.
pub(super) fn rotate_webhook_secret<T>(patch: &Patch<T>, document: &mut Map<String, Value>, stored: Option<&Secret>) {
    const SECRET: &str = "webhook_secret";
    const PREVIOUS: &str = "previous_webhook_secret";
    const UNTIL: &str = "webhook_rotation_ends_at";
    let is_cleared = |field: &str| patch.change(field) == Some(FieldChange::Clear);
    if is_cleared(UNTIL) || is_cleared(PREVIOUS) {
        document.remove(UNTIL);
        document.remove(PREVIOUS);
        return;
    }
    let is_named = patch.change(PREVIOUS).is_some() || patch.change(UNTIL).is_none();
    if let (false, Some(FieldChange::Set(new)), Some(stored)) = (is_named, patch.change(SECRET), stored)
        && new.as_str() != Some(stored.expose())
    {
        document.insert(PREVIOUS.to_owned(), stored.expose().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Serialize)]
    struct Document {
        name: &'static str,
        note: Option<&'static str>,
        url: Option<&'static str>,
    }

    #[test]
    fn a_field_is_set_or_cleared_or_stays() {
        let sent = json!({"name": "B", "url": null, "unknown": 1}).as_object().unwrap().clone();
        let patch = Patch::<Document> { sent, permit: None, of: PhantomData };
        assert_eq!(patch.change("name"), Some(FieldChange::Set(json!("B"))));
        assert_eq!((patch.change("url"), patch.change("note")), (Some(FieldChange::Clear), None));
        let current = Document { name: "A", note: Some("kept"), url: Some("https://a.example") };
        let wanted = json!({"name": "B", "note": "kept", "unknown": 1});
        assert_eq!(Value::Object(patch.apply(&current)), wanted, "unknown fields are for the validation to refuse");
        let current = Document { name: "A", note: None, url: None };
        assert_eq!(
            Value::Object(patch.apply(&current)),
            json!({"name": "B", "unknown": 1}),
            "what is not set is left out"
        );
    }
}
