//! Streams with every kind of damage.

use super::*;

type Reading = (String, bool, Vec<ToolCall>, TokenUsage);

fn read(messages: &[Value]) -> Result<Reading, ProviderError> {
    let mut reader = MessagesReader::default();
    let mut said = vec![];
    for message in messages {
        if reader.event(&message.to_string(), &mut said)? {
            break;
        }
    }
    let finished = reader.is_finished();
    let (mut calls, mut usage) = (vec![], TokenUsage::default());
    for event in reader.finish() {
        match event {
            LlmEvent::ToolCalls(all) => calls = all,
            LlmEvent::Done(tokens) => usage = tokens,
            other => panic!("{other:?}"),
        }
    }
    Ok((said.concat(), finished, calls, usage))
}

fn start(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn tidy() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "content": [], "usage": {"input_tokens": 25,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1_800, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        start(0, json!({"type": "thinking", "thinking": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "s"})),
        json!({"type": "content_block_stop", "index": 0}),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Let me look."})),
        start(2, json!({"type": "tool_use", "id": "toolu_1", "name": "book", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"day\""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ":1}"})),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 48}}),
        json!({"type": "message_stop"}),
    ]
}

fn tidy_reading() -> Reading {
    let usage = TokenUsage { model: String::new(), prompt_tokens: 1_825, completion_tokens: 48, cached_tokens: 1_800 };
    let block = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let fields = json!({THINKING_BLOCKS: [block]}).as_object().unwrap().clone();
    let opaque = Some(Box::new(OpaqueFields { fields, ..OpaqueFields::default() }));
    let call = ToolCall { opaque, ..ToolCall::new("toolu_1".into(), "book".into(), "{\"day\":1}".into()) };
    ("Let me look.".to_owned(), true, vec![call], usage)
}

fn places(value: &Value, below: &str, all: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        for (name, child) in fields {
            all.push(format!("{below}/{name}"));
            places(child, &format!("{below}/{name}"), all);
        }
    }
}

