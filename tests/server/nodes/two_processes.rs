//! What two processes know of each other: calls, tasks, lines.

use super::{live_call, pair};
use crate::crash::Installation;
use crate::support::{NUMBER, until};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use trunkline::domain::time::UnixMs;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::DialParams;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_heard_and_ended_through_the_other_process() {
    let pair = pair().await;
    let dial = DialParams {
        to: Uri::sip(Some(NUMBER), "127.0.0.1", Some(pair.sip)),
        from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(pair.phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    let script = CallScript::parse("listen; say hello; listen; pause 60000; hangup").unwrap();
    let other = &pair.nodes[1];
    let watch = async {
        let id = live_call(other).await;
        let live = other.call("GET", &format!("/calls/{id}/live"), None).await;
        let url = format!(
            "{}?session_token={}",
            live["websocket_url"].as_str().unwrap(),
            live["temp_token"].as_str().unwrap()
        );
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let (mut seen, mut asked, mut ended, mut controls) = (Vec::new(), false, false, 0);
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.into_text() else { break };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { break };
            if message["type"] == "transcript_update" {
                seen.extend(message["data"]["transcript"].as_array().unwrap().iter().map(|t| t["content"].clone()));
            }
            controls += usize::from(message["type"] == "call_control");
            if message["type"] == "call_status_update" && message["data"]["status"] == "completed" {
                ended = true;
            }
            if !asked && seen.iter().any(|text| text == "Good morning! How can I help you?") {
                asked = true;
                let said = json!({"text": "And welcome.", "interrupt": true});
                let answer = other.call("POST", &format!("/calls/{id}/say"), Some(said)).await;
                assert_eq!(answer["control"], json!("say"), "{answer}");
                other.call("POST", &format!("/calls/{id}/hold"), None).await;
                let answer = other.call("POST", &format!("/calls/{id}/end"), None).await;
                assert_eq!(answer["call"]["status"], json!("completed"), "{answer}");
            }
        }
        (seen, ended, controls)
    };
    let (report, (seen, ended, controls)) = tokio::join!(pair.phone.dial(&dial, &script, None), watch);
    assert!(report.ended_by_agent, "{report:?}");
    assert_eq!(controls, 2, "say and hold: {seen:?}");
    assert!(ended && seen.iter().any(|text| text == "Hello, good morning."), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_called_twice_though_a_process_is_killed_among_its_claims() {
    const TASKS: usize = 40;
    let mut pair = pair().await;
    let due = UnixMs(trunkline::store::now().0 + 3_000);
    for number in 0..TASKS {
        let task =
            json!({"agent_id": pair.agent, "to_number": format!("+1555020{number:04}"), "scheduled_at": due.rfc3339()});
        pair.nodes[0].call("POST", "/tasks", Some(task)).await;
    }
    let mut called: HashMap<String, u32> = HashMap::new();
    let mut killed = false;
    let idle = Duration::from_secs(16); // longer than a lease and the time a silent process is given
    while let Ok(Some(call)) = tokio::time::timeout(idle, pair.incoming.recv()).await {
        *called.entry(call.incoming.request_uri.user_plain().unwrap()).or_default() += 1;
        pair.phone.sip.reject(call.incoming.call, 486, None).await;
        if called.len() == 8 && !killed {
            killed = true;
            pair.processes.remove(0); // SIGKILL
        }
    }
    assert!(killed && called.values().all(|times| *times == 1), "{called:?}");
    let other = &pair.nodes[1];
    let tasks = until("every task is over", || async {
        let tasks = other.call("GET", "/tasks?limit=100", None).await;
        let over = tasks["tasks"].as_array().unwrap().iter().all(|task| task["status"] == "failed");
        over.then_some(tasks)
    })
    .await;
    assert_eq!(tasks["total"], json!(TASKS));
    let calls = other.call("GET", "/calls?limit=100", None).await;
    let calls = calls["calls"].as_array().unwrap();
    assert_eq!(calls.len(), TASKS, "one call each");
    // What the killed process had begun and not sent is failed, and said so.
    let crashed = calls.iter().filter(|call| call["end_reason"] == "server_crash").count();
    let busy = calls.iter().filter(|call| call["end_reason"] == "busy").count();
    assert!(crashed + busy == TASKS && called.len() >= busy, "{crashed} {busy} {}", called.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_other_process_count_and_those_of_a_dead_one_do_not_for_long() {
    let mut pair = pair().await;
    let [first, second] = &pair.nodes;
    let place = async |node: &Installation| {
        let body = json!({"agent_id": pair.agent});
        let request = node.http.post(format!("{}/calls/web", node.api)).bearer_auth(&node.key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["data"]["call_id"].clone())
    };
    set_limit(first, 2).await;
    assert_eq!([place(first).await.0, place(first).await.0, place(first).await.0], [201, 201, 429]);
    // What the first one holds is known to the second within a second or two.
    until("the second is full as well", || async {
        let (status, call) = place(second).await;
        if status == 201 {
            second.call("POST", &format!("/calls/{}/cancel", call.as_str().unwrap()), None).await;
        }
        (status == 429).then_some(())
    })
    .await;
    drop(pair.processes.remove(0)); // SIGKILL
    until("the dead one's lines are free", || async { (place(second).await.0 == 201).then_some(()) }).await;
}

/// As the owner does it.
async fn set_limit(node: &Installation, max: u32) {
    let login = json!({"email": "t@example.com", "password": node.password});
    let answer = node.http.post(format!("{}/auth/login", node.api)).json(&login).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let me = node.http.get(format!("{}/auth/me", node.api)).header("cookie", &cookie).send().await.unwrap();
    let id = me.json::<Value>().await.unwrap()["data"]["organization"]["id"].as_str().unwrap().to_owned();
    let request = node.http.patch(format!("{}/organizations/{id}", node.api)).header("cookie", &cookie);
    let status = request.json(&json!({"max_concurrent_calls": max})).send().await.unwrap().status();
    assert_eq!(status, 200);
}
