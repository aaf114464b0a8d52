//! Tenants, people, keys and secrets, as people manage them, and as they must not.

use super::support::{LoggedInUser, OWNER, PASSWORD, Server, agent, lines, strict, until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_log_in_with_a_cookie_and_log_out() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(owner.cookie.contains(part), "{}", owner.cookie);
    }
    assert!(!owner.cookie.contains("Secure"), "loopback has no https");
    let me = owner.done("GET", "/auth/me", None).await;
    assert_eq!((&me["user"]["email"], &me["user"]["role"]), (&json!(OWNER), &json!("owner")));
    assert_eq!(me["organization"]["name"], json!("Test"));
    // A session works where a key does, too.
    assert_eq!(owner.send("GET", "/agents", None).await.0, 200);
    let login = json!({"email": OWNER, "password": PASSWORD});
    let url = server.url("/auth/login");
    let far = server.http.post(&url).header("host", "voice.example.com").json(&login).send().await.unwrap();
    assert!(far.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    owner.done("POST", "/auth/logout", None).await;
    assert_eq!(owner.send("GET", "/auth/me", None).await.0, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_passwords_is_slowed_down() {
    let server = Server::start().await;
    let attempt = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let answer = server.http.post(server.url("/auth/login")).json(&body).send().await.unwrap();
        let wait = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        (answer.status().as_u16(), wait, answer.json::<Value>().await.unwrap())
    };
    let (status, _, body) = attempt("nobody@example.com", "whatever it is").await;
    assert_eq!((status, &body["details"]["code"]), (401, &json!("wrong_credentials")));
    for _ in 0..5 {
        assert_eq!(attempt(OWNER, "wrong password").await.0, 401);
    }
    let (status, wait, body) = attempt(OWNER, PASSWORD).await;
    assert_eq!((status, &body["details"]["code"]), (429, &json!("login_throttled")));
    assert!(wait.unwrap().parse::<u64>().unwrap() > 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_cannot_use_a_session() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let create =
        |origin: &str| owner.request("POST", "/api-keys").header("origin", origin).json(&json!({"name": "k"})).send();
    let answer = create("https://evil.example").await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.json::<Value>().await.unwrap()["details"]["code"], json!("bad_origin"));
    assert_eq!(create("null").await.unwrap().status(), 403);
    assert_eq!(create(&format!("http://{}", server.app.api_addr)).await.unwrap().status(), 201);
    // Reading is no harm: the browser does not show it to the other site.
    let read = owner.request("GET", "/api-keys").header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(read.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_for_people_to_manage_and_shown_once() {
    let server = Server::start().await;
    let (status, body) = server.send("GET", "/api-keys", None).await;
    assert_eq!((status, &body["details"]["code"]), (403, &json!("session_required")));
    let owner = LoggedInUser::owner(&server).await;
    let made = owner.done("POST", "/api-keys", Some(json!({"name": "CRM", "scopes": ["agents:read"]}))).await;
    let (id, key) = (made["api_key"]["id"].as_str().unwrap(), made["api_key"]["key"].as_str().unwrap().to_owned());
    assert!(key.starts_with("va_") && made["api_key"]["prefix"] == json!(&key[..11]));
    let listed = owner.done("GET", "/api-keys", None).await;
    assert_eq!(listed["total"], json!(2));
    assert!(!listed.to_string().contains(&key) && listed["api_keys"][0].get("key").is_none());

    let with = async |key: &str, method: &str, path: &str| {
        let request = server.http.request(method.parse().unwrap(), server.url(path)).bearer_auth(key);
        let answer = request.json(&json!({"name": "A"})).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["details"]["code"].clone())
    };
    assert_eq!(with(&key, "GET", "/agents").await.0, 200);
    assert_eq!(with(&key, "POST", "/agents").await, (403, json!("insufficient_scope")));
    assert_eq!(with(&key, "GET", "/calls").await, (403, json!("insufficient_scope")));

    let again = owner.done("POST", &format!("/api-keys/{id}/regenerate"), None).await;
    assert_eq!(with(&key, "GET", "/agents").await.0, 401, "the old text stops working at once");
    let fresh = again["api_key"]["key"].as_str().unwrap().to_owned();
    assert_eq!(with(&fresh, "GET", "/agents").await.0, 200);
    owner.done("DELETE", &format!("/api-keys/{id}"), None).await;
    assert_eq!(with(&fresh, "GET", "/agents").await.0, 401);
    assert_eq!(owner.send("DELETE", &format!("/api-keys/{id}"), None).await.0, 404);
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "k", "scopes": []}), "scopes"),
        (json!({"name": "k", "scopes": ["fly"]}), "scopes[0]"),
        (json!({"name": "k", "expires_at": "soon"}), "expires_at"),
    ] {
        let (status, answer) = owner.send("POST", "/api-keys", Some(body)).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
    }
    let soon = trunkline::domain::time::UnixMs(trunkline::store::now().0 + 1_200).rfc3339();
    let short = owner.done("POST", "/api-keys", Some(json!({"name": "short", "expires_at": soon}))).await;
    let short = short["api_key"]["key"].as_str().unwrap().to_owned();
    assert_eq!(with(&short, "GET", "/agents").await.0, 200);
    until("the key expires", || async { (with(&short, "GET", "/agents").await.0 == 401).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_invitations_are_listed_and_taken_back() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let invite = |email: &'static str| owner.done("POST", "/users/invite", Some(json!({"email": email})));
    let (kept, revoked) = (invite("kept@example.com").await, invite("revoked@example.com").await);
    let listed = owner.done("GET", "/users/invitations", None).await;
    assert_eq!(listed["total"], 2);
    assert_eq!(listed["invitations"][0]["email"], "kept@example.com");
    assert!(listed["invitations"][0].get("token").is_none(), "a token is shown once");
    let path = format!("/users/invitations/{}", revoked["invitation"]["id"].as_str().unwrap());
    owner.done("DELETE", &path, None).await;
    assert_eq!(owner.send("DELETE", &path, None).await.0, 404, "it is gone");
    let accept = |made: &serde_json::Value| {
        let body = json!({"token": made["invitation"]["token"], "password": "long enough it is"});
        server.http.post(server.url("/invitations/accept")).json(&body).send()
    };
    assert_eq!(accept(&revoked).await.unwrap().status(), 404);
    assert_eq!(accept(&kept).await.unwrap().status(), 201);
    assert_eq!(owner.done("GET", "/users/invitations", None).await["total"], 0);
    let path = format!("/users/invitations/{}", kept["invitation"]["id"].as_str().unwrap());
    assert_eq!(owner.send("DELETE", &path, None).await.0, 404, "an accepted one is no longer pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_invited_and_do_what_their_role_allows() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let made = owner.done("POST", "/users/invite", Some(json!({"email": "New@example.com", "role": "member"}))).await;
    let token = made["invitation"]["token"].as_str().unwrap();
    let accept = |token: &str, password: &str| {
        let body = json!({"token": token, "name": "New", "password": password});
        server.http.post(server.url("/invitations/accept")).json(&body).send()
    };
    assert_eq!(accept(token, "short").await.unwrap().status(), 400);
    assert_eq!(accept("guess", "long enough it is").await.unwrap().status(), 404);
    let accepted = accept(token, "long enough it is").await.unwrap();
    assert_eq!(accepted.status(), 201);
    assert!(accepted.headers().contains_key("set-cookie"));
    assert_eq!(accept(token, "long enough it is").await.unwrap().status(), 404, "a token is good once");
    let member = LoggedInUser::log_in(&server, "new@example.com", "long enough it is").await;
    assert_eq!(member.done("GET", "/users", None).await["total"], json!(2));
    for (method, path, body) in [
        ("POST", "/api-keys", Some(json!({"name": "k"}))),
        ("POST", "/users/invite", Some(json!({"email": "x@example.com"}))),
        ("GET", "/users/invitations", None),
        ("POST", "/organizations", Some(json!({"name": "o"}))),
        ("POST", "/secrets", Some(json!({"name": "s", "provider": "openai", "value": "v"}))),
        ("GET", "/audit-log", None),
    ] {
        let (status, answer) = member.send(method, path, body).await;
        assert_eq!((status, &answer["details"]["code"]), (403, &json!("insufficient_role")), "{method} {path}");
    }
    assert_eq!(member.send("GET", "/agents", None).await.0, 200);
    let me = member.done("GET", "/auth/me", None).await["user"]["id"].as_str().unwrap().to_owned();
    owner.done("PATCH", &format!("/users/{me}"), Some(json!({"role": "admin"}))).await;
    member.done("POST", "/api-keys", Some(json!({"name": "k"}))).await;
    assert_eq!(
        member.send("POST", "/users/invite", Some(json!({"email": "y@example.com", "role": "owner"}))).await.0,
        403
    );
    let own = owner.done("GET", "/auth/me", None).await["user"]["id"].as_str().unwrap().to_owned();
    let (status, answer) = owner.send("DELETE", &format!("/users/{own}"), None).await;
    assert_eq!((status, &answer["details"]["code"]), (400, &json!("invalid_state")), "the last owner stays");
    owner.done("DELETE", &format!("/users/{me}"), None).await;
    assert_eq!(member.send("GET", "/agents", None).await.0, 401, "the sessions of a removed user end");
    let log = owner.done("GET", "/audit-log", None).await;
    let actions: Vec<_> =
        log["entries"].as_array().unwrap().iter().rev().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["user.invite", "user.role", "api_key.create", "user.remove"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_organization_has_its_own_key_and_bills_to_the_root() {
    let server = Server::start_with(|config| config.prices.telephony_per_minute = 6.0).await;
    let owner = LoggedInUser::owner(&server).await;
    let root = owner.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned();
    let child =
        json!({"name": "Child", "parent_org_id": root, "owner_email": "child@example.com", "max_concurrent_calls": 5});
    let child = owner.done("POST", "/organizations", Some(child)).await;
    assert_eq!(
        (&child["organization"]["parent_org_id"], &child["organization"]["billing_org_id"]),
        (&json!(root), &json!(root))
    );
    let key = child["api_key"]["key"].as_str().unwrap().to_owned();
    let child_id = child["organization"]["id"].as_str().unwrap().to_owned();
    let body = json!({"token": child["invitation_token"], "password": "child's password"});
    assert_eq!(server.http.post(server.url("/invitations/accept")).json(&body).send().await.unwrap().status(), 201);
    let below = LoggedInUser::log_in(&server, "child@example.com", "child's password").await;
    let grandchild = json!({"name": "Grandchild", "parent_org_id": child_id});
    let grandchild = below.done("POST", "/organizations", Some(grandchild)).await;
    assert_eq!(grandchild["organization"]["billing_org_id"], json!(root));
    // A family is seen from above only.
    assert_eq!(owner.done("GET", "/organizations", None).await["total"], json!(3));
    assert_eq!(below.done("GET", "/organizations", None).await["total"], json!(2));
    assert_eq!(below.send("GET", &format!("/organizations/{root}"), None).await.0, 404);
    let foreign = json!({"name": "x", "parent_org_id": root});
    assert_eq!(below.send("POST", "/organizations", Some(foreign)).await.0, 404);
    let changed = owner
        .done(
            "PATCH",
            &format!("/organizations/{child_id}"),
            Some(json!({"name": "Kid", "max_concurrent_calls": null})),
        )
        .await;
    assert_eq!(
        (&changed["organization"]["name"], &changed["organization"]["max_concurrent_calls"]),
        (&json!("Kid"), &Value::Null)
    );

    // A call of the child: its number and trunk are its own, the bill is the root's.
    let ask = async |method: &str, path: &str, body: Value| {
        let request = server.http.request(method.parse().unwrap(), server.url(path)).bearer_auth(&key).json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()["data"].clone()
    };
    let made = ask("POST", "/agents", agent()).await["agent"]["id"].clone();
    ask("POST", "/trunks", json!({"name": "T", "allowed_addresses": ["127.0.0.1"]})).await;
    ask("POST", "/phone-numbers", json!({"number": "+31207654321", "agent_id": made})).await;
    let dial = server.dial_to("+31207654321", trunkline_signaling::sip::user_agent::Transport::Udp);
    let script = trunkline_lab::caller::script::CallScript::parse("listen; say goodbye; listen").unwrap();
    let report = server.phone.dial(&dial, &script, None).await;
    assert!(report.failure.is_none(), "{report:?}");
    let usage = until("the call is on the bill", || async {
        let usage = owner.done("GET", "/usage", None).await;
        (usage["total"]["calls"] == json!(1)).then_some(usage)
    })
    .await;
    assert_eq!(usage["usage"][0]["organization_id"], json!(child_id));
    let seconds = usage["total"]["seconds"].as_f64().unwrap();
    assert!(seconds >= 1.0 && (usage["total"]["cost"].as_f64().unwrap() - seconds * 0.1).abs() < 1e-6, "{usage}");
    assert_eq!(ask("GET", "/usage", json!(null)).await["total"]["calls"], json!(1));
    assert_eq!(server.get("/calls").await["total"], json!(0), "the call itself is the child's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_provider_key_is_used_and_never_shown() {
    let server = Server::start_with(|config| {
        // The server itself has no account.
        config.providers.openai.api_key = None;
    })
    .await;
    let owner = LoggedInUser::owner(&server).await;
    let task = json!({"agent_id": server.agent, "to_number": format!("sip:1@127.0.0.1:{}", server.phone.sip.local_udp().port())});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let (status, body) = server.send("POST", &format!("/tasks/{task}/execute"), None).await;
    assert_eq!((status, &body["details"]["code"]), (503, &json!("provider_not_configured")));
    let secret = json!({"name": "Our account", "provider": "openai", "value": "sk-organization-secret"});
    let made = owner.done("POST", "/secrets", Some(secret)).await;
    let xai = json!({"name": "Grok", "provider": "xai", "value": "xai-secret"});
    let xai = owner.done("POST", "/secrets", Some(xai)).await;
    let listed = owner.done("GET", "/secrets", None).await;
    assert_eq!((&listed["total"], &listed["xai_secret_id"]), (&json!(2), &xai["secret"]["id"]));
    assert!(!listed.to_string().contains("secret-") && !made.to_string().contains("sk-organization"));
    server.call("listen; say hello; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    assert!(lines(&call).contains(&"assistant: Good morning! How can I help you?".to_owned()), "{:?}", lines(&call));
    let bytes = std::fs::read(server.folder.path().join("test.db")).unwrap_or_default();
    let wal = std::fs::read(server.folder.path().join("test.db-wal")).unwrap_or_default();
    let needle = b"sk-organization-secret";
    assert!(
        ![bytes, wal].iter().any(|all| all.windows(needle.len()).any(|window| window == needle)),
        "in the clear on disk"
    );
    let (status, _) = owner.send("DELETE", &format!("/secrets/{}", made["secret"]["id"].as_str().unwrap()), None).await;
    assert_eq!(status, 200);
}

/// Every route of the document, asked with the key and the session of another organization and with the
/// ids of this one: nothing but a refusal, and nothing of this one's in any list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_leads_to_another_organization() {
    let server = Server::start_with(strict).await;
    let owner = LoggedInUser::owner(&server).await;
    let ids = everything_there_is(&server, &owner).await;
    let hash = trunkline::domain::password::hash("stranger's password").unwrap();
    let stranger = server.app.services.store.bootstrap("Stranger", "s@example.com", &hash).await.unwrap();
    let key = stranger.key.text.expose().to_owned();
    let person = LoggedInUser::log_in(&server, "s@example.com", "stranger's password").await;
    let pair = person.cookie.split(';').next().unwrap().to_owned();

    let document = trunkline::api::openapi_document();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if matches!(
                path.trim_start_matches("/api").trim_start_matches("/v1"),
                "/health" | "/health/live" | "/health/ready" | "/auth/login" | "/auth/logout" | "/invitations/accept"
            ) {
                continue;
            }
            let resource =
                path.trim_start_matches("/api").trim_start_matches("/v1/").split('/').next().unwrap().to_owned();
            let id = ids.get(&resource).map(String::as_str);
            assert!(id.is_some() || !path.contains("{id}"), "no {resource} was made, {path} would not be tried");
            let real = path.replace("{id}", id.unwrap_or_default()).replace("{number}", "%2B15550177");
            for with_key in [true, false] {
                let url = format!("http://{}{real}", server.app.api_addr);
                let mut request = server.http.request(method.to_uppercase().parse().unwrap(), url);
                request = if with_key { request.bearer_auth(&key) } else { request.header("cookie", &pair) };
                if method == "post" || method == "patch" {
                    request = request.json(&json!({"name": "taken over", "agent_id": ids["agents"], "role": "member"}));
                }
                let answer = request.send().await.unwrap();
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                asked += 1;
                let what =
                    format!("{method} {real} with {}: {status} {text}", if with_key { "a key" } else { "a session" });
                for (name, id) in &ids {
                    assert!(
                        !text.contains(id.as_str()) || real.contains(id.as_str()) && status == 404,
                        "{name}: {what}"
                    );
                }
                if path.contains("{id}") || path.contains("{number}") {
                    assert!(matches!(status, 403 | 404), "{what}");
                }
            }
        }
    }
    assert!(asked > 150, "{asked}");
    // Nothing of it was touched.
    assert_eq!(everything_still_there(&server, &owner, &ids).await, ids.len());
}

type Ids = std::collections::BTreeMap<String, String>;

async fn everything_there_is(server: &Server, owner: &LoggedInUser) -> Ids {
    let mut ids = Ids::new();
    let mut keep = |resource: &str, id: &Value| {
        ids.insert(resource.to_owned(), id.as_str().unwrap().to_owned());
    };
    keep("agents", &json!(server.agent));
    keep("trunks", &json!(server.trunk));
    keep("phone-numbers", &server.get("/phone-numbers").await["phone_numbers"][0]["id"]);
    let batch = server.post("/batches", json!({"name": "B"})).await["batch"]["id"].clone();
    keep("batches", &batch);
    let listed = json!({"numbers": ["+15550177"]});
    server.post("/do-not-call", listed).await;
    keep("do-not-call", &server.get("/do-not-call").await["do_not_call"][0]["id"]);
    let task = json!({"agent_id": server.agent, "to_number": "+15550100", "webhook_url": "https://hooks.invalid/x"});
    let task = server.post("/tasks", task).await["task"]["id"].clone();
    keep("tasks", &task);
    let execute = format!("/tasks/{}/execute", task.as_str().unwrap());
    let call = server.post(&execute, json!({})).await["call_id"].clone();
    keep("calls", &call);
    let delivery = until("a delivery", || async {
        server.get("/webhook-deliveries").await["webhook_deliveries"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    keep("webhook-deliveries", &json!(delivery));
    let me = owner.done("GET", "/auth/me", None).await;
    keep("users", &me["user"]["id"]);
    keep("organizations", &me["organization"]["id"]);
    keep("api-keys", &owner.done("GET", "/api-keys", None).await["api_keys"][0]["id"]);
    let secret = json!({"name": "S", "provider": "openai", "value": "v"});
    keep("secrets", &owner.done("POST", "/secrets", Some(secret)).await["secret"]["id"]);
    let rule = json!({"name": "R", "condition": "failure_rate", "threshold": 20, "window_minutes": 60,
        "channel": "webhook", "webhook_url": "https://hooks.invalid/x", "webhook_secret": "a secret of our own"});
    keep("alert-rules", &server.post("/alert-rules", rule).await["alert_rule"]["id"]);
    ids
}

async fn everything_still_there(server: &Server, owner: &LoggedInUser, ids: &Ids) -> usize {
    let mut there = 0;
    for (resource, id) in ids {
        let listed = owner.done("GET", &format!("/{resource}?limit=100"), None).await.to_string();
        assert!(listed.contains(id.as_str()), "{resource} is gone: {listed}");
        there += 1;
    }
    assert!(!server.get("/agents").await.to_string().contains("taken over"));
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_tried_with_the_key_that_calls_would_use() {
    let server = Server::start_with(|config| config.providers.groq.api_key = None).await;
    let owner = LoggedInUser::owner(&server).await;
    let test = async |name: &str| owner.done("POST", &format!("/providers/{name}/test"), None).await;
    for name in ["deepgram", "openai", "anthropic", "mistral", "xai", "elevenlabs", "cartesia", "local"] {
        let tried = test(name).await;
        assert_eq!((&tried["ok"], &tried["problem"]), (&json!(true), &json!(null)), "{tried}");
    }
    assert_eq!(test("groq").await["problem"]["kind"], json!("not_configured"));
    for name in ["deepgram", "openai", "anthropic", "groq", "mistral", "xai", "elevenlabs", "cartesia"] {
        let secret = json!({"name": "Ours", "provider": name, "value": "invalid"});
        owner.done("POST", "/secrets", Some(secret)).await;
        let tried = test(name).await;
        assert_eq!((&tried["ok"], &tried["problem"]["kind"]), (&json!(false), &json!("unauthorized")), "{tried}");
        assert!(tried["problem"]["message"].as_str().unwrap().starts_with("refused with 401: "), "{tried}");
    }
    assert_eq!(owner.send("POST", "/providers/acme/test", None).await.0, 404);
    // A test of the server's key does not reveal the provider's message.
    let broken = Server::start_with(|config| config.providers.openai.api_key = Some("invalid".into())).await;
    let (_, tried) = broken.send("POST", "/providers/openai/test", None).await;
    let message = "the provider cannot be used with the server's key (unauthorized)";
    assert_eq!(tried["data"]["problem"], json!({"kind": "unauthorized", "message": message}));
}
