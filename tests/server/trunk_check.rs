//! `trunkline check-trunk`, the program, calls an agent of a running server through a stored trunk.

use super::support::{NUMBER, Server, program};
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_at_the_far_end_has_no_problem() {
    let mut database = String::new();
    let server = Server::start_with(|config| config.database.url.expose().clone_into(&mut database)).await;
    let body = json!({"host": "127.0.0.1", "port": server.sip_port(), "codecs": ["PCMA", "PCMU"]});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    let run = move || {
        let mut command = Command::new(program());
        command.args(["check-trunk", "Loopback", "--to", NUMBER, "--from", "+15550100", "--json", "--seconds", "8"]);
        command.env("TRUNKLINE_DATABASE__URL", database).env("TRUNKLINE_SIP__ADVERTISED_ADDRESS", "127.0.0.1");
        command.current_dir(std::env::temp_dir()).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let has = |check: &str, verdict: &str, words: &str| {
        let findings = report["findings"].as_array().unwrap();
        let found = findings.iter().any(|finding| {
            finding["check"] == check && finding["verdict"] == verdict && finding["seen"].to_string().contains(words)
        });
        assert!(found, "{check} {verdict} {words:?} is not in {report:#}");
    };
    has("options", "ok", "200 OK");
    has("call", "ok", "Answered");
    has("codecs", "ok", "chose PCMA");
    has("codecs", "ok", "PCMA and PCMU were taken");
    has("ptime", "ok", "wants 20 ms");
    has("dtmf", "ok", "payload type 101 and 8000 Hz");
    has("session_timer", "ok", "1800 s");
    has("hold", "ok", "answered recvonly");
    has("audio", "ok", "packets received");
    has("transfer", "ok", "Allow lists REFER");
    has("hang_up", "ok", "BYE was answered 200");
    assert_eq!((output.status.code(), &report["problems"]), (Some(0), &json!(0)), "{report:#}");
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], json!("customer_hung_up"), "{call}");
}
