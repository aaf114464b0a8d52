//! Texts with variables: what is filled in, what is left out, and what is refused.

use super::values::VALUE_CHARS_MAX;
use super::*;
use std::collections::BTreeMap;

struct Known(BTreeMap<&'static str, &'static str>);

impl TemplateValues for Known {
    fn value(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }
}

fn filled_as(text: &str, usage: TemplateUse) -> (String, Vec<String>) {
    let values = [
        ("name", "Ann"),
        ("customer.city", "Den Haag"),
        ("trap", "{{name}} {{secret}}"),
        ("empty", " "),
        ("path", "a/b?c=d&e#f@g h"),
        ("up", ".."),
        ("lines", "a\r\nb\0c"),
        ("Straße", "Weg"),
    ];
    let mut report = TemplateReport::default();
    let filled = fill(text, usage, &Known(values.into()), &mut report);
    assert!(report.faults.is_empty(), "{text}: {:?}", report.faults);
    (filled, report.missing.into_iter().collect())
}

fn filled(text: &str) -> (String, Vec<String>) {
    filled_as(text, TemplateUse::Text)
}

fn is(text: &str, wanted: &str) {
    assert_eq!(filled(text), (wanted.to_owned(), Vec::new()), "{text}");
}

#[test]
fn variables_are_filled_in() {
    is("Hi {{name}}, this is Acme.", "Hi Ann, this is Acme.");
    is("{{ name }}{{name}}", "AnnAnn");
    is("In {{customer.city}}: {{ Straße }}", "In Den Haag: Weg");
    is("no variables {at} all", "no variables {at} all");
}

#[test]
fn a_default_stands_for_a_value_that_is_missing_or_blank() {
    is("Hi {{nobody|there}}!", "Hi there!");
    is("Hi {{ nobody | default: \"dear }} customer\" }}!", "Hi dear }} customer!");
    is("Hi {{nobody | default: 'you'}}! {{empty|none}}", "Hi you! none");
    is("{{name|there}} {{nobody|it's}} {{nobody|}}.", "Ann it's .");
    is("{{nobody|a: b}}", "a: b");
    is("{{nobody|'upper'}} {{nobody|upper case}} {{nobody | default('you')}}", "upper upper case you");
}

#[test]
fn a_value_is_never_read_as_a_template() {
    is("{{trap}}", "{{name}} {{secret}}");
    is("{{nobody|default: \"{{name\"}}", "{{name");
    is("{{\"{{\"}}name}}".trim_end_matches("name}}"), "{{");
}

#[test]
fn what_is_missing_is_left_out_with_its_blank_and_named() {
    let missing = |text: &str| filled(text);
    assert_eq!(missing("Hi {{who}}, this is {{a.b}}."), ("Hi, this is.".into(), vec!["a.b".into(), "who".into()]));
    assert_eq!(missing("{{who}} hello").0, " hello");
    assert_eq!(missing("Hello {{who}}").0, "Hello");
    assert_eq!(missing("x{{who}}y").0, "xy");
    for (text, wanted) in [
        ("Billing here, {{who}}, hello", "Billing here, hello"),
        ("Hello, {{who}}.", "Hello."),
        ("Hello, {{who}}!", "Hello!"),
        ("Hello, {{who}}", "Hello"),
        ("Hello {{who}}, how are you?", "Hello, how are you?"),
        ("{{who}}, hello", "hello"),
        ("Good day. {{who}}, hello", "Good day. hello"),
        ("Yes, {{who}} {{name}}, hello", "Yes, Ann, hello"),
        ("Yes, {{who}}, {{other}}, hello", "Yes, hello"),
        ("Welcome. {{who}}!", "Welcome."),
        ("Hello {{who}}, welcome. {{other}}! Bye.", "Hello, welcome. Bye."),
        ("{{who}}. How are you?", "How are you?"),
        ("Is it {{who}}?", "Is it?"),
        ("[1, {{who}}, 3]", "[1, 3]"),
    ] {
        assert_eq!(missing(text).0, wanted, "{text}");
    }
}

