//! Interprets the answer to `assistant-request` and computes the configuration of the call.

use crate::domain::agent::{ALIASES, Agent, AgentFields, NamedAddress};
use crate::domain::ids::AgentId;
use crate::domain::{FieldError, faults};
use serde_json::{Map, Value, json};
use trunkline_json::document::DocumentLimits;

/// What is read of an answer.
const ANSWER: DocumentLimits = DocumentLimits { bytes_max: 256 * 1024, depth_max: 80, values_max: 50_000 };
/// Faults of an answer's members that are told.
const FAULTS_MAX: usize = 20;
/// Characters of a name that is told.
const NAME_CHARS_MAX: usize = 100;
/// Fields that a server may not set for one call.
const NOT_FOR_ONE_CALL: &[&str] = &["webhook_secret", "previous_webhook_secret", "webhook_rotation_ends_at"];
/// Fields that clients see on an agent but that have no meaning here.
const IGNORED: &[&str] = &["id", "organization_id", "created_at", "updated_at", "webhook_secret_set"];

/// Whether an address may be connected to, as far as known before DNS resolution.
pub type AddressCheck<'a> = &'a dyn Fn(&NamedAddress<'_>) -> Result<(), FieldError>;

/// The configuration of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedAssistant {
    /// The saved agent it is based on.
    pub agent: Option<AgentId>,
    /// The agent configuration that the call runs with.
    pub fields: AgentFields,
    /// Fields we do not know, echoed in every later event.
    pub added: Map<String, Value>,
    /// The rejected parts, and why.
    pub faults: Vec<String>,
}

impl ResolvedAssistant {
    /// Returns the configuration of a saved agent, without changes.
    pub fn saved(agent: &Agent) -> Self {
        Self { agent: Some(agent.id), fields: agent.fields.clone(), added: Map::new(), faults: Vec::new() }
    }
}

/// What an answer to `assistant-request` wants.
#[derive(Clone, Debug, PartialEq)]
pub enum AssistantDecision {
    /// The saved configuration.
    Saved,
    /// A configuration that stands alone.
    Transient(Map<String, Value>),
    /// A saved agent with some blocks replaced.
    Hybrid {
        /// The saved agent that the call uses.
        agent: AgentId,
        /// The fields that replace those of the agent for this call; empty if nothing changes.
        changes: Map<String, Value>,
    },
    /// The call is refused.
    Reject {
        /// The customer's reason; empty if the answer gives none.
        reason: String,
        /// Status of the SIP response, from 400 to 699; 603 if the answer gives none in this range.
        sip_status: u16,
    },
}

/// An answer as far as it can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedAnswer {
    /// What it wants.
    pub decision: AssistantDecision,
    /// What of it is ignored, and why; for the call's metrics and events.
    pub faults: Vec<String>,
}

impl JudgedAnswer {
    /// The saved agent answers, because this is wrong.
    pub fn unusable(why: &str) -> Self {
        Self { decision: AssistantDecision::Saved, faults: vec![why.to_owned()] }
    }
}

/// Reads an answer's body.
pub fn decide(body: &[u8]) -> JudgedAnswer {
    if body.iter().all(u8::is_ascii_whitespace) {
        return JudgedAnswer { decision: AssistantDecision::Saved, faults: Vec::new() };
    }
    let mut answer = match ANSWER.parse(body) {
        Ok(Value::Object(answer)) => answer,
        Ok(_) => return JudgedAnswer::unusable("the answer is not a JSON object"),
        Err(error) => return JudgedAnswer::unusable(&format!("the answer {error}")),
    };
    let mut faults = Vec::new();
    let decision = match rejection(answer.remove("reject"), &mut faults) {
        Some(rejected) => rejected,
        None => chosen(&mut answer, &mut faults),
    };
    faults.extend(answer.keys().take(FAULTS_MAX).map(|name| unknown(name)));
    JudgedAnswer { decision, faults }
}

/// A member of an answer that means nothing there.
fn unknown(name: &str) -> String {
    let short: String = name.chars().take(NAME_CHARS_MAX).collect();
    let is_field = document(&AgentFields::default()).contains_key(name) || ALIASES.iter().any(|(_, one)| *one == name);
    match is_field {
        true => format!("{short}: ignored, a field of an agent belongs in assistant or assistant_override"),
        false => format!("{short}: ignored, an answer has assistant_id, assistant_override, assistant or reject"),
    }
}

