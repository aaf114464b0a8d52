//! Refusals of servers, and the next request.

use super::*;

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
    for message in [
        "max_tokens is too large: 30000. This model supports at most 16384 completion tokens",
        "max_tokens: 30000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku",
    ] {
        let learnt = UnsupportedParameters::default();
        let large = json!({"max_tokens": 30_000, "thinking": {"type": "disabled"}});
        let next = json!({"max_tokens": 4_096, "thinking": {"type": "disabled"}});
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
