//! The API as a customer reads it: success and refusals, on both mounts.

use super::support::{NUMBER, Server, agent, strict, until};
use serde_json::{Value, json};
use std::time::Instant;

async fn refusal(server: &Server, method: &str, path: &str, body: Option<Value>) -> (u16, String, String) {
    let (status, body) = server.send(method, path, body).await;
    assert_eq!(body["success"], json!(false), "{method} {path}: {body}");
    let details = &body["details"];
    let name = |field: &str| details[field].as_str().unwrap_or("").to_owned();
    (status, name("code"), name("field"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bare_body_is_what_the_envelope_carries() {
    let server = Server::start().await;
    let bare = |path: &str| format!("http://{}/v1{path}", server.app.api_addr);
    for path in [
        "/agents".to_owned(),
        format!("/agents/{}", server.agent),
        "/tasks".into(),
        "/calls".into(),
        "/trunks".into(),
        "/phone-numbers".into(),
    ] {
        let (_, enveloped) = server.send("GET", &path, None).await;
        let body: Value =
            server.http.get(bare(&path)).bearer_auth(&server.key).send().await.unwrap().json().await.unwrap();
        assert_eq!(enveloped["data"], body, "{path}");
        assert!(enveloped["meta"]["timestamp"].is_string() && enveloped["meta"]["request_id"].is_string());
    }
    let response = server.http.get(bare("/agents/none")).bearer_auth(&server.key).send().await.unwrap();
    assert_eq!(response.status(), 404);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({"error": "Agent not found", "details": {"code": "not_found"}}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_plain_and_needs_no_key() {
    let server = Server::start().await;
    for path in ["/health", "/v1/health", "/api/v1/health"] {
        let url = format!("http://{}{path}", server.app.api_addr);
        let body: Value = server.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(body["status"], json!("ok"));
        assert_eq!(body["checks"]["database"]["status"], json!("ok"));
        assert!(
            body["checks"]["database"]["latency_ms"].is_i64()
                && body["version"].is_string()
                && body["timestamp"].is_string()
        );
        assert_eq!(body.as_object().unwrap().len(), 4);
    }
    let metrics = server.http.get(format!("http://{}/metrics", server.app.api_addr)).send().await.unwrap();
    assert_eq!(
        (metrics.status().as_u16(), metrics.headers()["content-type"].to_str().unwrap()),
        (200, "text/plain; version=0.0.4")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_apart_live_and_ready() {
    let server = Server::start().await;
    let ask = async |path: &str| -> (u16, Value) {
        let url = format!("http://{}{path}", server.app.api_addr);
        let answer = server.http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    };
    for mount in ["", "/v1", "/api/v1"] {
        let (status, body) = ask(&format!("{mount}/health/live")).await;
        assert_eq!((status, body), (200, json!({"status": "ok", "part": null})));
        let (status, body) = ask(&format!("{mount}/health/ready")).await;
        assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
        for part in ["database", "sip", "journal", "node"] {
            assert_eq!(body["checks"][part]["status"], json!("ok"), "{body}");
        }
    }
    // However often it is asked, the endpoint answers two questions a second.
    let services = &server.app.services;
    let before = services.sip.snapshot().await.unwrap().counters.received;
    let began = Instant::now();
    for _ in 0..20 {
        let asked = (0..20).map(|_| ask("/health"));
        assert!(futures_util::future::join_all(asked).await.iter().all(|(status, _)| *status == 200));
    }
    let asked = services.sip.snapshot().await.unwrap().counters.received - before;
    let most = 3 + began.elapsed().as_millis() as u64 / 400;
    assert!(asked <= most, "{asked} questions, {most} at most");
    // It drains: alive, and not ready.
    services.supervisor.stop();
    let (status, body) = ask("/health/ready").await;
    assert_eq!((status, &body["status"]), (503, &json!("draining")));
    assert_eq!(ask("/health").await.0, 200);
    // The database is gone: alive, degraded, and every other check says what it says.
    services.store.close().await;
    let body = until("the check runs again", || async {
        let (status, body) = ask("/health").await;
        (status == 503).then_some(body)
    })
    .await;
    assert_eq!(body["status"], json!("degraded"));
    assert_eq!(
        (&body["checks"]["database"]["status"], &body["checks"]["sip"]["status"]),
        (&json!("error"), &json!("ok"))
    );
    assert_eq!(ask("/health/live").await.0, 200);
    // The supervisor gives up a part: the process must be restarted.
    services.supervisor.give_up("test", "on purpose");
    assert_eq!(ask("/health/live").await, (503, json!({"status": "failed", "part": "test"})));
    assert_eq!(server.app.failed().await.part, "test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_needed_and_request_ids_travel() {
    let server = Server::start().await;
    let url = server.url("/agents");
    for key in ["", "va_wrong", "nonsense"] {
        let response = server.http.get(&url).bearer_auth(key).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("x-request-id"));
    }
    let mine = "7b2f5c1e-3f0a-4e55-9d57-2f7f7a1f2b11";
    let response = server.http.get(&url).bearer_auth(&server.key).header("x-request-id", mine).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], mine);
    assert_eq!(response.json::<Value>().await.unwrap()["meta"]["request_id"], json!(mine));
    let response =
        server.http.get(&url).bearer_auth(&server.key).header("x-request-id", "not a uuid").send().await.unwrap();
    assert_ne!(response.headers()["x-request-id"], "not a uuid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_made_changed_and_deleted_under_both_names() {
    let server = Server::start().await;
    let (status, made) = server
        .send(
            "POST",
            "/agents",
            Some(json!({"name": "B", "starting_message": "Hi", "enabled": false, "webhook_secret": "s"})),
        )
        .await;
    assert_eq!(status, 201);
    let made = made["data"]["agent"].clone();
    for (name, value) in [
        ("first_message", json!("Hi")),
        ("starting_message", json!("Hi")),
        ("is_active", json!(false)),
        ("enabled", json!(false)),
        ("webhook_secret_set", json!(true)),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    assert!(made.get("webhook_secret").is_none());
    let path = format!("/agents/{}", made["id"].as_str().unwrap());
    let (status, changed) =
        server.send("PATCH", &path, Some(json!({"first_message": null, "max_duration_seconds": 900}))).await;
    assert_eq!((status, &changed["data"]["agent"]["first_message"]), (200, &Value::Null));
    assert_eq!(server.get("/agents?enabled=false").await["total"], json!(1));
    let (status, deleted) = server.send("DELETE", &path, None).await;
    assert_eq!((status, &deleted["success"], deleted.get("data")), (200, &json!(true), None));
    assert_eq!(server.send("GET", &path, None).await.0, 404);
}

fn agent_with(name: &str, value: Value) -> Value {
    let mut body = agent();
    body[name] = value;
    body
}

fn agent_with_tool(tool: Value) -> Value {
    agent_with("llm_config", json!({"provider": "openai", "model": "x", "tools": [tool]}))
}

/// Agents with one fault, and its field.
fn faulty_agents() -> Vec<(Value, &'static str)> {
    let with = agent_with;
    vec![
        (json!({}), "name"),
        (with("nmae", json!("x")), "nmae"),
        (with("max_duration_seconds", json!(1)), "max_duration_seconds"),
        (with("llm_config", json!({"provider": "skynet", "model": "x"})), "llm_config.provider"),
        (with("llm_config", json!({"provider": "openai", "model": "x", "temperature": 3})), "llm_config.temperature"),
        (
            with("tts_config", json!({"provider": "openai", "voice_id": "x", "language": "en", "pitch": 1})),
            "tts_config.pitch",
        ),
        (with("notification_email", json!("nobody")), "notification_email"),
        (with("starting_message", json!("other")), "starting_message"),
        (with("turn_config", json!({"silence_ms": 50_000})), "turn_config.silence_ms"),
        (
            with("dtmf_rules", json!({"rules": [{"digits": "x", "action": "say", "text": "y"}]})),
            "dtmf_rules.rules[0].digits",
        ),
    ]
}

/// Agents that contradict themselves, or whose parts are wrong.
fn agents_with_faulty_parts() -> Vec<(Value, &'static str)> {
    let (with, tool) = (agent_with, agent_with_tool);
    vec![
        (
            with("dtmf_rules", json!({"rules": [{"digits": "3", "action": "tool", "tool": "find"}]})),
            "dtmf_rules.rules[0].tool",
        ),
        (
            with("dtmf_rules", json!({"rules": [{"digits": "1#2", "action": "end_call"}], "terminator": "#"})),
            "dtmf_rules.rules[0].digits",
        ),
        (
            with("dtmf_rules", json!({"rules": [{"digits": "1", "action": "transfer", "target": "reception"}]})),
            "dtmf_rules.rules[0].target",
        ),
        (
            with("dtmf_rules", json!({"rules": [{"digits": "1", "action": "end_call", "target": "+31201234567"}]})),
            "dtmf_rules.rules[0].target",
        ),
        (
            tool(json!({"function": {"name": "f", "parameters": {"type": "objekt"}}})),
            "llm_config.tools[0].function.parameters",
        ),
        (
            tool(json!({"function": {"name": "f", "parameters": {"properties": 5}}})),
            "llm_config.tools[0].function.parameters",
        ),
        (tool(json!({"type": "mcp", "server_url": "tools"})), "llm_config.tools[0].server_url"),
        (tool(json!({"type": "mcp", "server_url": "https://10.0.0.1/mcp"})), "llm_config.tools[0].server_url"),
        (tool(json!({"type": "magic"})), "llm_config.tools[0].type"),
        (
            with("transfer_config", json!({"destinations": [{"name": "a", "target": "reception"}]})),
            "transfer_config.destinations[0].target",
        ),
        (with("silence_config", json!({"fillers": ["One moment.", " "]})), "silence_config.fillers[1]"),
        (with("background", json!({"sound": "office", "level_db": 40})), "background.level_db"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_names_the_field() {
    let server = Server::start_with(strict).await;
    for (body, field) in [faulty_agents(), agents_with_faulty_parts()].concat() {
        assert_eq!(refusal(&server, "POST", "/agents", Some(body)).await, (400, "invalid_field".into(), field.into()));
    }
    for (body, field) in [
        (json!({"to_number": "+15550199"}), "agent_id"),
        (json!({"agent_id": server.agent, "to_number": "555"}), "to_number"),
        (json!({"agent_id": server.agent, "to_number": "+15550199", "webhook_url": "http://x.example"}), "webhook_url"),
        (json!({"agent_id": server.agent, "to_number": "+15550199", "webhook_events": ["x"]}), "webhook_events"),
        (json!({"agent_id": server.agent, "to_number": "+15550199", "scheduled_at": "soon"}), "scheduled_at"),
    ] {
        assert_eq!(refusal(&server, "POST", "/tasks", Some(body)).await, (400, "invalid_field".into(), field.into()));
    }
    let bad = json!({"name": "T", "allowed_addresses": ["carrier.example"]});
    assert_eq!(refusal(&server, "POST", "/trunks", Some(bad)).await.2, "allowed_addresses");
    let taken = json!({"number": NUMBER});
    assert_eq!(refusal(&server, "POST", "/phone-numbers", Some(taken)).await.1, "already_exists");
    assert_eq!(refusal(&server, "GET", "/calls?status=ringing", None).await.2, "status");
    assert_eq!(refusal(&server, "GET", "/agents?limit=1000", None).await.2, "limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_itself_is_kept() {
    let server = Server::start().await;
    let request = || server.http.post(server.url("/agents")).bearer_auth(&server.key);
    let large = request().header("content-type", "application/json").body(vec![b' '; 2 << 20]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    assert_eq!(request().body("name=x").send().await.unwrap().status(), 415);
    assert_eq!(request().header("content-type", "application/json").body("{").send().await.unwrap().status(), 400);
    let wrong = server.http.put(server.url("/agents")).bearer_auth(&server.key).send().await.unwrap();
    assert_eq!(wrong.status(), 405);
    assert!(wrong.headers()["allow"].to_str().unwrap().contains("GET"));
    assert_eq!(refusal(&server, "GET", "/nothing", None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_never_see_each_other() {
    let server = Server::start().await;
    let other = server
        .app
        .services
        .store
        .bootstrap("Other", "other@example.com", "x")
        .await
        .unwrap()
        .key
        .text
        .expose()
        .to_owned();
    let paths = [format!("/agents/{}", server.agent), format!("/trunks/{}", server.trunk)];
    for path in paths {
        for method in ["GET", "PATCH", "DELETE"] {
            let request =
                server.http.request(method.parse().unwrap(), server.url(&path)).bearer_auth(&other).json(&json!({}));
            assert_eq!(request.send().await.unwrap().status(), 404, "{method} {path}");
        }
    }
    let list: Value =
        server.http.get(server.url("/agents")).bearer_auth(&other).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["data"]["total"], json!(0));
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let response = server.http.post(server.url("/tasks")).bearer_auth(&other).json(&task).send().await.unwrap();
    assert_eq!(response.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_refused_where_it_cannot_be_called() {
    let server = Server::start_with(|config| config.providers.anthropic.api_key = None).await;
    let mut other = agent();
    other["llm_config"] = json!({"provider": "anthropic", "model": "claude"});
    let other = server.post("/agents", other).await["agent"]["id"].clone();
    let task = server.post("/tasks", json!({"agent_id": other, "to_number": "+15550199"})).await["task"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let refused = refusal(&server, "POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await;
    assert_eq!(refused, (503, "provider_not_configured".into(), String::new()));
    assert_eq!(refusal(&server, "POST", &format!("/tasks/{task}/reset"), Some(json!({}))).await.1, "invalid_state");
    assert_eq!(
        refusal(&server, "DELETE", &format!("/agents/{}", other.as_str().unwrap()), None).await.1,
        "invalid_state"
    );
    assert_eq!(server.send("DELETE", &format!("/tasks/{task}"), None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_served_in_ranges() {
    let server = Server::start().await;
    server.call("listen; hangup").await;
    let call = server.last_call().await;
    let id = call["id"].as_str().unwrap();
    let (caller, _) = server.recording(id).await;
    assert!(caller.len() > 8_000);
    let located = server.get(&format!("/calls/{id}/recording")).await;
    let url = located["recording_url"].as_str().unwrap();
    let part = server.http.get(url).bearer_auth(&server.key).header("range", "bytes=0-3").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap().starts_with("bytes 0-3/")),
        (206, true)
    );
    assert_eq!(part.bytes().await.unwrap(), "RIFF");
    let beyond = server.http.get(url).bearer_auth(&server.key).header("range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(server.http.get(url).send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_so_many_requests_a_minute() {
    // Three requests set the server up.
    let server = Server::start_with(|config| config.api.rate_limit_per_minute = 6).await;
    let ask = async |mount: &str| {
        let url = format!("http://{}{mount}/agents", server.app.api_addr);
        let response = server.http.get(url).bearer_auth(&server.key).send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let headers = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"].map(header);
        (response.status().as_u16(), headers, response.json::<Value>().await.unwrap())
    };
    for (mount, left) in [("/api/v1", "2"), ("/v1", "1"), ("/api/v1", "0")] {
        let (status, [limit, remaining, reset, retry], _) = ask(mount).await;
        assert_eq!((status, limit.as_deref(), remaining.as_deref()), (200, Some("6"), Some(left)));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let reset: u64 = reset.unwrap().parse().unwrap();
        assert!((now + 40..=now + 61).contains(&reset), "{reset} at {now}");
        assert_eq!(retry, None);
    }
    for mount in ["/api/v1", "/v1"] {
        let (status, [_, remaining, _, retry], body) = ask(mount).await;
        assert_eq!((status, remaining.as_deref(), &body["details"]["code"]), (429, Some("0"), &json!("rate_limited")));
        assert!((40..=60).contains(&retry.unwrap().parse::<u64>().unwrap()));
    }
    // Health needs no key and is not counted.
    let health = server.http.get(server.url("/health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert!(health.headers().get("x-ratelimit-limit").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_made_what_it_was_before() {
    let server = Server::start().await;
    let agent = format!("/agents/{}", server.agent);
    for greeting in ["Hello.", "Good evening."] {
        server.send("PATCH", &agent, Some(json!({"first_message": greeting, "webhook_secret": "abc"}))).await;
    }
    let versions = server.get(&format!("{agent}/versions")).await;
    let greetings: Vec<&str> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["agent"]["first_message"].as_str().unwrap())
        .collect();
    assert_eq!(
        (greetings, &versions["total"]),
        (vec!["Good evening.", "Hello.", "Good morning, this is Acme."], &json!(3))
    );
    let restored = server.post(&format!("{agent}/versions/2/restore"), json!({})).await;
    assert_eq!(restored["agent"]["first_message"], "Hello.");
    assert_eq!(server.get(&agent).await["agent"]["webhook_secret_set"], true);
    let versions = server.get(&format!("{agent}/versions?limit=1")).await;
    assert_eq!((&versions["versions"][0]["version"], &versions["total"]), (&json!(4), &json!(4)));
    // Only the last two hundred are kept.
    for _ in 0..199 {
        server.send("PATCH", &agent, Some(json!({"first_message": "Again."}))).await;
    }
    let versions = server.get(&format!("{agent}/versions?limit=1")).await;
    assert_eq!((&versions["versions"][0]["version"], &versions["total"]), (&json!(203), &json!(200)));
    assert_eq!(server.send("POST", &format!("{agent}/versions/1/restore"), None).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_found_by_words_numbers_and_time() {
    let server = Server::start().await;
    server.call("listen; say opening_hours; listen; hangup").await;
    let call = server.last_call().await;
    let found = async |query: &str| server.get(&format!("/calls?{query}")).await["total"].as_i64().unwrap();
    for query in [
        "q=OPENING%20hours",
        "q=31201234567",
        "direction=inbound",
        "end_reason=customer_hung_up",
        "started_after=2020-01-01T00:00:00Z",
    ] {
        assert_eq!(found(query).await, 1, "{query}");
    }
    assert_eq!(found(&format!("q={}", call["id"].as_str().unwrap())).await, 1);
    for query in
        ["q=%25", "q=_", "q=unheard%20of", "direction=web", "end_reason=busy", "started_before=2020-01-01T00:00:00Z"]
    {
        assert_eq!(found(query).await, 0, "{query}: a pattern is a text");
    }
    let (status, refused) = server.send("GET", "/calls?q=%20", None).await;
    assert_eq!((status, &refused["details"]["field"]), (400, &json!("q")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_asked_whether_it_is_there() {
    let server = Server::start().await;
    let there = server.post(&format!("/trunks/{}/test", server.trunk), json!({})).await;
    assert_eq!((&there["reachable"], &there["sip_status"]), (&json!(true), &json!(200)), "{there}");
    let receives = server.post("/trunks", json!({"name": "In", "allowed_addresses": ["192.0.2.1"]})).await;
    let silent = server.post("/trunks", json!({"name": "Silent", "host": "127.0.0.1", "port": 9})).await;
    for trunk in [receives, silent] {
        let health = server.post(&format!("/trunks/{}/test", trunk["trunk"]["id"].as_str().unwrap()), json!({})).await;
        assert_eq!((&health["reachable"], health["problem"].is_string()), (&json!(false), true), "{health}");
    }
}
