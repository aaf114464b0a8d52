//! No debug output shows a secret of the settings, of customers' documents or of what is made from them.

use crate::api::IceServerSettings;
use crate::config::{Config, IceServerConfig};
use crate::domain::agent::AgentFields;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::provider::ProviderAccount;
use crate::domain::secret::Secret;
use crate::domain::trunk::TrunkFields;
use crate::outbox::mail::{Mailer, SmtpSettings};
use crate::providers::llm::LlmHttpRequest;
use crate::providers::transport::WebSocketRequest;
use crate::providers::{OrganizationKey, OrganizationKeys, ProviderAccess};
use crate::store::secrets::{MasterKey, StoredKey};
use crate::store::signed_tokens::TokenSigner;
use crate::store::{ApiKeyRow, CreatedApiKey, PhoneNumberFields};
use crate::webhooks::sender::WebhookMessage;
use serde_json::{Value, json};

fn config(secret: &str) -> Config {
    let mut config = Config::default();
    config.api.token_secret = secret.into();
    config.database.url = format!("postgres://trunkline:{secret}@db.example/trunkline").into();
    config.metrics.token = secret.into();
    config.secrets.master_key = secret.into();
    config.smtp.password = Some(secret.into());
    for account in ProviderAccount::ALL {
        config.providers.account_mut(*account).api_key = Some(secret.into());
    }
    let credential = Some(secret.into());
    config.webrtc.ice_servers = vec![IceServerConfig { url: "turn:turn.example".into(), username: None, credential }];
    config
}

fn agent(secret: &str) -> AgentFields {
    let tool = json!({"type": "mcp", "server_url": "https://tools.example", "authorization": secret});
    let llm = json!({"provider": "openai", "model": "gpt-4o-mini", "tools": [tool]});
    serde_json::from_value(json!({"name": "A", "webhook_secret": secret, "llm_config": llm})).unwrap()
}

fn smtp(secret: &str) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".into(),
        port: 25,
        username: Some("user".into()),
        password: Some(secret.into()),
        from: "a@example.com".into(),
        tls: false,
    }
}

fn access(secret: &str) -> ProviderAccess {
    ProviderAccess {
        account: ProviderAccount::Openai,
        base_url: "https://api.example".into(),
        api_key: Some(secret.into()),
        api_version: String::new(),
        concurrency_max: 0,
        is_customer_server: false,
        blocked: None,
    }
}

fn created_key(secret: &str) -> CreatedApiKey {
    let row = ApiKeyRow {
        id: crate::domain::ids::ApiKeyId::parse("0190a6f0-0000-7000-8000-000000000000").unwrap(),
        name: "key".into(),
        prefix: "va_".into(),
        scopes: None,
        expires_at: None,
        last_used_at: None,
        created_at: crate::domain::time::UnixMs(0),
    };
    CreatedApiKey { row, text: secret.into() }
}

/// Every type that holds a secret, with its debug output.
fn debug_outputs(secret: &str) -> Vec<(&'static str, String)> {
    let trunk =
        TrunkFields { password: Some(secret.into()), inbound_password: Some(secret.into()), ..TrunkFields::default() };
    let number = PhoneNumberFields {
        number: PhoneNumber::parse("+31201234567").unwrap(),
        agent: None,
        trunk: None,
        name: None,
        webhook_url: None,
        webhook_secret: Some(secret.into()),
        previous_webhook_secret: None,
    };
    let own = OrganizationKey { account: ProviderAccount::Openai, base_url: None, key: Some(secret.into()) };
    let stored = StoredKey { provider: "openai".into(), base_url: None, key: Some(secret.into()) };
    let upgrade = WebSocketRequest { url: "wss://api.example".into(), headers: vec![("authorization", secret.into())] };
    let request = LlmHttpRequest { path: "/", headers: vec![("x-api-key", secret.into())], body: Value::Null };
    let key = Secret::from(secret);
    let message =
        WebhookMessage { id: "1", url: "https://a.example", body: "{}", secrets: std::slice::from_ref(&key), at_s: 0 };
    let server = IceServerSettings { url: "turn:t.example".into(), username: None, credential: Some(secret.into()) };
    vec![
        ("the settings", format!("{:?}", config(secret))),
        (
            "the settings of the API",
            format!("{:?}", super::api::api_settings(&config(secret), super::api::AppExtras::default())),
        ),
        ("an ICE server", format!("{server:?}")),
        ("an agent", format!("{:?}", agent(secret))),
        ("a trunk", format!("{trunk:?}")),
        ("a phone number", format!("{number:?}")),
        ("the e-mail settings", format!("{:?}", smtp(secret))),
        ("the e-mail client", format!("{:?}", Mailer::new(&smtp(secret)).unwrap())),
        ("a provider's account", format!("{:?}", access(secret))),
        ("a request to a language model", format!("{request:?}")),
        ("a WebSocket to a provider", format!("{upgrade:?}")),
        ("a provider key of an organization", format!("{:?}", OrganizationKeys::Known(vec![own]))),
        ("a stored provider key", format!("{stored:?}")),
        ("the master key", format!("{:?}", MasterKey::new(secret))),
        ("the key of signed tokens", format!("{:?}", TokenSigner::new(secret))),
        ("a new API key", format!("{:?}", created_key(secret))),
        ("a webhook", format!("{message:?}")),
    ]
}

#[test]
fn debug_output_does_not_depend_on_secrets() {
    // Neither as a text, nor as bytes, nor as a hash.
    let (one, other) = (debug_outputs("the first secret"), debug_outputs("another password"));
    for ((what, one), (_, other)) in one.into_iter().zip(other) {
        assert_eq!(one, other, "{what}");
        assert!(!one.contains("the first secret"), "{what}");
    }
}

#[test]
fn an_agent_is_shown_without_its_secrets_and_stored_with_them() {
    let agent = agent("the first secret");
    assert!(!serde_json::to_string(&agent.without_secrets()).unwrap().contains("the first secret"));
    let stored = serde_json::to_string(&agent).unwrap();
    assert_eq!(stored.matches("the first secret").count(), 2);
    assert_eq!(serde_json::from_str::<AgentFields>(&stored).unwrap(), agent);
}
