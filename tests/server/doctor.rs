//! `GET /doctor`: what is wrong with what an organization has set up, who sees it, and who sees the machine.

use super::support::{LoggedInUser, Server, invalid_operator};
use serde_json::{Value, json};

/// The findings of a check as `level: words`.
fn findings(report: &Value, check: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    all.map(|finding| format!("{}: {}", text(finding, "level"), text(finding, "found"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_asks_providers_trunks_and_receivers_and_says_what_to_do() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let secret = |provider: &str, value: &str| json!({"name": provider, "provider": provider, "value": value});
    owner.done("POST", "/secrets", Some(secret("openai", "invalid"))).await;
    owner.done("POST", "/secrets", Some(secret("deepgram", "a key of their own"))).await;
    let receiver = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nobody = receiver.local_addr().unwrap();
    drop(receiver);
    let hook = json!({"webhook_url": format!("http://{nobody}/hook?token=hidden")});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(hook)).await;
    let fields = json!({"name": "Away", "host": "127.0.0.1", "port": nobody.port(), "transport": "tcp"});
    server.post("/trunks", fields).await;
    let report = owner.done("GET", "/doctor", None).await;
    assert_eq!((&report["level"], &report["includes_machine"]), (&json!("error"), &json!(false)), "{report:#}");
    let of = |check: &str| findings(&report, check);
    let providers = of("providers");
    assert_eq!(providers.len(), 2, "the server's keys are not theirs: {providers:?}");
    assert!(providers.iter().any(|found| found.starts_with("error: openai does not take the key")), "{providers:?}");
    assert!(providers.iter().any(|found| found.starts_with("ok: deepgram answered in")), "{providers:?}");
    let trunks = of("trunks");
    assert!(trunks.iter().any(|found| found.starts_with("ok: Loopback")), "{trunks:?}");
    assert!(
        trunks.iter().any(|found| found.starts_with("error: Away") || found.starts_with("warning: Away")),
        "{trunks:?}"
    );
    let webhooks = of("webhooks").join("\n");
    assert!(webhooks.contains(&format!("error: http://{nobody} (agent Test) cannot be reached")), "{webhooks}");
    assert!(webhooks.contains("warning: ") && webhooks.contains("are not signed"), "{webhooks}");
    let words = report.to_string();
    assert!(!words.contains("hidden") && !words.contains("a key of their own"), "{report:#}");
    for finding in report["findings"].as_array().unwrap() {
        assert_eq!(finding["advice"].is_null(), finding["level"] == "ok", "{finding}");
    }
    // It is kept: what changes within half a minute is not asked again.
    let again = server.get("/doctor").await;
    assert_eq!(again["checked_at"], report["checked_at"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_keys_without_the_scope_and_strangers_do_not_see_it() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let invited = json!({"email": "member@example.com", "role": "member"});
    let made = owner.done("POST", "/users/invite", Some(invited)).await;
    let accepted = json!({"token": made["invitation"]["token"], "name": "M", "password": "a long password"});
    server.send("POST", "/invitations/accept", Some(accepted)).await;
    let member = LoggedInUser::log_in(&server, "member@example.com", "a long password").await;
    let refused = member.send("GET", "/doctor", None).await;
    assert_eq!((refused.0, &refused.1["details"]["code"]), (403, &json!("insufficient_role")), "{refused:?}");
    for (scope, status) in [("doctor:read", 200), ("trunks:read", 403)] {
        let key = owner.done("POST", "/api-keys", Some(json!({"name": scope, "scopes": [scope]}))).await;
        let request = server.http.get(server.url("/doctor")).bearer_auth(key["api_key"]["key"].as_str().unwrap());
        assert_eq!(request.send().await.unwrap().status(), status, "{scope}");
    }
    assert_eq!(server.http.get(server.url("/doctor")).send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_organization_sees_the_machine() {
    let server = Server::start_with(|config| config.api.operator_organization = Some(invalid_operator())).await;
    let report = server.get("/doctor").await;
    assert_eq!(report["includes_machine"], json!(true), "{report:#}");
    for check in ["server", "ports", "address", "clock", "descriptors", "disk", "folders", "database", "master_key"] {
        assert!(!findings(&report, check).is_empty(), "{check}: {report:#}");
    }
    let hash = trunkline::domain::password::hash("stranger's password").unwrap();
    let stranger = server.app.services.store.bootstrap("Stranger", "s@example.com", &hash).await.unwrap();
    let theirs = server.http.get(server.url("/doctor")).bearer_auth(stranger.key.text.expose()).send().await.unwrap();
    let theirs: Value = theirs.json().await.unwrap();
    assert_eq!(theirs["data"]["includes_machine"], json!(false), "{theirs:#}");
    assert!(findings(&theirs["data"], "ports").is_empty(), "{theirs:#}");
}
