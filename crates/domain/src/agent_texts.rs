//! The texts of an agent and of a task that may have variables.

use super::agent::AgentFields;
use super::provider_config::Tool;
use super::secret::Secret;
use super::task::TaskFields;
use super::template::{TemplateReport, TemplateUse, TemplateValues, fill};
use std::collections::BTreeSet;

/// Fills in the variables of all texts of one call's configuration, each once. The task's own `context_data` is left
/// as it is: it is where values come from.
pub fn fill_in(agent: &mut AgentFields, task: Option<&mut TaskFields>, values: &dyn TemplateValues) -> TemplateReport {
    let mut report = TemplateReport::default();
    let changing = Changing { values, names: variables(agent) };
    let values: &dyn TemplateValues = &changing;
    let mut text = |text: &mut String, usage| *text = fill(text, usage, values, &mut report);
    let has_starting_message = task.as_ref().is_some_and(|task| task.starting_message.is_some());
    if let Some(task) = task {
        task.starting_message.iter_mut().for_each(|one| text(one, TemplateUse::Text));
        task.description.iter_mut().for_each(|one| text(one, TemplateUse::Prompt));
    }
    if has_starting_message {
        // It is not said, so what is missing in it is not missed.
        agent.first_message = None;
    }
    agent.system_prompt.iter_mut().for_each(|one| text(one, TemplateUse::Prompt));
    let own = [&mut agent.first_message, &mut agent.voicemail_message];
    own.into_iter().flatten().for_each(|one| text(one, TemplateUse::Text));
    if let Some(config) = &mut agent.llm_config {
        config.messages.iter_mut().for_each(|message| text(&mut message.content, TemplateUse::Prompt));
        config.tools.iter_mut().for_each(|tool| fill_in_tool(tool, &mut text));
    }
    let own = agent.llm_config.iter_mut().filter_map(|config| config.flow.as_mut());
    let others = agent.fallbacks.iter_mut().flat_map(|all| &mut all.llm).filter_map(|one| one.flow.as_mut());
    own.chain(others).for_each(|flow| flow.each_text(&mut |one| text(one, TemplateUse::FlowText)));
    if let Some(silence) = &mut agent.silence_config {
        let words = [&mut silence.prompt, &mut silence.goodbye];
        words
            .into_iter()
            .chain(&mut silence.prompts)
            .chain(&mut silence.fillers)
            .for_each(|one| text(one, TemplateUse::Text));
    }
    for language in agent.languages.iter_mut().flat_map(|languages| languages.values_mut()) {
        let single = [&mut language.prompt, &mut language.goodbye].into_iter().flatten();
        single.chain(&mut language.prompts).chain(&mut language.fillers).for_each(|one| text(one, TemplateUse::Text));
    }
    for target in agent.handover_config.iter_mut().flat_map(|config| &mut config.agents) {
        let words = [&mut target.description, &mut target.summary_description, &mut target.announcement];
        words.into_iter().flatten().for_each(|one| text(one, TemplateUse::Text));
    }
    if let Some(ringing) = &mut agent.ringing {
        ringing.announcement.iter_mut().for_each(|one| text(one, TemplateUse::Text));
    }
    for destination in agent.transfer_config.iter_mut().flat_map(|transfers| &mut transfers.destinations) {
        destination.description.iter_mut().for_each(|one| text(one, TemplateUse::Text));
        destination.headers.values_mut().for_each(|one| text(one, TemplateUse::Header));
    }
    for rule in agent.dtmf_rules.iter_mut().flat_map(|rules| &mut rules.rules) {
        rule.text.iter_mut().for_each(|one| text(one, TemplateUse::Text));
    }
    report
}

/// What a stored agent says of its own accord, word for word in each of its calls: texts without variables.
pub fn fixed_texts(agent: &AgentFields) -> Vec<String> {
    let mut texts: Vec<&String> = [&agent.first_message, &agent.voicemail_message].into_iter().flatten().collect();
    if let Some(silence) = &agent.silence_config {
        texts.extend([&silence.prompt, &silence.goodbye]);
        texts.extend(silence.prompts.iter().chain(&silence.fillers));
    }
    for language in agent.languages.iter().flat_map(|languages| languages.values()) {
        texts.extend([&language.prompt, &language.goodbye].into_iter().flatten());
        texts.extend(language.prompts.iter().chain(&language.fillers));
    }
    let tools = agent.llm_config.iter().flat_map(|config| &config.tools);
    for tool in tools {
        texts.extend(&tool.filler);
        texts.extend(tool.progress.iter().flat_map(|progress| &progress.phrases));
    }
    texts.extend(
        agent.handover_config.iter().flat_map(|config| &config.agents).filter_map(|to| to.announcement.as_ref()),
    );
    texts.extend(agent.ringing.iter().filter_map(|ringing| ringing.announcement.as_ref()));
    texts.extend(agent.dtmf_rules.iter().flat_map(|rules| &rules.rules).filter_map(|rule| rule.text.as_ref()));
    let fixed = |text: &&String| !text.contains("{{") && !text.contains("{%");
    let mut texts: Vec<String> = texts.into_iter().filter(fixed).cloned().collect();
    // What a flow answers is the same in each call too, a passage at a time.
    let flows = agent.llm_config.iter().filter_map(|config| config.flow.as_ref());
    flows.for_each(|flow| {
        flow.clone().each_text(&mut |text| {
            texts.extend(text.split("\n\n").map(str::trim).map(str::to_owned).filter(|text| fixed(&text)));
        });
    });
    texts
}

