//! What a customer reads, pinned as text: `fixtures/api/*.snap` hold the answer to each request on both
//! mounts.

use super::support::{LoggedInUser, NUMBER, OWNER, PASSWORD, Server, SnapshotFolder, SnapshotMask, strict, until};
use serde_json::{Value, json};

struct SnapshotRun<'a> {
    server: &'a Server,
    /// People manage with a cookie, programs with a key.
    owner: Option<&'a LoggedInUser>,
    mask: SnapshotMask,
    snapshots: SnapshotFolder,
}

impl SnapshotRun<'_> {
    /// Asks both mounts, pins both answers, and returns the enveloped body.
    async fn pin(&mut self, name: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        self.mask.clear();
        let mut text = format!("{method} {}\n", self.mask.path(path));
        if let Some(body) = &body {
            text += &format!("{}\n", pretty(&self.mask.value("", body.clone())));
        }
        let mut first = Value::Null;
        for mount in ["/api/v1", "/v1"] {
            let url = format!("http://{}{mount}{path}", self.server.app.api_addr);
            let mut request = self.server.http.request(method.parse().unwrap(), url);
            request = match self.owner {
                Some(owner) => request.header("cookie", owner.cookie.split(';').next().unwrap()),
                None => request.bearer_auth(&self.server.key),
            };
            if let Some(body) = &body {
                request = request.json(body);
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            let answer: Value = response.json().await.unwrap();
            text += &format!("\n{mount}: {status}\n{}\n", pretty(&self.mask.value("", answer.clone())));
            if mount == "/api/v1" {
                first = answer;
            }
        }
        self.snapshots.compare(name, &text);
        first
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn id(body: &Value, what: &str) -> String {
    body["data"][what]["id"].as_str().unwrap().to_owned()
}

/// Settings of models and voices, and refusals of them.
async fn agent_settings(book: &mut SnapshotRun<'_>) {
    for (name, body) in [
        (
            "agents_create_bad_model_settings",
            json!({"name": "A", "llm_config": {"provider": "openai", "model": "m", "stop": ["a", "b", "c", "d", "e"],
                "reasoning_effort": "default", "extra_body": {"seed": 1, "messages": [], "temperature": 1}}}),
        ),
        (
            "agents_create_bad_pronunciations",
            json!({"name": "A", "pronunciation_dictionary": [{"text": "SQL", "say_as": "sequel"}, {"text": "sql", "say_as": "ess"}, {"text": "x"}]}),
        ),
        (
            "agents_create_model_and_voice_settings",
            json!({"name": "Settings", "llm_config": {"provider": "anthropic", "model": "m", "max_tokens": 300, "top_p": 0.9,
                "stop": ["END"], "reasoning_effort": "low", "extra_body": {"service_tier": "auto"}},
                "tts_config": {"provider": "cartesia", "voice_id": "v", "language": "en", "text_normalization": "ours"},
                "pronunciation_dictionary": [{"text": "SQL", "say_as": "sequel"}]}),
        ),
    ] {
        book.pin(name, "POST", "/agents", Some(body)).await;
    }
}

async fn agents(book: &mut SnapshotRun<'_>) {
    let full = json!({
        "name": "Support", "enabled": true, "description": "First line", "business_name": "Acme",
        "notification_email": "team@example.com", "system_prompt": "You help customers of Acme.",
        "starting_message": "Good morning.", "voicemail_detection": true, "voicemail_message": "We will call again.",
        "max_duration_seconds": 600, "autonomous_silence_handling": true, "recording_enabled": true,
        "silence_config": {"prompt_after_ms": 6000, "max_prompts": 1, "prompt": "Hello?", "goodbye": "Goodbye."},
        "turn_config": {"endpointing_ms": 250, "barge_in_min_speech_ms": 200},
        "dtmf_rules": {"rules": [{"digits": "0", "action": "end_call"}, {"digits": "1", "action": "say", "text": "One."}], "terminator": "#"},
        "voice_settings": {"stability": 0.5, "similarity_boost": 0.75},
        "webhook_url": "https://example.com/hooks", "webhook_secret": "whsec_c2VjcmV0", "webhook_events": ["end-of-call-report"],
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en", "keyterms": ["Acme"]},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini", "temperature": 0.4, "messages": [{"role": "system", "content": "Be brief."}],
            "tools": [{"type": "function", "function": {"name": "lookup", "description": "Looks up", "parameters": {"type": "object"}}, "url": "https://example.com/t"}]},
        "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en", "speed": 1.1},
        "metadata": {"team": "north"},
    });
    let made = book.pin("agents_create_full", "POST", "/agents", Some(full)).await;
    book.pin("agents_create_minimal", "POST", "/agents", Some(json!({"name": "B"}))).await;
    for (name, body) in [
        ("agents_create_without_name", json!({})),
        ("agents_create_unknown_field", json!({"name": "A", "colour": "red"})),
        ("agents_create_unknown_field_inside", json!({"name": "A", "turn_config": {"speed": 1}})),
        ("agents_create_bad_provider", json!({"name": "A", "llm_config": {"provider": "acme", "model": "x"}})),
        ("agents_create_two_values_of_one_field", json!({"name": "A", "first_message": "a", "starting_message": "b"})),
        ("agents_create_bad_duration", json!({"name": "A", "max_duration_seconds": 5})),
        ("agents_create_bad_email", json!({"name": "A", "notification_email": "nobody"})),
        ("agents_create_wrong_type", json!({"name": 7})),
    ] {
        book.pin(name, "POST", "/agents", Some(body)).await;
    }
    let one = format!("/agents/{}", id(&made, "agent"));
    book.pin("agents_get", "GET", &one, None).await;
    book.pin("agents_get_none", "GET", "/agents/01a1fe5c-0000-7000-8000-000000000000", None).await;
    book.pin("agents_list", "GET", "/agents?limit=2&enabled=true", None).await;
    book.pin("agents_list_bad_limit", "GET", "/agents?limit=1000", None).await;
    book.pin("agents_update", "PATCH", &one, Some(json!({"first_message": null, "turn_config": {"silence_ms": 700}})))
        .await;
    book.pin("agents_update_bad", "PATCH", &one, Some(json!({"name": ""}))).await;
    book.pin("agents_versions", "GET", &format!("{one}/versions?limit=2"), None).await;
    book.pin("agents_versions_restore", "POST", &format!("{one}/versions/1/restore"), None).await;
    book.pin("agents_versions_none", "POST", &format!("{one}/versions/99/restore"), None).await;
    let task = json!({"agent_id": id(&made, "agent"), "to_number": "+15550199"});
    book.server.post("/tasks", task).await;
    book.pin("agents_delete_refused", "DELETE", &one, None).await;
    // The second mount finds nothing left to delete.
    let gone = book.server.post("/agents", json!({"name": "C"})).await;
    let gone = format!("/agents/{}", gone["agent"]["id"].as_str().unwrap());
    book.pin("agents_delete", "DELETE", &gone, None).await;
}

