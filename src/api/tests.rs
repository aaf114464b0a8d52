//! No debug output of a request's body shows a secret in it.

use super::passwords::Credentials;
use super::phone_numbers::PhoneNumberInput;
use super::secrets::SecretInput;
use super::sessions::{Login, PasswordChange};
use super::users::Acceptance;
use crate::domain::login_address::LoginAddress;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

fn shown<T: DeserializeOwned + Debug>(body: Value) -> String {
    format!("{:?}", serde_json::from_value::<T>(body).unwrap())
}

#[test]
fn debug_output_of_bodies_shows_no_secret() {
    let secret = "the secret";
    let credentials =
        Credentials { address: LoginAddress::new("a@example.com"), password: secret.into(), organization: None };
    for (what, shown) in [
        ("Login", shown::<Login>(json!({"email": "a@example.com", "password": secret}))),
        ("PasswordChange", shown::<PasswordChange>(json!({"current_password": secret, "new_password": secret}))),
        ("Acceptance", shown::<Acceptance>(json!({"token": secret, "password": secret}))),
        ("SecretFields", shown::<SecretInput>(json!({"name": "A", "provider": "openai", "value": secret}))),
        ("PhoneNumberFields", shown::<PhoneNumberInput>(json!({"number": "+31201234567", "webhook_secret": secret}))),
        ("Credentials", format!("{credentials:?}")),
    ] {
        assert!(shown.contains("REDACTED") && !shown.contains(secret), "{what}: {shown}");
    }
}
