//! Secrets of tools in a change of an agent: nobody can read them, so a tool that comes without them keeps the stored
//! ones, as long as it asks the same server.

use crate::domain::FieldError;
use crate::domain::agent::AgentFields;
use crate::domain::provider_config::Tool;
use crate::domain::tool_request::MASK;
use serde_json::{Map, Value};
use url::Url;

/// Puts the stored secrets into the changed document. Fails where they would reach another server.
pub(super) fn keep(document: &mut Map<String, Value>, stored: &AgentFields) -> Vec<FieldError> {
    let webhook_url = document.get("webhook_url").and_then(Value::as_str).map(str::to_owned);
    let tools = document.get_mut("llm_config").and_then(|config| config.get_mut("tools")).and_then(Value::as_array_mut);
    let mut faults = Vec::new();
    for (place, tool) in tools.into_iter().flatten().enumerate() {
        let Some(tool) = tool.as_object_mut() else { continue };
        let Some(known) = counterpart(tool, stored) else { continue };
        if known.server().is_some() {
            keep_authorization(tool, known);
            continue;
        }
        let to = tool.get("url").and_then(Value::as_str).or(webhook_url.as_deref());
        let from = known.url.as_deref().or(stored.webhook_url.as_deref());
        let is_same_server = origin(to) == origin(from);
        let field = format!("llm_config.tools[{place}].request");
        let Some(request) = tool.get_mut("request").and_then(Value::as_object_mut) else { continue };
        let kept = [keep_secrets(request, known), keep_auth(request, known)];
        if let Some(kept) = kept.into_iter().flatten().next().filter(|_| !is_same_server) {
            let words = "must be given again, because the tool asks another server now";
            faults.push(FieldError::new(format!("{field}.{kept}"), words));
        }
    }
    faults
}

/// The stored tool that a tool of the document is: the function of the same name, or the same server.
fn counterpart<'a>(tool: &Map<String, Value>, stored: &'a AgentFields) -> Option<&'a Tool> {
    let name = tool.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
    let server = tool.get("server_url").and_then(Value::as_str);
    let mut tools = stored.llm_config.iter().flat_map(|config| &config.tools);
    tools.find(|known| match known.server() {
        Some(url) => server == Some(url),
        None => name == Some(&known.function.name),
    })
}

/// Scheme, host and port of a URL, which may have variables behind them.
fn origin(url: Option<&str>) -> Option<String> {
    Some(Url::parse(url?).ok()?.origin().ascii_serialization())
}

fn keep_authorization(tool: &mut Map<String, Value>, known: &Tool) {
    if let (false, Some(secret)) = (tool.contains_key("authorization"), &known.authorization) {
        tool.insert("authorization".to_owned(), secret.expose().into());
    }
}

/// Keeps secrets that are left out or masked; `null` removes one. Returns the field of one that was kept.
fn keep_secrets(request: &mut Map<String, Value>, known: &Tool) -> Option<String> {
    let known = &known.request.as_ref()?.secrets;
    let sent = match request.remove("secrets") {
        None => Map::new(),
        Some(Value::Object(sent)) => sent,
        Some(other) => {
            // `null` removes all; anything else is for the validation to refuse.
            request.extend((!other.is_null()).then(|| ("secrets".to_owned(), other)));
            return None;
        }
    };
    let (mut all, mut kept) = (sent.clone(), None);
    for (name, secret) in known {
        if sent.get(name).is_none() || sent.get(name).and_then(Value::as_str) == Some(MASK) {
            all.insert(name.clone(), secret.expose().into());
            // The same text may have been sent: then nothing is learnt by it.
            kept = Some(format!("secrets.{name}"));
        }
    }
    all.retain(|_, value| !value.is_null());
    if !all.is_empty() {
        request.insert("secrets".to_owned(), Value::Object(all));
    }
    kept
}

