//! The server's own tools over real calls: entries of digits, secrets, pauses between keys, turns that are skipped.

use super::conversation::rule;
use super::support::{CustomerServer, Server, at_once, lines, until, watch_log, watched_log};
use serde_json::{Value, json};
use std::path::Path;
use trunkline_lab::emulator::{ReplyRule, ReplyScript, ScriptedTool};

/// Digits that are nowhere else.
const PIN: &str = "83057194";

async fn change_agent(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

fn script(rules: Vec<ReplyRule>) -> ReplyScript {
    let mut script = ReplyScript::default();
    script.0.splice(0..0, rules);
    script
}

/// A rule whose words are said before the tool is called, and after its result.
fn asks(words: &[&str], reply: &str, tool: &str, arguments: Value, after: &str) -> ReplyRule {
    let tool = Some(ScriptedTool { name: tool.to_owned(), arguments });
    ReplyRule { tool, after_tool: Some(after.to_owned()), ..rule(words, reply, None) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_enters_digits_that_the_model_has_asked_for() {
    let entry = json!({"min_digits": 4, "max_digits": 6, "prompt": "Please enter your number."});
    let rules = vec![asks(&["order"], "", "collect_digits", entry, "It was {result}")];
    let server = Server::start_scripted(script(rules), |_| {}).await;
    change_agent(&server, json!({"built_in_tools": {"collect_digits": {}}})).await;
    let report = server.call("listen; say where_is_my_order; listen; dtmf 4271#; listen; say goodbye; listen").await;
    assert_eq!(report.failure, None, "{report:?}");
    let said = lines(&server.last_call().await);
    assert!(said.contains(&"assistant: Please enter your number.".to_owned()), "{said:?}");
    let result = said.iter().find_map(|line| line.strip_prefix("tool: collect_digits: ")).unwrap();
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!((&result["status"], &result["digits"]), (&json!("completed"), &json!("4271")), "{said:?}");
}

/// Every file of the folder, as bytes: the database, its log, recordings.
fn files_with(folder: &Path, needle: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files_with(&path, needle, found);
        } else if std::fs::read(&path).unwrap().windows(needle.len()).any(|part| part == needle.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

/// Neither what the API shows nor any file of the server has the digits; recordings are sound.
async fn is_nowhere(server: &Server, id: &str) {
    let more = ["", "/transcript", "/events", "/report"].map(|part| format!("/calls/{id}{part}"));
    for path in more.into_iter().chain(["/webhook-deliveries".to_owned(), "/audit-log".to_owned()]) {
        let (_, body) = server.send("GET", &path, None).await;
        assert!(!body.to_string().contains(PIN), "{path}: {body}");
    }
    let deliveries = server.get("/webhook-deliveries").await;
    for one in deliveries["webhook_deliveries"].as_array().into_iter().flatten() {
        let one = server.get(&format!("/webhook-deliveries/{}", one["id"].as_str().unwrap())).await;
        assert!(!one.to_string().contains(PIN), "{one}");
    }
    let mut found = Vec::new();
    files_with(server.folder.path(), PIN, &mut found);
    found.retain(|path| !path.ends_with(".wav"));
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_digits_reach_the_tool_and_nothing_else() {
    watch_log(PIN);
    let customer = CustomerServer::start(|request| match request.path.as_str() {
        "/tool" => {
            let id = &request.body["tool_calls"][0]["id"];
            at_once(&json!({"results": [{"tool_call_id": id, "result": format!("The PIN {PIN} is right.")}]}))
        }
        _ => at_once(&json!({})),
    })
    .await;
    let entry = json!({"name": "pin", "min_digits": 8, "max_digits": 8, "secret": true});
    let mut asked = asks(&["order"], "Please enter your PIN now.", "collect_digits", entry, "One moment.");
    asked.after_tool = Some("Entered: {result}".to_owned());
    let check =
        asks(&["opening hours", "open"], "", "check_pin", json!({"pin": "{{collected.pin}}"}), "Checked: {result}");
    let again = rule(&["dtmf"], "Thank you.", None);
    let server = Server::start_scripted(script(vec![asked, check, again]), |_| {}).await;
    let function = json!({"name": "check_pin", "parameters": {"type": "object", "properties": {
        "pin": {"type": "string", "pattern": "^[0-9]{8}$"}}, "required": ["pin"]}});
    let tools = json!([{"type": "function", "function": function, "url": format!("{}/tool", customer.url)}]);
    change_agent(
        &server,
        json!({"built_in_tools": {"collect_digits": {}}, "webhook_url": customer.url,
            "llm_config": {"provider": "openai", "model": "m", "tools": tools}}),
    )
    .await;
    let keys = format!(
        "listen; say where_is_my_order; listen; dtmf {PIN}; listen; say opening_hours; listen; dtmf {PIN}#; listen; say goodbye; listen"
    );
    let report = server.call(&keys).await;
    assert_eq!(report.failure, None, "{report:?}");
    let call = server.last_call().await;
    let asked = customer.wait("/tool", 1).await;
    assert_eq!(asked[0].body["tool_calls"][0]["arguments"], json!({"pin": PIN}), "{}", asked[0].text);
    until("the last report", async || {
        customer.all().iter().any(|one| one.text.contains("end-of-call-report")).then_some(())
    })
    .await;
    let others: Vec<String> = customer
        .all()
        .into_iter()
        .filter(|one| one.path != "/tool" && one.text.contains(PIN))
        .map(|one| one.path)
        .collect();
    assert!(others.is_empty(), "{others:?}");
    let said = lines(&call).join("\n");
    assert!(said.contains("{{collected.pin}}") && said.contains("•••"), "{said}");
    assert!(said.contains("user: [DTMF •••]"), "the caller has entered it again: {said}");
    let (logged, found) = watched_log();
    assert!(logged > 100 && found.is_empty(), "{logged} lines: {found:?}");
    is_nowhere(&server, call["id"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_skips_its_turn_says_nothing() {
    let rules = vec![asks(&["order"], "", "skip_turn", json!({}), "This is never said.")];
    let server = Server::start_scripted(script(rules), |_| {}).await;
    change_agent(&server, json!({"built_in_tools": {"skip_turn": {}}})).await;
    let report = server.call("listen; say where_is_my_order; pause 1500; say goodbye; listen").await;
    assert_eq!(report.failure, None, "{report:?}");
    let said = lines(&server.last_call().await);
    assert!(!said.iter().any(|line| line.contains("never said")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("tool: skip_turn")), "{said:?}");
    assert_eq!(said.last().unwrap(), "tool: end_call: the call ends", "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_on_hold_hears_music_until_the_agent_is_back() {
    let hold = asks(&["order"], "I put you on hold.", "hold_call", json!({"seconds": 3}), "Thank you for waiting.");
    let server = Server::start_scripted(script(vec![hold]), |_| {}).await;
    change_agent(&server, json!({"built_in_tools": {"hold_call": {}}})).await;
    let report = server.call("listen; say where_is_my_order; pause 7000; hangup").await;
    assert_eq!(report.failure, None, "{report:?}");
    assert_eq!(report.packets_lost, 0);
    let call = server.last_call().await;
    let said = lines(&call);
    let at = |words: &str| {
        said.iter().position(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} is not in {said:?}"))
    };
    assert!(at("I put you on hold.") < at("tool: hold_call") && at("tool: hold_call") < at("Thank you for waiting."));
    assert!(said[at("tool: hold_call")].contains("\"seconds\":3"), "{said:?}");
    let begins = |words: &str, edge: &str| {
        let transcript = call["transcript"].as_array().unwrap();
        transcript.iter().find(|turn| turn["content"] == words).unwrap()[edge].as_i64().unwrap()
    };
    let away = begins("Thank you for waiting.", "started_at_ms") - begins("I put you on hold.", "ended_at_ms");
    assert!((2_900..4_500).contains(&away), "{away} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_that_nobody_knows_are_refused_with_their_field() {
    let server = Server::start().await;
    for (tools, field) in [
        (json!({"fly": {}}), "built_in_tools.fly"),
        (json!({"skip_turn": {"description": ""}}), "built_in_tools.skip_turn.description"),
        (json!({"collect_digits": {"timeout_ms": 10}}), "built_in_tools.collect_digits.timeout_ms"),
    ] {
        let path = format!("/agents/{}", server.agent);
        let (status, body) = server.send("PATCH", &path, Some(json!({"built_in_tools": tools}))).await;
        assert_eq!(status, 400, "{body}");
        assert!(body.to_string().contains(field), "{field}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_read_back_and_confirmed() {
    let value = json!({"type": "code", "prompt": "What is your order number?"});
    let rules = vec![asks(&["order is"], "", "collect_value", value, "It was {result}")];
    let server = Server::start_scripted(script(rules), |_| {}).await;
    change_agent(&server, json!({"built_in_tools": {"collect_value": {"spelling": "letters"}}})).await;
    let report = server
        .call("listen; say where_is_my_order; listen; say order_number; listen; say yes_correct; listen; say goodbye; listen")
        .await;
    assert_eq!(report.failure, None, "{report:?}");
    let said = lines(&server.last_call().await);
    assert!(said.contains(&"assistant: I have 4, 2, 7, 1. Is that right?".to_owned()), "{said:?}");
    let result = said.iter().find_map(|line| line.strip_prefix("tool: collect_value: ")).unwrap();
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!((&result["status"], &result["value"]), (&json!("confirmed"), &json!("4271")), "{said:?}");
}
