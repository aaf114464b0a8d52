//! Links that show one call to people without an account: what they show, and when they stop.

use super::support::{LoggedInUser, Server, until};
use serde_json::{Value, json};

const TALK: &str = "listen; say opening_hours; listen; hangup";

/// What somebody without an account gets of a link.
async fn open(server: &Server, url: &str, rest: &str) -> reqwest::Response {
    let token = url.split("/#/shared/").nth(1).unwrap_or_else(|| panic!("no token in {url}"));
    server.http.get(server.url(&format!("/shared-calls/{token}{rest}"))).send().await.unwrap()
}

async fn shared_call(server: &Server) -> String {
    server.call(TALK).await;
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    server.recording(&id).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_shows_one_call_without_numbers_and_plays_it() {
    let server = Server::start().await;
    let id = shared_call(&server).await;
    let made = server.post(&format!("/calls/{id}/share"), json!({"expires_in_hours": 2})).await["share"].clone();
    let url = made["url"].as_str().unwrap();
    let answer = open(&server, url, "").await;
    assert_eq!(answer.status(), 200);
    for (name, value) in [
        ("x-robots-tag", "noindex, nofollow"),
        ("cache-control", "private, no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let body: Value = answer.json().await.unwrap();
    let call = &body["data"]["call"];
    assert_eq!(call["recording_available"], json!(true), "{call}");
    let roles: Vec<&str> =
        call["transcript"].as_array().unwrap().iter().filter_map(|turn| turn["role"].as_str()).collect();
    assert!(roles.contains(&"user") && roles.contains(&"assistant"), "{call}");
    let text = body.to_string();
    for hidden in ["+15550100", "+31201234567", "cost", "metrics", "organization_id", &server.agent] {
        assert!(!text.contains(hidden), "{hidden} is in {text}");
    }
    let request =
        server.http.get(server.url(&format!("/shared-calls/{}/recording", url.split("/#/shared/").nth(1).unwrap())));
    let part = request.header("range", "bytes=0-3").send().await.unwrap();
    assert_eq!((part.status().as_u16(), &part.bytes().await.unwrap()[..]), (206, &b"RIFF"[..]));

    let owner = LoggedInUser::owner(&server).await;
    let log = owner.done("GET", "/audit-log", None).await;
    assert_eq!((&log["entries"][0]["action"], &log["entries"][0]["target"]), (&json!("call.share"), &json!(id)));
    let listed = server.get(&format!("/calls/{id}/shares")).await["shares"].clone();
    assert_eq!(listed, json!([made]));
    let share = made["id"].as_str().unwrap();
    assert_eq!(server.send("DELETE", &format!("/calls/{id}/shares/{share}"), None).await.0, 200);
    assert_eq!(open(&server, url, "").await.status(), 404);
    assert_eq!(open(&server, url, "/recording").await.status(), 404);
    assert_eq!(server.send("DELETE", &format!("/calls/{id}/shares/{share}"), None).await.0, 404);
    assert_eq!(server.get(&format!("/calls/{id}/shares")).await["shares"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_for_calls_that_are_over_for_a_while_and_of_its_organization() {
    let server = Server::start().await;
    let id = shared_call(&server).await;
    let path = format!("/calls/{id}/share");
    let without = server.post(&path, json!({"recording": false})).await["share"].clone();
    let url = without["url"].as_str().unwrap();
    let body: Value = open(&server, url, "").await.json().await.unwrap();
    assert_eq!(body["data"]["call"]["recording_available"], json!(false));
    assert_eq!(open(&server, url, "/recording").await.status(), 404);
    for (body, field) in [
        (json!({"expires_in_hours": 0}), "expires_in_hours"),
        (json!({"expires_in_hours": 721}), "expires_in_hours"),
        (json!({"recording": "yes"}), "recording"),
        (json!({"password": "x"}), "password"),
    ] {
        let (status, answer) = server.send("POST", &path, Some(body)).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
    }
    // A token is bound to its link: nothing of it can be changed.
    let token = url.split("/#/shared/").nth(1).unwrap();
    for forged in [format!("{token}A"), token[1..].to_owned(), "x".to_owned()] {
        let answer = server.http.get(server.url(&format!("/shared-calls/{forged}"))).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{forged}");
    }
    for _ in 0..19 {
        server.post(&path, json!({})).await;
    }
    let (status, answer) = server.send("POST", &path, Some(json!({}))).await;
    assert_eq!((status, &answer["details"]["limit"]), (403, &json!("shares_per_call")), "{answer}");

    let recipe = trunkline::domain::password::hash("some other password").unwrap();
    let other = server.app.services.store.bootstrap("Other", "other@example.com", &recipe).await.unwrap();
    let share = without["id"].as_str().unwrap();
    for (method, path) in [
        ("POST", path.clone()),
        ("GET", format!("/calls/{id}/shares")),
        ("DELETE", format!("/calls/{id}/shares/{share}")),
    ] {
        let request =
            server.http.request(method.parse().unwrap(), server.url(&path)).bearer_auth(other.key.text.expose());
        let request = if method == "POST" { request.json(&json!({})) } else { request };
        assert_eq!(request.send().await.unwrap().status(), 404, "{method} {path}");
    }
    assert_eq!(open(&server, url, "").await.status(), 200);
    // A call that goes on is not shared.
    let going = server.call("listen; pause 2000; hangup");
    let shared = async {
        let live = server.live_call().await;
        server.send("POST", &format!("/calls/{live}/share"), Some(json!({}))).await
    };
    let (_, (status, answer)) = tokio::join!(going, shared);
    assert_eq!((status, &answer["details"]["code"]), (400, &json!("invalid_state")), "{answer}");
    until("the call is over", async || (server.last_call().await["status"] == json!("completed")).then_some(())).await;
}
