//! PJSIP, a third-party stack, by its Python binding: `tests/witnesses/pjsua2_phone.py`.

use super::support::{NUMBER, Server, lines};
use serde_json::json;
use std::time::Duration;
use trunkline_lab::caller::script::CallScript;

const DEADLINE: Duration = Duration::from_secs(90);

/// What the phone has printed, at its end.
async fn phone(arguments: &[String]) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = tokio::process::Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/witnesses/pjsua2_phone.py"))
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Calls, holds, resumes, sends UPDATE and keys both ways, and hangs up: with SRTP and in the clear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pjsip_holds_updates_presses_keys_and_hangs_up() {
    for srtp in ["preferred", "off"] {
        let server = Server::start().await;
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"srtp": srtp}))).await;
        let said = phone(&[format!("sip:{NUMBER}@127.0.0.1:{}", server.sip_port())]).await;
        for step in ["call", "hold", "update", "keys", "bye"] {
            assert!(said.lines().any(|line| line == step), "{srtp}: no {step}: {said}");
        }
        assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"), "{srtp}");
    }
}

/// The phone hands the agent on with REFER, in a call with SRTP: it hears of the outcome, and the agent talks on with the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pjsip_hands_the_agent_on_in_an_encrypted_call() {
    let mut server = Server::start().await;
    let colleague = server.phone.sip.local_udp().port();
    let fields = json!({"srtp": "preferred", "accept_refer": true});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(fields)).await;
    let arguments =
        [format!("sip:{NUMBER}@127.0.0.1:{}", server.sip_port()), format!("sip:+15550123@127.0.0.1:{colleague}")];
    let (incoming, softphone) = (&mut server.incoming, &server.phone);
    let answer = async {
        let call = tokio::time::timeout(DEADLINE, incoming.recv()).await.unwrap().unwrap();
        let number = call.incoming.request_uri.user_plain();
        let script = CallScript::parse("pause 500; say hello; listen; hangup").unwrap();
        (number, softphone.answer(call, &script, None).await.failure)
    };
    let (said, (number, failure)) = tokio::join!(phone(&arguments), answer);
    for step in ["keys", "srtp", "transfer", "bye"] {
        assert!(said.lines().any(|line| line == step), "no {step}: {said}");
    }
    assert_eq!((number.as_deref(), failure), (Some("+15550123"), None));
    let call = server.last_call().await;
    assert!(lines(&call).iter().any(|line| line.starts_with("user: Hello")), "{call}");
    assert_eq!(call["end_reason"], json!("customer_hung_up"));
}