/// The texts of a tool. A tool with a `request` is filled in for each call of it, with the values that there are then.
fn fill_in_tool(tool: &mut Tool, text: &mut impl FnMut(&mut String, TemplateUse)) {
    let words = [&mut tool.filler, &mut tool.function.description];
    words.into_iter().flatten().for_each(|one| text(one, TemplateUse::Text));
    tool.progress.iter_mut().flat_map(|progress| &mut progress.phrases).for_each(|one| text(one, TemplateUse::Text));
    match &tool.request {
        // Values that are missing already are reported; the texts themselves stay.
        Some(request) => {
            tool.url.clone().iter_mut().for_each(|one| text(one, TemplateUse::Url));
            let headers = request.headers.values().filter(|value| !value.contains("secrets."));
            headers.for_each(|one| text(&mut one.clone(), TemplateUse::Header));
        }
        None => tool.url.iter_mut().for_each(|one| text(one, TemplateUse::Url)),
    }
    tool.server_url.iter_mut().for_each(|one| text(one, TemplateUse::Url));
    if let Some(secret) = &mut tool.authorization {
        let mut header = secret.expose().to_owned();
        text(&mut header, TemplateUse::Header);
        *secret = Secret::from(header);
    }
}

/// Names of the variables that answers of the agent's tools set.
pub fn variables(agent: &AgentFields) -> BTreeSet<String> {
    let tools = agent.llm_config.iter().flat_map(|config| &config.tools);
    tools.filter_map(|tool| tool.request.as_ref()).flat_map(|request| request.variables()).cloned().collect()
}

/// Values of which some change during the call.
struct Changing<'a> {
    values: &'a dyn TemplateValues,
    names: BTreeSet<String>,
}

