//! Every stage of a handover ends, and the next agent knows what tools have set.

use super::handover::{billing, change};
use super::*;
use serde_json::{Value, json};
use trunkline_domain::call_facts::CallVariables;

fn variables(set: Value) -> CallVariables {
    CallVariables(set.as_object().unwrap().clone())
}

#[test]
fn an_agent_that_is_ready_does_not_wait_forever_for_the_last_words_of_the_one_before() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment.", "opening": "greet"}));
    harness.wants_billing();
    harness.prepared(billing(json!({})));
    // Nothing is ever reported of the announcement.
    harness.pass_ms(19_000);
    assert_eq!(harness.times(&change()), 0);
    harness.pass_ms(1_500);
    assert_eq!(harness.times(&change()), 1, "it takes over all the same");
    assert_eq!(harness.waiting.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["Billing here."]);
    harness.pass_ms(60_000);
    assert_eq!(harness.times(&change()), 1);
}

#[test]
fn a_renewed_configuration_gives_the_last_words_no_more_time() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment.", "opening": "greet"}));
    harness.wants_billing();
    harness.prepared(billing(json!({})));
    harness.pass_ms(15_000);
    harness.prepared(billing(json!({"first_message": "Billing here, Jan."})));
    harness.pass_ms(5_500);
    assert_eq!(harness.times(&change()), 1);
    assert_eq!(harness.play_everything(), "Billing here, Jan.");
}

#[test]
fn an_agent_that_is_not_ready_while_the_announcement_goes_on_is_given_up() {
    let mut harness = CallHarness::at_reception(json!({"announcement": "One moment."}));
    harness.wants_billing();
    harness.pass_ms(6_100);
    assert_eq!(harness.times(&CallOutput::CancelPreparation), 1);
    harness.prepared(billing(json!({})));
    assert_eq!(harness.times(&change()), 0);
}

#[test]
fn a_transfer_whose_announcement_is_never_reported_goes_on() {
    let transfers = json!({"mode": "refer", "destinations": [{"name": "desk", "target": "+31201234567"}]});
    let agent = AgentFields { transfer_config: Some(serde_json::from_value(transfers).unwrap()), ..agent() };
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("the desk please");
    harness.calls_tool("transfer_call", json!({"destination": "desk"}), None);
    let is_referred = |harness: &CallHarness| harness.output_seen(|output| matches!(output, CallOutput::Refer { .. }));
    harness.pass_ms(19_000);
    assert!(!is_referred(&harness));
    harness.pass_ms(1_500);
    assert!(is_referred(&harness));
}

#[test]
fn the_next_agents_prompt_has_what_tools_of_the_one_before_have_set() {
    let mut harness = CallHarness::at_reception(json!({}));
    harness.machine.set_variables(&variables(json!({"customer": "Jan"})));
    harness.wants_billing();
    // As the driver fills it in: names that tools set stay open in prompts.
    let mut next = billing(json!({}));
    let text = trunkline_domain::template::fill(
        "You help {{customer}}.",
        trunkline_domain::template::TemplateUse::Prompt,
        &Open,
        &mut trunkline_domain::template::TemplateReport::default(),
    );
    next.agent.system_prompt = Some(text);
    harness.prepared(next);
    assert!(harness.asked()[0].starts_with("system: You help Jan."), "{:?}", harness.asked());
    harness.machine.set_variables(&variables(json!({"customer": "Ann"})));
    harness.model_says("Hello.");
    harness.play_everything();
    harness.caller_says("where is my invoice");
    harness.pass_ms(2_500);
    assert!(harness.asked()[0].starts_with("system: You help Ann."), "{:?}", harness.asked());
}

/// Every variable changes during the call.
struct Open;

impl trunkline_domain::template::TemplateValues for Open {
    fn value(&self, _: &str) -> Option<String> {
        None
    }

    fn changes(&self, _: &str) -> bool {
        true
    }
}

#[test]
fn a_realtime_model_is_told_what_tools_have_set() {
    let capabilities =
        RealtimeCapabilities { name: "openai_realtime/m".into(), can_say: true, greets: false, fallback: None };
    let fill = |text: &str| {
        let usage = trunkline_domain::template::TemplateUse::Prompt;
        trunkline_domain::template::fill(text, usage, &Open, &mut Default::default())
    };
    let agent = AgentFields { system_prompt: Some(fill("You help {{customer}}.")), ..agent() };
    let mut harness = CallHarness::with(agent, Some(capabilities));
    harness.machine.set_variables(&variables(json!({"customer": "Jan"})));
    harness.machine.set_variables(&variables(json!({"customer": "Jan"})));
    harness.machine.set_variables(&variables(json!({"customer": "Jan", "other": 1})));
    harness.drain();
    let told: Vec<String> = harness
        .sent_to_realtime()
        .into_iter()
        .filter_map(|input| match input {
            RealtimeInput::Instructions(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 1, "only when its instructions are others: {told:?}");
    assert!(told[0].starts_with("You help Jan.") && told[0].contains("telephone"), "{told:?}");
}