async fn tasks(book: &mut SnapshotRun<'_>) {
    let agent = book.server.agent.clone();
    let body = json!({
        "agent_id": agent, "name": "Renewal", "to_number": "+15550199", "description": "Ask about the renewal.",
        "starting_message": "Hello, this is Acme.", "context_data": {"customer": "Jan"}, "priority": 3,
        "scheduled_at": "2030-01-01T12:00:00Z", "webhook_url": "https://example.com/tasks",
        "webhook_events": ["call_completed"], "metadata": {"batch": 7},
    });
    let made = book.pin("tasks_create", "POST", "/tasks", Some(body)).await;
    for (name, body) in [
        ("tasks_create_without_agent", json!({"to_number": "+15550199"})),
        (
            "tasks_create_unknown_agent",
            json!({"to_number": "+15550199", "agent_id": "01a1fe5c-0000-7000-8000-000000000000"}),
        ),
        ("tasks_create_bad_number", json!({"agent_id": agent, "to_number": "5550199"})),
        (
            "tasks_create_http_webhook",
            json!({"agent_id": agent, "to_number": "+15550199", "webhook_url": "http://example.com"}),
        ),
        ("tasks_create_bad_time", json!({"agent_id": agent, "to_number": "+15550199", "scheduled_at": "tomorrow"})),
        ("tasks_create_bad_event", json!({"agent_id": agent, "to_number": "+15550199", "webhook_events": ["rang"]})),
    ] {
        book.pin(name, "POST", "/tasks", Some(body)).await;
    }
    let one = format!("/tasks/{}", id(&made, "task"));
    book.pin("tasks_get", "GET", &one, None).await;
    book.pin("tasks_list", "GET", "/tasks?status=pending&limit=1", None).await;
    book.pin("tasks_list_bad_status", "GET", "/tasks?status=done", None).await;
    book.pin("tasks_update", "PATCH", &one, Some(json!({"priority": 9, "description": null}))).await;
    book.pin("tasks_reset_pending", "POST", &format!("{one}/reset"), None).await;
    book.pin("tasks_delete", "DELETE", &one, None).await;
}