#[test]
fn every_field_may_be_missing_null_empty_or_of_another_type() {
    assert_eq!(read(&tidy()), Ok(tidy_reading()));
    let mut tried = 0;
    for (at, message) in tidy().into_iter().enumerate() {
        let mut all = vec![];
        places(&message, "", &mut all);
        for place in all {
            for damage in [json!(null), json!(""), json!([]), json!({}), json!(7), json!("x"), json!(true)] {
                let mut messages = tidy();
                *messages[at].pointer_mut(&place).unwrap() = damage.clone();
                let reading = read(&messages).unwrap_or_else(|error| panic!("{place} is {damage}: {error}"));
                tried += 1;
                // The words are lost only with the event that carries them.
                let carries = at == 7 && place != "/index";
                assert!(carries || reading.0.contains("Let me look."), "{place} is {damage}: {reading:?}");
                let harmless =
                    ["/message/id", "/stop_sequence", "/message/content"].iter().any(|name| place.ends_with(name));
                assert!(!harmless || reading == tidy_reading(), "{place} is {damage}: {reading:?}");
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn what_is_missing_twice_or_unknown_changes_nothing() {
    for left_out in [1, 5, 11, 13] {
        let mut messages = tidy();
        messages.remove(left_out);
        assert_eq!(read(&messages), Ok(tidy_reading()), "without message {left_out}");
    }
    for twice in [0, 1, 2, 5, 6, 8, 11, 12] {
        let mut messages = tidy();
        messages.insert(twice, messages[twice].clone());
        assert_eq!(read(&messages), Ok(tidy_reading()), "message {twice} twice");
    }
    let mut odd = tidy();
    for other in [json!(null), json!({}), json!({"type": null}), json!({"type": "something_new", "x": 1}), json!([])] {
        odd.insert(7, other);
    }
    assert_eq!(read(&odd), Ok(tidy_reading()));
    let words = delta(4, json!({"type": "text_delta", "text": "Hello."}));
    assert_eq!(read(&[words]).unwrap().0, "Hello.", "its block was not announced");
}

#[test]
fn a_tool_call_needs_a_name_and_gets_an_id_and_arguments() {
    let call = |block: Value| read(&[start(0, block)]).unwrap().2;
    let wanted = |id: &str, arguments: &str| [ToolCall::new(id.into(), "book".into(), arguments.into())];
    assert_eq!(call(json!({"type": "tool_use", "id": null, "name": "book", "input": null})), wanted("toolu_0", "{}"));
    assert_eq!(call(json!({"type": "tool_use", "id": "t", "name": "book"})), wanted("t", "{}"));
    assert_eq!(
        call(json!({"type": "tool_use", "id": "t", "name": "book", "input": {"a": 1}})),
        wanted("t", "{\"a\":1}")
    );
    assert_eq!(call(json!({"type": "tool_use", "id": "t", "name": ""})), []);
    let index = |index: Value| {
        let mut first = start(0, json!({"type": "tool_use", "id": "t", "name": "book", "input": {}}));
        let mut rest = delta(0, json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"}));
        (first["index"], rest["index"]) = (index.clone(), index);
        read(&[first, rest]).unwrap().2
    };
    assert_eq!(index(json!(null)), wanted("t", "{\"a\":1}"));
}

#[test]
fn an_empty_stop_reason_is_none_and_half_a_call_is_not_whole() {
    let mut reader = MessagesReader::default();
    for message in &tidy()[..10] {
        reader.event(&message.to_string(), &mut vec![]).unwrap();
    }
    for reason in [json!(""), json!(null)] {
        let end = json!({"type": "message_delta", "delta": {"stop_reason": reason}});
        reader.event(&end.to_string(), &mut vec![]).unwrap();
    }
    assert!(!reader.is_finished() && reader.calls() == CallProgress::Partial);
    reader.event(&tidy()[10].to_string(), &mut vec![]).unwrap();
    assert!(!reader.is_finished() && reader.calls() == CallProgress::Whole);
}

#[test]
fn unsigned_and_endless_thoughts_are_not_returned() {
    let mut unsigned = tidy();
    unsigned.remove(4);
    assert_eq!(read(&unsigned).unwrap().2[0].opaque, None);
    let mut endless = tidy();
    let part = delta(0, json!({"type": "thinking_delta", "thinking": "x".repeat(10_000)}));
    (0..10).for_each(|_| endless.insert(3, part.clone()));
    let kept = read(&endless).unwrap().2.remove(0).opaque.unwrap_or_default();
    assert!(json!(kept.fields).to_string().len() < 2 * ToolCall::OPAQUE_BYTES_MAX);
}

#[test]
fn an_error_in_the_stream_says_what_it_is() {
    let error =
        |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "Overloaded"}, "request_id": "r"});
    assert_eq!(read(&[error("overloaded_error")]), Err(ProviderError::refused(529, "Overloaded")));
    assert_eq!(read(&[error("new_error")]), Err(ProviderError::refused(500, "Overloaded")));
    assert_eq!(read(&[json!({"type": "error", "error": null})]), Err(ProviderError::refused(500, "error")));
    assert!(matches!(MessagesReader::default().event("<html>", &mut vec![]), Err(ProviderError::InvalidResponse(_))));
}

#[test]
fn a_message_that_begins_anew_is_read_from_there() {
    let all = tidy();
    for broke_off in [7, 8, 10, 12] {
        let messages: Vec<Value> = all[..broke_off].iter().chain(&all).cloned().collect();
        assert_eq!(read(&messages), Ok(tidy_reading()), "after {broke_off} events");
    }
    for (at, twice) in [(8, 1), (10, 1), (12, 2)] {
        let starts = all[..twice].to_vec();
        let messages: Vec<Value> = all[..at].iter().chain(&starts).chain(&all[at..]).cloned().collect();
        assert_eq!(read(&messages), Ok(tidy_reading()), "only its start comes again before event {at}");
    }
}

#[test]
fn calls_that_share_an_id_are_all_made_and_one_that_comes_twice_is_made_once() {
    let called = |calls: &[(u64, &str, &str)]| -> Vec<(String, String)> {
        let mut messages = vec![];
        for (index, name, arguments) in calls {
            messages.push(start(*index, json!({"type": "tool_use", "id": "tu_1", "name": name, "input": {}})));
            messages.push(delta(*index, json!({"type": "input_json_delta", "partial_json": arguments})));
        }
        let calls = read(&messages).unwrap().2;
        calls.into_iter().map(|call| (call.id, call.arguments)).collect()
    };
    let own = |id: &str, arguments: &str| (id.to_owned(), arguments.to_owned());
    let (one, two) = ("{\"n\":1}", "{\"n\":2}");
    assert_eq!(called(&[(0, "find", one), (1, "find", two)]), [own("tu_1", one), own("tu_1_1", two)]);
    assert_eq!(called(&[(0, "find", one), (1, "look", one)]), [own("tu_1", one), own("tu_1_1", one)]);
    assert_eq!(called(&[(0, "find", one), (1, "find", one)]), [own("tu_1", one)], "once more");
    assert_eq!(called(&[(0, "find", ""), (1, "find", one)]), [own("tu_1", one)], "it began twice");
    let three = [own("tu_1", one), own("tu_1_1", two), own("tu_1_2", "{}")];
    assert_eq!(called(&[(0, "find", one), (1, "find", two), (2, "look", "{}")]), three);
}
