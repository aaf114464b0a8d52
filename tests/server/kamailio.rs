//! kamailio, a proxy we did not write, stands between us and the other side and stays in the way (Record-Route).

use super::support::{NUMBER, Server, free_port};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trunkline_lab::caller::script::CallScript;
use trunkline_signaling::sip::message::HeaderName;
use trunkline_signaling::sip::user_agent::Transport;

struct Proxy {
    child: Child,
    port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its workers end with their parent, if that ends in order.
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn modules() -> String {
    let folders = ["/usr/lib/x86_64-linux-gnu/kamailio/modules/", "/usr/lib/aarch64-linux-gnu/kamailio/modules/"];
    folders
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("kamailio is not installed (make test installs it)")
        .into()
}

/// Forwards what is for itself to the server, and everything else to where it says.
fn start(folder: &Path, server: u16) -> Proxy {
    let port = free_port();
    let config = format!(
        r#"#!KAMAILIO
debug=0
log_stderror=yes
children=1
listen=udp:127.0.0.1:{port}
mpath="{}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "pv.so"
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here"); exit;
    }}
    t_check_trans();
    remove_hf("Route");
    record_route();
    if (uri==myself) {{ $du = "sip:127.0.0.1:{server}"; }}
    t_relay();
}}
"#,
        modules()
    );
    let file = folder.join("kamailio.cfg");
    std::fs::write(&file, config).unwrap();
    let child = Command::new("/usr/sbin/kamailio")
        .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
        .arg(&file)
        .arg("-Y")
        .arg(folder)
        .arg("-P")
        .arg(folder.join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("kamailio is not installed (make test installs it)");
    Proxy { child, port }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_stays_in_the_way_of_every_request() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = start(folder.path(), server.sip_port());
    super::sipp::listens(proxy.port).await;
    // In: the caller knows the proxy alone.
    let mut dial = server.dial_to(NUMBER, Transport::Udp);
    dial.to.port = Some(proxy.port);
    let report = server.phone.dial(&dial, &CallScript::parse("listen; hangup").unwrap(), None).await;
    assert_eq!(report.failure, None);
    assert_eq!(server.last_call().await["end_reason"], json!("customer_hung_up"));
    // And the end of a call that we hang up: the BYE finds its way back.
    let script = CallScript::parse("listen; pause 20000; hangup").unwrap();
    let talk = server.phone.dial(&dial, &script, None);
    let end = async {
        let id = server.live_call().await;
        server.post(&format!("/calls/{id}/end"), json!({})).await
    };
    let started = Instant::now();
    let (report, _) = tokio::join!(talk, end);
    assert_eq!(report.failure, None);
    assert!(started.elapsed() < Duration::from_secs(18), "the BYE did not arrive");
    // Out: the trunk's requests go through the proxy.
    let body = json!({"outbound_proxy": format!("127.0.0.1:{}", proxy.port)});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let call = tokio::time::timeout(Duration::from_secs(10), server.incoming.recv()).await.unwrap().unwrap();
    assert_eq!(call.incoming.source.port(), proxy.port);
    assert!(call.incoming.headers.get(&HeaderName::UserAgent).is_some());
    server.phone.answer(call, &CallScript::parse("listen; hangup").unwrap(), None).await;
    let call = server.last_call().await;
    assert_eq!((&call["direction"], &call["end_reason"]), (&json!("outbound"), &json!("customer_hung_up")));
}
