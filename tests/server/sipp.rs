//! sipp, which we did not write, calls and is called.

use super::support::{NUMBER, PATIENCE, Server, free_port, poll, until};
use serde_json::json;
use std::process::{Command, Stdio};

/// Runs sipp to its end; it stops by itself after its calls or its time.
pub async fn sipp(folder: &std::path::Path, arguments: Vec<String>) -> std::process::Output {
    let folder = folder.to_owned();
    let run = move || {
        let mut command = Command::new("sipp");
        command.args(&arguments).args(["-timeout", "40s", "-timeout_error", "-nostdin"]).current_dir(&folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()
    };
    tokio::task::spawn_blocking(run).await.unwrap().expect("sipp is not installed (make test installs sip-tester)")
}

pub fn scenario(name: &str) -> String {
    format!("{}/fixtures/sip/{name}.xml", env!("CARGO_MANIFEST_DIR"))
}

/// Media ports that sipp insists on: several instances run at once.
pub fn media_port() -> String {
    let free = |port: u16| (port..port + 4).all(|port| std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok());
    let start = 10_000 + (std::process::id() % 1_000 * 6) as u16;
    (start..).step_by(4).find(|port| free(*port)).unwrap().to_string()
}

pub fn arguments(server: &Server, transport: &str, extra: &[&str]) -> Vec<String> {
    let (remote, media) = (format!("127.0.0.1:{}", server.sip_port()), media_port());
    let base = [&remote, "-i", "127.0.0.1", "-t", transport, "-s", NUMBER, "-mp", &media];
    base.iter().chain(extra).map(|s| (*s).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_calls_in_holds_and_hangs_up_over_udp_and_tcp() {
    for transport in ["u1", "t1"] {
        let server = Server::start().await;
        let file = scenario("uac");
        let output =
            sipp(server.folder.path(), arguments(&server, transport, &["-sf", &file, "-m", "20", "-r", "10"])).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{transport}: {text}");
        poll(PATIENCE, "the end of twenty calls", async || {
            let done = server.get("/calls?status=completed").await["total"].clone();
            if done == json!(20) { Ok(()) } else { Err(done.to_string()) }
        })
        .await;
        let call = server.last_call().await;
        assert_eq!((&call["end_reason"], &call["from_number"]), (&json!("customer_hung_up"), &json!("+15550100")));
    }
}

/// Until a process has the UDP port.
pub async fn listens(port: u16) {
    until("a process that listens", async || std::net::UdpSocket::bind(("127.0.0.1", port)).is_err().then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_is_called() {
    let server = Server::start().await;
    let port = free_port();
    let body = json!({"host": "127.0.0.1", "port": port});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    let listen = ["-sn", "uas", "-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1"].map(str::to_owned).to_vec();
    let uas = sipp(server.folder.path(), listen);
    let call = async {
        listens(port).await;
        let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        let id =
            server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
        poll(PATIENCE, "the first words", async || {
            let call = server.get(&format!("/calls/{id}")).await["call"].clone();
            let spoken = call["transcript"].as_array().is_some_and(|turns| !turns.is_empty());
            if spoken { Ok(()) } else { Err(call.to_string()) }
        })
        .await;
        server.post(&format!("/calls/{id}/end"), json!({})).await["call"].clone()
    };
    let (output, call) = tokio::join!(uas, call);
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("ended_by_api")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_is_asked_to_transfer_and_says_how_it_went() {
    let server = Server::start().await;
    let port = free_port();
    let body = json!({"host": "127.0.0.1", "port": port});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    let target = "sip:desk@pbx.example.com;transport=udp";
    let rules = json!({"rules": [{"digits": "1", "action": "transfer", "target": target}]});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(json!({"dtmf_rules": rules}))).await;
    let file = scenario("uas_refer");
    let listen = ["-sf", &file, "-i", "127.0.0.1", "-p", &port.to_string(), "-m", "1"].map(str::to_owned).to_vec();
    let uas = sipp(server.folder.path(), listen);
    let call = async {
        listens(port).await;
        let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/tasks/{task}/execute"), json!({})).await;
        server.last_call().await
    };
    let (output, call) = tokio::join!(uas, call);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("completed"), &json!("transferred")), "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_numbers_and_addresses_are_refused() {
    let server = Server::start().await;
    let status = async |number: &str| {
        use trunkline_lab::caller::script::CallScript;
        use trunkline_signaling::sip::user_agent::Transport;
        let report = server
            .phone
            .dial(&server.dial_to(number, Transport::Udp), &CallScript::parse("hangup").unwrap(), None)
            .await;
        report.failure.unwrap_or_default()
    };
    assert!(status("+31999999999").await.contains("status: 404"));
    let body = json!({"allowed_addresses": ["10.0.0.0/16"]});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    assert!(status(NUMBER).await.contains("status: 403"));
    let body = json!({"inbound_username": "carrier", "inbound_password": "secret"});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    assert!(status(NUMBER).await.contains("status: 401"));
}
