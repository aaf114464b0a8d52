//! The customer's reference documents, sentence by sentence where no other test proves them, and their
//! code samples as they stand. `docs/contract.md` says which sentence is proven where.

use super::support::{CannedAnswer, CustomerServer, Server, agent, strict, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use trunkline_lab::caller::script::CallScript;

/// Runs a sample of the documents, unchanged but for host and key.
async fn sample(server: &Server, program: &str, arguments: &[&str], text: &str) -> String {
    let host = format!("http://{}", server.app.api_addr);
    let text = text
        .replace("https://your-domain.com", &host)
        .replace("https://example.com/api", &format!("{host}/api"))
        .replace("va_your_api_key_here", &server.key)
        .replace("va_your_api_key", &server.key);
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .arg(text)
        .env("NODE_PATH", "/usr/share/nodejs:/usr/lib/nodejs")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn curl(server: &Server, text: &str) -> Value {
    serde_json::from_str(&sample(server, "bash", &["-c"], &text.replace("curl ", "curl -s ")).await).unwrap()
}

const TASK_SAMPLE: &str = r#"curl -X POST "https://your-domain.com/api/v1/tasks" \
  -H "Authorization: Bearer va_your_api_key" \
  -H "Content-Type: application/json" \
  -d '{
    "agent_id": "uuid-here",
    "name": "Call customer",
    "to_number": "+1234567890",
    "description": "Follow up call",
    "starting_message": "Hello, this is a call from our company",
    "context_data": {
      "customer_name": "John Doe",
      "order_id": "12345"
    },
    "priority": 0,
    "scheduled_at": null,
    "webhook_url": "https://your-app.com/webhooks",
    "webhook_events": ["call_started", "call_completed"]
  }'"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_curl_samples_run() {
    let server = Server::start_with(strict).await;
    let made = curl(
        &server,
        r#"curl -X POST "https://your-domain.com/api/v1/agents" \
  -H "Authorization: Bearer va_your_api_key" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Customer Service Agent",
    "system_prompt": "You are a helpful customer service agent...",
    "description": "Handles customer inquiries",
    "starting_message": "Hello! How can I help you today?",
    "enabled": true,
    "voice_settings": {
      "stability": 0.5,
      "similarity_boost": 0.75
    }
  }'"#,
    )
    .await;
    assert_eq!(made["data"]["agent"]["voice_settings"], json!({"stability": 0.5, "similarity_boost": 0.75}));
    let listed = curl(
        &server,
        r#"curl -X GET "https://your-domain.com/api/v1/agents?enabled=true&limit=10" \
  -H "Authorization: Bearer va_your_api_key""#,
    )
    .await;
    assert_eq!((&listed["success"], &listed["data"]["limit"]), (&json!(true), &json!(10)));
    let task = curl(&server, &TASK_SAMPLE.replace("uuid-here", &server.agent)).await;
    assert_eq!(task["data"]["task"]["status"], json!("pending"), "{task}");
    let health = curl(&server, r#"curl -X GET "https://example.com/api/v1/health""#).await;
    assert_eq!(health["status"], json!("ok"));
    server.call("listen; hangup").await;
    let call = server.last_call().await["id"].as_str().unwrap().to_owned();
    server.recording(&call).await;
    let recording = r#"curl -X GET "https://your-domain.com/api/v1/calls/{call_id}/recording" \
  -H "Authorization: Bearer va_your_api_key""#;
    let recording = curl(&server, &recording.replace("{call_id}", &call)).await;
    assert!(recording["data"]["recording_url"].as_str().unwrap().ends_with("/recording/stream"));
    let end = r#"curl -X POST "https://your-domain.com/api/v1/calls/{call_id}/end" \
  -H "Authorization: Bearer va_your_api_key""#;
    let ended = curl(&server, &end.replace("{call_id}", &call)).await;
    assert_eq!(ended["details"]["code"], json!("invalid_state"), "it is over already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fetch_and_requests_samples_run() {
    let server = Server::start_with(strict).await;
    let fetch = r#"(async () => { const response = await fetch('https://your-domain.com/api/v1/agents', {
  headers: {
    'Authorization': 'Bearer va_your_api_key',
    'Content-Type': 'application/json'
  }
});

