//! Where connections may go if a customer or a peer names the address, and which hosts get credentials. Uses sockets,
//! and a name server that changes its answers.

use super::support::{CustomerServer, LoggedInUser, NUMBER, Server, at_once, lines, until};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use trunkline::config::Config;

/// Every name has this address now.
type ResolvedAddress = Arc<Mutex<Ipv4Addr>>;

async fn name_server(first: Ipv4Addr) -> (SocketAddr, ResolvedAddress) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (addr, leads) = (socket.local_addr().unwrap(), ResolvedAddress::new(Mutex::new(first)));
    let answer = leads.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        loop {
            let (len, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let Ok(query) = Message::from_vec(&buffer[..len]) else { continue };
            let question = query.queries[0].clone();
            let mut message = Message::response(query.metadata.id, query.metadata.op_code);
            message.add_query(question.clone());
            if question.query_type() == RecordType::A {
                let data = RData::A((*answer.lock().unwrap()).into());
                message.add_answer(Record::from_rdata(question.name().clone(), 0, data));
            }
            let _ = socket.send_to(&message.to_vec().unwrap(), peer).await;
        }
    });
    (addr, leads)
}

/// Counts connections to a port of loopback, which no request may reach.
async fn trap(port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (port, count)
}

/// Answers assistant-request with `answer`, while the saved configuration of the agent is good.
async fn asked(server: &Server, answer: Value) -> Value {
    let receiver = CustomerServer::start(move |told| match told.path.as_str() {
        "/w/assistant-request" => at_once(&answer),
        _ => at_once(&json!({})),
    })
    .await;
    let hook = json!({"webhook_url": format!("{}/w", receiver.url), "webhook_events": ["assistant-request"]});
    change(server, hook).await;
    let report = server.call("listen; say hello; listen; hangup").await;
    assert!(report.failure.is_none(), "{report:?}");
    server.last_call().await
}