/// Keeps the secret of credentials of the same type.
fn keep_auth(request: &mut Map<String, Value>, known: &Tool) -> Option<String> {
    let known = known.request.as_ref()?.auth.as_ref()?;
    let stored = serde_json::to_value(known).ok()?;
    let auth = request.get_mut("auth")?.as_object_mut()?;
    let (field, is_same) = (known.secret_field(), auth.get("type") == stored.get("type"));
    let is_left_out = auth.get(field).is_none_or(|value| value.as_str() == Some(MASK));
    if !is_same || !is_left_out {
        return None;
    }
    auth.insert(field.to_owned(), known.secret().expose().into());
    Some(format!("auth.{field}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored() -> AgentFields {
        serde_json::from_value(json!({"name": "A", "webhook_url": "https://hook.example/x", "llm_config": {
        "provider": "openai", "model": "m", "tools": [
            {"function": {"name": "find"}, "url": "https://a.example/find/{id}", "request": {"method": "GET",
                "headers": {"X-Key": "{{secrets.KEY}}"}, "secrets": {"KEY": "s3cret", "OLD": "older"},
                "auth": {"type": "basic", "username": "u", "password": "pass"}}},
            {"type": "mcp", "server_url": "https://mcp.example", "authorization": "Bearer t"},
        ]}}))
        .unwrap()
    }

    fn changed(tools: Value) -> (Value, Vec<FieldError>) {
        let mut document = json!({"name": "A", "webhook_url": "https://hook.example/x",
            "llm_config": {"provider": "openai", "model": "m", "tools": tools}});
        let faults = keep(document.as_object_mut().unwrap(), &stored());
        (document["llm_config"]["tools"].clone(), faults)
    }

    fn find(url: &str, request: Value) -> Value {
        json!([{"function": {"name": "find"}, "url": url, "request": request}])
    }

    #[test]
    fn what_is_left_out_or_masked_is_kept() {
        let masked = json!({"method": "GET", "secrets": {"KEY": MASK, "NEW": "n3w1"},
            "auth": {"type": "basic", "username": "u2", "password": MASK}});
        for request in [masked, json!({"secrets": {"NEW": "n3w1"}, "auth": {"type": "basic", "username": "u2"}})] {
            let (tools, faults) = changed(find("https://a.example/other", request));
            assert!(faults.is_empty(), "{faults:?}");
            let request = &tools[0]["request"];
            assert_eq!(request["secrets"], json!({"KEY": "s3cret", "OLD": "older", "NEW": "n3w1"}));
            assert_eq!(request["auth"], json!({"type": "basic", "username": "u2", "password": "pass"}));
        }
        let (tools, _) = changed(find("https://a.example/", json!({"method": "GET"})));
        assert_eq!(tools[0]["request"], json!({"method": "GET", "secrets": {"KEY": "s3cret", "OLD": "older"}}));
    }

    #[test]
    fn null_removes_and_a_new_text_replaces() {
        let (tools, _) = changed(find("https://a.example/", json!({"secrets": {"OLD": null, "KEY": "new one"}})));
        assert_eq!(tools[0]["request"]["secrets"], json!({"KEY": "new one"}));
        let (tools, _) = changed(find("https://a.example/", json!({"secrets": null})));
        assert_eq!(tools[0]["request"], json!({}));
        let (tools, _) = changed(find("https://a.example/", json!({"auth": {"type": "bearer"}})));
        assert_eq!(tools[0]["request"]["auth"], json!({"type": "bearer"}), "another type has another secret");
        let (tools, _) = changed(json!([{"function": {"name": "other"}, "request": {}}]));
        assert_eq!(tools[0]["request"], json!({}), "another tool");
    }

    #[test]
    fn secrets_do_not_follow_to_another_server() {
        for url in [
            "https://b.example/find",
            "http://a.example/find",
            "https://a.example:8443/",
            "https://a.example@b.example/",
        ] {
            let (_, faults) = changed(find(url, json!({"secrets": {"OLD": null}})));
            assert_eq!(faults.len(), 1, "{url}");
            assert_eq!(faults[0].field, "llm_config.tools[0].request.secrets.KEY");
            let again = json!({"secrets": {"OLD": null, "KEY": "given again"}});
            assert!(changed(find(url, again)).1.is_empty(), "{url}");
            let (_, faults) = changed(find(url, json!({"secrets": null, "auth": {"type": "basic", "username": "u"}})));
            assert_eq!(faults[0].field, "llm_config.tools[0].request.auth.password");
        }
    }

    #[test]
    fn a_tool_server_keeps_its_authorization() {
        let server = |more: Value| {
            let mut tool = json!({"type": "mcp", "server_url": "https://mcp.example"});
            tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            changed(json!([tool])).0[0]["authorization"].clone()
        };
        assert_eq!(server(json!({})), json!("Bearer t"));
        assert_eq!(server(json!({"authorization": null})), Value::Null);
        assert_eq!(server(json!({"authorization": "Bearer u"})), json!("Bearer u"));
        assert_eq!(server(json!({"server_url": "https://other.example"})), Value::Null);
    }
}
