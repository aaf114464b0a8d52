//! What carriers and PBXes do, done by sipp: registrations, session timers, PRACK, delayed offers, transfers,
//! redirections, causes.

use super::sipp::{arguments, listens, media_port, scenario, sipp};
use super::support::{NUMBER, PATIENCE, Server, free_port, lines, poll};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_lab::caller::report::CallReport;
use trunkline_lab::caller::script::CallScript;

/// sipp as the trunk's other end; `colleague` is the port of another phone.
async fn peer(name: &str, port: u16, colleague: u16) -> std::process::Output {
    let file = scenario(name);
    let (port, colleague) = (port.to_string(), colleague.to_string());
    let media = media_port();
    let all = ["-sf", &file, "-i", "127.0.0.1", "-p", &port, "-m", "1", "-mp", &media, "-key", "colleague", &colleague];
    sipp(&std::env::temp_dir(), all.map(str::to_owned).to_vec()).await
}

fn passed(output: &std::process::Output) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// Waits for something the API shows.
async fn shows(server: &Server, path: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
    poll(PATIENCE, path, async || {
        let seen = server.get(path).await;
        if is_it(&seen) { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await
}

async fn patch_trunk(server: &Server, body: Value) {
    let (status, body) = server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    assert_eq!(status, 200, "{body}");
}

/// A task over the trunk, executed.
async fn dial(server: &Server, more: Value) {
    let mut task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_refreshes_its_session() {
    let server = Server::start().await;
    let file = scenario("uac_timer");
    passed(&sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1"])).await);
    assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_without_an_offer_hears_the_agent() {
    let server = Server::start().await;
    let file = scenario("uac_delayed");
    passed(&sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1"])).await);
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("customer_hung_up")), "{call}");
    assert!(call["metrics"]["media"]["packets_sent"].as_u64().unwrap() > 10, "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reliable_announcement_is_acknowledged() {
    let server = Server::start().await;
    let port = free_port();
    patch_trunk(&server, json!({"host": "127.0.0.1", "port": port})).await;
    let call = async {
        listens(port).await;
        dial(&server, json!({})).await;
        let spoken = |calls: &Value| calls["calls"][0]["status"] == json!("in_progress");
        let calls = shows(&server, "/calls?limit=1", spoken).await;
        let id = calls["calls"][0]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/calls/{id}/end"), json!({})).await;
    };
    let (output, ()) = tokio::join!(peer("uas_prack", port, 0), call);
    passed(&output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_registers_and_gives_its_registration_back() {
    let server = Server::start().await;
    let port = free_port();
    let path = format!("/trunks/{}", server.trunk);
    let told = async {
        listens(port).await;
        let account =
            json!({"host": "127.0.0.1", "port": port, "username": "account", "password": "secret", "register": true});
        patch_trunk(&server, account).await;
        let registered = |trunk: &Value| trunk["trunk"]["state"]["registration"]["registered"] == json!(true);
        shows(&server, &path, registered).await;
        patch_trunk(&server, json!({"register": false})).await;
    };
    let (output, ()) = tokio::join!(peer("registrar", port, 0), told);
    passed(&output);
    assert_eq!(server.get(&path).await["trunk"]["state"]["registration"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_cannot_register_says_why() {
    let server = Server::start().await;
    // The phone of the tests is not a registrar.
    patch_trunk(&server, json!({"username": "account", "password": "secret", "register": true})).await;
    let failed = |trunk: &Value| trunk["trunk"]["state"]["registration"]["sip_status"] == json!(405);
    let trunk = shows(&server, &format!("/trunks/{}", server.trunk), failed).await;
    let state = &trunk["trunk"]["state"]["registration"];
    assert!(state["problem"].as_str().unwrap().starts_with("405 Method Not Allowed; tried again in "), "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_probed_and_the_dead_ones_go_last() {
    let server = Server::start().await;
    let (dead, alive) = (free_port(), server.phone.sip.local_udp().port());
    let targets = json!([{"host": "127.0.0.1", "port": alive, "priority": 9}]);
    patch_trunk(&server, json!({"host": "127.0.0.1", "port": dead, "targets": targets, "options_interval_s": 10}))
        .await;
    let probed = |trunk: &Value| trunk["trunk"]["state"]["targets"].as_array().is_some_and(|all| all.len() == 2);
    let trunk = shows(&server, &format!("/trunks/{}", server.trunk), probed).await;
    let reachable: Vec<_> =
        trunk["trunk"]["state"]["targets"].as_array().unwrap().iter().map(|t| t["reachable"].clone()).collect();
    assert_eq!(reachable, [json!(false), json!(true)], "{trunk}");
    let tested = server.post(&format!("/trunks/{}/test", server.trunk), json!({})).await;
    assert_eq!((&tested["reachable"], &tested["sip_status"]), (&json!(true), &json!(200)), "{tested}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_is_handed_on_to_a_colleague() {
    let mut server = Server::start().await;
    let colleague = server.phone.sip.local_udp().port();
    patch_trunk(&server, json!({"accept_refer": true})).await;
    let file = scenario("uac_refer");
    let port = colleague.to_string();
    let uac =
        sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1", "-key", "colleague", &port]));
    let incoming = &mut server.incoming;
    let phone = &server.phone;
    let answer = async {
        let call = tokio::time::timeout(Duration::from_secs(20), incoming.recv()).await;
        let call = call.ok().flatten().expect("the colleague is not called");
        let number = call.incoming.request_uri.user_plain();
        let script = CallScript::parse("pause 500; say hello; listen; hangup").unwrap();
        (number, phone.answer(call, &script, None).await)
    };
    let (output, (number, report)): (_, (_, CallReport)) = tokio::join!(uac, answer);
    passed(&output);
    assert_eq!(number.as_deref(), Some("+15550123"));
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    let said = lines(&call);
    assert!(said.iter().any(|line| line.starts_with("user: Hello")), "the conversation goes on: {said:?}");
    assert_eq!(call["end_reason"], json!("customer_hung_up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_is_declined_unless_the_trunk_allows_it() {
    let server = Server::start().await;
    let file = scenario("uac_refer");
    let refused =
        sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1", "-key", "colleague", "9"]))
            .await;
    assert!(!refused.status.success());
    let call = server.get("/calls?limit=1").await["calls"][0].clone();
    assert_eq!(call["to_number"], json!(NUMBER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirection_is_followed_where_the_trunk_allows_it() {
    for follow in [true, false] {
        let mut server = Server::start().await;
        let (port, colleague) = (free_port(), server.phone.sip.local_udp().port());
        patch_trunk(&server, json!({"host": "127.0.0.1", "port": port, "follow_redirects": follow})).await;
        let call = async {
            listens(port).await;
            dial(&server, json!({})).await;
        };
        let (output, ()) = tokio::join!(peer("uas_redirect", port, colleague), call);
        passed(&output);
        if follow {
            let call = server.incoming.recv().await.unwrap();
            assert_eq!(call.incoming.request_uri.user_plain().as_deref(), Some("+15550177"));
            server.phone.answer(call, &CallScript::parse("pause 200; hangup").unwrap(), None).await;
        }
        let call = server.last_call().await;
        let status = if follow { json!(null) } else { json!(302) };
        assert_eq!(call["signalling"]["sip_status"], status, "what was answered ended normally: {call}");
        assert_eq!(call["status"], json!(if follow { "completed" } else { "failed" }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_networks_cause_names_the_end() {
    let server = Server::start().await;
    let port = free_port();
    patch_trunk(&server, json!({"host": "127.0.0.1", "port": port})).await;
    let call = async {
        listens(port).await;
        dial(&server, json!({})).await;
        server.last_call().await
    };
    let (output, call) = tokio::join!(peer("uas_busy_q850", port, 0), call);
    passed(&output);
    assert_eq!(call["end_reason"], json!("busy"));
    let wanted = json!({"sip_status": 480, "sip_reason": "Temporarily Unavailable", "q850_cause": 17, "reason_text": "User busy"});
    assert_eq!(call["signalling"], wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_a_task_arrive_and_a_trunk_shows_who_calls_as_it_is_told() {
    let mut server = Server::start().await;
    let rules = json!({
        "from_user": "account", "from_domain": "carrier.example", "identity_header": "p_asserted_identity",
        "diversion": "+15550111", "headers": {"X-Account": "7"}, "denied_destinations": ["+1900"],
    });
    patch_trunk(&server, rules).await;
    dial(&server, json!({"sip_headers": {"X-Ticket": "T-42"}})).await;
    let call = server.incoming.recv().await.unwrap();
    let header = |name: &str| {
        let found = call.incoming.headers.iter().find(|header| header.name.as_str().eq_ignore_ascii_case(name));
        found.map(|header| header.value.to_string()).unwrap_or_default()
    };
    assert_eq!((header("X-Ticket"), header("X-Account")), ("T-42".into(), "7".into()));
    assert_eq!(call.incoming.from.uri.to_string(), "sip:account@carrier.example");
    assert_eq!(header("P-Asserted-Identity"), format!("<sip:{NUMBER}@carrier.example>"));
    assert_eq!(header("Diversion"), "<sip:+15550111@carrier.example>;reason=unconditional");
    server.phone.answer(call, &CallScript::parse("pause 200; hangup").unwrap(), None).await;
    let denied = json!({"agent_id": server.agent, "to_number": "+19005550100"});
    let task = server.post("/tasks", denied).await["task"]["id"].as_str().unwrap().to_owned();
    let (status, body) = server.send("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("to_number")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_hear_ringing_and_an_announcement_before_the_answer() {
    let server = Server::start().await;
    let ringing = json!({"ring_ms": 1_500, "announcement": "This call may be recorded."});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"ringing": ringing}))).await;
    let file = scenario("uac_early");
    passed(&sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1"])).await);
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("customer_hung_up")), "{call}");
    let at = |name: &str| call[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let waited = at("answered_at").duration_since(at("started_at"));
    assert!(waited.as_millis() > 2_000, "the answer waits for the announcement: {waited:?}");
    let said = lines(&call);
    assert!(said.iter().all(|line| !line.contains("recorded")), "it is no part of the conversation: {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_give_up_while_it_rings() {
    let server = Server::start().await;
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"ringing": {"ring_ms": 20_000}}))).await;
    let file = scenario("uac_cancel");
    passed(&sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1"])).await);
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("canceled")), "{call}");
    assert_eq!(call["recording_available"], json!(false));
}

/// sipp is called; how its scenario went.
async fn called(name: &str, trunk: Value) {
    let server = Server::start().await;
    let port = free_port();
    let mut fields = json!({"host": "127.0.0.1", "port": port});
    fields.as_object_mut().unwrap().extend(trunk.as_object().unwrap().clone());
    patch_trunk(&server, fields).await;
    let call = async {
        listens(port).await;
        dial(&server, json!({})).await;
        server.last_call().await
    };
    let (output, call) = tokio::join!(peer(name, port, 0), call);
    passed(&output);
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("customer_hung_up")), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_makes_the_offer_where_the_trunk_wants_that() {
    called("uas_delayed", json!({"delayed_offer": true})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_fork_that_answers_is_hung_up() {
    called("uas_forked", json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn min_se_raises_the_session_interval() {
    called("uas_422", json!({})).await;
    let server = Server::start().await;
    let file = scenario("uac_422");
    passed(&sipp(server.folder.path(), arguments(&server, "u1", &["-sf", &file, "-m", "1"])).await);
    assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
}
