//! Refusals of servers, and the next request.

use super::*;

mod wordings;

/// What the next request looks like after a refusal; `None` if it would be refused again.
fn after(learnt: &UnsupportedParameters, body: &Value, status: u16, message: &str) -> Option<Value> {
    let sent = learnt.adapted("u m", body);
    learnt.record_rejection("u m", body, &sent, status, message).then(|| learnt.adapted("u m", body))
}

#[test]
fn a_refused_parameter_is_learnt_once() {
    let learnt = UnsupportedParameters::default();
    let body = json!({"model": "o", "temperature": 0.7, "messages": [{"role": "user", "content": "temperature"}]});
    let refusal = "Unsupported value: 'temperature' does not support 0.7 with this model.";
    assert_eq!(after(&learnt, &body, 401, refusal), None);
    let next = json!({"model": "o", "messages": [{"role": "user", "content": "temperature"}]});
    assert_eq!(after(&learnt, &body, 400, refusal), Some(next));
    assert_eq!(after(&learnt, &body, 400, refusal), None, "it was left out already");
    assert_eq!(after(&learnt, &body, 400, "Argument not supported on this model: reasoningEffort"), None, "not sent");
    assert_eq!(learnt.adapted("u other", &body), body, "another model");
}

#[test]
fn an_effort_is_left_out_where_the_object_around_it_is_refused() {
    for message in [
        "output_config: Extra inputs are not permitted",
        "output_config.effort: Extra inputs are not permitted",
        "Unknown parameter: 'output_config'",
        "`effort` is not supported with this model",
    ] {
        let learnt = UnsupportedParameters::default();
        let body = json!({"model": "c", "output_config": {"effort": "low"}, "messages": []});
        let next = json!({"model": "c", "messages": []});
        assert_eq!(after(&learnt, &body, 400, message), Some(next), "{message}");
        let shaped = json!({"model": "c", "output_config": {"format": {"type": "json_schema"}}, "messages": []});
        assert_eq!(learnt.adapted("u m", &shaped), shaped, "the shape of an answer stays");
    }
    let learnt = UnsupportedParameters::default();
    let shaped = json!({"output_config": {"format": {"type": "json_schema"}, "effort": "low"}});
    assert_eq!(after(&learnt, &shaped, 400, "output_config: Extra inputs are not permitted"), None);
}

#[test]
fn thoughts_are_returned_to_a_server_that_asks_for_them() {
    let learnt = UnsupportedParameters::default();
    let with = json!({"messages": [{"role": "assistant", "content": null, "reasoning_content": "I should look.", "tool_calls": []}]});
    let without = json!({"messages": [{"role": "assistant", "content": null, "tool_calls": []}]});
    assert_eq!(learnt.adapted("u m", &with), without);
    let refusal = "The reasoning_content in the thinking mode must be passed back to the API";
    assert_eq!(after(&learnt, &without, 400, refusal), None, "there are none");
    assert_eq!(after(&learnt, &with, 400, refusal), Some(with.clone()));
    assert_eq!(learnt.adapted("u m", &with), with);
    assert_eq!(after(&learnt, &with, 400, "reasoning_content: Extra inputs are not permitted"), Some(without.clone()));
}

#[test]
fn a_tool_that_is_refused_by_its_place_costs_that_tool() {
    for message in [
        "tools[1].function.description: string too long",
        "Invalid schema for function 'b': tools.1.input_schema",
        "body.tools.1.custom.input_schema: unknown keyword",
    ] {
        let learnt = UnsupportedParameters::default();
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        let body = json!({"tools": [tool("a"), tool("b"), tool("c")]});
        assert_eq!(after(&learnt, &body, 400, message), Some(json!({"tools": [tool("a"), tool("c")]})), "{message}");
        assert_eq!(learnt.adapted("u m", &json!({"tools": [tool("b")]})), json!({}), "none is left");
        assert_eq!(after(&learnt, &body, 400, "tools[9] is bad"), None);
    }
}