async fn change(server: &Server, body: Value) {
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(body)).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn assistant_response_cannot_reach_private_addresses() {
    let server = Server::start_with(|config| config.providers.allow_private = false).await;
    let (port, touched) = trap(0).await;
    let at = |tail: &str| format!("https://127.0.0.1:{port}/{tail}");
    let spelled = [
        at("admin#"),
        at("admin?"),
        format!("http://127.0.0.1:{port}/x"),
        format!("https://example.com@2130706433:{port}/v1"),
        format!("https://[64:ff9b::7f00:1]:{port}/v1"),
        format!("https://localhost.:{port}/"),
    ];
    for (index, url) in spelled.into_iter().enumerate() {
        let llm = json!({"provider": "openai", "model": "m", "base_url": url});
        let stt = json!({"provider": "openai", "model": "m", "language": "en", "base_url": url});
        let tts = json!({"provider": "openai", "voice_id": "v", "language": "en", "base_url": url});
        let bad = json!({"llm_config": llm, "stt_config": stt, "tts_config": tts,
            "fallbacks": {"llm": [llm], "stt": [stt], "tts": [tts]}});
        let mut alone = bad.clone();
        alone["first_message"] = json!("Good morning, this is Acme.");
        // Each spelling by one of the two ways to answer: a call takes its time.
        let answer = match index % 2 {
            0 => json!({"assistant_id": server.agent, "assistant_override": bad}),
            _ => json!({"assistant": alone}),
        };
        let call = asked(&server, answer).await;
        let faults = call["metrics"]["assistant_request"]["faults"].to_string();
        for field in ["llm_config.base_url", "stt_config.base_url", "tts_config.base_url", "fallbacks."] {
            assert!(faults.contains(field), "{url} {field}: {call}");
        }
        // The saved blocks answer.
        assert_eq!(lines(&call).last().unwrap(), "assistant: Good morning! How can I help you?", "{url}: {call}");
        assert_eq!(touched.load(Ordering::SeqCst), 0, "{url}");
    }
    // Realtime models, and rows that an earlier version has saved, reach no private address either.
    let store = &server.app.services.store;
    let scope = store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let id = trunkline::domain::ids::AgentId::parse(&server.agent).unwrap();
    for (provider, url) in [("openai", at("saved#")), ("openai", at("")), ("openai_realtime", at(""))] {
        let mut saved = store.agent(scope, id).await.unwrap().unwrap();
        let fields = json!({"llm_config": {"provider": provider, "model": "m", "base_url": url},
            "tts_config": {"provider": "openai", "voice_id": "v", "language": "en", "base_url": url},
            "stt_config": {"provider": "openai", "model": "m", "language": "en", "base_url": url}});
        let mut document = serde_json::to_value(&saved.fields).unwrap();
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        document["webhook_url"] = json!(null);
        saved.fields = serde_json::from_value(document).unwrap();
        store.update_agent(scope, &saved).await.unwrap();
        server.call("pause 1500; hangup").await;
        let call = server.last_call().await;
        assert!(call["metrics"]["provider_errors"].to_string().contains("address_refused"), "{provider}: {call}");
        assert_eq!(touched.load(Ordering::SeqCst), 0, "{provider} {url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_inside_later_is_not_connected_to() {
    let (outside, inside) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST);
    let (dns, leads) = name_server(outside).await;
    let server = Server::start_with(|config| {
        config.providers.allow_private = false;
        config.webhooks.allow_private = false;
        config.egress.dns_server = Some(dns);
        config.egress.allow_networks = vec![outside.to_string()];
    })
    .await;
    let stream =
        "data: {\"choices\":[{\"delta\":{\"content\":\"Mine.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let own = CustomerServer::start_at(outside, move |told| match told.path.as_str() {
        "/v1/chat/completions" => (200, stream.to_owned(), Duration::ZERO),
        _ => at_once(&json!({})),
    })
    .await;
    let port: u16 = own.url.rsplit(':').next().unwrap().parse().unwrap();
    let (_, touched) = trap(port).await;
    let names = |which: &str| {
        json!({"llm_config": {"provider": "openai", "model": "m", "base_url": format!("http://{which}.example:{port}/v1"),
                "tools": [{"type": "mcp", "server_url": format!("http://{which}.example:{port}/mcp")}]},
            "webhook_url": format!("http://{which}.example:{port}/w"), "webhook_events": ["status-update", "assistant-request"]})
    };
    change(&server, names("first")).await;
    server.call("listen; say hello; listen; hangup").await;
    let call = server.last_call().await;
    assert_eq!(lines(&call).last().unwrap(), "assistant: Mine.", "{call}");
    for path in ["/w/assistant-request", "/w/status-update", "/mcp", "/v1/chat/completions"] {
        own.wait(path, 1).await;
    }
    // Between saving and calling the names change their mind.
    change(&server, names("second")).await;
    *leads.lock().unwrap() = inside;
    let stt = json!({"stt_config": {"provider": "openai", "model": "m", "language": "en", "base_url": format!("http://third.example:{port}/v1")}});
    change(&server, stt).await;
    server.call("listen; pause 1500; hangup").await;
    let call = server.last_call().await;
    let errors = call["metrics"]["provider_errors"].to_string();
    assert!(errors.contains("stt_address_refused"), "{call}");
    let deliveries = format!("/webhook-deliveries?call_id={}", call["id"].as_str().unwrap());
    until("a webhook that is not delivered", || async {
        let page = server.get(&deliveries).await;
        page["webhook_deliveries"].to_string().contains("no public address").then_some(())
    })
    .await;
    // What the first call still had to say comes when it comes, under the name it was given.
    let asked = own.all();
    let by_other_names: Vec<_> =
        asked.iter().filter(|told| !told.headers.get("host").is_some_and(|host| host.starts_with("first."))).collect();
    assert!(by_other_names.is_empty() && !asked.is_empty(), "{by_other_names:?}");
    assert_eq!(touched.load(Ordering::SeqCst), 0);
}

/// A SIP peer that challenges every INVITE and counts who answers.
async fn challenger(status: &'static str, header: &'static str) -> (u16, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let (asked, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (ask, answer) = (asked.clone(), answered.clone());
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        loop {
            let (len, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            let method = text.split(' ').next().unwrap_or("").to_owned();
            let authorized = text.contains("uthorization: Digest");
            answer.fetch_add(usize::from(authorized), Ordering::SeqCst);
            if !matches!(method.as_str(), "INVITE" | "REGISTER") {
                continue;
            }
            ask.fetch_add(1, Ordering::SeqCst);
            let copied: String = ["Via", "From", "Call-ID", "CSeq"]
                .iter()
                .filter_map(|name| text.lines().find(|line| line.starts_with(&format!("{name}: "))))
                .map(|line| format!("{line}\r\n"))
                .collect();
            let to = text.lines().find(|line| line.starts_with("To: ")).unwrap_or("To: <sip:x>");
            let (status, challenge) = match authorized {
                true => ("486 Busy Here", String::new()),
                false => (status, format!("{header}: Digest realm=\"carrier\", nonce=\"n\"\r\n")),
            };
            let reply = format!("SIP/2.0 {status}\r\n{copied}{to};tag=e\r\n{challenge}Content-Length: 0\r\n\r\n");
            socket.send_to(reply.as_bytes(), peer).await.unwrap();
        }
    });
    (port, asked, answered)
}

