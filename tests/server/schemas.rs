//! Schemas and documents of hostile customers, of their servers and of tool servers: refused or left out by name, while
//! everything else goes on.

use super::conversation::rule;
use super::support::{CustomerServer, Server, agent, at_once, lines, until};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// References in a row.
fn chain(length: usize) -> Value {
    let mut all: Map<String, Value> =
        (0..length - 1).map(|at| (at.to_string(), json!({"$ref": format!("#/$defs/{}", at + 1)}))).collect();
    all.insert((length - 1).to_string(), json!({"type": "object"}));
    json!({"type": "object", "$defs": all, "$ref": "#/$defs/0"})
}

/// Twice as many ways at each level.
fn diamond(levels: usize) -> Value {
    let mut all: Map<String, Value> = (0..levels)
        .map(|at| (at.to_string(), json!({"allOf": vec![json!({"$ref": format!("#/$defs/{}", at + 1)}); 2]})))
        .collect();
    all.insert(levels.to_string(), json!({}));
    json!({"type": "object", "$defs": all, "$ref": "#/$defs/0"})
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({"type": "object", "not": inner}))
}

/// Hostile schemas, each with a part of what is said about it.
fn hostile() -> Vec<(Value, &'static str)> {
    let patterns: Map<String, Value> =
        (0..300).map(|at| (at.to_string(), json!({"pattern": format!("^(a{{1,40}}b?){{1,40}}{at}$")}))).collect();
    let wide = json!({"type": "object", "properties": (0..4_000).map(|at| (at.to_string(), json!({}))).collect::<Map<_, _>>()});
    vec![
        (chain(1_500), "references"),
        (chain(100), "more than 32 references and combinators"),
        (diamond(20), "more than 5000 subschemas"),
        (diamond(40), "more than 5000 subschemas"),
        (json!({"type": "object", "unevaluatedProperties": false, "$ref": "#"}), "refers to itself"),
        (json!({"type": "object", "unevaluatedItems": false, "allOf": [{"$ref": "#"}]}), "refers to itself"),
        (json!({"type": "object", "$dynamicRef": "#"}), "refers to itself"),
        (
            json!({"type": "object", "$recursiveRef": "#", "$schema": "https://json-schema.org/draft/2019-09/schema"}),
            "refers to itself",
        ),
        (nested(34), "nested more than 64 levels|more than 32"),
        (json!({"type": "object", "properties": patterns}), "patterns"),
        (json!({"type": "object", "properties": {"a": {"pattern": "(?=(a+))\\1"}}}), "lookaround"),
        (json!({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}), "another document"),
        (json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}), "another document"),
        (json!({"type": "object", "$schema": "https://example.com/own"}), "$schema must be"),
        (wide, "more than 3000 subschemas"),
        (json!({"type": "object", "enum": vec![json!({}); 12_000]}), "more than 10000 values"),
        (json!({"type": "object", "properties": {"a": {"minLength": -1}}}), "is not a JSON schema"),
    ]
}

