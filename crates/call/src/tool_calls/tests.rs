//! Owners, questions and results of tools.

use super::*;
use serde_json::json;

fn tool(settings: Value) -> Tool {
    let mut all = json!({"type": "function", "function": {"name": "book"}});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[test]
fn the_agents_own_functions_come_before_those_of_tool_servers() {
    let tools = [tool(json!({}))];
    let offer = |name: &str| vec![ToolOffer { name: name.to_owned(), ..ToolOffer::default() }];
    let servers = [offer("book"), offer("search"), offer("search")];
    let of = |name: &str| owner(&tools, servers.iter().map(Vec::as_slice), name);
    assert_eq!(of("book"), ToolOwner::Function(&tools[0]));
    assert_eq!(of("search"), ToolOwner::Server(1), "the first that offers it");
    assert_eq!(of("invented"), ToolOwner::Nobody);
    let server: Tool = serde_json::from_value(json!({"type": "mcp", "server_url": "https://mcp.example"})).unwrap();
    assert_eq!(owner(&[server], std::iter::empty(), ""), ToolOwner::Nobody, "a server is no function");
}

#[test]
fn a_tool_has_ten_seconds_unless_it_is_given_others() {
    assert_eq!(deadline(&tool(json!({}))), Duration::from_secs(10));
    assert_eq!(deadline(&tool(json!({"timeout_ms": 500}))), Duration::from_millis(500));
    assert_eq!(deadline(&tool(json!({"timeout_ms": 120_000}))), Duration::from_secs(120));
}

#[test]
fn a_tool_server_gets_an_object() {
    assert_eq!(server_arguments("").unwrap(), Map::new());
    assert_eq!(Value::Object(server_arguments(r#"{"a":1}"#).unwrap()), json!({"a": 1}));
    for wrong in ["[1]", "1", "{"] {
        assert_eq!(server_arguments(wrong).unwrap_err(), "error: the arguments must be an object", "{wrong}");
    }
}

#[test]
fn the_model_reads_text_json_or_an_error_up_to_a_bound() {
    assert_eq!(result_text(Ok(json!("booked"))), "booked");
    assert_eq!(result_text(Ok(json!({"id": 7}))), r#"{"id":7}"#);
    assert_eq!(result_text(Err(NO_ANSWER.to_owned())), "error: the tool did not answer");
    assert_eq!(result_text(Ok(json!("é".repeat(20_000)))).chars().count(), RESULT_CHARS_MAX);
}
