//! Passwords, and guesses at them.

use super::{OTHER_PASSWORD, accept, heard, invite, log_in, log_in_from, organization};
use crate::support::{LoggedInUser, OWNER, PASSWORD, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use trunkline::domain::login_address::LoginAddress;
use trunkline::domain::password;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_password_fits_several_organizations_is_asked_which() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    let second = organization(store, "Second", OWNER, PASSWORD).await.organization().to_string();
    let third = organization(store, "Third", OWNER, OTHER_PASSWORD).await.organization().to_string();
    let foreign = organization(store, "Foreign", "other@example.com", PASSWORD).await.organization().to_string();

    let asked = log_in(&server, json!({"email": "Owner@Example.com", "password": PASSWORD})).await;
    assert_eq!((asked.status, &asked.code, asked.cookie), (409, &json!("organization_required"), false));
    let details = &asked.body["details"];
    assert_eq!(details["field"], json!("organization_id"));
    let names: Vec<_> = details["organizations"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Second", "Test"], "those that the password fits, and no other");
    assert_eq!(details["organizations"][0], json!({"id": second, "name": "Second", "role": "owner"}));

    let chosen = log_in(&server, json!({"email": OWNER, "password": PASSWORD, "organization_id": second})).await;
    assert_eq!((chosen.status, chosen.cookie), (200, true));
    assert_eq!(chosen.body["data"]["organization"]["name"], json!("Second"));
    // The password itself says which where it fits one.
    let direct = log_in(&server, json!({"email": OWNER, "password": OTHER_PASSWORD})).await;
    assert_eq!((direct.status, &direct.body["data"]["organization"]["name"]), (200, &json!("Third")));

    // A wrong password says the same, whichever organization is named with it.
    let unknown = uuid::Uuid::new_v4().to_string();
    let mut answers = Vec::new();
    for (email, password, organization) in [
        (OWNER, "wrong password", None),
        (OWNER, "wrong password", Some(&second)),
        (OWNER, PASSWORD, Some(&third)),
        (OWNER, PASSWORD, Some(&foreign)),
        ("nobody@example.com", PASSWORD, None),
        ("nobody@example.com", PASSWORD, Some(&unknown)),
    ] {
        let mut answer =
            log_in(&server, json!({"email": email, "password": password, "organization_id": organization})).await;
        answer.body["meta"] = Value::Null;
        answers.push(answer);
    }
    assert_eq!((answers[0].status, &answers[0].code), (401, &json!("wrong_credentials")));
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    let bad = log_in(&server, json!({"email": OWNER, "password": PASSWORD, "organization_id": "x"})).await;
    assert_eq!((bad.status, &bad.body["details"]["field"]), (400, &json!("organization_id")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_belongs_to_an_address_in_one_organization() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    organization(store, "Second", OWNER, OTHER_PASSWORD).await;
    let (first, second) =
        (LoggedInUser::owner(&server).await, LoggedInUser::log_in(&server, OWNER, OTHER_PASSWORD).await);
    let change = json!({"current_password": PASSWORD, "new_password": "a third password"});
    let (status, answer) = second.send("POST", "/auth/password", Some(change.clone())).await;
    assert_eq!((status, &answer["details"]["code"]), (403, &json!("wrong_password")), "the other account's");
    first.done("POST", "/auth/password", Some(change)).await;
    assert_eq!(second.send("GET", "/auth/me", None).await.0, 200, "sessions of the other account go on");
    assert_eq!(log_in(&server, json!({"email": OWNER, "password": PASSWORD})).await.status, 401);
    for (password, name) in [("a third password", "Test"), (OTHER_PASSWORD, "Second")] {
        let entered = log_in(&server, json!({"email": OWNER, "password": password})).await;
        assert_eq!((entered.status, &entered.body["data"]["organization"]["name"]), (200, &json!(name)));
    }
    // Who is removed from one organization stays in the other.
    let id = first.done("GET", "/auth/me", None).await["user"]["id"].as_str().unwrap().to_owned();
    let token = invite(&first, "deputy@example.com").await;
    assert_eq!(accept(&server, &token, PASSWORD).await.status, 201);
    let users = first.done("GET", "/users", None).await;
    let deputy = users["users"].as_array().unwrap().iter().find(|user| user["id"] != json!(id)).unwrap();
    let path = format!("/users/{}", deputy["id"].as_str().unwrap());
    first.done("PATCH", &path, Some(json!({"role": "owner"}))).await;
    let deputy = LoggedInUser::log_in(&server, "deputy@example.com", PASSWORD).await;
    deputy.done("DELETE", &format!("/users/{id}"), None).await;
    assert_eq!(log_in(&server, json!({"email": OWNER, "password": "a third password"})).await.status, 401);
    assert_eq!(log_in(&server, json!({"email": OWNER, "password": OTHER_PASSWORD})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_computation_tries_all_accounts_of_an_address() {
    let server = Server::start().await;
    let (store, hostile) = (&server.app.services.store, "hostile@example.com");
    organization(store, "Hostile", hostile, PASSWORD).await;
    let hostile = LoggedInUser::log_in(&server, hostile, PASSWORD).await;
    let unknown = store.password_recipes(&LoginAddress::new("nobody@example.com")).await.unwrap();
    // An account that an earlier version created with a separate salt, and a new account.
    for email in [OWNER, "new@example.com"] {
        for n in 0..3 {
            organization(store, &format!("O{n}"), email, &format!("password number {n}")).await;
        }
        assert_eq!(accept(&server, &invite(&hostile, email).await, OTHER_PASSWORD).await.status, 201);
        let recipes = store.password_recipes(&LoginAddress::new(email)).await.unwrap();
        assert_eq!((recipes.len(), unknown.len()), (1, 1), "as many as for an unknown address");
        for password in ["password number 0", "password number 2", OTHER_PASSWORD] {
            assert_eq!(log_in(&server, json!({"email": email, "password": password})).await.status, 200);
        }
    }
    // Two that were made with a salt each are found all the same.
    store.bootstrap("Apart", OWNER, &password::hash("password number 0").unwrap()).await.unwrap();
    let asked = log_in(&server, json!({"email": OWNER, "password": "password number 0"})).await;
    assert_eq!(asked.body["details"]["organizations"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_one_moment_are_counted_before_they_are_tried() {
    let server = Arc::new(Server::start().await);
    let mut counts = Vec::new();
    for (email, address) in
        [(OWNER, "127.0.0.50"), ("nobody@example.com", "127.0.0.51"), ("OWNER@example.com", "127.0.0.50")]
    {
        let guesses = (0..60).map(|n| {
            let server = server.clone();
            tokio::spawn(async move { log_in_from(&server, address, email, &format!("wrong password {n}")).await })
        });
        let mut heard = Vec::new();
        for guess in guesses.collect::<Vec<_>>() {
            heard.push(guess.await.unwrap());
        }
        let refused: Vec<_> = heard.iter().filter(|answer| answer.status == 429).collect();
        assert!(refused.iter().all(|one| one.code == json!("login_throttled") && (1..=300).contains(&one.wait_s)));
        counts.push((heard.iter().filter(|answer| answer.status == 401).count(), refused.len()));
    }
    assert_eq!(counts, [(5, 55), (5, 55), (0, 60)], "unknown addresses and letter case make no difference");
    assert_eq!(log_in_from(&server, "127.0.0.50", OWNER, PASSWORD).await.status, 429, "right or wrong is not shown");
    for address in ["127.0.0.1", "127.0.0.52"] {
        for _ in 0..7 {
            assert_eq!(log_in_from(&server, address, OWNER, PASSWORD).await.status, 200, "{address}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_do_not_lock_out_sources_of_earlier_logins() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    organization(store, "Hostile", "hostile@example.com", PASSWORD).await;
    let hostile = LoggedInUser::log_in(&server, "hostile@example.com", PASSWORD).await;
    // An account of the owner's address in the guesser's organization, opened from the source of the guesses.
    assert_eq!(accept(&server, &invite(&hostile, OWNER).await, OTHER_PASSWORD).await.status, 201);
    assert_eq!(log_in_from(&server, "127.0.2.1", OWNER, OTHER_PASSWORD).await.status, 200);
    assert_eq!(log_in_from(&server, "127.0.0.1", OWNER, PASSWORD).await.status, 200);

    let (server, mut tried) = (Arc::new(server), 0);
    let sources: Vec<String> = (0..250).map(|n| format!("127.0.1.{n}")).collect();
    for some in sources.chunks(25) {
        let guesses = some.iter().cloned().map(|address| {
            let server = server.clone();
            tokio::spawn(async move { log_in_from(&server, &address, OWNER, "wrong password").await.status })
        });
        for guess in guesses.collect::<Vec<_>>() {
            tried += usize::from(guess.await.unwrap() == 401);
        }
    }
    assert_eq!(tried, 200, "an hour's guesses");
    assert_eq!(log_in_from(&server, "127.0.0.1", OWNER, PASSWORD).await.status, 200, "from where it was before");
    let new = log_in_from(&server, "127.0.3.1", OWNER, PASSWORD).await;
    assert_eq!((new.status, &new.code), (429, &json!("login_throttled")));
    // The guesser can log in to that account, but this gives no access to the owner's account.
    assert_eq!(log_in_from(&server, "127.0.2.1", OWNER, OTHER_PASSWORD).await.status, 200);
    assert_eq!(log_in_from(&server, "127.0.2.1", OWNER, PASSWORD).await.status, 401);
    // Other people notice nothing.
    assert_eq!(log_in_from(&server, "127.0.1.1", "hostile@example.com", PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ipv6_network_is_one_source() {
    let server = Server::start_with(|config| config.api.behind_proxy = true).await;
    let guess = async |from: &str, password: &str| {
        let body = json!({"email": OWNER, "password": password});
        heard(server.http.post(server.url("/auth/login")).header("x-forwarded-for", from).json(&body)).await.status
    };
    let mut tried = 0;
    for n in 0..20 {
        tried += usize::from(guess(&format!("2001:db8:0:7::{n:x}"), "wrong password").await == 401);
    }
    assert_eq!(tried, 5);
    assert_eq!(guess("2001:db8:0:8::1", PASSWORD).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_change_limits_guesses_within_a_session() {
    let server = Arc::new(Server::start().await);
    let owner = Arc::new(LoggedInUser::owner(&server).await);
    let guesses = (0..30).map(|n| {
        let owner = owner.clone();
        let change = json!({"current_password": format!("wrong password {n}"), "new_password": OTHER_PASSWORD});
        tokio::spawn(async move { owner.send("POST", "/auth/password", Some(change)).await })
    });
    let mut statuses = Vec::new();
    for guess in guesses.collect::<Vec<_>>() {
        statuses.push(guess.await.unwrap().0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 5, "{statuses:?}");
    let change = json!({"current_password": PASSWORD, "new_password": OTHER_PASSWORD});
    let (status, answer) = owner.send("POST", "/auth/password", Some(change)).await;
    assert_eq!((status, &answer["details"]["code"]), (429, &json!("login_throttled")));
    // Logging in is another matter.
    assert_eq!(log_in(&server, json!({"email": OWNER, "password": PASSWORD})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_yet_sends_small_bodies() {
    let server = Server::start().await;
    let body = json!({"email": "a@example.com", "password": "x", "organization_id": "y".repeat(20_000)});
    for path in ["/auth/login", "/invitations/accept"] {
        let answer = heard(server.http.post(server.url(path)).json(&body)).await;
        assert_eq!((answer.status, &answer.code), (413, &json!("payload_too_large")), "{path}: {answer:?}");
    }
}