/// The agent that an answer names; what it takes is removed from the answer.
fn chosen(answer: &mut Map<String, Value>, faults: &mut Vec<String>) -> AssistantDecision {
    let mut take = |name: &str| answer.remove(name).filter(|value| !value.is_null());
    let (id, changes, alone) = (take("assistant_id"), take("assistant_override"), take("assistant"));
    let Some(id) = id else {
        if changes.is_some() {
            faults.push("assistant_override: ignored, it needs assistant_id, whose fields it replaces".to_owned());
        }
        return match alone {
            Some(Value::Object(fields)) => AssistantDecision::Transient(fields),
            Some(_) => {
                faults.push("assistant: ignored, it is not an object".to_owned());
                AssistantDecision::Saved
            }
            None => AssistantDecision::Saved,
        };
    };
    if alone.is_some() {
        faults.push("assistant: ignored, assistant_id comes first".to_owned());
    }
    let Some(agent) = id.as_str().and_then(AgentId::parse) else {
        faults.push("assistant_id: is not a UUID, the saved agent answers".to_owned());
        if changes.is_some() {
            faults.push("assistant_override: ignored with it".to_owned());
        }
        return AssistantDecision::Saved;
    };
    let changes = match changes {
        Some(Value::Object(changes)) => changes,
        Some(_) => {
            faults.push("assistant_override: ignored, it is not an object".to_owned());
            Map::new()
        }
        None => Map::new(),
    };
    AssistantDecision::Hybrid { agent, changes }
}

