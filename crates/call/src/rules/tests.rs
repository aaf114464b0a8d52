//! What a flow has found out, as the report has it.

use super::*;
use serde_json::json;

fn slots(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn agent(more: Value) -> AgentFields {
    let mut agent = json!({"name": "a"});
    agent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(agent).unwrap()
}

#[test]
fn every_agent_has_rules_unless_it_wants_none() {
    let flow = json!({"start": "a", "states": {"a": {"type": "end", "text": "Bye."}}});
    let name = |more: Value| super::flow(&agent(more), "en").map(|(name, _, role)| (name, role));
    assert_eq!(name(json!({})), Some((MESSAGES, FlowRole::StandIn)));
    assert_eq!(name(json!({"fallbacks": {"take_messages": false}})), None);
    assert_eq!(name(json!({"llm_config": {"provider": "local", "flow": flow}})), Some((FLOW, FlowRole::Agent)));
    let fallback =
        json!({"fallbacks": {"llm": [{"provider": "groq", "model": "m"}, {"provider": "local", "flow": flow}]}});
    assert_eq!(name(fallback.clone()), Some((FLOW, FlowRole::Fallback)));
    let asked: Vec<_> =
        provider_plan::llm_configs(&agent(fallback)).into_iter().map(|one| one.provider.name()).collect();
    assert_eq!(asked, ["openai", "groq"]);
    let own = agent(
        json!({"llm_config": {"provider": "local", "flow": flow}, "fallbacks": {"llm": [{"provider": "groq", "model": "m"}]}}),
    );
    assert!(provider_plan::llm_configs(&own).is_empty(), "rules always answer");
}

#[test]
fn the_slots_are_the_result_of_a_call() {
    let message = slots(&[
        ("message_name", "Ann Lee"),
        ("message_phone", "+31201234567"),
        ("message_text", "Call me back."),
        ("order", "42"),
    ]);
    assert_eq!(summary(&message).unwrap(), "Message from Ann Lee, +31201234567: Call me back.; order: 42.");
    assert_eq!(summary(&slots(&[])), None);
    assert_eq!(structured(&message, None)["order"], "42");
    let schema = json!({"type": "object", "properties": {"order": {"type": "integer"}, "other": {"type": "string"}}});
    assert_eq!(structured(&message, Some(&schema)), json!({"order": 42}));
}

#[test]
fn a_message_is_found_in_the_transcript_of_a_call_whose_model_was_away() {
    let turn = |role: TurnRole, content: &str| Turn {
        role,
        content: content.to_owned(),
        started_at_ms: 0,
        ended_at_ms: 0,
        interrupted: false,
        confidence: None,
        agent_id: None,
        said_by: None,
    };
    let (user, agent_said) = (|text| turn(TurnRole::User, text), |text| turn(TurnRole::Assistant, text));
    let turns = [
        agent_said("Good morning, this is Acme."),
        user("I want to change my order"),
        agent_said("Sure, which one?"),
        user("The blue one"),
        agent_said("I am sorry, our assistant cannot be reached at the moment. Shall I take a message?"),
        user("yes please"),
        agent_said("I will take a message. What is your name?"),
        user("Ann Lee"),
        agent_said("On which number can we call you back?"),
        user("plus three one two oh one two three four five six seven"),
        agent_said("I have plus 3 1, 2 0 1, 2 3 4, 5 6 7. Is that right?"),
        user("yes"),
        agent_said("What is your message?"),
        user("Please change my order to a red one."),
        agent_said("Thank you, I have noted your"),
    ];
    let agent = agent(json!({}));
    let rules = rules_of_past_call(&agent, "en", "2026-11-28").unwrap();
    let collected = rules.dialogue.collected(&messages(&turns), &Default::default());
    let wanted = [
        ("leave_message", "yes"),
        ("message_name", "Ann Lee"),
        ("message_phone", "+31201234567"),
        ("message_text", "Please change my order to a red one."),
    ];
    assert_eq!(collected, slots(&wanted));
    assert!(
        rules.dialogue.collected(&messages(&turns[..4]), &Default::default()).is_empty(),
        "nothing was collected before"
    );
}
