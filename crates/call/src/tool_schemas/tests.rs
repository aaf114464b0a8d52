//! Arguments against schemas, and the schemas that are kept.

use super::*;

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall { name: name.to_owned(), arguments: arguments.to_owned(), ..ToolCall::default() }
}

fn schema(name: &str) -> Option<Value> {
    match name {
        "book" => Some(json!({"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]})),
        "broken" => Some(json!({"type": "no type"})),
        _ => None,
    }
}

#[test]
fn each_call_learns_how_its_own_arguments_do_not_fit() {
    let mut schemas = ToolSchemas::default();
    let mut calls = [call("free", "{"), call("book", "{}"), call("book", r#"{"day":"monday"}"#), call("broken", "{}")];
    let check = schemas.to_check(&calls, schema).unwrap();
    assert_eq!(check.places(), [1, 2, 3], "a tool without a schema takes anything");
    schemas.record(check.run(), &mut calls);
    let errors: Vec<_> = calls.iter().map(|call| call.schema_error.as_deref()).collect();
    assert_eq!((errors[0], errors[2], errors[3]), (None, None, Some("the schema of this tool is invalid")));
    assert!(errors[1].unwrap().starts_with("the arguments do not fit: "), "{errors:?}");
    assert!(schemas.to_check(&[call("free", "{}")], schema).is_none());
}

#[test]
fn what_the_caller_has_entered_is_checked_and_not_repeated() {
    let mut collected = CollectedValues::default();
    collected.put("pin", "4711".into(), true);
    let pin = |name: &str| {
        (name == "pay").then(|| json!({"type": "object", "properties": {"pin": {"type": "string", "maxLength": 3}}}))
    };
    let mut calls = [call("pay", r#"{"pin":"{{collected.pin}}"}"#)];
    let mut schemas = ToolSchemas::default();
    let check = schemas.to_check(&with_entries(&calls, &collected), pin).unwrap();
    schemas.record(check.run(), &mut calls);
    assert!(calls[0].schema_error.as_deref().unwrap().contains("4711"));
    hide_entries(&mut calls);
    assert_eq!(calls[0].schema_error.as_deref(), Some(ENTRY_DOES_NOT_FIT));
    assert!(calls[0].arguments.contains("{{collected.pin}}"), "the reference stays");
}

#[test]
fn a_schema_is_compiled_once_until_it_changes() {
    let mut schemas = ToolSchemas::default();
    let mut calls = [call("book", r#"{"day":"monday"}"#)];
    let check = schemas.to_check(&calls, schema).unwrap();
    assert!(check.0[0].schema.is_none());
    schemas.record(check.run(), &mut calls);
    assert!(schemas.to_check(&calls, schema).unwrap().0[0].schema.is_some());
    let changed = schemas.to_check(&calls, |_| Some(json!({"type": "object"}))).unwrap();
    assert!(changed.0[0].schema.is_none());
}

#[test]
fn calls_that_were_not_checked_in_time_say_so() {
    let mut calls = [call("free", "{}"), call("book", "{}")];
    record_not_checked(&[1], &mut calls);
    assert_eq!((calls[0].schema_error.as_deref(), calls[1].schema_error.as_deref()), (None, Some(NOT_CHECKED)));
}

#[test]
fn each_tool_of_a_key_is_checked_once_without_arguments() {
    let rules = json!({"rules": [
        {"digits": "1", "action": "tool", "tool": "b"}, {"digits": "2", "action": "tool", "tool": "a"},
        {"digits": "3", "action": "tool", "tool": "b"},
    ]});
    let agent = AgentFields { dtmf_rules: serde_json::from_value(rules).unwrap(), ..AgentFields::default() };
    let calls = dtmf_tool_calls(&agent);
    assert_eq!(
        calls.iter().map(|one| (one.name.as_str(), one.arguments.as_str())).collect::<Vec<_>>(),
        [("a", "{}"), ("b", "{}")]
    );
}

#[test]
fn tools_with_unusable_schemas_are_left_out() {
    let offer =
        |name: &str| ToolOffer { name: name.to_owned(), parameters: schema(name).unwrap(), ..ToolOffer::default() };
    let tools = usable_tools(vec![offer("book"), offer("broken")]);
    assert_eq!(tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["book"]);
    let agent = AgentFields { name: "Agent".into(), ..AgentFields::default() };
    assert_eq!(without_oversized(agent.clone()), (agent, Vec::new()));
    assert_eq!(left_out_metric(&[]), None);
    let fault = fault_text(&FieldError::new("llm_config.tools[0]", "is too large"));
    assert_eq!(left_out_metric(&[fault]), Some(json!({"faults": ["llm_config.tools[0]: is too large"]})));
}

#[test]
fn values_of_another_type_are_converted_where_they_say_the_same() {
    let types = json!({"type": "object", "properties": {"count": {"type": "integer", "maximum": 64}, "secret": {"type": "boolean"},
        "price": {"type": ["number", "null"]}, "number": {"type": "string"}, "tags": {"type": "array"}}});
    let checked = |arguments: &str| {
        let (mut schemas, mut calls) = (ToolSchemas::default(), [call("ask", arguments)]);
        let check = schemas.to_check(&calls, |_| Some(types.clone())).unwrap();
        schemas.record(check.run(), &mut calls);
        let [ToolCall { arguments, schema_error, .. }] = calls;
        (serde_json::from_str::<Value>(&arguments).unwrap(), schema_error.is_some())
    };
    let given = r#"{"count":"8","secret":"true","price":" 1.5 ","number":12,"other":"3","tags":"[\"a\"]"}"#;
    let fits = json!({"count": 8, "secret": true, "price": 1.5, "number": "12", "other": "3", "tags": ["a"]});
    assert_eq!(checked(given), (fits.clone(), false));
    assert_eq!(checked(&fits.to_string()), (fits, false), "what fits stays");
    for misfit in
        [r#"{"count":"eight"}"#, r#"{"count":"99"}"#, r#"{"secret":"yes"}"#, r#"{"price":"inf"}"#, r#"{"tags":"{}"}"#]
    {
        assert_eq!(checked(misfit), (serde_json::from_str(misfit).unwrap(), true), "{misfit}");
    }
}

#[test]
fn a_value_of_a_list_may_be_written_in_another_way() {
    let types = json!({"type": "object", "properties": {"language": {"type": "string", "enum": ["en", "nl", "pt-BR"]},
        "desk": {"type": "string", "enum": ["Sales", "sales team"]}}});
    let checked = |arguments: Value| {
        let (mut schemas, mut calls) = (ToolSchemas::default(), [call("ask", &arguments.to_string())]);
        let check = schemas.to_check(&calls, |_| Some(types.clone())).unwrap();
        schemas.record(check.run(), &mut calls);
        calls[0].schema_error.is_none().then(|| serde_json::from_str::<Value>(&calls[0].arguments).unwrap())
    };
    for (written, meant) in [("Dutch", "nl"), ("nl-NL", "nl"), ("NL", "nl"), ("en_US", "en"), ("Portuguese", "pt-BR")] {
        assert_eq!(checked(json!({"language": written})), Some(json!({"language": meant})), "{written}");
    }
    assert_eq!(checked(json!({"desk": "SALES"})), Some(json!({"desk": "Sales"})));
    for misfit in [json!({"language": "Klingon"}), json!({"desk": "sa-les"})] {
        assert_eq!(checked(misfit.clone()), None, "{misfit}");
    }
}

#[test]
fn what_a_model_leaves_out_is_absent_and_an_integer_is_written_as_one() {
    let types = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "string", "minLength": 1}, "n": {"type": "integer"}, "on": {"type": ["boolean", "null"]},
        "day": {"type": "string", "enum": ["mon", "tue"]}, "note": {"type": "string"}, "price": {"type": "number"},
        "who": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"count": {"type": "integer"}}}}}});
    let checked = |arguments: &str| {
        let (mut schemas, mut calls) = (ToolSchemas::default(), [call("ask", arguments)]);
        let check = schemas.to_check(&calls, |_| Some(types.clone())).unwrap();
        schemas.record(check.run(), &mut calls);
        calls[0].schema_error.is_none().then(|| calls[0].arguments.clone())
    };
    for (written, sent) in [
        (r#"{"id":"a","n":null}"#, r#"{"id":"a"}"#),
        (r#"{"id":"a","n":"","day":"","who":null,"list":null,"note":null}"#, r#"{"id":"a"}"#),
        (r#"{"id":"a","on":null,"note":""}"#, r#"{"id":"a","on":null,"note":""}"#),
        (r#"{"id":"a","n":"8.0"}"#, r#"{"id":"a","n":8}"#),
        (r#"{"id":"a","n":8.0}"#, r#"{"id":"a","n":8}"#),
        (r#"{"id":"a","n":1e3}"#, r#"{"id":"a","n":1000}"#),
        (r#"{"id":"a","n":"1e3","price":2.0}"#, r#"{"id":"a","n":1000,"price":2.0}"#),
        (r#"{"id":"a","who":{"name":"x","age":null}}"#, r#"{"id":"a","who":{"name":"x"}}"#),
        (r#"{"id":"a","list":[{"count":2.0},{"count":null}]}"#, r#"{"id":"a","list":[{"count":2},{}]}"#),
    ] {
        let sent: Value = serde_json::from_str(sent).unwrap();
        let got = checked(written).map(|got| serde_json::from_str::<Value>(&got).unwrap());
        assert_eq!(got, Some(sent), "{written}");
    }
    for misfit in [
        r#"{"id":null}"#,
        r#"{"id":""}"#,
        r#"{"n":1}"#,
        r#"{"id":"a","n":"8.5"}"#,
        r#"{"id":"a","n":8.5}"#,
        r#"{"id":"a","n":1e300}"#,
        r#"{"id":"a","who":{"name":null}}"#,
    ] {
        let got = checked(misfit);
        // A number that is too large for an integer stays as it was written.
        assert!(got.is_none() || misfit.contains("e300") && got.as_deref() == Some(misfit), "{misfit}: {got:?}");
    }
}

#[test]
fn a_tool_that_takes_nothing_is_called_whatever_its_arguments_are() {
    let nothing = |_: &str| Some(json!({"type": "object", "properties": {}}));
    for broken in [r#"{"reason":"hold" "#, "null", "[]", "hold"] {
        let (mut schemas, mut calls) = (ToolSchemas::default(), [call("skip_turn", broken), call("book", broken)]);
        let check = schemas.to_check(&calls, |name| if name == "book" { schema(name) } else { nothing(name) }).unwrap();
        schemas.record(check.run(), &mut calls);
        assert_eq!((calls[0].arguments.as_str(), calls[0].schema_error.as_deref()), ("{}", None));
        assert_eq!(calls[1].arguments, broken, "what needs arguments does not get others");
    }
}

#[test]
fn an_entry_of_the_caller_is_not_written_into_the_call() {
    let mut collected = CollectedValues::default();
    collected.put("pin", "4711".into(), true);
    let mut calls = [call("pay", r#"{"pin":"{{collected.pin}}"}"#)];
    let mut schemas = ToolSchemas::default();
    let pin = |_: &str| Some(json!({"type": "object", "properties": {"pin": {"type": "integer"}}}));
    let check = schemas.to_check(&with_entries(&calls, &collected), pin).unwrap();
    schemas.record(check.run(), &mut calls);
    assert!(calls[0].arguments.contains("{{collected.pin}}") && calls[0].schema_error.is_some());
}
