//! Refusals of the settings, each with its place.

use crate::agent::AgentFields;
use crate::faults;
use serde_json::{Value, json};

/// The faults of an `llm_config` with these fields.
fn refused(provider: &str, fields: Value) -> Vec<(String, String)> {
    let mut config = json!({"provider": provider, "model": "m"});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let agent: AgentFields = serde_json::from_value(json!({"name": "a", "llm_config": config})).unwrap();
    faults(&agent).into_iter().map(|fault| (fault.field, fault.message)).collect()
}

fn one(field: &str, message: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), message.to_owned())]
}

#[test]
fn what_is_within_the_bounds_is_taken() {
    let all = json!({"max_tokens": 200, "top_p": 0.9, "stop": ["###", "END"], "reasoning_effort": "low",
        "extra_body": {"seed": 7, "service_tier": "priority", "thinking": {"type": "disabled"}, "logit_bias": {"50256": -100}}});
    for provider in ["openai", "anthropic", "groq", "mistral", "xai"] {
        assert_eq!(refused(provider, all.clone()), [], "{provider}");
    }
}

#[test]
fn parts_that_the_server_writes_are_refused_by_their_paths() {
    let own = "must not be set: the server writes this part of the request";
    for name in ["model", "messages", "stream", "tools", "system", "api_key", "Authorization", "MODEL", "n"] {
        assert_eq!(
            refused("openai", json!({"extra_body": {name: 1, "seed": 1}})),
            one(&format!("llm_config.extra_body.{name}"), own)
        );
    }
    for (name, setting) in
        [("temperature", "temperature"), ("max_completion_tokens", "max_tokens"), ("stop_sequences", "stop")]
    {
        assert_eq!(
            refused("anthropic", json!({"extra_body": {name: 1}})),
            one(
                &format!("llm_config.extra_body.{name}"),
                &format!("must not be set here: use {setting} beside extra_body")
            )
        );
    }
    assert_eq!(
        refused("openai", json!({"extra_body": {"metadata": {"model": "x", "key": "y"}}})),
        [],
        "not ours there"
    );
}

#[test]
fn extra_body_has_bounds() {
    let mut deep = json!(1);
    (0..7).for_each(|_| deep = json!([deep]));
    assert_eq!(refused("openai", json!({"extra_body": {"a": deep}})), []);
    deep = json!({"a": deep});
    let words = "must have at most 8 levels";
    assert_eq!(refused("openai", json!({"extra_body": {"a": deep}})), one("llm_config.extra_body", words));
    let words = "must have at most 8192 bytes as JSON";
    let long = "x".repeat(8_192);
    assert_eq!(refused("openai", json!({"extra_body": {"a": long}})), one("llm_config.extra_body", words));
    assert_eq!(refused("openai", json!({"extra_body": {"a": &long[..8_184]}})), []);
}

#[test]
fn stop_lists_and_numbers_have_bounds() {
    assert_eq!(
        refused("openai", json!({"stop": ["a", "b", "c", "d", "e"]})),
        one("llm_config.stop", "must have at most 4 entries")
    );
    let words = "must have 1 to 100 characters, not white space alone";
    assert_eq!(refused("openai", json!({"stop": ["a", " \n"]})), one("llm_config.stop[1]", words));
    assert_eq!(refused("openai", json!({"stop": ["x".repeat(101)]})), one("llm_config.stop[0]", words));
    for wrong in [0, 32_769] {
        assert_eq!(
            refused("groq", json!({"max_tokens": wrong})),
            one("llm_config.max_tokens", "must be between 1 and 32768")
        );
    }
    assert_eq!(refused("groq", json!({"top_p": 1.1})), one("llm_config.top_p", "must be between 0 and 1"));
}

#[test]
fn an_effort_that_a_vendor_does_not_document_is_refused() {
    let field = "llm_config.reasoning_effort";
    for (provider, wrong, values) in [
        ("openai", "default", "none, minimal, low, medium, high, xhigh, max"),
        ("anthropic", "minimal", "none, low, medium, high, xhigh, max"),
        ("groq", "xhigh", "none, default, low, medium, high"),
        ("mistral", "max", "none, low, medium, high"),
        ("xai", "minimal", "none, low, medium, high, xhigh"),
    ] {
        let words = format!("must be one of {values} for {provider}");
        assert_eq!(refused(provider, json!({"reasoning_effort": wrong})), one(field, &words));
        assert_eq!(refused(provider, json!({"reasoning_effort": wrong, "base_url": "https://llm.example/v1"})), []);
    }
}

#[test]
fn realtime_models_have_none_of_these_settings() {
    let words = "is not for realtime models";
    for (name, value) in [
        ("max_tokens", json!(5)),
        ("top_p", json!(0.5)),
        ("stop", json!(["a"])),
        ("reasoning_effort", json!("low")),
        ("extra_body", json!({"seed": 1})),
    ] {
        assert_eq!(refused("openai_realtime", json!({name: value})), one(&format!("llm_config.{name}"), words));
    }
}

#[test]
fn fallbacks_have_settings_of_their_own() {
    let fallback = json!({"provider": "anthropic", "model": "m", "max_tokens": 0, "top_p": 2, "stop": [""],
        "reasoning_effort": "minimal", "extra_body": {"tools": []}});
    let agent: AgentFields = serde_json::from_value(json!({"name": "a", "fallbacks": {"llm": [fallback]}})).unwrap();
    let fields: Vec<String> = faults(&agent).into_iter().map(|fault| fault.field).collect();
    let wanted = ["extra_body.tools", "max_tokens", "reasoning_effort", "stop[0]", "top_p"];
    assert_eq!(fields, wanted.map(|field| format!("fallbacks.llm[0].{field}")));
}