const data = await response.json();
console.log(JSON.stringify(data)); })()"#;
    let printed: Value = serde_json::from_str(&sample(&server, "node", &["-e"], fetch).await).unwrap();
    assert_eq!((&printed["success"], &printed["data"]["total"]), (&json!(true), &json!(1)));
    let requests = r#"import requests

headers = {
    'Authorization': 'Bearer va_your_api_key',
    'Content-Type': 'application/json'
}

response = requests.get(
    'https://your-domain.com/api/v1/agents',
    headers=headers
)

data = response.json()
print(data)"#;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let printed = sample(&server, own.to_str().unwrap(), &["-c"], requests).await;
    assert!(printed.starts_with("{'") && printed.contains("'success': True"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_websocket_sample_runs_beside_a_call() {
    let server = Server::start().await;
    let snippet = r#"const WebSocket = require('ws');
const ws = new WebSocket('ws://localhost:3008/ws/calls/{call_id}?session_token=TEMP_TOKEN');

ws.on('message', (data) => {
  const message = JSON.parse(data);
  
  switch(message.type) {
    case 'connected':
      console.log('Connected to live transcript stream');
      ws.send(JSON.stringify({ type: 'ping' }));
      break;
    case 'transcript_update':
      console.log('Transcript update:', message.data.transcript);
      break;
    case 'call_status_update':
      console.log('Call status:', message.data.status);
      break;
    case 'error':
      console.error('Error:', message.error);
      break;
    case 'pong':
      console.log('Pong');
      break;
  }
});"#;
    let call = server.call("listen; say hello; listen; say goodbye; listen");
    let listen = async {
        let id = until("a call", || async {
            server.get("/calls?status=in_progress").await["calls"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let live = server.get(&format!("/calls/{id}/live")).await;
        let text = snippet
            .replace("localhost:3008", &server.app.api_addr.to_string())
            .replace("{call_id}", &id)
            .replace("TEMP_TOKEN", live["temp_token"].as_str().unwrap());
        sample(&server, "node", &["-e"], &text).await
    };
    let (report, printed) = tokio::join!(call, listen);
    assert!(report.failure.is_none(), "{report:?}");
    for part in
        ["Connected to live transcript stream", "Pong", "Good morning! How can I help you?", "Call status: completed"]
    {
        assert!(printed.contains(part), "{part} is not in\n{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_paged_and_filtered() {
    let server = Server::start().await;
    for n in 0..3 {
        server.post("/agents", json!({"name": format!("A{n}"), "enabled": n > 0})).await;
    }
    let all = server.get("/agents").await;
    assert_eq!((&all["limit"], &all["offset"], &all["total"]), (&json!(50), &json!(0), &json!(4)));
    let page = server.get("/agents?limit=2&offset=1").await;
    assert_eq!(page["agents"].as_array().unwrap()[..], all["agents"].as_array().unwrap()[1..3]);
    assert_eq!(server.get("/agents?enabled=true").await["total"], json!(3));
    assert_eq!(server.get("/agents?enabled=false").await["total"], json!(1));
    assert_eq!(server.get("/agents?limit=100").await["limit"], json!(100));
    for bad in ["limit=101", "limit=0", "limit=x", "offset=-1", "enabled=maybe"] {
        assert_eq!(server.send("GET", &format!("/agents?{bad}"), None).await.0, 400, "{bad}");
    }
    let other = all["agents"][0]["id"].as_str().unwrap();
    server.post("/tasks", json!({"agent_id": other, "to_number": "+15550100"})).await;
    server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550100"})).await;
    assert_eq!(server.get(&format!("/tasks?agent_id={other}")).await["total"], json!(1));
    for (status, total) in [("pending", 2), ("in_progress", 0), ("completed", 0), ("failed", 0)] {
        assert_eq!(server.get(&format!("/tasks?status={status}")).await["total"], json!(total), "{status}");
    }
    server.call("listen; hangup").await;
    server.last_call().await;
    for (status, total) in [("initiated", 0), ("in_progress", 0), ("completed", 1), ("failed", 0)] {
        let found = server.get(&format!("/calls?agent_id={}&status={status}", server.agent)).await;
        assert_eq!((&found["total"], &found["limit"]), (&json!(total), &json!(50)), "{status}");
    }
    assert_eq!(server.get(&format!("/calls?agent_id={other}")).await["total"], json!(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_updatable_field_is_updated_alone() {
    let server = Server::start_with(strict).await;
    let path = format!("/agents/{}", server.agent);
    let before = server.get(&path).await["agent"].clone();
    for (field, value) in [
        ("name", json!("Renamed")),
        ("description", json!("D")),
        ("system_prompt", json!("S")),
        ("starting_message", json!("M")),
        ("voice_settings", json!({"stability": 0.2})),
        ("dtmf_rules", json!({"rules": [{"digits": "0", "action": "end_call"}], "inter_digit_timeout_ms": 2000})),
        ("enabled", json!(false)),
        ("voicemail_detection", json!(true)),
        ("voicemail_message", json!("V")),
        ("max_duration_seconds", json!(900)),
        ("autonomous_silence_handling", json!(false)),
        ("webhook_url", json!("https://example.com/hook")),
        ("webhook_events", json!(["tool-calls"])),
        ("notification_email", json!("a@example.com")),
        ("business_name", json!("Acme Corp")),
        ("analysis_plan", json!({"min_messages_threshold": 2})),
    ] {
        let (status, body) = server.send("PATCH", &path, Some(json!({field: value}))).await;
        assert_eq!((status, &body["data"]["agent"][field]), (200, &value), "{body}");
    }
    let after = server.get(&path).await["agent"].clone();
    assert_eq!((&after["llm_config"], &after["created_at"]), (&before["llm_config"], &before["created_at"]));
    assert_ne!(after["updated_at"], before["updated_at"]);
    let task = server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550100"})).await;
    let path = format!("/tasks/{}", task["task"]["id"].as_str().unwrap());
    for (field, value) in [
        ("name", json!("N")),
        ("description", json!("D")),
        ("to_number", json!("+442071234567")),
        ("starting_message", json!("M")),
        ("context_data", json!({"k": "v"})),
        ("priority", json!(3)),
        ("scheduled_at", json!("2099-01-01T00:00:00Z")),
        ("webhook_url", json!("https://example.com/hook")),
        ("webhook_events", json!(["call_failed"])),
    ] {
        let (status, body) = server.send("PATCH", &path, Some(json!({field: value}))).await;
        assert_eq!((status, &body["data"]["task"][field]), (200, &value), "{body}");
    }
    let task = server.get(&path).await["task"].clone();
    assert_eq!(task["agent"]["id"], json!(server.agent), "a task carries its agent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configurations_of_document_b_are_accepted() {
    let server = Server::start_with(strict).await;
    let make = async |body: Value| server.send("POST", "/agents", Some(body)).await;
    let (status, body) = make(json!({"name": "Alone"})).await;
    assert_eq!((status, &body["data"]["agent"]["is_active"]), (201, &json!(true)), "only the name is required");
    for provider in ["openai", "anthropic", "groq", "mistral", "xai", "xai_realtime"] {
        let config = json!({"provider": provider, "model": "grok-4-1-fast-non-reasoning", "messages": [{"role": "system", "content": "Be kind."}],
            "tools": [{"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}, "url": "https://example.com/t", "async": true}]});
        let (status, body) = make(json!({"name": "A", "llm_config": config})).await;
        assert_eq!((status, &body["data"]["agent"]["llm_config"]["provider"]), (201, &json!(provider)), "{body}");
    }
    for provider in ["openai", "elevenlabs", "cartesia", "local"] {
        let config = json!({"provider": provider, "voice_id": "v", "language": "nl", "model": "eleven_v3", "speed": 2.0,
            "stability": 1, "similarity_boost": 0, "use_speaker_boost": true});
        assert_eq!(make(json!({"name": "A", "tts_config": config})).await.0, 201, "{provider}");
    }
    let stt =
        json!({"provider": "deepgram", "model": "nova-3-general", "language": "nl", "keyterms": ["ja", "nee", "oké"]});
    assert_eq!(make(json!({"name": "A", "stt_config": stt})).await.1["data"]["agent"]["stt_config"], stt);
    for (body, field) in [
        (json!({"llm_config": {"provider": "openai", "model": "m", "temperature": 2.1}}), "llm_config.temperature"),
        (json!({"llm_config": {"provider": "openai"}}), "llm_config.model"),
        (
            json!({"tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "nl", "speed": 0.4}}),
            "tts_config.speed",
        ),
        (json!({"tts_config": {"provider": "elevenlabs", "language": "nl"}}), "tts_config.voice_id"),
        (
            json!({"tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "nl", "stability": 1.1}}),
            "tts_config.stability",
        ),
        (json!({"stt_config": {"provider": "whisper", "model": "m", "language": "nl"}}), "stt_config.provider"),
        (json!({"stt_config": {"provider": "deepgram", "model": "m"}}), "stt_config.language"),
        (
            json!({"analysis_plan": {"structured_data_plan": {"type": "nonsense"}}}),
            "analysis_plan.structured_data_plan",
        ),
        (json!({"webhook_events": ["call.ended"]}), "webhook_events"),
    ] {
        let mut whole = json!({"name": "A"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let (status, answer) = make(whole).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{body}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_task_says_reaches_the_model() {
    let model = CustomerServer::start(|_| -> CannedAnswer { (500, String::new(), Duration::ZERO) }).await;
    let base = model.url.clone();
    let mut server = Server::start_with(move |config| config.providers.openai.base_url = base).await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550199", "description": "Ask about the delivery",
        "starting_message": "Hello, this is a call from our company", "context_data": {"customer_name": "John Doe"}});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let executed = server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    assert_eq!(executed["message"], json!("Call initiated"));
    let incoming = server.incoming.recv().await.unwrap();
    let script = CallScript::parse("listen; say yes_correct; listen; listen; hangup").unwrap();
    server.phone.answer(incoming, &script, None).await;
    let asked = model.wait("/chat/completions", 1).await[0].body["messages"].to_string();
    for part in ["Be brief.", "Ask about the delivery", "John Doe", "Hello, this is a call from our company"] {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_status_code_of_the_table_is_given() {
    let mut config_of = None;
    let server = Server::start_with(|config| config_of = Some(config.database.url.expose().to_owned())).await;
    let status = async |method: &str, path: &str, key: &str| {
        let request = server.http.request(method.parse().unwrap(), server.url(path)).bearer_auth(key);
        let answer = request.send().await.unwrap();
        let code = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        assert!(
            code == 200 || body["error"].is_string() && body["details"].is_object() && body["success"] == json!(false)
        );
        code
    };
    assert_eq!(status("GET", "/agents", &server.key).await, 200);
    assert_eq!(status("GET", "/agents?limit=x", &server.key).await, 400);
    assert_eq!(status("GET", "/agents", "va_wrong").await, 401);
    assert_eq!(status("GET", "/api-keys", &server.key).await, 403);
    assert_eq!(status("GET", "/agents/none", &server.key).await, 404);
    // A row that was written by hand.
    sqlx::any::install_default_drivers();
    let mut database = <sqlx::AnyConnection as sqlx::Connection>::connect(&config_of.unwrap()).await.unwrap();
    sqlx::query("UPDATE agents SET fields = 'nonsense'").execute(&mut database).await.unwrap();
    until("the cache forgets the agent", || async {
        (status("GET", &format!("/agents/{}", server.agent), &server.key).await == 500).then_some(())
    })
    .await;
    let limited = Server::start_with(|config| config.api.rate_limit_per_minute = 3).await;
    assert_eq!(limited.send("GET", "/agents", None).await.0, 429);
    let mut other = agent();
    other["llm_config"]["provider"] = json!("mistral");
    let other = executed_without_a_key(other).await;
    assert_eq!(other, 503);
}

/// What executing a task of an agent whose provider has no key answers.
async fn executed_without_a_key(body: Value) -> u16 {
    let server = Server::start_with(|config| config.providers.mistral.api_key = None).await;
    let id = server.post("/agents", body).await["agent"]["id"].clone();
    let task = server.post("/tasks", json!({"agent_id": id, "to_number": "+15550199"})).await["task"]["id"].clone();
    server.send("POST", &format!("/tasks/{}/execute", task.as_str().unwrap()), None).await.0
}
