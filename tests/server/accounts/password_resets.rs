//! Forgotten passwords: a link by mail or from the server's operator, once and for an hour, and an answer that says
//! nothing about accounts.

use super::super::reports::mail_server;
use super::super::support::{LoggedInUser, OWNER, PASSWORD, PATIENCE, Server, program};
use super::{OTHER_PASSWORD, organization};
use serde_json::{Value, json};

const NEW_PASSWORD: &str = "a new password of some length";

async fn post(server: &Server, path: &str, body: Value) -> (u16, Value) {
    let answer = server.http.post(server.url(path)).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn log_in(server: &Server, password: &str) -> u16 {
    post(server, "/auth/login", json!({"email": OWNER, "password": password})).await.0
}

/// The token of the link in a mail or on a terminal.
fn token(text: &str) -> String {
    let text = text.replace("=\n", "").replace("=3D", "=");
    let rest = text.split("/#/reset/").nth(1).unwrap_or_else(|| panic!("no link in {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn confirm(server: &Server, token: &str, password: &str) -> (u16, Value) {
    post(server, "/auth/password-reset/confirm", json!({"token": token, "password": password})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailed_link_sets_a_password_once_and_ends_every_session() {
    let (port, mut mails) = mail_server().await;
    let server = Server::start_with(|config| {
        config.smtp.host = "127.0.0.1".into();
        config.smtp.port = port;
        config.smtp.tls = false;
        config.smtp.from = "Trunkline <calls@voice.example>".into();
        config.api.public_url = "https://voice.example".into();
    })
    .await;
    let before = LoggedInUser::owner(&server).await;
    let asked = post(&server, "/auth/password-reset", json!({"email": OWNER})).await;
    let stranger = post(&server, "/auth/password-reset", json!({"email": "nobody@example.com"})).await;
    assert_eq!((asked.0, &asked.1["data"]), (202, &json!({"sends_mail": true})));
    assert_eq!((stranger.0, &stranger.1["data"]), (asked.0, &asked.1["data"]), "the same answer");

    let mail = tokio::time::timeout(PATIENCE, mails.recv()).await.unwrap().unwrap();
    assert!(mail.contains(&format!("To: {OWNER}")) && mail.contains("https://voice.example/#/reset/"), "{mail}");
    let token = token(&mail);
    let (status, answer) = confirm(&server, &token, "short").await;
    assert_eq!((status, &answer["details"]["field"]), (400, &json!("password")));
    let (status, answer) = confirm(&server, &token, NEW_PASSWORD).await;
    assert_eq!((status, &answer["data"]), (200, &json!({"email": OWNER})), "{answer}");
    let (status, answer) = confirm(&server, &token, NEW_PASSWORD).await;
    assert_eq!((status, &answer["details"]["field"]), (404, &json!("token")), "once");
    assert_eq!(before.send("GET", "/auth/me", None).await.0, 401, "the session has ended");
    assert_eq!((log_in(&server, PASSWORD).await, log_in(&server, NEW_PASSWORD).await), (401, 200));

    let owner = LoggedInUser::log_in(&server, OWNER, NEW_PASSWORD).await;
    let log = owner.done("GET", "/audit-log", None).await;
    let actions: Vec<&str> =
        log["entries"].as_array().unwrap().iter().filter_map(|one| one["action"].as_str()).collect();
    assert_eq!(&actions[..2], ["user.password_reset", "user.password_reset_request"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_again_and_again_sends_three_mails() {
    let (port, mut mails) = mail_server().await;
    let server = Server::start_with(|config| {
        config.smtp.host = "127.0.0.1".into();
        config.smtp.port = port;
        config.smtp.tls = false;
        config.smtp.from = "calls@voice.example".into();
    })
    .await;
    for _ in 0..6 {
        assert_eq!(post(&server, "/auth/password-reset", json!({"email": OWNER.to_uppercase()})).await.0, 202);
    }
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(token(&tokio::time::timeout(PATIENCE, mails.recv()).await.unwrap().unwrap()));
    }
    assert_eq!(confirm(&server, &tokens[1], NEW_PASSWORD).await.0, 200);
    assert_eq!(confirm(&server, &tokens[0], NEW_PASSWORD).await.0, 404, "the others went with it");
    let owner = LoggedInUser::log_in(&server, OWNER, NEW_PASSWORD).await;
    let log = owner.done("GET", "/audit-log", None).await;
    let requests =
        log["entries"].as_array().unwrap().iter().filter(|one| one["action"] == json!("user.password_reset_request"));
    assert_eq!(requests.count(), 3, "{log}");
    for body in [json!({}), json!({"email": "nobody"}), json!({"email": 1}), json!({"email": OWNER, "x": 1})] {
        let (status, answer) = post(&server, "/auth/password-reset", body).await;
        assert_eq!(status, 400, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_mail_says_so_and_its_operator_makes_the_link() {
    let server = Server::start().await;
    let asked = post(&server, "/auth/password-reset", json!({"email": OWNER})).await;
    assert_eq!((asked.0, &asked.1["data"]), (202, &json!({"sends_mail": false})));
    let store = &server.app.services.store;
    let other = organization(store, "Other", OWNER, OTHER_PASSWORD).await.organization().to_string();
    let run = async |arguments: &[&str]| {
        let url = &server.database;
        let output = tokio::process::Command::new(program())
            .args(["reset-password", "--email"])
            .args(arguments)
            .env("TRUNKLINE_DATABASE__URL", url)
            .env("TRUNKLINE_API__PUBLIC_URL", "https://voice.example/")
            .current_dir(server.folder.path())
            .output()
            .await
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (done, said) = run(&[OWNER]).await;
    assert!(done && said.matches("https://voice.example/#/reset/").count() == 2, "{said}");
    let (done, said) = run(&[OWNER, "--organization", &other]).await;
    assert!(done && said.contains("Other") && !said.contains("Test"), "{said}");
    assert_eq!(confirm(&server, &token(&said), NEW_PASSWORD).await.0, 200);
    assert_eq!(log_in(&server, NEW_PASSWORD).await, 200, "of the other organization");
    assert_eq!(log_in(&server, PASSWORD).await, 200, "this one keeps its own");
    for arguments in [vec!["nobody@example.com"], vec!["nobody"], vec![OWNER, "--organization", "x"]] {
        let (done, said) = run(&arguments).await;
        assert!(!done, "{said}");
    }
}