/// Asks for `/health` all the time, as a load balancer does.
struct HealthPoller {
    stop: Arc<AtomicBool>,
    slowest_ms: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl HealthPoller {
    fn start(server: &Server) -> Self {
        let (stop, slowest_ms) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let url = format!("http://{}/health", server.app.api_addr);
        let (http, stopped, slowest) = (server.http.clone(), stop.clone(), slowest_ms.clone());
        let task = tokio::spawn(async move {
            let mut turns = tokio::time::interval(Duration::from_millis(20));
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !stopped.load(Ordering::Relaxed) {
                turns.tick().await;
                let began = Instant::now();
                let answer = http.get(&url).timeout(Duration::from_secs(10)).send().await;
                assert!(answer.is_ok_and(|answer| answer.status() == 200), "the server does not answer");
                slowest.fetch_max(began.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
        });
        Self { stop, slowest_ms, task }
    }

    /// The outermost guard: what froze the server took for ever, and a slow machine does not take this long.
    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        let slowest = self.slowest_ms.load(Ordering::Relaxed);
        assert!(slowest < 5_000, "/health took {slowest} ms");
    }
}

fn with_parameters(schema: &Value) -> Value {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    json!({"llm_config": {"provider": "openai", "model": "m", "tools": [tool]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_schema_is_refused_by_name_wherever_it_is_saved() {
    let server = Server::start().await;
    let watch = HealthPoller::start(&server);
    let path = format!("/agents/{}", server.agent);
    for (schema, wanted) in hostile() {
        let plan = json!({"analysis_plan": {"structured_data_plan": schema}});
        for (block, field) in [
            (with_parameters(&schema), "llm_config.tools[0].function.parameters"),
            (plan, "analysis_plan.structured_data_plan"),
        ] {
            let mut new = agent();
            new.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
            for (method, path, body) in [("POST", "/agents", new), ("PATCH", path.as_str(), block)] {
                let (status, answer) = server.send(method, path, Some(body)).await;
                let text = answer.to_string();
                assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{method} {wanted}: {text}");
                assert!(
                    wanted.split('|').any(|one| text.contains(one)) || text.contains("65536 bytes"),
                    "{wanted}: {text}"
                );
                assert!(text.len() < 2_000, "{} bytes", text.len());
            }
        }
    }
    // The place is said.
    let deep = json!({"type": "object", "properties": {"a/b": {"items": {"pattern": "["}}}});
    let (_, answer) = server.send("PATCH", &path, Some(with_parameters(&deep))).await;
    assert!(answer["error"].as_str().unwrap_or_default().contains("/properties/a~1b/items/pattern"), "{answer}");
    // Request bodies have separate limits.
    for body in [
        format!("{{\"metadata\":{}1{}}}", "[".repeat(90), "]".repeat(90)),
        format!("{{\"metadata\":[{}1]}}", "1,".repeat(110_000)),
    ] {
        let request =
            server.http.patch(server.url(&path)).bearer_auth(&server.key).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains("invalid_json"));
    }
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_schema_in_a_webhooks_answer_leaves_the_saved_block() {
    let server = Server::start().await;
    let watch = HealthPoller::start(&server);
    // A call takes seconds: one of each kind.
    for (schema, wanted) in hostile().into_iter().step_by(3) {
        let mut assistant = with_parameters(&schema);
        assistant["first_message"] = json!("I am made up.");
        assistant["analysis_plan"] = json!({"structured_data_plan": schema});
        let answer = json!({"assistant": assistant});
        let receiver = CustomerServer::start(move |told| match told.path.as_str() {
            "/assistant-request" => at_once(&answer),
            _ => at_once(&json!({})),
        })
        .await;
        let path = format!("/agents/{}", server.agent);
        server.send("PATCH", &path, Some(json!({"webhook_url": receiver.url}))).await;
        let report = server.call("listen; hangup").await;
        assert_eq!(report.failure, None);
        let call = server.last_call().await;
        assert_eq!(lines(&call)[0], "assistant: I am made up.");
        let faults = call["metrics"]["assistant_request"]["faults"].to_string();
        assert!(faults.contains("llm_config.tools[0].function.parameters: "), "{wanted}: {faults}");
        assert!(faults.contains("analysis_plan.structured_data_plan: "), "{wanted}: {faults}");
        assert!(wanted.split('|').any(|one| faults.contains(one)), "{wanted}: {faults}");
    }
    watch.end().await;
}

/// A tool server that lists the given tools, on pages without end.
async fn tool_server(tools: Vec<Value>) -> String {
    use axum::Json;
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Response};
    let tools = Arc::new(tools);
    let handle = async move |Json(asked): Json<Value>| -> Response {
        let result = match asked["method"].as_str().unwrap_or_default() {
            "initialize" => {
                json!({"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "hostile", "version": "1"}})
            }
            "tools/list" => json!({"tools": *tools, "nextCursor": "more"}),
            "tools/call" => json!({"content": [{"type": "text", "text": "four chairs"}]}),
            _ if asked.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
            _ => return StatusCode::BAD_REQUEST.into_response(),
        };
        Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/mcp", axum::routing::post(handle));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_tools_of_a_tool_server_are_left_out() {
    let tool =
        |name: String, schema: &Value| json!({"name": name, "description": "x".repeat(20_000), "inputSchema": schema});
    let mut tools: Vec<Value> = hostile()
        .iter()
        .filter(|(schema, wanted)| schema.to_string().len() < 100_000 && *wanted != "lookaround")
        .enumerate()
        .map(|(at, (schema, _))| tool(format!("bad{at}"), schema))
        .collect();
    tools.push(tool(
        "stock".to_owned(),
        &json!({"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]}),
    ));
    let url = tool_server(tools).await;
    let mut script = trunkline_lab::emulator::ReplyScript::default();
    script.0.insert(0, rule(&["opening hours"], "Let me look.", Some(("stock", json!({"article": "chairs"})))));
    script.0.insert(1, rule(&["human"], "Let me see.", Some(("bad0", json!({})))));
    script.0.insert(2, rule(&["order"], "One moment.", Some(("stock", json!({"article": {"x": 1}})))));
    let server = Server::start_scripted(script, |_| {}).await;
    let watch = HealthPoller::start(&server);
    let model = json!({"provider": "openai", "model": "m", "tools": [{"type": "mcp", "server_url": url}]});
    let (status, answer) =
        server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"llm_config": model}))).await;
    assert_eq!(status, 200, "{answer}");
    let caller = "listen; say opening_hours; listen; say speak_to_human; listen; say where_is_my_order; listen; hangup";
    assert_eq!(server.call(caller).await.failure, None);
    let call = server.last_call().await;
    let said = lines(&call);
    assert!(said.contains(&"tool: stock: four chairs".to_owned()), "{said:?}");
    // The emulated model calls what it is offered: it would have called this one.
    assert!(!said.iter().any(|line| line.starts_with("tool: bad")), "{said:?}");
    let misfit = "tool: stock: error: the arguments do not fit: article: {\"x\":1} is not of type \"string\"";
    assert!(said.contains(&misfit.to_owned()), "{said:?}");
    assert!(call["metrics"].to_string().contains("tool_server_schema"), "{}", call["metrics"]);
    watch.end().await;
}

/// The server answers plain JSON, and describes its tool at a length that the model's server refuses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_description_of_a_tool_server_is_cut_before_a_strict_model_sees_it() {
    let schema = json!({"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]});
    let description = "Says how many of an article there are. ".repeat(80);
    let url = tool_server(vec![json!({"name": "stock", "description": description, "inputSchema": schema})]).await;
    let mut script = trunkline_lab::emulator::ReplyScript::default();
    script.0.insert(0, rule(&["opening hours"], "Let me look.", Some(("stock", json!({"article": "chairs"})))));
    let server = Server::start_scripted(script, |_| {}).await;
    let model = json!({"provider": "openai", "model": "odd-strict", "tools": [{"type": "mcp", "server_url": url}]});
    let (status, answer) =
        server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"llm_config": model}))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.call("listen; say opening_hours; listen; hangup").await.failure, None);
    let call = server.last_call().await;
    assert!(lines(&call).contains(&"tool: stock: four chairs".to_owned()), "{call}");
    assert_eq!(call["metrics"]["provider_errors"], json!({}), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_was_saved_before_there_were_limits_still_answers() {
    let server = Server::start().await;
    let watch = HealthPoller::start(&server);
    let mut saved = agent();
    let tools = [("bad", diamond(40)), ("good", json!({"type": "object", "required": ["x"]}))];
    let tools = tools.map(|(name, schema)| json!({"function": {"name": name, "parameters": schema}}));
    saved["llm_config"]["tools"] = json!(tools);
    saved["analysis_plan"] = json!({"structured_data_plan": chain(300)});
    let rules =
        json!([{"digits": "1", "action": "tool", "tool": "bad"}, {"digits": "2", "action": "tool", "tool": "good"}]);
    saved["dtmf_rules"] = json!({"rules": rules, "inter_digit_timeout_ms": 200});
    let store = &server.app.services.store;
    let scope = store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let old = store.create_agent(scope, serde_json::from_value(saved).unwrap()).await.unwrap();
    let shown = server.get(&format!("/agents/{}", old.id)).await;
    assert_eq!(shown["agent"]["llm_config"]["tools"].as_array().map(Vec::len), Some(2), "it is shown as it was saved");
    let numbers = server.get("/phone-numbers").await;
    let number = format!("/phone-numbers/{}", numbers["phone_numbers"][0]["id"].as_str().unwrap());
    server.send("PATCH", &number, Some(json!({"agent_id": old.id.to_string()}))).await;
    let report = server.call("listen; dtmf 1; pause 1500; dtmf 2; pause 1500; hangup").await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    let faults = call["metrics"]["schemas"]["faults"].to_string();
    assert!(faults.contains("llm_config.tools[0].function.parameters: "), "{faults}");
    assert!(faults.contains("analysis_plan.structured_data_plan: ") && !faults.contains("tools[1]"), "{faults}");
    let said = lines(&call);
    assert!(said.contains(&"tool: bad: error: there is no tool named bad".to_owned()), "{said:?}");
    let misfit = "tool: good: error: the arguments do not fit: \"x\" is a required property";
    assert!(said.contains(&misfit.to_owned()), "{said:?}");
    let id = call["id"].as_str().unwrap();
    let analysed = until("a report", || async {
        let call = server.get(&format!("/calls/{id}")).await;
        call["call"]["summary"].is_string().then(|| call["call"].clone())
    })
    .await;
    assert!(analysed["summary"].is_string());
    watch.end().await;
}
