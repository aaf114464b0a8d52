//! `trunkline check-trunk`, the program, calls an agent of a running server through a stored trunk.

use super::support::{NUMBER, Server, program, tls_files};
use serde_json::{Value, json};
use std::process::Command;
use trunkline_lab::caller::script::CallScript;

#[track_caller]
fn assert_finding(report: &Value, check: &str, verdict: &str, words: &str) {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().any(|finding| {
        finding["check"] == check && finding["verdict"] == verdict && finding["seen"].to_string().contains(words)
    });
    assert!(found, "{check} {verdict} {words:?} is not in {report:#}");
}

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
    let has = |check: &str, verdict: &str, words: &str| assert_finding(&report, check, verdict, words);
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

/// Over TLS with SRTP, and the agent is handed on at the end. Both sides have a key of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_srtp_and_a_transfer_are_checked_in_one_call() {
    let files = tls_files();
    let mut server = Server::start_with(|config| {
        config.sip.tls.listen = Some(([127, 0, 0, 1], 0).into());
        config.sip.tls.certificate = files.certificate.display().to_string();
        config.sip.tls.private_key = files.private_key.display().to_string();
    })
    .await;
    let fields = json!({"srtp": "preferred", "accept_refer": true, "codecs": ["PCMA"]});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(fields)).await;
    let host = format!("127.0.0.1:{}", server.app.services.sip.local().tls.unwrap().port());
    let colleague = format!("sip:+15550123@127.0.0.1:{}", server.phone.sip.local_udp().port());
    let roots = files.certificate.display().to_string();
    let run = move || {
        let mut command = Command::new(program());
        command.args(["check-trunk", "--host", &host, "--transport", "tls", "--srtp", "mandatory", "--codecs", "PCMA"]);
        command.args(["--to", NUMBER, "--from", "+15550100", "--json", "--seconds", "8", "--refer-to", &colleague]);
        command.env("TRUNKLINE_SIP__TLS__ROOTS", roots).env("TRUNKLINE_SIP__ADVERTISED_ADDRESS", "127.0.0.1");
        command.current_dir(std::env::temp_dir()).output().unwrap()
    };
    let (incoming, softphone) = (&mut server.incoming, &server.phone);
    let answer = async {
        let call = incoming.recv().await.unwrap();
        let script = CallScript::parse("pause 500; say hello; listen; hangup").unwrap();
        softphone.answer(call, &script, None).await.failure
    };
    let checked = tokio::task::spawn_blocking(run);
    let both = async { tokio::join!(checked, answer) };
    let (output, failure) = tokio::time::timeout(std::time::Duration::from_secs(120), both).await.unwrap();
    let output = output.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    for (check, words) in [
        ("transport", "TLS"),
        ("srtp", "taken"),
        ("codecs", "chose PCMA"),
        ("hold", "answered recvonly"),
        ("audio", "packets received"),
        ("transfer", "SIP/2.0 200 OK"),
    ] {
        assert_finding(&report, check, "ok", words);
    }
    assert_eq!((failure, &report["problems"]), (None, &json!(0)), "{report:#}");
}
