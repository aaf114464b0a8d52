//! Every rule of a document is broken once, and every fault is told by its path.

use super::*;
use serde_json::{Value, json};

fn listed<T: serde::de::DeserializeOwned + Validate<Context = ()>>(value: Value) -> Vec<(String, String)> {
    let value: T = serde_json::from_value(value).unwrap();
    faults(&value).into_iter().map(|fault| (fault.field, fault.message)).collect()
}

fn told(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(field, message)| ((*field).to_owned(), (*message).to_owned())).collect()
}

const SCHEMA: &str = "must be the JSON schema of an object";
const URL: &str = "must be an http or https URL";

/// The faults of [`faulty_agent`], as they are told.
const FAULTS_OF_AGENT: &[(&str, &str)] = &[
    ("dtmf_rules.rules[1].digits", "is there twice"),
    ("dtmf_rules.rules[1].target", "does not belong to this action"),
    ("dtmf_rules.rules[1].text", "say needs a text"),
    ("dtmf_rules.rules[2].digits", "cannot be reached: the terminator ends the entry before"),
    ("dtmf_rules.rules[2].target", "a transfer needs an E.164 number, a tel: or a SIP URI as target"),
    ("dtmf_rules.rules[3].digits", "must be 1 to 32 of 0-9, *, # and A-D"),
    ("dtmf_rules.rules[3].tool", "there is no tool named search in llm_config.tools"),
    ("fallbacks.hedge_after_ms", "must be between 0 and 30000"),
    ("fallbacks.llm[0].base_url", "must be an http or https URL without a query, a fragment or a user name"),
    ("fallbacks.llm[0].model", "must not be empty"),
    ("fallbacks.llm[0].provider", "must not be a realtime model"),
    ("llm_config.messages[0].content", "must not be empty"),
    ("llm_config.messages[1].content", "must not be empty"),
    ("llm_config.messages[1].role", "must be one of system, user, assistant"),
    ("llm_config.temperature", "must be between 0 and 2"),
    ("llm_config.tools[0].function.parameters", SCHEMA),
    ("llm_config.tools[1].function.name", "must not be used twice"),
    ("llm_config.tools[1].function.parameters", SCHEMA),
    ("llm_config.tools[2].function.name", "must have 1 to 64 letters, digits, _ or -"),
    ("llm_config.tools[2].function.parameters", SCHEMA),
    ("llm_config.tools[3].type", "must be one of function, mcp"),
    ("llm_config.tools[4].authorization", "must be the value of a header"),
    ("llm_config.tools[4].function", "must not be set: a server describes its functions itself"),
    ("llm_config.tools[4].server_url", URL),
    ("llm_config.tools[4].timeout_ms", "must be between 1 and 120000"),
    ("llm_config.tools[6].server_url", "is only for tools of type mcp"),
    ("llm_config.voice", "is only for realtime models"),
    ("name", "must have 1 to 200 characters, none of them U+0000"),
    ("ringing.announcement", "must have 1 to 1000 characters"),
    ("ringing.ring_ms", "must be between 0 and 30000"),
    ("silence_config.fillers[0]", "must have 1 to 500 characters"),
    ("silence_config.fillers[2]", "must have 1 to 500 characters"),
    ("silence_config.goodbye", "must not be empty"),
    ("silence_config.max_prompts", "must be between 0 and 10"),
    ("silence_config.prompt", "must not be empty"),
    ("turn_config.max_silence_ms", "must be between 0 and 20000"),
    ("turn_config.silence_ms", "must be between 0 and 10000"),
    (
        "webhook_events",
        "calls is not an event; allowed are assistant-request, tool-calls, status-update, agent-changed, end-of-call-report",
    ),
    ("webhook_secret", "must be printable ASCII; null for none"),
];

