//! Flows that are refused, with the place and the reason.

use super::*;
use crate::agent::AgentFields;
use crate::faults;
use serde_json::{Map, Value, json};

/// A shop in a few states.
fn flow() -> Value {
    json!({
        "start": "menu",
        "states": {
            "menu": {"type": "menu", "question": "What can I do for you?", "exhausted": "person", "choices": [
                {"intent": "order", "key": "1", "next": "order"}]},
            "order": {"type": "ask", "slot": "order", "next": "lookup", "exhausted": "person"},
            "lookup": {"type": "tool", "tool": "order_status", "arguments": {"order": "{{slots.order}}"},
                "results": {"status": "$.status"}, "next": "told", "failed": "message"},
            "told": {"type": "branch", "slot": "status", "cases": {"sent": "sent"}, "otherwise": "person"},
            "sent": {"type": "say", "text": "Order {{slots.order}} was sent.", "next": "menu"},
            "person": {"type": "transfer", "destination": "desk", "failed": "message"},
            "message": {"type": "take_message", "next": "bye"},
            "bye": {"type": "end", "text": "Goodbye."},
        },
        "slots": {"order": {"type": "number", "question": "What is your order number?"}},
        "intents": [{"name": "order", "phrases": ["where is my order"]},
            {"name": "person", "phrases": ["speak to a person"], "next": "person"}],
        "documents": [{"title": "Opening hours", "text": "We are open from nine to five."}],
    })
}

fn agent(flow: &Value) -> Value {
    json!({"name": "a", "transfer_config": {"destinations": [{"name": "desk", "target": "+31201234567"}]},
        "llm_config": {"provider": "local", "flow": flow,
            "tools": [{"function": {"name": "order_status"}, "url": "https://shop.example/orders"}]}})
}

/// Where the first fault is, and what it is.
fn fault(agent: Value) -> Option<(String, String)> {
    let agent: AgentFields = serde_json::from_value(agent).unwrap();
    faults(&agent).into_iter().next().map(|fault| (fault.field, fault.message))
}

fn changed(path: &str, value: Value) -> Value {
    let mut flow = flow();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let place = flow.pointer_mut(parent).unwrap();
    match place.as_array_mut() {
        Some(list) => list.push(value),
        None => place[name] = value,
    }
    flow
}

#[test]
fn a_flow_stays_as_it_was_written() {
    assert_eq!(fault(agent(&flow())), None);
    let read: Flow = serde_json::from_value(flow()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), flow());
}

#[test]
fn a_fault_names_its_place_and_its_reason() {
    let no_state = |name: &str| format!("there is no state named {name}");
    let cases = [
        ("/start", json!("hall"), "start", no_state("hall")),
        ("/states/order/next", json!("nowhere"), "states.order.next", no_state("nowhere")),
        ("/states/told/cases", json!({"sent": "x"}), "states.told.cases.sent", no_state("x")),
        ("/intents/-", json!({"name": "n", "phrases": ["x"], "next": "y"}), "intents[2].next", no_state("y")),
        ("/states/order/slot", json!("size"), "states.order.slot", "there is no slot named size".into()),
        ("/states/told/slot", json!("size"), "states.told.slot", "there is no slot named size".into()),
        ("/states/bye/text", json!(" "), "states.bye.text", "must not be empty".into()),
        ("/slots/order/question", json!(""), "slots.order.question", "must not be empty".into()),
        ("/slots/order/tries", json!(0), "slots.order.tries", "must be between 1 and 10".into()),
        ("/slots/order/choices", json!({"a": []}), "slots.order.choices", "is only for slots of type choice".into()),
        (
            "/states/lookup/results",
            json!({"status": "a..b"}),
            "states.lookup.results.status",
            "must be a JSON pointer such as /data/status, or a path such as data.items[0].status".into(),
        ),
        (
            "/intents/-",
            json!({"name": "n", "phrases": ["x"]}),
            "intents[2]",
            "is used nowhere: it needs a next, an answer, or a menu that names it".into(),
        ),
        (
            "/states/menu/choices",
            json!([{"intent": "x", "next": "order"}]),
            "states.menu.choices[0].intent",
            "there is no intent named x".into(),
        ),
        (
            "/states/menu/choices",
            json!([{"next": "order"}]),
            "states.menu.choices[0]",
            "needs an intent or a key".into(),
        ),
        ("/documents/-", json!({"title": "T", "text": " \n\n "}), "documents[1].text", "must not be empty".into()),
    ];
    for (path, value, field, message) in cases {
        let wanted = (format!("llm_config.flow.{field}"), message);
        assert_eq!(fault(agent(&changed(path, value))), Some(wanted), "{path}");
    }
    let (field, message) = fault(agent(&changed("/states/bye/text", json!("Bye {{name")))).unwrap();
    assert_eq!(field, "llm_config.flow.states.bye.text");
    assert!(message.starts_with("is not a valid template: line 1, character 5"), "{message}");
}