#[test]
fn values_are_bounded_and_have_no_control_characters() {
    struct Long;
    impl TemplateValues for Long {
        fn value(&self, _: &str) -> Option<String> {
            Some("é".repeat(50_000))
        }
    }
    let mut report = TemplateReport::default();
    let one = fill("{{a}}", TemplateUse::Text, &Long, &mut report);
    assert_eq!(one.chars().count(), VALUE_CHARS_MAX);
    let many = fill(&"{{a}}".repeat(1_000), TemplateUse::Text, &Long, &mut report);
    assert!(many.len() <= FILLED_BYTES_MAX);
    assert_eq!(filled("{{lines}}").0, "a\nbc");
    assert_eq!(filled_as("Bearer {{lines}}", TemplateUse::Header).0, "Bearer abc");
}

#[test]
fn values_in_a_url_are_percent_encoded() {
    let url = |text: &str| filled_as(text, TemplateUse::Url).0;
    assert_eq!(
        url("https://a.example/{{path}}?c={{customer.city}}"),
        "https://a.example/a%2Fb%3Fc%3Dd%26e%23f%40g%20h?c=Den%20Haag"
    );
    assert_eq!(url("https://a.example/x/{{up}}/y"), "https://a.example/x//y", "no value leads to another path");
}

#[test]
fn no_variable_stands_in_the_host_of_a_url() {
    for text in [
        "{{url}}",
        "https://{{host}}/x",
        "https://a.{{host}}/x",
        "https://a.example{{x}}",
        "{{scheme}}://a.example/",
        "https://{{user}}@a.example/",
        "https:///{{host}}/x",
        "https://a.example:{{port}}/",
        "https:{{host}}/",
    ] {
        let error = check(text, TemplateUse::Url).unwrap_err();
        assert!(error.reason.contains("host"), "{text}: {error}");
    }
    for text in ["https://a.example/{{x}}", "https://a.example?x={{x}}", "https://a.example/a/{{x}}/{{y}}#z"] {
        assert_eq!(check(text, TemplateUse::Url), Ok(()), "{text}");
    }
}