#[test]
fn a_server_without_tools_is_asked_without_them() {
    for (status, message) in [
        (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
        (400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"),
        (500, "tools param requires --jinja flag"),
        (404, "No endpoints found that support tool use."),
    ] {
        let learnt = UnsupportedParameters::default();
        let body = json!({"messages": [], "tools": [{"function": {"name": "a"}}]});
        assert_eq!(after(&learnt, &body, status, message), Some(json!({"messages": []})), "{message}");
        assert_eq!(after(&learnt, &body, status, message), None);
    }
}

#[test]
fn ids_and_system_texts_take_the_form_that_a_template_wants() {
    let learnt = UnsupportedParameters::default();
    let body = json!({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [{"id": "call_1"}]}, {"role": "tool", "tool_call_id": "call_1"}]});
    let next = after(&learnt, &body, 400, "Tool call IDs should be alphanumeric strings with length 9!").unwrap();
    let id = next["messages"][3]["tool_call_id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert_eq!(next["messages"][2]["tool_calls"][0]["id"], json!(id));
    let next = after(&learnt, &body, 500, "Jinja template: System role not supported").unwrap();
    assert_eq!(next["messages"][0], json!({"role": "user", "content": "Be kind.\n\nHi"}));
    assert_eq!(after(&learnt, &body, 500, "Jinja template: System role not supported"), None);
}

/// A conversation in which a tool was called.
fn with_tool(id: &str) -> Value {
    let function = json!({"name": "find_order", "arguments": "{}"});
    json!({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": id, "content": "on its way"}, {"role": "assistant", "content": "…"},
        {"role": "user", "content": "Thanks"}]})
}

#[test]
fn ids_of_calls_take_the_form_that_a_server_names_in_any_words() {
    for (status, refusal) in [
        (400, "Tool call id was call_abc_0 but must be a-z, A-Z, 0-9, with a length of 9."),
        (500, "Tool call id was call_abc_0 but must be a-z, A-Z, 0-9, with a length of 9."),
        (
            400,
            "messages[3].tool_calls[0].id: Invalid 'messages[3].tool_calls[0].id': string does not match pattern '^[a-zA-Z0-9]{9}$'.",
        ),
        (422, "messages.3.tool_call_id: String should match pattern '^[a-zA-Z0-9]{9}$'"),
        (422, "body.messages.3.tool_calls.0.id: String should have at most 9 characters"),
        (400, "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 9"),
        (400, "Tool call IDs should be alphanumeric strings with length 9!"),
        (400, "toolCallId must have exactly nine characters"),
    ] {
        let learnt = UnsupportedParameters::default();
        let next = after(&learnt, &with_tool("call_abc_0"), status, refusal).expect(refusal);
        let id = next["messages"][2]["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{refusal}");
        assert_eq!(next["messages"][3]["tool_call_id"], json!(id), "{refusal}");
        assert_eq!(after(&learnt, &with_tool("call_abc_0"), status, refusal), None, "no third request");
        let later = learnt.adapted("u m", &with_tool("call_def_1"));
        assert_eq!(later["messages"][3]["tool_call_id"].as_str().unwrap().len(), 9, "remembered");
        assert_eq!(learnt.adapted("u other", &with_tool("a")), with_tool("a"), "another model");
    }
    for other in [
        "An assistant message with 'tool_calls' must be followed by tool messages",
        "messages[3].tool_calls[0].function.name: string does not match pattern '^[a-zA-Z0-9_-]+$'",
    ] {
        assert_eq!(after(&UnsupportedParameters::default(), &with_tool("a"), 400, other), None, "{other}");
    }
}