async fn numbers_and_trunks(book: &mut SnapshotRun<'_>) {
    let trunk = json!({
        "name": "Carrier", "host": "sip.example.com", "port": 5060, "transport": "tcp", "username": "acme",
        "password": "secret", "from_user": "acme", "from_domain": "example.com", "dial_string": "9{number}",
        "allowed_addresses": ["203.0.113.0/24"], "inbound_username": "in", "inbound_password": "secret",
        "codecs": ["PCMA"], "allow_sip_uri": true,
    });
    let made = book.pin("trunks_create", "POST", "/trunks", Some(trunk)).await;
    let trunk = format!("/trunks/{}", id(&made, "trunk"));
    book.pin(
        "trunks_create_bad_network",
        "POST",
        "/trunks",
        Some(json!({"name": "T", "allowed_addresses": ["10.0.0.0/40"]})),
    )
    .await;
    book.pin("trunks_create_bad_codec", "POST", "/trunks", Some(json!({"name": "T", "codecs": ["G729"]}))).await;
    book.pin("trunks_create_bad_transport", "POST", "/trunks", Some(json!({"name": "T", "transport": "sctp"}))).await;
    book.pin("trunks_create_half_credentials", "POST", "/trunks", Some(json!({"name": "T", "username": "a"}))).await;
    book.pin("trunks_get", "GET", &trunk, None).await;
    book.pin("trunks_list", "GET", "/trunks?limit=1", None).await;
    book.pin("trunks_update", "PATCH", &trunk, Some(json!({"inbound_username": null, "inbound_password": null}))).await;
    book.pin("trunks_test", "POST", &format!("{trunk}/test"), None).await;
    let number = json!({"number": "+31201234599", "agent_id": book.server.agent, "name": "Main line"});
    // The second mount finds the number taken.
    let made = book.pin("phone_numbers_create", "POST", "/phone-numbers", Some(number)).await;
    let number = format!("/phone-numbers/{}", id(&made, "phone_number"));
    book.pin("phone_numbers_create_bad", "POST", "/phone-numbers", Some(json!({"number": "0201234567"}))).await;
    book.pin("phone_numbers_get", "GET", &number, None).await;
    book.pin("phone_numbers_list", "GET", "/phone-numbers?limit=1", None).await;
    book.pin("phone_numbers_update", "PATCH", &number, Some(json!({"agent_id": null}))).await;
    book.pin("phone_numbers_update_number", "PATCH", &number, Some(json!({"number": NUMBER}))).await;
    book.pin("phone_numbers_delete", "DELETE", &number, None).await;
    book.pin("trunks_delete", "DELETE", &trunk, None).await;
}

async fn calls(book: &mut SnapshotRun<'_>) {
    book.pin("calls_list_empty", "GET", "/calls", None).await;
    let report = book.server.call("listen; say hello; listen; say goodbye; listen").await;
    assert!(report.failure.is_none(), "{report:?}");
    let call = book.server.last_call().await;
    let one = format!("/calls/{}", call["id"].as_str().unwrap());
    book.server.recording(call["id"].as_str().unwrap()).await;
    until("a report", || async { (!book.server.get(&one).await["call"]["report"].is_null()).then_some(()) }).await;
    book.pin("calls_get", "GET", &one, None).await;
    book.pin("calls_report", "GET", &format!("{one}/report"), None).await;
    book.pin("calls_process_transcript", "POST", &format!("{one}/transcript"), None).await;
    book.pin("usage", "GET", "/usage", None).await;
    book.pin("providers_list", "GET", "/providers", None).await;
    book.pin("providers_test", "POST", "/providers/elevenlabs/test", None).await;
    book.pin("providers_test_unknown", "POST", "/providers/acme/test", None).await;
    book.pin("webhook_deliveries_list", "GET", "/webhook-deliveries", None).await;
    book.pin("webhook_deliveries_none", "GET", "/webhook-deliveries/none", None).await;
    book.pin("calls_list", "GET", "/calls", None).await;
    book.pin("calls_list_searched", "GET", "/calls?q=nothing%20like%20it&direction=web", None).await;
    book.pin("calls_list_bad_direction", "GET", "/calls?direction=up", None).await;
    let web = json!({"agent_id": book.server.agent, "caller": "Jane", "context_data": {"customer_name": "Jane"}});
    book.pin("calls_web", "POST", "/calls/web", Some(web)).await;
    book.pin("calls_web_unknown_agent", "POST", "/calls/web", Some(json!({"agent_id": "none"}))).await;
    book.pin("whip_without_token", "POST", &format!("/whip/{}", book.server.agent), None).await;
    book.pin("calls_transcript", "GET", &format!("{one}/transcript"), None).await;
    book.pin("calls_recording", "GET", &format!("{one}/recording"), None).await;
    book.pin("calls_end_over", "POST", &format!("{one}/end"), None).await;
    book.pin("calls_get_none", "GET", "/calls/none", None).await;
    book.pin("calls_list_bad_status", "GET", "/calls?status=ringing", None).await;
}

