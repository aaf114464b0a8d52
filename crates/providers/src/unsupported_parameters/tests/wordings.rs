//! Refusals in the words of many servers: parameters, tools, schemas, templates, streams.

use super::*;

/// A parameter in the words of many servers.
fn refusals_of(name: &str) -> Vec<(u16, String)> {
    let words = [
        (400, "Unsupported parameter: '{p}' is not supported with this model."),
        (400, "Unrecognized request argument supplied: {p}"),
        (
            400,
            "[{'type': 'extra_forbidden', 'loc': ('body', '{p}'), 'msg': 'Extra inputs are not permitted', 'input': 1}]",
        ),
        (422, "{p}: extra fields not permitted"),
        (
            422,
            "{\"object\":\"error\",\"message\":{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"{p}\"],\"msg\":\"Extra inputs\"}]}}",
        ),
        (400, "litellm.UnsupportedParamsError: custom_openai does not support parameters: ['{p}'], for model=x."),
        (
            400,
            "Malformed input request: extraneous key [{p}] is not permitted, please reformat your input and try again.",
        ),
        (400, "unknown field: {p}"),
        (422, "Failed to deserialize the JSON body: unknown field `{p}`, expected one of `messages`, `model`"),
        (400, "property '{p}' is unsupported"),
        (404, "No endpoints found that support the parameter {p}. To learn more, visit https://x.y"),
        (501, "{p} is not implemented"),
        (500, "Unsupported param: {p}"),
        (400, "json: unknown field \"{p}\""),
        (400, "Argument not supported on this model: {p}"),
        (400, "The {p} option cannot be used with this model"),
    ];
    words.into_iter().map(|(status, words)| (status, words.replace("{p}", name))).collect()
}

#[test]
fn whatever_parameter_is_refused_in_whatever_words_is_left_out() {
    let tool =
        json!({"type": "function", "function": {"name": "a", "parameters": {"type": "object", "properties": {}}}});
    let body = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.3,
        "top_p": 0.9, "stop": ["END"], "reasoning_effort": "low", "messages": [{"role": "user", "content": "Hi"}],
        "seed": 3, "user": "x", "chat_template_kwargs": {"enable_thinking": false}, "provider": {"only": ["a"], "sort": "b"},
        "tools": [tool]});
    let names = [
        "stream_options",
        "temperature",
        "top_p",
        "stop",
        "reasoning_effort",
        "seed",
        "user",
        "chat_template_kwargs",
        "provider",
        "tools",
    ];
    for name in names {
        for (status, refusal) in refusals_of(name) {
            let learnt = UnsupportedParameters::default();
            let next = after(&learnt, &body, status, &refusal).unwrap_or_else(|| panic!("{refusal}"));
            let mut wanted = body.clone();
            wanted.as_object_mut().unwrap().remove(name);
            assert_eq!(next, wanted, "{refusal}");
            assert_eq!(after(&learnt, &body, status, &refusal), None, "no third request: {refusal}");
            assert_eq!(learnt.adapted("u other", &body), body, "another model");
            for (status, other) in [(401, &refusal), (403, &refusal), (429, &refusal), (503, &refusal)] {
                assert_eq!(after(&UnsupportedParameters::default(), &body, status, other), None);
            }
        }
    }
    for (name, left) in [("enable_thinking", None), ("sort", Some(json!({"only": ["a"]})))] {
        let parent = if left.is_some() { "provider" } else { "chat_template_kwargs" };
        for (status, refusal) in refusals_of(name) {
            let next = after(&UnsupportedParameters::default(), &body, status, &refusal);
            let next = next.unwrap_or_else(|| panic!("{refusal}"));
            assert_eq!(next.get(parent), left.as_ref(), "{refusal}");
        }
    }
}