/// Whether the call is refused: by an object, a reason, or `true`.
fn rejection(reject: Option<Value>, faults: &mut Vec<String>) -> Option<AssistantDecision> {
    let reject = match reject? {
        Value::Object(reject) => reject,
        Value::Bool(true) => Map::new(),
        Value::String(reason) => Map::from_iter([("reason".to_owned(), json!(reason))]),
        Value::Bool(false) | Value::Null => return None,
        _ => {
            faults.push("reject: ignored, it is no object with reason and sip_code".to_owned());
            return None;
        }
    };
    let reason = reject.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = reject.get("sip_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|code| (400..700).contains(code));
    if status.is_none() && reject.get("sip_code").is_some_and(|code| !code.is_null()) {
        faults.push("reject.sip_code: ignored, it is none from 400 to 699".to_owned());
    }
    // 603 Decline: the person at the other end does not want the call (RFC 3261 section 21.6.2).
    Some(AssistantDecision::Reject { reason, sip_status: status.unwrap_or(603) })
}

/// A transient configuration; compiles its schemas. Webhook settings, and blocks that cannot be used, come from the
/// saved agent.
///
/// `check` judges the addresses that a configuration names.
pub fn transient(fields: Map<String, Value>, saved: Option<&Agent>, check: AddressCheck<'_>) -> ResolvedAssistant {
    let fallback = saved.map(|agent| agent.fields.clone());
    let mut base = AgentFields { name: "Assistant".to_owned(), is_active: true, ..AgentFields::default() };
    if let Some(saved) = &fallback {
        base.name.clone_from(&saved.name);
        base.webhook_url.clone_from(&saved.webhook_url);
        base.webhook_secret.clone_from(&saved.webhook_secret);
        base.previous_webhook_secret.clone_from(&saved.previous_webhook_secret);
        base.webhook_rotation_ends_at.clone_from(&saved.webhook_rotation_ends_at);
        base.webhook_events.clone_from(&saved.webhook_events);
    }
    replace_blocks(saved.map(|agent| agent.id), base, fallback.as_ref(), fields, check)
}

/// The saved configuration with some of its blocks replaced.
pub fn hybrid(agent: &Agent, changes: Map<String, Value>, check: AddressCheck<'_>) -> ResolvedAssistant {
    replace_blocks(Some(agent.id), agent.fields.clone(), Some(&agent.fields), changes, check)
}

fn replace_blocks(
    agent: Option<AgentId>, base: AgentFields, fallback: Option<&AgentFields>, changes: Map<String, Value>,
    check: AddressCheck<'_>,
) -> ResolvedAssistant {
    let known = document(&AgentFields::default());
    let fallback = fallback.map(document).unwrap_or_default();
    let mut resolved = ResolvedAssistant { agent, fields: base, added: Map::new(), faults: Vec::new() };
    for (name, value) in changes {
        let name =
            ALIASES.iter().find(|(_, alias)| *alias == name).map_or(name.clone(), |(field, _)| (*field).to_owned());
        if NOT_FOR_ONE_CALL.contains(&name.as_str()) {
            resolved.faults.push(format!("{name}: cannot be set for one call"));
        } else if known.contains_key(&name) {
            let saved = fallback.get(&name).cloned().unwrap_or_default();
            set(&mut resolved, &name, completed(&name, value, &saved), saved, check);
        } else if !IGNORED.contains(&name.as_str()) {
            resolved.added.insert(name, value);
        }
    }
    resolved
}

/// Takes a value if the whole is valid with it, else the saved one.
fn set(resolved: &mut ResolvedAssistant, name: &str, value: Value, saved: Value, check: AddressCheck<'_>) {
    let told = |fault: FieldError| format!("{}: {}", fault.field, fault.message);
    let of_field = |address: &NamedAddress<'_>| address.field.split(['.', '[']).next() == Some(name);
    let with = |value: Value| {
        let mut object = document(&resolved.fields);
        object.insert(name.to_owned(), value);
        object.retain(|_, value| !value.is_null());
        let fields: AgentFields =
            serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| vec![error.to_string()])?;
        let mut found = faults(&fields);
        if found.is_empty() {
            found.extend(fields.addresses().iter().filter(|one| of_field(one)).find_map(|one| check(one).err()));
        }
        if found.is_empty() { Ok(fields) } else { Err(found.into_iter().map(told).collect()) }
    };
    // Only new schemas are compiled: saved ones were compiled when they were saved.
    let checked = with(value).and_then(|fields| match name {
        "llm_config" | "analysis_plan" => {
            let checked = fields.check_schemas(name);
            checked.map(|()| fields).map_err(|fault| vec![told(fault)])
        }
        _ => Ok(fields),
    });
    match checked {
        Ok(fields) => resolved.fields = fields,
        Err(found) => {
            if let Ok(fields) = with(saved) {
                resolved.fields = fields;
            }
            resolved.faults.extend(found);
        }
    }
}

fn document(fields: &AgentFields) -> Map<String, Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// A block that lacks required fields (as the examples of document B do) takes them from the saved block or the
/// defaults; optional fields are replaced.
fn completed(name: &str, mut value: Value, saved: &Value) -> Value {
    let defaults = match name {
        "stt_config" => json!({"provider": "deepgram", "model": "nova-3-general", "language": "en"}),
        "llm_config" => json!({"provider": "openai", "model": "gpt-4o-mini"}),
        "tts_config" => json!({"provider": "elevenlabs", "language": "en"}),
        _ => return value,
    };
    if let (Value::Object(block), Value::Object(defaults)) = (&mut value, defaults) {
        for (field, default) in defaults {
            let from = saved.get(&field).filter(|saved| !saved.is_null()).cloned().unwrap_or(default);
            block.entry(field).or_insert(from);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OrganizationId;
    use crate::domain::time::UnixMs;

    fn agent() -> Agent {
        let fields = json!({"name": "Saved", "first_message": "Hi", "webhook_url": "https://a.example", "webhook_secret": "s",
            "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "nl", "speed": 1.5},
            "metadata": {"kept": true}});
        Agent {
            id: AgentId::new(),
            organization: OrganizationId::new(),
            fields: serde_json::from_value(fields).unwrap(),
            version: 1,
            created_at: UnixMs(0),
            updated_at: UnixMs(0),
        }
    }

    fn anywhere(_: &NamedAddress<'_>) -> Result<(), FieldError> {
        Ok(())
    }

    /// Nowhere but to `good.example`.
    fn guarded(address: &NamedAddress<'_>) -> Result<(), FieldError> {
        match address.url.starts_with("https://good.example") {
            true => Ok(()),
            false => Err(FieldError::new(address.field.as_str(), "must not lead there")),
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn answers_are_told_apart() {
        for saved in ["", " ", "{}", r#"{"assistant":null}"#, r#"{"reject":false}"#, r#"{"assistant_override":null}"#] {
            let read = decide(saved.as_bytes());
            assert_eq!((read.decision, read.faults.len()), (AssistantDecision::Saved, 0), "{saved}");
        }
        let reject = |text: &str| match decide(text.as_bytes()).decision {
            AssistantDecision::Reject { reason, sip_status } => (reason, sip_status),
            other => panic!("{other:?}"),
        };
        assert_eq!(reject(r#"{"reject":{"reason":"closed","sip_code":486}}"#), ("closed".to_owned(), 486));
        assert_eq!(reject(r#"{"reject":{"reason":"closed","sip_code":200}}"#), ("closed".to_owned(), 603));
        let id = AgentId::new();
        let hybrid = decide(format!(r#"{{"assistant_id":"{id}","assistant_override":{{"a":1}}}}"#).as_bytes());
        let decision = AssistantDecision::Hybrid { agent: id, changes: object(json!({"a": 1})) };
        assert_eq!(hybrid, JudgedAnswer { decision, faults: Vec::new() });
    }

    #[test]
    fn what_is_ignored_of_an_answer_is_told_with_its_reason() {
        let id = AgentId::new();
        let with_id = |rest: &str| format!(r#"{{"assistant_id":"{id}",{rest}}}"#);
        for (answer, wanted) in [
            ("<html>".to_owned(), &["the answer is not valid JSON: "][..]),
            ("[]".to_owned(), &["the answer is not a JSON object"]),
            (r#"{"assistant":{"first_message":"He"#.to_owned(), &["the answer is not valid JSON: EOF while parsing"]),
            (r#"{"assistant":1}"#.to_owned(), &["assistant: ignored, it is not an object"]),
            (r#"{"assistant_id":"x"}"#.to_owned(), &["assistant_id: is not a UUID"]),
            (
                r#"{"assistant_id":"x","assistant_override":{}}"#.to_owned(),
                &["assistant_id: is not a UUID", "assistant_override: ignored with it"],
            ),
            (r#"{"assistant_override":{"first_message":"Hi"}}"#.to_owned(), &["assistant_override: ignored, it needs"]),
            (r#"{"assistant_override":{},"assistant":{}}"#.to_owned(), &["assistant_override: ignored, it needs"]),
            (with_id(r#""assistant_override":[]"#), &["assistant_override: ignored, it is not an object"]),
            (with_id(r#""assistant":{}"#), &["assistant: ignored, assistant_id comes first"]),
            (
                r#"{"assistantOverrides":{},"first_message":"Hi"}"#.to_owned(),
                &["assistantOverrides: ignored, an answer has", "first_message: ignored, a field of an agent"],
            ),
            (r#"{"starting_message":"Hi"}"#.to_owned(), &["starting_message: ignored, a field of an agent"]),
            (r#"{"reject":7}"#.to_owned(), &["reject: ignored"]),
            (r#"{"reject":{"sip_code":200}}"#.to_owned(), &["reject.sip_code: ignored"]),
        ] {
            let faults = decide(answer.as_bytes()).faults;
            assert_eq!(faults.len(), wanted.len(), "{answer}: {faults:?}");
            for (fault, wanted) in faults.iter().zip(wanted) {
                assert!(fault.starts_with(wanted), "{answer}: {fault}");
            }
        }
        let many: Map<String, Value> = (0..100).map(|at| ("x".repeat(300 + at), json!(1))).collect();
        let faults = decide(json!(many).to_string().as_bytes()).faults;
        assert!(faults.len() == FAULTS_MAX && faults.iter().all(|fault| fault.len() < 300), "{faults:?}");
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_told() {
        let whole = json!({"assistant_id": AgentId::new(), "assistant_override": {"first_message": "Hi", "metadata": {"a": [1]}}});
        let whole = whole.to_string();
        for at in 1..whole.len() {
            let read = decide(whole.get(..at).unwrap().as_bytes());
            assert_eq!((read.decision, read.faults.len()), (AssistantDecision::Saved, 1), "{at}");
        }
    }

    #[test]
    fn a_hybrid_replaces_whole_blocks_and_keeps_what_it_does_not_know() {
        let changes = json!({"tts_config": {"voice_id": "female"}, "starting_message": "Hello John!",
            "metadata": {"crm_id": "12345"}, "campaign": "spring"});
        let resolved = hybrid(&agent(), object(changes), &anywhere);
        assert!(resolved.faults.is_empty(), "{:?}", resolved.faults);
        let tts = resolved.fields.tts_config.unwrap();
        assert_eq!((tts.voice_id.as_str(), tts.language.as_str(), tts.speed), ("female", "nl", None));
        assert_eq!(resolved.fields.first_message.as_deref(), Some("Hello John!"));
        assert_eq!(resolved.fields.metadata, Some(object(json!({"crm_id": "12345"}))));
        assert_eq!(resolved.added, object(json!({"campaign": "spring"})));
    }

    #[test]
    fn a_bad_block_falls_back_to_the_saved_one_and_says_so() {
        let bad = json!({"tts_config": {"voice_id": "x", "speed": 9}, "max_duration_seconds": "long", "first_message": "Yes"});
        let resolved = transient(object(bad), Some(&agent()), &anywhere);
        assert_eq!(resolved.faults.len(), 2, "{:?}", resolved.faults);
        assert_eq!(resolved.fields.tts_config.unwrap().voice_id, "v");
        assert_eq!(resolved.fields.first_message.as_deref(), Some("Yes"));
        assert_eq!(resolved.fields.webhook_url.as_deref(), Some("https://a.example"));
        assert_eq!(resolved.fields.metadata, None, "a transient stands alone");
    }

    #[test]
    fn every_address_of_an_answer_is_judged_and_only_its_block_falls_back() {
        let bad = "https://bad.example/x";
        let with_tool = |tool: Value| json!({"provider": "openai", "model": "m", "tools": [tool]});
        let function = json!({"type": "function", "url": bad, "function": {"name": "f"}});
        let server = json!({"type": "mcp", "server_url": bad});
        let llm = json!({"provider": "openai", "model": "m", "base_url": bad});
        let stt = json!({"provider": "deepgram", "model": "m", "language": "en", "base_url": bad});
        let tts = json!({"provider": "openai", "voice_id": "v", "language": "en", "base_url": bad});
        let realtime = json!({"provider": "openai_realtime", "model": "m", "base_url": bad});
        let answers = [
            ("webhook_url", json!({"webhook_url": bad}), "webhook_url"),
            ("stt_config", json!({"stt_config": stt}), "stt_config.base_url"),
            ("llm_config", json!({"llm_config": llm}), "llm_config.base_url"),
            ("llm_config", json!({"llm_config": realtime}), "llm_config.base_url"),
            ("llm_config", json!({"llm_config": with_tool(function)}), "llm_config.tools[0].url"),
            ("llm_config", json!({"llm_config": with_tool(server)}), "llm_config.tools[0].server_url"),
            ("tts_config", json!({"tts_config": tts}), "tts_config.base_url"),
            ("fallbacks", json!({"fallbacks": {"stt": [stt]}}), "fallbacks.stt[0].base_url"),
            ("fallbacks", json!({"fallbacks": {"llm": [llm]}}), "fallbacks.llm[0].base_url"),
            ("fallbacks", json!({"fallbacks": {"tts": [tts]}}), "fallbacks.tts[0].base_url"),
        ];
        // The saved agent has a webhook that would be rejected today: this does not affect other blocks.
        let saved = agent();
        for (block, mut answer, field) in answers {
            answer["first_message"] = json!("Taken");
            for resolved in [
                hybrid(&saved, object(answer.clone()), &guarded),
                transient(object(answer.clone()), Some(&saved), &guarded),
            ] {
                assert_eq!(resolved.faults, [format!("{field}: must not lead there")], "{answer}");
                assert_eq!(document(&resolved.fields)[block], document(&saved.fields)[block], "{answer}");
                assert_eq!(resolved.fields.first_message.as_deref(), Some("Taken"));
            }
            let text = answer.to_string().replace("bad.example", "good.example");
            let good = hybrid(&saved, object(serde_json::from_str(&text).unwrap()), &guarded);
            assert!(good.faults.is_empty(), "{text}: {:?}", good.faults);
        }
    }

    #[test]
    fn a_transient_alone_is_enough() {
        let alone = transient(
            object(json!({"first_message": "Hello John!", "tts_config": {"voice_id": "v"}, "webhook_secret": "x"})),
            None,
            &anywhere,
        );
        assert_eq!((alone.agent, alone.fields.first_message.as_deref()), (None, Some("Hello John!")));
        assert_eq!(alone.faults, ["webhook_secret: cannot be set for one call"]);
    }
}
