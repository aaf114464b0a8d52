//! Streams with every kind of damage.

use super::*;
use serde_json::json;

/// What is said, whether the answer counts when the stream ends, the tool calls, and tokens.
type Reading = (String, bool, Vec<ToolCall>, TokenUsage);

fn read(messages: &[Value]) -> Result<Reading, ProviderError> {
    let mut reader = ChatCompletionsReader::default();
    let mut said = vec![];
    for message in messages {
        let data = if message == "[DONE]" { "[DONE]".to_owned() } else { message.to_string() };
        if reader.event(&data, &mut said)? {
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

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

/// A tidy answer: words, a call in two pieces, the end, and what it took.
fn tidy() -> Vec<Value> {
    let first =
        json!({"index": 0, "id": "a", "type": "function", "function": {"name": "book", "arguments": "{\"day\""}});
    let rest = json!({"index": 0, "function": {"arguments": ":1}"}});
    vec![
        chunk(json!({"role": "assistant", "content": "", "refusal": null}), json!(null)),
        chunk(json!({"content": "Let me look."}), json!(null)),
        chunk(json!({"tool_calls": [first]}), json!(null)),
        chunk(json!({"tool_calls": [rest]}), json!(null)),
        chunk(json!({}), json!("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}}),
        json!("[DONE]"),
    ]
}

fn tidy_reading() -> Reading {
    let usage = TokenUsage { model: String::new(), prompt_tokens: 8, completion_tokens: 3, cached_tokens: 5 };
    let call = ToolCall::new("a".into(), "book".into(), "{\"day\":1}".into());
    ("Let me look.".to_owned(), true, vec![call], usage)
}

/// Every place in a message, as a JSON pointer.
fn places(value: &Value, below: &str, all: &mut Vec<String>) {
    let mut visit = |name: String, child: &Value| {
        let place = format!("{below}/{name}");
        all.push(place.clone());
        places(child, &place, all);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, child)| visit(name.clone(), child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, child)| visit(index.to_string(), child)),
        _ => {}
    }
}

/// Fields whose loss costs what they carry.
const CARRIERS: [&str; 14] = [
    "/refusal",
    "/content",
    "/arguments",
    "/name",
    "/function",
    "/tool_calls",
    "/delta",
    "/choices",
    "/finish_reason",
    "/id",
    "tokens",
    "/usage",
    "prompt_tokens_details",
    "/0",
];

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
                if !CARRIERS.iter().any(|name| place.ends_with(name)) && !place.ends_with("index") {
                    assert_eq!(reading, tidy_reading(), "{place} is {damage}");
                }
                let spoken = place.contains("content")
                    || matches!(place.as_str(), "/choices" | "/choices/0" | "/choices/0/delta");
                let lost = at == 1 && (spoken || place == "/choices/0/index");
                assert!(
                    lost || reading.0.ends_with("Let me look."),
                    "words are lost: {place} is {damage}: {reading:?}"
                );
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn null_is_absence() {
    let words = chunk(json!({"content": "Hello there."}), json!(null));
    let stop = chunk(json!({}), json!("stop"));
    let said = |messages: &[Value]| read(messages).map(|reading| (reading.0, reading.1));
    let whole = Ok(("Hello there.".to_owned(), true));
    assert_eq!(
        said(&[words.clone(), json!({"choices": [{"index": 0, "delta": null, "finish_reason": "stop"}]})]),
        whole
    );
    assert_eq!(said(&[words.clone(), stop.clone(), json!({"choices": null, "usage": {"prompt_tokens": 3}})]), whole);
    assert_eq!(said(&[json!({"choices": [{"index": 0, "delta": null}]}), words.clone(), stop.clone()]), whole);
    assert_eq!(said(&[json!(null), json!([]), json!({"choices": [null]}), words.clone(), stop]), whole);
    assert_eq!(said(&[words.clone(), chunk(json!({}), json!(""))]), Ok(("Hello there.".to_owned(), false)));
    for error in [json!(null), json!({}), json!(""), json!(false)] {
        assert!(read(&[json!({"error": error, "choices": null}), words.clone()]).is_ok());
    }
}

#[test]
fn a_call_is_whole_only_when_the_answer_was_finished() {
    let cut = json!({"index": null, "id": "a", "function": {"name": "find", "arguments": "{\"number\": \"12"}});
    let mut reader = ChatCompletionsReader::default();
    reader.event(&chunk(json!({"tool_calls": [cut]}), json!("")).to_string(), &mut vec![]).unwrap();
    assert!(!reader.is_finished() && reader.calls() == CallProgress::Partial);
    reader
        .event(
            &chunk(json!({"tool_calls": [{"function": {"arguments": "\"}"}}]}), json!(null)).to_string(),
            &mut vec![],
        )
        .unwrap();
    assert!(!reader.is_finished() && reader.calls() == CallProgress::Whole);
}

#[test]
fn what_comes_late_twice_or_in_another_order_is_read() {
    let mut late = tidy();
    late.swap(4, 5);
    assert_eq!(read(&late), Ok(tidy_reading()), "usage before the end");
    let mut twice = tidy();
    twice.insert(4, twice[4].clone());
    twice.insert(6, twice[6].clone());
    assert_eq!(read(&twice), Ok(tidy_reading()));
    let mut early = tidy();
    let end = early.remove(4);
    early.insert(0, end);
    assert_eq!(read(&early), Ok(tidy_reading()), "the finish reason comes first");
    let mut odd = tidy();
    odd.insert(2, json!({"type": "something_new", "x": [1]}));
    odd.insert(3, json!({"choices": [{"index": 1, "delta": {"content": "Another choice"}}]}));
    assert_eq!(read(&odd), Ok(tidy_reading()));
}

#[test]
fn a_whole_message_in_place_of_a_stream_is_read_once() {
    let whole = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}]});
    assert_eq!(read(std::slice::from_ref(&whole)).unwrap().0, "Hello.");
    assert_eq!(read(&[chunk(json!({"content": "Hello."}), json!(null)), whole]).unwrap().0, "Hello.");
}

