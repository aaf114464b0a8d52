//! The SIP messages of a call, as its organization and a carrier's support see them.

use super::sip_peer::{MediaPort, SipPeer};
use super::support::{CustomerServer, LoggedInUser, NUMBER, PATIENCE, Server, at_once, poll};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

/// The log once nothing can follow.
async fn complete_log(server: &Server, call: &str) -> Value {
    let path = format!("/calls/{call}/sip-log");
    // UDP's last transactions are over after 32 s.
    poll(PATIENCE + std::time::Duration::from_secs(45), "the end of the log", async || {
        let log = server.get(&path).await;
        if log["complete"] == json!(true) { Ok(log) } else { Err(log.to_string()) }
    })
    .await
}

/// The log once a message of it begins so.
async fn log_with(server: &Server, call: &str, start: &str) -> Value {
    let path = format!("/calls/{call}/sip-log");
    poll(PATIENCE, start, async || {
        let log = server.get(&path).await;
        let found = messages(&log).iter().any(|message| message["start_line"].as_str().unwrap().starts_with(start));
        if found { Ok(log) } else { Err(log.to_string()) }
    })
    .await
}

fn messages(log: &Value) -> &[Value] {
    log["messages"].as_array().unwrap()
}

/// `received INVITE` or `sent 200 INVITE`.
fn steps(log: &Value) -> Vec<String> {
    let step = |message: &Value| {
        let words = [&message["direction"], &message["status"], &message["method"]];
        let words = words.iter().filter(|word| !word.is_null());
        words.map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    messages(log).iter().map(step).collect()
}

fn has(log: &Value, step: &str) -> bool {
    steps(log).iter().any(|one| one == step)
}

/// Calls out over the trunk, which has these settings.
async fn dial(server: &Server, trunk: Value) {
    let (status, body) = server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(trunk)).await;
    assert_eq!(status, 200, "{body}");
    let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_call_shows_its_messages_while_it_lives_and_later() {
    let server = Server::start().await;
    let call = async {
        let id = server.live_call().await;
        let live = log_with(&server, &id, "ACK ").await;
        assert_eq!(live["complete"], json!(false), "{live}");
        id
    };
    let (_, id) = tokio::join!(server.call("listen; hangup"), call);
    server.last_call().await;
    let log = complete_log(&server, &id).await;
    for step in ["received INVITE", "sent 200 INVITE", "received ACK", "received BYE", "sent 200 BYE"] {
        assert!(has(&log, step), "no {step} in {:?}", steps(&log));
    }
    let first = &messages(&log)[0];
    let phone = server.phone.sip.local_udp().to_string();
    assert_eq!((&first["transport"], &first["remote"], &first["cut"]), (&json!("udp"), &json!(phone), &json!(false)));
    assert!(first["cseq"].as_str().unwrap().ends_with(" INVITE"), "{first}");
    assert!(first["local"].as_str().unwrap().ends_with(&format!(":{}", server.sip_port())), "{first}");
    let own = server.get(&format!("/calls/{id}")).await["call"]["sip_call_id"].clone();
    assert!(messages(&log).iter().all(|message| message["sip_call_id"] == own), "{log}");
    // It is in the database, and not only here.
    assert!(server.app.services.journal.flush(PATIENCE).await);
    as_text(&server, &id).await;
    other_organizations_see_nothing(&server, &id).await;
}

async fn as_text(server: &Server, id: &str) {
    let request = |path: &str| server.http.get(server.url(path)).bearer_auth(&server.key);
    let by_name = request(&format!("/calls/{id}/sip-log?format=text")).send().await.unwrap();
    let headers = by_name.headers().clone();
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename=\"sip-20"), "{disposition}");
    assert!(disposition.ends_with(&format!("-{id}.txt\"")), "{disposition}");
    let text = by_name.text().await.unwrap();
    let arrow = format!("{} -> ", server.phone.sip.local_udp());
    assert!(
        text.contains(&arrow) && text.contains(&format!("INVITE sip:{NUMBER}@")) && text.contains("\r\nm=audio "),
        "{text}"
    );
    let accepted = request(&format!("/calls/{id}/sip-log")).header("accept", "text/plain").send().await.unwrap();
    assert_eq!(accepted.text().await.unwrap(), text);
    let (status, body) = server.send("GET", &format!("/calls/{id}/sip-log?format=pcap"), None).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("format")), "{body}");
}

