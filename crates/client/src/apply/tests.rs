//! Files as people write them: what they ask for, what is wrong with them, and what they would change.

use super::document::items;
use super::item::{Item, Kind};
use super::plan::{Action, Plan, plan};
use super::server_state::{Known, ServerState};
use crate::yaml::FileError;
use serde_json::{Value, json};
use std::path::Path;

const FILE: &str = "\
trunks:
  - name: Carrier
    host: sip.example.com
    username: acme
    password: {env: SIP_PASSWORD}
agents:
  - name: Support
    system_prompt: |
      You help.
    webhook_url: https://acme.example.com/hooks
    webhook_secret: {env: HOOK_SECRET}
    llm_config:
      provider: openai
      model: gpt-4o-mini
      temperature: 0.2
    handover_config:
      agents:
        - agent: Billing
          name: billing
  - name: Billing
    enabled: false
numbers:
  - number: +31201234567
    agent: Support
    trunk: Carrier
";

fn environment(name: &str) -> Option<String> {
    matches!(name, "SIP_PASSWORD" | "HOOK_SECRET" | "KEY").then(|| format!("the value of {name}"))
}

fn read(text: &str) -> Result<Vec<Item>, Vec<FileError>> {
    items(text, Path::new(""), &environment)
}

fn errors(text: &str) -> Vec<String> {
    read(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_error(text: &str, wanted: &str) {
    let found = errors(text);
    assert!(found.iter().any(|error| error.contains(wanted)), "{wanted:?} is not in {found:#?}");
}

/// An agent as the server shows it: with defaults, without secrets.
fn shown(item: &Item) -> Value {
    let fields = super::rules::agent(&item.fields).unwrap_or_else(|faults| panic!("{faults:?}"));
    serde_json::from_str(&serde_json::to_string(&fields.without_secrets()).unwrap()).unwrap()
}

/// The state of a server that has applied the items.
fn applied(items: &[Item]) -> ServerState {
    let mut state = ServerState::new();
    for (index, item) in items.iter().enumerate() {
        let mut document = match item.kind {
            Kind::Agent => shown(item),
            _ => Value::Object(item.fields.clone()),
        };
        for secret in item.secrets.iter().filter(|secret| !secret.contains('.')) {
            document.as_object_mut().unwrap().remove(secret);
            document[format!("{secret}_set")] = json!(true);
        }
        let known = Known { id: format!("id-{index}"), document, etag: None };
        state.entry((item.kind, item.name.clone())).or_default().push(known);
    }
    state
}

fn planned(text: &str, state: ServerState) -> Plan {
    plan(read(text).unwrap_or_else(|errors| panic!("{errors:?}")), state, false)
        .unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The ids of links, as after a first run.
fn linked(text: &str) -> ServerState {
    let first = applied(&read(text).unwrap_or_default());
    let all = planned(text, first);
    applied(&all.steps.into_iter().map(|step| step.item).collect::<Vec<_>>())
}

#[test]
fn a_file_is_created_in_the_order_in_which_things_name_each_other() {
    let plan = planned(FILE, ServerState::new());
    let steps: Vec<(Kind, &str)> = plan.steps.iter().map(|step| (step.item.kind, step.item.name.as_str())).collect();
    let wanted =
        [(Kind::Trunk, "Carrier"), (Kind::Agent, "Support"), (Kind::Agent, "Billing"), (Kind::Number, "+31201234567")];
    assert_eq!(steps, wanted);
    assert!(plan.steps.iter().all(|step| step.action == Action::Create));
    let table = plan.table();
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("create agent Support") && !words.contains("the value of"), "{table}");
}

#[test]
fn a_second_run_changes_nothing_and_a_changed_field_is_named() {
    let plan = planned(FILE, linked(FILE));
    assert_eq!(plan.changes(), 0, "{}", plan.table());
    let changed = FILE.replace("temperature: 0.2", "temperature: 0.3").replace("enabled: false", "enabled: true");
    let plan = planned(&changed, linked(FILE));
    let fields: Vec<&[String]> = plan.steps.iter().map(|step| step.action.fields()).collect();
    assert_eq!(fields, [&[] as &[String], &["llm_config".to_owned()], &["is_active".to_owned()], &[]]);
    // What the file leaves out stays.
    let shorter = FILE.replace("    webhook_url: https://acme.example.com/hooks\n", "");
    assert_eq!(planned(&shorter, linked(FILE)).changes(), 0);
}

#[test]
fn a_field_that_was_taken_out_of_an_object_changes_it() {
    let before = "agents:\n  - name: A\n    silence_config: {goodbye: Bye., prompt: Hello?}\n";
    let after = "agents:\n  - name: A\n    silence_config: {prompt: Hello?}\n";
    let plan = planned(after, linked(before));
    assert_eq!(plan.steps[0].action, Action::Update(vec!["silence_config".to_owned()]));
}

#[test]
fn a_secret_that_is_stored_is_sent_again_only_when_asked_for() {
    let missing = |text: &str| {
        let mut state = linked(text);
        for known in state.values_mut().flatten().filter(|known| known.document["password_set"] == true) {
            known.document["password_set"] = json!(false);
        }
        state
    };
    let plan = planned(FILE, missing(FILE));
    assert_eq!(plan.steps[0].action, Action::Update(vec!["password".to_owned()]));
    let all = super::plan::plan(read(FILE).unwrap_or_default(), linked(FILE), true).unwrap_or_else(|_| panic!());
    assert_eq!(all.steps[0].action.fields(), ["password"]);
    assert_eq!(all.steps[1].action.fields(), ["webhook_secret"]);
}

#[test]
fn every_error_has_its_line_and_field_and_nothing_is_left_of_the_file() {
    let text = "\
agents:
  - name: A
    llm_config:
      modell: x
  - name: ''
trunks:
  - name: T
    codecs: [MP3]
    password: secret
    username: u
numbers:
  - number: 31201234567
    agent: Nobody
";
    let found = errors(text);
    assert!(found.iter().any(|error| error.starts_with("4: agents[0].llm_config.modell: unknown field")), "{found:#?}");
    assert!(found.iter().any(|error| error.starts_with("5: agents[1].name: ")), "{found:#?}");
    assert!(found.iter().any(|error| error.starts_with("8: trunks[0].codecs")), "{found:#?}");
    assert!(
        found.iter().any(|error| error.starts_with("9: trunks[0].password: must not stand in the file")),
        "{found:#?}"
    );
    assert!(found.iter().any(|error| error.starts_with("12: numbers[0].number: must be a text")), "{found:#?}");
    assert!(!found.concat().contains("secret\""), "{found:#?}");
}

#[test]
fn unknown_sections_doubles_and_wrong_shapes_are_refused() {
    assert_error("agent:\n  - name: A\n", "1: agent: unknown field, expected one of secrets, trunks, agents, numbers");
    assert_error("agents:\n  name: A\n", "1: agents: must be a list");
    assert_error("agents:\n  - A\n", "2: agents[0]: must be an object");
    assert_error("- name: A\n", "a document has the fields");
    assert_error("", "a document has the fields");
    assert_error("agents: []\n", "asks for nothing");
    assert_error(
        "agents:\n  - name: A\n  - name: A\n",
        "3: agents[1].name: agent A is there twice: agents[0] is the same",
    );
    assert_error("agents:\n  - name: A\n    enabled: true\n    is_active: false\n", "differs from is_active");
    assert_error("numbers:\n  - number: +31201234567\n    agent: A\n    agent_id: x\n", "mean the same");
    assert_error("numbers:\n  - number: +31201234567\n    agent: [A]\n", "3: numbers[0].agent: must be the name");
}

#[test]
fn references_that_lead_nowhere_are_named_and_free_objects_are_left_alone() {
    assert_error(
        "agents:\n  - name: A\n    webhook_secret: {env: NONE}\n",
        "3: agents[0].webhook_secret: the variable NONE is not set",
    );
    assert_error("agents:\n  - name: A\n    system_prompt: {file: /none/such}\n", "/none/such: No such file");
    let text = "agents:\n  - name: A\n    metadata: {env: production}\n    webhook_secret: null\n";
    assert_eq!(read(text).unwrap_or_default()[0].fields["metadata"], json!({"env": "production"}));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prompt.md"), "You help.\n").unwrap();
    let text = "agents:\n  - name: A\n    system_prompt: {file: prompt.md}\n";
    let read = items(text, folder.path(), &environment).unwrap_or_default();
    assert_eq!((&read[0].fields["system_prompt"], read[0].secrets.len()), (&json!("You help."), 0));
}

#[test]
fn tools_take_their_secrets_by_reference_too() {
    let tool = |auth: &str, secrets: &str| {
        format!(
            "agents:\n  - name: A\n    llm_config:\n      provider: openai\n      model: m\n      tools:\n        - type: function\n          url: https://acme.example.com/t\n          function: {{name: look_up, description: d, parameters: {{type: object}}}}\n          request:\n            method: POST\n            auth: {{type: bearer, token: {auth}}}\n            secrets: {secrets}\n"
        )
    };
    assert_error(
        &tool("abc", "{}"),
        "12: agents[0].llm_config.tools[0].request.auth.token: must not stand in the file",
    );
    assert_error(&tool("'{{secrets.KEY}}'", "{KEY: abc}"), "tools[0].request.secrets.KEY: must not stand in the file");
    let good = tool("'{{secrets.KEY}}'", "{KEY: {env: KEY}}");
    assert_eq!(errors(&good), Vec::<String>::new());
    let state = linked(&good);
    assert_eq!(planned(&good, state).changes(), 0, "masked secrets are the same as those that mask them");
}

#[test]
fn names_that_lead_nowhere_or_to_many_refuse_the_file() {
    let text = "numbers:\n  - number: +31201234567\n    agent: Nobody\n";
    let undecided = |state: ServerState| {
        let errors = plan(read(text).unwrap_or_default(), state, false).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let wanted = "3: numbers[0].agent: neither the file nor the server has an agent \"Nobody\"";
    assert_eq!(undecided(ServerState::new()), [wanted]);
    let known = |id: &str| Known { id: id.into(), document: json!({"name": "Nobody"}), etag: None };
    let two = ServerState::from([((Kind::Agent, "Nobody".to_owned()), vec![known("1"), known("2")])]);
    assert!(undecided(two)[0].contains("2 of the server's agents have this name"));
    let one = ServerState::from([((Kind::Agent, "Nobody".to_owned()), vec![known("1")])]);
    assert_eq!(planned(text, one).steps[0].item.fields["agent_id"], json!("1"));
}

#[test]
fn provider_keys_are_found_by_provider_and_address() {
    let text = "secrets:\n  - {name: Ours, provider: openai, value: {env: KEY}}\n  - {name: Own, provider: openai, base_url: 'https://llm.example.com/v1/', value: {env: KEY}}\n";
    let names: Vec<String> = read(text).unwrap_or_default().iter().map(Item::title).collect();
    assert_eq!(names, ["provider key openai", "provider key openai at https://llm.example.com/v1"]);
    assert_error(
        "secrets:\n  - {name: O, provider: openai, value: sk-1}\n",
        "2: secrets[0].value: must not stand in the file",
    );
    assert_error(
        "secrets:\n  - {name: O, provider: nobody, value: {env: KEY}}\n",
        "secrets[0].provider: must be one of",
    );
    assert_error("secrets:\n  - {name: O, provider: openai}\n", "2: secrets[0].value: is missing");
}
