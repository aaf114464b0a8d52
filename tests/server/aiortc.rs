//! aiortc, a third-party WebRTC stack, calls over WHIP: `tests/witnesses/aiortc_phone.py`.

use super::support::{Server, lines};
use serde_json::json;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(90);

/// DTLS in each role, audio both ways before and after an ICE restart, and the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiortc_talks_in_both_dtls_roles_and_restarts_ice() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for (offered, answered) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let server = Server::start().await;
        let placed = server.post("/calls/web", json!({"agent_id": server.agent})).await;
        let run = tokio::process::Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/witnesses/aiortc_phone.py"))
            .args([placed["whip_url"].as_str().unwrap(), placed["token"].as_str().unwrap(), offered])
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let role = format!("setup:{answered}");
        for step in [role.as_str(), "connected", "greeting", "answer", "restart", "bye"] {
            assert!(said.lines().any(|line| line == step), "{offered}: no {step}: {said}");
        }
        let call = server.last_call().await;
        assert_eq!(call["end_reason"], json!("customer_hung_up"), "{offered}: {call}");
        let asked = lines(&call).iter().filter(|line| *line == "user: What are your opening hours?").count();
        assert_eq!(asked, 2, "{offered}: {call}");
    }
}
