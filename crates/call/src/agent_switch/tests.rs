//! Who can take a call over, with which configuration, and what is kept.

use super::*;
use crate::domain::call::Direction;
use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::task::TaskFields;

const NOW: UnixMs = UnixMs(1_774_602_000_000);

fn fields(more: Value) -> AgentFields {
    let mut all = json!({"name": "Billing", "is_active": true,
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
        "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en"}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn agent(more: Value) -> Agent {
    let fields = fields(more);
    Agent {
        id: AgentId::new(),
        organization: OrganizationId::new(),
        fields,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn spec(more: Value) -> CallSpec {
    CallSpec {
        agent_id: Some(AgentId::new()),
        agent: fields(more),
        task: None,
        fixed_texts: Default::default(),
        known: Default::default(),
        spoken: None,
        is_web: false,
        today: jiff::civil::date(2026, 11, 28),
    }
}

fn call() -> Call {
    Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, NOW)
}

#[test]
fn only_an_agent_that_works_takes_over() {
    let check = |agent, missing| check_successor(agent, |_| missing).map(drop);
    assert_eq!(check(Some(agent(json!({}))), None), Ok(()));
    assert_eq!(check(None, None), Err(HandoverError::NotFound));
    assert_eq!(check(Some(agent(json!({"is_active": false}))), None), Err(HandoverError::Disabled));
    let realtime = agent(json!({"llm_config": {"provider": "xai_realtime", "model": "m"}}));
    assert_eq!(check(Some(realtime), None), Err(HandoverError::Realtime));
    assert_eq!(check(Some(agent(json!({}))), Some("groq")), Err(HandoverError::NoKey("groq")));
}

#[test]
fn what_both_agents_have_is_kept() {
    let all_kept = AgentSwitch {
        stt: Change::Keep,
        tts: Change::Keep,
        barge_in: Change::Keep,
        ambience: Change::Keep,
        untried_llm: None,
    };
    let before = spec(json!({}));
    assert_eq!(plan(&before, &spec(json!({"name": "Sales", "system_prompt": "Sell."}))), all_kept);
    let replaced = |more: Value| plan(&before, &spec(more));
    let stt = json!({"stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "nl"}});
    assert_eq!(replaced(stt), AgentSwitch { stt: Change::Replace, ..all_kept });
    let endpointing = json!({"turn_config": {"endpointing_ms": 500}});
    assert_eq!(replaced(endpointing), AgentSwitch { stt: Change::Replace, ..all_kept }, "STT is told of it");
    let fallback = json!({"fallbacks": {"stt": [{"provider": "openai", "model": "whisper-1", "language": "en"}]}});
    assert_eq!(replaced(fallback), AgentSwitch { stt: Change::Replace, ..all_kept });
    let voice = json!({"tts_config": {"provider": "elevenlabs", "voice_id": "w", "language": "en"}});
    assert_eq!(replaced(voice), AgentSwitch { tts: Change::Replace, ..all_kept });
    let settings = json!({"voice_settings": {"stability": 0.2}});
    assert_eq!(replaced(settings), AgentSwitch { tts: Change::Replace, ..all_kept });
    let barge_in = json!({"turn_config": {"barge_in": false}});
    assert_eq!(replaced(barge_in), AgentSwitch { barge_in: Change::Replace, ..all_kept });
    let background = json!({"background": {"sound": "office"}});
    assert_eq!(replaced(background), AgentSwitch { ambience: Change::Replace, ..all_kept });
}

#[test]
fn an_llm_account_that_the_call_has_not_used_is_tried_before() {
    let before = spec(json!({}));
    let untried = |more: Value| plan(&before, &spec(more)).untried_llm;
    let groq = json!({"provider": "groq", "model": "m"});
    assert_eq!(untried(json!({"llm_config": groq})), Some(ProviderAccount::Groq));
    assert_eq!(untried(json!({"llm_config": {"provider": "openai", "model": "other"}})), None, "it answers already");
    let own = json!({"provider": "groq", "model": "m", "base_url": "https://llm.example/v1"});
    assert_eq!(untried(json!({"llm_config": own})), None, "a customer's server may know no other request");
    let fallback = json!({"llm_config": groq, "fallbacks": {"llm": [{"provider": "openai", "model": "m"}]}});
    assert_eq!(untried(fallback), None, "another one stands in");
}

#[test]
fn what_belongs_to_the_call_stays_as_it_began() {
    let task: TaskFields = serde_json::from_value(json!({"to_number": "+31201234567", "starting_message": "Hi.",
        "description": "Ask {{literally}}.", "context_data": {"customer": "Jan"}}))
    .unwrap();
    let mut before = spec(json!({"recording_enabled": false, "max_duration_seconds": 600}));
    before.task = Some(task);
    let more = json!({"recording_enabled": true, "max_duration_seconds": 60, "tell_call_facts": false,
        "system_prompt": "You help {{customer}}.", "first_message": "Hi {{customer}}, {{missing}}."});
    let id = AgentId::new();
    let next =
        successor((id, fields(more)), &before, &CallWebhooks::default(), &call(), NOW, &CallVariables::default());
    let agent = &next.spec.agent;
    assert_eq!((agent.recording_enabled, agent.max_duration_seconds), (Some(false), Some(600)));
    assert_eq!(agent.system_prompt.as_deref(), Some("You help Jan."));
    assert_eq!(next.spec.first_message(), Some("Hi Jan."), "its own one, not the task's");
    assert_eq!(next.report.missing.into_iter().collect::<Vec<_>>(), ["missing"]);
    let task = next.spec.task.unwrap();
    assert_eq!(task.description.as_deref(), Some("Ask {{literally}}."), "it was filled in when the call began");
    assert_eq!(next.spec.agent_id, Some(id));
    assert_eq!(next.assistant["id"], json!(id.to_string()));
    assert_eq!(next.assistant["system_prompt"], json!("You help {{customer}}."), "as it was written");
}

#[test]
fn events_go_to_the_next_agents_webhook_or_stay_where_they_went() {
    let hooks = |url: &str, secret: &str| {
        let with = json!({"webhook_url": url, "webhook_secret": secret, "webhook_events": ["status-update"]});
        (CallWebhooks::new(Some(AgentId::new()), &fields(with.clone())), spec(with))
    };
    let (old, before) = hooks("https://a.example/hook", "old-secret-that-is-long");
    let next = successor((AgentId::new(), fields(json!({}))), &before, &old, &call(), NOW, &CallVariables::default());
    assert_eq!(next.hooks, old);
    assert_eq!(next.assistant["webhook_url"], json!("https://a.example/hook"));
    assert_eq!(next.assistant["webhook_agent_id"], json!(old.agent), "whose secret signs the report");
    let own = json!({"webhook_url": "https://b.example/hook"});
    let id = AgentId::new();
    let next = successor((id, fields(own)), &before, &old, &call(), NOW, &CallVariables::default());
    assert_eq!((next.hooks.url.as_deref(), next.hooks.agent), (Some("https://b.example/hook"), Some(id)));
    assert_eq!(next.assistant.get("webhook_agent_id"), None);
}

#[test]
fn what_tools_have_set_is_in_the_texts_of_the_next_agent() {
    let set_name = json!({"llm_config": {"provider": "openai", "model": "m", "tools": [{"function": {"name": "find"},
        "url": "https://crm.example/find", "request": {"response": {"variables": {"plan": "$.plan"}}}}]}});
    let before = spec(set_name);
    let mut variables = CallVariables::default();
    variables.take(json!({"customer": {"name": "Jan"}, "pin": 4711}).as_object().unwrap().clone());
    let more = json!({"tell_call_facts": false, "system_prompt": "You help {{customer.name}} with {{plan}}.",
        "first_message": "Hi {{customer.name}}, {{plan}}, {{pin}}."});
    let mut collected = CollectedValues::default();
    collected.put("pin", "4711".into(), true);
    let readable = readable_variables(&fields(more.clone()), &variables, &collected);
    let next = successor((AgentId::new(), fields(more)), &before, &CallWebhooks::default(), &call(), NOW, &readable);
    assert_eq!(next.spec.first_message(), Some("Hi Jan, •••."));
    let told = |variables: &CallVariables| {
        format!("{:?}", crate::dialogue::prompt::system_messages_with(&next.spec.agent, None, variables))
    };
    assert!(told(&readable).contains("You help Jan with."), "{}", told(&readable));
    assert_eq!(next.report.missing.iter().collect::<Vec<_>>(), ["plan"]);
    variables.take(json!({"plan": "gold"}).as_object().unwrap().clone());
    assert!(told(&variables).contains("You help Jan with gold."), "a tool of the agent before answers late");
    let reveals = fields(json!({"built_in_tools": {"collect_digits": {"reveal_secrets": true}}}));
    assert_eq!(readable_variables(&reveals, &variables, &collected), variables);
}

#[test]
fn the_voice_is_the_next_agents_in_whatever_language_the_call_is_by_then() {
    let languages = json!({"languages": {"nl": {"voice_id": "w"}}});
    let (before, after) = (spec(languages.clone()), spec(languages));
    let prepared = plan(&before, &after);
    assert_eq!((prepared.tts, prepared.stt), (Change::Keep, Change::Keep));
    // The caller speaks Dutch by the time the next agent is ready, and it begins in its own language.
    let at_switch = plan(&before.in_language("nl"), &after);
    assert_eq!((at_switch.tts, at_switch.stt), (Change::Replace, Change::Replace));
    assert_eq!(Connection::at_switch(None::<u8>, at_switch.tts), Connection::Open);
    assert_eq!(Connection::at_switch(None::<u8>, prepared.tts), Connection::Keep);
    for change in [Change::Keep, Change::Replace] {
        assert_eq!(Connection::at_switch(Some(1), change), Connection::Prepared(1));
    }
}
