//! Calls from browsers: WHIP as it is written (RFC 9725), and whole calls by WebRTC.

use super::support::{NUMBER, PASSWORD, Server, agent, lines, until};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::time::Instant;
use trunkline_lab::caller::report::CallReport;
use trunkline_lab::caller::script::CallScript;
use trunkline_media::codec::{Codec, Companding};
use trunkline_media::transport::webrtc::{HostCandidates, WebRtcPeer};

const CODECS: &[Codec] = &[Codec::Opus, Codec::G711(Companding::MuLaw)];

fn offer() -> String {
    let reach = HostCandidates { udp: vec!["127.0.0.1:9".parse().unwrap()], tcp: vec![] };
    WebRtcPeer::offer(Instant::now(), &reach, CODECS).unwrap().sdp
}

struct Whip<'a> {
    server: &'a Server,
    call: Value,
}

/// Status, headers and body of an answer.
struct WhipAnswer(u16, HeaderMap, String);

impl WhipAnswer {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.2).unwrap_or_default();
        body["details"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.1.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Whip<'_> {
    async fn place(server: &Server) -> Whip<'_> {
        let call = server.post("/calls/web", json!({"agent_id": server.agent})).await;
        Whip { server, call }
    }

    fn token(&self) -> &str {
        self.call["token"].as_str().unwrap()
    }

    fn url(&self) -> &str {
        self.call["whip_url"].as_str().unwrap()
    }

    fn id(&self) -> &str {
        self.call["call_id"].as_str().unwrap()
    }

    async fn send(
        &self, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>,
    ) -> WhipAnswer {
        let mut request = self.server.http.request(method.parse().unwrap(), url).body(body);
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        if !all.contains_key("authorization") {
            request = request.bearer_auth(self.token());
        }
        let response = request.headers(all).send().await.unwrap();
        WhipAnswer(response.status().as_u16(), response.headers().clone(), response.text().await.unwrap())
    }

    async fn offer(&self, sdp: &str) -> WhipAnswer {
        self.send("POST", self.url(), &[("content-type", "application/sdp")], sdp.to_owned()).await
    }

    /// The call follows a script; its page hangs up at the end.
    async fn call(&self, codecs: &[Codec], script: &str) -> CallReport {
        let location = std::cell::RefCell::new(String::new());
        let exchange = async |offer: String| {
            let answer = self.offer(&offer).await;
            *location.borrow_mut() = format!("http://{}{}", self.server.app.api_addr, answer.header("location"));
            if answer.0 == 201 { Ok(answer.2) } else { Err(format!("{} {}", answer.0, answer.2)) }
        };
        let report = self.server.phone.dial_web(codecs, &CallScript::parse(script).unwrap(), exchange).await;
        let location = location.into_inner();
        if !report.ended_by_agent {
            // The connection was closed before: the call may have ended with it.
            let status = self.send("DELETE", &location, &[], "").await.0;
            assert!(matches!(status, 200 | 404), "{status}");
        }
        report
    }
}

