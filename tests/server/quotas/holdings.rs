//! What is stored, requests, and live connections.

use super::scope_of;
use crate::support::{LoggedInUser, Server, agent, until};
use futures_util::future::join_all;
use serde_json::{Value, json};
use trunkline::domain::quota::QuotaOverrides;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_holds_so_many_of_everything_also_when_it_asks_all_at_once() {
    let server = Server::start_with(|config| {
        let quotas = &mut config.quotas;
        (quotas.agents, quotas.tasks, quotas.trunks, quotas.phone_numbers) = (4, 3, 3, 3);
        (quotas.api_keys, quotas.users, quotas.invitations) = (3, 2, 3);
    })
    .await;
    let owner = LoggedInUser::owner(&server).await;
    let n = std::sync::atomic::AtomicU32::new(0);
    let next = || n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let bodies: [(&str, &str, u32, &dyn Fn() -> Value); 6] = [
        ("/agents", "agents", 4, &agent),
        ("/tasks", "tasks", 3, &|| json!({"agent_id": server.agent, "to_number": "+15550199"})),
        ("/trunks", "trunks", 3, &|| json!({"name": "T"})),
        ("/phone-numbers", "phone_numbers", 3, &|| json!({"number": format!("+3120{:07}", next())})),
        ("/api-keys", "api_keys", 3, &|| json!({"name": "k"})),
        ("/users/invite", "invitations", 3, &|| json!({"email": format!("i{}@example.com", next())})),
    ];
    for (path, limit, max, body) in bodies {
        let all = join_all((0..12).map(|_| owner.send("POST", path, Some(body())))).await;
        let listed = match path {
            "/users/invite" => all.iter().filter(|(status, _)| *status < 300).count() as i64,
            _ => owner.done("GET", path, None).await["total"].as_i64().unwrap(),
        };
        assert_eq!(listed, i64::from(max), "{path}: {all:?}");
        let (_, refused) = all.iter().find(|(status, _)| *status == 403).unwrap();
        let details = &refused["details"];
        assert_eq!((&details["code"], &details["limit"]), (&json!("quota_exceeded"), &json!(limit)), "{path}");
    }
    // What goes makes room; the operator makes more.
    let tasks = owner.done("GET", "/tasks", None).await;
    owner.done("DELETE", &format!("/tasks/{}", tasks["tasks"][0]["id"].as_str().unwrap()), None).await;
    let task = || json!({"agent_id": server.agent, "to_number": "+15550199"});
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 201);
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 403);
    let organization = scope_of(&server).await.organization();
    let more = QuotaOverrides([("tasks".to_owned(), 5)].into());
    assert!(server.app.services.store.set_quota_overrides(organization, &more).await.unwrap());
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_asks_so_often_in_a_minute_whatever_keys_it_has() {
    let server = Server::start_with(|config| config.quotas.requests_per_minute = 30).await;
    let owner = LoggedInUser::owner(&server).await;
    let second = owner.done("POST", "/api-keys", Some(json!({"name": "k"}))).await["api_key"]["key"].clone();
    let mut refused = None;
    for n in 0..40 {
        let key = if n % 2 == 0 { &server.key } else { second.as_str().unwrap() };
        let answer = server.http.get(server.url("/agents")).bearer_auth(key).send().await.unwrap();
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert_eq!(
        (&body["details"]["code"], &body["details"]["limit"]),
        (&json!("quota_exceeded"), &json!("requests_per_minute"))
    );
    assert_eq!(owner.send("GET", "/agents", None).await.0, 429, "its people are counted with its keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_connections_of_one_organization_are_bounded_and_come_back() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let server = Server::start_with(|config| config.quotas.live_connections = 3).await;
    let open = || async {
        let mut request = format!("ws://{}/ws/events", server.app.api_addr).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", server.key).parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open().await.unwrap().0);
    }
    let Err(tokio_tungstenite::tungstenite::Error::Http(refused)) = open().await else { panic!("a fourth connection") };
    assert_eq!(refused.status(), 429);
    // The live transcript of a call counts with them: its refusal is a close code.
    let web = server.post("/calls/web", json!({"agent_id": server.agent})).await;
    let url = format!("{}?api_key={}", web["websocket_url"].as_str().unwrap(), server.key);
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    use futures_util::StreamExt as _;
    let first: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!((&first["type"], &first["details"]["limit"]), (&json!("error"), &json!("live_connections")));
    drop(held.pop());
    until("a place is free", || async { open().await.ok().map(drop) }).await;
}