impl TemplateValues for Changing<'_> {
    fn value(&self, name: &str) -> Option<String> {
        self.values.value(name)
    }

    fn changes(&self, name: &str) -> bool {
        self.names.contains(name.split('.').next().unwrap_or(name))
    }

    fn may_come(&self, name: &str) -> bool {
        self.values.may_come(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    struct Context(Map<String, Value>);

    impl TemplateValues for Context {
        fn value(&self, name: &str) -> Option<String> {
            self.0.get(name).and_then(Value::as_str).map(str::to_owned)
        }
    }

    fn agent() -> AgentFields {
        serde_json::from_value(json!({
            "name": "A", "system_prompt": "You help {{who}}.", "first_message": "Hi {{who}}, it is {{greeting}}.",
            "voicemail_message": "Call us, {{who}}.",
            "llm_config": {"provider": "openai", "model": "m", "messages": [{"role": "system", "content": "{{who}}"}],
                "tools": [{"function": {"name": "f", "description": "Finds {{who}}"}, "filler": "One moment, {{who}}.",
                    "url": "https://a.example/{{who}}"},
                    {"type": "mcp", "server_url": "https://b.example/?u={{who}}", "authorization": "Bearer {{token}}"}]},
            "silence_config": {"prompt": "{{who}}?", "goodbye": "Bye {{who}}"},
            "ringing": {"ring_ms": 0, "announcement": "One moment, {{who}}."},
            "transfer_config": {"destinations": [{"name": "desk", "target": "+31201234567",
                "description": "When {{who}} asks", "headers": {"X-Caller": "{{who}}"}}]},
            "dtmf_rules": {"rules": [{"digits": "1", "action": "say", "text": "Yes, {{who}}"}]},
            "languages": {"nl": {"prompt": "{{who}}?", "prompts": ["{{who}}!"], "goodbye": "Dag {{who}}", "fillers": ["Ja {{who}}"]}},
            "handover_config": {"agents": [{"agent_id": "0194a8a6-1111-7000-8000-000000000001", "name": "b",
                "description": "For {{who}}", "summary_description": "{{who}}", "announcement": "Bye {{who}}."}]},
        }))
        .unwrap()
    }

    fn context(value: Value) -> Context {
        Context(value.as_object().unwrap().clone())
    }

    #[test]
    fn every_text_of_an_agent_is_filled_in() {
        let mut agent = agent();
        let values = context(json!({"who": "Ann Lee", "greeting": "Bo", "token": "t1\r\nX: y"}));
        let report = fill_in(&mut agent, None, &values);
        assert!(report.is_empty(), "{report:?}");
        let shown = serde_json::to_string(&agent).unwrap();
        assert!(!shown.contains("{{"), "{shown}");
        assert_eq!(agent.first_message.as_deref(), Some("Hi Ann Lee, it is Bo."));
        let tools = &agent.llm_config.as_ref().unwrap().tools;
        assert_eq!(tools[0].url.as_deref(), Some("https://a.example/Ann%20Lee"));
        assert_eq!(tools[1].authorization.as_ref().map(Secret::expose), Some("Bearer t1X: y"), "one line");
    }

    /// Each passage of a document is a text of its own; what has a variable is none.
    #[test]
    fn answers_of_a_flow_are_fixed_texts() {
        let agent: AgentFields =
            serde_json::from_value(json!({"name": "A", "llm_config": {"provider": "local", "flow": {
            "start": "menu", "states": {
                "menu": {"type": "menu", "question": "What can I do?", "exhausted": "bye", "choices": []},
                "noted": {"type": "say", "text": "Order {{slots.number}}.", "next": "bye"},
                "bye": {"type": "end", "text": "Goodbye."}},
            "documents": [{"title": "Hours", "text": "Open till six.\n\nClosed on Sunday."}]}}}))
            .unwrap();
        let mut fixed = fixed_texts(&agent);
        fixed.sort();
        assert_eq!(fixed, ["Closed on Sunday.", "Goodbye.", "Open till six.", "What can I do?"]);
    }

    /// What has a variable is another text in each call, and nothing that the agent may have said before is one of them.
    #[test]
    fn fixed_texts_are_those_without_variables() {
        let mut fixed = agent();
        assert_eq!(fixed_texts(&fixed), [] as [&str; 0]);
        fixed.first_message = Some("Good morning.".to_owned());
        fixed.system_prompt = Some("You help.".to_owned());
        if let Some(silence) = &mut fixed.silence_config {
            silence.fillers = vec!["One moment.".to_owned(), "{% if a %}x{% endif %}".to_owned()];
        }
        assert_eq!(fixed_texts(&fixed), ["Good morning.", "One moment."]);
        fill_in(&mut fixed, None, &context(json!({"who": "Ann Lee", "token": "t"})));
        assert_eq!(fixed_texts(&fixed).len(), 13, "so they are asked for before: {:?}", fixed_texts(&fixed));
    }

    #[test]
    fn what_a_tasks_greeting_replaces_is_not_missed() {
        let mut agent = agent();
        let mut task: TaskFields = serde_json::from_value(json!({"to_number": "+31201234567",
            "starting_message": "Hello {{who}}.", "description": "Ask {{who}} about {{topic}}.",
            "context_data": {"who": "{{token}}"}}))
        .unwrap();
        let values = context(json!({"who": "Ann", "token": "t"}));
        let report = fill_in(&mut agent, Some(&mut task), &values);
        assert_eq!(report.missing.into_iter().collect::<Vec<_>>(), ["topic"], "the agent's greeting is not said");
        assert_eq!(task.starting_message.as_deref(), Some("Hello Ann."));
        assert_eq!(task.description.as_deref(), Some("Ask Ann about."));
        assert_eq!(task.context_data.unwrap()["who"], "{{token}}", "values stay as they are");
    }

    /// A flow's words are read twice: when the call begins, and for its slots when they are said.
    #[test]
    fn values_in_a_flow_are_not_read_for_its_slots() {
        struct Slots;
        impl TemplateValues for Slots {
            fn value(&self, name: &str) -> Option<String> {
                name.starts_with("slots.").then(|| "4711".to_owned())
            }
        }
        for (text, value, wanted) in [
            ("Hi {{who}}, order {{slots.order}}.", "Ann {{slots.pin}}", "Hi Ann {{slots.pin}}, order 4711."),
            ("{{who}}", "{{slots.pin|x}}", "{{slots.pin|x}}"),
            ("{{who}}", "{% if a %}", "{% if a %}"),
            ("{{who}}", "{{\"{{\"}}slots.pin}}", "{{\"{{\"}}slots.pin}}"),
            ("{{\"{{\"}}slots.pin{{\"}}\"}} {{who}}", "Ann", "{{slots.pin}} Ann"),
            ("{\"a\": {\"b\": {{who}} }}", "}}", "{\"a\": {\"b\": }} }}"),
            ("Hi {{missing}}, {{slots.order}}.", "", "Hi, 4711."),
        ] {
            let mut agent: AgentFields =
                serde_json::from_value(json!({"name": "A", "llm_config": {"provider": "local",
                "flow": {"start": "bye", "states": {"bye": {"type": "end", "text": text}}}}}))
                .unwrap();
            fill_in(&mut agent, None, &context(json!({"who": value})));
            let mut said = String::new();
            let flow = agent.llm_config.as_mut().and_then(|config| config.flow.as_mut()).unwrap();
            flow.each_text(&mut |one| said = fill(one, TemplateUse::Text, &Slots, &mut TemplateReport::default()));
            assert_eq!(said, wanted, "{text} {value}");
        }
    }
}