#[test]
fn what_nobody_refused_is_kept() {
    let body = json!({"model": "m", "stream": true, "temperature": 0.3, "seed": 3, "user": "x", "stop": ["a"],
        "messages": [{"role": "user", "content": "Hi"}], "tools": [{"function": {"name": "find_order"}}]});
    for (status, words) in [
        (500, "The server had an error, please stop sending requests"),
        (500, "Stream is closed"),
        (404, "The model `m` does not exist or you do not have access to it."),
        (404, "model: The model `m` does not exist"),
        (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        (400, "messages: at least one message is required"),
        (400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."),
        (500, "the stream of tools broke off"),
    ] {
        assert_eq!(after(&UnsupportedParameters::default(), &body, status, words), None, "{words}");
    }
}

#[test]
fn what_was_left_out_in_vain_is_sent_again() {
    let learnt = UnsupportedParameters::default();
    let body = json!({"seed": 3, "temperature": 0.3});
    let before = learnt.known_of("u m");
    assert!(after(&learnt, &body, 400, "'seed' is not supported").is_some());
    assert!(after(&learnt, &body, 400, "'temperature' is not supported").is_some());
    assert_eq!(learnt.adapted("u m", &body), json!({}));
    learnt.restore("u m", before);
    assert_eq!(learnt.adapted("u m", &body), body);
}

#[test]
fn schemas_that_a_grammar_cannot_express_are_written_in_plain_keywords() {
    let tool = |schema: Value| json!({"tools": [{"type": "function", "function": {"name": "send_dtmf", "parameters": schema}}]});
    let keys = json!({"type": "string", "pattern": "^[0-9*#]+$"});
    let body = tool(json!({"type": "object", "properties": {"digits": keys}, "additionalProperties": false}));
    let plain = tool(json!({"type": "object", "properties": {"digits": {"type": "string"}}}));
    for (status, refusal) in [
        (400, "failed to parse grammar: unsupported pattern"),
        (500, "Failed to parse grammar"),
        (400, "tools[0].function.parameters: Invalid schema for function 'send_dtmf': 'pattern' is not permitted."),
        (
            400,
            "Invalid JSON payload received. Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': Cannot find field.",
        ),
        (422, "JSON schema conversion failed: Pattern must start with '^' and end with '$'"),
    ] {
        let learnt = UnsupportedParameters::default();
        assert_eq!(after(&learnt, &body, status, refusal), Some(plain.clone()), "{refusal}");
        assert_eq!(learnt.adapted("u m", &body), plain, "remembered");
    }
    // Where plain ones are refused as well, there are no tools.
    let learnt = UnsupportedParameters::default();
    assert_eq!(after(&learnt, &body, 400, "failed to parse grammar: x"), Some(plain));
    assert_eq!(after(&learnt, &body, 400, "failed to parse grammar: x"), Some(json!({})));
    assert_eq!(after(&learnt, &body, 400, "failed to parse grammar: x"), None);
}

#[test]
fn templates_that_know_no_tools_or_no_system_message_are_asked_without() {
    let body = |tools: bool| {
        let mut body =
            json!({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]});
        if tools {
            body["tools"] = json!([{"function": {"name": "a"}}]);
        }
        body
    };
    let joined = json!([{"role": "user", "content": "Be kind.\n\nHi"}]);
    for (status, refusal) in [
        (500, "Jinja Exception: System role not supported"),
        (500, "System role not supported"),
        (400, "System role not supported"),
        (501, "The system role is not supported by this model"),
        (422, "Template error: invalid operation: System role not supported (in <string>:1)"),
    ] {
        let next = after(&UnsupportedParameters::default(), &body(true), status, refusal).expect(refusal);
        assert_eq!(next["messages"], joined, "{refusal}");
        assert!(next["tools"].is_array(), "{refusal}");
    }
    for (status, refusal) in [
        (422, "Template error: template not found"),
        (500, "Jinja Exception: Value is not callable: null at row 62, column 114"),
        (400, "`tools` is not supported with this model"),
        (400, "tools: Function calling is not supported for this model"),
        (400, "deepseek-reasoner does not support Function Calling"),
    ] {
        assert_eq!(
            after(&UnsupportedParameters::default(), &body(true), status, refusal),
            Some(body(false)),
            "{refusal}"
        );
        assert_eq!(after(&UnsupportedParameters::default(), &body(false), status, refusal), None, "{refusal}");
    }
}

#[test]
fn a_server_that_streams_for_some_customers_only_is_asked_for_whole_answers() {
    let body = json!({"stream": true, "stream_options": {"include_usage": true}, "messages": []});
    for (status, refusal) in [
        (400, "stream: Your organization must be verified to stream this model."),
        (400, "Unsupported value: 'stream' does not support true with this model."),
        (422, "Streaming is not supported for this model"),
        (400, "body.stream: Input should be false"),
    ] {
        let learnt = UnsupportedParameters::default();
        let next = after(&learnt, &body, status, refusal);
        assert_eq!(next, Some(json!({"stream": false, "messages": []})), "{refusal}");
        assert_eq!(after(&learnt, &body, status, refusal), None);
    }
}