async fn other_organizations_see_nothing(server: &Server, id: &str) {
    let owner = LoggedInUser::owner(server).await;
    let root = owner.done("GET", "/auth/me", None).await["organization"]["id"].clone();
    let other = json!({"name": "Other", "parent_org_id": root});
    let other = owner.done("POST", "/organizations", Some(other)).await;
    let key = other["api_key"]["key"].as_str().unwrap();
    for path in [format!("/calls/{id}/sip-log"), format!("/calls/{id}/sip-log?format=text")] {
        let answer = server.http.get(server.url(&path)).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(server.http.get(server.url(&path)).send().await.unwrap().status(), 401, "{path}");
    }
    assert_eq!(owner.send("GET", &format!("/calls/{id}/sip-log"), None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_shows_why() {
    let server = Server::start().await;
    let reject = json!({"reject": {"reason": "closed", "sip_code": 486}});
    let receiver = CustomerServer::start(move |_| at_once(&reject)).await;
    let fields = json!({"webhook_url": receiver.url});
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(fields)).await;
    assert_eq!(status, 200, "{body}");
    server.call("hangup").await;
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    let log = log_with(&server, &id, "ACK ").await;
    assert!(has(&log, "received INVITE") && has(&log, "sent 486 INVITE"), "{:?}", steps(&log));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_shown_without_what_answers_it() {
    let server = Server::start().await;
    let mut peer = SipPeer::open().await;
    let trunk = json!({"host": "127.0.0.1", "port": peer.port(), "username": "account", "password": "open-sesame-77"});
    dial(&server, trunk).await;
    let invite = peer.request("INVITE").await;
    let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\", algorithm=MD5";
    peer.respond(&invite, "401 Unauthorized", "a", &[challenge], "").await;
    peer.request("ACK").await;
    let again = peer.request("INVITE").await;
    let authorization = again.header("Authorization").to_owned();
    let response = authorization.split("response=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let person = MediaPort::open().await;
    peer.answer(&again, "a", &person.sdp()).await;
    let live = server.live_call().await;
    peer.hang_up(&again, "a").await;
    server.last_call().await;
    let log = log_with(&server, &live, "BYE ").await;
    for step in ["sent INVITE", "received 401 INVITE", "received 200 INVITE", "received BYE"] {
        assert!(has(&log, step), "no {step} in {:?}", steps(&log));
    }
    let text = log.to_string();
    assert!(text.contains("Authorization: Digest") && text.contains("realm=\\\"carrier\\\""), "{text}");
    assert!(!text.contains(&response) && !text.contains("open-sesame-77"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_shows_both_targets() {
    let server = Server::start().await;
    let (mut first, mut second) = (SipPeer::open().await, SipPeer::open().await);
    let targets = json!([{"host": "127.0.0.1", "port": second.port(), "priority": 9}]);
    dial(&server, json!({"host": "127.0.0.1", "port": first.port(), "targets": targets})).await;
    let invite = first.request("INVITE").await;
    first.respond(&invite, "503 Service Unavailable", "a", &[], "").await;
    first.request("ACK").await;
    let invite = second.request("INVITE").await;
    second.respond(&invite, "486 Busy Here", "b", &[], "").await;
    second.request("ACK").await;
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    let log = log_with(&server, &id, "SIP/2.0 486").await;
    let remotes: Vec<&str> = messages(&log).iter().map(|message| message["remote"].as_str().unwrap()).collect();
    for (port, status) in [(first.port(), 503), (second.port(), 486)] {
        let address = format!("127.0.0.1:{port}");
        assert!(remotes.contains(&address.as_str()), "{remotes:?}");
        let refused = |message: &Value| message["remote"] == json!(address) && message["status"] == json!(status);
        assert!(messages(&log).iter().any(refused), "{:?}", steps(&log));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_legs_of_a_redirected_call_stand_in_one_log() {
    let server = Server::start().await;
    let (mut peer, mut elsewhere) = (SipPeer::open().await, SipPeer::open().await);
    dial(&server, json!({"host": "127.0.0.1", "port": peer.port(), "follow_redirects": true})).await;
    let invite = peer.request("INVITE").await;
    let contact = format!("Contact: <sip:+15550177@127.0.0.1:{}>", elsewhere.port());
    peer.respond(&invite, "302 Moved Temporarily", "a", &[&contact], "").await;
    peer.request("ACK").await;
    let invite = elsewhere.request("INVITE").await;
    elsewhere.respond(&invite, "486 Busy Here", "b", &[], "").await;
    elsewhere.request("ACK").await;
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    let log = complete_log(&server, &id).await;
    assert!(has(&log, "received 302 INVITE") && has(&log, "received 486 INVITE"), "{:?}", steps(&log));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_messages_are_shown_as_text_and_cut() {
    let server = Server::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let local = socket.local_addr().unwrap();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let mut invite = format!(
        "INVITE sip:{NUMBER}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKlog1\r\nMax-Forwards: 70\r\n\
         From: <sip:+15550100@127.0.0.1>;tag=h\r\nTo: <sip:{NUMBER}@127.0.0.1>\r\nCall-ID: hostile-log\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:x@{local}>\r\nContent-Type: application/sdp\r\nX-Html: <script>alert(1)</script>\r\n\
         X-Binary: "
    )
    .into_bytes();
    invite.extend_from_slice(&[0xFF, 0xFE, 0x1B, b'[', b'2', b'J', 0x80, b'\r', b'\n']);
    invite.extend_from_slice(format!("X-Huge: {}\r\n", "h".repeat(6_000)).as_bytes());
    invite.extend_from_slice(format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()).as_bytes());
    socket.send_to(&invite, ("127.0.0.1", server.sip_port())).await.unwrap();
    let id = poll(PATIENCE, "the call", async || {
        let calls = server.get("/calls?limit=1").await;
        calls["calls"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| calls.to_string())
    })
    .await;
    let log = log_with(&server, &id, "INVITE ").await;
    let first = &messages(&log)[0];
    assert_eq!((&first["cut"], &first["length"]), (&json!(true), &json!(invite.len())), "{first}");
    let text = first["text"].as_str().unwrap();
    assert!(text.len() <= 4_096 && text.contains("X-Binary: \\xff\\xfe\\x1b[2J\\x80\r\n"), "{text}");
    assert!(text.contains("<script>"), "the console escapes it: {text}");
    server.post(&format!("/calls/{id}/end"), json!({})).await;
}