#[test]
fn results_of_tools_have_the_form_that_a_server_wants() {
    for refusal in [
        "GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty.",
        "messages[3]: field name is required for role tool",
        "'name' is missing in the message of role 'tool'",
    ] {
        let learnt = UnsupportedParameters::default();
        let next = after(&learnt, &with_tool("a"), 400, refusal).expect(refusal);
        assert_eq!(next["messages"][3]["name"], "find_order", "{refusal}");
        assert_eq!(after(&learnt, &with_tool("a"), 400, refusal), None, "no third request");
    }
    for refusal in [
        "Only user and assistant roles are supported! (got 'tool')",
        "Invalid role: tool. Role must be one of system, user, assistant",
        "messages[3].role: unknown variant `tool`, expected one of `system`, `user`, `assistant`",
        "Unexpected role 'tool'",
    ] {
        let learnt = UnsupportedParameters::default();
        let next = after(&learnt, &with_tool("a"), 400, refusal).expect(refusal);
        let roles: Vec<&str> =
            next["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"], "{refusal}");
        assert_eq!(next["messages"][3]["content"], "[Result of find_order: on its way]");
        assert!(next["messages"][2]["tool_calls"].is_null() && next["messages"][2]["content"] == "…", "{next}");
    }
    let place =
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
    assert_eq!(after(&UnsupportedParameters::default(), &with_tool("a"), 400, place), None);
    // Without a tool in the conversation the sentence is about the system message.
    let learnt = UnsupportedParameters::default();
    let plain = json!({"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]});
    let next = after(&learnt, &plain, 400, "Only user and assistant roles are supported!").unwrap();
    assert_eq!(next, json!({"messages": [{"role": "user", "content": "Be kind.\n\nHi"}]}));
}

#[test]
fn results_of_one_turn_are_one_message_of_words() {
    let call = |id: &str, name: &str| json!({"id": id, "function": {"name": name, "arguments": "{}"}});
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "One moment.", "tool_calls": [call("a", "find"), call("b", "look")]},
        {"role": "tool", "tool_call_id": "a", "content": "7"}, {"role": "tool", "tool_call_id": "b", "content": "8"}]});
    tool_messages::write_results_as_words(&mut body);
    assert_eq!(
        body,
        json!({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "One moment."},
        {"role": "user", "content": "[Result of find: 7]\n[Result of look: 8]"}]})
    );
}

#[test]
fn the_limit_of_an_answer_has_the_name_and_the_size_that_a_model_takes() {
    let refusal =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let learnt = UnsupportedParameters::default();
    let old = json!({"model": "m", "max_tokens": 200});
    assert_eq!(after(&learnt, &old, 400, refusal), Some(json!({"model": "m", "max_completion_tokens": 200})));
    assert_eq!(after(&learnt, &old, 400, refusal), None, "no second change of names");
    let learnt = UnsupportedParameters::default();
    let new = json!({"model": "m", "max_completion_tokens": 200});
    let refusal = "max_completion_tokens: Extra inputs are not permitted";
    assert_eq!(after(&learnt, &new, 422, refusal), Some(json!({"model": "m", "max_tokens": 200})));
    assert_eq!(after(&learnt, &new, 422, "max_tokens: Extra inputs are not permitted"), None);
    for (message, limit) in [
        ("max_tokens is too large: 30000. This model supports at most 16384 completion tokens", 16_384),
        ("max_tokens: 30000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku", 8_192),
        ("max_tokens is too large", 4_096),
    ] {
        let learnt = UnsupportedParameters::default();
        let large = json!({"max_tokens": 30_000, "thinking": {"type": "disabled"}});
        let next = json!({"max_tokens": limit, "thinking": {"type": "disabled"}});
        assert_eq!(after(&learnt, &large, 400, message), Some(next), "{message}");
        assert_eq!(after(&learnt, &json!({"max_tokens": 9}), 400, message), None, "it is small already");
    }
}

#[test]
fn short_names_have_to_stand_alone_in_a_refusal() {
    let body = json!({"stop": ["a"], "top_p": 0.5, "temperature": 0.5});
    let learnt = UnsupportedParameters::default();
    assert_eq!(after(&learnt, &body, 400, "The server has stopped: nonstop load"), None);
    let next = json!({"top_p": 0.5, "temperature": 0.5});
    assert_eq!(after(&learnt, &body, 400, "'stop' is not supported with this model"), Some(next));
    let next = json!({"temperature": 0.5});
    assert_eq!(after(&learnt, &body, 400, "Argument not supported on this model: topP"), Some(next));
    let learnt = UnsupportedParameters::default();
    let both = "`temperature` and `top_p` cannot both be specified for this model. Please use only one.";
    assert_eq!(after(&learnt, &body, 400, both), Some(json!({"stop": ["a"], "top_p": 0.5})));
}