fn faulty_agent() -> Value {
    let function = |name: &str| json!({"function": {"name": name, "parameters": {"type": "array"}}});
    json!({
        "name": " ",
        "dtmf_rules": {"terminator": "*", "rules": [
            {"digits": "1", "action": "tool", "tool": "find"},
            {"digits": "1", "action": "say", "target": "+31201234567"},
            {"digits": "2*3", "action": "transfer", "target": "reception"},
            {"digits": "", "action": "tool", "tool": "search"},
        ]},
        "ringing": {"ring_ms": 30_001, "announcement": ""},
        "silence_config": {"prompt": " ", "goodbye": "", "max_prompts": 11, "fillers": ["", "Well", " "]},
        "turn_config": {"silence_ms": 10_001, "max_silence_ms": 20_001},
        "webhook_secret": "ä",
        "webhook_events": ["tool-calls", "calls", "more"],
        "llm_config": {"provider": "openai", "model": "m", "voice": "v", "temperature": 2.5,
            "messages": [{"role": "user", "content": ""}, {"role": "robot", "content": ""}],
            "tools": [function("find"), function("find"), function("f d"), {"type": "code"},
                {"type": "mcp", "server_url": "ftp://a", "authorization": "", "timeout_ms": 0, "url": "http://a"},
                {"type": "mcp", "server_url": "https://a.example"},
                {"function": {"name": "g"}, "allowed_tools": []}]},
        "fallbacks": {"hedge_after_ms": 30_001,
            "llm": [{"provider": "xai_realtime", "model": "", "base_url": "x"}]},
    })
}

#[test]
fn every_fault_of_an_agent_is_listed_by_its_path() {
    assert_eq!(listed::<agent::AgentFields>(faulty_agent()), told(FAULTS_OF_AGENT));
}

#[test]
fn what_makes_no_sense_is_refused_with_its_field() {
    let agent = json!({"name": "A", "first_message": "Hi {{name}}", "system_prompt": "Pass {{collected.pin}} on."});
    assert_eq!(listed::<agent::AgentFields>(agent), told(&[]));
    for (schema, wanted) in [
        (json!({"type": "array", "items": {"type": "string"}}), vec![("analysis_plan.structured_data_plan", SCHEMA)]),
        (json!({"type": "string"}), vec![("analysis_plan.structured_data_plan", SCHEMA)]),
        (json!({"type": "object"}), vec![]),
        (json!({}), vec![]),
    ] {
        let agent = json!({"name": "A", "analysis_plan": {"structured_data_plan": schema}});
        assert_eq!(listed::<agent::AgentFields>(agent), told(&wanted), "{schema}");
    }
}

#[test]
fn every_fault_of_a_task_is_listed_by_its_path() {
    let window = |start: &str, end: &str| json!({"time_zone": "Europe/Amsterdam", "start": start, "end": end});
    let task = json!({
        "to_number": "0201234567",
        "priority": 1_000_001,
        "scheduled_at": "tomorrow",
        "retry_policy": {"max_attempts": 21, "delay_seconds": 0},
        "calling_windows": [window("09:00", "18:00"), window("09:00", "24:00"), window("9", "18.00")],
    });
    let time = "must be a time such as 09:00";
    let wanted = told(&[
        ("calling_windows[1].end", time),
        ("calling_windows[2].end", time),
        ("calling_windows[2].start", time),
        ("priority", "must be between -1000000 and 1000000"),
        ("retry_policy.delay_seconds", "must be between 1 and 604800"),
        ("retry_policy.max_attempts", "must be between 1 and 20"),
        ("scheduled_at", "must be an RFC 3339 time such as 2026-03-27T12:00:00Z"),
        ("to_number", "must be an E.164 number such as +31201234567, or a SIP URI"),
    ]);
    assert_eq!(listed::<task::TaskFields>(task), wanted);
    let windows = vec![window("", ""); 100];
    let many = listed::<task::TaskFields>(json!({"to_number": "+31201234567", "calling_windows": windows}));
    assert_eq!(many.len(), FAULTS_MAX);
}

#[test]
fn a_secret_that_claims_to_be_base64_and_is_not_is_refused_with_its_field() {
    let fault = [("webhook_secret", "begins with whsec_, so base64 must follow and nothing else")];
    for secret in ["whsec_not-base64_at_all", "whsec_", "whsec_abc def"] {
        let agent = json!({"name": "A", "webhook_secret": secret});
        assert_eq!(listed::<agent::AgentFields>(agent), told(&fault), "{secret}");
        assert_eq!(agent::check_webhook_secret(Some(&secret.into())).unwrap_err().field, "webhook_secret");
    }
    for secret in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_-_8", "plain"] {
        assert_eq!(listed::<agent::AgentFields>(json!({"name": "A", "webhook_secret": secret})), told(&[]), "{secret}");
    }
}