#[test]
fn states_without_a_way_to_them_and_circles_without_a_question_are_refused() {
    let lonely = changed("/states/lonely", json!({"type": "say", "text": "Hm.", "next": "menu"}));
    let (field, message) = fault(agent(&lonely)).unwrap();
    assert_eq!(
        (field.as_str(), message.as_str()),
        ("llm_config.flow.states.lonely", "cannot be reached from start or by an intent")
    );
    let round = changed("/states/sent/next", json!("told"));
    let (field, message) = fault(agent(&round)).unwrap();
    assert_eq!(field, "llm_config.flow.states.sent");
    assert_eq!(message, "goes round without waiting for the caller: sent → told → sent");
    let itself = changed("/states/sent/next", json!("sent"));
    assert!(fault(agent(&itself)).unwrap().1.ends_with("sent → sent"));
    // A question that is skipped when there is a value does not wait.
    let mut skipped = changed("/states/order/again", json!(false));
    skipped["states"]["sent"]["next"] = json!("order");
    assert!(fault(agent(&skipped)).unwrap().1.starts_with("goes round"));
    skipped["states"]["order"]["again"] = json!(true);
    assert_eq!(fault(agent(&skipped)), None);
}

#[test]
fn tools_and_destinations_are_those_of_the_agent() {
    let tool = changed("/states/lookup/tool", json!("weather"));
    assert_eq!(
        fault(agent(&tool)).unwrap(),
        ("llm_config".into(), "flow.states.lookup.tool: there is no tool named weather in llm_config.tools".into())
    );
    let mut remote = agent(&tool);
    remote["llm_config"]["tools"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "mcp", "server_url": "https://b.example/"}));
    assert_eq!(fault(remote), None, "tools of servers are known in calls only");
    let place = changed("/states/person/destination", json!("moon"));
    assert_eq!(
        fault(agent(&place)).unwrap(),
        (
            "llm_config".into(),
            "flow.states.person.destination: there is no destination named moon in transfer_config".into()
        )
    );
    let mut fallback = json!({"name": "a", "fallbacks": {"llm": [{"provider": "local", "flow": flow()}]}});
    assert!(fault(fallback.clone()).unwrap().1.starts_with("llm[0].flow.states.lookup.tool"));
    fallback["fallbacks"]["llm"].as_array_mut().unwrap().push(json!({"provider": "groq", "model": "m"}));
    assert!(fault(fallback).unwrap().1.contains("always answers"));
}

#[test]
fn rules_have_a_flow_and_models_have_a_name() {
    let config = |config: Value| fault(json!({"name": "a", "llm_config": config}));
    assert_eq!(config(json!({"provider": "local"})), Some(("llm_config.flow".into(), "must be set for local".into())));
    assert_eq!(config(json!({"provider": "openai"})), Some(("llm_config.model".into(), "must not be empty".into())));
    let both = json!({"provider": "openai", "model": "m", "flow": {"start": "a", "states": {"a": {"type": "end", "text": "b"}}}});
    assert_eq!(config(both), Some(("llm_config.flow".into(), "is only for local".into())));
}

#[test]
fn a_huge_document_is_refused_in_no_time() {
    let states: Map<String, Value> = (0..5_000)
        .map(|n| (format!("s{n}"), json!({"type": "say", "text": "x", "next": format!("s{}", n + 1)})))
        .collect();
    let huge = json!({"start": "s0", "states": states});
    assert_eq!(fault(agent(&huge)).unwrap().1, "must have at most 100 entries");
    let long = changed("/documents", json!(vec![json!({"title": "T", "text": "word ".repeat(150)}); 200]));
    assert_eq!(fault(agent(&long)), None);
    let longer = changed(
        "/documents",
        json!(vec![json!({"title": "T", "text": "word ".repeat(150), "words": "w".repeat(900)}); 200]),
    );
    assert!(fault(agent(&longer)).unwrap().1.contains("262144 bytes"));
    let (mut deep, mut value) = (flow(), json!("x"));
    for _ in 0..40 {
        value = json!([value]);
    }
    deep["states"]["lookup"]["arguments"]["deep"] = value;
    assert!(fault(agent(&deep)).unwrap().1.contains("levels"));
}

#[test]
fn texts_are_filled_in_when_the_call_begins_except_for_slots() {
    struct Shop;
    impl crate::template::TemplateValues for Shop {
        fn value(&self, name: &str) -> Option<String> {
            (name == "shop").then(|| "Acme".to_owned())
        }
    }
    let flow = changed("/states/bye/text", json!("{{shop}} thanks {{slots.message_name|you}}."));
    let mut agent: AgentFields = serde_json::from_value(agent(&flow)).unwrap();
    let report = crate::agent_texts::fill_in(&mut agent, None, &Shop);
    assert!(report.is_empty(), "{report:?}");
    let flow = agent.llm_config.unwrap().flow.unwrap();
    let FlowState::End(end) = &flow.states["bye"] else { panic!() };
    assert_eq!(end.text, "Acme thanks {{slots.message_name|you}}.");
}
