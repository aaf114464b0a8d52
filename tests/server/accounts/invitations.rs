//! Who is invited, and what an invitation gives away.

use super::{OTHER_PASSWORD, accept, invite, log_in, organization};
use crate::support::{LoggedInUser, OWNER, PASSWORD, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use trunkline::domain::login_address::LoginAddress;
use trunkline::domain::permission::UserRole;

/// Whatever an answer says that is of this one invitation alone.
fn shape(mut answer: Value, email: &str) -> Value {
    answer["meta"] = Value::Null;
    let invitation = &mut answer["data"]["invitation"];
    assert_eq!(invitation["email"], json!(LoginAddress::new(email).as_str()));
    for field in ["id", "email", "token", "created_at", "expires_at"] {
        assert!(invitation[field].is_string(), "{field}");
        invitation[field] = Value::Null;
    }
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_says_nothing_of_accounts_elsewhere_and_blocks_none() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    organization(store, "Hostile", "hostile@example.com", PASSWORD).await;
    organization(store, "Accents", "jos\u{E9}@m\u{FC}nchen.example", PASSWORD).await;
    let (owner, hostile) =
        (LoggedInUser::owner(&server).await, LoggedInUser::log_in(&server, "hostile@example.com", PASSWORD).await);

    let mut shapes = Vec::new();
    for email in
        ["new@example.com", OWNER, "OWNER@EXAMPLE.COM", " owner@example.com ", "JOSE\u{301}@xn--mnchen-3ya.example"]
    {
        let (status, answer) = hostile.send("POST", "/users/invite", Some(json!({"email": email}))).await;
        shapes.push((status, shape(answer, email)));
    }
    assert_eq!(shapes[0].0, 201);
    assert!(shapes.iter().all(|one| one == &shapes[0]), "{shapes:#?}");

    // The one who invites has the token, and accepts in the other's name: that is an account in their own organization.
    let token = invite(&hostile, OWNER).await;
    let accepted = accept(&server, &token, OTHER_PASSWORD).await;
    let mut of_new = accept(&server, &invite(&hostile, "new@example.com").await, OTHER_PASSWORD).await;
    assert_eq!((accepted.status, accepted.cookie), (201, true));
    let names = |value: &Value| value["data"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&accepted.body), names(&of_new.body));
    of_new.body = accepted.body.clone();
    assert_eq!(accepted, of_new);
    // The owner goes on: the session, the password, and nothing to choose.
    assert_eq!(owner.send("GET", "/auth/me", None).await.0, 200);
    let entered = log_in(&server, json!({"email": OWNER, "password": PASSWORD})).await;
    assert_eq!((entered.status, &entered.body["data"]["organization"]["name"]), (200, &json!("Test")));
    let users = owner.done("GET", "/users", None).await;
    assert_eq!(users["total"], json!(1));

    // The reverse: an address that another organization took first can still be invited and accepted.
    let squatted = invite(&hostile, "colleague@example.com").await;
    assert_eq!(accept(&server, &squatted, OTHER_PASSWORD).await.status, 201);
    let token = invite(&owner, "Colleague@example.com").await;
    assert_eq!(accept(&server, &token, PASSWORD).await.status, 201);
    LoggedInUser::log_in(&server, "colleague@example.com", PASSWORD).await;

    // A user with the same password elsewhere must choose an organization; a different password decides by itself.
    let token = invite(&owner, "jose\u{301}@m\u{FC}nchen.example").await;
    assert_eq!(accept(&server, &token, PASSWORD).await.status, 201);
    let asked = log_in(&server, json!({"email": "Jos\u{E9}@xn--mnchen-3ya.example", "password": PASSWORD})).await;
    assert_eq!((asked.status, asked.body["details"]["organizations"].as_array().unwrap().len()), (409, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_good_once_and_the_last_one_counts() {
    let server = Server::start().await;
    let store = &server.app.services.store;
    let other = organization(store, "Other", "other@example.com", PASSWORD).await;
    let (owner, second) =
        (LoggedInUser::owner(&server).await, LoggedInUser::log_in(&server, "other@example.com", PASSWORD).await);

    // Who is in my own organization already is my own data.
    for email in [OWNER, "OWNER@example.com", "owner@EXAMPLE.com "] {
        let (status, answer) = owner.send("POST", "/users/invite", Some(json!({"email": email}))).await;
        let details = &answer["details"];
        assert_eq!((status, &details["code"], &details["field"]), (400, &json!("already_exists"), &json!("email")));
    }
    for email in ["", "x", "a@b", "owner\u{200B}@example.com", "a\u{202E}@example.com", "a,b@example.com"] {
        let (status, answer) = owner.send("POST", "/users/invite", Some(json!({"email": email}))).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!("email")), "{email:?}");
    }

    let (first, again) = (invite(&owner, "new@example.com").await, invite(&owner, "NEW@example.com").await);
    let elsewhere = invite(&second, "new@example.com").await;
    let void = accept(&server, &first, PASSWORD).await;
    assert_eq!((void.status, &void.code), (404, &json!("not_found")), "the later one stands in its place");
    let address = LoginAddress::new("late@example.com");
    let (_, late) = store.invite(other, &address, UserRole::Member, -1).await.unwrap();
    assert_eq!(accept(&server, &late, PASSWORD).await.status, 404);

    // The same token ten times at one moment, and another organization's in between.
    let server = Arc::new(server);
    let tries = (0..11).map(|n| {
        let (server, token) = (server.clone(), if n == 5 { elsewhere.clone() } else { again.clone() });
        tokio::spawn(async move { accept(&server, &token, PASSWORD).await.status })
    });
    let mut statuses = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    let of = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((of(201), of(404)), (2, 9), "{statuses:?}");
    assert_eq!(owner.done("GET", "/users", None).await["total"], json!(2));
    assert_eq!(second.done("GET", "/users", None).await["total"], json!(2));

    // Two organizations invite one address at one moment, over and over.
    let browsers = [Arc::new(owner), Arc::new(second)];
    let invitations = (0..20).map(|n| {
        let browser = browsers[n % 2].clone();
        tokio::spawn(async move { invite(&browser, "both@example.com").await })
    });
    let mut tokens = Vec::new();
    for invitation in invitations.collect::<Vec<_>>() {
        tokens.push(invitation.await.unwrap());
    }
    let mut taken = 0;
    for token in tokens {
        taken += usize::from(accept(&server, &token, PASSWORD).await.status == 201);
    }
    assert_eq!(taken, 2, "one in each");
}