/// One address and password in two organizations.
async fn choice(book: &mut SnapshotRun<'_>) {
    let store = &book.server.app.services.store;
    let hash = trunkline::domain::password::hash(PASSWORD).unwrap();
    for name in ["One", "Two"] {
        store.bootstrap(name, "twice@example.com", &hash).await.unwrap();
    }
    let login = json!({"email": "twice@example.com", "password": PASSWORD});
    book.pin("auth_login_choice", "POST", "/auth/login", Some(login)).await;
}

async fn management(book: &mut SnapshotRun<'_>) {
    choice(book).await;
    book.pin("auth_login_wrong", "POST", "/auth/login", Some(json!({"email": OWNER, "password": "wrong"}))).await;
    let me = book.pin("auth_me", "GET", "/auth/me", None).await;
    let own = id(&me, "organization");
    let change = json!({"current_password": "not the password", "new_password": "another long password"});
    book.pin("auth_password_wrong", "POST", "/auth/password", Some(change)).await;
    let child = json!({"name": "Child", "parent_org_id": own, "calls_per_second": 2});
    book.pin("organizations_create", "POST", "/organizations", Some(child)).await;
    book.pin("organizations_create_without_parent", "POST", "/organizations", Some(json!({"name": "Free"}))).await;
    let stranger = book.server.app.services.store.bootstrap("Stranger", "stranger@example.com", "x").await.unwrap();
    let foreign = format!("/organizations/{}", stranger.scope.organization());
    book.pin("organizations_get_foreign", "GET", &foreign, None).await;
    book.pin(
        "organizations_create_bad",
        "POST",
        "/organizations",
        Some(json!({"name": "C", "max_concurrent_calls": 0})),
    )
    .await;
    book.pin("organizations_list", "GET", "/organizations", None).await;
    let made =
        book.pin("api_keys_create", "POST", "/api-keys", Some(json!({"name": "CRM", "scopes": ["calls:read"]}))).await;
    let key = format!("/api-keys/{}", id(&made, "api_key"));
    book.pin("api_keys_create_bad_scope", "POST", "/api-keys", Some(json!({"name": "CRM", "scopes": ["fly"]}))).await;
    book.pin("api_keys_regenerate", "POST", &format!("{key}/regenerate"), None).await;
    book.pin("api_keys_list", "GET", "/api-keys?limit=1", None).await;
    book.pin("api_keys_delete", "DELETE", &key, None).await;
    book.pin("users_list", "GET", "/users", None).await;
    book.pin("users_invite", "POST", "/users/invite", Some(json!({"email": "new@example.com"}))).await;
    book.pin("users_invite_member", "POST", "/users/invite", Some(json!({"email": "OWNER@example.com"}))).await;
    book.pin(
        "invitations_accept_unknown",
        "POST",
        "/invitations/accept",
        Some(json!({"token": "x", "password": "long enough"})),
    )
    .await;
    let secret = json!({"name": "Ours", "provider": "openai", "value": "sk-secret"});
    let made = book.pin("secrets_create", "POST", "/secrets", Some(secret)).await;
    book.pin("secrets_list", "GET", "/secrets", None).await;
    book.pin("secrets_delete", "DELETE", &format!("/secrets/{}", id(&made, "secret")), None).await;
    book.pin("audit_log_list", "GET", "/audit-log?limit=2", None).await;
    book.owner = None;
    book.pin("session_required", "GET", "/users", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_it_was() {
    let server = Server::start_with(strict).await;
    let mut book = SnapshotRun {
        server: &server,
        owner: None,
        mask: SnapshotMask::new(&server),
        snapshots: SnapshotFolder::new("api"),
    };
    book.pin("health", "GET", "/health", None).await;
    book.pin("unknown_endpoint", "GET", "/nothing", None).await;
    book.pin("method_not_allowed", "PUT", "/agents", Some(json!({}))).await;
    agents(&mut book).await;
    tasks(&mut book).await;
    numbers_and_trunks(&mut book).await;
    calls(&mut book).await;
    agent_settings(&mut book).await;
    let owner = LoggedInUser::owner(&server).await;
    book.owner = Some(&owner);
    management(&mut book).await;
    let mut stray = Server::start_with(strict).await;
    stray.key = "va_wrong".into();
    let mut wrong =
        SnapshotRun { server: &stray, owner: None, mask: SnapshotMask::new(&stray), snapshots: book.snapshots };
    wrong.pin("unauthorized", "GET", "/agents", None).await;
    let openapi = serde_json::to_string_pretty(&trunkline::api::openapi_document()).unwrap();
    wrong.snapshots.compare("openapi", &openapi.replace(env!("CARGO_PKG_VERSION"), "<version>"));
    wrong.snapshots.finish();
}
