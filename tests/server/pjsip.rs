//! PJSIP, a third-party stack, by its Python binding: `tests/witnesses/pjsua2_phone.py`.

use super::support::{NUMBER, Server};
use serde_json::json;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(90);

/// Calls, holds, resumes, sends UPDATE and keys both ways, and hangs up: with SRTP and in the clear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pjsip_holds_updates_presses_keys_and_hangs_up() {
    for srtp in ["preferred", "off"] {
        let server = Server::start().await;
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"srtp": srtp}))).await;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let run = tokio::process::Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/witnesses/pjsua2_phone.py"))
            .arg(format!("sip:{NUMBER}@127.0.0.1:{}", server.sip_port()))
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for step in ["call", "hold", "update", "keys", "bye"] {
            assert!(said.lines().any(|line| line == step), "{srtp}: no {step}: {said}");
        }
        assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"), "{srtp}");
    }
}