#[test]
fn content_is_a_text_or_parts() {
    let said = |content: Value| read(&[chunk(json!({"content": content, "refusal": "No."}), json!("stop"))]).unwrap().0;
    assert_eq!(said(json!("Yes.")), "Yes.");
    assert_eq!(said(json!([{"type": "thinking", "thinking": []}, {"type": "text", "text": "Ja."}, "x", null])), "Ja.x");
    assert_eq!(said(json!({"type": "text", "text": "Ja."})), "Ja.");
    for empty in [json!(null), json!(""), json!([]), json!([{"type": "thinking"}])] {
        assert_eq!(said(empty), "No.", "a refusal beside empty content");
    }
}

#[test]
fn thoughts_stay_beside_the_calls_that_they_led_to() {
    for name in ["reasoning_content", "reasoning"] {
        let call = json!({"index": 0, "id": "a", "function": {"name": "find", "arguments": "{}"}});
        let mut reader = ChatCompletionsReader::default();
        let mut said = vec![];
        for delta in
            [json!({name: "I should "}), json!({name: null}), json!({name: "look."}), json!({"tool_calls": [call]})]
        {
            reader.event(&chunk(delta, json!(null)).to_string(), &mut said).unwrap();
        }
        assert_eq!(said, [] as [&str; 0]);
        let [LlmEvent::ToolCalls(calls), _] = &reader.finish()[..] else { panic!("no call") };
        assert_eq!(calls[0].opaque.as_ref().unwrap().fields, *json!({name: "I should look."}).as_object().unwrap());
    }
}

#[test]
fn errors_inside_the_stream_are_told_apart_from_garbage() {
    for data in [
        json!({"error": {"message": "overloaded"}}),
        json!({"code": "x", "error": "overloaded"}),
        json!({"x_groq": {"error": "overloaded"}, "choices": []}),
    ] {
        assert_eq!(read(&[data]), Err(ProviderError::refused(500, "overloaded")));
    }
    let garbage = ChatCompletionsReader::default().event("<html>", &mut vec![]);
    assert!(matches!(garbage, Err(ProviderError::InvalidResponse(_))));
    assert_eq!(ChatCompletionsReader::default().event("  ", &mut vec![]), Ok(false));
    assert_eq!(ChatCompletionsReader::default().event("[DONE] ", &mut vec![]), Ok(true));
}

#[test]
fn words_that_are_thoughts_by_what_stands_beside_them_are_not_said() {
    for mark in [
        json!({"extra_content": {"google": {"thought": true}}}),
        json!({"thought": true}),
        json!({"channel": "analysis"}),
        json!({"role": "reasoning"}),
        json!({"type": "Thinking"}),
    ] {
        let mut delta = json!({"content": "Secret."});
        delta.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        let messages =
            [chunk(delta, json!(null)), chunk(json!({"role": "assistant", "content": "Yes."}), json!("stop"))];
        assert_eq!(read(&messages).unwrap().0, "Yes.", "{mark}");
    }
    let parts =
        json!({"content": [{"type": "text", "text": "Secret.", "thought": true}, {"type": "text", "text": "Yes."}]});
    assert_eq!(read(&[chunk(parts, json!("stop"))]).unwrap().0, "Yes.");
    for mark in [
        json!({"extra_content": {"google": {"thought": false, "thought_signature": "x"}}}),
        json!({"channel": "final"}),
        json!({"role": "model"}),
    ] {
        let mut delta = json!({"content": "Yes."});
        delta.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        assert_eq!(read(&[chunk(delta, json!("stop"))]).unwrap().0, "Yes.", "{mark}");
    }
}

#[test]
fn texts_of_completions_and_halves_of_characters_are_read() {
    let texts = [
        json!({"choices": [{"index": 0, "text": "It left on "}]}),
        json!({"choices": [{"index": 0, "text": "Monday.", "finish_reason": "stop"}]}),
    ];
    let reading = read(&texts).unwrap();
    assert_eq!((reading.0.as_str(), reading.1), ("It left on Monday.", true));
    let (mut reader, mut said) = (ChatCompletionsReader::default(), vec![]);
    let event = r#"{"choices":[{"index":0,"delta":{"content":"It left \ud83d on Monday. \ude00"}}]}"#;
    assert!(!reader.event(event, &mut said).unwrap());
    assert_eq!(said.concat(), "It left  on Monday. ");
}
