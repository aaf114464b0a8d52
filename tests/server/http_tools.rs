//! Tools with a request of their own, over real calls: methods, secrets, variables, retries, long work, hang-up.

use super::support::{Server, agent, lines, peer_takes, until};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use trunkline_lab::emulator::ReplyScript;

const ASKS: &str = "listen; say where_is_my_order; listen; listen; say goodbye; listen";
const SECRET: &str = "s3cret-of-the-tool";

/// What a server has seen: whole requests, and how many of them were given up before their answer.
#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
    given_up: usize,
}

/// A server that speaks HTTP as it likes.
struct ToolServer {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

/// A whole answer, and how long it takes; by the number of the request, from 0.
type Answer = fn(usize, &str) -> (String, Duration);

fn json_answer(body: &Value) -> (String, Duration) {
    (response("200 OK", "application/json", &body.to_string()), Duration::ZERO)
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Reads one request with its body.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let len = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend_from_slice(&chunk[..len]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if len == 0 {
                return text;
            }
            continue;
        };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if len == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

impl ToolServer {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let kept = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    let number = {
                        let mut seen = kept.lock().unwrap();
                        seen.requests.push(request.clone());
                        seen.requests.len() - 1
                    };
                    let (answer, wait) = answer(number, &request);
                    let mut rest = [0; 16];
                    tokio::select! {
                        () = peer_takes(wait) => drop(stream.write_all(answer.as_bytes()).await),
                        _ = stream.read(&mut rest) => kept.lock().unwrap().given_up += 1,
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The value of a header of a request.
    fn header(&self, request: usize, name: &str) -> Option<String> {
        let start = format!("{name}: ");
        let line = |line: &str| line.to_ascii_lowercase().starts_with(&start).then(|| line[start.len()..].to_owned());
        self.requests()[request].lines().find_map(line)
    }
}

fn script() -> ReplyScript {
    serde_json::from_value(json!([
        {"words": ["goodbye"], "reply": "Goodbye.", "tool": {"name": "end_call", "arguments": {}}},
        {"words": ["order"], "reply": "", "tool": {"name": "find_order", "arguments": {"number": "42/71", "shop": "other"}},
            "after_tool": "I found {result}."},
        {"words": ["opening", "open"], "reply": "", "tool": {"name": "hours", "arguments": {"day": "to day"}},
            "after_tool": "Open: {result}."},
        {"words": [], "reply": "Pardon?"},
    ]))
    .unwrap()
}

fn tool(name: &str, argument: &str, more: Value) -> Value {
    let parameters =
        json!({"type": "object", "properties": {argument: {"type": "string"}, "shop": {"type": "string"}}});
    let mut tool = json!({"function": {"name": name, "parameters": parameters}, "filler": "One moment."});
    tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    tool
}

fn with_tools(tools: Value) -> Value {
    let mut config = agent()["llm_config"].clone();
    config["tools"] = tools;
    json!({"llm_config": config})
}

async fn change(server: &Server, changes: Value) -> Value {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
    body["data"]["agent"].clone()
}

/// A call on which a tool with this request answers so; the transcript, and the server.
async fn call_with(more: Value, answer: Answer) -> (Vec<String>, ToolServer) {
    let server = Server::start_scripted(script(), |_| {}).await;
    let peer = ToolServer::start(answer).await;
    let mut tool = tool("find_order", "number", json!({"url": format!("{}/orders", peer.url)}));
    tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change(&server, with_tools(json!([tool]))).await;
    server.call(ASKS).await;
    (lines(&server.last_call().await), peer)
}

fn says(all: &[String], line: &str) {
    assert!(all.iter().any(|one| one == line), "{line}: {all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_and_a_form_carry_secrets_and_the_second_knows_what_the_first_answered() {
    let server = Server::start_scripted(script(), |_| {}).await;
    let peer = ToolServer::start(|_, request| match request.starts_with("GET ") {
        true => json_answer(&json!({"data": {"id": "o 7", "state": "sent", "key": SECRET}, "internal": "x"})),
        false => (response("200 OK", "text/plain", "until five"), Duration::ZERO),
    })
    .await;
    let first = json!({"method": "GET", "headers": {"X-Key": "{{secrets.KEY}}", "X-Agent": "{{agent_name}}"},
        "static_parameters": {"shop": "main {{metadata.crm}}"}, "secrets": {"KEY": SECRET},
        "response": {"fields": {"state": "/data/state", "key": "data.key"}, "variables": {"order": "data.id"}}});
    let second = json!({"method": "PUT", "body_format": "form", "headers": {"X-Order": "{{order}}"},
        "auth": {"type": "basic", "username": "u", "password": SECRET}});
    let mut changes = with_tools(json!([
        tool("find_order", "number", json!({"url": format!("{}/orders/{{number}}?v=1", peer.url), "request": first})),
        tool("hours", "day", json!({"url": format!("{}/hours/{{{{order}}}}", peer.url), "request": second})),
    ]));
    changes["metadata"] = json!({"crm": "7"});
    let shown = change(&server, changes).await.to_string();
    assert!(!shown.contains(SECRET) && shown.contains("********"), "{shown}");
    server
        .call("listen; say where_is_my_order; listen; listen; say opening_hours; listen; listen; say goodbye; listen")
        .await;
    let call = server.last_call().await;
    let all = lines(&call);
    says(&all, r#"tool: find_order: {"key":"[removed]","state":"sent"}"#);
    says(&all, "tool: hours: until five");
    let requests = peer.requests();
    assert!(requests[0].starts_with("GET /orders/42%2F71?v=1&shop=main+7 HTTP/1.1\r\n"), "{requests:?}");
    assert_eq!(peer.header(0, "x-key").as_deref(), Some(SECRET));
    assert_eq!(peer.header(0, "x-agent").as_deref(), Some("Test"));
    assert!(requests[1].starts_with("PUT /hours/o%207 HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[1].ends_with("\r\n\r\nday=to+day"), "{requests:?}");
    assert_eq!(peer.header(1, "content-type").as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(peer.header(1, "x-order").as_deref(), Some("o 7"));
    assert!(peer.header(1, "authorization").unwrap().starts_with("Basic dTpz"));
    assert!(peer.header(1, "idempotency-key").is_some());
    // Nothing that the API tells of the call has the secret in it.
    let id = call["id"].as_str().unwrap();
    let mut told = call.to_string();
    for path in
        [format!("/calls/{id}/events"), "/webhook-deliveries".to_owned(), format!("/agents/{}/versions", server.agent)]
    {
        told.push_str(&server.get(&path).await.to_string());
    }
    assert!(!told.contains(SECRET), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_repeated_with_the_same_key_and_a_post_only_when_it_may_be() {
    let answer: Answer = |number, _| match number {
        0 => (response("503 Service Unavailable", "text/html", "<html>"), Duration::ZERO),
        1 => (String::new(), Duration::ZERO), // the connection breaks
        _ => json_answer(&json!("a kite")),
    };
    let retry = |method: &str, post: bool| json!({"request": {"method": method, "retry": {"count": 2, "delay_ms": 100, "post": post}}});
    let [(get, of_get), (post, of_post), (asked, of_asked)] = {
        let (a, b, c) = tokio::join!(
            call_with(retry("GET", false), answer),
            call_with(retry("POST", false), answer),
            call_with(retry("POST", true), answer),
        );
        [a, b, c]
    };
    says(&get, "assistant: I found a kite.");
    says(&asked, "assistant: I found a kite.");
    says(&post, "tool: find_order: error: the server answered with status 503");
    assert_eq!((of_get.requests().len(), of_post.requests().len(), of_asked.requests().len()), (3, 1, 3));
    for peer in [of_get, of_asked] {
        let keys: Vec<_> = (0..3).map(|place| peer.header(place, "idempotency-key").unwrap()).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_redirects_and_nothing_are_answers_that_the_model_understands() {
    let request = || json!({"request": {"method": "DELETE"}});
    let (page, moved, empty, large) = tokio::join!(
        call_with(request(), |_, _| (response("200 OK", "text/html", "<html>Log in</html>"), Duration::ZERO)),
        call_with(request(), |_, _| {
            let away =
                "HTTP/1.1 307 Moved\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            (away.to_owned(), Duration::ZERO)
        }),
        call_with(request(), |_, _| (
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
            Duration::ZERO
        )),
        call_with(request(), |_, _| (response("200 OK", "text/plain", &"x".repeat(300_000)), Duration::ZERO)),
    );
    says(&page.0, "tool: find_order: error: the answer is a web page (HTML)");
    says(&moved.0, "tool: find_order: error: the tool did not answer");
    says(&empty.0, "tool: find_order: done");
    says(&large.0, "tool: find_order: error: the answer is too large");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_may_take_longer_than_ten_seconds_and_the_caller_hears_of_it() {
    let server = Server::start_scripted(script(), |_| {}).await;
    let peer = ToolServer::start(|_, _| (json_answer(&json!("a kite")).0, Duration::from_secs(12))).await;
    let progress = json!({"after_ms": 1_000, "repeat_ms": 2_000, "phrases": ["Just a second.", "I am still at it."]});
    let slow = json!({"url": peer.url, "request": {}, "filler": null, "timeout_ms": 30_000, "progress": progress});
    change(&server, with_tools(json!([tool("find_order", "number", slow)]))).await;
    server.call("listen; say where_is_my_order; pause 15000; listen; say goodbye; listen").await;
    let all = lines(&server.last_call().await);
    says(&all, "assistant: I found a kite.");
    says(&all, "assistant: Just a second.");
    assert!(all.iter().filter(|line| *line == "assistant: I am still at it.").count() >= 2, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_hangs_up_ends_the_request_of_a_tool() {
    let server = Server::start_scripted(script(), |_| {}).await;
    let peer = ToolServer::start(|_, _| (String::new(), Duration::from_secs(100))).await;
    let slow = json!({"url": peer.url, "request": {"method": "GET"}, "timeout_ms": 120_000});
    change(&server, with_tools(json!([tool("find_order", "number", slow)]))).await;
    server.call("listen; say where_is_my_order; listen; hangup").await;
    until("the request to be given up", || async { (peer.seen.lock().unwrap().given_up == 1).then_some(()) }).await;
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_kept_by_a_change_without_them_and_do_not_move_to_another_server() {
    let server = Server::start_scripted(script(), |_| {}).await;
    let peer = ToolServer::start(|_, _| json_answer(&json!("a kite"))).await;
    let asked = |url: &str, request: Value| {
        with_tools(json!([tool("find_order", "number", json!({"url": url, "request": request}))]))
    };
    let auth = json!({"type": "bearer", "token": SECRET});
    change(&server, asked(&peer.url, json!({"method": "GET", "auth": auth}))).await;
    let shown = change(&server, asked(&peer.url, json!({"method": "PUT", "auth": {"type": "bearer"}}))).await;
    let shown = &shown["llm_config"];
    assert_eq!(shown["tools"][0]["request"]["auth"], json!({"type": "bearer", "token": "********"}));
    // What was shown is sent back as it is.
    change(&server, json!({"llm_config": shown})).await;
    let path = format!("/agents/{}", server.agent);
    let moved = asked("http://127.0.0.1:9/", json!({"auth": {"type": "bearer"}}));
    let (status, body) = server.send("PATCH", &path, Some(moved)).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("llm_config.tools[0].request.auth.token")), "{body}");
    let mut copy = server.get(&path).await["agent"]["llm_config"].clone();
    copy["tools"][0]["url"] = json!(peer.url);
    let (status, body) = server.send("POST", "/agents", Some(json!({"name": "Copy", "llm_config": copy}))).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("llm_config.tools[0].request.auth.token")), "{body}");
    let (status, body) = server.send("PATCH", &path, Some(asked(&peer.url, json!({"headers": {"Host": "x"}})))).await;
    assert_eq!(
        (status, &body["details"]["field"]),
        (400, &json!("llm_config.tools[0].request.headers.Host")),
        "{body}"
    );
    server.call(ASKS).await;
    assert_eq!(peer.header(0, "authorization").as_deref(), Some(format!("Bearer {SECRET}").as_str()));
    assert!(peer.requests()[0].starts_with("PUT "), "{:?}", peer.requests());
}