#[test]
fn a_text_stands_beside_calls_where_null_is_refused() {
    let message = |content: Value| {
        json!({"messages": [{"role": "user", "content": "Hi"},
        {"role": "assistant", "content": content, "tool_calls": [{"id": "a"}]}, {"role": "tool", "content": "7"}]})
    };
    let body = message(Value::Null);
    for refusal in [
        "Input should be a valid string: messages.3.content",
        "messages.1.content: none is not an allowed value",
        "Invalid type for 'messages[1].content': expected a string, but got null instead.",
        "Field required: messages[1].content",
        "invalid message content type: <nil>",
        "Invalid 'content': 'content' field must be a string or an array of objects.",
    ] {
        let learnt = UnsupportedParameters::default();
        assert_eq!(after(&learnt, &body, 400, refusal), Some(message(json!(""))), "{refusal}");
        assert_eq!(after(&learnt, &body, 400, refusal), None, "it was given already");
        let empty = "messages.1.content must not be empty";
        assert_eq!(after(&learnt, &body, 400, empty), Some(message(json!(NO_WORDS))), "{refusal}");
        assert_eq!(after(&learnt, &body, 400, empty), None);
    }
    let learnt = UnsupportedParameters::default();
    let words = message(json!("One moment."));
    assert_eq!(after(&learnt, &words, 400, "messages.1.content: Input should be a valid string"), None);
    assert_eq!(after(&learnt, &body, 400, "the content is unsafe"), None);
}

#[test]
fn a_conversation_that_is_too_long_loses_its_oldest_turns() {
    let turn = |number: usize| json!({"role": if number.is_multiple_of(2) { "user" } else { "assistant" }, "content": format!("{number}")});
    let body = |turns: usize| {
        let system = json!({"role": "system", "content": "Be kind."});
        json!({"messages": std::iter::once(system).chain((0..turns).map(turn)).collect::<Vec<_>>()})
    };
    for (status, refusal) in [
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
        (400, "context_length_exceeded: too much"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (413, "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000"),
        (500, "the request exceeds the available context size"),
    ] {
        let learnt = UnsupportedParameters::default();
        let next = after(&learnt, &body(9), status, refusal).unwrap();
        let left = next["messages"].as_array().unwrap();
        assert!(left.len() < 8 && left[0]["role"] == "system" && left[1]["role"] == "user", "{next}");
        assert_eq!(left.last(), Some(&turn(8)));
        let later = learnt.adapted("u m", &body(11));
        assert!(later["messages"].as_array().unwrap().len() < 8, "remembered");
        let mut tries = 0;
        while after(&learnt, &body(9), status, refusal).is_some() {
            tries += 1;
            assert!(tries < 5, "there is an end to it");
        }
        let last = learnt.adapted("u m", &body(9));
        assert_eq!(last["messages"].as_array().unwrap().len(), 2, "the caller's last words stay");
    }
    assert_eq!(after(&UnsupportedParameters::default(), &body(1), 400, "context length exceeded"), None);
}

#[test]
fn an_answer_that_does_not_fit_beside_the_conversation_is_made_smaller_first() {
    let learnt = UnsupportedParameters::default();
    let body = json!({"max_tokens": 9_000, "messages": [{"role": "user", "content": "Hi"}]});
    let refusal = "This model's maximum context length is 4096 tokens. However, you requested 9200 tokens \
        (200 in the messages, 9000 in the completion).";
    assert_eq!(after(&learnt, &body, 400, refusal).unwrap()["max_tokens"], json!(4_096));
    let refusal = "This model's maximum context length is 4096 tokens. However, you requested 4296 tokens \
        (200 in the messages, 4096 in the completion).";
    assert_eq!(after(&learnt, &body, 400, refusal).unwrap()["max_tokens"], Value::Null);
}

#[test]
fn a_server_without_tool_choice_is_offered_no_tools_when_none_may_be_called() {
    let learnt = UnsupportedParameters::default();
    let body = json!({"tools": [{"function": {"name": "a"}}], "tool_choice": "none"});
    assert_eq!(after(&learnt, &body, 400, "property 'tool_choice' is unsupported"), Some(json!({})));
    let free = json!({"tools": [{"function": {"name": "a"}}]});
    assert_eq!(learnt.adapted("u m", &free), free);
}
