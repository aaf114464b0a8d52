//! What callers notice, over real SIP: interruptions that are taken back, voicemail, keys, tools, transfers.

use super::support::{NUMBER, Server, lines, until};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::emulator::{self, ReplyRule, ScriptedTool};
use trunkline_media::frame::level_dbfs;
use trunkline_signaling::sip::user_agent::Transport;

impl Server {
    async fn change_agent(&self, changes: Value) {
        let (status, body) = self.send("PATCH", &format!("/agents/{}", self.agent), Some(changes)).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn execute(&self, task: Value) -> String {
        let mut fields = json!({"agent_id": self.agent, "name": "Call", "to_number": "+15550199"});
        fields.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
        let task = self.post("/tasks", fields).await["task"]["id"].as_str().unwrap().to_owned();
        self.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned()
    }

    /// Calls a phone that follows this script.
    async fn call_out(&mut self, script: &str) -> Value {
        self.execute(json!({})).await;
        let incoming = self.incoming.recv().await.unwrap();
        let report = self.phone.answer(incoming, &CallScript::parse(script).unwrap(), None).await;
        // If the agent hangs up in mid-word, the phone has not played its whole script.
        assert!(report.failure.is_none() || report.ended_by_agent, "{report:?}");
        self.last_call().await
    }
}

pub fn rule(words: &[&str], reply: &str, tool: Option<(&str, Value)>) -> ReplyRule {
    ReplyRule {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        reply: reply.to_owned(),
        tool: tool.map(|(name, arguments)| ScriptedTool { name: name.to_owned(), arguments }),
        more_tools: Vec::new(),
        after_tool: Some("The answer is: {result}".to_owned()),
    }
}

fn script(first: ReplyRule) -> emulator::ReplyScript {
    let mut script = emulator::ReplyScript::default();
    script.0.insert(0, first);
    script
}

/// A quarter of a second of a voice: too short for a word, and backwards, so that it is the beginning of none.
fn cough(folder: &std::path::Path) -> String {
    let path = folder.join("cough.wav");
    let source = format!("{}/fixtures/audio/yes_correct.wav", env!("CARGO_MANIFEST_DIR"));
    let mut reader = hound::WavReader::open(source).unwrap();
    let mut writer = hound::WavWriter::create(&path, reader.spec()).unwrap();
    let voice: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).take(2_000).collect();
    for sample in voice.into_iter().rev().chain(std::iter::repeat_n(0, 1_600)) {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cough_holds_the_agent_who_then_says_everything() {
    let server = Server::start().await;
    let cough = cough(server.folder.path());
    let report = server
        .call(&format!("listen; say order_number; interrupt {cough}; pause 1200; listen; say goodbye; listen"))
        .await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    let said = lines(&call);
    assert!(said[2].ends_with("you can follow the van on our website."), "{said:?}");
    assert_eq!(call["transcript"][2]["interrupted"], json!(false));
    let counts = &call["metrics"]["interruptions"];
    assert_eq!(
        (&counts["held"], &counts["resumed"], &counts["stopped"]),
        (&json!(1), &json!(1), &json!(0)),
        "{counts}"
    );
    // Silent while it was held: the recording shows the pause, and no sample is lost around it.
    let (_, agent) = server.recording(call["id"].as_str().unwrap()).await;
    let turn = |name: &str| (call["transcript"][2][name].as_f64().unwrap() * 8.0) as usize;
    let quiet =
        agent[turn("started_at_ms")..turn("ended_at_ms")].chunks(800).filter(|part| level_dbfs(part) < -60.0).count();
    assert!(quiet >= 3, "{quiet} tenths of a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voicemail_gets_the_message_after_the_beep_and_a_person_the_greeting() {
    let mut server = Server::start().await;
    let message = "This is Acme. We will call you again tomorrow.";
    server.change_agent(json!({"voicemail_detection": true, "voicemail_message": message})).await;
    let call = server.call_out("say mailbox; pause 600; say leave_message; pause 400; beep 1000 500; listen").await;
    assert_eq!(call["end_reason"], json!("voicemail"), "{call}");
    assert_eq!(call["metrics"]["answered_by"]["who"], json!("voicemail"));
    let turns = call["transcript"].as_array().unwrap();
    let last = turns.iter().rfind(|turn| turn["role"] == json!("assistant")).unwrap();
    assert_eq!((&last["content"], &last["interrupted"]), (&json!(message), &json!(false)), "{:?}", lines(&call));
    // After the beep: its end is in the recording of the callee's side.
    let (callee, _) = server.recording(call["id"].as_str().unwrap()).await;
    let began = (last["started_at_ms"].as_f64().unwrap() * 8.0) as usize;
    let sound = callee.chunks(160).rposition(|frame| level_dbfs(frame) > -40.0).unwrap() * 160;
    assert!(began > sound && began - sound < 8 * 700, "message at {began}, beep until {sound}");

    let call = server.call_out("say hello; listen; say goodbye; listen").await;
    assert_eq!(call["metrics"]["answered_by"]["who"], json!("human"), "{call}");
    let greeting = &call["transcript"][0];
    assert_eq!(greeting["content"], json!("Good morning, this is Acme."), "{:?}", lines(&call));
    assert!(greeting["started_at_ms"].as_u64() < Some(400), "not delayed by listening: {greeting}");
    assert_eq!(call["end_reason"], json!("agent_hung_up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voicemail_in_early_media_is_detected_before_the_answer() {
    let mut server = Server::start().await;
    let message = "This is Acme. We will call you again tomorrow.";
    server.change_agent(json!({"voicemail_detection": true, "voicemail_message": message})).await;
    let call = server.call_out("say leave_message; pause 700; answer; pause 300; beep 1000 500; listen").await;
    assert_eq!((&call["end_reason"], &call["status"]), (&json!("voicemail"), &json!("completed")), "{call}");
    assert_eq!(call["metrics"]["answered_by"], json!({"who": "voicemail", "known_at_ms": 0}));
    let turns = call["transcript"].as_array().unwrap();
    let said: Vec<&Value> = turns.iter().filter(|turn| turn["role"] == json!("assistant")).collect();
    assert_eq!(said.len(), 1, "no greeting for a mailbox: {:?}", lines(&call));
    assert_eq!((&said[0]["content"], &said[0]["interrupted"]), (&json!(message), &json!(false)));
    // The recording begins with the answer.
    let (_, agent) = server.recording(call["id"].as_str().unwrap()).await;
    let began = said[0]["started_at_ms"].as_f64().unwrap();
    let sound = agent.chunks(160).position(|frame| level_dbfs(frame) > -45.0).unwrap() as f64 * 20.0;
    assert!((sound - began).abs() < 200.0, "said at {began} ms, recorded at {sound} ms");
    // Nobody answers: the call reports the early media it heard.
    server.execute(json!({})).await;
    let incoming = server.incoming.recv().await.unwrap();
    let script = CallScript::parse("say leave_message; pause 700; hangup; answer").unwrap();
    server.phone.answer(incoming, &script, None).await;
    let call = server.last_call().await;
    assert_eq!(
        (&call["status"], &call["metrics"]["early_media"]["heard"]),
        (&json!("failed"), &json!("voicemail")),
        "{call}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screening_service_is_answered_and_a_fax_is_not() {
    let asked = rule(&["state your name"], "This is Acme about your order.", None);
    let mut server = Server::start_scripted(script(asked), |_| {}).await;
    server.change_agent(json!({"voicemail_detection": true, "voicemail_message": "Call us back."})).await;
    let call = server.call_out("say screening; listen; say goodbye; listen").await;
    assert_eq!(call["metrics"]["answered_by"]["who"], json!("screening"), "{call}");
    assert!(lines(&call).contains(&"assistant: This is Acme about your order.".to_owned()), "{:?}", lines(&call));
    let call = server.call_out("beep 2100 3000; pause 500").await;
    assert_eq!((&call["end_reason"], &call["status"]), (&json!("fax"), &json!("failed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dtmf_arrives_as_events_and_as_tones() {
    let server = Server::start().await;
    server
        .change_agent(json!({"dtmf_rules": {"rules": [{"digits": "7", "action": "say", "text": "Seven it is."}]}}))
        .await;
    for keys in ["dtmf 7; listen; dtmf 42#", "tones 7; listen; tones 42#"] {
        let report = server.call(&format!("listen; {keys}; listen; say goodbye; listen")).await;
        assert_eq!(report.failure, None, "{keys}");
        let said = lines(&server.last_call().await);
        assert!(said.contains(&"assistant: Seven it is.".to_owned()), "{keys}: {said:?}");
        assert!(said.contains(&"user: [DTMF 42]".to_owned()), "{keys}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flux_lets_the_model_begin_early() {
    let server = Server::start().await;
    let flux = json!({"provider": "deepgram", "model": "flux-general-en", "language": "en"});
    server.change_agent(json!({"stt_config": flux, "turn_config": {"eager": true}})).await;
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    assert_eq!(report.failure, None);
    let call = server.last_call().await;
    assert!(lines(&call)[2].starts_with("assistant: We are open"), "{:?}", lines(&call));
    let eager = &call["metrics"]["eager"];
    assert!(eager["used"].as_u64() >= Some(1) && eager["discarded"].as_u64() >= Some(1), "{eager}");
}

/// Ends a program with the test.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_of_a_server_by_the_protocols_own_sdk() {
    let stock = rule(&["opening hours"], "Let me look.", Some(("stock", json!({"article": "chairs", "count": 4}))));
    let server = Server::start_scripted(script(stock), |_| {}).await;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let root = env!("CARGO_MANIFEST_DIR");
    let program = Command::new(format!("{root}/target/venv/bin/python"))
        .args([format!("{root}/tests/witnesses/mcp_server.py"), port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _program = KillOnDrop(program.expect("make test installs the SDK"));
    until("the tool server", || async { std::net::TcpStream::connect(("127.0.0.1", port)).ok() }).await;
    let tool = json!({"type": "mcp", "server_url": format!("http://127.0.0.1:{port}/mcp"), "authorization": "Bearer t",
        "allowed_tools": ["stock", "broken"]});
    let model = json!({"provider": "openai", "model": "gpt-4o-mini", "tools": [tool]});
    server.change_agent(json!({"llm_config": model})).await;
    let shown = server.get(&format!("/agents/{}", server.agent)).await;
    assert_eq!(shown["agent"]["llm_config"]["tools"][0].get("authorization"), None, "write-only");
    let report = server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    assert_eq!(report.failure, None);
    let said = lines(&server.last_call().await);
    assert!(said.contains(&"tool: stock: 4 of chairs are in stock".to_owned()), "{said:?}");
    assert!(said.contains(&"assistant: The answer is: 4 of chairs are in stock".to_owned()), "{said:?}");
}

fn desk(mode: &str) -> Value {
    json!({"mode": mode, "ring_timeout_ms": 5_000,
        "destinations": [{"name": "desk", "target": "tel:+15550123", "description": "people"}]})
}

fn wants_desk() -> emulator::ReplyScript {
    let arguments = json!({"destination": "desk", "briefing": "Jan asks about his bill."});
    script(rule(&["human"], "I will put you through.", Some(("transfer_call", arguments))))
}

/// The caller asks for a person; what the desk does is up to the test.
async fn put_through(server: &mut Server, mode: &str, caller: &str, desk_does: Option<&str>) -> (Value, Value) {
    server.change_agent(json!({"transfer_config": desk(mode)})).await;
    let script = CallScript::parse(caller).unwrap();
    let dial = server.dial_to(NUMBER, Transport::Udp);
    let call = server.phone.dial(&dial, &script, None);
    let answer = async {
        let incoming = server.incoming.recv().await.unwrap();
        let called = incoming.incoming.request_uri.user_plain();
        assert_eq!(called.as_deref(), Some("+15550123"), "the trunk is dialled as always");
        match desk_does {
            Some(text) => {
                let report = server.phone.answer(incoming, &CallScript::parse(text).unwrap(), None).await;
                json!(report.heard_seconds)
            }
            None => {
                server.phone.sip.reject(incoming.incoming.call, 486, None).await;
                Value::Null
            }
        }
    };
    let (report, heard) = tokio::join!(call, answer);
    assert_eq!(report.failure, None);
    (server.last_call().await, json!([report.heard_seconds, heard]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_and_desk_are_connected_and_hear_each_other() {
    let mut server = Server::start_scripted(wants_desk(), |_| {}).await;
    // Our test phone does not support REFER: the server calls the target instead.
    let caller = "listen; say speak_to_human; pause 6000; say where_is_my_order; pause 2500; hangup";
    let (call, heard) =
        put_through(&mut server, "auto", caller, Some("pause 1500; say opening_hours; pause 8000")).await;
    assert_eq!((&call["end_reason"], &call["status"]), (&json!("transferred"), &json!("completed")), "{call}");
    assert!(lines(&call).contains(&"tool: transfer_call: connected with desk".to_owned()), "{:?}", lines(&call));
    let (caller_heard, desk_heard) = (heard[0].as_f64().unwrap(), heard[1].as_f64().unwrap());
    assert!(desk_heard > 1.5, "the desk heard {desk_heard} s of the caller");
    assert!(caller_heard > 3.0, "the caller heard {caller_heard} s");
    // The recording goes on: what the desk said is on the agent's side.
    let (_, agent) = server.recording(call["id"].as_str().unwrap()).await;
    let connected = (call["metrics"]["transferred_at_ms"].as_f64().unwrap() * 8.0) as usize;
    let sound = agent[connected..].chunks(160).filter(|frame| level_dbfs(frame) > -40.0).count();
    assert!(sound > 40, "{sound} frames of the desk are recorded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_is_told_first_and_a_busy_desk_leaves_the_caller_with_the_agent() {
    let mut server = Server::start_scripted(wants_desk(), |_| {}).await;
    let caller = "listen; say speak_to_human; pause 9000; hangup";
    let (call, heard) =
        put_through(&mut server, "attended", caller, Some("listen; say opening_hours; pause 9000")).await;
    assert_eq!(call["end_reason"], json!("transferred"), "{call}");
    let desk_heard = heard[1].as_f64().unwrap();
    assert!(desk_heard > 1.0, "the desk heard {desk_heard} s of the briefing");

    let caller = "listen; say speak_to_human; listen; listen; say goodbye; listen";
    let (call, _) = put_through(&mut server, "bridge", caller, None).await;
    let said = lines(&call);
    assert!(said.iter().any(|line| line.contains("the transfer to desk failed: they are busy")), "{said:?}");
    assert_eq!(call["end_reason"], json!("agent_hung_up"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_needs_a_second_line() {
    let mut server = Server::start_scripted(wants_desk(), |_| {}).await;
    let path = format!("/trunks/{}", server.trunk);
    assert_eq!(server.send("PATCH", &path, Some(json!({"max_concurrent_calls": 1}))).await.0, 200);
    server.change_agent(json!({"transfer_config": desk("bridge")})).await;
    let script = CallScript::parse("listen; say speak_to_human; listen; listen; say goodbye; listen").unwrap();
    let report = server.phone.dial(&server.dial_to(NUMBER, Transport::Udp), &script, None).await;
    assert_eq!(report.failure, None);
    assert!(server.incoming.try_recv().is_err(), "the desk's phone does not ring");
    let said = lines(&server.last_call().await);
    assert!(said.iter().any(|line| line.contains("the transfer to desk failed")), "{said:?}");
    // With a second line it is put through, and both count while it lasts.
    assert_eq!(server.send("PATCH", &path, Some(json!({"max_concurrent_calls": 2}))).await.0, 200);
    let admission = server.app.services.admission.clone();
    let both = until("a call on two lines", async || (admission.held() >= 2).then_some(()));
    let caller = "listen; say speak_to_human; pause 6000; hangup";
    let ((call, _), ()) = tokio::join!(put_through(&mut server, "bridge", caller, Some("pause 8000")), both);
    assert_eq!(call["end_reason"], json!("transferred"), "{call}");
    until("every line is given back", || async { (server.app.services.admission.held() == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destination_stops_ringing_when_the_caller_hangs_up() {
    let mut server = Server::start_scripted(wants_desk(), |_| {}).await;
    server.change_agent(json!({"transfer_config": desk("bridge")})).await;
    let script = CallScript::parse("listen; say speak_to_human; pause 4000; hangup").unwrap();
    let dial = server.dial_to(NUMBER, Transport::Udp);
    let call = server.phone.dial(&dial, &script, None);
    let ring = async {
        let mut incoming = server.incoming.recv().await.unwrap();
        server.phone.sip.send_provisional(incoming.incoming.call, 180, None).await;
        incoming.events.recv().await
    };
    let (report, ended) = tokio::join!(call, ring);
    assert_eq!(report.failure, None);
    assert!(matches!(ended, Some(trunkline_signaling::sip::user_agent::SipEvent::Ended { .. })), "{ended:?}");
    assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
}

#[cfg(feature = "otlp")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_of_a_call_arrive_at_a_collector() {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spans");
    let root = env!("CARGO_MANIFEST_DIR");
    let program = Command::new(format!("{root}/target/venv/bin/python"))
        .args([format!("{root}/tests/witnesses/otlp_collector.py"), port.to_string(), file.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _program = KillOnDrop(program.expect("make test installs the definitions"));
    until("the collector", || async { std::net::TcpStream::connect(("127.0.0.1", port)).ok() }).await;
    let endpoint = format!("http://127.0.0.1:{port}/v1/traces");
    let server = Server::start_with(|config| config.telemetry.otlp_endpoint = endpoint).await;
    server.call("listen; say opening_hours; listen; say goodbye; listen").await;
    let call = server.last_call().await;
    let spans = until("the spans", || async {
        let text = std::fs::read_to_string(&file).ok()?;
        let spans: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        spans.iter().any(|span| span["name"] == json!("call")).then_some(spans)
    })
    .await;
    let whole = spans.iter().find(|span| span["name"] == json!("call")).unwrap();
    assert_eq!(whole["attributes"]["trunkline.call.id"], call["id"]);
    let turns: Vec<&Value> = spans.iter().filter(|span| span["name"] == json!("turn")).collect();
    assert!(turns.len() == 2 && turns.iter().all(|turn| turn["parent"] == whole["id"]), "{spans:?}");
    assert_eq!(turns[0]["attributes"]["trunkline.model"], json!("openai/gpt-4o-mini"));
    let stages: Vec<&str> = spans
        .iter()
        .filter(|span| span["parent"] == turns[0]["id"])
        .map(|span| span["name"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["recogniser", "decision", "model", "sentence", "voice", "playout"]);
    let sum: f64 =
        spans.iter().filter(|span| span["parent"] == turns[0]["id"]).map(|span| span["ms"].as_f64().unwrap()).sum();
    assert!(
        (sum - call["metrics"]["turns"][0]["response_ms"].as_f64().unwrap()).abs() < 1.0,
        "nothing is left out: {spans:?}"
    );
}
