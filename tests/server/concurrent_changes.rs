//! Documents that several people change at once, and texts that not every database keeps.

use super::support::{CustomerServer, LoggedInUser, NUMBER, Server, agent, at_once};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_signaling::sip::message::Uri;

/// One document of each kind: its path, the name in the body, and two of its fields with a value for a round.
async fn documents(server: &Server, organization: &str) -> Vec<(String, &'static str, [&'static str; 2])> {
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let numbers = server.get("/phone-numbers").await;
    let number = numbers["phone_numbers"][0]["id"].as_str().unwrap();
    vec![
        (format!("/agents/{}", server.agent), "agent", ["description", "business_name"]),
        (format!("/tasks/{task}"), "task", ["description", "name"]),
        (format!("/trunks/{}", server.trunk), "trunk", ["name", "diversion"]),
        (format!("/phone-numbers/{number}"), "phone_number", ["name", "webhook_url"]),
        (format!("/organizations/{organization}"), "organization", ["name", "max_minutes_per_day"]),
    ]
}

/// What a field is set to in a round.
fn value(field: &str, round: u32) -> Value {
    match field {
        "diversion" => json!(format!("+1555010{round:04}")),
        "webhook_url" => json!(format!("https://example.com/{round}")),
        "max_minutes_per_day" => json!(round + 1),
        _ => json!(format!("{field} {round}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_different_fields_at_once_all_hold() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let organization = owner.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned();
    for (path, kind, fields) in documents(&server, &organization).await {
        for round in 0..15 {
            let change =
                async |field: &str| owner.send("PATCH", &path, Some(json!({field: value(field, round)}))).await;
            let (one, other) = tokio::join!(change(fields[0]), change(fields[1]));
            assert_eq!((one.0, other.0), (200, 200), "{path}: {} {}", one.1, other.1);
            let stored = owner.done("GET", &path, None).await[kind].clone();
            for field in fields {
                assert_eq!(stored[field], value(field, round), "{path} lost {field} in round {round}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_large_document_wait_for_each_other_and_a_flood_of_them_is_refused() {
    let server = Server::start().await;
    let path = format!("/agents/{}", server.agent);
    let property = |n: usize| (format!("field_{n}"), json!({"type": "string", "description": "x".repeat(400)}));
    let schema: serde_json::Map<String, Value> = (0..100).map(property).collect();
    let plan = json!({"structured_data_plan": {"type": "object", "properties": schema}});
    let (status, answer) = server.send("PATCH", &path, Some(json!({"analysis_plan": plan}))).await;
    assert_eq!(status, 200, "{answer}");
    let before = server.get(&format!("{path}/versions")).await["total"].as_i64().unwrap();
    let change = async |n: u32| server.send("PATCH", &path, Some(json!({"description": n.to_string()}))).await;
    let answers = futures_util::future::join_all((0..150).map(change)).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    for (status, answer) in &refused {
        assert_eq!((*status, &answer["details"]["limit"]), (429, &json!("large_requests")), "{answer}");
    }
    assert!(done.len() >= 64 && !refused.is_empty(), "{} changes, {} refused", done.len(), refused.len());
    // Each change that was confirmed is there, once.
    let after = server.get(&format!("{path}/versions")).await["total"].as_i64().unwrap();
    assert_eq!(after, (before + done.len() as i64).min(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_one_agent_loses_nothing_and_every_state_is_kept() {
    let server = Server::start().await;
    let path = format!("/agents/{}", server.agent);
    let fields = [
        ("description", json!("d")),
        ("business_name", json!("b")),
        ("system_prompt", json!("s")),
        ("first_message", json!("f")),
        ("voicemail_message", json!("v")),
        ("max_duration_seconds", json!(321)),
        ("recording_enabled", json!(false)),
        ("voicemail_detection", json!(true)),
        ("metadata", json!({"m": 1})),
        ("notification_email", json!("n@example.com")),
        ("turn_config", json!({"silence_ms": 700})),
        ("silence_config", json!({"max_prompts": 1})),
    ];
    let changes = fields.iter().map(|(field, value)| server.send("PATCH", &path, Some(json!({*field: value}))));
    for (status, body) in futures_util::future::join_all(changes).await {
        assert_eq!(status, 200, "{body}");
    }
    let stored = server.get(&path).await["agent"].clone();
    for (field, value) in &fields {
        let same = match value {
            Value::Object(parts) => parts.iter().all(|(name, part)| stored[field][name] == *part),
            plain => stored[field] == *plain,
        };
        assert!(same, "{field} is lost: {}", stored[field]);
    }
    let versions = server.get(&format!("{path}/versions?limit=100")).await;
    assert_eq!(versions["total"], json!(1 + fields.len()), "one version for each change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_from_an_old_state_is_refused_with_both_values() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let organization = owner.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned();
    for (path, kind, fields) in documents(&server, &organization).await {
        let read = owner.request("GET", &path).send().await.unwrap();
        let seen = read.headers()["etag"].to_str().unwrap().to_owned();
        let patch = async |tag: &str, field: &str, round: u32| {
            let body = json!({field: value(field, round)});
            let request = owner.request("PATCH", &path).header("if-match", tag).json(&body);
            let answer = request.send().await.unwrap();
            let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
            (answer.status().as_u16(), tag, answer.json::<Value>().await.unwrap())
        };
        let (status, next, body) = patch(&seen, fields[0], 1).await;
        assert_eq!(status, 200, "{path}: {body}");
        let next = next.unwrap();
        assert_ne!(next, seen, "{path}");
        let (status, _, body) = patch(&seen, fields[0], 2).await;
        assert_eq!((status, &body["details"]["code"]), (412, &json!("precondition_failed")), "{path}: {body}");
        let both = json!({fields[0]: {"current": value(fields[0], 1), "sent": value(fields[0], 2)}});
        assert_eq!(body["details"]["fields"], both, "{path}");
        assert_eq!(body["details"]["current_etag"], json!(next), "{path}");
        let stored = owner.done("GET", &path, None).await[kind].clone();
        assert_eq!(stored[fields[0]], value(fields[0], 1), "{path}: nothing of it was stored");
        assert_eq!(patch(&next, fields[1], 3).await.0, 200, "{path}: the state that is stored");
        assert_eq!(patch("*", fields[1], 4).await.0, 200, "{path}: any state");
        for bad in ["3", "\"3", "W/3"] {
            let (status, _, body) = patch(bad, fields[1], 5).await;
            assert_eq!((status, &body["details"]["field"]), (400, &json!("If-Match")), "{path} {bad}: {body}");
        }
    }
    // Going back to an earlier version is a change like any other.
    let path = format!("/agents/{}/versions/1/restore", server.agent);
    let stale = owner.request("POST", &path).header("if-match", "\"1\"").send().await.unwrap();
    assert_eq!(stale.status(), 412);
    assert_eq!(owner.send("POST", &path, None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_made_by_another_process_is_not_overwritten_from_memory() {
    let server = Server::start().await;
    let services = &server.app.services;
    let path = format!("/agents/{}", server.agent);
    let scope = services.store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let other = trunkline::store::Store::open(services.store.url()).await.unwrap();
    let id = trunkline::domain::ids::AgentId::parse(&server.agent).unwrap();
    for round in 0..5 {
        server.get(&path).await; // remembered here from now on
        let mut theirs = other.stored_agent(scope, id).await.unwrap().unwrap();
        theirs.fields.description = Some(format!("theirs {round}"));
        assert!(other.update_agent(scope, &theirs).await.unwrap());
        let (status, body) = server.send("PATCH", &path, Some(json!({"business_name": format!("{round}")}))).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["data"]["agent"]["description"], json!(format!("theirs {round}")));
    }
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_with_a_nul_are_refused_by_name() {
    let server = Server::start().await;
    for (field, body) in [
        ("name", json!({"name": "a\0b"})),
        ("metadata.k[1].x", json!({"name": "a", "metadata": {"k": [0, {"x": "\0"}]}})),
        ("metadata.a\\u0000b", json!({"name": "a", "metadata": {"a\0b": 1}})),
        ("first_message", json!({"name": "a", "first_message": "Hello\0"})),
        ("a\\u0000", json!({"name": "a", "a\0": 1})),
    ] {
        let (status, answer) = server.send("POST", "/agents", Some(body)).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
    }
    let (status, answer) =
        server.send("POST", "/calls/web", Some(json!({"agent_id": server.agent, "caller": "a\0"}))).await;
    assert_eq!((status, &answer["details"]["field"]), (400, &json!("caller")), "{answer}");
    for query in ["/calls?q=%00", "/agents?enabled=true%00", "/calls?%00=1"] {
        assert_eq!(server.send("GET", query, None).await.0, 400, "{query}");
    }
}

/// Whatever a caller, a customer's server or a model says, the call and its turns are stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_texts_hold_a_nul_are_stored() {
    let rules = json!([{"words": ["hello"], "reply": "Of\u{0}course. What else?"}]);
    let script: trunkline_lab::emulator::ReplyScript = serde_json::from_value(rules).unwrap();
    let server = Server::start_scripted(script, |_| {}).await;
    let hook = CustomerServer::start(|told| match told.path.as_str() {
        "/assistant-request" => {
            at_once(&json!({"assistant": {"first_message": "Hi \0 there.", "metadata": {"n": "a\0b"}}}))
        }
        _ => at_once(&json!({})),
    })
    .await;
    let mut asking = agent();
    asking["webhook_url"] = json!(hook.url);
    let asking = server.post("/agents", asking).await["agent"]["id"].clone();
    server.post("/phone-numbers", json!({"number": "+15550987", "agent_id": asking, "trunk_id": server.trunk})).await;
    let say = trunkline_lab::caller::script::CallScript::parse("listen; say hello; listen").unwrap();
    for (number, from) in [(NUMBER, "abc%00def"), ("+15550987", "+15550100")] {
        let dial = trunkline_lab::caller::softphone::DialParams {
            from: Uri::sip(Some(from), "127.0.0.1", None),
            ..server.dial_to(number, trunkline_signaling::sip::user_agent::Transport::Udp)
        };
        let report = server.phone.dial(&dial, &say, None).await;
        assert!(report.failure.is_none(), "{report:?}");
        let call = server.last_call().await;
        assert_eq!(call["status"], json!("completed"), "{call}");
        assert!(!call["transcript"].as_array().unwrap().is_empty(), "{call}");
        assert!(!call["from_number"].as_str().unwrap().contains('\0'), "{call}");
    }
    hook.wait("/end-of-call-report", 1).await;
    assert!(server.app.services.journal.flush(Duration::from_secs(5)).await);
    assert_eq!(server.get("/calls").await["total"], json!(2));
}
