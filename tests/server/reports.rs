//! What is known of a call when it is over: summary, report, extracted data, cost, mail.

use super::support::{Server, agent, lines, until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use trunkline_lab::emulator::InjectedFault;

const TALK: &str = "listen; say where_is_my_order; listen; say goodbye; listen";

async fn set(server: &Server, changes: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(changes)).await;
    assert_eq!(status, 200, "{body}");
}

/// The last call once its report is there.
async fn reported(server: &Server) -> Value {
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    until("a report", || async {
        let call = server.get(&format!("/calls/{id}")).await["call"].clone();
        (!call["report"].is_null()).then_some(call)
    })
    .await
}

fn plan(threshold: u32) -> Value {
    json!({"structured_data_plan": {"type": "object", "properties": {"order_id": {"type": "string"}, "urgent": {"type": "boolean"},
        "channel": {"enum": ["phone", "web"]}}, "required": ["order_id", "urgent", "channel"]}, "min_messages_threshold": threshold})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_gets_its_report_its_data_and_its_cost() {
    let server = Server::start_with(|config| {
        config.prices = toml::from_str(
            "[stt_per_minute]\n\"deepgram/*\" = 0.6\n[llm.\"openai/gpt-4o-mini\"]\nprompt_per_million = 1000.0\ncompletion_per_million = 2000.0",
        )
        .unwrap();
    })
    .await;
    set(&server, json!({"analysis_plan": plan(2)})).await;
    server.call(TALK).await;
    let call = reported(&server).await;
    assert_eq!(call["extracted_data"], json!({"order_id": "emulated", "urgent": true, "channel": "phone"}));
    assert_eq!((&call["summary"], &call["report"]["success"]), (&json!("emulated"), &json!(true)));
    assert_eq!(call["report"]["sentiment"], json!("positive"));
    let cost = &call["cost"];
    let items = cost["items"].as_array().unwrap();
    let kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["telephony", "stt", "llm", "tts", "analysis"]);
    let sum: f64 = items.iter().filter_map(|item| item["cost"].as_f64()).sum();
    assert!(sum > 0.0 && (cost["total"].as_f64().unwrap() - sum).abs() < 2e-6, "{cost}");
    assert_eq!(items[3]["cost"], Value::Null, "no price is known for the voice");
    let report = server.get(&format!("/calls/{}/report", call["id"].as_str().unwrap())).await;
    assert_eq!((&report["summary"], &report["extracted_data"]), (&call["summary"], &call["extracted_data"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_call_is_not_analysed_and_a_report_can_be_written_again() {
    let server = Server::start().await;
    set(&server, json!({"analysis_plan": plan(50)})).await;
    server.call(TALK).await;
    let call = reported(&server).await;
    assert_eq!((&call["report"], &call["extracted_data"]), (&json!({"analysed": false}), &Value::Null));
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    // The plan the call ran with counts, so another call is needed to see the model fail.
    set(&server, json!({"analysis_plan": plan(1)})).await;
    server.call(TALK).await;
    let second = reported(&server).await;
    let second = format!("/calls/{}/transcript", second["id"].as_str().unwrap());
    // One answer of the wrong shape is repaired, two are not.
    server.emulator.faults.set("llm", Some(InjectedFault::Garbage), 1);
    let processed = server.post(&second, json!({})).await;
    assert_eq!(processed["extracted_data"]["order_id"], json!("emulated"));
    assert_eq!(processed["transcript"][0]["content"], json!("Good morning, this is Acme."));
    server.emulator.faults.set("llm", Some(InjectedFault::Garbage), 2);
    let (status, body) = server.send("POST", &second, None).await;
    assert_eq!((status, &body["details"]["code"]), (503, &json!("provider_failed")), "{body}");
    assert_eq!(server.get(&format!("{path}/report")).await["report"]["analysed"], json!(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_the_model_could_not_write_is_written_when_it_is_asked_for() {
    let server = Server::start().await;
    let first = server.call("listen; hangup").await;
    assert!(first.failure.is_none(), "{first:?}");
    let silent = reported(&server).await;
    assert!(silent["summary"].as_str().unwrap().contains("no conversation"), "{silent}");
    // The model fails for good right after the caller's last word.
    set(&server, json!({"llm_config": {"provider": "openai", "model": "gpt-4o-mini"}})).await;
    let emulator = server.emulator.faults.clone();
    let call = server.call("listen; say where_is_my_order; listen; hangup");
    call.await;
    emulator.set("llm", Some(InjectedFault::Unauthorized), u32::MAX);
    let path = format!("/calls/{}/report", server.last_call().await["id"].as_str().unwrap());
    until("a failed or a finished analysis", || async {
        let (status, _) = server.send("GET", &path, None).await;
        matches!(status, 200 | 503).then_some(())
    })
    .await;
    emulator.set("llm", None, 0);
    let report = server.get(&path).await;
    assert_eq!(report["report"]["analysed"], json!(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_ran_at_elevenlabs_is_fetched_from_there() {
    let server = Server::start().await;
    set(&server, json!({"metadata": {"elevenlabs_conversation_id": "conv_1"}})).await;
    server.call(TALK).await;
    let call = reported(&server).await;
    let path = format!("/calls/{}/transcript", call["id"].as_str().unwrap());
    let processed = server.post(&path, json!({})).await;
    let turns = processed["transcript"].as_array().unwrap();
    assert_eq!(
        turns.iter().map(|t| t["content"].as_str().unwrap()).collect::<Vec<_>>(),
        ["Good afternoon, how can I help?", "I would like to order tea.", "Tea it is."]
    );
    assert_eq!((&turns[1]["started_at_ms"], &turns[1]["ended_at_ms"]), (&json!(4_000), &json!(7_000)));
    assert_eq!(server.get(&path).await["transcript"], processed["transcript"], "it is stored");
    assert!(processed["report"]["success"].is_boolean());
}

/// A mail server that keeps what it is given; the first connection is turned away.
pub(super) async fn mail_server() -> (u16, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mails) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let mut busy = true;
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            if std::mem::take(&mut busy) {
                write.write_all(b"421 too busy\r\n").await.ok();
                continue;
            }
            write.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
            let (mut mail, mut in_data) = (String::new(), false);
            while let Ok(Some(line)) = lines.next_line().await {
                let word = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
                let answer = match (in_data, word.as_str()) {
                    (true, ".") => {
                        in_data = false;
                        sender.send(std::mem::take(&mut mail)).await.ok();
                        "250 taken"
                    }
                    (true, _) => {
                        mail.push_str(&line);
                        mail.push('\n');
                        continue;
                    }
                    (false, "DATA") => {
                        in_data = true;
                        "354 go on"
                    }
                    (false, "QUIT") => "221 bye",
                    (false, _) => "250 fine",
                };
                write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    (port, mails)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_goes_out_after_each_call() {
    let (port, mut mails) = mail_server().await;
    let server = Server::start_with(|config| {
        config.smtp.host = "127.0.0.1".into();
        config.smtp.port = port;
        config.smtp.tls = false;
        config.smtp.from = "Trunkline <calls@voice.example>".into();
        config.api.public_url = "https://voice.example".into();
    })
    .await;
    set(&server, json!({"notification_email": "team@example.com", "name": agent()["name"]})).await;
    server.call(TALK).await;
    let call = reported(&server).await;
    let mail = tokio::time::timeout(std::time::Duration::from_secs(20), mails.recv()).await.unwrap().unwrap();
    let id = call["id"].as_str().unwrap();
    for part in [
        "To: team@example.com",
        "From: Trunkline <calls@voice.example>",
        "Subject: Call with +15550100",
        "emulated",
        "Ended: agent_hung_up",
        &format!("https://voice.example/api/v1/calls/{id}"),
    ] {
        assert!(mail.contains(part), "{part} is not in\n{mail}");
    }
    assert!(lines(&call).len() > 3);
}
