//! People of several organizations, invitations that say nothing, guesses of passwords, and who reads the metrics.

mod earlier_versions;
mod invitations;
mod logins;
mod metrics;
mod password_resets;

use super::support::{LoggedInUser, Server};
use serde_json::{Value, json};
use std::net::IpAddr;
use trunkline::domain::login_address::LoginAddress;
use trunkline::store::{OrgScope, Store};

const OTHER_PASSWORD: &str = "quite another password";

/// What a client says and hears.
#[derive(Clone, Debug, PartialEq)]
struct LoginOutcome {
    status: u16,
    code: Value,
    body: Value,
    cookie: bool,
    wait_s: u64,
}

/// A client with the given source address.
fn client(address: &str) -> reqwest::Client {
    let address: IpAddr = address.parse().unwrap();
    reqwest::Client::builder().local_address(address).pool_max_idle_per_host(0).build().unwrap()
}

async fn heard(request: reqwest::RequestBuilder) -> LoginOutcome {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    LoginOutcome {
        status,
        code: body["details"]["code"].clone(),
        cookie: headers.contains_key("set-cookie"),
        wait_s: headers.get("retry-after").map_or(0, |value| value.to_str().unwrap().parse().unwrap()),
        body,
    }
}

async fn log_in_from(server: &Server, address: &str, email: &str, password: &str) -> LoginOutcome {
    let body = json!({"email": email, "password": password});
    heard(client(address).post(server.url("/auth/login")).json(&body)).await
}

async fn log_in(server: &Server, body: Value) -> LoginOutcome {
    heard(server.http.post(server.url("/auth/login")).json(&body)).await
}

async fn accept(server: &Server, token: &str, password: &str) -> LoginOutcome {
    let body = json!({"token": token, "name": "N", "password": password});
    heard(server.http.post(server.url("/invitations/accept")).json(&body)).await
}

/// Another organization on the server, as `trunkline bootstrap` makes it.
async fn organization(store: &Store, name: &str, email: &str, password: &str) -> OrgScope {
    let recipe = store.password_recipe(&LoginAddress::new(email)).await.unwrap();
    store.bootstrap(name, email, &recipe.hash(password).unwrap()).await.unwrap().scope
}

async fn invite(browser: &LoggedInUser, email: &str) -> String {
    let made = browser.done("POST", "/users/invite", Some(json!({"email": email}))).await;
    made["invitation"]["token"].as_str().unwrap().to_owned()
}