/// It has no trunk of its own: the desk is called over the trunk of its agent's number.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_put_through_and_both_hear_each_other() {
    let rule = json!({"words": ["human"], "reply": "I will put you through.",
        "tool": {"name": "transfer_call", "arguments": {"destination": "desk", "briefing": "A browser."}}});
    let script = serde_json::from_value(json!([rule])).unwrap();
    let mut server = Server::start_scripted(script, |_| {}).await;
    let desk = json!({"destinations": [{"name": "desk", "target": "+15550123"}]});
    let path = format!("/agents/{}", server.agent);
    assert_eq!(server.send("PATCH", &path, Some(json!({"transfer_config": desk}))).await.0, 200);
    let mut calls = std::mem::replace(&mut server.incoming, tokio::sync::mpsc::channel(1).1);
    let whip = Whip::place(&server).await;
    let browser = whip.call(&CODECS[1..], "listen; say speak_to_human; pause 5000; say where_is_my_order; pause 8000");
    let answer = async {
        let call = calls.recv().await.unwrap();
        assert_eq!(call.incoming.from.uri.user_plain().as_deref(), Some(NUMBER), "the agent's number calls");
        server.phone.answer(call, &CallScript::parse("pause 1000; say opening_hours; pause 6000").unwrap(), None).await
    };
    let (browser, desk) = tokio::join!(browser, answer);
    assert_eq!((browser.failure, desk.failure), (None, None));
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], "transferred", "{call}");
    assert!(
        browser.heard_seconds > 2.5 && desk.heard_seconds > 1.0,
        "{} {}",
        browser.heard_seconds,
        desk.heard_seconds
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_talks_with_the_agent_as_a_phone_does() {
    let server = Server::start().await;
    for (codecs, pauses) in [(CODECS, true), (&CODECS[1..], false)] {
        let whip = Whip::place(&server).await;
        let before = server.get(&format!("/calls/{}", whip.id())).await["call"].clone();
        assert_eq!((&before["status"], &before["direction"]), (&json!("initiated"), &json!("web")));
        assert_eq!(before["transport"], "webrtc");
        let report = whip.call(codecs, "listen; say opening_hours; listen").await;
        assert_eq!(report.failure, None);
        assert_eq!(report.responses_ms.len(), 1, "{report:?}");
        assert!(report.level_dbfs > -35.0 && report.heard_seconds > 1.0, "{report:?}");
        let call = server.last_call().await;
        assert_eq!((&call["id"], &call["end_reason"]), (&json!(whip.id()), &json!("customer_hung_up")));
        let said = lines(&call);
        assert_eq!(said[0], "assistant: Good morning, this is Acme.");
        assert_eq!(said[1], "user: What are your opening hours?", "{said:?}");
        assert!(said[2].starts_with("assistant: "), "{said:?}");
        let media = &call["metrics"]["media"];
        let packets = media["packets_received"].as_u64().unwrap();
        assert_eq!(packets < 300, pauses, "{media}");
        // Both sides are in the recording.
        let (caller, agent) = server.recording(whip.id()).await;
        for side in [caller, agent] {
            assert!(trunkline_media::frame::level_dbfs(&side) > -45.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_interrupts_and_sends_dtmf() {
    let server = Server::start().await;
    let rules = json!({"dtmf_rules": {"rules": [{"digits": "0", "action": "end_call"}]}});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(rules)).await;
    let whip = Whip::place(&server).await;
    let report = whip.call(CODECS, "listen; say opening_hours; interrupt wait_stop; listen; dtmf 0; pause 3000").await;
    assert_eq!(report.failure, None);
    assert!(report.ended_by_agent, "the agent hangs up, and the browser hears of it");
    assert!(report.barge_ins_ms[0] < 600.0, "{report:?}");
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], "agent_hung_up", "{call}");
    assert!(call["transcript"].as_array().unwrap().iter().any(|turn| turn["interrupted"] == json!(true)), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whip_is_spoken_as_it_is_written() {
    let server = Server::start().await;
    let whip = Whip::place(&server).await;
    let answer = whip.offer(&offer()).await;
    assert_eq!((answer.0, answer.header("content-type")), (201, "application/sdp"), "{}", answer.2);
    let location = format!("http://{}{}", server.app.api_addr, answer.header("location"));
    assert!(location.ends_with(whip.id()) && answer.header("etag").starts_with('"'));
    assert!(
        answer.2.contains("a=ice-lite")
            && answer.2.contains(" tcptype passive")
            && answer.2.contains("a=setup:passive")
    );
    assert!(answer.header("link").contains(&format!("/ws/calls/{}>; rel=", whip.id())), "{:?}", answer.1);

    let fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
a=candidate:1 1 udp 2130706431 6ba7b810-9dad-11d1-80b4-00c04fd430c8.local 50000 typ host\r\n";
    let kind = ("content-type", "application/trickle-ice-sdpfrag");
    let etag = answer.header("etag").to_owned();
    let trickle = whip.send("PATCH", &location, &[kind, ("if-match", &etag)], fragment).await;
    assert_eq!(trickle.0, 204, "mDNS candidates are tolerated: {}", trickle.2);
    let without = whip.send("PATCH", &location, &[kind], fragment).await;
    assert_eq!((without.0, without.code().as_str()), (428, "if_match_required"));
    let stale = whip.send("PATCH", &location, &[kind, ("if-match", "\"old\"")], fragment).await;
    assert_eq!((stale.0, stale.code().as_str()), (412, "ice_session_changed"));
    let restart = whip.send("PATCH", &location, &[kind, ("if-match", "*")], fragment).await;
    assert_eq!((restart.0, restart.header("content-type")), (200, "application/trickle-ice-sdpfrag"), "{}", restart.2);
    assert!(restart.2.contains("a=ice-ufrag:") && restart.2.contains("a=ice-pwd:") && restart.header("etag") != etag);
    assert_eq!(whip.send("PATCH", &location, &[kind, ("if-match", &etag)], fragment).await.0, 412);
    let nonsense = whip.send("PATCH", &location, &[kind, ("if-match", "*")], "hello").await;
    assert_eq!((nonsense.0, nonsense.code().as_str()), (400, "invalid_fragment"));

    for (method, url) in [("GET", whip.url()), ("PUT", whip.url()), ("GET", &location), ("POST", &location)] {
        assert_eq!(whip.send(method, url, &[], "").await.0, 405, "{method} {url}");
    }
    let preflight = whip.send("OPTIONS", whip.url(), &[], "").await;
    assert_eq!((preflight.0, preflight.header("accept-post")), (204, "application/sdp"));

    assert_eq!(whip.send("DELETE", &location, &[], "").await.0, 200);
    let again = whip.send("DELETE", &location, &[], "").await;
    assert_eq!((again.0, again.code().as_str()), (404, "not_found"), "a session ends once");
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], "canceled", "hung up before there was a path");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_offers_and_tokens_are_refused_and_leave_nothing() {
    let server = Server::start_with(|config| config.webrtc.token_valid_s = 10).await;
    let whip = Whip::place(&server).await;
    let other = server.post("/agents", agent()).await["agent"]["id"].as_str().unwrap().to_owned();
    let good = offer();
    let candidates = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n".repeat(1_000);
    for (sdp, status, word) in [
        ("hello".to_owned(), 400, "not SDP"),
        (String::new(), 400, "not SDP"),
        (good.replace("m=audio", "m=application"), 400, "no audio"),
        (good.replace("m=audio", "m=video"), 400, "video only"),
        (format!("{good}{candidates}"), 400, "64 candidates"),
        (good.replace("a=fingerprint:", "a=nothing:"), 400, "a=fingerprint"),
        (good.replace("opus/48000/2", "mystery/48000/2").replace("PCMU/8000", "other/8000"), 400, "codec"),
        ("v".repeat(1 << 20), 413, "65536"),
    ] {
        let answer = whip.offer(&sdp).await;
        assert_eq!(answer.0, status, "{word}: {}", answer.2);
        assert!(answer.2.contains(word), "{word}: {}", answer.2);
    }
    let typed = |kind: &'static str| [("content-type", kind)];
    assert_eq!(whip.send("POST", whip.url(), &typed("application/json"), good.clone()).await.0, 415);
    let sdp = ("content-type", "application/sdp");
    let without = whip.send("POST", whip.url(), &[sdp, ("authorization", "")], good.clone()).await;
    assert_eq!((without.0, without.code().as_str()), (401, "token_required"));
    for text in ["Bearer nonsense", "Bearer AAAA", &format!("Bearer {}", server.key)] {
        let refused = whip.send("POST", whip.url(), &[sdp, ("authorization", text)], good.clone()).await;
        assert_eq!((refused.0, refused.code().as_str()), (401, "invalid_token"));
    }
    let wrong = whip.send("POST", &whip.url().replace(&server.agent, &other), &[sdp], good.clone()).await;
    assert_eq!((wrong.0, wrong.code().as_str()), (403, "wrong_agent"));
    let elsewhere = Whip::place(&server).await;
    let foreign = format!("{}/{}", whip.url(), elsewhere.id());
    let foreign = whip.send("DELETE", &foreign, &[], "").await;
    assert_eq!((foreign.0, foreign.code().as_str()), (403, "wrong_call"));
    let evil = ("origin", "https://evil.example");
    let evil = whip.send("POST", whip.url(), &[sdp, evil], good.clone()).await;
    assert_eq!((evil.0, evil.code().as_str()), (403, "bad_origin"));

    // All of it made no leg; the calls still wait, and end when their tokens do.
    assert_eq!(server.app.services.media.workers.stats().legs.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(server.app.services.live_calls.registry.count(), 2);
    let registry = &server.app.services.live_calls.registry;
    until("the end of calls without a browser", async || (registry.count() == 0).then_some(())).await;
    assert_eq!(server.last_call().await["end_reason"], "no_answer");
    let late = whip.offer(&good).await;
    assert_eq!((late.0, late.code().as_str()), (401, "token_expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_addresses_begin_as_many_calls_as_they_may() {
    let server = Server::start_with(|config| {
        config.webrtc.calls_per_token = 2;
        config.webrtc.calls_per_address = 3;
        config.webrtc.connect_timeout_ms = 2_000;
        config.webrtc.allowed_origins = vec!["https://www.example.com".into()];
        config.webrtc.ice_servers = vec![trunkline::config::IceServerConfig {
            url: "turn:turn.example.com".into(),
            username: Some("u".into()),
            credential: Some("c".into()),
        }];
    })
    .await;
    let whip = Whip::place(&server).await;
    assert_eq!(
        whip.call["ice_servers"],
        json!([{"urls": "turn:turn.example.com", "username": "u", "credential": "c"}])
    );
    let origin = [("content-type", "application/sdp"), ("origin", "https://www.example.com")];
    let first = whip.send("POST", whip.url(), &origin, offer()).await;
    assert_eq!((first.0, first.header("access-control-allow-origin")), (201, "https://www.example.com"));
    assert!(first.header("access-control-expose-headers").contains("Location"));
    assert!(
        first
            .1
            .get_all("link")
            .iter()
            .any(|link| link.to_str().unwrap().contains("rel=\"ice-server\"; username=\"u\""))
    );
    let second = whip.offer(&offer()).await;
    assert_eq!(second.0, 201, "{}", second.2);
    assert_ne!(second.header("location"), first.header("location"), "another call");
    let third = whip.offer(&offer()).await;
    assert_eq!((third.0, third.code().as_str()), (403, "token_used"));
    let (other, full) = (Whip::place(&server).await, Whip::place(&server).await);
    assert_eq!(other.offer(&offer()).await.0, 201);
    let refused = full.offer(&offer()).await;
    assert_eq!((refused.0, refused.code().as_str()), (429, "too_many_calls"));
    // No checks arrive on the path: the calls are given up, and the address may call again.
    let registry = &server.app.services.live_calls.registry;
    until("the end of calls without a path", async || (registry.count() <= 1).then_some(())).await;
    assert_eq!(full.offer(&offer()).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_counted_by_address() {
    let server = Server::start_with(|config| {
        config.api.public_rate_limit_per_minute = 5;
        config.api.behind_proxy = true;
    })
    .await;
    let login = |from: &'static str| {
        let body = json!({"email": "owner@example.com", "password": PASSWORD});
        server.http.post(server.url("/auth/login")).header("x-forwarded-for", from).json(&body).send()
    };
    for _ in 0..5 {
        assert_eq!(login("9.9.9.9, 203.0.113.7").await.unwrap().status(), 200);
    }
    let refused = login("8.8.8.8, 203.0.113.7").await.unwrap();
    assert_eq!(refused.status(), 429, "what stands before the proxy's own entry is anybody's");
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(login("203.0.113.8").await.unwrap().status(), 200);
}