/// Calls a destination and waits for the end.
async fn dialled(server: &Server, to: &str) -> Value {
    let task = server.post("/tasks", json!({"agent_id": server.agent, "to_number": to})).await;
    let path = format!("/tasks/{}/execute", task["task"]["id"].as_str().unwrap());
    server.post(&path, json!({})).await;
    server.last_call().await
}

/// Any host that replaces the carrier.
async fn no_other_place_keeps_the_password(server: &Server, trunk: &str, carrier: u16, evil: u16) {
    let places = [
        json!({"port": evil}),
        json!({"host": "localhost", "port": evil}),
        json!({"targets": [{"host": "127.0.0.1", "port": evil, "priority": 0, "weight": 60_000}]}),
        json!({"outbound_proxy": format!("127.0.0.1:{evil}")}),
        json!({"registrar": "127.0.0.2"}),
        json!({"port": evil, "username": "account"}),
    ];
    for place in places {
        let settings = json!({"host": "127.0.0.1", "port": carrier, "username": "account", "password": "secret",
            "targets": [], "outbound_proxy": null, "registrar": null});
        assert_eq!(server.send("PATCH", trunk, Some(settings)).await.0, 200);
        let (code, body) = server.send("PATCH", trunk, Some(place.clone())).await;
        if code == 200 {
            let trunk = &body["data"]["trunk"];
            assert_eq!((&trunk["username"], &trunk["password_set"]), (&json!(null), &json!(false)), "{place}: {body}");
        } else {
            assert_eq!((code, &body["details"]["field"]), (400, &json!("password")), "{place}: {body}");
        }
        dialled(server, "+15550177").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trunk_password_answers_only_its_own_hosts() {
    let server = Server::start().await;
    for (status, header) in
        [("401 Unauthorized", "WWW-Authenticate"), ("407 Proxy Authentication Required", "Proxy-Authenticate")]
    {
        let (carrier, _, carrier_answered) = challenger(status, header).await;
        let (evil, evil_asked, evil_answered) = challenger(status, header).await;
        let trunk = format!("/trunks/{}", server.trunk);
        let settings = json!({"host": "127.0.0.1", "port": carrier, "username": "account", "password": "secret", "allow_sip_uri": true});
        assert_eq!(server.send("PATCH", &trunk, Some(settings)).await.0, 200);
        dialled(&server, "+15550177").await;
        // The INVITE and the ACK of its refusal.
        assert_eq!(carrier_answered.load(Ordering::SeqCst), 2, "{status}");
        // A URI with the trunk's host, and then with another port of it.
        dialled(&server, &format!("sip:x@127.0.0.1:{carrier}")).await;
        assert_eq!(carrier_answered.load(Ordering::SeqCst), 4, "{status}");
        let call = dialled(&server, &format!("sip:x@127.0.0.1:{evil}")).await;
        assert_eq!(
            (&call["end_reason"], &call["signalling"]["sip_status"]),
            (&json!("rejected"), &json!(status[..3].parse::<u16>().unwrap())),
            "{call}"
        );
        no_other_place_keeps_the_password(&server, &trunk, carrier, evil).await;
        assert!(evil_asked.load(Ordering::SeqCst) > 3, "{status}");
        assert_eq!(evil_answered.load(Ordering::SeqCst), 0, "{status}");
        // With the password it is theirs, and what is no new place keeps it.
        let given = json!({"host": "127.0.0.1", "port": evil, "username": "account", "password": "secret", "targets": [],
            "outbound_proxy": null, "registrar": null});
        assert_eq!(server.send("PATCH", &trunk, Some(given)).await.0, 200);
        let (_, kept) = server
            .send("PATCH", &trunk, Some(json!({"name": "Renamed", "host": "127.0.0.1", "codecs": ["PCMU"]})))
            .await;
        assert_eq!(kept["data"]["trunk"]["password_set"], json!(true), "{kept}");
        dialled(&server, "+15550177").await;
        assert_eq!(evil_answered.load(Ordering::SeqCst), 2, "{status}");
    }
    // A trunk that registers is not left without what it registers with.
    let trunk = format!("/trunks/{}", server.trunk);
    let (status, body) = server.send("PATCH", &trunk, Some(json!({"register": true}))).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = server.send("PATCH", &trunk, Some(json!({"registrar": "127.0.0.3"}))).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("register")), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sip_goes_to_the_networks_it_may_go_to() {
    let server = Server::start_with(|config| {
        config.api.listen = super::support::loopback(super::support::free_port());
        config.sip.allow_private = Some(false);
        config.egress.allow_networks = vec!["127.0.0.1/32".to_owned()];
    })
    .await;
    let trunk = format!("/trunks/{}", server.trunk);
    for (field, change) in [
        ("host", json!({"host": "127.0.0.9"})),
        ("host", json!({"host": "169.254.169.254"})),
        ("host", json!({"host": "[::1]"})),
        ("targets[0].host", json!({"targets": [{"host": "10.0.0.1"}]})),
        ("outbound_proxy", json!({"outbound_proxy": "192.168.1.1:5070;transport=tcp"})),
        ("registrar", json!({"registrar": "100.64.0.1"})),
        ("host", json!({"host": "127.0.0.1", "port": server.app.api_addr.port()})),
    ] {
        let (status, body) = server.send("PATCH", &trunk, Some(change.clone())).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{change}: {body}");
    }
    let socket = UdpSocket::bind("127.0.0.9:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let call = dialled(&server, &format!("sip:x@127.0.0.9:{port}")).await;
    assert_eq!(call["end_reason"], json!("trunk_error"), "{call}");
    assert!(call["signalling"]["problem"].as_str().unwrap().contains("private"), "{call}");
    let mut buffer = [0; 16];
    assert!(socket.try_recv_from(&mut buffer).is_err(), "nothing was sent");
}

/// Stores a provider key as a person.
async fn store_key(owner: &LoggedInUser, provider: &str, value: &str, base_url: Option<String>) -> Value {
    let secret = json!({"name": "Ours", "provider": provider, "value": value, "base_url": base_url});
    owner.done("POST", "/secrets", Some(secret)).await["secret"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organizations_key_goes_to_the_address_it_was_stored_for_and_to_no_other() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let stream =
        "data: {\"choices\":[{\"delta\":{\"content\":\"Mine.\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let own = CustomerServer::start(move |_| (200, stream.to_owned(), Duration::ZERO)).await;
    let asked = async |path: &str| {
        let llm = json!({"provider": "openai", "model": "m", "base_url": format!("{}{path}", own.url)});
        change(&server, json!({"llm_config": llm})).await;
        let report = server.call("listen; say hello; listen; hangup").await;
        assert!(report.failure.is_none(), "{report:?}");
        // As the client spells it: without the steps up.
        let path = reqwest::Url::parse(&format!("{}{path}/chat/completions", own.url)).unwrap().path().to_owned();
        own.wait(&path, 1).await.pop().unwrap().headers["authorization"].clone()
    };
    store_key(&owner, "openai", "official", None).await;
    assert_eq!(asked("/mine").await, "Bearer none", "a key that may write agents must not read the organization's");
    let bound = store_key(&owner, "openai", "bound", Some(format!("{}/theirs/", own.url))).await;
    assert_eq!(bound["base_url"], json!(format!("{}/theirs", own.url)));
    assert_eq!(asked("/theirs").await, "Bearer bound");
    assert_eq!(asked("/theirs/../other").await, "Bearer none");
    // Both are there, one for each address.
    assert_eq!(owner.done("GET", "/secrets", None).await["total"], json!(2));
    store_key(&owner, "openai", "changed", Some(format!("{}/theirs", own.url))).await;
    assert_eq!(owner.done("GET", "/secrets", None).await["total"], json!(2));
    for bad in ["x", "ftp://example.com", "http://example.com/?x", "http://example.com/#x", "http://a:b@example.com"] {
        let secret = json!({"name": "s", "provider": "openai", "value": "v", "base_url": bad});
        let (status, body) = owner.send("POST", "/secrets", Some(secret)).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!("base_url")), "{bad}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_master_key_does_not_start_and_says_why() {
    let mut settings = None;
    let server = Server::start_with(|config| settings = Some(config.clone())).await;
    let mut config = settings.unwrap();
    let owner = LoggedInUser::owner(&server).await;
    store_key(&owner, "openai", "sk-hidden", None).await;
    store_key(&owner, "groq", "gsk-hidden", Some("http://127.0.0.1:9/v1".to_owned())).await;
    let start = async |config: &Config| {
        let started = trunkline::app::App::start(config, super::support::metrics()).await;
        started.err().map(|error| error.to_string())
    };
    config.sip.listen = super::support::loopback(0);
    for master in ["another master key of the tests", ""] {
        config.secrets.master_key = master.into();
        let why = start(&config).await.expect("it must not start");
        for part in [
            "secrets.master_key",
            "\"Ours\" for openai",
            "\"Ours\" for groq at http://127.0.0.1:9/v1",
            "\"Test\"",
            "reseal",
        ] {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(!why.contains("hidden"), "{why}");
        let checked = trunkline::app::check_stored_secrets(&config).await.unwrap_err();
        assert_eq!(checked.to_string(), why);
    }
    // What it was stored with opens it.
    config.secrets.master_key = "a master key of the tests".into();
    assert!(trunkline::app::check_stored_secrets(&config).await.is_ok());
    // A database that is not there is not made by a check.
    config.database.url = format!("sqlite://{}/none.db", server.folder.path().display()).into();
    assert!(trunkline::app::check_stored_secrets(&config).await.is_ok());
    assert!(!server.folder.path().join("none.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_opened_is_not_replaced_by_the_servers() {
    let server = Server::start_with(|config| config.providers.groq.api_key = Some("SERVER".into())).await;
    let owner = LoggedInUser::owner(&server).await;
    let stored = store_key(&owner, "openai", "theirs", None).await;
    let store = &server.app.services.store;
    // As another process with another master key leaves it, or a damaged disk.
    let other = trunkline::store::secrets::MasterKey::new("another master key of the tests");
    let ours = trunkline::store::secrets::MasterKey::new("a master key of the tests");
    assert_eq!(store.seal_secrets_anew(&ours, &other).await.unwrap(), 1);
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let id = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    let (status, body) = server.send("POST", &format!("/tasks/{id}/execute"), Some(json!({}))).await;
    assert_eq!((status, &body["details"]["code"]), (503, &json!("provider_not_configured")), "{body}");
    server.call("listen; say hello; listen; hangup").await;
    let call = server.last_call().await;
    assert!(call["metrics"]["provider_errors"].to_string().contains("llm_not_configured"), "{call}");
    let test = server.post("/providers/openai/test", json!({})).await;
    assert_eq!((&test["ok"], &test["problem"]["kind"]), (&json!(false), &json!("not_configured")), "{test}");
    // Other providers of the same organization go on with the server's keys.
    assert_eq!(server.post("/providers/groq/test", json!({})).await["ok"], json!(true));
    // A process with another master key stores nothing that the others cannot open.
    let scope = store.authenticate(&server.key).await.unwrap().unwrap().scope;
    assert!(store.put_secret(scope, &other, "n", "xai", None, "v").await.unwrap().is_none());
    // Sealed again with the configured key, it is available again.
    assert_eq!(store.seal_secrets_anew(&other, &ours).await.unwrap(), 1);
    assert_eq!(server.post("/providers/openai/test", json!({})).await["ok"], json!(true));
    // Or it is deleted: then calls are the server's again.
    store.seal_secrets_anew(&ours, &other).await.unwrap();
    assert_eq!(store.unreadable_secrets(Some(&ours)).await.unwrap().len(), 1);
    assert_eq!(store.unreadable_secrets(Some(&ours)).await.unwrap()[0].id.to_string(), stored["id"].as_str().unwrap());
    assert_eq!(store.delete_unreadable_secrets(Some(&ours)).await.unwrap(), 1);
    let report = server.call("listen; say hello; listen; hangup").await;
    assert!(report.failure.is_none(), "{NUMBER}: {report:?}");
}
