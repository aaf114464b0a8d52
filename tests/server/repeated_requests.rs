//! `Idempotency-Key`, links behind a proxy, and lists that grow while they are read.

use super::support::Server;
use reqwest::Response;
use serde_json::{Value, json};

async fn post(server: &Server, path: &str, key: &str, body: &Value) -> Response {
    let url = server.url(path);
    server.http.post(url).bearer_auth(&server.key).header("idempotency-key", key).json(body).send().await.unwrap()
}

async fn read(response: Response) -> (u16, bool, Value) {
    let (status, replayed) = (response.status().as_u16(), response.headers().contains_key("idempotency-replayed"));
    (status, replayed, response.json().await.unwrap())
}

async fn count(server: &Server, path: &str) -> Value {
    server.get(path).await["total"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_posted_twice_with_one_key_is_there_once() {
    let server = Server::start().await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550199", "metadata": {"a": 1, "b": 2}});
    let first = read(post(&server, "/tasks", "k-1", &task).await).await;
    let again = read(post(&server, "/tasks", "k-1", &task).await).await;
    assert_eq!((first.0, first.1, again.0, again.1), (201, false, 201, true));
    assert_eq!(first.2["data"], again.2["data"]);
    assert_eq!(count(&server, "/tasks").await, json!(1));
    let (status, _, body) =
        read(post(&server, "/tasks", "k-1", &json!({"agent_id": server.agent, "to_number": "+15550198"})).await).await;
    assert_eq!((status, &body["details"]["code"]), (422, &json!("idempotency_key_reused")), "{body}");
    assert!(body["error"].as_str().unwrap().contains("Idempotency-Key"), "{body}");
    let (status, replayed, _) = read(post(&server, "/tasks", "k-2", &task).await).await;
    assert_eq!((status, replayed), (201, false), "another key is another task");
    let long = "k".repeat(256);
    let (status, _, body) = read(post(&server, "/tasks", &long, &task).await).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("Idempotency-Key")), "{body}");
    // A refusal did nothing: the key may be used again.
    let (status, _, _) = read(post(&server, "/tasks", "k-3", &json!({"agent_id": server.agent})).await).await;
    assert_eq!(status, 400);
    let (status, replayed, _) = read(post(&server, "/tasks", "k-3", &task).await).await;
    assert_eq!((status, replayed), (201, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_makes_something_takes_a_key() {
    let server = Server::start().await;
    for (path, list, body) in [
        ("/agents", "/agents", json!({"name": "Once"})),
        ("/trunks", "/trunks", json!({"name": "Once", "host": "127.0.0.1", "port": 9})),
        ("/phone-numbers", "/phone-numbers", json!({"number": "+15550177", "agent_id": server.agent})),
    ] {
        let before = count(&server, list).await.as_i64().unwrap();
        let first = read(post(&server, path, "once", &body).await).await;
        assert_eq!((first.0, first.1), (if path == "/agents" { 201 } else { 422 }, false), "{path}: {first:?}");
        let key = format!("key of {path}");
        let first = read(post(&server, path, &key, &body).await).await;
        let again = read(post(&server, path, &key, &body).await).await;
        assert_eq!((first.0, again.0, again.1, &first.2["data"]), (201, 201, true, &again.2["data"]), "{path}");
        let made = if path == "/agents" { 2 } else { 1 };
        assert_eq!(count(&server, list).await, json!(before + made), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_with_one_key_make_one_thing() {
    let server = Server::start().await;
    let body = json!({"name": "Once"});
    let before = count(&server, "/agents").await.as_i64().unwrap();
    let all = futures_util::future::join_all((0..8).map(|_| post(&server, "/agents", "at once", &body))).await;
    for one in all {
        let (status, _, body) = read(one).await;
        assert!(matches!(status, 201 | 409), "{status} {body}");
        if status == 409 {
            assert_eq!(body["details"]["code"], "idempotency_key_in_use");
        }
    }
    assert_eq!(count(&server, "/agents").await, json!(before + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_have_the_scheme_that_a_believed_proxy_names() {
    let link = async |server: &Server, name: &str, value: &str| {
        let body = json!({"agent_id": server.agent});
        let request =
            server.http.post(server.url("/calls/web")).bearer_auth(&server.key).header(name, value).json(&body);
        let (_, _, body) = read(request.send().await.unwrap()).await;
        let text = |field: &str| body["data"][field].as_str().unwrap().split(':').next().unwrap().to_owned();
        (text("whip_url"), text("websocket_url"))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let behind = Server::start_with(|config| config.api.behind_proxy = true).await;
    assert_eq!(link(&behind, "x-forwarded-proto", "https").await, pair("https", "wss"));
    assert_eq!(link(&behind, "forwarded", "for=192.0.2.1;proto=https").await, pair("https", "wss"));
    assert_eq!(link(&behind, "x-forwarded-proto", "http").await, pair("http", "ws"));
    let named = Server::start_with(|config| config.api.connections.trusted_proxies = vec!["127.0.0.0/8".into()]).await;
    assert_eq!(link(&named, "x-forwarded-proto", "https").await, pair("https", "wss"));
    let other = Server::start_with(|config| config.api.connections.trusted_proxies = vec!["192.0.2.0/24".into()]).await;
    assert_eq!(link(&other, "x-forwarded-proto", "https").await, pair("http", "ws"), "a stranger's word");
    let direct = Server::start().await;
    assert_eq!(link(&direct, "x-forwarded-proto", "https").await, pair("http", "ws"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_read_with_a_cursor_shows_nothing_twice() {
    let server = Server::start().await;
    for index in 0..5 {
        server.post("/agents", json!({"name": format!("Agent {index}")})).await;
    }
    let page = server.get("/agents?limit=3").await;
    let first: Vec<Value> = page["agents"].as_array().unwrap().iter().map(|agent| agent["id"].clone()).collect();
    server.post("/agents", json!({"name": "New"})).await;
    let before = first[2].as_str().unwrap();
    let page = server.get(&format!("/agents?limit=3&before={before}")).await;
    let second: Vec<Value> = page["agents"].as_array().unwrap().iter().map(|agent| agent["id"].clone()).collect();
    assert!(second.len() == 3 && second.iter().all(|id| !first.contains(id)), "{first:?} {second:?}");
    let (status, body) = server.send("GET", "/agents?before=yesterday", None).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("before")), "{body}");
    for list in ["/tasks", "/calls", "/trunks", "/phone-numbers", "/webhook-deliveries"] {
        assert_eq!(server.send("GET", &format!("{list}?before={before}"), None).await.0, 200, "{list}");
    }
}