#[test]
fn faults_are_told_with_place_and_reason() {
    for (text, place, reason) in [
        ("Hi {{name", (1, 4), "no }}"),
        ("Hi name}}", (1, 8), "no {{"),
        ("a\nHi {name}}", (2, 9), "no {{"),
        ("{{ a {{b}} }}", (1, 1), "in another"),
        ("{{#each items}}x{{/each}}", (1, 1), "loops"),
        ("{{/if}}", (1, 1), "loops"),
        ("{% for a in b %}", (1, 1), "loops"),
        ("ü {% if a %}", (1, 3), "loops"),
        ("{{{name}}}", (1, 1), "only a name"),
        ("{{a b}}", (1, 1), "only a name"),
        ("{{}}", (1, 1), "no name"),
        ("{{ | x}}", (1, 1), "no name"),
        ("{{a..b}}", (1, 1), "letters"),
        ("{{1+1}}", (1, 1), "letters"),
        ("{{\"a\": 1}}", (1, 1), "only a name"),
        ("{{name | upcase}}", (1, 1), "upcase"),
        ("{{name | upper }}", (1, 1), "the filter upper is not supported"),
        ("{{name|title}}", (1, 1), "title"),
        ("{{name | truncate: 20}}", (1, 1), "truncate"),
        ("{{name | truncate(20)}}", (1, 1), "truncate"),
        ("{{name | trim()}}", (1, 1), "trim"),
        ("{{now | date: \"%H\"}}", (1, 1), "date"),
        ("{{name | a | b}}", (1, 1), "only one default"),
        ("line\n\n{{call.colour}}", (3, 1), "there is no call.colour"),
        (&format!("{{{{{}}}}}", "a".repeat(201)), (1, 1), "letters"),
    ] {
        let error = check(text, TemplateUse::Text).unwrap_err();
        assert_eq!((error.line, error.character), place, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
}

#[test]
fn json_in_a_prompt_is_no_template() {
    for text in ["Answer with {\"a\": {\"b\": {\"c\": 1}}}.", "{ {x} }", ":} and {", "{a} {b}"] {
        assert_eq!(check(text, TemplateUse::Text), Ok(()), "{text}");
        is(text, text);
    }
}

#[test]
fn a_text_that_was_saved_before_stays_as_it_was_written() {
    let mut report = TemplateReport::default();
    let text = "Hi {{#if name}}{{name}}{{/if}}";
    assert_eq!(fill(text, TemplateUse::Text, &Known(BTreeMap::new()), &mut report), text);
    assert_eq!((report.missing.len(), report.faults.len()), (0, 1));
}

#[test]
fn what_is_entered_during_the_call_stays_a_reference_until_then() {
    is("Pass {{ collected.pin }} on, {{name}}.", "Pass {{collected.pin}} on, Ann.");
    let (url, missing) = filled_as("https://a.example/{{name}}?p={{collected.pin}}", TemplateUse::Url);
    assert_eq!((url.as_str(), missing.len()), ("https://a.example/Ann?p={{collected.pin}}", 0));
}

#[test]
fn open_variables_do_not_multiply_without_a_bound() {
    struct Long;
    impl TemplateValues for Long {
        fn value(&self, _: &str) -> Option<String> {
            Some("é".repeat(9_000))
        }
        fn changes(&self, _: &str) -> bool {
            true
        }
    }
    let open = fill(&"{{a}}".repeat(1_000), TemplateUse::Prompt, &Long, &mut TemplateReport::default());
    assert!(settle(&open, &Long).len() <= FILLED_BYTES_MAX);
}

#[test]
fn a_secret_stands_in_no_text_that_others_hear_or_read() {
    for usage in [TemplateUse::Text, TemplateUse::Prompt] {
        let error = check("https://a.example/x?k={{ secrets.KEY }}", usage).unwrap_err();
        assert!(error.to_string().contains("headers and auth"), "{error}");
    }
    assert!(check("Bearer {{secrets.KEY}}", TemplateUse::Header).is_ok());
    assert!(check("We keep {{secretsoftrade}} and {{my.secrets.x}}", TemplateUse::Text).is_ok());
}

#[test]
fn what_callers_enter_stands_in_no_text_that_is_said() {
    for text in ["Your PIN is {{collected.pin}}.", "{{ collected.pin | none }}", "Hi {{name}} {{collected.x}}"] {
        let error = check_said(text).unwrap_err();
        assert!(error.to_string().contains("arguments of tools"), "{error}");
        assert!(check(text, TemplateUse::Text).is_ok(), "a prompt may name it");
    }
    assert!(check_said("Hi {{name|there}}, we collected.it").is_ok() && check_said("{{secrets.KEY}}").is_err());
}

#[test]
fn every_text_that_an_agent_says_refuses_it_when_it_is_saved() {
    use crate::agent::AgentFields;
    use serde_json::{Value, json};
    let text = "It is {{collected.pin}}.";
    let tool = |more: Value| {
        let mut tool = json!({"function": {"name": "f"}, "url": "https://a.example"});
        tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"llm_config": {"provider": "openai", "model": "m", "tools": [tool]}})
    };
    for fields in [
        json!({"first_message": text}),
        json!({"voicemail_message": text}),
        json!({"silence_config": {"prompt": text}}),
        json!({"silence_config": {"prompts": [text]}}),
        json!({"silence_config": {"goodbye": text}}),
        json!({"silence_config": {"fillers": [text]}}),
        json!({"dtmf_rules": {"rules": [{"digits": "1", "action": "say", "text": text}]}}),
        json!({"languages": {"nl": {"prompt": text}}}),
        json!({"languages": {"nl": {"goodbye": text}}}),
        json!({"languages": {"nl": {"fillers": [text]}}}),
        tool(json!({"filler": text})),
        tool(json!({"progress": {"phrases": [text]}})),
    ] {
        let mut agent = json!({"name": "a"});
        agent.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let agent: AgentFields = serde_json::from_value(agent).unwrap();
        let faults = crate::faults(&agent);
        assert!(faults.iter().any(|fault| fault.message.contains("arguments of tools")), "{fields}: {faults:?}");
    }
    let prompt = json!({"name": "a", "system_prompt": "Pass {{collected.pin}} to check_pin."});
    assert_eq!(crate::faults(&serde_json::from_value::<AgentFields>(prompt).unwrap()), []);
}
