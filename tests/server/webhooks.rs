//! A customer's server beside real calls: who answers, tools, status, reports, and a receiver that is away.

use super::support::{
    CustomerRequest, CustomerServer, NUMBER, Server, SnapshotFolder, SnapshotMask, agent, at_once, lines, strict, until,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trunkline_lab::emulator::ReplyScript;

const SHORT: &str = "listen; say goodbye; listen";

fn script(rules: Value) -> ReplyScript {
    serde_json::from_value(rules).unwrap()
}

/// Gives the server's agent a webhook and whatever else.
async fn hook(server: &Server, receiver: &CustomerServer, mut changes: Value) {
    changes["webhook_url"] = json!(receiver.url);
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

/// Verifies a signature the way the specification tells receivers to.
pub(super) fn is_signed(one: &CustomerRequest, secret: &[u8]) -> bool {
    let header = |name: &str| one.headers.get(name).cloned().unwrap_or_default();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), one.text).as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header("webhook-signature").split(' ').any(|signature| signature == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_customers_server_chooses_a_hybrid_and_reads_its_metadata_in_every_event() {
    let server = Server::start().await;
    let other = server.post("/agents", json!({"name": "Other", "first_message": "Saved words."})).await;
    let id = other["agent"]["id"].as_str().unwrap().to_owned();
    let answer = json!({"assistant_id": id, "assistant_override": {
        "first_message": "Hello John!", "metadata": {"crm_id": "12345"}, "campaign": "spring",
        "tts_config": {"voice_id": "female-voice"}, "silence_config": {"prompt_after_ms": 1}}});
    let receiver = CustomerServer::start(move |told| match told.path.as_str() {
        "/assistant-request" => at_once(&answer),
        _ => at_once(&json!({})),
    })
    .await;
    hook(&server, &receiver, json!({"webhook_secret": "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0"})).await;
    server
        .send("PATCH", &format!("/agents/{id}"), Some(json!({"webhook_url": receiver.url, "webhook_secret": "other"})))
        .await;
    let report = server.call(SHORT).await;
    assert!(report.failure.is_none(), "{report:?}");
    let call = server.last_call().await;
    assert_eq!(lines(&call)[0], "assistant: Hello John!");
    assert_eq!((&call["agent_id"], &call["metadata"]), (&json!(id), &json!({"crm_id": "12345"})));
    let faults = call["metrics"]["assistant_request"]["faults"].as_array().unwrap();
    assert!(faults.len() == 1 && faults[0].as_str().unwrap().starts_with("silence_config"), "{faults:?}");

    let request = &receiver.wait("/assistant-request", 1).await[0];
    assert!(is_signed(request, b"secret of the test"), "{:?}", request.headers);
    assert_eq!(request.body["type"], json!("assistant-request"));
    assert_eq!(request.body["message_id"], json!(request.headers["webhook-id"]));
    assert_eq!(request.body["call"]["to_number"], json!(NUMBER));
    assert_eq!(request.body["call"]["direction"], json!("inbound"));
    assert_eq!(request.body["assistant"]["id"], json!(server.agent));

    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    let updates = receiver.told("/status-update");
    assert_eq!(
        updates.iter().map(|u| u.body["status"].clone()).collect::<Vec<_>>(),
        [json!("in-progress"), json!("ended")]
    );
    for one in updates.iter().chain([report]) {
        assert!(is_signed(one, b"other"));
        let assistant = &one.body["assistant"];
        assert_eq!((&assistant["metadata"], &assistant["campaign"]), (&json!({"crm_id": "12345"}), &json!("spring")));
        assert_eq!(assistant["tts_config"]["voice_id"], json!("female-voice"));
        assert!(assistant.get("webhook_secret").is_none());
    }
    let order = receiver.paths();
    assert_eq!(order.last().unwrap(), "/end-of-call-report", "{order:?}");
    check_report(&server, &call, &report.body).await;
    let mut snapshots = SnapshotFolder::new("webhooks");
    for (name, body) in [
        ("assistant_request", &request.body),
        ("status_update", &updates[1].body),
        ("end_of_call_report", &report.body),
    ] {
        pin(&mut snapshots, &server, name, body);
    }
    snapshots.finish();
}

/// Pins what a customer's server is sent.
fn pin(snapshots: &mut SnapshotFolder, server: &Server, name: &str, body: &Value) {
    let mut masked = SnapshotMask::new(server).value("", body.clone());
    if let Some(url) = masked.get("recording_url").and_then(Value::as_str) {
        masked["recording_url"] = json!(format!("{}?token=<token>", url.split("?token=").next().unwrap()));
    }
    masked["assistant"]["webhook_url"] = json!("<the receiver>");
    snapshots.compare(name, &format!("{}\n", serde_json::to_string_pretty(&masked).unwrap()));
}

/// The report is the call as it was.
async fn check_report(server: &Server, call: &Value, report: &Value) {
    assert_eq!(report["messages"], call["transcript"]);
    assert_eq!(report["duration_seconds"], call["duration_seconds"]);
    assert_eq!(report["end_reason"], call["end_reason"]);
    assert!(!report["summary"].as_str().unwrap().is_empty());
    let url = report["recording_url"].as_str().unwrap();
    let audio = server.http.get(url).send().await.unwrap();
    assert_eq!((audio.status().as_u16(), audio.headers()["content-type"].to_str().unwrap()), (200, "audio/wav"));
    let forged = url.replace("token=", "token=A");
    assert_eq!(server.http.get(forged).send().await.unwrap().status(), 401);
    let other = url.replace(call["id"].as_str().unwrap(), "01a1fe5c-0000-7000-8000-000000000000");
    assert_eq!(server.http.get(other).send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_without_an_agent_lives_on_a_transient_one() {
    let server = Server::start().await;
    let transient = json!({"assistant": {"first_message": "I am made up.", "metadata": {"a": 1},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini"}, "tts_config": {"voice_id": "v"}}});
    let receiver = CustomerServer::start(move |told| match told.path.as_str() {
        "/assistant-request" => at_once(&transient),
        _ => at_once(&json!({})),
    })
    .await;
    let numbers = server.get("/phone-numbers").await;
    let path = format!("/phone-numbers/{}", numbers["phone_numbers"][0]["id"].as_str().unwrap());
    let changes = json!({"agent_id": null, "webhook_url": receiver.url, "webhook_secret": "of the number"});
    let (status, changed) = server.send("PATCH", &path, Some(changes)).await;
    assert_eq!((status, &changed["data"]["phone_number"]["webhook_secret_set"]), (200, &json!(true)));
    server.call(SHORT).await;
    let call = server.last_call().await;
    assert_eq!((lines(&call)[0].as_str(), &call["agent_id"]), ("assistant: I am made up.", &Value::Null));
    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    assert!(is_signed(report, b"of the number"));
    assert_eq!(report.body["assistant"]["metadata"], json!({"a": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_customers_server_rejects_a_call() {
    let server = Server::start().await;
    let reject = json!({"reject": {"reason": "outside business hours", "sip_code": 486}});
    let receiver = CustomerServer::start(move |_| at_once(&reject)).await;
    hook(&server, &receiver, json!({})).await;
    let report = server.call("hangup").await;
    assert!(report.failure.as_deref().is_some_and(|why| why.contains("status: 486")), "{report:?}");
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("rejected")));
    assert_eq!(call["metrics"]["assistant_request"]["rejected"], json!("outside business hours"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_help_gets_the_saved_agent() {
    let server = Server::start().await;
    for (answer, wait_s, fault) in [
        ((200, "{}"), 0, ""),
        ((500, "{}"), 0, "assistant-request: answered with status 500"),
        ((200, "<html>"), 0, "the answer is not valid JSON"),
        ((200, r#"{"assistant":{"first_message":"He"#), 0, "the answer is not valid JSON: EOF"),
        ((200, r#"{"assistant_override":{"first_message":"Hi"}}"#), 0, "assistant_override: ignored, it needs"),
        ((200, "{}"), 30, "assistant-request: no answer in time"),
    ] {
        let receiver = CustomerServer::start(move |told| match told.path.as_str() {
            "/assistant-request" => (answer.0, answer.1.to_owned(), Duration::from_secs(wait_s)),
            _ => at_once(&json!({})),
        })
        .await;
        hook(&server, &receiver, json!({})).await;
        let started = Instant::now();
        let report = server.call("listen; hangup").await;
        assert!(report.failure.is_none(), "{report:?}");
        assert!(started.elapsed() < Duration::from_secs(12), "{answer:?}");
        let call = server.last_call().await;
        assert_eq!(lines(&call)[0], "assistant: Good morning, this is Acme.", "{answer:?}");
        let told = call["metrics"]["assistant_request"]["faults"][0].as_str().unwrap_or_default();
        assert!(told.starts_with(fault) && told.is_empty() == fault.is_empty(), "{answer:?}: {told}");
        let events = server.get(&format!("/calls/{}/events", call["id"].as_str().unwrap())).await;
        let is_listed = events["events"].as_array().unwrap().iter().any(|one| one["type"] == "assistant-ignored");
        assert_eq!(is_listed, !fault.is_empty(), "{answer:?}");
        let path = "/webhook-deliveries?event_type=assistant-request&limit=1";
        let delivery = until("a record of the request", || async {
            let page = server.get(path).await;
            let one = page["webhook_deliveries"][0].clone();
            one["url"].as_str().is_some_and(|url| url.starts_with(&receiver.url)).then_some(one)
        })
        .await;
        let wanted = if answer.0 == 200 && wait_s == 0 { "delivered" } else { "failed" };
        assert_eq!(delivery["status"], json!(wanted), "{delivery}");
    }
}

fn with_tools(url: Option<&str>) -> Value {
    let tool = |name: &str, extra: Value| {
        let mut tool = json!({"type": "function", "function": {"name": name, "description": "Looks something up",
            "parameters": {"type": "object", "properties": {"number": {"type": "string"}}}}});
        tool.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        tool
    };
    let mut agent = agent();
    agent["llm_config"]["tools"] = json!([
        tool(
            "find_order",
            url.map_or(json!({"filler": "One moment."}), |url| json!({"url": url, "filler": "One moment."}))
        ),
        tool("note", json!({"async": true})),
    ]);
    json!({"llm_config": agent["llm_config"]})
}

fn tool_script() -> ReplyScript {
    script(json!([
        {"words": ["goodbye"], "reply": "Goodbye.", "tool": {"name": "end_call", "arguments": {}}},
        {"words": ["order"], "reply": "", "tool": {"name": "find_order", "arguments": {"number": "4271"}}, "after_tool": "I found {result}."},
        {"words": ["hello"], "reply": "Noted.", "tool": {"name": "note", "arguments": {"text": "x"}}, "after_tool": "It is written down."},
        {"words": ["opening", "open"], "reply": "We are open all day."},
        {"words": [], "reply": "Pardon?"},
    ]))
}

/// A call in which the tool answers so; what the caller hears then.
async fn tool_answers(answer: Value, heard: &str) {
    let server = Server::start_scripted(tool_script(), |_| {}).await;
    let taught = answer.clone();
    let receiver = CustomerServer::start(move |told| match told.path.as_str() {
        "/tool-calls" => at_once(&taught),
        _ => at_once(&json!({})),
    })
    .await;
    hook(&server, &receiver, with_tools(None)).await;
    server.call("listen; say where_is_my_order; listen; listen; say goodbye; listen").await;
    let all = lines(&server.last_call().await);
    assert!(all.iter().any(|line| line == &format!("assistant: {heard}")), "{answer}: {all:?}");
    assert!(all.iter().any(|line| line == "assistant: One moment."), "{all:?}");
    let told = &receiver.told("/tool-calls")[0].body;
    assert_eq!(told["tool_calls"], json!([{"id": "call_1", "name": "find_order", "arguments": {"number": "4271"}}]));
    assert_eq!((&told["type"], &told["call"]["status"]), (&json!("tool-calls"), &json!("in_progress")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_run_on_the_customers_server_in_all_four_formats() {
    let object = json!({"results": [{"tool_call_id": "call_1", "result": {"name": "Jan"}}]});
    tokio::join!(
        tool_answers(object, "I found {\"name\":\"Jan\"}."),
        tool_answers(json!({"result": "a red bicycle"}), "I found a red bicycle."),
        tool_answers(json!({"name": "Jan"}), "I found {\"name\":\"Jan\"}."),
        tool_answers(json!({"error": "Contact not found"}), "I found error: Contact not found."),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_has_its_own_url_and_an_async_one_is_not_waited_for() {
    let server = Server::start_scripted(tool_script(), |_| {}).await;
    let own = CustomerServer::start(|_| at_once(&json!({"result": "a kite"}))).await;
    // Slower than the whole call.
    let receiver = CustomerServer::start(|told| match told.path.as_str() {
        "/tool-calls" => (200, "{}".into(), Duration::from_secs(8)),
        _ => at_once(&json!({})),
    })
    .await;
    hook(&server, &receiver, with_tools(Some(&format!("{}/mine", own.url)))).await;
    server.call("listen; say hello; listen; listen; say where_is_my_order; listen; listen; say goodbye; listen").await;
    let all = lines(&server.last_call().await);
    assert!(all.contains(&"assistant: I found a kite.".to_owned()), "{all:?}");
    assert!(all.contains(&"tool: note: started; there will be no result".to_owned()), "{all:?}");
    assert!(all.contains(&"assistant: It is written down.".to_owned()), "{all:?}");
    assert_eq!(own.told("/mine").len(), 1);
    assert_eq!(receiver.wait("/tool-calls", 1).await[0].body["tool_calls"][0]["name"], json!("note"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_comes_while_the_caller_speaks_is_not_lost() {
    let server = Server::start_scripted(tool_script(), |_| {}).await;
    let receiver = CustomerServer::start(|told| match told.path.as_str() {
        "/tool-calls" => (200, json!({"result": "a kite"}).to_string(), Duration::from_millis(3_500)),
        _ => at_once(&json!({})),
    })
    .await;
    hook(&server, &receiver, with_tools(None)).await;
    // "One moment", the caller asks something else meanwhile, and then the agent reports the result.
    server.call("listen; say where_is_my_order; listen; say opening_hours; listen; listen; say goodbye; listen").await;
    let all = lines(&server.last_call().await);
    assert!(all.contains(&"tool: find_order: a kite".to_owned()), "{all:?}");
    let told = all.iter().position(|line| line == "assistant: We are open all day.");
    let found = all.iter().position(|line| line == "assistant: I found a kite.");
    assert!(told.is_some() && told < found, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_tells_its_webhook_and_a_receiver_that_is_away_is_tried_again() {
    let server = Server::start().await;
    let failures = std::sync::atomic::AtomicU32::new(1);
    let receiver = CustomerServer::start(move |_| {
        let fails =
            failures.fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |n| {
                n.checked_sub(1)
            });
        if fails.is_ok() { (503, String::new(), Duration::ZERO) } else { at_once(&json!({})) }
    })
    .await;
    let task = json!({"agent_id": server.agent, "to_number": format!("sip:100@127.0.0.1:{}", server.phone.sip.local_udp().port()),
        "webhook_url": format!("{}/task", receiver.url), "metadata": {"crm": 7}});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    // No test takes the call from the phone's queue: it is cancelled while it rings.
    let call = server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
    server.post(&format!("/calls/{call}/cancel"), json!({})).await;
    let told = receiver.wait("/task", 3).await;
    let events: Vec<_> = told.iter().map(|one| one.body["event_type"].as_str().unwrap()).collect();
    assert_eq!(events, ["call_started", "call_started", "call_failed"], "in order, the first one twice");
    assert_eq!(told[0].headers["webhook-id"], told[1].headers["webhook-id"]);
    let last = &told[2].body;
    assert_eq!((&last["task_id"], &last["call_id"], &last["status"]), (&json!(task), &json!(call), &json!("failed")));
    assert!(last["data"]["transcript_excerpt"].is_string() && last["data"]["report_excerpt"].is_string());
    assert_eq!(last.as_object().unwrap().len(), 5);

    let path = format!("/webhook-deliveries?task_id={task}");
    let page = until("everything delivered", || async {
        let page = server.get(&path).await;
        let all = page["webhook_deliveries"].as_array().unwrap().iter().all(|one| one["status"] == "delivered");
        (all && page["total"] == json!(2)).then_some(page)
    })
    .await;
    let first = &page["webhook_deliveries"][1];
    assert_eq!((&first["attempts"], &first["response_status"]), (&json!(2), &json!(200)));
    let one = format!("/webhook-deliveries/{}", first["id"].as_str().unwrap());
    assert_eq!(server.get(&one).await["webhook_delivery"]["payload"]["event_type"], json!("call_started"));
    server.post(&format!("{one}/resend"), json!({})).await;
    assert_eq!(receiver.wait("/task", 4).await[3].headers["webhook-id"], told[0].headers["webhook-id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_do_not_reach_into_our_own_network() {
    let server = Server::start_with(strict).await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.1/x",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/",
    ] {
        let (status, body) = server.send("POST", "/agents", Some(json!({"name": "A", "webhook_url": url}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!("webhook_url")), "{url}: {body}");
    }
    let mut tools = with_tools(Some("https://192.168.1.1/"));
    tools["name"] = json!("A");
    let (status, body) = server.send("POST", "/agents", Some(tools)).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("llm_config.tools[0].url")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_task_says_so_with_its_excerpts() {
    let mut server = Server::start().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let plan = json!({"structured_data_plan": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}});
    hook(&server, &receiver, json!({"webhook_events": ["end-of-call-report"], "analysis_plan": plan})).await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550199", "webhook_url": format!("{}/task", receiver.url),
        "webhook_events": ["call_completed"], "metadata": {"crm": 7}});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let incoming = server.incoming.recv().await.unwrap();
    let script = trunkline_lab::caller::script::CallScript::parse("listen; say goodbye; listen").unwrap();
    server.phone.answer(incoming, &script, None).await;
    let told = receiver.wait("/task", 1).await;
    let body = &told[0].body;
    assert_eq!((told.len(), &body["event_type"], &body["status"]), (1, &json!("call_completed"), &json!("completed")));
    assert!(body["data"]["transcript_excerpt"].as_str().unwrap().contains("assistant: Good morning, this is Acme."));
    assert_eq!(body["data"]["report_excerpt"], json!("emulated"));
    let report = &receiver.wait("/end-of-call-report", 1).await[0].body;
    assert_eq!(
        (&report["structured_data"], &report["assistant"]["metadata"]),
        (&json!({"ok": true}), &json!({"crm": 7}))
    );
    assert!(receiver.told("/status-update").is_empty(), "only what is wanted is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_ends_with_error() {
    let mut server = Server::start().await;
    let receiver = CustomerServer::start(|_| (200, "<html>whatever".into(), Duration::ZERO)).await;
    hook(&server, &receiver, json!({})).await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let call = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    let told = &receiver.wait("/status-update", 1).await[0].body;
    assert_eq!((&told["status"], &told["end_reason"]), (&json!("ended-with-error"), &json!("busy")));
    assert_eq!(receiver.wait("/end-of-call-report", 1).await[0].body["duration_seconds"], json!(0));
    until("both are delivered, whatever the answer says", || async {
        (server.get("/webhook-deliveries?status=delivered").await["total"] == json!(2)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_a_webhook_reports_to_the_one_that_asked_for_it() {
    let server = Server::start().await;
    let other = server.post("/agents", json!({"name": "Other", "first_message": "Saved words."})).await;
    let answer = json!({"assistant_id": other["agent"]["id"]});
    let receiver = CustomerServer::start(move |told| match told.path.as_str() {
        "/assistant-request" => at_once(&answer),
        _ => at_once(&json!({})),
    })
    .await;
    hook(&server, &receiver, json!({"webhook_secret": "of the number's agent"})).await;
    server.call(SHORT).await;
    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    assert!(is_signed(report, b"of the number's agent"), "{:?}", report.headers);
    assert_eq!(report.body["assistant"]["name"], json!("Other"));
}
