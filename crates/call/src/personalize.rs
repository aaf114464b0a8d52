//! The configuration of one call: variables in its texts are filled in, and the LLM is told what only the server knows.
//!
//! Pure: the time is an argument.

use crate::dialogue::prompt::default_prompt;
use crate::dialogue::report::AnalysisPrompt;
use crate::domain::agent::AgentFields;
use crate::domain::agent_texts;
use crate::domain::call::Call;
use crate::domain::call_facts::{CallFacts, CallValues, CallVariables};
use crate::domain::chat::ChatMessage;
use crate::domain::task::TaskFields;
use crate::domain::template::TemplateReport;
use crate::domain::time::UnixMs;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Whether the LLM is told the facts of calls.
fn tells_facts(agent: &AgentFields) -> bool {
    agent.tell_call_facts.unwrap_or(true)
}

/// Fills in the variables of a call's configuration, and adds the facts of the call to its prompt. The report says
/// which variables had no value: they are left out.
pub fn personalize(agent: &mut AgentFields, task: Option<&mut TaskFields>, call: &Call, now: UnixMs) -> TemplateReport {
    let context = task.as_ref().and_then(|task| task.context_data.clone());
    fill_in(agent, task, (context, KnownVariables::default()), call, now)
}

/// The same for an agent that takes over a call: the task was filled in when the call began, and its values are filled
/// in here, with what tools of the agents `before` it have set and may still set.
pub fn personalize_successor(
    agent: &mut AgentFields, (task, before): (Option<&TaskFields>, &AgentFields), call: &Call, now: UnixMs,
    variables: &CallVariables,
) -> TemplateReport {
    let mut to_come = agent_texts::variables(before);
    to_come.extend(variables.0.keys().cloned());
    let known = KnownVariables { set: Some(variables), to_come };
    fill_in(agent, None, (task.and_then(|task| task.context_data.clone()), known), call, now)
}

/// What tools have set when texts are filled in, and names of what they may still set.
#[derive(Default)]
struct KnownVariables<'a> {
    set: Option<&'a CallVariables>,
    to_come: BTreeSet<String>,
}

