//! Changes of a document: for each field that a client sent, a new value, or `null`, which clears it. A field that it
//! did not send stays.

use super::error::ApiError;
use super::input::JsonObject;
use super::large_body_queue::LargeBodyPermit;
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::secret::Secret;
use crate::domain::time::UnixMs;
use crate::domain::webhook_secret::{WebhookSecrets, check_rotation_end};
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

const SECRET: &str = "webhook_secret";
const PREVIOUS: &str = "previous_webhook_secret";
const UNTIL: &str = "webhook_rotation_ends_at";

/// A new `webhook_secret` with an end for the one before it, which nobody can read: the stored one is kept as that one. A
/// new one alone, or none, ends a rotation that is under way; one that has ended does not begin again. Whoever clears the
/// time or the secret before clears both.
pub(super) fn rotate_webhook_secret<T>(
    patch: &Patch<T>, document: &mut Map<String, Value>, stored: &WebhookSecrets, now: UnixMs,
) -> Result<(), FieldError> {
    let (secret, previous, until) = (patch.change(SECRET), patch.change(PREVIOUS), patch.change(UNTIL));
    let end = |document: &mut Map<String, Value>| {
        document.remove(UNTIL);
        document.remove(PREVIOUS);
    };
    if [&previous, &until].contains(&&Some(FieldChange::Clear)) {
        end(document);
        return Ok(());
    }
    check_rotation(patch.sent(), now)?;
    let present = stored.present.as_ref().map(Secret::expose);
    let is_under_way = stored.previous.as_ref().is_some_and(|previous| now < previous.until);
    let is_new = match &secret {
        None => false,
        Some(FieldChange::Clear) => true,
        Some(FieldChange::Set(new)) => new.as_str() != present,
    };
    match (is_new, previous.is_some(), until.is_some()) {
        // Whoever names the secret before knows what they want.
        (_, true, _) => {}
        (true, false, true) if matches!(secret, Some(FieldChange::Set(_))) => match present {
            Some(present) => drop(document.insert(PREVIOUS.to_owned(), present.into())),
            None => return Err(FieldError::new(UNTIL, "there is no secret before the new webhook_secret")),
        },
        (true, false, _) => end(document),
        (false, false, true) if !is_under_way => {
            return Err(FieldError::new(UNTIL, "must be set together with a new webhook_secret"));
        }
        (false, false, false) if !is_under_way => end(document),
        (false, false, _) => {}
    }
    Ok(())
}

/// Checks the end of a rotation that a client sends. What is no time is for the validation to refuse.
pub(super) fn check_rotation(sent: &Map<String, Value>, now: UnixMs) -> Result<(), FieldError> {
    let until = sent.get(UNTIL).and_then(Value::as_str).and_then(UnixMs::parse);
    until.map_or(Ok(()), |until| check_rotation_end(until, now).map_err(|words| FieldError::new(UNTIL, words)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook_secret::PreviousSecret;
    use serde_json::json;

    #[derive(Serialize)]
    struct Document {
        name: &'static str,
        note: Option<&'static str>,
        url: Option<&'static str>,
    }

    /// A document with a secret, patched at a time: secret, the one before it, and its end; or the refusal.
    fn rotated(
        stored: (Option<&str>, Option<(&str, i64)>), sent: Value, now: i64,
    ) -> Result<(Value, Value, Value), (String, String)> {
        let (present, previous) = stored;
        let mut document = Map::new();
        present.map(|secret| document.insert(SECRET.into(), secret.into()));
        previous.map(|(secret, until)| {
            document.insert(PREVIOUS.into(), secret.into());
            document.insert(UNTIL.into(), UnixMs(until).rfc3339().into())
        });
        let secrets = WebhookSecrets {
            present: present.map(Secret::from),
            previous: previous.map(|(secret, until)| PreviousSecret { secret: secret.into(), until: UnixMs(until) }),
        };
        let patch = Patch::<Document> { sent: sent.as_object().unwrap().clone(), permit: None, of: PhantomData };
        for (name, value) in patch.sent() {
            if value.is_null() {
                document.remove(name)
            } else {
                document.insert(name.clone(), value.clone())
            };
        }
        rotate_webhook_secret(&patch, &mut document, &secrets, UnixMs(now))
            .map_err(|fault| (fault.field, fault.message))?;
        let mut take = |name: &str| document.remove(name).unwrap_or_default();
        Ok((take(SECRET), take(PREVIOUS), take(UNTIL)))
    }

    #[test]
    fn a_new_secret_alone_signs_alone_and_an_ended_one_stays_ended() {
        let minute = 60_000;
        let at = |ms: i64| UnixMs(ms).rfc3339();
        let (first, under_way) = ((Some("S1"), None), (Some("S2"), Some(("S1", 10 * minute))));
        let with_end = json!({SECRET: "S2", UNTIL: at(10 * minute)});
        assert_eq!(rotated(first, with_end.clone(), 0), Ok((json!("S2"), json!("S1"), json!(at(10 * minute)))));
        let alone = |secret: &str| Ok((json!(secret), Value::Null, Value::Null));
        assert_eq!(rotated(under_way, json!({SECRET: "S3"}), minute), alone("S3"));
        assert_eq!(rotated(under_way, json!({SECRET: null}), minute), Ok((Value::Null, Value::Null, Value::Null)));
        assert_eq!(
            rotated(under_way, json!({SECRET: "S3", UNTIL: at(20 * minute)}), minute),
            Ok((json!("S3"), json!("S2"), json!(at(20 * minute))))
        );
        // The same once more, or another end, while it is under way; not when it is over.
        let later = json!({SECRET: "S2", UNTIL: at(30 * minute)});
        let longer = Ok((json!("S2"), json!("S1"), json!(at(30 * minute))));
        assert_eq!(rotated(under_way, later.clone(), minute), longer);
        assert_eq!(rotated(under_way, json!({UNTIL: at(30 * minute)}), minute), longer);
        let untouched = Ok((json!("S2"), json!("S1"), json!(at(10 * minute))));
        assert_eq!(rotated(under_way, json!({"name": "B"}), minute), untouched);
        assert_eq!(rotated(under_way, json!({SECRET: "S2"}), minute), untouched);
        assert_eq!(rotated(under_way, json!({"name": "B"}), 11 * minute), alone("S2"));
        let needs_new = Err((UNTIL.to_owned(), "must be set together with a new webhook_secret".to_owned()));
        assert_eq!(rotated(under_way, later, 11 * minute), needs_new);
        assert_eq!(rotated(first, json!({UNTIL: at(minute)}), 0), needs_new);
        for clear in [json!({UNTIL: null}), json!({PREVIOUS: null})] {
            assert_eq!(rotated(under_way, clear, minute), alone("S2"));
        }
        for (until, words) in [(-minute, "future"), (0, "future"), (31 * 24 * 60 * minute, "at most 30 days")] {
            let (field, message) = rotated(first, json!({SECRET: "S2", UNTIL: at(until)}), 0).unwrap_err();
            assert!(field == UNTIL && message.contains(words), "{field}: {message}");
        }
        let none_before = rotated((None, None), with_end, 0).unwrap_err();
        assert_eq!(none_before.0, UNTIL);
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
