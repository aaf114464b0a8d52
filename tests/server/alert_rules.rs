//! Alert rules: each state is told once, signed, and can be looked up; wrong rules are refused by field.

use super::reports::mail_server;
use super::support::{CustomerServer, LoggedInUser, PATIENCE, Server, at_once, until};
use super::webhooks::is_signed;
use serde_json::{Value, json};
use trunkline::domain::time::UnixMs;
use trunkline::store::now;

const SECRET: &str = "a secret of some length";

fn rule(changes: &Value) -> Value {
    let mut body = json!({"name": "Failures", "condition": "failure_rate", "threshold": 40, "window_minutes": 60, "calls_min": 2,
        "cool_down_minutes": 1, "channel": "webhook", "webhook_url": "https://a.example/hook", "webhook_secret": SECRET});
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

/// A call that its callee refuses.
async fn fail_call(server: &mut Server) {
    let due = UnixMs(now().0 - 1_000).rfc3339();
    server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550101", "scheduled_at": due})).await;
    let call = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
}

async fn state(server: &Server, id: &str) -> Value {
    server.get(&format!("/alert-rules/{id}")).await["alert_rule"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_fires_once_and_is_resolved_once() {
    let mut server = Server::start().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let made = server.post("/alert-rules", rule(&json!({"webhook_url": format!("{}/alerts", receiver.url)}))).await;
    let id = made["alert_rule"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["alert_rule"]["state"], &made["alert_rule"]["webhook_secret_set"]),
        (&json!("resolved"), &json!(true))
    );
    assert!(!made.to_string().contains(SECRET));
    // One failure of two calls that it needs says nothing.
    fail_call(&mut server).await;
    until("it was measured", async || (state(&server, &id).await["calls"] == json!(1)).then_some(())).await;
    assert_eq!(state(&server, &id).await["state"], json!("resolved"));
    fail_call(&mut server).await;
    let told = receiver.wait("/alerts", 1).await;
    assert!(is_signed(&told[0], SECRET.as_bytes()), "{:?}", told[0].headers);
    let body = &told[0].body;
    assert_eq!(
        (&body["type"], &body["state"], &body["value"]),
        (&json!("alert"), &json!("firing"), &json!(100.0)),
        "{body}"
    );
    assert_eq!((&body["rule"]["id"], &body["calls"]), (&json!(id), &json!(2)));
    until("it is seen to fire", async || (state(&server, &id).await["state"] == json!("firing")).then_some(())).await;
    // Calls that go well bring it below its threshold.
    for _ in 0..4 {
        server.call("listen; hangup").await;
        server.last_call().await;
    }
    let told = receiver.wait("/alerts", 2).await;
    assert_eq!((told.len(), &told[1].body["state"]), (2, &json!("resolved")), "each once");
    let history = server.get(&format!("/alert-rules/{id}/events")).await;
    let states: Vec<&Value> = history["alert_events"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!((&history["total"], states), (&json!(2), vec![&json!("resolved"), &json!("firing")]));
    let delivery = history["alert_events"][0]["delivery_id"].as_str().unwrap();
    assert_eq!(told[1].headers["webhook-id"], delivery);
    let delivery = server.get(&format!("/webhook-deliveries/{delivery}")).await;
    assert_eq!(delivery["webhook_delivery"]["event_type"], json!("alert"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_is_down_is_mailed_and_a_test_can_be_sent() {
    let (port, mut mails) = mail_server().await;
    let server = Server::start_with(|config| {
        config.smtp.host = "127.0.0.1".into();
        config.smtp.port = port;
        config.smtp.tls = false;
        config.smtp.from = "calls@voice.example".into();
        config.api.public_url = "https://voice.example".into();
    })
    .await;
    let dead = json!({"name": "Dead", "host": "127.0.0.1", "port": 9, "options_interval_s": 10, "allowed_addresses": ["203.0.113.9"]});
    let trunk = server.post("/trunks", dead).await["trunk"]["id"].clone();
    let mail = json!({"name": "Trunks", "condition": "trunk_down", "threshold": 0, "window_minutes": 1, "trunk_id": trunk,
        "channel": "mail", "email": "ops@example.com"});
    let id = server.post("/alert-rules", mail).await["alert_rule"]["id"].as_str().unwrap().to_owned();
    let tested = server.post(&format!("/alert-rules/{id}/test"), json!({})).await;
    assert!(tested["delivery_id"].is_string());
    let mail = tokio::time::timeout(PATIENCE, mails.recv()).await.unwrap().unwrap();
    assert!(mail.contains("To: ops@example.com") && mail.contains("Subject: Test: Trunks"), "{mail}");
    assert!(mail.replace("=\n", "").contains(&format!("https://voice.example/#/alerts/{id}")), "{mail}");
    until("the trunk is seen to be down", async || (state(&server, &id).await["value"] == json!(1.0)).then_some(()))
        .await;
    assert_eq!(state(&server, &id).await["state"], json!("resolved"), "not before it was down for a minute");
    let mut last = 200;
    for _ in 0..20 {
        last = server.send("POST", &format!("/alert-rules/{id}/test"), None).await.0;
    }
    assert_eq!(last, 429, "tests are mails to anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_rules_are_refused_by_field() {
    let server = Server::start().await;
    let made = server.post("/alert-rules", rule(&json!({}))).await["alert_rule"].clone();
    let path = format!("/alert-rules/{}", made["id"].as_str().unwrap());
    let nobody = "00000000-0000-0000-0000-000000000001";
    for (changes, status, field) in [
        (json!({"name": " "}), 400, "name"),
        (json!({"condition": "weather"}), 400, "condition"),
        (json!({"threshold": -1}), 400, "threshold"),
        (json!({"threshold": 100}), 400, "threshold"),
        (json!({"window_minutes": 0}), 400, "window_minutes"),
        (json!({"window_minutes": 10_081}), 400, "window_minutes"),
        (json!({"calls_min": 0}), 400, "calls_min"),
        (json!({"cool_down_minutes": 0}), 400, "cool_down_minutes"),
        (json!({"channel": "pigeon"}), 400, "channel"),
        (json!({"channel": "mail", "email": "ops@example.com"}), 400, "channel"),
        (json!({"webhook_url": null}), 400, "webhook_url"),
        (json!({"webhook_url": "ftp://a.example"}), 400, "webhook_url"),
        (json!({"webhook_secret": "whsec_!"}), 400, "webhook_secret"),
        (json!({"agent_id": nobody}), 404, "agent_id"),
        (json!({"trunk_id": nobody}), 404, "trunk_id"),
        (json!({"state": "firing"}), 400, "state"),
    ] {
        let mut body = rule(&changes);
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let (answered, answer) = server.send("POST", "/alert-rules", Some(body)).await;
        assert_eq!((answered, &answer["details"]["field"]), (status, &json!(field)), "{answer}");
        let (answered, answer) = server.send("PATCH", &path, Some(changes)).await;
        assert_eq!((answered, &answer["details"]["field"]), (status, &json!(field)), "{answer}");
    }
    assert_eq!(server.get("/alert-rules").await["total"], json!(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_changed_audited_and_of_one_organization() {
    let server = Server::start().await;
    let made = server.post("/alert-rules", rule(&json!({}))).await["alert_rule"].clone();
    let (id, path) = (made["id"].as_str().unwrap(), format!("/alert-rules/{}", made["id"].as_str().unwrap()));
    let (status, answer) =
        server.send("PATCH", &path, Some(json!({"threshold": 12.5, "agent_id": server.agent}))).await;
    let changed = &answer["data"]["alert_rule"];
    assert_eq!(
        (status, &changed["threshold"], &changed["agent_id"]),
        (200, &json!(12.5), &json!(server.agent)),
        "{answer}"
    );
    assert_eq!(changed["webhook_secret_set"], json!(true), "what was not sent stays");
    assert_eq!(server.get("/alert-rules").await["total"], json!(1));

    let hash = trunkline::domain::password::hash("some other password").unwrap();
    let other = server.app.services.store.bootstrap("Other", "other@example.com", &hash).await.unwrap();
    for (method, path) in [
        ("GET", path.clone()),
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("GET", format!("{path}/events")),
        ("POST", format!("{path}/test")),
    ] {
        let request =
            server.http.request(method.parse().unwrap(), server.url(&path)).bearer_auth(other.key.text.expose());
        let request = if method == "PATCH" { request.json(&json!({"threshold": 1})) } else { request };
        assert_eq!(request.send().await.unwrap().status(), 404, "{method} {path}");
    }
    assert_eq!(server.send("DELETE", &path, None).await.0, 200);
    assert_eq!(server.send("GET", &path, None).await.0, 404);
    let owner = LoggedInUser::owner(&server).await;
    let log = owner.done("GET", "/audit-log", None).await;
    let actions: Vec<&str> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["target"] == json!(id))
        .filter_map(|one| one["action"].as_str())
        .collect();
    assert_eq!(actions, ["alert_rule.delete", "alert_rule.update", "alert_rule.create"]);
}