fn fill_in(
    agent: &mut AgentFields, task: Option<&mut TaskFields>,
    (context, known): (Option<Map<String, Value>>, KnownVariables<'_>), call: &Call, now: UnixMs,
) -> TemplateReport {
    let (name, zone) = (agent.name.clone(), agent.time_zone.clone());
    let facts = CallFacts::new(call, &name, zone.as_deref(), now);
    let metadata = call.metadata.as_ref().and_then(Value::as_object);
    let variables = known.set.map(|variables| &variables.0);
    let values = CallValues { facts, variables, to_come: known.to_come, context: context.as_ref(), metadata };
    let report = agent_texts::fill_in(agent, task, &values);
    if tells_facts(agent) {
        let facts = values.facts.sentences();
        let prompt = agent.system_prompt.take().or_else(|| default_prompt(agent));
        agent.system_prompt = Some(prompt.map_or(facts.clone(), |prompt| format!("{prompt}\n\n{facts}")));
    }
    report
}

/// What a placeholder stands for that a model writes during the call: facts of the call, the customer's `metadata` and the
/// task's `context_data`.
pub fn known_values(agent: &AgentFields, task: Option<&TaskFields>, call: &Call, now: UnixMs) -> CallVariables {
    let facts = CallFacts::new(call, &agent.name, agent.time_zone.as_deref(), now).values();
    let mut known = facts.clone();
    known.insert("call".to_owned(), Value::Object(facts));
    known.extend(call.metadata.iter().map(|metadata| ("metadata".to_owned(), metadata.clone())));
    known.extend(task.and_then(|task| task.context_data.clone()).into_iter().flatten());
    CallVariables(known)
}

/// The variables of an outbound call's configuration that have no value.
pub fn missing_variables(agent: &AgentFields, task: &TaskFields, call: &Call, now: UnixMs) -> Vec<String> {
    let (mut agent, mut task) = (agent.clone(), task.clone());
    personalize(&mut agent, Some(&mut task), call, now).missing.into_iter().collect()
}

/// What the call's metrics say about its variables; `None` if there is nothing to say.
pub fn metric(report: &TemplateReport) -> Option<Value> {
    (!report.is_empty()).then(|| json!({"missing_variables": report.missing, "faults": report.faults}))
}

/// Tells the LLM that looks at a call afterwards when it was, and who called whom.
pub fn tell_analysis(prompt: &mut AnalysisPrompt, agent: &AgentFields, call: &Call) {
    if !tells_facts(agent) {
        return;
    }
    let facts = CallFacts::new(call, &agent.name, agent.time_zone.as_deref(), call.started_at).sentences_of_past();
    match prompt.messages.first_mut() {
        Some(ChatMessage::System(text)) => *text = format!("{text}\n{facts}"),
        _ => prompt.messages.insert(0, ChatMessage::System(facts)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::prompt::system_messages;
    use crate::dialogue::report;
    use crate::domain::call::Direction;
    use crate::domain::ids::{CallId, OrganizationId};
    use crate::domain::template::TemplateValues as _;

    const NOW: &str = "2026-11-28T09:15:00Z";

    fn call() -> Call {
        let now = UnixMs::parse(NOW).unwrap();
        let mut call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, now);
        (call.from_number, call.to_number) = ("+31201234567".into(), "+31207654321".into());
        call.metadata = Some(json!({"crm": "c-1"}));
        call
    }

    fn agent(more: Value) -> AgentFields {
        let mut all = json!({"name": "Ada", "time_zone": "Europe/Amsterdam"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn told(more: Value) -> (Vec<ChatMessage>, TemplateReport) {
        let mut agent = agent(more);
        let report = personalize(&mut agent, None, &call(), UnixMs::parse(NOW).unwrap());
        (system_messages(&agent, None), report)
    }

    #[test]
    fn the_prompt_says_when_it_is_and_who_calls() {
        for more in [
            json!({}),
            json!({"system_prompt": "You help callers."}),
            json!({"llm_config": {"provider": "openai", "model": "m", "messages": [{"role": "system", "content": "Be kind."}]}}),
        ] {
            let (messages, _) = told(more.clone());
            let text = format!("{messages:?}");
            for fact in
                ["Saturday, 28 November 2026, 10:15", "Europe/Amsterdam", "inbound", "+31201234567", "+31207654321"]
            {
                assert!(text.contains(fact), "{more}: {fact}: {text}");
            }
            let own = more["system_prompt"].as_str().unwrap_or(if more == json!({}) {
                "assistant of Ada"
            } else {
                "Be kind."
            });
            assert!(text.contains(own), "{text}");
            assert_eq!(text.contains("assistant of Ada"), more == json!({}), "{text}");
        }
    }

    #[test]
    fn the_facts_can_be_left_out() {
        let off = json!({"tell_call_facts": false, "system_prompt": "You help callers."});
        let (messages, _) = told(off.clone());
        assert!(!format!("{messages:?}").contains("2026"), "{messages:?}");
        let mut prompt = report::analysis_prompt(&[], None, "en");
        tell_analysis(&mut prompt, &agent(off), &call());
        assert!(!format!("{:?}", prompt.messages).contains("2026"));
    }

    #[test]
    fn the_analysis_is_told_when_the_call_was() {
        let mut prompt = report::analysis_prompt(&[], None, "en");
        let before = prompt.messages.len();
        tell_analysis(&mut prompt, &agent(json!({})), &call());
        let ChatMessage::System(text) = &prompt.messages[0] else { panic!("{:?}", prompt.messages) };
        assert!(text.contains("Saturday, 28 November 2026, 10:15") && text.contains("+31201234567"), "{text}");
        assert_eq!(prompt.messages.len(), before, "one system message");
    }

    #[test]
    fn what_is_missing_is_reported_and_what_is_there_is_filled_in() {
        let mut agent = agent(json!({"first_message": "Hi {{customer_name}}, about {{metadata.crm}} on {{date}}."}));
        let report = personalize(&mut agent, None, &call(), UnixMs::parse(NOW).unwrap());
        assert_eq!(agent.first_message.as_deref(), Some("Hi, about c-1 on 2026-11-28."));
        assert_eq!(metric(&report).unwrap()["missing_variables"], json!(["customer_name"]));
        assert_eq!(metric(&TemplateReport::default()), None);
    }

    #[test]
    fn what_a_model_may_name_is_known_from_the_beginning() {
        let task = TaskFields {
            context_data: json!({"customer_name": "Ann", "date": "tomorrow"}).as_object().cloned(),
            ..TaskFields::default()
        };
        let known = known_values(&agent(json!({})), Some(&task), &call(), UnixMs::parse(NOW).unwrap());
        for (name, value) in [
            ("from_number", "+31201234567"),
            ("call.from_number", "+31201234567"),
            ("weekday", "Saturday"),
            ("metadata.crm", "c-1"),
            ("customer_name", "Ann"),
            ("date", "tomorrow"),
        ] {
            assert_eq!(known.value(name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_task_is_judged_by_all_texts_of_its_call() {
        let agent = agent(json!({"first_message": "Hi {{a}} {{b|you}}", "voicemail_message": "{{c.d}}"}));
        let task = |context: Value| TaskFields { context_data: context.as_object().cloned(), ..TaskFields::default() };
        let now = UnixMs::parse(NOW).unwrap();
        assert_eq!(missing_variables(&agent, &task(Value::Null), &call(), now), ["a", "c.d"]);
        assert!(missing_variables(&agent, &task(json!({"a": 1, "c": {"d": "x"}})), &call(), now).is_empty());
    }
}
