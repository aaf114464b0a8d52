//! People of several organizations, invitations that say nothing, guesses of passwords, and who reads the metrics.

use super::support::{LoggedInUser, OWNER, PASSWORD, Server};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use trunkline::config::Config;
use trunkline::domain::login_address::LoginAddress;
use trunkline::domain::password;
use trunkline::domain::permission::UserRole;
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

/// As `0009` left it.
async fn database_of_an_earlier_version(url: &str) {
    let mut earlier = sqlx::migrate!("./migrations");
    earlier.migrations.to_mut().retain(|migration| migration.version <= 9);
    sqlx::any::install_default_drivers();
    let url = if url.starts_with("sqlite:") { format!("{url}?mode=rwc") } else { url.to_owned() };
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    earlier.run(&pool).await.unwrap();
    let hashed = |text: &str| {
        use sha2::Digest as _;
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let organization = uuid::Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO organizations (id, name, billing_org_id, created_at, updated_at) VALUES ($1, 'Old', $1, 1, 1)",
    )
    .bind(&organization)
    .execute(&pool)
    .await
    .unwrap();
    for (email, role) in [("old@example.com", "owner"), ("j\u{F3}@example.com", "member")] {
        let id = uuid::Uuid::now_v7().to_string();
        sqlx::query("INSERT INTO users (id, organization_id, email, name, password_hash, role, created_at, updated_at) VALUES ($1, $2, $3, 'N', $4, $5, 7, 8)")
            .bind(&id)
            .bind(&organization)
            .bind(email)
            .bind(password::hash(PASSWORD).unwrap())
            .bind(role)
            .execute(&pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO sessions (hash, user_id, organization_id, created_at, expires_at) VALUES ($1, $2, $3, 1, $4)",
        )
        .bind(hashed(email))
        .bind(&id)
        .bind(&organization)
        .bind(i64::MAX)
        .execute(&pool)
        .await
        .unwrap();
    }
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_and_sessions_of_an_earlier_version_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = super::support::database_url(folder.path()).await;
    database_of_an_earlier_version(&url).await;
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    for email in ["old@example.com", "j\u{F3}@example.com"] {
        let session = store.session(email).await.unwrap().expect("goes on");
        assert_eq!((session.user.email.as_str(), session.user.created_at.0), (email, 7));
        let address = LoginAddress::new(email);
        let recipe = store.password_recipe(&address).await.unwrap();
        let found = store.accounts(&address, &[recipe.hash(PASSWORD).unwrap()], None).await.unwrap();
        assert_eq!((found.len(), found[0].user.id), (1, session.user.id));
        assert_eq!(found[0].organization_name, "Old");
    }
    let member = store.session("j\u{F3}@example.com").await.unwrap().unwrap();
    assert!(store.change_user(member.scope, member.user.id, None).await.unwrap());
    assert!(store.session("j\u{F3}@example.com").await.unwrap().is_none(), "sessions still end with their user");
    assert!(store.session("old@example.com").await.unwrap().is_some());
    organization(&store, "New", "old@example.com", PASSWORD).await;
    store.close().await;
}

const TOKEN: &str = "a-token-for-prometheus";

async fn metrics(at: std::net::SocketAddr, headers: &[(&str, &str)]) -> u16 {
    let mut request = reqwest::Client::new().get(format!("http://{at}/metrics"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(status == 200, kind.starts_with("text/plain"), "{status} {kind}");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_for_this_machine_and_for_no_proxy_on_it() {
    let server = Server::start().await;
    let at = server.app.api_addr;
    assert_eq!(metrics(at, &[]).await, 200);
    assert_eq!(metrics(at, &[("host", "localhost:3008")]).await, 200);
    for header in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 proxy"),
        ("host", "voice.example.com"),
        ("host", "127.0.0.1.example.com:3008"),
    ] {
        assert_eq!(metrics(at, &[header]).await, 401, "{header:?}");
        let key = format!("Bearer {}", server.key);
        assert_eq!(metrics(at, &[header, ("authorization", &key)]).await, 401, "a tenant's key is no token");
        assert_eq!(metrics(at, &[header, ("authorization", "Bearer ")]).await, 401);
    }
    let behind = |change: fn(&mut Config)| Server::start_with(change);
    for server in [
        behind(|config| config.api.behind_proxy = true).await,
        behind(|config| config.api.connections.trusted_proxies = vec!["127.0.0.0/8".into()]).await,
    ] {
        assert_eq!(metrics(server.app.api_addr, &[]).await, 401, "this machine's proxy speaks for everybody");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_a_token_or_a_listener_of_their_own() {
    let server = Server::start_with(|config| {
        config.metrics.token = TOKEN.into();
        config.api.public_rate_limit_per_minute = 20;
    })
    .await;
    let (at, token) = (server.app.api_addr, format!("Bearer {TOKEN}"));
    assert_eq!(metrics(at, &[("authorization", &token), ("x-forwarded-for", "192.0.2.1")]).await, 200);
    assert_eq!(metrics(at, &[]).await, 401, "who sets one wants it asked for");
    for wrong in ["Bearer a-token-for-prometheu", "Bearer a-token-for-prometheus1", "Basic YTpi", TOKEN] {
        assert_eq!(metrics(at, &[("authorization", wrong)]).await, 401);
    }
    let mut last = 0;
    for n in 0..30 {
        last = metrics(at, &[("authorization", &format!("Bearer guess {n}"))]).await;
    }
    assert_eq!(last, 429);
    assert_eq!(metrics(at, &[("authorization", &token)]).await, 200, "guesses do not stop clients that know the token");

    let server = Server::start_with(|config| config.metrics.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    let own = server.app.metrics_addr.unwrap();
    assert_eq!(metrics(own, &[("x-forwarded-for", "192.0.2.1")]).await, 200);
    assert_eq!(metrics(server.app.api_addr, &[]).await, 401);
    for path in ["/", "/health", "/v1/agents", "/api/v1/auth/login"] {
        assert_eq!(server.http.get(format!("http://{own}{path}")).send().await.unwrap().status(), 404, "{path}");
    }

    let both = |config: &mut Config| {
        config.metrics.token = TOKEN.into();
        config.metrics.listen = Some("127.0.0.1:0".parse().unwrap());
    };
    let server = Server::start_with(both).await;
    let own = server.app.metrics_addr.unwrap();
    assert_eq!((metrics(own, &[]).await, metrics(own, &[("authorization", &token)]).await), (401, 200));
    assert_eq!(metrics(server.app.api_addr, &[("authorization", &token)]).await, 200);
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
