//! Webhooks that are refused, two secrets at once, keys of requests, and the events of a call that are asked for later.

use super::support::{CustomerRequest, CustomerServer, Server, at_once, lines, until};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use std::time::Duration;

const SHORT: &str = "listen; say goodbye; listen";

async fn change_agent(server: &Server, changes: Value) -> Value {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
    body["data"]["agent"].clone()
}

/// The end of a rotation, as it is shown.
fn in_a_day() -> String {
    let at = trunkline::store::now().0 + 86_400_000;
    trunkline::domain::time::UnixMs(at).rfc3339()
}

/// Whether one of the signatures was made with this key.
fn is_signed(one: &CustomerRequest, key: &[u8]) -> bool {
    let header = |name: &str| one.headers.get(name).cloned().unwrap_or_default();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), one.text).as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    header("webhook-signature").split(' ').any(|signature| signature == wanted)
}

/// A receiver that answers status updates so, and everything else with 204.
async fn refuses_statuses(status: u16) -> CustomerServer {
    CustomerServer::start(move |told| match told.path.as_str() {
        "/status-update" => (status, String::new(), Duration::ZERO),
        _ => (204, String::new(), Duration::ZERO),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_without_a_route_for_statuses_gets_its_report_at_once() {
    for (refusal, is_given_up) in [(404, true), (405, true), (501, true), (500, false), (401, false)] {
        let server = Server::start().await;
        let receiver = refuses_statuses(refusal).await;
        change_agent(&server, json!({"webhook_url": receiver.url})).await;
        server.call(SHORT).await;
        receiver.wait("/end-of-call-report", 1).await;
        let wanted = if is_given_up { "failed" } else { "pending" };
        until("the status updates are judged", || async {
            let page = server.get("/webhook-deliveries?event_type=status-update").await;
            let all = page["webhook_deliveries"].as_array().unwrap();
            (all.len() == 2 && all.iter().all(|one| one["status"] == wanted)).then_some(())
        })
        .await;
        if is_given_up {
            assert_eq!(receiver.told("/status-update").len(), 2, "{refusal}: once each");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_without_a_gap() {
    let server = Server::start().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let (old, new) = (b"the old secret of this receiver".as_slice(), b"the new secret of this receiver".as_slice());
    let secret = |bytes: &[u8]| format!("whsec_{}", STANDARD_NO_PAD.encode(bytes));
    change_agent(&server, json!({"webhook_url": receiver.url, "webhook_secret": secret(old)})).await;
    let end = in_a_day();
    let rotated = json!({"webhook_secret": secret(new), "webhook_rotation_ends_at": end});
    let shown = change_agent(&server, rotated).await;
    assert_eq!(shown["webhook_rotation_ends_at"], end.as_str());
    assert!(shown.get("previous_webhook_secret").is_none() && shown.get("webhook_secret").is_none());
    server.call(SHORT).await;
    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    assert!(is_signed(report, new) && is_signed(report, old), "{:?}", report.headers);
    assert_eq!(report.headers["webhook-signature"].split(' ').count(), 2);
    assert_eq!(report.headers["idempotency-key"], report.headers["webhook-id"]);
    let request = &receiver.told("/assistant-request")[0];
    assert!(is_signed(request, new) && is_signed(request, old), "questions too");

    let ended = change_agent(&server, json!({"previous_webhook_secret": null})).await;
    assert_eq!(ended["webhook_rotation_ends_at"], Value::Null);
    server.call(SHORT).await;
    let report = &receiver.wait("/end-of-call-report", 2).await[1];
    assert!(is_signed(report, new) && !is_signed(report, old), "the old one has ended");
    for end in [in_a_day(), "2099-01-01T00:00:00Z".to_owned(), "2026-01-01T00:00:00Z".to_owned()] {
        let agent = json!({"name": "A", "webhook_rotation_ends_at": end});
        let (status, body) = server.send("POST", "/agents", Some(agent)).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!("webhook_rotation_ends_at")), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_rotates_its_secret_too() {
    let server = Server::start().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({"assistant": {"first_message": "I am made up."}}))).await;
    let numbers = server.get("/phone-numbers").await;
    let path = format!("/phone-numbers/{}", numbers["phone_numbers"][0]["id"].as_str().unwrap());
    let changes = json!({"agent_id": null, "webhook_url": receiver.url, "webhook_secret": "first of the number"});
    assert_eq!(server.send("PATCH", &path, Some(changes)).await.0, 200);
    let end = in_a_day();
    let rotated = json!({"webhook_secret": "second", "webhook_rotation_ends_at": end});
    let (status, body) = server.send("PATCH", &path, Some(rotated)).await;
    let shown = &body["data"]["phone_number"];
    assert_eq!((status, &shown["webhook_rotation_ends_at"]), (200, &json!(end)), "{body}");
    server.call(SHORT).await;
    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    assert!(is_signed(report, b"second") && is_signed(report, b"first of the number"), "{:?}", report.headers);
    for wrong in ["whsec_not-base64_at_all", "whsec_"] {
        let (status, body) = server.send("PATCH", &path, Some(json!({"webhook_secret": wrong}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!("webhook_secret")), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_events_of_a_call_can_be_asked_for_later() {
    let server = Server::start().await;
    server.call(SHORT).await;
    let call = server.last_call().await["id"].as_str().unwrap().to_owned();
    let path = format!("/calls/{call}/events");
    let kinds = |page: &Value| -> Vec<String> {
        let kind = |one: &Value| format!("{} {}", one["type"].as_str().unwrap(), one["status"].as_str().unwrap_or("-"));
        page["events"].as_array().unwrap().iter().map(kind).collect()
    };
    let all = ["status-update in-progress", "status-update ended", "end-of-call-report -"];
    let page = until("the report of a call without a webhook", || async {
        let page = server.get(&path).await;
        (page["total"] == json!(3)).then_some(page)
    })
    .await;
    assert_eq!(kinds(&page), all);
    assert_eq!(page["events"][2]["messages"], server.get(&format!("/calls/{call}/transcript")).await["transcript"]);

    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    change_agent(&server, json!({"webhook_url": receiver.url})).await;
    server.call(SHORT).await;
    let report = &receiver.wait("/end-of-call-report", 1).await[0];
    let call = server.last_call().await["id"].as_str().unwrap().to_owned();
    let page = server.get(&format!("/calls/{call}/events")).await;
    assert_eq!(kinds(&page)[0], "assistant-request -");
    assert_eq!(kinds(&page)[1..], all);
    assert_eq!(page["events"][3], report.body, "the same JSON as the webhook's");
    let second = server.get(&format!("/calls/{call}/events?limit=2&offset=2")).await;
    assert_eq!((kinds(&second), &second["total"]), (all[1..].iter().map(|s| (*s).to_owned()).collect(), &json!(4)));
    let last = page["events"][2]["message_id"].as_str().unwrap();
    assert_eq!(kinds(&server.get(&format!("/calls/{call}/events?before={last}")).await), all[2..]);
    let (status, _) = server.send("GET", "/calls/01a1fe5c-0000-7000-8000-000000000000/events", None).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_are_filled_in_on_calls_of_both_directions() {
    let server = Server::start().await;
    let greeting = "Hi {{customer_name|there}}, you called {{called_number}}. {{gone}}";
    change_agent(&server, json!({"first_message": greeting, "time_zone": "Europe/Amsterdam"})).await;
    server.call(SHORT).await;
    let call = server.last_call().await;
    let said = format!("assistant: Hi there, you called {}.", super::support::NUMBER);
    assert_eq!(lines(&call)[0], said);
    assert_eq!(call["metrics"]["templates"]["missing_variables"], json!(["gone"]), "{call}");

    let task = json!({"agent_id": server.agent, "to_number": "+15550199", "context_data": {"customer_name": "Ann"}});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let (status, body) = server.send("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await;
    assert_eq!((status, &body["details"]["missing_variables"]), (400, &json!(["gone"])), "{body}");
    assert_eq!(body["details"]["field"], "context_data");
    assert_eq!(server.get(&format!("/tasks/{task}")).await["task"]["status"], "pending", "nobody was called");
    for (field, text, place) in [
        ("first_message", "Hi {{name", "line 1, character 4"),
        ("system_prompt", "A\n{% for a in b %}", "line 2, character 1"),
        ("voicemail_message", "{{call.colour}}", "line 1, character 1"),
    ] {
        let (status, body) = server.send("POST", "/agents", Some(json!({"name": "A", field: text}))).await;
        let message = body["error"].as_str().unwrap();
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
        assert!(message.contains(place), "{message}");
    }
    let (status, body) = server.send("POST", "/agents", Some(json!({"name": "A", "time_zone": "Mars/Base"}))).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("time_zone")), "{body}");
}
