//! Adds to the OpenAPI schemas what handlers check beyond their types: patterns, closed lists, fields that depend on
//! each other.

use crate::domain::agent::{ALIASES, WEBHOOK_EVENTS as AGENT_EVENTS};
use crate::domain::end_reason::EndReason;
use crate::domain::provider::ProviderAccount;
use crate::domain::provider_config::TOOL_TIMEOUT_MS;
use crate::domain::sip_headers::{HEADER_VALUE_MAX, HEADERS_MAX};
use crate::domain::task::{PRIORITY_MAX, WEBHOOK_EVENTS as TASK_EVENTS};
use crate::domain::trunk::{CODECS, OUTBOUND_PROXY_BYTES_MAX};
use crate::domain::turn_config::TEXT_CHARS_MAX;
use serde_json::{Value, json};

const E164: &str = "^\\+[1-9][0-9]{6,14}$";
/// A public host name; addresses are judged one by one.
const HTTPS: &str = "^https://[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\\.[A-Za-z]{2,10}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9/_.~-]*)?$";
/// At least one character other than white space, and no NUL, which databases cannot store.
const NAME: &str = "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$";
const HOST: &str = "^[A-Za-z0-9.-]+$";

/// Schema, property, and what is added to it.
fn rules() -> Vec<(&'static str, &'static str, Value)> {
    let name = || json!({"pattern": NAME});
    let https = || json!({"pattern": HTTPS, "example": "https://your-app.example.com/webhooks"});
    let number = || json!({"pattern": E164, "example": "+31201234567"});
    // That there is such a zone is checked later: the list is not the same on every server.
    let zone = || json!({"pattern": "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", "example": "Europe/Amsterdam"});
    let retryable: Vec<&str> = EndReason::ALL.iter().filter(|r| r.is_retryable()).map(|r| r.name()).collect();
    vec![
        ("AgentFields", "name", name()),
        ("AgentFields", "webhook_url", https()),
        ("AgentFields", "webhook_events", json!({"items": {"type": "string", "enum": AGENT_EVENTS}})),
        ("TaskFields", "to_number", number()),
        ("TaskFields", "from_number", number()),
        ("TaskFields", "webhook_url", https()),
        ("TaskFields", "webhook_events", json!({"items": {"type": "string", "enum": TASK_EVENTS}})),
        ("TaskFields", "priority", json!({"minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX})),
        ("BatchFields", "name", name()),
        ("AlertRuleFields", "name", name()),
        ("AlertRuleFields", "webhook_url", https()),
        ("AlertRuleFields", "webhook_secret", json!({"pattern": "^[ -~]+$"})),
        (
            "DoNotCallFields",
            "numbers",
            json!({"items": {"type": "string", "pattern": E164, "example": "+31201234567"}}),
        ),
        ("CallingWindow", "time_zone", zone()),
        (
            "CallingWindow",
            "days",
            json!({"items": {"type": "string", "enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}}),
        ),
        ("RetryPolicy", "on", json!({"items": {"type": "string", "enum": retryable}})),
        ("PhoneNumberFields", "number", number()),
        ("PhoneNumberFields", "agent_id", json!({"format": "uuid"})),
        ("PhoneNumberFields", "trunk_id", json!({"format": "uuid"})),
        ("PhoneNumberFields", "name", json!({"pattern": "^[^\\u0000]*$"})),
        ("PhoneNumberFields", "webhook_url", https()),
        ("PhoneNumberFields", "webhook_secret", json!({"pattern": "^[ -~]+$"})),
        ("Pronunciation", "language", json!({"pattern": "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$"})),
        ("AgentFields", "webhook_secret", json!({"pattern": "^[ -~]+$"})),
        ("AgentFields", "previous_webhook_secret", json!({"pattern": "^[ -~]+$"})),
        ("PhoneNumberFields", "previous_webhook_secret", json!({"pattern": "^[ -~]+$"})),
        ("AgentFields", "time_zone", zone()),
        ("TaskFields", "sip_headers", headers("^[Xx]-[A-Za-z0-9-]{1,60}$", "`X-…`; `User-to-User` is taken too.")),
        ("OrganizationFields", "name", name()),
        ("OrganizationPatch", "name", name()),
        ("ApiKeyFields", "name", name()),
        ("SecretFields", "name", name()),
        ("SecretFields", "value", json!({"pattern": "^[!-~]+$"})),
        ("Acceptance", "name", name()),
    ]
}

/// Headers of a customer: values are one line of ASCII.
fn headers(names: &str, description: &str) -> Value {
    json!({
        "propertyNames": {"pattern": names},
        "additionalProperties": {"type": "string", "pattern": format!("^[ -~]{{1,{HEADER_VALUE_MAX}}}$")},
        "maxProperties": HEADERS_MAX,
        "description": description,
        "example": {"X-Ticket": "T-42"},
    })
}

/// Rules for trunks, in the same form.
fn trunk_rules() -> Vec<(&'static str, &'static str, Value)> {
    let network = "^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(/(2[4-9]|3[0-2]))?$";
    let digits = |max: u8| json!({"pattern": format!("^[0-9]{{1,{max}}}$")});
    let prefixes = || json!({"items": {"type": "string", "pattern": "^\\+?[0-9]{1,15}$", "example": "+31"}});
    let visible = || json!({"pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"});
    let part = || json!({"pattern": "^[A-Za-z0-9+#*]{1,32}$"});
    let proxy = "^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*(:[1-9][0-9]{0,3})?(;transport=(udp|tcp|tls))?$";
    vec![
        ("TrunkFields", "name", json!({"pattern": NAME})),
        ("TrunkFields", "host", json!({"pattern": HOST})),
        ("TrunkFields", "registrar", json!({"pattern": HOST})),
        ("TrunkFields", "from_user", json!({"pattern": HOST})),
        ("TrunkFields", "from_domain", json!({"pattern": HOST})),
        ("TrunkFields", "port", json!({"minimum": 0, "maximum": u16::MAX})),
        ("TrunkTarget", "host", json!({"pattern": HOST})),
        ("TrunkTarget", "port", json!({"minimum": 0, "maximum": u16::MAX})),
        ("TrunkTarget", "priority", json!({"minimum": 0, "maximum": u16::MAX})),
        ("TrunkTarget", "weight", json!({"minimum": 0, "maximum": u16::MAX})),
        (
            "TrunkFields",
            "outbound_proxy",
            json!({"pattern": proxy, "maxLength": OUTBOUND_PROXY_BYTES_MAX, "example": "proxy.example.com:5060"}),
        ),
        ("TrunkFields", "country_code", digits(3)),
        ("TrunkFields", "national_prefix", digits(4)),
        ("TrunkFields", "international_prefix", digits(5)),
        ("TrunkFields", "strip_prefix", part()),
        ("TrunkFields", "diversion", part()),
        (
            "TrunkFields",
            "dial_string",
            json!({"pattern": "^[!#-;=?A-\\[\\]-~]*\\{(e164|number)\\}[!#-;=?A-\\[\\]-~]*$", "example": "{e164}",
            "description": "`{national}` too, with `country_code`."}),
        ),
        (
            "TrunkFields",
            "headers",
            headers("^[A-Za-z0-9]+-[A-Za-z0-9-]{1,30}$", "Not those that make a message what it is."),
        ),
        ("TrunkFields", "allowed_destinations", prefixes()),
        ("TrunkFields", "denied_destinations", prefixes()),
        ("TrunkFields", "ptime_ms", json!({"multipleOf": 10})),
        (
            "TrunkFields",
            "allowed_addresses",
            json!({"items": {"type": "string", "pattern": network, "example": "203.0.113.0/24"},
            "description": "IPv4 addresses and networks; IPv6 is taken too. Together a /16 at most (IPv6: a /32), unless the operator allows wider networks."}),
        ),
        ("TrunkFields", "codecs", json!({"items": {"type": "string", "enum": CODECS}, "maxItems": CODECS.len()})),
        ("TrunkFields", "username", visible()),
        ("TrunkFields", "password", visible()),
        ("TrunkFields", "inbound_username", visible()),
        ("TrunkFields", "inbound_password", visible()),
    ]
}

/// Rules for STT, LLM and TTS settings, in the same form.
fn conversation_rules() -> Vec<(&'static str, &'static str, Value)> {
    let server = || json!({"pattern": HTTPS, "example": "https://models.example.com/v1"});
    let words = || json!({"items": {"type": "string", "pattern": "\\S", "maxLength": TEXT_CHARS_MAX}});
    vec![
        (
            "DtmfRule",
            "digits",
            json!({"pattern": "^([0-9A-D]{1,31}[*#]?|[*#])$", "example": "1",
                "description": "* and # inside are taken too, where they are not the terminator."}),
        ),
        (
            "DtmfRules",
            "terminator",
            json!({"pattern": "^[*#]$", "example": "#", "description": "Any other key is taken too."}),
        ),
        ("TurnConfig", "backchannels", words()),
        ("SilenceConfig", "prompts", words()),
        ("SilenceConfig", "fillers", words()),
        ("TransferDestination", "name", json!({"pattern": "\\S", "example": "billing"})),
        (
            "TransferDestination",
            "target",
            json!({"pattern": E164, "example": "+31201234567",
            "description": "tel: and sip: URIs are taken too."}),
        ),
        (
            "TransferDestination",
            "headers",
            headers("^[Xx]-[A-Za-z0-9-]{1,60}$", "Of the REFER or of the call: `X-…`; `User-to-User` is taken too."),
        ),
        ("Tool", "server_url", json!({"pattern": HTTPS, "example": "https://tools.example.com/mcp"})),
        ("Tool", "authorization", json!({"pattern": "^[!-~]+$"})),
        ("DtmfRules", "rules", json!({"uniqueItems": true})),
        ("SilenceConfig", "prompt", json!({"pattern": "\\S"})),
        ("SilenceConfig", "goodbye", json!({"pattern": "\\S"})),
        ("SttConfig", "model", json!({"pattern": "\\S", "example": "nova-3-general"})),
        ("SttConfig", "language", json!({"pattern": "\\S", "example": "en"})),
        ("SttConfig", "base_url", server()),
        ("LlmConfig", "base_url", server()),
        ("LlmFallback", "base_url", server()),
        ("TtsConfig", "base_url", server()),
        ("LlmFallback", "model", json!({"pattern": "\\S", "example": "claude-haiku-5-5"})),
        ("LlmConfig", "model", json!({"pattern": "\\S", "example": "gpt-4o-mini"})),
        ("PromptMessage", "role", json!({"enum": ["system", "user", "assistant"]})),
        ("Tool", "type", json!({"enum": ["function", "mcp"]})),
        ("Tool", "url", json!({"pattern": HTTPS, "example": "https://your-app.example.com/tools"})),
        ("Tool", "timeout_ms", json!({"minimum": TOOL_TIMEOUT_MS.start(), "maximum": TOOL_TIMEOUT_MS.end()})),
        ("ToolRequest", "query_parameters", json!({"uniqueItems": true})),
        (
            "ToolRequest",
            "secrets",
            json!({"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}, "maxProperties": 20}),
        ),
        ("ToolFunction", "name", json!({"pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "find_order"})),
        ("TtsConfig", "voice_id", json!({"pattern": "\\S", "example": "EXAVITQu4vr4xnSDxMaL"})),
        ("TtsConfig", "language", json!({"pattern": "\\S", "example": "en"})),
    ]
}

/// Adds the constraints to the schemas.
pub(super) fn add(schemas: &mut Value) {
    for (schema, property, added) in rules().into_iter().chain(trunk_rules()).chain(conversation_rules()) {
        let target = &mut schemas[schema]["properties"][property];
        if let (Value::Object(target), Value::Object(added)) = (target, added) {
            target.extend(added);
        }
    }
    let together = |user: &str, password: &str| {
        json!({"anyOf": [
            {"properties": {user: {"type": "string"}, password: {"type": "string"}}, "required": [user, password]},
            {"properties": {user: {"type": "null"}, password: {"type": "null"}}},
        ]})
    };
    let account = json!({"anyOf": [
        {"properties": {"register": {"enum": [false, null]}}},
        {"properties": {"username": {"type": "string"}, "password": {"type": "string"}, "host": {"type": "string"}},
            "required": ["username", "password", "host"]},
        {"properties": {"username": {"type": "string"}, "password": {"type": "string"}, "registrar": {"type": "string"}},
            "required": ["username", "password", "registrar"]},
    ]});
    schemas["TrunkFields"]["allOf"] =
        json!([together("username", "password"), together("inbound_username", "inbound_password"), account]);
    // Realtime models have their own voices and cannot be fallbacks.
    let realtime_models = ["openai_realtime", "xai_realtime", "elevenlabs_agent"];
    // Rules between fields are below `allOf`, where generators of clients do not take them for alternatives.
    schemas["LlmConfig"]["allOf"] = json!([
        {"anyOf": [{"properties": {"provider": {"enum": realtime_models}}}, {"properties": {"voice": {"type": "null"}}}]},
    ]);
    schemas["LlmFallback"]["not"] = json!({"properties": {"provider": {"enum": realtime_models}}});
    // The local TTS has no provider account.
    let accounts: Vec<&str> = ProviderAccount::ALL.iter().filter(|one| one.needs_key()).map(|one| one.name()).collect();
    schemas["Account"]["enum"] = json!(accounts);
    // What an action needs.
    schemas["DtmfRule"]["example"] = json!({"digits": "0", "action": "end_call"});
    let none = || json!({"type": "null"});
    schemas["DtmfRule"]["allOf"] = json!([{"anyOf": [
        {"properties": {"action": {"enum": ["end_call", "send_to_llm"]}, "text": none(), "target": none(), "tool": none()}},
        {"properties": {"action": {"const": "say"}, "text": {"type": "string", "minLength": 1}, "target": none(), "tool": none()},
            "required": ["text"]},
        {"properties": {"action": {"const": "transfer"}, "target": {"type": "string", "pattern": E164}, "text": none(), "tool": none()},
            "required": ["target"]},
    ]}]);
    schemas["DtmfRule"]["description"] =
        json!("`tool` is taken too: the name of one of the agent's own `llm_config.tools`, with the action `tool`.");
    schemas["Tool"]["allOf"] = json!([{"anyOf": [
        {"properties": {"type": {"const": "function"}, "server_url": none(), "authorization": none(), "allowed_tools": none()},
            "required": ["function"]},
        {"properties": {"type": {"const": "mcp"}, "url": none(), "request": none(), "progress": none()}, "required": ["type", "server_url"], "not": {"required": ["function"]}},
    ]}]);
    schemas["Tool"]["example"] = json!({"type": "function", "function": {"name": "find_order"}});
    let one_name = ALIASES.iter().flat_map(|(field, alias)| one_name(schemas, field, alias));
    let secrets = || together("previous_webhook_secret", "webhook_rotation_ends_at");
    let rules = one_name.chain([secrets()]).collect();
    schemas["AgentFields"]["allOf"] = Value::Array(rules);
    schemas["PhoneNumberFields"]["allOf"] = json!([secrets()]);
}

/// One name of a field or the other: never two different values.
fn one_name(schemas: &Value, field: &str, alias: &str) -> Vec<Value> {
    let never = |one: Value, other: Value| json!({"not": {"required": [field, alias], "properties": {field: one, alias: other}}});
    if schemas["AgentFields"]["properties"][field]["type"] == "boolean" {
        let differ = [(true, false), (false, true)];
        return differ.map(|(one, other)| never(json!({"const": one}), json!({"const": other}))).into();
    }
    vec![never(json!({"type": "string"}), json!({"type": "string"}))]
}

#[cfg(test)]
mod tests {
    use super::super::router;
    use super::*;
    use crate::domain::agent::AgentFields;
    use crate::domain::organization::OrganizationLimits;
    use crate::domain::task::TaskFields;
    use crate::domain::trunk::TrunkFields;
    use garde::Validate;
    use serde::de::DeserializeOwned;

    /// A value at the border of a field's limits: path and JSON pointer of the field, the value, whether it is inside.
    type Border = (String, String, Value, bool);

    /// The schema itself, where it is a reference or may also be null.
    fn resolved<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return &schemas[reference.rsplit('/').next().unwrap()];
        }
        let forms = ["oneOf", "anyOf"].iter().find_map(|choice| schema[choice].as_array());
        match forms.filter(|_| schema["type"].is_null()) {
            Some(forms) => resolved(schemas, forms.iter().find(|form| form["type"] != "null").unwrap()),
            None => schema,
        }
    }

    /// Texts that are wrong at any length, unless something else is changed too.
    const NEEDS_OTHERS: [&str; 7] = [
        ".voice",
        ".server_url",
        ".authorization",
        "time_zone",
        "outbound_proxy",
        "previous_webhook_secret",
        "pronunciation_dictionary[0].language",
    ];

    /// A text of so many characters that is right otherwise.
    fn text(schema: &Value, chars: usize) -> String {
        let (pattern, format) = (schema["pattern"].as_str().unwrap_or(""), schema["format"].as_str().unwrap_or(""));
        let (start, end) = match (pattern, format) {
            (HTTPS, _) | (_, "uri") => ("https://a.example/", ""),
            (_, "email") => ("", "@a.example"),
            (pattern, _) if pattern.contains("e164") => ("{e164}", ""),
            _ => ("", ""),
        };
        format!("{start}{}{end}", "x".repeat(chars - start.len() - end.len()))
    }

    /// The borders of a field and of all that is in it; blocks and lists are those of the document.
    fn borders(
        schemas: &Value, schema: &Value, value: Option<&Value>, path: &str, pointer: &str, all: &mut Vec<Border>,
    ) {
        let schema = resolved(schemas, schema);
        let mut add = |value: Value, is_inside| all.push((path.to_owned(), pointer.to_owned(), value, is_inside));
        let is = |name: &str| {
            schema["type"] == name || schema["type"].as_array().is_some_and(|all| all.contains(&json!(name)))
        };
        let [low, high] = ["minimum", "maximum"].map(|limit| schema[limit].as_f64());
        let number = |number: f64| if is("integer") { json!(number as i64) } else { json!(number) };
        if is("integer") || is("number") {
            let (low, high) = (low.expect(path), high.expect(path));
            let step = if is("integer") { 1.0 } else { 0.001 };
            [low, high].into_iter().for_each(|border| add(number(border), true));
            [low - step, high + step].into_iter().for_each(|beyond| add(number(beyond), false));
        }
        if let Some(max) = schema["maxLength"].as_u64().and_then(|max| usize::try_from(max).ok()) {
            if !NEEDS_OTHERS.iter().any(|field| path.ends_with(field)) {
                add(json!(text(schema, max)), true);
            }
            add(json!(text(schema, max + 1)), false);
        }
        if let (Some(max), Some(one)) = (schema["maxItems"].as_u64(), value.and_then(|value| value.get(0))) {
            let many = |count: u64| Value::Array((0..count).map(|_| one.clone()).collect());
            add(many(max), true);
            add(many(max + 1), false);
        }
        if let Some(one) = value.and_then(|value| value.get(0)) {
            borders(schemas, &schema["items"], Some(one), &format!("{path}[0]"), &format!("{pointer}/0"), all);
        }
        for (name, property) in schema["properties"].as_object().filter(|_| value.is_some()).into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let value = value.and_then(|value| value.get(name));
            borders(schemas, property, value, &path, &format!("{pointer}/{name}"), all);
        }
    }

    /// Holds the limits of a schema in the API's description against what the type itself refuses.
    fn compare<T: DeserializeOwned + Validate<Context = ()>>(name: &str, document: Value) -> usize {
        let mut described = router::openapi_document();
        let schemas = &mut described["components"]["schemas"];
        if let Some(fields) = schemas["OrganizationFields"]["properties"].as_object_mut() {
            // Not among the limits: the body's own schema refuses them.
            fields.retain(|name, _| !["name", "owner_email"].contains(&name.as_str()));
        }
        let schemas = &*schemas;
        let mut all = Vec::new();
        borders(schemas, &schemas[name], Some(&document), "", "", &mut all);
        let mut disagreements = Vec::new();
        for (path, pointer, value, is_inside) in &all {
            let mut changed = document.clone();
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            match changed.pointer_mut(parent).unwrap() {
                Value::Array(list) => list[0] = value.clone(),
                parent => parent[field] = value.clone(),
            }
            // A rule of a list names the list.
            let is_about = |refused: &str| refused == path || path.starts_with(&format!("{refused}["));
            let is_refused = match serde_json::from_value::<T>(changed).map(|read| read.validate()) {
                Ok(Ok(())) => false,
                Ok(Err(report)) => report.iter().any(|(refused, _)| is_about(&refused.to_string())),
                Err(_) => true,
            };
            if is_refused == *is_inside {
                disagreements.push(format!("{path}: described as {}", if *is_inside { "right" } else { "wrong" }));
            }
        }
        assert!(disagreements.is_empty(), "{name}: {disagreements:#?}");
        all.len()
    }

    #[test]
    fn the_description_states_the_limits_that_hold() {
        let llm = json!({"provider": "groq", "model": "m", "stop": ["a"], "extra_body": {"seed": 1}});
        let stt = json!({"provider": "deepgram", "model": "m", "language": "en", "keyterms": ["a"]});
        let tts = json!({"provider": "openai", "voice_id": "v", "language": "en"});
        let tool = json!({"function": {"name": "f"}});
        let agent = json!({
            "name": "a", "voice_settings": {}, "pronunciation_dictionary": [{"text": "a", "say_as": "b"}], "background": {"sound": "room"}, "ringing": {}, "analysis_plan": {},
            "dtmf_rules": {"rules": [{"digits": "1", "action": "end_call"}]},
            "transfer_config": {"destinations": [{"name": "a", "target": "+31201234567"}]},
            "languages": {"nl": {"prompts": ["a"], "fillers": ["a"]}},
            "handover_config": {"agents": [{"agent_id": "0194a8a6-1111-7000-8000-000000000001", "name": "a"}]},
            "silence_config": {"prompts": ["a"], "fillers": ["a"]}, "turn_config": {"backchannels": ["a"]},
            "built_in_tools": {"skip_turn": {"description": "a"}, "hold_call": {"description": "a"},
                "collect_digits": {"description": "a"}, "collect_value": {"description": "a", "country": "NL"}},
            "stt_config": stt, "tts_config": tts,
            "llm_config": {"provider": "groq", "model": "m", "tools": [tool], "stop": ["a"], "extra_body": {"seed": 1}},
            "fallbacks": {"stt": [stt], "llm": [llm], "tts": [tts]},
        });
        let found = compare::<AgentFields>("AgentFields", agent);
        assert!(found > 150, "{found}");
        let trunk = json!({
            "name": "t", "host": "a.example", "targets": [{"host": "b.example"}], "codecs": ["PCMU"],
            "allowed_destinations": ["+31"], "denied_destinations": ["+31"], "allowed_addresses": ["192.0.2.1"],
            "username": "u", "password": "p", "inbound_username": "u", "inbound_password": "p",
        });
        let found = compare::<TrunkFields>("TrunkFields", trunk);
        assert!(found > 40, "{found}");
        let window = json!({"time_zone": "UTC", "start": "09:00", "end": "18:00"});
        let task = json!({"to_number": "+31201234567", "calling_windows": [window],
            "retry_policy": {"max_attempts": 1, "delay_seconds": 1}});
        let found = compare::<TaskFields>("TaskFields", task);
        assert!(found > 15, "{found}");
        let found = compare::<OrganizationLimits>("OrganizationFields", json!({"name": "o"}));
        assert!(found > 15, "{found}");
    }

    /// The numbers that the console's inputs accept, as their attributes are written.
    fn attributes(schema: &Value, limits: &[(&str, &str)]) -> String {
        limits
            .iter()
            .map(|(attribute, limit)| format!("{attribute}={{{}}}", schema[limit]))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_consoles_inputs_state_the_limits_that_hold() {
        let described = router::openapi_document();
        let schemas = &described["components"]["schemas"];
        let (min, max) = (("min", "minimum"), ("max", "maximum"));
        for (page, input, schema, field, limits) in [
            ("numbers", " value={fields.options}", "TrunkFields", "options_interval_s", &[min, max][..]),
            ("numbers", " value={fields.max}", "TrunkFields", "max_concurrent_calls", &[min]),
            ("people", " hint={t(\"Further tasks wait", "OrganizationFields", "max_concurrent_calls", &[min]),
            (
                "people",
                " step={0.01} value={fields.calls_per_second}",
                "OrganizationFields",
                "calls_per_second",
                &[min],
            ),
            (
                "people",
                " step={0.01} value={fields.max_spend_per_day}",
                "OrganizationFields",
                "max_spend_per_day",
                &[min],
            ),
            ("login", " autocomplete=\"new-password\"", "Acceptance", "password", &[("minLength", "minLength")]),
            ("account", " autocomplete=\"new-password\"", "Acceptance", "password", &[("minLength", "minLength")]),
        ] {
            let path = format!("{}/console/src/pages/{page}.tsx", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(path).unwrap();
            let wanted = attributes(resolved(schemas, &schemas[schema]["properties"][field]), limits);
            assert!(source.contains(&format!("{wanted}{input}")), "{page}: {wanted}{input}");
        }
    }
}
